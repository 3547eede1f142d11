"""``midair explain``: what an error means, asked for by its code, by an exit code, or by the latest update."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from click.shell_completion import ShellComplete

from midair.__main__ import main
from midair.cli.app import midair
from midair.control import words
from midair.errors import DONE, NOT_RUNNING, USAGE, Fault
from midair.explained.book import explanations
from tests.cli.fake_service import FakeService
from tests.support.service import clean_environment

Capture = pytest.CaptureFixture[str]


def test_a_code_is_explained_without_any_service(capsys: Capture) -> None:
    assert main(["explain", "bake-died"]) == DONE
    printed = capsys.readouterr()
    assert printed.out.startswith("bake-died\nA worker of the new version died while it was watched.\n")
    assert printed.err == ""


def test_a_code_as_json_has_all_its_parts(capsys: Capture) -> None:
    assert main(["explain", "BAKE-DIED", "--json"]) == DONE
    document = json.loads(capsys.readouterr().out)
    assert document["code"] == "bake-died"
    assert {"summary", "happened", "serves", "causes", "do", "prevent", "see", "exits"} <= document.keys()


def test_without_a_code_all_are_listed(capsys: Capture) -> None:
    assert main(["explain"]) == DONE
    listed = capsys.readouterr().out
    assert [each.code for each in explanations() if f"\n  {each.code} " not in f"\n{listed}"] == []
    assert main(["explain", "--json"]) == DONE
    assert len(json.loads(capsys.readouterr().out)) == len(list(explanations()))


def test_a_code_that_is_not_there_brings_the_nearest(capsys: Capture) -> None:
    assert main(["explain", "bake-dyed"]) == USAGE
    assert "error: there is no error code bake-dyed\nhint: did you mean bake-died?\n" in capsys.readouterr().err
    assert main(["explain", "xyzzy"]) == USAGE
    assert "hint: midair explain lists all codes" in capsys.readouterr().err


def test_an_exit_code_is_explained_with_the_codes_behind_it(capsys: Capture) -> None:
    assert main(["explain", "7"]) == DONE
    printed = capsys.readouterr().out
    assert printed.startswith("exit code 7: held")
    assert "\n  held " in printed
    assert "app-syntax" not in printed
    assert main(["explain", "9"]) == USAGE
    assert "midair has no exit code 9" in capsys.readouterr().err


def test_shells_complete_codes() -> None:
    complete = ShellComplete(midair, {}, "midair", "_MIDAIR_COMPLETE")
    assert [each.value for each in complete.get_completions(["explain"], "bake-e")] == ["bake-errors"]


def receipt(result: str, fault: Fault | None = None) -> words.ReceiptReport:
    document = {"number": 8, "began": 0.0, "by": "reload uid 0", "result": result, "fault": fault}
    document |= {"serving_generation": 7, "serving_version": "1.8", "something": "new"}
    return words.ReceiptReport(number=8, document=msgspec.Raw(msgspec.json.encode(document)))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            receipt("refused", Fault("app-syntax", "invalid syntax")),
            "(reload uid 0) was refused; 1.8 (generation 7) serves",
        ),
        (
            receipt("rolled-back", Fault("unheard-of", "too bad")),
            "was rolled back; 1.8 (generation 7) serves\ntoo bad\n",
        ),
        (receipt("committed"), "was committed: 1.8 (generation 7) serves; there is nothing to explain"),
        (receipt(""), "is under way"),
    ],
)
def test_the_latest_update_is_explained(
    answer: words.ReceiptReport, said: str, tmp_path: Path, capsys: Capture
) -> None:
    with FakeService(tmp_path, lambda _: [answer]) as service:
        assert main(["explain", "--last", "-C", str(service.folder)]) == DONE
        printed = capsys.readouterr().out
        assert said in printed
        assert ("\n\napp-syntax\n" in printed) == ("refused" in said)
        assert main(["explain", "--last", "--json", "-C", str(service.folder)]) == DONE
        assert json.loads(capsys.readouterr().out)["update"] == 8


def test_without_a_service_the_latest_update_is_not_known(tmp_path: Path, capsys: Capture) -> None:
    assert main(["explain", "--last", "-C", str(tmp_path)]) == NOT_RUNNING
    assert "more: midair explain not-running" in capsys.readouterr().err
    assert main(["explain", "held", "--last"]) == USAGE


def test_only_explain_imports_the_texts() -> None:
    """They are for people with time to read: what is typed all day does not pay for them."""
    code = "import sys; from midair.__main__ import main; main(sys.argv[1:]); print(*sys.modules)"
    for line in (["--help"], ["reload", "--help"], ["status"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *line],
            capture_output=True,
            text=True,
            env=clean_environment(),
            timeout=20,
            check=False,
        )
        assert "midair.errors" in done.stdout or line == ["--help"]
        assert "midair.explained" not in done.stdout


def test_what_says_all_there_is_has_no_more(capsys: Capture) -> None:
    assert main(["relod"]) == USAGE
    assert "more:" not in capsys.readouterr().err
