"""The units that ``midair systemd`` makes of a configuration."""

from __future__ import annotations

import dataclasses
import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.config.schema import Canary, Hooks, Process, Settings, Signals, Stop
from midair.systemd.timeouts import start_timeout, stop_timeout
from midair.systemd.unit_text import Line, Unit, command_line, difference, escaped_name, said, word
from midair.systemd.units import NoSocketUnit, NoStopSignal, Wanted, template_unit, units
from midair.systemd.verify import findings, verify
from tests.support.installed import needs

SHOP = Settings(name="shop", folder="/srv/shop", app="web:app")
WANTED = Wanted(command=("/srv/shop/.venv/bin/midair",), user="shop")


def _keys(settings: Settings = SHOP, wanted: Wanted = WANTED, unit: int = 0) -> dict[str, list[str]]:
    """The values of each key of one of the units."""
    found: dict[str, list[str]] = {}
    for row in said(units(settings, wanted)[unit].text()):
        key, equals, value = row.partition("=")
        if equals:
            found.setdefault(key, []).append(value)
    return found


def _with(**changes: object) -> Wanted:
    return dataclasses.replace(WANTED, **changes)  # type: ignore[arg-type]  # each its field's


def _shop(**changes: object) -> Settings:
    return Settings(**{"name": "shop", "folder": "/srv/shop", "app": "web:app", **changes})  # type: ignore[arg-type]


# --- times ---------------------------------------------------------------------------------------------------------


def test_systemd_waits_as_long_as_an_update_and_a_stop_may_take() -> None:
    assert str(start_timeout(SHOP)) == "100 s = ready.timeout 60 s + bake.for 10 s + 30 s to spare"
    assert str(stop_timeout(SHOP)) == "40 s = stop.timeout 25 s + exit.timeout 10 s + 5 s to spare"
    settings = _shop(
        hooks=Hooks(before=("./migrate",), timeout_s=120.0),
        canary=Canary(workers=1, for_s=45.0),
        stop=Stop(timeout_s=7.5, delay_s=3.0),
        process=(Process(name="queue", command=("celery",), stop_timeout_s=20.0),),
    )
    assert start_timeout(settings).total_s == 120 + 60 + 45 + 10 + 30
    assert stop_timeout(settings).total_s == 36  # 3 + 7.5 + 20 + 5, rounded up
    keys = _keys(settings)
    assert (keys["TimeoutStartSec"], keys["TimeoutStopSec"]) == (["265s"], ["36s"])
    text = units(settings, WANTED)[0].text()
    assert "hooks.timeout 120 s (hooks.before) + ready.timeout 60 s" in text.replace("\n# ", " ")


# --- what the service unit says ------------------------------------------------------------------------------------


def test_the_unit_says_what_the_rules_of_an_update_ask_for() -> None:
    keys = _keys()
    for key, value in {
        "Type": "notify",
        "ExecStart": "/srv/shop/.venv/bin/midair run",
        "ExecReload": "/srv/shop/.venv/bin/midair reload",
        "WorkingDirectory": "/srv/shop",
        "User": "shop",
        "KillMode": "process",
        "OOMPolicy": "continue",
        "Restart": "on-failure",
        "RestartSec": "1s",
        "StartLimitIntervalSec": "0",
        "RuntimeDirectory": "midair/shop",
        "RuntimeDirectoryPreserve": "restart",
        "StateDirectory": "midair/shop",
        "FileDescriptorStoreMax": "64",
        "NoNewPrivileges": "yes",
        "WantedBy": "multi-user.target",
    }.items():
        assert keys[key] == [value], key
    assert "PIDFile" not in keys
    assert "AmbientCapabilities" not in keys
    assert "KillSignal" not in keys


def test_every_line_is_explained_and_plain_ones_say_the_same() -> None:
    for unit in (*units(SHOP, _with(has_socket=True)), template_unit("/srv", WANTED)):
        lines = [line for _, lines in unit.sections for line in lines]
        assert all(line.why.endswith(".") for line in lines), [line.key for line in lines if not line.why.endswith(".")]
        assert said(unit.text()) == said(unit.text(is_plain=True))
        assert "#" not in unit.text(is_plain=True)


