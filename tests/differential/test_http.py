"""One corpus goes to us, to uvicorn, hypercorn and granian: whatever comes of it elsewhere than here is listed, with the reason.

Three things are compared: which requests the application got, how they were answered, and whether the connection lives on.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TypeAlias

import pytest

from tests.differential.http_corpus import CORPUS
from tests.differential.http_differences import FILE, by_server, differences
from tests.differential.http_exchange import Address, Outcome, difference, exchange, look_up
from tests.differential.peers_http import OURS, PEERS, TWIN, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SIDE_BY_SIDE = 60
QUIET_S, PATIENT_QUIET_S = 0.6, 2.0
"""How long silence is an end: at first, and when a case is looked at again because it came out otherwise than listed."""
AGAIN = 2
PIECES_MAX = 100
GAP_S = 0.001

Outcomes: TypeAlias = dict[tuple[str, str], Outcome]
"""By case and server."""


def in_bytes(data: bytes) -> list[bytes]:
    step = max(1, len(data) // PIECES_MAX)
    return [data[at : at + step] for at in range(0, len(data), step)]


def at_line_ends(data: bytes) -> list[bytes]:
    """Before, within and behind each line end."""
    ends = [place for match in re.finditer(rb"\r\n", data) for place in (match.start(), match.start() + 1, match.end())]
    cuts = sorted({0, *ends[:PIECES_MAX], len(data)})
    return [data[a:b] for a, b in pairwise(cuts)]


SPLITS = {"byte by byte": in_bytes, "at line ends": at_line_ends}


async def measure(
    address: Address, cases: dict[str, list[bytes]], quiet_s: float, gap_s: float = 0.0
) -> dict[str, Outcome]:
    """Each case on a connection of its own, many side by side."""
    room = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(pieces: list[bytes]) -> Outcome:
        async with room:
            return await exchange(address, pieces, quiet_s=quiet_s, gap_s=gap_s)

    outcomes = await asyncio.gather(*(one(pieces) for pieces in cases.values()))
    await look_up(address, outcomes)
    return dict(zip(cases, outcomes, strict=True))


async def measure_all(servers: dict[str, Address], names: Iterable[str], quiet_s: float) -> Outcomes:
    whole = {name: [CORPUS[name]] for name in names}
    found = await asyncio.gather(*(measure(address, whole, quiet_s) for address in servers.values()))
    return {
        (name, server): outcome
        for server, outcomes in zip(servers, found, strict=True)
        for name, outcome in outcomes.items()
    }


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Address]]:
    with running() as addresses:
        yield addresses


def unlisted(outcomes: Outcomes) -> dict[tuple[str, str], str]:
    """What came out otherwise than it is listed: by case and server, as it came out."""
    listed = by_server()
    found = {}
    for (name, server), outcome in outcomes.items():
        if server == OURS:
            wanted = listed.get((name, server), str(outcome))
            came = str(outcome)
        else:
            wanted = listed.get((name, server), "")
            came = difference(outcomes[name, OURS], outcome)
        if came != wanted:
            found[name, server] = came or "as midair"
    return found


def test_whatever_differs_is_listed_and_whatever_is_listed_differs(servers: dict[str, Address]) -> None:
    compared = {name: address for name, address in servers.items() if name != TWIN}
    wrong = unlisted(asyncio.run(measure_all(compared, CORPUS, QUIET_S)))
    for _ in range(AGAIN):
        if wrong:
            # A busy machine answers late: what is still otherwise with more patience is otherwise.
            again = asyncio.run(measure_all(compared, {name for name, _ in wrong}, PATIENT_QUIET_S))
            wrong = {key: came for key, came in unlisted(again).items() if key in wrong}
    lines = [
        f"[{json.dumps(name)}] {server} = {json.dumps(came, ensure_ascii=False)}"
        for (name, server), came in wrong.items()
    ]
    assert wrong == {}, f"put these into {FILE.name}, with the reason, or mend what is ours:\n" + "\n".join(lines)


NOT_ALIKE = {
    "an early answer and broken chunks": "whole, it is known to be broken before the application is called",
    "Expect with a body": "in pieces, the body is not there when the application asks for it",
}


@pytest.mark.parametrize("split", SPLITS)
def test_it_makes_no_difference_how_the_bytes_arrive_nor_on_which_loop(servers: dict[str, Address], split: str) -> None:
    pieces = {name: SPLITS[split](data) for name, data in CORPUS.items() if name not in NOT_ALIKE}

    async def differing(names: Iterable[str], quiet_s: float) -> dict[tuple[str, str], str]:
        cut = {name: pieces[name] for name in names}
        whole = await measure(servers[OURS], {name: [CORPUS[name]] for name in names}, quiet_s)
        ours, twin = await asyncio.gather(*(measure(servers[name], cut, quiet_s, GAP_S) for name in (OURS, TWIN)))
        told = {OURS: ours, TWIN: twin}
        return {
            (name, server): f"{came} instead of {whole[name]}"
            for server, outcomes in told.items()
            for name in names
            if (came := difference(whole[name], outcomes[name]))
        }

    wrong = asyncio.run(differing(pieces, QUIET_S))
    for _ in range(AGAIN):
        if wrong:
            wrong = asyncio.run(differing({name for name, _ in wrong}, PATIENT_QUIET_S))
    assert wrong == {}


def test_both_loops_read_alike(servers: dict[str, Address]) -> None:
    alike = {name: address for name, address in servers.items() if name in (OURS, TWIN)}
    outcomes = asyncio.run(measure_all(alike, CORPUS, QUIET_S))
    assert {name: came for name in CORPUS if (came := difference(outcomes[name, OURS], outcomes[name, TWIN]))} == {}


def test_the_list_speaks_of_cases_and_servers_that_are_there() -> None:
    assert len(CORPUS) > 200
    listed = by_server()
    assert {name for name, _ in listed} <= set(CORPUS)
    assert {server for _, server in listed} <= {OURS, *PEERS}
    names = [name for each in differences() for name in each.cases]
    assert len(names) == len(set(names)), "one case, one reason"
    assert all(each.reason and each.cases for each in differences())
    titles = [each.title for each in differences()]
    assert len(set(titles)) == len(titles)
