"""A shop whose updates go wrong, each in one way: what is typed then, for what a page shows."""

from __future__ import annotations

import contextlib
import grp
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from midair.config.load import ServiceAddress
from midair.control import words
from midair.control.client import ask_one
from midair.control.words import Hold
from midair.testing.client import Load
from tests.support.groups import MIB, Group
from tests.support.service import APPS, Done, Service
from tests.support.toml import Setting
from tests.support.waiting import wait_for

ASKING = Load(connections=2, keep_alive=False, think_s=0.01)
WATCHED: dict[str, Setting] = {"bake": {"for": "30s"}, "health": {"interval": "100ms"}}
"""Long enough to see what comes in the bake, and soon."""


class Shop(Service):
    """Its versions are called as in the pages, and its settings are those that it began with, unless an update has others."""

    def change(self, after: str = "", before: str = "", **settings: Setting) -> None:
        """The next version: the good application with lines before and after it, and these settings."""
        self.write("good", "1.8.3")
        text = (APPS / "good.py").read_text()
        (self.folder / "app.py").write_text(f"{before}\n{text}\n{after}\n")
        (self.folder / "version.txt").write_text("1.8.3")
        began = dict(self.settings)
        self.configure(**settings)
        self.settings = began


Provoke = Callable[[Shop], Done]
"""Makes a service say an error; what was typed, and what it printed."""

NAMED: dict[str, Setting] = {"version_from": "file:version.txt"}


def shop(tmp: Path) -> Shop:
    """An application. Nobody's group may act."""
    operators: dict[str, Setting] = {"control": {"operators": [_group_of_nobody()]}} if may_be_held() else {}
    made = Shop(tmp, workers=1, settings=NAMED | operators)
    made.runtime.chmod(0o755)
    return _named(made)


@contextlib.contextmanager
def program(tmp: Path) -> Iterator[Shop]:
    """A command. It may answer before the supervisor has heard that it is ready."""
    with _named(Shop(tmp, "program", command=("{python}", "app.py"), workers=1, settings=NAMED)) as made:
        wait_for(lambda: "update done" in made.log(), what="its commit")
        yield made


def _named(made: Shop) -> Shop:
    (made.folder / "version.txt").write_text("1.8.2")
    return made


