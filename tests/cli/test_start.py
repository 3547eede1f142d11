"""What is typed to start or check a service, and what every command has."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from uvicorn.main import main as uvicorn_command

from midair import __version__
from midair.__main__ import main
from midair.cli.app import Commands, midair
from midair.cli.commands import COMMANDS, help_text
from midair.cli.foreign import FLAGS
from midair.cli.run import command as run_command
from midair.cli.running import KEYS, RunCommand
from midair.config.checks import value_at
from midair.config.keys import all_keys
from midair.config.load import Loaded, RunSources
from midair.errors import BUG, DONE, NOT_RUNNING, USAGE
from midair.worker.settings import TlsSettings
from tests.cli.fake_service import FakeService
from tests.cli.reports import draining
from tests.support.authority import Authority
from tests.support.installed import needs
from tests.support.service import clean_environment

CONTEXT = click.Context(midair)


def _loaded(monkeypatch: pytest.MonkeyPatch, line: str) -> tuple[Loaded, RunSources]:
    """What ``midair run`` would hand to the supervisor."""
    seen: list[tuple[Loaded, RunSources]] = []

    def supervise(settings: object, sources: RunSources) -> int:
        loaded = sources.load()
        assert settings == loaded.settings
        seen.append((loaded, sources))
        return 0

    monkeypatch.setattr("midair.supervisor.main.run", supervise)
    assert main(["run", *line.split()]) == 0
    return seen[0]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "PWD"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_flags_of_run_become_settings_with_their_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = "-b :8000 --bind unix:x -w 3 --interface wsgi --factory --drain-timeout 2m --bake 0"
    more = "--metrics 127.0.0.1:9464 --no-access-log --env-file .env --name till --set serve.body_max=1MB"
    loaded, sources = _loaded(monkeypatch, f"shop.main:app {flags} {more}")
    settings = loaded.settings
    assert (settings.app, settings.name, settings.workers, settings.factory) == ("shop.main:app", "till", 3, True)
    assert (settings.bind, settings.env_files) == ((":8000", "unix:x"), (".env",))
    assert (settings.drain.timeout_s, settings.bake.for_s, settings.serve.body_max_bytes) == (120.0, 0.0, 1_000_000)
    assert (settings.serve.interface, settings.serve.access_log) == ("wsgi", False)
    assert (str(loaded.origins["bind"]), str(loaded.origins["serve.access_log"])) == ("--bind", "--no-access-log")
    assert sources.origins == loaded.origins


@pytest.mark.parametrize("prefix", ["--", "--ssl-"])
def test_flags_of_tls_are_those_of_gunicorn_and_of_uvicorn(
    prefix: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(here / "authority")
    authority.issue(password="hunter2").install(here)
    flags = ("certfile cert.pem", "keyfile key.pem", "keyfile-password hunter2", f"ca-certs {authority.ca_certs}")
    more = ("cert-reqs 2", "ciphers ECDHE+AESGCM")
    loaded, _ = _loaded(monkeypatch, " ".join(["shop:app", *(prefix + flag for flag in (*flags, *more))]))
    assert loaded.settings.tls == TlsSettings(
        certfile="cert.pem",
        keyfile="key.pem",
        keyfile_password="hunter2",
        ca_certs=str(authority.ca_certs),
        cert_reqs="required",
        ciphers="ECDHE+AESGCM",
    )


def test_a_program_keeps_its_own_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, _ = _loaded(monkeypatch, "--bind :8000 -- ./server --workers 9 -- --help")
    assert loaded.settings.command == ("./server", "--workers", "9", "--", "--help")
    assert loaded.settings.workers == 1


def test_json_after_the_dashes_is_the_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "-w", "x", "--", "./server", "--json"]) == 2
    assert capsys.readouterr().out == ""


def options_of(command: click.Command) -> set[str]:
    found = [param for param in command.params if isinstance(param, click.Option)]
    return {name for param in found for name in (*param.opts, *param.secondary_opts)}


def test_whatever_uvicorn_has_is_there_under_its_name_or_answered() -> None:
    assert isinstance(uvicorn_command, click.Command)
    theirs = options_of(uvicorn_command) - {"--version", "--help"}
    assert len(theirs) > 50, "the search finds nothing any more"
    assert theirs - options_of(run_command) - set(FLAGS) == set()


def test_every_answer_to_a_foreign_flag_names_what_is_there() -> None:
    commands = {name: options_of(command) for name in COMMANDS if (command := midair.get_command(CONTEXT, name))}
    for flag, answer in FLAGS.items():
        for name in re.findall(r"midair (\w+)", answer):
            assert name in {"run", "is", *COMMANDS}, f"{flag}: {answer}"
        for key in re.findall(r"--set ([\w.]+)=", answer):
            assert key in all_keys(), f"{flag}: {answer}"
        for option in re.findall(r"(?<![\w-])--?[a-z][\w-]+", answer):
            assert any(option in options for options in commands.values()), f"{flag}: {answer}"


@pytest.mark.parametrize(
    ("typed", "key", "value"),
    [
        ("--header X-A:1 --header X-B:2,3", "serve.headers", ("X-A:1", "X-B:2,3")),
        ("--no-server-header", "serve.server_header", False),
        ("--no-date-header", "serve.date_header", False),
        ("--no-proxy-headers", "serve.proxy_headers", False),
        ("--forwarded-allow-ips 10.0.0.0/8,::1", "serve.forwarded_allow_ips", ("10.0.0.0/8", "::1")),
        ("--forwarded-allow-ips *", "serve.forwarded_allow_ips", ("*",)),
        ("--proxy-protocol", "serve.proxy_protocol", True),
        ("--lifespan on", "serve.lifespan", "on"),
        ("--backlog 77", "serve.backlog", 77),
        ("--limit-concurrency 5", "serve.limit_concurrency", 5),
        ("--limit-max-requests 500", "worker.max_requests", 500),
        ("--limit-max-requests-jitter 50", "worker.max_requests_jitter", 50),
        ("--timeout-keep-alive 5s", "serve.timeout_keep_alive", 5.0),
        ("--ws-max-size 1MiB", "serve.ws_max", 1024 * 1024),
        ("--ws-ping-interval 5s", "serve.ws_ping_interval", 5.0),
        ("--ws-ping-timeout 6s", "serve.ws_ping_timeout", 6.0),
        ("--ws-per-message-deflate false", "serve.ws_per_message_deflate", False),
        ("--log-level debug", "log.level", "debug"),
    ],
)
def test_uvicorns_flags_set_the_keys_that_they_name(
    monkeypatch: pytest.MonkeyPatch, typed: str, key: str, value: object
) -> None:
    loaded, _ = _loaded(monkeypatch, f"shop:app {typed}")
    assert value_at(loaded.settings, key) == value
    assert str(loaded.origins[key]) == typed.split(maxsplit=1)[0]


def test_every_flag_of_run_sets_a_key_that_exists() -> None:
    assert set(KEYS.values()) <= set(all_keys())
    assert isinstance(run_command, RunCommand)
    options = options_of(run_command)
    assert not options & set(FLAGS), "a hint for a flag that exists is never shown"


NO_SERVICE = {"new", "init"}
"""They come before there is a service."""


def test_every_command_is_there_has_json_and_a_page_of_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(midair, Commands)
    context = click.Context(midair)
    for name in COMMANDS:
        command = midair.get_command(context, name)
        assert command is not None
        parts = command.commands if isinstance(command, click.Group) else {"": command}
        for part, each in parts.items():
            flags = {flag for param in each.params for flag in param.opts}
            assert {"--json", "-C", *(() if name in NO_SERVICE else ("--name", "--config"))} <= flags, (name, part)
            typed = [name, part] if part else [name]
            assert main([*typed, "--help"]) == 0
            assert "Usage: midair " + " ".join(typed) in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flag]) == 0
    assert capsys.readouterr().out == f"midair {__version__}\n"


@pytest.mark.parametrize("line", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line) == 0
    out = capsys.readouterr().out
    assert out == help_text()
    assert all(f"  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize(
    ("does", "imports"),
    [
        ("import midair", {"midair"}),
        ("from midair.__main__ import main; main(['--help'])", {"__main__", "cli", "cli.commands"}),
        ("from midair.__main__ import main; main(['-V'])", {"__main__", "cli", "cli.commands"}),
    ],
)
def test_what_is_imported_by_every_application_and_help_and_version_import_nothing_else(
    does: str, imports: set[str]
) -> None:
    code = f"import sys, __future__; before = set(sys.modules); {does}; print(); print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean_environment(), timeout=20
    )
    imported = set(done.stdout.splitlines()[-1].split())
    assert {name.removeprefix("midair.") for name in imported} == {"midair", *imports}


STATUS_IMPORTS_MAX = 165
"""Modules, those of Python's own start included: 148 at the time of writing, of which 27 are ours."""


