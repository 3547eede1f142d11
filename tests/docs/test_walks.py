"""Every command block of the documentation is typed by a test: no page without a walk, no exception without need."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from tests.docs import walks
from tests.docs.page import blocks
from tests.docs.terminal import ROOT, Terminal
from tests.docs.walking import Walk

PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
    if "node_modules" not in path.parts and path.parent != ROOT / "docs" / "errors"
)
"""What the pages of the errors show is produced, each by itself, in tests/explained/test_shown.py."""
MODULES = [importlib.import_module(f"{walks.__name__}.{found.name}") for found in pkgutil.iter_modules(walks.__path__)]
WALKS: dict[str, Walk] = {module.WALK.page: module.WALK for module in MODULES}

OF_ERRORS = "docs/errors/"
"""What these pages show is made happen, one after the other, beside one service: ``tests/explained/test_shown.py``."""


def kinds(page: str) -> set[str]:
    return {block.kind for block in blocks((ROOT / page).read_text())}


def test_every_page_with_commands_is_walked() -> None:
    with_commands = {page for page in PAGES if "console" in kinds(page) and not page.startswith(OF_ERRORS)}
    assert len(with_commands) > 15, "the search finds nothing any more"
    assert with_commands - WALKS.keys() == set(), "write tests/docs/walks/test_PAGE.py"
    assert WALKS.keys() - with_commands == set(), "these pages show no commands any more"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_walk_is_made_by_a_test(module: object) -> None:
    tests = [body for name, body in inspect.getmembers(module, inspect.isfunction) if name.startswith("test_")]
    assert any(re.search(r"\bWALK\.\w+\(", inspect.getsource(test)) for test in tests)


@pytest.mark.parametrize("page", PAGES)
def test_commands_stand_in_console_blocks(page: str) -> None:
    assert kinds(page) & {"sh", "bash", "shell", "shellsession", "zsh"} == set()


@pytest.mark.parametrize("page", WALKS)
def test_every_exception_of_a_walk_is_on_its_page_and_has_a_reason(page: str) -> None:
    walk = WALKS[page]
    typed = {command.typed for command in walk.commands()}
    assert {*walk.goes_on, *walk.not_typed} - typed == set(), "the page does not show these any more"
    assert walk.goes_on.keys() & walk.not_typed.keys() == set()
    assert all(len(reason.split()) > 2 for reason in walk.not_typed.values()), "say why it cannot be typed here"


# --- a walk notices ------------------------------------------------------------------------------------------------------

GOOD = """\
`greeting.txt`:

```text
hello
```

```console
$ cat greeting.txt
hello
$ name=world; echo "$name" \\
> again
world again
$ false; echo "exit $?"
exit 1
```
"""


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    with Terminal() as terminal:
        yield terminal


@dataclass(frozen=True)
class Written(Walk):
    """A walk of a page that is given as a text."""

    def text(self) -> str:
        return self.page


def test_a_page_that_is_right_is_walked(terminal: Terminal) -> None:
    Written(GOOD).whole(terminal)


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("cat greeting.txt", "cat greetings.txt", "cat: greetings.txt: No such file or directory"),
        ("\nhello\n$", "\nhell\n$", "--- the page shows\nhell\n--- here it prints\nhello"),
        ("\nhello\n$", "\n$", "--- the page shows\n--- here it prints\nhello"),
        ("exit 1\n", "exit 1\nmore\n", "exit 1\nmore\n--- here it prints\nexit 1"),
        ('false; echo "exit $?"\nexit 1', "false", "it failed: exit code 1"),
        ('false; echo "exit $?"\nexit 1', "false\n…", "it failed: exit code 1"),
    ],
)
def test_a_fault_on_a_page_is_said(terminal: Terminal, right: str, wrong: str, said: str) -> None:
    assert right in GOOD
    with pytest.raises(AssertionError, match=re.escape(said)):
        Written(GOOD.replace(right, wrong)).whole(terminal)


def test_a_program_that_goes_on_prints_first_what_the_page_shows(terminal: Terminal) -> None:
    page = "```console\n$ echo hello; echo ready; sleep 60\nhello\n```\n"
    walk = Written(page, goes_on={"echo hello; echo ready; sleep 60": "ready"})
    walk.whole(terminal)
    wrong = replace(walk, page=page.replace("\nhello\n", "\nhell\n"))
    with pytest.raises(AssertionError, match="--- the page shows\nhell\n--- here it prints\nhello"):
        _walk_in_haste(wrong, terminal)
    with pytest.raises(AssertionError, match="ended without saying 'never'\nhello"):
        Written("```console\n$ echo hello\n```\n", goes_on={"echo hello": "never"}).whole(terminal)


def _walk_in_haste(walk: Walk, terminal: Terminal) -> None:
    with walk.begun(terminal) as walker:
        walker.rest()
        walker.settle(within_s=0)


def test_a_walk_comes_to_the_end_of_its_page(terminal: Terminal) -> None:
    walk = WALKS["docs/deploy.md"]
    with pytest.raises(AssertionError, match=r"docs/deploy.md, line \d+: nobody has typed"), walk.begun(terminal):
        pass
