"""What a deployment does, decided from facts."""

from __future__ import annotations

import errno
import os

import pytest

from midair.config.schema import Deploy
from midair.deploy import plan
from midair.deploy.errors import UnknownRelease, unwritable
from midair.deploy.facts import Facts, Serving
from midair.release.folders import Journal, Layout, Manifest

LAYOUT = Layout("/srv/shop")
NOW_S = 1_795_680_000.0
PLENTY = 1 << 40


def release(name: str, state: str = "deployed", replaced: str = "") -> Manifest:
    return Manifest(id=name, created_s=float(ord(name[0])), state=state, replaced=replaced)


def facts(*releases: Manifest, **more: object) -> Facts:
    given: dict[str, object] = {"layout": LAYOUT, "now_s": NOW_S, "releases": releases, "free_bytes": PLENTY}
    return Facts(**(given | more))  # type: ignore[arg-type]  # a test's own names


def serving(name: str, *in_use: str, folder: str = LAYOUT.current, is_updating: bool = False) -> Serving:
    return Serving(folder, name, frozenset({name, *in_use} - {""}), is_updating)


def names(steps: list[plan.Step]) -> list[str]:
    return [step.name for step in steps]


def test_a_first_deployment_prepares_and_updates_nobody() -> None:
    found = facts()
    assert names(plan.first_steps(found, "a", "shop")) == ["fetch"]
    assert names(plan.further_steps(found, "a", Deploy())) == ["check", "switch"]


def test_what_is_asked_for_happens_before_the_switch() -> None:
    found = facts(release("a"), current="a", serving=serving("a"))
    deploy = Deploy(venv="uv", shared=("media/",), prepare=("make", "make static"))
    steps = names(plan.further_steps(found, "b", deploy))
    assert steps == ["share", "environment", "prepare", "prepare", "check", "switch", "update"]


def test_a_service_that_runs_elsewhere_is_not_deployed_to() -> None:
    problem = plan.objection(facts(serving=serving("", folder="/home/me/shop")))
    assert problem is not None
    assert (problem.code, "midair run -C /srv/shop/current" in problem.hint) == ("deploy-elsewhere", True)


def test_during_an_update_nothing_is_deployed() -> None:
    problem = plan.objection(facts(serving=serving("a", is_updating=True)))
    assert problem is not None
    assert problem.code == "deploy-updating"


def test_a_disk_without_room_is_not_written_to() -> None:
    problem = plan.objection(facts(free_bytes=100 << 20, need_bytes=90 << 20))
    assert problem is not None
    assert problem.code == "deploy-no-room"
    assert "115 MiB, and 100 MiB are free" in str(problem)
    assert plan.objection(facts(free_bytes=120 << 20, need_bytes=90 << 20)) is None
    # Going back writes nothing: it is not refused on a full disk.
    assert plan.objection(facts(free_bytes=0, need_bytes=0), has_room=True) is None


def test_names_are_times_and_never_twice_the_same() -> None:
    first = plan.new_id(facts())
    assert first == "20261126-080000"
    assert plan.new_id(facts(leftovers=(first,))) == f"{first}-2"
    assert plan.new_id(facts(), "1.9") == "1.9"


@pytest.mark.parametrize("name", ["", ".a", "-a", "a/b", "a\nb"])
def test_a_name_that_is_no_folders_name_is_refused(name: str) -> None:
    assert plan.id_problem(facts(), name)


def test_a_name_that_is_taken_is_refused() -> None:
    assert plan.id_problem(facts(release("a")), "a") == "there is a release of that name"
    assert plan.id_problem(facts(release("a")), "b") == ""


# --- what a deployment that was killed left behind -----------------------------------------------------------------

KILLED = Journal(source="a", target="b", began_s=0)


def test_current_names_what_serves_when_a_deployment_was_killed() -> None:
    for now, serves in (("b", "a"), ("a", "b"), ("b", "b")):
        found = facts(release("a"), release("b"), current=now, journal=KILLED, serving=serving(serves))
        assert plan.right_current(found) == serves
        assert [(step.name, step.names) for step in plan.settling(found)] == [("settle", (serves,))]


