"""Connections go from one worker to another, while their clients notice nothing.

    source                                            target
      <── Welcome(formats) ────────────────────────────  it reads our format, or nothing is ever sent
    freeze: read no more, take the state
      ─── Batch(states) + sockets ────────────────────>  enter the application where it was in a call; read nothing yet
      <── Taken(declined) ─────────────────────────────  from here on they are the target's: it reads
    forget: close our descriptors, no FIN goes out

The acknowledgement decides who owns a connection, and there is no time-out on it: a source that took its connections back
while the batch still lies in the queue would make two owners. If the target dies its end of file says so, and the source
thaws; if it hangs, the supervisor ends it. At most one batch is unacknowledged: its connections stand still, and without that
bound a target's loop is buried in adoptions (tried: with a window of 1 and batches of 25 the 99th percentile of others'
requests is 16 ms, without a window it was over 250).

A connection is movable between two messages, with nothing left to write (``Connection.is_movable``). Half a request head, or a
pipeline, travels as bytes. A WebSocket or a stream moves if its application carries what it needs, and if the new version's
application says that it goes on with it; else it stays, and its client notices nothing either.
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
from midair.worker.frozen import Batch, HttpConnection, NotTaken, Taken, Welcome

if TYPE_CHECKING:
    from midair.worker.connection import Connection
    from midair.worker.server import Entered, Server

BATCH = 25
LAPSE_S = 0.1
"""What is granted and cannot be used within this time is given back."""
AGAIN_S = 0.1
"""Before a batch that was not taken is offered again."""
INLINE_MAX_BYTES = 48 * 1024
"""What goes in the message itself; a larger batch stands in a memfd beside it."""
STATE_MAX_BYTES = 4 * 1024 * 1024
"""Of one batch. A connection that alone has more waits for its next boundary."""
_REASONS_MAX = 10  # said of one target; a faulty application may find a new one for each connection
ENTER_S = 1.0
"""How long the new version's application may take to go on with a WebSocket or stream. They stand still meanwhile."""


