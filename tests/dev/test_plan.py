"""What a batch of changes leads to."""

from __future__ import annotations

import pytest

from midair.config.schema import Build, Settings, Watch, WatchAction
from midair.dev.plan import plan
from midair.watch.words import Change, Kind


def settings(
    *, build: Build | None = None, actions: tuple[WatchAction, ...] = (), command: tuple[str, ...] = ()
) -> Settings:
    target = {"command": command} if command else {"app": "app:app"}
    return Settings(
        name="shop",
        folder="/srv/shop",
        build=build or Build(),
        watch=Watch(action=actions),
        **target,
    )


def changes(*paths: str, kind: Kind = "write") -> list[Change]:
    return [Change(kind, path) for path in paths]


def test_code_leads_to_an_update_and_each_path_is_told_once_in_its_order() -> None:
    found = plan(changes("b.py", "a.py", "b.py"), settings())
    assert (found.what, found.paths, found.reread) == ("update", ("b.py", "a.py"), False)


@pytest.mark.parametrize("path", ["static/site.css", "img/Logo.PNG", "static/app.js", "fonts/a.woff2"])
def test_what_only_pages_load_restarts_nothing(path: str) -> None:
    assert plan(changes(path), settings()).what == "assets"


def test_an_asset_beside_code_is_part_of_the_update() -> None:
    assert plan(changes("site.css", "app.py"), settings()).what == "update"


def test_where_something_is_built_an_asset_may_be_part_of_it() -> None:
    assert plan(changes("site.css"), settings(build=Build(build=("make",)))).what == "update"


def test_a_script_may_be_what_a_command_is_made_of() -> None:
    assert plan(changes("server.js"), settings(command=("node", "server.js"))).what == "update"
    assert plan(changes("site.css"), settings(command=("node", "server.js"))).what == "assets"


@pytest.mark.parametrize("path", ["midair.toml", "pyproject.toml", ".air.toml", "deploy/dev.toml"])
def test_a_configuration_that_changes_is_read_again(path: str) -> None:
    assert plan(changes(path), settings(), "deploy/dev.toml").reread


def test_a_configuration_that_is_moved_away_is_read_again() -> None:
    assert plan([Change("move", "old.toml", before="midair.toml")], settings()).reread
    assert not plan([Change("move", "b.py", before="a.py")], settings()).reread


def test_permission_bits_alone_change_nothing() -> None:
    assert plan(changes("app.py", kind="chmod"), settings()).what == "nothing"


def test_an_action_may_be_all_that_happens() -> None:
    audit = WatchAction(run=("audit",), on=("chmod",), update=False)
    index = WatchAction(run=("index",), paths=("docs/",), update=False)
    found = plan([*changes("bin/tool", kind="chmod"), *changes("docs/a.md")], settings(actions=(audit, index)))
    assert (found.what, [each.action.run[0] for each in found.due]) == ("nothing", ["audit", "index"])


def test_of_no_action_that_fits_nothing_is_told() -> None:
    assert plan(changes("a.py"), settings(actions=(WatchAction(run=("x",), paths=("*.md",)),))).due == ()
