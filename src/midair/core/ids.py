"""The numbers that name things. All are counted from 1 and never reused, also over the supervisor's re-execution."""

from __future__ import annotations

from typing import NewType

GenerationId = NewType("GenerationId", int)
"""Which start of which code."""

STAND_IN = GenerationId(0)
"""What serves while no version can (``standin.py``). It is none itself, so it has no number of the count."""

WorkerId = NewType("WorkerId", int)
"""One process that serves. Two workers of one slot exist after a crash, so news names the worker, never the slot."""

ZygoteId = NewType("ZygoteId", int)
"""One process that has imported a generation's code and forks its workers."""

UpdateId = NewType("UpdateId", int)
"""One update; also the number of its receipt."""

RequestId = NewType("RequestId", int)
"""Somebody who waits for an answer: a connection on the control socket, a signal, the supervisor's own start."""
