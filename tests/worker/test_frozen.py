"""A connection as a value: through bytes and back it is the same, and what another release adds or lacks does no harm."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.worker import frozen
from midair.worker.deflate import DeflateState
from midair.worker.frozen import (
    Batch,
    CarriedBytes,
    Frozen,
    HttpConnection,
    HttpStream,
    RequestHead,
    WebSocketConnection,
)

BYTES = st.binary(max_size=200)
SECONDS = st.floats(0, 1e6)
carried = st.builds(CarriedBytes, data=BYTES, version=st.integers(0, 1 << 31))
request = st.builds(
    RequestHead,
    method=st.sampled_from(["GET", "POST"]),
    target=BYTES,
    headers=st.lists(st.tuples(BYTES, BYTES), max_size=5).map(tuple),
)
deflate = st.builds(
    DeflateState,
    client_keeps_window=st.booleans(),
    server_keeps_window=st.booleans(),
    client_window_bits=st.integers(8, 15),
    server_window_bits=st.integers(9, 15),
    window=BYTES,
)
states: st.SearchStrategy[Frozen] = st.one_of(
    st.builds(HttpConnection, unread=BYTES, left_s=SECONDS, is_head_begun=st.booleans()),
    st.builds(
        WebSocketConnection,
        request=request,
        carried=carried,
        subprotocol=st.text(max_size=20),
        deflate=st.none() | deflate,
        unread=BYTES,
        left_s=SECONDS,
        ping=BYTES,
    ),
    st.builds(
        HttpStream,
        request=request,
        carried=carried,
        status=st.integers(200, 599),
        keep_alive=st.booleans(),
        unread=BYTES,
    ),
)


@given(st.lists(states, max_size=4))
def test_it_goes_through_bytes_and_back(several: list[Frozen]) -> None:
    batch = Batch(format=frozen.FORMAT, connections=tuple(several))
    assert frozen.decode_to_receiver(frozen.encode(batch)) == batch
    assert frozen.decode_connections(frozen.encode_connections(several)) == tuple(several)


@given(st.lists(states, min_size=1, max_size=4))
def test_its_weight_is_about_what_it_takes(several: list[Frozen]) -> None:
    """The bound of a message is kept by the weight: there is room for a third more."""
    size = len(frozen.encode_connections(several))
    assert size <= 1.33 * sum(map(frozen.weight, several))


@given(states)
def test_fields_of_a_newer_release_are_passed_over(state: Frozen) -> None:
    document = msgspec.msgpack.decode(frozen.encode_connections([state]))[0]
    document["added_later"] = {"any": [1, 2]}
    assert frozen.decode_connections(msgspec.msgpack.encode([document])) == (state,)


def test_what_is_none_is_refused() -> None:
    for data in (
        b"",
        b"\xc1",
        msgspec.msgpack.encode([{"type": "teapot"}]),
        msgspec.msgpack.encode([{"type": "http"}]),
    ):
        with pytest.raises(msgspec.MsgspecError):
            frozen.decode_connections(data)
