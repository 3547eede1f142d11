"""A small game: scores, who is there, and a clock that ticks once. All of it in memory, and none of it lost by an update."""

import asyncio
import os
from contextlib import asynccontextmanager

from fastapi import FastAPI

import midair

VERSION = "1"


class Players:
    """Something with a structure of its own: carried by two functions."""

    def __init__(self) -> None:
        self.scores: dict[str, int] = {}

    def won(self, name: str) -> int:
        self.scores[name] = self.scores.get(name, 0) + 1
        return self.scores[name]

    def dump(self) -> dict[str, int]:
        return self.scores

    def load(self, states: list[dict[str, int]]) -> None:
        self.scores = {}
        for state in states:
            for name, score in state.items():
                self.scores[name] = self.scores.get(name, 0) + score


players = Players()
midair.carry("players", export=players.dump, restore=players.load)

hits = midair.carry("hits", 0, merge=lambda mine, theirs, before: mine + theirs - before)
ticks = midair.carry("ticks", 0, merge=lambda mine, theirs, before: mine + theirs - before)


async def tick() -> None:
    """In one worker at a time, whatever number of workers and versions there are."""
    while True:
        async with midair.exclusive("clock") as held:
            while not held.leaving.is_set():
                ticks.value += 1
                await asyncio.sleep(0.1)


@asynccontextmanager
async def lifespan(app: FastAPI):
    clock = asyncio.create_task(tick())
    yield
    clock.cancel()


app = FastAPI(title="The game", lifespan=lifespan)


@app.get("/")
async def welcome() -> dict[str, object]:
    hits.value += 1
    return {"version": VERSION, "worker": os.environ.get("MIDAIR_SLOT"), "hits": hits.value, "ticks": ticks.value}


@app.post("/won/{name}")
async def won(name: str) -> dict[str, object]:
    return {"version": VERSION, "name": name, "score": players.won(name)}


@app.get("/players")
async def scores() -> dict[str, object]:
    return {"version": VERSION, "scores": players.scores}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
