"""What each command asks, prints and returns, against a control socket that says what the test tells it to."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from midair.__main__ import main
from midair.cli.commands import COMMANDS
from midair.config.values import Change, Value
from midair.control import words
from midair.control.framing import encode_answer
from midair.control.words import AnyAnswer, Request
from midair.errors import BUG, DONE, FAILED, HELD, NOT_RUNNING, REFUSED, UNKNOWN, USAGE, Fault
from tests.cli.fake_service import FakeService
from tests.support.service import clean_environment

PHASES: list[AnyAnswer] = [
    words.Accepted(update=8),
    words.Progress(update=8, number=1, event="candidate_started", phase="start", since_s=0.1),
    words.Progress(update=8, number=2, event="candidate_ready", phase="ready", since_s=0.6),
    words.Progress(update=8, number=3, event="cut_over", phase="bake", since_s=1.1, fields={"note": "2 of 2 slots"}),
]
COMMITTED = words.Outcome(
    update=8, result="committed", exit_code=0, receipt=8, generation=8, version="1.9", previous="1.8", duration_s=11.1
)
REFUSED_OUTCOME = words.Outcome(
    update=8,
    result="refused",
    exit_code=4,
    fault=Fault("app-syntax", "invalid syntax", "mend main.py", "  File main.py, line 3\n\x1b[31m    def"),
    receipt=8,
    generation=7,
    version="1.8",
)
WORKER = words.WorkerStatus(
    id=3, slot=0, pid=77, state="serving", connections=5, active=1, requests=900, rss_bytes=5 << 20
)
STATUS = words.StatusReport(
    name="shop",
    folder="/srv/shop",
    target="main:app",
    pid=42,
    midair="0.1.0",
    uptime_s=7200,
    serving=7,
    version="1.8",
    on_disk="1.9",
    workers=1,
    generations=(
        words.GenerationStatus(
            number=7, version="1.8", role="serving", mode="spawn", why="a thread", workers=(WORKER,)
        ),
    ),
    hold=words.HoldStatus(reason="freeze", by="uid 0", left_s=60),
    update=words.UpdateStatus(update=8, phase="bake", generation=8, version="1.9", age_s=2),
    moving=words.MovingStatus(left=8, of=20, moved=12, for_s=8, rate_per_s=0.05),
    last=(words.ReceiptLine(number=7, time_s=0, result="committed", source="1.7", target="1.8", duration_s=12),),
    binds=("127.0.0.1:8000",),
    warnings=("no health route",),
)
VALUES = (
    Value(key="bake.for", value="5s", origin="midair.toml:3", effect="update"),
    Value(key="workers", value="1", origin="default", is_default=True),
)

Ask = Callable[..., tuple[int, str, str, list[Request]]]


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run a command beside a service that gives these answers: exit code, standard output, standard error, requests."""
    for name in [name for name in os.environ if name.startswith("MIDAIR_")]:
        monkeypatch.delenv(name)

    def ask(line: str, *answers: AnyAnswer | bytes) -> tuple[int, str, str, list[Request]]:
        with FakeService(tmp_path, lambda _: answers) as service:
            code = main([*line.split(), "-C", str(service.folder)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err, service.requests

    return ask


# --- updates -------------------------------------------------------------------------------------------------------


def test_reload_tells_each_phase_with_its_time_and_returns_at_the_commit(ask: Ask) -> None:
    code, out, err, requests = ask("reload -m deploy", *PHASES, COMMITTED)
    assert code == DONE
    assert out == "committed: 1.9 (generation 8) serves, 1.8 before; 11.10 s; receipt 8\n"
    assert err.splitlines() == ["start        0.50 s", "ready        0.50 s", "  2 of 2 slots", "bake        10.00 s"]
    assert requests == [words.Reload(reason="deploy")]


def moving(number: int, since_s: float, event: str = "connections_moving", **fields: str | float) -> words.Progress:
    return words.Progress(update=8, number=number, event=event, since_s=since_s, fields={**fields})


MOVING: list[AnyAnswer] = [
    *(
        moving(4 + at_s, 2.0 + at_s, left=2000 - 100 * at_s, of=2000, for_s=20 - at_s, rate_per_s=0.05)
        for at_s in range(7)
    ),
    moving(11, 8.5, "connections_halted", left=1400, errors=0.31, slow=0.0),
    moving(12, 9.5, left=1390, of=2000, for_s=14, rate_per_s=0.05, share=0.0),
    moving(13, 10.5, "connections_resumed", left=1390),
    words.Progress(update=8, number=14, event="phase", phase="commit", since_s=11.0),
    moving(15, 12.0, left=700, of=2000, for_s=7, rate_per_s=0.05),
]


def test_reload_tells_how_connections_move_now_and_then(ask: Ask) -> None:
    code, _, err, _ = ask("reload --wait drained", *PHASES, *MOVING, COMMITTED)
    assert code == DONE
    assert err.splitlines()[2:] == [
        "  2 of 2 slots",
        "  0 of 2,000 moved, 20.0 s left, 5 %/s",
        "  500 of 2,000 moved, 15.0 s left, 5 %/s",
        "warning: no more connections move to the new version for now: 31% more of its answers are errors",
        "  the new version has recovered: connections move at the whole pace",
        "bake         9.90 s",
        "commit       1.00 s",
        "  1,300 of 2,000 moved, 7.0 s left, 5 %/s",
        "drain        0.00 s",
    ]


def test_reload_says_what_is_left_to_move_at_the_commit(ask: Ask) -> None:
    _, _, err, _ = ask("reload", *PHASES, *MOVING[:-1], COMMITTED)
    assert err.endswith("\n1,390 connections are still on their way to it; midair status shows how far they are\n")


def test_reload_says_how_many_moved_and_how_fast_at_most(ask: Ask) -> None:
    moved = moving(16, 23.0, "connections_moved", moved=2000, seconds=20.3, most_in_1_s=100)
    _, _, err, _ = ask("reload --wait drained", *PHASES, *MOVING, moved, COMMITTED)
    assert "  2,000 connections moved in 20.3 s, at most 100 in a second\n" in err
    assert "on their way" not in err


def test_a_refused_update_says_why_and_what_still_serves(ask: Ask) -> None:
    code, out, err, _ = ask("reload", *PHASES[:2], REFUSED_OUTCOME)
    assert (code, out) == (REFUSED, "")
    assert (
        "error: invalid syntax; 1.8 (generation 7) serves\nhint: mend main.py\nmore: midair explain app-syntax\n" in err
    )
    assert "File main.py, line 3" in err
    assert "\x1b" not in err, "an application's words must not command the terminal"


def test_json_has_one_document_on_standard_output_and_nothing_else(ask: Ask) -> None:
    code, out, err, _ = ask("reload --json", *PHASES, REFUSED_OUTCOME)
    document = json.loads(out)
    assert (code, err) == (REFUSED, "")
    assert (document["result"], document["fault"]["code"], document["exit_code"]) == ("refused", "app-syntax", 4)


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("reload --now --force --expect 1.9", words.Reload(now=True, force=True, expect="1.9")),
        ("reload --no-rollback --code-only", words.Reload(no_rollback=True, update="code")),
        ("reload --wait drained", words.Reload(wait="drained")),
        ("reload --drain-rate 20%", words.Reload(drain_rate_per_s=0.2)),
        ("rollback --now -m bad", words.Rollback(now=True, reason="bad")),
        ("upgrade", words.Upgrade()),
        ("stop --force", words.Stop(force=True)),
    ],
)
def test_flags_become_words(ask: Ask, line: str, request_: Request) -> None:
    code, _, _, requests = ask(line, words.Accepted(update=8), COMMITTED)
    assert code == DONE
    assert requests == [request_]


