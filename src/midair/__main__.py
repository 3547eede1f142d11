"""``midair`` and ``python -m midair``."""

from __future__ import annotations

import os
import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code. What needs no command parser is answered without importing one."""
    args = sys.argv[1:] if argv is None else argv
    if args[:1] == ["_resume"]:
        from midair.supervisor.resume import main as resume

        return resume(args[1:])
    if "_MIDAIR_COMPLETE" not in os.environ and len(args) <= 1:
        from midair.cli.commands import plain_answer

        if text := plain_answer(args[0] if args else "--help"):
            sys.stdout.write(text)
            return 0
    if args[:1] == ["status"] and set(args[1:]) <= {"--json", "--ready"} and "_MIDAIR_COMPLETE" not in os.environ:
        from midair.cli.quick import status

        if (code := status(as_json="--json" in args, ready="--ready" in args)) is not None:
            return code
    if args[:1] == ["run"] and os.getpid() == 1:
        _hear_a_stop()
    from midair.cli.app import run

    return run(args)


def _hear_a_stop() -> None:
    """Process 1 of a container gets no signal that it has no handler for: one that comes before the supervisor has its own would be
    lost, and whoever stops the container would wait for its whole grace."""
    import signal

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


if __name__ == "__main__":
    sys.exit(main())
