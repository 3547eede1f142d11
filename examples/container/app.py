"""A shop that says which version of it answers, and from which pod."""

import os
import socket

from fastapi import FastAPI

VERSION = "1"

app = FastAPI()


@app.get("/")
async def shop() -> dict[str, str]:
    return {"version": VERSION, "generation": os.environ.get("MIDAIR_GENERATION", ""), "host": socket.gethostname()}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "good"}