@pytest.mark.parametrize(
    ("settings", "wanted", "expected"),
    [
        (_shop(bind=(":443",)), WANTED, {"AmbientCapabilities": ["CAP_NET_BIND_SERVICE"]}),
        (_shop(bind=(":443",)), _with(user=""), {"AmbientCapabilities": []}),
        (_shop(bind=(":443",)), _with(has_socket=True), {"AmbientCapabilities": []}),
        (_shop(runtime_dir="/srv/shop/run", state_dir="/srv/state"), WANTED, {"RuntimeDirectory": [], "StateDirectory": []}),
        (
            _shop(bind=("unix:/run/web/shop.sock",)),
            WANTED,
            {"RuntimeDirectory": ["midair/shop web"], "Environment": ["MIDAIR_RUNTIME_DIR=/run/midair/shop"]},
        ),
        (_shop(signals=Signals(term="reload")), WANTED, {"KillSignal": ["SIGINT"]}),
        (SHOP, _with(is_link=True), {"ExecReload": ["/srv/shop/.venv/bin/midair reload -C /srv/shop"]}),
        (SHOP, _with(options=("-c", "my midair.toml")), {"ExecReload": ['/srv/shop/.venv/bin/midair reload -c "my midair.toml"']}),
        (SHOP, _with(target=("web:app",)), {"ExecStart": ["/srv/shop/.venv/bin/midair run web:app"]}),
        (SHOP, _with(environment={"A": "100% \"x\""}), {"Environment": ['"A=100%% \\"x\\""']}),
        (SHOP, _with(after=("postgresql.service",)), {"Wants": ["network-online.target", "postgresql.service"]}),
        (SHOP, _with(paths=("/home/ann/bin/python",)), {"ProtectHome": [], "PrivateTmp": ["yes"]}),
        (_shop(bind=("unix:/tmp/x.sock",)), WANTED, {"PrivateTmp": [], "ProtectHome": ["yes"]}),
        (_shop(folder="/usr/share/shop"), WANTED, {"ProtectSystem": []}),
        (SHOP, _with(user="", is_user_unit=True), {"ProtectSystem": [], "StateDirectory": [], "WantedBy": ["default.target"]}),
        (_shop(name="my shop"), WANTED, {"StateDirectory": ['"midair/my shop"']}),
    ],
)  # fmt: skip
def test_what_is_different_is_in_the_unit(settings: Settings, wanted: Wanted, expected: dict[str, list[str]]) -> None:
    keys = _keys(settings, wanted)
    assert {key: keys.get(key, []) for key in expected} == expected


def test_a_service_that_no_signal_stops_gets_no_unit() -> None:
    ignored = dict.fromkeys(("term", "int", "quit", "hup", "usr1", "usr2"), "ignore")
    with pytest.raises(NoStopSignal):
        units(_shop(signals=Signals(**ignored)), WANTED)  # type: ignore[arg-type]  # the word is one of its choices


def test_the_template_leaves_the_service_to_its_instance() -> None:
    keys = dict(row.partition("=")[::2] for row in said(template_unit("/srv/100%", _with(user="%i")).text()))
    assert keys["WorkingDirectory"] == "/srv/100%%/%i"
    assert keys["User"] == "%i"
    assert keys["RuntimeDirectory"] == keys["StateDirectory"] == "midair/%i"


# --- sockets -------------------------------------------------------------------------------------------------------


