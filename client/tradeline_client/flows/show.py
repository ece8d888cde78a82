"""Any entry of the log, proven: its leaf, its content and who signed it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradeline_client.errors import AnswerError, NotFoundError
from tradeline_client.flows.checkpoint import ProvenLeaf, content_of, leaf_at, newest
from tradeline_client.flows.checkpoint import registry as follow_registry
from tradeline_client.requests import Flow, Request, Response, try_each
from tradeline_ledger.errors import VerificationError
from tradeline_ledger.note import decode_note
from tradeline_ledger.statement import (
    CONTENT_BYTES_MAX,
    STATEMENT,
    EntryLeaf,
    Kind,
    Statement,
    verify_statement,
)
from tradeline_ledger.submission import decode_submission
from tradeline_ledger.tlog_proof import TlogProof, encode_proof

if TYPE_CHECKING:
    from tradeline_client.session import Session
    from tradeline_ledger.registry import MemberRecord


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """One leaf of the log. Made by `entry` only."""

    proven: ProvenLeaf
    statement: Statement | None
    """None for a block leaf."""
    member: MemberRecord | None
    """Who signed it, as of its block; None for a block leaf."""
    content: bytes | None
    """None for a block leaf."""

    def proof(self) -> bytes:
        """Return a tlog-proof file that carries the leaf, so that it can be checked by itself."""
        proven = self.proven
        note = decode_note(proven.checkpoint.note)
        return encode_proof(TlogProof(proven.index, proven.path, note, proven.encoded))


def entry(session: Session, index: int) -> Flow[ShownEntry]:
    """
    Return the entry at log index `index`, refused ones too.

    Raises:
        NotFoundError: the log of the newest checkpoint ends before it.
        UnavailableError: no node gave it.
        VerificationError: what a node gave is not what was signed.
    """
    registry = yield from follow_registry(session)
    checkpoint = yield from newest(session)
    if index >= checkpoint.size:
        raise NotFoundError(
            f"the newest checkpoint has {checkpoint.size} entries, so there is no entry {index}"
        )
    proven = yield from leaf_at(session, index, checkpoint)
    leaf = proven.leaf
    if not isinstance(leaf, EntryLeaf):
        return ShownEntry(proven, None, None, None)
    statement = STATEMENT.decode(leaf.statement)
    member = registry.member_at(statement.member, leaf.height)
    feed = None if member is None else member.feed(statement.feed)
    if feed is None:
        raise VerificationError(
            f"entry {index} is by feed {statement.feed} of member {statement.member}, which the "
            f"registry does not have at height {leaf.height}"
        )
    verify_statement(feed.key, leaf.statement, leaf.signature)
    if statement.kind == Kind.SUBMISSION:
        content = yield from submission_content(session, statement)
    else:
        hash_ = statement.content_hash
        content = yield from content_of(session, statement.kind, hash_, CONTENT_BYTES_MAX)
    return ShownEntry(proven, statement, member, content)


def submission_content(session: Session, statement: Statement) -> Flow[bytes]:
    """
    Return the content that the statement of a submission names.

    Raises:
        UnavailableError: no node gave it.
        VerificationError: what a node gave does not hash to what was signed.
    """
    name = statement.content_hash.hex()

    def build(node: int) -> Request:
        return Request(node, "GET", f"/content/{name}", bytes_max=CONTENT_BYTES_MAX)

    def take(response: Response) -> bytes:
        submission = decode_submission(response.body)
        hash_ = submission.content_hash(session.ledger.ledger_id, statement.member)
        if hash_ != statement.content_hash:
            raise AnswerError(response.node, f"content does not hash to {name}")
        return response.body

    return (yield from try_each(session.nodes(), build, take))
