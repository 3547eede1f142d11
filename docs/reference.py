"""The pages of the reference that are made from the code: ``python -m docs.reference`` writes them.

A test compares what is committed with what would be written, so a key, an event, a metric, a flag or an error that is
not on its page fails the suite. ``python -m docs.reference --check`` says which pages are stale, and changes nothing.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import click
import msgspec
from docs.markdown import markdown_table, plain
from docs.queries import QUERIES
from docs.units import with_units
from tests.differential.websocket_cases import all_cases
from tests.differential.websocket_differences import DEVIATIONS, DIFFERENCES

import midair
from docs import airs, differences, doctors, explaining, habits, nodemons, seeings
from midair.cli.app import midair as command_line
from midair.cli.commands import COMMANDS
from midair.cli.foreign import FLAGS
from midair.config import schema, values
from midair.config.changes import effect_of
from midair.config.convert import write as written
from midair.config.keys import MAIN_KEYS, Key, Kind, all_keys, arrays, table_keys
from midair.control import framing, words
from midair.errors import MidairError
from midair.explained.exits import EXITS
from midair.observe.counters import LATENCY_BOUNDS_S
from midair.observe.events import EVENTS
from midair.observe.exposition import exposition
from midair.observe.footprint import READ_FOR_S
from midair.observe.metrics import (
    BUILD_BOUNDS_S,
    METRICS,
    PHASE_BOUNDS_S,
    UPDATE_BOUNDS_S,
    GenerationFigures,
    MetricsSnapshot,
    ProcessFigures,
)
from midair.supervisor import control
from midair.supervisor.accounts import Counted
from midair.worker import settings as worker_settings
from shipping import manuals

FOLDER = Path(__file__).parent
SOURCE = Path(midair.__file__).parent
MADE = "<!-- Made from the code by `python -m docs.reference`. Change the code, not this page. -->"
HELP_COLUMNS = 100

NOT_IN_EFFECT: frozenset[str] = frozenset()
"""Keys that are read, checked and shown, and that nothing acts upon yet. A test holds that these, and no others, are
not read outside ``config``: whoever wires one takes it out here."""


# --- configuration -------------------------------------------------------------------------------------------------

HOW_WRITTEN = {
    Kind.FLAG: "`true` or `false`",
    Kind.COUNT: "a number",
    Kind.TEXT: "a string",
    Kind.LIST: "a string, or a list of strings",
    Kind.CHOICES: "a list",
    Kind.COMMAND: "a command line, or a list of arguments",
    Kind.DURATION: "a duration",
    Kind.RATE: "a rate per second",
    Kind.SHARE: "a share, or `off`",
    Kind.SIZE: "a size",
    Kind.MODE: "permission bits",
    Kind.WORKERS: "a number, or `auto`",
    Kind.ENVIRONMENT: "a table of strings",
    Kind.TABLES: "an array of tables",
}

CONFIGURATION = """\
# Configuration

The settings of a service stand in `midair.toml` beside its code, or under `[tool.midair]` in `pyproject.toml` (if both
are there, `midair.toml` counts). No file is needed: `midair run app:app` is a whole service. A key that midair does not
know is an error, with a suggestion; all mistakes are reported at once, each with its line.

```toml
app = "app.main:app"
bind = ["127.0.0.1:8000", "unix:/run/shop/web.sock"]
workers = 2
env_files = [".env"]

[env]
DATABASE_PASSWORD = "file:/run/secrets/database"

[health]
path = "/healthz"
warm = ["/", "/search?q=tea"]

[bake]
for = "30s"
```