def test_a_status_imports_no_parser_of_a_command_line_and_little_else(tmp_path: Path) -> None:
    """Its time is that of its imports: milliseconds cannot be held where tests run side by side, these can."""
    with FakeService(tmp_path, lambda _: [draining()]) as service:
        code = "import sys; from midair.__main__ import main; main(['status', '--json']); print(); print(*sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=service.folder,
            capture_output=True,
            text=True,
            check=True,
            env=clean_environment(),
            timeout=20,
        )
    imported = set(done.stdout.splitlines()[-1].split())
    assert not {"click", "rich", "asyncio", "ipaddress", "logging", "subprocess"} & imported
    assert not {"midair.config.schema", "midair.config.layers", "midair.supervisor"} & imported
    assert len(imported) <= STATUS_IMPORTS_MAX, sorted(imported)


def test_a_status_that_goes_wrong_is_told_as_by_any_command(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "midair", "status"]
    done = subprocess.run(
        line, cwd=tmp_path, capture_output=True, text=True, env=clean_environment(), timeout=20, check=False
    )
    assert done.returncode == NOT_RUNNING
    assert done.stderr.startswith("error: nothing runs under the name")
    with FakeService(tmp_path, lambda _: [b"rubbish!"]) as service:
        done = subprocess.run(
            line, cwd=service.folder, capture_output=True, text=True, env=clean_environment(), timeout=20, check=False
        )
    assert done.returncode not in (DONE, BUG)
    assert done.stderr.startswith("error: ")


