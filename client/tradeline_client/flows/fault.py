"""
Who is at fault for shares that open no body, or don't fit the others': proven, and kept as files.

A share with its path to what was dealt convicts the committee member or the contributor
(`tradeline_ledger.share_fault`). What convicts stands in evidence files of the client's folder.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec.structs

from tradeline_client.flows.proof import content_of, entry_leaf, read_proof
from tradeline_client.requests import Flow, Request, Round, read
from tradeline_ledger.errors import LedgerError, MalformedError, SealError
from tradeline_ledger.fault_evidence import fault_evidence
from tradeline_ledger.redeposit import REDEPOSIT, REDEPOSIT_BYTES_MAX
from tradeline_ledger.release import PAYLOAD
from tradeline_ledger.report import fault_bundle, verify_fault_of
from tradeline_ledger.share_fault import FaultClaim, Part, SignedShares
from tradeline_ledger.statement import CONTENT_BYTES_MAX, STATEMENT
from tradeline_ledger.submission import decode_submission

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_client.session import Session
    from tradeline_ledger.history import EventId
    from tradeline_ledger.release import Answer, EntryProof
    from tradeline_ledger.report import Released
    from tradeline_ledger.share_fault import Blame
    from tradeline_ledger.submission import Deposit
    from tradeline_ledger.trust import TrustedLog

EVIDENCE_EACH_MAX: Final = 16
"""Files written by one read against one member: more prove nothing more."""


@dataclass(frozen=True, slots=True)
class Convicted:
    """Who is proven at fault, and by which claims, alike in number and order."""

    blamed: tuple[Blame, ...]
    claims: tuple[FaultClaim, ...]


class FaultFinder:
    """Looks for who is at fault in what a reader has collected, share paths included."""

    def __init__(
        self, session: Session, log: TrustedLog, node: int, released: Released, size: int
    ) -> None:
        """Ask `node` for deposits; `size` is that of the histories."""
        self._session, self._log, self._node = session, log, node
        self._released, self._size = released, size
        self._entries = {proof.index: proof for proof in released.proofs.entries}
        self._kept: Counter[tuple[Part, int]] = Counter()

    def of_events(self, events: Sequence[EventId]) -> Flow[tuple[FaultClaim, ...]]:
        """
        Return claims that convict who is at fault for each of `events`, its dealer at last.

        Raises:
            SealError: nobody can be convicted for an event; too few members answer.
        """
        claims = []
        for event in events:
            sources = self._sources(event)
            known = Counter(source for source in sources.values() if source is not None)
            placed = known.most_common(1)[0][0] if known else event.index
            signed = [
                self._signed(member) for member, source in sources.items() if source == placed
            ]
            deposits, again = yield from self._deposits(event, placed)
            while signed:
                claim = FaultClaim(event, deposits, again, tuple(signed))
                blame = self._convict(claim)
                claims.append(claim)
                if blame.part is Part.DEALER:
                    break
                signed = [each for each in signed if each.validator != blame.member]
            else:
                raise SealError(f"event {event}: no committee member answers with a right share")
        return tuple(claims)

    def of_members(self, doubted: Sequence[tuple[EventId, int]]) -> Flow[Convicted]:
        """
        Return who of `doubted` is convicted by its own answer for that event.

        One whose share is the one that was dealt to it is not: then its dealer dealt it wrong.
        """
        blamed, claims = [], []
        asked: Counter[int] = Counter()
        for event, member in doubted:
            placed = self._sources(event).get(member)
            asked[member] += 1
            if placed is None or asked[member] > EVIDENCE_EACH_MAX:
                continue
            deposits, again = yield from self._deposits(event, placed)
            claim = FaultClaim(event, deposits, again, (self._signed(member),))
            try:
                blamed.append(self._convict(claim))
            except LedgerError:
                continue
            claims.append(claim)
        return Convicted(tuple(blamed), tuple(claims))

    def _sources(self, event: EventId) -> dict[int, int | None]:
        """Return by member, ascending, what placed the deposits that its share is out of."""
        return {v: _source(each, event) for v, each in sorted(self._released.answers.items())}

    def _signed(self, member: int) -> SignedShares:
        answer = self._released.answers[member]
        return SignedShares(member, answer.signature, answer.payload)

    def _deposits(
        self, event: EventId, placed: int
    ) -> Flow[tuple[tuple[Deposit, ...], EntryProof | None]]:
        """Return the deposits placed at log index `placed`, and the re-deposit that has them."""
        if placed != event.index:
            proof = yield from self._redeposit(placed)
            assert proof.content is not None, proof.index
            return REDEPOSIT.decode(proof.content).deposits, proof
        leaf = entry_leaf(self._node, self._entries[event.index])
        hash_ = STATEMENT.decode(leaf.statement).content_hash
        content = yield from content_of(self._node, hash_, CONTENT_BYTES_MAX)
        return decode_submission(content).batch.deposits, None

    def _redeposit(self, placed: int) -> Flow[EntryProof]:
        """Return the entry at log index `placed`, with its content and its path to the size."""
        target = f"/v1/entries/{placed}?size={self._size}"
        (answer,) = yield Round((Request(self._node, "GET", target),))
        proof = read_proof(placed, read(answer), None)
        hash_ = STATEMENT.decode(entry_leaf(self._node, proof).statement).content_hash
        content = yield from content_of(self._node, hash_, REDEPOSIT_BYTES_MAX)
        return msgspec.structs.replace(proof, content=content)

    def _convict(self, claim: FaultClaim) -> Blame:
        """Return whom `claim` convicts, once a file says so, if there are not many already."""
        blame = verify_fault_of(self._log, self._released, claim)
        key = (blame.part, blame.member)
        self._kept[key] += 1
        # A file of wrong dealing is about a submission's own deposits; else the claim proves it.
        provable = blame.part is not Part.DEALER or claim.redeposit is None
        if provable and self._kept[key] <= EVIDENCE_EACH_MAX:
            bundle = fault_bundle(self._log, self._released)
            data = fault_evidence(self._log, bundle, claim, blame)
            word = "dealing" if blame.part is Part.DEALER else "false-share"
            event = f"{blame.event.index}-{blame.event.position}"
            self._session.keep_evidence(f"{word}-{blame.member}-{event}.evidence", data)
        return blame


def _source(answer: Answer, event: EventId) -> int | None:
    """Return what placed the deposits that an answer's share of an event is out of, if any."""
    try:
        payload = PAYLOAD.decode(answer.payload)
    except MalformedError:
        return None
    for entry in payload:
        if entry.index == event.index and any(s.position == event.position for s in entry.shares):
            return entry.placed
    return None
