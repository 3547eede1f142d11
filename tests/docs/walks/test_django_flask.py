"""docs/django-flask.md is what happens: a function that makes a Flask application."""

from __future__ import annotations

import pytest

from tests.docs.terminal import Terminal
from tests.docs.walking import Walk

WALK = Walk("docs/django-flask.md")
SHOP = """\
from flask import Flask


def create_app():
    return Flask(__name__)
"""


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal() as terminal:
        terminal.lend_environment()
        terminal.write("midair.toml", 'app = "shop:create_app"\nfactory = true\nworkers = 2\n')
        terminal.write("shop.py", SHOP)
        WALK.whole(terminal)
