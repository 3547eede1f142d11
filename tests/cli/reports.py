"""Reports of a service in the middle of an update, made by hand: for what is shown of them."""

from __future__ import annotations

import msgspec

from midair.control import words
from midair.observe.counters import LATENCY_BOUNDS_S
from midair.observe.holding import Connection, Holding, Process, Task, Thread

BASE_S = 1_790_000_000.0
"""A moment in September 2026."""


def worker(number: int, slot: int, state: str, **more: float | None) -> words.WorkerStatus:
    fields = {
        "connections": 0,
        "active": 0,
        "streams": 0,
        "websockets": 0,
        "requests": 0,
        "processor_s": 0.0,
        "age_s": 7260.0,
        **more,
    }
    return msgspec.convert(
        {"id": number, "slot": slot, "pid": 4100 + number, "state": state, "rss_bytes": 64 << 20, **fields},
        words.WorkerStatus,
    )


def buckets(fast: int, slow: int = 0) -> tuple[int, ...]:
    """So many answers within a millisecond, and so many within a quarter of a second."""
    counts = [0] * (len(LATENCY_BOUNDS_S) + 1)
    counts[0], counts[7] = fast, slow
    return tuple(counts)


def draining(at_s: float = 0.0) -> words.StatusReport:
    """Version 1.9 serves, 1.8 drains, update 8 bakes; ``at_s`` later."""
    more = int(at_s * 100)
    old = words.GenerationStatus(
        number=7,
        version="1.8",
        role="retiring",
        mode="fork",
        workers=(
            worker(
                3,
                0,
                "leaving",
                connections=400,
                active=4,
                streams=1,
                websockets=12,
                processor_s=90.0,
                ends_in_s=240.0 - at_s,
            ),
            worker(4, 1, "leaving", connections=360, processor_s=80.0, ends_in_s=240.0 - at_s),
        ),
        age_s=7262.0,
        requests=900_000 + more,
        latency_buckets=buckets(900_000 + more),
    )
    new = words.GenerationStatus(
        number=8,
        version="1.9",
        role="serving",
        mode="fork",
        workers=(
            worker(5, 0, "serving", connections=640, active=5, processor_s=2.0 + at_s / 4, age_s=31.0),
            worker(6, 1, "serving", connections=600, active=4, processor_s=2.0 + at_s / 2, age_s=31.0),
        ),
        age_s=32.0,
        requests=4_000 + 4 * more,
        errors=int(at_s * 2),
        latency_buckets=buckets(4_000 + 3 * more, more),
    )
    return words.StatusReport(
        name="shop",
        folder="/srv/shop",
        target="main:app",
        pid=4099,
        midair="0.1.0",
        uptime_s=90_000.0 + at_s,
        state="updating",
        serving=8,
        version="1.9",
        on_disk="1.9",
        workers=2,
        generations=(old, new),
        update=words.UpdateStatus(
            update=8, phase="bake", generation=8, version="1.9", age_s=4.0 + at_s, by="uid 1000 (anna)", left_s=7.0
        ),
        moving=words.MovingStatus(left=760, of=2000, moved=1240, for_s=7.6, rate_per_s=0.05),
        last=(
            words.ReceiptLine(
                number=8,
                time_s=BASE_S - 4,
                result="",
                source="1.8",
                target="1.9",
                by="uid 1000 (anna)",
                reason="fix #12",
            ),
            words.ReceiptLine(
                number=7,
                time_s=BASE_S - 7260,
                result="committed",
                source="1.7",
                target="1.8",
                duration_s=11.2,
                by="SIGHUP",
            ),
        ),
        binds=("127.0.0.1:8000",),
        metrics="127.0.0.1:9464",
        events=(
            event(1, "update_started", update=8, generation=8, by="uid 1000 (anna)", previous="1.8"),
            event(2, "candidate_ready", update=8, generation=8, version="1.9", ready_after_s=0.62),
            event(3, "cut_over", update=8, generation=8, version="1.9", previous=7, since_start_s=0.64),
            event(4, "connections_moving", generation=8, left=760, of=2000),
            event(5, "probe_failed", "warning", worker=5, answer="503", failures=1),
        ),
        rss_bytes=24 << 20,
        latency_bounds_s=LATENCY_BOUNDS_S,
    )


