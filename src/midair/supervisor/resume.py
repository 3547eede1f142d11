"""``midair _resume FD``: how the next image of a supervisor begins, and ``midair _resume --check FD``: the preflight.

Not a command for people: the supervisor executes it. Whatever fails here before the loop turns leads back to the image
before, with the same document; only a crash of the interpreter itself could not, which is what the preflight is for.
"""

from __future__ import annotations

import os
import sys

import msgspec

from midair.errors import Bug


def main(arguments: list[str]) -> int:
    """Check the document, or be the next image."""
    if arguments[:1] == ["--check"]:
        return check(int(arguments[1]))
    fd = int(arguments[0])
    kept = os.dup(fd)  # ``resume`` closes its own; the way back needs the document.
    try:
        from midair.supervisor.main import resume

        live = resume(fd)
    except Exception as exc:
        go_back(kept, f"{type(exc).__name__}: {exc}")
        raise
    os.close(kept)
    return live()


def check(fd: int) -> int:
    """Import everything and read the document of the running supervisor; do nothing with it. 0: this midair can go on."""
    import midair.supervisor.main  # noqa: F401 - that it can be imported is half of the check
    from midair.supervisor.document import read
    from midair.supervisor.release import policy_of

    state = read(fd)
    policy_of(state.settings)
    return 0


def go_back(fd: int, why: str) -> None:
    """Execute the image before. Returns only if even that is not possible."""
    import traceback

    traceback.print_exc()
    data = msgspec.msgpack.decode(os.pread(fd, os.fstat(fd).st_size, 0))
    if not isinstance(data, dict) or data.get("has_failed"):
        return  # It is the way back itself that failed.
    data["has_failed"] = why[:1000]
    back = os.memfd_create("midair:state", 0)
    os.write(back, msgspec.msgpack.encode(data))
    for number in os.listdir("/proc/self/fd"):
        if int(number) > 2 and int(number) in _descriptors(data):
            os.set_inheritable(int(number), True)
    command = [*data["way_back"], "_resume", str(back)]
    sys.stderr.write("midair: going back to the image before\n")
    sys.stderr.flush()
    os.execve(command[0], command, os.environ)


def _descriptors(data: dict[str, object]) -> set[int]:
    """Every descriptor that the document names. Read without its types: they may be what failed."""
    found: set[int] = set()

    def walk(value: object, key: str) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                walk(inner, str(name) if isinstance(name, str) else key)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, key)
        elif isinstance(value, int) and (key in {"fd", "requesters"} or key.endswith("_fd")):
            found.add(value)

    for name, value in data.items():
        if name not in {"settings", "sources", "ambient", "service", "receipts"}:
            walk(value, name)
    # The values of room_fds are lists under the rooms' own names.
    rooms = data.get("room_fds")
    if isinstance(rooms, dict):
        for fds in rooms.values():
            found.update(fd for fd in fds if isinstance(fd, int))
    if not found:
        raise Bug("the document names no descriptor")
    return found
