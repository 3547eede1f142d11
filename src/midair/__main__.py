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
    if args[:1] == ["status"] and set(args[1:]) <= {"--json"} and "_MIDAIR_COMPLETE" not in os.environ:
        from midair.cli.quick import status

        if (code := status(as_json="--json" in args)) is not None:
            return code
    from midair.cli.app import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
