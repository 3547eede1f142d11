"""Every configuration of Nginx on a page is one that Nginx takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.test_pages import PAGES, blocks, named
from tests.support.authority import Authority, Pair
from tests.support.nginx import complaints

CONFIGURATIONS = [
    pytest.param(text, id=f"{named(page)}:{number}")
    for page in PAGES
    for number, text in enumerate(blocks(page, "nginx"), 1)
]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Authority(tmp_path_factory.mktemp("authority")).issue()


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_a_shown_configuration_of_nginx_is_valid(text: str, pair: Pair, tmp_path: Path) -> None:
    assert complaints(text, tmp_path, certfile=pair.certfile, keyfile=pair.keyfile) == ""


def test_a_misspelt_word_would_be_noticed(pair: Pair, tmp_path: Path) -> None:
    text = "location / {\n    proxy_passs http://shop;\n}\n"
    said = complaints(text, tmp_path, certfile=pair.certfile, keyfile=pair.keyfile)
    assert 'unknown directive "proxy_passs"' in said
