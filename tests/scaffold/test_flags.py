"""Options of other servers are known to the last one, and become the keys that they should."""

from __future__ import annotations

import click
import pytest
from granian.cli import cli as granian_command
from gunicorn.config import KNOWN_SETTINGS
from uvicorn.main import main as uvicorn_command

from midair.cli.foreign import FLAGS
from midair.cli.init import flag_table
from midair.config.keys import all_keys
from midair.scaffold.evidence import Value
from midair.scaffold.flags import SHORT, SWITCHES, VALUED, read_line
from midair.scaffold.gunicorn import FLAG_OF, HOOKS, read_config

TABLE = flag_table()


def test_every_key_of_the_table_is_a_key() -> None:
    assert set(TABLE.keys.values()) <= set(all_keys())
    assert TABLE.keys["--timeout"] == "worker.hang_timeout"
    assert TABLE.keys["--max-requests"] == "worker.max_requests"
    assert TABLE.keys["--keep-alive"] == "serve.timeout_keep_alive"


def test_a_flag_that_has_an_answer_with_an_option_has_its_key() -> None:
    written = {flag for flag, answer in FLAGS.items() if answer.startswith("write ")}
    elsewhere = {"--host", "--port", "-p", "--uds", "--fd", "-e", "--env"}  # several become one address; variables
    assert written - set(TABLE.keys) - elsewhere == set()


@pytest.mark.parametrize(("server", "command"), [("uvicorn", uvicorn_command), ("granian", granian_command)])
def test_the_switches_of_a_server_are_those_without_a_value(server: str, command: object) -> None:
    assert isinstance(command, click.Command)
    options = [param for param in command.params if isinstance(param, click.Option)]
    switches = {flag for option in options if option.is_flag for flag in (*option.opts, *option.secondary_opts)}
    valued = {flag for option in options if not option.is_flag for flag in option.opts}
    assert switches <= SWITCHES
    assert (valued & SWITCHES) <= VALUED.get(server, set())


def test_the_switches_and_short_names_of_gunicorn_are_its_own() -> None:
    settings = [setting for setting in KNOWN_SETTINGS if setting.cli]
    alone = {flag for setting in settings if setting.action in ("store_true", "store_const") for flag in setting.cli}
    valued = {
        flag for setting in settings if setting.action not in ("store_true", "store_const") for flag in setting.cli
    }
    optional = {flag for setting in settings if setting.nargs == "?" for flag in setting.cli}
    assert alone <= SWITCHES
    assert valued & SWITCHES <= optional
    longs = {flag for setting in settings for flag in setting.cli if flag.startswith("--")}
    assert set(SHORT["gunicorn"].values()) <= longs
    for setting in settings:
        for flag in setting.cli:
            if flag in SHORT["gunicorn"]:
                assert SHORT["gunicorn"][flag] in setting.cli, flag


def test_every_hook_of_gunicorn_has_an_answer() -> None:
    assert set(HOOKS) == {setting.name for setting in KNOWN_SETTINGS if setting.section == "Server Hooks"}


