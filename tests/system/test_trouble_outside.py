"""What the world does not give: a port, a disk, descriptors, a readable file. An error says so, and nothing is lost."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from midair.testing.client import Load
from tests.support.processes import Process
from tests.support.service import Done, Service, clean_environment
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow


def _run(folder: Path, *words: str) -> Done:
    """``midair run``, which is expected to end by itself."""
    (folder / "app.py").write_text("async def app(scope, receive, send): ...\n")
    done = subprocess.run(
        [sys.executable, "-m", "midair", "run", *words],
        cwd=folder,
        env=clean_environment(
            XDG_RUNTIME_DIR=str(folder), XDG_STATE_HOME=str(folder), MIDAIR_RUNTIME_DIR=str(folder / "run")
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    return Done(words, done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nowhere:app", "--bind", "127.0.0.1:0"), 1, "nowhere"),
        (("app:nothing", "--bind", "127.0.0.1:0"), 1, "nothing"),
        (("app.py", "--bind", "127.0.0.1:0"), 2, 'write "app:app"'),
        (("app:app", "--bind", "127.0.0.1:70000"), 2, "70000"),
        (("app:app", "--bind", "1.2.3.4:1"), 1, "1.2.3.4"),
        (("app:app", "--set", "wokers=2"), 2, "workers"),
    ],
)
def test_a_start_that_cannot_be_says_what_and_how_to_go_on(
    tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    done = _run(tmp_path, *words)
    assert done.code == code, done
    assert said in done.err, done
    assert "Traceback" not in done.err or said == "nowhere", done
    assert "hint" in done.err, done


def test_a_configuration_that_cannot_be_read_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "midair.toml").write_text('app = "app:app"\nworkers = = 2\n')
    done = _run(tmp_path)
    assert done.code == 2, done
    assert "midair.toml" in done.err, done
    assert "line 2" in done.err or ":2" in done.err, done


def test_receipts_that_cannot_be_written_stop_no_update(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        # A full disk, as far as the writer can see: no file can be made there any more.
        receipts = tmp_path / "state" / "receipts"
        wait_for(receipts.exists)
        shutil.rmtree(receipts)
        receipts.write_text("in the way")
        with service.asked(Load(connections=2, think_s=0.02)) as client:
            service.update("2")
            service.update("3")
        assert client.report.failed == 0, client.report.summary()
        assert [service.receipt(number)["result"] for number in (2, 3)] == ["committed"] * 2
        assert service.log().count("receipt unwritten") == 1, "it is said once"


def _limit(process: Process, left: int) -> int:
    """The limit that leaves so many numbers free for descriptors: there may be gaps below the highest one."""
    limit, used = 0, set(process.descriptors)
    while left or limit in used:
        left -= limit not in used
        limit += 1
    return limit


@pytest.mark.parametrize("left", [1, 2, 4, 6, 8])
def test_an_update_without_descriptors_left_is_refused_and_the_next_one_with_some_is_not(
    tmp_path: Path, left: int
) -> None:
    """However far it gets with those that are left."""
    with Service(tmp_path) as service:
        service.update("2")
        before = sorted(service.worker_pids())
        soft, hard = resource.prlimit(service.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(service.pid, resource.RLIMIT_NOFILE, (_limit(Process(service.pid), left), hard))
        service.write("good", "3")
        with service.asked(Load(connections=2, think_s=0.02)) as client:
            refused = service.reload()
            resource.prlimit(service.pid, resource.RLIMIT_NOFILE, (soft, hard))
            assert refused.code == 4, f"{refused}\n{service.log()}"
            assert "open files" in refused.data["fault"]["message"], refused
            assert refused.data["fault"]["hint"], refused
            assert sorted(service.worker_pids()) == before
            assert service.reload().code == 0, service.log()
        assert client.report.failed == 0, client.report.summary() + service.log()
        assert service.serving_version() == "3"
