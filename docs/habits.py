"""The page for people who come from uvicorn or gunicorn: each option that they know, and what it is here."""

from __future__ import annotations

from collections.abc import Iterator

import click
from docs.markdown import markdown_table
from gunicorn.config import KNOWN_SETTINGS
from uvicorn.main import main as uvicorn_command

from midair.cli.foreign import FLAGS
from midair.cli.run import command as run_command
from midair.cli.running import KEYS
from midair.config.convert import write as written
from midair.config.keys import all_keys

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

How requests are read differs in corners: see [how midair differs from other servers](differences.md).

A flag of theirs that midair does not have, typed by habit, is answered with what to type here. That is what the tables below say.

"""

UVICORN = "## uvicorn's options\n\nOf `uvicorn` 0.54, in its order.\n\n"
GUNICORN = """
## gunicorn's options

Those that have a counterpart or an answer; uWSGI, PasteDeploy and the like are left out.

"""


def page() -> str:
    heads = ("option", "here", "key", "default here")
    text = PAGE + UVICORN + markdown_table(heads, [_row(flags) for flags in _uvicorns()])
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
