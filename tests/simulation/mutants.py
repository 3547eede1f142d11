"""Small planted faults in the core, each of which its tests must notice: a suite that lets one through checks less than it says.

A fault replaces one piece of text in one room of ``src/midair/core``. A piece that is not there exactly once fails at once, so
this list follows the code. Whoever changes a decision of the core plants its opposite here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
WITHIN_S = 300.0
"""One run takes seconds; a fault may make the core loop, which the tests' own limits end."""


@dataclass(frozen=True, slots=True)
class Mutant:
    room: str
    says: str
    """What the core does then."""
    old: str
    new: str

    @property
    def path(self) -> Path:
        return Path("src/midair/core") / f"{self.room}.py"

    def fits(self) -> bool:
        return (ROOT / self.path).read_text().count(self.old) == 1 and self.old != self.new

    def plant(self, copy: Path) -> None:
        assert self.fits(), f"{self.room}: not there exactly once: {self.old!r}"
        file = copy / self.path
        file.write_text(file.read_text().replace(self.old, self.new))


def copy_to(folder: Path) -> Path:
    """The product and the core's tests, to be spoilt."""
    leave_out = shutil.ignore_patterns("__pycache__", "test_mutants.py")
    for part in ("src/midair", "tests/core", "tests/simulation"):
        shutil.copytree(ROOT / part, folder / part, ignore=leave_out)
    for file in ("pyproject.toml", "tests/__init__.py"):
        shutil.copy(ROOT / file, folder / file)
    return folder