@contextlib.contextmanager
def short_of_memory(tmp: Path, group: Group) -> Iterator[Shop]:
    """There is a next version, and no room for it."""
    env = {"LARGE_BYTES": str(LARGE_MIB * MIB)}
    with _named(Shop(tmp, "large", workers=2, settings=NAMED, env=env, prefix=group.prefix)) as made:
        group.leave(LARGE_MIB // 2)
        made.write("large", "1.8.3")
        yield made
        group.leave(4 * LARGE_MIB)


LARGE_MIB = 60


def refused(after: str = "", before: str = "", **settings: Setting) -> Provoke:
    """An update to this version."""

    def provoke(service: Shop) -> Done:
        service.change(after, before, **settings)
        return service.midair("reload")

    return provoke


def watched(after: str) -> Provoke:
    """Such an update, whose bake takes as long as it has to."""
    return refused(after, "", **WATCHED)


def asked_meanwhile(after: str) -> Provoke:
    """An update to a version that fails when it is asked."""

    def provoke(service: Shop) -> Done:
        with service.asked(ASKING):
            return watched(after)(service)

    return provoke


def quarantined(service: Shop) -> Done:
    rolled_back = asked_meanwhile(f"{ANSWERS_500}# once more")(service)
    assert "answers were errors" in rolled_back.err, rolled_back
    return service.midair("reload")


def unexpected(service: Shop) -> Done:
    service.change("# the wrong one")
    return service.midair("reload", "--expect", "1.9.0")


def unknown_key(service: Shop) -> Done:
    service.change()
    path = service.folder / "midair.toml"
    path.write_text(
        f'name = "shop"\nwokers = 2\n{path.read_text()}'.replace(f'name = "{service.settings["name"]}"\n', "")
    )
    return service.midair("reload")


def nothing_before(service: Shop) -> Done:
    service.change("# one of which nothing is kept", rollback={"keep": "none"})
    committed = service.midair("reload")
    assert committed.code == 0, committed
    return service.midair("rollback")


def barred(service: Shop) -> Done:
    service.change("# one that the old code cannot follow")
    committed = service.midair("reload", "--no-rollback")
    assert committed.code == 0, committed
    return service.midair("rollback")


def held(service: Shop) -> Done:
    """Somebody else holds. (Who holds may update all the same.)"""
    address = ServiceAddress(name="shop", folder="/", runtime_dirs=(str(service.runtime),))
    with somebody_else():
        ask_one(address, Hold(reason="month end"), words.Done)
    try:
        return service.midair("reload")
    finally:
        service.midair("hold", "--release")


def restored_wrongly(service: Shop) -> Done:
    service.change(CARRIES.format(restored="None"))
    committed = service.midair("reload")
    assert committed.code == 0, committed
    return refused(CARRIES.format(restored='states[0]["topic"] if states else None'))(service)


def asked(*typed: str) -> Provoke:
    """A question, or a request, that has no answer."""
    return lambda service: service.midair(*typed)


def without_its_key(service: Shop) -> Done:
    service.change(tls={"certfile": "cert.pem", "keyfile": "key.pem"})
    return service.midair("check")


def without_midair(service: Shop) -> Done:
    python = service.folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    python.chmod(0o755)
    try:
        return refused("# in an environment of its own")(service)
    finally:
        shutil.rmtree(service.folder / ".venv")


def gone_back_too_late(service: Shop) -> Done:
    """Two versions whose workers import by themselves: of the first nothing is left but its files, and these are the second's."""
    for text in ("# the one before", "# the one after it"):
        committed = refused(text, zygote="never")(service)
        assert committed.code == 0, committed
    return service.midair("rollback")


def meanwhile(after: str, phase: str, *words: str) -> Provoke:
    """An update that has come to this phase when somebody else types something; what the first one is told."""

    def provoke(service: Shop) -> Done:
        service.change(f"{after}\n# {time.time_ns()}", "", **WATCHED)
        with service.midair_in_background("reload") as first:
            wait_for(lambda: (service.status()["update"] or {}).get("phase") == phase, what=phase)
            if words[0] == "reload":
                service.change("# the newer one")
            service.midair(*words)
            out, err = first.communicate(timeout=30)
        return Done(("reload",), first.returncode, out, err)

    return provoke


NOBODY = 65534


def may_be_held() -> bool:
    """Whether somebody else can be played here."""
    return os.getuid() == 0 and bool(_group_of_nobody())


def _group_of_nobody() -> str:
    try:
        return grp.getgrgid(NOBODY).gr_name
    except KeyError:
        return ""


@contextlib.contextmanager
def somebody_else() -> Iterator[None]:
    """This process is another user's for a moment. Needs uid 0."""
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


# --- what the versions do wrong ------------------------------------------------------------------------------------

ANSWERS_500 = """
serve = app
async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] != "/health":
        await answer(scope, send, b"broken", 500)
    else:
        await serve(scope, receive, send)
"""
DIES = """
serve = app
async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] != "/health":
        os._exit(7)
    await serve(scope, receive, send)
"""
FALLS_ILL = """
serve, probes = app, []
async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/health":
        probes.append(1)
        await answer(scope, send, b"", 200 if len(probes) == 1 else 503)
    else:
        await serve(scope, receive, send)
"""
FAILS_TO_START = """
async def lifespan(receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is on fire"})
"""
HANGS_IN_ITS_START = """
async def lifespan(receive, send):
    await asyncio.sleep(600)
"""
TICKS = """
import threading
threading.Thread(target=threading.Event().wait, name="ticker", daemon=True).start()
"""
CARRIES = """
import midair
midair.carry("rooms", export=lambda: {{"names": []}}, restore=lambda states: {restored})
"""
CARRIES_HALF = """
import midair
midair.carry("rooms", export=dict)
"""
CANNOT_BE_FORKED = """
import midair
@midair.before_fork
def close_pool():
    raise ConnectionError("the pool is in use")
"""
FAILS_AFTER_THE_FORK = """
import midair
@midair.after_fork
def open_pool():
    raise ConnectionError("the broker does not answer")
"""
CHANGES_ITSELF = """
import pathlib, time
pathlib.Path(__file__).with_name("built.py").write_text(f"built_ns = {time.time_ns()}")
"""
CARRIES_TWICE = """
import midair
midair.carry("rooms", 0)
midair.carry("rooms", 0)
"""
HOOK = ["sh", "-c", "echo 'migrate: table orders is locked'; exit 1"]

REFUSALS: dict[str, Provoke] = {
    "app-syntax": refused("app = = 1"),
    "app-import-raised": refused(before='raise RuntimeError("SHOP_DATABASE is not set")'),
    "app-import-missing": refused("import redys"),
    "app-module-not-found": refused(app="shop:app"),
    "app-attribute-missing": refused(app="app:apps"),
    "app-import-exited": refused("import sys\nsys.exit(0)"),
    "app-factory-raised": refused("def make():\n    return missing", app="app:make", factory=True),
    "app-not-callable": refused(app="app:VERSION"),
    "app-interface": refused("def make():\n    return app", app="app:make"),
    "environment": refused(env_files=[".env"]),
    "folder-missing": refused(chdir="src"),
    "interpreter-missing": refused(python=".venv"),
    "version-unknown": refused(version_from="env:SHOP_VERSION"),
    "carry-restore": restored_wrongly,
    "carried-twice": refused(CARRIES_TWICE),
    "carried-wrongly": refused(CARRIES_HALF),
    "hook-after-fork": refused(FAILS_AFTER_THE_FORK),
    "fork-failed": refused(CANNOT_BE_FORKED),
    "files-changing": refused(CHANGES_ITSELF),
    "serve-misplaced": refused("import midair\nmidair.serve(app)"),
    "interpreter-unusable": without_midair,
    "rollback-files-gone": gone_back_too_late,
    "called-off": meanwhile(HANGS_IN_ITS_START, "start", "rollback"),
    "rollback-asked": meanwhile("# good", "bake", "rollback", "-m", "prices are wrong"),
    "superseded": meanwhile(HANGS_IN_ITS_START, "start", "reload"),
    "startup-failed": refused(FAILS_TO_START),
    "not-ready": refused(HANGS_IN_ITS_START, ready={"timeout": "1s"}),
    "zygote-exited": refused("os._exit(9)"),
    "fork-unsafe": refused(TICKS, zygote="always"),
    "hook-failed": refused(hooks={"before": HOOK}),
    "bad-config": unknown_key,
    "unexpected-version": unexpected,
    "bake-errors": asked_meanwhile(ANSWERS_500),
    "bake-died": asked_meanwhile(DIES),
    "bake-unhealthy": watched(FALLS_ILL),
    "quarantined": quarantined,
    "rollback-nothing": nothing_before,
    "rollback-barred": barred,
    "no-receipt": asked("receipt", "4000"),
    "no-worker": asked("stacks", "900.0"),
    "no-generation": asked("why-alive", "900"),
    "tls": without_its_key,
}
"""Code → how one shop, that serves on, comes to say it."""


def command(*words: str, is_executable: bool) -> Provoke:
    """An update to this command."""

    def provoke(service: Shop) -> Done:
        before = service.settings["command"]
        assert isinstance(before, list)
        (service.folder / "server").write_text("#!/bin/sh\necho 'no such table: orders'\nexit 3\n")
        (service.folder / "server").chmod(0o755 if is_executable else 0o644)
        (service.folder / "version.txt").write_text("1.8.3")
        try:
            service.configure(command=list(words))
            return service.midair("reload")
        finally:
            service.settings["command"] = before

    return provoke


REFUSALS_OF_PROGRAMS: dict[str, Provoke] = {
    "command-failed": command("./server", is_executable=False),
    "worker-exited": command("./server", is_executable=True),
}
