"""Connections go from one worker to another, while their clients notice nothing.

    source                                            target
      <── Welcome(formats) ────────────────────────────  it reads our format, or nothing is ever sent
    freeze: read no more, take the state
      ─── Batch(states) + sockets ────────────────────>  adopt, but read nothing yet
      <── Taken ───────────────────────────────────────  from here on they are the target's: it reads
    forget: close our descriptors, no FIN goes out

The acknowledgement decides who owns a connection, and there is no time-out on it: a source that took its connections back
while the batch still lies in the queue would make two owners. If the target dies its end of file says so, and the source
thaws; if it hangs, the supervisor ends it. At most one batch is unacknowledged: its connections stand still, and without that
bound a target's loop is buried in adoptions (tried: with a window of 1 and batches of 25 the 99th percentile of others'
requests is 16 ms, without a window it was over 250).

A connection is movable between two messages, with nothing left to write (``Connection.is_movable``). Half a request head, or a
pipeline, travels as bytes.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from midair.errors import MidairError
from midair.sockets import passing
from midair.worker import frozen
from midair.worker.frozen import Batch, NotTaken, Taken, Welcome

if TYPE_CHECKING:
    from midair.worker.connection import Connection
    from midair.worker.server import Server

BATCH = 25
LAPSE_S = 0.1
"""What is granted and cannot be used within this time is given back."""
AGAIN_S = 0.1
"""Before a batch that was not taken is offered again."""
STATE_MAX_BYTES = 48 * 1024
"""Of one batch; the channel's messages are bounded. A connection that has more unread waits for its next boundary."""


class Source:
    """Gives a worker's connections away over one channel, as far as it was granted to."""

    def __init__(
        self,
        server: Server,
        channel: socket.socket,
        ended: Callable[[Source, str, bool], None],
    ) -> None:
        """ended: told once, when nothing more can be sent here; with the reason, and whether the
        target declined. Then all connections are ours again."""
        self._server = server
        self._loop = server.loop
        self._channel = channel
        self._ended = ended
        self._movable: dict[Connection, None] = dict.fromkeys(server.connections)
        self._batch: list[Connection] = []
        self._is_welcome = False
        self._is_waiting = False
        self._is_open = True
        self._is_last = False
        self._allowance = 0
        self._used = 0
        self._granted: Callable[[int], None] | None = None
        self._lapse: asyncio.TimerHandle | None = None
        channel.setblocking(False)
        self._loop.add_reader(channel.fileno(), self._on_readable)

    # --- what is allowed ------------------------------------------------------------------------------------------

    def grant(self, count: int, used: Callable[[int], None]) -> None:
        """Move up to ``count`` connections within LAPSE_S; then ``used`` is told how many it were."""
        self._settle()
        self._allowance, self._used, self._granted = count, 0, used
        self._lapse = self._loop.call_later(LAPSE_S, self._lapsed)
        self._pump()

    def grant_all(self) -> None:
        """From now on whatever is movable moves."""
        self._settle()
        self._allowance, self._granted = 1 << 60, None
        self._pump()

    def offer(self, connection: Connection) -> None:
        """It stands at a message boundary, perhaps: look at it when its last bytes are written."""
        self._movable[connection] = None
        if self._allowance and not self._batch:
            self._loop.call_soon(self._pump)

    def close(self) -> None:
        """Send nothing more. A batch that is on its way is still waited for: only its answer says whose it is."""
        self._is_last = True
        self._settle()
        if not self._batch:
            self._end("")

    def _lapsed(self) -> None:
        self._lapse = None
        if not self._batch:
            self._settle()

    def _settle(self) -> None:
        """Say how much of the grant was used. The rest is no longer ours to use."""
        if self._lapse:
            self._lapse.cancel()
            self._lapse = None
        self._allowance = 0
        tell, self._granted = self._granted, None
        if tell:
            tell(self._used)

    # --- sending --------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Send a batch if we may and can. All in one turn of the loop: nothing is read of a connection in between."""
        if not self._is_open or not self._is_welcome or self._batch or self._is_waiting or not self._allowance:
            return
        batch, states = self._pick(min(self._allowance, BATCH))
        if not batch:
            return
        self._batch = batch
        try:
            passing.send(
                self._channel,
                frozen.encode(Batch(format=frozen.FORMAT, connections=tuple(states))),
                [connection.fileno() for connection in batch],
            )
        except (BlockingIOError, passing.DescriptorsInFlight):
            self._keep()
            self._later()
        except OSError as exc:
            self._end(exc.strerror or str(exc))

    def _pick(self, most: int) -> tuple[list[Connection], list[frozen.Frozen]]:
        picked: list[Connection] = []
        states: list[frozen.Frozen] = []
        size = 0
        while self._movable and len(picked) < most:
            connection = next(iter(self._movable))
            if connection.is_movable():
                size += connection.reader.unread_bytes
                if size > STATE_MAX_BYTES:
                    if not picked:
                        del self._movable[connection]  # It is offered again at its next boundary.
                        size = 0
                        continue
                    break
                picked.append(connection)
                states.append(connection.freeze())
            del self._movable[connection]
        return picked, states

    def _keep(self) -> None:
        """The batch is still ours: go on serving it."""
        batch, self._batch = self._batch, []
        for connection in batch:
            connection.thaw()
            self._movable[connection] = None

    def _later(self) -> None:
        self._is_waiting = True
        self._loop.call_later(AGAIN_S, self._again)

    def _again(self) -> None:
        self._is_waiting = False
        self._pump()

    # --- hearing --------------------------------------------------------------------------------------------------

    def _on_readable(self) -> None:
        while self._is_open:
            try:
                message = passing.receive(self._channel)
            except BlockingIOError:
                return
            except (OSError, MidairError):
                message = None
            if message is None:
                self._end("it has ended")
                return
            message.close()
            try:
                word = frozen.decode_to_sender(message.data)
            except msgspec.MsgspecError:
                self._end("it speaks another protocol", is_declined=True)
                return
            self._heard(word)

    def _heard(self, word: frozen.ToSender) -> None:
        match word:
            case Welcome(formats=formats):
                self._is_welcome = frozen.FORMAT in formats
                if not self._is_welcome:
                    self._end(f"it does not read format {frozen.FORMAT}", is_declined=True)
                    return
            case Taken():
                batch, self._batch = self._batch, []
                for connection in batch:
                    connection.forget()
                self._allowance = max(0, self._allowance - len(batch))
                self._used += len(batch)
            case NotTaken():
                self._keep()
                self._later()
        if self._is_last and not self._batch:
            self._end("")
        elif self._granted and (not self._allowance or self._lapse is None):
            self._settle()
        else:
            self._pump()

    def _end(self, why: str, *, is_declined: bool = False) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._channel.fileno())
        self._channel.close()
        self._keep()
        self._settle()
        self._ended(self, why, is_declined)


