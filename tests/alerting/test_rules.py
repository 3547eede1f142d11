"""Prometheus accepts the rules, and each fires when it should, stays quiet when it should, and ends."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from midair.__main__ import main
from midair.alerting import series
from midair.alerting.evidence import ABOUT, FAILED, LATEST, SERVING
from midair.alerting.rules import Rule, Thresholds, document, rules
from midair.alerting.series import NoSuchSeries
from midair.alerting.yaml import written
from midair.cli.commands import COMMANDS
from midair.observe.metrics import METRICS
from tests.support.installed import needs
from tests.support.monitoring import EXAMPLE, rules_file

RULES = {rule.name: rule for rule in rules(Thresholds())}
OF = 'job="midair", instance="web-1:9464"'
PROMTOOL_WITHIN_S = 30


def promtool(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    needs("promtool")
    return subprocess.run(
        ["promtool", *words], cwd=folder, capture_output=True, text=True, timeout=PROMTOOL_WITHIN_S, check=False
    )


@dataclass(frozen=True)
class Case:
    """Series (in Prometheus' own notation, a value a minute), and whether the alert fires at which minute."""

    name: str
    alert: str
    series: dict[str, str]
    firing: dict[int, bool]
    limits: Thresholds = field(default_factory=Thresholds)


def generations(**roles: str) -> dict[str, str]:
    """``midair_generation_info`` of generations (``g1``) that have had these roles: values of a minute each."""
    return {
        f'midair_generation_info{{{OF}, generation="{name[1:]}", version="v{name[1:]}", role="serving"}}': values
        for name, values in roles.items()
    }


def answers(generation: int, requests: str, errors: str) -> dict[str, str]:
    of = f'{OF}, generation="{generation}", version="v{generation}"'
    return {
        f'midair_requests_total{{{of}, code="2xx"}}': requests,
        f"midair_responses_5xx_total{{{of}}}": errors,
    }


def updates(result: str) -> str:
    return f'midair_updates_total{{{OF}, result="{result}"}}'


CUT_OVER = generations(g1="1x10 stale", g2="_x10 1x30")

CASES = (
    Case("a refused update", "MidairUpdateFailed", {updates("refused"): "0x5 1x30"}, {5: False, 7: True, 20: False}),
    Case("one that was refused long ago", "MidairUpdateFailed", {updates("refused"): "3x30"}, {7: False}),
    Case("a service that starts anew", "MidairUpdateFailed", {updates("refused"): "3x5 0x30"}, {7: False}),
    Case(
        "one that is rolled back is not refused", "MidairUpdateFailed", {updates("rolled-back"): "0x5 1x30"}, {7: False}
    ),
    Case(
        "one that is rolled back",
        "MidairUpdateRolledBack",
        {updates("rolled-back"): "0x5 1x30"},
        {5: False, 7: True, 20: False},
    ),
    Case(
        "a module that cannot be imported",
        "MidairModuleLoadErrors",
        {f"module_load_errors{{{OF}}}": "0x5 1x10 0x10"},
        {5: False, 7: True, 17: False},
    ),
    Case(
        "an update that takes long",
        "MidairUpdateSlow",
        {
            f"midair_update_in_progress{{{OF}}}": "0x5 1x10 0x10",
            f"midair_update_started_timestamp_seconds{{{OF}}}": "0x5 300x25",
        },
        {4: False, 7: False, 9: True, 17: False},
    ),
    Case(
        "and its limit",
        "MidairUpdateSlow",
        {f"midair_update_in_progress{{{OF}}}": "1x20", f"midair_update_started_timestamp_seconds{{{OF}}}": "0x20"},
        {9: False, 11: True},
        Thresholds(slow_s=600),
    ),
    Case(
        "a new version that fails",
        "MidairErrorRate",
        {
            **CUT_OVER,
            **answers(1, "0+100x10 stale", "0+1x10 stale"),
            **answers(2, "_x10 0+100x30", "_x10 0+20x10 200x30"),
        },
        {9: False, 13: True, 38: False},
    ),
    Case(
        "a new version that fails no more than the one before",
        "MidairErrorRate",
        {**CUT_OVER, **answers(1, "0+100x10 stale", "0+20x10 stale"), **answers(2, "_x10 0+100x30", "_x10 0+20x30")},
        {13: False, 20: False},
    ),
    Case(
        "few answers",
        "MidairErrorRate",
        {**CUT_OVER, **answers(1, "0+100x10 stale", "0+0x10 stale"), **answers(2, "_x10 0+1x30", "_x10 0+1x30")},
        {13: False, 20: False},
    ),
    Case(
        "a version that has served for long is not compared",
        "MidairErrorRate",
        {**generations(g2="1x90"), **answers(2, "0+100x90", "0+50x90")},
        {80: False},
    ),
    Case(
        "connections that do not end",
        "MidairDrainStuck",
        {
            f"midair_drain_oldest_age_seconds{{{OF}}}": "0x2 0+60x15 0x5",
            f"midair_drain_connections_left{{{OF}}}": "0x2 7x15 0x5",
        },
        {8: False, 15: True, 20: False},
    ),
    Case(
        "workers that die",
        "MidairCrashLoop",
        {f"midair_crash_loops_total{{{OF}}}": "0x5 1x30"},
        {5: False, 7: True, 20: False},
    ),
    Case(
        "nobody answers", "MidairNotServing", {f"up{{{OF}}}": "1x5 0x10 1x10"}, {5: False, 6: False, 8: True, 17: False}
    ),
    Case(
        "another job's target is down",
        "MidairNotServing",
        {'up{job="node", instance="web-1:9100"}': "0x20"},
        {8: False},
    ),
    Case(
        "no worker is left",
        "MidairNotServing",
        {**generations(g1="1x20"), f'midair_workers{{{OF}, generation="1", version="v1"}}': "2x5 0x10 2x10"},
        {5: False, 8: True, 17: False},
    ),
    Case(
        "an old generation that has no worker",
        "MidairNotServing",
        {
            **generations(g2="1x20"),
            f'midair_workers{{{OF}, generation="1", version="v1"}}': "0x20",
            f'midair_workers{{{OF}, generation="2", version="v2"}}': "2x20",
        },
        {8: False},
    ),
    Case(
        "the disk says something else",
        "MidairDiskDiffers",
        {f"midair_disk_version_differs{{{OF}}}": "0x5 1x70 0x10"},
        {50: False, 67: True, 78: False},
    ),
    Case(
        "a certificate that ends",
        "MidairCertificateExpires",
        {f"midair_tls_certificate_expiration_timestamp_seconds{{{OF}}}": "604860x5 9999999x10"},
        {0: False, 2: True, 8: False},
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}: {case.name}")
def test_a_rule_fires_when_it_should_and_only_then(case: Case, tmp_path: Path) -> None:
    rules_file(tmp_path, case.limits)
    firing = f'count(ALERTS{{alertname="{case.alert}", alertstate="firing"}}) or vector(0)'
    tests = {
        "rule_files": ["midair-rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
                "promql_expr_test": [
                    {"expr": firing, "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": int(fires)}]}
                    for minute, fires in case.firing.items()
                ],
            }
        ],
    }
    (tmp_path / "tests.yml").write_text(json.dumps(tests))
    done = promtool("test", "rules", "tests.yml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_fires_resolves_and_is_quiet_in_some_case() -> None:
    for name in RULES:
        cases = [case for case in CASES if case.alert == name]
        assert any(list(case.firing.values())[-3:] == [False, True, False] for case in cases), name
        assert any(not fires for case in cases for fires in case.firing.values())


def test_prometheus_accepts_the_rules_that_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--job", 'a"job', "--slow", "90s", "--drain", "1h", "--error-rate", "1%", "--error-factor", "3.5"]
    assert main(["alerts", "rules", *words, "--differs", "500ms", "--down", "3m", "--requests-min", "7"]) == 0
    (tmp_path / "rules.yml").write_text(capsys.readouterr().out)
    done = promtool("check", "rules", "rules.yml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(RULES)} rules found" in done.stdout
    limits = Thresholds(
        job='a"job',
        slow_s=90,
        drain_s=3600,
        error_share=0.01,
        error_factor=3.5,
        differs_s=0.5,
        down_s=180,
        requests_min=7,
    )
    assert written(document(limits)) in (tmp_path / "rules.yml").read_text()


def test_promtool_would_say_if_a_rule_were_wrong(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(written(document(Thresholds())).replace("increase(", "incraese("))
    assert promtool("check", "rules", "rules.yml", folder=tmp_path).returncode != 0


def test_the_same_rules_are_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alerts", "rules", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == document(Thresholds())


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_a_rule_says_what_to_type_next_and_which_update_it_is_about(rule: Rule) -> None:
    typed = re.findall(r"midair ([a-z][a-z-]*)", rule.next)
    assert typed
    assert set(typed) <= COMMANDS.keys(), typed
    assert rule.about in ("", FAILED, SERVING, LATEST)
    assert rule.document()["labels"] == {"severity": rule.severity, **({ABOUT: rule.about} if rule.about else {})}


def test_a_metric_or_a_label_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(NoSuchSeries, match="there is no metric midair_updates"):
        series.of("midair_updates")
    with pytest.raises(NoSuchSeries, match="has no label outcome"):
        series.select(series.UPDATES, outcome="refused")
    assert series.select(series.UPDATES, 'job="x"', result="~re.*") == 'midair_updates_total{job="x", result=~"re.*"}'


def test_rules_ask_for_metrics_that_there_are() -> None:
    known = {metric.name for metric in METRICS} | {"up"}
    named = {
        name for rule in RULES.values() for name in re.findall(r"\b(?:midair|hot|module)_\w+|\bup\b", rule.expression)
    }
    assert named
    assert named <= known


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "key: plain\n"),
        ("yes", 'key: "yes"\n'),
        ("a: b # c", 'key: "a: b # c"\n'),
        ("1m", 'key: "1m"\n'),
        ("a\nb: c", "key: |-\n  a\n  b: c\n"),
        ([{"a": 1, "b": [2]}], "key:\n  - a: 1\n    b:\n      - 2\n"),
        ({}, "key: {}\n"),
        ([], "key: []\n"),
    ],
)
def test_values_are_written_as_yaml(value: object, text: str) -> None:
    assert written({"key": value}) == text


@pytest.mark.parametrize("name", ["prometheus.yml", "alertmanager.yml"])
def test_the_configurations_of_the_example_are_valid(name: str, tmp_path: Path) -> None:
    rules = rules_file(tmp_path)
    text = (EXAMPLE / name).read_text().replace("/shared/midair-rules.yml", str(rules))
    (tmp_path / name).write_text(text)
    if name == "prometheus.yml":
        done = promtool("check", "config", name, folder=tmp_path)
        assert "SUCCESS" in done.stdout
    else:
        needs("amtool")
        done = subprocess.run(
            ["amtool", "check-config", name], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
