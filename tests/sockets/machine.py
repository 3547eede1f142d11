"""What a test needs of the machine, or makes it lack."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


def _has_v6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_v6 = pytest.mark.skipif(not _has_v6(), reason="this machine has no IPv6")


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Within, this process can open ``count`` more descriptors and no further one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    gaps: list[int] = []
    try:
        try:
            while True:
                gaps.append(os.dup(1))
        except OSError:  # every number is taken
            pass
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit + count, hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in gaps:
            os.close(fd)
