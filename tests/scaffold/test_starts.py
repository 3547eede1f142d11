"""The places where a command line may stand are read: which counts, what ran before it and beside it."""

from __future__ import annotations

import json

import pytest

from midair.cli.init import flag_table
from midair.scaffold.applications import applications
from midair.scaffold.evidence import Start
from midair.scaffold.kills import kills
from midair.scaffold.programs import manners_of, projects
from midair.scaffold.starts import starts

TABLE = flag_table()
FLASK = "from flask import Flask\napp = Flask('x')\n"


def _starts(files: dict[str, str], *first: str) -> list[Start]:
    return starts(files, applications(files), TABLE, first)


UNIT = """\
[Service]
Environment=KEY=hidden
ExecStart=-/srv/venv/bin/gunicorn --workers 3 \\
    --bind :80 shop.wsgi
ExecReload=/bin/kill -HUP $MAINPID
"""
SUPERVISOR = """\
[program:web]
command = uvicorn shop:app --workers 2 ; the web
user = www
stopwaitsecs = 30
[program:jobs]
command=celery -A shop worker
[unix_http_server]
command=no
"""
COMPOSE = """\
services:
  db:
    command: ["postgres"]
  web:
    command:
      - uvicorn
      - shop:app
      - --workers
      - "2"
"""


@pytest.mark.parametrize(
    ("path", "text", "by", "target", "where"),
    [
        ("deploy/shop.service", UNIT, "gunicorn", "shop.wsgi:application", "deploy/shop.service:3"),
        ("supervisord.conf", SUPERVISOR, "uvicorn", "shop:app", "supervisord.conf:2"),
        ("Procfile", "web: uvicorn shop:app --port $PORT\n", "uvicorn", "shop:app", "Procfile:1"),
        ("Dockerfile", 'FROM x\nCMD ["uvicorn", "shop:app"]\n', "uvicorn", "shop:app", "Dockerfile:2"),
        ("Dockerfile", "FROM x\nCMD exec gunicorn \\\n  shop:app\n", "gunicorn", "shop:app", "Dockerfile:2"),
        (
            "Dockerfile",
            'ENTRYPOINT ["uvicorn"]\nCMD ["shop:app", "--workers", "2"]\n',
            "uvicorn",
            "shop:app",
            "Dockerfile:2",
        ),
        (
            "api.Dockerfile",
            'ENTRYPOINT ["./entry.sh"]\nCMD ["uvicorn", "shop:app"]\n',
            "uvicorn",
            "shop:app",
            "api.Dockerfile:2",
        ),
        ("docker-compose.yml", COMPOSE, "uvicorn", "shop:app", "docker-compose.yml:5"),
        ("compose.yaml", "x:\n  command: uvicorn shop:app\n", "uvicorn", "shop:app", "compose.yaml:2"),
        ("compose.yaml", 'x:\n  command: ["uvicorn", "shop:app"]\n', "uvicorn", "shop:app", "compose.yaml:2"),
        (
            "compose.yaml",
            "x:\n  command: >\n    uvicorn\n    shop:app\n  ports: []\n",
            "uvicorn",
            "shop:app",
            "compose.yaml:2",
        ),
        (
            "start.sh",
            "#!/bin/sh\n# uvicorn old:app\npip install uvicorn\nexec uvicorn shop:app\n",
            "uvicorn",
            "shop:app",
            "start.sh:4",
        ),
        ("Makefile", "run:\n\t@uvicorn shop:app --reload\n", "uvicorn", "shop:app", "Makefile:2"),
        ("main.py", "import uvicorn\nuvicorn.run('shop:app', port=80)\n", "uvicorn.run()", "shop:app", "main.py:2"),
        ("main.py", "from uvicorn import run\nrun(app, workers=2)\n", "uvicorn.run()", "main:app", "main.py:2"),
        ("main.py", "from waitress import serve\nserve(app, port=80)\n", "waitress.serve()", "main:app", "main.py:2"),
        ("main.py", FLASK + "if True:\n    app.run(port=80)\n", "app.run()", "main:app", "main.py:4"),
    ],
)
def test_a_start_is_found_where_it_stands(path: str, text: str, by: str, target: str, where: str) -> None:
    found = _starts({path: text})[0]
    assert (found.by, found.target, found.where) == (by, target, where)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Procfile", "# nothing\n"),
        ("Dockerfile", "FROM x\nRUN pip install gunicorn\n"),
        ("compose.yaml", "x:\n  image: uvicorn\n"),
        ("main.py", "app.run()\n"),
        ("main.py", "import subprocess\nsubprocess.run('x')\n"),
        ("other.conf", "[server]\ncommand = uvicorn shop:app\n"),
    ],
)
def test_what_starts_nothing_is_no_start(path: str, text: str) -> None:
    assert _starts({path: text}) == []


