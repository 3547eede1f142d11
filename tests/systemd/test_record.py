"""A record in memory: whole after every end of its writer, and read by whoever gets its descriptor."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.systemd.record import PAGE_BYTES, Record, RecordUnreadable


@pytest.fixture
def record() -> Iterator[Record]:
    made = Record.make("midair-test")
    yield made
    made.close()


def read(record: Record) -> bytes:
    return Record.adopt(record.fd)[1]


def test_what_was_written_last_is_read(record: Record) -> None:
    for document in (b"one", b"", b"three" * 1000, b"4"):
        record.write(document)
        assert read(record) == document


def test_whoever_takes_it_over_goes_on_writing(record: Record) -> None:
    record.write(b"one")
    record.write(b"two")
    other, _ = Record.adopt(record.fd)
    other.write(b"three")
    other.write(b"four")
    assert read(record) == b"four"


@given(
    documents=st.lists(st.binary(max_size=300), min_size=1, max_size=4), last=st.binary(max_size=300), data=st.data()
)
def test_a_write_that_is_broken_off_leaves_the_one_before(
    documents: list[bytes], last: bytes, data: st.DataObject
) -> None:
    record = Record.make("midair-test")
    try:
        for document in documents:
            record.write(document)
        before = [os.pread(record.fd, 1000, PAGE_BYTES * page) for page in (0, 1)]
        record.write(last)
        after = [os.pread(record.fd, 1000, PAGE_BYTES * page) for page in (0, 1)]
        (page,) = [number for number in (0, 1) if before[number] != after[number]]
        written = 24 + len(last)
        cut = data.draw(st.integers(0, written - 1))
        os.pwrite(record.fd, before[page][cut:written], PAGE_BYTES * page + cut)
        whole = after[page][:written] == os.pread(record.fd, written, PAGE_BYTES * page)
        assert read(record) == (last if whole else documents[-1])
    finally:
        record.close()


def test_what_is_no_record_is_told_and_waited_for_by_nobody(record: Record) -> None:
    with pytest.raises(RecordUnreadable, match="whole"):
        read(record)
    os.pwrite(record.fd, b"\xff" * 100, 0)
    with pytest.raises(RecordUnreadable, match="whole"):
        read(record)
    reading, writing = os.pipe()
    with pytest.raises(RecordUnreadable, match="no file"):
        Record.adopt(reading)
    os.close(reading)
    os.close(writing)
    with pytest.raises(RecordUnreadable, match="cannot be read"):
        Record.adopt(reading)


def test_a_document_that_is_too_large_is_refused_and_the_one_before_stands(record: Record) -> None:
    record.write(b"one")
    with pytest.raises(OSError, match="too large"):
        record.write(b"x" * PAGE_BYTES)
    assert read(record) == b"one"
