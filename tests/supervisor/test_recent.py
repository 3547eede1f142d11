"""What has happened lately is kept within bounds, counted upwards, and gets over an upgrade."""

from __future__ import annotations

from midair.supervisor.recent import BYTES_MAX, ROWS_MAX, Recent, Row, time_s


class Wall:
    def __init__(self) -> None:
        self.s = 1_790_000_000.0

    def __call__(self) -> float:
        return self.s


def test_numbers_say_when_and_grow_even_if_the_clock_does_not() -> None:
    wall = Wall()
    recent = Recent(wall)
    first = recent.count()
    assert abs(time_s(first) - wall.s) < 0.001
    wall.s -= 3600
    assert recent.count() == first + 1


def test_an_event_has_its_level_and_its_fields_without_those_that_say_nothing() -> None:
    recent = Recent(Wall())
    seen: list[Row] = []
    recent.followers.append(seen.append)
    recent.note("worker_died", {"worker": 3, "how": "killed", "detail": None})
    (row,) = recent.latest(5)
    assert seen == [row]
    assert (row.event, row.level, row.fields) == ("worker_died", "error", {"worker": 3, "how": "killed"})
    assert row.number == recent.last
    assert row.line().time_s == time_s(row.number)


def test_it_is_bounded_in_rows_and_in_bytes() -> None:
    recent = Recent(Wall())
    for number in range(ROWS_MAX + 50):
        recent.note("held", {"reason": str(number)})
    rows = recent.latest(10_000)
    assert len(rows) == ROWS_MAX
    assert rows[-1].fields["reason"] == str(ROWS_MAX + 49)
    for _ in range(ROWS_MAX):
        recent.note("update_refused", {"detail": "x" * 100_000})
    rows = recent.latest(10_000)
    assert sum(len(str(row.fields["detail"])) for row in rows) <= BYTES_MAX
    assert str(rows[-1].fields["detail"]).startswith("… x")
    assert recent.latest(0) == []


def test_it_gets_over_an_upgrade() -> None:
    wall = Wall()
    before = Recent(wall)
    before.note("held", {"reason": "lunch"})
    after = Recent(wall)
    after.thaw(*before.freeze())
    assert after.latest(1) == before.latest(1)
    assert after.count() > before.last
