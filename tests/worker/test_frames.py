"""Bytes go on in whole frames, however they come, and what is not whole is known to the byte."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.worker.frames import FrameCutter
from tests.worker.test_moving_calls import frame

SIZES = (0, 1, 125, 126, 127, 65535, 65536, 70_000)


@given(
    sizes=st.lists(st.sampled_from(SIZES), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 200_000), max_size=8),
)
def test_frames_come_out_whole_and_in_order(sizes: list[int], cuts: list[int]) -> None:
    frames = [frame("x" * size, opcode=2) for size in sizes]
    stream = b"".join(frames)
    ends = list(itertools.accumulate(len(each) for each in frames))
    cutter = FrameCutter(1 << 20)
    out = b""
    for start, end in itertools.pairwise([0, *sorted(cut % len(stream) for cut in cuts), len(stream)]):
        out += cutter.cut(stream[start:end])
        assert len(out) == max((each for each in ends if each <= end), default=0)
        assert out + cutter.unread == stream[:end]
        cutter = FrameCutter(1 << 20, cutter.unread)  # as another worker would go on
    assert out == stream


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"\x81\x05", "not masked"),
        (b"\x83\x85", "no such opcode"),
        (b"\x82\xff" + (1 << 40).to_bytes(8, "big"), "longer than allowed"),
        (b"\x82\xfe" + (2000).to_bytes(2, "big"), "longer than allowed"),
    ],
)
def test_a_frame_that_will_be_refused_is_not_waited_for(head: bytes, why: str) -> None:
    whole = frame("fine")
    cutter = FrameCutter(1000)
    assert cutter.cut(whole + head) == whole + head, why
    assert cutter.unread_bytes == 0


def test_without_a_limit_any_length_is_waited_for() -> None:
    head = b"\x82\xff" + (1 << 40).to_bytes(8, "big")
    cutter = FrameCutter(0)
    assert cutter.cut(head) == b""
    assert cutter.unread == head


def test_a_long_frame_in_many_pieces_is_looked_at_when_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    look = FrameCutter._end_of_frames

    def counting(cutter: FrameCutter, data: bytes | bytearray) -> int:
        nonlocal looks
        looks += 1
        return look(cutter, data)

    monkeypatch.setattr(FrameCutter, "_end_of_frames", counting)
    data = frame("x" * 2_000_000, opcode=2)
    cutter = FrameCutter(1 << 24)
    assert b"".join(cutter.cut(data[at : at + 1000]) for at in range(0, len(data), 1000)) == data
    assert looks == 2
