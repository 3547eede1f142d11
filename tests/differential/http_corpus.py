"""The corpus: what a client sends on one connection, by name. One table, in groups; names say what is peculiar.

``to`` writes a request as a person would; what no sane client sends stands as bytes.
"""

from __future__ import annotations


def to(line: str, *headers: str, body: bytes = b"", host: str = "a", version: str = "1.1") -> bytes:
    """A request: ``GET /path``, more header lines, a body as it stands. host: empty for none."""
    lines = [f"{line} HTTP/{version}", *([f"Host: {host}"] if host else []), *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(*parts: bytes, end: bytes = b"0\r\n\r\n", line: str = "POST /", headers: tuple[str, ...] = ()) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + end
    return to(line, "Transfer-Encoding: chunked", *headers, body=body)


NEXT = to("GET /next")
"""A second request, behind one that may be read in two ways."""

PLAIN = {
    "a plain GET": to("GET /"),
    "a query": to("GET /a?b=c&d"),
    "an empty query": to("GET /a?"),
    "a percent-encoded path": to("GET /caf%C3%A9%2Fb"),
    "an invalid percent-encoding": to("GET /%zz"),
    "an encoded NUL": to("GET /a%00b"),
    "two slashes": to("GET //a//b"),
    "dots in the path": to("GET /a/../b/./c"),
    "a fragment": to("GET /a#b"),
    "a very long path": to("GET /" + "a" * 5000),
    "quotes and angles in the path": to('GET /"<a>"'),
    "raw UTF-8 in the path": to("GET /caf\xc3\xa9"),
    "a header twice": to("GET /", "X: 1", "X: 2"),
    "an empty header": to("GET /", "X:"),
    "no space behind the colon": to("GET /", "X:1"),
    "white space around a value": to("GET /", "X: \t 1 \t"),
    "Latin-1 in a value": to("GET /", "X: caf\xe9"),
    "a tab in a value": to("GET /", "X: a\tb"),
    "odd characters in a name": to("GET /", "!#$%&'*+-.^_`|~: 1"),
    "an underscore in a name": to("GET /", "X_Y: 1"),
    "two cookies lines": to("GET /", "Cookie: a=1", "Cookie: b=2"),
    "fifty headers": to("GET /", *[f"X-{n}: {n}" for n in range(50)]),
    "150 headers": to("GET /", *[f"X-{n}: {n}" for n in range(150)]),
    "300 headers": to("GET /", *[f"X-{n}: {n}" for n in range(300)]),
    "a head of 20 KiB": to("GET /", *[f"X-{n}: {'a' * 1000}" for n in range(20)]),
    "a head of 100 KiB": to("GET /", *[f"X-{n}: {'a' * 1000}" for n in range(100)]),
}

METHODS = {
    "HEAD": to("HEAD /"),
    "HEAD, then GET": to("HEAD /") + NEXT,
    "OPTIONS": to("OPTIONS /"),
    "DELETE with a body": to("DELETE /", "Content-Length: 3", body=b"abc"),
    "GET with a body": to("GET /", "Content-Length: 3", body=b"abc"),
    "PATCH": to("PATCH /", "Content-Length: 1", body=b"a"),
    "TRACE": to("TRACE /"),
    "PROPFIND": to("PROPFIND /"),
    "QUERY": to("QUERY /", "Content-Length: 1", body=b"a"),
    "M-SEARCH": to("M-SEARCH /"),
    "PURGE": to("PURGE /"),
    "SOURCE": to("SOURCE /"),
    "an unknown method": to("FROBNICATE /"),
    "a method in lower case": to("get /"),
    "a method with a slash": to("GE/T /"),
    "a method in brackets": to("(GET) /"),
    "CONNECT": to("CONNECT a:80", host="a:80"),
    "CONNECT with a path": to("CONNECT /"),
    "PRI": to("PRI /"),
}

TARGETS = {
    "an absolute target": to("GET http://a/b?c"),
    "an absolute target and another Host": to("GET http://b/", host="a"),
    "an absolute target without a path": to("GET http://a"),
    "an absolute target with a query alone": to("GET http://a?b"),
    "an absolute target in capitals": to("GET HTTP://a/b"),
    "https in an absolute target": to("GET https://a/b"),
    "another scheme": to("GET ftp://a/b"),
    "a user in an absolute target": to("GET http://u@a/b"),
    "no host in an absolute target": to("GET http:///b"),
    "OPTIONS *": to("OPTIONS *"),
    "GET *": to("GET *"),
    "an authority for a target": to("GET a:80"),
    "a target without a slash": to("GET b"),
    "a question mark for a target": to("GET ?b"),
    "an empty target": b"GET  HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space in the target": to("GET /a b"),
    "a tab in the target": to("GET /a\tb"),
    "a control character in the target": to("GET /a\x01b"),
    "DEL in the target": to("GET /a\x7fb"),
}

VERSIONS = {
    "HTTP/1.0": to("GET /", version="1.0"),
    "HTTP/1.0 without Host": to("GET /", host="", version="1.0"),
    "HTTP/1.0 keep-alive": to("GET /", "Connection: keep-alive", version="1.0"),
    "HTTP/1.0 keep-alive, twice": to("GET /", "Connection: keep-alive", version="1.0") * 2,
    "HTTP/1.0 with a counted body": to("POST /", "Content-Length: 3", version="1.0", body=b"abc"),
    "HTTP/1.0 chunked": to("POST /", "Transfer-Encoding: chunked", version="1.0", body=b"1\r\na\r\n0\r\n\r\n"),
    "HTTP/1.0, then another": to("GET /", version="1.0") + NEXT,
    "HTTP/1.0 with a response in chunks": to("GET /stream", version="1.0"),
    "HTTP/1.2": to("GET /", version="1.2"),
    "HTTP/2.0": to("GET /", version="2.0"),
    "HTTP/3.0": to("GET /", version="3.0"),
    "HTTP/0.9": to("GET /", version="0.9"),
    "HTTP/1": to("GET /", version="1"),
    "HTTP/1.10": to("GET /", version="1.10"),
    "a request line of HTTP/0.9": b"GET /\r\n\r\n",
    "a request line of HTTP/0.9, alone": b"GET /\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http/1.1 in lower case": b"GET / http/1.1\r\nHost: a\r\n\r\n",
    "a space behind the version": b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "two spaces before the version": b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
    "two spaces behind the method": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "tabs in the request line": b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "RTSP": b"GET / RTSP/1.0\r\nHost: a\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "nonsense": b"nonsense\r\n\r\n",
    "NULs": b"\0" * 50 + b"\r\n\r\n",
}

HOSTS = {
    "no Host": to("GET /", host=""),
    "two Hosts": to("GET /", "Host: b"),
    "two Hosts alike": to("GET /", "Host: a"),
    "an empty Host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "a Host with a port": to("GET /", host="a:8080"),
    "a Host with a path": to("GET /", host="a/b"),
    "a Host with a user": to("GET /", host="u@a"),
    "a Host with a space": to("GET /", host="a b"),
    "a Host with a comma": to("GET /", host="a, b"),
    "an IPv6 Host": to("GET /", host="[::1]:80"),
}

LINES = {
    "a folded line": to("GET /", "X: a", " b"),
    "a line folded by a tab": to("GET /", "X: a", "\tb"),
    "a folded first line": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "a space before the colon": to("GET /", "X : a"),
    "a tab before the colon": to("GET /", "X\t: a"),
    "no name": to("GET /", ": a"),
    "no colon": to("GET /", "X"),
    "a space in a name": to("GET /", "X Y: a"),
    "a bracket in a name": to("GET /", "X(: a"),
    "Latin-1 in a name": to("GET /", "X\xe9: a"),
    "NUL in a value": to("GET /", "X: a\0b"),
    "NUL in a name": to("GET /", "X\0: a"),
    "a control character in a value": to("GET /", "X: a\x01b"),
    "DEL in a value": to("GET /", "X: a\x7fb"),
    "a vertical tab before a value": to("GET /", "X: \x0ba"),
    "a bare LF between two headers": to("GET /", "X: a\nY: b"),
    "a bare LF behind the request line": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "bare LFs alone": b"GET / HTTP/1.1\nHost: a\n\n",
    "a bare LF ends the head": b"GET / HTTP/1.1\r\nHost: a\r\n\n",
    "a bare CR in a value": to("GET /", "X: a\rb"),
    "a bare CR between two headers": to("GET /", "X: a\rY: b"),
    "bare CRs alone": b"GET / HTTP/1.1\rHost: a\r\r",
    "CR CR LF": b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
    "an empty line first": b"\r\n" + to("GET /"),
    "three empty lines first": b"\r\n" * 3 + to("GET /"),
    "an empty line between two requests": to("GET /") + b"\r\n" + NEXT,
    "a bare LF first": b"\n" + to("GET /"),
    "a space first": b" " + to("GET /"),
}

LENGTHS = {
    "a counted body": to("POST /", "Content-Length: 5", body=b"hello"),
    "an empty body": to("POST /", "Content-Length: 0"),
    "POST without a length": to("POST /"),
    "POST without a length, bytes behind it": to("POST /", body=b"hello"),
    "a counted body, then another request": to("POST /", "Content-Length: 5", body=b"hello") + NEXT,
    "half a counted body": to("POST /", "Content-Length: 10", body=b"hello"),
    "a length with zeros": to("POST /", "Content-Length: 005", body=b"hello"),
    "a signed length": to("POST /", "Content-Length: +5", body=b"hello"),
    "a negative length": to("POST /", "Content-Length: -5", body=b"hello"),
    "a hexadecimal length": to("POST /", "Content-Length: 0x5", body=b"hello"),
    "a length with a fraction": to("POST /", "Content-Length: 5.0", body=b"hello"),
    "an underscore in a length": to("POST /", "Content-Length: 1_0", body=b"hellohello"),
    "an empty length": to("POST /", "Content-Length:", body=b"hello"),
    "a space in a length": to("POST /", "Content-Length: 5 0", body=b"hello"),
    "a length that overflows": to("POST /", "Content-Length: 18446744073709551621", body=b"hello"),
    "two lengths alike": to("POST /", "Content-Length: 5", "Content-Length: 5", body=b"hello"),
    "two lengths that differ": to("POST /", "Content-Length: 5", "Content-Length: 0", body=b"hello"),
    "two lengths alike in a line": to("POST /", "Content-Length: 5, 5", body=b"hello"),
    "two lengths that differ in a line": to("POST /", "Content-Length: 0, 5", body=b"hello"),
    "a space before a length's colon": to("POST /", "Content-Length : 5", body=b"hello"),
    "a folded length": to("POST /", "Content-Length:", " 5", body=b"hello"),
    "Latin-1 digits in a length": to("POST /", "Content-Length: \xb2", body=b"hello"),
}

CHUNKS = {
    "a chunked body": chunked(b"hel", b"lo"),
    "an empty chunked body": chunked(),
    "a chunked body, then another request": chunked(b"hello") + NEXT,
    "half a chunked body": to("POST /", "Transfer-Encoding: chunked", body=b"5\r\nhel"),
    "a chunk extension": chunked(end=b"5;a=b;c\r\nhello\r\n0;d\r\n\r\n"),
    "a quoted chunk extension": chunked(end=b'5;a="b;c"\r\nhello\r\n0\r\n\r\n'),
    "a chunk extension with a bare LF": chunked(end=b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "a chunk extension with a bare CR": chunked(end=b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    "a chunk extension of 100 KiB": chunked(end=b"5;" + b"a" * 100_000 + b"\r\nhello\r\n0\r\n\r\n"),
    "a chunk size in capitals": chunked(end=b"A\r\nhellohello\r\n0\r\n\r\n"),
    "a chunk size with zeros": chunked(end=b"0005\r\nhello\r\n000\r\n\r\n"),
    "a chunk size with a prefix": chunked(end=b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size with a sign": chunked(end=b"+5\r\nhello\r\n0\r\n\r\n"),
    "a negative chunk size": chunked(end=b"-5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size with a space behind it": chunked(end=b"5 \r\nhello\r\n0\r\n\r\n"),
    "a chunk size with a space before it": chunked(end=b" 5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size with an underscore": chunked(end=b"1_0\r\nhello\r\n0\r\n\r\n"),
    "an empty chunk size": chunked(end=b"\r\nhello\r\n0\r\n\r\n"),
    "no chunk size": chunked(end=b"hello\r\n0\r\n\r\n"),
    "a huge chunk size": chunked(end=b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    "a chunk size that overflows": chunked(end=b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "a chunk size of many zeros": chunked(end=b"0" * 40 + b"5\r\nhello\r\n0\r\n\r\n"),
    "a chunk longer than its size": chunked(end=b"5\r\nhello!\r\n0\r\n\r\n"),
    "a chunk without its CRLF": chunked(end=b"5\r\nhello0\r\n\r\n"),
    "a chunk ended by a bare LF": chunked(end=b"5\r\nhello\n0\r\n\r\n"),
    "a chunk size ended by a bare LF": chunked(end=b"5\nhello\r\n0\r\n\r\n"),
    "a chunked body ended by bare LFs": chunked(end=b"5\r\nhello\r\n0\n\n"),
    "a chunked body without its last line": chunked(end=b"5\r\nhello\r\n0\r\n") + NEXT,
}

TRAILERS = {
    "a trailer": chunked(b"hello", end=b"0\r\nX-Sum: 1\r\n\r\n"),
    "a trailer, then another request": chunked(b"hello", end=b"0\r\nX-Sum: 1\r\n\r\n") + NEXT,
    "a length for a trailer": chunked(b"hello", end=b"0\r\nContent-Length: 50\r\n\r\n") + NEXT,
    "a coding for a trailer": chunked(b"hello", end=b"0\r\nTransfer-Encoding: chunked\r\n\r\n") + NEXT,
    "a Host for a trailer": chunked(b"hello", end=b"0\r\nHost: evil\r\n\r\n") + NEXT,
    "close for a trailer": chunked(b"hello", end=b"0\r\nConnection: close\r\n\r\n") + NEXT,
    "a folded trailer": chunked(b"hello", end=b"0\r\nX: a\r\n b\r\n\r\n") + NEXT,
    "a trailer without a colon": chunked(b"hello", end=b"0\r\nX\r\n\r\n") + NEXT,
    "a request for a trailer": chunked(b"hello", end=b"0\r\n" + to("GET /smuggled")),
    "bare LFs behind a trailer": chunked(b"hello", end=b"0\r\nX: a\n\r\n") + NEXT,
    "trailers of 100 KiB": chunked(b"hello", end=b"0\r\n" + b"X: " + b"a" * 100_000 + b"\r\n\r\n") + NEXT,
}

CODINGS = {
    "chunked and a length": to("POST /", "Transfer-Encoding: chunked", "Content-Length: 5", body=b"0\r\n\r\n") + NEXT,
    "a length and chunked": to("POST /", "Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n") + NEXT,
    "Chunked in capitals": to("POST /", "Transfer-Encoding: CHUNKED", body=b"1\r\na\r\n0\r\n\r\n"),
    "identity": to("POST /", "Transfer-Encoding: identity", "Content-Length: 1", body=b"a"),
    "identity alone": to("POST /", "Transfer-Encoding: identity", body=b"a"),
    "gzip and chunked": to("POST /", "Transfer-Encoding: gzip, chunked", body=b"1\r\na\r\n0\r\n\r\n"),
    "gzip alone": to("POST /", "Transfer-Encoding: gzip", body=b"a"),
    "chunked and gzip": to("POST /", "Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"),
    "chunked twice": to("POST /", "Transfer-Encoding: chunked, chunked", body=b"1\r\na\r\n0\r\n\r\n"),
    "chunked in two lines": to("POST /", *["Transfer-Encoding: chunked"] * 2, body=b"1\r\na\r\n0\r\n\r\n"),
    "chunked misspelt": to("POST /", "Transfer-Encoding: xchunked", body=b"1\r\na\r\n0\r\n\r\n"),
    "chunked in quotes": to("POST /", 'Transfer-Encoding: "chunked"', body=b"1\r\na\r\n0\r\n\r\n"),
    "chunked behind a vertical tab": to("POST /", "Transfer-Encoding: \x0bchunked", body=b"1\r\na\r\n0\r\n\r\n"),
    "chunked with a parameter": to("POST /", "Transfer-Encoding: chunked;a=b", body=b"1\r\na\r\n0\r\n\r\n"),
    "a space before a coding's colon": to("POST /", "Transfer-Encoding : chunked", body=b"0\r\n\r\n") + NEXT,
    "a folded coding": to("POST /", "Transfer-Encoding:", " chunked", body=b"0\r\n\r\n") + NEXT,
    "an empty coding": to("POST /", "Transfer-Encoding:", "Content-Length: 1", body=b"a"),
    "GET, chunked": chunked(b"a", line="GET /"),
}

LIVES = {
    "two in a pipeline": to("GET /") + NEXT,
    "twenty in a pipeline": b"".join(to(f"GET /{n}") for n in range(20)),
    "bodies in a pipeline": to("POST /1", "Content-Length: 1", body=b"a") + chunked(b"b", line="POST /2") + NEXT,
    "a good one, then nonsense": to("GET /") + b"nonsense\r\n\r\n",
    "close": to("GET /", "Connection: close"),
    "close, then another": to("GET /", "Connection: close") + NEXT,
    "Close among others": to("GET /", "Connection: foo, Close"),
    "keep-alive and close": to("GET /", "Connection: keep-alive, close"),
    "close in two lines": to("GET /", "Connection: foo", "Connection: close"),
    "half a head": to("GET /")[:-2],
    "a request line alone": b"GET / HTTP/1.1\r\n",
    "an early answer to a short body": to("POST /early", "Content-Length: 5", body=b"hello") + NEXT,
    "an early answer to half a body": to("POST /early", "Content-Length: 10", body=b"hello"),
    "an early answer to a chunked body": chunked(b"hello", line="POST /early") + NEXT,
    "an early answer and broken chunks": chunked(end=b"nonsense\r\n", line="POST /early") + NEXT,
    "Expect with a body": to("POST /", "Content-Length: 1", "Expect: 100-continue", body=b"a"),
    "Expect and no body yet": to("POST /", "Content-Length: 1", "Expect: 100-continue"),
    "Expect without a body": to("GET /", "Expect: 100-continue"),
    "Expect and an early answer": to("POST /early", "Content-Length: 1", "Expect: 100-continue"),
    "Expect in HTTP/1.0": to("POST /", "Content-Length: 1", "Expect: 100-continue", version="1.0", body=b"a"),
    "another expectation": to("GET /", "Expect: 200-ok"),
    "an upgrade that nobody knows": to("GET /", "Connection: Upgrade", "Upgrade: foo") + NEXT,
    "an upgrade to h2c": to(
        "GET /", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"
    ),
    "an upgrade with a body": to("POST /", "Connection: Upgrade", "Upgrade: foo", "Content-Length: 3", body=b"abc")
    + NEXT,
}

RESPONSES = {
    "a response in chunks": to("GET /stream"),
    "HEAD of a response in chunks": to("HEAD /stream") + NEXT,
    "204": to("GET /status/204") + NEXT,
    "304": to("GET /status/304") + NEXT,
    "205": to("GET /status/205") + NEXT,
    "a response that says close": to("GET /close") + NEXT,
    "an application that fails": to("GET /fail") + NEXT,
    "an application that returns nothing": to("GET /nothing") + NEXT,
    "a response longer than it says": to("GET /longer"),
    "a response shorter than it says": to("GET /shorter"),
    "a line end in a response's header": to("GET /split"),
}

GROUPS = {
    "Plain requests": PLAIN,
    "Methods": METHODS,
    "Targets": TARGETS,
    "Versions": VERSIONS,
    "Host": HOSTS,
    "Header lines": LINES,
    "Content-Length": LENGTHS,
    "Chunks": CHUNKS,
    "Trailers": TRAILERS,
    "Transfer-Encoding": CODINGS,
    "The connection's life": LIVES,
    "Responses": RESPONSES,
}
CORPUS = {name: data for group in GROUPS.values() for name, data in group.items()}
