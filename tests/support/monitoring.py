"""Files like those of ``examples/monitoring`` for a real Prometheus, and a real Alertmanager (Debian's).

with Alertmanager(tmp_path, receiver_url, token_file) as alertmanager:
    with Prometheus(tmp_path, target, configuration=watching(tmp_path, target, alertmanager.address)) as prometheus:
        ...
"""

from __future__ import annotations

from pathlib import Path

from midair.alerting.rules import Thresholds, document
from midair.alerting.yaml import written
from tests.support.prometheus import SCRAPE_EVERY, Listening

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "monitoring"


def changed(path: Path, **changes: str) -> str:
    """The text of an example's file with each of these replaced; all have to be there."""
    text = path.read_text()
    for old, new in changes.items():
        assert old in text, f"{path.name} has no {old!r}"
        text = text.replace(old, new)
    return text


def rules_file(folder: Path, limits: Thresholds | None = None) -> Path:
    path = folder / "midair-rules.yml"
    path.write_text(written(document(limits or Thresholds())))
    return path


def watching(folder: Path, target: str, alertmanager: str) -> str:
    """The example's configuration of Prometheus, in a hurry."""
    return changed(
        EXAMPLE / "prometheus.yml",
        **{
            "scrape_interval: 15s": f"scrape_interval: {SCRAPE_EVERY}\n  scrape_timeout: {SCRAPE_EVERY}",
            "evaluation_interval: 15s": f"evaluation_interval: {SCRAPE_EVERY}",
            "/shared/midair-rules.yml": str(rules_file(folder)),
            "alertmanager:9093": alertmanager,
            "shop:9464": target,
        },
    )


class Alertmanager(Listening):
    """It posts to one receiver, with a token, and waits for nothing."""

    program = "prometheus-alertmanager"

    def __init__(self, folder: Path, receiver: str, token_file: Path) -> None:
        super().__init__(folder)
        self._configuration = folder / "alertmanager.yml"
        self._configuration.write_text(
            changed(
                EXAMPLE / "alertmanager.yml",
                **{
                    "http://alerts:9466": receiver,
                    "/run/secrets/alerts_token": str(token_file),
                    "group_wait: 5s": "group_wait: 0s",
                    "group_interval: 1m": "group_interval: 1s",
                },
            )
        )

    def words(self) -> list[str]:
        return [
            f"--config.file={self._configuration}",
            f"--storage.path={self.folder / 'alertmanager'}",
            "--cluster.listen-address=",
        ]
