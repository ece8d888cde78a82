"""
Reports: a subject's verified history, from an accepted inquiry (DESIGN.md, section 8).

All committee members are asked for their shares at once, one of them for proofs and bodies, too.
If those don't verify, or the member does not answer, the next one is asked. Nothing that a flow
here returns was not verified by `tradeline_ledger.report`; nothing is lost if a flow is broken
off, and the same inquiry can be read again until its releases close.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from tradeline_client.errors import AnswerError, ClientError
from tradeline_client.flows.checkpoint import newest, registry
from tradeline_client.flows.inquiry import PostedInquiry, Question, inquire
from tradeline_client.flows.release import ROUNDS, Collected, proofs_of
from tradeline_client.requests import (
    Flow,
    Request,
    Response,
    Round,
    from_json,
    hashes,
    raise_failures,
    read,
)
from tradeline_ledger.c2sp import decode_base64
from tradeline_ledger.consent import CONSENT_BYTES_MAX
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import (
    LedgerError,
    MalformedError,
    SealError,
    UnopenedError,
    VerificationError,
)
from tradeline_ledger.fault_evidence import fault_evidence
from tradeline_ledger.history import EventId
from tradeline_ledger.merkle import PATH_HASHES_MAX, leaf_hash, verify_inclusion
from tradeline_ledger.redeposit import REDEPOSIT, REDEPOSIT_BYTES_MAX
from tradeline_ledger.release import (
    COMMON,
    PAYLOAD,
    Answer,
    EntryProof,
    HistoryCommon,
    Proofs,
    Want,
    YearKey,
)
from tradeline_ledger.report import (
    Reading,
    Released,
    SubjectKeys,
    fault_bundle,
    read_report,
    verify_fault_of,
)
from tradeline_ledger.report_parts import WarningCode
from tradeline_ledger.share_fault import Blame, FaultClaim, Part, SignedShares
from tradeline_ledger.statement import (
    CONTENT_BYTES_MAX,
    STATEMENT,
    BlockLeaf,
    EntryLeaf,
    decode_leaf,
)
from tradeline_ledger.submission import Deposit, decode_submission
from tradeline_ledger.tag import year_key
from tradeline_ledger.trust import verify_block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_client.requests import Answer as HttpAnswer
    from tradeline_client.session import Session
    from tradeline_ledger.trust import TrustedLog, VerifiedCheckpoint

RESTARTS_MAX: Final = 3
"""How often a read begins anew because the ledger moved on while it went on."""
EVIDENCE_EACH_MAX: Final = 16
"""Files written by one read against one member: more prove nothing more."""


class _Entry(msgspec.Struct):
    leaf: str
    path: list[str]


class _Consistency(msgspec.Struct):
    path: list[str]


class _Consent(msgspec.Struct):
    index: int


class _RegistryMovedError(Exception):
    """The registry at hand is not that of the checkpoint; never leaves this module."""


@dataclass(frozen=True, slots=True)
class _Start:
    """What one node says that does not depend on releases."""

    node: int
    inquiry: EntryProof
    """Proven to stand in the checkpoint's log."""
    height: int
    """Of the inquiry."""
    latest: EntryProof
    """The checkpoint's last leaf, proven to stand there."""
    block: BlockLeaf
    """Which it holds."""
    consent_index: int
    """Not verified: another index leads to no consent."""


def ask(session: Session, question: Question) -> Flow[Reading]:
    """
    Return the report that answers a question: post the inquiry, then read it.

    Raises:
        ClientError, LedgerError: as `inquiry.inquire` and `read_inquiry`.
    """
    posted = yield from inquire(session, question)
    return (yield from read_inquiry(session, posted))


def read_inquiry(session: Session, posted: PostedInquiry) -> Flow[Reading]:
    """
    Return the verified report of an accepted inquiry of this folder, and the bundle that proves it.

    Raises:
        NodeProblemError: the committee refuses to release, such as when the consent was revoked.
        UnavailableError: too few committee members answer.
        PolicyError: too few of them agree.
        IncompleteError, VerificationError: no node's proofs verify; says what is wrong with them.
        UnopenedError: bodies stay closed, and nobody can be shown to be at fault.
    """
    subject = subject_keys(session, posted)
    for left in reversed(range(RESTARTS_MAX)):
        checkpoint = yield from newest(session, size_min=posted.index + 1)
        try:
            return (yield from _Read(session, posted, subject, checkpoint).run())
        except _RegistryMovedError:
            yield from registry(session)
        except VerificationError:
            # A body may have gone after that checkpoint, and only a newer one explains it.
            newer = yield from newest(session)
            if not left or newer.size == checkpoint.size:
                raise
    raise VerificationError("the registry changed again and again while reading; read once more")


