"""A receipt gives spans: no I/O, the same ones each time, each within its parent."""

from __future__ import annotations

from midair.errors import Fault
from midair.traces.context import Trace, span_within
from midair.traces.updates import Event, Phase, Receipt, Span, Step, hook_span, spans

TRACE = Trace(id="4bf92f3577b34da6a3ce929d0e0e4736", span="00f067aa0ba902b7", parent="b7ad6b7169203331")
PHASES = [
    Phase("build", 0.0, 0.5),
    Phase("start", 0.5, 1.0),
    Phase("ready", 1.5, 0.1),
    Phase("cut-over", 1.6, 0.1),
    Phase("bake", 1.7, 2.0),
    Phase("commit", 3.7, 0.0),
]


def hook(name: str, at_s: float, seconds: float, how: str = "exit 0") -> Event:
    return Event(at_s, "hook_ended", {"hook": name, "how": how, "seconds": seconds})


def receipt(**more: object) -> Receipt:
    known: dict[str, object] = {
        "number": 12,
        "generation": 8,
        "by": "uid 1000",
        "reason": "cheaper tea",
        "began": 1000.0,
        "version": "1.9",
        "previous_generation": 7,
        "previous_version": "1.8",
        "phases": PHASES,
        "result": "committed",
        "took_s": 3.7,
        "serving_generation": 8,
        "serving_version": "1.9",
        "trace": TRACE,
    }
    return Receipt(**(known | more))  # type: ignore[arg-type]  # each is of its field's type


def by_name(found: list[Span]) -> dict[str, Span]:
    return {span.name: span for span in found}


def test_an_update_is_a_span_with_one_for_each_phase_inside() -> None:
    root, *phases = spans(receipt())
    assert (root.name, root.parent_id, root.span_id) == ("midair update", TRACE.parent, TRACE.span)
    assert [span.name for span in phases] == [phase.phase for phase in PHASES]
    assert {span.parent_id for span in phases} == {root.span_id}
    assert {span.trace_id for span in phases} == {TRACE.id}
    assert len({span.span_id for span in (root, *phases)}) == 7
    assert all(root.start_ns <= span.start_ns <= span.end_ns <= root.end_ns for span in phases)
    assert (root.start_ns, root.end_ns) == (1_000_000_000_000, 1_003_700_000_000)
    assert root.error is None


def test_it_says_what_the_update_was() -> None:
    about = spans(receipt())[0].attributes
    assert about["midair.version"] == "1.9"
    assert about["midair.previous.version"] == "1.8"
    assert (about["midair.generation"], about["midair.previous.generation"]) == (8, 7)
    assert (about["midair.by"], about["midair.reason"]) == ("uid 1000", "cheaper tea")
    assert (about["midair.result"], about["midair.exit_code"], about["midair.update"]) == ("committed", 0, 12)
    assert "error.type" not in about


def test_a_refused_update_has_failed_and_so_has_the_phase_in_which_it_did() -> None:
    fault = Fault("startup-failed", "the database is gone", detail="Traceback …")
    found = by_name(spans(receipt(phases=PHASES[:2], result="refused", took_s=1.2, exit_code=4, fault=fault)))
    root = found["midair update"]
    assert (root.error, root.attributes["error.type"]) == ("the database is gone", "startup-failed")
    assert [(each.name, each.attributes["exception.type"]) for each in root.moments] == [
        ("exception", "startup-failed")
    ]
    assert found["start"].error == "the database is gone"
    assert found["build"].error is None


def test_a_superseded_one_has_not_failed() -> None:
    assert [span.error for span in spans(receipt(result="superseded"))] == [None] * 7


