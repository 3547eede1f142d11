"""Air's configuration is read as it is: each key has its counterpart or a reason, and what Air passes over in silence is said."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from midair.config.air import AirRead, read_air
from midair.config.air_keys import AIR_KEYS, RULES
from midair.config.changes import values
from midair.config.file import NotForProduction
from midair.config.keys import all_keys
from midair.config.layers import Document
from midair.config.lines import key_lines
from midair.config.load import Loaded, Override, load, sources_for_run
from midair.config.problems import BadConfig
from midair.config.schema import Watch
from midair.config.shell_lines import command_of
from midair.watch.actions import match
from midair.watch.ignore import Rules
from midair.watch.words import Change

WRITTEN_BY_AIR_INIT = """\
#:schema https://json.schemastore.org/any.json

env_files = []
root = "."
testdata_dir = "testdata"
tmp_dir = "tmp"

[build]
  args_bin = []
  bin = "./tmp/main"
  cmd = "go build -o ./tmp/main ."
  delay = 1000
  entrypoint = ["./tmp/main"]
  exclude_dir = ["assets", "tmp", "vendor", "testdata"]
  exclude_file = []
  exclude_regex = ["_test.go"]
  exclude_unchanged = false
  follow_symlink = false
  full_bin = ""
  ignore_dangerous_root_dir = false
  include_dir = []
  include_ext = ["go", "tpl", "tmpl", "html"]
  include_file = []
  kill_delay = "0s"
  log = "build-errors.log"
  poll = false
  poll_interval = 0
  post_cmd = []
  pre_cmd = []
  rerun = false
  rerun_delay = 500
  send_interrupt = false
  stop_on_error = false

[build.windows]
  bin = "tmp\\\\main.exe"
  cmd = "go build -o ./tmp/main.exe ."

[color]
  app = ""
  build = "yellow"
  main = "magenta"
  mode = ""
  runner = "green"
  watcher = "cyan"

[log]
  main_only = false
  silent = false
  time = false

[misc]
  clean_on_exit = false

[proxy]
  app_port = 0
  app_start_timeout = 0
  enabled = false
  proxy_port = 0

[screen]
  clear_on_rebuild = false
  keep_scroll = true
"""

WITH_TEMPL_AND_TAILWIND = """\
root = "."
tmp_dir = "tmp"

[build]
pre_cmd = ["templ generate", "npx tailwindcss -i in.css -o static/out.css"]
cmd = "go build -o ./tmp/main ./cmd/server"
full_bin = "APP_ENV=dev PORT=8081 ./tmp/main"
args_bin = ["serve", "--verbose"]
include_ext = ["go", "templ", "html", ".css"]
exclude_dir = ["node_modules", "web/dist"]
exclude_file = ["static/*.css"]
exclude_regex = [".*_templ.go"]
include_file = ["Makefile"]
delay = 200
stop_on_error = true
send_interrupt = true
kill_delay = 500000000
poll = true
poll_interval = 100
rerun = true
log = "air.log"

[misc]
clean_on_exit = true

[proxy]
enabled = true
proxy_port = 8090
app_port = 8081

