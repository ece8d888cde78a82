"""
Run the benchmarks and print the table of docs/performance.md.

    python scripts/performance.py            all of them as the targets ask, some 20 minutes
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
        return self.unit.startswith(("events/s", "rows/s", "of it"))


SIZES: Final = {
    "apply": 1_000_000,
    "catch-up": 1_000_000,
    "seal": 100_000,
    "custody": 100_000,
    "ingest": 200_000,
    "audit": 2_000_000,
    "read": 1_000_000,
    "scope": 1_000_000,
    "growth": 10_000_000,
    "network": 60,
    "import": 1_000_000,
    "import-run": 1_000_000,
    "import-run --engine cometbft": 500_000,
}
"""Events of each benchmark; seconds of `network`, rows of imports."""
ROWS: Final = (
    Row("one node applies", "apply", "events_per_s", 200_000, "events/s"),
    Row("one node catches up over TLS", "catch-up", "events_per_s", 100_000, "events/s"),
    Row("client seals", "seal", "sealed_events_per_cpu_s", 100_000, "events/s a core"),
    Row("custody checks", "custody", "check_events_per_cpu_s", 300_000, "events/s a core"),
    Row("four replicas, end to end", "ingest", "events_per_s", 20_000, "events/s"),
    Row("four CometBFT validators, end to end", "network", "events_per_s", 12_000, "events/s"),
    Row("a batch of it, 99 % of them", "network", "paced.p99_ms", 1000, "ms"),
    Row("one event alone to its receipt", "network", "single.p50_ms", 250, "ms"),
    Row("report of 12 months read", "network", "read.p50_ms", 50, "ms"),
    Row("one of four dead, share of the rate", "network", "one_dead.share", 0.8, "of it"),
    Row("a batch of that, 99 % of them", "network", "one_dead.paced.p99_ms", 2000, "ms"),
    Row("file of statements mapped", "import", "rows_per_cpu_s", 200_000, "rows/s a core"),
    Row("its memory, whatever the size", "import", "rss_mib_peak", 1024, "MiB"),
    Row("file imported into one node", "import-run", "events_per_s", 50_000, "rows/s"),
    Row("going on after a kill", "import-run", "resume_s", 5, "s"),
    Row("its memory, sealing", "import-run", "rss_mib_peak", 1024, "MiB"),
    Row("its memory, reading", "import-run", "rss_mib_peak_reader", 1024, "MiB"),
    Row(
        "file imported into four CometBFT validators",
        *("import-run --engine cometbft", "events_per_s", 10_000, "rows/s"),
    ),
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
    named = [each for each in arguments if each in SIZES]
    figures = {name: _run(name, SIZES[name] // divisor) for name in named or SIZES}
    print("| | target | measured | ratio | command |")
    print("|---|---|---|---|---|")
    for row in ROWS:
        if row.bench in figures:
            print(_line(row, figures[row.bench], SIZES[row.bench] // divisor))


def _run(name: str, size: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tradeline_client", "bench", *name.split()]
    done = subprocess.run(
        [*command, _option(name), str(size), "--json"], stdout=subprocess.PIPE, check=True
    )
    sys.stderr.buffer.write(done.stdout)
    sys.stderr.flush()
    figures: dict[str, Any] = json.loads(done.stdout)
    if "phases" in figures:
        figures |= {name: figures["phases"][-1][name] for name in ("history_p50_us",)}
    return figures


def _option(name: str) -> str:
    if name.startswith("import"):
        return "--rows"
    return "--seconds" if name == "network" else "--events"


def _line(row: Row, figures: dict[str, Any], size: int) -> str:
    found: Any = figures
    for name in row.figure.split("."):
        found = found[name]
    measured = float(found)
    ratio = measured / row.target if row.more_is_better else row.target / measured
    sign = "≥" if row.more_is_better else "≤"
    shown = (
        f"{measured:,.0f}" if row.unit.startswith(("events/s", "rows/s")) else f"{measured:,.2f}"
    )
    command = f"`tradeline bench {row.bench} {_option(row.bench)} {size}`"
    return f"| {row.what} | {sign} {row.target:,g} {row.unit} | {shown} | {ratio:.2f} | {command} |"


if __name__ == "__main__":
    main()
