"""Start-up and shutdown: auto, on, off; and what is said when they fail."""

from __future__ import annotations

from typing import Any

import pytest

from midair.worker.asgi import Receive, Scope, Send
from midair.worker.lifespan import Lifespan, ShutdownFailed, StartupFailed


class Recorder:
    """An application with a lifespan; says what it is told to say."""

    def __init__(self, startup: dict[str, Any] | None = None, shutdown: dict[str, Any] | None = None) -> None:
        self.startup = startup or {"type": "lifespan.startup.complete"}
        self.shutdown = shutdown or {"type": "lifespan.shutdown.complete"}
        self.heard: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"
        scope["state"]["db"] = "open"
        self.heard.append((await receive())["type"])
        await send(self.startup)
        self.heard.append((await receive())["type"])
        await send(self.shutdown)


async def raising(scope: Scope, receive: Receive, send: Send) -> None:
    raise TypeError("http only")


async def raising_in_startup(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise ConnectionError("no database")


async def exiting_in_startup(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise SystemExit(3)


async def answering_as_a_request(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def returning(scope: Scope, receive: Receive, send: Send) -> None:
    return


@pytest.mark.parametrize("mode", ["auto", "on"])
async def test_startup_leaves_state_and_shutdown_is_told(mode: Any) -> None:
    app = Recorder()
    lifespan = Lifespan(app, mode)
    await lifespan.startup()
    assert lifespan.is_supported
    assert lifespan.state == {"db": "open"}
    assert app.heard == ["lifespan.startup"]
    await lifespan.shutdown()
    assert app.heard == ["lifespan.startup", "lifespan.shutdown"]


async def test_off_means_the_application_is_never_asked() -> None:
    app = Recorder()
    lifespan = Lifespan(app, "off")
    await lifespan.startup()
    await lifespan.shutdown()
    assert app.heard == []


@pytest.mark.parametrize("app", [raising, returning, answering_as_a_request])
async def test_auto_serves_an_application_without_lifespan(app: Any) -> None:
    lifespan = Lifespan(app, "auto")
    await lifespan.startup()
    assert not lifespan.is_supported
    await lifespan.shutdown()


@pytest.mark.parametrize("app", [raising, returning, answering_as_a_request])
async def test_on_wants_a_lifespan(app: Any) -> None:
    with pytest.raises(StartupFailed):
        await Lifespan(app, "on").startup()


@pytest.mark.parametrize("mode", ["auto", "on"])
@pytest.mark.parametrize(
    ("app", "said"), [(raising_in_startup, "ConnectionError('no database')"), (exiting_in_startup, "SystemExit(3)")]
)
async def test_an_exception_in_the_startup_is_a_failure(mode: Any, app: Any, said: str) -> None:
    with pytest.raises(StartupFailed) as raised:
        await Lifespan(app, mode).startup()
    assert said in str(raised.value)
    assert "Traceback" in raised.value.detail


@pytest.mark.parametrize("mode", ["auto", "on"])
async def test_a_failed_startup_is_an_error_with_the_message(mode: Any) -> None:
    message = "Traceback (most recent call last):\n  ...\nConnectionError: no database\n"
    app = Recorder({"type": "lifespan.startup.failed", "message": message})
    with pytest.raises(StartupFailed) as raised:
        await Lifespan(app, mode).startup()
    assert "ConnectionError: no database" in str(raised.value)
    assert raised.value.detail == message
    assert raised.value.code == "startup-failed"


async def test_a_failed_shutdown_is_an_error_with_the_message() -> None:
    lifespan = Lifespan(Recorder(shutdown={"type": "lifespan.shutdown.failed", "message": "stuck"}))
    await lifespan.startup()
    with pytest.raises(ShutdownFailed, match="stuck"):
        await lifespan.shutdown()


async def test_an_application_that_ended_early_needs_no_shutdown() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})

    lifespan = Lifespan(app)
    await lifespan.startup()
    await lifespan.shutdown()
