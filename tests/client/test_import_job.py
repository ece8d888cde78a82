"""Jobs: what a file becomes on the ledger, and what is left of a job that was broken off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace

import pytest
from tests.client.import_rows import (
    MemoryClient,
    Row,
    Rows,
    columns,
    counted,
    expected,
    held,
    import_rows,
    on_ledger,
    opened_store,
)
from tests.client.imports.statements import Row as Account
from tests.client.imports.statements import chunk, opened, statement
from tests.client.network import Network

from tradeline_client.errors import CustodyError, StoreError, UnavailableError
from tradeline_client.imports.columns import MappedChunk
from tradeline_client.imports.fault import RowFault, Severity
from tradeline_client.imports.job import ImportRun
from tradeline_client.imports.job_cleansing import Cleansing, CleansingStep
from tradeline_client.imports.job_desk import run_reviewed
from tradeline_client.imports.job_months import Standing, all_period_counts, period_counts
from tradeline_client.imports.job_prepare import Preparer
from tradeline_client.imports.job_rejects import rejected_rows
from tradeline_client.imports.job_source import LocalSource
from tradeline_client.imports.job_store import Job, JobState
from tradeline_client.imports.review import Review
from tradeline_client.requests import Answer, Request, Response, TransportFailure
from tradeline_client.session import Session
from tradeline_ledger.calendar import parse_period
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.schemas import CLOSED, SCHEMAS
from tradeline_ledger.statement import EntryLeaf, decode_leaf


def rows(count: int, amount: int = 1000) -> list[Row]:
    return [Row(f"row {i}", amount + i, i % 7) for i in range(count)]


def test_each_row_of_a_file_is_on_the_ledger_once(network: Network, session: Session) -> None:
    wanted = rows(25)
    job = import_rows(network, session, "march", Rows(wanted), batch_events=4)
    assert job.state is JobState.DONE
    assert job.row_count == 25
    assert held(network, session) == expected(session, wanted)
    assert len(on_ledger(network, session)) == 25
    with opened_store(session) as store:
        assert counted(store, job) == {"rows": 25, "accepted": 25}


def test_a_file_that_comes_again_is_recognised_and_not_sent(
    network: Network, session: Session
) -> None:
    import_rows(network, session, "march", Rows(rows(25)))
    before = network.world.head.size
    job = import_rows(network, session, "march again", Rows(rows(25), chunk_rows=9))
    assert network.world.head.size == before
    with opened_store(session) as store:
        assert counted(store, job) == {"rows": 25, "duplicate": 25}


def test_rows_that_differ_become_corrections_of_what_was_sent(
    network: Network, session: Session
) -> None:
    import_rows(network, session, "march", Rows(rows(20)))
    changed = [row._replace(amount=5) if i % 3 == 0 else row for i, row in enumerate(rows(20))]
    job = import_rows(network, session, "corrections", Rows(changed))
    assert held(network, session) == expected(session, changed)
    with opened_store(session) as store:
        assert counted(store, job) == {"rows": 20, "corrected": 7, "duplicate": 13}


def test_a_row_about_another_subject_or_year_is_retracted_and_sent_anew(
    network: Network, session: Session
) -> None:
    import_rows(network, session, "march", Rows(rows(9)))
    changed = rows(9)
    changed[2] = changed[2]._replace(who=8)
    changed[5] = changed[5]._replace(day="2025-12-31")
    job = import_rows(network, session, "corrections", Rows(changed), batch_events=1)
    assert held(network, session) == expected(session, changed)
    with opened_store(session) as store:
        assert counted(store, job) == {"rows": 9, "retracted": 2, "moved": 2, "duplicate": 7}


def test_corrections_of_one_file_among_themselves_end_with_the_last_row(
    network: Network, session: Session
) -> None:
    several = [*rows(12), *rows(12, 2000), *rows(12, 3000)]
    several[30] = several[30]._replace(who=3)  # and one of them about somebody else
    import_rows(network, session, "march", Rows(several, chunk_rows=5), batch_events=3)
    assert held(network, session) == expected(session, several)


def test_of_rows_of_one_chunk_the_last_is_sent(network: Network, session: Session) -> None:
    several = [*rows(5), *rows(5, 2000), *rows(2, 2000)]
    job = import_rows(network, session, "march", Rows(several, chunk_rows=20))
    assert held(network, session) == expected(session, several)
    with opened_store(session) as store:
        assert counted(store, job) == {"rows": 12, "accepted": 5, "outdated": 5, "duplicate": 2}


@pytest.mark.parametrize("chunk_rows", [1, 2, 20])
def test_reports_with_numbers_hold_by_number_in_whatever_order_they_come(
    network: Network, session: Session, chunk_rows: int
) -> None:
    third, first, second = (
        [row._replace(amount=100 * n + i, version=n) for i, row in enumerate(rows(3))]
        for n in (3, 1, 2)
    )
    again = [row._replace(version=5) for row in third]
    fourth = [row._replace(amount=1, version=4) for row in third]
    for number, file in enumerate([second, first, third, first, again, fourth, second]):
        import_rows(network, session, f"file {number}", Rows(file, chunk_rows))
    assert held(network, session) == expected(session, third)


def test_numbers_hold_within_one_file(network: Network, session: Session) -> None:
    several = [
        Row(f"row {i % 4}", 10 * number, i % 4, version=number)
        for i, number in enumerate([3, 1, 2, 9, 2, 5, 1, 4, 1, 4, 7, 8])
    ]
    import_rows(network, session, "march", Rows(several, chunk_rows=2))
    best = sorted(several, key=lambda row: row.version or 0)
    assert held(network, session) == expected(session, best)


def test_a_late_month_fills_its_hole(network: Network, session: Session) -> None:
    months = {
        month: [Row(f"{month} {i}", 7, i, f"2026-{month:02}-28") for i in range(6)]
        for month in (1, 2, 3)
    }
    for month in (1, 3, 2):
        import_rows(network, session, f"month {month}", Rows(months[month]))
    every = [row for rows_of_month in months.values() for row in rows_of_month]
    assert held(network, session) == expected(session, every)


class BrokenOffError(Exception):
    """Ends a process in the middle, as far as one process can tell."""


@pytest.mark.parametrize("at", range(9))
def test_a_job_that_was_broken_off_goes_on_without_a_duplicate_or_a_gap(
    network: Network, session: Session, at: int
) -> None:
    wanted = [*rows(30), *rows(15, 2000)]
    calls = iter(range(1000))

    def break_off(_: int) -> None:
        if next(calls) == at:
            raise BrokenOffError

    broken = Rows(wanted, chunk_rows=5, before_chunk=break_off)
    with pytest.raises(BrokenOffError):
        import_rows(network, session, "march", broken, batch_events=3, in_flight=1)
    job = import_rows(network, session, "march", broken, batch_events=3, in_flight=1)
    assert job.state is JobState.DONE
    assert held(network, session) == expected(session, wanted)
    assert len(on_ledger(network, session)) == 45


@pytest.mark.parametrize("request_number", range(0, 60, 4))
def test_nodes_that_go_away_at_any_request_leave_no_duplicate_and_no_gap(
    network: Network, session: Session, request_number: int
) -> None:
    wanted = [*rows(12), *rows(6, 2000)]
    asked = iter(range(100_000))
    failing = [True]

    def lie(request: Request, answer: Response) -> Answer:
        if failing[0] and next(asked) >= request_number:
            return TransportFailure(request.node, "connection reset")
        return answer

    for node in network.nodes.values():
        node.lies = {"": lie}
    file = Rows(wanted, chunk_rows=4)
    with suppress(UnavailableError, CustodyError):
        import_rows(network, session, "march", file, batch_events=3, in_flight=2, patience_s=0)
    failing[0] = False
    job = import_rows(network, session, "march", file, batch_events=3, patience_s=0)
    assert job.state is JobState.DONE
    assert held(network, session) == expected(session, wanted)
    assert len(on_ledger(network, session)) == 18


def test_a_job_waits_for_nodes_that_are_away(network: Network, session: Session) -> None:
    away = [6]

    def lie(request: Request, answer: Response) -> Answer:
        if away[0] > 0:
            away[0] -= 1
            return TransportFailure(request.node, "connection refused")
        return answer

    for node in network.nodes.values():
        node.lies = {"": lie}
    waited: list[str] = []
    job = import_rows(
        network,
        session,
        "march",
        Rows(rows(8)),
        retry_s=0,
        show=lambda progress: waited.append(progress.waiting_for),
    )
    assert job.state is JobState.DONE
    assert any("connection refused" in each for each in waited)
    assert held(network, session) == expected(session, rows(8))


def test_a_paused_job_ends_with_a_whole_chunk_and_goes_on(
    network: Network, session: Session
) -> None:
    wanted = rows(30)
    with opened_store(session) as store:

        def pause(first_row: int) -> None:
            if first_row == 10:
                store.want(store.job("march"), JobState.PAUSED)

        file = Rows(wanted, chunk_rows=5, before_chunk=pause)
        job = import_rows(network, session, "march", file, batch_events=2)
    assert job.state is JobState.PAUSED
    assert len(on_ledger(network, session)) == 10
    job = import_rows(network, session, "march", Rows(wanted, chunk_rows=5), batch_events=2)
    assert job.state is JobState.DONE
    assert held(network, session) == expected(session, wanted)


def test_what_was_refused_because_receipts_expired_is_sealed_and_sent_again(
    network: Network, session: Session
) -> None:
    wanted, late = rows(20), iter([3 * network.world.ledger.params.receipt_ms])

    def lie(_: Request, answer: Response) -> Answer:
        network.world.time_ms += next(late, 0)  # it is in the queue for hours
        return answer

    for node in network.nodes.values():
        node.lies = {"POST /v1/entries": lie}
    import_rows(network, session, "march", Rows(wanted, chunk_rows=5), batch_events=3)
    refused = [
        leaf.outcome
        for each in network.world.leaves
        if isinstance(leaf := decode_leaf(each), EntryLeaf)
    ]
    assert Outcome.RECEIPTS_TOO_FEW in refused
    assert held(network, session) == expected(session, wanted)
    assert len(on_ledger(network, session)) == 20


def test_two_processes_never_run_one_job(network: Network, session: Session) -> None:
    def again(_: int) -> None:
        import_rows(network, session, "march", Rows(rows(3)))

    with pytest.raises(StoreError, match="is being run by another process"):
        import_rows(network, session, "march", Rows(rows(3), before_chunk=again))


def test_a_file_that_is_read_in_another_way_is_not_mixed_up(
    network: Network, session: Session
) -> None:
    def break_off(first_row: int) -> None:
        if first_row == 10:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        import_rows(network, session, "march", Rows(rows(30), before_chunk=break_off), in_flight=1)
    with pytest.raises(StoreError, match="the file is read in another way"):
        import_rows(network, session, "march", Rows(rows(30), chunk_rows=7))


def test_a_full_disk_stops_a_job_before_anything_leaves_and_it_goes_on(
    network: Network, session: Session
) -> None:
    def limit(pages: int) -> None:
        with session.vault._database.reading() as rows:
            (used,) = rows.execute("PRAGMA page_count").fetchone()
            rows.execute(f"PRAGMA max_page_count = {used + pages}")

    wanted = rows(120)
    limit(1)
    with pytest.raises(StoreError, match="full"):
        import_rows(network, session, "march", Rows(wanted), batch_events=5, in_flight=1)
    sent = len(on_ledger(network, session))
    assert sent % 5 == 0
    assert sent < 120
    limit(1_000_000)
    import_rows(network, session, "march", Rows(wanted), batch_events=5, in_flight=1)
    assert held(network, session) == expected(session, wanted)
    assert len(on_ledger(network, session)) == 120


def test_doubtful_rows_wait_for_a_person_and_then_go_on(network: Network, session: Session) -> None:
    first = [Row(f"row {i}", 1000, i) for i in range(10)]
    file = Rows(first)
    held_back = next(file.chunks())
    fault = RowFault(4, 6, "", "", "near-duplicate", "", "", "", Severity.QUARANTINE)
    held_back = replace(
        held_back, faults=(fault,), events=(columns([first[4]], [4]),), originals={4: ()}
    )
    with closing(Review.open(session.folder.path, session.keystore, session.clock_ms)) as review:
        review.put("march", held_back)
        file = Rows(first, faults=(fault,))
        import_rows(network, session, "march", file)
        assert len(on_ledger(network, session)) == 9
        review.decide([each.id for each in review.items()], accept=True, reason="ok", operator="Li")
    with opened_store(session) as store:
        ended = run_reviewed(store, MemoryClient(network, session), "march")
        assert counted(store, ended)["accepted"] == 1
        assert held(network, session) == expected(session, first)
        again = run_reviewed(store, MemoryClient(network, session), "march")
        assert counted(store, again) == {}


def test_counts_of_a_month_add_up_over_jobs_and_declarations_are_kept(
    network: Network, session: Session
) -> None:
    fault = RowFault(2, 4, "", "", "amount-wrong", "", "", "")
    import_rows(network, session, "march", Rows(rows(6), faults=(fault,)))
    changed = [rows(6)[0], rows(6)[1]._replace(amount=7)]
    import_rows(network, session, "corrections", Rows(changed))
    with opened_store(session) as store:
        store.declare(parse_period("2026-03"), "complete", 0)
        store.declare(parse_period("2026-04"), "void", 0)
        march = period_counts(store, "2026-03")
        assert (march.accepted, march.corrections, march.duplicates) == (5, 1, 1)
        assert (march.rows, march.rejected) == (8, 1)
        assert march.rejected_by_code == {"amount-wrong": 1}
        assert march.standing is Standing.COMPLETE
        assert [each.period for each in all_period_counts(store)] == ["2026-03", "2026-04"]
        store.declare(parse_period("2026-04"), None, 0)
        assert period_counts(store, "2026-04").standing is None


@dataclass
class Chunks:
    """Chunks as a mapping would yield them."""

    made: list[MappedChunk]

    def chunks(self, first_row: int = 0) -> Iterator[MappedChunk]:
        return (each for each in self.made if each.first_row + each.row_count > first_row)


def cleansed(network: Network, session: Session, name: str, *made: MappedChunk) -> Job:
    """Run a job with the cleansing of `tradeline import`."""
    cleansing = Cleansing(session.folder.path, name)
    with (
        opened_store(session) as store,
        CleansingStep(cleansing, session.keystore, session.clock_ms) as step,
    ):
        job = store.create(name, 1, (bytes(32), bytes(32)), {}, session.clock_ms())
        source = LocalSource(Chunks(list(made)), Preparer(session.keystore), step.cleanse)
        return ImportRun(MemoryClient(network, session), store, job, source).run()


def test_what_contradicts_an_earlier_file_of_the_account_is_rejected_and_can_be_mended(
    network: Network, session: Session
) -> None:
    closed = Account({"reason": 1}, "closed A 1", "A 1", "2025-03-20", schema=CLOSED)
    cleansed(network, session, "march", chunk(opened(100), statement("2025-03", 50), closed))
    late = chunk(statement("2025-04", 50), statement("2025-05", 50))
    job = cleansed(
        network,
        session,
        "later",
        replace(late, names=("cell",), original=lambda row: (f"text of row {row}",)),
    )
    with opened_store(session) as store:
        assert counted(store, job) == {
            "rows": 2,
            "reject": 2,
            "reject:after-closure": 2,
        }
        wrong = list(rejected_rows(store, job))
    assert [(each.fault.row, each.original) for each in wrong] == [
        (0, ("text of row 0",)),
        (1, ("text of row 1",)),
    ]


def test_a_doubtful_row_is_counted_once(network: Network, session: Session) -> None:
    resolved = Account(
        {"kind": 1}, "resolved A 1", "A 1", "2025-02-10", schema=SCHEMAS.named("account.resolved")
    )
    made = chunk(opened(100), statement("2025-01", 50), resolved)
    job = cleansed(network, session, "march", made)
    with opened_store(session) as store:
        assert counted(store, job) == {
            "rows": 3,
            "accepted": 2,
            "quarantine": 1,
            "quarantine:nothing-to-resolve": 1,
        }
