"""[traces]: what may stand there, and what of it is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from midair.config.changes import diff, redacted, values
from midair.config.load import Loaded, load, sources_for_run
from midair.config.problems import BadConfig

SECRET = "Bearer s3cr3t"


def loaded(folder: Path, text: str) -> Loaded:
    (folder / "midair.toml").write_text(f'app = "app:app"\n{text}')
    return load(sources_for_run(folder=str(folder), environ={}), needs_target=True)


def problem(folder: Path, text: str) -> str:
    with pytest.raises(BadConfig) as found:
        loaded(folder, text)
    return f"{found.value} {found.value.hint}"


def test_a_plain_value_is_the_endpoint(tmp_path: Path) -> None:
    traces = loaded(tmp_path, 'traces = "http://127.0.0.1:4318"').settings.traces
    assert (traces.endpoint, traces.requests, traces.sample_share) == ("http://127.0.0.1:4318", False, 1.0)


def test_all_of_it(tmp_path: Path) -> None:
    text = '[traces]\nendpoint = "https://c:4318"\nrequests = true\nsample = "10%"\nheaders = { authorization = "file:key" }'
    traces = loaded(tmp_path, text).settings.traces
    assert (traces.requests, traces.sample_share, traces.headers) == (True, 0.1, {"authorization": "file:key"})


def test_values_of_headers_are_never_shown(tmp_path: Path) -> None:
    before = loaded(tmp_path, '[traces]\nendpoint = "http://c:4318"')
    after = loaded(tmp_path, f'[traces]\nendpoint = "http://c:4318"\nheaders = {{ authorization = "{SECRET}" }}')
    shown = [*values(after.settings, after.origins), *diff(before.settings, after.settings), redacted(after.settings)]
    assert "s3cr3t" not in str(shown)
    assert [value.value for value in values(after.settings, after.origins) if value.key == "traces.headers"] == [
        "(set)"
    ]
    assert [value.value for value in values(before.settings, {}) if value.key == "traces.headers"] == [""]
    assert "s3cr3t" not in problem(tmp_path, f'[traces]\nheaders = ["{SECRET}"]')
    assert "s3cr3t" not in problem(tmp_path, f'[traces]\nheaders = {{ "no name" = "{SECRET}" }}')


def test_mistakes_are_named(tmp_path: Path) -> None:
    assert "gRPC" in problem(tmp_path, 'traces = "127.0.0.1:4317"')
    assert 'write "100%"' in problem(tmp_path, "[traces]\nsample = 1.0")
    assert 'write "25%"' in problem(tmp_path, "[traces]\nsample = 0.25")
    assert "more than 100%" in problem(tmp_path, '[traces]\nsample = "120%"')
    (tmp_path / "midair.toml").write_text('command = "./server"\n[traces]\nendpoint = "http://c:4318"\nrequests = true')
    with pytest.raises(BadConfig, match="for applications"):
        load(sources_for_run(folder=str(tmp_path), environ={}), needs_target=True)
