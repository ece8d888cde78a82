"""
Facts: what a bundle proves without opening a body (docs/formats.md, section 7).

The histories that t committee members signed alike are compared with the events and marks that
came as proofs: count and rolling hashes must be reproduced, so nothing is missing, added or in
another order. All that is proven leads to the checkpoint, and so does every key that proves it:
the registry's root stands in the block leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradeline_ledger.agreement import verify_statements
from tradeline_ledger.consent import CONSENT, TERMS, Terms, consent_id
from tradeline_ledger.errors import IncompleteError, MalformedError, VerificationError
from tradeline_ledger.history import EventId, fold_head, fold_marks
from tradeline_ledger.merkle import verify_consistency
from tradeline_ledger.proof import EntryVerifier, ProvenEntry, TreeHead, verify_event
from tradeline_ledger.release import COMMON, HistoryCommon
from tradeline_ledger.signing import verify
from tradeline_ledger.standing import Clock, ProvenMark, Standing, standing_of
from tradeline_ledger.statement import Kind
from tradeline_ledger.submission import header_tag
from tradeline_ledger.trust import registry_after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_ledger.bundle import Bundle
    from tradeline_ledger.inquiry import Inquiry
    from tradeline_ledger.registry import EpochRecord
    from tradeline_ledger.release import EntryProof, EventProof
    from tradeline_ledger.statement import BlockLeaf
    from tradeline_ledger.trust import TrustedLog, VerifiedCheckpoint


@dataclass(frozen=True, slots=True)
class ProvenEvent:
    """An event that the histories count."""

    id: EventId
    entry: ProvenEntry
    header: bytes
    inquiry: Inquiry | None
    """Set if the event is an inquiry, which has no body."""
    body: bytes | None
    """None for an inquiry, and unless `standing` is PRESENT."""
    marks: tuple[ProvenMark, ...]
    """In log order."""
    standing: Standing
    retain_month: int
    """As last moved by a mark before the end of the inquiry's block."""

    @property
    def row(self) -> tuple[int, bytes]:
        """Member and tag under which it is filed."""
        return self.entry.statement.member, header_tag(self.header)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is proven about one inquiry. Made by `verify_facts`."""

    log: TrustedLog
    checkpoint: VerifiedCheckpoint
    common: HistoryCommon
    block: BlockLeaf
    """End of the inquiry's block: time and height as of which everything is said."""
    latest: BlockLeaf
    """End of the checkpoint's log."""
    inquiry: Inquiry
    inquiry_entry: ProvenEntry
    consent_entry: ProvenEntry
    terms: Terms
    epoch: EpochRecord
    """Whose committee answered."""
    validators: tuple[int, ...]
    """Committee members that signed the histories, ascending; `epoch.threshold` at least."""
    events: tuple[ProvenEvent, ...]
    """Every event of the histories, in log order; those of the bundle's proofs, one to one."""


def verify_facts(bundle: Bundle, log: TrustedLog) -> Facts:
    """
    Return what `bundle` proves to those who trust `log`. Its keys are not looked at.

    Raises:
        MalformedError: a part does not decode, or is there without being needed.
        SignatureError: a signature is not by the key that it names.
        PolicyError: too few validators behind the checkpoint, or committee members behind the
            histories.
        InclusionError, ConsistencyError: a proof does not lead to its tree head.
        IncompleteError: events or marks that the histories count are missing, or a body is
            missing without an explanation.
        VerificationError: anything else that is claimed and not true.
    """
    return _Case(bundle, log).verify()