def test_no_wait_returns_when_the_update_was_taken_up(ask: Ask) -> None:
    code, out, _, requests = ask("reload --no-wait", words.Accepted(update=8, note="queued"), COMMITTED)
    assert code == DONE
    assert out.startswith("update 8 asked for (queued)")
    assert requests == [words.Reload(wait="none")]


def test_a_held_service_refuses_with_its_own_code(ask: Ask) -> None:
    held = words.Refused(fault=Fault("held", "held by uid 0: freeze", "midair hold --release"), exit_code=HELD)
    code, _, err, _ = ask("reload", held)
    assert code == HELD
    assert err == "error: held by uid 0: freeze\nhint: midair hold --release\nmore: midair explain held\n"


def test_an_error_is_json_when_json_was_asked_for(ask: Ask) -> None:
    held = words.Refused(fault=Fault("held", "held", "wait"), exit_code=HELD)
    code, out, err, _ = ask("reload --json", held)
    assert (code, err) == (HELD, "")
    assert json.loads(out) == {
        "fault": {"code": "held", "message": "held", "hint": "wait", "detail": ""},
        "exit_code": HELD,
    }


def test_a_stream_that_breaks_off_is_taken_up_where_it_broke_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def script(request: Request) -> Sequence[AnyAnswer]:
        # The watcher must not be told twice what it knows, though this service repeats all.
        return PHASES[:3] if isinstance(request, words.Upgrade) else [*PHASES[1:], COMMITTED]

    with FakeService(tmp_path, script) as service:
        assert main(["upgrade", "-C", str(service.folder)]) == DONE
    assert service.requests == [words.Upgrade(), words.Watch(update=8, after=2)]
    assert capsys.readouterr().err.count("start") == 1


