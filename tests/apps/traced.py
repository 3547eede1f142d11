"""Says in which span it was called, and makes one of its own; its WebSockets go on with the next version."""

import json

import good
from opentelemetry import trace

import midair

VERSION = "0"


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await chat(scope, receive, send)
    elif scope["type"] == "http" and scope["path"] == "/span":
        context = trace.get_current_span().get_span_context()
        with trace.get_tracer("shop").start_as_current_span("look into the shop"):
            pass
        told = {"version": VERSION, "trace": f"{context.trace_id:032x}", "span": f"{context.span_id:016x}"}
        await good.answer(scope, send, json.dumps(told).encode())
    else:
        await good.app(scope, receive, send)


async def chat(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    carried = midair.carry_on(scope, 0)
    while (message := await receive())["type"] == "websocket.receive":
        carried.value += 1
        await send({"type": "websocket.send", "text": f"{carried.value} {VERSION} {message['text']}"})
