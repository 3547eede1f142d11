"""Frames and words of the control socket: what is said arrives, in any slices; what is garbage is named and bounded."""

from __future__ import annotations

import contextlib
import typing

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midair.control import framing, words
from midair.control.framing import (
    FrameDecoder,
    FramingError,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
)
from midair.errors import Fault

ANSWERS: list[words.AnyAnswer] = [
    words.Accepted(update=3),
    words.Progress(
        update=3, number=1, event="candidate_ready", phase="ready", fields={"after_s": 1.5, "pid": 7, "x": None}
    ),
    words.Outcome(update=3, result="refused", exit_code=4, fault=Fault("import", "no module named x", "hint", "Trace")),
    words.Refused(fault=Fault("held", "held by uid 1000")),
    words.ReceiptReport(number=4, document=msgspec.Raw(b'{"a":[1,2]}')),
    words.StatusReport(
        name="shop",
        folder="/srv/shop",
        target="main:app",
        pid=1,
        midair="0.1.0",
        uptime_s=1.0,
        generations=(
            words.GenerationStatus(
                number=1,
                version="a",
                role="serving",
                workers=(words.WorkerStatus(id=1, slot=0, pid=2, state="serving"),),
            ),
        ),
    ),
]


@settings(deadline=None)  # on a busy machine a deadline measures the neighbours
@given(st.lists(st.sampled_from(ANSWERS), max_size=6), st.data())
def test_answers_arrive_whole_however_the_stream_is_cut(sent: list[words.AnyAnswer], data: st.DataObject) -> None:
    stream = b"".join(encode_answer(answer) for answer in sent)
    decoder = FrameDecoder(framing.ANSWER_MAX_BYTES)
    got: list[words.AnyAnswer] = []
    while stream:
        cut = data.draw(st.sampled_from([1, 3, 4, 5, 100, len(stream)]))
        got += [decode_answer(frame) for frame in decoder.feed(stream[:cut])]
        stream = stream[cut:]
    assert got == sent
    assert not decoder.is_midway


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_garbage_yields_frames_or_a_framing_error_and_stays_bounded(pieces: list[bytes]) -> None:
    decoder = FrameDecoder(32)
    failed = False
    for piece in pieces:
        try:
            frames = decoder.feed(piece)
        except FramingError:
            failed = True
        else:
            assert not failed, "a decoder that has raised must not come back to life"
            assert all(0 < len(frame) <= 32 for frame in frames)


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_any_payload_is_a_request_or_a_framing_error(payload: bytes) -> None:
    with contextlib.suppress(FramingError):
        decode_request(payload)


def test_every_request_has_a_word_of_its_own_and_survives_the_journey() -> None:
    needed: dict[type, words.Request] = {
        words.Scale: words.Scale(workers=3),
        words.Hold: words.Hold(reason="deploy freeze"),
    }
    seen = set()
    for kind in typing.get_args(words.Request):
        request = needed.get(kind) or kind()
        frames = FrameDecoder(framing.REQUEST_MAX_BYTES).feed(encode_request(request))
        assert [decode_request(frame) for frame in frames] == [request]
        seen.add(msgspec.json.decode(frames[0])["word"])
    assert len(seen) == len(typing.get_args(words.Request))
    assert {"status", "reload", "hold", "release"} <= seen


def test_a_field_of_a_newer_protocol_is_passed_over() -> None:
    assert decode_request(b'{"word":"stop","force":true,"protocol":2,"mood":"good"}') == words.Stop(
        force=True, protocol=2
    )


def test_an_unknown_word_is_named() -> None:
    with pytest.raises(FramingError, match="dance"):
        decode_request(b'{"word":"dance"}')


@pytest.mark.parametrize("length", [0, framing.REQUEST_MAX_BYTES + 1, 0xFFFFFFFF, int.from_bytes(b"GET ", "big")])
def test_a_length_out_of_bounds_is_refused_before_its_bytes_are_waited_for(length: int) -> None:
    decoder = FrameDecoder(framing.REQUEST_MAX_BYTES)
    with pytest.raises(FramingError):
        decoder.feed(length.to_bytes(4, "big"))


def test_a_request_too_long_is_refused_by_its_sender() -> None:
    with pytest.raises(FramingError, match="65536"):
        encode_request(words.Reload(reason="x" * framing.REQUEST_MAX_BYTES))


def test_deeply_nested_json_is_garbage_not_a_crash() -> None:
    with pytest.raises(FramingError):
        decode_request(b'{"word":"stop","x":' + b"[" * 60000)
