"""What became of every connection stands in the receipts, and adds up: over updates, deaths and deadlines."""

from __future__ import annotations

from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.processes import Process
from tests.support.service import Service
from tests.support.waiting import wait_for

FRESH = Load(connections=4, keep_alive=False, think_s=0.01)
KEPT = Load(connections=4, think_s=0.02)


def _books(service: Service, receipt: int, generation: int) -> dict[str, int]:
    """Of a generation that is gone, from the receipt of the update that replaced it."""

    def closed() -> dict[str, dict[str, int]]:
        books = service.receipt(receipt)["books"]
        assert isinstance(books, dict)
        return books

    books = wait_for(closed, until=lambda found: str(generation) in found, what=f"the books of {generation}")
    return books[str(generation)]


def _ended(books: dict[str, int]) -> int:
    closed = sum(count for name, count in books.items() if name.startswith("closed_"))
    return closed + books.get("handed_over", 0) + books.get("lost", 0)


def _began(books: dict[str, int]) -> int:
    return books["accepted"] + books.get("adopted", 0)


@pytest.mark.slow
def test_the_receipt_of_an_update_closes_the_books_of_the_version_that_it_replaced(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        with service.asked(FRESH, KEPT) as client:
            service.update("2")
            service.update("3")
            first, second = _books(service, 2, 1), _books(service, 3, 2)
        assert client.report.failed == 0, client.report.summary()
        for books in (first, second):
            assert books["workers"] == 2
            assert _began(books) == _ended(books) > 4
            assert books.get("lost", 0) == books.get("open", 0) == 0
        # The first version was asked once more than the client did, when the service started.
        assert first["requests"] == client.report.versions["1"] + 1
        assert second["requests"] == client.report.versions["2"]
        assert "books unbalanced" not in service.log()


@pytest.mark.slow
def test_what_a_killed_worker_held_is_lost_and_counted_so(tmp_path: Path) -> None:
    with Service(tmp_path, workers=1) as service:
        with service.asked(Load("/slow?s=20", connections=3, limit=1), Load(connections=1, limit=1)) as client:
            in_flight = lambda: service.status()["generations"][0]["workers"][0]["active"]  # noqa: E731
            wait_for(in_flight, until=lambda active: active == 3, what="three requests in flight")
            Process(service.worker_pids()[0]).kill()
            wait_for(lambda: client.report.failed, until=lambda failed: failed == 3, what="three failures")
        wait_for(lambda: service.get("/")[0], until=lambda status: status == 200)
        service.update("2")
        books = _books(service, 2, 1)
        assert (books["lost"], books["requests_lost"], books["workers"]) == (3, 3, 2)
        assert _began(books) == _ended(books)
        assert "books unbalanced" not in service.log()


@pytest.mark.slow
def test_what_was_cut_at_the_deadline_is_counted_and_named(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"drain": {"timeout": "0.5s"}}) as service:
        with service.asked(Load("/slow?s=20", connections=2, limit=1), Load(connections=1, limit=1)):
            wait_for(
                lambda: sum(w["active"] for w in service.status()["generations"][0]["workers"]),
                until=lambda active: active == 2,
                what="two requests in flight",
            )
            service.update("2")
            books = _books(service, 2, 1)
        assert (books["closed_cut"], books["requests_cut"]) == (2, 2)
        assert _began(books) == _ended(books)
        assert any("/slow" in line for line in service.receipt(1)["cut"] + service.receipt(2)["cut"])


@pytest.mark.slow
def test_a_version_that_was_rolled_back_has_its_books_in_its_own_receipt(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"bake": {"for": "5s"}}) as service:
        with service.asked(FRESH):
            service.write("health_ok_rest_500", "2")
            assert service.reload().code == 4
            books = _books(service, 2, 2)
        assert books["responses_5xx"] >= 20
        assert _began(books) == _ended(books)


@pytest.mark.slow
def test_books_get_over_an_upgrade(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        with service.asked(FRESH, KEPT) as client:
            Process(service.worker_pids()[0]).kill()
            wait_for(lambda: "worker died" in service.log())
            assert service.midair("upgrade").code == 0, service.log()
            service.update("2")
            # Number 2 was the upgrade.
            books = _books(service, 3, 1)
        assert books["workers"] == 3
        assert _began(books) == _ended(books)
        assert books["requests"] >= client.report.versions["1"]
        assert "books unbalanced" not in service.log()