def test_settings_of_gunicorn_are_the_options_that_they_are_there() -> None:
    for setting in KNOWN_SETTINGS:
        if setting.cli:
            expected = FLAG_OF.get(setting.name, "--" + setting.name.replace("_", "-"))
            named = TABLE.keys.keys() | TABLE.answers.keys()
            if named & set(setting.cli):
                assert expected in setting.cli, setting.name


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("uvicorn main:app --host 0.0.0.0 --port 80", "bind", "0.0.0.0:80"),
        ("uvicorn main:app --port=80", "bind", "127.0.0.1:80"),
        ("uvicorn main:app --host ::1", "bind", "[::1]:8000"),
        ("uvicorn main:app --uds /run/x.sock", "bind", "unix:/run/x.sock"),
        ("uvicorn main:app --fd 3", "bind", "fd://3"),
        ("uvicorn main:app --port ${PORT:-9000}", "bind", "127.0.0.1:9000"),
        ("uvicorn main:app --workers 4", "workers", 4),
        ("uvicorn main:app --timeout-keep-alive 5", "serve.timeout_keep_alive", "5s"),
        ("uvicorn main:app --ws-max-size 16777216", "serve.ws_max", "16MiB"),
        ("uvicorn main:app --no-access-log", "serve.access_log", False),
        ("uvicorn main:app --no-server-header", "serve.server_header", False),
        ("uvicorn main:app --interface asgi3", "serve.interface", "asgi"),
        ("uvicorn main:app --log-level critical", "log.level", "error"),
        ("uvicorn main:app --root-path /api", "serve.root_path", "/api"),
        ("uvicorn main:app --ssl-cert-reqs 2", "tls.cert_reqs", "required"),
        (
            "uvicorn main:app --forwarded-allow-ips 10.0.0.1,10.0.0.2",
            "serve.forwarded_allow_ips",
            ("10.0.0.1", "10.0.0.2"),
        ),
        ("uvicorn main:app --env-file .env", "env_files", (".env",)),
        ("uvicorn main:app --limit-max-requests 9", "worker.max_requests", 9),
        ("gunicorn main:app -w4", "workers", 4),
        ("gunicorn main:app -b :80 -b unix:x", "bind", (":80", "unix:x")),
        ("gunicorn main:app -t 30", "worker.hang_timeout", "30s"),
        ("gunicorn main:app --graceful-timeout 20", "drain.timeout", "20s"),
        ("gunicorn main:app --threads 8", "serve.wsgi_threads", 8),
        ("gunicorn main:app -n till", "name", "till"),
        ("gunicorn main:app -e DEBUG=1", "env.DEBUG", "1"),
        ("gunicorn main:app --access-logfile -", "serve.access_log", True),
        ("gunicorn main:app --ssl-version TLSv1_3", "tls.min_version", "1.3"),
        ("gunicorn main:app --proxy-allow-from 10.0.0.0/8", "serve.forwarded_allow_ips", ("10.0.0.0/8",)),
        ("hypercorn main:app -b 0.0.0.0:80 -w 2", "workers", 2),
        ("granian --interface wsgi main:app --workers 2", "serve.interface", "wsgi"),
        ("daphne -b 0.0.0.0 -p 80 shop.asgi:application", "bind", "0.0.0.0:80"),
        ("waitress-serve main:app", "bind", "0.0.0.0:8080"),
        ("flask --app shop run -p 80", "bind", "127.0.0.1:80"),
        ("flask --app shop run", "bind", "127.0.0.1:5000"),
    ],
)
def test_an_option_becomes_a_key(line: str, key: str, value: Value) -> None:
    start = read_line(line, "here:1", TABLE)
    assert start is not None
    assert {old.key: old.value for old in start.olds}[key] == value


@pytest.mark.parametrize(
    ("line", "written", "answer"),
    [
        ("uvicorn main:app --reload", "--reload", "midair"),
        ("uvicorn main:app --ssl-keyfile-password hidden", "--ssl-keyfile-password …", ""),
        ("uvicorn main:app --unheard-of 3", "--unheard-of 3", "knows no such option"),
        ("uvicorn main:app --workers $WEB_CONCURRENCY", "--workers $WEB_CONCURRENCY", "honoured as it is"),
        ("uvicorn main:app --workers $N", "--workers $N", "$N decides"),
        ("uvicorn main:app --workers many", "--workers many", "left out: workers takes"),
        ("gunicorn main:app -k gevent", "--worker-class gevent", "no counterpart to gevent"),
        ("gunicorn main:app -p x.pid", "--pid x.pid", "never changes"),
        ("gunicorn main:app --timeout 0", "--timeout 0", "0 was never"),
        ("gunicorn main:app --statsd-host x", "--statsd-host x", "Prometheus"),
        ("ddtrace-run gunicorn main:app", "ddtrace-run", "stood before the server"),
    ],
)
def test_an_option_without_a_key_has_an_answer(line: str, written: str, answer: str) -> None:
    start = read_line(line, "here:1", TABLE)
    assert start is not None
    (said,) = [old.answer for old in start.olds if old.written == written]
    assert answer in said


