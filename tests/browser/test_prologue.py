"""Where the script goes: behind the prologue of a page, whatever it is made of and in however many pieces it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.browser.prologue import PROLOGUE_MAX_BYTES, look

PAGES = {
    "a whole page": b"<!doctype html><html lang='en'><head>|<title>x</title></head><body></body></html>",
    "the charset comes first": b'<!DOCTYPE html>\n<html>\n<head>\n  <meta charset="utf-8">|\n  <title>x</title>',
    "the older way of saying the charset": b'<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8">|<p>',
    "another meta is the page's own": b'<!doctype html><head>|<meta name="viewport" content="width=1"><meta charset="utf-8">',
    "no head": b"<!doctype html><html>|<body>x",
    "neither html nor head": b"<!doctype html>|<title>x</title><p>x",
    "only a body": b"|<body class='a>b'>x",
    "comments in between": b"<!-- <head> --><!doctype html><!-- a > b --><html><!----><head >|<script></script>",
    "an angle in an attribute": b"<!doctype html><html data-x=\"a>b\"><head data-y='</head>'>|<title>",
    "a byte order mark": b"\xef\xbb\xbf<!doctype html>\n\n<html><head>|<link>",
    "XHTML": b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x"><html><head>|<title/>',
    "text after the doctype": b"<!doctype html>|hello",
    "a header is no head": b"<!doctype html>|<header>x</header>",
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_the_script_goes_behind_the_prologue(page: bytes) -> None:
    text = page.replace(b"|", b"")
    assert look(text, is_all=True) == ("page", page.index(b"|"))


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_how_many_pieces_a_page_comes_in_changes_nothing(page: bytes) -> None:
    text = page.replace(b"|", b"")
    for end in range(len(text)):
        found = look(text[:end], is_all=False)
        assert found.kind == "unknown" or found == ("page", page.index(b"|")), text[:end]


@pytest.mark.parametrize(
    "text",
    [b"<li>one more</li>", b"<p>x <!doctype html>", b"  hello", b"", b"<!-- nothing else -->", b"<htmlx><head>", b"{}"],
)
def test_a_fragment_is_none(text: bytes) -> None:
    assert look(text, is_all=True).kind == "fragment"


def test_a_page_that_does_not_begin_is_not_waited_for() -> None:
    assert look(b" " * PROLOGUE_MAX_BYTES, is_all=False).kind == "fragment"


@given(
    st.lists(st.sampled_from([b"<", b">", b"!", b"-", b"html", b"<head>", b"<!--", b"-->", b"meta", b" ", b'"', b"x"]))
)
def test_whatever_comes_is_judged_where_a_tag_may_stand(pieces: list[bytes]) -> None:
    text = b"".join(pieces)
    found = look(text, is_all=True)
    assert found.kind in ("page", "fragment")
    assert found.at == 0 or text[: found.at].rstrip().endswith((b">", b"\xef\xbb\xbf")) or not text[: found.at].strip()
