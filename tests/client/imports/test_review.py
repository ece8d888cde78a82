"""Rows wait sealed, go on as they were, and no decision about them can vanish unseen."""

from __future__ import annotations

import itertools
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.client.cli import Cli, Ran
from tests.client.imports.statements import (
    Row,
    chunk,
    cleanser,
    columns,
    opened,
    statement,
)
from tests.client.network import Network, client_keys, make_folder
from tests.world import seed

from tradeline_client.errors import NotFoundError, ReviewError, StoreError
from tradeline_client.imports import review as review_module
from tradeline_client.imports.columns import EventColumns, MappedChunk
from tradeline_client.imports.fault import RowFault, Severity
from tradeline_client.imports.review import CHAIN_START, REVIEW_NAME, Review, ReviewState
from tradeline_client.keystore import Keystore, write_keystore

KEY = seed("review")
ACCOUNT, AMOUNT = "ACCOUNT-XYZ", 123_456_789


def clock() -> Callable[[], int]:
    ticks = itertools.count(1_780_000_000_000, 1000)
    return lambda: next(ticks)


@pytest.fixture
def review(tmp_path: Path) -> Iterator[Review]:
    store = Review(tmp_path / REVIEW_NAME, KEY, clock())
    yield store
    store.close()


def waiting(*rows: Row, first_row: int = 0) -> MappedChunk:
    """Return rows as quarantined for two reasons each."""
    made = chunk(*rows, first_row=first_row)
    faults = [
        RowFault(row, row + 2, "", "f", code, "got", "expected", "fix", severity)
        for row in range(first_row, first_row + len(rows))
        for code, severity in (
            ("month-missing", Severity.WARNING),
            ("scale-error" if row % 2 == 0 else "sign-error", Severity.QUARANTINE),
        )
    ]
    return MappedChunk(made.first_row, made.row_count, made.lines, made.events, tuple(faults))


def fill(review: Review, count: int = 3, job: str = "march") -> None:
    rows = [statement(f"2025-{month:02}", AMOUNT, account=ACCOUNT) for month in range(1, count + 1)]
    assert review.put(job, waiting(*rows)) == count


def columns_equal(first: EventColumns, second: EventColumns) -> bool:
    return (
        (first.schema, first.basis, first.rows.tolist(), first.ref, first.account)
        == (second.schema, second.basis, second.rows.tolist(), second.ref, second.account)
        and first.values.equals(second.values)
        and first.occurred_on.equals(second.occurred_on)
        and [first.subjects[each] for each in first.subject]
        == [second.subjects[each] for each in second.subject]
        and (first.version is None) == (second.version is None)
        and (
            first.version is None
            or second.version is None
            or first.version.tolist() == second.version.tolist()
        )
    )


def test_rows_wait_under_their_first_reason_to_be_held(review: Review) -> None:
    fill(review)
    assert [(each.id, each.row, each.line, each.code, each.state) for each in review.items()] == [
        (1, 0, 2, "scale-error", "open"),
        (2, 1, 3, "sign-error", "open"),
        (3, 2, 4, "scale-error", "open"),
    ]
    item = review.item(2)
    assert [each.code for each in item.faults] == ["sign-error", "month-missing"]
    assert [each.account for each in item.events] == [ACCOUNT]
    assert ACCOUNT not in repr(item)


def test_a_resumed_job_puts_its_rows_once(review: Review) -> None:
    fill(review)
    review.decide([1], accept=True, reason="seen", operator="Li")
    assert review.put("march", waiting(statement("2025-01", AMOUNT, account=ACCOUNT))) == 0
    assert review.item(1).state == "accepted"
    fill(review, job="april")


def test_accepted_rows_come_back_as_they_were(review: Review) -> None:
    rows = [
        (4, statement("2025-01", -5, ref="r1", who=2, paid_minor=7)),
        (6, statement("2025-02", 9, ref="r2", who=1)),
    ]
    numbered = columns(rows, [3, 1])
    other = columns([(5, opened(100)), (6, opened(200, account="B"))])
    faults = tuple(
        RowFault(row, row + 2, "", "", "scale-error", "g", "e", "f", Severity.QUARANTINE)
        for row in (4, 5, 6)
    )
    made = chunk(*[statement("2025-01", 1)] * 3, first_row=4)
    review.put("job", MappedChunk(4, 3, made.lines, (numbered, other), faults))
    review.decide([1, 2, 3], accept=True, reason="right", operator="Li")
    (back,) = review.accepted("job")
    assert (back.first_row, back.row_count, back.lines.tolist()) == (4, 3, [6, 7, 8])
    assert not back.faults
    assert all(columns_equal(*pair) for pair in zip(back.events, (numbered, other), strict=True))


