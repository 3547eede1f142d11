"""Fails, or is slow, or does not answer at all, but for its health: as long as a file beside it says so."""

import asyncio
from pathlib import Path

import good

VERSION = "0"
TROUBLE = Path(__file__).with_name("trouble.txt")


async def app(scope, receive, send):
    good.VERSION = VERSION
    if scope["type"] == "http" and scope["path"] == "/":
        match trouble():
            case "errors":
                await good.answer(scope, send, b"{}", 503)
                return
            case "slow":
                await asyncio.sleep(0.3)
            case "hangs":
                while trouble():  # noqa: ASYNC110 - what ends it is a file
                    await asyncio.sleep(0.05)
    await good.app(scope, receive, send)


def trouble():
    """What ails this version, which version 1 does not have."""
    return TROUBLE.read_text() if VERSION != "1" and TROUBLE.exists() else ""
