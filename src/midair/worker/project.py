"""Which files are the project's own: those that a developer edits while the service runs."""

from __future__ import annotations

import os

import midair

INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
ELSEWHERE = ("/proc/", "/sys/", "/dev/", "/usr/", "/run/", "<")
"""The system's, and what is no file."""


class Project:
    """``folder``: the application's, as typed. Folders of own code elsewhere on the import path count as well."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._roots = tuple({os.path.join(folder, ""), os.path.join(os.path.realpath(folder), "")})
        self._others = (
            *ELSEWHERE,
            os.path.join(os.path.dirname(os.__file__), ""),
            os.path.join(os.path.dirname(midair.__file__), ""),
        )
        self._known: dict[str, bool] = {}

    def owns(self, path: str) -> bool:
        """Whether an absolute path is the project's: neither an installed library's, nor Python's, the system's or ours."""
        known = self._known.get(path)
        if known is None:
            is_installed = any(part in f"{path}{os.sep}" for part in INSTALLED)
            known = not is_installed and (path.startswith(self._roots) or not path.startswith(self._others))
            self._known[path] = known
        return known

    def name(self, path: str) -> str:
        """The path inside the folder, as a fingerprint names it; as it is for what is elsewhere."""
        for root in self._roots:
            if path.startswith(root):
                return path[len(root) :]
        return path
