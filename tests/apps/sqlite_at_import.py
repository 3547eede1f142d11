"""Opens SQLite and writes at import: SQLite forbids to carry a connection over a fork."""

import sqlite3

import good

VERSION = "0"

database = sqlite3.connect("app.sqlite3", check_same_thread=False, timeout=5)
database.execute("create table if not exists visits (at integer)")
database.commit()


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/query":
        with database:
            database.execute("insert into visits values (1)")
    await good.app({**scope, "path": "/"} if scope.get("path") == "/query" else scope, receive, send)
