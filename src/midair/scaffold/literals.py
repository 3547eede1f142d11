"""Values in somebody's Python, read without running it: constants, and what can be said of them with the environment left empty."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import TypeAlias

Literal: TypeAlias = str | int | float | bool | tuple["Literal", ...] | dict[str, "Literal"] | None

ENVIRONMENT = {"os.environ.get", "environ.get", "os.getenv", "getenv", "config", "env"}
"""Calls that look a variable up and may bring a default."""
CPUS = ("cpu_count", "sched_getaffinity", "process_cpu_count")


class Unknown(ValueError):
    """What it is shows only when it runs."""


def literal(node: ast.expr, names: Mapping[str, Literal]) -> Literal:
    """The value of an expression. names: what was assigned before. Raises Unknown."""
    match node:
        case ast.Constant(value=str() | int() | float() | bool() | None as value):
            return value
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return tuple(literal(item, names) for item in items)
        case ast.Dict(keys=keys, values=values):
            found = zip(keys, values, strict=True)
            return {str(literal(key, names)): literal(value, names) for key, value in found if key is not None}
        case ast.JoinedStr(values=parts):
            return "".join(_piece(part, names) for part in parts)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(literal(operand, names))
        case ast.BinOp(left=left, op=operator, right=right):
            return _calculated(literal(left, names), operator, literal(right, names))
        case ast.BoolOp(op=ast.Or(), values=values):
            return _first_said(values, names)
        case ast.Call():
            return _called(node, names)
        case _:
            raise Unknown(ast.unparse(node))


def is_about_cpus(node: ast.expr) -> bool:
    """Whether the number of processors is in it: ``multiprocessing.cpu_count() * 2 + 1``."""
    text = ast.unparse(node)
    return any(word in text for word in CPUS)


def variables_in(node: ast.expr) -> Iterator[str]:
    """The variables of the environment that an expression looks up."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and dotted(inner.func) in ENVIRONMENT and inner.args:
            if isinstance(inner.args[0], ast.Constant):
                yield str(inner.args[0].value)
        elif isinstance(inner, ast.Subscript) and dotted(inner.value) in ("os.environ", "environ"):
            yield ast.unparse(inner.slice).strip("'\"")


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of names and attributes; empty if it is something else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def _piece(node: ast.expr, names: Mapping[str, Literal]) -> str:
    if isinstance(node, ast.FormattedValue) and node.format_spec is None:
        return str(literal(node.value, names))
    return str(literal(node, names))


def _first_said(values: list[ast.expr], names: Mapping[str, Literal]) -> Literal:
    for value in values:
        if found := literal(value, names):
            return found
    return literal(values[-1], names)


def _called(node: ast.Call, names: Mapping[str, Literal]) -> Literal:
    name = dotted(node.func)
    if name in ENVIRONMENT:
        default = (
            node.args[1] if len(node.args) > 1 else next((k.value for k in node.keywords if k.arg == "default"), None)
        )
        return literal(default, names) if default is not None else None
    if name in ("int", "str", "float", "bool") and len(node.args) == 1 and not node.keywords:
        return _converted(name, literal(node.args[0], names))
    if name in ("max", "min") and node.args and not node.keywords:
        numbers = [_number(literal(arg, names)) for arg in node.args]
        return max(numbers) if name == "max" else min(numbers)
    if name in ("os.path.join", "join"):
        return os.path.join(*(str(literal(arg, names)) for arg in node.args)) if node.args else ""
    raise Unknown(ast.unparse(node))


def _converted(name: str, value: Literal) -> Literal:
    try:
        if name == "int" and isinstance(value, str | int | float):
            return int(value)
        if name == "float" and isinstance(value, str | int | float):
            return float(value)
    except (ValueError, OverflowError) as exc:
        raise Unknown(f"{name}({value!r})") from exc
    if name == "bool":
        return bool(value)
    if name == "str" and value is not None:
        return str(value)
    raise Unknown(f"{name}({value!r})")


def _calculated(left: Literal, operator: ast.operator, right: Literal) -> Literal:
    if isinstance(operator, ast.Add) and isinstance(left, str) and isinstance(right, str):
        return left + right
    if isinstance(operator, ast.Add) and isinstance(left, tuple) and isinstance(right, tuple):
        return left + right
    one, other = _number(left), _number(right)
    match operator:
        case ast.Add():
            return one + other
        case ast.Sub():
            return one - other
        case ast.Mult():
            return one * other
        case ast.FloorDiv() if other:
            return one // other
        case ast.Div() if other:
            return one / other
    raise Unknown("an operation")


def _number(value: Literal) -> int | float:
    if isinstance(value, int | float) and abs(value) < 10**15:
        return value
    raise Unknown(repr(value))


def assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr, int]]:
    """Name, value and line of each plain assignment at the top of a module, in order; those under ``if`` and ``try``, too."""
    for node in statements(tree.body):
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    if isinstance(target, ast.Name):
                        yield target.id, value, node.lineno
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value, node.lineno
            case _:
                pass


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when the module is imported or started, those inside ``if``, ``try`` and ``with`` included."""
    for node in body:
        yield node
        if isinstance(node, ast.If):
            yield from statements(node.body)
            yield from statements(node.orelse)
        elif isinstance(node, ast.Try):
            for part in (node.body, *(handler.body for handler in node.handlers), node.orelse, node.finalbody):
                yield from statements(part)
        elif isinstance(node, ast.With):
            yield from statements(node.body)


def known(tree: ast.Module) -> dict[str, Literal]:
    """The constants of a module by name."""
    names: dict[str, Literal] = {}
    for name, value, _ in assignments(tree):
        try:
            names[name] = literal(value, names)
        except Unknown:
            names.pop(name, None)
    return names


def parsed(text: str) -> ast.Module | None:
    """The module, or None if it is no Python (of ours: an older or newer one may read it)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unlucky backslash of theirs is no matter of ours
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
