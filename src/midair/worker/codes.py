"""Code of the project's files by content: compiled once, and inherited over forks. A file's time is never asked."""

from __future__ import annotations

import contextlib
import warnings
from importlib import _bootstrap
from types import CodeType

from midair.release.digest import digest_of

FILES_MAX = 20_000
_called = _bootstrap._call_with_frames_removed  # type: ignore[attr-defined] # the import system's own, as the comment below says


class Codes:
    """``known``: by path, the digest of the content that the code was compiled from, and the code."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[bytes, CodeType]] = {}

    def code(self, path: str, data: bytes, digest: bytes) -> CodeType:
        """What Python would execute for this content. Raises SyntaxError and ValueError, as ``compile`` does."""
        known = self.known.get(path)
        if known is not None and known[0] == digest:
            return known[1]
        # What the compiler warns of is told by whoever executes the file: such code is compiled anew each time.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with contextlib.suppress(SyntaxError, ValueError):
                code: CodeType = compile(data, path, "exec", dont_inherit=True)
                if not caught and len(self.known) < FILES_MAX:
                    self.known[path] = digest, code
                    return code
        # As the import system does it: so the traceback of a SyntaxError begins where the user's code does.
        found: CodeType = _called(compile, data, path, "exec", dont_inherit=True)
        return found

    def compile(self, path: str) -> None:
        """Have it ready, if there is such a file and it is valid."""
        with contextlib.suppress(OSError, SyntaxError, ValueError):
            with open(path, "rb") as file:
                data = file.read()
            self.code(path, data, digest_of(data))
