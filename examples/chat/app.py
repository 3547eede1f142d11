"""A chat whose conversations go on while its code is replaced: sockets, names and counts move to the new version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, StreamingResponse

import midair

VERSION = "1"

app = FastAPI()
people: dict[WebSocket, Any] = {}  # who is connected to this worker; each comes back here by itself after a move


async def tell(text: str) -> None:
    for each in list(people):
        await each.send_text(text)


@app.websocket("/ws/{name}")
async def talk(websocket: WebSocket, name: str) -> None:
    await websocket.accept()
    session = midair.carry_on(websocket, {"said": 0})
    people[websocket] = session
    if not session.is_resumed:
        await tell(f"{name} is here")
    try:
        while True:
            text = await websocket.receive_text()
            session.value["said"] += 1
            await tell(f"{name} (message {session.value['said']}, version {VERSION}): {text}")
    except WebSocketDisconnect:
        pass
    finally:
        del people[websocket]
    if not session.has_moved:
        await tell(f"{name} has left")


@app.get("/ticks")
async def ticks(request: Request) -> StreamingResponse:
    """An event stream that is numbered through all versions."""
    sent = midair.carry_on(request, 0)

    async def events() -> AsyncIterator[str]:
        while True:
            yield f'data: {{"n": {sent.value}, "version": "{VERSION}"}}\n\n'
            sent.value += 1  # after the yield: what is carried is what the client has
            await asyncio.sleep(1)

    return StreamingResponse(events(), media_type="text/event-stream")


@app.get("/")
async def page() -> HTMLResponse:
    return HTMLResponse(PAGE, headers={"x-version": VERSION})


@app.get("/health")
async def health() -> dict[str, str]:
    return {"version": VERSION}


PAGE = """<!doctype html><title>chat</title>
<p id=tick></p><form><input autofocus placeholder="say something"></form><ul></ul>
<script>
  const say = text => { const li = document.createElement("li"); li.textContent = text; document.querySelector("ul").prepend(li) }
  const name = "guest" + Math.floor(Math.random() * 1000)
  const socket = new WebSocket(`ws://${location.host}/ws/${name}`)
  socket.onmessage = event => say(event.data)
  socket.onclose = () => say("the connection has ended")
  document.forms[0].onsubmit = event => {
    event.preventDefault(); socket.send(event.target[0].value); event.target.reset()
  }
  new EventSource("/ticks").onmessage = event => document.getElementById("tick").textContent = event.data
</script>"""
