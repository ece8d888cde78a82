"""
Reports: a subject's verified history, from an accepted inquiry (DESIGN.md, section 8).

All committee members are asked for their shares at once, one of them for proofs and bodies, too.
If those don't verify, or the member does not answer, the next one is asked. Nothing that a flow
here returns was not verified by `tradeline_ledger.report`; nothing is lost if a flow is broken
off, and the same inquiry can be read again until its releases close.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from tradeline_client.errors import ClientError
from tradeline_client.flows.checkpoint import newest, registry
from tradeline_client.flows.fault import FaultFinder
from tradeline_client.flows.inquiry import PostedInquiry, Question, inquire
from tradeline_client.flows.proof import content_of, entry_leaf, read_proof
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
from tradeline_ledger.consent import CONSENT_BYTES_MAX
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import (
    LedgerError,
    UnopenedError,
    VerificationError,
)
from tradeline_ledger.history import EventId
from tradeline_ledger.merkle import PATH_HASHES_MAX, leaf_hash, verify_inclusion
from tradeline_ledger.release import (
    COMMON,
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
    read_report,
)
from tradeline_ledger.report_parts import WarningCode
from tradeline_ledger.statement import (
    STATEMENT,
    BlockLeaf,
)
from tradeline_ledger.tag import year_key
from tradeline_ledger.trust import verify_block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_client.requests import Answer as HttpAnswer
    from tradeline_client.session import Session
    from tradeline_ledger.trust import TrustedLog, VerifiedCheckpoint

RESTARTS_MAX: Final = 3
"""How often a read begins anew because the ledger moved on while it went on."""


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
        proof = read_proof(index, inquiry, encode(self.posted.inquiry))
        verify_inclusion(leaf_hash(proof.leaf), index, checkpoint.size, proof.path, checkpoint.root)
        leaf = entry_leaf(node, proof)
        last = read_proof(checkpoint.size - 1, latest, None)
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
            return (yield from self._doubted(node, released, common.size))
        except UnopenedError:
            pass
        # Some shares are wrong or missing: first ask everybody, then who is at fault.
        silent = [each for each in self.collected.committee if each not in self.collected.answers]
        if silent or self.collected.elders:
            yield from self.collected.ask(silent, Want.SHARES, ROUNDS[1][1])
            yield from self.collected.ask_elders(Want.SHARES, ROUNDS[1][1])
            released = replace(released, answers=dict(self.collected.answers))
        try:
            return (yield from self._doubted(node, released, common.size))
        except UnopenedError as error:
            events = [EventId(*event) for event in error.events]
        members = [*self.collected.committee, *self.collected.elders]
        yield from self.collected.ask(members, Want.SHARES | Want.SHARE_PATHS, ROUNDS[1][1])
        released = replace(released, answers=dict(self.collected.answers))
        finder = FaultFinder(self.session, self.log, node, released, common.size)
        claims = yield from finder.of_events(events)
        return read_report(self.log, replace(released, claims=claims), self.subject)

    def _doubted(self, node: int, released: Released, size: int) -> Flow[Reading]:
        """Return the reading of `released`, with claims against whose shares fit no others."""
        reading = read_report(self.log, released, self.subject)
        if not reading.doubted:
            return reading
        members = sorted({member for _, member in reading.doubted})
        # The answers that the reading rests on stay: who is doubted may answer anything now.
        before = dict(self.collected.answers)
        yield from self.collected.ask(members, Want.SHARES | Want.SHARE_PATHS, ROUNDS[1][1])
        asked = replace(released, answers=dict(self.collected.answers))
        self.collected.answers = before
        claims = yield from FaultFinder(self.session, self.log, node, asked, size).of_members(
            reading.doubted
        )
        return replace(reading, blamed=claims.blamed, claims=claims.claims)

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
            inquiry = read_proof(self.posted.index, answers[1], start.inquiry.content)
            entries[old - 1] = read_proof(old - 1, answers[2], None)
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
        proof = read_proof(index, response, None)
        hash_ = STATEMENT.decode(entry_leaf(node, proof).statement).content_hash
        content = yield from content_of(node, hash_, CONSENT_BYTES_MAX)
        return EntryProof(proof.index, proof.leaf, proof.path, content, None)


def _lapsed(reading: Reading) -> int:
    return sum(each.code is WarningCode.BODY_LAPSED for each in reading.report.warnings)
