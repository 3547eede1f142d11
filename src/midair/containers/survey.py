"""What of a service's folder makes its image: which Python, how its packages are installed, which program is built. Pure.

The folder comes as ``scaffold/folder.py`` reads it. Nothing of the project is run, and nothing is asked of a registry.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from midair.config.schema import Settings
from midair.scaffold.programs import projects

Files = Mapping[str, str]
NAMED = (".python-version", ".venv/pyvenv.cfg", ".nvmrc", ".node-version")
"""Small files that say a version, beside what ``read_folder`` reads."""
LOCKS = ("uv.lock", "poetry.lock", "go.sum", "package-lock.json", "pnpm-lock.yaml", "yarn.lock")
"""Files of which it counts that they are there."""
NODE = "22"
GO = "1.24"
"""Where the project says nothing."""
ENVIRONMENT = "/opt/venv"
"""Not in the service's folder: a volume that is mounted there would hide it."""
PIP = "pip install --no-cache-dir"


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction of a Dockerfile, and why."""

    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and what it was made from."""

    what: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Packages:
    """How the Python packages come into the environment."""

    tool: tuple[Step, ...] = ()
    """Before the environment is there."""
    steps: tuple[Step, ...] = ()
    """In it, in order."""
    decision: Decision = Decision("packages", "midair alone", "there is no list of requirements")


NOTHING = Packages()


@dataclass(frozen=True, slots=True)
class Stage:
    """Another stage, which makes a program; and what of it comes into the image."""

    base: str
    folder: str
    steps: tuple[Step, ...]
    copied: tuple[Step, ...]
    """In the image, instead of (``has_code``) or after the code itself."""
    has_code: bool
    tool: str
    """What makes it, and is not in the image."""
    decision: Decision


# --- which Python --------------------------------------------------------------------------------------------------


def python_version(files: Files, ours: str) -> Decision:
    """``3.12``, and who says so. ours: the version that midair runs in."""
    for path, pattern, why in (
        (".python-version", r"\A\s*(?:cpython-?|python-?)?(3\.\d+)", ".python-version says so"),
        (".venv/pyvenv.cfg", r"(?m)^version(?:_info)? *= *(3\.\d+)", "that of .venv"),
    ):
        if match := re.search(pattern, files.get(path, "")):
            return Decision("python", match[1], why)
    least = re.search(r"""(?m)^requires-python *= *["'][^"']*>= *(3\.\d+)""", files.get("pyproject.toml", ""))
    if least and _number(least[1]) > _number(ours):
        return Decision("python", least[1], "requires-python of pyproject.toml")
    return Decision("python", ours, "that of the midair that was asked")


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


# --- packages ------------------------------------------------------------------------------------------------------


def packages(files: Files, there: Sequence[str], requirements: str, midair: str) -> Packages:
    """How they are installed. there: which of LOCKS are. requirements: the file that the configuration names. midair: the version
    that is installed if the project does not ask for one itself."""
    found = _found(files, there, requirements)
    ours = Step(f"RUN {PIP} midair=={midair}", "The project does not ask for midair itself.")
    if _asks_for_midair(files, requirements):
        return found
    return Packages(found.tool, (*found.steps, ours), found.decision)


def _found(files: Files, there: Sequence[str], requirements: str) -> Packages:
    name = requirements or "requirements.txt"
    project = files.get("pyproject.toml", "")
    if "uv.lock" in there and not requirements:
        return _with_uv(project)
    if "poetry.lock" in there and not requirements:
        return _with_poetry()
    if name in files:
        return _with_requirements(name, files)
    if re.search(r"^\[(project|build-system)\]", project, re.MULTILINE):
        why = "The project itself with what it depends on. All of it again at each change: a lock file"
        " would keep this layer."
        decision = Decision("packages", "pip install .", "pyproject.toml; a lock file would be the same each time")
        return Packages((), (Step("COPY . .", ""), Step(f"RUN {PIP} .", why)), decision)
    return NOTHING


def _with_uv(project: str) -> Packages:
    quiet = "ENV UV_PROJECT_ENVIRONMENT=/opt/venv UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never"
    steps = [
        Step(quiet, "uv installs into the environment above, and fetches no Python of its own."),
        Step(
            "COPY pyproject.toml uv.lock ./",
            "What the lock says comes before the code: this layer stays while the lock does.",
        ),
        Step("RUN uv sync --frozen --no-dev --no-install-project --inexact", ""),
    ]
    if re.search(r"^\[build-system\]", project, re.MULTILINE):
        steps.append(Step("COPY . .", "The project itself is a package."))
        steps.append(Step("RUN uv sync --frozen --no-dev --no-editable --inexact", ""))
    decision = Decision("packages", "uv sync --frozen --no-dev", "uv.lock")
    return Packages((Step(f"RUN {PIP} uv", "Only here: the image has no installer but pip."),), tuple(steps), decision)


def _with_poetry() -> Packages:
    steps = (
        Step(
            "COPY pyproject.toml poetry.lock ./",
            "What the lock says comes before the code: this layer stays while it does.",
        ),
        Step("RUN poetry install --only main --no-root --no-interaction --no-cache", ""),
    )
    decision = Decision("packages", "poetry install --only main", "poetry.lock")
    return Packages((Step(f"RUN {PIP} poetry", "Only here: the image has no installer but pip."),), steps, decision)


