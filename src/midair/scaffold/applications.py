"""Find application objects, and functions that make them, in Python files that are read and never run."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from midair.scaffold.evidence import Application, Files, Interface
from midair.scaffold.literals import assignments, dotted, known, parsed, statements

Kind = tuple[str, Interface]

CONSTRUCTORS: Mapping[str, Kind] = {
    "fastapi.FastAPI": ("FastAPI", "asgi"),
    "flask.Flask": ("Flask", "wsgi"),
    "starlette.applications.Starlette": ("Starlette", "asgi"),
    "litestar.Litestar": ("Litestar", "asgi"),
    "litestar.app.Litestar": ("Litestar", "asgi"),
    "quart.Quart": ("Quart", "asgi"),
    "django.core.asgi.get_asgi_application": ("Django", "asgi"),
    "django.core.wsgi.get_wsgi_application": ("Django", "wsgi"),
    "channels.routing.ProtocolTypeRouter": ("Django Channels", "asgi"),
    "sanic.Sanic": ("Sanic", "asgi"),
    "blacksheep.Application": ("BlackSheep", "asgi"),
    "falcon.App": ("Falcon", "wsgi"),
    "falcon.asgi.App": ("Falcon", "asgi"),
    "bottle.Bottle": ("Bottle", "wsgi"),
    "apiflask.APIFlask": ("APIFlask", "wsgi"),
    "socketio.ASGIApp": ("Socket.IO", "asgi"),
    "socketio.WSGIApp": ("Socket.IO", "wsgi"),
    "connexion.AsyncApp": ("Connexion", "asgi"),
    "responder.API": ("Responder", "asgi"),
}
NEEDLES = (*sorted({name.partition(".")[0] for name in CONSTRUCTORS}), "scope", "environ", "create_app", "make_app")
"""A file without any of these words has no application in it: most are not even parsed."""

ASIDE = {
    "test",
    "tests",
    "testing",
    "docs",
    "doc",
    "example",
    "examples",
    "scripts",
    "bench",
    "benchmarks",
    "migrations",
}
"""Folders whose applications are not the service."""
USUAL_FILES = ("main", "app", "asgi", "wsgi", "application", "server", "api", "__init__", "__main__")
USUAL_NAMES = ("app", "application", "api")
FACTORIES = ("create_app", "make_app", "create_application", "get_app", "get_application", "build_app", "app_factory")


@dataclass(slots=True)
class Module:
    """One file, as far as applications are concerned."""

    path: str
    name: str
    """Dotted, as ``chdir`` imports it."""
    chdir: str
    imported: dict[str, str]
    """Local name → what it is elsewhere, dotted."""
    tree: ast.Module
    objects: dict[str, tuple[Kind, int]] = field(default_factory=dict)
    factories: dict[str, tuple[Kind, int]] = field(default_factory=dict)


def applications(files: Files) -> list[Application]:
    """All that are found, the clearest first; those of tests, examples and scripts are left out."""
    modules = [module for path in sorted(files) if (module := _module(path, files))]
    for module in modules:
        module.factories = dict(_factories(module))
    made = {f"{module.name}.{name}": kind for module in modules for name, (kind, _) in module.factories.items()}
    for module in modules:
        module.objects = dict(_objects(module, made))
    named = set(named_targets(files))
    found = [replace(each, is_named=each.target in named) for module in modules for each in _of(module)]
    return sorted(found, key=_rank)


def named_targets(files: Files) -> Iterator[str]:
    """Applications that a configuration names: Django's settings, FastAPI's part of pyproject.toml, Flask, gunicorn."""
    for path, text in files.items():
        name = posixpath.basename(path)
        if name == ".flaskenv":
            for line in text.splitlines():
                key, _, value = line.partition("=")
                if key.strip() == "FLASK_APP":
                    file, colon, attribute = value.strip().strip("'\"").partition(":")
                    yield f"{file.removesuffix('.py').replace('/', '.')}:{attribute if colon else 'app'}"
        elif "gunicorn" in name and "wsgi_app" in text and (tree := parsed(text)):
            yield str(known(tree).get("wsgi_app", ""))
        elif name == "pyproject.toml":
            yield from _named_in_pyproject(text)
        elif name.endswith(".py") and "_APPLICATION" in text and (tree := parsed(text)):
            for key, said, _ in assignments(tree):
                if key in ("ASGI_APPLICATION", "WSGI_APPLICATION") and isinstance(said, ast.Constant):
                    yield ":".join(str(said.value).rpartition(".")[::2])


def _named_in_pyproject(text: str) -> Iterator[str]:
    import tomllib

    try:
        entry = tomllib.loads(text).get("tool", {}).get("fastapi", {}).get("entrypoint")
    except (tomllib.TOMLDecodeError, AttributeError):
        return
    if isinstance(entry, str):
        yield entry


def _rank(each: Application) -> tuple[int, int, str, str]:
    """The clearest first. A project's settings may name two of Django's: the asynchronous one has more of what midair keeps."""
    module, _, attribute = each.target.partition(":")
    last = module.rpartition(".")[2]
    unusual = (last not in USUAL_FILES) + (attribute not in USUAL_NAMES and not each.is_factory)
    if each.is_named:
        rank = int(each.interface == "wsgi")
    else:
        # Django makes both files whether they are used or not; what nobody names is served the way that it was written for.
        rank = 2 + unusual + 3 * each.is_factory + (each.framework == "Django" and each.interface == "asgi")
    return rank, module.count("."), each.target, each.where


def _of(module: Module) -> Iterator[Application]:
    for is_factory, found in ((False, module.objects), (True, module.factories)):
        for name, ((framework, interface), line) in found.items():
            where, target = f"{module.path}:{line}", f"{module.name}:{name}"
            yield Application(target, framework, interface, where, module.chdir, is_factory)


# --- a file --------------------------------------------------------------------------------------------------------


def _module(path: str, files: Files) -> Module | None:
    text = files[path]
    if not path.endswith(".py") or not any(needle in text for needle in NEEDLES):
        return None
    parts = path.split("/")
    is_aside = (
        bool(ASIDE.intersection(parts[:-1]))
        or parts[-1].startswith("test_")
        or parts[-1] in ("conftest.py", "setup.py")
    )
    tree = None if is_aside else parsed(text)
    if tree is None:
        return None
    chdir = import_folder(path, files)
    inside = path.removeprefix(f"{chdir}/" if chdir else "").removesuffix(".py")
    name = inside.replace("/", ".").removesuffix(".__init__")
    if not all(part.isidentifier() for part in name.split(".")):
        return None
    imported = dict(_imports(tree, name, is_package=path.endswith("__init__.py")))
    return Module(path, name, chdir, imported, tree)


def import_folder(path: str, files: Files) -> str:
    """The folder from which the file's module is imported: where ``manage.py`` stands, ``src``, or above its package.

    A file beside others that it imports by their plain names (``import database``) runs in its own folder.
    """
    folders = [posixpath.dirname(path)]
    while folders[-1]:
        folders.append(posixpath.dirname(folders[-1]))
    for folder in folders:
        if posixpath.join(folder, "manage.py") in files:
            return folder
    if path.startswith("src/") and "src/__init__.py" not in files:
        return "src"
    own = folders[0]
    if own and f"{own}/__init__.py" not in files and _imports_neighbours(files[path], own, files):
        return own
    return ""


def _imports_neighbours(text: str, folder: str, files: Files) -> bool:
    tree = parsed(text)
    names = (
        {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        if tree
        else set()
    )
    if tree:
        names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    tops = {name.partition(".")[0] for name in names}
    return any(f"{folder}/{top}.py" in files or f"{folder}/{top}/__init__.py" in files for top in tops if top)


def _imports(tree: ast.Module, module: str, *, is_package: bool) -> Iterator[tuple[str, str]]:
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield alias.asname or alias.name, f"{source}.{alias.name}"


def _full(module: Module, name: str) -> str:
    """What a name of this file is elsewhere: ``FastAPI`` → ``fastapi.FastAPI``."""
    first, dot, rest = name.partition(".")
    return f"{module.imported.get(first, f'{module.name}.{first}')}{dot}{rest}"


# --- objects and factories -----------------------------------------------------------------------------------------


def _objects(module: Module, made: Mapping[str, Kind]) -> Iterator[tuple[str, tuple[Kind, int]]]:
    found: dict[str, tuple[Kind, int]] = {}
    for name, value, line in assignments(module.tree):
        if kind := _kind_of(value, module, found, made):
            found[name] = kind, line
        elif name in found:
            del found[name]
    for node in module.tree.body:
        if isinstance(node, ast.AsyncFunctionDef) and _arguments(node) == ["scope", "receive", "send"]:
            found[node.name] = ("ASGI", "asgi"), node.lineno
        elif isinstance(node, ast.FunctionDef) and _arguments(node) == ["environ", "start_response"]:
            found[node.name] = ("WSGI", "wsgi"), node.lineno
    return iter(found.items())


def _kind_of(
    value: ast.expr, module: Module, found: Mapping[str, tuple[Kind, int]], made: Mapping[str, Kind]
) -> Kind | None:
    """What is made by ``FastAPI(…)``, ``create_app()``, or by wrapping something that is an application already."""
    if not isinstance(value, ast.Call):
        return None
    full = _full(module, dotted(value.func))
    if kind := CONSTRUCTORS.get(full) or made.get(full):
        return kind
    given = (arg for arg in (*value.args, *(keyword.value for keyword in value.keywords)))
    return next((found[arg.id][0] for arg in given if isinstance(arg, ast.Name) and arg.id in found), None)


def _factories(module: Module) -> Iterator[tuple[str, tuple[Kind, int]]]:
    """Functions that return an application and can be called without arguments."""
    for node in module.tree.body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith(("_", "get_asgi", "get_wsgi")):
            continue
        required = len(node.args.posonlyargs) + len(node.args.args) - len(node.args.defaults)
        if required > 0 or None in node.args.kw_defaults:
            continue
        if kind := _returned(node, module):
            yield node.name, (kind, node.lineno)


def _returned(node: ast.FunctionDef, module: Module) -> Kind | None:
    made: dict[str, Kind] = {}
    for inner in statements(node.body):
        if isinstance(inner, ast.Assign) and isinstance(inner.value, ast.Call):
            full = _full(module, dotted(inner.value.func))
            made |= {
                target.id: CONSTRUCTORS[full]
                for target in inner.targets
                if isinstance(target, ast.Name) and full in CONSTRUCTORS
            }
        if isinstance(inner, ast.Return) and inner.value is not None:
            if isinstance(inner.value, ast.Name) and inner.value.id in made:
                return made[inner.value.id]
            if isinstance(inner.value, ast.Call) and (
                kind := CONSTRUCTORS.get(_full(module, dotted(inner.value.func)))
            ):
                return kind
    said = _full(module, dotted(node.returns)) if node.returns is not None else ""
    return CONSTRUCTORS.get(said) if node.name in FACTORIES else None


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [arg.arg for arg in node.args.args]
