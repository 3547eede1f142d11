"""systemd."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "systemd"

EXPLANATIONS = (
    Explanation(
        code="unit-unwritable",
        summary="The units cannot be written there.",
        exits=(1,),
        happened="`midair systemd --write` could not write a unit file; the message has the path and the reason.",
        serves="Nothing was changed, unless a path that was said before was written.",
        causes=("/etc/systemd/system is root's.",),
        do=(
            Step(
                "Write it as root, into a folder of yours, or for your own systemd.",
                (
                    "sudo midair systemd --write",
                    "midair systemd --write .",
                    "midair systemd --user-unit --write",
                ),
            ),
        ),
        see=(
            "no-systemd-analyze",
            "systemd.md",
        ),
    ),
    Explanation(
        code="no-systemd-analyze",
        summary="systemd-analyze is not here, or does not answer.",
        exits=(1,),
        happened="`midair systemd --check` lets systemd itself judge the units, with systemd-analyze.",
        serves="Nothing was changed.",
        causes=("A container, or a machine without systemd.",),
        do=(
            Step(
                "Run it on the machine where the units are to be.",
                ("midair systemd --check",),
            ),
        ),
        see=(
            "unit-unwritable",
            "systemd.md",
        ),
    ),
    Explanation(
        code="no-journal",
        summary="There is no journal on this machine.",
        exits=(),
        happened=(
            "The log was to go to systemd's journal (`log.format` is `journal`), and its socket does not answer. The "
            "log goes to standard error instead."
        ),
        serves="Everything.",
        causes=("A container, or a machine without systemd-journald.",),
        do=(
            Step(
                'Write `format = "json"` under `[log]` in midair.toml, and restart in a quiet moment.',
                ("systemctl status systemd-journald",),
            ),
        ),
        see=(
            "systemd.md",
            "containers.md",
        ),
    ),
    Explanation(
        code="no-socket-unit",
        summary="systemd cannot open the listeners of this configuration.",
        exits=(2,),
        happened=(
            "`midair systemd --socket` makes a socket unit for each address, and there is one for which that is not "
            "possible; the message says which and why."
        ),
        serves="Nothing was changed.",
        causes=(
            "Port 0, `fd://N`, or an empty `bind`.",
            "`listener` is `own` or `lent`: these are opened as programs ask for them.",
        ),
        do=(
            Step(
                "Name the port in `bind`, or leave `--socket` out: then midair opens them.",
                ("midair systemd",),
            ),
        ),
        see=(
            "not-ownable",
            "systemd.md",
        ),
        shown=(
            "$ midair systemd app:app --socket",
            "…",
            "error: 0.0.0.0:0: systemd opens no port that the kernel chooses",
            "hint: name the port in bind",
            "more: midair explain no-socket-unit",
        ),
    ),
    Explanation(
        code="no-stop-signal",
        summary="systemd, or a container's engine, stops a service with a signal, and here every signal means something else.",
        exits=(2,),
        happened="Under `[signals]` no signal is a `stop` or a `quit`, so that a unit could not stop the service.",
        serves="Nothing was changed.",
        causes=("`term` was given another meaning.",),
        do=(
            Step(
                'Write `term = "stop"` under `[signals]` in midair.toml.',
                ("midair systemd --check",),
            ),
        ),
        see=(
            "signals.md",
            "systemd.md",
        ),
        shown=(
            "$ midair systemd app:app --plain",
            "…",
            "error: no signal stops this service",
            'hint: whoever runs it can only stop a service that has a signal for it: term = "stop" under [signals]',
            "more: midair explain no-stop-signal",
        ),
    ),
    Explanation(
        code="line-break",
        summary="A name or a path that is to stand in a unit, or in a container's file, has a line break.",
        exits=(2,),
        happened="Unit files are lines; a value with a line break cannot be written in one.",
        serves="Nothing was changed.",
        causes=("A folder or a variable (`--environment`) with a line break in it.",),
        do=(
            Step(
                "Give it another name or value.",
                ("midair systemd",),
            ),
        ),
        see=(
            "unit-unwritable",
            "systemd.md",
        ),
    ),
)
