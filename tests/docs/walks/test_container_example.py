"""examples/container is what `midair container` makes of it."""

from __future__ import annotations

import json
import shlex

import pytest

from midair.__main__ import main
from midair.errors import DONE
from tests.docs.terminal import ROOT, Terminal
from tests.docs.walking import Walk
from tests.docs.walks.test_kubernetes import CREATE, NO_CLUSTER, RELOAD

NO_DOCKER = "there is no Docker engine here"
EXAMPLE = ROOT / "examples/container"
WALK = Walk(
    "examples/container/README.md",
    not_typed={
        "docker compose up --build --detach": NO_DOCKER,
        "curl http://127.0.0.1:8000/": NO_DOCKER,
        "docker compose exec shop midair status": NO_DOCKER,
        "docker compose exec shop midair doctor": NO_DOCKER,
        "docker compose stop": NO_DOCKER,
        "docker build --tag registry.example.com/shop:1 .": NO_DOCKER,
        "docker push registry.example.com/shop:1": NO_DOCKER,
        "kubectl apply -f k8s.yaml": NO_CLUSTER,
        "kubectl rollout status deploy/shop": NO_CLUSTER,
        CREATE: NO_CLUSTER,
        "kubectl apply -f in-place/k8s.yaml": NO_CLUSTER,
        RELOAD: NO_CLUSTER,
    },
)


@pytest.mark.slow
def test_the_page_is_what_happens() -> None:
    with Terminal("/srv/shop") as terminal:
        terminal.prepare(f"cp -r {shlex.quote(str(EXAMPLE))}/. .")
        WALK.whole(terminal)


def test_its_files_are_what_the_command_makes(capsys: pytest.CaptureFixture[str]) -> None:
    """To make them anew: in that folder, what stands on its page."""
    base = ["container", "-C", str(EXAMPLE)]
    assert main([*base, "--dockerfile", "--compose", "--kubernetes", "--json"]) == DONE
    printed = capsys.readouterr().out
    assert main([*base, "--kubernetes", "--code", "configmap", "--json"]) == DONE
    in_place = capsys.readouterr().out
    for said, folder in ((printed, EXAMPLE), (in_place, EXAMPLE / "in-place")):
        for file in _files(said):
            assert (folder / file["name"]).read_text() == file["text"], file["name"]


def _files(said: str) -> list[dict[str, str]]:
    files = json.loads(said)["files"]
    assert isinstance(files, list)
    return files