def test_production_counts_before_development_and_what_was_named_before_all() -> None:
    files = {
        "Makefile": "run:\n\tuvicorn shop:app --reload\n",
        "Dockerfile": "CMD uvicorn shop:app --workers 1\n",
        "Procfile": "web: uvicorn shop:app --workers 2\n",
        "shop.service": "ExecStart=uvicorn shop:app --workers 3\n",
        "main.py": "import uvicorn\nuvicorn.run('shop:app')\n",
    }
    assert [start.where.partition(":")[0] for start in _starts(files)] == [
        *("shop.service", "Procfile", "Dockerfile", "main.py", "Makefile")
    ]
    assert _starts(files, "Dockerfile")[0].where == "Dockerfile:1"


def test_what_ran_before_the_server_runs_before_each_version() -> None:
    (found,) = _starts({"Procfile": "web: python manage.py migrate && gunicorn shop.wsgi\n"})
    assert {old.key: old.value for old in found.olds}["hooks.before"] == ("python", "manage.py", "migrate")
    (found,) = _starts({"Procfile": "web: cd web && ./a 1 && ./b; exec gunicorn shop.wsgi\n"})
    assert {old.key: old.value for old in found.olds}["hooks.before"] == ("sh", "-c", "./a 1 && ./b")
    assert found.chdir == "web"


def test_what_a_shell_has_to_read_is_not_taken_apart() -> None:
    (found,) = _starts({"Procfile": "web: ./wait $DATABASE && gunicorn shop.wsgi\n"})
    (told,) = [old for old in found.olds if "./wait" in old.written]
    assert (told.key, "[hooks]" in told.answer) == ("", True)
    for line, command in {
        "./server --port 80": ("./server", "--port", "80"),
        "./server --port $PORT": ("sh", "-c", "exec ./server --port $PORT"),
        "A=1 ./server $PORT": ("sh", "-c", "A=1 ./server $PORT"),
        "./a && ./b": ("sh", "-c", "./a && ./b"),
    }.items():
        assert _starts({"Procfile": f"web: {line}\n"})[0].command == command


def test_other_programs_of_a_procfile_are_processes_of_the_service() -> None:
    (found,) = _starts(
        {"Procfile": "release: alembic upgrade head\nweb: uvicorn a:app\njobs: celery -A a worker\nbeat: sleep $N; x\n"}
    )
    assert {old.key: old.value for old in found.olds}["hooks.before"] == ("alembic", "upgrade", "head")
    assert [(each.name, each.command) for each in found.processes] == [
        ("jobs", ("celery", "-A", "a", "worker")),
        ("beat", ("sh", "-c", "sleep $N; x")),
    ]


def test_other_programs_of_supervisord_are_processes_of_the_service() -> None:
    (found,) = _starts({"supervisord.conf": SUPERVISOR})
    assert [each.name for each in found.processes] == ["jobs"]
    assert any(old.written == "user=www" for old in found.olds)
    assert {old.key: old.value for old in found.olds}["workers"] == 2
    assert {old.key: old.value for old in found.olds}["stop.timeout"] == "30s"


def test_a_unit_keeps_what_belongs_to_it_and_no_value_is_told() -> None:
    (found,) = _starts({"shop.service": UNIT})
    told = {old.written: old.answer for old in found.olds if not old.key}
    assert "midair reload" in told["ExecReload=/bin/kill -HUP $MAINPID"]
    assert "Environment=KEY" in told
    assert "hidden" not in str(found)


def test_keywords_of_a_call_are_options() -> None:
    text = "import os, uvicorn\nP = 80\nuvicorn.run('a:app', host='::', port=P, access_log=False, reload=True, workers=n())\n"
    (found,) = _starts({"main.py": text})
    assert {old.key: old.value for old in found.olds if old.key} == {"bind": "[::]:80", "serve.access_log": False}
    assert {old.written.split()[0] for old in found.olds if not old.key} == {"--reload", "--workers"}


@pytest.mark.parametrize(
    ("path", "text", "signal"),
    [
        ("deploy/logrotate.conf", "postrotate\n  kill -USR1 $(cat /run/x.pid)\n", "SIGUSR1"),
        ("deploy/logrotate.d/shop", "  /bin/kill -s USR1 `cat x`\n", "SIGUSR1"),
        ("restart.sh", "kill -SIGUSR2 $PID\n", "SIGUSR2"),
        ("restart.sh", "systemctl kill --signal=SIGHUP shop\n", "SIGHUP"),
        ("Makefile", "\tpkill -HUP gunicorn\n", "SIGHUP"),
    ],
)
def test_a_signal_that_a_file_sends_is_pointed_out(path: str, text: str, signal: str) -> None:
    ((where, found, meaning),) = kills({path: text})
    assert (where.partition(":")[0], found) == (path, signal)
    assert "here" in meaning