[screen]
clear_on_rebuild = true
"""

WITH_RULES = """\
[build]
cmd = "make build"
[[build.rules]]
name = "assets"
cmd = "npm run build"
include_dir = ["web"]
include_ext = ["ts", "css"]
delay = 300
[[build.rules]]
cmd = "sqlc generate"
include_file = ["query.sql"]
exclude_regex = ["_old"]
"""


def air(text: str, platform: str = "linux", folder: str = "/srv/shop", home: str = "/home/ada") -> AirRead:
    document = Document(".air.toml", tomllib.loads(text), key_lines(text))
    return read_air(document, folder=folder, home=home, platform=platform)


def settings_of(text: str) -> dict[str, object]:
    read = air(text)
    assert read.layer.problems == []
    return {name: setting.value for name, setting in read.layer.settings.items()}


def problems_of(text: str) -> list[str]:
    return [str(problem) for problem in air(text).layer.problems]


@pytest.fixture
def dev(tmp_path: Path) -> Callable[..., Loaded]:
    """What ``midair dev`` makes of a folder with these files."""

    def dev(config: str = "", environ: dict[str, str] | None = None, **files: str) -> Loaded:
        for name, text in files.items():
            path = tmp_path / {"air": ".air.toml", "inside": ".config/air.toml", "midair": "midair.toml"}[name]
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        typed = {"name": Override("shop", "--name")}
        sources = sources_for_run(folder=str(tmp_path), config=config, overrides=typed, environ=environ or {})
        return load(msgspec.structs.replace(sources, is_dev=True), needs_target=True)

    return dev


def test_what_air_init_writes_is_read_without_a_word() -> None:
    read = air(WRITTEN_BY_AIR_INIT)
    assert read.layer.problems == []
    assert read.layer.warnings == []
    found = {name: setting.value for name, setting in read.layer.settings.items()}
    assert found == {
        "command": ("./tmp/main",),
        "listener": "lent",
        "bind": (),
        "build.build": ("go build -o ./tmp/main .",),
        "build.pre": ("mkdir -p tmp",),
        "watch.paths": (".",),
        "watch.extensions": ("go", "tpl", "tmpl", "html"),
        "watch.ignore": (".*/", "/tmp/", "/testdata/", "/assets/", "/vendor/"),
        "watch.ignore_regex": ("_test.go",),
        "watch.gitignore": False,
        "dev.rerun": False,
    }


def test_every_key_that_air_init_writes_is_on_the_list() -> None:
    written = {".".join(path) for path in key_lines(WRITTEN_BY_AIR_INIT) if path[:2] != ("build", "windows")}
    known = {key.name for key in AIR_KEYS}
    assert written - {"build", "color", "log", "misc", "proxy", "screen"} == known - {"misc.startup_banner"}


def test_an_empty_file_is_all_of_airs_defaults() -> None:
    assert settings_of("") | {"dev.rerun": False, "build.pre": ("mkdir -p tmp",)} == settings_of(WRITTEN_BY_AIR_INIT)


def test_every_counterpart_is_a_key_of_ours_and_every_refusal_has_a_reason() -> None:
    ours = set(all_keys())
    for key in AIR_KEYS:
        assert all(name in ours for name in key.becomes.split(", ") if name), key.name
        assert key.reason or key.verdict == "same", key.name
        assert not (key.becomes and key.verdict == "refused"), key.name
    assert {key.verdict for key in RULES} <= {"same", "better"}


def test_each_key_of_a_real_project_becomes_what_it_is_for() -> None:
    found = settings_of(WITH_TEMPL_AND_TAILWIND)
    assert found["command"] == ("env", "APP_ENV=dev", "PORT=8081", "./tmp/main", "serve", "--verbose")
    assert found["build.pre"] == (
        "mkdir -p tmp",
        "templ generate",
        "npx tailwindcss -i in.css -o static/out.css",
    )
    assert found["build.build"] == ("go build -o ./tmp/main ./cmd/server",)
    assert found["watch.paths"] == (".", "Makefile")
    assert found["watch.extensions"] == ("go", "templ", "html", "css")
    assert found["watch.ignore"] == (".*/", "/tmp/", "/testdata/", "/node_modules/", "/web/dist/", "/static/*.css")
    assert found["watch.ignore_regex"] == (".*_templ.go",)
    assert (found["watch.delay"], found["watch.delay_max"]) == (0.2, 2.0)
    assert (found["watch.poll"], found["watch.poll_interval"]) == ("always", 0.5)
    assert (found["exit.signal"], found["drain.timeout"], found["exit.timeout"]) == ("INT", 0.5, 0.0)
    assert (found["dev.rerun"], found["dev.clear"], found["dev.at_exit"]) == (True, True, ("rm -rf tmp",))


def test_what_is_refused_is_said_once_with_its_reason() -> None:
    warnings = air(WITH_TEMPL_AND_TAILWIND).layer.warnings
    assert [warning.partition(" has ")[0] for warning in warnings] == [
        ".air.toml:21: build.log",
        ".air.toml:27: proxy.enabled",
    ]
    assert "open http://localhost:8081" in warnings[1]


def test_every_key_that_stands_in_the_file_has_a_note_with_its_line() -> None:
    notes = air(WITH_TEMPL_AND_TAILWIND).notes
    assert len(notes) == 24
    told = {note.key: str(note) for note in notes}
    assert told["build.cmd"].startswith(".air.toml:6: build.cmd: is build.build; a newer save stops a build")
    assert told["build.include_ext"] == ".air.toml:9: build.include_ext: is watch.extensions"


def rules_of(text: str) -> tuple[Rules, Watch]:
    """What counts in ``/srv/shop``, and the settings that say so."""
    found = settings_of(text)
    watch = msgspec.convert(
        {name.removeprefix("watch."): value for name, value in found.items() if name.startswith("watch.")}, Watch
    )
    return Rules("/srv/shop", watch), watch


def test_a_rule_is_an_action_whose_line_gets_the_paths_and_which_leads_to_no_build() -> None:
    _, watch = rules_of(WITH_RULES)
    first, second = watch.action
    assert (first.name, first.run, first.update) == ("assets", ("/bin/sh", "-c", "npm run build", "assets"), False)
    assert second.name == "rule-1"
    assert str(air(WITH_RULES).layer.settings["watch.action"].origin) == ".air.toml:3"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("main.go", "build"),
        ("web/main.go", "build"),
        ("web/a.ts", "assets"),
        ("web/deep/a.css", "assets"),
        ("a.ts", "nothing"),
        ("cmd/a.css", "nothing"),
        ("webby/a.ts", "nothing"),
        ("query.sql", "rule-1"),
        ("db/query.sql", "nothing"),
        ("a_test.go", "nothing"),
        ("web/a_test.go.ts", "assets"),
    ],
)
def test_a_file_is_for_the_build_or_for_the_first_rule_or_counts_not_at_all(path: str, expected: str) -> None:
    rules, watch = rules_of(WITH_RULES)
    assert whose(rules, watch, path) == expected


def whose(rules: Rules, watch: Watch, path: str) -> str:
    if rules.ignores_way(f"/srv/shop/{path}", is_folder=False):
        return "nothing"
    matched = match([Change("write", path)], watch)
    names = [due.name for due in matched.due]
    assert len(names) + len(matched.left) == 1, matched
    return names[0] if names else "build"


def test_the_first_rule_takes_a_file_and_its_exceptions_are_the_nexts() -> None:
    text = """
    [build]
    exclude_dir = ["web", "vendor"]
    [[build.rules]]
    name = "one"
    cmd = "one"
    include_ext = ["css"]
    exclude_regex = ["[.]min[.]"]
    [[build.rules]]
    name = "two"
    cmd = "two"
    include_dir = ["web", "css"]
    """
    rules, watch = rules_of(text)
    expected = {
        "a.css": "one",
        "web/a.css": "one",
        "web/a.min.css": "two",
        "web/main.go": "two",
        "css/x": "two",
        "a.min.css": "nothing",
        "vendor/a.css": "nothing",
        "main.go": "build",
        "README": "nothing",
    }
    assert {path: whose(rules, watch, path) for path in expected} == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[build]\ncmd = 3", "build.cmd = 3 is not a string"),
        ("[build]\ncmd = ['a']", "is not a string"),
        ("[build]\ninclude_ext = 'go'", "is not a list of strings"),
        ("[build]\ndelay = '1s'", "a number of milliseconds"),
        ("[build]\nkill_delay = 'soon'", "such as"),
        ("[build]\npoll = 1", "true or false"),
        ("[build]\nexclude_regex = ['(']", "cannot be read"),
        ("[build.linux]\ncmd = 3", "build.linux.cmd = 3"),
        ("root = '/'", "far too much"),
        ("root = '~'", "far too much"),
        ("root = '..'", "type midair dev -C /srv"),
        ("[[build.rules]]\ncmd = 'x'", "needs include_dir"),
        ("[[build.rules]]\ninclude_ext = ['x']", "needs cmd"),
        ("[[build.rules]]\ncmd = 3", "is not a string"),
        ("[[build.rules]]\ncmd = 'x'\ninclude_ext = ['x']\nexclude_regex = ['(']", "cannot be read"),
        ("[build]\nrules = 3", "[[build.rules]]"),
    ],
)
def test_what_air_could_not_read_is_told_with_its_line(text: str, expected: str) -> None:
    (problem,) = problems_of(text)
    assert problem.startswith(".air.toml:"), problem
    assert expected in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[build]\ndealy = 3", "Air has no build.dealy and passes over it; did you mean delay?"),
        ("[bild]\ncmd = 'x'", "Air has no [bild] and passes over it; did you mean build?"),
        ("[build]\ndelay = 0", "build.delay = 0: Air passes over it, so it is 1000"),
        ('[build]\ncmd = ""', 'Air passes over it, so it is "go build -o ./tmp/main ."'),
        ("[screen]\nkeep_scroll = false", "screen.keep_scroll = false: Air passes over it, so it is true"),
        ("[build.linux]\ndelay = 3", "Air has no build.linux.delay"),
        ("[[build.rules]]\ncmd = 'x'\ninclude_ext = ['x']\nafter = 1", "Air has no build.rules.after"),
        ("[color]\nmain = 'red'", "color.main has no effect: colours are fixed"),
        ("[misc]\nclean_on_exit = true\n", ""),
        ("tmp_dir = '.'\n[misc]\nclean_on_exit = true", "is not a folder of the project and stays"),
        ("tmp_dir = '/var/x'\n[misc]\nclean_on_exit = true", "is not a folder of the project and stays"),
    ],
)
def test_what_air_passes_over_in_silence_is_said(text: str, expected: str) -> None:
    read = air(text)
    assert read.layer.problems == []
    assert [expected in warning for warning in read.layer.warnings] == ([True] if expected else [])


def test_an_empty_list_replaces_the_default_as_in_air() -> None:
    found = settings_of("[build]\nexclude_dir = []\nexclude_regex = []\n")
    assert (found["watch.ignore"], found["watch.ignore_regex"]) == ((".*/", "/tmp/", "/testdata/"), ())


def test_another_tmp_dir_moves_the_defaults_but_nothing_that_was_written() -> None:
    found = settings_of("tmp_dir = 'out'")
    assert found["build.build"] == ("go build -o ./out/main .",)
    assert found["command"] == ("./out/main",)
    assert found["watch.ignore"] == (".*/", "/out/", "/testdata/", "/assets/", "/vendor/")
    assert settings_of("tmp_dir = 'out'\n[build]\nbin = 'bin/x'")["command"] == ("./bin/x",)


def test_what_is_built_outside_of_tmp_dir_is_not_watched_either() -> None:
    assert "/server" in settings_of("[build]\nbin = './server'")["watch.ignore"]  # type: ignore[operator]


def test_paths_hang_on_root_and_commands_run_where_midair_was_typed() -> None:
    text = "root = 'api'\nenv_files = ['.env']\n[build]\ninclude_dir = ['cmd']\nentrypoint = ['./tmp/main', '-v']\n"
    found = settings_of(text)
    assert found["watch.paths"] == ("api/cmd",)
    assert found["env_files"] == ("-api/.env",)
    assert found["command"] == ("./api/tmp/main", "-v")
    assert "/api/tmp/" in found["watch.ignore"]  # type: ignore[operator]
    assert "chdir" not in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[build]\nbin = 'tmp/main'", ("./tmp/main",)),
        ("[build]\nbin = 'main'", ("./main",)),
        ("[build]\nentrypoint = ['go', 'run', '.']", ("go", "run", ".")),
        ("[build]\nfull_bin = 'sleep 1; ./tmp/main'", ("/bin/sh", "-c", "sleep 1; ./tmp/main")),
        ("[build]\nargs_bin = ['--port 80', '$HOME']", ("/bin/sh", "-c", "./tmp/main --port 80 $HOME")),
        ("[build]\nargs_bin = ['--port 80']", ("./tmp/main", "--port", "80")),
        ("[build.linux]\nbin = './tmp/l'\n[build.darwin]\nbin = './tmp/d'", ("./tmp/l",)),
        ("[build]\nbin = './tmp/x'\n[build.linux]\nbin = ''", ("./tmp/x",)),
    ],
)
def test_the_program_is_the_line_that_air_gives_to_a_shell(text: str, expected: tuple[str, ...]) -> None:
    assert settings_of(text)["command"] == expected


def test_a_line_that_only_a_shell_can_read_goes_to_one() -> None:
    assert command_of("./a 'b c'") == ("./a", "b c")
    assert command_of("A=1 B='2 3' ./a") == ("env", "A=1", "B=2 3", "./a")
    for line in ("./a | tee x", "a && b", "echo $HOME", "./a > log", "~/bin/a", "a 'b", "ls *.go"):
        assert command_of(line) == ("/bin/sh", "-c", line)


@pytest.mark.parametrize(
    ("delay", "expected_s"), [("500", 0.5), ("999999", 999.999), ("500000000", 0.5), ("'2s'", 2), ("'1m'", 60)]
)
def test_a_kill_delay_is_milliseconds_nanoseconds_or_a_text(delay: str, expected_s: float) -> None:
    assert settings_of(f"[build]\nsend_interrupt = true\nkill_delay = {delay}")["drain.timeout"] == expected_s
    assert "drain.timeout" not in settings_of(f"[build]\nkill_delay = {delay}")


# ------------------------------------------------------------------------------------------------ where it is found


def test_midair_dev_reads_it_where_there_is_no_file_of_ours(dev: Callable[..., Loaded]) -> None:
    loaded = dev(air=WRITTEN_BY_AIR_INIT)
    assert (os.path.basename(loaded.file), loaded.settings.command) == (".air.toml", ("./tmp/main",))
    assert str(loaded.origins["build.build"]) == ".air.toml:11"
    shown = {value.key: value.origin for value in values(loaded.settings, loaded.origins)}
    assert shown["watch.gitignore"] == ".air.toml (Air's default)"


def test_air_prefers_the_file_in_the_folder_and_ours_beats_both(dev: Callable[..., Loaded]) -> None:
    assert dev(inside="[build]\ncmd = 'make inside'").settings.build.build == ("make inside",)
    assert dev(air="[build]\ncmd = 'make air'").settings.build.build == ("make air",)
    assert dev(midair="command = './x'").settings.command == ("./x",)


def test_it_can_be_named_and_the_environment_and_flags_beat_it(dev: Callable[..., Loaded], tmp_path: Path) -> None:
    (tmp_path / ".air.prod.toml").write_text("[build]\ncmd = 'make prod'\nbin = './p'")
    loaded = dev(".air.prod.toml", {"MIDAIR_WATCH_DELAY": "3s", "PORT": "3000"}, midair="command = './x'")
    assert (loaded.settings.command, loaded.settings.watch.delay_s) == (("./p",), 3.0)
    assert (loaded.settings.bind, loaded.warnings) == ((), ())


def test_its_mistakes_are_told_with_those_of_other_layers(dev: Callable[..., Loaded]) -> None:
    with pytest.raises(BadConfig) as refused:
        dev(air="[build]\ncmd = 3", environ={"MIDAIR_WORKERS": "x"})
    assert [problem.where for problem in refused.value.problems] == [".air.toml:2", "$MIDAIR_WORKERS"]


def test_midair_run_does_not_read_it(tmp_path: Path) -> None:
    (tmp_path / ".air.toml").write_text(WRITTEN_BY_AIR_INIT)
    assert load(sources_for_run(folder=str(tmp_path), environ={})).file == ""
    with pytest.raises(NotForProduction, match=r"\.air\.toml is Air's"):
        load(sources_for_run(folder=str(tmp_path), config=".air.toml", environ={}))


def test_named_it_does_not_say_where_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sources_for_run(config="deploy/.air.toml", environ={}).folder == str(tmp_path)