@pytest.mark.parametrize(
    ("line", "by", "target"),
    [
        ("exec uvicorn main:app", "uvicorn", "main:app"),
        ("uvicorn --factory --port 80 shop:make", "uvicorn", "shop:make"),
        ("/srv/shop/.venv/bin/gunicorn shop.wsgi", "gunicorn", "shop.wsgi:application"),
        ("python -m gunicorn 'shop:create_app()'", "gunicorn", "shop:create_app"),
        ("poetry run uvicorn main:app", "uvicorn", "main:app"),
        ("DEBUG=1 PYTHONPATH=. uvicorn main:app", "uvicorn", "main:app"),
        ("sh -c 'sleep 1 && exec gunicorn main:app'", "gunicorn", "main:app"),
        ("python manage.py migrate && gunicorn shop.wsgi", "gunicorn", "shop.wsgi:application"),
        ("fastapi run app/main.py --port 80", "fastapi", "app.main:app"),
        ("gunicorn", "gunicorn", ""),
    ],
)
def test_a_server_is_found_on_a_line(line: str, by: str, target: str) -> None:
    start = read_line(line, "here:1", TABLE)
    assert start is not None
    assert (start.by, start.target) == (by, target)


@pytest.mark.parametrize(
    "line",
    [
        "celery -A app worker",
        "pip list gunicorn'",
        "flask db upgrade",
        "python main.py",
        "cat --file gunicorn",
        "",
        "docker run -p 80:80",
    ],
)
def test_other_lines_start_no_server(line: str) -> None:
    assert read_line(line, "here:1", TABLE) is None


@pytest.mark.parametrize(
    ("line", "chdir"),
    [
        ("uvicorn main:app --app-dir src", "src"),
        ("cd backend && uvicorn main:app", "backend"),
        ("gunicorn main:app --chdir /srv/shop", ""),
        ("cd /app && uvicorn main:app", ""),
        ("gunicorn main:app --chdir ./web/", "web"),
    ],
)
def test_the_folder_of_a_line_is_kept_if_it_is_inside_the_project(line: str, chdir: str) -> None:
    start = read_line(line, "here:1", TABLE)
    assert start is not None
    assert start.chdir == chdir


CONFIG = """\
import multiprocessing, os
base = "10"
workers = multiprocessing.cpu_count() * 2 + 1
max_requests = int(os.environ.get("MAX", base + "00"))
bind = f"0.0.0.0:{os.environ.get('PORT', 8000)}"
timeout = 30 * 2
loglevel = os.environ["LEVEL"]
certfile = None
raw_env = ["A=1", "B=2"]
worker_class = "gthread"
threads = compute()
statsd_host = "localhost:8125"
mine = 3


def post_fork(server, worker):
    raise SystemExit("it was run")


def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)


raise SystemExit("it was run")
"""


def test_a_configuration_of_gunicorn_is_read_and_not_run() -> None:
    olds = read_config("gunicorn.conf.py", CONFIG, TABLE)
    assert {old.key: old.value for old in olds if old.key} == {
        "workers": "auto",
        "worker.max_requests": 1000,
        "bind": "0.0.0.0:8000",
        "worker.hang_timeout": "60s",
        "env.A": "1",
        "env.B": "2",
    }
    told = {old.written.split(" ")[0]: old.answer for old in olds if not old.key}
    assert "LEVEL decides" in told["loglevel"]
    assert "midair.after_fork" in told["post_fork()"]
    assert "mark_process_dead(pid)" in told["child_exit()"]
    assert "Prometheus" in told["statsd_host"]
    assert "not needed" in told["worker_class"]
    assert "threads" in told
    assert not {"mine", "base", "certfile"} & told.keys()


def test_a_configuration_that_is_no_python_is_named() -> None:
    (old,) = read_config("gunicorn.conf.py", "workers = = 3", TABLE)
    assert "is not Python" in old.answer
