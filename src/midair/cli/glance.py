"""What stands in a report for somebody who has one look: what drains and why, rates between two reports, what to type next.

Pure: reports in, sentences and numbers out. For ``midair status`` and ``midair top``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from midair.cli.show import age
from midair.control.ondisk import trouble_with_disk
from midair.control.words import GenerationStatus, StatusReport
from midair.observe.latency import quantile_s

BAR_FULL, BAR_EMPTY = "█", "░"
WHY_MAX = 160
"""Characters of a fault's first line."""


@dataclass(frozen=True, slots=True)
class Connections:
    """Of a generation, by what they are at."""

    open: int
    active: int
    streams: int
    """Of the active ones."""
    websockets: int

    @property
    def idle(self) -> int:
        return max(0, self.open - self.active - self.websockets)

    def __str__(self) -> str:
        """``744 idle, 3 requests, 1 stream, 12 WebSockets``; nothing if there are none."""
        requests = self.active - self.streams
        parts = (
            (self.idle, "idle"),
            (requests, "request" if requests == 1 else "requests"),
            (self.streams, "stream" if self.streams == 1 else "streams"),
            (self.websockets, "WebSocket" if self.websockets == 1 else "WebSockets"),
        )
        return ", ".join(f"{count:,} {what}" for count, what in parts if count > 0)


def connections_of(generation: GenerationStatus) -> Connections:
    workers = generation.workers
    return Connections(
        open=sum(worker.connections for worker in workers),
        active=sum(worker.active for worker in workers),
        streams=sum(worker.streams for worker in workers),
        websockets=sum(worker.websockets for worker in workers),
    )


# --- what drains ---------------------------------------------------------------------------------------------------


def draining(report: StatusReport) -> list[GenerationStatus]:
    """Generations that are on their way out, or parked, and still have somebody."""
    return [
        each
        for each in report.generations
        if each.role in ("retiring", "parked")
        and (connections_of(each).open or any(worker.ends_in_s is not None for worker in each.workers))
    ]


def drain_sentence(generation: GenerationStatus) -> str:
    """``744 idle, 12 WebSockets; cut in 4 min``: what holds it, and until when."""
    held = str(connections_of(generation))
    if not held:
        held = (
            "its programs have not ended" if generation.mode == "exec" else "no connection; the application's calls end"
        )
    limits = [worker.ends_in_s for worker in generation.workers if worker.ends_in_s is not None]
    until = (
        f"; cut in {age(max(limits))}" if limits else "; parked for a rollback" if generation.role == "parked" else ""
    )
    return held + until


def losing(report: StatusReport) -> list[GenerationStatus]:
    """Generations whose workers have died lately."""
    return [each for each in report.generations if each.deaths]


def loss_sentence(generation: GenerationStatus) -> str:
    """``9 workers within a minute; worker 21 ended: exit 7; the next one is started in 24 s``"""
    what = f"{generation.deaths} {'worker' if generation.deaths == 1 else 'workers'} within a minute"
    after = generation.next_start_s
    then = f"the next one is started in {age(after)}" if after is not None else ""
    return "; ".join(filter(None, (what, generation.last_death.partition("\n")[0][:WHY_MAX], then)))


