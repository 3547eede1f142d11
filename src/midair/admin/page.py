"""The page: what is known, as HTML. Pure; made whole for a browser without scripts, and in parts for its own script, which puts
those in that have changed. There is one way from a value to markup, and it escapes.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from midair.admin import receipt as receipts
from midair.admin.lookout import View
from midair.admin.plot import drain
from midair.admin.samples import Rate
from midair.admin.text import NOTHING, Html, element, joined, name, shown
from midair.control.ondisk import TOLD, trouble_with_disk
from midair.control.words import GenerationStatus, MovingStatus, ReceiptLine, StatusReport
from midair.observe.counters import LATENCY_BOUNDS_S
from midair.observe.metrics import GenerationFigures
from midair.observe.wording import age, size

HEADS = (
    "Generation",
    "Version",
    "Does",
    "Workers",
    "Open",
    "Active",
    "WebSockets",
    "Requests/s",
    "Median",
    "95 %",
    "Errors",
    "Memory",
)


class Template(NamedTuple):
    """The file, and the policy that allows its own script and style and nothing else."""

    text: str
    policy: str


def page(view: View) -> str:
    """All of it."""
    return _filled(title(view), joined(part_element(key, part) for key, part in parts(view).items()), is_live=True)


def title(view: View) -> str:
    return f"{view.status.name}: {_state(view)}" if view.status else "midair"


def receipt_page(document: bytes) -> str:
    """One receipt, for a browser without scripts and for a link to keep."""
    try:
        receipt = receipts.read(document)
    except msgspec.MsgspecError as error:
        return problem_page("Receipt", f"this receipt cannot be read here: {error}")
    back = element("p", element("a", shown("← All that goes on"), href="../"))
    return _filled(f"Update {receipt.number}", Html(back + element("article", receipts.whole(receipt), id="receipt")))


def problem_page(title: str, text: str) -> str:
    back = element("p", element("a", shown("← All that goes on"), href="../"))
    return _filled(title, Html(element("h2", shown(title)) + element("p", shown(text)) + back))


def parts(view: View) -> dict[str, Html]:
    """What stands on the page, by the id of its place."""
    status = view.status
    if status is None:
        return {"state": _silence(view)}
    return {
        "state": _head(view, status),
        "generations": _section("Generations", _generations(view, status)),
        "update": _update(view, status),
        "drain": _section("Drain", Html(_moving(status.moving) + drain(view.samples.after(0)))),
        "updates": _section("Updates", _updates(view.updates)),
    }


def part_element(key: str, part: Html) -> Html:
    return element("div", part, id=key)


# --- the head --------------------------------------------------------------------------------------------------------


def _state(view: View) -> str:
    if view.silent_since_s or view.status is None:
        return "does not answer"
    return view.status.state


def _head(view: View, status: StatusReport) -> Html:
    state = _state(view)
    tone = "good" if state == "serving" else "busy" if state in ("updating", "starting", "waiting") else "bad"
    badge = element("span", shown(state), class_=f"badge {tone}", role="status")
    serves = (
        Html(f"{name(status.version)} serves, generation {status.serving}")
        if status.serving
        else shown("nothing serves")
    )
    about = f"up {_length(status.uptime_s)} · pid {status.pid} · midair {status.midair} · {', '.join(status.binds)}"
    lines = [
        Html(f"<h1>{name(status.name)} {badge}</h1>"),
        element("p", serves, class_="serves"),
        element("p", shown(about), class_="soft"),
        _silence(view),
        _hold(status),
        _disk(status),
        *(_banner("warn", shown(warning)) for warning in status.warnings),
    ]
    return joined(lines)


def _silence(view: View) -> Html:
    if not view.silent_since_s and view.status:
        return NOTHING
    since = f" since {time.strftime('%H:%M:%S', time.localtime(view.silent_since_s))}" if view.silent_since_s else ""
    known = " What stands here is what was known then." if view.status else ""
    return _banner("bad", shown(f"The service does not answer{since}: {view.why_silent or 'not asked yet'}.{known}"))


def _hold(status: StatusReport) -> Html:
    if status.hold is None:
        return NOTHING
    left = f", {age(status.hold.left_s)} left" if status.hold.left_s else ""
    return _banner("warn", shown(f"Updates are held: {status.hold.reason} (by {status.hold.by or 'somebody'}{left})"))


def _disk(status: StatusReport) -> Html:
    if not status.on_disk or not status.version or status.on_disk == status.version:
        return NOTHING
    told = TOLD[trouble_with_disk(status)]
    return _banner("warn", Html(f"On disk: {name(status.on_disk)}. A restart would start that; {shown(told)}."))


def _banner(tone: str, text: Html) -> Html:
    return element("p", text, class_=f"banner {tone}")


# --- generations -----------------------------------------------------------------------------------------------------


def _generations(view: View, status: StatusReport) -> Html:
    figures = {each.generation: each for each in view.figures.generations}
    rows = [
        _row(generation, figures.get(generation.number), view.samples.rate(generation.number))
        for generation in reversed(status.generations)
    ]
    if not rows:
        return element("p", shown("No generation has processes."), class_="soft")
    head = element("tr", *(element("th", shown(text), scope="col") for text in HEADS))
    table = element("table", element("thead", head), element("tbody", *rows), class_="cards")
    return element("div", table, class_="wide")


def _row(generation: GenerationStatus, figures: GenerationFigures | None, rate: Rate | None) -> Html:
    counts = figures.counts if figures else {}
    has_figures = generation.mode != "exec"
    states: dict[str, int] = {}
    for worker in generation.workers:
        states[worker.state] = states.get(worker.state, 0) + 1
    cells = (
        shown(generation.number),
        name(generation.version),
        _role(generation),
        shown(", ".join(f"{count} {state}" for state, count in states.items()) or "none"),
        _count(counts.get("open", 0), has_figures),
        _count(counts.get("active", 0), has_figures),
        _count(counts.get("websockets", 0), has_figures),
        shown(f"{rate.requests_per_s:.1f}" if rate and has_figures else "–"),
        _seconds(rate.median_s if rate else None),
        _seconds(rate.slow_s if rate else None),
        shown(f"{rate.errors:.1%}" if rate and has_figures and rate.median_s is not None else "–"),
        shown(size(sum(worker.rss_bytes for worker in generation.workers))),
    )
    return element(
        "tr",
        *(
            element("td", cell, data_label=head, class_="figure" if place > 3 else "words")
            for place, (head, cell) in enumerate(zip(HEADS, cells, strict=True))
        ),
    )


def _role(generation: GenerationStatus) -> Html:
    tone = {"serving": "good", "candidate": "busy", "canary": "busy"}.get(generation.role, "plain")
    note = element("small", shown(generation.note)) if generation.note else NOTHING
    return Html(element("span", shown(generation.role), class_=f"badge {tone}") + note)


def _count(count: int, is_known: bool) -> Html:
    return shown(count if is_known else "–")


def _seconds(seconds: float | None) -> Html:
    if seconds is None:
        return shown("–")
    if seconds == float("inf"):
        return shown(f"> {LATENCY_BOUNDS_S[-1]:g} s")
    return shown(f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s")


# --- updates ---------------------------------------------------------------------------------------------------------


def _update(view: View, status: StatusReport) -> Html:
    if status.update is None:
        return NOTHING
    going = status.update
    by = f", by {going.by}" if going.by else ""
    reason = f": {going.reason}" if going.reason else ""
    said = element("p", Html(f"{name(going.version or '?')} (generation {going.generation})"), shown(f"{by}{reason}"))
    try:
        phases = receipts.phases(receipts.read(view.going_on)) if view.going_on else NOTHING
    except msgspec.MsgspecError:
        phases = NOTHING  # A newer supervisor's: the status says the phase, too.
    link = element("p", element("a", shown("Its receipt so far"), href=f"receipts/{going.update}"))
    head = f"Update {going.update}: {going.phase}"
    return _section(head, Html(said + phases + link))


def _moving(moving: MovingStatus | None) -> Html:
    if moving is None:
        return NOTHING
    pace = "all at once" if moving.rate_per_s >= 1 else f"{moving.rate_per_s:.0%} a second"
    for_s = f", about {age(moving.for_s)} yet" if moving.for_s else ""
    slowed = f" Held back to {moving.share:.0%} of it: the new version fails or is slow." if moving.share < 1 else ""
    return element("p", shown(f"{moving.left} of {moving.of} connections are on their way, {pace}{for_s}.{slowed}"))


def _updates(lines: tuple[ReceiptLine, ...]) -> Html:
    if not lines:
        return element("p", shown("There has been no update yet."), class_="soft")
    return element("ol", *(_line(line) for line in lines), class_="timeline")


def _line(line: ReceiptLine) -> Html:
    change = Html(f"{name(line.source)} → {name(line.target or '?')}") if line.source else name(line.target or "?")
    link = element("a", shown(f"Update {line.number}"), href=f"receipts/{line.number}")
    took = shown(f"{line.duration_s:.2f} s") if line.result != "running" else shown("under way")
    about = [receipts.moment(line.time_s), took, shown(line.by)]
    reason = element("q", shown(line.reason)) if line.reason else NOTHING
    fault = element("p", shown(line.fault), class_="message") if line.fault else NOTHING
    first = element("div", link, receipts.badge(line.result), element("span", change), class_="line")
    second = element("div", joined(about, " · "), Html(f" {reason}") if reason else NOTHING, class_="soft")
    return element("li", first, second, fault, class_=receipts.tone(line.result))


def _section(title: str, content: Html) -> Html:
    return element("section", element("h2", shown(title)), content)


def _length(seconds: float) -> str:
    """An uptime that does not change at each look while it is long."""
    return age(seconds) if seconds >= 60 else "less than a minute"


# --- the file --------------------------------------------------------------------------------------------------------


def policy() -> str:
    return _template().policy


def _filled(title: str, main: Html, *, is_live: bool = False) -> str:
    values = {"TITLE": shown(title), "MAIN": main, "LIVE": "live" if is_live else "still"}
    return re.sub("@(TITLE|MAIN|LIVE)@", lambda found: values[found[1]], _template().text)


@functools.cache
def _template() -> Template:
    text = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    style, script = (_hash(text, tag) for tag in ("style", "script"))
    return Template(
        text,
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )


def _hash(text: str, tag: str) -> str:
    """What a policy calls the one element of this kind."""
    (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