def test_the_words_of_a_client_do_without_rich_asyncio_and_the_supervisor() -> None:
    code = "import sys, midair.cli.app, midair.cli.reload, midair.cli.status, midair.cli.run; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean_environment(), timeout=20
    )
    modules = set(done.stdout.split())
    assert not {"rich", "asyncio", "uvloop", "httptools", "midair.supervisor.main", "midair.worker.server"} & modules


DATACLASSES_MAX = 10
"""Half a millisecond each, of every start and every command."""


@pytest.mark.parametrize(
    "program",
    [
        "midair.cli.app, midair.cli.run, midair.cli.reload, midair.cli.status, midair.supervisor.main",
        "midair.worker.runtime, midair.worker.host",
    ],
)
def test_what_each_start_imports_of_ours_defines_few_dataclasses(program: str) -> None:
    code = f"""
import sys, {program}
ours = [module for name, module in sys.modules.items() if name.startswith("midair.")]
classes = [each for module in ours for each in vars(module).values() if isinstance(each, type)]
print(*(each.__qualname__ for each in classes if "__dataclass_fields__" in vars(each) and each.__module__.startswith("midair.")))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean_environment(), timeout=20
    )
    found = done.stdout.split()
    assert len(found) <= DATACLASSES_MAX, f"make these structs (msgspec.Struct): {', '.join(found)}"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_completion_script_that_it_can_read(
    shell: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = here / "midair.completion"
    script.write_text(capsys.readouterr().out)
    assert "_MIDAIR_COMPLETE" in script.read_text()
    needs(shell)
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_completion_knows_commands_and_flags() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "midair"],
        env=clean_environment(_MIDAIR_COMPLETE="zsh_complete", COMP_WORDS="midair rel", COMP_CWORD="1"),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "reload" in done.stdout


# --- check ---------------------------------------------------------------------------------------------------------

GOOD = "print('noise')\nasync def app(scope, receive, send): ...\n"


def test_check_imports_the_application_elsewhere(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "shop.py").write_text(GOOD)
    assert main(["check", "shop:app"]) == 0
    printed = capfd.readouterr()
    assert "shop:app is ASGI" in printed.out
    assert "noise" in printed.err
    assert "shop" not in sys.modules


@pytest.mark.parametrize(("days", "says"), [(30, "the certificate holds until"), (0, "the certificate ended on")])
def test_check_says_until_when_the_certificate_holds(
    here: Path, capfd: pytest.CaptureFixture[str], days: int, says: str
) -> None:
    Authority(here / "authority").issue(days=days).install(here)
    (here / "midair.toml").write_text('app = "shop:app"\n[tls]\ncertfile = "cert.pem"\nkeyfile = "key.pem"\n')
    assert main(["check", "--no-import"]) == 0
    assert says in capfd.readouterr().err
    assert main(["check", "--no-import", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["certificate_ends_s"] > 1e9


def test_check_as_json(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "shop.py").write_text("import threading\nthreading.Thread(target=input, daemon=True)\n" + GOOD)
    (here / "midair.toml").write_text('app = "shop:app"\n')
    assert main(["check", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert (said["interface"], Path(said["file"]).name) == ("asgi", "midair.toml")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("def app(:", "app-syntax"),
        ("import nothing_of_that_name", "app-import-missing"),
        ("1 / 0", "app-import-raised"),
        ("import sys; sys.exit(0)", "app-import-exited"),
        ("import os; os._exit(0)", "application"),
        ("x = 1", "app-attribute-missing"),
    ],
)
def test_check_says_why_an_application_would_not_start(
    here: Path, source: str, code: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "shop.py").write_text(source)
    assert main(["check", "shop:app", "--json"]) == 1
    assert json.loads(capfd.readouterr().out)["fault"]["code"] == code


def test_check_of_a_program_that_a_hook_makes_is_good_before_that(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "midair.toml").write_text('command = ["bin/server"]\n\n[hooks]\nbefore = ["make"]\n')
    assert main(["check"]) == 0
    assert "bin/server, which hooks.before makes" in capsys.readouterr().out


def test_check_of_a_program_wants_it_to_be_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "midair.toml").write_text('command = "./server"\n')
    assert main(["check"]) == 2
    assert "no program ./server" in capsys.readouterr().err
    (here / "server").write_text("#!/bin/sh\n")
    (here / "server").chmod(0o755)
    assert main(["check"]) == 0


def test_config_of_a_file_names_origins(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "midair.toml").write_text(
        'name = "a-name-that-nothing-runs-under"\nbake = "5s"\n[env]\nTOKEN = "hunter2"\n'
    )
    assert main(["config"]) == 0
    printed = capsys.readouterr()
    assert "bake.for   5s" in printed.out
    assert "midair.toml:2" in printed.out
    assert "hunter2" not in printed.out + printed.err
    assert "nothing runs" in printed.err


def test_config_shows_what_midair_dev_would_read_of_another_tools_file(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / ".air.toml").write_text('[build]\ncmd = "make"\nlog = "x.log"\n')
    assert main(["config", "--file"]) == 0
    printed = capsys.readouterr()
    assert ["build.build", "make", ".air.toml:2"] in [line.split() for line in printed.out.splitlines()]
    assert ".air.toml:3: build.log has no effect" in printed.err
    assert main(["check", "-c", ".air.toml"]) == USAGE
    assert "midair dev reads it" in capsys.readouterr().err


def test_an_option_before_the_command_is_told_where_it_belongs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-C", "/srv/shop", "status"]) == USAGE
    assert "it comes after the command: midair status -C" in capsys.readouterr().err
