"""Out of a page's text come the files and commands that its reader meets, in order."""

from __future__ import annotations

import pytest

from tests.docs.page import BadPage, Command, File, part, sections, steps

PAGE = """\
# A page

In a folder of its own, `app/main.py`:

```python
app = 1

```

```console
$ midair run \\
>   --workers 2
12:00 started
…
$ cd app && ls
$ midair stop
```

What it says (`$ midair` is no command here):

```text
$ nothing is typed here
```

1. In a list, `midair.toml`:

   ```toml
   workers = 2
   ```
"""


def test_files_and_commands_come_in_order() -> None:
    assert steps(PAGE) == [
        File("app/main.py", "app = 1\n\n", 6),
        Command("midair run \\\n  --workers 2", ("12:00 started", "…"), 11),
        Command("cd app && ls", (), 15),
        Command("midair stop", (), 16),
        File("midair.toml", "workers = 2\n", 28),
    ]


def test_a_block_that_is_a_file_is_not_typed() -> None:
    assert steps("`session.txt`:\n\n```console\n$ ls\n```\n") == [File("session.txt", "$ ls\n", 4)]


def test_what_is_named_within_a_sentence_is_no_file() -> None:
    assert steps("See `app.py`: it is short.\n\n```python\nx\n```\n") == []
    assert steps("`app.py`:\n\nMore text.\n\n```python\nx\n```\n") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```console\nhello\n```\n", "line 2: a block of commands begins with a command"),
        ("```console\n$ ls \\\n-l\n```\n", "line 3: the command above goes on"),
        ("text\n```console\n$ ls\n", "line 2: the block does not end"),
    ],
)
def test_a_block_that_says_nothing_to_type_is_an_error(text: str, said: str) -> None:
    with pytest.raises(BadPage, match=said):
        steps(text)


SITUATIONS = """\
# Situations

## 1. Refused

```console
$ midair reload
# no heading
error: refused
```

### Nothing to type

## 2. Full

```console
$ df -h
```
"""


def test_a_section_has_what_stands_below_its_heading_with_the_lines_of_the_page() -> None:
    assert steps(part(SITUATIONS, "1. Refused")) == [Command("midair reload", ("# no heading", "error: refused"), 6)]
    assert steps(part(SITUATIONS, "2. Full")) == [Command("df -h", (), 16)]
    assert sections(SITUATIONS) == ["1. Refused", "2. Full"]


@pytest.mark.parametrize("heading", ["3. Lost", "no heading", "Refused"])
def test_a_heading_that_is_not_there_is_said(heading: str) -> None:
    with pytest.raises(BadPage, match="nothing below a heading"):
        part(SITUATIONS, heading)
