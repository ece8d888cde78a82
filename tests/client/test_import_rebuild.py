"""What was sent, remembered again out of vault and ledger after its store was lost or is old."""

from __future__ import annotations

import shutil
from pathlib import Path

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
from tests.client.test_consent import correction
from tests.world import subject

from tradeline_client.errors import StoreError, UnavailableError
from tradeline_client.flows.mark import erase
from tradeline_client.imports.job_desk import run_move
from tradeline_client.imports.job_move import find_move
from tradeline_client.imports.job_rebuild import Rebuilt, rebuild
from tradeline_client.imports.job_store import STORE_NAME
from tradeline_client.requests import Request, Response, TransportFailure
from tradeline_client.session import Session
from tradeline_ledger.mark import MarkReason
from tradeline_ledger.schemas import RETRACT


def rows(count: int = 12) -> list[Row]:
    return [Row(f"row {i}", 1000 + i, i % 3) for i in range(count)]


def files(session: Session) -> list[Path]:
    return sorted(session.folder.path.glob(f"{STORE_NAME}*"))


def lose(session: Session) -> None:
    for file in files(session):
        file.unlink()


def rebuilt(network: Network, session: Session) -> Rebuilt:
    with opened_store(session) as store:
        return rebuild(store, MemoryClient(network, session))


def imported(network: Network, session: Session, name: str, wanted: list[Row]) -> dict[str, int]:
    job = import_rows(network, session, name, Rows(wanted), batch_events=5)
    with opened_store(session) as store:
        return counted(store, job)


def test_after_a_rebuild_the_same_file_is_duplicates_and_one_correction(
    network: Network, session: Session
) -> None:
    imported(network, session, "march", rows())
    lose(session)
    assert rebuilt(network, session) == Rebuilt(batches=3, events=12, unreadable=0)
    changed = rows()
    changed[4] = changed[4]._replace(amount=5)
    counts = imported(network, session, "march", changed)
    assert counts == {"rows": 12, "duplicate": 11, "corrected": 1}
    assert held(network, session) == expected(session, changed)
    assert len(on_ledger(network, session)) == 13


def test_what_was_corrected_and_moved_is_rebuilt_as_it_stands(
    network: Network, session: Session
) -> None:
    imported(network, session, "march", rows())
    changed = rows()
    changed[1] = changed[1]._replace(amount=5)
    changed[2] = changed[2]._replace(who=7)
    imported(network, session, "corrections", changed)
    lose(session)
    assert rebuilt(network, session).events == 12
    before = len(on_ledger(network, session))
    assert imported(network, session, "again", changed) == {"rows": 12, "duplicate": 12}
    assert len(on_ledger(network, session)) == before
    assert imported(network, session, "back", rows()) == {
        "rows": 12,
        "duplicate": 10,
        "corrected": 1,
        "retracted": 1,
        "moved": 1,
    }
    assert held(network, session) == expected(session, rows())


def test_an_old_copy_learns_what_came_after_it(
    network: Network, session: Session, tmp_path: Path
) -> None:
    imported(network, session, "march", rows())
    old = tmp_path / "old"
    old.mkdir()
    for file in files(session):
        shutil.copy(file, old)
    changed = [*rows(6), *(row._replace(amount=5) for row in rows()[6:])]
    imported(network, session, "corrections", [*changed, Row("row 12")])
    lose(session)
    for file in old.iterdir():
        shutil.copy(file, session.folder.path)
    assert rebuilt(network, session).events == 7
    assert rebuilt(network, session) == Rebuilt(0, 0, 0)
    counts = imported(network, session, "again", [*changed, Row("row 12")])
    assert counts == {"rows": 13, "duplicate": 13}


def test_what_was_sent_by_hand_is_known_after_a_rebuild_and_can_be_moved(
    network: Network, session: Session
) -> None:
    client = MemoryClient(network, session)
    plain = session.sealer.plain(payment("by hand"), subject(0))
    client.submit(session.sealer.seal([plain], session.registry))
    assert rebuilt(network, session).events == 1
    with opened_store(session) as store:
        found = find_move(
            store, client, [subject(0)], account=None, to_subject=subject(1), to_account=None
        )
        assert counted(store, run_move(store, client, found.move, None))["moved"] == 1
    assert len(client.own_events([subject(1)]).effective) == 1


def test_what_was_retracted_by_hand_is_sent_anew_when_it_comes_again(
    network: Network, session: Session
) -> None:
    imported(network, session, "march", rows())
    ref = session.keystore.references.ref("row 4")
    target = session.vault.find(standing(network, session)[ref].original)
    plain = session.sealer.plain(correction(target.id, RETRACT), subject(1), target)
    client = MemoryClient(network, session)
    client.submit(session.sealer.seal([plain], session.registry))
    lose(session)
    assert rebuilt(network, session).events == 11
    counts = imported(network, session, "again", rows())
    assert counts == {"rows": 12, "duplicate": 11, "accepted": 1}


def test_what_is_erased_is_told_and_not_recognised(network: Network, session: Session) -> None:
    imported(network, session, "march", rows())
    ref = session.keystore.references.ref("row 4")
    event = standing(network, session)[ref].original
    network.run(session, erase(session, event, MarkReason.COURT_ORDER))
    lose(session)
    assert rebuilt(network, session) == Rebuilt(batches=3, events=11, unreadable=1)


def test_without_nodes_nothing_is_rebuilt(network: Network, session: Session) -> None:
    imported(network, session, "march", rows())
    lose(session)

    def lie(request: Request, _: Response) -> TransportFailure:
        return TransportFailure(request.node, "connection refused")

    for node in network.nodes.values():
        node.lies = {"": lie}
    with pytest.raises(UnavailableError, match="connection refused"):
        rebuilt(network, session)
    with opened_store(session) as store:
        assert store.batches() == []


def test_a_store_that_knows_more_than_the_vault_is_refused(
    network: Network, session: Session
) -> None:
    imported(network, session, "march", rows())
    with session.vault._database.transaction() as vault:
        vault.execute("DELETE FROM batch WHERE log_index = (SELECT max(log_index) FROM batch)")
    with pytest.raises(StoreError, match="knows 1 batches on the ledger that the vault does not"):
        rebuilt(network, session)
