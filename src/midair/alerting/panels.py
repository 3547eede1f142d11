"""Parts of a Grafana dashboard as values: what a panel shows, and the JSON that Grafana reads.

A builder of our own, and no library: the command prints the JSON, so whatever makes it is a part of midair for good, and the
one library there is for Python checks nothing that the compiler of Grafana's own types does not (``tests/alerting`` runs it).
Only the kinds of panels that the dashboard has are here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Json: TypeAlias = dict[str, object]
Unit = Literal["short", "s", "ms", "percentunit", "reqps", "bytes", "cps", "dateTimeAsIso", "none", "ops"]

COLUMNS = 24
"""Grafana's grid."""
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """One expression and the name of its lines; ``{{label}}`` in it is filled in by Grafana."""

    expression: str
    legend: str = ""
    is_instant: bool = False

    def document(self, number: int) -> Json:
        kind: Json = {"instant": True, "range": False} if self.is_instant else {"range": True}
        return {
            "refId": chr(ord("A") + number),
            "datasource": DATASOURCE,
            "expr": self.expression,
            "legendFormat": self.legend or "__auto",
            **kind,
        }


@dataclass(frozen=True, slots=True)
class Level:
    """From this value on, that colour."""

    colour: str
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel(ABC):
    """What all kinds of panels have. width and height: in Grafana's grid."""

    title: str
    description: str
    queries: Sequence[Query]
    unit: Unit = "short"
    width: int = 8
    height: int = 7
    levels: Sequence[Level] = (Level("green"),)
    mappings: Sequence[Json] = ()

    @property
    @abstractmethod
    def kind(self) -> str: ...

    @abstractmethod
    def options(self) -> Json: ...

    def custom(self) -> Json:
        """What ``fieldConfig`` has for this kind alone."""
        return {}

    def defaults(self) -> Json:
        return {}

    def document(self, number: int, x: int, y: int) -> Json:
        steps = [{"color": level.colour, "value": level.value} for level in self.levels]
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [query.document(place) for place, query in enumerate(self.queries)],
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "thresholds": {"mode": "absolute", "steps": steps},
                    "mappings": list(self.mappings),
                    **({"custom": custom} if (custom := self.custom()) else {}),
                    **self.defaults(),
                },
                "overrides": [],
            },
            "options": self.options(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines(Panel):
    """Values over time."""

    is_stacked: bool = False
    minimum: float | None = 0

    @property
    def kind(self) -> str:
        return "timeseries"

    def options(self) -> Json:
        return {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }

    def custom(self) -> Json:
        return {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 30 if self.is_stacked else 8,
            "showPoints": "never",
            "stacking": {"mode": "normal" if self.is_stacked else "none", "group": "A"},
        }

    def defaults(self) -> Json:
        return {} if self.minimum is None else {"min": self.minimum}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure(Panel):
    """One value, large."""

    width: int = 4
    height: int = 4
    text: Literal["value", "name", "value_and_name"] = "value"

    @property
    def kind(self) -> str:
        return "stat"

    def options(self) -> Json:
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": self.text,
            "wideLayout": True,
            "showPercentChange": False,
            "percentChangeColorMode": "standard",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Times(Panel):
    """What was the case when: a bar of states over time."""

    @property
    def kind(self) -> str:
        return "state-timeline"

    def options(self) -> Json:
        return {
            "showValue": "never",
            "mergeValues": True,
            "rowHeight": 0.9,
            "alignValue": "left",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
            "tooltip": {"mode": "single", "sort": "none"},
        }

    def custom(self) -> Json:
        return {"lineWidth": 0, "fillOpacity": 80}


@dataclass(frozen=True, slots=True)
class Row:
    """A headline, and the panels below it from left to right; what does not fit goes into the next line."""

    title: str
    panels: Sequence[Panel]


@dataclass(slots=True)
class _Grid:
    """Where the next panel goes."""

    x: int = 0
    y: int = 0
    height: int = 0
    number: int = 0
    placed: list[Json] = field(default_factory=list)

    def headline(self, title: str) -> None:
        self._break()
        self.number += 1
        self.placed.append(
            {
                "id": self.number,
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": self.y, "w": COLUMNS, "h": 1},
                "panels": [],
            }
        )
        self.y += 1

    def panel(self, panel: Panel) -> None:
        if self.x + panel.width > COLUMNS:
            self._break()
        self.number += 1
        self.placed.append(panel.document(self.number, self.x, self.y))
        self.x += panel.width
        self.height = max(self.height, panel.height)

    def _break(self) -> None:
        self.x, self.y, self.height = 0, self.y + self.height, 0


def placed(rows: Sequence[Row]) -> list[Json]:
    """The panels with their places and numbers."""
    grid = _Grid()
    for row in rows:
        grid.headline(row.title)
        for panel in row.panels:
            grid.panel(panel)
    return grid.placed


def states(names: dict[str, tuple[str, str]]) -> Json:
    """Values by what they are called, with a colour each."""
    return {
        "type": "value",
        "options": {
            value: {"text": text, "color": colour, "index": number}
            for number, (value, (text, colour)) in enumerate(names.items())
        },
    }


# --- what stands around them -----------------------------------------------------------------------------------------


def chosen_datasource() -> Json:
    """The variable ``$datasource``: which Prometheus."""
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "hide": 0,
        "refresh": 1,
        "regex": "",
        "multi": False,
        "includeAll": False,
        "skipUrlSync": False,
    }


def chosen(name: str, metric: str, where: str = "", *, is_multi: bool = False) -> Json:
    """The variable of a label: the values that it has among the series of ``metric``."""
    query = f"label_values({metric}{{{where}}}, {name})" if where else f"label_values({metric}, {name})"
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": "variable", "qryType": 1},
        "hide": 0,
        "refresh": 2,
        "sort": 1,
        "regex": "",
        "multi": is_multi,
        "includeAll": is_multi,
        **({"allValue": ".+"} if is_multi else {}),
        "skipUrlSync": False,
    }


def marks(name: str, expression: str, colour: str, text: str, *, at_value: bool = False) -> Json:
    """Lines across all panels: wherever the expression has a value. at_value: the value is when, in milliseconds."""
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "target": {"refId": "Anno", "expr": expression, "interval": "15s"},
        "titleFormat": text,
        "textFormat": "{{instance}}",
        "useValueForTime": at_value,
    }
