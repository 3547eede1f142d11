"""Signals that files of the project send to the server of before, and what they mean to midair."""

from __future__ import annotations

import re
from collections.abc import Iterator

from midair.scaffold.evidence import Files

MEANS = {
    "USR1": "to gunicorn SIGUSR1 means reopen the log files; here it means update, and nothing is to be reopened: take it out",
    "USR2": "SIGUSR2 means here: put midair itself on its installed version, then update. For new code send HUP, or midair reload",
    "WINCH": "SIGWINCH means nothing here: old workers leave by themselves",
    "HUP": "SIGHUP means the same here: update to the code on disk. midair reload does that too, and waits for the outcome",
}
SENT = re.compile(
    r"\b(?:kill|pkill|killall|signal|systemctl kill)\b[^#\n]*?(?:-|-s\s*|--signal[= ]\s*|SIG)(USR1|USR2|HUP|WINCH)\b"
)
OF_OTHERS = re.compile(r"nginx|rsyslog|haproxy|apache|httpd|celery|redis")
"""Whom else such a line may mean."""


def kills(files: Files) -> Iterator[tuple[str, str, str]]:
    """Where, which signal, and what it means here. Programs are not looked at: they may mean anybody."""
    for path in sorted(files):
        if path.endswith((".py", ".md", ".rst", ".go", ".ts", ".js")):
            continue
        for number, line in enumerate(files[path].splitlines(), 1):
            if (match := SENT.search(line)) and not OF_OTHERS.search(line):
                yield f"{path}:{number}", f"SIG{match[1]}", MEANS[match[1]]
