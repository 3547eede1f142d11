"""What ``midair top`` shows: from two reports to the lines of a screen. Pure: no terminal, no clock, no service.

name, state, totals                        always
generations, a row each                    always
drain: a bar, pace, time left              while something is on its way
update: its phases                         while one goes on
workers, a row each                        as far as there is room
events, the latest below                   the rest
message, keys                              the last two lines
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from midair.cli import glance
from midair.cli.curve import sentence
from midair.cli.glance import Rates
from midair.cli.show import BOLD, DIM, GREEN, RED, YELLOW, age, aligned, clean, clock, fitting, narrowed, size, version
from midair.control.words import EventLine, GenerationStatus, StatusReport
from midair.observe.metrics import PHASES

KEYS = "r reload   R rollback   d drain now   h help   q quit"
HELP = (
    "r   update to what is on disk, as midair reload does",
    "R   go back to the version before; in a bake at once, as midair rollback does",
    "d   have what drains end within 5 s: connections move all at once, as midair drain does",
    "h   this, or back",
    "q   leave; the service goes on",
    "",
    "r, R and d ask first: y does it, any other key does not.",
    "BUSY: with a request in flight; WS: WebSockets; 5XX: answers of status 500 and above.",
    "Rates and latencies are those of the last interval; CPU is of one processor.",
)
ABOUT = ("update", "generation", "version", "slot", "pid")
"""Fields of an event that stand last: they are cut first."""
WORKERS_SHARE = 2
"""Workers take at most one in so many lines of what is left; events need the others."""
BAR_WIDTH = 20
HEADS = ("GEN", "VERSION", "ROLE", "OPEN", "IDLE", "BUSY", "WS", "REQ/S", "5XX/S", "P50", "P99", "CPU", "MEM")
DROPPED = ("IDLE", "MEM", "CPU", "P50", "WS")
"""Columns that go, in this order, where a terminal is too narrow for all."""
QUIET = frozenset({"connections_moving", "probed", "imported", "worker_started", "worker_ready"})
"""Events that the rest of the screen shows better."""
LEVEL_STYLES = {"error": RED, "warning": YELLOW}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the screen. ``style``: of all of it, as ``show.py`` names them; empty: plain."""

    text: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """Everything that decides what is shown."""

    now: StatusReport
    before: StatusReport | None = None
    message: str = ""
    """What an action came to, or what it would do."""
    trouble: str = ""
    """The service does not answer, and since when: what is shown is old."""
    is_help: bool = False


def screen(view: View, width: int, height: int) -> list[Line]:
    """The lines of a terminal of this size: at most ``height``, none longer than ``width``."""
    body = [*_top(view, width)]
    footer = [_message(view), Line(KEYS, DIM)]
    room = max(0, height - len(body) - len(footer))
    if view.is_help:
        body += [Line(), *(Line(text) for text in HELP)][:room]
    else:
        body += _rest(view, room)
    body = body[: max(0, height - len(footer))]
    body += [Line()] * (height - len(footer) - len(body))
    lines = [*body, *footer][-height:] if height < len(footer) else [*body, *footer]
    return [Line(fitting(clean(line.text), width), line.style) for line in lines]


def document(view: View) -> dict[str, object]:
    """The same as a document, for scripts."""
    rates = glance.rates(view.before, view.now)
    now = view.now
    return {
        "name": now.name,
        "state": now.state,
        "version": now.version,
        "serving": now.serving,
        "uptime_s": now.uptime_s,
        "update": now.update,
        "moving": now.moving,
        "generations": [_generation_document(each, rates.get(each.number)) for each in now.generations],
        "events": now.events,
    }


def _generation_document(each: GenerationStatus, rates: Rates | None) -> dict[str, object]:
    connections = glance.connections_of(each)
    found: dict[str, object] = {
        "generation": each.number,
        "version": each.version,
        "role": each.role,
        "workers": len(each.workers),
        "open": connections.open,
        "idle": connections.idle,
        "active": connections.active,
        "streams": connections.streams,
        "websockets": connections.websockets,
        "rss_bytes": sum(worker.rss_bytes for worker in each.workers),
        "ends_in_s": max((w.ends_in_s for w in each.workers if w.ends_in_s is not None), default=None),
    }
    if rates:
        found |= {
            "requests_per_s": round(rates.requests_per_s, 2),
            "errors_per_s": round(rates.errors_per_s, 2),
            "p50_s": _finite(rates.p50_s),
            "p99_s": _finite(rates.p99_s),
            "processor": round(rates.processor, 3),
        }
    return found


def _finite(seconds: float | None) -> float | None:
    return None if seconds is None or seconds == float("inf") else round(seconds, 6)


# --- parts ---------------------------------------------------------------------------------------------------------


def _top(view: View, width: int) -> Iterator[Line]:
    now = view.now
    rates = glance.rates(view.before, now)
    serving = version(now.version, now.serving) if now.serving else "nothing serves"
    style = RED if now.state == "failing" or view.trouble else YELLOW if now.state in ("waiting", "stopping") else BOLD
    yield Line(f"{now.name}  {now.state}: {serving}  up {age(now.uptime_s)}, pid {now.pid}", style)
    if view.trouble:
        yield Line(view.trouble, RED)
    yield Line()
    rows = [_row(each, rates.get(each.number)) for each in now.generations]
    heads, shown = narrowed(HEADS, rows, DROPPED, width)
    heads_line, *lines = aligned(heads, shown, right=frozenset(range(3, len(heads))))
    yield Line(heads_line, DIM)
    for each, line in zip(now.generations, lines, strict=True):
        yield Line(line, {"serving": GREEN, "retiring": YELLOW, "candidate": BOLD, "canary": BOLD}.get(each.role, ""))


