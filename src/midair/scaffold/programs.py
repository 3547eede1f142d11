"""Projects that are no Python: modules of Go, packages of Node. What makes them, what runs them, and whether they take a socket."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from midair.config import nodemon
from midair.config.keys import all_keys
from midair.config.layers import Document
from midair.config.names import NODEMON_OWN
from midair.scaffold.evidence import NOWHERE, Files, Old, Process, Project
from midair.scaffold.flags import as_written, simple_commands

TAKES_SOCKET = re.compile(
    r"LISTEN_FDS|LISTEN_PID|coreos/go-systemd|tableflip|listen\(\s*\{\s*fd\b|NewFile\(\s*3|RunFd\("
)
SAYS_READY = re.compile(r"NOTIFY_SOCKET|sd_notify|SdNotify|sd-notify")
TAKES_NAMES = "LISTEN_FDNAMES"
SOURCES = (".go", ".js", ".mjs", ".cjs", ".ts")
PROGRAMS = ("node", "bun", "deno", "npm", "pnpm", "yarn", "sh", "bash")
"""What a script of npm finds on the PATH; everything else is of a package, in ``node_modules/.bin``."""


def projects(files: Files) -> list[Project]:
    """Those whose ``go.mod`` or ``package.json`` stands in the folder itself."""
    return [*_go(files), *_node(files)]


# --- Go ------------------------------------------------------------------------------------------------------------


def _go(files: Files) -> Iterator[Project]:
    if "go.mod" not in files:
        return
    mains = sorted(
        {posixpath.dirname(path) for path, text in files.items() if path.endswith(".go") and _is_main(path, text)},
        key=lambda folder: (folder.count("/") + bool(folder), folder),
    )
    if not mains:
        yield Project("Go", "go.mod", notes=("no package main: there is nothing to run",))
        return
    module = re.search(r"^module\s+(\S+)", files["go.mod"], re.MULTILINE)
    name = posixpath.basename(mains[0] or (module[1] if module else "server"))
    kind = "Go, Gin" if "gin-gonic/gin" in files["go.mod"] else "Go"
    package = f"./{mains[0]}" if mains[0] else "."
    build = f"go build -o bin/{name}.new {package} && mv bin/{name}.new bin/{name}"
    notes = [f"other programs of the module: {', '.join(mains[1:])}"] if mains[1:] else []
    built = (Old("what the build writes", "watch.ignore", ("bin/",)),)
    yield Project(kind, "go.mod", (f"bin/{name}",), build, package, built, tuple(notes))


def _is_main(path: str, text: str) -> bool:
    return not path.endswith("_test.go") and bool(
        re.search(r"^package main\b", text, re.MULTILINE) and re.search(r"^func main\(", text, re.MULTILINE)
    )


def manners_of(files: Files) -> Iterator[Old]:
    """How a program is given its address and proves that it is ready, judging by its sources."""
    sources = "\n".join(text for path, text in files.items() if path.endswith(SOURCES))
    if not TAKES_SOCKET.search(sources):
        yield Old("it binds its port by itself", "listener", "lent", "it gets the service's socket in place of its own")
        yield Old("the port that it binds", "bind", (), "found out when it binds")
    elif SAYS_READY.search(sources):
        yield Old("it takes LISTEN_FDS and says READY=1", answer="nothing to add")
    elif TAKES_NAMES in sources and "/health" in sources:
        yield Old(
            "it takes LISTEN_FDNAMES",
            "health.probe",
            "listener:/health",
            "asked of each new version on a private socket",
        )
    else:
        yield Old("nothing in it says READY=1", "health.probe", "delay:3s", "it only has to live so long")


# --- Node ----------------------------------------------------------------------------------------------------------


def _node(files: Files) -> Iterator[Project]:
    try:
        package = json.loads(files.get("package.json", ""))
    except ValueError:
        return
    if not isinstance(package, dict):
        return
    scripts = {name: line for name, line in _table(package, "scripts").items() if isinstance(line, str)}
    needs = {*_table(package, "dependencies"), *_table(package, "devDependencies")}
    kind = "TypeScript" if "typescript" in needs or "tsconfig.json" in files else "Node"
    command = _command(scripts.get("start", ""), str(package.get("main", "")), files)
    if not command:
        return  # a package of tools: its scripts run nothing that serves
    build = "npm run build" if "build" in scripts else ""
    yield Project(kind, "package.json", command, build, olds=tuple(_nodemon(files, package, scripts)))


def _command(start: str, main: str, files: Files) -> tuple[str, ...]:
    """What ``npm start`` runs, without npm in between: signals go to the program itself."""
    words = next(iter(reversed(simple_commands(start))), [])
    words = words[1:] if words[:1] == ["npx"] else words
    if words[:1] == ["tsx"]:
        return ("node", "--import", "tsx", *words[1:])
    if words[:1] == ["ts-node"]:
        return ("node", "--require", "ts-node/register", *words[1:])
    if words[:1] == ["nodemon"]:
        file = next((word for word in words[1:] if word.endswith((".js", ".mjs", ".cjs"))), "")
        return ("node", file) if file else ()
    if words:
        return (
            tuple(words) if words[0] in PROGRAMS or "/" in words[0] else (f"node_modules/.bin/{words[0]}", *words[1:])
        )
    return ("node", main) if main and (main in files or "dist" in main) else ()


def front_end(files: Files) -> Process | None:
    """What develops the pages beside an application: the script ``dev`` or ``watch`` of a package of Node."""
    for path in sorted(files, key=lambda path: (path.count("/"), path)):
        folder, _, name = path.rpartition("/")
        if name != "package.json" or "/" in folder:
            continue
        try:
            package = json.loads(files[path])
        except ValueError:
            continue
        scripts = _table(package, "scripts") if isinstance(package, dict) else {}
        if script := next((script for script in ("dev", "watch") if script in scripts), ""):
            return Process(folder or "pages", ("npm", "run", script), path, folder)
    return None


def _nodemon(files: Files, package: Mapping[str, object], scripts: Mapping[str, str]) -> Iterator[Old]:
    """What nodemon was told to watch: in its file, in package.json, or on the line of a script."""
    try:
        own = json.loads(files.get(NODEMON_OWN, "{}"))
    except ValueError:
        own = {}
    line = next((words for text in scripts.values() for words in simple_commands(text) if words[0] == "nodemon"), [])
    said = {**_table(package, "nodemonConfig"), **(own if isinstance(own, dict) else {}), **_nodemon_line(line[1:])}
    if not said:
        return
    read = nodemon.read_nodemon(Document("nodemon", said, {}), folder=NOWHERE)
    for name, setting in read.layer.settings.items():
        key = all_keys().get(name)
        if key is None:
            yield Old(f"nodemon's {name}", name, str(setting.value))  # a variable
        elif name not in ("command", "listener", "bind") and setting.value != key.default:
            yield Old(f"nodemon's {name}", name, as_written(key, setting.value))
    for told in (*read.layer.warnings, *map(str, read.layer.problems)):
        yield Old("nodemon", answer=told)
    if "exec" in said:
        yield Old("nodemon's exec", answer="its steps before the program belong under [build]; the program is command")


NODEMON_FLAGS = {"-e": "ext", "--ext": "ext", "-w": "watch", "--watch": "watch", "-i": "ignore", "--ignore": "ignore"}
NODEMON_FLAGS |= {"-x": "exec", "--exec": "exec", "-d": "delay", "--delay": "delay"}


def _nodemon_line(words: list[str]) -> dict[str, object]:
    """Options of the command line by their names in its file, where a delay is in milliseconds."""
    found: dict[str, object] = {}
    lists: dict[str, list[str]] = {"watch": [], "ignore": []}
    for flag, value in pairwise(words):
        name = NODEMON_FLAGS.get(flag, "")
        if name in lists:
            lists[name].append(value)
        elif name == "delay" and re.fullmatch(r"\d+(\.\d+)?", value):
            found[name] = str(int(float(value) * 1000))
        elif name:
            found[name] = value
    return found | {name: values for name, values in lists.items() if values}


def _table(package: Mapping[str, object], name: str) -> dict[str, object]:
    found = package.get(name)
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}
