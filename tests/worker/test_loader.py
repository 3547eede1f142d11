"""``module:attribute`` to an application; each way to fail is told apart."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from midair.errors import ApplicationError
from midair.worker import loader

FILES = {
    "good.py": """
async def asgi(scope, receive, send): ...
def wsgi(environ, start_response): ...
def plain(scope, receive, send): return asgi(scope, receive, send)
def asgi2(scope): ...
def factory(): return asgi
def raising(): raise ValueError("no database")
def exiting(): raise SystemExit(3)
def anything(*args, **kwargs): ...
class Asgi:
    async def __call__(self, scope, receive, send): ...
    async def method(self, scope, receive, send): ...
class Wsgi:
    def __call__(self, environ, start_response): ...
class Asgi2:
    def __init__(self, scope): ...
class Place:
    app = Asgi()
made, made_wsgi = Asgi(), Wsgi()
import functools
def more(environ, start_response, extra): ...
partial = functools.partial(asgi)
partial_wsgi = functools.partial(more, extra=1)
number = 5
""",
    "missing_import.py": "import nowhere_to_be_found",
    "missing_below.py": "import good.nothing",
    "bad_syntax.py": "def broken(:\n    pass\n",
    "imports_bad_syntax.py": "import bad_syntax",
    "raising.py": "def inner():\n    raise ValueError('no database')\ninner()\n",
    "exiting.py": "import sys\nsys.exit(4)\n",
    "package/__init__.py": "",
    "package/web.py": "async def app(scope, receive, send): ...",
}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in list(sys.modules):
        if name.partition(".")[0] in {file.partition(".")[0].partition("/")[0] for file in FILES}:
            monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize(
    ("target", "interface"),
    [
        ("good:asgi", "asgi"),
        ("good:plain", "asgi"),
        ("good:made", "asgi"),
        ("good:made.method", "asgi"),
        ("good:Place.app", "asgi"),
        ("good:partial", "asgi"),
        ("package.web:app", "asgi"),
        ("good:wsgi", "wsgi"),
        ("good:made_wsgi", "wsgi"),
        ("good:partial_wsgi", "wsgi"),
    ],
)
def test_an_application_is_found_and_its_interface_seen(target: str, interface: str) -> None:
    loaded = loader.load(target)
    assert callable(loaded.app)
    assert loaded.interface == interface


def test_a_factory_is_called() -> None:
    assert loader.load("good:factory", factory=True).interface == "asgi"
    assert loader.load("good:Asgi", factory=True).interface == "asgi"


def test_the_interface_may_be_said() -> None:
    assert loader.load("good:anything", interface="wsgi").interface == "wsgi"
    assert loader.load("good:anything", interface="asgi").interface == "asgi"


FAILURES: list[tuple[str, type[ApplicationError], str]] = [
    ("good", loader.InvalidTarget, "good"),
    ("good:", loader.InvalidTarget, "good:"),
    (":app", loader.InvalidTarget, ":app"),
    ("nothing_here:app", loader.ModuleNotFound, "nothing_here"),
    ("package.nothing:app", loader.ModuleNotFound, "package.nothing"),
    ("missing_import:app", loader.ImportMissing, "nowhere_to_be_found"),
    ("missing_below:app", loader.ImportMissing, "good.nothing"),
    ("bad_syntax:app", loader.InvalidSyntax, "line 1"),
    ("imports_bad_syntax:app", loader.InvalidSyntax, "bad_syntax.py"),
    ("raising:app", loader.ImportRaised, "ValueError: no database"),
    ("exiting:app", loader.ImportExited, "sys.exit(4)"),
    ("good:absent", loader.AttributeMissing, "absent"),
    ("good:made.absent", loader.AttributeMissing, "good.made has no attribute 'absent'"),
    ("good:number", loader.NotCallable, "int"),
    ("good:asgi2", loader.InterfaceUnknown, "ASGI 2"),
    ("good:Asgi2", loader.InterfaceUnknown, "class"),
    ("good:factory", loader.InterfaceUnknown, "no arguments"),
    ("good:anything", loader.InterfaceUnknown, "any arguments"),
]


@pytest.mark.parametrize(("target", "error", "says"), FAILURES)
def test_each_failure_has_its_error_and_says_what_is_wrong(
    target: str, error: type[ApplicationError], says: str
) -> None:
    with pytest.raises(error) as raised:
        loader.load(target)
    assert says in str(raised.value)
    assert raised.value.fault().code == error.code


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("good:raising", loader.FactoryRaised),
        ("good:exiting", loader.ImportExited),
        ("good:number", loader.NotCallable),
        ("good:made", loader.FactoryRaised),
    ],
)
def test_a_factory_may_fail_too(target: str, error: type[ApplicationError]) -> None:
    with pytest.raises(error):
        loader.load(target, factory=True)


def test_codes_are_stable_and_distinct() -> None:
    errors = {error for _, error, _ in FAILURES} | {loader.FactoryRaised}
    assert len({error.code for error in errors}) == len(errors)


def test_a_traceback_begins_in_the_application() -> None:
    with pytest.raises(loader.ImportRaised) as raised:
        loader.load("raising:app")
    detail = raised.value.detail
    assert "importlib" not in detail
    assert "loader.py" not in detail
    assert detail.index("raising.py") < detail.index("in inner")
    assert detail.endswith("ValueError: no database\n")


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(loader.AttributeMissing) as raised:
        loader.load("good:made_wsg")
    assert "made_wsgi" in raised.value.hint
