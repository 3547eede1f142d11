"""The commit that a folder is checked out at, read from ``.git``: git itself is often not installed where services run.

Whether files were changed since is not asked: the fingerprint is made of the files.
"""

from __future__ import annotations

import os
import re

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")

LINKS_MAX = 5
"""Symbolic references that lead to one another; git's own bound."""


class NotARepository(ValueError):
    """No commit can be read. The message says why."""


def head_commit(folder: str) -> str:
    """The full commit of the checkout that ``folder`` lies in. Raises NotARepository."""
    own = git_folder(os.path.realpath(folder))
    common = _common_folder(own)
    reference = _read(os.path.join(own, "HEAD"))
    for _ in range(LINKS_MAX):
        if _COMMIT.match(reference):
            return reference
        name = reference.removeprefix("ref: ")
        if name == reference or name.startswith("/") or ".." in name:
            raise NotARepository(f"{own}: HEAD names no commit")
        reference = _loose(own, common, name) or _packed(common, name)
        if not reference:
            raise NotARepository(f"{name} in {own} has no commit yet, or is kept in a form that is not read here")
    raise NotARepository(f"{own}: HEAD leads nowhere")


def revision_in(folder: str) -> str | None:
    """The commit that stands in ``REVISION`` of a folder that was deployed; None: there is none."""
    try:
        text = _read(os.path.join(folder, "REVISION"))
    except NotARepository:
        return None
    return text if _COMMIT.match(text) else None


def git_folder(folder: str) -> str:
    """The ``.git`` of the checkout that ``folder`` (absolute) lies in. Raises NotARepository."""
    while True:
        found = os.path.join(folder, ".git")
        if os.path.isdir(found):
            return found
        if os.path.isfile(found):  # a worktree or a submodule: a line that says where
            return os.path.join(folder, _read(found).removeprefix("gitdir: "))
        parent = os.path.dirname(folder)
        if parent == folder:
            raise NotARepository("the folder is in no git checkout")
        folder = parent


def _common_folder(own: str) -> str:
    """Where the references are: a worktree has only its HEAD to itself."""
    if not os.path.exists(os.path.join(own, "commondir")):
        return own
    return os.path.join(own, _read(os.path.join(own, "commondir")))


def _loose(own: str, common: str, name: str) -> str:
    for folder in (own, common):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return _read(path)
    return ""


def _packed(common: str, name: str) -> str:
    try:
        with open(os.path.join(common, "packed-refs"), encoding="utf-8", errors="replace") as lines:
            for line in lines:
                commit, _, found = line.strip().partition(" ")
                if found == name:
                    return commit
    except OSError:
        pass  # a young repository has none
    return ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(4096).strip()
    except OSError as exc:
        raise NotARepository(f"{path} cannot be read: {exc.strerror}") from exc
