from main import GREETING, app


def test_the_page_greets() -> None:
    assert f"<h1>{GREETING}</h1>" in app.test_client().get("/").text


def test_the_service_is_healthy() -> None:
    assert app.test_client().get("/health").json == {"status": "ok"}
