"""``midair container``: what is printed, written and found."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from midair.__main__ import main
from midair.config.keys import all_keys
from midair.errors import DONE, FAILED, USAGE
from tests.support.installed import container_tool

ALL = ("--dockerfile", "--compose", "--kubernetes")
CONFIGURATION = """\
app = "web:app"
workers = "auto"
env_files = ["shop.env"]
env = {API_TOKEN = "file:token", STRIPE_SECRET = "in the open", TZ = "Europe/Zurich"}
"""

Made = Callable[..., dict[str, str]]


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "midair.toml").write_text(CONFIGURATION)
    (folder / "web.py").touch()
    (folder / "requirements.txt").write_text("midair\n")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PWD", raising=False)
    return folder


@pytest.fixture
def made(capsys: pytest.CaptureFixture[str]) -> Made:
    """The files by name."""

    def make(*words: str) -> dict[str, str]:
        capsys.readouterr()
        assert main(["container", *words, "--json"]) == DONE
        return {file["name"]: file["text"] for file in json.loads(capsys.readouterr().out)["files"]}

    return make


def test_files_are_printed_and_nothing_is_written(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(shop.iterdir())
    assert main(["container"]) == DONE
    printed = capsys.readouterr()
    assert 'CMD ["midair", "run"]' in printed.out.splitlines()
    assert "puts Dockerfile and .dockerignore into" in printed.err
    assert "warning: env.STRIPE_SECRET stands in the configuration" in printed.err
    assert "API_TOKEN" not in printed.err
    assert sorted(shop.iterdir()) == before


def test_the_variables_of_this_shell_are_not_those_of_the_container(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = made(*ALL)
    for name, value in {"MIDAIR_STOP_TIMEOUT": "99s", "PORT": "1234", "WEB_CONCURRENCY": "40"}.items():
        monkeypatch.setenv(name, value)
    assert made(*ALL) == expected
    assert "MIDAIR_WORKERS" in expected["k8s.yaml"]  # auto: of the container's quota, and not of this machine's CPUs
    assert "memory: 384Mi" in expected["k8s.yaml"]


@pytest.mark.parametrize(
    ("configuration", "warned"),
    [
        ('app = "web:app"', "there is no list of what the application needs"),
        ('command = ["gunicorn", "web:app"]', "how gunicorn comes into the image"),
        ('command = ["./server"]', "how ./server comes into the image"),
        ('command = ["./start.sh"]', ""),
    ],
)
def test_what_the_image_would_not_have_is_said(
    shop: Path, capsys: pytest.CaptureFixture[str], configuration: str, warned: str
) -> None:
    (shop / "requirements.txt").unlink()
    (shop / "start.sh").touch()
    (shop / "midair.toml").write_text(configuration)
    assert main(["container"]) == DONE
    said = capsys.readouterr().err
    assert f"warning: {warned}" in said if warned else "warning" not in said


def test_a_hook_that_builds_what_the_image_has_does_nothing_there(shop: Path, made: Made) -> None:
    (shop / "go.mod").write_text("module shop\n")
    (shop / "main.go").write_text("package main\n\nfunc main() {}\n")
    build = 'command = ["bin/shop"]\nhooks = {before = ["sh", "-c", "%s"]}\n'
    (shop / "midair.toml").write_text(build % "go build -o bin/shop .")
    assert "ENV MIDAIR_HOOKS_BEFORE=true" in made()["Dockerfile"]
    assert "bin/" in made()[".dockerignore"].splitlines()
    (shop / "midair.toml").write_text(build % "./migrate --go-on")
    assert "HOOKS_BEFORE" not in made()["Dockerfile"]


def test_a_target_and_a_file_that_were_typed_are_in_the_command_line(made: Made, shop: Path) -> None:
    (shop / "live.toml").write_text('app = "web:app"\n')
    text = made("web:application", "-c", "live.toml", "--name", "till")["Dockerfile"]
    assert 'CMD ["midair", "run", "web:application", "-c", "live.toml", "--name", "till"]' in text


def test_it_explains_what_was_decided(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["container", "--kubernetes", "--explain"]) == DONE
    rows = capsys.readouterr().out.splitlines()
    assert any(row.startswith("packages") and "requirements.txt" in row for row in rows)
    assert any(row.startswith("grace of a pod  45 s") and "stop.delay 5 s" in row for row in rows)
    assert any(row.startswith("secret") and "shop.env" in row for row in rows)


def test_what_is_written_is_what_a_check_finds_good_until_the_configuration_says_something_else(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["container", "--check"]) == DONE
    assert "Dockerfile is not in" in capsys.readouterr().err
    (shop / "docker-compose.yml").write_text("services: {}\n")
    assert main(["container", *ALL, "--write"]) == DONE
    written = capsys.readouterr().out
    assert "docker-compose.yml; the one before is docker-compose.yml.bak" in written
    assert "docker compose up --build" in written
    assert not (shop / "compose.yaml").exists()  # it would count in the place of the one that is there
    assert main(["container", "--check"]) == DONE
    assert capsys.readouterr().out.startswith("good: ")
    (shop / "midair.toml").write_text(CONFIGURATION + 'stop = {timeout = "60s"}\n')
    assert main(["container", "--check"]) == FAILED
    found = capsys.readouterr().out
    assert "+    stop_grace_period: 75s" in found
    assert "+      terminationGracePeriodSeconds: 80" in found  # it is looked at without having been named
    assert main(["container", "--check", "--dockerfile"]) == DONE  # only comments would be different


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (("--write", "--check"), USAGE, "one of --write, --check and --explain"),
        (("--write", "/proc/nowhere"), FAILED, "cannot be written"),
        (("--kubernetes", "-C", "bare"), USAGE, "bind names no TCP address"),
    ],
)
def test_what_cannot_be_is_said(
    shop: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, expected: str
) -> None:
    (shop / "bare").mkdir()
    (shop / "bare/midair.toml").write_text('command = ["./server"]\nlistener = "lent"\nbind = []\n')
    assert main(["container", *words]) == code
    assert expected in capsys.readouterr().err


def test_the_variables_that_the_files_name_are_keys(made: Made) -> None:
    """A variable that is none is ignored with a warning, which nobody reads in a cluster."""
    known = {key.variable for key in all_keys().values()}
    texts = [made(*ALL)["k8s.yaml"], made(*ALL, "--pre-stop")["k8s.yaml"], made()["Dockerfile"]]
    named = {word.strip('"') for text in texts for word in text.replace("=", " ").split() if word.startswith("MIDAIR_")}
    assert len(named) >= 6
    assert named <= known


# --- what others say of them ---------------------------------------------------------------------------------------


def _says(shop: Path, *line: str) -> str:
    done = subprocess.run(line, cwd=shop, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_hadolint_finds_nothing_in_the_dockerfile(shop: Path) -> None:
    assert main(["container", "--write"]) == DONE
    assert _says(shop, container_tool("hadolint"), "--no-color", "Dockerfile") == ""


def test_compose_reads_its_file(shop: Path) -> None:
    assert main(["container", "--compose", "--write"]) == DONE
    read = json.loads(_says(shop, container_tool("docker-compose"), "config", "--format", "json"))
    (service,) = read["services"].values()
    assert service["stop_grace_period"] == "40s"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert [(port["host_ip"], port["target"]) for port in service["ports"]] == [("127.0.0.1", 8000)]
    assert {mount["target"] for mount in service["volumes"]} == {
        "/var/lib/midair/shop",
        "/srv/shop/shop.env",
        "/srv/shop/token",
    }


def test_the_manifests_are_what_the_schema_of_kubernetes_says(shop: Path) -> None:
    for number, words in enumerate((["--pre-stop", "--code", "configmap"], ["--code", "claim"])):
        assert main(["container", "--kubernetes", *words, "--write", str(shop / str(number))]) == DONE
    files = [str(path) for path in sorted(shop.glob("*/k8s.yaml"))]
    said = _says(shop, container_tool("kubernetes-validate"), "--strict", *files)
    assert said.count(" passed for resource ") == 2 * 3
    broken = shop / "0/k8s.yaml"
    broken.write_text(broken.read_text().replace("periodSeconds", "periodSecond"))
    line = [container_tool("kubernetes-validate"), "--strict", str(broken)]
    assert subprocess.run(line, capture_output=True, timeout=60, check=False).returncode != 0