def _row(each: GenerationStatus, rates: Rates | None) -> Sequence[str]:
    connections = glance.connections_of(each)
    return (
        f"g{each.number}",
        fitting(each.version, 12),
        each.role,
        f"{connections.open:,}",
        f"{connections.idle:,}",
        f"{connections.active:,}",
        f"{connections.websockets:,}",
        f"{rates.requests_per_s:,.0f}" if rates else "-",
        f"{rates.errors_per_s:,.0f}" if rates else "-",
        latency(rates.p50_s if rates else None),
        latency(rates.p99_s if rates else None),
        f"{rates.processor:.0%}" if rates else "-",
        _short_size(sum(worker.rss_bytes for worker in each.workers)),
    )


def latency(seconds: float | None) -> str:
    """``850us``, ``12ms``, ``1.5s``; ``>10s`` above what is counted; ``-``: no answer."""
    if seconds is None:
        return "-"
    if seconds == float("inf"):
        return ">10s"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f}us"
    return f"{seconds * 1e3:.0f}ms" if seconds < 1 else f"{seconds:.1f}s"


def _short_size(count: int) -> str:
    """``80M``: a column of five."""
    number, unit = size(count).split(" ")
    return f"{float(number):.0f}{unit[0]}"


def _rest(view: View, room: int) -> list[Line]:
    """Drain and update in any case, then workers, then events."""
    now = view.now
    lines = [*_on_the_way(now)]
    if now.hold:
        lines.append(Line(f"held: {now.hold.reason} (by {now.hold.by or 'somebody'})", YELLOW))
    elif now.on_disk and now.version and now.on_disk != now.version and not now.update:
        lines.append(Line(f"on disk: {now.on_disk}", YELLOW))
    if lines:
        lines.insert(0, Line())
    left = room - len(lines)
    workers = [*_workers(view)]
    if 2 < len(workers) + 1 <= max(left // WORKERS_SHARE, 4):
        lines += [Line(), *workers]
    left = room - len(lines) - 1
    events = [_event(each) for each in now.events if each.event not in QUIET]
    if left > 0 and events:
        lines += [Line(), *events[-left:]]
    return lines[:room]


def _on_the_way(now: StatusReport) -> Iterator[Line]:
    if going := now.update:
        left = f", {age(going.left_s)} left" if going.left_s else ""
        by = f", by {going.by}" if going.by else ""
        way = " > ".join(phase.upper() if phase == going.phase else phase for phase in PHASES)
        yield Line(
            f"update {going.update}: {version(going.version, going.generation)}, {age(going.age_s)}{left}{by}", BOLD
        )
        yield Line(f"  {way}")
    if moving := now.moving:
        done = moving.of - moving.left
        share = f"{done / moving.of:.0%}" if moving.of else ""
        halted = RED if moving.share <= 0 else YELLOW if moving.share < 1 else ""
        yield Line(f"moving {glance.bar(done, moving.of, BAR_WIDTH)} {share}  {sentence(moving)}", halted)
    for each in glance.losing(now):
        yield Line(f"g{each.number} loses: {glance.loss_sentence(each)}", RED)
    for each in glance.draining(now):
        yield Line(f"g{each.number} drains: {glance.drain_sentence(each)}", YELLOW)


def _workers(view: View) -> Iterator[Line]:
    heads = ("WORKER", "PID", "STATE", "OPEN", "ACTIVE", "CPU", "MEM", "AGE")
    rows = [row for each in view.now.generations for row in _worker_rows(view, each)]
    for number, text in enumerate(aligned(heads, rows, right=frozenset({1, 3, 4, 5, 6, 7}))):
        yield Line(text, "" if number else DIM)


def _worker_rows(view: View, each: GenerationStatus) -> Iterator[Sequence[str]]:
    before, used = view.before, dict[int, float]()
    if before and glance.are_of_one_life(before, view.now):
        known = next((g for g in before.generations if g.number == each.number), None)
        used = glance.processors(known, each, view.now.uptime_s - before.uptime_s)
    for worker in each.workers:
        yield (
            f"{each.number}.{worker.slot}",
            str(worker.pid),
            worker.state,
            f"{worker.connections:,}",
            f"{worker.active:,}",
            f"{used[worker.id]:.0%}" if worker.id in used else "-",
            _short_size(worker.rss_bytes),
            age(worker.age_s),
        )


def _event(each: EventLine) -> Line:
    ordered = sorted(each.fields.items(), key=lambda field: ABOUT.index(field[0]) if field[0] in ABOUT else -1)
    shown = [f"{name}={_plain(value)}" for name, value in ordered if value is not None and "\n" not in str(value)]
    return Line(
        f"{clock(each.time_s)} {each.event.replace('_', ' ')}  {' '.join(shown)}", LEVEL_STYLES.get(each.level, "")
    )


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _message(view: View) -> Line:
    if view.message:
        return Line(view.message, BOLD)
    found = glance.advice(view.now)
    return Line(f"{found[0].command}: {found[0].why}", DIM) if found and not view.trouble else Line()
