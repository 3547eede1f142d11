"""The page on what is seen at a glance: its screens are made by the commands themselves, of reports that were made by hand."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cli import reports

from midair.cli.logs import text_of
from midair.cli.show import Show
from midair.cli.statusscreen import show_status
from midair.cli.topscreen import View, screen
from midair.cli.why_alive import lines_of
from midair.control import words

PAGE = """\
# Seeing at a glance

Four commands for the moment when something is wrong. They only look, but for the keys of `midair top`,
which ask first; none of them waits for a worker that hangs.

| command | answers |
| --- | --- |
| `midair status` | what serves, what drains and why, what is on disk, how the last updates ended, what to type next |
| `midair top` | the same, live, with rates and latencies of each version; keys to act |
| `midair why-alive 7` | what keeps generation 7, one by one, until when it may, and what would end it |
| `midair logs -f` | what workers print and what midair says, across updates and upgrades |

All have `--json`. Who may look is who may ask for the status: root, the service's own user, and the groups of `control.operators`
and `control.readers`; only operators may act.

## midair status

```text
{status}
```

`to type next` stands there only if there is something to type. After an update that was refused:

```text
{refused}
```

In a crash loop:

```text
{loop}
```

What to do about each of these, step by step: [three in the morning](at-three.md).

A service with more than eight workers has a row a generation; `--workers` shows each. On a terminal that is too narrow whole
columns go, from the least needed on; into a pipe everything is written.

## midair top

```text
{top}
```

It needs a terminal, works over ssh from 80×24 on, follows its size, and leaves it as it found it, however it ends. `NO_COLOR` takes
the colours away.

| key | does |
| --- | --- |
| `r` | updates to what is on disk, as `midair reload` |
| `R` | goes back to the version before, as `midair rollback`; in a bake at once |
| `d` | ends what drains, as `midair drain`: connections move all at once, and what cannot move is ended within 5 s |
| `h`, `q` | help; leave, and the service goes on |

`r`, `R` and `d` ask first, `y` does it. The line above the keys tells what became of it.

- Rates, `P50` and `P99` are those of the last interval (`--interval`, 1 s). Latencies come out of the buckets of
  `midair_request_duration_seconds`, even within a bucket. `CPU` is of one processor, all workers of the version together.
- If midair is upgraded in place meanwhile, it goes on and says so; if the service is gone, it says since when and tries again.
- `--once` prints one screen as text, `--json` a document an interval, `--once --json` one document.

## midair why-alive

Without a number: the oldest version that is on its way out; if none is, the one that serves.

```text
{why}
```

- A request is named by its method and path, never by its query. Of each worker 40 connections are told one by one, those that end
  least by themselves first; all are counted.
- `at` is where the application's call waits, innermost first.
- `moves`: it will, when it comes to that point. `stays`: no other worker can go on with it, and why. Then it ends by itself, or
  is ended at the time that the worker's line says.
- A worker whose event loop does not answer within a second is told as one that hangs, with where its threads stand.
- Of a command children and clients are told as the kernel knows them; what it does for them nobody can say from outside.

`midair drain` ends it sooner: connections that can move do so at once, whatever `drain.rate` says, and requests under way get
5 s (`--within`). What is parked for a rollback during a bake stays.

## midair logs

```text
{logs}
```

| flag | leaves |
| --- | --- |
| `-f` | goes on with what comes; an upgrade in place is not noticed, and while the service is away it is waited for |
| `-g 8` | generation 8 alone; without it all that run |
| `--update 8` | the lines of the version that update 8 brought, and what midair said of both |
| `--since 5m` | what is not older |
| `--level warning` | this level and above |
| `--no-events` | only what workers printed |

A line has the level that it says: a JSON field `level`, `levelname` or `severity`, or a word such as `ERROR` near its beginning;
else `info`.

The last 200 lines of each generation are kept, and the last 400 events; the whole log is where the service writes it
(the [journal](systemd.md), a file). With `log.output = "inherit"` workers' lines do not pass by, and only events are here.

## How long it takes

`midair --help` imports nothing but a table, and takes about twice what `python -c pass` takes. `midair status` (alone or with
`--json`) does without the parser of the command line, and looks at the disk to say what a restart would start: ten times that.
Tests hold what either may import.
"""


def page() -> str:
    """The page."""
    with _in_utc():
        view = View(now=reports.draining(2.0), before=reports.draining())
        parts = {
            "status": _status(reports.draining()),
            "refused": _status(reports.refused()),
            "loop": _status(reports.crash_loop()),
            "top": "\n".join(line.text for line in screen(view, 80, 24)),
            "why": "\n".join(lines_of(reports.REPORT)),
            "logs": "\n".join(text_of(line) for line in LOG),
        }
    text = PAGE
    for name, part in parts.items():
        text = text.replace("{" + name + "}", part)
    return text


def _status(report: words.StatusReport) -> str:
    out = io.StringIO()
    show_status(Show(as_json=False, out=out, err=out), report, now_s=reports.BASE_S)
    return out.getvalue().rstrip()


LOG = (
    words.LogLine(time_s=reports.BASE_S, generation=7, slot=0, text="GET /orders 200"),
    words.LogLine(
        time_s=reports.BASE_S,
        generation=8,
        slot=-1,
        text="cut over",
        event="cut_over",
        level="info",
        fields={"update": 8, "generation": 8, "version": "1.9", "previous": 7},
    ),
    words.LogLine(time_s=reports.BASE_S, generation=8, slot=1, text="ERROR shop: no stock of 4711"),
    words.LogLine(
        time_s=reports.BASE_S + 2,
        generation=8,
        slot=-1,
        text="probe failed",
        event="probe_failed",
        level="warning",
        fields={"worker": 5, "answer": "503", "failures": 1},
    ),
)


@contextmanager
def _in_utc() -> Iterator[None]:
    """Commands show local time; a page is the same everywhere."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()