**Which value counts.** Default, then file, then what the program gives to [`midair.serve()`](drop-in.md), then environment, then
command line; the later one wins. Every key has a variable, `MIDAIR_` and the key in capitals with dots as underscores:
`drain.timeout` is `MIDAIR_DRAIN_TIMEOUT`. Three common variables are honoured, and give way to those: `WEB_CONCURRENCY` is
`workers`, `FORWARDED_ALLOW_IPS` is `serve.forwarded_allow_ips`, and `PORT` replaces the port of the first address of `bind`. On
the command line `midair run --set KEY=VALUE` sets any key. `midair config` shows each value and where it came from; `midair
config --diff` what the file on disk would change in the running service. `midair dev` has some values of its own, which count more
than the file and less than the environment: [what is different](dev.md#what-is-different-from-midair-run).

Every process of a version is told what it is: `MIDAIR_VERSION`, `MIDAIR_GENERATION`, and in a worker `MIDAIR_SLOT`. The
outer environment wins over `[env]`, and `[env]` over `env_files`; what is hidden that way is named in a warning.

**Units are part of the value.** A bare number is refused where a unit is needed, except 0.

| kind | written as |
| --- | --- |
| duration | `"500ms"`, `"30s"`, `"5m"`, `"2h"`, `"1h30m"` |
| size | `"64KiB"` (1,024), `"16MB"` (1,000,000) |
| rate per second, share | `"5%"` |
| permission bits | `"0660"`, in quotes |

**When a change counts.** *update*: the next `midair reload` (or SIGHUP) reads the file again, and the value belongs to
the version that this update brings; if the update is refused, nothing has changed. *restart*: decides what is bound,
where the service is found and where it prints to; an update leaves it as it runs and says so.

**A table written as a plain value** sets its main key: {main_keys}.

"""

TABLES = {
    "": ("The service", "Keys outside any table; they stand first in the file."),
    "serve": ("[serve]", "How workers serve HTTP and WebSocket. Names are uvicorn's where uvicorn has the option."),
    "tls": ("[tls]", "TLS in the workers: see [TLS](tls.md)."),
    "health": ("[health]", "How a new version proves that it can serve."),
    "ready": ("[ready]", "How long a new version may take."),
    "start": ("[start]", "The very first version, when nothing serves yet."),
    "canary": ("[canary]", "A part of the workers goes first."),
    "bake": ("[bake]", "A new version is watched after the cut-over."),
    "drain": ("[drain]", "How an old version ends."),
    "carry": ("[carry]", "What an application keeps in memory and goes on with (`midair.carry`)."),
    "rollback": ("[rollback]", "The way back."),
    "receipts": ("[receipts]", "What is kept of each update: see [updates](updates.md)."),
    "stop": ("[stop]", "The end of the service."),
    "exit": ("[exit]", "The end of a worker."),
    "worker": ("[worker]", "When a worker is replaced."),
    "hooks": ("[hooks]", "Programs that run in every update, whoever asked for it."),
    "control": ("[control]", "Who may use the control socket, besides root and the service's own user."),
    "signals": ("[signals]", "What each signal does: see [signals](signals.md)."),
    "log": ("[log]", "The service's log: see [events](events.md)."),
    "metrics": ("[metrics]", "See [metrics](metrics.md)."),
    "admin": ("[admin]", "A page for people, and readiness: see [the admin address](admin.md)."),
    "deploy": ("[deploy]", "Release folders: see [deploying](deploy.md)."),
}


def configuration() -> str:
    main_keys = ", ".join(f"`{table} = …` is `{key}`" for table, key in MAIN_KEYS.items())
    meanings = _meanings()
    page = CONFIGURATION.replace("{main_keys}", main_keys)
    for table, (title, intro) in TABLES.items():
        keys = [key for key in all_keys().values() if _table_of(key.name) == table]
        page += f"## {title}\n\n{intro}\n\n" + _key_table(keys, meanings, table) + "\n"
    for name in arrays():
        of = all_keys()[name].table
        assert of is not None
        page += f"## [[{name}]]\n\n" + plain(_doc(of)) + "\n\n"
        keys = [_inside(name, key) for key in table_keys(name).values()]
        page += _key_table(keys, meanings, name) + "\n"
    return page.removesuffix("\n")


def _inside(array: str, key: Key) -> Key:
    """The key of one table of an array under the name that its meaning has."""
    return msgspec.structs.replace(key, name=f"{array}.{key.name}")


def _table_of(name: str) -> str:
    return name.partition(".")[0] if "." in name else ""


def _key_table(keys: Iterable[Key], meanings: dict[str, str], table: str) -> str:
    rows = [
        (
            f"`{key.name.removeprefix(f'{table}.')}`",
            ", ".join(f"`{choice}`" for choice in key.choices) or HOW_WRITTEN[key.kind],
            _default(key),
            effect_of(key.name),
            plain(meanings[".".join(key.path)])
            + (" **Read, but without effect yet.**" if key.name in NOT_IN_EFFECT else ""),
        )
        for key in keys
    ]
    return markdown_table(("key", "value", "default", "counts at", "meaning"), rows)


DEFAULTS_FROM_PLACE = {
    "name": "the folder's name",
    "state_dir": "`$STATE_DIRECTORY`, `/var/lib/midair/NAME` (root), `$XDG_STATE_HOME/midair/NAME`, "
    "`~/.local/state/midair/NAME`",
    "runtime_dir": "`$RUNTIME_DIRECTORY`, `/run/midair/NAME` (root), `$XDG_RUNTIME_DIR/midair/NAME`",
}


def _default(key: Key) -> str:
    if key.name in DEFAULTS_FROM_PLACE:
        return DEFAULTS_FROM_PLACE[key.name]
    if key.default is msgspec.NODEFAULT:
        return "must be given" if "." in key.name else "none"
    text = written(key, key.default) if key.default not in ((), {}) else ""
    return f"`{text}`" if text else "none"


def _meanings() -> dict[str, str]:
    """Docstrings of the schema's fields, by path in ``Settings`` (``drain.timeout_s``)."""
    by_class = _field_docs(schema.__file__) | _field_docs(worker_settings.__file__)
    found = dict(by_class["Settings"])
    for field in msgspec.structs.fields(schema.Settings):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found |= {f"{field.name}.{inner}": text for inner, text in by_class[field.type.__name__].items()}
    for name in arrays():
        array = all_keys()[name]
        assert array.table is not None
        found |= {f"{'.'.join(array.path)}.{inner}": text for inner, text in by_class[array.table.__name__].items()}
    return found


def _field_docs(path: str | None) -> dict[str, dict[str, str]]:
    """By class and field: the string that stands below a field."""
    assert path is not None
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(Path(path).read_text()).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = dict(_fields_of(node))
    return found


def _fields_of(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, after in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            is_doc = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            text = after.value.value if is_doc else ""  # type: ignore[attr-defined]  # looked at the line before
            yield field.target.id, inspect.cleandoc(str(text))


# --- command line --------------------------------------------------------------------------------------------------

CLI = """\
# Command line

```text
midair COMMAND [OPTIONS]
```

{commands}

`midair --help` lists them, `midair --version` says which midair this is. Results go to standard output, everything else
to standard error; with `--json` standard output has one JSON document (`midair logs`: one a line), errors too. Colours
are for terminals only, and `NO_COLOR` turns them off. The exit codes stand in [exit codes and errors](exit-codes.md).

**Which service is meant.** The one of the folder where the command is typed, or of `-C FOLDER`; its name is `name` in
`midair.toml`, else the folder's. `--name NAME` finds it from anywhere. If two folders have the same name, a command that
changes something is refused unless it is typed in the service's own folder.

"""


def cli() -> str:
    rows = [(f"[`midair {name}`](#midair-{name})", text) for name, text in COMMANDS.items()]
    page = CLI.replace("{commands}", markdown_table(("command", "what it does"), rows).strip())
    for name in COMMANDS:
        page += f"## midair {name}\n\n```text\n{_help(name)}\n```\n\n"
        page += "".join(f"```text\n{_help(name, part)}\n```\n\n" for part in _parts(name))
    page += "## Flags of other servers\n\nTyped by habit, they are answered with what to type here.\n\n"
    return page + markdown_table(("flag", "here"), [(f"`{flag}`", answer) for flag, answer in FLAGS.items()])


def _parts(name: str) -> list[str]:
    """The commands of a command that has some."""
    assert isinstance(command_line, click.Group)
    command = command_line.get_command(click.Context(command_line), name)
    return list(command.commands) if isinstance(command, click.Group) else []


def _help(*names: str) -> str:
    # As click makes it when somebody types it: a command keeps the help option that it was asked for first.
    context = click.Context(command_line, info_name="midair", **command_line.context_settings)
    for name in names:
        assert isinstance(context.command, click.Group)
        command = context.command.get_command(context, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=context, terminal_width=HELP_COLUMNS)
    with context:
        return "\n".join(line.rstrip() for line in context.command.get_help(context).splitlines())


# --- events and metrics --------------------------------------------------------------------------------------------

EVENTS_PAGE = """\
# Events of the log

One line an event: JSON where a machine reads it, words on a terminal (`log.format`). Every line has `time` (UTC),
`level`, `event` and `node` (`log.node`, else the host's name); a line about an update or a generation has `update`,
`generation` and `version` as well. `update` is the number of the [receipt](updates.md#the-receipt).

```json
{"time":"2026-11-25T04:41:05.265Z","level":"info","event":"cut_over","status":"hot-update-cut-over","node":"web-1","update":2,"generation":2,"version":"6e0595ab","previous":1,"since_start_s":0.052}
```

What workers print is an event too, `worker_output`, a line each; if the line is a JSON object its fields are kept and
ours are added. The log never waits for its reader: what cannot be written is dropped and counted (`log_lines_dropped`).

To follow updates, look at `status`:

{statuses}

## All events

`info`: it happened. `warning`: somebody should look. `error`: something was lost, or somebody's wish was not carried out.

"""


def events() -> str:
    statuses = [(f"`{e.status}`", f"`{e.name}`", e.meaning) for e in EVENTS.values() if e.status]
    page = EVENTS_PAGE.replace("{statuses}", markdown_table(("status", "event", "meaning"), statuses).strip())
    rows = [
        (f"`{e.name}`", e.level, plain(e.meaning), ", ".join(f"`{field}`" for field in e.fields))
        for e in EVENTS.values()
    ]
    return page + markdown_table(("event", "level", "meaning", "fields"), rows)


METRICS_PAGE = """\
# Metrics

`midair run app:app --metrics 127.0.0.1:9464`, or `metrics = "127.0.0.1:9464"` in `midair.toml`, and Prometheus can scrape
`/metrics` there. They are served by a process of their own: the supervisor never speaks HTTP, and a scrape cannot hold up
an update. Workers count in shared memory, so the figures of a killed worker are not lost.

```yaml
# prometheus.yml
scrape_configs:
  - job_name: midair
    static_configs:
      - targets: ["127.0.0.1:9464"]
```

Three names have no prefix, because people look for them: `hot_update_success`, `hot_update_duration` (seconds) and
`module_load_errors`. All others carry `midair_` and their base unit. (`promtool check metrics` finds fault with one of them:
`hot_update_success` is a counter without `_total`. OpenMetrics has no room for such a name, so the text is that of format
0.0.4, whatever a scraper would rather have.)

## What ends and what goes on

A series with a `generation` is there as long as this generation has processes, and ends with it: a scrape has nothing of a
worker that was killed, of a version that is gone, of slots that were given up. It begins at nought before the first request, so
`rate()` and `increase()` miss nothing at its start; its last moments may fall between two scrapes. All other counters go on: over
updates, deaths of workers, and an upgrade of midair itself (`midair_service_*` have in them what all generations have counted).
They begin anew when the service is stopped and started.

## All metrics

{metrics}
## Labels

{labels}
`generation` and `version` are those of generations that still have processes; an update adds one for as long as it drains
(`drain.max_generations`) or is kept for a rollback (`rollback.keep`). `address` is that of a listener, as it is bound. No label
holds a path, a client, a PID or a worker: {alone} series, {each} more for each such generation and 2 for each listener.

## Buckets

{buckets}
## What is counted, and how

- **Requests** are responses begun. What midair refuses without asking the application (a broken head, 413, 431) is no request,
  but a connection that ended with `why="refused"`. A response that moves with its connection is counted once, where it began.
- **Connections** are each in one `state`. All connections of a worker that accepts no more are `draining`, whatever they do:
  `midair_websockets`, `midair_streams` and `midair_requests_active` say that.
- **The books**: accepted + adopted = closed + handed over + open, in each generation; connections of workers that were killed
  are in `midair_service_connections_lost_total`. Moved connections were never closed.
- **Cut** is what neither side wanted. `deadline`: still busy when `drain.timeout` was over. `died`: its worker was killed or
  crashed. `error`: the application broke off its response.
- **A command** (`command = [...]`) accepts for itself: of its connections and requests nothing is known, so they are 0.
- **Pace**: `midair_drain_rate_per_second` is what may move by `drain.rate`, less while the new version fails;
  `rate(midair_connections_moved_total[1m])` is what did.
- **The queue** of a TCP listener comes from `TCP_INFO`, that of a Unix socket from the kernel's sock_diag: it is missing where
  that is closed to midair (a sandbox without netlink, `RestrictAddressFamilies=` without `AF_NETLINK`).
- **Memory** is proportional (PSS): sums over processes mean something, for what forks share counts once. The kernel adds it up
  each time it is asked, so it is asked at most once a second, and for at most {memory} a scrape; a process that was not reached
  keeps its figure from before. Without `/proc/PID/smaps_rollup` (before Linux 4.14) there is none, and
  `midair_resident_memory_bytes` is left. `base` is all that zygotes are forked from, `companion` a `[[process]]`, `endpoints` the
  process that serves these figures, `traces` the one that tells a collector of updates; hooks, builds and other processes that come
  and go are not in it.
- **Answers to the scraper**: 503 if the supervisor does not answer, never an old figure.

## Useful queries

{queries}"""


def metrics() -> str:
    rows = [(f"`{m.name}`", m.kind, plain(m.meaning), ", ".join(f"`{label}`" for label in m.labels)) for m in METRICS]
    alone, each = _series()
    buckets = (
        ("`hot_update_duration`", UPDATE_BOUNDS_S),
        ("`midair_update_phase_duration_seconds`", PHASE_BOUNDS_S),
        ("`midair_request_duration_seconds`", LATENCY_BOUNDS_S),
        ("`midair_build_duration_seconds`", BUILD_BOUNDS_S),
    )
    parts = {
        "metrics": markdown_table(("metric", "kind", "meaning", "labels"), rows),
        "labels": _label_values(),
        "alone": str(alone),
        "each": str(each),
        "buckets": markdown_table(("histogram", "bounds"), [(name, _seconds(bounds)) for name, bounds in buckets]),
        "memory": f"{READ_FOR_S:g} s",
        "queries": "".join(f"{query.question}\n\n```promql\n{query.promql}\n```\n\n" for query in QUERIES).rstrip()
        + "\n",
    }
    page = METRICS_PAGE
    for name, text in parts.items():
        page = page.replace(f"{{{name}}}", text)
    return page


def _label_values() -> str:
    """The closed sets."""
    rows = [
        (f"`{label}`", f"`{metric.name}`", ", ".join(f"`{value}`" for value in values))
        for metric in METRICS
        for label, values in metric.values.items()
    ]
    return markdown_table(("label", "of", "values"), sorted(rows))


def _series() -> tuple[int, int]:
    """How many lines a service has without any generation, and how many more each brings. Of memory each kind once."""

    def lines(*generations: int) -> int:
        figures = tuple(GenerationFigures(generation=g, version="1", role="serving") for g in generations)
        processes = [ProcessFigures(kind=kind, pid=1, memory_bytes=1) for kind in ("supervisor", "base", "endpoints")]
        processes += [
            ProcessFigures(kind=kind, pid=1, generation=str(g), memory_bytes=1)
            for kind in ("zygote", "worker")
            for g in generations
        ]
        counted = Counted()
        snapshot = MetricsSnapshot(
            updates=counted.updates,
            phases=counted.phases,
            worker_ends=counted.worker_ends,
            ends=counted.ends,
            control_refusals=counted.control_refusals,
            generations=figures,
            processes=tuple(processes),
        )
        return sum(not line.startswith("#") for line in exposition(snapshot).splitlines())

    return lines(), lines(1) - lines()


def _seconds(bounds_s: Sequence[float]) -> str:
    return ", ".join(f"{bound:g}" for bound in bounds_s) + " s"


# --- exit codes and errors -----------------------------------------------------------------------------------------

ERRORS_PAGE = """\
# Exit codes and errors

{exits}

Ctrl-C before anything was asked for ends a command with 130.

An error says what happened, what still holds, and what to do:

```text
error: syntax error in /srv/shop/app.py, line 1: invalid syntax; 8ba1e6ff (generation 3) serves
hint: midair receipt 4 tells everything
more: midair explain app-syntax
```

`midair explain CODE` says what happened, what still serves, the usual causes and what to type, as the pages below do; it needs
no service and no network. `midair explain --last` asks the running service why its latest update did not commit, and `midair
explain 4` says what may stand behind an exit code.

With `--json` it is `{"fault": {"code", "message", "hint", "detail"}, "exit_code"}`, where `detail` may be a traceback or
the application's last lines. Codes are stable, messages are not: scripts look at the exit code, then at `code`.

"""


def errors() -> str:
    exits = [(str(each.number), each.meaning) for each in EXITS]
    page = ERRORS_PAGE.replace("{exits}", markdown_table(("code", "meaning"), exits).strip())
    return page + explaining.tables()


def error_classes() -> dict[str, type[MidairError]]:
    """Every error class of midair with a code of its own, by code; the most general one of each code."""
    for module in pkgutil.walk_packages([str(SOURCE)], "midair."):
        if not module.name.startswith("midair.testing") and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: dict[str, type[MidairError]] = {}
    for error in _below(MidairError):
        if "code" in vars(error) and error.__module__.startswith("midair."):
            found.setdefault(error.code, error)
    return found


def _below(root: type[MidairError]) -> Iterator[type[MidairError]]:
    yield root
    for each in root.__subclasses__():
        yield from _below(each)


def codes_said() -> dict[str, str]:
    """Every code that stands as text in a ``Fault`` (or in a worker's ``Failed``) in the source, and where."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        if "testing" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("Fault", "Failed"):
                for first in [*node.args[:1], *(word.value for word in node.keywords if word.arg == "code")]:
                    if isinstance(first, ast.Constant):
                        found[str(first.value)] = f"{path.relative_to(SOURCE)}:{node.lineno}"
    return found


# --- control socket ------------------------------------------------------------------------------------------------

CONTROL_PAGE = """\
# Control socket

How the command line talks to a running service; a program of yours may do the same. The socket is `control.sock` in the
service's runtime folder (`midair config --all` shows `runtime_dir`): a Unix stream socket with mode 0600, or 0666 if
groups are named under `[control]`: then everybody may knock, and the kernel's word on who knocks decides.

## Rights

root and the user that the service runs as may do everything. Members of a group in `control.readers` may look, members
of one in `control.operators` may look and act. These act:
{acting}.
A request that acts also says in which `folder` it was typed, if only the folder's name tells which service is meant; the
service of another folder refuses it (`other-folder`).

## Frames

Four bytes of length, most significant first, then that many bytes of JSON. A request has at most {request_max} KiB, an
answer {answer_max} MiB. The kind of a word stands in its field `word`. Fields that are not known are ignored, so that a
newer side talks to an older one; `protocol` is {protocol} now. One request a connection. Nonsense is answered with
`refused` and costs nothing but that connection.

```python
import json
import socket


def ask(path: str, request: dict) -> dict:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        payload = json.dumps(request).encode()
        connection.sendall(len(payload).to_bytes(4, "big") + payload)
        with connection.makefile("rb") as answers:
            return json.loads(answers.read(int.from_bytes(answers.read(4), "big")))


ask("/run/midair/shop/control.sock", {"word": "status"})["state"]
```

## Bounds

No peer can hold the service up, or lock out whoever operates it:

| what | bound |
| --- | --- |
| a request | within {request_within} s; {behind} KiB behind it are read away, then the connection is closed |
| an answer that nobody takes | {taken_within} s without a byte taken, {out} MiB a connection, {all_out} MiB in all |
| connections | {connections}; for one more, that which has asked nothing for longest gives way (`too-many-connections`) |
| users that are neither root nor the service's own | {others} of these connections, {user} a user, {others_per_s} a second |
| a reason | {reason} characters are kept |
| lines of the log about refusals and nonsense | {complaints} in {complaints_per_s} s; the next says how many were `left_out` |

A look at the disk (`status`) and a look into the workers (`stacks`) are under way once, however many ask; who asks meanwhile
shares the next.

## The conversation

```text
{conversation}
```

Whoever hangs up stops watching; the update goes on, and `watch` with the update's number resumes where `after` says. Times
called `time_s` are seconds since the epoch, lengths are seconds.

"""


def control_socket() -> str:
    conversation = (words.__doc__ or "").partition("closes:\n\n")[2].partition("\n\nAnswers")[0]
    page = CONTROL_PAGE
    for name, text in {
        "acting": ", ".join(f"`{_word(each)}`" for each in control.ACTING),
        "request_max": str(framing.REQUEST_MAX_BYTES // 1024),
        "answer_max": str(framing.ANSWER_MAX_BYTES // 1024**2),
        "protocol": str(words.PROTOCOL),
        "request_within": f"{control.REQUEST_WITHIN_S:g}",
        "connections": str(control.CONNECTIONS_MAX),
        "others": str(control.OTHERS_MAX),
        "user": str(control.USER_MAX),
        "others_per_s": str(control.OTHERS_PER_S),
        "behind": str(control.BEHIND_MAX_BYTES // 1024),
        "taken_within": f"{control.TAKEN_WITHIN_S:g}",
        "out": str(control.OUT_MAX_BYTES // 1024**2),
        "all_out": str(control.ALL_OUT_MAX_BYTES // 1024**2),
        "reason": str(control.REASON_MAX),
        "complaints": str(control.COMPLAINTS_MAX),
        "complaints_per_s": f"{control.COMPLAINTS_PER_S:g}",
        "conversation": textwrap.dedent(conversation),
    }.items():
        page = page.replace("{" + name + "}", text)
    docs = _field_docs(words.__file__) | _field_docs(values.__file__)
    page += "## Requests\n\n" + _words_table(words.Ask, docs)
    page += "\n## Answers\n\n" + _words_table(words.Answer, docs)
    return page + "\n## Parts of answers\n\n" + _words_table(words.Part, docs)


def _words_table(root: type[msgspec.Struct], docs: dict[str, dict[str, str]]) -> str:
    rows = [
        (f"`{_word(each)}`" if root is not words.Part else f"`{each.__name__}`", plain(_doc(each)), _fields(each, docs))
        for each in vars(words).values()
        if isinstance(each, type) and issubclass(each, root) and each is not root
    ]
    return markdown_table(("word" if root is not words.Part else "part", "meaning", "fields"), rows)


def _word(each: type[msgspec.Struct]) -> str:
    return str(each.__struct_config__.tag)


INHERITED = ("protocol", "folder")


def _fields(each: type[msgspec.Struct], docs: dict[str, dict[str, str]]) -> str:
    is_request = issubclass(each, words.Ask)
    own = [field for field in msgspec.structs.fields(each) if not (is_request and field.name in INHERITED)]
    meanings = docs[each.__name__]
    return "; ".join(
        f"`{field.name}`" + (f" ({plain(meanings[field.name]).rstrip('.')})" if meanings.get(field.name) else "")
        for field in own
    )


# --- WebSocket differences -----------------------------------------------------------------------------------------

WEBSOCKET_PAGE = """\
# WebSockets beside other servers

{count} conversations, written after RFC 6455 and RFC 7692 in the manner of the Autobahn test suite, go to midair on both
event loops and to the servers below, in one run, with one application. What the RFCs expect stands beside each case in
`tests/differential/websocket_cases.py`. To us each goes in three ways: a step at a time, byte by byte, and with its
beginning in the same segment as the handshake. A difference that is not on this page fails the tests, and so does one
that is here and gone:

```console
$ .venv/bin/python -m pytest tests/differential/test_websocket.py
```

{sections}

## Where we do not do what is expected

{deviations}

## Where a peer does something else

A star stands for anything. What is seen are the status of the answer, messages, pongs, the code of the close frame (1005:
it has none), and how the connection ended if it was not closed in order.

{differences}
"""


def websocket_differences() -> str:
    cases = [case.name for case in all_cases()]
    sections = Counter(name.partition(": ")[0] for name in cases)
    deviations = [(f"`{each.cases}`", f"`{each.seen}`", each.reason) for each in DEVIATIONS]
    differences = [
        (
            ", ".join(each.peers),
            "<br>".join(f"`{pattern}`" for pattern in each.cases),
            str(sum(each.is_about(each.peers[0], name) for name in cases)),
            f"`{each.seen}`",
            each.reason,
        )
        for each in DIFFERENCES
    ]
    page = WEBSOCKET_PAGE
    for name, text in {
        "count": str(len(cases)),
        "sections": markdown_table(("section", "cases"), [(name, str(count)) for name, count in sections.items()]),
        "deviations": markdown_table(("cases", "what we do", "why"), deviations) if deviations else "Nowhere.",
        "differences": markdown_table(("peers", "cases", "number", "what is seen", "why"), differences),
    }.items():
        page = page.replace("{" + name + "}", text.strip())
    return page


def _doc(each: type) -> str:
    """The class's own docstring: not one that it inherits, nor one that a library made."""
    return inspect.cleandoc(vars(each).get("__doc__") or "")


# --- all pages -----------------------------------------------------------------------------------------------------

PAGES: dict[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "cli.md": cli,
    "events.md": events,
    "metrics.md": metrics,
    "exit-codes.md": errors,
    "control-socket.md": control_socket,
    "websocket-differences.md": websocket_differences,
    "from-uvicorn-gunicorn.md": habits.page,
    "air.md": airs.page,
    "nodemon.md": nodemons.page,
    "differences.md": differences.page,
    "doctor.md": doctors.page,
    "seeing.md": seeings.page,
    **explaining.pages(),
}


PARTS: dict[str, Callable[[str], str]] = {"systemd.md": with_units}
"""Pages that are written by hand, and what puts in the parts that are made."""


def page(name: str) -> str:
    """The page as it should be."""
    if name in PARTS:
        return PARTS[name](_read(FOLDER / name))
    title, _, rest = PAGES[name]().partition("\n")
    return f"{title}\n\n{MADE}\n{rest}".rstrip() + "\n"


def stale() -> list[str]:
    """The pages that are not as they should be."""
    return [name for name in (*PAGES, *PARTS) if _read(FOLDER / name) != page(name)] + gone()


def gone() -> list[str]:
    """Pages of codes that nobody says any more."""
    there = (str(path.relative_to(FOLDER)) for path in (FOLDER / explaining.FOLDER).glob("*.md"))
    return [name for name in there if name not in PAGES]


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def main(args: Sequence[str]) -> int:
    """Write what is stale, man pages as well, or with ``--check`` only name it (1: something is)."""
    code = manuals.main(args)
    found = stale()
    for name in found:
        print(f"docs/{name}")
        if "--check" in args:
            continue
        if name in PAGES or name in PARTS:
            (FOLDER / name).write_text(page(name))
        else:
            (FOLDER / name).unlink()
    return 1 if found and "--check" in args else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
