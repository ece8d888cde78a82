"""A batch of this member as the ledger has it: its entry, and what is left of its attachment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_client.errors import AnswerError, ClientError
from tradeline_client.flows.checkpoint import leaf_at, newest
from tradeline_client.flows.show import submission_content
from tradeline_client.requests import Flow, Request, Round, raise_failures, read
from tradeline_ledger.body import body_hash
from tradeline_ledger.deposit import ATTACHMENT, ATTACHMENT_BYTES_MAX
from tradeline_ledger.errors import LedgerError, VerificationError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.statement import STATEMENT, EntryLeaf
from tradeline_ledger.submission import decode_submission

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tradeline_client.requests import Response
    from tradeline_client.session import Session
    from tradeline_ledger.submission import Batch

TIMEOUT_S = 60.0


def batch_at(session: Session, index: int, batch_hash: bytes) -> Flow[Batch]:
    """
    Return the batch at a log index: proven to stand there, accepted, and of the vault's hash.

    Raises:
        UnavailableError: no node gave leaf or content.
        VerificationError: a node gave something else.
    """
    checkpoint = yield from newest(session, size_min=index + 1)
    proven = yield from leaf_at(session, index, checkpoint)
    leaf = proven.leaf
    if not isinstance(leaf, EntryLeaf):
        raise AnswerError(proven.node, f"leaf {index} ends a block, expected a submission")
    if leaf.outcome not in {each for each in Outcome if each.accepted}:
        raise VerificationError(
            f"entry {index} was not accepted, but the vault has a batch there; restore the vault "
            "of this ledger's folder"
        )
    content = yield from submission_content(session, STATEMENT.decode(leaf.statement))
    batch = decode_submission(content).batch
    if batch.hash(session.ledger.ledger_id, session.member) != batch_hash:
        raise VerificationError(
            f"entry {index} is another batch than the vault has there; restore the vault of this "
            "ledger's folder"
        )
    return batch


def attachment_of(
    session: Session,
    batch_hash: bytes,
    body_hashes: Sequence[bytes],
    wanted: Collection[int] = (),
) -> Flow[bytes]:
    """
    Return the batch's attachment from the first node that has the bodies at `wanted` positions.

    If none has them all, the one with most of them: each body that is there hashes to its header.

    Raises:
        UnavailableError: no node gave it.
        VerificationError: every node that answered altered it.
    """
    failures: dict[int, Exception] = {}
    best: bytes | None = None
    fewest = len(body_hashes) + 1
    for node in _holders(session):
        target = f"/v1/custody/{batch_hash.hex()}"
        request = Request(node, "GET", target, bytes_max=ATTACHMENT_BYTES_MAX, timeout_s=TIMEOUT_S)
        (answer,) = yield Round((request,))
        try:
            bodies = _checked(read(answer), batch_hash, body_hashes)
        except (ClientError, LedgerError) as error:
            failures[node] = error
            continue
        missing = sum(bodies[position] is None for position in wanted)
        if missing < fewest:
            best, fewest = read(answer).body, missing
        if not missing:
            break
    if best is None:
        raise_failures("no node gave the attachment", failures)
        raise AssertionError
    return best


def _checked(
    response: Response, batch_hash: bytes, body_hashes: Sequence[bytes]
) -> tuple[bytes | None, ...]:
    bodies = ATTACHMENT.decode(response.body).bodies
    if len(bodies) != len(body_hashes) or not all(
        body is None or body_hash(body) == hash_
        for body, hash_ in zip(bodies, body_hashes, strict=True)
    ):
        raise AnswerError(response.node, f"attachment of {batch_hash.hex()} was altered")
    return bodies


def _holders(session: Session) -> list[int]:
    """Return the members to ask for attachments: those that ever were in a committee."""
    ever = {each.member for epoch in session.registry.epochs for each in epoch.committee}
    nodes = [node for node in session.nodes() if node in ever]
    return nodes + sorted(
        number for number in ever - set(nodes) if session.endpoint(number) is not None
    )
