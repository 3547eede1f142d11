"""How long commands take that are typed in an incident, beside an interpreter that does nothing, in one run.

Wall time from the start of the process to its end. The rows take turns, so that what else the machine does meets all of them; the
ratio says what stays the same from one machine to the next.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from bench import peers, table

ROUNDS = 21
COLUMNS = ("command", "median ms", "best ms", "times python -c pass")
LINES = {
    "python -c pass": ("-c", "pass"),
    "midair --help": ("-m", "midair", "--help"),
    "midair status": ("-m", "midair", "status"),
    "midair status --json": ("-m", "midair", "status", "--json"),
    "midair status -C .": ("-m", "midair", "status", "-C", "."),
    "midair why-alive": ("-m", "midair", "why-alive"),
    "midair history": ("-m", "midair", "history"),
}


def main() -> None:
    took_s: dict[str, list[float]] = {name: [] for name in LINES}
    with peers.serve(peers.MIDAIR) as server:
        for number in range(ROUNDS + 1):
            for name, words in LINES.items():
                seconds = _took_s(server.folder, words)
                if number:  # the first round writes bytecode
                    took_s[name].append(seconds)
    base_s = median(took_s["python -c pass"])
    rows = [[name, median(each) * 1e3, min(each) * 1e3, median(each) / base_s] for name, each in took_s.items()]
    table.show(f"commands of a running service, {ROUNDS} rounds", COLUMNS, rows)
    print(table.versions("midair", "click", "msgspec"))


def _took_s(folder: Path, words: tuple[str, ...]) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began_s = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began_s
