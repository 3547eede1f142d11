"""What differs between two fingerprints, in names a person knows. Pure."""

from __future__ import annotations

import msgspec

from midair.release.values import Fingerprint, Part

NAMED_MAX = 20
"""Names of one kind in a difference: enough to recognise the change, short enough for a log line."""


class PartDifference(msgspec.Struct, frozen=True, kw_only=True):
    """How one part differs. Each list holds NAMED_MAX names at most; the counts are whole.

    All lists empty: it differs, and cannot be said in names (values of the environment, a part of too many items).
    """

    kind: str
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed_count: int = 0
    added_count: int = 0
    removed_count: int = 0

    def __str__(self) -> str:
        """One line, such as ``files: 2 changed (app.py, views.py), 1 added (new.py)``."""
        said = [
            f"{count} {word} ({', '.join(names)}{', …' if count > len(names) else ''})"
            for word, count, names in (
                ("changed", self.changed_count, self.changed),
                ("added", self.added_count, self.added),
                ("removed", self.removed_count, self.removed),
            )
            if count
        ]
        return f"{self.kind}: {', '.join(said) or 'changed'}"


def differences(before: Fingerprint, after: Fingerprint) -> tuple[PartDifference, ...]:
    """One entry a part that differs, in the order of the parts. Empty if and only if the fingerprints are equal."""
    earlier = {part.kind: part for part in before.parts}
    return tuple(
        _difference(earlier[part.kind], part) for part in after.parts if earlier[part.kind].digest != part.digest
    )


def _difference(before: Part, after: Part) -> PartDifference:
    if not (before.items and after.items):
        return PartDifference(kind=after.kind)
    old, new = _items(before), _items(after)
    changed = [name for name in new if name in old and old[name] != new[name]]
    added = [name for name in new if name not in old]
    removed = [name for name in old if name not in new]
    return PartDifference(
        kind=after.kind,
        changed=tuple(changed[:NAMED_MAX]),
        added=tuple(added[:NAMED_MAX]),
        removed=tuple(removed[:NAMED_MAX]),
        changed_count=len(changed),
        added_count=len(added),
        removed_count=len(removed),
    )


def _items(part: Part) -> dict[str, bytes]:
    return dict(msgspec.msgpack.decode(part.items, type=list[tuple[str, bytes]]))
