"""Request targets that are more than a path."""

from __future__ import annotations

import pytest

from midair.worker.http1 import BadRequest, Parsers, RequestReader
from midair.worker.target import split_target


def ask(line: str, *headers: str) -> tuple[bytes, bytes, list[bytes]]:
    """Path, query and Host of a request with this method and target."""
    reader = RequestReader(Parsers())
    reader.feed("\r\n".join([f"{line} HTTP/1.1", "Host: told.example", *headers, "", ""]).encode())
    request = reader.next_request()
    assert request is not None
    path, query = split_target(request)
    return path, query, [value for name, value in request.headers if name == b"host"]


@pytest.mark.parametrize(
    ("line", "path", "query", "host"),
    [
        ("GET /a?b#c?d", b"/a", b"b", b"told.example"),
        ("GET /a#?b", b"/a", b"", b"told.example"),
        ("OPTIONS *", b"*", b"", b"told.example"),
        ("GET http://meant.example/a?b", b"/a", b"b", b"meant.example"),
        ("GET HTTP://meant.example:80", b"/", b"", b"meant.example:80"),
        ("GET https://meant.example?b", b"/", b"b", b"meant.example"),
        ("GET http://[2001:db8::1]:80/a#c", b"/a", b"", b"[2001:db8::1]:80"),
        ("GET http://meant.example//a", b"//a", b"", b"meant.example"),
    ],
)
def test_a_target_is_a_path_a_query_and_perhaps_a_host(line: str, path: bytes, query: bytes, host: bytes) -> None:
    assert ask(line) == (path, query, [host])


def test_the_host_of_an_absolute_target_stands_first_and_the_other_headers_stay() -> None:
    reader = RequestReader(Parsers())
    reader.feed(b"GET http://meant.example/ HTTP/1.1\r\nA: 1\r\nHost: told.example\r\nB: 2\r\n\r\n")
    request = reader.next_request()
    assert request is not None
    split_target(request)
    assert request.headers == [(b"host", b"meant.example"), (b"a", b"1"), (b"b", b"2")]


@pytest.mark.parametrize(
    "line",
    [
        "GET *",
        "POST *",
        "GET http://",
        "GET http:///a",
        "GET http://[",
        "GET http://user@meant.example/",
        "GET http://meant.example:80a/",
        "GET ftp://meant.example/",
        "GET example.org:80",
        "GET example.org",
        "GET ?a",
    ],
)
def test_what_names_nothing_that_could_be_served_is_refused(line: str) -> None:
    with pytest.raises(BadRequest) as refused:
        ask(line)
    assert refused.value.status == 400
