"""
Faults injected into four real nodes under load, any number of rounds: what is lost, what forks.

    python -m scripts.soak                                  every fault, 5 rounds
    python -m scripts.soak --faults kill --rounds 50        one of them
    python -m scripts.soak --seed N --seeds K --json        for machines
    python -m scripts.soak --links proxies                  nodes on loopback, without root

Run it from the root of the repository. Each seed is a network of its own, in a temporary folder
that is kept if anything is wrong. The exit code is 1 then. Where root can make them, each node is
in a network namespace, which is gone after the run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from tests.network import disks, link_faults, namespaces
from tests.network.namespaces import NamespaceLinks
from tests.network.proxy_links import ProxyLinks
from tests.network.trial import ALL, LinksKind, Row, trial_of

from tradeline_client.errors import ClientError

if TYPE_CHECKING:
    from tests.network.oracle import Verdict

ROUNDS: Final = 5
HOLD_S: Final = 5.0
KINDS: Final[dict[str, LinksKind]] = {"proxies": ProxyLinks, "namespaces": NamespaceLinks}


def main() -> None:
    """Run what was asked for and print the table."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    asked.add_argument("--faults", default=",".join(ALL), help="by commas; default: all")
    asked.add_argument("--rounds", type=int, default=ROUNDS, help="of each fault")
    asked.add_argument("--seed", type=int, default=0, help="the first seed")
    asked.add_argument("--seeds", type=int, default=1, help="how many")
    asked.add_argument("--hold", type=float, default=HOLD_S, help="seconds that a fault lasts")
    asked.add_argument("--links", choices=KINDS, help="default: namespaces, where possible")
    asked.add_argument("--json", action="store_true", help="print JSON")
    given = asked.parse_args()
    names = given.faults.split(",")
    unknown = sorted(set(names) - set(ALL))
    if unknown:
        asked.error(f"no fault {', '.join(unknown)}; there are {', '.join(ALL)}")
    kind = _kind(given.links, asked)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows: list[Row] = []
    for seed in range(given.seed, given.seed + given.seeds):
        for name in names:
            rows.append(run(name, seed, given.rounds, given.hold, KINDS[kind]))
            print(_line(rows[-1]), file=sys.stderr, flush=True)
    show(rows, json_wanted=given.json)
    sys.exit(1 if any(row.problems for row in rows) else 0)


def run(name: str, seed: int, rounds: int, hold_s: float, links: LinksKind) -> Row:
    """Return what became of a new network with this fault."""
    row = Row(name, seed)
    missing = disks.lacking(name) or link_faults.lacking(name, links)
    if missing:
        row.notes[f"left out, lacking {missing}"] += 1
        return row
    folder = Path(tempfile.mkdtemp(prefix="tradeline-soak-"))
    try:
        with trial_of(folder / "trial", seed, name, links) as running:
            row = running.run(name, rounds, hold_s)
            _judged(row, running.finish(folder / "mirror"))
    except (AssertionError, ClientError) as error:
        row.problems.append(str(error))
    if row.problems:
        row.problems.append(f"kept in {folder}")
    else:
        shutil.rmtree(folder)
    return row


def show(rows: list[Row], *, json_wanted: bool) -> None:
    """Print the table."""
    if json_wanted:
        print(json.dumps([_document(row) for row in rows], indent=2))
    else:
        _print_table(rows)


def _kind(given: str | None, asked: argparse.ArgumentParser) -> str:
    """Return the links to use: those asked for, else namespaces where this machine has them."""
    missing = namespaces.lacking() if given != "proxies" else ""
    if missing and given is not None:
        asked.error(f"no namespaces here, lacking {missing}")
    if missing:
        print(f"links are proxies: namespaces lack {missing}", file=sys.stderr)
    return given or ("proxies" if missing else "namespaces")


def _judged(row: Row, verdict: Verdict) -> None:
    row.acked, row.lost, row.forks = verdict.acked, verdict.lost, verdict.forks
    row.problems = verdict.problems


def _line(row: Row) -> str:
    said = "; ".join(row.problems) or "well"
    return f"{row.fault} seed {row.seed}: {row.rounds} rounds, {row.acked} acked, {said}"


def _document(row: Row) -> dict[str, object]:
    figures = {"recovery_p50_s": _median(row), "recovery_max_s": _most(row)}
    return asdict(replace(row, notes=Counter())) | {"notes": dict(row.notes)} | figures


def _median(row: Row) -> float | None:
    return round(statistics.median(row.recovery_s), 2) if row.recovery_s else None


def _most(row: Row) -> float | None:
    return round(max(row.recovery_s), 2) if row.recovery_s else None


def _print_table(rows: list[Row]) -> None:
    table = Table(
        "fault", "seed", "rounds", "acked", "during", "lost", "forks", "recovery p50", "max", "met"
    )
    for row in rows:
        met = ", ".join(f"{what} {count}" for what, count in sorted(row.notes.items()))
        figures: list[object] = [row.seed, row.rounds, row.acked, row.during, row.lost, row.forks]
        figures += [_median(row), _most(row)]
        table.add_row(row.fault, *map(str, figures), "; ".join(row.problems)[:200] or met)
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
