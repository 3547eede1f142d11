"""Every code that midair says is explained, and nothing else is."""

from __future__ import annotations

import functools
from collections import Counter

from docs import reference
from midair.explained.book import explanations

said_in_the_source = functools.cache(reference.codes_said)
EXPLAINED = {each.code: each for each in explanations()}


def test_every_code_is_explained_once() -> None:
    assert [code for code, times in Counter(each.code for each in explanations()).items() if times > 1] == []


def test_every_code_that_is_said_is_explained() -> None:
    said = said_in_the_source()
    assert len(said) > 30, "the search finds nothing any more"
    everything = said | {code: error.__module__ for code, error in reference.error_classes().items()}
    unknown = {code: where for code, where in everything.items() if code not in EXPLAINED}
    assert unknown == {}, "explain them in src/midair/explained/"


def test_every_explained_code_is_said() -> None:
    said = said_in_the_source().keys() | reference.error_classes().keys()
    assert EXPLAINED.keys() - said == set(), "nobody says these any more: take them out of src/midair/explained/"


def test_the_exit_code_of_each_error_is_named() -> None:
    unnamed = {
        code: error.exit_code
        for code, error in reference.error_classes().items()
        if EXPLAINED[code].exits and error.exit_code not in EXPLAINED[code].exits
    }
    assert unnamed == {}
