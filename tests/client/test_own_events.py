"""A member's own events read back from ledger and vault, past nodes that lie or lack bodies."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.client.network import Network, make_session, payment, seal
from tests.client.test_consent import correction
from tests.client.test_redeposit import placed
from tests.world import DAY_MS, subject

from tradeline_client.errors import UnavailableError
from tradeline_client.flows.mark import erase
from tradeline_client.flows.own_events import Absence, OwnHistory, own_events
from tradeline_client.flows.submit import submit
from tradeline_client.requests import Request, Response
from tradeline_client.session import Session
from tradeline_ledger.deposit import ATTACHMENT, Attachment
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import VerificationError
from tradeline_ledger.history import EventId
from tradeline_ledger.mark import MarkReason
from tradeline_ledger.schemas import RETRACT, SUPERSEDE


def said(network: Network, session: Session) -> OwnHistory:
    return network.run(session, own_events(session))


def amounts(history: OwnHistory) -> dict[str, int]:
    return {str(each.original): each.fields[1] for each in history.effective}


def correct(network: Network, session: Session, target: EventId, who: int, amount: int) -> None:
    kept = session.vault.find(target)
    better = payment("better", amount=amount)
    replacement = (better.schema.number, better.schema.version, better.fields)
    report = correction(target, SUPERSEDE, replacement=replacement)
    plain = session.sealer.plain(report, subject(who), kept)
    network.run(session, submit(session, session.sealer.seal([plain], session.registry)))


def without(position: int, response: Response) -> Response:
    """Return the attachment of a custody answer less one body."""
    attachment = ATTACHMENT.decode(response.body)
    bodies = [None if at == position else each for at, each in enumerate(attachment.bodies)]
    given = encode(Attachment(tuple(bodies), attachment.sealed))
    return Response(response.node, response.status, response.headers, given)


def withhold(network: Network, *members: int) -> None:
    def lie(_request: Request, response: Response) -> Response:
        return without(1, response)

    for member in members:
        network.nodes[member].lies["GET /v1/custody"] = lie


def test_without_its_journal_a_member_reads_what_stands(
    network: Network, session: Session, tmp_path: Path
) -> None:
    placed(network, session, 3)
    correct(network, session, EventId(1, 1), 1, 2000)
    target = session.vault.find(EventId(1, 2))
    plain = session.sealer.plain(correction(target.id, RETRACT), subject(2), target)
    network.run(session, submit(session, session.sealer.seal([plain], session.registry)))
    session.close()
    for file in (tmp_path / "client").glob("journal*"):
        file.unlink()

    again = make_session(tmp_path / "client", network)
    history = said(network, again)
    refs = [history.ref(each) for each in history.effective]
    row = again.vault.find(EventId(1, 1))
    again.close()

    assert amounts(history) == {"1/0": 1000, "1/1": 2000}
    assert refs[1] == row.ref
    assert history.tags[EventId(1, 1)] == row.tag
    assert [str(each.original) for each in history.chains if each.retracted] == ["1/2"]
    assert (len(history.events), history.absent) == (5, {})


def test_a_subject_is_read_without_the_batches_of_others(
    network: Network, session: Session
) -> None:
    placed(network, session, 2, "first")
    placed(network, session, 3, "second")
    network.nodes[1].asked.clear()

    history = network.run(session, own_events(session, [subject(2)]))

    assert [str(event) for event in history.events] == ["3/2"]
    asked = [each.target for node in network.nodes.values() for each in node.asked]
    assert sum(target.startswith("/v1/custody/") for target in asked[-20:]) == 1


def test_an_erased_event_is_told_from_one_that_nodes_withhold(
    network: Network, session: Session
) -> None:
    batch = placed(network, session, 3)
    network.run(session, erase(session, batch.event(0), MarkReason.COURT_ORDER))
    withhold(network, 1, 2, 3, 4)

    history = said(network, session)

    assert history.absent == {
        batch.event(0): Absence.ERASED,
        batch.event(1): Absence.MISSING,
    }
    assert list(history.events) == [batch.event(2)]


def test_a_body_that_one_node_withholds_comes_from_another(
    network: Network, session: Session
) -> None:
    placed(network, session, 3)
    withhold(network, 1, 2, 3)

    assert said(network, session).absent == {}


def test_a_body_past_its_month_may_be_gone(network: Network, session: Session) -> None:
    batch = placed(network, session, 3)
    withhold(network, 1, 2, 3, 4)
    network.extra_ms += 10 * 366 * DAY_MS

    assert said(network, session).absent == {batch.event(1): Absence.EXPIRED}


def test_altered_bodies_are_never_returned(network: Network, session: Session) -> None:
    placed(network, session, 2)

    def lie(_request: Request, response: Response) -> Response:
        attachment = ATTACHMENT.decode(response.body)
        first, second = attachment.bodies
        swapped = encode(Attachment((second, first), attachment.sealed))
        return Response(response.node, response.status, response.headers, swapped)

    for member in (1, 2, 3):
        network.nodes[member].lies["GET /v1/custody"] = lie
    assert amounts(said(network, session)) == {"1/0": 1000, "1/1": 1000}
    network.nodes[4].lies["GET /v1/custody"] = lie
    with pytest.raises(VerificationError, match="was altered"):
        said(network, session)


def test_a_vault_of_another_ledger_is_refused(network: Network, session: Session) -> None:
    first, second = placed(network, session), placed(network, session, prefix="second")
    with session.vault._database.transaction() as rows:
        rows.execute("DELETE FROM batch WHERE hash = ?", (first.batch_hash,))
    session.vault.placed(second.batch_hash, first.placement.index)

    with pytest.raises(VerificationError, match="another batch than the vault has there"):
        said(network, session)


def test_a_batch_that_is_not_placed_is_left_out(network: Network, session: Session) -> None:
    batch = placed(network, session)
    session.vault.put(seal(session, prefix="other").row)

    assert list(said(network, session).events) == [batch.event(0), batch.event(1)]


def test_without_nodes_nothing_is_read(network: Network, session: Session) -> None:
    placed(network, session)
    for node in network.nodes.values():
        node.up = False

    with pytest.raises(UnavailableError, match="no node"):
        said(network, session)
