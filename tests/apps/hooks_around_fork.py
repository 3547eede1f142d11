"""Writes down what is called around the fork of its workers, a line each: where, and in which process."""

import gc
import os
import pathlib

import good

import midair

VERSION = "0"
IMPORTED_BY = os.getpid()
LINES = pathlib.Path(__file__).with_name("hooks.log")


def note(what):
    with LINES.open("a") as file:
        file.write(f"{what} {'imported-here' if os.getpid() == IMPORTED_BY else 'forked'}\n")


@midair.before_fork
def before():
    note("before")


@midair.after_fork
def after():
    note("after")
    note(f"frozen-{gc.get_freeze_count() > 1000} collecting-{gc.isenabled()}")


@midair.worker_exited
def exited(pid):
    note(f"exited-{pid}")


async def app(scope, receive, send):
    await good.app(scope, receive, send)
