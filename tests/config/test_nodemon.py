"""nodemon's configuration is read as it is: each key has its counterpart or a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from midair.config.file import NotForProduction
from midair.config.keys import all_keys
from midair.config.layers import Document
from midair.config.load import Loaded, Override, load, sources_for_run
from midair.config.nodemon import NodemonRead, Package, json_lines, read_nodemon
from midair.config.nodemon_keys import NODEMON_KEYS
from midair.config.problems import BadConfig

REAL = """\
{
  "verbose": true,
  "ignore": ["*.test.js", "**/fixtures/**", "dist", "./tmp"],
  "watch": ["src", "lib/**/*.ts", "!src/generated"],
  "ext": "ts, .json",
  "exec": "npm run compile && node dist/server.js",
  "delay": "2500",
  "signal": "SIGTERM",
  "env": {
    "NODE_ENV": "development",
    "PORT": 3000
  },
  "events": {
    "restart": "osascript -e 'display notification'",
    "crash": "say crashed"
  },
  "colours": true,
  "legacyWatch": true
}
"""


def nodemon(text: str, package: Package | None = None) -> NodemonRead:
    document = Document("nodemon.json", json.loads(text), json_lines(text))
    return read_nodemon(document, folder="/srv/shop", package=package)


def settings_of(text: str, package: Package | None = None) -> dict[str, object]:
    read = nodemon(text, package)
    assert read.layer.problems == []
    return {name: setting.value for name, setting in read.layer.settings.items()}


def test_each_key_of_a_real_project_becomes_what_it_is_for() -> None:
    assert settings_of(REAL) == {
        "command": ("/bin/sh", "-c", "npm run compile && node dist/server.js"),
        "listener": "lent",
        "bind": (),
        "watch.paths": ("src", "lib"),
        "watch.extensions": ("ts", "json"),
        "watch.ignore": ("*.test.js", "**/fixtures/**", "dist", "tmp", "**/src/generated"),
        "watch.gitignore": False,
        "watch.poll": "always",
        "watch.delay": 2.5,
        "watch.delay_max": 5.0,
        "exit.signal": "TERM",
        "env.NODE_ENV": "development",
        "env.PORT": "3000",
        "build.post": ("osascript -e 'display notification'",),
        "log.level": "debug",
    }


def test_values_come_from_their_lines_and_what_is_refused_is_said_with_its_own() -> None:
    read = nodemon(REAL)
    assert str(read.layer.settings["command"].origin) == "nodemon.json:6"
    assert str(read.layer.settings["env.PORT"].origin) == "nodemon.json:11"
    assert str(read.layer.settings["watch.gitignore"].origin) == "nodemon.json (nodemon's default)"
    (warning,) = read.layer.warnings
    assert warning.startswith("nodemon.json:15: events.crash has no effect: a crash is started again")


def test_every_counterpart_is_a_key_of_ours_and_every_refusal_has_a_reason() -> None:
    for key in NODEMON_KEYS:
        assert all(name in all_keys() for name in key.becomes.split(", ") if name), key.name
        assert key.reason or key.verdict == "same", key.name
        assert not (key.becomes and key.verdict == "refused"), key.name


@pytest.mark.parametrize(
    ("text", "package", "expected"),
    [
        ('{"script": "app.js", "args": ["-v"]}', Package(), ("node", "app.js", "-v")),
        ('{"script": "app.py"}', Package(), ("python", "app.py")),
        ('{"script": "src/app.ts"}', Package(), ("ts-node", "src/app.ts")),
        ('{"script": "a.ts", "execMap": {"ts": "node --import tsx"}}', Package(), ("node", "--import", "tsx", "a.ts")),
        ('{"script": "a.js", "nodeArgs": ["--inspect"]}', Package(), ("node", "--inspect", "a.js")),
        ('{"exec": "deno run {{filename}} -q", "script": "a.ts"}', Package(), ("deno", "run", "a.ts", "-q")),
        ('{"exec": "node --inspect", "script": "a.js"}', Package(), ("node", "--inspect", "a.js")),
        ("{}", Package({"main": "server.js"}), ("node", "server.js")),
        ("{}", Package({"scripts": {"start": "node ."}}, has_index=True), ("node", "index.js")),
        ("{}", Package({"scripts": {"start": "next dev"}}), ("next", "dev")),
        ("{}", Package({"scripts": {"start": "nodemon"}}), None),
        ("{}", Package(), None),
    ],
)
def test_what_runs_is_found_as_nodemon_finds_it(text: str, package: Package, expected: tuple[str, ...] | None) -> None:
    assert settings_of(text, package).get("command") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", ("js", "mjs", "cjs", "json")),
        ('{"script": "a.py"}', ("py", "json")),
        ('{"script": "a.py", "ext": "*.js,pug .css"}', ("js", "pug", "css")),
    ],
)
def test_endings_follow_the_script_unless_they_are_named(text: str, expected: tuple[str, ...]) -> None:
    assert settings_of(text)["watch.extensions"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"ext": 3}', "ext = 3 is not a string"),
        ('{"watch": 3}', "a string or a list of strings"),
        ('{"env": ["A"]}', "a table of strings"),
        ('{"delay": "soon"}', "such as"),
        ('{"events": {"start": 3}}', "events.start = 3 is not a string"),
    ],
)
def test_what_nodemon_could_not_read_is_told_with_its_line(text: str, expected: str) -> None:
    (problem,) = nodemon(text).layer.problems
    assert problem.where == "nodemon.json:1"
    assert expected in problem.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"wacth": "src"}', "nodemon has no wacth and passes over it; did you mean watch?"),
        ('{"signal": "SIGKILL"}', "signal has no effect"),
        ('{"exitCrash": true}', "exitCrash has no effect: midair dev goes on"),
        ('{"delay": 1000}', ""),
        ('{"stdin": true, "restartable": "rs"}', ""),
    ],
)
def test_what_has_no_effect_is_said(text: str, expected: str) -> None:
    warnings = nodemon(text).layer.warnings
    assert [expected in warning for warning in warnings] == ([True] if expected else [])


def test_a_delay_is_milliseconds_or_a_text_and_nodemons_own_is_not_waited_for() -> None:
    assert settings_of('{"delay": 250}')["watch.delay"] == 0.25
    assert settings_of('{"delay": "3s"}')["watch.delay"] == 3.0
    assert "watch.delay" not in settings_of('{"delay": 1000}')


def test_cwd_is_where_paths_hang_and_the_program_runs() -> None:
    found = settings_of('{"cwd": "api", "watch": ["src"], "script": "a.js"}')
    assert (found["chdir"], found["watch.paths"]) == ("api", ("api/src",))


def test_lines_are_those_of_a_json_document_whatever_stands_in_its_strings() -> None:
    text = '{\n "a": "{\\"x\\": 1}",\n "b": {\n  "c": [\n   {"d": 1}\n  ],\n  "e": 2\n }\n}'
    assert json_lines(text) == {("a",): 2, ("b",): 3, ("b", "c"): 4, ("b", "e"): 7}


# ------------------------------------------------------------------------------------------------ where it is found


@pytest.fixture
def dev(tmp_path: Path) -> Callable[..., Loaded]:
    """What ``midair dev`` makes of a folder with these files."""

    def dev(files: dict[str, str], **overrides: str) -> Loaded:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        typed = {name: Override(value, "TARGET") for name, value in overrides.items()}
        return load(sources_for_run(folder=str(tmp_path), overrides=typed, environ={}, is_dev=True), needs_target=True)

    return dev


def test_midair_dev_reads_it_where_there_is_no_file_of_ours_nor_of_airs(dev: Callable[..., Loaded]) -> None:
    package = '{\n "main": "server.js",\n "nodemonConfig": {\n  "ext": "mjs"\n }\n}'
    loaded = dev({"package.json": package})
    assert loaded.settings.command == ("node", "server.js")
    assert str(loaded.origins["watch.extensions"]) == "package.json:4"
    assert dev({"nodemon.json": '{"script": "other.js"}'}).settings.command == ("node", "other.js")
    assert dev({".air.toml": ""}).settings.command == ("./tmp/main",)
    assert dev({"midair.toml": 'command = "./x"'}).settings.command == ("./x",)


def test_a_package_that_does_not_mention_nodemon_is_no_configuration(dev: Callable[..., Loaded]) -> None:
    with pytest.raises(BadConfig, match="nothing to run"):
        dev({"package.json": '{"main": "server.js"}'})


def test_who_types_what_runs_gets_nothing_of_another_tools_file(dev: Callable[..., Loaded]) -> None:
    loaded = dev({".air.toml": "", "nodemon.json": "{}"}, app="main:app")
    assert (loaded.file, loaded.settings.watch.extensions, loaded.settings.listener) == ("", (), "shared")


def test_json_that_is_none_is_told_with_its_line(dev: Callable[..., Loaded]) -> None:
    with pytest.raises(BadConfig, match=r"nodemon\.json:2: is not JSON"):
        dev({"nodemon.json": '{\n "ext": js\n}'})


def test_midair_run_does_not_read_it(tmp_path: Path) -> None:
    (tmp_path / "nodemon.json").write_text('{"script": "a.js"}')
    assert load(sources_for_run(folder=str(tmp_path), environ={})).file == ""
    with pytest.raises(NotForProduction, match="nodemon"):
        load(sources_for_run(folder=str(tmp_path), config="nodemon.json", environ={}))


def test_an_exec_line_is_what_runs_where_nothing_else_does(tmp_path: Path) -> None:
    def developed(**more: tuple[str, ...]) -> Loaded:
        overrides = {"build.build": Override(("npm run compile", "node a.js"), "--exec")}
        overrides |= {name: Override(value, "--") for name, value in more.items()}
        return load(
            sources_for_run(folder=str(tmp_path), overrides=overrides, environ={}, is_dev=True), needs_target=True
        )

    settings = developed().settings
    assert settings.command == ("/bin/sh", "-c", "npm run compile && node a.js")
    assert (settings.build.build, settings.listener, settings.bind) == ((), "lent", ())
    settings = developed(command=("node", "a.js")).settings
    assert (settings.command, settings.build.build) == (("node", "a.js"), ("npm run compile", "node a.js"))
