"""Carrying out a deployment: whatever goes wrong, and wherever it is killed, disk and service agree in the end."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from midair.config.load import Loaded
from midair.control.words import GenerationStatus, Outcome, StatusReport
from midair.deploy import plan
from midair.deploy.deployer import Deployer, DeployRefused, Done, Order
from midair.deploy.errors import NoRoom, SharedMissing, SourceUnusable
from midair.deploy.plan import Step
from midair.deploy.source import Source
from midair.deploy.tree import entries_of
from midair.errors import Fault, Held, MidairError
from midair.release.folders import (
    DeployBusy,
    Journal,
    Layout,
    current_release,
    follow_after_kill,
    held,
    read_journal,
    read_manifest,
    write_document,
)
from tests.release.conftest import write


@dataclass
class FakeService:
    """A service that takes whatever ``current`` names, or refuses it. What it serves stands in a file: it outlives its deployer."""

    layout: Layout
    state: Path
    refuses: bool = False
    fails: MidairError | None = None
    drains: set[str] = field(default_factory=set)

    @property
    def serves(self) -> str:
        return self.state.read_text() if self.state.exists() else ""

    def look(self) -> StatusReport | None:
        if not self.state.exists():
            return None
        homes = [self.serves, *self.drains]
        generations = tuple(
            GenerationStatus(number=number, version="", role="", folder=self.layout.release(name))
            for number, name in enumerate(homes, 1)
        )
        return StatusReport(
            name="shop",
            folder=self.layout.current,
            target="app:app",
            pid=1,
            midair="",
            uptime_s=1,
            serving=1,
            generations=generations,
        )

    def update(self, folder: str) -> Outcome:
        assert os.path.realpath(self.layout.current) == folder
        if self.fails:
            raise self.fails
        if self.refuses:
            return Outcome(update=2, result="refused", exit_code=4, fault=Fault("app-syntax", "it does not parse"))
        self.state.write_text(os.path.basename(folder))
        return Outcome(update=2, result="committed", exit_code=0)

    def go_back(self) -> Outcome:
        self.state.write_text("one")
        return Outcome(update=3, result="committed", exit_code=0)


@dataclass
class Place:
    """Release folders, and what is deployed to them."""

    layout: Layout
    project: Path
    service: FakeService
    steps: list[str] = field(default_factory=list)
    begins: Callable[[Step], None] | None = None

    def deployer(self) -> Deployer:
        def told(step: Step) -> None:
            self.steps.append(step.name)
            if self.begins:
                self.begins(step)

        def check(loaded: Loaded) -> None:
            assert loaded.settings.app

        return Deployer(self.layout, self.service, check=check, environ={"PATH": os.environ["PATH"]}, begins=told)

    def deploy(self, name: str) -> Done:
        deployer = self.deployer()
        order = Order(Source("folder", str(self.project)), list(entries_of(str(self.project))), "", name, "me")
        return deployer.deploy(deployer.facts(), order)

    def names(self) -> set[str]:
        return set(os.listdir(self.layout.releases))

    def agrees(self) -> bool:
        """Disk and service say the same, and nothing is left to put right."""
        facts = self.deployer().facts()
        is_served = not self.service.serves or current_release(self.layout) == self.service.serves
        return is_served and not facts.leftovers and not plan.settling(facts)


def make_place(tmp: Path) -> Place:
    layout = Layout(str(tmp / "root"))
    os.makedirs(layout.releases, exist_ok=True)
    if not (tmp / "shop").exists():
        write(tmp / "shop" / "midair.toml", 'name = "shop"\napp = "app:app"\n')
        write(tmp / "shop" / "app.py", "app = 1\n")
    return Place(layout, tmp / "shop", FakeService(layout, tmp / "serves"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def running(place: Place) -> Place:
    """With ``one`` deployed and served."""
    place.deploy("one")
    place.service.state.write_text("one")
    return place


def configure(place: Place, deploy: str) -> None:
    write(place.project / "midair.toml", f'name = "shop"\napp = "app:app"\n[deploy]\n{deploy}\n')


def test_a_first_deployment_prepares_what_can_be_started(place: Place) -> None:
    assert place.deploy("one").outcome is None
    assert place.steps == ["fetch", "check", "switch"]
    assert (Path(place.layout.current) / "app.py").read_text() == "app = 1\n"
    assert os.readlink(place.layout.current) == "releases/one", "the folders may be moved as a whole"


def test_a_release_that_serves_is_current(place: Place) -> None:
    done = running(place).deploy("two")
    assert (done.current, place.service.serves, current_release(place.layout)) == ("two", "two", "two")
    manifest = read_manifest(place.layout, "two")
    assert manifest is not None
    assert (manifest.state, manifest.replaced, manifest.by) == ("deployed", "one", "me")


def test_a_release_that_is_refused_is_not_current(place: Place) -> None:
    running(place).service.refuses = True
    with pytest.raises(DeployRefused, match="it does not parse; current names one again") as caught:
        place.deploy("two")
    assert (caught.value.exit_code, caught.value.code) == (4, "app-syntax")
    assert place.agrees()
    manifest = read_manifest(place.layout, "two")
    assert manifest is not None
    assert manifest.state == "failed", "it stays for whoever looks into it"


def test_a_request_that_is_not_taken_up_changes_nothing(place: Place) -> None:
    running(place).service.fails = Held("updates are held")
    with pytest.raises(Held):
        place.deploy("two")
    assert current_release(place.layout) == "one"
    assert place.agrees()


def test_an_interruption_between_switch_and_update_is_taken_back(place: Place) -> None:
    running(place)

    def interrupt(step: Step) -> None:
        if step.name == "update":
            raise KeyboardInterrupt

    place.begins = interrupt
    with pytest.raises(KeyboardInterrupt):
        place.deploy("two")
    assert current_release(place.layout) == "one"
    assert place.agrees()


def test_a_folder_without_a_configuration_is_no_release(place: Place) -> None:
    (running(place).project / "midair.toml").unlink()
    with pytest.raises(SourceUnusable, match=r"no midair\.toml"):
        place.deploy("two")
    assert place.names() == {"one"}


def test_what_prepare_says_goes_with_the_new_folder(place: Place) -> None:
    configure(running(place), 'prepare = ["echo made > made.txt", "echo no >&2; exit 3"]')
    with pytest.raises(MidairError, match="exit 3") as caught:
        place.deploy("two")
    assert (caught.value.code, caught.value.detail.strip()) == ("deploy-build", "no")
    assert place.names() == {"one"}
    configure(place, 'prepare = ["echo $MIDAIR_RELEASE > made.txt"]')
    place.deploy("three")
    assert (Path(place.layout.current) / "made.txt").read_text() == "three\n"


def test_a_prepare_that_hangs_is_ended_with_all_that_it_started(place: Place) -> None:
    configure(running(place), 'prepare = ["sleep 60 & sleep 60"]\ntimeout = "200ms"')
    with pytest.raises(MidairError, match=r"did not end within 0\.2 s"):
        place.deploy("two")
    assert place.names() == {"one"}


def test_what_is_shared_outlives_releases(place: Place) -> None:
    write(place.project / "media" / "cat.jpg", "meow")
    configure(place, 'shared = ["media", "log/", "conf/secret.env"]')
    shared = Path(place.layout.shared)
    write(shared / "conf" / "secret.env", "A=1")
    place.deploy("one")
    assert (shared / "media" / "cat.jpg").read_text() == "meow", "what the first release brings is what it begins with"
    write(shared / "media" / "dog.jpg", "woof")
    place.deploy("two")
    current = Path(place.layout.current)
    assert (current / "media" / "dog.jpg").read_text() == "woof"
    assert (current / "log").is_dir()
    assert os.readlink(current / "conf" / "secret.env") == "../../../shared/conf/secret.env"


@pytest.mark.parametrize("path", ["gone.env", "../evil/", "/evil/"])
def test_what_cannot_be_shared_is_refused(path: str, place: Place) -> None:
    configure(place, f'shared = ["{path}"]')
    with pytest.raises(MidairError) as caught:
        place.deploy("one")
    assert caught.value.code == (SharedMissing.code if path == "gone.env" else "deploy-unsafe")
    assert place.names() == set()


def test_the_oldest_go_and_those_in_use_stay(place: Place) -> None:
    configure(running(place), "keep = 2")
    for name in ("two", "three", "four"):
        place.service.drains = {"two"} - {name}
        place.deploy(name)
    assert place.names() == {"two", "three", "four"}


def test_going_back_is_followed_by_current(place: Place) -> None:
    running(place).deploy("two")
    deployer = place.deployer()
    assert deployer.go_back(deployer.facts()).current == "one"
    assert place.agrees()


def test_without_a_service_going_back_is_a_switch(place: Place) -> None:
    place.deploy("one")
    place.deploy("two")
    deployer = place.deployer()
    assert deployer.go_back(deployer.facts()).current == "one"


def test_only_one_deploys_at_a_time(place: Place) -> None:
    said = rf"process {os.getpid()} .*midair deploy x"
    with held(place.layout, "midair deploy x"), pytest.raises(DeployBusy, match=said), held(place.layout, "y"):
        raise AssertionError("two at a time")
    with held(place.layout, "y"):
        pass


# --- a full disk ---------------------------------------------------------------------------------------------------


def test_a_disk_that_is_full_changes_nothing(place: Place) -> None:
    write(running(place).project / "large.bin", "x" * 100_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(NoRoom, match="cannot be written: File too large"):
            place.deploy("two")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert place.names() == {"one"}
    assert place.agrees()


# --- kill -9 -------------------------------------------------------------------------------------------------------

KILLED_AT = ("fetch", "share", "prepare", "check", "switch", "update", "tidy")


def killed(tmp_path: Path, at: str, name: str) -> None:
    """A deployment in a process of its own that is killed when it comes to a step."""
    pid = os.fork()
    if pid == 0:
        try:
            _deploy_and_die(make_place(tmp_path), at, name)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL, f"it never came to {at}"


def _deploy_and_die(place: Place, at: str, name: str) -> None:
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    update = place.service.update

    def updated(folder: str) -> Outcome:
        if at == "within update":
            die()
        outcome = update(folder)
        if at == "after update":
            die()
        return outcome

    place.service.update = updated  # type: ignore[method-assign]  # this one alone
    place.begins = lambda step: die() if step.name == at else None
    place.deploy(name)


@pytest.mark.parametrize("at", [*KILLED_AT, "within update", "after update"])
def test_killed_at_any_step_the_next_deployment_puts_it_right(at: str, place: Place, tmp_path: Path) -> None:
    configure(running(place), 'keep = 1\nshared = ["media/"]\nprepare = ["echo made > made.txt"]')
    place.deploy("two")
    place.deploy("three")
    killed(tmp_path, at, "four")
    served = place.service.serves
    assert served == ("four" if at in ("tidy", "after update") else "three")
    assert os.path.isfile(os.path.join(place.layout.current, "app.py")), "a restart finds a whole release at any moment"
    # The supervisor that sees the update end, too:
    follow_after_kill(place.layout, place.layout.release(served))
    assert current_release(place.layout) == served
    assert read_journal(place.layout) is None
    assert place.deploy("five").current == "five"
    assert place.agrees()
    assert {"five"} <= place.names() <= {"three", "four", "five"}


@pytest.mark.parametrize("at", ["switch", "within update", "after update"])
def test_the_next_deployment_alone_lets_current_name_what_serves(at: str, place: Place, tmp_path: Path) -> None:
    running(place)
    killed(tmp_path, at, "two")
    deployer = place.deployer()
    assert deployer.follow() == place.service.serves
    assert place.agrees()


def test_the_supervisor_leaves_current_to_who_deploys(place: Place) -> None:
    running(place).deploy("two")
    write_document(place.layout.journal, Journal(source="one", target="two", began_s=0))
    with held(place.layout, "midair deploy"):
        assert follow_after_kill(place.layout, place.layout.release("one")) == ""
    assert current_release(place.layout) == "two"


def test_without_a_journal_the_supervisor_touches_nothing(place: Place) -> None:
    """Whoever switches ``current`` by other means does so on their own account."""
    running(place).deploy("two")
    assert follow_after_kill(place.layout, place.layout.release("one")) == ""
    assert current_release(place.layout) == "two"


def test_releases_of_others_are_left_alone(place: Place) -> None:
    write(Path(place.layout.release("20200101000000")) / "midair.toml", 'app = "app:app"\n')
    os.symlink("releases/20200101000000", place.layout.current)
    configure(place, "keep = 1")
    for name in ("one", "two", "three"):
        place.deploy(name)
    assert place.names() >= {"20200101000000", "three"}
    assert "one" not in place.names()
