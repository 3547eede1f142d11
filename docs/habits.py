"""The page for people who come from uvicorn or gunicorn: each option that they know, and what it is here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click
from docs.markdown import markdown_table
from gunicorn.config import KNOWN_SETTINGS
from uvicorn.main import main as uvicorn_command

from midair.cli.foreign import FLAGS
from midair.cli.run import command as run_command
from midair.cli.running import KEYS
from midair.config.convert import write as written
from midair.config.keys import all_keys
from midair.scaffold.gunicorn import HOOKS

PAGE = """\
# From uvicorn and gunicorn

```console
$ uvicorn shop.main:app --host 0.0.0.0 --port 8000 --workers 4 --proxy-headers
$ midair run shop.main:app --bind 0.0.0.0:8000 --workers 4
```

The application stays as it is: ASGI 3 or WSGI, lifespan, WebSockets, `root_path`. What is different:

- **There is a supervisor, always.** No `gunicorn -k uvicorn.workers.UvicornWorker` and no process manager around it: `midair
  run` is both. To take new code in, type `midair reload`; a SIGHUP does the same.
- **Units are part of a value.** `--timeout-keep-alive 5s`, `--ws-max-size 16MiB`; a bare number is refused with what to write.
- **Options stand in `midair.toml`, too,** and every key has a variable. `midair config` shows each value and where it came from.
  `gunicorn.conf.py` has no counterpart: hooks of an update are [programs](configuration.md#hooks), those around a fork are
  [functions](forking.md).
- **Defaults.** An idle connection stays open for 75 s, not 5 s: behind a load balancer whose own idle time-out is 60 s the server
  must not be the first to close. A head must come within 20 s and an upload may not stand still for 60 s.
- **Workers are replaced, not lost.** `--limit-max-requests` starts the successor first; no client notices.

[`midair init`](new-project.md) reads the command line and the `gunicorn.conf.py` that you have, says what each setting became, and
writes the `midair.toml`.

How requests are read differs in corners: see [how midair differs from other servers](differences.md). To keep the server for
now, and have its updates without refused connections: [the first week](week-one.md). The move itself, with a proxy in front and
without one, is the same as [from supervisord](from-supervisord.md#the-move-with-a-proxy-in-front).

## From uvicorn

- **In a unit** only `ExecStart=` changes, and three lines come: `Type=notify`, `ExecReload=… midair reload`,
  `KillMode=process`. `midair systemd` [writes all of it](systemd.md).
- **In a program** `uvicorn.run(app, …)` becomes [`midair.serve(app, …)`](drop-in.md), with the same arguments.
- **`--workers 4`** were four imports; here they are one import and three forks, as long as [nothing was opened at
  import](forking.md).
- **`--reload`** was a restart of the process; [`midair dev`](dev.md) keeps the port and the connections, and refreshes the
  page.
- **A stop** waits for open requests without end in uvicorn; here for `stop.timeout` (25 s).
- **`--http httptools`, `--ws websockets`, `--loop uvloop`**: the same libraries are inside, and there is nothing to choose
  but the loop.
- **`--log-config`**: midair writes its own log, and passes on what the application prints. `uvicorn.access` and
  `uvicorn.error` are not written to: what hangs on these loggers goes to your own.

{uvicorn_signals}
## From gunicorn

- **`gunicorn.conf.py`** is read by `midair init`, once; then it may go. Its settings are the options below, with underscores.
- **Worker classes.** `sync`, `gthread` and `uvicorn.workers.UvicornWorker` need no word: WSGI applications get threads (10 a
  worker, `serve.wsgi_threads`), ASGI applications a loop. What relied on one request at a time (`sync`) sets that to 1.
  `gevent` and `eventlet` have no counterpart: an application that needs them, for it holds thousands of open requests, stays
  with gunicorn [as a command](week-one.md), or becomes ASGI.
- **`--timeout 30`** ends a `sync` worker whose request takes longer. Here a request may take its time; what is replaced after
  `worker.hang_timeout` is a worker whose event loop stands still. A limit for requests belongs to the proxy, or to the
  application.
- **`--preload`** is what always happens, and each update imports anew: in gunicorn HUP does not reload a preloaded
  application.
- **HUP** in gunicorn ends the old workers before anybody knows whether the new ones start. Here [nothing is touched until
  they have](updates.md).
- **A pid file** for `kill -HUP $(cat …)`: `midair reload` finds the service by its folder, and says how it ended.
- **`SCRIPT_NAME`** as a header is not believed; `serve.root_path` says it.

Hooks of `gunicorn.conf.py`:

{hooks}
{gunicorn_signals}
"""

UVICORN = "## uvicorn's options\n\nOf `uvicorn` 0.54, in its order.\n\n"
GUNICORN = """
## gunicorn's options

Those that have a counterpart or an answer; uWSGI, PasteDeploy and the like are left out.

"""


UVICORN_SIGNALS = {
    "HUP": "`--workers`: all workers are restarted, one by one. Here: an update, refused if the new version does not start",
    "INT": "stop. The same here",
    "TERM": "stop. The same here",
    "TTIN": "one worker more. The same here",
    "TTOU": "one worker less. The same here",
}
GUNICORN_SIGNALS = {
    "HUP": "configuration and workers anew. Here: an update, refused if the new version does not start",
    "QUIT": "stop at once. The same here",
    "INT": "stop at once. Here a stop in order; a second one stops at once",
    "TERM": "stop in order. The same here",
    "TTIN": "one worker more. The same here",
    "TTOU": "one worker less. The same here",
    "USR1": "log files are opened again. **Here: an update.** Take it out of logrotate; there are no log files",
    "USR2": "a second gunicorn beside the first, which you then end by hand. Here: midair itself is replaced, then an update",
    "WINCH": "workers end, the arbiter stays. Nothing here",
}
"""What each did, and what it does now. A test compares with the signals that they handle."""


def _signals(whose: str, signals: Mapping[str, str]) -> str:
    rows = [(f"SIG{name}", did) for name, did in signals.items()]
    return markdown_table(("signal", f"{whose}, and here"), rows)


def page() -> str:
    heads = ("option", "here", "key", "default here")
    hooks = [(f"`{name}`", said.replace("|", "\\|")) for name, said in HOOKS.items()]
    text = (
        PAGE.replace("{uvicorn_signals}", _signals("in uvicorn", UVICORN_SIGNALS))
        .replace("{gunicorn_signals}", _signals("in gunicorn", GUNICORN_SIGNALS))
        .replace("{hooks}", markdown_table(("in gunicorn.conf.py", "here"), hooks))
    )
    text += UVICORN + markdown_table(heads, [_row(flags) for flags in _uvicorns()])
    return text + GUNICORN + markdown_table(heads, [_row(flags) for flags in _gunicorns() if _is_known(flags)])


def _uvicorns() -> Iterator[list[str]]:
    assert isinstance(uvicorn_command, click.Command)
    for param in uvicorn_command.params:
        if isinstance(param, click.Option) and param.name not in ("help", "version"):
            yield [*param.opts, *param.secondary_opts]


def _gunicorns() -> Iterator[list[str]]:
    for setting in KNOWN_SETTINGS:
        if setting.cli:
            yield list(setting.cli)


def _is_known(flags: list[str]) -> bool:
    return bool(_ours(flags)) or any(flag in FLAGS for flag in flags)


def _ours(flags: list[str]) -> str:
    """The option of ``midair run`` that has one of these names."""
    for param in run_command.params:
        if isinstance(param, click.Option) and set(param.opts) & set(flags):
            return str(param.name)
    return ""


def _row(flags: list[str]) -> tuple[str, str, str, str]:
    theirs = ", ".join(f"`{flag}`" for flag in flags)
    ours = _ours(flags)
    if not ours:
        return theirs, next(FLAGS[flag] for flag in sorted(flags, key=len, reverse=True) if flag in FLAGS), "", ""
    if ours not in KEYS:
        return theirs, "the same", "", ""
    key = all_keys()[KEYS[ours]]
    default = written(key, key.default) if key.default not in ((), {}) else ""
    return theirs, "the same", f"`{key.name}`", f"`{default}`" if default else "none"
