"""The Compose file of ``examples/monitoring``, as far as a machine without a container engine can look at it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click

from midair.alerting.dashboard import dashboard
from midair.cli.alerts import serve
from midair.cli.app import midair
from midair.config.keys import all_keys
from tests.support.monitoring import EXAMPLE
from tests.support.service import clean_environment

COMPOSE = (EXAMPLE / "compose.yml").read_text()


def test_every_file_that_is_mounted_or_built_is_there() -> None:
    mounted = re.findall(r"[-\[] \"?(\./[\w./-]+):/|\[\"(\./[\w./-]+):/", COMPOSE)
    files = {first or second for first, second in mounted}
    assert {"./shop.py", "./prometheus.yml", "./alertmanager.yml", "./grafana/datasources.yml"} <= files
    assert [file for file in files if not (EXAMPLE / file).exists()] == []
    (build,) = set(re.findall(r"build: \{context: (\S+), dockerfile: (\S+)\}", COMPOSE))
    context = EXAMPLE / build[0]
    copied = re.findall(r"^COPY (.+) /src\S*$", (context / build[1]).read_text(), re.MULTILINE)
    assert [name for line in copied for name in line.split() if not (context / name).exists()] == []


def test_every_variable_of_the_service_is_a_key() -> None:
    variables = {f"MIDAIR_{key.replace('.', '_').upper()}" for key in all_keys()}
    named = set(re.findall(r"^ +(MIDAIR_\w+):", COMPOSE, re.MULTILINE))
    assert len(named) > 3
    assert named <= variables


def test_the_receiver_is_started_with_flags_that_there_are() -> None:
    flags = re.findall(r"^      - (--.+)$", COMPOSE, re.MULTILINE)
    assert isinstance(serve, click.Command)
    # As a part of the whole: a command keeps the help option that it was first asked for, and the documentation shows it.
    given = serve.make_context("serve", flags, **midair.context_settings).params
    assert given["names"] == ("shop",)
    assert given["logs"] == ("/log/shop.jsonl",)
    assert given["bind"] == "0.0.0.0:9466"
    assert given["token_file"] in (EXAMPLE / "alertmanager.yml").read_text()


def test_grafana_finds_the_data_source_and_the_dashboard() -> None:
    assert "type: prometheus" in (EXAMPLE / "grafana" / "datasources.yml").read_text()
    written = re.findall(r"midair dashboard > (\S+)", COMPOSE)
    assert written == re.findall(r"HOME_DASHBOARD_PATH: (\S+)", COMPOSE)
    assert f"path: {Path(written[0]).parent}" in (EXAMPLE / "grafana" / "dashboards.yml").read_text()
    assert dashboard()["templating"]


def test_the_shop_can_be_served() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "midair", "check", "shop:app"],
        cwd=EXAMPLE,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
