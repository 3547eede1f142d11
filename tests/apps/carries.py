"""Counts what it answers, in memory that outlives it. ``how.json`` beside it says in which way, and what is wrong with it."""

import asyncio
import json
import os
import time
from pathlib import Path

import good

import midair

VERSION = "0"
HOW = json.loads(Path(__file__).with_name("how.json").read_text())
good.VERSION = VERSION


class Counter:
    """The other way to carry: two functions."""

    def __init__(self):
        self.count = 0

    def export(self):
        if HOW.get("export") == "raises" and HOW.get("export_from", "0") <= VERSION:
            raise RuntimeError("asked to fail in export")
        if HOW.get("export") == "slow":
            time.sleep(0.4)
        return {"count": self.count}

    def restore(self, states):
        if states and HOW.get("restore") == "raises":
            raise RuntimeError("asked to fail in restore")
        if states and HOW.get("restore") == "hangs":
            time.sleep(60)
        self.count = sum(state["count"] for state in states)


def merge(mine, theirs, before):
    return mine + theirs - before


def merge_pairs(mine, theirs, before):
    return {"count": mine["count"] + theirs["count"] - (before or {"count": 0})["count"]}


MODE = HOW.get("mode", "value")
VERSIONS = {"version": HOW.get("version", 1), "accepts": HOW.get("accepts", [])}
if MODE == "value":
    hits = midair.carry("hits", 0, **VERSIONS)
elif MODE == "merge":
    hits = midair.carry("hits", 0, merge=merge, **VERSIONS)
elif MODE == "pair":
    counter = Counter()
    midair.carry("hits", export=counter.export, restore=counter.restore, **VERSIONS)
elif MODE == "pair-merge":
    counter = Counter()
    midair.carry("hits", export=counter.export, restore=counter.restore, merge=merge_pairs, **VERSIONS)


def count(by=0):
    if MODE in {"value", "merge"}:
        hits.value += by
        return hits.value
    counter.count += by
    return counter.count


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/count":
        # One turn, so that a client that asks again gets to the other workers, too.
        await asyncio.sleep(0.001)
        body = json.dumps({"slot": os.environ.get("MIDAIR_SLOT"), "count": count(), "version": VERSION}).encode()
        await good.answer(scope, send, body)
        return
    if scope["type"] == "http" and scope["path"] == "/":
        count(1)
    await good.app(scope, receive, send)