def subject_keys(session: Session, posted: PostedInquiry) -> SubjectKeys:
    """Return the salt and the year keys of an inquiry's subject, identifier by identifier."""
    linker, years = session.keystore.linker, posted.inquiry.years
    links = [linker.link_key(subject) for subject in posted.secret.subjects]
    return SubjectKeys(
        posted.secret.salt,
        tuple(tuple(YearKey(year, year_key(link, year)) for year in years) for link in links),
    )


class _Read:
    """One read under one checkpoint and one registry."""

    def __init__(
        self,
        session: Session,
        posted: PostedInquiry,
        subject: SubjectKeys,
        checkpoint: VerifiedCheckpoint,
    ) -> None:
        self.session = session
        self.posted = posted
        self.subject = subject
        self.checkpoint = checkpoint
        self.log: TrustedLog = session.trust
        epoch = self.log.registry.epoch
        self.collected = Collected(session, posted, subject, epoch, checkpoint.size)
        self.convicted: Counter[tuple[Part, int]] = Counter()

    def run(self) -> Flow[Reading]:
        """Return the first reading that verifies; one without lapsed bodies if there is any."""
        start = yield from self._begin()
        # The committee may have changed since the inquiry; that of its block answers.
        self.collected.epoch = self.log.registry.epoch_at(start.height)
        common = COMMON.decode((yield from self.collected.agreed(start.height)))
        failures: dict[int, Exception] = {}
        best: Reading | None = None
        for node in self._proof_nodes():
            try:
                reading = yield from self._read_from(node, start, common)
            except (UnopenedError, _RegistryMovedError):
                raise
            except (ClientError, LedgerError) as error:
                failures[node] = error
                continue
            lapsed = _lapsed(reading)
            if best is None or lapsed < _lapsed(best):
                best = reading
            if not lapsed:
                break
        if best is None:
            raise_failures("no node's proofs verify", failures)
            raise AssertionError
        return best

    def _proof_nodes(self) -> list[int]:
        """Return the committee: who sent proofs, then who answered, then who did not."""
        collected = self.collected
        return sorted(
            collected.committee,
            key=lambda node: (node not in collected.proofs, node not in collected.answers),
        )

    def _begin(self) -> Flow[_Start]:
        """Ask for releases, and for what does not depend on them, in one round."""
        members = self.collected.committee
        wants = [Want.SHARES | Want.PROOFS, *(Want.SHARES for _ in members[1:])]
        sent = self.collected.requests(members, wants, ROUNDS[0][1])
        failures: dict[int, Exception] = {}
        for place, node in enumerate(self.session.nodes()):
            patience_s = ROUNDS[min(place, len(ROUNDS) - 1)][1]
            answers = yield Round((*sent, *self._start_requests(node, patience_s)))
            for member, answer in zip(members, answers[: len(sent)], strict=False):
                self.collected.take(member, answer)
            try:
                start = self._started(node, answers[len(sent) :])
            except (ClientError, LedgerError) as error:
                failures[node] = error
                sent = []  # releases were asked for once, which is enough for now
                continue
            if start.block.registry_root != self.log.registry.root:
                raise _RegistryMovedError
            return start
        raise_failures("no node proves the inquiry", failures)
        raise AssertionError

    def _start_requests(self, node: int, timeout_s: float) -> list[Request]:
        size, posted = self.checkpoint.size, self.posted
        targets = (
            f"/v1/entries/{posted.index}?size={size}",
            f"/v1/entries/{size - 1}?size={size}",
            f"/v1/consents/{posted.inquiry.consent_id.hex()}",
        )
        # Another node is asked next, which is quicker than asking this one again.
        return [
            Request(node, "GET", target, timeout_s=timeout_s, idempotent=False)
            for target in targets
        ]

    def _started(self, node: int, answers: Sequence[HttpAnswer]) -> _Start:
        inquiry, latest, consent = (read(answer) for answer in answers)
        checkpoint, index = self.checkpoint, self.posted.index
        proof = _proof(index, inquiry, encode(self.posted.inquiry))
        verify_inclusion(leaf_hash(proof.leaf), index, checkpoint.size, proof.path, checkpoint.root)
        leaf = _entry_leaf(node, proof)
        last = _proof(checkpoint.size - 1, latest, None)
        block = verify_block(last.leaf, last.index, last.path, checkpoint)
        return _Start(node, proof, leaf.height, last, block, from_json(_Consent, consent).index)

    def _read_from(self, node: int, start: _Start, common: HistoryCommon) -> Flow[Reading]:
        """Return the reading of the proofs of one node; another's word is not needed for it."""
        if start.node != node:
            start = self._started(
                node, (yield Round(tuple(self._start_requests(node, ROUNDS[1][1]))))
            )
        proofs = yield from proofs_of(self.collected, node)
        released = yield from self._release(node, start, common, proofs)
        try:
            return read_report(self.log, released, self.subject)
        except UnopenedError:
            pass
        # Some shares are wrong or missing: first ask everybody, then who is at fault.
        silent = [each for each in self.collected.committee if each not in self.collected.answers]
        if silent or self.collected.elders:
            yield from self.collected.ask(silent, Want.SHARES, ROUNDS[1][1])
            yield from self.collected.ask_elders(Want.SHARES, ROUNDS[1][1])
            released = replace(released, answers=dict(self.collected.answers))
        try:
            return read_report(self.log, released, self.subject)
        except UnopenedError as error:
            events = [EventId(*event) for event in error.events]
        members = [*self.collected.committee, *self.collected.elders]
        yield from self.collected.ask(members, Want.SHARES | Want.SHARE_PATHS, ROUNDS[1][1])
        released = replace(released, answers=dict(self.collected.answers))
        claims = yield from self._claims(node, released, events, common.size)
        return read_report(self.log, replace(released, claims=claims), self.subject)

    def _release(
        self, node: int, start: _Start, common: HistoryCommon, proofs: Proofs
    ) -> Flow[Released]:
        """Return all that the reader has, with what the release lacks asked of one node."""
        old, new = common.size, self.checkpoint.size
        indexes = [start.consent_index]
        if old != new:
            indexes += [self.posted.index, old - 1]
        requests = [Request(node, "GET", f"/v1/entries/{index}?size={old}") for index in indexes]
        if old != new:
            requests.append(Request(node, "GET", f"/v1/consistency?old={old}&new={new}"))
        answers = [read(answer) for answer in (yield Round(tuple(requests)))]
        consent = yield from self._consent(node, start.consent_index, answers[0])
        entries = {proof.index: proof for proof in proofs.entries}
        entries |= {consent.index: consent, start.latest.index: start.latest}
        inquiry = start.inquiry
        consistency: tuple[bytes, ...] = ()
        if old != new:
            inquiry = _proof(self.posted.index, answers[1], start.inquiry.content)
            entries[old - 1] = _proof(old - 1, answers[2], None)
            path = from_json(_Consistency, answers[3]).path
            consistency = tuple(hashes(path, PATH_HASHES_MAX + 1, "consistency path"))
        listed = tuple(proof for _, proof in sorted(entries.items()))
        return Released(
            checkpoint=self.checkpoint.note,
            consistency=consistency,
            terms=self.posted.secret.terms,
            inquiry=inquiry,
            proofs=Proofs(listed, proofs.events),
            answers=dict(self.collected.answers),
        )

    def _consent(self, node: int, index: int, response: Response) -> Flow[EntryProof]:
        proof = _proof(index, response, None)
        hash_ = STATEMENT.decode(_entry_leaf(node, proof).statement).content_hash
        content = yield from _content(node, hash_, CONSENT_BYTES_MAX)
        return EntryProof(proof.index, proof.leaf, proof.path, content, None)

    def _redeposit(self, node: int, placed: int, size: int) -> Flow[EntryProof]:
        """Return the entry at log index `placed`, with its content and its path to `size`."""
        (answer,) = yield Round((Request(node, "GET", f"/v1/entries/{placed}?size={size}"),))
        proof = _proof(placed, read(answer), None)
        hash_ = STATEMENT.decode(_entry_leaf(node, proof).statement).content_hash
        content = yield from _content(node, hash_, REDEPOSIT_BYTES_MAX)
        return EntryProof(proof.index, proof.leaf, proof.path, content, None)

    def _claims(
        self, node: int, released: Released, events: Sequence[EventId], size: int
    ) -> Flow[tuple[FaultClaim, ...]]:
        """
        Return claims that convict who is at fault for each of `events`, its dealer at last.

        What convicts stands in evidence files of the folder, of the first events of each member.
        `size` is that of the histories.

        Raises:
            SealError: nobody can be convicted for an event; too few members answer.
        """
        entries = {proof.index: proof for proof in released.proofs.entries}
        claims = []
        for event in events:
            sources = {v: _source(answer, event) for v, answer in released.answers.items()}
            known = Counter(source for source in sources.values() if source is not None)
            placed = known.most_common(1)[0][0] if known else event.index
            proof = entries[event.index]
            if placed != event.index:
                proof = yield from self._redeposit(node, placed, size)
            deposits = yield from _deposits(node, proof, again=placed != event.index)
            signed = [
                SignedShares(member, answer.signature, answer.payload)
                for member, answer in sorted(released.answers.items())
                if sources[member] == placed
            ]
            while signed:
                again = proof if placed != event.index else None
                claim = FaultClaim(event, deposits, again, tuple(signed))
                blame = verify_fault_of(self.log, released, claim)
                claims.append(claim)
                self._keep_evidence(released, claim, blame)
                if blame.part is Part.DEALER:
                    break
                signed = [each for each in signed if each.validator != blame.member]
            else:
                raise SealError(f"event {event}: no committee member answers with a right share")
        return tuple(claims)

    def _keep_evidence(self, released: Released, claim: FaultClaim, blame: Blame) -> None:
        key = (blame.part, blame.member)
        self.convicted[key] += 1
        if self.convicted[key] > EVIDENCE_EACH_MAX:
            return
        if blame.part is Part.DEALER and claim.redeposit is not None:
            return  # a file of that type is about a submission's own deposits; the claim proves it
        data = fault_evidence(self.log, fault_bundle(self.log, released), claim, blame)
        word = "dealing" if blame.part is Part.DEALER else "false-share"
        event = f"{blame.event.index}-{blame.event.position}"
        self.session.keep_evidence(f"{word}-{blame.member}-{event}.evidence", data)


