"""``midair init``: what it tells, what it writes, and what it never touches."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from midair.__main__ import main
from midair.cli.init import flag_table
from midair.config.load import load, sources_for_run
from midair.scaffold.document import text_of, without_problems, written
from midair.scaffold.folder import FILE_MAX_BYTES, read_folder
from midair.scaffold.gunicorn import HOOKS
from midair.scaffold.project import TEMPLATES
from midair.scaffold.proposal import propose

FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
FLASK = "from flask import Flask\napp = Flask('x')\n"
TABLE = flag_table()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PWD", raising=False)
    return folder


def _write(files: dict[str, str]) -> None:
    for path, text in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)


def _settings(files: dict[str, str], app: str = "") -> dict[str, object]:
    """What the file would say."""
    proposal = propose(files, TABLE, app=app)
    without_problems(proposal)
    return tomllib.loads(text_of(proposal))


@pytest.mark.parametrize(
    "files",
    [
        {"app/main.py": FASTAPI},
        {"main.py": FLASK, "Procfile": "release: x\nweb: gunicorn main:app --threads 2 -w 2\njobs: y 'z'\n"},
        {
            "main.py": FLASK,
            "gunicorn.conf.py": "workers = 3\ntimeout = 3\nkeyfile = 'k'\nforwarded_allow_ips = 'proxy'\n",
        },
        {"go.mod": "module x\n", "main.go": "package main\nfunc main() {}\n"},
        {"package.json": '{"scripts": {"start": "node x.js", "build": "tsc", "dev": "nodemon -e ts --ignore dist"}}'},
        {"Procfile": "web: ./server --port $PORT\n"},
        {"package.json": '{"scripts": {"start": "next start"}}'},
        {
            ".air.toml": '[build]\ncmd = "go build -o ./tmp/x ."\nbin = "./tmp/x"\ndelay = 200\nexclude_regex = ["_t.go"]\n'
        },
        {"main.py": FASTAPI, "Dockerfile": "CMD uvicorn main:app --env-file 'a b' --header 'x-y: \"z\"'\n"},
        {
            "main.py": FASTAPI,
            "Procfile": "web: gunicorn -e 'A.B=\"x\" \\\\ # no' -k uvicorn.workers.UvicornWorker main:app\n",
        },
    ],
)
def test_what_is_written_is_what_midair_reads(files: dict[str, str], here: Path) -> None:
    _write(files)
    assert main(["init"]) == 0
    loaded = load(sources_for_run(folder=str(here), environ={}), needs_target=True)
    assert loaded.warnings == ()
    assert main(["config", "--file"]) == 0
    assert main(["check", "--no-import"]) == 0


def test_what_was_found_and_became_of_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    _write(
        {
            "main.py": FASTAPI,
            "Procfile": "web: gunicorn main:app -w 4 -k uvicorn.workers.UvicornWorker --statsd-host x -e KEY=secret\n",
            "gunicorn.conf.py": "workers = 2\ndef post_fork(server, worker): pass\n",
            "logrotate.conf": "postrotate\n kill -USR1 1\n",
        }
    )
    assert main(["init"]) == 0
    said = capsys.readouterr()
    assert "found FastAPI (main.py:2): main:app" in said.out
    assert "found gunicorn (Procfile:1)" in said.out
    for was, became in {
        "--workers 4": "workers = 4",
        "--statsd-host x": "- figures are for Prometheus: --metrics ADDRESS",
        "workers = 2": "- left out: Procfile:1 says workers, and counts",
        "post_fork()": "- in the application: @midair.after_fork",
        "--env KEY=…": "env.KEY = …",
    }.items():
        assert any(was in line and became in line for line in said.out.splitlines()), was
    assert "logrotate.conf:2 sends SIGUSR1" in said.err
    assert "secret" not in said.out + said.err


def test_the_application_that_was_started_is_chosen() -> None:
    files = {"main.py": FASTAPI, "other.py": FASTAPI, "Procfile": "web: uvicorn other:app --workers 2\n"}
    assert _settings(files) == {"app": "other:app", "workers": 2}


def test_of_several_applications_one_is_chosen_and_the_others_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    _write({"main.py": FASTAPI, "admin.py": FASTAPI})
    assert main(["init", "--dry-run"]) == 0
    said = capsys.readouterr()
    assert 'app = "main:app"' in said.out
    assert "admin:app, not chosen" in said.out
    assert "for another: --app admin:app" in said.err
    assert main(["init", "--dry-run", "--app", "admin:app"]) == 0
    assert 'app = "admin:app"' in capsys.readouterr().out


def test_what_another_application_was_started_with_is_not_taken_over() -> None:
    files = {"main.py": FASTAPI, "admin.py": FASTAPI, "Procfile": "web: uvicorn main:app --workers 9\n"}
    assert _settings(files, app="admin:app") == {"app": "admin:app"}


def test_an_application_that_nobody_could_find_by_reading_is_taken_from_the_line() -> None:
    assert _settings({"Procfile": "web: uvicorn made.elsewhere:app\n"}) == {"app": "made.elsewhere:app"}


@pytest.mark.parametrize(
    ("line", "threads"),
    [
        ("gunicorn main:app", 1),
        ("gunicorn main:app --threads 8", 8),
        ("gunicorn main:app -k gthread", None),
        ("gunicorn main:app -k gevent", None),
        ("waitress-serve main:app", None),
    ],
)
def test_one_request_at_a_time_stays_one_at_a_time(line: str, threads: int | None) -> None:
    serve = _settings({"main.py": FLASK, "Procfile": f"web: {line}\n"}).get("serve", {})
    assert isinstance(serve, dict)
    assert serve.get("wsgi_threads") == threads


@pytest.mark.parametrize("flags", ["-k uvicorn.workers.UvicornWorker --threads 4", ""])
def test_threads_mean_nothing_to_an_asgi_application(flags: str) -> None:
    files = {"main.py": FASTAPI, "Procfile": f"web: gunicorn {flags} main:app\n"}
    assert _settings(files) == {"app": "main:app"}


def test_what_would_not_load_is_left_out_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    flags = "--ssl-keyfile k --ssl-keyfile-password hidden --forwarded-allow-ips proxy"
    _write({"main.py": FASTAPI, "Procfile": f"web: uvicorn main:app {flags}\n"})
    assert main(["init"]) == 0
    said = capsys.readouterr().err
    assert "tls.keyfile_password = … (Procfile:1) was left out" in said
    assert "hidden" not in said
    assert "serve.forwarded_allow_ips" in said
    assert "left out" in said
    assert tomllib.loads(Path("midair.toml").read_text()) == {"app": "main:app"}


def test_a_dry_run_writes_nothing() -> None:
    _write({"main.py": FASTAPI})
    assert main(["init", "--dry-run"]) == 0
    assert os.listdir() == ["main.py"]


@pytest.mark.parametrize("force", [False, True])
def test_a_configuration_that_is_there_is_never_lost(force: bool, capsys: pytest.CaptureFixture[str]) -> None:
    _write({"main.py": FASTAPI, "midair.toml": "# mine\n", "midair.toml.bak": "# older\n"})
    assert main(["init", *(["--force"] if force else [])]) == (0 if force else 2)
    kept = Path("midair.toml.bak1" if force else "midair.toml").read_text()
    assert kept == "# mine\n"
    assert Path("midair.toml.bak").read_text() == "# older\n"
    said = capsys.readouterr()
    assert ("the one before is midair.toml.bak1" in said.out) if force else ("--force" in said.err)


def test_a_file_that_nobody_else_may_read_stays_so() -> None:
    _write({"main.py": FASTAPI, "midair.toml": "# mine\n"})
    Path("midair.toml").chmod(0o600)
    assert main(["init", "--force"]) == 0
    assert [stat.S_IMODE(Path(name).stat().st_mode) for name in ("midair.toml", "midair.toml.bak")] == [0o600, 0o600]


def test_a_table_of_pyproject_counts_as_a_configuration() -> None:
    _write({"main.py": FASTAPI, "pyproject.toml": '[tool.midair]\napp = "main:app"\n'})
    assert main(["init"]) == 2
    assert not Path("midair.toml").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code"), [("n", 2), ("y", 0)])
def test_at_a_terminal_it_asks(answer: str, code: int) -> None:
    _write({"main.py": FASTAPI, "midair.toml": "# mine\n"})
    ours, theirs = os.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())  # typed ahead: it waits until somebody reads
        done = subprocess.run(
            [sys.executable, "-m", "midair", "init"],
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Replace it?" in done.stderr
    assert done.returncode == code, done.stderr
    assert (Path("midair.toml").read_text() == "# mine\n") is (answer == "n")


def test_the_file_of_air_is_taken_over(capsys: pytest.CaptureFixture[str]) -> None:
    build = '[build]\ncmd = "go build -o tmp/x ."\nentrypoint = ["tmp/x"]\ninclude_ext = ["go"]\npoll = true\n'
    rule = '[[build.rules]]\nname = "css"\ncmd = "make css"\ninclude_ext = ["css"]\n'
    _write({".air.toml": build + rule, "go.mod": "module x\n", "main.go": "package main\nfunc main() {}\n"})
    assert main(["init"]) == 0
    written = tomllib.loads(Path("midair.toml").read_text())
    assert (written["command"], written["listener"]) == (["./tmp/x"], "lent")
    assert written["build"]["build"] == ["go build -o tmp/x ."]
    assert written["hooks"]["before"] == ["sh", "-c", "mkdir -p tmp && go build -o tmp/x ."]
    assert (written["watch"]["extensions"], written["watch"]["poll"]) == (["go"], "always")
    said = capsys.readouterr()
    assert "midair dev reads it as it is where there is no midair.toml" in said.out
    assert "found Go (go.mod)" in said.out
    assert "the rule css is not taken over" in said.err


def test_what_one_may_want_next_stands_there_as_a_comment() -> None:
    django = {
        "manage.py": "",
        "s/wsgi.py": "from django.core.wsgi import get_wsgi_application as g\napplication = g()\n",
    }
    proposal = propose(django | {"ui/package.json": '{"scripts": {"dev": "vite"}}'}, TABLE)
    assert without_problems(proposal) == []
    comments = [line.removeprefix("# ") for line in text_of(proposal).partition("\n\n")[2].splitlines()]
    wanted = tomllib.loads("\n".join(comments))
    assert wanted["hooks"]["before"][:3] == ["python", "manage.py", "migrate"]
    assert wanted["dev"]["process"] == [{"name": "ui", "command": ["npm", "run", "dev"], "cwd": "ui"}]
    proposal = propose(django | {"Procfile": "release: ./manage.py migrate\nweb: gunicorn s.wsgi\n"}, TABLE)
    assert text_of(proposal).count("[hooks]") == 1


def test_nothing_to_run_is_an_error_that_says_what_was_seen(capsys: pytest.CaptureFixture[str]) -> None:
    _write({"requirements.txt": "flask==3\n", "go.mod": "module x\n"})
    assert main(["init"]) == 2
    said = capsys.readouterr().err
    assert "flask is in requirements.txt" in said
    assert "no package main" in said
    assert "midair new" in said
    assert not Path("midair.toml").exists()


def test_a_file_from_elsewhere_is_looked_at_first(tmp_path: Path) -> None:
    _write({"main.py": FASTAPI, "Procfile": "web: uvicorn main:app --workers 9\n"})
    unit = tmp_path / "etc" / "shop.service"
    unit.parent.mkdir()
    unit.write_text("ExecStart=/usr/bin/uvicorn main:app --workers 3\n")
    assert main(["init", "--from", str(unit)]) == 0
    assert tomllib.loads(Path("midair.toml").read_text())["workers"] == 3
    assert main(["init", "--force", "--from", "nowhere"]) == 2


def test_init_says_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    _write({"main.py": FASTAPI, "Procfile": "web: uvicorn main:app --workers 2\n"})
    assert main(["init", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["written"] is True
    assert said["text"] == Path("midair.toml").read_text()
    assert said["found"][1]["settings"] == [{"was": "--workers 2", "is": "workers = 2", "key": "workers"}]


def test_nothing_of_the_project_is_run() -> None:
    _write(
        {
            "main.py": f"{FASTAPI}raise SystemExit('it was run')\n",
            "gunicorn.conf.py": "raise SystemExit('it was run')\n",
        }
    )
    assert main(["init"]) == 0


def test_only_small_files_of_the_project_are_read(here: Path) -> None:
    for folder in (".venv/lib", "node_modules/x", "venv2", "a/b/c/d/e/f/g", ".git"):
        (here / folder).mkdir(parents=True)
        (here / folder / "main.py").write_text(FASTAPI)
    (here / "venv2" / "pyvenv.cfg").write_text("")
    (here / "large.py").write_text("#" * (FILE_MAX_BYTES + 1))
    (here / "binary.py").write_bytes(b"\xff\xfe")
    (here / "link").symlink_to("/etc")
    (here / "gone.py").symlink_to("nowhere")
    _write({"main.py": FASTAPI, ".flaskenv": "", "notes.txt": "", ".config/x.toml": "", "deploy/logrotate.d/shop": ""})
    assert set(read_folder(str(here))) == {"main.py", ".flaskenv", ".config/x.toml", "deploy/logrotate.d/shop"}


@pytest.mark.parametrize("value", ["a", 'say "it"', "back\\slash", "tab\t", "ü", "\x7f", "a\nb", 3, True, ("a", "b")])
def test_a_value_is_read_back_as_it_was(value: str | int | bool | tuple[str, ...]) -> None:
    read = tomllib.loads(f"x = {written(value)}")["x"]
    assert read == (list(value) if isinstance(value, tuple) else value)


# --- the page ------------------------------------------------------------------------------------------------------

PAGE = (Path(__file__).parent.parent.parent / "docs" / "new-project.md").read_text()


def test_what_the_page_shows_is_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    server = "gunicorn app.main:app --workers 4 -k uvicorn.workers.UvicornWorker --timeout 30"
    _write(
        {
            "app/main.py": "from fastapi import FastAPI\n\n\n\n\n\n\n\napp = FastAPI()\n",
            "Procfile": f"release: alembic upgrade head\nweb: {server}\njobs: celery -A app worker\n",
            "gunicorn.conf.py": "max_requests = 1000\n\n\ndef post_fork(server, worker):\n    pass\n",
            "deploy/logrotate.conf": "/var/log/shop/*.log {\n  postrotate\n    kill -USR1 $(cat /run/shop.pid)\n",
        }
    )
    assert main(["init"]) == 0
    said = capsys.readouterr()
    shown = PAGE.partition("$ midair init\n")[2].partition("```")[0].splitlines()
    assert said.err.splitlines() == [line for line in shown if line.startswith("warning: ")]
    assert said.out.splitlines() == [line for line in shown if not line.startswith("warning: ")]


def test_the_page_names_every_hook_of_gunicorn() -> None:
    assert [hook for hook in HOOKS if f"`{hook}`" not in PAGE] == []


def test_the_page_names_every_template_with_what_it_needs() -> None:
    assert [kind for kind in TEMPLATES if f"| `{kind}` |" not in PAGE] == []
