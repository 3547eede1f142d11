"""How a worker serves: the values of ``[serve]`` that the connection layer needs, as they cross to the worker.

Names are uvicorn's where uvicorn has the option; units are part of the names.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class ServeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the connection layer is told. Times are seconds, sizes are bytes."""

    interface: Literal["auto", "asgi", "wsgi"] = "auto"
    lifespan: Literal["auto", "on", "off"] = "auto"
    loop: Literal["auto", "uvloop", "asyncio"] = "auto"
    backlog: int = 2048
    root_path: str = ""
    access_log: bool = True
    server_header: bool = True
    date_header: bool = True
    timeout_keep_alive_s: float = 75.0
    timeout_head_s: float = 20.0
    """From a connection's (or a request's) first byte to the end of its head."""
    head_max_bytes: int = 64 * 1024
    headers_max: int = 200
    body_max_bytes: int = 0
    """Largest request body; 0 is no limit."""
    limit_concurrency: int = 0
    """Connections or tasks beyond which a worker answers 503; 0 is no limit."""
    wsgi_threads: int = 10
    ws_max_bytes: int = 16 * 1024 * 1024
    ws_ping_interval_s: float = 20.0
    ws_ping_timeout_s: float = 20.0
    ws_per_message_deflate: bool = True
    drain_idle_grace_s: float = 5.0
    """While draining: how long an idle keep-alive connection may still send a last request before it is closed."""
    linger_s: float = 2.0
    linger_max_bytes: int = 64 * 1024
