"""The fork of the middle process: without the application's hooks, unless a library's own threads need theirs."""

from __future__ import annotations

import subprocess
import sys

import pytest

# A thread that Python knows nothing of, as OpenBLAS keeps them: it waits in libc's pause().
SCRIPT = """
import ctypes, os, sys
if sys.argv[1] == "native":
    libc = ctypes.CDLL(None)
    libc.pthread_create(ctypes.byref(ctypes.c_ulong()), None, ctypes.cast(libc.pause, ctypes.c_void_p), None)
hooks = []
os.register_at_fork(before=lambda: hooks.append("before"))
from midair.worker.forking import _raw_fork
child = _raw_fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
print(len(hooks), flush=True)
os._exit(0)
"""


@pytest.mark.parametrize(("threads", "hooks"), [("none", 0), ("native", 1)])
def test_hooks_run_at_the_first_fork_only_where_a_library_has_threads(threads: str, hooks: int) -> None:
    """Their hook ends them before each fork: left out once, it waits at the second one for threads that are not there."""
    words = [sys.executable, "-W", "ignore", "-c", SCRIPT, threads]
    said = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True).stdout
    assert int(said) == hooks
