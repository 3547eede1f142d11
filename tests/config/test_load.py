"""A configuration is put together from five layers, every value knows its origin, and every mistake is told at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from midair.config.changes import shown_value
from midair.config.client import load_client
from midair.config.file import Unreadable
from midair.config.load import Loaded, Override, load, sources_for_run
from midair.config.problems import BadConfig
from midair.worker.settings import Served, ServeSettings

Load = Callable[..., Loaded]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "shop"
    made.mkdir()
    return made


@pytest.fixture
def read(folder: Path) -> Load:
    """Load midair.toml with the given text, variables and flags."""

    def read(
        text: str = "", *, environ: dict[str, str] | None = None, **flags: str | int | bool | tuple[str, ...]
    ) -> Loaded:
        (folder / "midair.toml").write_text(text)
        overrides = {key.replace("__", "."): Override(value, f"--{key}") for key, value in flags.items()}
        return load(sources_for_run(folder=str(folder), overrides=overrides, environ=environ or {}))

    return read


def problems(read: Load, text: str, **rest: object) -> list[str]:
    with pytest.raises(BadConfig) as refused:
        read(text, **rest)
    return [str(problem) for problem in refused.value.problems]


def test_in_release_folders_the_service_is_called_as_the_folder_above(tmp_path: Path) -> None:
    release = tmp_path / "shop" / "releases" / "20261126"
    release.mkdir(parents=True)
    (tmp_path / "shop" / "current").symlink_to("releases/20261126")
    (tmp_path / "current").mkdir()
    for folder, name in (("shop/current", "shop"), ("shop/releases/20261126", "shop"), ("current", "current")):
        assert load(sources_for_run(folder=str(tmp_path / folder), environ={})).settings.name == name


def test_without_any_layer_the_defaults_of_the_schema_hold(read: Load, folder: Path) -> None:
    loaded = read()
    assert loaded.settings.name == "shop"
    assert loaded.settings.folder == str(folder)
    assert loaded.settings.serve == ServeSettings()
    assert {origin.kind for origin in loaded.origins.values()} == {"default"}


def test_a_program_counts_over_the_file_and_under_the_environment_and_the_flags(folder: Path) -> None:
    (folder / "midair.toml").write_text('main = "main.py"\nworkers = 1\n[drain]\ntimeout = "1m"\n')
    values: dict[str, str | int | bool | tuple[str, ...]] = {
        "workers": 2,
        "drain.timeout": "2m",
        "bind": ("127.0.0.1:1",),
        "bake.for": "1s",
        "of.another.midair": 1,
    }
    sources = sources_for_run(
        folder=str(folder),
        overrides={"bake": Override("3s", "--bake")},
        environ={"MIDAIR_DRAIN_TIMEOUT": "3m", "PORT": "3"},
    )
    served = Served(where="main.py:9, midair.serve()", values=values)
    loaded = load(msgspec.structs.replace(sources, served=served), needs_target=True)
    settings, origins = loaded.settings, loaded.origins
    assert (settings.workers, str(origins["workers"])) == (2, "main.py:9, midair.serve()")
    assert (settings.drain.timeout_s, str(origins["drain.timeout"])) == (180, "$MIDAIR_DRAIN_TIMEOUT")
    assert settings.bind == ("127.0.0.1:3",)
    assert (settings.bake.for_s, str(origins["bake.for"])) == (3, "--bake")


def test_one_thing_runs_and_only_a_main_file_has_arguments(read: Load) -> None:
    assert "exclude each other" in problems(read, 'app = "a:b"\nmain = "main.py"')[0]
    assert "there is none" in problems(read, 'app = "a:b"\narguments = ["-v"]')[0]
    assert "midair.serve(make_app, factory=True)" in problems(read, 'main = "main.py"\nfactory = true')[0]
    typed = read('main = "main.py"\narguments = ["-v"]', app="a:b").settings
    assert (typed.app, typed.main, typed.arguments) == ("a:b", "", ())


def test_units_are_part_of_values_and_not_of_keys(read: Load) -> None:
    settings = read(
        """
        socket_mode = "0600"
        bind = "unix:web.sock"
        env_files = [".env"]
        command = "./server --name 'two words'"
        [serve]
        body_max = "10MB"
        timeout_keep_alive = "1m15s"
        [drain]
        rate = "10%"
        timeout = "2h"
        idle_grace = "1500ms"
        [bake]
        for = "0s"
        error_rate = "off"
        [hooks]
        before = ["./migrate", "--yes"]
        [[process]]
        name = "beat"
        command = "celery beat"
        stop_timeout = "5m"
        """
    ).settings
    assert (settings.socket_mode, settings.bind, settings.env_files) == (0o600, ("unix:web.sock",), (".env",))
    assert settings.command == ("./server", "--name", "two words")
    assert (settings.serve.body_max_bytes, settings.serve.timeout_keep_alive_s) == (10_000_000, 75.0)
    assert (settings.drain.rate_per_s, settings.drain.timeout_s) == (0.1, 7200.0)
    assert settings.serve.drain_idle_grace_s == settings.drain.idle_grace_s == 1.5
    assert (settings.bake.for_s, settings.bake.error_rate) == (0.0, 0.0)
    assert settings.hooks.before == ("./migrate", "--yes")
    assert [(process.command, process.stop_timeout_s) for process in settings.process] == [(("celery", "beat"), 300.0)]


def test_each_layer_beats_the_one_before_and_says_so(read: Load) -> None:
    text = 'workers = 2\n\n[drain]\ntimeout = "1s"\nrate = "1%"\n'
    environ = {"WEB_CONCURRENCY": "3", "MIDAIR_DRAIN_TIMEOUT": "2s", "MIDAIR_DRAIN_RATE": ""}
    loaded = read(text, environ=environ, drain__timeout="3s")
    assert (loaded.settings.workers, str(loaded.origins["workers"])) == (3, "$WEB_CONCURRENCY")
    assert (loaded.settings.drain.timeout_s, str(loaded.origins["drain.timeout"])) == (3.0, "--drain__timeout")
    assert (loaded.settings.drain.rate_per_s, str(loaded.origins["drain.rate"])) == (0.01, "midair.toml:5")


def test_the_variable_of_a_key_beats_the_variable_that_others_share(read: Load) -> None:
    assert read(environ={"WEB_CONCURRENCY": "3", "MIDAIR_WORKERS": "4"}).settings.workers == 4
    assert read(environ={"PORT": "1", "MIDAIR_BIND": "127.0.0.1:2, [::1]:2"}).settings.bind == (
        "127.0.0.1:2",
        "[::1]:2",
    )


@pytest.mark.parametrize(
    ("bind", "expected"),
    [
        ('"0.0.0.0:80"', ("0.0.0.0:3000",)),
        ('["unix:x", "[::1]:80", "127.0.0.1:80"]', ("unix:x", "[::1]:3000", "127.0.0.1:80")),
    ],
)
def test_port_replaces_the_port_of_the_first_address_that_has_one(
    read: Load, bind: str, expected: tuple[str, ...]
) -> None:
    assert read(f"bind = {bind}", environ={"PORT": "3000"}).settings.bind == expected


def test_port_without_an_address_that_has_one_is_a_warning(read: Load) -> None:
    loaded = read('bind = "unix:x"', environ={"PORT": "3000"})
    assert loaded.settings.bind == ("unix:x",)
    assert "PORT" in loaded.warnings[0]


def test_a_misspelt_variable_is_a_warning_with_a_suggestion(read: Load) -> None:
    (warning,) = read(environ={"MIDAIR_WROKERS": "3", "MIDAIR_VERSION": "1", "OTHER": "x"}).warnings
    assert "MIDAIR_WORKERS" in warning


def test_all_problems_are_told_at_once_with_their_lines(read: Load) -> None:
    found = problems(
        read,
        'wrokers = 3\nworkers = "x"\n[drain]\ntimeout = 30\nidle = "1s"\n[drian]\nx = 1\n',
        environ={"PORT": "http"},
        bake="soon",
    )
    assert found == [
        "midair.toml:1: there is no key wrokers (did you mean workers?)",
        'midair.toml:2: workers = "x" is not a whole number, or "auto"',
        'midair.toml:4: drain.timeout = 30 is not a duration such as "30s", "500ms", "5m" or "2h" (write "30s" or "30ms")',
        "midair.toml:5: there is no key drain.idle (did you mean drain.idle_grace?)",
        "midair.toml:6: there is no table [drian] (did you mean drain?)",
        '$PORT: PORT = "http" is not a port (a number from 0 to 65535)',
        '--bake: bake.for = "soon" is not a duration such as "30s", "500ms", "5m" or "2h"',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("workers = true", "a whole number"),
        ("workers = -1", "from 0"),
        ("workers = 0", "no meaning"),
        ("factory = 1", "true or false"),
        ("socket_mode = 660", "in quotes"),
        ('socket_mode = "0999"', "permission bits"),
        ('zygote = "maybe"', '"auto", "always", "never"'),
        ("bind = [1]", "a list of strings"),
        ("bind = []", "bind is empty"),
        ('bind = ["a:1", "a:1"]', "twice"),
        ('command = "./x \'y"', "cannot be split"),
        ("name = 1", 'write "1"'),
        ('name = "../x"', "cannot be a file's name"),
        ('name = ".x"', "begins with"),
        ('name = "a\\nb"', "cannot be a file's name"),
        ('app = "main.py"', 'write "main:app"'),
        ('app = "main:"', "module:attribute"),
        ('app = "m:a"\ncommand = "x"', "exclude each other"),
        ('health = "healthz"', "is not a path"),
        ('app = "m:a"\n[health]\nprobe = "notify"', "for commands"),
        ('command = "x"\nbind = ":80"\n[health]\nprobe = "http://127.0.0.1:80/"', "where the old version answers"),
        ('command = "x"\n[health]\nprobe = "ftp:x"', "is not a probe"),
        ('command = "x"\n[rollback]\nkeep = "workers"', "a command cannot be kept aside"),
        ('[drain]\nrate = "0%"', "no meaning"),
        ('[drain]\nrate = "101%"', "more than 100%"),
        ('[bake]\nerror_rate = "200%"', "more than 100%"),
        ("drain = 3", "write [drain]"),
        ("workers = 2\n[canary]\nworkers = 2", "leaves nobody"),
        ('[worker]\nhang_warn = "1h"', "longer than"),
        ('command = "x"\n[tls]\ncertfile = "x"', "TLS is for applications"),
        ('[tls]\ncertfile = "x"\n[serve]\nproxy_protocol = true', "before the handshake"),
        ('[tls]\nkeyfile = "x"', "without tls.certfile"),
        ('[tls]\ncertfile = "x"\ncert_reqs = "required"', "nobody is named"),
        ('[tls]\ncertfile = "x"\nca_certs = "x"', "no client is asked"),
        ('[tls]\ncertfile = "x"\nplain = ":81"', "not in bind"),
        ('[tls]\ncertfile = "x"\nmin_version = "1.1"', '"1.2", "1.3"'),
        ('[tls]\ncertfile = "x"\nhandshake_timeout = 0', "no meaning"),
        ("env = 3", "write [env]"),
        ("[env]\nX = 3", "not a string"),
        ('[[process]]\nname = "x"', "needs command"),
        ('[[process]]\nname = "x"\ncommand = "y"\nmode = "z"', "no key process.mode"),
        ('[[process]]\nname="x"\ncommand="y"\n[[process]]\nname="x"\ncommand="y"', "two tables [[process]]"),
        ('[[watch.action]]\non = ["create"]', "[[watch.action]] needs run"),
        ('[[watch.action]]\nrun = ""', "[[watch.action]] needs run"),
        ('[[watch.action]]\nrun = "x"\non = ["delete"]', '"create", "write", "remove", "move", "chmod"'),
        ('[[watch.action]]\nrun = "x"\non = []', "no change"),
        ('[[watch.action]]\nrun = "x"\npath = "y"', "did you mean watch.action.paths?"),
        ('[[watch.action]]\nrun = "x \'"', "cannot be split"),
        ("[watch]\nignore_regex = '['", "no regular expression"),
        ("[watch]\naction = 3", "[[watch.action]]"),
        ("[watch.action]\nrun = 3", "[[watch.action]]"),
        ("process = 3", "array of tables"),
        ("timeout_keep_alive = 3", "did you mean serve.timeout_keep_alive?"),
        ('[bake]\nfor_s = "3s"', "did you mean bake.for?"),
        ("x = \n", "midair.toml:1: is not TOML"),
    ],
)
def test_a_mistake_is_told_with_what_is_expected(read: Load, text: str, expected: str) -> None:
    found = problems(read, text)
    assert len(found) == 1, found
    assert expected in found[0]
    assert "midair.toml" in found[0]


def test_a_value_that_could_not_be_read_causes_no_second_complaint(read: Load) -> None:
    assert len(problems(read, 'workers = "4"\n[canary]\nworkers = 2')) == 1


def test_a_secret_of_the_wrong_type_is_not_shown(read: Load) -> None:
    assert "42" not in str(problems(read, "[env]\nTOKEN = 42424242"))
    assert "42" not in str(problems(read, '[tls]\ncertfile = "x"\nkeyfile_password = 42424242'))


def test_a_target_is_needed_to_run(folder: Path) -> None:
    with pytest.raises(BadConfig, match="nothing to run"):
        sources_for_run(folder=str(folder), environ={}).load()


def test_an_application_typed_replaces_the_command_of_the_file_and_the_other_way(read: Load) -> None:
    settings = read('command = "./server"', app="main:app").settings
    assert (settings.app, settings.command) == ("main:app", ())
    settings = read('app = "main:app"', command=("./server",)).settings
    assert (settings.app, settings.command) == ("", ("./server",))


def test_midair_toml_beats_pyproject_and_says_so(read: Load, folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.midair]\nworkers = 7\n")
    loaded = read("workers = 2")
    assert loaded.settings.workers == 2
    assert "pyproject.toml" in loaded.warnings[0]


def test_the_table_in_pyproject_is_read_with_its_lines(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.midair]\nworkers = 7\n[tool.midair.drain]\nrate="2%"\n'
    )
    loaded = load(sources_for_run(folder=str(folder), environ={}))
    assert (loaded.settings.workers, str(loaded.origins["workers"])) == (7, "pyproject.toml:4")
    assert (loaded.settings.drain.rate_per_s, str(loaded.origins["drain.rate"])) == (0.02, "pyproject.toml:6")
    assert loaded.settings.name == "shop"


def test_a_pyproject_without_our_table_is_no_configuration(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[project]\nname = "midair-user"\n')
    assert load(sources_for_run(folder=str(folder), environ={})).file == ""


def test_a_named_file_gives_the_folder_unless_one_is_typed(folder: Path, tmp_path: Path) -> None:
    (folder / "other.toml").write_text("workers = 5")
    loaded = load(sources_for_run(config=str(folder / "other.toml"), environ={}))
    assert (loaded.settings.folder, loaded.settings.workers) == (str(folder), 5)
    loaded = load(sources_for_run(folder=str(tmp_path), config="shop/other.toml", environ={}))
    assert (loaded.settings.folder, loaded.settings.workers) == (str(tmp_path), 5)


def test_what_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(Unreadable, match=r"no file other\.toml"):
        load(sources_for_run(folder=str(folder), config="other.toml", environ={}))
    with pytest.raises(Unreadable, match="no folder"):
        load(sources_for_run(folder=str(folder / "x"), environ={}))


def test_a_file_that_is_not_utf8_is_said(folder: Path) -> None:
    (folder / "midair.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(BadConfig, match="UTF-8"):
        load(sources_for_run(folder=str(folder), environ={}))


def test_the_folder_is_as_typed_with_its_links(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "current"
    link.symlink_to(folder)
    monkeypatch.chdir(link)
    assert sources_for_run(environ={"PWD": str(link)}).folder == str(link)
    assert sources_for_run(environ={"PWD": "/elsewhere"}).folder == str(folder)
    monkeypatch.chdir(tmp_path)
    assert sources_for_run(folder="current/", environ={"PWD": str(tmp_path)}).folder == str(link)


def test_sources_load_the_same_again_after_they_crossed_a_process(read: Load, folder: Path) -> None:
    read("workers = 2")
    environ = {"PORT": "3000", "SECRET": "x", "PWD": str(folder), "XDG_STATE_HOME": "/state"}
    sources = sources_for_run(
        folder=str(folder), overrides={"app": Override("m:a", "TARGET"), "workers": Override(3, "-w")}, environ=environ
    )
    assert "SECRET" not in sources.environment
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(sources), type=type(sources))
    assert again == sources
    assert again.load() == sources.load()
    assert again.load().settings.workers == 3
    assert again.describing(again.load()).origins["app"].where == "TARGET"


def test_a_client_finds_the_name_in_a_file_that_is_broken(folder: Path) -> None:
    (folder / "midair.toml").write_text('name = "till"  # ours\nruntime_dir = "run"\nworkers = = 3\n[x]\nname = "no"\n')
    address = load_client(folder=str(folder), environ={})
    assert (address.name, address.runtime_dirs[0]) == ("till", str(folder / "run"))


def test_a_client_takes_the_name_typed_then_the_variable_then_the_folder(folder: Path) -> None:
    where = str(folder)
    assert load_client(folder=where, name="typed", environ={"MIDAIR_NAME": "variable"}).name == "typed"
    assert load_client(folder=where, environ={"MIDAIR_NAME": "variable"}).name == "variable"
    assert load_client(folder=where, environ={}).name == "shop"


def test_a_client_finds_who_develops_the_service_where_it_does_not_run_itself(folder: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(folder)}
    developed = load(sources_for_run(folder=str(folder), environ=environ, is_dev=True)).settings
    address = load_client(folder=str(folder), environ=environ)
    (folder / "midair").mkdir()
    assert developed.runtime_dir == address.runtime_dirs[-1] != address.runtime_dirs[0]
    typed = load_client(folder=str(folder), name="shop", environ=environ)
    assert developed.runtime_dir not in typed.runtime_dirs


def test_client_and_service_agree_on_the_place(folder: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(folder)}
    (folder / "midair").mkdir()
    assert load(sources_for_run(folder=str(folder), environ=environ)).settings.runtime_dir in (
        load_client(folder=str(folder), environ=environ).runtime_dirs
    )


# --------------------------------------------------------------------------------------------------- behind a proxy


def test_forwarded_allow_ips_is_taken_from_uvicorns_variable_and_gives_way_to_our_own(read: Load) -> None:
    loaded = read(environ={"FORWARDED_ALLOW_IPS": "10.0.0.0/8, ::1"})
    assert loaded.settings.serve.forwarded_allow_ips == ("10.0.0.0/8", "::1")
    assert str(loaded.origins["serve.forwarded_allow_ips"]) == "$FORWARDED_ALLOW_IPS"
    both = {"FORWARDED_ALLOW_IPS": "10.0.0.0/8", "MIDAIR_SERVE_FORWARDED_ALLOW_IPS": "*"}
    assert read(environ=both).settings.serve.forwarded_allow_ips == ("*",)


@pytest.mark.parametrize(
    ("proxies", "hint"),
    [
        ("10.0.0.1/8", 'write "10.0.0.0/8"'),
        ("proxy.example", "names are not looked up"),
        ("/run/web.sock", "Unix socket"),
        ("unix:/run/web.sock", "Unix socket"),
    ],
)
def test_a_proxy_that_is_no_address_is_an_error_with_a_hint(read: Load, proxies: str, hint: str) -> None:
    (problem,) = problems(read, "", environ={"FORWARDED_ALLOW_IPS": proxies})
    assert problem.startswith("$FORWARDED_ALLOW_IPS: ")
    assert hint in problem


@pytest.mark.parametrize(
    "line", ["X", "X Y: 1", ": 1", "X: a\r\nY: b", "X: ☃", "Content-Length: 5", "connection:close"]
)
def test_a_default_header_that_cannot_be_one_is_an_error(read: Load, line: str) -> None:
    (problem,) = problems(read, "", serve__headers=(line,))
    assert problem.startswith("--serve__headers: serve.headers has ")


def test_an_action_of_the_watcher_is_read_and_shown(read: Load) -> None:
    loaded = read(
        """\
        [watch]
        delay = "50ms"
        [[watch.action]]
        on = ["create", "chmod"]
        paths = "/incoming/"
        run = "./handle --now"
        update = false
        [[watch.action]]
        name = "sync"
        run = ["tools/sync", "two words"]
        """
    )
    first, second = loaded.settings.watch.action
    assert (first.on, first.paths, first.run, first.update) == (
        ("create", "chmod"),
        ("/incoming/",),
        ("./handle", "--now"),
        False,
    )
    assert (second.on, second.run) == (("create", "write", "remove", "move"), ("tools/sync", "two words"))
    assert str(loaded.origins["watch.action"]) == "midair.toml:3"
    assert shown_value(loaded.settings, "watch.action") == "./handle --now, sync"


def test_a_command_that_is_developed_is_lent_its_socket_unless_the_file_says_otherwise(folder: Path) -> None:
    def developed(text: str) -> str:
        (folder / "midair.toml").write_text(text)
        return load(sources_for_run(folder=str(folder), environ={}, is_dev=True)).settings.listener

    assert developed('command = "./server"') == "lent"
    assert developed('command = "./server"\nlistener = "own"') == "own"
    assert developed('app = "main:app"') == "shared"
