"""The environment of a generation."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midair.errors import Fault
from midair.release.env_file import BadEnvFile, parse_env_file
from midair.release.environment import EnvironmentUnreadable, build_environment, of_generation
from tests.release.conftest import AMBIENT, MakeSettings, write


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\nB=2", {"A": "1", "B": "2"}),
        ("\ufeff# first\n\n  A = 1 \r\nexport B=2\r\n", None),
        ("A=1 # not this\nB=a#b\nC=#nothing\nD= # nothing", {"A": "1", "B": "a#b", "C": "", "D": ""}),
        ("A=''\nB=\nC=\"\"", {"A": "", "B": "", "C": ""}),
        ("A='$HOME \\n # \"x\"' # said", {"A": '$HOME \\n # "x"'}),
        (r'A="a\nb\t\"c\" \\ \$HOME $HOME"', {"A": 'a\nb\t"c" \\ $HOME $HOME'}),
        ('KEY="-----BEGIN\nabc\n-----END"\nB=1', {"KEY": "-----BEGIN\nabc\n-----END", "B": "1"}),
        ("A=$HOME/${X}\nA=`date`", {"A": "`date`"}),
        ("A=a b  c", {"A": "a b  c"}),
        ("# only\n   # comments", {}),
        ("", {}),
    ],
)
def test_an_env_file_is_read_without_expansion(text: str, expected: dict[str, str] | None) -> None:
    if expected is None:  # with the mark of a UTF-8 file, which reading takes off
        assert parse_env_file(text.removeprefix("\ufeff")) == {"A": "1", "B": "2"}
    else:
        assert parse_env_file(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("A=1\nnonsense\n", "line 2 is not KEY=VALUE"),
        ("A=1\n\n# x\n1A=s3cret", "line 4 is not KEY=VALUE"),
        ("A='s3cret", "line 1: the quote of A is never closed"),
        ('X=1\nA="s3cret\nB=1', "line 2: the quote of A is never closed"),
        ("A='s3cret' more", "line 1: something follows the closing quote of A"),
    ],
)
def test_a_bad_line_is_named_by_its_number_and_never_shows_a_value(text: str, says: str) -> None:
    with pytest.raises(BadEnvFile) as caught:
        parse_env_file(text)
    assert says in str(caught.value)
    assert "s3cret" not in str(caught.value)


@given(st.dictionaries(st.from_regex(r"\A[A-Z_][A-Z0-9_]{0,8}\Z"), st.text(st.characters(codec="utf-8"), max_size=30)))
def test_any_value_can_be_written_in_double_quotes(values: dict[str, str]) -> None:
    values = {key: value.replace("\r\n", "\n") for key, value in values.items()}

    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    text = "\n".join(f"export {key} = {quoted(value)} # {key}" for key, value in values.items())
    assert parse_env_file(text) == values


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        values = parse_env_file(text)
    except BadEnvFile:
        return
    assert all(values)


def test_layers_hold_from_the_outside_in_and_what_is_hidden_is_named(
    make_settings: MakeSettings, project: Path
) -> None:
    write(project / "one.env", "FROM=one\nONE=1\nTABLE=one\nOUTER=one\n")
    write(project / "two.env", "FROM=two\nSAME=same\n")
    settings = make_settings(env_files=("one.env", "two.env"), env={"TABLE": "table", "PATH": "/nothing"})
    ambient = AMBIENT | {"OUTER": "outer", "SAME": "same"}
    environment = build_environment(settings, ambient)
    assert environment.variables == ambient | {"FROM": "two", "ONE": "1", "TABLE": "table"}
    assert environment.shadowed == ("OUTER", "PATH")


def test_files_are_read_anew_and_a_vanished_key_is_gone(make_settings: MakeSettings, project: Path) -> None:
    settings = make_settings(env_files=("one.env",))
    write(project / "one.env", "A=1\nB=1\n")
    assert {"A", "B"} <= build_environment(settings, AMBIENT).variables.keys()
    write(project / "one.env", "A=2\n")
    assert build_environment(settings, AMBIENT).variables == AMBIENT | {"A": "2"}


def test_a_secret_is_read_from_its_file_and_only_its_name_is_listed(make_settings: MakeSettings, project: Path) -> None:
    write(project / "password", "s3cret \n")
    environment = build_environment(make_settings(env={"PASSWORD": "file:password"}), AMBIENT)
    assert environment.variables["PASSWORD"] == "s3cret "
    assert environment.secrets == ("PASSWORD",)


def test_words_between_systemd_and_the_supervisor_go_no_further(make_settings: MakeSettings) -> None:
    ours = {"NOTIFY_SOCKET": "@x", "LISTEN_FDS": "1", "LISTEN_PID": "1", "WATCHDOG_USEC": "1", "MIDAIR_SLOT": "3"}
    ours["MIDAIR_TLS_KEYFILE_PASSWORD"] = "hunter2"
    theirs = {"LISTEN_ADDR": ":80", "WATCHDOG_DOG": "yes"}
    settings = make_settings(env={"NOTIFY_SOCKET": "@y", "MIDAIR_VERSION": "mine"})
    environment = build_environment(settings, AMBIENT | ours | theirs)
    assert environment.variables == AMBIENT | theirs


def test_a_generation_knows_what_it_is(make_settings: MakeSettings) -> None:
    environment = of_generation(build_environment(make_settings(), AMBIENT), "1.9.0", 8)
    assert environment.variables == AMBIENT | {"MIDAIR_VERSION": "1.9.0", "MIDAIR_GENERATION": "8"}


def test_a_value_that_is_no_text_is_left_out_and_named(make_settings: MakeSettings) -> None:
    environment = build_environment(make_settings(), AMBIENT | {"ODD": "\udcff"})
    assert "ODD" not in environment.variables
    assert environment.dropped == ("ODD",)


def refused(make_settings: MakeSettings, **values: object) -> Fault:
    with pytest.raises(EnvironmentUnreadable) as caught:
        build_environment(make_settings(**values), AMBIENT)
    assert caught.value.__cause__ is None or "s3cret" not in str(caught.value.__cause__)
    return caught.value.fault()


def test_what_cannot_be_read_is_said(make_settings: MakeSettings, project: Path) -> None:
    assert "missing.env is not there" in refused(make_settings, env_files=("missing.env",)).message
    assert "-missing.env" in refused(make_settings, env_files=("missing.env",)).hint
    assert "PASSWORD" in refused(make_settings, env={"PASSWORD": "file:missing"}).message
    (project / "binary").write_bytes(b"s3cret\xff")
    assert "not UTF-8" in refused(make_settings, env={"PASSWORD": "file:binary"}).message
    assert "not UTF-8" in refused(make_settings, env_files=("binary",)).message
    write(project / "nul", "a\0b")
    assert "NUL" in refused(make_settings, env={"PASSWORD": "file:nul"}).message
    assert "name of a variable" in refused(make_settings, env={"A=B": "1"}).message
    (project / "huge").write_bytes(b"A" * (1 << 20) + b"AA")
    assert "larger than" in refused(make_settings, env_files=("huge",)).message


def test_a_file_may_be_allowed_to_be_missing(make_settings: MakeSettings) -> None:
    assert build_environment(make_settings(env_files=("-missing.env",)), AMBIENT).variables == AMBIENT
