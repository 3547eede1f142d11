"""The request target where it is more than a path: ``http://host/path?query``, ``*``, a path with a fragment."""

from __future__ import annotations

import re

from midair.worker.http1 import BadRequest, Request

_HOST = rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]+)(?::[0-9]*)?"
_ABSOLUTE = re.compile(rb"https?://(" + _HOST + rb")(/[^?#]*)?(?:\?([^#]*))?(?:#.*)?", re.IGNORECASE)


def split_target(request: Request) -> tuple[bytes, bytes]:
    """Path and query, undecoded. The host of an absolute target replaces the Host header (RFC 9112, 3.2.2).

    Two hosts in one request, and a proxy and an application that each believe another one, make a poisoned cache.
    Raises BadRequest for what names nothing that could be served.
    """
    target = request.target
    if target[:1] == b"/":
        # A fragment has no business there and is dropped.
        path, _, query = target.partition(b"#")[0].partition(b"?")
        return path, query
    if target == b"*":
        if request.method != "OPTIONS":
            raise BadRequest(400, "only OPTIONS may ask for *")
        return target, b""
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise BadRequest(400, "invalid request target")
    host, path, query = match.groups(b"")
    request.headers[:] = [(b"host", host), *(header for header in request.headers if header[0] != b"host")]
    return path or b"/", query