def test_a_service_that_hangs_up_at_its_end_has_stopped(ask: Ask) -> None:
    code, out, _, _ = ask("stop", words.Accepted(update=9))
    assert (code, out) == (DONE, "stopped\n")


def test_a_service_that_hangs_up_before_it_took_the_request_has_not_done_it(ask: Ask) -> None:
    code, _, err, _ = ask("reload")
    assert code == FAILED
    assert "hung up" in err


def test_a_watcher_whose_time_is_up_does_not_know_the_outcome(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeService(tmp_path, lambda _: PHASES, keep_open=True) as service:
        assert main(["reload", "--timeout", "200ms", "-C", str(service.folder)]) == UNKNOWN
    assert "nothing was stopped by that" in capsys.readouterr().err


def test_ctrl_c_stops_the_watching_and_says_so(tmp_path: Path) -> None:
    with FakeService(tmp_path, lambda _: PHASES, keep_open=True) as service:
        watcher = subprocess.Popen(
            [sys.executable, "-m", "midair", "reload", "-C", str(service.folder)],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        assert watcher.stderr is not None
        assert "start" in watcher.stderr.readline()
        assert "ready" in watcher.stderr.readline()
        watcher.send_signal(signal.SIGINT)
        out, err = watcher.communicate(timeout=10)
        assert service.hung_up.wait(5)
    assert (watcher.returncode, out) == (UNKNOWN, "")
    assert "error: stopped watching; update 8 goes on" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("no_colour", ["", "1"])
def test_on_a_terminal_the_phases_are_live_and_without_colour_if_so_wished(tmp_path: Path, no_colour: str) -> None:
    ours, theirs = pty.openpty()
    with FakeService(tmp_path, lambda _: [*PHASES, *MOVING, COMMITTED]) as service:
        done = subprocess.run(
            [sys.executable, "-m", "midair", "reload", "-C", str(service.folder)],
            stderr=theirs,
            stdout=subprocess.PIPE,
            env=clean_environment(NO_COLOR=no_colour, TERM="xterm", COLUMNS="80"),
            timeout=20,
            check=False,
        )
    os.close(theirs)
    shown = _read_all(ours)
    assert done.returncode == DONE
    assert "✓" in shown
    assert "0.50 s" in shown
    assert ("\x1b[32m" in shown) is not bool(no_colour)
    assert "bake  ███▇▇▇▆▆ 610 of 2,000 moved, halted" in shown
    assert "1,300 of 2,000 moved, 7.0 s left, 5 %/s" in shown


def _read_all(fd: int) -> str:
    data = b""
    try:
        while part := os.read(fd, 65536):
            data += part
    except OSError:  # EIO: the other end of a terminal is closed
        pass
    finally:
        os.close(fd)
    return data.decode()


# --- looking -------------------------------------------------------------------------------------------------------


def test_status_says_what_serves_and_what_a_restart_would_start(ask: Ask) -> None:
    code, out, err, _ = ask("status", STATUS)
    assert code == DONE
    for expected in (
        "shop  serving: 1.8 (generation 7)",
        "on disk    1.9: a restart would start that",
        "spawn (a thread)",
        "7.0",
        "5.0 MiB",
        "freeze (by uid 0, 1 min left)",
        "bake, 1.9 (generation 8)",
        "  moving     12 of 20 moved, 8.0 s left, 5 %/s",
        "committed",
    ):
        assert expected in out
    assert "warning: no health route" in err


def test_status_as_json_is_the_report(ask: Ask) -> None:
    document = json.loads(ask("status --json", STATUS)[1])
    assert document["serving"] == 7
    assert document["generations"][0]["workers"][0]["pid"] == 77
    assert "word" not in document


@pytest.mark.parametrize("line", ["status --ready", "status --ready -C ."], ids=["the short way", "with the parser"])
@pytest.mark.parametrize("state", ["serving", "updating", "starting", "stopping", "failing", "waiting"])
def test_status_ready_is_a_health_check(ask: Ask, state: str, line: str) -> None:
    code = DONE if state in ("serving", "updating") else FAILED
    assert ask(line, msgspec.structs.replace(STATUS, state=state))[:3] == (code, f"{state}\n", "")


def test_status_ready_as_json_says_so_in_a_word(ask: Ask) -> None:
    assert json.loads(ask("status --json --ready", STATUS)[1]) == {"ready": True, "state": STATUS.state}


def test_status_of_all_lists_every_service_that_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    till = msgspec.structs.replace(STATUS, name="till")
    with (
        FakeService(tmp_path, lambda _: [STATUS]) as shop,
        FakeService(tmp_path, lambda _: [till], name="till"),
        FakeService(tmp_path, lambda _: [b"rubbish!"], name="odd"),
    ):
        (tmp_path / "run" / "midair" / "dead").mkdir()
        assert main(["status", "--all", "-C", str(shop.folder)]) == DONE
        printed = capsys.readouterr()
        assert main(["status", "--all", "--json", "-C", str(shop.folder)]) == DONE
        document = json.loads(capsys.readouterr().out)
    names = {line.split()[0] for line in printed.out.splitlines()}
    assert {"shop", "till"} <= names
    assert "warning: odd: a frame of" in printed.err
    assert {"shop", "till"} <= {report["name"] for report in document["services"]}


def test_history_is_a_line_an_update(ask: Ask) -> None:
    assert "1.7   1.8  12.0 s" in ask("history -n 1", words.HistoryReport(receipts=STATUS.last))[1]


def test_a_receipt_is_shown_whatever_is_in_it(ask: Ask) -> None:
    document = msgspec.Raw(
        b'{"update":8,"phases":[{"name":"start","s":0.25}],"deep":{"er":{"x":null,"ok":true}},"text":"a\\nb"}'
    )
    code, out, _, requests = ask("receipt 8", words.ReceiptReport(number=8, document=document))
    assert (code, requests) == (DONE, [words.Receipt(number=8)])
    assert "name=start  s=0.25" in out
    assert "ok  yes" in out


def test_a_receipt_as_json_is_the_document_as_it_is_kept(ask: Ask) -> None:
    document = msgspec.Raw(b'{"update":8}')
    assert ask("receipt --json", words.ReceiptReport(number=8, document=document))[1] == '{"update":8}\n'


def test_logs_name_generation_and_slot(ask: Ask) -> None:
    lines = words.LogLines(
        lines=(
            words.LogLine(time_s=0, generation=7, slot=0, text="hello"),
            words.LogLine(time_s=0, generation=7, slot=-1, text="hook"),
        ),
        dropped=3,
    )
    code, out, err, requests = ask("logs -g 7 -n 5", lines, words.Done())
    assert (code, requests) == (DONE, [words.Logs(generation=7, limit=5, events=True)])
    assert out == "7.0 | hello\n7   | hook\n"
    assert err == "3 lines before these were not kept\n"


def test_logs_as_json_are_a_document_a_line(ask: Ask) -> None:
    lines = words.LogLines(lines=(words.LogLine(time_s=0, generation=7, slot=0, text="hello"),))
    assert json.loads(ask("logs --json", lines, words.Done())[1])["text"] == "hello"


@pytest.mark.parametrize(
    ("which", "request_"),
    [("8.1", words.Stacks(generation=8, slot=1)), ("g8", words.Stacks(generation=8)), ("", words.Stacks())],
)
def test_stacks_of_one_worker_a_generation_or_all(ask: Ask, which: str, request_: words.Stacks) -> None:
    report = words.StacksReport(workers=(words.WorkerStacks(generation=8, slot=1, pid=7, text="main.py:3 in f"),))
    _, out, _, requests = ask(f"stacks {which}", report)
    assert requests == [request_]
    assert "worker 8.1, pid 7\n  main.py:3 in f" in out


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("scale 3", words.Scale(workers=3)),
        ("hold -m freeze --for 2h", words.Hold(reason="freeze", for_s=7200)),
        ("hold --release", words.Release()),
        ("drain", words.Drain()),
        ("drain --within 1m -m late", words.Drain(within_s=60, reason="late")),
    ],
)
def test_what_is_done_at_once_is_said(ask: Ask, line: str, request_: Request) -> None:
    code, out, _, requests = ask(line, words.Done(note="so be it"))
    assert (code, out, requests) == (DONE, "so be it\n", [request_])


