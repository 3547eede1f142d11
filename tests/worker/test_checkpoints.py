"""An import that goes on from within an earlier one has the outcome of a fresh one, or does not go on from there.

Each update is compared with an interpreter that imports the project anew.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from midair.sockets import words
from tests.worker.hosts import TELLS, Base, Nest, Outcome

FILES = {
    "app.py": "import a, b, c, order\ndef said(): return [order.ORDER, a.V, b.V, c.V]\n" + TELLS,
    "order.py": "ORDER = []\n",
    "a.py": "import order\nV = 'a1'\norder.ORDER.append(__name__)\n",
    "b.py": "import order\nV = 'b1'\norder.ORDER.append(__name__)\n",
    "c.py": "import order, b\nV = 'c1' + b.V\norder.ORDER.append(__name__)\n",
}


class Project:
    """Files, and the processes that import them."""

    def __init__(self, base: Base, folder: Path, files: dict[str, str], **launch: object) -> None:
        self.folder = folder
        folder.mkdir()
        for name, text in files.items():
            self.save(name, text)
        self.nest = Nest(base, folder, **launch)

    def save(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def update(self) -> Outcome:
        """It is taken up, and serves what a fresh interpreter would."""
        outcome = self.take()
        assert self.nest.served() == self.nest.fresh()
        return outcome

    def take(self) -> Outcome:
        outcome = self.nest.update()
        assert isinstance(outcome.word, words.Imported), outcome.word
        return outcome

    def hot(self, name: str) -> None:
        """Edited once: there is a checkpoint before it from now on."""
        path = self.folder / name
        path.write_text(path.read_text() + "\n")
        outcome = self.take()
        assert name in outcome.stopped, outcome

    def remove(self, name: str) -> None:
        """With all that Python has put beside it."""
        path = self.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


Make = Callable[..., Project]


@pytest.fixture(scope="module")
def base() -> Iterator[Base]:
    base = Base()
    yield base
    base.close()


@pytest.fixture
def make(base: Base, tmp_path: Path) -> Iterator[Make]:
    made: list[Project] = []

    def make(files: dict[str, str] | None = None, **launch: object) -> Project:
        project = Project(base, tmp_path / "project", {**FILES, **(files or {})}, **launch)
        made.append(project)
        project.take()
        return project

    yield make
    for project in made:
        project.nest.close()


# --- where it goes on -------------------------------------------------------------------------------------------------


def test_from_the_second_save_on_an_import_goes_on_before_the_edited_file(make: Make) -> None:
    project = make()
    project.hot("b.py")
    for version in "234":
        project.edit("b.py", f"b{int(version) - 1}", f"b{version}")
        assert project.update().start == "b.py"


def test_two_saves_of_equal_length_in_one_second_are_both_seen(make: Make) -> None:
    project = make()
    project.hot("a.py")
    for version in range(2, 8):
        project.edit("a.py", f"a{version - 1}", f"a{version}")
        os.utime(project.folder / "a.py", (1_000_000_000, 1_000_000_000))
        project.update()
        assert isinstance(served := project.nest.served(), list)
        assert served[1] == f"a{version}"


def test_a_file_before_the_checkpoint_is_imported_anew(make: Make) -> None:
    project = make()
    project.hot("c.py")
    project.edit("a.py", "a1", "a2")
    assert project.update().start != "c.py"


def test_checkpoints_stand_within_one_another(make: Make) -> None:
    project = make()
    project.hot("a.py")
    project.hot("c.py")
    project.edit("c.py", "c1", "c2")
    assert project.update().start == "c.py"
    project.edit("a.py", "a1", "a2")
    assert project.update().start == "a.py"


def test_a_broken_file_is_mended_from_the_checkpoint_before_it(make: Make) -> None:
    project = make()
    project.hot("b.py")
    good = (project.folder / "b.py").read_text()
    for broken in ("V = (", "V = 1 / 0", "import nothing_of_this_name"):
        project.save("b.py", broken)
        assert isinstance(project.nest.update().word, words.Failed)
    project.save("b.py", good.replace("b1", "b2"))
    assert project.update().start == "b.py"


def test_the_traceback_of_a_broken_file_is_that_of_python(make: Make) -> None:
    project = make()
    project.hot("b.py")
    project.save("b.py", "V = 1 / 0\n")
    word = project.nest.update().word
    assert isinstance(word, words.Failed)
    assert "midair" not in word.detail.replace(str(project.folder), "")
    assert "frozen importlib" not in word.detail


def test_what_was_printed_before_the_checkpoint_is_printed_once(make: Make) -> None:
    project = make({"a.py": FILES["a.py"] + "print('once', end='')\n"})
    project.hot("b.py")
    printed = project.nest.printed().count("once")
    project.hot("c.py")
    project.edit("b.py", "b1", "b2")
    project.update()
    assert project.nest.printed().count("once") == printed


def test_no_more_processes_are_kept_than_the_bound(make: Make) -> None:
    project = make()
    for _ in range(3):
        for name in ("a.py", "b.py", "c.py", "order.py"):
            path = project.folder / name
            path.write_text(path.read_text() + "\n")
            project.update()
    assert len(project.nest.checkpoints) <= 4
    assert len(project.nest.all) <= 4 + 1  # The zygote.


# --- what an import has seen ------------------------------------------------------------------------------------------

Change = Callable[[Project], None]


def removes(name: str) -> Change:
    return lambda project: project.remove(name)


def makes(name: str, text: str = "", *, instead_of: str = "") -> Change:
    def change(project: Project) -> None:
        if instead_of:
            project.remove(instead_of)
        project.save(name, text)

    return change


def links(name: str, where: str) -> Change:
    return lambda project: (project.folder / name).symlink_to(where)


CHANGES: dict[str, tuple[dict[str, str], Change]] = {
    "a file that shadows a module": (
        {
            "lib/__init__.py": "",
            "app.py": "import sys; sys.path.append('lib')\n" + FILES["app.py"],
            "lib/a.py": "V = 'lib'\n",
        },
        removes("a.py"),
    ),
    "a module that was not there": (
        {"a.py": "try: import extra; V = extra.V\nexcept ImportError: V = 'none'\n"},
        makes("extra.py", "V = 'extra'\n"),
    ),
    "a module that is not there any more": (
        {"a.py": "try: import extra; V = extra.V\nexcept ImportError: V = 'none'\n", "extra.py": "V = 'extra'\n"},
        removes("extra.py"),
    ),
    "a module that becomes a package": (
        {},
        makes("a/__init__.py", "V = 'package'\n", instead_of="a.py"),
    ),
    "a package that hides a module": ({}, makes("a/__init__.py", "V = 'package'\n")),
    "a package that becomes a module": (
        {"x/__init__.py": "V = 'package'\n", "a.py": "import x\nV = x.V\n"},
        makes("x.py", "V = 'module'\n", instead_of="x"),
    ),
    "a part of a namespace package": (
        {
            "space/one.py": "V = 1\n",
            "a.py": "import space.one, importlib.util as u\nV = str(u.find_spec('space.two'))[:4]\n",
        },
        makes("space/two.py", "V = 2\n"),
    ),
    "a namespace package that becomes an ordinary one": (
        {"space/one.py": "V = 1\n", "a.py": "import space.one\nV = str(getattr(space, 'V', 'none'))\n"},
        makes("space/__init__.py", "V = 'ordinary'\n"),
    ),
    "modules that are walked through": (
        {
            "parts/__init__.py": "",
            "parts/one.py": "",
            "a.py": "import pkgutil, parts\nV = [m.name for m in pkgutil.walk_packages(parts.__path__)]\n",
        },
        makes("parts/two.py", ""),
    ),
    "files that are listed": (
        {"a.py": "import pathlib\nV = len(list(pathlib.Path('data').glob('*.txt')))\n", "data/one.txt": ""},
        makes("data/two.txt", ""),
    ),
    "a YAML file that is read": (
        {"a.py": "V = open('settings.yaml').read()\n", "settings.yaml": "colour: red\n"},
        makes("settings.yaml", "colour: new\n"),
    ),
    "a file of data that no fingerprint knows": (
        {"a.py": "import json\nV = json.load(open('data.json'))\n", "data.json": "[1]"},
        makes("data.json", "[2]"),
    ),
    "a file that is looked for": (
        {"a.py": "import pathlib\nV = pathlib.Path(__file__).with_name('.env').exists()\n"},
        makes(".env", ""),
    ),
    "a file whose size is asked": (
        {"a.py": "import os\nV = os.stat('style.css').st_size\n", "style.css": "a {}"},
        makes("style.css", "a { }"),
    ),
    "a file opened in vain": (
        {"a.py": "try: V = open('local.ini').read()\nexcept OSError: V = 'none'\n"},
        makes("local.ini", "local"),
    ),
    "a link that leads elsewhere": (
        {"a.py": "import os\nV = os.path.basename(os.path.realpath('current'))\n"},
        links("current", "two"),
    ),
    "the version": (
        {"a.py": "import os\nV = os.environ['MIDAIR_VERSION']\n"},
        lambda project: None,
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_an_import_has_seen_is_seen_to_change(what: str, make: Make) -> None:
    """With the edit of a file after it, so that there is a checkpoint that would hide the change."""
    files, change = CHANGES[what]
    project = make(files)
    project.hot("c.py")
    change(project)
    project.edit("c.py", "c1", "c2")
    assert project.update().start != "c.py"


def test_what_an_import_has_not_seen_changes_nothing(make: Make) -> None:
    project = make({"never.py": "raise RuntimeError\n", "docs/notes.txt": ""})
    project.hot("c.py")
    project.save("never.py", "raise ValueError\n")
    project.save("docs/more.txt", "")
    project.save(".c.py.swp", "")
    project.save("another.py", "")
    project.edit("c.py", "c1", "c2")
    assert project.update().start == "c.py"


def test_a_file_that_moves_is_followed(make: Make) -> None:
    project = make()
    project.hot("b.py")
    (project.folder / "b.py").rename(project.folder / "bb.py")
    assert isinstance(project.nest.update().word, words.Failed)
    project.edit("app.py", "import a, b", "import a, bb as b")
    project.edit("c.py", "order, b", "order, bb as b")
    project.update()


def test_a_link_to_the_folder_that_is_swapped_is_followed(base: Base, tmp_path: Path) -> None:
    for number in "12":
        (tmp_path / number).mkdir()
        for name, text in FILES.items():
            (tmp_path / number / name).write_text(text)
    (tmp_path / "current").symlink_to("1")
    nest = Nest(base, tmp_path / "current")
    try:
        nest.update()
        (tmp_path / "1" / "c.py").write_text(FILES["c.py"] + "\n")
        assert nest.update().stopped == ("c.py",)
        (tmp_path / "current").unlink()
        (tmp_path / "current").symlink_to("2")
        assert nest.update().start == "base"
    finally:
        nest.close()


def test_a_circular_import_is_gone_through_as_python_does(make: Make) -> None:
    project = make(
        {
            "a.py": "import order, b\nV = 'a' + getattr(b, 'V', '?')\n",
            "b.py": "import a\nV = 'b' + getattr(a, 'V', '?')\n",
        }
    )
    project.hot("b.py")
    project.edit("b.py", "'b'", "'B'")
    assert project.update().start == "b.py"


def test_a_module_that_is_executed_again_is_executed_as_it_is_now(make: Make) -> None:
    files = {"c.py": "import importlib, a, order\nimportlib.reload(a)\nV = a.V\n"}
    project = make(files)
    project.hot("a.py")
    project.edit("a.py", "a1", "a2")
    project.update()
    project.hot("c.py")
    project.edit("c.py", "V = a.V", "V = a.V * 2")
    project.update()


def test_a_module_that_is_imported_after_the_import_is_read_each_time(make: Make) -> None:
    said = "def said():\n    import importlib, late\n    return importlib.reload(late).V\n"
    project = make({"app.py": said + TELLS, "late.py": "V = 1\n"})
    for version in "23":
        project.save("late.py", f"V = {version}\n")
        assert project.nest.served() == int(version)


def test_modules_that_are_imported_under_a_condition_come_and_go(make: Make) -> None:
    project = make(
        {
            "a.py": "USE = False\nif USE:\n    import extra\nV = USE\n",
            "extra.py": "import order\norder.ORDER.append('extra')\n",
        }
    )
    project.hot("a.py")
    for now, then in (("False", "True"), ("True", "False")):
        project.edit("a.py", f"USE = {now}", f"USE = {then}")
        assert project.update().start == "a.py"


def test_an_application_that_a_factory_makes_is_made_anew(make: Make) -> None:
    project = make(
        {"app.py": FILES["app.py"].replace("async def app(", "def make(): return app\nasync def app(")},
        target="app:make",
        factory=True,
    )
    project.hot("b.py")
    project.edit("b.py", "b1", "b2")
    assert project.update().start == "b.py"


MAIN = "import app\nimport midair\nif __name__ == '__main__':\n    midair.serve(app.app)\n"


def test_a_main_file_goes_on_from_within(make: Make) -> None:
    project = make({"main.py": MAIN}, target="", main="main.py")
    for name in ("b.py", "main.py"):
        project.hot(name)
        path = project.folder / name
        path.write_text(path.read_text() + "\n")
        assert project.update().start == name


# --- what forbids it --------------------------------------------------------------------------------------------------


def thread(name: str) -> str:
    return f"import threading as t\nt.Thread(target=t.Event().wait, name={name!r}, daemon=True).start()\n"


OBSTACLES = {
    "thread 'of-mine' is running": thread("of-mine"),
    "a pipe is open": "import os\nPIPE = os.pipe()\n",
    "a connection is open": "import socket\nPAIR = socket.socketpair()\n",
    "an event loop was made at import": "import select\nEPOLL = select.epoll()\n",
    "a temporary file or folder was made": "import tempfile\nFOLDER = tempfile.TemporaryDirectory()\n",
    "a program was run (a.py:": "import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''])\n",
}


@pytest.mark.parametrize("why", OBSTACLES)
def test_where_a_fork_would_break_something_the_import_does_not_stop_and_says_why(why: str, make: Make) -> None:
    project = make({"a.py": FILES["a.py"] + OBSTACLES[why]})
    project.edit("b.py", "b1", "b2")
    outcome = project.update()
    assert outcome.stopped == ()
    assert isinstance(outcome.word, words.Imported)
    assert outcome.word.passed.startswith("no checkpoint before b.py: ")
    assert why in outcome.word.passed


def test_threads_that_start_again_after_a_fork_are_none(make: Make) -> None:
    project = make({"a.py": FILES["a.py"] + thread("OtelBatchSpanRecordProcessor")})
    project.hot("b.py")


# --- what others have written -------------------------------------------------------------------------------------------


def test_installed_modules_are_there_before_the_project(make: Make) -> None:
    project = make({"a.py": "import wsgiref.handlers, sqlite3.dbapi2\n" + FILES["a.py"]})
    assert project.nest.preload().failed == -1
    assert {"wsgiref", "wsgiref.handlers", "sqlite3"} <= set(project.nest.imports.modules)
    project.edit("a.py", "a1", "a2")
    outcome = project.update()
    assert outcome.start == "third-party"
    assert isinstance(outcome.word, words.Imported)


LEFT_OUT = {
    "the environment (os.environ)": "import os\nos.environ['COLOUR'] = 'red'\n",
    "the import path (sys.path)": "import sys\nsys.path.append('/nowhere')\n",
    "the standard library (gevent, eventlet)": "import socket, functools as f\nsocket.socketpair = f.partial(socket.socketpair)\n",
    "which warnings are shown": "import warnings\nwarnings.simplefilter('ignore')\n",
    "how modules are found (sys.meta_path)": "import sys, importlib.machinery as m\nsys.meta_path.append(m.FrozenImporter)\n",
}


@pytest.mark.parametrize("what", LEFT_OUT)
def test_what_follows_a_change_of_the_surroundings_is_left_out_by_name(what: str, make: Make) -> None:
    project = make({"a.py": "import sqlite3\n" + LEFT_OUT[what] + "import wsgiref\n" + FILES["a.py"]})
    project.nest.preload()
    assert project.nest.told.left_out == f"wsgiref and what follows: the project has changed {what}"
    assert "sqlite3" in project.nest.imports.modules
    assert "wsgiref" not in project.nest.imports.modules


def test_what_follows_a_patch_of_the_project_is_left_out_by_name(make: Make) -> None:
    patch = "import sqlite3\nimport patch\nimport wsgiref\n"
    project = make(
        {"patch.py": "import sqlite3\ndef mine(): pass\nsqlite3.connect = mine\n", "a.py": patch + FILES["a.py"]}
    )
    project.nest.preload()
    assert project.nest.told.left_out == "wsgiref and what follows: patch has changed sqlite3.connect"


def test_a_module_of_the_project_that_hides_an_installed_one_ends_the_third_party_zygote(make: Make) -> None:
    project = make({"a.py": "import wsgiref\n" + FILES["a.py"]})
    assert project.nest.preload().failed == -1
    project.save("wsgiref.py", "V = 'hidden'\n")
    project.edit("a.py", "'a1'", "getattr(wsgiref, 'V', 'installed')")
    outcome = project.update()
    assert outcome.start == "base"
    assert outcome.stale == ("wsgiref",)


# --- bodies of functions ------------------------------------------------------------------------------------------------

BODY = '''import order
V = 'b1'
order.ORDER.append(__name__)
def text():
    """Says it."""
    return "one"
class Shop:
    def __init__(self): self.name = super().__repr__()[:1]
    @property
    def sign(self): return "s1"
    async def later(self): return 1
'''
TELLS_BODY = FILES["app.py"].replace(
    "b.V, c.V]",
    "b.V, c.V, b.text(), b.text.__doc__, b.Shop().sign, b.text.__code__.co_firstlineno, len(b.text.__code__.co_names)]",
)
AT_THE_END = ""


@pytest.fixture
def body(make: Make) -> Project:
    project = make({"b.py": BODY, "app.py": TELLS_BODY})
    project.hot("b.py")
    return project


GENERATOR = "def numbers():\n    yield 1\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"one"', '"two"'),
        ('return "one"', 'x = "new"; return len(x)'),
        ('"s1"', 'self.name + "s2"'),
        ('return "one"', "return [str(n) for n in range(3)]"),
        ("return 1", "return await self.later()"),
    ],
)
def test_an_edit_in_the_body_of_a_function_executes_nothing_else_again(body: Project, old: str, new: str) -> None:
    body.edit("b.py", old, new)
    assert body.update().start == AT_THE_END
    body.edit("b.py", new, old)
    assert body.update().start == AT_THE_END


def test_lines_that_come_in_a_body_move_what_stands_below(body: Project) -> None:
    """From Python 3.13 on a class remembers its line: then the file is executed again."""
    body.edit("b.py", 'return "one"', 'x = "new"\n    return len(x)')
    assert body.update().start == (AT_THE_END if sys.version_info < (3, 13) else "b.py")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("'b1'", "'b2'"),
        ('"""Says it."""', '"""Says more."""'),
        ("def text():", "def text(word='x'):"),
        ("@property\n    def sign(self)", "sign = 's3'\n    def signs(self)"),
        ("async def later(self): return 1", "async def later(self): yield 1"),
        ("def __init__(self): self.name = super().__repr__()[:1]", "def __init__(self): self.name = ''"),
        ("import order", "import order\nmore = lambda: 1"),
        ('    return "one"', '    x = 1\n    return "one"'),  # A generator further down would be one line off.
    ],
)
def test_an_edit_around_the_bodies_executes_the_file_again(body: Project, old: str, new: str) -> None:
    body.save("b.py", BODY + GENERATOR)
    body.update()
    body.edit("b.py", old, new)
    assert body.update().start == "b.py"


USES = {
    "called": "import b\nGOT = b.text()\n",
    "called later, by what was made then": "import b\nGOT = b.Shop()\nGOT = GOT.name\n",
    "looked into": "import b\nGOT = b.text.__code__.co_code.hex()\n",
    "read": "import b, inspect\nGOT = inspect.getsource(b.text)\n",
    "begun by nobody": "import b, types\nshop = b.Shop.__new__(b.Shop)\nWAITS = shop.later()\nGOT = type(WAITS).__name__\n",
    "its file": "import b\nGOT = open(b.__file__).read()\n",
}


@pytest.mark.parametrize("use", USES)
def test_a_body_that_the_import_has_used_is_no_longer_put_off(use: str, make: Make) -> None:
    tells = FILES["app.py"].replace("b.V, c.V]", "b.V, c.V, c.GOT]")
    project = make({"b.py": BODY, "c.py": "V = 1\n" + USES[use], "app.py": tells})
    project.hot("b.py")
    project.edit("b.py", '"one"', '"two"')
    project.edit("b.py", "return 1", "return 2")
    assert project.update().start == "b.py"


def test_a_body_that_is_used_after_the_checkpoint_is_the_one_of_now(make: Make) -> None:
    """Its file was executed before, with the trap of the version before."""
    tells = FILES["app.py"].replace("b.V, c.V]", "b.V, c.V, c.GOT]")
    project = make({"b.py": BODY, "c.py": "V = 1\nimport b\nGOT = b.text()\n", "app.py": tells})
    project.hot("b.py")
    project.hot("c.py")
    project.edit("b.py", '"one"', '"two"')
    assert project.update().start == "c.py"
    project.edit("b.py", 'return "two"', 'three = "three"; return three')
    assert project.update().start == "c.py"


def test_functions_that_are_made_after_the_checkpoint_have_the_bodies_of_now(make: Make) -> None:
    """The checkpoint stands within the file, before what it imports on the way."""
    text = "import order\ndef early(): return 'e1'\nimport c\ndef text(): return 't1'\nV = early() + text()\n"
    project = make({"b.py": text, "c.py": "V = 'c1'\n"})
    project.hot("b.py")
    project.hot("c.py")
    for old, new in (("e1", "e2"), ("t1", "t2")):
        project.edit("b.py", old, new)
        assert project.update().start == "c.py"


def test_who_asks_for_a_signature_needs_no_body(make: Make) -> None:
    asks = "import b, inspect, asyncio\nV = str(inspect.signature(b.text)) + str(inspect.iscoroutinefunction(b.Shop.later))\n"
    project = make({"b.py": BODY, "c.py": asks, "app.py": TELLS_BODY})
    project.hot("b.py")
    project.edit("b.py", '"one"', '"two"')
    assert project.update().start == AT_THE_END


def test_a_generator_that_was_made_and_not_begun_is_of_the_new_version(make: Make) -> None:
    numbers = "def numbers():\n    yield 1\nNUMBERS = numbers()\n"
    project = make(
        {
            "b.py": BODY + numbers,
            "app.py": FILES["app.py"].replace("c.V]", "c.V, next(b.numbers()), b.NUMBERS.gi_code.co_consts[1:]]"),
        }
    )
    project.hot("b.py")
    project.edit("b.py", "yield 1", "yield 2")
    project.update()