def bar(done: int, of: int, width: int) -> str:
    """How much of it is done, in ``width`` characters."""
    full = width if of <= 0 else max(0, min(width, done * width // of))
    return BAR_FULL * full + BAR_EMPTY * (width - full)


# --- rates between two reports -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rates:
    """Of a generation, between two reports. Latencies in seconds; None: no answer in between."""

    requests_per_s: float = 0.0
    errors_per_s: float = 0.0
    p50_s: float | None = None
    p99_s: float | None = None
    processor: float = 0.0
    """Of one processor, all its workers together; 1.0: all of it."""


def are_of_one_life(before: StatusReport, now: StatusReport) -> bool:
    """Whether both are of the same service: it was not stopped and started in between. An upgrade keeps its life."""
    return before.pid == now.pid and now.uptime_s > before.uptime_s


def rates(before: StatusReport | None, now: StatusReport) -> dict[int, Rates]:
    """By generation. Without a report before it, or after a restart: nothing is known yet."""
    if before is None or not are_of_one_life(before, now):
        return {}
    for_s = now.uptime_s - before.uptime_s
    known = {generation.number: generation for generation in before.generations}
    return {each.number: _rates(known.get(each.number), each, now, for_s) for each in now.generations}


def _rates(before: GenerationStatus | None, now: GenerationStatus, report: StatusReport, for_s: float) -> Rates:
    buckets_before = before.latency_buckets if before else ()
    # A worker that ends takes its figures with it for a moment: never less than nothing.
    new = [
        max(0, count - (buckets_before[place] if place < len(buckets_before) else 0))
        for place, count in enumerate(now.latency_buckets)
    ]
    return Rates(
        requests_per_s=max(0, now.requests - (before.requests if before else 0)) / for_s,
        errors_per_s=max(0, now.errors - (before.errors if before else 0)) / for_s,
        p50_s=quantile_s(new, report.latency_bounds_s, 0.5),
        p99_s=quantile_s(new, report.latency_bounds_s, 0.99),
        processor=sum(processors(before, now, for_s).values()),
    )


def processors(before: GenerationStatus | None, now: GenerationStatus, for_s: float) -> dict[int, float]:
    """By worker, of one processor. One that was not there before has used all that it has in this time."""
    used = {worker.id: worker.processor_s for worker in before.workers} if before else {}
    return {worker.id: max(0.0, worker.processor_s - used.get(worker.id, 0.0)) / for_s for worker in now.workers}


# --- what to type next ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Advice:
    command: str
    why: str


def advice(report: StatusReport) -> list[Advice]:
    """What somebody could type now, most urgent first; nothing if all is well."""
    return [*_on_trouble(report), *_on_the_way(report), *_on_rest(report)]


def _on_trouble(report: StatusReport) -> Iterator[Advice]:
    loops = [each for each in report.generations if each.is_crash_loop]
    for each in loops:
        if report.back and each.number == report.serving:
            yield Advice(
                "midair rollback", f"workers of {each.version} die again and again; {report.back} served before"
            )
        yield Advice(f"midair logs -g {each.number}", "what they printed before they died")
    if report.state == "failing" and not loops:
        yield Advice("midair logs --level error", "nothing serves: no worker is left")
    for generation in report.generations:
        for worker in generation.workers:
            if worker.state == "hung":
                where = f"{generation.number}.{worker.slot}"
                yield Advice(f"midair stacks {where}", f"worker {where} hangs: this shows where it stands")
    last = report.last[0] if report.last else None
    if last and last.result in ("refused", "rolled-back"):
        why = last.fault.partition("\n")[0][:WHY_MAX]
        how = "was refused" if last.result == "refused" else "was rolled back"
        yield Advice(f"midair receipt {last.number}", f"update {last.number} {how}: {why}")
    if report.moving and report.moving.share < 1:
        yield Advice("midair rollback", "the new version fails or is slow, so fewer connections move to it")


def _on_the_way(report: StatusReport) -> Iterator[Advice]:
    going = report.update
    if going and going.phase == "bake":
        yield Advice(
            "midair rollback", f"takes update {going.update} back, without a start, for {age(going.left_s)} yet"
        )
    elif going and report.serving:
        yield Advice("midair rollback", f"calls update {going.update} off")
    for generation in draining(report):
        yield Advice(f"midair why-alive {generation.number}", f"what keeps generation {generation.number}, one by one")
    if any(each.role == "retiring" for each in draining(report)):
        yield Advice("midair drain", "ends what drains within 5 s")


def _on_rest(report: StatusReport) -> Iterator[Advice]:
    if report.hold:
        yield Advice("midair hold --release", f"updates are held: {report.hold.reason}")
    elif trouble_with_disk(report) == "left":
        yield Advice('midair hold -m "WHY"', f"keeps {report.on_disk} from coming back with the next reload")
    if any(each.note for each in report.generations):
        yield Advice("midair reload", "a generation gets no new workers, since its files have changed")
    elif (
        report.on_disk not in ("", report.version)
        and report.version
        and not (report.update or trouble_with_disk(report))
    ):
        yield Advice("midair reload", f"updates to {report.on_disk}, which is on disk")
