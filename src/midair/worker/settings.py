"""How a worker serves: the values of ``[serve]`` that the connection layer needs, as they cross to the worker.

Names are uvicorn's where uvicorn has the option; units are part of the names.
"""

from __future__ import annotations

import os
from typing import Literal, TypeAlias

import msgspec

Written: TypeAlias = str | int | bool | tuple[str, ...]
"""A value of a key as it is written on a command line or in a program."""


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What a program gave to ``midair.serve()``."""

    where: str = ""
    """The call: ``main.py:9, midair.serve()``."""
    values: dict[str, Written] = {}
    """By key of the configuration."""


class ServeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the connection layer is told. Times are seconds, sizes are bytes."""

    interface: Literal["auto", "asgi", "wsgi"] = "auto"
    """What the application speaks; ``auto`` looks at it."""
    lifespan: Literal["auto", "on", "off"] = "auto"
    """``auto``: used if the application knows it; ``on``: must succeed; ``off``: not asked."""
    loop: Literal["auto", "uvloop", "asyncio"] = "auto"
    """``auto``: uvloop if it is installed."""
    backlog: int = 2048
    """Connections that the kernel queues for each listener."""
    root_path: str = ""
    """Where a proxy has mounted the application."""
    access_log: bool = True
    """A line for each request."""
    server_header: bool = True
    """Send ``Server: midair`` unless the application sends one."""
    date_header: bool = True
    """Send ``Date`` unless the application sends one."""
    headers: tuple[str, ...] = ()
    """``Name: value`` lines that every response gets, unless the application sends that name itself."""
    proxy_headers: bool = True
    """Believe ``X-Forwarded-For`` and ``X-Forwarded-Proto`` of trusted proxies."""
    forwarded_allow_ips: tuple[str, ...] = ("127.0.0.1", "::1")
    """Proxies that are trusted: addresses, networks, or ``*`` for everybody. Whoever connects by a Unix socket is."""
    proxy_protocol: bool = False
    """A connection of a trusted proxy begins with a header of the PROXY protocol (version 1 or 2), or is closed."""
    timeout_keep_alive_s: float = 75.0
    """How long an idle keep-alive connection stays open."""
    timeout_head_s: float = 20.0
    """From a connection's (or a request's) first byte to the end of its head. PROXY protocol: from its opening to the
    end of its header."""
    timeout_body_s: float = 60.0
    """An upload that brings less than 1 KiB in this time, while it is waited for, is answered 408; 0: never."""
    timeout_send_s: float = 300.0
    """A client that takes nothing of a response for this long is cut off; 0: never."""
    head_max_bytes: int = 64 * 1024
    """Largest request head; a longer one is answered 431."""
    headers_max: int = 200
    """Most header lines of a request; more are answered 431."""
    body_max_bytes: int = 0
    """Largest request body; 0 is no limit."""
    limit_concurrency: int = 0
    """Connections or tasks beyond which a worker answers 503; 0 is no limit."""
    ready_path: str = "/readyz"
    """While a stopping service still accepts (stop.delay) this path is answered 503; at other times it is the
    application's."""
    wsgi_threads: int = 10
    """WSGI: requests that a worker runs side by side."""
    ws_max_bytes: int = 16 * 1024 * 1024
    """Largest WebSocket message; a larger one closes with 1009."""
    ws_ping_interval_s: float = 20.0
    """Between two pings of an open WebSocket; 0: none."""
    ws_ping_timeout_s: float = 20.0
    """How long a pong may take before the WebSocket is closed; 0: for ever."""
    ws_per_message_deflate: bool = True
    """Offer compression of WebSocket messages."""
    drain_idle_grace_s: float = 5.0
    """While draining: how long an idle keep-alive connection may still send a last request before it is closed."""
    linger_s: float = 2.0
    """After a response that closes: how long what the client still sends is read away."""
    linger_max_bytes: int = 64 * 1024
    """And how much of it."""


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which certificate is shown, to whom, and how; without ``certfile`` there is no TLS."""

    certfile: str = ""
    """Certificate and the chain behind it, in PEM. With it every TCP address of ``bind`` speaks TLS; Unix sockets never do."""
    keyfile: str = ""
    """Its private key, in PEM; empty: it stands in ``certfile``."""
    keyfile_password: str = ""
    """Of an encrypted key. May be ``file:PATH``, which is better: it is read when it is needed. Never shown."""
    ca_certs: str = ""
    """Authorities whose client certificates are believed, in PEM."""
    cert_reqs: Literal["none", "optional", "required"] = "none"
    """Whether clients are asked for a certificate."""
    ciphers: str = ""
    """Cipher suites of TLS 1.2 as OpenSSL writes them; empty: Python's choice."""
    min_version: Literal["1.2", "1.3"] = "1.2"
    """Older ones are refused."""
    handshake_timeout_s: float = 10.0
    """From the connection to the end of its handshake: enough for a bad line, and a scanner holds no descriptor for long."""
    reload_interval_s: float = 10.0
    """How often workers look whether the files were renewed; 0: they are read again at updates only."""
    plain: tuple[str, ...] = ()
    """Addresses of ``bind`` that speak without TLS all the same; a socket that was passed to us by its name."""

    def within(self, folder: str) -> TlsSettings:
        """The same with absolute paths: what is relative starts from ``folder``, as typed, so a swapped link is seen."""

        def absolute(path: str) -> str:
            return os.path.join(folder, path) if path else ""

        secret = self.keyfile_password.removeprefix("file:")
        return msgspec.structs.replace(
            self,
            certfile=absolute(self.certfile),
            keyfile=absolute(self.keyfile),
            ca_certs=absolute(self.ca_certs),
            keyfile_password=self.keyfile_password if secret == self.keyfile_password else f"file:{absolute(secret)}",
        )


class Traced(msgspec.Struct, frozen=True, kw_only=True):
    """How the processes of a version are named in telemetry, and where the spans of their requests go."""

    service: str
    node: str
    url: str = ""
    """Empty: requests are no spans."""
    headers: dict[str, str] = {}
    """Values may be ``file:`` and an absolute path."""
    sample: float | None = 1.0
    """Share of the traces begun here that is recorded; None: OTEL_TRACES_SAMPLER says it."""


class DevSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker of ``midair dev`` is told besides: how pages and the developer's own tools may reach it."""

    token: str
    """Whoever listens for changes must know it. New at each start of ``midair dev``."""
    inject: bool = True
    allowed_hosts: tuple[str, ...] = ()
    expose: bool = False
    editor: str = ""
    """The command line that opens a file from the error panel; empty: there is none."""
    folder: str = ""
    """The project's: nothing outside it is shown or opened."""