def _with_requirements(name: str, files: Files) -> Packages:
    named = list(dict.fromkeys(_with_those_it_names(name, files)))
    texts = [files.get(each, "") for each in named]
    is_hashed = any("--hash=" in text for text in texts)
    hashes = "--require-hashes " if is_hashed else ""
    needs_code = any(re.search(r"(?m)^\s*(-e\s+)?\.{1,2}(/|\s|$)", text) for text in texts)
    folder = posixpath.dirname(name)
    copied = "COPY . ." if needs_code else f"COPY {' '.join(named)} ./{folder + '/' if folder else ''}"
    why = "What is installed comes before the code: this layer stays while the list does."
    decision = Decision("packages", f"pip install {hashes}-r {name}", "with hashes" if is_hashed else "without hashes")
    return Packages((), (Step(copied, why), Step(f"RUN {PIP} {hashes}-r {name}", "")), decision)


def _with_those_it_names(name: str, files: Files) -> Iterator[str]:
    """The file, and those that it takes in (``-r``, ``-c``), as far as they are here."""
    yield name
    for match in re.finditer(r"(?m)^\s*(?:-r|--requirement|-c|--constraint)[ =]*(\S+)", files.get(name, "")):
        other = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[1]))
        if other in files and other != name:
            yield other


def _asks_for_midair(files: Files, requirements: str) -> bool:
    paths = (requirements or "requirements.txt", "pyproject.toml")
    return any(re.search(r"(?im)^[\s\"']*midair\b(?!\.)(?!\])", _dependencies(files.get(path, ""))) for path in paths)


def _dependencies(text: str) -> str:
    """Lists on one line have each word on its own."""
    return re.sub(r"[\[,]", "\n", text)


# --- a program that is built ---------------------------------------------------------------------------------------


def program(files: Files, there: Sequence[str], settings: Settings, folder: str) -> Stage | None:
    """The stage that makes the program of ``command``; None: it needs none, or nobody here knows how. folder: of the image."""
    if not settings.is_command:
        return None
    word = settings.command[0]
    if "go.mod" in files and "/" in word and not word.startswith("/"):
        return _go(files, there, word)
    if word == "node" or (word.startswith("node_modules/") and "package.json" in files):
        return _node(files, there, folder)
    return None


def _go(files: Files, there: Sequence[str], word: str) -> Stage:
    name = posixpath.basename(word)
    said = re.search(r"^go (1\.\d+)", files["go.mod"], re.MULTILINE)
    package = next((project.package for project in projects(files) if project.where == "go.mod"), "") or "."
    version = said[1] if said else GO
    return Stage(
        base=f"golang:{version}",
        folder="/src",
        steps=(
            Step(
                f"COPY go.mod {'go.sum ' if 'go.sum' in there else ''}./",
                "Modules come before the code: this layer stays.",
            ),
            Step("RUN go mod download", ""),
            Step("COPY . .", ""),
            Step(
                f"RUN CGO_ENABLED=0 go build -o /out/{name} {package}",
                "Without C it runs on any Linux, whatever that one is made of.",
            ),
        ),
        copied=(Step(f"COPY --from=program /out/{name} {word}", "Where `command` looks for it."),),
        has_code=False,
        tool="go",
        decision=Decision("program", f"go build {package}", f"{word}; go.mod asks for Go {version}" if said else word),
    )


NODE_ITSELF = Step("COPY --from=program /usr/local/bin/node /usr/local/bin/node", "Node is this one file.")


def _node(files: Files, there: Sequence[str], folder: str) -> Stage:
    package = _package(files)
    version, why = _node_version(files, package)
    base = f"node:{version}-slim"
    if "package.json" not in files:
        return Stage(base, folder, (), (NODE_ITSELF,), False, "npm", Decision("program", f"node {version}", why))
    scripts = package.get("scripts")
    is_built = isinstance(scripts, dict) and "build" in scripts
    lock, install, prune = _installer(there, is_built=is_built)
    steps = [
        Step(f"COPY package.json {f'{lock} ' if lock else ''}./", "Packages come before the code: this layer stays."),
        Step(f"RUN {install}", ""),
        Step("COPY . .", ""),
    ]
    if is_built:
        steps.append(Step("RUN npm run build", "The build needs the packages for development; what runs does not."))
        steps.append(Step(f"RUN {prune}", ""))
    return Stage(
        base=base,
        folder=folder,
        steps=tuple(steps),
        copied=(NODE_ITSELF, Step(f"COPY --from=program {folder} .", "")),
        has_code=True,
        tool="npm",
        decision=Decision("program", f"node {version}, {install}", why),
    )


def _package(files: Files) -> dict[str, object]:
    try:
        found = json.loads(files.get("package.json", ""))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _node_version(files: Files, package: Mapping[str, object]) -> tuple[str, str]:
    for path in (".nvmrc", ".node-version"):
        if match := re.match(r"\s*v?(\d+)", files.get(path, "")):
            return match[1], f"{path} says so"
    engines = package.get("engines")
    wanted = str(engines.get("node", "")) if isinstance(engines, dict) else ""
    if match := re.search(r"(\d+)", wanted):
        return str(max(int(match[1]), int(NODE)) if wanted.startswith(">") else match[1]), "engines of package.json"
    return NODE, "nothing says which"


def _installer(there: Sequence[str], *, is_built: bool) -> tuple[str, str, str]:
    """The lock file, the line that installs, and the one that takes away what only development needs."""
    if "pnpm-lock.yaml" in there:
        install = "pnpm install --frozen-lockfile" + ("" if is_built else " --prod")
        return "pnpm-lock.yaml", f"corepack enable && {install}", "pnpm prune --prod"
    if "yarn.lock" in there:
        install = "yarn install --frozen-lockfile" + ("" if is_built else " --production")
        return "yarn.lock", f"corepack enable && {install}", "yarn install --frozen-lockfile --production"
    without = "" if is_built else " --omit=dev"
    if "package-lock.json" in there:
        return "package-lock.json", f"npm ci{without}", "npm prune --omit=dev"
    return "", f"npm install --no-audit --no-fund{without}", "npm prune --omit=dev"