class Source:
    """Gives a worker's connections away over one channel, as far as it was granted to."""

    def __init__(
        self,
        server: Server,
        channel: socket.socket,
        ended: Callable[[Source, str, bool], None],
        stays: Callable[[str], None] = lambda why: None,
    ) -> None:
        """ended: told once, when nothing more can be sent here; with the reason, and whether the
        target declined. Then all connections are ours again. stays: told why the application there
        does not go on with one; each reason once."""
        self._server = server
        self._loop = server.loop
        self._channel = channel
        self._ended = ended
        self._stays = stays
        self._reasons: set[str] = set()
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
        if connection.stays_with is self:
            return
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
        if self._server.tls:
            self._send_off()
        if not self._allowance:
            self._settle()
            return
        batch, states = self._pick(min(self._allowance, BATCH))
        if not batch:
            if self._movable:
                self._later()
            return
        self._batch = batch
        try:
            _send_batch(self._channel, [connection.fileno() for connection in batch], states)
        except (BlockingIOError, passing.DescriptorsInFlight):
            self._keep()
            self._later()
        except OSError as exc:
            self._end(exc.strerror or str(exc))

    def _send_off(self) -> None:
        """Those that can never move are told to come again. That loads the new version as one that moves does, and counts so."""
        for connection in list(self._movable):
            if not self._allowance:
                break
            if connection.send_off():
                del self._movable[connection]
                self._allowance -= 1
                self._used += 1

    def _pick(self, most: int) -> tuple[list[Connection], list[frozen.Frozen]]:
        """Freeze some that can move, of one kind: who has to be entered anew takes longer. The rest is looked at again."""
        picked: list[Connection] = []
        states: list[frozen.Frozen] = []
        size = 0
        for connection in list(self._movable):
            if len(picked) == most:
                break
            if not connection.is_movable():
                if not connection.is_resting():
                    del self._movable[connection]  # it is offered again when it rests
                continue
            state = connection.freeze()
            if state is None:
                del self._movable[connection]
                continue
            weight = frozen.weight(state)
            is_other_kind = bool(states) and isinstance(state, HttpConnection) != isinstance(states[0], HttpConnection)
            if is_other_kind or (size + weight > STATE_MAX_BYTES and picked):
                connection.thaw()
                break
            del self._movable[connection]
            if weight > STATE_MAX_BYTES:
                connection.thaw()
                continue
            size += weight
            picked.append(connection)
            states.append(state)
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
            case Taken(declined=declined):
                batch, self._batch = self._batch, []
                for place, connection in enumerate(batch):
                    if place in declined:
                        self._declined(connection, declined[place])
                    else:
                        connection.forget()
                moved = len(batch) - len(declined)
                self._allowance = max(0, self._allowance - moved)
                self._used += moved
            case NotTaken():
                self._keep()
                self._later()
        if self._is_last and not self._batch:
            self._end("")
        elif self._granted and (not self._allowance or self._lapse is None):
            self._settle()
        else:
            self._pump()

    def _declined(self, connection: Connection, why: str) -> None:
        """It is ours, and is not offered to this target again."""
        connection.stays_with = self
        connection.thaw()
        if why not in self._reasons and len(self._reasons) < _REASONS_MAX:
            self._reasons.add(why)
            self._stays(why)

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
            states, fds = batch.connections, message.fds
            if batch.is_in_memfd and fds:
                states, fds = frozen.decode_connections(_read_all(fds[-1])), fds[:-1]
        except (msgspec.MsgspecError, OSError) as exc:
            message.close()
            self._say(NotTaken(why=str(exc)))
            return
        if batch.format not in frozen.FORMATS or len(states) != len(fds):
            message.close()
            self._say(NotTaken(why=f"{len(states)} connections came with {len(fds)} sockets"))
            return
        if batch.is_in_memfd:
            os.close(message.fds[-1])
        task = self._server.loop.create_task(self._take(states, fds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, states: tuple[frozen.Frozen, ...], fds: tuple[int, ...]) -> None:
        socks = [_socket(fd) for fd in fds]
        entered: list[Entered] = []
        try:
            for sock, state in zip(socks, states, strict=True):
                entered.append(self._server.enter(sock, state))
            declined = await _who_declines(entered)
        except BaseException:
            # Whatever surprised us, the end of the channel tells the sender that all of it is still its own.
            self.close()
            for each in entered:
                self._server.disown(each)
            for sock in socks[len(entered) :]:
                sock.close()
            raise
        # They read nothing until this is said: a target that dies before it has used nothing up.
        is_ours = self._say(Taken(declined=declined))
        for place, each in enumerate(entered):
            if is_ours and place not in declined:
                self._server.take_over(each)
            else:
                self._server.disown(each)

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


def _send_batch(channel: socket.socket, fds: list[int], states: list[frozen.Frozen]) -> None:
    """Raises BlockingIOError, DescriptorsInFlight, OSError: nothing was sent."""
    if sum(map(frozen.weight, states)) <= INLINE_MAX_BYTES:
        passing.send(channel, frozen.encode(Batch(format=frozen.FORMAT, connections=tuple(states))), fds)
        return
    with open(os.memfd_create("midair:connections", os.MFD_CLOEXEC), "wb", buffering=0) as file:
        file.write(frozen.encode_connections(states))
        passing.send(channel, frozen.encode(Batch(format=frozen.FORMAT, is_in_memfd=True)), [*fds, file.fileno()])


def _read_all(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


async def _who_declines(entered: list[Entered]) -> dict[int, str]:
    """Place and reason of those with which the application does not go on."""
    asked = {place: each.outcome for place, each in enumerate(entered) if each.outcome is not None}
    if asked:
        await asyncio.wait(asked.values(), timeout=ENTER_S)
    late = f"the application did not go on with it within {ENTER_S:g} s"
    said = {place: outcome.result() if outcome.done() else late for place, outcome in asked.items()}
    return {place: why[:200] for place, why in said.items() if why}