class Target:
    """Takes connections over from one other worker."""

    def __init__(self, server: Server, channel: socket.socket, ended: Callable[[Target], None]) -> None:
        self._server = server
        self._channel = channel
        self._ended = ended
        self.is_open = True
        self._tasks: set[asyncio.Task[None]] = set()
        channel.setblocking(False)
        server.loop.add_reader(channel.fileno(), self._on_readable)
        self._say(Welcome(formats=frozen.FORMATS))

    def close(self) -> None:
        """Take no more."""
        if self.is_open:
            self.is_open = False
            self._server.loop.remove_reader(self._channel.fileno())
            self._channel.close()
            self._ended(self)

    def _on_readable(self) -> None:
        while self.is_open:
            try:
                message = passing.receive(self._channel)
            except BlockingIOError:
                return
            except MidairError as exc:  # No room for its descriptors: there will be, or the sender keeps them.
                self._say(NotTaken(why=str(exc)))
                continue
            except OSError:
                message = None
            if message is None:
                self.close()
                return
            self._received(message)

    def _received(self, message: passing.Message) -> None:
        try:
            batch = frozen.decode_to_receiver(message.data)
        except msgspec.MsgspecError as exc:
            message.close()
            self._say(NotTaken(why=str(exc)))
            return
        if batch.format not in frozen.FORMATS or len(batch.connections) != len(message.fds):
            message.close()
            self._say(NotTaken(why=f"{len(batch.connections)} connections came with {len(message.fds)} sockets"))
            return
        task = self._server.loop.create_task(self._take(batch, message.fds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, batch: Batch, fds: tuple[int, ...]) -> None:
        socks = [_socket(fd) for fd in fds]
        pairs = list(zip(socks, batch.connections, strict=True))
        adopted = [self._server.take_over(sock, state) for sock, state in pairs]
        await asyncio.gather(*(opening for _, opening in adopted), return_exceptions=True)
        # They read nothing until this is said: a target that dies before it has used nothing up.
        if not self._say(Taken()):
            for connection, _ in adopted:
                self._server.disown(connection)
            return
        for (connection, _), state in zip(adopted, batch.connections, strict=True):
            connection.go_on(state)

    def _say(self, word: frozen.ToSender) -> bool:
        """The queue has room: at most one answer is under way."""
        try:
            passing.send(self._channel, frozen.encode(word))
        except OSError:
            self.close()
            return False
        return True


def _socket(fd: int) -> socket.socket:
    try:
        return socket.socket(fileno=fd)
    except OSError:
        os.close(fd)
        raise
