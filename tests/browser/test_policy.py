"""A page's Content-Security-Policy lets the script run and listen, and nothing else more than before."""

from __future__ import annotations

import pytest

from midair.browser.policy import fit

FRESH = "FRESH"


@pytest.mark.parametrize(
    "value",
    [
        "default-src 'self'",
        "script-src *; connect-src *",
        "img-src 'self'",
        "script-src 'self' 'unsafe-inline'; connect-src 'self'",
        "upgrade-insecure-requests",
        "default-src 'none'; script-src 'self'; connect-src 'self'; SCRIPT-SRC 'none'",
    ],
)
def test_a_policy_that_allows_it_stays_as_it_is(value: str) -> None:
    fitted = fit([value.encode()], FRESH)
    assert (fitted.policies, fitted.nonce, fitted.widened) == ([value.encode()], "", ())


def test_the_page_s_own_nonce_is_used() -> None:
    value = b"script-src 'nonce-abc123' 'strict-dynamic'; connect-src 'self'"
    fitted = fit([value], FRESH)
    assert (fitted.policies, fitted.nonce, fitted.widened) == ([value], "abc123", ())


@pytest.mark.parametrize(
    ("value", "becomes", "widened"),
    [
        ("script-src 'none'; connect-src *", "script-src 'self'; connect-src *", ("script-src",)),
        (
            "default-src 'none'",
            "default-src 'none'; script-src 'self'; connect-src 'self'",
            ("script-src", "connect-src"),
        ),
        (
            "script-src https://cdn.example 'unsafe-inline'; connect-src https://api.example",
            "script-src https://cdn.example 'unsafe-inline' 'self'; connect-src https://api.example 'self'",
            ("script-src", "connect-src"),
        ),
        (
            "script-src 'sha256-xyz' 'strict-dynamic'; connect-src 'self'",
            "script-src 'sha256-xyz' 'strict-dynamic' 'nonce-FRESH'; connect-src 'self'",
            ("script-src",),
        ),
        (
            "script-src 'self'; default-src data:",
            "script-src 'self'; default-src data:; connect-src data: 'self'",
            ("connect-src",),
        ),
    ],
)
def test_a_policy_that_forbids_it_is_widened_by_what_is_needed(
    value: str, becomes: str, widened: tuple[str, ...]
) -> None:
    fitted = fit([value.encode()], FRESH)
    assert (fitted.policies, fitted.widened) == ([becomes.encode()], widened)
    assert fitted.nonce == (FRESH if "FRESH" in becomes else "")


def test_each_of_several_policies_is_looked_at() -> None:
    fitted = fit([b"script-src 'nonce-n' https:", b"default-src 'self', script-src 'none'"], FRESH)
    assert fitted.nonce == "n"
    assert fitted.policies == [b"script-src 'nonce-n' https:", b"default-src 'self',script-src 'self'"]


def test_a_nonce_is_never_added_where_it_would_switch_off_unsafe_inline() -> None:
    fitted = fit([b"script-src 'unsafe-inline'"], FRESH)
    assert b"nonce" not in fitted.policies[0]


def test_a_sandbox_without_scripts_is_left_alone() -> None:
    assert fit([b"sandbox allow-forms"], FRESH).is_hopeless
    assert not fit([b"sandbox allow-scripts"], FRESH).is_hopeless
