"""Who may listen: whoever has the token, on this machine, by one of our names, from one of our own pages."""

from __future__ import annotations

from typing import Any

import pytest

from midair.browser.guard import Guard
from midair.worker.settings import DevSettings

TOKEN = "the-token"


def ask(
    *,
    host: str | None = "localhost:8000",
    origin: str | None = "http://localhost:8000",
    peer: str | None = "127.0.0.1",
    client: str | None = "",
    token: str = TOKEN,
    kind: str = "websocket",
    ports: frozenset[int] = frozenset(),
    **dev: Any,
) -> tuple[str, bool]:
    """Why not, and whether it counts as local. client: who asks by way of a proxy; empty: the peer itself."""
    headers = [(b"host", host.encode())] if host is not None else []
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    asks = peer if client == "" else client
    scope = {"type": kind, "method": "GET", "headers": headers, "client": (asks, 1) if asks else None}
    guard = Guard(DevSettings(token=TOKEN, **dev), lambda scope: peer, ports)
    return guard.why_not(scope, token), guard.peer(scope).is_local


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"},
        {"host": "[::1]:8000", "origin": "http://[::1]:8000", "peer": "::1"},
        {"host": "shop.localhost", "origin": "http://shop.localhost"},
        {"host": "localhost", "origin": "https://localhost:443"},
        {"peer": None, "client": None},
        {"peer": "::ffff:127.0.0.1"},
    ],
)
def test_a_page_of_this_machine_may_listen(asked: dict[str, Any]) -> None:
    assert ask(**asked) == ("", True)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"token": ""}, "token"),
        ({"token": "the-tokem"}, "token"),
        ({"origin": None}, "origin"),
        ({"origin": "null"}, "origin"),
        ({"origin": "http://localhost:9999"}, "origin"),
        ({"origin": "http://evil.example"}, "origin"),
        ({"origin": "http://localhost:8000.evil.example"}, "origin"),
        ({"origin": "http://[::1"}, "origin"),
        ({"host": "evil.example:8000", "origin": "http://evil.example:8000"}, "host"),
        ({"host": "127.0.0.1.evil.example", "origin": "http://127.0.0.1.evil.example"}, "host"),
        ({"host": "localhost.evil.example"}, "host"),
        ({"host": None}, "host"),
        ({"peer": "192.168.1.7"}, "machine"),
        ({"host": "192.168.1.2:8000", "origin": "http://192.168.1.2:8000"}, "host"),
    ],
)
def test_everybody_else_is_refused_and_told_why(asked: dict[str, Any], why: str) -> None:
    assert why in ask(**asked)[0]


def test_a_script_needs_no_origin_but_a_command_does() -> None:
    assert ask(kind="http", origin=None)[0] == ""
    guard = Guard(DevSettings(token=TOKEN), lambda scope: "127.0.0.1")
    scope = {"type": "http", "method": "POST", "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1)}
    assert "origin" in guard.why_not(scope, TOKEN)


def test_exposed_other_machines_may_listen_by_an_address_and_are_no_locals() -> None:
    lan: dict[str, Any] = {"host": "192.168.1.2:8000", "origin": "http://192.168.1.2:8000", "peer": "192.168.1.7"}
    assert ask(**lan, expose=True) == ("", False)
    # A name could have been pointed here by anybody.
    assert "host" in ask(host="evil.example", origin="http://evil.example", peer="192.168.1.7", expose=True)[0]


def test_a_tunnel_s_name_may_be_allowed_and_what_comes_through_it_is_no_local() -> None:
    through: dict[str, Any] = {"host": "shop.tunnel.example", "origin": "https://shop.tunnel.example"}
    assert "host" in ask(**through)[0]
    assert ask(**through, client="203.0.113.9", allowed_hosts=("shop.tunnel.example",)) == ("", False)
    assert ask(**through, allowed_hosts=(".tunnel.example",)) == ("", False)


def test_who_comes_by_way_of_a_proxy_is_no_local() -> None:
    assert ask(client="203.0.113.9") == ("", False)


def test_the_hub_of_a_program_s_pages_takes_pages_of_the_program_s_port() -> None:
    asked: dict[str, Any] = {"host": "127.0.0.1:41111", "origin": "http://localhost:8000"}
    assert ask(**asked, ports=frozenset({8000}))[0] == ""
    assert "origin" in ask(**asked)[0]
    assert "origin" in ask(host="127.0.0.1:41111", origin="http://evil.example:8000", ports=frozenset({8000}))[0]
