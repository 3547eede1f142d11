"""A receipt as people read it: phases, what was asked of the new version, what it said, and the fault with its hint.

The document is the supervisor's, which may be a newer one: what is not there is not shown, and what is not known is passed over.
"""

from __future__ import annotations

import time

import msgspec

from midair.admin.text import NOTHING, Html, element, joined, name, shown
from midair.errors import Fault
from midair.observe.metrics import PHASES


class Phase(msgspec.Struct):
    phase: str
    at_s: float = 0.0
    took_s: float | None = None


class Event(msgspec.Struct):
    at_s: float
    event: str
    fields: dict[str, str | int | float | bool | None] = {}


class Receipt(msgspec.Struct, kw_only=True):
    """What is shown of one."""

    number: int
    generation: int = 0
    by: str = ""
    reason: str = ""
    began: float = 0.0
    version: str = ""
    previous_generation: int = 0
    previous_version: str = ""
    phases: list[Phase] = []
    events: list[Event] = []
    result: str = ""
    took_s: float = 0.0
    note: str = ""
    fault: Fault | None = None
    last_lines: list[str] = []
    serving_generation: int = 0
    serving_version: str = ""
    warnings: list[str] = []
    books: dict[str, dict[str, int]] = {}
    cut: list[str] = []


def read(document: bytes) -> Receipt:
    """Raises msgspec.MsgspecError."""
    return msgspec.json.decode(document, type=Receipt)


def whole(receipt: Receipt) -> Html:
    """Everything of it."""
    title = element("h2", shown(f"Update {receipt.number} "), badge(receipt.result or "running"), id="receipt-title")
    lines = [_list("Warnings", receipt.warnings), _list("Requests that were cut off", receipt.cut)]
    return joined(
        [
            title,
            _facts(receipt),
            fault(receipt.fault),
            phases(receipt),
            *lines,
            _events(receipt.events),
            _printed(receipt.last_lines),
            _books(receipt.books),
        ]
    )


def badge(result: str) -> Html:
    """A result in a word; its colour says it again."""
    return element("span", shown(result), class_=f"badge {tone(result)}")


def tone(result: str) -> str:
    match result:
        case "committed":
            return "good"
        case "running":
            return "busy"
        case "superseded" | "stopped" | "unknown":
            return "plain"
        case _:
            return "bad"


def fault(found: Fault | None) -> Html:
    if found is None:
        return NOTHING
    parts = [element("p", shown(found.message), class_="message")]
    if found.hint:
        parts.append(element("p", element("b", shown("Hint: ")), shown(found.hint)))
    parts.append(element("p", shown("Code: "), element("code", shown(found.code)), class_="soft"))
    if found.detail:
        parts.append(element("pre", shown(found.detail.rstrip()), tabindex=0))
    return element("section", element("h3", shown("Fault")), *parts, class_="fault")


def phases(receipt: Receipt) -> Html:
    """Each with how long it took; what is under way says so, what never came is left out once the update has ended."""
    known = {each.phase: each for each in receipt.phases}
    order = [*PHASES, *(phase for phase in known if phase not in PHASES)]
    items = []
    for phase in order:
        if phase in known:
            took_s = known[phase].took_s
            is_last = known[phase] is receipt.phases[-1]
            text = f"{took_s:.2f} s" if took_s is not None else "now" if is_last and not receipt.result else ""
            stands = "bad" if is_last and receipt.fault else "now" if took_s is None and not receipt.result else "done"
            items.append(element("li", element("b", shown(phase)), element("span", shown(text)), class_=stands))
        elif not receipt.result and phase != "canary":
            items.append(element("li", element("b", shown(phase)), element("span", shown("to come")), class_="later"))
    return element("ol", *items, class_="phases", aria_label="Phases") if items else NOTHING


def _facts(receipt: Receipt) -> Html:
    facts = [
        ("Version", _change(receipt)),
        ("Asked for by", shown(receipt.by)),
        ("Reason", shown(receipt.reason)),
        ("Began", moment(receipt.began)),
        ("Took", shown(f"{receipt.took_s:.2f} s") if receipt.took_s else NOTHING),
        ("Then served", shown(f"generation {receipt.serving_generation}") if receipt.serving_generation else NOTHING),
        ("Note", shown(receipt.note)),
    ]
    rows = [Html(element("dt", shown(key)) + element("dd", value)) for key, value in facts if value]
    return element("dl", *rows)


def _change(receipt: Receipt) -> Html:
    was = Html(f"{name(receipt.previous_version)} → ") if receipt.previous_version else NOTHING
    return Html(f"{was}{name(receipt.version or '?')} (generation {receipt.generation})")


def moment(time_s: float) -> Html:
    """Local date and time; a machine finds the same in UTC."""
    there = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_s))
    return element("time", shown(time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_s))), datetime=there)


def _list(title: str, lines: list[str]) -> Html:
    if not lines:
        return NOTHING
    return element(
        "section", element("h3", shown(title)), element("ul", *(element("li", shown(line)) for line in lines))
    )


def _events(events: list[Event]) -> Html:
    if not events:
        return NOTHING
    rows = [
        element(
            "tr",
            element("td", shown(f"{event.at_s:.2f} s"), class_="figure"),
            element("td", shown(event.event.replace("_", " ")), class_="words"),
            element("td", shown(_pairs(event))),
        )
        for event in events
    ]
    head = element("tr", *(element("th", shown(text), scope="col") for text in ("After", "What", "About it")))
    table = element("table", element("thead", head), element("tbody", *rows))
    return element("section", element("h3", shown("What happened")), element("div", table, class_="wide"))


def _pairs(event: Event) -> str:
    return ", ".join(f"{key}: {value}" for key, value in event.fields.items() if value not in (None, ""))


def _printed(lines: list[str]) -> Html:
    if not lines:
        return NOTHING
    return element(
        "section", element("h3", shown("What it printed last")), element("pre", shown("\n".join(lines)), tabindex=0)
    )


def _books(books: dict[str, dict[str, int]]) -> Html:
    if not books:
        return NOTHING
    rows = [
        element(
            "li",
            shown(f"Generation {number}: " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in kept.items() if v)),
        )
        for number, kept in books.items()
    ]
    return element("section", element("h3", shown("What became of connections")), element("ul", *rows))
