"""Addresses as they are typed."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.sockets.address import BadAddress, DescriptorAddress, TcpAddress, UnixAddress, parse


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("127.0.0.1:8000", TcpAddress("127.0.0.1:8000", "127.0.0.1", 8000)),
        (":8000", TcpAddress(":8000", "0.0.0.0", 8000)),
        ("*:80", TcpAddress("*:80", "0.0.0.0", 80)),
        ("localhost:0", TcpAddress("localhost:0", "127.0.0.1", 0)),
        ("[::1]:8000", TcpAddress("[::1]:8000", "::1", 8000)),
        ("[fe80::1%eth0]:80", TcpAddress("[fe80::1%eth0]:80", "fe80::1", 80, "eth0")),
        ("unix:/run/web.sock", UnixAddress("unix:/run/web.sock", "/run/web.sock")),
        ("unix:///run/web.sock", UnixAddress("unix:///run/web.sock", "/run/web.sock")),
        ("unix:web.sock", UnixAddress("unix:web.sock", "/srv/shop/web.sock")),
        ("fd://3", DescriptorAddress("fd://3", 3)),
    ],
)
def test_an_address_is_read(typed: str, expected: object) -> None:
    assert parse(typed, "/srv/shop") == expected


@pytest.mark.parametrize(
    ("typed", "says", "hint"),
    [
        ("", "port is missing", "127.0.0.1:8000"),
        ("8000", "port is missing", ":8000"),
        ("127.0.0.1", "port is missing", "127.0.0.1:8000"),
        ("127.0.0.1:http", "not a number", "host:port"),
        ("127.0.0.1:70000", "0 to 65535", "host:port"),
        ("127.0.0.1:-1", "0 to 65535", "host:port"),
        (":٣", "0 to 65535", "host:port"),
        ("::1:8000", "needs brackets", "[::1]:8000"),
        ("a:b:c", "too many colons", "host:port"),
        ("[::1]", "ends with ]:PORT", "[::1]:8000"),
        ("[127.0.0.1]:80", "not an IPv6 address", "brackets are for IPv6"),
        ("example.org:80", "names are not looked up", "getent ahosts example.org"),
        ("127.1:80", "names are not looked up", "getent"),
        ("http://127.0.0.1:80/", "http:// is not part", "write 127.0.0.1:80"),
        ("unix:", "path is missing", "unix:/run"),
        ("unix:@shop", "abstract", "unix:/run"),
        ("unix:/" + "x" * 107, "longer than the 107 bytes", "shorter folder"),
        ("fd://x", "not a number", "fd://3"),
        ("fd://-1", "not a number", "fd://3"),
    ],
)
def test_a_bad_address_says_what_to_write(typed: str, says: str, hint: str) -> None:
    with pytest.raises(BadAddress) as caught:
        parse(typed)
    assert says in str(caught.value)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


@given(st.ip_addresses(), st.integers(0, 65535))
def test_what_is_printed_reads_back(host: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    typed = f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"
    address = parse(typed)
    assert str(address) == typed
    assert parse(str(address)) == address


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(typed: str) -> None:
    with suppress(BadAddress):
        assert parse(typed).typed == typed