def test_config_shows_what_is_not_default_and_where_it_came_from(ask: Ask) -> None:
    code, out, err, _ = ask("config", words.ConfigReport(values=VALUES))
    assert code == DONE
    assert "bake.for  5s     midair.toml:3" in out
    assert "workers" not in out
    assert "1 more" in err


def test_config_diff_says_when_each_change_counts(ask: Ask) -> None:
    change = Change(key="workers", running="1", file="2", effect="update")
    _, out, _, requests = ask("config --diff", words.ConfigReport(values=VALUES, changes=(change,)))
    assert requests == [words.Config(diff=True)]
    assert "workers  1        2     at the next reload, for the new version" in out


def test_config_diff_of_a_file_that_cannot_be_read_is_an_error(ask: Ask) -> None:
    report = words.ConfigReport(values=VALUES, fault=Fault("bad-config", "midair.toml:3: is not TOML"))
    code, _, err, _ = ask("config --diff", report)
    assert code == USAGE
    assert "midair.toml:3" in err


# --- what can be wrong ---------------------------------------------------------------------------------------------


def test_without_a_service_the_others_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with FakeService(tmp_path, lambda _: []) as service:
        code = main(["reload", "--name", "tll", "-C", str(service.folder)])
    printed = capsys.readouterr()
    assert code == NOT_RUNNING
    assert "error: nothing runs under the name 'tll'" in printed.err
    assert "shop" in printed.err


