"""``midair.serve()`` makes a program a service in place: same process, same arguments, and every update that midair has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.service import Service, clean_environment
from tests.support.toml import Setting
from tests.support.waiting import wait_for

ASKING = (Load(connections=3, keep_alive=False, think_s=0.02), Load(connections=4, think_s=0.05))


class Served(Service):
    """``python app.py``, which is a supervisor a moment later."""

    how: tuple[str, ...] = ("app.py",)

    def line(self, fd: int) -> list[str]:
        return [sys.executable, "-W", "ignore::ImportWarning", *self.how, str(fd), "2", *self._flags]


def served(tmp: Path, *arguments: str, **settings: Setting) -> Served:
    return Served(tmp, "serves_itself", flags=arguments, settings=settings)


def gives(service: Service, **more: object) -> None:
    """From the next version on the program gives these arguments, too."""
    path = service.folder / "app.py"
    path.write_text(path.read_text().replace("MORE = {}", f"MORE = {more!r}"))


def config(service: Service) -> dict[str, tuple[str, str]]:
    done = service.midair("config", "--json")
    return {each["key"]: (each["value"], each["origin"]) for each in done.data["values"]}


def workers(service: Service) -> int:
    return int(service.status()["workers"])


def test_the_process_is_the_service_and_updates_lose_nothing(tmp_path: Path) -> None:
    with served(tmp_path, "--verbose", "x y") as service:
        assert service.status()["pid"] == service.pid
        about = service.about()
        assert about["argv"][0].endswith("app.py")
        assert about["argv"][2:] == ["2", "--verbose", "x y"]
        assert (about["name"], about["kind"]) == ("__main__", "type")
        with service.asked(*ASKING) as client:
            for version in ("2", "3", "4"):
                service.update(version)
                assert service.serving_version() == version
            assert service.midair("rollback", "--json").code == 0
            assert service.serving_version() == "3"
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert set(client.report.versions) == {"1", "2", "3", "4"}
        assert "PYTHONWARNINGS=ignore::ImportWarning" in Path(f"/proc/{service.pid}/environ").read_text()


def test_what_the_program_gives_is_configuration_and_changes_with_its_versions(tmp_path: Path) -> None:
    with served(tmp_path, workers=1) as service:
        assert config(service)["workers"][0] == "2"  # midair.toml says 1
        assert "midair.serve()" in config(service)["workers"][1]
        assert config(service)["serve.access_log"] == ("false", config(service)["workers"][1])
        service.write("serves_itself", "2")
        gives(service, root_path="/api", stop_timeout=4, backlog=99)
        path = service.folder / "app.py"
        path.write_text(path.read_text().replace("workers=int(sys.argv[2])", "workers=3"))
        done = service.reload()
        assert done.code == 0, f"{done}\n{service.log()}"
        assert any("serve.backlog = 99 counts only after a restart" in each for each in service.receipt()["warnings"])
        assert service.about()["root"] == "/api"
        assert workers(service) == 3
        assert config(service)["stop.timeout"][0] == "4s"
        assert "app.py" in config(service)["serve.root_path"][1]
        # The supervisor's next image knows what was given, and so does the way back.
        assert service.midair("upgrade", "--json").code == 0
        service.update("3")
        assert service.about()["root"] == ""
        assert workers(service) == 2
        assert service.midair("rollback", "--json").code == 0
        assert service.about()["root"] == "/api"
        assert workers(service) == 3


def test_the_environment_and_the_command_line_count_over_the_program(tmp_path: Path) -> None:
    with Service(
        tmp_path,
        "serves_itself",
        flags=("--workers", "1", "--main", "app.py", "--", "0", "2"),
        env={"MIDAIR_SERVE_ROOT_PATH": "/outside"},
    ) as service:
        assert workers(service) == 1
        assert config(service)["workers"] == ("1", "--workers")
        assert config(service)["bind"][1] == "--bind"
        gives(service, root_path="/inside")
        assert service.reload().code == 0
        assert service.about()["root"] == "/outside"


def test_workers_that_may_not_be_forked_get_what_the_new_version_gives(tmp_path: Path) -> None:
    with served(tmp_path, zygote="never") as service:
        service.write("serves_itself", "2")
        gives(service, root_path="/api")
        assert service.reload().code == 0
        assert service.about()["root"] == "/api"
        assert {each["mode"] for each in service.status()["generations"] if each["role"] == "serving"} == {"spawn"}


def test_the_folder_is_where_the_program_was_typed(tmp_path: Path) -> None:
    service = served(tmp_path, chdir="elsewhere")
    (service.folder / "sub").mkdir()
    for name in ("app.py", "good.py"):
        (service.folder / name).rename(service.folder / "sub" / name)
    service.how = ("sub/app.py",)
    with service:
        path = service.folder / "sub" / "app.py"
        path.write_text(path.read_text().replace('VERSION = "1"', 'VERSION = "2"'))
        done = service.reload()
        assert done.code == 0, f"{done}\n{service.log()}"
        assert service.serving_version() == "2"


def test_a_module_is_run_as_python_does_it(tmp_path: Path) -> None:
    service = served(tmp_path)
    service.how = ("-m", "app")
    with service:
        assert service.about()["argv"][0] == str(service.folder / "app.py")
        service.update("2")
        assert service.serving_version() == "2"


def test_a_second_call_in_a_worker_is_an_error_and_serving_goes_on(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        status, body = service.get("/again")
        assert status == 200
        assert b"called inside an event loop" in body
        assert service.serving_version() == "1"


def test_a_version_that_does_not_reach_serve_is_refused(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        path = service.folder / "app.py"
        good = path.read_text()
        for bad, code in (
            (good.replace('== "__main__"', '== "main"'), "serve-not-reached"),
            (good.replace("access_log=False", "access_logs=False"), "serve-argument"),
            (good.replace("access_log=False", "drain_rate='often'"), "bad-config"),
            (good.replace("midair.serve(application", "midair.serve('nowhere:app'"), "app-module-not-found"),
        ):
            assert bad != good
            path.write_text(bad)
            done = service.reload()
            assert done.code == 4, f"{done}\n{service.log()}"
            assert done.data["fault"]["code"] == code, done
            assert service.serving_version() == "1"


ERRORS = {
    "a thread": (
        "import midair, threading\nt = threading.Thread(target=midair.serve, args=('app:app',))\nt.start()\nt.join()\n",
        "serve-misplaced",
    ),
    "an event loop": (
        "import asyncio, midair\nasync def main(): midair.serve('app:app')\nasyncio.run(main())\n",
        "serve-misplaced",
    ),
    "never": ("import midair\n", "serve-not-reached"),
    "exits": ("import sys\nsys.exit('usage: main.py PORT')\n", "app-import-exited"),
    "raises": ("raise ValueError('no database')\n", "app-import-raised"),
    "syntax": ("def broken(:\n", "app-syntax"),
    "unknown": ("import midair\nmidair.serve('app:app', timeout_keepalive=5)\n", "serve-argument"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_main_file_that_cannot_be_served_is_an_error_with_a_hint(tmp_path: Path, case: str) -> None:
    text, code = ERRORS[case]
    (tmp_path / "main.py").write_text(text)
    done = run(tmp_path, "-m", "midair", "check", "--main", "main.py", "--json")
    fault = json.loads(done.stdout)["fault"]
    assert fault["code"] == code, done
    if code.startswith("serve-"):
        assert fault["hint"]


def test_a_target_that_calls_serve_at_import_is_told_where_it_belongs(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import midair\nasync def app(scope, receive, send): ...\nmidair.serve(app)\n")
    fault = json.loads(run(tmp_path, "-m", "midair", "check", "main:app", "--json").stdout)["fault"]
    assert fault["code"] == "serve-misplaced"
    assert "--main main.py" in fault["hint"]


def test_without_a_file_there_is_nothing_to_serve(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", "import midair; midair.serve('app:app')")
    assert done.returncode == 1
    assert "NoMainFile" in done.stderr


def test_a_main_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    fault = json.loads(run(tmp_path, "-m", "midair", "check", "--main", "main.py", "--json").stdout)["fault"]
    assert fault["code"] == "main-missing"


def test_a_command_of_midair_run_is_not_made_a_second_service(tmp_path: Path) -> None:
    with Service(tmp_path, "serves_itself", command=("{python}", "app.py", "0", "2"), ready_path="") as service:
        wait_for(
            lambda: "midair run --main FILE" in service.log() or "ServeMisplaced" in service.log(), what="the error"
        )


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
