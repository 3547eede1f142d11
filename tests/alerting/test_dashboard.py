"""The dashboard is what Grafana's own types say a dashboard is, and nothing in it overlaps or repeats itself."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from midair.__main__ import main
from midair.alerting.dashboard import ROLES, dashboard
from midair.alerting.panels import COLUMNS
from midair.core.state import Role
from midair.observe.metrics import METRICS
from tests.support.installed import needs, needs_npm

ROOT = Path(__file__).parent.parent.parent
PARTS = {"@grafana/schema": "13.2.3", "typescript": "5.9.3"}
NODE = ROOT / ".venv" / "grafana"
"""Where these are kept between runs."""
INSTALL_WITHIN_S, COMPILE_WITHIN_S = 100, 100

CHECK = """
import type { Dashboard, AnnotationQuery } from '@grafana/schema';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as timeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';

// JSON has words where the types have enumerations.
type Plain<T> =
  T extends string ? `${T}` :
  T extends number ? (number extends T ? number : `${T}` extends `${infer N extends number}` ? N : never) :
  T extends boolean | null | undefined ? T :
  unknown extends T ? T :
  T extends (infer E)[] ? Plain<E>[] :
  T extends object ? { [K in keyof T]: Plain<T[K]> } : T;

// The schema has a dashboard without what belongs to one data source.
type Mark = Omit<Plain<AnnotationQuery>, 'target'> & {
  target: { refId: string; expr: string; interval: string };
  titleFormat: string;
  textFormat: string;
  useValueForTime: boolean;
};
type Document = Omit<Plain<Dashboard>, 'annotations'> & { annotations: { list: Mark[] } };
"""
KINDS = {"timeseries": "timeseries", "stat": "stat", "state-timeline": "timeline"}


@pytest.fixture(scope="module")
def tsc() -> Path:
    """The compiler, beside Grafana's types."""
    needs("node")
    if not (NODE / "node_modules" / ".bin" / "tsc").exists() or json.loads(_installed()) != PARTS:
        needs_npm("@grafana/schema")
        NODE.mkdir(parents=True, exist_ok=True)
        words = [f"{name}@{version}" for name, version in PARTS.items()]
        subprocess.run(
            [
                "npm",
                "install",
                "--silent",
                "--no-fund",
                "--no-audit",
                "--ignore-scripts",
                "--prefix",
                str(NODE),
                *words,
            ],
            check=True,
            timeout=INSTALL_WITHIN_S,
            stdin=subprocess.DEVNULL,
        )
        (NODE / "parts.json").write_text(json.dumps(PARTS))
    return NODE / "node_modules" / ".bin" / "tsc"


def _installed() -> str:
    path = NODE / "parts.json"
    return path.read_text() if path.exists() else "{}"


def program(*documents: dict[str, Any]) -> str:
    """TypeScript that compiles if each of these is a dashboard."""
    lines = [CHECK]
    for number, document in enumerate(documents):
        lines.append(f"export const dashboard_{number}: Document = {json.dumps(document)};")
        for panel in document["panels"]:
            if kind := KINDS.get(panel["type"]):
                of = f"{number}_{panel['id']}"
                lines.append(f"export const options_{of}: Plain<{kind}.Options> = {json.dumps(panel['options'])};")
                if custom := panel["fieldConfig"]["defaults"].get("custom"):
                    lines.append(f"export const custom_{of}: Plain<{kind}.FieldConfig> = {json.dumps(custom)};")
    return "\n".join(lines)


def errors_of(tsc: Path, text: str, name: str) -> str:
    """What the compiler says against the program; nothing if it holds."""
    # Beside the types, or it does not find them.
    path = NODE / f"{name}.ts"
    path.write_text(text)
    flags = ["--strict", "--noEmit", "--skipLibCheck", "--module", "nodenext", "--target", "es2022"]
    done = subprocess.run(
        [str(tsc), *flags, path.name], cwd=NODE, capture_output=True, text=True, timeout=COMPILE_WITHIN_S, check=False
    )
    assert done.returncode == 0 or done.stdout, done.stderr
    return done.stdout


MISTAKES: dict[str, Callable[[Any], object]] = {
    "schemaVersion": lambda d: d.update(schemaVersion="41"),
    "gridPos": lambda d: d["panels"][1]["gridPos"].pop("w"),
    "a key": lambda d: d["panels"][1].update(titel="Serves"),
    "an option": lambda d: d["panels"][1]["options"].update(colorMode="values"),
    "drawStyle": lambda d: next(p for p in d["panels"] if p["type"] == "timeseries")["fieldConfig"]["defaults"][
        "custom"
    ].update(drawStyle="lines"),
    "variable": lambda d: d["templating"]["list"][1].update(hide="no"),
    "annotation": lambda d: d["annotations"]["list"][0].update(iconcolor="red"),
}


@pytest.mark.slow
@pytest.mark.timeout(240)  # a compiler and its installation, on whatever machine
def test_grafanas_own_types_hold_and_would_not_if_something_were_wrong(tsc: Path) -> None:
    good = dashboard()
    one_of_each = {panel["type"]: panel for panel in PANELS}
    wrong = []
    for mistake in MISTAKES.values():
        document = copy.deepcopy({**good, "panels": list(one_of_each.values())})
        mistake(document)
        wrong.append(document)
    said = errors_of(tsc, program(good, *wrong), "dashboard")
    lines = program(good, *wrong).splitlines()
    of = {re.search(r"_(\d+)", lines[int(number) - 1])[1] for number in re.findall(r"\.ts\((\d+),", said)}  # type: ignore[index]  # each line has one
    assert "0" not in of, said
    missed = [name for number, name in enumerate(MISTAKES, 1) if str(number) not in of]
    assert missed == [], said


def test_the_command_prints_the_dashboard(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboard", "--title", "Shop", "--uid", "shop-1"]) == 0
    assert json.loads(capsys.readouterr().out) == dashboard(title="Shop", uid="shop-1")


PANELS: list[Any] = dashboard()["panels"]  # type: ignore[assignment]  # JSON


def test_no_two_panels_overlap_and_none_leaves_the_grid() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    assert all(at["x"] >= 0 and at["x"] + at["w"] <= COLUMNS and at["h"] > 0 for at in places)
    assert not [(a, b) for a, b in combinations(places, 2) if _overlap(a, b)]


def _overlap(a: dict[str, int], b: dict[str, int]) -> bool:
    return (
        a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]
    )


def test_every_panel_says_what_it_shows_and_has_a_number_of_its_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS) > 20
    shown = [panel for panel in PANELS if panel["type"] != "row"]
    assert all(panel["title"] and panel["description"].endswith(".") for panel in shown)


def test_every_query_chooses_by_the_variables_and_asks_for_metrics_that_there_are() -> None:
    known = {metric.name for metric in METRICS}
    queries = [target["expr"] for panel in PANELS for target in panel.get("targets", [])]
    queries += [mark["target"]["expr"] for mark in dashboard()["annotations"]["list"]]  # type: ignore[index]  # JSON
    for query in queries:
        named = re.findall(r"\b(?:midair|hot|module)_\w+", query)
        assert named
        assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in named} <= known
        assert query.count('job=~"$job", instance=~"$instance"') == len(named)


def test_every_role_of_a_generation_has_its_colour() -> None:
    assert {role.value for role in Role} - {"gone"} == ROLES.keys()
