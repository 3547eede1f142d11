"""The doctor beside a real service: it sees what runs and what is on disk, and asks nobody to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.service import Done, Service


def found(done: Done) -> dict[str, Any]:
    return {finding["code"]: finding for finding in done.data["findings"]}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_what_is_wrong_on_disk_is_a_problem_before_the_next_update_meets_it(tmp_path: Path) -> None:
    with Service(tmp_path, settings={"bake": {"for": "0s"}}, flags=("--set", "rollback.keep=none")) as service:
        done = service.midair("doctor", "--json")
        assert done.code == 0, done
        assert done.data["is_running"]
        warnings = {code for code, finding in found(done).items() if finding["level"] == "warning"}
        assert {"bake-off", "rollback-not-kept"} <= warnings, "the second one was only given on its command line"
        assert "health-off" not in found(done), "good.py has a health route, as the receipt says"
        service.write("import_missing_module", "2")
        done = service.midair("doctor", "--json")
        assert (done.code, found(done)["application"]["level"]) == (1, "problem"), done
        (service.folder / "midair.toml").write_text(
            f'name = "{service.settings["name"]}"\nruntime_dir = "{service.runtime}"\napp = "app:app"\nwokers = 2\n'
        )
        done = service.midair("doctor")
        assert done.code == 1, done
        assert "problem: midair.toml:4: there is no key wokers" in done.out.replace(f"{service.folder}/", "")
        assert "fix: did you mean workers?" in done.out
        assert service.serving_version() == "1"