def event(number: int, name: str, level: str = "info", **fields: str | float) -> words.EventLine:
    return words.EventLine(number=number, time_s=BASE_S + number, level=level, event=name, fields={**fields})


def refused() -> words.StatusReport:
    """Update 8 could not be imported; 1.8 serves as if nothing had been."""
    report = draining()
    old, _ = report.generations
    workers = (worker(3, 0, "serving", connections=400, active=3), worker(4, 1, "serving", connections=360))
    serving = msgspec.structs.replace(old, role="serving", workers=workers)
    last = words.ReceiptLine(
        number=8,
        time_s=BASE_S - 30,
        result="refused",
        source="1.8",
        target="1.9",
        duration_s=0.3,
        by="uid 1000 (anna)",
        fault="syntax error in main.py, line 7\nmore",
    )
    return msgspec.structs.replace(
        report,
        state="serving",
        serving=7,
        version="1.8",
        generations=(serving,),
        update=None,
        moving=None,
        last=(last, report.last[1]),
    )


def crash_loop() -> words.StatusReport:
    """1.9 was committed, and its workers end again and again; none is left."""
    report = draining()
    lost = msgspec.structs.replace(
        report.generations[1],
        workers=(),
        deaths=9,
        last_death="worker 21 ended: exit 7",
        is_crash_loop=True,
        next_start_s=24.0,
    )
    committed = msgspec.structs.replace(report.last[0], result="committed", duration_s=11.0)
    return msgspec.structs.replace(
        report,
        state="failing",
        back="1.8",
        generations=(lost,),
        update=None,
        moving=None,
        last=(committed, report.last[1]),
    )


def gone_back() -> words.StatusReport:
    """Somebody went back from 1.9, which is on the disk yet, to 1.8."""
    report = refused()
    there = msgspec.structs.replace(report.last[0], result="committed", fault="")
    back = msgspec.structs.replace(there, number=9, source="1.9", target="1.8")
    return msgspec.structs.replace(report, last=(back, there, report.last[1]))


# --- what keeps a version ------------------------------------------------------------------------------------------

HELD = Holding(
    kinds={"websocket": 1, "request": 1, "idle": 40, "background": 1},
    connections=(
        Connection(
            peer="10.0.0.7:51234",
            kind="websocket",
            age_s=90,
            request="WEBSOCKET /prices",
            for_s=90,
            why_not="its application carries nothing (midair.carry_on)",
            stack=("/srv/shop/main.py:33 in prices", "/srv/shop/main.py:12 in app"),
        ),
        Connection(peer="10.0.0.8:4711", kind="request", age_s=7, request="GET /report", for_s=5, can_move=True),
        *(Connection(peer=f"10.0.0.9:{port}", kind="idle", age_s=3, can_move=True) for port in range(5)),
        Connection(peer="10.0.0.9:99", kind="background", age_s=9, request="POST /orders", for_s=8),
    ),
    tasks=(Task(name="refresh", stack=("/srv/shop/rates.py:8 in refresh",)),),
    tasks_more=2,
    threads=(
        Thread(name="pool_0", is_idle=True),
        Thread(name="asyncio_0", stack=("/usr/lib/python3.11/socket.py:706 in readinto",)),
        Thread(name="stats", is_daemon=True),
    ),
    ends_in_s=120,
)
WORKER = words.WorkerHolding(
    id=3,
    slot=0,
    pid=77,
    state="leaving",
    holding=HELD,
    processes=(Process(pid=80, command="convert in.png out.webp", state="R", age_s=4),),
    ends_in_s=120,
)
REPORT = words.WhyAliveReport(
    generation=7,
    version="1.8",
    role="retiring",
    age_s=7200,
    why="it retires: its workers end when nothing keeps them any more, or at their deadline",
    workers=(WORKER,),
    programs=("mailer",),
)