def test_while_nothing_runs_a_killed_switch_is_taken_back() -> None:
    """What it switched to has never served: a restart should not be the first to try it."""
    assert plan.right_current(facts(release("a"), release("b"), current="b", journal=KILLED)) == "a"
    first = Journal(source="", target="b", began_s=0)
    assert plan.right_current(facts(release("b"), current="b", journal=first)) == "b"


def test_without_a_journal_and_without_a_service_nothing_is_settled() -> None:
    assert plan.settling(facts(release("a"), current="a")) == []


def test_a_service_of_another_folder_says_nothing_about_current() -> None:
    assert plan.right_current(facts(release("a"), release("b"), current="a", serving=serving("b", folder="/x"))) == "a"


def test_what_is_not_whole_is_swept_first() -> None:
    steps = plan.first_steps(facts(release("a"), leftovers=("b", ".c.going")), "d", "shop")
    assert [(step.name, step.names) for step in steps] == [("sweep", ("b", ".c.going")), ("fetch", ("d",))]


# --- going back ----------------------------------------------------------------------------------------------------


def test_going_back_checks_and_switches_like_a_deployment() -> None:
    found = facts(release("a"), release("b", replaced="a"), current="b", serving=serving("b"))
    assert plan.release_before(found) == "a"
    assert names(plan.steps_back(found, "a")) == ["check", "switch", "update"]


def test_a_release_that_is_not_there_cannot_be_gone_back_to() -> None:
    with pytest.raises(UnknownRelease):
        plan.steps_back(facts(release("a")), "b")
    with pytest.raises(UnknownRelease):
        plan.release_before(facts(release("b", replaced="a"), current="b"))


# --- what goes -----------------------------------------------------------------------------------------------------


def test_the_newest_stay() -> None:
    found = facts(*map(release, "abcde"), current="e")
    assert plan.removable(found, 3, new="f") == ("a", "b", "c")
    assert plan.removable(found, 1, new="f") == ("a", "b", "c", "d")
    assert plan.removable(found, 9, new="f") == ()


def test_what_serves_drains_or_is_kept_for_a_rollback_stays_however_old() -> None:
    found = facts(*map(release, "abcde"), current="e", serving=serving("e", "a", "b"))
    assert plan.removable(found, 1, new="f") == ("c", "d")


def test_what_one_would_go_back_to_stays() -> None:
    found = facts(release("a"), release("b"), release("c", replaced="a"), current="c")
    assert plan.removable(found, 1) == ("b",)
    assert plan.removable(found, 1, new="d") == ("a", "b"), "then one would go back to c"


def test_failed_releases_do_not_push_out_good_ones() -> None:
    found = facts(release("a"), release("b"), release("c", "failed"), release("d", "failed"), current="b")
    assert plan.removable(found, 2, new="e") == ("a", "c")
    assert plan.removable(found, 3, new="e") == ("c",), "only the latest one is looked into"


def test_what_others_have_put_there_is_never_removed() -> None:
    assert plan.removable(facts(release("a", "foreign"), release("b"), current="b"), 1, new="c") == ()


def test_a_word_says_how_each_release_is() -> None:
    found = facts(release("a"), release("b"), release("c", "failed"), current="b", serving=serving("b", "a"))
    assert [plan.state_of(found, each) for each in found.releases] == ["in use", "serves", "failed"]
    wrong = facts(release("a"), release("b"), current="b", serving=serving("a"))
    assert [plan.state_of(wrong, each) for each in wrong.releases] == [
        "serves, and current names another",
        "current, and does not serve",
    ]


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "deploy-no-room"), (errno.EDQUOT, "deploy-no-room"), (errno.EACCES, "deploy-folders")],
)
def test_a_full_disk_and_a_folder_of_somebody_else_are_told_apart(number: int, code: str) -> None:
    error = unwritable("nothing was changed", OSError(number, os.strerror(number), "/srv/shop/releases"))
    assert error.code == code
    assert str(error) == f"nothing was changed: {os.strerror(number)}: /srv/shop/releases"
