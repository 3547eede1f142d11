"""WSGI applications, served through a2wsgi: each request runs in one of ``wsgi_threads`` threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from midair.worker.asgi import Asgi


def as_asgi(app: Callable[..., Iterable[bytes]], threads: int) -> Asgi:
    """The WSGI application as an ASGI one. ``threads``: requests served at a time; the others wait their turn.

    Makes the pool of threads: call it in the process that serves, never before a fork.
    """
    from a2wsgi import WSGIMiddleware

    return cast(Asgi, WSGIMiddleware(app, workers=threads))
