"""Carries out a plan: the effects of each step, in order, and the way back when one fails.

What a killed deployment leaves is always one of these, and each is put right by the next: a folder with a mark (swept), a journal
(settled), a release too many (tidied). So there is nothing to resume: it is typed again.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from midair.config.load import Loaded, load, sources_for_run
from midair.control.words import Outcome, StatusReport
from midair.deploy import environment, plan, source
from midair.deploy.errors import SharedMissing, SourceUnusable, UnsafeSource, unwritable
from midair.deploy.facts import Facts, gather
from midair.deploy.plan import Step
from midair.deploy.source import Source
from midair.deploy.tree import Entry
from midair.errors import DONE, REFUSED, UNKNOWN, Fault, MidairError
from midair.release.folders import (
    GOING,
    Journal,
    Layout,
    Manifest,
    current_release,
    end_journal,
    make_release,
    make_whole,
    read_manifest,
    switch,
    write_document,
    write_manifest,
)


class Service(Protocol):
    """The service that is updated."""

    def look(self) -> StatusReport | None:
        """How it is; None: it does not run."""

    def update(self, folder: str) -> Outcome:
        """Update to what ``current`` names now, the release in ``folder``; return when it is over."""

    def go_back(self) -> Outcome:
        """Back to the version before, which may still be warm."""


class DeployRefused(MidairError):
    """The service refused the new release or took it back. ``current`` names the one again that serves."""

    code = "deploy-refused"
    exit_code = REFUSED

    def __init__(self, outcome: Outcome, current: str) -> None:
        fault = outcome.fault or Fault(outcome.result, f"the update was {outcome.result}")
        hint = fault.hint or (f"midair receipt {outcome.receipt} tells everything" if outcome.receipt else "")
        back = f"current names {current} again" if current else "there is no current release"
        super().__init__(f"{fault.message}; {back}", hint=hint, detail=fault.detail)
        self.code = fault.code
        self.exit_code = outcome.exit_code
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    source: Source
    entries: list[Entry]
    revision: str
    name: str
    by: str


@dataclass(slots=True)
class Done:
    """How it went."""

    current: str
    outcome: Outcome | None = None
    """None: nothing runs, so nothing was updated."""
    removed: tuple[str, ...] = ()


class Deployer:
    """One deployment at a time; whoever makes one holds the lock."""

    def __init__(
        self,
        layout: Layout,
        service: Service,
        *,
        check: Callable[[Loaded], None],
        environ: Mapping[str, str],
        begins: Callable[[Step], None] = lambda step: None,
    ) -> None:
        """check: raises what midair check would say of a release. begins: is told of each step."""
        self.layout = layout
        self._service = service
        self._check = check
        self._environ = environ
        self._begins = begins

    def facts(self, need_bytes: int = 0) -> Facts:
        return gather(self.layout, time.time(), self._service.look, need_bytes)

    # --- the three things that are asked for --------------------------------------------------------------------

    def deploy(self, facts: Facts, order: Order) -> Done:
        """A new release. Raises MidairError; then nothing that served before has changed, and ``current`` names it."""
        with self._undone_on_failure(order.name):
            for step in plan.first_steps(facts, order.name, order.source.shown):
                self._do(step, order)
            loaded = self.load(order.name)
            steps = plan.further_steps(facts, order.name, loaded.settings.deploy)
            for step in steps:
                if step.name == "switch":
                    break
                self._do_prepared(step, order.name, loaded)
            self._make_whole(order)
        return self._change(facts, [step for step in steps if step.name in ("switch", "update", "tidy")], order.name)

    def go_to(self, facts: Facts, name: str) -> Done:
        """A release that is there."""
        steps = plan.steps_back(facts, name)
        for step in steps:
            if step.name == "settle":
                self._begins(step)
                self._settle(step.names[0])
            elif step.name == "check":
                self._begins(step)
                self._check(self.load(name))
        return self._change(facts, [step for step in steps if step.name in ("switch", "update")], name)

    def go_back(self, facts: Facts) -> Done:
        """The version before, as warm as it still is; ``current`` follows what serves in the end."""
        if facts.serving is None:
            return self.go_to(facts, plan.release_before(facts))
        self._write_journal(Journal(source=facts.current, target=facts.current, began_s=facts.now_s))
        self._begins(Step("update", "as midair rollback"))
        try:
            outcome = self._service.go_back()
        except MidairError as exc:
            if exc.exit_code != UNKNOWN:
                self.follow()
            if exc.code != "rollback-nothing":
                raise
            return self.go_to(facts, plan.release_before(facts))  # Nothing is warm any more, but its folder is there.
        return Done(self.follow(), outcome)

    def follow(self) -> str:
        """``current`` names what serves; return it."""
        facts = self.facts()
        for step in plan.settling(facts):
            self._begins(step)
            self._settle(step.names[0])
        return current_release(self.layout)

    # --- preparing ----------------------------------------------------------------------------------------------

    def load(self, name: str) -> Loaded:
        """The configuration of a release. Raises ConfigError."""
        folder = self.layout.release(name)
        return load(sources_for_run(folder=folder, environ=self._environ), needs_target=True)

    @contextlib.contextmanager
    def _undone_on_failure(self, name: str) -> Iterator[None]:
        """Whatever goes wrong takes the new folder with it."""
        try:
            yield
        except OSError as exc:
            self.remove(name)
            raise unwritable("nothing was changed, since the release cannot be written", exc) from exc
        except BaseException:
            self.remove(name)
            raise

    def _do(self, step: Step, order: Order) -> None:
        self._begins(step)
        match step.name:
            case "settle":
                self._settle(step.names[0])
            case "sweep":
                for name in step.names:
                    self.remove(name)
            case _:
                folder = make_release(self.layout, order.name)
                source.fetch(order.source, order.entries, order.revision, folder)
                if not source.is_configured(folder):
                    raise SourceUnusable(
                        f"there is no midair.toml at the top of {order.source.shown}",
                        hint="midair init writes one; it says what runs",
                    )

    def _do_prepared(self, step: Step, name: str, loaded: Loaded) -> None:
        self._begins(step)
        folder, deploy = self.layout.release(name), loaded.settings.deploy
        match step.name:
            case "share":
                for path in step.names:
                    self._share(folder, path)
            case "environment":
                environment.build(folder, deploy, self._environ)
            case "prepare":
                variables = environment.variables_in(folder, self._environ)
                environment.run(["/bin/sh", "-c", step.names[0]], folder, variables, deploy.timeout_s)
            case _:
                self._check(loaded)

    def _share(self, folder: str, path: str) -> None:
        """ROOT/shared/PATH in the place of the release's own. What the first release brings is what it begins with."""
        plain = path.rstrip("/")
        parts = plain.split("/")
        if not plain or path.startswith("/") or ".." in parts:
            raise UnsafeSource(f"shared has {path!r}, which is no path below the release", hint="write it relative")
        own, shared = os.path.join(folder, plain), os.path.join(self.layout.shared, plain)
        os.makedirs(os.path.dirname(shared), exist_ok=True)
        os.makedirs(os.path.dirname(own), exist_ok=True)
        if not os.path.lexists(shared):
            if os.path.lexists(own):
                shutil.move(own, shared)
            elif path.endswith("/"):
                os.makedirs(shared)
            else:
                raise SharedMissing(
                    f"there is no {shared}, nor {plain} in the release",
                    hint=f"put it there; a folder that may begin empty is written {plain}/",
                )
        _remove(own)
        os.symlink(os.path.relpath(shared, os.path.realpath(os.path.dirname(own))), own)

    def _make_whole(self, order: Order) -> None:
        """From here on it is a release: all of it is on disk before its manifest is."""
        folder = self.layout.release(order.name)
        _sync(folder)
        manifest = Manifest(
            id=order.name,
            created_s=time.time(),
            source=order.source.shown,
            revision=order.revision,
            by=order.by,
            replaced=current_release(self.layout),
        )
        make_whole(self.layout, manifest)

    # --- changing -----------------------------------------------------------------------------------------------

    def _change(self, facts: Facts, steps: Sequence[Step], name: str) -> Done:
        before = current_release(self.layout)
        done = Done(before)
        try:
            for step in steps:
                self._begins(step)
                if step.name == "switch":
                    self._write_journal(Journal(source=before, target=name, began_s=facts.now_s))
                    switch(self.layout, name)
                elif step.name == "update":
                    done.outcome = self._service.update(self.layout.release(name))
                    self._judge(done.outcome, before, name)
                else:
                    end_journal(self.layout)
                    done.removed = self._tidy(step)
        except DeployRefused:
            raise
        except OSError as exc:
            self._take_back(before, name)
            raise unwritable("what served serves, since current cannot be changed", exc) from exc
        except KeyboardInterrupt:
            self._take_back(before, name)  # Once the service has been asked, it is an outcome that is not known.
            raise
        except MidairError as exc:
            # It was not even taken up (held, gone meanwhile), or its outcome is not known.
            if exc.exit_code != UNKNOWN:
                self._take_back(before, name)
            raise
        self._mark(name, "deployed", before)
        end_journal(self.layout)
        done.current = name
        return done

    def _judge(self, outcome: Outcome, before: str, name: str) -> None:
        """Raises DeployRefused, once ``current`` names what serves."""
        if outcome.exit_code == DONE:
            facts = self.facts()
            if facts.serving is None or facts.serving.release in ("", name):
                self._mark(name, "deployed", before)
                return
            outcome = msgspec.structs.replace(
                outcome,
                exit_code=REFUSED,
                fault=Fault("deploy-superseded", f"release {facts.serving.release or '(none)'} serves, not {name}"),
            )
        raise DeployRefused(outcome, self._take_back(before, name))

    def _take_back(self, before: str, name: str) -> str:
        """``current`` names what serves, else what it named before; return it."""
        facts = self.facts()
        back = plan.right_current(facts) if facts.serving else before
        if back == name and facts.serving and not facts.serving.release:
            back = before
        self._settle(back)
        if back != name:
            self._mark(name, "failed", "")
        return back

    def _settle(self, name: str) -> None:
        if name != current_release(self.layout):
            switch(self.layout, name)
        self._mark(name, "deployed", "")
        end_journal(self.layout)

    def _write_journal(self, journal: Journal) -> None:
        write_document(self.layout.journal, journal)

    def _mark(self, name: str, state: str, replaced: str) -> None:
        """Remember in the release how it went. A disk that has become full does not undo what has happened."""
        manifest = read_manifest(self.layout, name)
        if (
            manifest is None
            or manifest.state in ("foreign", state)
            or (manifest.state, state) == ("deployed", "failed")
        ):
            return
        changed = msgspec.structs.replace(manifest, state=state, replaced=manifest.replaced or _other(replaced, name))
        with contextlib.suppress(OSError):
            write_manifest(self.layout, changed)

    def _tidy(self, step: Step) -> tuple[str, ...]:
        """What is in use is asked once more: the update has begun to drain one."""
        in_use = self.facts().serving
        busy = in_use.in_use if in_use else frozenset[str]()
        gone = tuple(name for name in step.names if name not in busy)
        with contextlib.suppress(
            OSError
        ):  # Somebody's file in it that is not ours to remove: the next one tries again.
            for name in gone:
                self.remove(name)
        return gone

    def remove(self, name: str) -> None:
        """A release, or what is left of one. It has no release's name any more before its first file goes."""
        whole = self.layout.release(name)
        going = whole if name.startswith(".") else self.layout.release(f".{name}{GOING}")
        with contextlib.suppress(FileNotFoundError):
            if going != whole:
                os.rename(whole, going)
            _remove(going)


def _other(replaced: str, name: str) -> str:
    return "" if replaced == name else replaced


def _remove(path: str) -> None:
    """A file, a link (not what it leads to), or a folder; nothing if it is not there. Raises OSError."""
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    elif os.path.isdir(path):
        shutil.rmtree(path)


def _sync(folder: str) -> None:
    """All that was written to this file system is on disk. One call, where an fsync for each file would take minutes."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(fd) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), folder)
    finally:
        os.close(fd)
