"""``gunicorn.conf.py``, read and never run: settings are options of gunicorn's command line, hooks are told one by one."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterator
from dataclasses import replace

from midair.scaffold.evidence import Files, Old
from midair.scaffold.flags import CPUS_ANSWER, SAME_VARIABLES, Table, shown, translated
from midair.scaffold.literals import Literal, Unknown, assignments, is_about_cpus, known, literal, parsed, variables_in

USUAL = ("gunicorn.conf.py", "gunicorn_conf.py", "gunicorn_config.py", "gunicorn.py")
"""Where it is often put; gunicorn itself looks for the first."""

FLAG_OF = {
    "accesslog": "--access-logfile",
    "errorlog": "--error-logfile",
    "loglevel": "--log-level",
    "keepalive": "--keep-alive",
    "raw_env": "--env",
    "proc_name": "--name",
    "pidfile": "--pid",
    "limit_request_field_size": "--limit-request-field_size",
    "access_log_format": "--access-logformat",
    "logconfig": "--log-config",
    "preload_app": "--preload",
    "proxy_allow_ips": "--proxy-allow-from",
    "reload_extra_files": "--reload-extra-file",
}
"""Settings whose option is not the setting's name with dashes."""

NONE = "no counterpart"
HOOKS = {
    "post_fork": "in the application: @midair.after_fork, before its start-up in each new worker",
    "pre_fork": "in the application: @midair.before_fork, in the process that imported it",
    "child_exit": "in the application: @midair.worker_exited, called with the worker's process id",
    "post_worker_init": "in the application: @midair.after_fork, or the start-up of its lifespan",
    "worker_exit": "in the application: the end of its lifespan (ASGI), atexit (WSGI)",
    "when_ready": "[hooks] after: a program that runs after each commit",
    "on_starting": "[hooks] before: a program that runs before each version; what it fails at is refused",
    "on_reload": "[hooks] before: a program that runs before each version; what it fails at is refused",
    "on_exit": "ExecStopPost= of the unit that runs midair",
    "pre_request": "in the application: a middleware",
    "post_request": "in the application: a middleware, or serve.access_log",
    "worker_int": f"{NONE}: workers end in order; the end of the lifespan is told",
    "worker_abort": f"{NONE}: a worker that hangs is logged with where it stands (worker.hang_warn), then replaced",
    "nworkers_changed": f"{NONE}: the log says workers_started",
    "pre_exec": f"{NONE}: midair upgrade keeps every worker",
    "ssl_context": f"{NONE}: what [tls] says",
}
"""What to do with each of gunicorn's hooks. A test compares with gunicorn's own list."""


def read_config(path: str, text: str, table: Table) -> list[Old]:
    """What became of everything in the file."""
    tree = parsed(text)
    if tree is None:
        return [Old(path, answer="is not Python; left out")]
    options: list[tuple[str, Literal]] = []
    olds: list[Old] = []
    names = known(tree)
    for name, value, _ in assignments(tree):
        flag = FLAG_OF.get(name, "--" + name.replace("_", "-"))
        if not (flag in table.keys or flag in table.answers or flag in ("--worker-class", "--threads")):
            continue  # a variable of the file's own
        try:
            found = literal(value, names)
        except Unknown:
            found = None
        if is_about_cpus(value) and name in ("workers", "threads"):
            olds.append(_of_cpus(name, value))
        elif found is None:
            olds.extend(_of_environment(name, value, table))
        else:
            options.append((flag, found))
    olds += [replace(old, written=_setting(old.written)) for old in translated(options, "gunicorn", table)]
    return [*olds, *_hooks(tree)]


def _setting(written: str) -> str:
    """``--max-requests 10`` as the file has it: ``max_requests = 10``."""
    flag, _, value = written.partition(" ")
    if not flag.startswith("--"):
        return written
    name = next((name for name, other in FLAG_OF.items() if other == flag), flag[2:].replace("-", "_"))
    return f"{name} = {value or True}"


def _of_cpus(name: str, value: ast.expr) -> Old:
    written = f"{name} = {shown(ast.unparse(value))}"
    if name == "workers":
        return Old(written, "workers", "auto", CPUS_ANSWER)
    return Old(written, answer="left out: serve.wsgi_threads is a number")


def _of_environment(name: str, value: ast.expr, table: Table) -> Iterator[Old]:
    variables = list(variables_in(value))
    written = f"{name} = {shown(ast.unparse(value))}"
    if isinstance(value, ast.Constant):
        return  # None: gunicorn's own default
    same = next((variable for variable in variables if variable in SAME_VARIABLES), "")
    if same:
        yield Old(written, answer=f"${same} is honoured as it is")
    elif variables:
        yield Old(written, answer=f"left out: ${variables[0]} decides; every key has a variable (docs: configuration)")
    else:
        yield Old(written, answer="left out: what it is shows only when it runs")


def _hooks(tree: ast.Module) -> Iterator[Old]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in HOOKS:
            yield Old(f"{node.name}()", answer=_of_hook(node))
        elif isinstance(node, ast.ClassDef) and "logger" in node.name.lower():
            yield Old(f"class {node.name}", answer=f"{NONE}: applications configure their own logging; ours: [log]")


def _of_hook(node: ast.FunctionDef) -> str:
    if node.name == "child_exit" and "mark_process_dead" in ast.unparse(node):
        return "in the application: @midair.worker_exited, calling mark_process_dead(pid)"
    return HOOKS[node.name]


def config_of(files: Files, named: str) -> str:
    """The path of the file that counts: the one that the command line names, else gunicorn's usual one; empty: none."""
    plain = named.removeprefix("python:").replace(".", "/") + ".py" if named.startswith("python:") else named
    for path in (plain, posixpath.normpath(plain) if plain else "", posixpath.basename(plain)):
        if path and path in files:
            return path
    usual = [path for path in files if posixpath.basename(path) in USUAL]
    return min(usual, key=lambda path: (path.count("/"), path)) if usual and not named else ""
