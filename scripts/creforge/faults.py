"""
Tables with known faults, through mapping, cleansing and a job: which faults are found.

creforge puts sixteen kinds of fault into a copy of the books and keeps an answer key. Each table is
a file, that of months one file a month, as they come. What mapping, cleansing, the courses of
accounts and the job say about a row is a finding, whatever becomes of the row; creforge scores
them. Rows of accounts that are held or rejected are mended before the months come, as a person
would from the reject file, so that one fault is not counted again in every month of its account.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq
from scripts.creforge.books import (
    ANSWERS_NAME,
    IDENTITY_COLUMN,
    Row,
    identities,
    read_table,
    write_rows,
)
from scripts.creforge.lenders import Lenders

from tradeline_client.cli.session import today
from tradeline_client.imports.cleansing import Cleanser
from tradeline_client.imports.fault import Severity
from tradeline_client.imports.job import ImportRun
from tradeline_client.imports.job_plan import Fate
from tradeline_client.imports.job_prepare import Preparer
from tradeline_client.imports.job_source import LocalSource
from tradeline_client.imports.job_store import STORAGE_NAME, JobStore
from tradeline_client.imports.mapping_file import load_mapping
from tradeline_client.imports.mapping_run import MappedFile
from tradeline_ledger.calendar import month_of, period

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from scripts.creforge.tool import Tool

    from tradeline_client.client import Client
    from tradeline_client.imports.columns import MappedChunk
    from tradeline_ledger.identifier import SubjectId

MAPPINGS: Final = Path(__file__).parent / "mappings"
KEYS: Final = {
    "account": ("account_id",),
    "account_month": ("account_id", "as_of_month"),
    "inquiry": ("inquiry_id",),
    "account_party": ("account_id", "subject_id", "role"),
}
"""Columns that make the key of a row, by table, in the order in which the tables come."""
HOLE_MONTHS_MAX: Final = 12
LENDER: Final = "L0001"
"""Who imports all tables."""
CODES: Final = {
    "duplicate_row": ("duplicate", "account-opened-twice", "period-reported"),
    "duplicate_key": ("conflict-same-ref", "duplicate", "period-reported", "outdated"),
    "orphan_row": ("value-missing", "account-not-opened"),
    "missing_month": ("month-missing",),
    "null_required": ("value-missing",),
    "unknown_code": ("code-unknown", "columns-disagree"),
    "negative_amount": ("sign-error", "value-not-allowed", "amount-outlier"),
    "scale_error": ("scale-error", "amount-jump", "amount-outlier"),
    "future_date": ("day-after-today",),
    "code_formatting": ("code-unknown", "code-padded"),
    "dpd_jump": ("columns-disagree", "days-past-due-jump"),
    "paid_while_rolling": ("paid-while-rolling",),
    "activity_after_closure": ("after-closure",),
    "close_reason_mismatch": ("columns-disagree",),
    "date_format": ("date-unreadable",),
    "type_mismatch": ("number-unreadable",),
}
"""By class of fault, what the product calls it: the codes of findings that mean it."""

_NAMED: Final = frozenset(code for codes in CODES.values() for code in codes)

Found = dict[int, set[tuple[str, str]]]
"""Codes of findings and the columns that they are about, by row of a file."""
Finding = tuple[str, str, str]
"""Table, key of the row, code."""


@dataclass(slots=True)
class Desk:
    """A lender's import with all of its checks, and what they find."""

    client: Client
    store: JobStore
    rows: int = 0
    events: int = 0
    """On the ledger."""
    out: set[int] = field(default_factory=set)
    """Rows of the last file that were held or rejected."""
    warnings: Counter[str] = field(default_factory=Counter)
    """Codes of warnings that mean none of the classes of faults, and how often they came."""

    def take(self, name: str, path: Path, mapping: Path, day: str) -> Found:
        """Import a file; return what was found, by row."""
        session = self.client.session
        loaded = load_mapping(mapping)
        self.out = set()
        found: Found = defaultdict(set)
        cleanser = Cleanser.open(session.folder.path, session.keystore, name)
        source = _Watched(MappedFile(path, loaded, day), self, cleanser, found)
        hashes = (hashlib.sha256(path.read_bytes()).digest(), loaded.sha256)
        feed = session.folder.profile.bulk_feed
        job = self.store.create(name, feed, hashes, {"path": str(path)}, session.clock_ms())
        prepared = LocalSource(source, Preparer(session.keystore))
        with closing(cleanser):
            ImportRun(self.client, self.store, job, prepared).run()
            cleanser.commit()
        for first in self.store.chunk_rows(job):
            chunk = self.store.chunk(job, first)
            assert chunk is not None, first
            for unsent in chunk.unsent:
                found[int(unsent["row"])].add((Fate(int(unsent["fate"])).name.lower(), ""))
            self.rows += chunk.row_count
        self.events += sum(batch.count for batch in self.store.batches(job))
        return found


