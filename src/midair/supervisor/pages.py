"""Pages that are open in browsers while a service is developed: what they are told, and how many they are.

Nothing here under ``midair run``. Each worker tells its own pages (``browser/hub.py``); whoever joins is greeted with how things
are, so a worker that starts is told that first. Why a save is not live is read and looked up in a child: it stands in files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from midair.browser import messages
from midair.browser.messages import Asset, Compiled, Error, Failed, Hello, Message
from midair.config.schema import Settings
from midair.core.ids import GenerationId, WorkerId
from midair.errors import Fault
from midair.sockets import words
from midair.supervisor.estate import Estate
from midair.supervisor.members import Worker
from midair.supervisor.pagehub import VARIABLE, PageHub
from midair.supervisor.release import Release
from midair.worker.settings import DevSettings


class Pages:
    """Told what happens by the supervisor and by the loop of ``midair dev``; tells workers."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._token = ""
        self._open: dict[WorkerId, int] = {}
        self._asked = 0
        """Errors that were asked about: news of an earlier one changes nothing."""
        self._told: GenerationId | None = None
        """The generation that pages were last told of."""
        self.error: Error | None = None
        """Why the newest save is not live; None: it is, or it is on its way."""
        self._is_building = False
        self.on_error: Callable[[Error], None] = lambda error: None
        """Takes an error as soon as it is read, for the terminal."""
        self._hub = PageHub(estate, lambda: words.TellPages(message=messages.encode(self._hello())))
        estate.dev_settings = self.settings
        estate.commands.more = self._for_templates

    def settings(self, settings: Settings) -> DevSettings | None:
        """What a worker with these settings is told; None outside ``midair dev``."""
        if not settings.is_dev:
            return None
        import secrets

        from midair.browser import editor

        dev, self._token = settings.dev, self._token or secrets.token_urlsafe(16)
        return DevSettings(
            token=self._token,
            inject=dev.inject,
            allowed_hosts=dev.allowed_hosts,
            expose=dev.expose,
            editor=editor.choose(dev.editor, self._estate.ambient),
            folder=settings.folder,
        )

    @property
    def open(self) -> int:
        """Pages that listen: tabs, as far as they are ours."""
        return sum(self._open.values()) + self._hub.open

    def _for_templates(self, release: Release) -> dict[str, str]:
        """A command's pages get the script by a line in their templates."""
        if release.dev is None or not release.dev.inject:
            return {}
        try:
            return {VARIABLE: self._hub.script(release.dev, release.generation)}
        except OSError as exc:
            # The program serves all the same.
            self._estate.say("page_left_alone", {"path": "", "what": f"its script has no port: {exc.strerror or exc}"})
            return {}

    # --- what happens -----------------------------------------------------------------------------------------------

    def building(self) -> None:
        """A save is on its way."""
        if not self._is_building and self._is_dev:
            self._is_building = True
            self._tell_all(self._hello())

    def compiled(self, generation: GenerationId) -> None:
        """This generation serves from now on. Pages that it did not answer load themselves anew."""
        self._asked += 1
        is_told = self._told == generation and not (self.error or self._is_building)
        self.error, self._is_building, self._told = None, False, generation
        if not is_told:
            self._tell(Compiled(generation=generation), generation)

    def failed(self, fault: Fault) -> None:
        """An update ended early, or nothing is left that serves."""
        if self._is_dev:
            from midair.browser import errors

            folder, serving = self._estate.settings.folder, self._serving()
            self._look(lambda: errors.of_fault(fault, folder, serving=serving))

    def step_failed(self, phase: str, output: str) -> None:
        """A step of the build failed, and printed this."""
        from midair.browser import errors

        folder, serving = self._estate.settings.folder, self._serving()
        self._look(lambda: msgspec.structs.replace(errors.read(phase, output, folder), serving=serving))

    def assets(self, paths: Sequence[str]) -> None:
        """Files that only pages load have changed; relative to the project's folder."""
        self._tell_all(Asset(paths=tuple(paths)))

    def _look(self, read: Callable[[], Error]) -> None:
        """Read an error, and the lines around it, in a child; then tell."""
        from midair.browser import errors

        folder = self._estate.settings.folder
        self._asked += 1
        asked = self._asked

        def done(outcome: Error | Fault) -> None:
            if asked != self._asked:
                return  # Another save has been taken up meanwhile.
            error = outcome
            if isinstance(error, Fault):
                error = Error(phase="midair", title=error.code, message=error.message, serving=self._serving())
            self.error, self._is_building = error, False
            self._tell_all(Failed(error=error))
            self.on_error(error)

        self._estate.offload.begin(
            "reading an error", lambda: errors.with_source(read(), folder).bounded(), Error, done
        )

    # --- workers ----------------------------------------------------------------------------------------------------

    def started(self, worker: Worker) -> None:
        """It can serve: its first pages are to be told how things are."""
        self._send(worker, self._hello(worker.generation))

    def counted(self, worker: Worker, count: int) -> None:
        self._open[worker.id] = count

    def ended(self, worker: Worker) -> None:
        self._open.pop(worker.id, None)

    def _hello(self, generation: GenerationId | None = None) -> Hello:
        serving = self._serving()
        status: messages.Status = "serving" if serving else "waiting"
        if self._is_building:
            status = "building"
        elif self.error:
            status = "failed" if serving else "waiting"
        return Hello(generation=serving if generation is None else generation, status=status, error=self.error)

    @property
    def _is_dev(self) -> bool:
        return self._estate.settings.is_dev

    def _serving(self) -> int:
        return self._estate.service.serving or 0

    def _tell_all(self, message: Message) -> None:
        for worker in self._estate.fleet.workers.values():
            self._send(worker, message)
        if self._is_dev:
            self._hub.send(words.TellPages(message=messages.encode(message)))

    def _tell(self, message: Message, generation: GenerationId) -> None:
        """Its own workers alone: pages that are still with the ones before are greeted there as soon as they have moved, and
        asked sooner they would load the old version once more. From and to a command no page moves."""
        if any(worker.generation == generation for worker in self._estate.commands.workers.values()):
            self._tell_all(message)
            return
        for worker in self._estate.fleet.workers.values():
            if worker.generation == generation:
                self._send(worker, message)

    def _send(self, worker: Worker, message: Message) -> None:
        if worker.link and self._is_dev:
            worker.link.send(words.TellPages(message=messages.encode(message)))
