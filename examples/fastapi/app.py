"""A small shop. Change GREETING, save, `midair reload`: no client notices but for the greeting."""

import os
from contextlib import asynccontextmanager

from fastapi import FastAPI

VERSION = "1"
GREETING = "Good morning"


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.prices = {"tea": 2.50, "cake": 3.20}
    yield
    app.state.prices.clear()


app = FastAPI(title="The shop", lifespan=lifespan)


@app.get("/")
async def welcome() -> dict[str, object]:
    return {"version": VERSION, "greeting": GREETING, "worker": os.getpid()}


@app.get("/prices")
async def prices() -> dict[str, object]:
    return {"version": VERSION, "prices": app.state.prices}


@app.get("/health")
async def health() -> dict[str, str]:
    """midair asks here before it lets a new worker accept anybody."""
    return {"status": "ok"}
