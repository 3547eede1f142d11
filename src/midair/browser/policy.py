"""A page's Content-Security-Policy: may our script run under it, and may it listen? Pure.

The page's own nonce is used where there is one. Where the policy forbids what we need it is widened, by as little as will do:
our own origin for scripts or connections. ``unsafe-inline`` is never switched off by accident, so no nonce is ever added to a
policy that works without; and nothing here runs outside ``midair dev``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

HEADER = b"content-security-policy"
_SCRIPTS = ("script-src-elem", "script-src", "default-src")
_CONNECTIONS = ("connect-src", "default-src")


class Fitted(NamedTuple):
    """Policies under which our script works."""

    policies: list[bytes]
    """The values of the headers, in order."""
    nonce: str
    """What the script's tag must carry; empty: nothing."""
    widened: tuple[str, ...]
    """Directives that were changed."""
    is_hopeless: bool
    """No script runs there at all (sandbox)."""


def fit(values: Iterable[bytes], nonce: str) -> Fitted:
    """Make room for our script. nonce: a new one, for policies that believe in nothing else."""
    policies: list[bytes] = []
    widened: list[str] = []
    used = _nonce_of(values)
    for value in values:
        texts = []
        for text in value.decode("latin-1").split(","):
            directives = _parse(text)
            if "sandbox" in directives and "allow-scripts" not in directives["sandbox"]:
                return Fitted(list(values), "", (), is_hopeless=True)
            changes = [_allow_scripts(directives, used, nonce), _allow_connections(directives)]
            changed = [change for change in changes if change]
            widened += changed
            texts.append(_write(directives) if changed else text)
        policies.append(",".join(texts).encode("latin-1"))
    if not used and any(f"'nonce-{nonce}'".encode() in policy for policy in policies):
        used = nonce
    return Fitted(policies, used, tuple(dict.fromkeys(widened)), is_hopeless=False)


def _nonce_of(values: Iterable[bytes]) -> str:
    for value in values:
        for text in value.decode("latin-1").split(","):
            directives = _parse(text)
            name = _effective(directives, _SCRIPTS)
            for source in directives.get(name, []):
                if source.lower().startswith("'nonce-") and source.endswith("'"):
                    return source[7:-1]
    return ""


def _allow_scripts(directives: dict[str, list[str]], used: str, fresh: str) -> str:
    """Let our script be loaded; return the directive that was changed, or nothing."""
    name = _effective(directives, _SCRIPTS)
    if not name:
        return ""
    sources = directives[name]
    plain = {source.lower() for source in sources}
    if used and f"'nonce-{used}'" in sources:
        return ""
    if "'strict-dynamic'" in plain:
        return _add(directives, name, _SCRIPTS, f"'nonce-{used or fresh}'")
    return "" if plain & {"'self'", "*"} else _add(directives, name, _SCRIPTS, "'self'")


def _allow_connections(directives: dict[str, list[str]]) -> str:
    name = _effective(directives, _CONNECTIONS)
    if not name or {"'self'", "*"} & {source.lower() for source in directives[name]}:
        return ""
    return _add(directives, name, _CONNECTIONS, "'self'")


def _add(directives: dict[str, list[str]], name: str, names: tuple[str, ...], source: str) -> str:
    """``default-src`` speaks for many: what we need is said in a directive of its own."""
    own = name if name != "default-src" else next(each for each in names if each in ("script-src", "connect-src"))
    directives[own] = [each for each in directives[name] if each.lower() != "'none'"] + [source]
    return own


def _effective(directives: dict[str, list[str]], names: tuple[str, ...]) -> str:
    return next((name for name in names if name in directives), "")


def _parse(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in text.split(";"):
        words = part.split()
        if words:
            found.setdefault(words[0].lower(), words[1:])
    return found


def _write(directives: dict[str, list[str]]) -> str:
    return "; ".join(" ".join((name, *sources)) for name, sources in directives.items())
