"""
Proofs: single entries and events tied to a tree head (docs/formats.md, section 7).

An entry is proven by its path, its signature under the feed key in force at its height, and its
content; an event by its header's path to the `events_root` that its member signed. Only accepted
entries prove anything: a refused one has its place in the log and no other effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import InclusionError, MalformedError, VerificationError
from tradeline_ledger.inquiry import INQUIRY, Inquiry, inquiry_header
from tradeline_ledger.mark import MARK, Mark
from tradeline_ledger.merkle import leaf_hash, verify_inclusion
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.statement import (
    STATEMENT,
    BlockLeaf,
    Kind,
    Statement,
    content_hash,
    decode_leaf,
    verify_statement,
)
from tradeline_ledger.submission import (
    batch_hash,
    check_header,
    header_body_hash,
    header_retain_month,
    header_tag,
    submission_hash,
)
from tradeline_ledger.transition.apply import ROLES

if TYPE_CHECKING:
    from tradeline_ledger.registry import MemberRecord, Registry
    from tradeline_ledger.release import BatchPart, EntryProof, EventProof


@dataclass(frozen=True, slots=True)
class TreeHead:
    """A log up to some size, which the caller has verified."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """An accepted entry of the log, signed by who was allowed to. Made by `EntryVerifier`."""

    index: int
    height: int
    """Block that placed it."""
    statement: Statement
    member: MemberRecord
    """The version of its member that was in force."""
    content: bytes | None
    """None for a submission."""
    batch: BatchPart | None
    """For a submission."""

    def inquiry(self) -> Inquiry:
        """
        Return the content of an inquiry.

        Raises:
            VerificationError: the entry is of another kind.
            MalformedError: the content does not decode.
        """
        return INQUIRY.decode(self._content(Kind.INQUIRY))

    def mark(self) -> Mark:
        """
        Return the content of a mark.

        Raises:
            VerificationError: the entry is of another kind.
            MalformedError: the content does not decode.
        """
        return MARK.decode(self._content(Kind.MARK))

    def expect(self, kind: Kind) -> ProvenEntry:
        """
        Return this entry if it is of `kind`.

        Raises:
            VerificationError: it is of another kind.
        """
        if self.statement.kind != kind:
            raise VerificationError(
                f"entry {self.index} is of kind {self.statement.kind}, expected {kind.name.lower()}"
            )
        return self

    def _content(self, kind: Kind) -> bytes:
        self.expect(kind)
        assert self.content is not None, self.index
        return self.content


class EntryVerifier:
    """Verifies the entries of one ledger against every version of its members."""

    __slots__ = ("_ledger_id", "_versions")

    def __init__(self, ledger_id: bytes, registry: Registry) -> None:
        """Take the ledger and a registry that is trusted up to the entries' heights."""
        self._ledger_id = ledger_id
        self._versions: dict[int, list[MemberRecord]] = {}
        for record in registry.members:
            self._versions.setdefault(record.id, []).append(record)

    def member_at(self, number: int, height: int) -> MemberRecord:
        """
        Return the version of a member that was in force at `height`.

        Raises:
            VerificationError: it was no member then.
        """
        for record in self._versions.get(number, ()):
            until = record.until_height
            if record.from_height <= height and (until is None or height < until):
                return record
        raise VerificationError(f"{number} was no member at height {height}")

    def block(self, proof: EntryProof, head: TreeHead) -> BlockLeaf:
        """
        Return the block leaf that a proof shows.

        Raises:
            InclusionError: it is not in the log.
            MalformedError: it is no leaf, or the proof carries a content beside it.
            VerificationError: it is the leaf of an entry.
        """
        verify_inclusion(leaf_hash(proof.leaf), proof.index, head.size, proof.path, head.root)
        leaf = decode_leaf(proof.leaf)
        if not isinstance(leaf, BlockLeaf):
            raise VerificationError(f"leaf {proof.index} is that of an entry, not of a block's end")
        if proof.content is not None or proof.batch is not None:
            raise MalformedError(f"block leaf {proof.index} comes with a content; it has none")
        return leaf

    def entry(self, proof: EntryProof, head: TreeHead) -> ProvenEntry:
        """
        Return the accepted entry that a proof shows.

        Raises:
            InclusionError: it is not in the log.
            MalformedError: leaf or statement does not decode.
            SignatureError: the statement is not by the feed's key at that height.
            VerificationError: it was refused; its feed or member was not allowed its kind at that
                height; or the content is not what was signed.
        """
        verify_inclusion(leaf_hash(proof.leaf), proof.index, head.size, proof.path, head.root)
        leaf = decode_leaf(proof.leaf)
        if isinstance(leaf, BlockLeaf):
            raise VerificationError(f"leaf {proof.index} ends a block, expected an entry")
        if leaf.outcome != Outcome.ACCEPTED:
            raise VerificationError(
                f"entry {proof.index} was not accepted, its outcome is {leaf.outcome}; it has no "
                "effect and proves nothing"
            )
        statement = STATEMENT.decode(leaf.statement)
        if statement.ledger_id != self._ledger_id:
            raise VerificationError(f"entry {proof.index} was signed for another ledger")
        member = self._check_signer(proof.index, leaf.height, statement)
        feed = member.feed(statement.feed)
        if feed is None or not feed.kinds >> statement.kind & 1:
            raise VerificationError(
                f"entry {proof.index} is signed by feed {statement.feed} of member {member.id}, "
                f"which at height {leaf.height} was not allowed kind {statement.kind}"
            )
        verify_statement(feed.key, leaf.statement, leaf.signature)
        self._check_content(proof, statement)
        return ProvenEntry(proof.index, leaf.height, statement, member, proof.content, proof.batch)

    def _check_signer(self, index: int, height: int, statement: Statement) -> MemberRecord:
        member = self.member_at(statement.member, height)
        role = ROLES.get(Kind(statement.kind)) if statement.kind in _KINDS else None
        if role is not None and not member.has(role):
            raise VerificationError(
                f"entry {index}: member {member.id} was no {role.name.lower()} at height {height}"
                if role.name
                else f"entry {index}: member {member.id} lacked its role"
            )
        return member

    def _check_content(self, proof: EntryProof, statement: Statement) -> None:
        part = proof.batch
        if statement.kind == Kind.SUBMISSION:
            if part is None or proof.content is not None:
                raise MalformedError(f"submission {proof.index} comes without its batch part")
            batch = batch_hash(
                self._ledger_id,
                member=statement.member,
                epoch=part.epoch,
                count=part.count,
                events_root=part.events_root,
                deposits_hash=part.deposits_hash,
            )
            actual = submission_hash(batch, part.receipts_hash)
        else:
            if proof.content is None or part is not None:
                raise MalformedError(f"entry {proof.index} comes without its content")
            actual = content_hash(statement.kind, proof.content)
        if actual != statement.content_hash:
            raise VerificationError(
                f"entry {proof.index}: its content hashes to {actual.hex()}, its member signed "
                f"{statement.content_hash.hex()}"
            )


