"""Behind a proxy the application is told who is asking, from the command line to the version after the next."""

from __future__ import annotations

import http.client
import json
import socket
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.service import Service
from tests.support.waiting import wait_for

PROXY = "127.0.0.2"
"""Where the proxy connects from: everybody else of these tests is on 127.0.0.1 and no proxy."""
TOLD = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"


class Proxied:
    """A keep-alive connection of the proxy's."""

    def __init__(self, service: Service, preface: bytes = b"") -> None:
        url = urlsplit(service.url)
        self._http = http.client.HTTPConnection(str(url.hostname), url.port, timeout=10, source_address=(PROXY, 0))
        self._http.connect()
        assert isinstance(self._http.sock, socket.socket)
        self._sock = self._http.sock
        self._sock.sendall(preface)

    def ask(self, **headers: str) -> dict[str, Any]:
        self._http.request("GET", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = self._http.getresponse()
        self.headers = response.headers
        told: dict[str, Any] = json.loads(response.read())
        assert self._http.sock is self._sock, "it is another connection"
        return told

    def close(self) -> None:
        self._http.close()


def _is_of(version: str, told: dict[str, Any]) -> bool:
    return bool(told["version"] == version)


@pytest.mark.slow
def test_what_the_proxy_protocol_told_holds_through_updates(tmp_path: Path) -> None:
    flags = ("--proxy-protocol", "--forwarded-allow-ips", PROXY)
    with Service(tmp_path, "who_asks", flags=flags) as service:
        proxied = Proxied(service, TOLD)
        for version in ("1", "2", "3"):
            if version != "1":
                service.update(version)
            answer = wait_for(proxied.ask, until=partial(_is_of, version), what=f"an answer of version {version}")
            assert answer["client"] == ["192.0.2.1", 56324]
        proxied.close()
        assert json.loads(service.get("/")[1])["client"][0] == "127.0.0.1"


@pytest.mark.slow
def test_forwarded_headers_and_default_headers_from_the_command_line(tmp_path: Path) -> None:
    flags = ("--forwarded-allow-ips", PROXY, "--header", "X-Shop: till", "--no-server-header")
    with Service(tmp_path, "who_asks", flags=flags) as service:
        proxied = Proxied(service)
        told = proxied.ask(X_Forwarded_For="forged, 192.0.2.1", X_Forwarded_Proto="https")
        assert (told["client"], told["scheme"]) == (["192.0.2.1", 0], "https")
        assert (proxied.headers["x-shop"], proxied.headers["server"]) == ("till", None)
        assert proxied.ask()["client"][0] == PROXY
        proxied.close()
