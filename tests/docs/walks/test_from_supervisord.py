"""docs/from-supervisord.md is what happens: a real supervisord gives up a service, behind a real Nginx and without one."""

from __future__ import annotations

import inspect
import json
import re
import sys
from typing import Any

import pytest
import supervisor.options

from midair.config.keys import all_keys
from tests.docs.terminal import QUICK, Terminal
from tests.docs.walking import Walk
from tests.support.nginx import as_command

RUN = "midair run"
RUN_ELSEWHERE = "midair run --bind 127.0.0.1:8001"
WALK = Walk("docs/from-supervisord.md", goes_on={RUN: "is in use by gunicorn", RUN_ELSEWHERE: "update done"})
APP = '''\
"""What the page takes for granted."""

VERSION = "1"


def app(environ, start_response):
    start_response("200 OK", [("X-Version", VERSION), ("X-Nonce", environ.get("HTTP_X_NONCE", ""))])
    return [f"version {VERSION}\\n".encode()]
'''
SUPERVISORD = """\
[unix_http_server]
file=/run/supervisor.sock
[supervisord]
logfile=/var/log/supervisord.log
pidfile=/run/supervisord.pid
childlogdir=/var/log
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix:///run/supervisor.sock
[include]
files=/etc/supervisor/conf.d/*.conf
"""
NGINX = """\
events {}
http {
    proxy_next_upstream off;
    upstream shop { server 127.0.0.1:8000; }
    server {
        listen 80;
        location / { proxy_pass http://shop; }
    }
}
"""
ASK = '''\
"""Ask for new connections until the file ``enough`` is there; then what was counted, as JSON."""

import json
import pathlib
import sys
import time

from midair.testing.client import BackgroundClient, Load

with BackgroundClient(sys.argv[1], Load(connections=4, keep_alive=False, think_s=0.02, expect="any")) as client:
    pathlib.Path("asking").touch()
    while not pathlib.Path("enough").exists():
        time.sleep(0.05)  # Whoever makes the file is a shell, and tells nobody.
print(json.dumps(client.report.as_dict()))
'''


def _ask(terminal: Terminal, url: str) -> None:
    terminal.prepare(
        f"rm -f asking enough; python ask.py {url} > counted 2>&1 & asker=$!; until [ -e asking ]; do sleep 0.05; done"
    )


def _counted(terminal: Terminal) -> Any:
    return json.loads("\n".join(terminal.prepare("touch enough; wait $asker; cat counted")))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_page_is_what_happens() -> None:
    with Terminal("/srv/shop", user="root", environment={**QUICK, "MIDAIR_SERVE_ACCESS_LOG": "false"}) as terminal:
        terminal.write("/usr/local/bin/nginx", as_command())
        terminal.write("/etc/nginx/nginx.conf", NGINX)
        terminal.write("/etc/supervisor/supervisord.conf", SUPERVISORD)
        terminal.write("ask.py", ASK)
        terminal.write("shop.py", APP)
        terminal.write("mailer.py", "import time\ntime.sleep(1000)\n")
        terminal.prepare(f"ln -s {sys.prefix} .venv; chmod +x /usr/local/bin/nginx; nginx")
        with WALK.begun(terminal) as walker:
            walker.through("midair init --from /etc/supervisor/conf.d/shop.conf")
            terminal.prepare("supervisord -c /etc/supervisor/supervisord.conf")
            terminal.prepare("curl -s --retry 40 --retry-delay 1 --retry-connrefused http://127.0.0.1:8000/")
            _ask(terminal, "http://127.0.0.1")
            walker.through("supervisorctl stop shop mailer")
            counted = _counted(terminal)
            assert counted["failed"] == 0, counted
            assert counted["requests"] > 20, counted
            walker.going_on[RUN_ELSEWHERE].end()
            terminal.prepare("supervisorctl start shop mailer")
            terminal.prepare("curl -s --retry 40 --retry-delay 1 --retry-connrefused http://127.0.0.1:8000/")
            _ask(terminal, "http://127.0.0.1:8000")
            walker.through("curl -s --retry 5 --retry-connrefused http://127.0.0.1:8000/")
            counted = _counted(terminal)
            # What the page calls the last gap: until the port is had, who connects is refused; gunicorn resets who waits for it.
            assert counted["failed"] == counted["refused"] + counted["reset"], counted
            walker.rest()


# --- the tables ------------------------------------------------------------------------------------------------------------


def _rows(head: str) -> list[list[str]]:
    """The cells of the table on the page that begins so."""
    table = WALK.text().partition(head)[2].partition("\n\n")[0]
    return [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]


def test_every_key_of_a_program_is_in_the_table() -> None:
    known = inspect.getsource(supervisor.options.ServerOptions._processes_from_section)
    theirs = set(re.findall(r"get\(section, '(\w+)'", known)) | {
        f"{stream}{end}" for stream in ("stdout", "stderr") for end in re.findall(r"'%s(_\w+)'", known)
    }
    assert len(theirs) > 25, "the search finds nothing any more"
    shown = {
        key for cells in _rows("| in supervisord | here | to be known |") for key in re.findall(r"`(\w+)`", cells[0])
    }
    assert theirs - shown == set()
    assert {key for key in shown - theirs if not key.endswith("_capture_maxbytes")} == set()


def test_what_a_key_is_here_is_a_key() -> None:
    ours = {
        key for cells in _rows("| in supervisord | here | to be known |") for key in re.findall(r"`([\w.]+)`", cells[1])
    }
    assert len(ours) > 8, "the search finds nothing any more"
    assert ours - all_keys().keys() == set()
