"""The man pages are what the commands say, and man(1) finds no fault with them."""

from __future__ import annotations

import subprocess

import click
import pytest

from midair.cli.app import midair
from midair.cli.commands import COMMANDS
from shipping import manuals
from tests.support.installed import needs


def test_the_pages_that_are_committed_are_what_the_commands_say() -> None:
    assert manuals.stale() == [], "run: python -m shipping.manuals"


def test_every_command_has_a_page_and_the_first_page_lists_them() -> None:
    made = manuals.pages()
    assert made.keys() == {"midair.1", *(f"midair-{name}.1" for name in COMMANDS)}
    for name in COMMANDS:
        assert rf"\fBmidair\-{name}\fP(1)".replace(r"\-" + name, r"\-" + name.replace("-", r"\-")) in made["midair.1"]


def test_every_option_of_every_command_is_on_its_page() -> None:
    context = click.Context(midair)
    for name in COMMANDS:
        command = midair.get_command(context, name)
        assert command is not None
        page = manuals.pages()[f"midair-{name}.1"].replace(r"\-", "-")
        for each in command.commands.values() if isinstance(command, click.Group) else [command]:
            shown = [param for param in each.params if isinstance(param, click.Option) and not param.hidden]
            assert [opt for param in shown for opt in param.opts if opt not in page] == [], name


@pytest.mark.parametrize(
    ("plain", "roff"), [(".SH no order", r"\&.SH no order"), ("'tis", r"\&'tis"), (r"C:\x --y", r"C:\ex \-\-y")]
)
def test_what_would_mean_something_to_roff_is_told_as_it_is(plain: str, roff: str) -> None:
    assert manuals._text(plain) == roff


def test_groff_warns_of_nothing() -> None:
    needs("groff")
    pages = sorted(manuals.FOLDER.glob("*.1"))
    done = subprocess.run(
        ["groff", "-man", "-ww", "-z", "-Kutf8", *pages], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