def run_tests(copy: Path) -> tuple[bool, str]:
    """Whether the core's tests hold in this copy, and what they printed. Raises if they could not run."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not soak", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        [*command, "tests/core", "tests/simulation"],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert ended.returncode in {0, 1}, f"pytest ended with {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended.returncode == 0, ended.stdout


MUTANTS = (
    # --- what people ask ------------------------------------------------------------------------------------------
    Mutant(
        "requests", "a hold refuses nobody", "elif service.hold and not asked.force", "elif False and not asked.force"
    ),
    Mutant("requests", "a hold refuses its own owner", " and service.hold.by != asked.by", ""),
    Mutant("requests", "--force does not lift a hold", "elif service.hold and not asked.force", "elif service.hold"),
    Mutant(
        "requests",
        "a hold never ends by itself",
        "    if asked.for_s:\n        turn.wake",
        "    if False:\n        turn.wake",
    ),
    Mutant(
        "requests", "a release releases nothing", "= turn.service.hold, None", "= turn.service.hold, turn.service.hold"
    ),
    Mutant("requests", "--now waits like others", "if service.switch and not asked.now:", "if service.switch:"),
    Mutant("requests", "nobody waits for a switch", "if service.switch and not asked.now:", "if False:"),
    Mutant("requests", "who was in the queue is not told", "        if service.queued:\n", "        if False:\n"),
    Mutant("requests", "a rollback waits for the cut-over", "elif cutover.is_under_way(turn) or (", "elif ("),
    Mutant(
        "requests", "--no-rollback does not bar a rollback in the bake", "if update.asked.no_rollback:", "if False:"
    ),
    Mutant("requests", "nothing bars a rollback after the commit", "if service.rollback_barred:", "if False:"),
    Mutant("requests", "no worker is too few", "if not 1 <= asked.workers", "if not 0 <= asked.workers"),
    Mutant("requests", "any number of workers will do", "<= WORKERS_MAX:", "<= 1 << 30:"),
    Mutant(
        "requests",
        "scaling starts nobody",
        "        workers.fill(turn, turn.generation(service.serving))\n",
        "        pass\n",
    ),
    # --- build, start, ready --------------------------------------------------------------------------------------
    Mutant(
        "candidate",
        "a newer request leaves the old candidate",
        "    elif turn.service.candidate:\n        refuse",
        "    elif False:\n        refuse",
    ),
    Mutant(
        "candidate",
        "quarantine refuses nothing",
        "if why and not update.asked.force",
        "if False and not update.asked.force",
    ),
    Mutant("candidate", "--force does not lift a quarantine", "if why and not update.asked.force and", "if why and"),
    Mutant("candidate", "--expect expects nothing", "elif expect and expect != event.version:", "elif False:"),
    Mutant("candidate", "the before hook is skipped", "elif generation.policy.has_before and", "elif False and"),
    Mutant(
        "candidate",
        "a failed before hook refuses nothing",
        "    if fault:\n        refuse(turn, fault)\n",
        "    if False:\n        pass\n",
    ),
    Mutant("candidate", "a rollback from files takes any files", "= target.id, target.fingerprint", '= target.id, ""'),
    Mutant(
        "candidate",
        "a rollback imports again",
        "    has_zygote = target.zygote is not None and",
        "    has_zygote = False and target.zygote is not None and",
    ),
    Mutant("candidate", "a candidate may take for ever", '    turn.wake(f"ready:{generation.id}", limit_s)\n', ""),
    Mutant(
        "candidate",
        "a rollback's start may take for ever",
        "        turn.wake(name, generation.policy.ready_s)\n",
        "        pass\n",
    ),
    Mutant(
        "candidate",
        "a first start has no longer time than others",
        "    if update.is_first:\n        limit_s",
        "    if False:\n        limit_s",
    ),
    Mutant("candidate", "what must fork may spawn", "if unsafe and generation.policy.must_fork:", "if False:"),
    Mutant(
        "candidate",
        "unsafe code is forked",
        "    if unsafe:\n        generation.spawns",
        "    if False:\n        generation.spawns",
    ),
    Mutant(
        "candidate",
        "files that changed are not noticed",
        "if fingerprint == turn.generation(generation).fingerprint:",
        "if True:",
    ),
    Mutant("candidate", "files may change for ever", "SURVEYS_MAX = 3", "SURVEYS_MAX = 1000"),
    Mutant(
        "candidate",
        "a second import counts as verified",
        "update.is_verified = update.is_verifying = update.has_run_before = False\n",
        "update.has_run_before = False\n",
    ),
    Mutant(
        "candidate",
        "one ready slot is enough",
        "if not ready.issuperset(_needed(turn, update, slots)):",
        "if not ready:",
    ),
    Mutant("candidate", "unverified files will do", "    if not update.is_verified:\n", "    if False:\n"),
    Mutant(
        "surge",
        "a canary has no place to stand",
        "return slots if is_part else ALL_SLOTS",
        "return slots if is_part and generation.goes_by_slot else ALL_SLOTS",
    ),
    Mutant("surge", "a canary needs nobody beside it", " and any(w.slot >= slots for w in others)", ""),
    Mutant(
        "candidate",
        "a first start gives up at once",
        'result == "refused" and _may_retry(',
        'result == "" and _may_retry(',
    ),
    Mutant("candidate", "a first start never gives up", "turn.now_s - update.began_s < limit_s", "True"),
    Mutant("candidate", "an import error is tried again", "fault.code in RETRY_CODES and ", ""),
    Mutant("candidate", "attempts do not wait longer", "backoff.delay_s(update.attempt + 1, 1)", "0.5"),
    Mutant(
        "candidate",
        "a service that serves nothing lives on",
        "        stopping.stop_failed(turn, fault)",
        "        pass",
    ),
    Mutant(
        "candidate",
        "what is on disk never helps out",
        "generation.runs_short and (taking or not turn.staying(generation.id))",
        "generation.runs_short and taking",
    ),
    Mutant("candidate", "what is on disk is tried without waits", "backoff.delay_s(len(tries_s) + 1, 1)", "0.0"),
    # --- a worker's way to its slot -------------------------------------------------------------------------------
    Mutant(
        "joining",
        "candidates are not probed",
        "    is_new = generation.role is Role.CANDIDATE or is_to_take",
        "    is_new = is_to_take",
    ),
    Mutant(
        "joining",
        "no health route is bad health",
        '        if verdict == "unhealthy":\n',
        '        if verdict != "healthy":\n',
    ),
    Mutant("joining", "an unhealthy candidate is ready", '        if verdict == "unhealthy":\n', "        if False:\n"),
    Mutant("joining", "one failed probe rolls back", ">= PROBE_FAILURES:", ">= 1:"),
    Mutant("joining", "three failed probes do not roll back", ">= PROBE_FAILURES:", "> PROBE_FAILURES:"),
    Mutant(
        "joining",
        "good probes in between do not count",
        'if verdict == "unhealthy" else 0',
        'if verdict == "unhealthy" else worker.failed_probes',
    ),
    Mutant("joining", "a replacement begins while slots change hands", " or turn.service.switch or not", " or not"),
    Mutant(
        "joining",
        "a canary's waiting slots begin",
        "        return worker.slot < update.slots\n",
        "        return True\n",
    ),
    Mutant(
        "joining",
        "the old version takes the canary's slots",
        "return worker.slot >= (update.slots if update else 0) and worker",
        "return worker",
    ),
    Mutant("joining", "whom a replacement replaces stays", "if old.successor == worker.id:", "if False:"),
    Mutant("joining", "a hung worker is asked to leave", "            if old.hangs:\n", "            if False:\n"),
    Mutant("joining", "a worn worker is killed", "            if old.hangs:\n", "            if True:\n"),
    # --- slots change hands ---------------------------------------------------------------------------------------
    Mutant(
        "cutover",
        "the new do not wait for the old",
        "    if switch.waiting:\n        turn.wake",
        "    if False:\n        turn.wake",
    ),
    Mutant(
        "cutover", "a silent old slot is waited for", 'turn.wake("switch", SWITCH_ACK_S)', 'turn.wake("switch", 60.0)'
    ),
    Mutant("cutover", "one old slot's answer is enough", "        if not switch.waiting:\n", "        if True:\n"),
    Mutant(
        "cutover",
        "a command is told to stop accepting",
        "        if generation.policy.parks:\n            workers.stop",
        "        if True:\n            workers.stop",
    ),
    Mutant(
        "cutover",
        "a replacement begins and its predecessor stays",
        "            joining.take_over(turn, worker)  #",
        "            workers.accept(turn, worker)  #",
    ),
    Mutant(
        "cutover",
        "parked workers do not begin again",
        "        if worker.state is WorkerState.PARKED:\n            workers.accept",
        "        if False:\n            workers.accept",
    ),
    Mutant(
        "cutover",
        "who was told to stop does not begin again",
        "worker.state in {WorkerState.STOPPING, WorkerState.PARKED}:",
        "False:",
    ),
    Mutant(
        "cutover",
        "a queued request is forgotten",
        "    if queued:\n        candidate.begin",
        "    if False:\n        candidate.begin",
    ),
    Mutant("cutover", "a candidate that waited is forgotten", "    candidate.become_ready(turn)\n", ""),
    Mutant(
        "cutover",
        "a replacement that waited is forgotten",
        "            joining.take_over_if_due(turn, worker)\n",
        "            pass\n",
    ),
    Mutant(
        "cutover",
        "a rollback asked during a cut-over is forgotten",
        "    if not switch.is_back and switch.fault:",
        "    if False:",
    ),
    Mutant(
        "cutover",
        "an earlier canary stays",
        "            _empty(turn, old)  # An earlier",
        "            pass  # An earlier",
    ),
    Mutant("cutover", "a canary never ends", '    turn.wake("canary", target.policy.canary_s)\n', ""),
    Mutant(
        "cutover",
        "nobody looks at a canary",
        '    turn.wake("canary", target.policy.canary_s)\n    turn.wake("look", target.policy.probe_interval_s)\n',
        '    turn.wake("canary", target.policy.canary_s)\n',
    ),
    Mutant(
        "cutover",
        "a superseded update is never closed",
        '        turn.close(service.baking, "superseded", note',
        '        str(note := "") or dict(note',
    ),
    Mutant(
        "cutover",
        "--no-rollback ends with the bake",
        "        if service.baking.asked.no_rollback:",
        "        if False:",
    ),
    Mutant(
        "cutover",
        "the first bake's end commits the second",
        '    update.baked_from_s = turn.now_s\n    for timer in ("bake", "look", "canary"):\n        turn.forget(timer)\n',
        "    update.baked_from_s = turn.now_s\n",
    ),
    Mutant("cutover", "a doomed version without a bake commits", " and not is_doomed)", ")"),
    Mutant("cutover", "there is no bake", "    if update.is_first or (not", "    if True or (not"),
    Mutant("cutover", "the first version bakes", "    if update.is_first or (not", "    if (not"),
    Mutant("cutover", "a bake never ends", '    turn.wake("bake", target.policy.bake_s)\n', ""),
    Mutant(
        "cutover",
        "nobody looks at a bake",
        '    turn.wake("bake", target.policy.bake_s)\n    turn.wake("look", target.policy.probe_interval_s)\n',
        '    turn.wake("bake", target.policy.bake_s)\n',
    ),
    Mutant(
        "cutover",
        "the old version keeps its slots",
        "        if old.id != target.id:\n            _empty(turn, old)",
        "        if False:\n            _empty(turn, old)",
    ),
    Mutant(
        "cutover",
        "the number of workers stays that of the old version",
        "service.wanted = target.id, target.policy, target.policy.workers\n    target.role = Role.SERVING\n    workers.enforce",
        "service.wanted = target.id, target.policy, service.wanted\n    target.role = Role.SERVING\n    workers.enforce",
    ),
    Mutant(
        "cutover",
        "the old version is not kept through the bake",
        "if old.id == turn.service.committed and old.policy.parks:",
        "if False:",
    ),
    Mutant(
        "cutover",
        "a superseded version is kept, too",
        "if old.id == turn.service.committed and old.policy.parks:",
        "if old.policy.parks:",
    ),
    Mutant("cutover", "an automatic rollback quarantines nothing", "    if switch.is_automatic:\n", "    if False:\n"),
    Mutant("cutover", "a rollback on request quarantines", "    if switch.is_automatic:\n", "    if True:\n"),
    Mutant("cutover", "the quarantine has no bound", "while len(service.quarantine) > QUARANTINE_MAX:", "while False:"),
    Mutant(
        "cutover",
        "the bad version stays beside the good one",
        "            workers.retire(turn, other, other.policy.drain_s)\n",
        "            pass\n",
    ),
    # --- from slot to slot ----------------------------------------------------------------------------------------
    Mutant(
        "surge",
        "slots change hands one after the other without need",
        "    if generation.goes_by_slot:\n        taking =",
        "    if True:\n        taking =",
    ),
    Mutant("surge", "where there is no room all start at once", "[:count]:", ":"),
    Mutant("surge", "the first one waits for room, too", "        count = max(1, count)\n", "        pass\n"),
    Mutant(
        "surge",
        "the last old worker goes like the others",
        "        others = turn.staying(turn.service.serving)\n",
        "        return slots\n",
    ),
    Mutant(
        "surge",
        "a slot's old worker stays when it was taken",
        "        if old.slot < update.slots or old.slot in slots[:too_many]:\n",
        "        if False:\n",
    ),
    Mutant(
        "surge", "a version in other slots than its own gives no room", " or old.slot in slots[:too_many]:\n", ":\n"
    ),
    Mutant(
        "surge",
        "an old worker leaves before its slot is taken",
        "        if old.slot < update.slots or",
        "        if old.slot <= update.slots or",
    ),
    Mutant(
        "surge",
        "the next slot is taken before its worker is ready",
        "    if ready.issuperset(range(update.slots, min(slots, generation.policy.workers))):\n",
        "    if True:\n",
    ),
    Mutant("surge", "the way ends after the first slot", "    elif taking and not coming:", "    elif False:"),
    Mutant("surge", "slots are taken beside a newer version", "    elif taking and not coming:", "    elif taking:"),
    Mutant("surge", "a canary on the way is not waited for", '    if turn.has_timer("canary"):\n', "    if False:\n"),
    Mutant("workers", "memory has room for two more", "for g in others) + 1\n", "for g in others) + 2\n"),
    Mutant(
        "workers",
        "those who leave need no room",
        "sum(len(turn.workers_of(g.id)) for g in others)",
        "sum(len(turn.staying(g.id)) for g in others)",
    ),
    Mutant(
        "workers",
        "on the way back there is room for all",
        "if not any(g.goes_by_slot for g in others) or (generation.id != service.serving and",
        "if generation.id == service.serving or (True and",
    ),
    Mutant(
        "turn",
        "the old version fills the slots that it gave up",
        "first = taking.slots if taking and generation.id == self.service.serving else 0",
        "first = 0",
    ),
    Mutant(
        "candidate",
        "no room and no way back is no reason to refuse",
        "generation.policy.lacks_room and not _has_way_back(turn, update):",
        "False:",
    ),
    Mutant("candidate", "who asks for it is refused, too", "generation.policy.lacks_room and not _has", "not _has"),
    Mutant(
        "candidate",
        "the first start goes by slot",
        "bool(prepared.policy.by_slot) and turn.service.serving not in {None, STAND_IN}",
        "bool(prepared.policy.by_slot)",
    ),
    Mutant(
        "joining",
        "later slots are not probed",
        "Role.CANDIDATE or is_to_take_a_slot(turn, worker)\n    if",
        "Role.CANDIDATE\n    if",
    ),
    Mutant(
        "machine",
        "a slot that cannot start is tried for ever",
        "    elif was_to_take_a_slot:\n        bake",
        "    elif False:\n        bake",
    ),
    Mutant(
        "machine",
        "a slot that hangs is tried for ever",
        "        if joining.is_to_take_a_slot(turn, worker):\n",
        "        if False:\n",
    ),
    Mutant(
        "machine",
        "a zygote lost on the way is no failure",
        "            _fail_on_the_way(turn, generation, fault)\n",
        "            pass\n",
    ),
    Mutant(
        "machine",
        "who waits for room waits for ever",
        "            workers.fill(turn, turn.generation(service.serving))  # It",
        "            pass  # It",
    ),
    Mutant(
        "candidate",
        "a version that cannot take its last slots stays mixed",
        "    taking, serving = turn.from_slot_to_slot(), turn.service.serving\n",
        "    taking, serving = None, turn.service.serving\n",
    ),
    Mutant(
        "succession",
        "connections of a taken slot go to the old version",
        "    is_taken = taking is not None and",
        "    is_taken = False and taking is not None and",
    ),
    Mutant(
        "cutover",
        "the next version waits for the room of the one before",
        "        other.goes_by_slot = other.goes_by_slot and other.id == target.id",
        "        pass",
    ),
    Mutant(
        "bake", "a committed version waits for room", ", generation.goes_by_slot = True, False\n", ", _ = True, False\n"
    ),
    # --- bake, commit, roll back ----------------------------------------------------------------------------------
    Mutant(
        "bake",
        "the bake looks once",
        '    turn.do(CountAnswers(generation.id))\n    turn.wake("look", generation.policy.probe_interval_s)\n',
        "    turn.do(CountAnswers(generation.id))\n",
    ),
    Mutant("bake", "the bake counts no answers", "    turn.do(CountAnswers(generation.id))\n", ""),
    Mutant(
        "bake", "the bake probes nobody", "                turn.do(ProbeWorker(worker.id))\n", "                pass\n"
    ),
    Mutant("bake", "another generation's errors count", " or update.generation != event.generation:", ":"),
    Mutant("bake", "a few answers are enough", "ENOUGH_RESPONSES = 20", "ENOUGH_RESPONSES = 19"),
    Mutant("bake", "more answers are needed", "ENOUGH_RESPONSES = 20", "ENOUGH_RESPONSES = 21"),
    Mutant("bake", "errors from before do not excuse", "before_rate >= HEALTHY_BEFORE", "False"),
    Mutant("bake", "the limit itself is fine", "errors < limit * responses", "errors <= limit * responses"),
    Mutant("bake", "off is on", "if not limit or responses", "if responses"),
    Mutant(
        "bake",
        "a version commits while slots change hands",
        "    if service.switch or carrying",
        "    if carrying",
    ),
    Mutant(
        "bake",
        "the version before is not kept",
        "= service.previous, service.committed, generation.id\n",
        "= service.previous, None, generation.id\n",
    ),
    Mutant(
        "bake",
        "a version that proved good stays in quarantine",
        "    service.quarantine.pop(generation.fingerprint, None)\n",
        "",
    ),
    Mutant("bake", "one --no-rollback bars all later ones", '    service.rollback_barred = ""\n', ""),
    Mutant("bake", "--no-rollback ends with the commit", "    if update.asked.no_rollback:\n", "    if False:\n"),
    Mutant(
        "bake",
        "parked workers stay after the commit",
        '        if old.id != service.previous or generation.policy.keep != "workers":\n',
        "        if False:\n",
    ),
    Mutant(
        "bake",
        "workers to be kept leave at the commit",
        '        if old.id != service.previous or generation.policy.keep != "workers":\n',
        "        if True:\n",
    ),
    Mutant(
        "bake",
        "kept workers outlive the next commit",
        '        if old.id != service.previous or generation.policy.keep != "workers":\n',
        '        if generation.policy.keep != "workers":\n',
    ),
    Mutant("bake", "keeping nothing keeps the zygote", ' or generation.policy.keep == "none":\n', ":\n"),
    Mutant(
        "bake",
        "kept workers stay for ever",
        "    if old and old.role is Role.PARKED:\n",
        "    if False:\n",
    ),
    Mutant(
        "candidate",
        "kept workers are not gone back to",
        "    if _is_kept(turn, target, is_whole=has_zygote):\n",
        "    if False:\n",
    ),
    Mutant(
        "candidate",
        "one kept worker is enough where all could be forked",
        "    if _is_kept(turn, target, is_whole=has_zygote):\n",
        "    if _is_kept(turn, target, is_whole=False):\n",
    ),
    Mutant(
        "candidate",
        "one healthy kept worker stands for all",
        "        return [worker.slot for worker in turn.staying(generation.id)]\n",
        "        return []\n",
    ),
    Mutant(
        "candidate",
        "kept workers that were not healthy go",
        "    if generation.id == turn.service.previous:\n        _keep_on",
        "    if False:\n        _keep_on",
    ),
    Mutant(
        "candidate",
        "memory that is short takes nothing that is kept",
        "    if generation.policy.lacks_room and not update.rollback_to:\n",
        "    if False:\n",
    ),
    Mutant(
        "machine",
        "what is kept stands in the way of the next try",
        '        if fault.code == "no-memory":\n',
        "        if False:\n",
    ),
    Mutant(
        "companions",
        "once-only processes run as long as workers are kept",
        "        if parked.id != service.committed:\n",
        "        if False:\n",
    ),
    Mutant(
        "bake",
        "the drain limit counts from the commit",
        "            workers.retire(turn, old, max(0.0, old.drain_until_s - turn.now_s))\n            continue",
        "            workers.retire(turn, old, old.policy.drain_s)\n            continue",
    ),
    Mutant(
        "bake",
        "the kept zygote stays for ever",
        '        turn.wake("warm", generation.policy.warm_s)\n',
        "        pass\n",
    ),
    Mutant("bake", "the after hook is skipped", "    if generation.policy.has_after:\n", "    if False:\n"),
    Mutant(
        "bake",
        "the contract hook does not wait for the old version",
        "    if any(turn.with_role(Role.RETIRING, Role.PARKED)):\n        return\n",
        "",
    ),
    Mutant("bake", "the contract hook runs again and again", " or service.contracted == serving.id", ""),
    Mutant(
        "bake",
        "the contract hook runs in the bake",
        "service.committed is None or service.baking or",
        "service.committed is None or",
    ),
    Mutant(
        "bake",
        "the contract hook bars nothing",
        '    service.rollback_barred = f"the contract hook',
        '    f"the contract hook',
    ),
    Mutant(
        "bake",
        "a stop runs the contract hook",
        " or service.stopping:\n        return\n    if any",
        ":\n        return\n    if any",
    ),
    Mutant(
        "bake",
        "a version that must not be gone back from is rolled back",
        "if target is None or update.asked.no_rollback:",
        "if target is None:",
    ),
    Mutant(
        "bake",
        "a reason to go back during a cut-over is forgotten",
        "        if service.switch.target == update.generation:\n",
        "        if False:\n",
    ),
    Mutant(
        "bake",
        "one goes back to where nobody is left",
        "return target if turn.staying(target.id) or not target.runs_short else None",
        "return target",
    ),
    # --- workers and zygotes --------------------------------------------------------------------------------------
    Mutant(
        "workers",
        "a replacement may start for ever",
        '        turn.wake(f"start:{worker.id}", generation.policy.ready_s)\n',
        "        pass\n",
    ),
    Mutant("workers", "deaths are forgotten at once", "[*recent, turn.now_s][", "[][ "),
    Mutant(
        "workers",
        "few deaths are kept however many workers there are",
        "(turn.wanted(generation) + DEATHS_KEPT)",
        "DEATHS_KEPT",
    ),
    Mutant(
        "workers", "a later order lengthens a deadline", " or turn.service.timers.get(name, due_s + 1.0) <= due_s:", ":"
    ),
    Mutant(
        "workers",
        "one that starts is asked to leave",
        "    if worker.state is WorkerState.STARTING:\n",
        "    if False:\n",
    ),
    Mutant(
        "workers",
        "one that leaves accepts until then",
        "        turn.do(StopAccepting(worker.id))\n    worker.state = WorkerState.LEAVING",
        "        pass\n    worker.state = WorkerState.LEAVING",
    ),
    Mutant("workers", "one that does not leave stays", "    turn.service.timers[name] = due_s\n", ""),
    Mutant("workers", "lifespan shutdown gets no time", " + turn.generation(worker.generation).policy.exit_s", ""),
    Mutant(
        "workers",
        "a switch waits for the dead",
        "        turn.service.switch.waiting.discard(worker.id)\n",
        "        pass\n",
    ),
    Mutant(
        "workers",
        "whose successor died never gets another",
        "            other.successor = None\n",
        "            pass\n",
    ),
    Mutant(
        "workers",
        "a generation is gone before its once-only processes",
        " or generation.companions:\n        return\n    generation.role",
        ":\n        return\n    generation.role",
    ),
    Mutant(
        "workers",
        "generations are never forgotten",
        "        del turn.service.generations[generation.id]\n",
        "        pass\n",
    ),
    Mutant(
        "workers",
        "an import that hangs is waited for",
        '        turn.wake(f"import:{generation.zygote}", generation.policy.ready_s)\n',
        "        pass\n",
    ),
    Mutant("workers", "the version before loses its zygote", " or g.id == service.previous\n", "\n"),
    Mutant(
        "workers",
        "no zygote is ever dropped",
        "for zygote in [z for z in service.zygotes if z not in needed]:",
        "for zygote in list[ZygoteId]():",
    ),
    Mutant(
        "workers",
        "a zygote that dies is restarted without waits",
        "max(ZYGOTE_AGAIN_S, backoff.delay_s(len(generation.zygote_deaths_s), 1))",
        "ZYGOTE_AGAIN_S",
    ),
    Mutant(
        "workers",
        "a zygote is restarted from whatever is on disk",
        "start_zygote(turn, generation, pinned=generation.fingerprint)",
        "start_zygote(turn, generation)",
    ),
    Mutant(
        "workers", "what runs short loses workers, too", "kept = wanted if generation.runs_short else 0", "kept = 0"
    ),
    Mutant(
        "workers",
        "what is too much stays",
        "        if worker.slot >= wanted and not carrying.is_parting(turn, worker):\n",
        "        if False:\n",
    ),
    Mutant(
        "workers",
        "what runs short is filled",
        "    if not missing or generation.runs_short:\n",
        "    if not missing:\n",
    ),
    Mutant(
        "workers",
        "nobody is replaced",
        "            start(turn, generation, slot)\n    if len(deaths)",
        "            pass\n    if len(deaths)",
    ),
    Mutant("workers", "a crash loop is not held back", "        if wait_s:\n", "        if False:\n"),
    Mutant("workers", "a crash loop is not said", "    if len(deaths) == backoff.CRASH_LOOP:\n", "    if False:\n"),
    Mutant(
        "workers",
        "any number of generations drain",
        "retiring[: max(0, len(retiring) - turn.service.policy.max_generations)]",
        "retiring[:0]",
    ),
    Mutant(
        "workers",
        "the newest is hurried, not the oldest",
        "retiring[: max(0, len(retiring) - turn.service.policy.max_generations)]",
        "retiring[turn.service.policy.max_generations :]",
    ),
    Mutant(
        "workers",
        "one that must make room has all the time",
        "            hurry(turn, worker, HURRY_S)\n",
        "            hurry(turn, worker, 300.0)\n",
    ),
    Mutant("backoff", "deaths are never forgiven", "now_s - death < WINDOW_S", "now_s > death"),
    Mutant(
        "backoff", "the waits have no cap", "min(CAP_S, FIRST_S * 2.0 ** (beyond - 1))", "FIRST_S * 2.0 ** (beyond - 1)"
    ),
    Mutant("backoff", "the waits do not grow", "FIRST_S * 2.0 ** (beyond - 1)", "FIRST_S"),
    Mutant("backoff", "the first death costs a wait", "deaths - max(workers, 1)", "deaths"),
    # --- once-only processes --------------------------------------------------------------------------------------
    Mutant(
        "companions",
        "exclusive ones overlap",
        "if name in generation.policy.exclusive and _runs_elsewhere",
        "if False and _runs_elsewhere",
    ),
    Mutant(
        "companions",
        "those of an old version stay",
        "            if (generation.id, name) not in wanted:\n",
        "            if False:\n",
    ),
    Mutant(
        "companions",
        "overlapping ones end at the cut-over",
        "        wanted |= {(parked.id, name)",
        "        wanted & {(parked.id, name)",
    ),
    Mutant(
        "companions",
        "one that dies is restarted without waits",
        "    if wait_s:\n        turn.wake",
        "    if False:\n        turn.wake",
    ),
    Mutant(
        "companions",
        "they live on while the service stops",
        "    if service.stopping or service.serving is None:\n",
        "    if service.serving is None:\n",
    ),
    # --- stop -----------------------------------------------------------------------------------------------------
    Mutant("stopping", "a second stop is like the first", "if asked.at_once or service.stopping:", "if asked.at_once:"),
    Mutant("stopping", "at once is not at once", "if asked.at_once or service.stopping:", "if service.stopping:"),
    Mutant("stopping", "stop.delay is not kept", "        if delay_s:\n", "        if False:\n"),
    Mutant(
        "stopping",
        "load balancers are not told",
        "                turn.do(SayNotReady(worker.id))\n",
        "                pass\n",
    ),
    Mutant(
        "stopping",
        "workers are killed instead of asked",
        "        workers.leave(turn, worker, service.policy.stop_s)\n",
        "        workers.kill(turn, worker)\n",
    ),
    Mutant(
        "stopping",
        "requests get the drain's time",
        "        workers.leave(turn, worker, service.policy.stop_s)\n",
        "        workers.leave(turn, worker, service.policy.drain_s)\n",
    ),
    Mutant(
        "stopping",
        "the end does not wait for once-only processes",
        "    if any(g.companions for g in service.generations.values()):\n        return\n",
        "",
    ),
    Mutant("stopping", "the end does not wait for workers", " or service.workers or", " or"),
    Mutant(
        "stopping", "who waits in the queue is not told", "        turn.do(Answer(service.queued.request, fault))\n", ""
    ),
    Mutant(
        "stopping",
        "a stop in the cut-over leaves nobody accepting",
        "    cutover.undo(turn)\n",
        "    service.switch = None\n",
    ),
    Mutant("stopping", "a candidate is not closed", '    candidate.refuse(turn, fault, "stopped")\n', ""),
    Mutant(
        "stopping",
        "a bake is not closed",
        '        turn.do(Closed(update.id, update.generation, "stopped", version, service.serving, fault))\n',
        "",
    ),
    Mutant("stopping", "a failed first start ends with 0", "Stopping(FAILED, fault)", "Stopping(0, fault)"),
    # --- which event goes where -----------------------------------------------------------------------------------
    Mutant(
        "machine",
        "a death in the bake is only a death",
        "and service.baking.generation == generation.id and was_accepting:",
        "and False:",
    ),
    Mutant(
        "machine",
        "a dead candidate is waited for",
        "    if generation.role is Role.CANDIDATE:\n        if cutover",
        "    if False:\n        if cutover",
    ),
    Mutant(
        "machine",
        "a dead zygote is not missed",
        "                workers.zygote_died(turn, generation)\n",
        "                pass\n",
    ),
    Mutant(
        "machine",
        "changed files are taken for a death",
        '            if fault.code == "files-changed":\n',
        "            if False:\n",
    ),
    Mutant("machine", "a worn worker gets one successor after the other", " or worker.successor is not None:", ":"),
    Mutant(
        "machine",
        "a worn worker goes first",
        "    worker.hangs = event.hangs\n",
        "    worker.hangs = event.hangs\n    workers.leave(turn, worker, 1.0)\n",
    ),
    Mutant(
        "machine",
        "who is not ready in time is waited for",
        "            _not_ready(turn, GenerationId(int(rest)))\n",
        "            pass\n",
    ),
    Mutant(
        "machine",
        "a hung replacement is waited for",
        "                _not_started(turn, worker)\n",
        "                pass\n",
    ),
    Mutant(
        "machine",
        "who does not leave is not killed",
        '                workers.kill(turn, worker)\n        case "start"',
        '                pass\n        case "start"',
    ),
    Mutant("machine", "a hold's time limit is not kept", "            service.hold = None\n", "            pass\n"),
    Mutant(
        "machine",
        "an unhealthy candidate is asked once",
        "            if worker and worker.state is WorkerState.PROBING:\n",
        "            if False:\n",
    ),
    Mutant(
        "machine",
        "a held-back worker is never replaced",
        "    if generation.role is Role.SERVING and is_wanted and",
        "    if False and is_wanted and",
    ),
    # --- state ----------------------------------------------------------------------------------------------------
    Mutant(
        "carrying",
        "nothing is tried before the cut-over",
        "    if not worker.carries or not sources:\n",
        "    if True:\n",
    ),
    Mutant(
        "carrying",
        "a failed trial refuses nothing",
        "    if not fault:\n        joining.able",
        "    if True:\n        joining.able",
    ),
    Mutant(
        "carrying",
        "a failed trial on the way from slot to slot changes nothing",
        "        bake.roll_back(turn, fault, is_automatic=True)\n",
        "        pass\n",
    ),
    Mutant(
        "carrying",
        "the new slots do not wait for their state",
        "    return any(each.is_of_switch for each in turn.service.exchanges.values())\n",
        "    return False\n",
    ),
    Mutant(
        "carrying",
        "nobody holds still while state is taken",
        '    return worker.carries == "moves" and any',
        "    return False and any",
    ),
    Mutant(
        "carrying",
        "the new version begins without its state",
        "    elif fault and cutover.is_under_way(turn):\n",
        "    elif False:\n",
    ),
    Mutant(
        "carrying",
        "state is waited for without end",
        '    turn.wake(f"carry:{exchange.number}", TRIAL_S if how == "trial" else CARRY_S)\n',
        "",
    ),
    Mutant(
        "carrying",
        "state arrives after it was given up",
        "    turn.do(DropCarry(exchange.number))\n",
        "",
    ),
    Mutant("carrying", "a dead new version empties the old one", "if sources or (", "if sources or how == 'back' or ("),
    Mutant(
        "carrying",
        "state of more slots than before stays where it was",
        ' or (how == "back" and _has_moved_on(taker, givers)):\n',
        ":\n",
    ),
    Mutant("carrying", "who accepts beside a canary takes its state", "or takers", "or takers if False else takers"),
    Mutant(
        "carrying", "a worn worker's state ends with it", "    old = predecessor(turn, worker)\n", "    old = None\n"
    ),
    Mutant(
        "carrying",
        "a slot that goes away takes its state along",
        "    if not worker.carries or worker.state not in STAYS or service.stopping:\n",
        "    if True:\n",
    ),
    Mutant(
        "carrying",
        "where the state of a slot that went away is, is forgotten",
        "            if not event.fault:\n                _has_gone(turn, exchange)\n",
        "",
    ),
    Mutant(
        "carrying",
        "a refused relief ends the one that worked",
        "            workers.accept(turn, old)\n",
        "            workers.leave(turn, old, 0.0)\n",
    ),
    Mutant(
        "cutover",
        "the rest of the slots follow without their state",
        "    if target is None or service.baking.asked.no_rollback:\n        turn.note",
        "    if True:\n        turn.note",
    ),
    Mutant("machine", "a worker that never was is waited for", "    if not event.exists:\n", "    if False:\n"),
    Mutant(
        "workers",
        "what is kept drains beyond the bound",
        "with_role(Role.RETIRING, Role.PARKED) if not",
        "with_role(Role.RETIRING) if not",
    ),
    # --- while no version can serve -------------------------------------------------------------------------------
    Mutant(
        "standin",
        "nobody answers before the first version",
        "    if service.serving is None and service",
        "    if False and service",
    ),
    Mutant(
        "standin", "every first version has to share its start", 'STAND_IN}:0", FIRST_WAIT_S)', 'STAND_IN}:0", 0.0)'
    ),
    Mutant(
        "standin",
        "it begins while the service stops",
        " and service.stopping is None and service.policy.has",
        " and service.policy.has",
    ),
    Mutant("standin", "there is a stand-in in production", " and service.policy.has_stand_in:", ":"),
    Mutant("standin", "nobody stands in for a version that is lost", "    if why:\n", "    if False:\n"),
    Mutant(
        "standin",
        "it takes over from workers that are there",
        "    if turn.staying(generation.id):\n",
        "    if False:\n",
    ),
    Mutant("standin", "it takes over from a canary", " or turn.in_part():", ":"),
    Mutant(
        "standin", "a version without its files is waited for", "    if generation.runs_short:\n", "    if False:\n"
    ),
    Mutant(
        "standin",
        "a start that hung is tried again",
        'if generation.last_fault and generation.last_fault.code == "not-ready":',
        "if False:",
    ),
    Mutant(
        "standin",
        "who dies again and again is waited for",
        "if max(workers_wait_s, zygotes_wait_s) >= LONG_WAIT_S",
        "if False",
    ),
    Mutant("standin", "the first death is the last", ">= LONG_WAIT_S", ">= 0.0"),
    Mutant("standin", "the update that was lost never ends", "    if update:\n", "    if False:\n"),
    Mutant("standin", "what was lost goes on beside it", "    workers.retire(turn, lost, 0.0)\n", ""),
    Mutant(
        "standin",
        "it is made of the version's files",
        "stand_in.spawns = _policy(service.policy), FINGERPRINT, True",
        "stand_in.spawns = service.policy, FINGERPRINT, True",
    ),
    Mutant("turn", "as many stand in as workers are wanted", " and generation.id != STAND_IN\n", "\n"),
    Mutant(
        "candidate",
        "a version waits for the stand-in's room",
        "turn.service.serving not in {None, STAND_IN}",
        "turn.service.serving is not None",
    ),
    Mutant(
        "requests",
        "a rollback in the first bake is answered as done",
        "    elif committed is None:\n",
        "    elif False:\n",
    ),
    Mutant(
        "machine", "why a worker died is not what is shown", '    if fault.code != "files-changed":\n', "    if True:\n"
    ),
)
