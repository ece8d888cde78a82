"""Metro 2 files through an import job: to the ledger once, corrected by the latest report."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

from tests.client.import_rows import counted, import_rows, opened_store, standing
from tests.client.network import Network
from tests.metro2 import account, file_of

from tradeline_client.imports.job_store import Job, JobState
from tradeline_client.metro2.kind import Packing
from tradeline_client.metro2.layout import Segment
from tradeline_client.metro2.record import Form
from tradeline_client.metro2.source import Metro2Source
from tradeline_client.session import Session
from tradeline_ledger.schemas import STATEMENT

TODAY = "2026-03-01"
BLOCKED = Form(Packing.DECIMAL, blocked=True, lines=False)
JANUARY, FEBRUARY = date(2026, 1, 31), date(2026, 2, 28)


def import_file(
    network: Network, session: Session, path: Path, *accounts: Segment
) -> tuple[Job, dict[str, int]]:
    """Import accounts as one file; return the job and what was counted."""
    path.write_bytes(file_of(*((each,) for each in accounts), form=BLOCKED))
    source: Any = Metro2Source(path, today=TODAY, chunk_records=2)
    job = import_rows(network, session, path.stem, source)
    with opened_store(session) as store:
        return job, counted(store, job)


def balances(network: Network, session: Session) -> list[tuple[str, int]]:
    """Return period and balance of every statement that holds, the account's name aside."""
    return sorted(
        (each.fields[0], each.fields[2])
        for each in standing(network, session).values()
        if each.schema == STATEMENT
    )


def report(number: int, on: date, balance: int, hour: int = 8, **values: Any) -> Segment:
    at = datetime(on.year, on.month, 28, hour)  # noqa: DTZ001 - the format has no zone
    return account(
        number,
        time_stamp=at,
        date_of_account_information=on,
        current_balance=balance,
        **{"date_of_last_payment": on.replace(day=9), **values},
    )


def test_each_month_is_on_the_ledger_once_and_the_opening_once_for_all(
    network: Network, session: Session, tmp_path: Path
) -> None:
    first, counts = import_file(
        network,
        session,
        tmp_path / "january.dat",
        *(report(number, JANUARY, 100 * number) for number in (1, 2, 3)),
    )
    assert first.state is JobState.DONE
    assert counts == {"rows": 3, "accepted": 9}

    _, counts = import_file(
        network,
        session,
        tmp_path / "february.dat",
        *(report(number, FEBRUARY, 90 * number) for number in (1, 2, 3)),
    )
    assert counts == {"rows": 3, "accepted": 6, "duplicate": 3}

    assert balances(network, session) == [
        *(("2026-01", 10_000 * number) for number in (1, 2, 3)),
        *(("2026-02", 9_000 * number) for number in (1, 2, 3)),
    ]


def test_latest_report_of_a_month_holds_in_whatever_order_they_come(
    network: Network, session: Session, tmp_path: Path
) -> None:
    import_file(network, session, tmp_path / "late.dat", report(1, JANUARY, 300, hour=12))
    import_file(network, session, tmp_path / "early.dat", report(1, JANUARY, 200, hour=9))
    assert balances(network, session) == [("2026-01", 30_000)]

    mended = report(1, JANUARY, 400, hour=12, correction_indicator="1")
    import_file(network, session, tmp_path / "mended.dat", mended)
    assert balances(network, session) == [("2026-01", 40_000)]


def test_record_that_is_refused_is_counted_and_the_rest_is_sent(
    network: Network, session: Session, tmp_path: Path
) -> None:
    job, counts = import_file(
        network,
        session,
        tmp_path / "month.dat",
        report(1, JANUARY, 100),
        report(2, JANUARY, 200, account_type="48"),
        report(3, JANUARY, 300),
    )

    assert job.state is JobState.DONE
    assert (counts["rows"], counts["accepted"], counts["reject"]) == (3, 6, 1)
    assert balances(network, session) == [("2026-01", 10_000), ("2026-01", 30_000)]
