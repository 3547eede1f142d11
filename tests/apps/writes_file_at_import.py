"""Opens a file for writing at import and keeps it: forked, all workers would share one buffer and one place in it."""

import good

VERSION = "0"

journal = open("journal.log", "a")
journal.write("imported\n")


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/query":
        journal.write("asked\n")
    await good.app({**scope, "path": "/"} if scope.get("path") == "/query" else scope, receive, send)
