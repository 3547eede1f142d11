"""Function bodies that are read when they are needed: most edits change one, and few imports need it.

A file that is being edited is executed with a trap at the beginning of each function. As long as none was called, and nobody has
looked at the code or at the file, all that was executed is what stands around the bodies: the import would have been the same with
any others. So a checkpoint at its end is good for each version of the file that differs in bodies alone; the bodies are put in
after the fork. What is used before is fixed: from then on the file counts with all its content.

Not put off are generators: one that was made and not begun would keep its body, and nobody is told of it.
"""

from __future__ import annotations

import ast
import builtins
import functools
import gc
import inspect
from collections.abc import Callable, Iterator
from types import CodeType, CoroutineType, FunctionType

from midair.release.digest import digest_of

_GENERATORS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_TRAP, _MADE = "__midair_used__", "__midair_made__"
_AT_A_LINE = (ast.Lambda, ast.GeneratorExp, ast.FunctionDef, ast.AsyncFunctionDef)
"""Around the bodies, what remembers its line, and is not put in."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Late:
    """One file, executed without its bodies. ``digest``: of the content whose bodies count, until it is fixed."""

    def __init__(self, number: int, path: str, data: bytes, digest: bytes, outline: Outline) -> None:
        self.number = number
        self.path = path
        self.digest = digest
        self.functions: list[list[FunctionType]] = [[] for _ in outline.bodies]
        self.code = self._counts(data, outline)
        """Of the whole file, with traps."""
        self.verified: tuple[bytes, bytes, Outline] | None = None
        """What is on the disk by now: differs in bodies at most."""

    def _counts(self, data: bytes, outline: Outline) -> CodeType:
        self.outline = outline
        tree = _with_traps(ast.parse(data, self.path), outline.lines, self.number)
        code: CodeType = compile(tree, self.path, "exec", dont_inherit=True)
        known = {(each.co_firstlineno, each.co_name): each for each in _functions(code)}
        self.present = [known[each.co_firstlineno, each.co_name] for each in outline.bodies]
        """What functions are given now: with traps, or, once it is fixed, without."""
        return code

    def go_on(self) -> None:
        """From now on the bodies count that were verified. Those that are there hold the ones before, behind their traps."""
        if self.verified is None or self.verified[1] == self.digest:
            return
        data, self.digest, outline = self.verified
        self._counts(data, outline)
        self._put_in()

    def fix(self) -> None:
        self.present = self.outline.bodies
        self._put_in()

    def made(self, place: int, function: FunctionType) -> FunctionType:
        self.functions[place].append(function)
        # The file may have been under way when others began to count.
        function.__code__ = self.present[place]
        return function

    def _put_in(self) -> None:
        for functions, code in zip(self.functions, self.present, strict=True):
            for function in functions:
                function.__code__ = code


class Outline:
    """What a file is around its function bodies. Raises SyntaxError and ValueError.

    ``around``: its digest. ``bodies``: the code of each function, in order.
    """

    def __init__(self, path: str, data: bytes) -> None:
        self.code: CodeType = compile(data, path, "exec", dont_inherit=True)
        known = {(code.co_firstlineno, code.co_name): code for code in _functions(self.code)}
        tree = ast.parse(data, path)
        self.bodies: list[CodeType] = []
        self.lines: list[int] = []
        """Where they begin."""
        late = set[ast.AST]()
        for function in list(_defined(tree)):
            code = known.get((_line(function), function.name))
            if code is None or code.co_flags & _GENERATORS:
                continue
            self.bodies.append(code)
            self.lines.append(_line(function))
            function.body = _docstring(function)
            late.add(function)
        shapes = [(code.co_name, code.co_flags, code.co_freevars) for code in self.bodies]
        lines = [node.lineno for node in ast.walk(tree) if isinstance(node, _AT_A_LINE) and node not in late]
        around = (ast.dump(tree), shapes, lines, list(_of_classes(self.code)))
        self.around = digest_of(repr(around).encode(errors="surrogatepass"))


class Bodies:
    """Of this process. ``fixed``: told of a file that counts with all its content from now on, and its digest."""

    def __init__(self, fixed: Callable[[str, bytes], None]) -> None:
        self.late: dict[str, Late] = {}
        self._fixed = fixed
        self._numbers: list[Late] = []

    def code(self, path: str, data: bytes, digest: bytes) -> CodeType | None:
        """The file's code without its bodies; None: there is nothing to put off. Raises SyntaxError and ValueError."""
        if path in self.late:
            self.fix(path)
            return None  # It is executed a second time; whose functions are whose could not be told.
        outline = Outline(path, data)
        if not outline.bodies:
            return None
        late = self.late[path] = Late(len(self._numbers), path, data, digest, outline)
        self._numbers.append(late)
        setattr(builtins, _TRAP, self._used)
        setattr(builtins, _MADE, self._made)
        return late.code

    def looked_into(self, function: object) -> None:
        """Somebody takes a function's code."""
        if isinstance(function, FunctionType):
            path = function.__globals__.get("__file__")
            for late in list(self.late.values()):
                if path == late.path or any(function in made for made in late.functions):
                    self.fix(late.path)

    def fix(self, path: str) -> None:
        """Put the bodies in now: the file counts with all its content."""
        late = self.late.pop(path, None)
        if late is not None:
            late.fix()
            self._fixed(path, late.digest)

    def fix_begun(self) -> None:
        """A coroutine that was made and not begun keeps its body, too. To be called before objects are frozen."""
        if not self.late:
            return
        files = {item.cr_code.co_filename for item in gc.get_objects() if isinstance(item, CoroutineType)}
        for path in files & self.late.keys():
            self.fix(path)

    def changed(self) -> str:
        """A file that differs around its bodies from what was executed; empty: none does. Remembers what it has read."""
        for late in self.late.values():
            late.verified = None
            try:
                with open(late.path, "rb") as file:
                    data = file.read()
                if (digest := digest_of(data)) == late.digest:
                    late.verified = data, digest, late.outline
                    continue
                outline = Outline(late.path, data)
            except (OSError, SyntaxError, ValueError):
                return late.path
            if outline.around != late.outline.around:
                return late.path
            late.verified = data, digest, outline
        return ""

    def go_on(self) -> None:
        """In a fork: the bodies that count are those that ``changed`` has read."""
        for late in self.late.values():
            late.go_on()

    def end(self) -> None:
        """The import is over: put them all in."""
        for path in list(self.late):
            self.fix(path)
        for name in (_TRAP, _MADE):
            if hasattr(builtins, name):
                delattr(builtins, name)

    def _used(self, number: int) -> None:
        self.fix(self._numbers[number].path)

    def _made(self, number: int, place: int) -> Callable[[FunctionType], FunctionType]:
        return functools.partial(self._numbers[number].made, place)


