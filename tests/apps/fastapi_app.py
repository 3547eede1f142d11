"""The same answers from FastAPI."""

import asyncio
import os

from fastapi import FastAPI, Request, Response

VERSION = "0"

app = FastAPI()


@app.get("/")
@app.get("/health")
async def about():
    return {"version": VERSION, "pid": os.getpid(), "generation": os.environ.get("MIDAIR_GENERATION")}


@app.get("/slow")
async def slow(s: float = 2.0):
    await asyncio.sleep(s)
    return await about()


@app.post("/echo")
async def echo(request: Request):
    return Response(await request.body(), headers={"X-Version": VERSION})