@pytest.mark.parametrize(
    "text", ["kill -USR1 `cat /run/nginx.pid`\n", "# kill it\n", "kill -TERM 1\n", "echo USR1\n", "killed: HUP\n"]
)
def test_other_signals_and_those_of_others_are_not(text: str) -> None:
    assert list(kills({"x.sh": text})) == []


# --- programs that are no Python -----------------------------------------------------------------------------------

MAIN_GO = "package main\n\nfunc main() {}\n"


def test_a_module_of_go_is_built_beside_and_renamed() -> None:
    (found,) = projects(
        {"go.mod": "module example.com/till\nrequire github.com/gin-gonic/gin v1.9.1\n", "main.go": MAIN_GO}
    )
    assert found.kind == "Go, Gin"
    assert found.command == ("bin/till",)
    assert found.build == "go build -o bin/till.new . && mv bin/till.new bin/till"
    assert {old.key: old.value for old in found.olds} == {"watch.ignore": ("bin/",)}


def test_of_several_programs_of_a_module_the_first_is_taken_and_the_others_named() -> None:
    (found,) = projects(
        {"go.mod": "module x\n", "cmd/api/main.go": MAIN_GO, "cmd/tool/main.go": MAIN_GO, "x.go": "package x\n"}
    )
    assert found.command == ("bin/api",)
    assert "./cmd/api" in found.build
    assert "cmd/tool" in found.notes[0]
    (library,) = projects({"go.mod": "module x\n", "x.go": "package x\n"})
    assert library.command == ()


@pytest.mark.parametrize(
    ("sources", "settings"),
    [
        ("LISTEN_FDS NOTIFY_SOCKET", {}),
        ('LISTEN_FDNAMES listen({ fd: 3 }) "/health"', {"health.probe": "listener:/health"}),
        ("LISTEN_FDS", {"health.probe": "delay:3s"}),
        ("router.Run()", {"listener": "lent", "bind": ()}),
    ],
)
def test_how_a_program_gets_its_socket_is_seen_in_its_sources(sources: str, settings: dict[str, object]) -> None:
    olds = manners_of({"go.mod": "module x\n", "main.go": f"{MAIN_GO}// {sources}\n"})
    assert {old.key: old.value for old in olds if old.key} == settings


@pytest.mark.parametrize(
    ("package", "command", "build"),
    [
        ({"scripts": {"start": "node dist/x.js", "build": "tsc"}}, ("node", "dist/x.js"), "npm run build"),
        ({"scripts": {"start": "NODE_ENV=production node x.js"}}, ("node", "x.js"), ""),
        ({"scripts": {"start": "tsx src/x.ts"}}, ("node", "--import", "tsx", "src/x.ts"), ""),
        ({"scripts": {"start": "nodemon --watch src x.js"}}, ("node", "x.js"), ""),
        ({"scripts": {"start": "next start -p 80"}}, ("node_modules/.bin/next", "start", "-p", "80"), ""),
        ({"scripts": {"start": "npm run serve"}}, ("npm", "run", "serve"), ""),
        ({"main": "dist/x.js", "scripts": {"build": "tsc"}}, ("node", "dist/x.js"), "npm run build"),
    ],
)
def test_a_package_of_node_runs_without_npm_in_between(package: object, command: tuple[str, ...], build: str) -> None:
    (found,) = projects({"package.json": json.dumps(package)})
    assert (found.command, found.build) == (command, build)


@pytest.mark.parametrize("package", ["{", "[]", "{}", '{"scripts": {"test": "jest"}}', '{"scripts": []}'])
def test_a_package_that_serves_nothing_is_no_project(package: str) -> None:
    assert projects({"package.json": package}) == []


def test_what_nodemon_was_told_becomes_what_is_watched() -> None:
    package = {
        "scripts": {
            "start": "node x.js",
            "dev": "nodemon -e ts,tsx --ignore dist --ignore tmp --exec 'npm run compile'",
        },
        "nodemonConfig": {"watch": ["src", "config"], "delay": 500, "env": {"A": "1"}, "legacyWatch": True},
    }
    (found,) = projects({"package.json": json.dumps(package)})
    assert {old.key: old.value for old in found.olds if old.key} == {
        "watch.extensions": ("ts", "tsx"),
        "watch.paths": ("src", "config"),
        "watch.gitignore": False,
        "watch.delay": "500ms",
        "watch.poll": "always",
        "watch.ignore": ("dist", "tmp"),
        "env.A": "1",
    }
    assert any("[build]" in old.answer for old in found.olds)
