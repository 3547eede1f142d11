"""Alerts."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "Alerts"

EXPLANATIONS = (
    Explanation(
        code="alert-not-delivered",
        summary="The test alert did not get where alerts should go, or was not answered as they are.",
        exits=(1,),
        happened=(
            "`midair alerts test` sent an alert that means nothing. The receiver could not be reached, answered "
            "something else, or, with `--through`, Alertmanager took it and no incident came in time."
        ),
        serves="The service is not touched. Alerts do not arrive.",
        causes=(
            "`midair alerts serve` does not run there, or at another address.",
            "The token is missing or another (`--token-file`).",
            (
                "With `--through`: no route of Alertmanager leads to the receiver, or its group_wait is longer than "
                "`--within`."
            ),
        ),
        do=(
            Step(
                "See whether the receiver answers, without Alertmanager.",
                ("midair alerts test --to http://127.0.0.1:9466",),
            ),
            Step(
                "Then the whole way.",
                ("midair alerts test --through http://127.0.0.1:9093 --within 2m",),
            ),
        ),
        see=(
            "bad-token",
            "bad-notification",
            "monitoring.md",
        ),
        shown=(
            "$ midair alerts test --to http://127.0.0.1:1",
            "error: http://127.0.0.1:1/alerts does not answer: [Errno 111] Connection refused",
            "hint: midair alerts serve has to run there; with --through, a route of Alertmanager has to lead to it",
            "more: midair explain alert-not-delivered",
        ),
    ),
    Explanation(
        code="bad-notification",
        summary="What was posted to `midair alerts serve` is not a notification of Alertmanager, version 4.",
        exits=(),
        happened="Somebody posted something else to /alerts; it was answered 400.",
        serves="The receiver goes on; no incident came of it.",
        causes=(
            "Another program's webhook (Grafana) with another form.",
            "A test by hand.",
        ),
        do=(
            Step(
                "Send a real one.",
                ("midair alerts test",),
            ),
        ),
        see=(
            "alert-not-delivered",
            "monitoring.md",
        ),
    ),
    Explanation(
        code="bad-token",
        summary="The file with the token for `midair alerts` cannot be used.",
        exits=(2,),
        happened=(
            "`--token-file` holds one line, the token that Alertmanager sends. It cannot be read, is empty, or has "
            "more than one word."
        ),
        serves="The receiver was not started.",
        causes=("The file belongs to another user; it has a comment or a second line in it.",),
        do=(
            Step(
                "Make one, and give it to Alertmanager, too (`http_config.authorization.credentials_file`).",
                (
                    "openssl rand -hex 32 > token",
                    "midair alerts serve --token-file token",
                ),
            ),
        ),
        see=(
            "token-needed",
            "monitoring.md",
        ),
        shown=(
            "$ midair alerts serve --token-file token",
            "error: token: it is empty",
            "hint: it holds one line, the token that Alertmanager sends: http_config.authorization.credentials_file",
            "more: midair explain bad-token",
        ),
    ),
    Explanation(
        code="token-needed",
        summary="Other machines reach that address, so whoever posts there has to say a token.",
        exits=(2,),
        happened=(
            "`midair alerts serve` was to listen where other machines reach it, without a token: anybody could make "
            "incidents, and read log lines."
        ),
        serves="The receiver was not started.",
        causes=("Alertmanager runs on another machine.",),
        do=(
            Step(
                "Give it a token, or listen on this machine alone.",
                (
                    "midair alerts serve --bind :9466 --token-file token",
                    "midair alerts serve --bind 127.0.0.1:9466",
                ),
            ),
        ),
        see=(
            "bad-token",
            "monitoring.md",
        ),
        shown=(
            "$ midair alerts serve --bind :0",
            "error: 0.0.0.0:46659 can be reached from other machines",
            "hint: give one with --token-file FILE, or bind an address of this machine alone: --bind 127.0.0.1:9466",
            "more: midair explain token-needed",
        ),
    ),
    Explanation(
        code="incidents-locked",
        summary="Another `midair alerts serve` writes this file.",
        exits=(1,),
        happened="The file of incidents has one writer at a time.",
        serves="The other receiver.",
        causes=("It runs under systemd already, and was started by hand as well.",),
        do=(
            Step(
                "End the other one, or give this one a file of its own.",
                (
                    "pgrep -af 'midair alerts'",
                    "midair alerts serve --incidents incidents.jsonl",
                ),
            ),
        ),
        see=(
            "no-incident",
            "monitoring.md",
        ),
        shown=(
            "$ midair alerts serve --incidents incidents.jsonl",
            "error: incidents.jsonl is written by another midair alerts serve",
            "hint: end the other one, or give this one a file of its own: --incidents FILE",
            "more: midair explain incidents-locked",
        ),
    ),
    Explanation(
        code="incidents-unwritable",
        summary="The file of incidents, or its folder, cannot be made or written.",
        exits=(1,),
        happened="`midair alerts serve` writes down what it answers to an alert, and will not begin if it cannot.",
        serves="The service is not touched. No receiver runs.",
        causes=(
            "It runs as a user who may not write there.",
            "The disk is full or read-only, or the path goes through something that is no folder.",
        ),
        do=(
            Step(
                "Name a file that this user may write.",
                ("midair alerts serve --incidents incidents.jsonl",),
            ),
        ),
        see=(
            "incidents-locked",
            "monitoring.md",
        ),
    ),
    Explanation(
        code="no-incident",
        summary="There is no such incident in the file, or no such file.",
        exits=(1,),
        happened="`midair alerts show` was asked for an incident that is not there.",
        serves="Nothing was changed.",
        causes=(
            "The receiver writes another file, or runs as another user.",
            "No alert has come yet.",
        ),
        do=(
            Step(
                "See which there are.",
                ("midair alerts list",),
            ),
        ),
        see=(
            "alert-not-delivered",
            "monitoring.md",
        ),
        shown=(
            "$ midair alerts show",
            "error: there is no incident",
            "hint: midair alerts list shows them; --incidents FILE says where they are",
            "more: midair explain no-incident",
        ),
    ),
    Explanation(
        code="lines-unread",
        summary="The lines of an update cannot be read where they should be.",
        exits=(),
        happened=(
            "An alert is answered with the log lines of its update, from the journal, a file or the service. They "
            "could not be read; the incident has everything else."
        ),
        serves="The service and the receiver go on.",
        causes=(
            "The receiver's user is not in the group systemd-journal.",
            "The log file was moved (`--log`), or is so long that there was no time to read it.",
        ),
        do=(
            Step(
                "See what the incident has.",
                (
                    "midair alerts show",
                    "midair alerts serve --log journal",
                ),
            ),
        ),
        see=(
            "out-of-time",
            "monitoring.md",
        ),
    ),
    Explanation(
        code="out-of-time",
        summary="An alert has to be answered before all that belongs to it could be had.",
        exits=(),
        happened=(
            "Alertmanager waits only so long for an answer. What had not come by then is missing in the incident, and "
            "named there."
        ),
        serves="The service and the receiver go on.",
        causes=("The service answers slowly, or many alerts came at once.",),
        do=(
            Step(
                "See what it has, and ask the service yourself.",
                (
                    "midair alerts show",
                    "midair receipt",
                ),
            ),
        ),
        see=(
            "lines-unread",
            "monitoring.md",
        ),
    ),
)
