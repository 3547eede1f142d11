"""What a service's folder is made into an image with."""

from __future__ import annotations

from typing import Any

import pytest

from midair.config.schema import Settings
from midair.containers.survey import Packages, packages, program, python_version


def _settings(**changes: Any) -> Settings:
    return Settings(**{"name": "shop", "folder": "/home/you/shop", "app": "web:app", **changes})


def _lines(found: Packages) -> list[str]:
    return [step.text for step in (*found.tool, *found.steps)]


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({}, "3.12"),
        ({".python-version": "3.13.1\n"}, "3.13"),
        ({".venv/pyvenv.cfg": "home = /usr/bin\nversion = 3.11.2\n"}, "3.11"),
        ({".python-version": "cpython-3.11\n", ".venv/pyvenv.cfg": "version = 3.13.0\n"}, "3.11"),
        ({"pyproject.toml": '[project]\nrequires-python = ">=3.13"\n'}, "3.13"),
        ({"pyproject.toml": '[project]\nrequires-python = ">=3.11,<4"\n'}, "3.12"),
    ],
)
def test_the_python_is_the_one_that_the_project_has(files: dict[str, str], version: str) -> None:
    assert python_version(files, "3.12").value == version


MIDAIR = "RUN pip install --no-cache-dir midair==1.2"


@pytest.mark.parametrize(
    ("files", "locks", "expected"),
    [
        ({}, [], [MIDAIR]),
        (
            {"requirements.txt": "fastapi\nmidair>=1\n"},
            [],
            ["COPY requirements.txt ./", "RUN pip install --no-cache-dir -r requirements.txt"],
        ),
        (
            {"requirements.txt": "fastapi==1 --hash=sha256:aa\n"},
            [],
            ["COPY requirements.txt ./", "RUN pip install --no-cache-dir --require-hashes -r requirements.txt", MIDAIR],
        ),
        (
            {"requirements.txt": "-r base.txt\n-c ../up.txt\n", "base.txt": "midair\n"},
            [],
            ["COPY requirements.txt base.txt ./", "RUN pip install --no-cache-dir -r requirements.txt", MIDAIR],
        ),
        (
            {"requirements.txt": "-e .\n"},
            [],
            ["COPY . .", "RUN pip install --no-cache-dir -r requirements.txt", MIDAIR],
        ),
        (
            {"pyproject.toml": '[project]\ndependencies = ["flask", "midair"]\n'},
            [],
            ["COPY . .", "RUN pip install --no-cache-dir ."],
        ),
        ({"pyproject.toml": '[tool.midair]\napp = "web:app"\n'}, [], [MIDAIR]),
        (
            {"pyproject.toml": '[project]\ndependencies = [\n  "midair[traces]>=1",\n]\n', "requirements.txt": ""},
            ["poetry.lock"],
            [
                "RUN pip install --no-cache-dir poetry",
                "COPY pyproject.toml poetry.lock ./",
                "RUN poetry install --only main --no-root --no-interaction --no-cache",
            ],
        ),
    ],
    ids=["nothing", "requirements", "hashes", "others", "itself", "project", "configuration", "poetry"],
)
def test_packages_are_installed_as_the_project_lists_them_and_midair_in_any_case(
    files: dict[str, str], locks: list[str], expected: list[str]
) -> None:
    assert _lines(packages(files, locks, "", "1.2")) == expected


def test_a_lock_of_uv_is_followed_and_the_project_installed_if_it_is_a_package() -> None:
    project = '[project]\ndependencies = ["midair"]\n'
    lines = _lines(packages({"pyproject.toml": project}, ["uv.lock"], "", "1.2"))
    assert lines[-1] == "RUN uv sync --frozen --no-dev --no-install-project --inexact"
    assert "COPY . ." not in lines
    lines = _lines(packages({"pyproject.toml": f"{project}[build-system]\n"}, ["uv.lock"], "", "1.2"))
    assert lines[-2:] == ["COPY . .", "RUN uv sync --frozen --no-dev --no-editable --inexact"]


def test_the_list_that_deploy_names_counts_before_a_lock() -> None:
    files = {"deploy/live.txt": "midair\n"}
    lines = _lines(packages(files, ["uv.lock"], "deploy/live.txt", "1.2"))
    assert lines == ["COPY deploy/live.txt ./deploy/", "RUN pip install --no-cache-dir -r deploy/live.txt"]


MAIN = {"go.mod": "module example.com/shop\n\ngo 1.22\n", "cmd/shop/main.go": "package main\n\nfunc main() {\n}\n"}


def test_a_program_of_go_is_built_to_where_the_command_is() -> None:
    made = program(MAIN, ["go.sum"], _settings(app="", command=("bin/shop", "-v")), "/srv/shop")
    assert made is not None
    assert made.base == "golang:1.22"
    texts = [step.text for step in made.steps]
    assert texts[0] == "COPY go.mod go.sum ./"
    assert texts[-1] == "RUN CGO_ENABLED=0 go build -o /out/shop ./cmd/shop"
    assert [step.text for step in made.copied] == ["COPY --from=program /out/shop bin/shop"]
    assert not made.has_code


@pytest.mark.parametrize(
    ("package", "locks", "expected"),
    [
        ('{"main": "a.js"}', ["package-lock.json"], ["RUN npm ci --omit=dev"]),
        (
            '{"scripts": {"build": "tsc"}, "engines": {"node": "20.x"}}',
            ["package-lock.json"],
            ["RUN npm ci", "RUN npm run build", "RUN npm prune --omit=dev"],
        ),
        ("{}", ["pnpm-lock.yaml"], ["RUN corepack enable && pnpm install --frozen-lockfile --prod"]),
        ("{}", ["yarn.lock"], ["RUN corepack enable && yarn install --frozen-lockfile --production"]),
        ("no JSON", [], ["RUN npm install --no-audit --no-fund --omit=dev"]),
    ],
)
def test_a_program_of_node_is_installed_by_its_lock_and_loses_what_only_its_build_needs(
    package: str, locks: list[str], expected: list[str]
) -> None:
    made = program({"package.json": package}, locks, _settings(app="", command=("node", "a.js")), "/srv/shop")
    assert made is not None
    assert [step.text for step in made.steps if step.text.startswith("RUN")] == expected
    assert made.base == ("node:20-slim" if "20.x" in package else "node:22-slim")
    assert made.has_code


def test_a_file_for_node_needs_node_alone() -> None:
    made = program({".nvmrc": "v24"}, [], _settings(app="", command=("node", "server.mjs")), "/srv/shop")
    assert made is not None
    assert (made.base, made.steps, len(made.copied), made.has_code) == ("node:24-slim", (), 1, False)


@pytest.mark.parametrize("command", [("./server",), ("/usr/bin/server",), ("gunicorn", "web:app")])
def test_of_what_nobody_knows_how_it_is_made_no_stage_is_made(command: tuple[str, ...]) -> None:
    assert program({}, [], _settings(app="", command=command), "/srv/shop") is None
    assert program(MAIN, [], _settings(), "/srv/shop") is None  # an application beside a module of Go
