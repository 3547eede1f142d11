"""One corpus of WebSocket conversations goes to us, on both event loops, and to the peers: each difference is on the list."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.differential.peers_websocket import OURS, PEERS, all_serving
from tests.differential.websocket_cases import Case, Seen, all_cases
from tests.differential.websocket_client import Address, Delivery, play
from tests.differential.websocket_differences import DEVIATIONS, DIFFERENCES, Difference

AT_ONCE = 24
"""Conversations with one server at a time."""
CASES = {case.name: case for case in all_cases()}
KNOWN = {name: deviation for name in CASES for deviation in DEVIATIONS if deviation.is_about(name)}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Conversation = tuple[str, str, Delivery]
"""Server, case, delivery."""


@pytest.fixture(scope="module")
def seen() -> dict[Conversation, Seen]:
    """Everything, played once."""
    servers = (*OURS, *PEERS)
    with all_serving(servers) as addresses:
        return asyncio.run(_play_all(addresses))


async def _play_all(addresses: dict[str, Address]) -> dict[Conversation, Seen]:
    found: dict[Conversation, Seen] = {}

    async def with_one(server: str, deliveries: tuple[Delivery, ...]) -> None:
        left = iter([(case, delivery) for case in CASES.values() for delivery in deliveries])
        await asyncio.gather(*(worker(server, left) for _ in range(AT_ONCE)))

    async def worker(server: str, left: Iterator[tuple[Case, Delivery]]) -> None:
        for case, delivery in left:
            found[server, case.name, delivery] = await play(addresses[server], case, delivery)

    ours = [with_one(server.name, tuple(Delivery)) for server in OURS]
    # Byte by byte the peers do what they do otherwise (tried), and what comes early most of them lose: the cases "right
    # behind it" say so once.
    await asyncio.gather(*ours, *(with_one(server.name, (Delivery.WHOLE,)) for server in PEERS))
    return found


def test_the_corpus_is_large_and_every_name_is_one_case() -> None:
    assert len(CASES) == len(all_cases()) > 350
    assert all(case.rule.startswith("RFC ") for case in CASES.values())


def test_we_do_what_the_rfcs_say_however_the_bytes_arrive(seen: dict[Conversation, Seen]) -> None:
    wrong = []
    for (server, name, delivery), what in seen.items():
        case = CASES[name]
        if not server.startswith("midair") or (name in KNOWN and str(what) == KNOWN[name].seen):
            continue
        if what not in case.expects:
            wrong.append(f"{server}, {delivery}: {name} ({case.rule}): {what}; expected: {case.expects[0]}")
    assert not wrong, "\n".join(wrong)


def test_each_of_our_known_deviations_is_still_there(seen: dict[Conversation, Seen]) -> None:
    gone = [name for name in KNOWN if seen[OURS[0].name, name, Delivery.WHOLE] in CASES[name].expects]
    assert not gone, "\n".join(["take them out of DEVIATIONS:", *gone])


def test_every_difference_from_a_peer_is_listed(seen: dict[Conversation, Seen]) -> None:
    unlisted = []
    for (server, name, delivery), what in seen.items():
        if server.startswith("midair") or what == _wanted(seen, name):
            continue
        listed = _listed(server, name)
        if not any(difference.has_seen(str(what)) for difference in listed):
            unlisted.append(f"{server}, {delivery}: {name}: {what}; we: {_wanted(seen, name)}")
    assert not unlisted, "\n".join(unlisted)


def test_every_listed_difference_is_still_there(seen: dict[Conversation, Seen]) -> None:
    gone = [
        f"{peer.name}: {name}"
        for name in CASES
        for peer in PEERS
        if _listed(peer.name, name) and seen[peer.name, name, Delivery.WHOLE] == _wanted(seen, name)
    ]
    assert not gone, "\n".join(gone)


def test_no_difference_is_listed_twice_and_each_is_about_something() -> None:
    twice = [f"{peer.name}: {name}" for name in CASES for peer in PEERS if len(_listed(peer.name, name)) > 1]
    assert not twice, "\n".join(twice)
    about_nothing = [
        pattern
        for difference in DIFFERENCES
        for pattern in (*difference.cases, *difference.but)
        if not any(
            Difference(difference.peers, (pattern,), "", "").is_about(difference.peers[0], name) for name in CASES
        )
    ]
    assert about_nothing == []
    assert {deviation.cases for deviation in KNOWN.values()} == {deviation.cases for deviation in DEVIATIONS}


def _listed(server: str, name: str) -> list[Difference]:
    return [difference for difference in DIFFERENCES if difference.is_about(server, name)]


def _wanted(seen: dict[Conversation, Seen], name: str) -> Seen:
    """What peers are compared with: what we do, or what we should do."""
    return CASES[name].expects[0] if name in KNOWN else seen[OURS[0].name, name, Delivery.WHOLE]
