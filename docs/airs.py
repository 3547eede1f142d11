"""The page for people who come from Air: each key of its configuration, and what becomes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from docs.markdown import markdown_table

from midair.config.air_keys import AIR_KEYS, RULES
from midair.config.theirs import TheirKey

PAGE = """\
# From Air

```console
$ midair dev
```

In a folder with an `.air.toml` (or `.config/air.toml`) and no `midair.toml`, that is all: the file is read as it is, the
project stays as it is, and the program goes on binding its port as it always did. `midair dev --config .air.prod.toml` reads
another one. `midair run` reads none of them: they say how a service is developed.

What is different then:

- **The port never closes.** Air kills the program, then starts the next. Here the next one is started beside it and gets [the
  same listening socket](commands.md#a-program-that-binds-its-own-port) when it binds; the old one is told to leave when the new
  one listens. No request meets a closed port, not even while it is being built.
- **A build that fails changes nothing.** The program that serves goes on serving.
- **A save is not waited for.** Air sleeps for a second after the first event, and throws away what comes meanwhile. Here 10 ms
  of quiet are enough; hundreds of files are one build; a newer save stops the build that runs.
- **Content decides.** `touch`, or saving the same bytes, builds nothing.
- **The file is watched, too:** a change of `.air.toml` counts with the next build.

**What Air passes over in silence is said**: a key or a table that it does not know, with the nearest that it does; a value that
is empty or zero, which Air reads as not written (`delay = 0` is 1000, `keep_scroll = false` is true). The effect is the same as
in Air. A value of the wrong kind is an error with its line. `midair config` shows every setting with the line that it came
from.

Go programs end at SIGTERM at once unless they say otherwise, with the requests that they have. Two lines of `signal.Notify` and
`Shutdown` mend that.

To go on without Air, `midair init` writes a `midair.toml` with the same settings; [the Go page](go.md) says what production wants.

"""


def page() -> str:
    text = PAGE + verdicts((*AIR_KEYS, *RULES), "Air") + keys_table(AIR_KEYS, "Air")
    text += (
        "\n`[build.linux]`, `[build.darwin]` and `[build.windows]` replace general keys on their system, as in Air.\n"
    )
    text += "\n## [[build.rules]]\n\n"
    text += (
        "A rule is a `[[watch.action]]`: its line runs when such a file changes, and the change leads to no build.\n\n"
    )
    return text + keys_table(RULES, "Air")


def verdicts(keys: Sequence[TheirKey], whose: str) -> str:
    """The beginning of the part about every key."""
    counts = Counter(key.verdict for key in keys)
    numbers = f"{counts['same']} are the same, {counts['better']} better and {counts['refused']} refused"
    return f"""\
## Every key

Of {counts.total()} keys {numbers}.

- **Same**: does what it does in {whose}.
- **Better**: what it is for is done, and what is wrong with the way of {whose} is not.
- **Refused**: has no effect, for the reason that stands there. It is said at the start if the value is not the default.

"""


def keys_table(keys: Iterable[TheirKey], whose: str) -> str:
    rows = [
        (
            f"`{key.name}`",
            f"`{_shown(key.default)}`" if key.default not in ((), "", None, {}) else "none",
            key.verdict,
            ", ".join(f"`{name}`" for name in key.becomes.split(", ") if name),
            key.reason,
        )
        for key in keys
    ]
    return markdown_table((f"key of {whose}", "its default", "verdict", "here", "to be known"), rows)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)