_KINDS = frozenset(Kind)


def verify_event(proof: EventProof, entry: ProvenEntry) -> Inquiry | None:
    """
    Accept an event's header as part of its proven entry; return the inquiry that it is, if any.

    The body is not looked at.

    Raises:
        InclusionError: the header does not lead to the `events_root` that was signed.
        MalformedError: no header, or an inquiry with a path or body.
        VerificationError: of another member or kind, or another header than the inquiry's.
    """
    if entry.statement.member != proof.member:
        raise VerificationError(
            f"event {proof.index}/{proof.position} is filed under member {proof.member}, "
            f"its entry is by member {entry.statement.member}"
        )
    if entry.statement.kind == Kind.INQUIRY:
        inquiry = entry.inquiry()
        if proof.position or proof.path or proof.body is not None:
            raise MalformedError(f"inquiry {proof.index} is one event without path and body")
        if proof.header != inquiry_header(inquiry):
            raise VerificationError(f"inquiry {proof.index} has another event header")
        return inquiry
    part = entry.expect(Kind.SUBMISSION).batch
    assert part is not None, entry.index
    if not _is_header(proof.header):
        check_header(proof.header)  # slower, and raises
    try:
        verify_inclusion(
            leaf_hash(proof.header), proof.position, part.count, proof.path, part.events_root
        )
    except InclusionError as error:
        raise InclusionError(f"event {proof.index}/{proof.position}: {error}") from error
    return None


def _is_header(header: bytes) -> bool:
    fields = (header_tag(header), header_retain_month(header), header_body_hash(header))
    return encode(fields) == header