def test_accepted_rows_go_on_once_and_rejected_ones_never(review: Review) -> None:
    fill(review)
    review.decide([1, 3], accept=True, reason="right", operator="Li")
    review.decide([2], accept=False, reason="wrong", operator="Li")
    (back,) = review.accepted()
    (events,) = back.events
    assert events.rows.tolist() == [0, 2]
    review.submitted("march", [0, 1])
    (back,) = review.accepted("march")
    assert back.events[0].rows.tolist() == [2]
    assert [each.state for each in review.items(None)] == ["submitted", "rejected", "accepted"]
    assert len(review.log()) == 2


def test_many_accepted_rows_come_in_chunks(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_module, "CHUNK_ROWS", 2)
    fill(review, 5)
    fill(review, 1, job="april")
    review.decide(range(1, 7), accept=True, reason="right", operator="Li")
    assert [each.events[0].rows.tolist() for each in review.accepted()] == [
        [0],
        [0, 1],
        [2, 3],
        [4],
    ]


def test_a_row_is_decided_once_and_all_or_none(review: Review) -> None:
    fill(review)
    review.decide([1], accept=False, reason="wrong", operator="Li")
    with pytest.raises(ReviewError, match="row 1 is rejected, expected one that is open"):
        review.decide([2, 1], accept=True, reason="right", operator="Li")
    with pytest.raises(ReviewError, match="row 99 is unknown"):
        review.decide([99], accept=True, reason="right", operator="Li")
    with pytest.raises(ReviewError, match="no row is open"):
        review.decide_all("no-such", accept=True, reason="right", operator="Li")
    with pytest.raises(NotFoundError, match="no row 99"):
        review.item(99)
    assert [each.state for each in review.items(None)] == ["rejected", "open", "open"]


def test_all_of_one_finding_are_decided_together(review: Review) -> None:
    fill(review, 4)
    fill(review, 2, job="april")
    decision = review.decide_all(
        "scale-error", job="march", accept=False, reason="unit was fen", operator="Li"
    )
    assert [id_ for id_, _ in decision.items] == [1, 3]
    assert [each.id for each in review.items(ReviewState.OPEN, code="scale-error")] == [5]


@pytest.mark.parametrize(
    ("reason", "operator"), [("", "Li"), ("  ", "Li"), ("x", ""), ("x" * 501, "L")]
)
def test_nothing_is_decided_without_a_reason_and_a_name(
    review: Review, reason: str, operator: str
) -> None:
    fill(review)
    with pytest.raises(ReviewError, match="expected 1 to"):
        review.decide([1], accept=True, reason=reason, operator=operator)
    assert review.head() == CHAIN_START


def test_an_auditor_reads_who_decided_what_when_and_why(review: Review) -> None:
    fill(review)
    review.decide([1, 3], accept=True, reason="seen in the branch", operator="Li Na")
    review.decide([2], accept=False, reason="wrong sign", operator="Wang")
    first, second = review.log()
    assert (first.seq, first.operator, first.accepted, first.reason) == (
        *(0, "Li Na", True, "seen in the branch"),
    )
    assert [id_ for id_, _ in first.items] == [1, 3]
    assert (first.prev, second.prev, second.hash) == (CHAIN_START, first.hash, review.head())
    assert second.decided_ms == first.decided_ms + 1000


def tampered(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as rows:
        for each in statements:
            rows.execute(each)
    rows.close()


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (("DELETE FROM decision WHERE seq = 0",), "decision 0 is missing"),
        (("DELETE FROM decision WHERE seq = 1",), "decision 1 is missing"),
        (("DELETE FROM decision WHERE seq = 2",), "no decision is about it"),
        (("DELETE FROM decision",), "no decision is about it"),
        (("UPDATE item SET state = 1 WHERE id = 2",), "row 2 is not as decision"),
        (("UPDATE item SET state = 0 WHERE id = 3",), "row 3 is not as decision"),
        (("UPDATE item SET state = 2 WHERE id = 4",), "row 4 was decided, and no decision"),
        (("DELETE FROM item WHERE id = 1",), "row 1 is not as decision"),
        (
            ("UPDATE item SET digest = (SELECT digest FROM item WHERE id = 4) WHERE id = 1",),
            "row 1 is not as decision",
        ),
        (("UPDATE decision SET prev = hash WHERE seq = 1",), "does not have its hash"),
        (("UPDATE decision SET hash = zeroblob(32) WHERE seq = 1",), "does not have its hash"),
    ],
)
def test_a_decision_that_was_changed_or_taken_out_shows(
    tmp_path: Path, attack: tuple[str, ...], said: str
) -> None:
    store = Review(tmp_path / REVIEW_NAME, KEY, clock())
    fill(store, 4)
    for id_ in (1, 2, 3):
        store.decide([id_], accept=id_ == 1, reason=f"reason {id_}", operator="Li")
    assert len(store.log()) == 3
    store.close()
    tampered(tmp_path / REVIEW_NAME, *attack)
    store = Review(tmp_path / REVIEW_NAME, KEY, clock())
    with pytest.raises(ReviewError, match=said):
        store.log()
    store.close()


