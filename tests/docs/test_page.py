"""Out of a page's text come the files and commands that its reader meets, in order."""

from __future__ import annotations

import pytest

from tests.docs.page import BadPage, Command, File, steps

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