class _Watched:
    """Yields chunks without the rows that a check holds or rejects, and notes what it says."""

    def __init__(self, source: MappedFile, desk: Desk, cleanser: Cleanser, found: Found) -> None:
        self._source = source
        self._desk = desk
        self._cleanser = cleanser
        self._found = found

    def chunks(self, first_row: int = 0) -> Iterator[MappedChunk]:
        for chunk in self._source.chunks(first_row):
            checked = self._cleanser.check(chunk).chunk
            for each in checked.faults:
                if each.severity is Severity.WARNING and each.code not in _NAMED:
                    self._desk.warnings[each.code] += 1
                else:
                    self._found[each.row].add((each.code, each.column))
                if each.severity is not Severity.WARNING:
                    self._desk.out.add(each.row)
            yield checked


def check_faults(
    tool: Tool, folder: Path, *, seed: int, subjects: int, months: int
) -> dict[str, Any]:
    """Inject faults, import what comes of it, and return what creforge says of the findings."""
    books, dirty = folder / "books", folder / "dirty"
    start = _start(months)
    tool.generate(books, seed=seed, subjects=subjects, months=months, lenders=40, start=start)
    tool.inject(books, dirty, seed)
    clean = {name: read_table(books / name) for name in (*KEYS, "subject")}
    tables = {name: read_table(dirty / name) for name in KEYS}
    people = identities(row["subject_id"] for row in clean["subject"])
    findings: list[Finding] = []
    stated: set[tuple[str, str]] = set()
    with Lenders(folder / "consortium", [LENDER], nodes=1) as lenders:
        client = lenders.client(LENDER)
        session = client.session
        key = session.keystore.storage_key(STORAGE_NAME)
        with closing(JobStore(session.folder.path, key)) as store:
            desk = Desk(client, store)
            for name, rows, table in _files(tables, people):
                found = list(_take(desk, folder, name, table, rows))
                findings += [*found, *_holes(found, stated)]
                if table == "account_month":
                    passed = (row for at, row in enumerate(rows) if at not in desk.out)
                    stated |= {(row["account_id"], row["as_of_month"]) for row in passed}
                if table == "account":
                    held = {key for each, key, _ in findings if each == table}
                    _mend(desk, folder, clean[table], held, people)
    return {
        "seed": seed,
        "subjects": subjects,
        "months": months,
        "rows": desk.rows,
        "events": desk.events,
        "other_warnings": dict(desk.warnings),
        **_scored(tool, folder, dirty / ANSWERS_NAME, findings),
    }


def _start(months: int) -> str:
    """Return the first month of a window that ended last month: later days are yet to come."""
    now = datetime.now(UTC)
    return period(now.year * 12 + now.month - 1 - months)


