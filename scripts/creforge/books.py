"""
What creforge wrote: the books of lenders, the files that they send, and who is meant.

Its ids of subjects are no identifiers that anybody issues. Each subject gets a made-up resident
ID, valid and of somebody born in the nineteenth century, which goes into a column of its own.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq

from tradeline_client.population import identifiers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tradeline_ledger.identifier import SubjectId

IDENTITY_COLUMN: Final = "resident_id"
LOG_NAME: Final = "submissions.parquet"
ISSUES_NAME: Final = "issues.parquet"
ANSWERS_NAME: Final = "faults.parquet"
CORRECTION: Final = "correction"

_ALPHABET: Final = {each: at for at, each in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")}
_SEED: Final = b"subjects of creforge"

Row = dict[str, str]
"""One row of a table, all of it text, empty where nothing is said."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file of one lender."""

    lender: str
    """`L0001` to `L0040`."""
    kind: str
    """original, supplement, resend or correction."""
    path: Path

    @property
    def version(self) -> int:
        """Which report this is: a correction holds whenever it comes, else the later file."""
        return int(self.kind == CORRECTION)


def read_table(folder: Path) -> list[Row]:
    """Return the rows of one table, part by part."""
    rows: list[Row] = []
    for part in sorted(folder.glob("part-*.csv")):
        rows += read_rows(part)
    return rows


def read_rows(path: Path) -> list[Row]:
    """Return the rows of one file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Write a file of rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def deliveries(inbox: Path) -> list[Delivery]:
    """Return the files of an inbox in the order of their arrival."""
    log = pq.read_table(inbox / LOG_NAME).to_pylist()
    return [Delivery(each["lender_id"], each["kind"], inbox / each["file"]) for each in log]


def issues(inbox: Path) -> dict[str, int]:
    """Return how many deliveries have each issue."""
    found: dict[str, set[tuple[Any, ...]]] = {}
    for each in pq.read_table(inbox / ISSUES_NAME).to_pylist():
        place = (each["lender_id"], each["reporting_month"])
        found.setdefault(each["issue_type"], set()).add(place)
    return {name: len(places) for name, places in sorted(found.items())}


def identities(subject_ids: Iterable[str]) -> dict[str, SubjectId]:
    """Return a made-up person for each subject of the books; the same for the same books."""
    ordered = sorted(set(subject_ids))
    made = identifiers((_number(each) for each in ordered), _SEED)
    return dict(zip(ordered, made, strict=True))


def identify(delivery: Delivery, out: Path, people: Mapping[str, SubjectId]) -> None:
    """Write the file of a delivery with the identifiers of its subjects."""
    rows = read_rows(delivery.path)
    columns = list(rows[0])
    for row in rows:
        row[IDENTITY_COLUMN] = people[row["subject_id"]].identifier
    write_rows(out, [*columns, IDENTITY_COLUMN], rows)


def _number(subject_id: str) -> int:
    """Return the number that an id writes in base 32 after its first letter."""
    number = 0
    for each in subject_id[1:]:
        number = number << 5 | _ALPHABET[each]
    return number
