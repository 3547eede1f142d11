"""The benches about moving connections, small: they measure what they say, and what they promise holds in small as well."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import crowd, idle, keep_alive, pace, peers, plot
from midair.testing.client import Load


@pytest.mark.alone
@pytest.mark.slow
def test_keep_alive_connections_are_counted_through_the_updates() -> None:
    done = keep_alive.run(peers.MIDAIR, Load(connections=30, think_s=0.02), updates=3)
    assert (done.report.failed, done.report.reconnects, done.arrived) == (0, 0, 3), done.report.summary()
    assert len(done.report.versions) == 4


@pytest.mark.alone
@pytest.mark.slow
def test_the_reload_of_another_server_is_driven_the_same_way() -> None:
    done = keep_alive.run(peers.UVICORN, Load(connections=30, think_s=0.02), updates=1)
    assert done.arrived == 1
    assert done.report.reconnects + done.report.failed > 0, "its connections do not outlive their version"


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("has_second", [False, True])
def test_no_second_moves_more_than_the_pace_allows(has_second: bool) -> None:
    done = pace.run(100, 0.25, has_second=has_second)
    assert done.lost == 0
    assert (done.moved == 100) is not has_second
    assert done.most <= done.allowed == 26
    assert 3.0 <= done.over_s <= 7.0
    assert done.curve[-1][1] == done.moved


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("kind", [crowd.Crowd, crowd.WebSocketCrowd])
def test_idle_connections_move_at_once_and_are_measured(kind: type[crowd.Crowd]) -> None:
    done = idle.run(300, kind)
    assert (done.lost, done.others_failed) == (0, 0)
    assert 0 < done.moved_s < 5.0
    assert done.others_s
    assert 0 < done.giver_cpu_s < 0.01
    assert 0 < done.taker_cpu_s < 0.01


def test_the_plot_is_a_picture_of_all_points(tmp_path: Path) -> None:
    path = tmp_path / "results" / "pace.svg"
    plot.write(path, "2 < 3", "s", "moved", {"one & two": [(0.0, 0.0), (10.0, 1000.0), (20.0, 2000.0)], "none": []})
    picture = ElementTree.fromstring(path.read_text())
    texts = [each.text for each in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"2 < 3", "one & two", "20 s", "2000", "moved"} <= set(texts)
    line = next(iter(picture.iter("{http://www.w3.org/2000/svg}polyline")))
    assert line.get("points") == "56.0,344.0 360.0,200.0 664.0,56.0"
