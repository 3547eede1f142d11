"""The state document: everything a supervisor's next image needs to go on. Descriptors travel by number, beside it.

Written by one version of midair and read by the next or the one before: new fields need a default, fields that went away are
ignored, and the format number changes only if neither is enough. It holds the environment, so it lives in a memfd and is
never shown.
"""

from __future__ import annotations

import os

import msgspec

from midair.config.load import RunSources
from midair.config.origins import Origin
from midair.config.schema import Settings
from midair.core.state import Service
from midair.errors import WorldError
from midair.release.survey import Survey
from midair.supervisor.ledger import Receipt
from midair.worker.settings import Served, Traced

FORMAT = 1
BYTES_MAX = 256 * 1024 * 1024


class DocumentUnreadable(WorldError):
    """The state document of the running supervisor makes no sense to this version of midair."""

    code = "state-unreadable"
    hint = "this midair is too different from the running one; stop and start the service in a quiet moment"


class ListenerState(msgspec.Struct, kw_only=True):
    fd: int
    name: str
    typed: str
    file: tuple[int, int] | None = None
    is_passed: bool = False


class ReleaseState(msgspec.Struct, kw_only=True):
    generation: int
    settings: Settings
    survey: Survey
    launch_fd: int
    born_s: float
    interface: str = ""
    mode: str = ""
    why: str = ""
    import_s: float = 0.0
    start_up_s: float = 0.0
    warnings: list[str] = []
    served: Served = Served()
    origins: dict[str, Origin] = {}
    traced: Traced | None = None


class WorkerState(msgspec.Struct, kw_only=True):
    id: int
    generation: int
    slot: int
    pid: int
    link_fd: int
    page_fd: int
    stacks_fd: int
    started_s: float
    stopped_s: float = 0.0
    zygote: int | None = None
    state: str = ""
    interface: str = ""


class ZygoteState(msgspec.Struct, kw_only=True):
    id: int
    generation: int
    pid: int
    link_fd: int


class BaseState(msgspec.Struct, kw_only=True):
    pid: int
    link_fd: int
    key: bytes


class FleetState(msgspec.Struct, kw_only=True):
    workers: list[WorkerState] = []
    zygotes: list[ZygoteState] = []
    base: BaseState | None = None


class PipeState(msgspec.Struct, kw_only=True):
    fd: int
    generation: int
    slot: int
    stream: str
    unfinished: bytes = b""
    """The line that has not ended (``Splitter.export``)."""
    name: str = ""


class OutputState(msgspec.Struct, kw_only=True):
    pipes: list[PipeState] = []
    tails: dict[int, list[str]] = {}


class Document(msgspec.Struct, kw_only=True):
    """The supervisor, on its way from one image to the next."""

    format: int = FORMAT
    midair: str
    settings: Settings
    sources: RunSources
    ambient: dict[str, str]
    service: Service
    started_s: float
    left_s: float
    """Monotonic seconds at the ``execve``."""
    way_back: list[str]
    """Command of the image that wrote this; it reads the same document if the next one cannot."""
    as_typed: list[str] = []
    """Command that the next upgrade executes; empty (an older midair wrote this): as this image was started."""
    lock_fd: int
    control_fd: int
    listeners: list[ListenerState]
    releases: list[ReleaseState]
    fleet: FleetState
    outputs: OutputState
    receipts: list[Receipt]
    upgrade: int = 0
    """Receipt of the upgrade."""
    then_update: bool = False
    """SIGUSR2: an update follows."""
    requesters: list[int] = []
    """Connections of those who asked for the upgrade and wait for the new image's answer."""
    on_disk: str = ""
    has_failed: str = ""
    """Why the next image gave up; empty on the way there."""
    rooms: dict[str, bytes] = {}
    """What other rooms of the supervisor keep, each in its own words."""
    room_fds: dict[str, list[int]] = {}

    def fds(self) -> list[int]:
        """Every descriptor that the next image gets."""
        found = [self.lock_fd, self.control_fd, *(listener.fd for listener in self.listeners)]
        found += [release.launch_fd for release in self.releases if release.launch_fd >= 0]
        for worker in self.fleet.workers:
            found += [worker.link_fd, worker.page_fd, worker.stacks_fd]
        found += [zygote.link_fd for zygote in self.fleet.zygotes]
        found += [self.fleet.base.link_fd] if self.fleet.base else []
        found += [pipe.fd for pipe in self.outputs.pipes]
        found += self.requesters
        for fds in self.room_fds.values():
            found += fds
        return [fd for fd in found if fd >= 0]


def write(document: Document) -> int:
    """The document in a new memfd, close-on-exec."""
    fd = os.memfd_create("midair:state", os.MFD_CLOEXEC)
    data = memoryview(msgspec.msgpack.encode(document))
    while data:
        data = data[os.write(fd, data) :]
    return fd


def read(fd: int) -> Document:
    """Raises DocumentUnreadable."""
    size = os.fstat(fd).st_size
    if size > BYTES_MAX:
        raise DocumentUnreadable(f"the state document has {size} bytes")
    try:
        document = msgspec.msgpack.decode(os.pread(fd, size, 0), type=Document)
    except msgspec.MsgspecError as exc:
        raise DocumentUnreadable(f"the state document cannot be read: {exc}") from exc
    if document.format != FORMAT:
        raise DocumentUnreadable(f"the state document has format {document.format}, this midair reads {FORMAT}")
    return document