def test_sealed_decisions_can_not_change_places(tmp_path: Path) -> None:
    store = Review(tmp_path / REVIEW_NAME, KEY, clock())
    fill(store, 2)
    for id_ in (1, 2):
        store.decide([id_], accept=True, reason=f"reason {id_}", operator="Li")
    store.close()
    tampered(
        tmp_path / REVIEW_NAME,
        "UPDATE decision SET sealed = (SELECT sealed FROM decision WHERE seq = 1) WHERE seq = 0",
    )
    store = Review(tmp_path / REVIEW_NAME, KEY, clock())
    with pytest.raises(StoreError, match="does not open"):
        store.log()
    store.close()


def test_the_file_is_private_and_shows_neither_rows_nor_reasons(
    review: Review, tmp_path: Path
) -> None:
    fill(review)
    review.decide([1], accept=True, reason="told by telephone", operator="Li Na")
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (ACCOUNT, "telephone", "Li Na", "2025-01", "statement A"):
        assert secret.encode() not in content
    assert AMOUNT.to_bytes(4, "big") not in content
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_cleansing_holds_back_can_be_accepted(review: Review, tmp_path: Path) -> None:
    own = cleanser(tmp_path)
    rows = [statement(f"2025-{month:02}", 10_000) for month in (1, 2, 3)]
    own.check(chunk(*rows))
    checked = own.check(chunk(statement("2025-04", 1_000_000), first_row=3))
    own.close()
    assert review.put("job", checked.quarantined) == 1
    (item,) = review.items()
    assert (item.row, item.line, item.code) == (3, 5, "scale-error")
    review.decide([item.id], accept=True, reason="drawn in full", operator="Li")
    (back,) = review.accepted("job")
    assert columns_equal(back.events[0], checked.quarantined.events[0])


# --- the command line ---------------------------------------------------------------------------


@pytest.fixture
def desk(
    tmp_path: Path, network: Network, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    folder = make_folder(tmp_path / "client", network)
    keys = client_keys(1)
    write_keystore(folder.keys, keys, b"passphrase")
    (tmp_path / "passphrase").write_bytes(b"passphrase\n")
    store = Review.open(folder.path, Keystore(keys), clock())
    fill(store)
    store.close()
    cli = Cli(capsys)

    def run(*arguments: object) -> Ran:
        return cli(
            *("review", *arguments, "--folder", folder.path),
            *("--passphrase-file", tmp_path / "passphrase"),
        )

    return run


def test_rows_are_listed_shown_decided_and_logged(desk: Callable[..., Ran]) -> None:
    listed = desk("list", "--json").json
    assert [(each["id"], each["finding"]) for each in listed] == [
        *((1, "scale-error"), (2, "sign-error"), (3, "scale-error")),
    ]
    assert ACCOUNT not in desk("list").out
    shown: Any = desk("show", 1, "--json").json
    assert shown["events"][0]["account"] == ACCOUNT
    assert shown["events"][0]["fields"]["statement_balance_minor"] == AMOUNT
    assert [each["code"] for each in shown["findings"]] == ["scale-error", "month-missing"]
    assert ACCOUNT in desk("show", 1).out

    words = ("--reason", "unit was fen", "--operator", "Li Na")
    accepted = desk("accept", 2, *words, "--json").json
    rejected = desk("reject", "--all-of", "scale-error", *words)
    assert "2 rows" in rejected.out
    log = desk("log", "--json").json
    assert [each["verdict"] for each in log["decisions"]] == ["accepted", "rejected"]
    assert log["decisions"][0] == accepted
    assert log["head"] == log["decisions"][1]["hash"]
    assert "unit was fen" in desk("log").out
    assert [each["state"] for each in desk("list", "--state", "all", "--json").json] == [
        *("rejected", "accepted", "rejected"),
    ]


def test_a_decision_names_rows_in_one_way_and_has_a_reason(desk: Callable[..., Ran]) -> None:
    words = ("--reason", "x", "--operator", "Li")
    for arguments in ((), (1, "--all-of", "sign-error")):
        ran = desk("accept", *arguments, *words)
        assert (ran.code, "one of the two" in ran.err) == (1, True)
    assert desk("accept", 1, "--operator", "Li").code == 2
    assert desk("list", "--state", "odd").code == 1
    assert desk("accept", 99, *words).code == 1
    assert [each["state"] for each in desk("list", "--json").json] == ["open"] * 3
