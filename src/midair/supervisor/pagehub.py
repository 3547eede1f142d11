"""The child in which pages listen that a command answers (``worker/pagehub.py``): its socket, its life, the line for templates."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable

from midair.core import backoff
from midair.core.ids import GenerationId
from midair.release.environment import NEVER_PASSED
from midair.sockets import passing, words
from midair.supervisor.estate import Estate
from midair.supervisor.link import Link
from midair.supervisor.processes import Program
from midair.worker.settings import DevSettings

VARIABLE = "MIDAIR_DEV_SCRIPT"
LINK_FD, LISTENER_FD = 3, 4
NAME = "pages"


class PageHub:
    """Bound at the first command of a service that is developed; one for all its generations."""

    def __init__(self, estate: Estate, greet: Callable[[], words.TellPages]) -> None:
        """greet: what a hub that has just come up is told first."""
        self._estate = estate
        self._greet = greet
        self._dev: DevSettings | None = None
        self._listener: socket.socket | None = None
        self._link: Link | None = None
        self._deaths_s: list[float] = []
        self.open = 0
        """Pages that listen there."""

    def script(self, dev: DevSettings, generation: GenerationId) -> str:
        """The line for the templates of this generation. Raises OSError: there is no port."""
        from midair.browser.inject import script_tag

        self._dev = dev
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
        if self._link is None:
            self._start()
        port = self._listener.getsockname()[1]
        return script_tag(f"http://127.0.0.1:{port}/__midair/client.js?t={dev.token}&g={generation}", "")

    def send(self, word: words.TellPages) -> None:
        if self._link:
            self._link.send(word)

    def _start(self) -> None:
        estate, listener, dev = self._estate, self._listener, self._dev
        assert listener is not None
        assert dev is not None
        ours, theirs = passing.pair()
        environment = {key: value for key, value in estate.ambient.items() if key not in NEVER_PASSED}
        argv = [sys.executable, "-P", "-m", "midair.worker.pagehub", str(LINK_FD), str(LISTENER_FD)]
        fds = [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), *estate.outputs.open(0, -1, name=NAME)]
        try:
            places = dict(enumerate(fds)) | {LINK_FD: theirs.fileno(), LISTENER_FD: listener.fileno()}
            estate.processes.start(Program(argv, environment, "/", places), self._exited)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            for fd in fds:
                os.close(fd)
        self._link = Link(estate.loop, ours, self._heard, lambda: None)
        self._link.send(words.BeHub(dev=dev, ports=self._ports()))
        self._link.send(self._greet())

    def _ports(self) -> tuple[int, ...]:
        """Those that the pages come from."""
        found = (listener.socket.getsockname() for listener in self._estate.listeners)
        return tuple(name[1] for name in found if isinstance(name, tuple))

    def _heard(self, word: words.FromHost) -> None:
        match word:
            case words.PagesOpen(count=count):
                self.open = count
            case words.Said(event=event, fields=fields):
                self._estate.say(event, fields)
            case _:
                pass

    def _exited(self, how: str) -> None:
        if self._link:
            self._link.close()
        self._link, self.open = None, 0
        now_s = self._estate.loop.clock.now_s()
        self._deaths_s, wait_s = backoff.after_death(self._deaths_s, now_s)
        self._estate.loop.call_later(wait_s, self._start_again)

    def _start_again(self) -> None:
        if self._link is None and not self._estate.service.stopping:
            try:
                self._start()
            except OSError as exc:
                self._exited(f"it could not be started: {exc}")