def test_a_socket_left_behind_by_a_killed_service_is_told_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeService(tmp_path, lambda _: []) as service:
        pass
    assert main(["status", "-C", str(service.folder)]) == NOT_RUNNING
    assert "left behind" in capsys.readouterr().err


@pytest.mark.parametrize(
    "rubbish", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\2{}", b"\0\0\0\7not-js!", encode_answer(words.Done())]
)
def test_a_service_that_talks_rubbish_is_an_error_not_a_crash(ask: Ask, rubbish: bytes) -> None:
    code, _, err, _ = ask("status", rubbish)
    assert code == FAILED
    assert err.startswith("error: ")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("relod", "did you mean reload?"),
        ("main:app", "did you mean midair run main:app?"),
        ("reload --nwo", "--now"),
        ("reload --wait foo", "'commit', 'drained'"),
        ("reload --drain-rate 20", '"20%"'),
        ("reload --drain-rate 0", "above 0%"),
        ("reload --drain-rate 120%", "at most 100%"),
        ("reload --now --drain-rate 20%", "choose one"),
        ("scale 0", "1<=x<=4096"),
        ("hold", "needs a reason"),
        ("hold -m x --for 2", '"2s"'),
        ("stacks x", "8.0"),
        ("run main:app --reload", "midair dev"),
        ("run main:app --host 0.0.0.0", "--bind HOST:PORT"),
        ("run ./server --flag", "option --flag"),
        ("run ./server x", "midair run -- ./server x"),
        ("run main:app -- ./server", "one or the other"),
        ("run --", "no program after --"),
        ("run main", 'write "main:app"'),
        ("run main:app -b nonsense", "--bind: bind: bad address"),
        ("run main:app --drain-rate 20", '"20%"'),
        ("run main:app -w two", '--workers: workers = "two"'),
        ("run main:app --set drian.rate=5%", "did you mean"),
        ("run main:app --set x", "KEY=VALUE"),
        ("check -C /nowhere", "no folder /nowhere"),
        ("check --config nowhere.toml", "no file nowhere.toml"),
    ],
)
def test_wrong_usage_is_said_with_a_suggestion(
    line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert printed.err.splitlines()[0].startswith("error: ")


def test_wrong_usage_is_json_when_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reload", "--nwo", "--json"]) == USAGE
    assert json.loads(capsys.readouterr().out)["fault"]["code"] == "usage"


def test_an_unexpected_exception_is_our_bug(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COMMANDS, "nothing_of_that_name", "")
    assert main(["nothing_of_that_name", "-C", str(tmp_path)]) == BUG
    err = capsys.readouterr().err
    assert "unexpected ModuleNotFoundError" in err
    assert "please report it" in err


def test_output_that_nobody_reads_any_more_is_no_crash(tmp_path: Path) -> None:
    many = words.LogLines(
        lines=tuple(words.LogLine(time_s=0, generation=1, slot=0, text="x" * 1000) for _ in range(500))
    )
    with FakeService(tmp_path, lambda _: [many, many, words.Done()]) as service:
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-m", "midair", "logs", "-C", str(service.folder)],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
            timeout=20,
            check=False,
        )
        os.close(writer)
    assert (done.returncode, done.stderr) == (UNKNOWN, "")