def _with_traps(tree: ast.Module, lines: list[int], number: int) -> ast.Module:
    places = {line: place for place, line in enumerate(lines)}
    for function in _defined(tree):
        place = places.get(_line(function))
        if place is None:
            continue
        first = len(_docstring(function))
        function.body.insert(first, ast.copy_location(ast.Expr(_call(_TRAP, number)), function))
        made = _call(_MADE, number, place)
        ast.copy_location(made, function)
        function.decorator_list.append(made)
    return ast.fix_missing_locations(tree)


def _call(name: str, *numbers: int) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), [ast.Constant(number) for number in numbers], [])


def _defined(node: ast.AST) -> Iterator[Function]:
    """Functions that are made when the file is executed, in order; not those within functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield child
        elif not isinstance(child, ast.Lambda):
            yield from _defined(child)


def _docstring(function: Function) -> list[ast.stmt]:
    return function.body[:1] if ast.get_docstring(function, clean=False) is not None else []


def _line(function: Function) -> int:
    """Where Python says that it begins: at its first decorator."""
    return min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])


def _of_classes(code: CodeType) -> Iterator[tuple[object, ...]]:
    """What the compiler has put into the bodies of classes: from Python 3.13 on their lines, and what their methods set."""
    for item in code.co_consts:
        if isinstance(item, CodeType) and not item.co_flags & inspect.CO_OPTIMIZED:
            yield item.co_name, *(each for each in item.co_consts if not isinstance(each, CodeType))
            yield from _of_classes(item)


def _functions(code: CodeType) -> Iterator[CodeType]:
    """Code of the functions of a module and of its classes."""
    for item in code.co_consts:
        if isinstance(item, CodeType):
            if item.co_name.startswith("<generic") or not item.co_flags & inspect.CO_OPTIMIZED:
                yield from _functions(item)
            elif not item.co_name.startswith("<"):
                yield item