class _Case:
    """One verification, in the order of docs/verification.md."""

    def __init__(self, bundle: Bundle, log: TrustedLog) -> None:
        self.bundle = bundle
        self.log = log
        self.ledger_id = log.ledger.ledger_id
        self.verifier = EntryVerifier(self.ledger_id, log.registry)
        self.proofs = {proof.index: proof for proof in bundle.proofs.entries}
        self.used: set[int] = set()

    def verify(self) -> Facts:
        bundle, log = self.bundle, self.log
        self.checkpoint = log.verify_checkpoint(bundle.checkpoint.encode())
        self.latest_head = TreeHead(self.checkpoint.size, self.checkpoint.root)
        self.common = self._common()
        self.head = TreeHead(self.common.size, self.common.root)
        block, latest = self._blocks()
        inquiry_entry, inquiry = self._inquiry(block)
        self.inquiry_entry = inquiry_entry
        consent_entry, terms = self._consent(inquiry_entry, inquiry)
        epoch = log.registry.epoch_at(inquiry_entry.height)
        validators = verify_statements(
            bundle.common, bundle.statements, epoch, log.registry, inquiry_entry.height
        )
        events = self._events(block, latest)
        if unused := sorted(set(self.proofs) - self.used):
            raise MalformedError(
                f"entry {unused[0]} is proven and nothing refers to it; leave out "
                f"{len(unused)} such proofs"
            )
        return Facts(
            log=log,
            checkpoint=self.checkpoint,
            common=self.common,
            block=block,
            latest=latest,
            inquiry=inquiry,
            inquiry_entry=inquiry_entry,
            consent_entry=consent_entry,
            terms=terms,
            epoch=epoch,
            validators=validators,
            events=events,
        )

    def _common(self) -> HistoryCommon:
        common = COMMON.decode(self.bundle.common)
        if common.ledger_id != self.ledger_id:
            raise VerificationError("the histories are of another ledger")
        if common.inquiry != self.bundle.inquiry.index:
            raise VerificationError(
                f"the histories answer inquiry {common.inquiry}, the bundle is about "
                f"{self.bundle.inquiry.index}"
            )
        verify_consistency(
            common.size,
            self.checkpoint.size,
            self.bundle.consistency,
            common.root,
            self.checkpoint.root,
        )
        return common

    def _blocks(self) -> tuple[BlockLeaf, BlockLeaf]:
        """Return the block leaves at both tree heads, the registry checked against both."""
        block = self.verifier.block(self._proof(self.common.size - 1, "block leaf"), self.head)
        latest = block
        if self.checkpoint.size != self.common.size:
            proof = self._proof(self.checkpoint.size - 1, "block leaf")
            latest = self.verifier.block(proof, self.latest_head)
        registry = self.log.registry
        if self.log.size > self.checkpoint.size or registry.root != latest.registry_root:
            raise VerificationError(
                f"registry of block {self.log.height} is not that of the checkpoint's block "
                f"{latest.height}; take exactly the registry steps before the checkpoint"
            )
        if registry_after(registry, block.height).root != block.registry_root:
            raise VerificationError(
                f"the registry steps contradict the registry root in block {block.height}"
            )
        return block, latest

    def _inquiry(self, block: BlockLeaf) -> tuple[ProvenEntry, Inquiry]:
        entry = self.verifier.entry(self.bundle.inquiry, self.head)
        if entry.height != block.height:
            raise VerificationError(
                f"inquiry {entry.index} is in block {entry.height}; the histories end with block "
                f"{block.height}"
            )
        return entry, entry.inquiry()

    def _consent(self, entry: ProvenEntry, inquiry: Inquiry) -> tuple[ProvenEntry, Terms]:
        encoded = self.bundle.terms
        if consent_id(encoded) != inquiry.consent_id:
            raise VerificationError(
                f"inquiry {entry.index} names consent {inquiry.consent_id.hex()}, the terms are "
                f"those of {consent_id(encoded).hex()}"
            )
        terms = TERMS.decode(encoded)
        if terms.grantee != entry.statement.member or terms.ledger_id != self.ledger_id:
            raise VerificationError("the consent is for another reader or ledger")
        for proof in self.bundle.proofs.entries:
            if proof.index < entry.index and encoded in (proof.content or b""):
                found = self._consent_entry(proof, encoded)
                if found is not None:
                    self._check_second(found, terms)
                    return found, terms
        raise IncompleteError(
            f"no entry proof shows consent {inquiry.consent_id.hex()}; the inquiry's consent must "
            "be among the entry proofs"
        )

    def _consent_entry(self, proof: EntryProof, terms: bytes) -> ProvenEntry | None:
        """Return the proven entry that posted `terms`, None if `proof` is about something else."""
        try:
            content = CONSENT.decode(proof.content or b"")
        except MalformedError:
            return None
        if content.terms != terms:
            return None
        self.used.add(proof.index)
        return self.verifier.entry(proof, self.head).expect(Kind.CONSENT)

    def _check_second(self, entry: ProvenEntry, terms: Terms) -> None:
        content = CONSENT.decode(entry.content or b"")
        second = self.verifier.member_at(terms.second, entry.height)
        feed = None if content.second is None else second.feed(content.second.feed)
        if content.second is None or feed is None or not feed.kinds >> Kind.CONSENT & 1:
            raise VerificationError(
                f"consent {entry.index} lacks the signature of member {terms.second}, which "
                "identified the subject"
            )
        verify(feed.key, "consent", content.terms, content.second.signature)

    def _events(self, block: BlockLeaf, latest: BlockLeaf) -> tuple[ProvenEvent, ...]:
        proofs = self.bundle.proofs.events
        entries: dict[int, ProvenEntry] = {}
        inquiries: list[Inquiry | None] = []
        for proof in proofs:
            entry = entries.get(proof.index)
            if entry is None:
                entry = entries[proof.index] = self._event_entry(proof.index)
            inquiries.append(verify_event(proof, entry))
        ids = [EventId(proof.index, proof.position) for proof in proofs]
        marks = self._marks(set(entries), set(ids))
        self._check_rows(proofs, ids, marks)
        clock = Clock.of(block, latest, self.log.ledger.params.utc_offset_min)
        events = []
        for proof, event, inquiry in zip(proofs, ids, inquiries, strict=True):
            about = tuple(marks.get(event, ()))
            if inquiry is None:
                standing, body, month = standing_of(proof, event, about, clock)
            else:
                standing, body, month = Standing.PRESENT, None, inquiry.retain_month
            entry = entries[proof.index]
            events.append(
                ProvenEvent(event, entry, proof.header, inquiry, body, about, standing, month)
            )
        own_inquiry = EventId(self.common.inquiry, 0)
        if own_inquiry not in ids:
            raise IncompleteError(
                f"the histories lack inquiry {own_inquiry.index} itself: it is filed under a tag "
                "that is not the subject's"
            )
        return tuple(events)

    def _event_entry(self, index: int) -> ProvenEntry:
        if index >= self.head.size:
            raise VerificationError(f"event of entry {index} came after the inquiry's block")
        if index == self.bundle.inquiry.index:
            if index in self.proofs:
                raise MalformedError(f"inquiry {index} is proven twice; once is enough")
            return self.inquiry_entry
        return self.verifier.entry(self._proof(index, "entry"), self.head)

    def _marks(self, entries: set[int], events: set[EventId]) -> dict[EventId, list[ProvenMark]]:
        """Return the marks about each event, in log order; every entry proof left is one."""
        marks: dict[EventId, list[ProvenMark]] = {}
        for proof in self.bundle.proofs.entries:
            if proof.index in self.used or proof.index in entries:
                continue
            later = proof.index >= self.head.size
            entry = self.verifier.entry(proof, self.latest_head if later else self.head)
            mark = entry.mark()
            if mark.target not in events:
                raise VerificationError(
                    f"mark {proof.index} is about event {mark.target}, which no history counts"
                )
            self.used.add(proof.index)
            marks.setdefault(mark.target, []).append(
                ProvenMark(proof.index, mark, entry.statement.created_ms, later)
            )
        return marks

    def _check_rows(
        self,
        proofs: Sequence[EventProof],
        ids: Sequence[EventId],
        marks: dict[EventId, list[ProvenMark]],
    ) -> None:
        """Accept the events and marks if they reproduce every history, and nothing else."""
        histories: dict[tuple[int, bytes], list[tuple[EventId, bytes]]] = {
            (row.member, row.tag): [] for row in self.common.rows
        }
        for proof, event in zip(proofs, ids, strict=True):
            history = histories.get((proof.member, header_tag(proof.header)))
            if history is None:
                raise VerificationError(
                    f"event {event} of member {proof.member} is filed under no history of the "
                    "scope; it does not belong to this report"
                )
            history.append((event, proof.header))
        for number, row in enumerate(self.common.rows):
            events = histories[row.member, row.tag]
            what = f"history {number} (member {row.member})"
            if not row.count:
                raise VerificationError(f"{what} is empty; only histories with events are listed")
            _check_count(what, "events", row.count, len(events))
            if fold_head(events) != row.head:
                raise VerificationError(f"{what}: other events, or another order, than was signed")
            about = sorted(
                (each.index, event)
                for event, _ in events
                for each in marks.get(event, ())
                if not each.later
            )
            _check_count(what, "marks", row.marks_count, len(about))
            if fold_marks((event, index) for index, event in about) != row.marks:
                raise VerificationError(f"{what}: other marks, or another order, than was signed")

    def _proof(self, index: int, what: str) -> EntryProof:
        proof = self.proofs.get(index)
        if proof is None:
            raise IncompleteError(f"the proof of {what} {index} is missing; ask another node")
        self.used.add(index)
        return proof


def _check_count(what: str, things: str, expected: int, got: int) -> None:
    if got < expected:
        raise IncompleteError(
            f"{what} holds {expected} {things}, {got} were given; ask another node"
        )
    if got > expected:
        raise VerificationError(f"{what} holds {expected} {things}, {got} were given")
