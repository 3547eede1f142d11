"""docs/new-project.md is what happens: a project of gunicorn's, and a new one."""

from __future__ import annotations

import pytest

from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

WALK = Walk("docs/new-project.md")
MAIN = '''\
"""The shop."""

from pathlib import Path

from fastapi import FastAPI

HERE = Path(__file__).parent

app = FastAPI()
'''
PROCFILE = """\
release: alembic upgrade head
web: gunicorn app.main:app --workers 4 --worker-class uvicorn.workers.UvicornWorker --timeout 30
jobs: python -m app.jobs
"""
GUNICORN = """\
max_requests = 1000


def post_fork(server, worker):
    pass
"""
LOGROTATE = """\
/var/log/shop.log {
    postrotate
        kill -USR1 $(cat /run/shop.pid)
    endscript
}
"""


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal() as terminal:
        terminal.write("app/main.py", MAIN)
        terminal.write("Procfile", PROCFILE)
        terminal.write("gunicorn.conf.py", GUNICORN)
        terminal.write("deploy/logrotate.conf", LOGROTATE)
        WALK.whole(terminal)
