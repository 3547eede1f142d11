"""The pace of moving connections: as asked for, told to whoever looks, one for all versions, and held back by a bad version."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from midair.testing.client import Load
from midair.testing.report import Answer
from tests.support.moves import Moves
from tests.support.service import Service
from tests.support.waiting import wait_for

BUSY = Load(connections=60, think_s=0.05)
UNWATCHED = {"for": "0.3s", "error_rate": "off"}
"""A bake that would take back nothing: only the pace stands between a bad version and all connections."""


def moving(service: Service) -> dict[str, Any]:
    """What ``midair status`` says of connections on their way; empty: none is."""
    return service.status().get("moving") or {}


def happened(service: Service, event: str, number: int = 0) -> list[dict[str, Any]]:
    """Fields of these events in a receipt; 0: the latest."""
    return [each["fields"] for each in service.receipt(number)["events"] if each["event"] == event]


def until_halted(service: Service) -> dict[str, Any]:
    return wait_for(lambda: moving(service), until=lambda now: now.get("share") == 0.0, what="the halt")


# --- held back ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_version_that_fails_gets_no_more_connections_until_it_recovers(tmp_path: Path) -> None:
    settings = {"bake": UNWATCHED, "drain": {"rate": "10%"}}
    with Service(tmp_path, "strained", settings=settings) as service, service.asked(BUSY) as client:
        trouble = service.folder / "trouble.txt"
        trouble.write_text("errors")
        service.update("2")
        left = until_halted(service)["left"]
        failed = client.report.failed
        wait_for(lambda: client.report.failed, until=lambda now: now > failed + 200, what="more errors")
        # What was granted a moment before may have gone yet.
        assert left - 2 <= moving(service)["left"] <= left
        assert client.report.versions["1"] > client.report.failed, "most connections were kept out of it"
        trouble.unlink()
        (resumed,) = wait_for(
            lambda: happened(service, "connections_resumed"), 30, what="the whole pace again", every_s=0.2
        )
        wait_for(lambda: moving(service).get("left", 0), until=lambda now: now < left / 2, what="the rest on its way")
        report = client.report
        assert report.failed == report.counts[Answer.SERVER_ERROR], report.summary() + service.log()
        assert report.reconnects == 0
        (halted,) = happened(service, "connections_halted")
    assert (halted["errors"] > 0.2, resumed["halted_s"] > 1.0) == (True, True)
    assert "connections halted" in service.log()


@pytest.mark.slow
@pytest.mark.parametrize("ails", ["slow", "hangs"])
def test_a_version_that_answers_late_or_never_gets_no_more_connections_until_it_recovers(
    tmp_path: Path, ails: str
) -> None:
    settings = {"bake": UNWATCHED, "drain": {"rate": "20%"}}
    with Service(tmp_path, "strained", settings=settings) as service, service.asked(BUSY) as client:
        trouble = service.folder / "trouble.txt"
        trouble.write_text(ails)
        service.update("2")
        assert until_halted(service)["slow"] > 0.2
        assert client.report.versions["1"] > 0
        left = moving(service)["left"]
        trouble.unlink()
        wait_for(
            lambda: moving(service).get("left", 0), 30, until=lambda now: now < left - 10, what="the rest on its way"
        )
        assert (client.report.failed, client.report.reconnects) == (0, 0), client.report.summary() + service.log()
        (halted,) = happened(service, "connections_halted")
    assert (halted["slow"] > 0.2, halted["slow_over_s"]) == (True, 0.05)


@pytest.mark.slow
def test_it_does_not_halt_if_so_wished(tmp_path: Path) -> None:
    settings = {"bake": UNWATCHED, "drain": {"rate": "40%", "halt_at": "off"}}
    with Service(tmp_path, "strained", settings=settings) as service, service.asked(BUSY):
        (service.folder / "trouble.txt").write_text("errors")
        service.update("2")
        (moved,) = wait_for(lambda: happened(service, "connections_moved"), what="all connections on the new version")
        assert (moved["moved"], moved["halted_s"]) == (60, 0.0)
        assert happened(service, "connections_halted") == []


@pytest.mark.slow
def test_a_halt_ends_at_the_drain_deadline(tmp_path: Path) -> None:
    settings = {"bake": UNWATCHED, "drain": {"rate": "20%", "timeout": "10s"}, "exit": {"timeout": "1s"}}
    with Service(tmp_path, "strained", settings=settings) as service, service.asked(BUSY) as client:
        (service.folder / "trouble.txt").write_text("errors")
        service.update("2")
        until_halted(service)
        (moved,) = wait_for(lambda: happened(service, "connections_moved"), what="all connections on the new version")
        assert moved["moved"] == 60
        report = client.report
        assert (report.failed, report.reconnects) == (report.counts[Answer.SERVER_ERROR], 0), (
            report.summary() + service.log()
        )


# --- as asked for -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_pace_of_one_update_is_its_own(tmp_path: Path) -> None:
    """Also without a bake, where the update is over before the first connection has moved."""
    settings = {"bake": {"for": "0s"}, "drain": {"rate": "1%"}}
    with Service(tmp_path, settings=settings) as service, service.asked(Load(connections=40, think_s=0.02)) as client:
        service.update("2", None, "--drain-rate", "25%")
        (moved,) = wait_for(lambda: happened(service, "connections_moved"), what="40 connections at 10 a second")
        assert 3.0 < moved["seconds"] < 8.0
        assert moved["most_in_1_s"] <= 11
        service.update("3", None, "--now")
        (moved,) = wait_for(lambda: happened(service, "connections_moved"), what="40 connections at once")
        assert (moved["moved"], moved["seconds"] < 3.0) == (40, True)
        service.update("4")
        assert moving(service)["rate_per_s"] == 0.01
        assert (client.report.failed, client.report.reconnects) == (0, 0), client.report.summary() + service.log()


@pytest.mark.slow
def test_whoever_waits_for_the_old_connections_sees_them_move(tmp_path: Path) -> None:
    settings = {"drain": {"rate": "20%"}}
    with Service(tmp_path, settings=settings) as service, service.asked(Load(connections=50, think_s=0.02)):
        service.write("good", "2")
        done = service.midair("reload", "--wait", "drained")
        assert done.code == 0
        assert " of 50 moved, " in done.err
        assert ", 20 %/s\n" in done.err
        assert "drain " in done.err
        assert "  50 connections moved in " in done.err


@pytest.mark.slow
def test_an_upgrade_of_midair_in_the_midst_of_it_changes_nothing(tmp_path: Path) -> None:
    settings = {"drain": {"rate": "4%"}}
    with Service(tmp_path, settings=settings) as service, service.asked(Load(connections=60, think_s=0.05)) as client:
        service.update("2")
        wait_for(lambda: moving(service)["left"], until=lambda left: left < 58, what="some of them")
        assert service.midair("upgrade").code == 0
        left = moving(service)["left"]
        now = wait_for(lambda: moving(service), until=lambda now: now["left"] < left - 2, what="more of them")
        assert (now["of"], now["left"] + now["moved"], now["rate_per_s"]) == (60, 60, 0.04)
        assert (client.report.failed, client.report.reconnects) == (0, 0), client.report.summary() + service.log()


# --- several versions at once -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_old_versions_at_once_share_one_pace(tmp_path: Path) -> None:
    """No window of a second moves more than 10 % of those open at the cut-over, also when the next update comes half-way."""
    settings = {"drain": {"rate": "10%"}}
    connections = 200
    with (
        Service(tmp_path, settings=settings) as service,
        service.asked(Load(connections=connections, think_s=0.1)) as client,
        Moves(service.folder) as moves,
    ):
        service.update("2")
        wait_for(lambda: moves.moved, until=lambda moved: moved >= connections // 2, what="half of them")
        half = moves.moved
        service.update("3")
        assert moving(service)["of"] == connections
        wait_for(lambda: moves.moved, 30, until=lambda moved: moved >= half + connections, what="all of them")
        assert (client.report.failed, client.report.reconnects) == (0, 0), client.report.summary() + service.log()
    assert moves.most_in(1.0) <= math.ceil(0.1 * connections) + 1
