"""What the supervisor has its workers tell their pages, and whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from midair.browser import messages
from midair.browser.messages import Compiled, Error, Failed, Hello, Message
from midair.config.schema import Settings
from midair.core.ids import GenerationId, WorkerId
from midair.errors import Fault
from midair.sockets import words
from midair.supervisor.estate import Estate
from midair.supervisor.members import Worker
from midair.supervisor.pages import Pages

SETTINGS = Settings(name="shop", folder="/nowhere", app="app:app", is_dev=True)


@dataclass
class Told:
    """A worker, by what it was told."""

    id: WorkerId
    generation: GenerationId
    heard: list[Message] = field(default_factory=list)

    @property
    def link(self) -> Told:
        return self

    def send(self, word: words.TellPages) -> None:
        self.heard.append(messages.decode(word.message))


class Scene:
    """Pages with two workers, of generation 1 and 2, of which the first serves. ``looks``: errors that are being read."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.old, self.new = (Told(WorkerId(n), GenerationId(n)) for n in (1, 2))
        self.looks: list[tuple[Callable[[], Error], Callable[[Error | Fault], None]]] = []
        self.estate = SimpleNamespace(
            settings=settings,
            ambient={},
            fleet=SimpleNamespace(workers={1: self.old, 2: self.new}),
            commands=SimpleNamespace(workers={}),
            service=SimpleNamespace(serving=GenerationId(1)),
            offload=SimpleNamespace(begin=lambda what, look, kind, done: self.looks.append((look, done))),
        )
        self.pages = Pages(cast(Estate, self.estate))

    def read(self) -> None:
        """The child that reads the oldest error is done."""
        look, done = self.looks.pop(0)
        done(look())


def failed(message: str) -> Fault:
    return Fault("startup-failed", message)


def said(worker: Told) -> list[Any]:
    """What it heard, in short."""
    short: list[Any] = []
    for message in worker.heard:
        match message:
            case Hello(status=status, error=error):
                short.append((status, error.message if error else ""))
            case Compiled(generation=generation):
                short.append(generation)
            case Failed(error=error):
                short.append((error.message, error.serving))
            case _:
                short.append(message)
    return short


def test_a_new_version_is_told_to_its_own_pages_alone_and_once() -> None:
    scene = Scene()
    scene.pages.building()
    for _ in range(2):  # at the cut-over, and at the commit
        scene.pages.compiled(GenerationId(2))
    assert said(scene.old) == [("building", "")]
    assert said(scene.new) == [("building", ""), 2]


def test_an_error_is_told_to_all_with_the_generation_that_still_serves() -> None:
    scene = Scene()
    scene.pages.failed(failed("no database"))
    scene.read()
    assert said(scene.old) == said(scene.new) == [("no database", 1)]
    # Who comes up meanwhile is greeted with it.
    late = Told(WorkerId(3), GenerationId(1))
    scene.pages.started(cast(Worker, late))
    assert said(late) == [("failed", "no database")]


def test_an_error_that_is_read_late_changes_nothing_any_more() -> None:
    scene = Scene()
    scene.pages.failed(failed("the first"))
    scene.pages.step_failed("check", "a.ts(1,2): error TS1: the second")
    scene.read()
    assert said(scene.old) == []
    scene.read()
    assert said(scene.old) == [("the second", 1)]
    scene.pages.failed(failed("the third"))
    scene.pages.compiled(GenerationId(2))
    scene.read()
    assert scene.pages.error is None
    assert said(scene.new)[-1] == 2


def test_an_error_that_cannot_be_read_is_told_all_the_same() -> None:
    scene = Scene()
    scene.pages.failed(failed("x"))
    _, done = scene.looks.pop()
    done(Fault("offload-died", "reading an error ended without a result"))
    assert said(scene.old) == [("reading an error ended without a result", 1)]


def test_without_a_version_pages_wait() -> None:
    scene = Scene()
    scene.estate.service.serving = None
    scene.pages.failed(failed("x"))
    scene.read()
    late = Told(WorkerId(3), GenerationId(0))
    scene.pages.started(cast(Worker, late))
    assert said(scene.old) == [("x", 0)]
    assert said(late) == [("waiting", "x")]


def test_tabs_are_those_of_all_workers_that_live() -> None:
    scene = Scene()
    scene.pages.counted(cast(Worker, scene.old), 2)
    scene.pages.counted(cast(Worker, scene.new), 1)
    assert scene.pages.open == 3
    scene.pages.ended(cast(Worker, scene.old))
    assert scene.pages.open == 1


def test_the_token_is_one_for_all_versions_and_another_for_each_start() -> None:
    pages = Scene().pages
    first, second = pages.settings(SETTINGS), pages.settings(SETTINGS)
    assert first is not None
    assert second is not None
    assert first.token == second.token
    assert len(first.token) >= 20
    other = Scene().pages.settings(SETTINGS)
    assert other is not None
    assert other.token != first.token


def test_under_midair_run_nobody_is_told_anything() -> None:
    scene = Scene(msgspec.structs.replace(SETTINGS, is_dev=False))
    pages = scene.pages
    pages.building()
    pages.failed(failed("x"))
    pages.compiled(GenerationId(2))
    pages.started(cast(Worker, scene.new))
    assert pages.settings(scene.estate.settings) is None
    assert (said(scene.old), said(scene.new), scene.looks) == ([], [], [])
