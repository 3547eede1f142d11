"""Lines that other tools give to a shell, as we start programs: without one, if that is the same."""

from __future__ import annotations

import re
import shlex

_FOR_A_SHELL = re.compile(r"[$`;|&<>()*?~{}\[\]#!\n]")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def command_of(line: str) -> tuple[str, ...]:
    """The arguments with which a shell would start what ``line`` says, or a shell if only that can tell. Pure.

    >>> command_of("PORT=1 ./tmp/main --name 'a b'")
    ('env', 'PORT=1', './tmp/main', '--name', 'a b')
    >>> command_of("./a && ./b")
    ('/bin/sh', '-c', './a && ./b')
    """
    try:
        words = shlex.split(line)
    except ValueError:
        words = []
    if not words or _FOR_A_SHELL.search(line):
        return ("/bin/sh", "-c", line)
    return ("env", *words) if _ASSIGNMENT.match(words[0]) else tuple(words)
