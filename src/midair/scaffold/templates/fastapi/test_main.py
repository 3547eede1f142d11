from main import GREETING, health, welcome


def test_the_page_greets() -> None:
    assert f"<h1>{GREETING}</h1>" in welcome()


def test_the_service_is_healthy() -> None:
    assert health() == {"status": "ok"}