def _files(
    tables: Mapping[str, list[Row]], people: Mapping[str, SubjectId]
) -> Iterator[tuple[str, list[Row], str]]:
    """Yield files to import in their order: name, rows and table."""
    reasons = {row["account_id"]: row["close_reason"] for row in reversed(tables["account"])}
    owners = {row["account_id"]: row["subject_id"] for row in tables["account"]}
    for row in tables["account_party"]:
        # The account may not say whose it is; a row without an account says it of nothing.
        if row["role"] == "primary" and row["account_id"] in owners:
            owners[row["account_id"]] = row["subject_id"]
    for row in tables["account_month"]:
        row["subject_id"] = owners.get(row["account_id"], "")
        row["close_reason"] = reasons.get(row["account_id"], "")
    for table in KEYS:
        for row in tables[table]:
            subject = people.get(row["subject_id"])
            row[IDENTITY_COLUMN] = "" if subject is None else subject.identifier
        if table != "account_month":
            yield table, tables[table], table
            continue
        by_month: dict[str, list[Row]] = defaultdict(list)
        for row in tables[table]:
            by_month[row["as_of_month"]].append(row)
        for month in sorted(by_month):
            yield f"{table} {month}", by_month[month], table


def _take(desk: Desk, folder: Path, name: str, table: str, rows: list[Row]) -> Iterator[Finding]:
    path = folder / "files" / f"{name}.csv"
    write_rows(path, rows[0], rows)
    day = today(desk.client.session.ledger)
    found = desk.take(name, path, MAPPINGS / f"{table}.toml", day)
    for at, codes in found.items():
        for code, column in codes:
            yield _finding(table, rows[at], code, column)


def _finding(table: str, row: Row, code: str, column: str) -> Finding:
    """Return a finding by the key of the row that is wrong."""
    if table == "account_month" and column == "close_reason":
        return ("account", row["account_id"], code)
    key = [row[name] for name in KEYS[table]]
    if code == "month-missing":
        key[1] = f"{period(month_of(row['as_of_month']) - 1)}-01"
    return table, "|".join(key), code


def _holes(findings: Iterable[Finding], stated: Collection[tuple[str, str]]) -> Iterator[Finding]:
    """Yield the months before those that are said to be missing, up to the last one stated."""
    for table, key, code in findings:
        if code != "month-missing":
            continue
        account, day = key.split("|")
        for back in range(1, HOLE_MONTHS_MAX):
            before = f"{period(month_of(day) - back)}-01"
            if (account, before) in stated:
                break
            yield table, f"{account}|{before}", code


def _mend(
    desk: Desk,
    folder: Path,
    clean: list[Row],
    held: set[str],
    people: Mapping[str, SubjectId],
) -> None:
    """Import the rows that were held or rejected as they should have been."""
    rows = [row for row in clean if row["account_id"] in held]
    for row in rows:
        row[IDENTITY_COLUMN] = people[row["subject_id"]].identifier
    if rows:
        list(_take(desk, folder, "account mended", "account", rows))


def _scored(tool: Tool, folder: Path, answers: Path, findings: Iterable[Finding]) -> dict[str, Any]:
    listed = sorted(set(findings))
    path = folder / "findings.csv"
    rows = sorted({each[:2] for each in listed})
    columns = ("table", "row_key")
    write_rows(path, columns, (dict(zip(columns, row, strict=True)) for row in rows))
    whole = tool.score(answers, path)
    injected = {
        (each["table"], each["row_key"]): each["fault_type"]
        for each in pq.read_table(answers).to_pylist()
    }
    classes = {}
    for name, found in sorted(whole["by_type"].items()):
        # The tool gives one precision for all; by class it is counted in the same way.
        own = {each[:2] for each in listed if each[2] in CODES[name]}
        right = sum(each in injected for each in own)
        codes = Counter(each[2] for each in listed if injected.get(each[:2]) == name)
        classes[name] = {
            "injected": found["injected"],
            "found": found["found"],
            "recall": round(found["recall"], 4),
            "precision": round(right / len(own), 4) if own else 0.0,
            "codes": dict(codes.most_common(4)),
        }
    false = Counter(each[2] for each in listed if each[:2] not in injected)
    return {
        "faults": whole["faults"],
        "findings": whole["findings"],
        "recall": round(whole["recall"], 4),
        "precision": round(whole["precision"], 4),
        "classes": classes,
        "false_by_code": dict(false.most_common()),
    }
