"""Reading a file of statements: parsed, checked, mapped to events and encoded, nothing sealed."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from tradeline_client.bench.stopwatch import Stopwatch, rss_mib
from tradeline_client.imports.encoding import encode_fields
from tradeline_client.imports.mapping_file import read_mapping
from tradeline_client.imports.mapping_run import MappedFile, map_chunk
from tradeline_ledger.calendar import date_of_day
from tradeline_ledger.errors import VerificationError
from tradeline_ledger.identifier import resident_id
from tradeline_ledger.measured import Measured

if TYPE_CHECKING:
    from tradeline_client.imports.mapping import Mapping

TODAY: Final = "2026-10-05"
MAPPING: Final = b"""
[subject]
type = "resident_id"
column = "cert_no"
[[event]]
type = "account.statement"
basis = "contract"
account = "{acct_no}"
ref = "statement {acct_no} {period}"
occurred_on = { column = "stmt_date", date = "YYYYMMDD" }
[event.fields]
period = { column = "stmt_date", date = "YYYYMMDD" }
currency = "ccy"
statement_balance_minor = { column = "balance", unit = "major" }
days_past_due = "dpd"
past_due_minor = { column = "past_due", unit = "major" }
paid_minor = { column = "paid", unit = "major" }
minimum_due_minor = { column = "min_due", unit = "major" }
[event.fields.five_class]
column = "class"
codes = { 1 = "normal", 2 = "special_mention", 3 = "substandard", 4 = "doubtful", 5 = "loss" }
"""
HEADER: Final = (
    "acct_no,cert_no,stmt_date,ccy,balance,dpd,past_due,paid,min_due,class,branch,remark\n"
)
_SEED: Final = 7
_BIRTH_DAYS: Final = 18_262
"""Days from 1850 to 1899: who was born then is nobody living."""
_FIRST_DAY: Final = -43_829
_COUNTIES: Final = ("110101", "110102", "310104", "330122", "510321")
_FAULTY: Final = 1_000
"""One row in so many can't be read."""


def measure_import(rows: int) -> Measured:
    """
    Return what it takes to read so many rows of CSV, each about another person.

    Stages: `parse` (hash, decoding, cells into columns), `map` (identifiers, dates, amounts, bounds
    and rules, references) and `encode` (canonical bytes of the fields). One row of a thousand has
    a fault.
    """
    mapping = read_mapping("bench", MAPPING)
    with tempfile.TemporaryDirectory(prefix="tradeline-bench-") as folder:
        path = Path(folder) / "statements.csv"
        write_statements(path, rows)
        before = rss_mib()
        watch = _run(path, mapping, rows)
        size = path.stat().st_size
    reading = watch.cpu_s["parse"] + watch.cpu_s["map"]
    more = {
        "rows_per_cpu_s": round(rows / reading),
        "rows_per_cpu_s_encoded": round(rows / (reading + watch.cpu_s["encode"])),
        "row_bytes": round(size / rows, 1),
        "rss_mib_added": round(rss_mib() - before, 1),
        "rss_mib_peak": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    return Measured("import", rows, watch.seconds, watch.laps_ms, watch.cpu_s, rss_mib(), more)


def write_statements(path: Path, rows: int) -> None:
    """Write a file of statements, each of another account and person."""
    random = np.random.default_rng(_SEED)
    balances = random.integers(0, 5_000_000, rows)
    days_late = np.where(random.random(rows) < 0.1, random.integers(1, 181, rows), 0)  # noqa: PLR2004
    with path.open("w", encoding="ascii") as file:
        file.write(HEADER)
        for number, (balance, late) in enumerate(
            zip(balances.tolist(), days_late.tolist(), strict=True)
        ):
            sequence, birth_day = divmod(number, _BIRTH_DAYS)
            county = _COUNTIES[sequence // 1000]
            person = resident_id(county, date_of_day(_FIRST_DAY + birth_day), sequence % 1000)
            due = balance // 10 if late else 0
            amount = f"{balance / 100:.2f}" if number % _FAULTY else "n/a"
            past_due = f"{max(due, 1) / 100:.2f}" if late else "0.00"
            file.write(
                f"{number:012},{person},20260930,CNY,{amount},{late},{past_due},"
                f"{balance // 20 / 100:.2f},{balance // 10 / 100:.2f},{1 + late // 45},0101,\n"
            )


def _run(path: Path, mapping: Mapping, rows: int) -> Stopwatch:
    watch = Stopwatch()
    file = MappedFile(path, mapping, TODAY)
    chunks = file.source.chunks(mapping.columns())
    read = rejected = encoded_bytes = 0
    while True:
        with watch.lap():
            with watch.stage("parse"):
                chunk = next(chunks, None)
            if chunk is not None:
                with watch.stage("map"):
                    mapped = map_chunk(mapping, chunk, TODAY, file.source.names)
                with watch.stage("encode"):
                    encoded = [encode_fields(columns) for columns in mapped.events]
        if chunk is None:
            break
        read += mapped.row_count
        rejected += len(mapped.originals)
        encoded_bytes += sum(each.nbytes for each in encoded)
    if read != rows or rejected != -(-rows // _FAULTY):
        raise VerificationError(f"{read} rows were read and {rejected} of them rejected")
    return watch
