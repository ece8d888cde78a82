"""Events filed elsewhere: an identifier or an account number changes, and history stays whole."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import pytest
from tests.client.import_rows import (
    MemoryClient,
    Row,
    Rows,
    counted,
    expected,
    held,
    import_rows,
    on_ledger,
    opened_store,
    standing,
)
from tests.client.network import Network, payment
from tests.world import subject

from tradeline_client.errors import (
    CustodyError,
    FileError,
    NotFoundError,
    StoreError,
    UnavailableError,
)
from tradeline_client.flows.mark import erase
from tradeline_client.imports import job_move
from tradeline_client.imports.job_desk import resume_move, run_move
from tradeline_client.imports.job_move import FoundMove, find_move
from tradeline_client.imports.job_store import JobState
from tradeline_client.requests import Answer, Request, Response, TransportFailure
from tradeline_client.session import Session
from tradeline_ledger.errors import EventError
from tradeline_ledger.event_types.subject import IDENTITY
from tradeline_ledger.identifier import IdType, parse_identifier
from tradeline_ledger.mark import MarkReason

OLD, NEW = 0, 8
ACCOUNT = "account 0"


def rows(count: int = 21, who: int = OLD) -> list[Row]:
    """Return payments of three persons, the first of whom has another identifier by and by."""
    return [
        Row(f"row {i}", 1000 + i, who if i % 3 == OLD else i % 3, f"202{i % 2 + 5}-03-05")
        for i in range(count)
    ]


def found(network: Network, session: Session, **wish: Any) -> FoundMove:
    given = {"account": None, "to_subject": subject(NEW), "to_account": None, **wish}
    subjects = given.pop("subjects", [subject(OLD)])
    with opened_store(session) as store:
        return find_move(store, MemoryClient(network, session), subjects, **given)


def move(network: Network, session: Session, **wish: Any) -> dict[str, int]:
    """Move, and return what was counted."""
    batch_events = wish.pop("batch_events", 3)
    what = found(network, session, **wish).move
    with opened_store(session) as store:
        client = MemoryClient(network, session)
        job = run_move(store, client, what, None, batch_events=batch_events)
        assert job.state is JobState.DONE
        return counted(store, job)


def filed(network: Network, session: Session, who: int) -> dict[bytes, int]:
    """Return the amounts that stand under an identifier, by keyed reference."""
    history = MemoryClient(network, session).own_events([subject(who)])
    for each in history.effective:
        source = history.events[each.source]
        year = int(each.occurred_on[:4])
        check = session.keystore.filer().check(subject(who), year, source.ref)
        assert source.check == check, "a reader would not take it to be about this subject"
    return {history.ref(each): each.fields[1] for each in history.effective}


def test_what_stands_under_the_old_identifier_stands_under_the_new_one(
    network: Network, session: Session
) -> None:
    import_rows(network, session, "march", Rows(rows()))
    changed = [row._replace(amount=7) if row.ref in {"row 3", "row 4"} else row for row in rows()]
    import_rows(network, session, "corrections", Rows(changed))
    before = filed(network, session, OLD)
    others = filed(network, session, 1), filed(network, session, 2)
    assert len(before) == 7
    assert 7 in before.values()
    assert move(network, session) == {"rows": 7, "retracted": 7, "moved": 7}
    assert filed(network, session, OLD) == {}
    assert filed(network, session, NEW) == before
    assert (filed(network, session, 1), filed(network, session, 2)) == others
    assert held(network, session) == expected(session, changed)


def test_later_rows_under_the_new_identifier_are_duplicates_and_corrections(
    network: Network, session: Session
) -> None:
    import_rows(network, session, "march", Rows(rows()))
    move(network, session, account=ACCOUNT, to_account=f"account {NEW}")
    later = rows(who=NEW)
    later[3] = later[3]._replace(amount=5)
    job = import_rows(network, session, "april", Rows(later))
    assert held(network, session) == expected(session, later)
    with opened_store(session) as store:
        assert counted(store, job) == {"rows": 21, "duplicate": 20, "corrected": 1}


def test_numbers_of_reports_hold_after_a_move(network: Network, session: Session) -> None:
    third = [Row(f"row {i}", 300 + i, OLD, version=3) for i in range(4)]
    import_rows(network, session, "third", Rows(third))
    assert move(network, session) == {"rows": 4, "retracted": 4, "moved": 4}
    second = [row._replace(amount=2, who=NEW, version=2) for row in third]
    import_rows(network, session, "second", Rows(second))
    assert held(network, session) == expected(session, third)
    assert len(filed(network, session, NEW)) == 4


def test_one_account_moves_and_the_others_stay(network: Network, session: Session) -> None:
    import_rows(network, session, "march", Rows(rows()))
    # A second account of the same person: what is moved twice in the end comes from two.
    move(network, session, subjects=[subject(1)], to_subject=subject(OLD), account="account 1")
    assert len(filed(network, session, OLD)) == 14
    assert move(network, session, account=ACCOUNT)["moved"] == 7
    assert len(filed(network, session, OLD)) == len(filed(network, session, NEW)) == 7


def test_a_new_account_number_corrects_every_event_of_the_account(
    network: Network, session: Session
) -> None:
    import_rows(network, session, "march", Rows(rows()))
    counts = move(network, session, to_subject=None, account=ACCOUNT, to_account="renewed")
    assert counts == {"rows": 7, "corrected": 7}
    assert held(network, session) == expected(session, rows())
    accounts = {each.account for each in standing(network, session).values()}
    keyed = session.keystore.references.account
    assert accounts == {keyed("renewed"), keyed("account 1"), keyed("account 2")}


def test_a_move_is_only_done_once(network: Network, session: Session) -> None:
    import_rows(network, session, "march", Rows(rows()))
    move(network, session)
    before = len(on_ledger(network, session))
    with pytest.raises(NotFoundError, match="moved already"):
        move(network, session)
    assert len(on_ledger(network, session)) == before


@pytest.mark.parametrize("request_number", range(0, 44, 6))
def test_a_move_that_was_broken_off_goes_on_without_a_duplicate_or_a_gap(
    network: Network, session: Session, monkeypatch: pytest.MonkeyPatch, request_number: int
) -> None:
    monkeypatch.setattr(job_move, "CHUNK_EVENTS", 4)
    import_rows(network, session, "march", Rows(rows()))
    before = filed(network, session, OLD)
    what = found(network, session).move
    asked, failing = iter(range(100_000)), [True]

    def lie(request: Request, answer: Response) -> Answer:
        if failing[0] and next(asked) >= request_number:
            return TransportFailure(request.node, "connection reset")
        return answer

    for node in network.nodes.values():
        node.lies = {"": lie}
    client = MemoryClient(network, session)
    with opened_store(session) as store:
        with suppress(UnavailableError, CustodyError):
            run_move(store, client, what, "move", batch_events=3, patience_s=0)
        failing[0] = False
        job = resume_move(store, client, "move", batch_events=3, patience_s=0)
        assert job.state is JobState.DONE
        assert counted(store, job) == {"rows": 7, "retracted": 7, "moved": 7}
    assert filed(network, session, OLD) == {}
    assert filed(network, session, NEW) == before
    assert len(on_ledger(network, session)) == 21 + 14


def test_a_dry_run_counts_and_sends_nothing(network: Network, session: Session) -> None:
    import_rows(network, session, "march", Rows(rows()))
    before = network.world.head.size
    what = found(network, session)
    assert dict(what.types) == {"account.payment": 7}
    assert dict(what.years) == {2025: 4, 2026: 3}
    assert what.unreadable == 0
    assert network.world.head.size == before


def test_identifiers_show_in_nothing_that_is_printed(network: Network, session: Session) -> None:
    import_rows(network, session, "march", Rows(rows()))
    shown = repr(found(network, session))
    assert subject(OLD).identifier not in shown
    assert subject(NEW).identifier not in shown
    move(network, session)
    with closing(session.vault):
        kept = (session.folder.path / "imports.sqlite").read_bytes()
    assert subject(NEW).identifier.encode() not in kept


def test_what_is_erased_stays_and_is_counted(network: Network, session: Session) -> None:
    import_rows(network, session, "march", Rows(rows()))
    ref = session.keystore.references.ref("row 3")
    event = standing(network, session)[ref].original
    network.run(session, erase(session, event, MarkReason.COURT_ORDER))
    assert found(network, session).unreadable == 1
    assert move(network, session)["moved"] == 6
    assert ref not in filed(network, session, NEW)


def test_what_is_about_persons_is_not_moved_to_a_firm(network: Network, session: Session) -> None:
    report = replace(
        payment("identity"),
        schema=IDENTITY,
        account=None,
        fields=IDENTITY.values(name="A", verified_by=1, verified_on="2026-03-05"),
    )
    plain = session.sealer.plain(report, subject(OLD))
    MemoryClient(network, session).submit(session.sealer.seal([plain], session.registry))
    firm = parse_identifier(IdType.USCC, "91350100M000100Y43", 2026)
    with pytest.raises(EventError, match="got a firm, expected a person"):
        found(network, session, to_subject=firm)


def test_what_the_folder_does_not_remember_is_not_posted_twice(
    network: Network, session: Session
) -> None:
    client = MemoryClient(network, session)
    plain = session.sealer.plain(payment("by hand"), subject(OLD))
    client.submit(session.sealer.seal([plain], session.registry))
    with pytest.raises(StoreError, match="1 of 1 events are not where this folder remembers"):
        found(network, session)


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"to_subject": None}, "nothing changes"),
        ({"to_subject": subject(OLD)}, "is the old one"),
        ({"account": ACCOUNT, "to_account": ACCOUNT}, "is the old one"),
        ({"to_account": "renewed"}, "name the account"),
    ],
)
def test_a_move_that_says_nothing_is_refused(
    network: Network, session: Session, wish: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(FileError, match=message):
        found(network, session, **wish)
