"""
The whole loop on made-up lenders: their files in, their books out, and nothing lost between.

    scripts/creforge-check --seed 1 --subjects 2000 --months 24 --json

creforge makes the books of forty lenders and the files that they send of them: late, twice, in
parts, wrong and put right later, put right before they were wrong. Each lender's client imports
its files in the order in which they arrive. Then each client loses all but keys and vault, reads
back what it said, and builds its books again; and another lender reads fifty persons under their
consent. creforge judges the first, this program the second. It ends with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scripts.creforge.books import (
    Delivery,
    Row,
    deliveries,
    identify,
    identities,
    issues,
    read_table,
    write_rows,
)
from scripts.creforge.faults import check_faults
from scripts.creforge.importing import Imported, import_file
from scripts.creforge.lenders import Lenders
from scripts.creforge.readers import Read, expected, read_all
from scripts.creforge.rebuild import forget, known_of, rebuild
from scripts.creforge.state import ACCOUNT_COLUMNS, MONTH_COLUMNS
from scripts.creforge.tool import provide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.creforge.tool import Tool

    from tradeline_ledger.identifier import SubjectId

READERS_SUBJECTS: Final = 50
CACHE: Final = Path(__file__).parents[2] / ".cache"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to make."""

    seed: int
    subjects: int
    months: int
    lenders: int = 40
    issues: str = "standard"
    """Profile of creforge."""
    read: int = READERS_SUBJECTS
    """Subjects whose reports are read."""


@dataclass(slots=True)
class Loop:
    """One run, and what came of each step."""

    tool: Tool
    plan: Plan
    folder: Path
    imported: Imported = field(default_factory=Imported)
    strays: int = 0
    """Of all lenders; see `Rebuilt.strays`."""
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        """Return what came of all steps."""
        books, inbox, plan = self.folder / "books", self.folder / "inbox", self.plan
        with self._step("make"):
            self.tool.generate(
                books,
                seed=plan.seed,
                subjects=plan.subjects,
                months=plan.months,
                lenders=plan.lenders,
            )
            self.tool.submissions(books, inbox, plan.seed, plan.issues)
        people = identities(row["subject_id"] for row in read_table(books / "subject"))
        sent = deliveries(inbox)
        names = sorted({each.lender for each in sent})
        with Lenders(self.folder / "consortium", names) as lenders:
            with self._step("import"):
                self._import(lenders, sent, people)
            with self._step("rebuild"):
                self._rebuild(lenders, sent, people)
            with self._step("report"):
                read = self._read(lenders, people)
        judged = self.tool.reconcile(books, self.folder / "rebuilt", inbox)
        found = issues(inbox)
        return {
            "seed": plan.seed,
            "subjects": plan.subjects,
            "months": plan.months,
            "lenders": len(names),
            "files": len(sent),
            **asdict(self.imported),
            "issues": sum(found.values()),
            "issues_by_type": found,
            "differences": judged["differences"] + self.strays + read.differences + read.warnings,
            "rebuilt": {**judged, "strays": self.strays},
            "reports": asdict(read),
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
        }

    def _import(
        self, lenders: Lenders, sent: list[Delivery], people: Mapping[str, SubjectId]
    ) -> None:
        for number, delivery in enumerate(sent):
            path = self.folder / "files" / f"{delivery.path.stem}.csv"
            identify(delivery, path, people)
            self.imported += import_file(lenders.client(delivery.lender), path, delivery.version)
            _progress(number + 1, len(sent))

    def _rebuild(
        self, lenders: Lenders, sent: list[Delivery], people: Mapping[str, SubjectId]
    ) -> None:
        files = defaultdict(list)
        for each in sent:
            files[each.lender].append(each.path)
        lenders.close_clients()
        accounts: list[Row] = []
        months: list[Row] = []
        for lender in lenders.lenders:
            forget(lenders.folder(lender))
            found = rebuild(lenders.client(lender), known_of(lender, files[lender], people))
            accounts += found.accounts
            months += found.months
            self.strays += found.strays
        tables = self.folder / "rebuilt"
        write_rows(tables / "account/part-00000.csv", ACCOUNT_COLUMNS, accounts)
        write_rows(tables / "account_month/part-00000.csv", MONTH_COLUMNS, months)

    def _read(self, lenders: Lenders, people: Mapping[str, SubjectId]) -> Read:
        books = self.folder / "books"
        accounts = read_table(books / "account")
        months: dict[str, list[Row]] = defaultdict(list)
        for row in read_table(books / "account_month"):
            months[row["account_id"]].append(row)
        wanted = expected(accounts, months)
        # Who has most accounts has most to lose; the others come as they stand in the books.
        busiest = sorted(wanted, key=lambda each: (-wanted[each].total(), each))
        half = self.plan.read // 2
        chosen = [*busiest[:half], *sorted(busiest[half:])[: self.plan.read - half]]
        days = {row["open_date"] for row in accounts}
        days |= {row["as_of_month"] for rows in months.values() for row in rows}
        reader, second = (lenders.client(each) for each in lenders.lenders[:2])
        return read_all(
            reader,
            second,
            {each: people[each] for each in chosen},
            lenders=lenders.members(),
            books=wanted,
            years=tuple(sorted({int(day[:4]) for day in days})),
        )

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started


def main() -> int:
    """Run the loop once and print what came of it."""
    parser = argparse.ArgumentParser(prog="creforge-check", description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--subjects", type=int, default=2_000)
    parser.add_argument("--months", type=int, default=24, help="at least 12")
    parser.add_argument("--lenders", type=int, default=40, help="at least 2")
    parser.add_argument("--issues", default="standard", help="none, light, standard or nasty")
    parser.add_argument("--read", type=int, default=READERS_SUBJECTS, help="reports to be read")
    parser.add_argument(
        "--faults", action="store_true", help="inject faults into the books and score what is found"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this new folder")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    given = parser.parse_args()
    plan = Plan(given.seed, given.subjects, given.months, given.lenders, given.issues, given.read)
    tool = provide(Path(os.environ.get("TRADELINE_CACHE", CACHE)))
    with tempfile.TemporaryDirectory(prefix="creforge-") as scratch:
        folder = given.keep or Path(scratch) / "check"
        folder.mkdir(parents=True)
        if given.faults:
            said = check_faults(
                tool, folder, seed=plan.seed, subjects=plan.subjects, months=plan.months
            )
        else:
            said = Loop(tool, plan, folder).run()
    if given.json:
        print(json.dumps(said, indent=2))
    else:
        _print(said)
    return 1 if said.get("differences") else 0


def _print(said: dict[str, Any]) -> None:
    for name, value in said.items():
        if isinstance(value, int | float):
            print(f"{name:<14} {value:>12,}")
    for name, count in said.get("issues_by_type", {}).items():
        print(f"  {name:<24} {count:>6,} deliveries")
    for each in said.get("rebuilt", {}).get("examples", ()):
        print(f"  {each}")
    for name, found in said.get("classes", {}).items():
        print(
            f"  {name:<24} {found['injected']:>6,} injected, recall {found['recall']:.1%}, "
            f"precision {found['precision']:.1%}"
        )


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {total} files", end="" if done < total else "\n", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
