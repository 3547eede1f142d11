"""Frames: what is written is read again, however it is cut, and a server's mistakes are called by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.testing.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    NO_STATUS,
    PING,
    RSV1,
    RSV2,
    TEXT,
    BrokenFrame,
    Deflater,
    Frame,
    Reader,
    accept_key,
    agreed_parameters,
    close_frame,
    frame,
    masked,
)

SIZES = (0, 1, 125, 126, 65_535, 65_536)


def read(data: bytes, reader: Reader | None = None) -> list[Frame]:
    reader = reader or Reader()
    reader.feed(data)
    found = []
    while (each := reader.next()) is not None:
        found.append(each)
    return found


def said(opcode: int, payload: bytes, flags: int = FIN) -> bytes:
    """As a server says it."""
    return frame(opcode, payload, flags=flags, key=None)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_written_is_read(size: int) -> None:
    payload = b"*" * size
    assert read(said(BINARY, payload)) == [Frame(BINARY, payload)]


def test_the_frames_of_the_rfc() -> None:
    assert frame(TEXT, b"Hello") == bytes.fromhex("818537fa213d7f9f4d5158")
    assert said(TEXT, b"Hello") == bytes.fromhex("810548656c6c6f")
    assert said(BINARY, b"*" * 256)[:4] == bytes.fromhex("827e0100")
    assert said(BINARY, b"*" * 65_536)[:10] == bytes.fromhex("827f0000000000010000")
    assert Deflater().compress(b"Hello") == bytes.fromhex("f248cdc9c90700")
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_a_mask_is_undone_by_itself(payload: bytes, key: bytes) -> None:
    assert masked(masked(payload, key), key) == payload
    assert masked(payload, key) == bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


@given(st.lists(st.binary(max_size=200), max_size=5), st.integers(1, 7), st.booleans())
def test_how_the_bytes_are_cut_changes_nothing(payloads: list[bytes], size: int, is_compressed: bool) -> None:
    deflater, sent = Deflater(), b""
    for payload in payloads:
        data = deflater.compress(payload) if is_compressed else payload
        first, rest = data[: len(data) // 2], data[len(data) // 2 :]
        sent += said(BINARY, first, RSV1 if is_compressed else 0) + said(PING, b"p") + said(CONTINUATION, rest)
    reader, found = Reader(15 if is_compressed else 0), list[Frame]()
    for at in range(0, len(sent), size):
        found += read(sent[at : at + size], reader)
    assert [each.payload for each in found if each.opcode == BINARY] == payloads
    assert sum(each.opcode == PING for each in found) == len(payloads)
    assert reader.unread_bytes == 0


def test_a_compressed_message_refers_to_the_one_before() -> None:
    deflater, words = Deflater(), b"the same words again and again"
    first, second = deflater.compress(words), deflater.compress(words)
    assert len(second) < len(first)
    with pytest.raises(BrokenFrame, match="cannot be inflated"):
        read(said(TEXT, second, FIN | RSV1), Reader(15))
    assert [
        each.payload for each in read(said(TEXT, first, FIN | RSV1) + said(TEXT, second, FIN | RSV1), Reader(15))
    ] == [words] * 2


def test_a_close_frame_has_a_code_or_none() -> None:
    assert read(said(CLOSE, b"\x03\xe8bye"))[0].code == 1000
    assert read(said(CLOSE, b""))[0].code == NO_STATUS
    assert close_frame(3000, "x")[0] == FIN | CLOSE


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (frame(TEXT, b"x"), "masked"),
        (frame(TEXT, b"x", key=None, length_bytes=2), "a length of 1"),
        (frame(TEXT, b"x" * 200, key=None, length_bytes=8), "a length of 200"),
        (said(3, b""), "opcode 3"),
        (said(TEXT, b"x", FIN | RSV1), "reserved bits"),
        (said(TEXT, b"x", FIN | RSV2), "reserved bits"),
        (said(PING, b"x", 0), "in pieces"),
        (said(PING, b"x" * 126), "too long"),
        (said(CLOSE, b"\x03"), "half a close code"),
        (said(CONTINUATION, b"x"), "the other kind"),
        (said(TEXT, b"x", 0) + said(TEXT, b"x"), "the other kind"),
        (said(TEXT, b"\xff"), "no UTF-8"),
    ],
)
def test_what_no_server_may_send_is_broken(sent: bytes, why: str) -> None:
    with pytest.raises(BrokenFrame, match=why):
        read(sent)


def test_only_permessage_deflate_can_be_agreed_upon() -> None:
    value = 'permessage-deflate; server_max_window_bits="10"; client_no_context_takeover'
    assert agreed_parameters(value) == {"server_max_window_bits": "10", "client_no_context_takeover": ""}
    for other in ("x-deflate", "permessage-deflate, permessage-deflate"):
        with pytest.raises(BrokenFrame, match="not offered"):
            agreed_parameters(other)
