from django.test import SimpleTestCase

from pages.views import GREETING


class Pages(SimpleTestCase):
    def test_the_page_greets(self) -> None:
        self.assertContains(self.client.get("/"), f"<h1>{GREETING}</h1>")

    def test_the_service_is_healthy(self) -> None:
        assert self.client.get("/health").json() == {"status": "ok"}
