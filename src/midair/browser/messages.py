"""What pages are told, as JSON over their WebSocket. The words between the supervisor and its workers carry the same.

    hello      how things are: first on each socket, again when the socket has moved to another generation
    compiled   a new version serves; ``reload``: pages are to load it
    error      a save is not live, and why
    asset      files that pages load by themselves have changed

A page reloads when ``hello`` or ``compiled`` names another generation than the one that it came from, and for no other reason:
that cannot go on for ever.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["serving", "building", "failed", "waiting"]
"""``waiting``: there is no version to serve yet. ``failed``: the newest save is not live."""

SNAPSHOT = "midair.pages"
"""The key in ``scope["extensions"]`` under which the stand-in finds how things are: a Hello."""

TEXT_MAX = 8 * 1024
"""Characters of a message or a line of source that cross; a minified line would hide everything else."""
LINES_MAX = 40


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """Why a save is not live. Text only, whatever stands in it: nobody reads it as HTML."""

    phase: str
    """What failed: a step of the build, ``import``, ``start-up``, ``health``, ``request``."""
    title: str
    """The kind of error, such as ``SyntaxError`` or ``TS2322``."""
    message: str
    file: str = ""
    """Relative to the project's folder if it is in there; empty: it is not known."""
    line: int = 0
    """From 1; 0: it is not known."""
    column: int = 0
    """From 1; 0: it is not known."""
    source: tuple[tuple[int, str], ...] = ()
    """Lines of the file around it, with their numbers."""
    detail: str = ""
    """The whole output or traceback."""
    serving: int = 0
    """The generation that goes on serving; 0: none does."""

    def without_source(self) -> Error:
        """For pages on other machines."""
        return msgspec.structs.replace(self, source=(), detail="")

    def bounded(self) -> Error:
        """The same, short enough to be passed around."""
        source = tuple((number, text[:200]) for number, text in self.source[:LINES_MAX])
        detail = self.detail if len(self.detail) <= TEXT_MAX else "… " + self.detail[-TEXT_MAX:]
        return msgspec.structs.replace(
            self, title=self.title[:200], message=self.message[:TEXT_MAX], source=source, detail=detail
        )


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="hello"):
    generation: int
    """The one that answers this page's requests."""
    version: str = ""
    status: Status = "serving"
    error: Error | None = None
    can_open: bool = False
    """The page may ask for a file to be opened in the editor."""


class Compiled(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="compiled"):
    generation: int
    reload: bool = True


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    error: Error


class Asset(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="asset"):
    paths: tuple[str, ...]
    """Of files, relative to the project's folder: a page compares the ends with what it has loaded."""


Message = Hello | Compiled | Failed | Asset

_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
encode = msgspec.json.encode


def decode(data: bytes) -> Message:
    """Raises msgspec.MsgspecError for what is no message."""
    return _decoder.decode(data)


def for_strangers(message: Message) -> Message:
    """The same for pages on other machines: without source, and nothing opens."""
    match message:
        case Hello(error=error):
            return msgspec.structs.replace(message, error=error.without_source() if error else None, can_open=False)
        case Failed(error=error):
            return Failed(error=error.without_source())
        case _:
            return message