def test_what_happened_in_a_phase_is_an_event_of_it() -> None:
    events = [
        Event(0.9, "worker_started", {"worker": 3, "slot": 0, "seconds": 0.2}),
        Event(1.0, "probed", {"worker": 3, "verdict": "healthy", "answer": None}),
        Event(2.0, "worker_died", {"worker": 3, "how": "exit 7"}),
    ]
    found = by_name(spans(receipt(events=events)))
    assert [each.name for each in found["start"].moments] == ["worker_started", "probed"]
    assert found["start"].moments[1].attributes == {"midair.worker": 3, "midair.verdict": "healthy"}
    assert [each.name for each in found["bake"].moments] == ["worker_died"]
    assert found["bake"].start_ns <= found["bake"].moments[0].at_ns <= found["bake"].end_ns


def test_a_hook_is_a_span_within_its_phase_and_known_before_it_runs() -> None:
    found = by_name(spans(receipt(events=[hook("before", 0.45, 0.3)])))
    assert found["hook before"].span_id == span_within(TRACE, hook_span("before"))
    assert found["hook before"].parent_id == found["build"].span_id
    assert found["build"].start_ns <= found["hook before"].start_ns
    assert found["hook before"].end_ns <= found["build"].end_ns
    assert found["build"].moments == ()


def test_a_hook_that_failed_says_how() -> None:
    found = by_name(spans(receipt(events=[hook("after", 4.0, 0.1, "exit 1")])))
    assert (found["hook after"].error, found["hook after"].parent_id) == ("exit 1", TRACE.span)


def test_the_old_version_drains_from_the_cut_over_until_its_last_worker_has_left() -> None:
    found = by_name(spans(receipt(gone={"7": 9.5})))
    drain = found["drain"]
    assert (drain.start_ns, drain.end_ns) == (found["cut-over"].start_ns, 1_009_500_000_000)
    assert (drain.attributes["midair.generation"], drain.attributes["midair.version"]) == (7, "1.8")


def test_a_deployment_is_a_span_around_its_steps_and_the_update() -> None:
    steps = [Step("fetch", -3.0, 1.0), Step("environment", -2.0, 1.5), Step("check", -0.5, 0.4)]
    found = by_name(spans(receipt(steps=steps)))
    whole = found["midair deploy"]
    assert whole.parent_id == TRACE.parent
    assert {found[name].parent_id for name in ("fetch", "environment", "check", "midair update")} == {whole.span_id}
    assert found["build"].parent_id == TRACE.span
    assert (whole.start_ns, whole.end_ns) == (997_000_000_000, 1_003_700_000_000)
    assert found["environment"].end_ns - found["environment"].start_ns == 1_500_000_000
    failed = by_name(spans(receipt(steps=steps, result="refused", fault=Fault("not-ready", "it was not ready"))))
    assert failed["midair deploy"].error == "it was not ready"


def test_what_comes_later_comes_behind_what_was_told() -> None:
    told = spans(receipt(events=[hook("before", 0.45, 0.3)]))
    later = spans(receipt(events=[hook("before", 0.45, 0.3), hook("after", 4.0, 0.2)]))
    last = spans(
        receipt(
            events=[hook("before", 0.45, 0.3), hook("after", 4.0, 0.2), hook("contract", 11.0, 1.0)], gone={"7": 9.5}
        )
    )
    assert later[: len(told)] == told
    assert last[: len(later)] == later
    assert [span.name for span in last[len(told) :]] == ["hook after", "drain", "hook contract"]


def test_what_is_not_over_and_what_nobody_wants_gives_no_span() -> None:
    assert spans(receipt(result="")) == []
    assert spans(receipt(trace=Trace())) == []
    assert spans(receipt(trace=Trace(id=TRACE.id, span=TRACE.span, is_sampled=False))) == []
    assert spans(receipt(trace=Trace(id=TRACE.id, span=TRACE.span, is_theirs=True))) == []


def test_an_upgrade_of_midair_is_one_too() -> None:
    phases = [
        Phase("quiet", 0.0, 0.1),
        Phase("preflight", 0.1, 0.5),
        Phase("execve", 0.6, 0.2),
        Phase("resume", 0.8, 0.1),
    ]
    root, *inside = spans(receipt(generation=0, phases=phases, took_s=0.9))
    assert root.name == "midair upgrade"
    assert [span.name for span in inside] == ["quiet", "preflight", "execve", "resume"]
