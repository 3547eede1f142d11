"""What systemd itself says about units: ``systemd-analyze verify``, which needs no systemd that runs.

An unknown key is a warning to it and its exit code stays 0, so what it prints counts. It looks at all that the units pull in, and
says what is wrong with the machine's other units, too: only what names ours counts.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping

from midair.errors import WorldError

PROGRAM = "systemd-analyze"
WITHIN_S = 30.0


class NoVerifier(WorldError):
    """systemd-analyze is not here, or does not answer."""

    code = "no-systemd-analyze"
    hint = "it is part of systemd: run this on the machine where the units are to be"


def verify(texts: Mapping[str, str], *, is_user_unit: bool = False) -> list[str]:
    """What is wrong with the units, a line each. texts: by the unit's name. Raises NoVerifier."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise NoVerifier(f"there is no {PROGRAM} on this machine")
    with tempfile.TemporaryDirectory(prefix="midair-units-") as folder:
        paths = [os.path.join(folder, name) for name in texts]
        for path, text in zip(paths, texts.values(), strict=True):
            with open(path, "w", encoding="utf-8") as unit:
                unit.write(text)
        manager = ["--user"] if is_user_unit else []
        line = [program, "verify", "--man=no", *manager, *(_as_instance(path) for path in paths)]
        try:
            # A user's manager has its place there, and is none without one.
            place = {**os.environ, "XDG_RUNTIME_DIR": folder} if is_user_unit else None
            done = subprocess.run(line, env=place, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise NoVerifier(f"{PROGRAM} does not answer: {exc}") from exc
    return findings(done.stderr + done.stdout, texts, folder, done.returncode)


def findings(said: str, names: Iterable[str], folder: str, code: int) -> list[str]:
    """The lines that are about the units called ``names``, which stood in ``folder``. Pure."""
    stems = [name.replace("@.", "@") for name in names]
    lines = [line.replace(f"{folder}/", "").strip() for line in said.splitlines() if line.strip()]
    ours = [line for line in lines if any(_names(line, stem) for stem in stems)]
    # It failed and named nobody: whatever it says is why.
    return ours or (lines or [f"{PROGRAM} failed with exit code {code}"] if code else [])


def _names(line: str, stem: str) -> bool:
    prefix, _, suffix = stem.rpartition("@")
    pattern = f"{re.escape(prefix)}@[^ ]*{re.escape(suffix)}" if prefix else re.escape(stem)
    return re.search(rf"(?<![\w.@-]){pattern}", line) is not None


def _as_instance(path: str) -> str:
    """A template cannot be verified, only one that is made of it."""
    return path.replace("@.", "@shop.")
