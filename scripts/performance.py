"""
Run the benchmarks and print the table of docs/performance.md.

    python scripts/performance.py            all of them as the targets ask, some 15 minutes
    python scripts/performance.py --quick    a tenth of the events
    python scripts/performance.py seal read  only these benchmarks

What one benchmark printed goes to standard error as it comes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final, NamedTuple

QUICK: Final = 10
"""By how much fewer events a quick run has."""


class Row(NamedTuple):
    """One line of the table."""

    what: str
    bench: str
    figure: str
    target: float
    unit: str

    @property
    def more_is_better(self) -> bool:
        """Whether the figure is a rate; all others are costs."""
        return self.unit.startswith("events/s")


EVENTS: Final = {
    "apply": 1_000_000,
    "catch-up": 1_000_000,
    "seal": 100_000,
    "custody": 100_000,
    "ingest": 200_000,
    "audit": 2_000_000,
    "read": 1_000_000,
    "scope": 1_000_000,
    "growth": 10_000_000,
}
ROWS: Final = (
    Row("one node applies", "apply", "events_per_s", 200_000, "events/s"),
    Row("one node catches up over TLS", "catch-up", "events_per_s", 100_000, "events/s"),
    Row("client seals", "seal", "sealed_events_per_cpu_s", 100_000, "events/s a core"),
    Row("custody checks", "custody", "check_events_per_cpu_s", 300_000, "events/s a core"),
    Row("four replicas, end to end", "ingest", "events_per_s", 20_000, "events/s"),
    Row("audit of a mirror", "audit", "events_per_cpu_s", 150_000, "events/s a core"),
    Row("audit, cost of 4 times the events", "audit", "growth", 1.0, "times"),
    Row("report of 100 events verified", "read", "verify_cpu_ms", 20, "ms"),
    Row("its releases served, all four nodes", "read", "releases_p50_ms", 50, "ms"),
    Row("scope of 600 members, one node", "scope", "cpu_ms", 50, "ms"),
    Row("cost from 10⁴ to 10⁷ subjects", "growth", "growth", 1.3, "times"),
    Row("memory of a node at the end of it", "growth", "rss_mib", 1024, "MiB"),
    Row("history of one tag found", "growth", "history_p50_us", 50, "µs"),
)


def main() -> None:
    """Run what the arguments name and print the table."""
    arguments = sys.argv[1:]
    divisor = QUICK if "--quick" in arguments else 1
    named = [each for each in arguments if each in EVENTS]
    figures = {name: _run(name, EVENTS[name] // divisor) for name in named or EVENTS}
    print("| | target | measured | ratio | command |")
    print("|---|---|---|---|---|")
    for row in ROWS:
        if row.bench in figures:
            print(_line(row, figures[row.bench], EVENTS[row.bench] // divisor))


def _run(name: str, events: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tradeline_client", "bench", name]
    done = subprocess.run(
        [*command, "--events", str(events), "--json"], stdout=subprocess.PIPE, check=True
    )
    sys.stderr.buffer.write(done.stdout)
    sys.stderr.flush()
    figures: dict[str, Any] = json.loads(done.stdout)
    if "phases" in figures:
        figures |= {name: figures["phases"][-1][name] for name in ("history_p50_us",)}
    return figures


def _line(row: Row, figures: dict[str, Any], events: int) -> str:
    measured = float(figures[row.figure])
    ratio = measured / row.target if row.more_is_better else row.target / measured
    sign = "≥" if row.more_is_better else "≤"
    shown = f"{measured:,.0f}" if row.more_is_better else f"{measured:,.2f}"
    command = f"`tradeline bench {row.bench} --events {events}`"
    return f"| {row.what} | {sign} {row.target:,g} {row.unit} | {shown} | {ratio:.2f} | {command} |"


if __name__ == "__main__":
    main()
