"""Whatever stands in a folder, ``midair init`` either writes what loads or says that there is nothing to run."""

from __future__ import annotations

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from midair.cli.init import flag_table
from midair.scaffold.document import text_of, without_problems
from midair.scaffold.proposal import NothingFound, propose

TABLE = flag_table()
PATHS = (
    *(
        "main.py",
        "app/__init__.py",
        "manage.py",
        "gunicorn.conf.py",
        "settings.py",
        "Procfile",
        "Dockerfile",
        "compose.yaml",
    ),
    *("shop.service", "supervisord.conf", "start.sh", "Makefile", "package.json", "nodemon.json", "go.mod", "main.go"),
    *("pyproject.toml", ".flaskenv", ".air.toml", "deploy/logrotate.conf", "odd\nname.service"),
)
PIECES = (
    *(
        "web: ",
        "release: ",
        "CMD ",
        "ENTRYPOINT ",
        "ExecStart=",
        "[program:web]\ncommand=",
        "command: ",
        "- ",
        "\n",
        " ",
        "\\\n",
    ),
    *(
        "gunicorn ",
        "uvicorn ",
        "flask run ",
        "main:app ",
        "'main:make()' ",
        "--workers ",
        "4 ",
        "-w",
        "--bind ",
        ":80 ",
        "$PORT ",
    ),
    *(
        "--timeout ",
        "0 ",
        "'",
        '"',
        "&& ",
        "; ",
        "| ",
        "cd app ",
        "--env ",
        "A.B='x\"\\' ",
        "--ssl-keyfile ",
        "--header ",
        "x",
    ),
    *(
        "from fastapi import FastAPI\n",
        "app = FastAPI()\n",
        "def make():\n    return FastAPI()\n",
        "workers = ",
        "cpu_count() ",
        "1",
    ),
    *(
        "import uvicorn\nuvicorn.run(",
        "'main:app', ",
        "port=80)",
        "timeout = ",
        "os.environ.get('X', ",
        ")",
        "(",
        "raw_env = ['A=1']\n",
    ),
    *(
        '{"scripts": ',
        '{"start": "',
        'node x.js"',
        "}}",
        "[]",
        "module x\n",
        "package main\n",
        "func main() {}\n",
        "kill -USR1 1\n",
    ),
    *("[build]\n", 'cmd = "make"\n', 'bin = "x"\n', "include_ext = ['go']\n", "\0", "ü", "\x1b[31m", "{", "}"),
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=30)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(PATHS), TEXTS, max_size=5), st.sampled_from(["", "main:app", "nonsense"]))
def test_any_folder_is_understood_or_refused(files: dict[str, str], app: str) -> None:
    try:
        proposal = propose(files, TABLE, app=app)
    except NothingFound:
        return
    without_problems(proposal)
    tomllib.loads(text_of(proposal))