def _content(node: int, hash_: bytes, bytes_max: int) -> Flow[bytes]:
    (answer,) = yield Round((Request(node, "GET", f"/content/{hash_.hex()}", bytes_max=bytes_max),))
    return read(answer).body


def _proof(index: int, response: Response, content: bytes | None) -> EntryProof:
    """Return the entry proof in an answer; nothing of it is verified."""
    found = from_json(_Entry, response)
    path = hashes(found.path, PATH_HASHES_MAX, "inclusion path")
    return EntryProof(index, decode_base64(found.leaf, "leaf"), tuple(path), content, None)


def _entry_leaf(node: int, proof: EntryProof) -> EntryLeaf:
    leaf = decode_leaf(proof.leaf)
    if not isinstance(leaf, EntryLeaf):
        raise AnswerError(node, f"leaf {proof.index} ends a block, expected an entry")
    return leaf


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


def _deposits(node: int, proof: EntryProof, *, again: bool) -> Flow[tuple[Deposit, ...]]:
    """Return the deposits of a submission or, `again`, of a re-deposit, whose content it has."""
    if again:
        assert proof.content is not None, proof.index
        return REDEPOSIT.decode(proof.content).deposits
    hash_ = STATEMENT.decode(_entry_leaf(node, proof).statement).content_hash
    content = yield from _content(node, hash_, CONTENT_BYTES_MAX)
    return decode_submission(content).batch.deposits


def _lapsed(reading: Reading) -> int:
    return sum(each.code is WarningCode.BODY_LAPSED for each in reading.report.warnings)