def test_each_listener_has_a_socket_unit_of_its_own_name() -> None:
    settings = _shop(
        bind=("localhost:80", "[::1]:80", "unix:/run/web/shop.sock"), socket_owner="www-data:web", socket_mode=0o600
    )
    made = units(settings, _with(has_socket=True))
    assert [unit.name for unit in made] == ["shop.service", "shop.socket", "shop-web2.socket", "shop-web3.socket"]
    service, first, second, third = (_keys(settings, _with(has_socket=True), number) for number in range(4))
    assert service["Requires"] == ["shop.socket shop-web2.socket shop-web3.socket"]
    assert (first["ListenStream"], first["FileDescriptorName"]) == (["127.0.0.1:80"], ["web"])
    assert (second["ListenStream"], second["BindIPv6Only"]) == (["[::1]:80"], ["ipv6-only"])
    assert (third["ListenStream"], third["FileDescriptorName"]) == (["/run/web/shop.sock"], ["web3"])
    assert (third["SocketMode"], third["SocketUser"], third["SocketGroup"]) == (["0600"], ["www-data"], ["web"])
    assert service["RuntimeDirectory"] == ["midair/shop"], "its end would take systemd's sockets away"


@pytest.mark.parametrize(
    "settings",
    [
        _shop(bind=("127.0.0.1:0",)),
        _shop(bind=("fd://3",)),
        _shop(bind=()),
        Settings(name="shop", folder="/srv/shop", command=("./shop",), listener="own"),
    ],
)
def test_what_systemd_cannot_open_is_refused(settings: Settings) -> None:
    with pytest.raises(NoSocketUnit):
        units(settings, _with(has_socket=True))


# --- text ----------------------------------------------------------------------------------------------------------


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Cs")), max_size=20))
def test_a_word_stays_one_word(text: str) -> None:
    # systemd takes a word apart much as a shell does; nothing here is special to one and not to the other.
    assert (
        shlex.split(word(text).replace("$", "\\$").replace("`", "\\`")) == [text.replace("%", "%%")]
        or not text.isascii()
    )
    assert "\n" not in word(text)


def test_what_systemd_would_expand_is_written_twice() -> None:
    assert command_line(["/bin/echo", "$HOME", "50%", "a b", ""]) == '/bin/echo $$HOME 50%% "a b" ""'


@given(st.text(max_size=20))
def test_any_name_makes_a_name_of_a_unit(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9:_.\\-]*", escaped_name(name.encode(errors="replace").decode()))


def test_comments_and_spaces_make_no_difference() -> None:
    assert difference("# a\n[Unit]\nA = 1\n\n", "[Unit]\n# b\nA=1\n") == []
    assert difference("[Unit]\nA=1\nB=2\n", "[Unit]\nA=2\nB=2\n") == ["-A=1", "+A=2"]


def test_lines_of_one_reason_are_explained_once() -> None:
    unit = Unit("x.service", "Head.", (("Unit", (Line("A", "1", "Both."), Line("B", "2", "Both."))),))
    assert unit.text() == "# Head.\n\n[Unit]\n# Both.\nA=1\nB=2\n"


def test_only_what_systemd_says_of_our_units_counts() -> None:
    said = (
        "/tmp/u/shop.service:7: Unknown key 'Foo' in section [Service], ignoring.\n"
        "/lib/systemd/system/other-shop.service:3: Unknown key 'Bar' in section [Unit], ignoring.\n"
        "midair@shop.service: Command /x is not executable: No such file or directory\n"
    )
    assert findings(said, ["shop.service"], "/tmp/u", 0) == [
        "shop.service:7: Unknown key 'Foo' in section [Service], ignoring."
    ]
    (found,) = findings(said, ["midair@.service"], "/tmp/u", 1)
    assert found.startswith("midair@shop.service: Command /x")
    assert findings("", ["shop.service"], "/tmp/u", 0) == []
    assert findings("Failed to initialize manager\n", ["shop.service"], "/tmp/u", 1) == ["Failed to initialize manager"]
    assert findings("", ["shop.service"], "/tmp/u", 1) == ["systemd-analyze failed with exit code 1"]


def test_a_key_that_systemd_does_not_know_is_found() -> None:
    needs("systemd-analyze")
    text = units(SHOP, _with(command=("/bin/true",)))[0].text()
    (found,) = verify({"shop.service": text.replace("KillMode=", "KilMode=")})
    assert "Unknown key 'KilMode'" in found
