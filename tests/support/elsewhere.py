"""The command line as on a system that is not Linux: ``python elsewhere.py win32 run app:app`` in a process of its own.

What that system does not have is taken away from the standard library, as far as midair could ask for it. ``import`` in the place
of a command imports all that an application may.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib.abc
import multiprocessing
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import click
import msgspec
import rich

LOADED = (asyncio, click, concurrent.futures, msgspec, multiprocessing, rich, shutil, subprocess, tempfile)
"""What they need of this system has been asked for: only midair's own asking is looked at."""

LINUX_ONLY = {os: ("memfd_create", "pidfd_open", "eventfd", "sched_getaffinity"), select: ("epoll",)}
NOT_ON_WINDOWS = {
    os: (
        *(
            "geteuid",
            "getuid",
            "getegid",
            "getgid",
            "fork",
            "waitid",
            "chown",
            "setsid",
            "killpg",
            "getpgid",
            "sysconf",
        ),
        *("O_CLOEXEC", "O_NONBLOCK", "WNOHANG", "register_at_fork", "uname", "getloadavg"),
    ),
    socket: ("AF_UNIX", "SO_REUSEPORT", "recv_fds", "send_fds", "SCM_RIGHTS"),
    signal: (
        "SIGHUP",
        "SIGKILL",
        "SIGUSR1",
        "SIGUSR2",
        "SIGQUIT",
        "SIGTTIN",
        "SIGTTOU",
        "SIGCHLD",
        "SIGCONT",
        "SIGPIPE",
    ),
    select: ("poll",),
}
NO_MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "uvloop", "httptools"}


class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name in NO_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def become(platform: str) -> None:
    taken = [LINUX_ONLY]
    if platform == "win32":
        taken.append(NOT_ON_WINDOWS)
        for name in NO_MODULES:
            sys.modules.pop(name, None)
        sys.meta_path.insert(0, Blocker())
    for each in taken:
        for module, names in each.items():
            for name in names:
                delattr(module, name)
    sys.platform = platform


if __name__ == "__main__":
    become(sys.argv[1])
    if sys.argv[2:] == ["import"]:
        import midair

        print(*(getattr(midair, name) for name in midair.__all__))
    else:
        from midair.__main__ import main

        sys.exit(main(sys.argv[2:]))
