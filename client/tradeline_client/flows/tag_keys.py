"""
The member's tag key, handed to each committee member sealed to its HPKE key.

A committee member that lacks it gives no receipt of custody: it could not make a complete history
statement about the member's events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_client.errors import ClientError
from tradeline_client.requests import Flow, Request, Round, read
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.hpke import PublicKey, seal, tag_key_info

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_client.session import Session


def share_tag_key(
    session: Session, nodes: Sequence[int] | None = None
) -> Flow[dict[int, Exception | None]]:
    """
    Hand the tag key to `nodes`, or to the whole committee in force; safe to repeat.

    `nodes` are or were in a committee: those of earlier ones still release what only they hold.

    Return, for each of them, None once it has the key, or why it does not take it.
    """
    committee = [each.member for each in session.registry.epoch.committee]
    wanted = committee if nodes is None else list(nodes)
    answers = yield Round(tuple(_request(session, number) for number in wanted))
    results: dict[int, Exception | None] = {}
    for number, answer in zip(wanted, answers, strict=True):
        try:
            read(answer)
            results[number] = None
        except (ClientError, LedgerError) as error:
            results[number] = error
    return results


def _request(session: Session, recipient: int) -> Request:
    record = session.registry.member(recipient)
    assert record is not None, recipient
    assert record.hpke_key is not None, recipient
    key = PublicKey.from_bytes(record.hpke_key)
    info = tag_key_info(session.ledger.ledger_id, session.member, recipient, key.key_id)
    body = seal(key, session.keystore.tag_key, info)
    return Request(recipient, "PUT", f"/v1/tag-keys/{session.member}", body=body)
