"""What stands on the page is text, whoever wrote it, and all of it is there without a script."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import re
from pathlib import Path

import msgspec
import pytest

from midair.admin import page
from midair.admin.lookout import View
from midair.admin.samples import Samples
from midair.control.words import (
    GenerationStatus,
    HoldStatus,
    MovingStatus,
    ReceiptLine,
    StatusReport,
    UpdateStatus,
    WorkerStatus,
)
from midair.errors import Fault
from midair.observe.metrics import GenerationFigures, MetricsSnapshot

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "a\u202egnp.exe",
    "\"'><b>&lt;",
    "\x1b[31m\udcff",
)


def _document(text: str) -> bytes:
    """A receipt in which everything that somebody else may have written is ``text``."""
    told = text.encode(errors="replace").decode()
    return msgspec.json.encode(
        {
            "number": 2,
            "generation": 2,
            "by": told,
            "reason": told,
            "began": 1.7e9,
            "version": told,
            "previous_version": told,
            "previous_generation": 1,
            "result": told,
            "took_s": 1.5,
            "note": told,
            "phases": [{"phase": "build", "at_s": 0, "took_s": 1.0}, {"phase": told, "at_s": 1.0, "took_s": None}],
            "events": [{"at_s": 0.5, "event": told, "fields": {told: told, "empty": None}}],
            "fault": {"code": told, "message": told, "hint": told, "detail": told},
            "last_lines": [told],
            "warnings": [told],
            "cut": [told],
            "books": {told: {told: 1}},
            "of_a_newer_midair": {told: told},
        }
    )


def _view(text: str) -> View:
    worker = WorkerStatus(id=1, slot=0, pid=7, state=text, rss_bytes=2**20)
    generation = GenerationStatus(
        number=1, version=text, role=text, mode="fork", why=text, workers=(worker,), note=text
    )
    line = ReceiptLine(
        number=2, time_s=1.7e9, result=text, source=text, target=text, by=text, reason=text, fault=text, duration_s=1.0
    )
    status = StatusReport(
        name=text,
        folder=text,
        target=text,
        pid=1,
        midair=text,
        uptime_s=5.0,
        state=text,
        serving=1,
        version=text,
        on_disk=text + "2",
        generations=(generation,),
        last=(line,),
        binds=(text,),
        warnings=(text,),
        hold=HoldStatus(reason=text, by=text, left_s=90.0),
        update=UpdateStatus(update=2, phase=text, generation=2, version=text, by=text, reason=text),
        moving=MovingStatus(left=3, of=9, for_s=4.0, rate_per_s=0.05, share=0.5),
    )
    figures = MetricsSnapshot(
        generations=(GenerationFigures(generation=1, version=text, role=text, counts={"open": 3}),)
    )
    samples = Samples()
    samples.add(1.7e9, status, figures)
    return View(
        status=status,
        figures=figures,
        updates=(line,),
        going_on=_document(text),
        samples=samples,
        silent_since_s=1.7e9,
        why_silent=text,
    )


class _Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.said += data


def _read(text: str) -> _Tags:
    tags = _Tags()
    tags.feed(text)
    return tags


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_somebody_wrote_becomes_markup_or_turns_a_line_around(text: str) -> None:
    harmless, hostile = _view("harmless"), _view(text)
    for made in (page.page, lambda view: page.receipt_page(view.going_on)):
        plain, dangerous = _read(made(harmless)), _read(made(hostile))
        assert dangerous.tags == plain.tags
        assert dangerous.attributes == plain.attributes
        assert not any(attribute.startswith("on") for attribute in dangerous.attributes)
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b\ud800-\udfff]", made(hostile))
    for part in page.parts(hostile).values():
        assert "<script" not in part
        assert "<img" not in part


def test_what_was_written_can_be_read() -> None:
    said = _read(page.page(_view("<script>a\u202eb</script>"))).said
    assert "<script>a\\x202eb</script>" in said


def test_the_policy_allows_the_script_and_the_style_of_the_file_and_no_other() -> None:
    text = page.page(_view("x"))
    assert "unsafe" not in page.policy()
    for tag in ("script", "style"):
        (content,) = re.findall(f"<{tag}[^>]*>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in page.policy()
    assert "style" not in _read(text).attributes
    assert "default-src 'none'" in page.policy()


def test_the_page_asks_nobody_else() -> None:
    text = (Path(page.__file__).parent / "page.html").read_text()
    assert not re.search("https?://|//[a-z]+[.]|@import|url[(]", text)


def test_without_a_script_everything_is_there() -> None:
    said = _read(page.page(_view("spring"))).said
    for words in (
        "spring serves",
        "On disk",
        "Updates are held: spring",
        "3 of 9 connections",
        "5% a second",
        "does not answer since",
    ):
        assert words in said
    assert "Held back to 50%" in said
    assert page.page(_view("x")).count('href="receipts/2"') == 2


def test_an_update_to_what_was_refused_is_not_advised() -> None:
    refused = ReceiptLine(number=2, time_s=0.0, result="refused", target="1.9")
    status = _view("x").status
    assert status is not None
    status = msgspec.structs.replace(status, version="1.8", on_disk="1.9", last=(refused,))
    assert "it was refused before" in page._disk(status)
    assert "midair reload" not in page._disk(status)
    assert "midair reload updates to it" in page._disk(msgspec.structs.replace(status, last=()))


def test_a_service_that_has_never_answered_is_said() -> None:
    assert "does not answer: refused" in page.page(View(why_silent="refused"))


def test_a_receipt_shows_phases_probes_lines_and_the_fault_with_its_hint() -> None:
    document = {
        "number": 4,
        "generation": 3,
        "by": "SIGHUP",
        "began": 1.7e9,
        "result": "refused",
        "took_s": 2.0,
        "phases": [{"phase": "build", "at_s": 0.0, "took_s": 0.25}, {"phase": "start", "at_s": 0.25, "took_s": 1.75}],
        "events": [{"at_s": 1.0, "event": "probed", "fields": {"verdict": "unhealthy", "answer": "503"}}],
        "fault": msgspec.to_builtins(Fault("not-ready", "it was not ready", "see its log", "Traceback…")),
        "last_lines": ["Traceback", "KeyError: 'DATABASE'"],
    }
    text = page.receipt_page(msgspec.json.encode(document))
    said = _read(text).said
    for words in (
        "refused",
        "0.25 s",
        "probed",
        "verdict: unhealthy, answer: 503",
        "see its log",
        "Traceback…",
        "KeyError: 'DATABASE'",
    ):
        assert words in said
    assert '<li class="bad"><b>start</b>' in text
    assert "to come" not in said, "an update that has ended goes no further"


def test_a_receipt_that_cannot_be_read_says_so() -> None:
    assert "cannot be read" in page.receipt_page(b'{"number": "x"}')
