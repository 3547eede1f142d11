"""The request reader alone: bytes in, requests out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.worker.http1 import CHUNKED, BadRequest, Parsers, Request, RequestReader

HOST = b"Host: example.org\r\n"
GET = b"GET /a?b=c HTTP/1.1\r\n" + HOST + b"\r\n"


def read_all(reader: RequestReader, pieces: list[bytes]) -> list[tuple[Request, bytes]]:
    """Every complete message in what is fed, the way a connection asks for them."""
    out: list[tuple[Request, bytes]] = []
    current: Request | None = None
    body = b""
    for piece in pieces:
        reader.feed(piece)
        while True:
            if current is None:
                current = reader.next_request()
                if current is None:
                    break
            body += reader.read_body()
            if not reader.is_body_complete:
                break
            out.append((current, body))
            current, body = None, b""
    return out


def read_one(data: bytes) -> tuple[Request, bytes]:
    (message,) = read_all(RequestReader(Parsers()), [data])
    return message


def test_a_whole_head_is_a_request() -> None:
    request, body = read_one(b"GET /a?b=c HTTP/1.1\r\nHost: example.org\r\nX-Thing:  1 \r\n\r\n")
    assert (request.method, request.target, request.http_version) == ("GET", b"/a?b=c", "1.1")
    assert request.headers == [(b"host", b"example.org"), (b"x-thing", b"1")]
    assert request.keep_alive
    assert request.body_length == 0
    assert body == b""


def test_half_a_head_stays_unread_and_at_the_boundary() -> None:
    reader = RequestReader(Parsers())
    reader.feed(GET[:20])
    assert reader.next_request() is None
    assert reader.is_at_boundary
    assert reader.unread == GET[:20]


def test_another_reader_goes_on_with_what_was_unread() -> None:
    first = RequestReader(Parsers())
    first.feed(GET + GET[:20])
    assert first.next_request() is not None
    assert first.next_request() is None
    second = RequestReader(Parsers(), first.unread)
    second.feed(GET[20:])
    assert second.next_request() is not None
    assert second.unread == b""


def test_pipelined_requests_stay_ours_until_they_are_asked_for() -> None:
    reader = RequestReader(Parsers())
    reader.feed(GET * 3)
    assert reader.next_request() is not None
    assert reader.unread == GET * 2


@pytest.mark.parametrize(
    ("version", "connection", "keeps"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: foo, Close\r\n", False),
        (b"1.1", b"Connection: keep-alive\r\n", True),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
    ],
)
def test_who_keeps_the_connection(version: bytes, connection: bytes, keeps: bool) -> None:
    request, _ = read_one(b"GET / HTTP/" + version + b"\r\n" + HOST + connection + b"\r\n")
    assert request.keep_alive is keeps


def test_a_parser_that_saw_the_last_request_of_a_connection_does_not_spoil_another() -> None:
    parsers = Parsers()
    for extra in (
        b"",
        b"Connection: close\r\n",
        b"Proxy-Connection: close\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    ):
        (message,) = read_all(RequestReader(parsers), [b"GET / HTTP/1.1\r\n" + HOST + extra + b"\r\n"])
        assert message[0].method == "GET"


def test_an_upgrade_that_we_do_not_know_is_an_ordinary_request_with_its_body() -> None:
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\n"
    messages = read_all(RequestReader(Parsers()), [head + b"abc" + GET])
    assert [body for _, body in messages] == [b"abc", b""]
    assert not messages[0][0].is_websocket


def test_empty_lines_before_a_request_are_skipped() -> None:
    for lead in (b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n"):
        reader = RequestReader(Parsers())
        assert [m[0].target for m in read_all(reader, [lead + GET + lead + GET])] == [b"/a?b=c"] * 2
        assert len(read_all(RequestReader(Parsers()), [bytes([byte]) for byte in lead + GET])) == 1


def test_trailers_and_chunk_extensions_are_read_away() -> None:
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    chunks = b"5;a=b;c\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n"
    (first, body), (second, _) = read_all(RequestReader(Parsers()), [head + chunks + GET])
    assert body == b"hello world"
    assert first.body_length == CHUNKED
    assert second.headers == [(b"host", b"example.org")]


TRAILERS = {
    "a sum": b"X-Sum: 1\r\nY:\r\n",
    "a length": b"Content-Length: 500\r\n",
    "a coding": b"Transfer-Encoding: gzip, chunked\r\n",
    "a host": b"Host: evil.example\r\n",
    "an end": b"Connection: close\r\n",
    "an upgrade": b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "somebody's name": b"X-Forwarded-For: 192.0.2.1\r\nAuthorization: Basic x\r\n",
}


@pytest.mark.parametrize("name", TRAILERS)
def test_what_trailers_say_changes_neither_their_request_nor_the_next(name: str) -> None:
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    stream = head + b"5\r\nhello\r\n0\r\n" + TRAILERS[name] + b"\r\n" + GET
    for pieces in ([stream], [bytes([byte]) for byte in stream]):
        (first, body), (second, _) = read_all(RequestReader(Parsers()), pieces)
        assert (first.headers, body) == ([(b"host", b"example.org"), (b"transfer-encoding", b"chunked")], b"hello")
        assert (first.keep_alive, first.is_forwarded, first.is_websocket) == (True, False, False)
        assert second.headers == [(b"host", b"example.org")]


def with_headers(*lines: bytes, method: bytes = b"GET") -> bytes:
    return method + b" / HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


CHUNKED_HEAD = with_headers(b"Transfer-Encoding: chunked", method=b"POST")

REFUSED = {
    "length beside chunked": with_headers(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "chunked beside length": with_headers(b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "two lengths that differ": with_headers(b"Content-Length: 5", b"Content-Length: 6"),
    "two lengths alike": with_headers(b"Content-Length: 5", b"Content-Length: 5"),
    "two lengths in a line": with_headers(b"Content-Length: 5, 5"),
    "signed length": with_headers(b"Content-Length: +5"),
    "negative length": with_headers(b"Content-Length: -5"),
    "hexadecimal length": with_headers(b"Content-Length: 0x5"),
    "empty length": with_headers(b"Content-Length: "),
    "huge length": with_headers(b"Content-Length: 99999999999999999999"),
    "length with a space within": with_headers(b"Content-Length: 5 0"),
    "chunked is not last": with_headers(b"Transfer-Encoding: chunked, identity"),
    "chunked twice": with_headers(b"Transfer-Encoding: chunked, chunked"),
    "chunked in two lines": with_headers(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "chunked misspelt": with_headers(b"Transfer-Encoding: xchunked"),
    "chunked behind a vertical tab": with_headers(b"Transfer-Encoding: \x0bchunked"),
    "identity": with_headers(b"Transfer-Encoding: identity"),
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n",
    "folded line": with_headers(b"X: a", b" b"),
    "folded line by a tab": with_headers(b"X: a", b"\tb"),
    "first line folded": b"GET / HTTP/1.1\r\n " + HOST + b"\r\n",
    "space before the colon": with_headers(b"Content-Length : 5"),
    "tab before the colon": with_headers(b"Transfer-Encoding\t: chunked"),
    "no name": with_headers(b": x"),
    "no colon": with_headers(b"abc"),
    "name with a space": with_headers(b"a b: c"),
    "NUL in a value": with_headers(b"X: a\0b"),
    "control character in a value": with_headers(b"X: a\x01b"),
    "bare LF between headers": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\nY: b\r\n\r\n",
    "bare LF after the request line": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "bare LF as the head's end": b"GET / HTTP/1.1\r\n" + HOST + b"\nGET / HTTP/1.1\r\n\r\n",
    "bare CR in a value": with_headers(b"X: a\rY: b"),
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "no Host, and its value elsewhere": b"GET / HTTP/1.1\r\nExpect: example.org\r\n\r\n",
    "two Hosts": with_headers(b"Host: other.org"),
    "two Hosts in HTTP/1.0": b"GET / HTTP/1.0\r\n" + HOST * 2 + b"\r\n",
    "Host with a space": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "Host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "Host with an at sign": b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "HTTP/0.9": b"GET / HTTP/0.9\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
    "RTSP": b"GET / RTSP/1.0\r\n" + HOST + b"\r\n",
    "ICE": b"SOURCE / ICE/1.0\r\n" + HOST + b"\r\n",
    "lower-case version": b"GET / http/1.1\r\n" + HOST + b"\r\n",
    "space after the version": b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n",
    "space in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "raw bytes in the target": b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "unknown method": b"FROBNICATE / HTTP/1.1\r\n" + HOST + b"\r\n",
    "lower-case method": b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    "leading space": b" GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "leading LF": b"\nGET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT example.org:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "body behind a WebSocket handshake": with_headers(
        b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 3", method=b"GET"
    ),
    "chunk size of no digits": CHUNKED_HEAD + b"xyz\r\n",
    "empty chunk size": CHUNKED_HEAD + b"\r\n",
    "negative chunk size": CHUNKED_HEAD + b"-1\r\n",
    "signed chunk size": CHUNKED_HEAD + b"+5\r\nhello\r\n",
    "chunk size with a prefix": CHUNKED_HEAD + b"0x5\r\nhello\r\n",
    "chunk size with a space": CHUNKED_HEAD + b"5 \r\nhello\r\n",
    "chunk size with an underscore": CHUNKED_HEAD + b"1_0\r\nhello\r\n",
    "chunk size overflow": CHUNKED_HEAD + b"fffffffffffffffff\r\n",
    "chunk longer than its size": CHUNKED_HEAD + b"5\r\nhelloX\r\n0\r\n\r\n",
    "chunk without its CRLF": CHUNKED_HEAD + b"5\r\nhello0\r\n\r\n",
    "chunk size ended by a bare LF": CHUNKED_HEAD + b"5\nhello\r\n0\r\n\r\n",
    "bare LF in a chunk extension": CHUNKED_HEAD + b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "chunked body ended by bare LFs": CHUNKED_HEAD + b"5\r\nhello\r\n0\n\n",
    "endless chunk extension": CHUNKED_HEAD + b"5;" + b"a" * 2000,
    "bare LF in the trailers": CHUNKED_HEAD + b"0\r\nX: a\nY: b\r\n\r\n",
    "folded trailer": CHUNKED_HEAD + b"0\r\nX: a\r\n b\r\n\r\n",
    "first trailer folded": CHUNKED_HEAD + b"0\r\n X: a\r\n\r\n",
    "trailer without a name": CHUNKED_HEAD + b"0\r\n: a\r\n\r\n",
    "trailer without a colon": CHUNKED_HEAD + b"0\r\nX\r\n\r\n",
    "space before a trailer's colon": CHUNKED_HEAD + b"0\r\nX : a\r\n\r\n",
    "NUL in a trailer": CHUNKED_HEAD + b"0\r\nX: a\0\r\n\r\n",
    "bare CR in a trailer": CHUNKED_HEAD + b"0\r\nX: a\rb\r\n\r\n",
    "a request for a trailer": CHUNKED_HEAD + b"0\r\n" + GET,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(name: str) -> None:
    for pieces in ([REFUSED[name]], [bytes([byte]) for byte in REFUSED[name]]):
        with pytest.raises(BadRequest):
            read_all(RequestReader(Parsers()), pieces)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_request_does_not_spoil_the_parsers(name: str) -> None:
    parsers = Parsers()
    read_all(RequestReader(parsers), [GET])
    with pytest.raises(BadRequest):
        read_all(RequestReader(parsers), [REFUSED[name]])
    assert len(read_all(RequestReader(parsers), [GET * 2])) == 2


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 70_000, 431),
        (b"GET /" + b"a" * 70_000, 431),
        (with_headers(*[b"X: a"] * 300), 431),
        (b"GET / HTTP/3.0\r\n" + HOST + b"\r\n", 505),
        (b"FROBNICATE / HTTP/1.1\r\n" + HOST + b"\r\n", 501),
        (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", 501),
        (b"GE/T / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (with_headers(b"Transfer-Encoding: gzip, chunked", method=b"POST"), 501),
        (CHUNKED_HEAD + b"0\r\n" + b"X: a\r\n" * 20_000, 431),
        (CHUNKED_HEAD + b"0\r\n" + b"X: a\r\n" * 300 + b"\r\n", 431),
    ],
)
def test_limits_have_a_status_of_their_own(data: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as refused:
        read_all(RequestReader(Parsers()), [data])
    assert refused.value.status == status


@pytest.mark.parametrize(
    "begun",
    [
        b"\x16\x03\x01\x02",
        b"\0",
        b"\n",
        b" GET",
        b"GET / HTTP/1.1\nHost",
        b"GET / HTTP/1.1\r\nX: a\n",
        b"GET / HTTP/1.1\rH",
    ],
)
def test_what_can_be_no_head_any_more_is_not_waited_for(begun: bytes) -> None:
    for pieces in ([begun], [bytes([byte]) for byte in begun], [b"\r\n", begun]):
        with pytest.raises(BadRequest):
            read_all(RequestReader(Parsers()), pieces)


@pytest.mark.parametrize("begun", [b"x", b"5\r ", b"5\n", b"5 ", b"-", b"0x", b"5;a\rb", b"1" * 16])
def test_what_can_be_no_chunk_size_any_more_is_not_waited_for(begun: bytes) -> None:
    for pieces in ([CHUNKED_HEAD + begun], [CHUNKED_HEAD, *(bytes([byte]) for byte in begun)]):
        with pytest.raises(BadRequest):
            read_all(RequestReader(Parsers()), pieces)


@pytest.mark.parametrize("begun", [b"\r", b"\r\n\r", b"G", b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\n", GET[:-1]])
def test_what_can_be_a_head_yet_is_waited_for(begun: bytes) -> None:
    for pieces in ([begun], [bytes([byte]) for byte in begun]):
        assert read_all(RequestReader(Parsers()), pieces) == []


# ------------------------------------------------------------------------------------- split anywhere, the same result

names = st.sampled_from([b"X-A", b"Accept", b"Cookie", b"x-b"])
values = st.binary(max_size=12).map(lambda raw: b"".join(bytes([33 + byte % 90]) for byte in raw))


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    lines = [b"%b: %b" % (name, value) for name, value in draw(st.lists(st.tuples(names, values), max_size=4))]
    body = draw(st.binary(max_size=40))
    kind = draw(st.sampled_from(["none", "length", "chunked", "trailers"]))
    lead = draw(st.sampled_from([b"", b"", b"\r\n", b"\r\n\r\n"]))
    if kind == "none":
        return lead + with_headers(*lines)
    if kind == "length":
        return lead + with_headers(*lines, b"Content-Length: %d" % len(body), method=b"POST") + body
    cut = draw(st.integers(0, len(body)))
    chunks = b"".join(b"%x;q=1\r\n%b\r\n" % (len(part), part) for part in (body[:cut], body[cut:]) if part)
    end = b"0\r\nX-T: 1\r\n\r\n" if kind == "trailers" else b"0\r\n\r\n"
    return lead + with_headers(*lines, b"Transfer-Encoding: chunked", method=b"POST") + chunks + end


@given(st.lists(requests(), min_size=1, max_size=4), st.data())
def test_the_same_requests_however_the_bytes_are_cut(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole_reader, split_reader = RequestReader(Parsers()), RequestReader(Parsers())
    whole = [(vars(request), body) for request, body in read_all(whole_reader, [stream])]
    split = [(vars(request), body) for request, body in read_all(split_reader, [piece for piece in pieces if piece])]
    assert len(whole) == len(messages)
    assert split == whole
    assert whole_reader.unread == split_reader.unread == b""


@given(st.binary(max_size=200), st.sampled_from([b"", GET, CHUNKED_HEAD, GET[:30]]), st.integers(1, 7))
def test_any_bytes_give_requests_or_bad_request_and_nothing_else(junk: bytes, lead: bytes, step: int) -> None:
    data = lead + junk
    results: list[object] = []
    for pieces in ([data], [data[i : i + step] for i in range(0, len(data), step)]):
        try:
            results.append(read_all(RequestReader(Parsers()), pieces))
        except BadRequest:
            results.append(BadRequest)
    # A refusal may come earlier for the whole than for its parts, never for one of them alone.
    assert (results[0] is BadRequest) == (results[1] is BadRequest)
