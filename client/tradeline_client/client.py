"""
The client: `Client` for threads, `AsyncClient` for `asyncio`, the same methods.

    with Client.open(Path("bank/client"), passphrase) as bank:
        for batch in bank.submit_many(bank.batches(events)):
            print(batch)

Everything that they return was verified first. What only computes or stores (sealing, drafting,
looking into the vault) is not awaited in either.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from tradeline_client import pipeline
from tradeline_client.draft import Draft, Wish
from tradeline_client.errors import RefusedError
from tradeline_client.flows import checkpoint as checkpoint_flow
from tradeline_client.flows import consent as consent_flow
from tradeline_client.flows import entry as entry_flow
from tradeline_client.flows import governance as governance_flow
from tradeline_client.flows import inquiry as inquiry_flow
from tradeline_client.flows import mark as mark_flow
from tradeline_client.flows import own_events as own_flow
from tradeline_client.flows import position as position_flow
from tradeline_client.flows import redeposit as redeposit_flow
from tradeline_client.flows import report as report_flow
from tradeline_client.flows import submit as submit_flow
from tradeline_client.flows import tag_keys as tag_key_flow
from tradeline_client.flows.consent import ConsentStatus
from tradeline_client.flows.entry import Placement
from tradeline_client.flows.governance import ProposalStatus
from tradeline_client.flows.inquiry import PostedInquiry, Question
from tradeline_client.flows.own_events import OwnHistory
from tradeline_client.flows.submit import PlacedBatch
from tradeline_client.journal import FeedPosition, Signed
from tradeline_client.pipeline import IN_FLIGHT, Redeposited, Result
from tradeline_client.requests import Flow
from tradeline_client.seal import BATCH_EVENTS, PlainEvent, SealedBatch
from tradeline_client.session import Clock, Session, clock_ms
from tradeline_client.transport import AsyncTransport, SyncTransport
from tradeline_client.vault import VaultEvent
from tradeline_ledger.consent import Change, ChangeReason
from tradeline_ledger.event import Report
from tradeline_ledger.history import EventId
from tradeline_ledger.identifier import SubjectId
from tradeline_ledger.mark import MarkReason
from tradeline_ledger.proposal import Proposal, VoteChoice
from tradeline_ledger.registry import Registry
from tradeline_ledger.report import Reading
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.trust import VerifiedCheckpoint

if TYPE_CHECKING:
    from typing import Self

T = TypeVar("T")


class _Desk:
    """What both clients do without asking a node."""

    def __init__(self, session: Session) -> None:
        self.session = session
        """Folder, keys, journal, vault and trust, for flows of one's own."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.session.folder.path}, member={self.session.member})"

    def plain(
        self, report: Report, subject: SubjectId, target: VaultEvent | None = None
    ) -> PlainEvent:
        """Return a report about `subject`, checked and encoded; see `EventSealer.plain`."""
        return self.session.sealer.plain(report, subject, target)

    def batches(
        self, events: Iterable[PlainEvent], batch_events: int = BATCH_EVENTS
    ) -> Iterator[SealedBatch]:
        """Yield sealed batches of `events` as they are asked for; see `EventSealer.batches`."""
        return self.session.sealer.batches(events, self.session.registry, batch_events)

    def find(self, event: EventId) -> VaultEvent:
        """
        Return what the vault keeps of one of this folder's events, to correct or mark it.

        Raises:
            NotFoundError: it is no event of this folder.
        """
        return self.session.vault.find(event)

    def find_reference(self, reference: str) -> list[VaultEvent]:
        """Return what the vault keeps of events by the member's own reference, newest first."""
        return self.session.vault.find_ref(self.session.keystore.references.ref(reference))

    def draft_consent(self, wish: Wish, subjects: Sequence[SubjectId]) -> Draft:
        """Return terms to be signed, as their reader; see `flows.consent.draft`."""
        return consent_flow.draft(self.session, wish, subjects)

    def sign_consent(self, draft: Draft, subjects: Sequence[SubjectId]) -> Draft:
        """Sign a draft as who identified the subject; see `flows.consent.sign_as_second`."""
        return consent_flow.sign_as_second(self.session, draft, subjects)

    def inquiry(self, index: int) -> PostedInquiry:
        """Return an accepted inquiry of this folder; see `flows.inquiry.open_inquiry`."""
        return inquiry_flow.open_inquiry(self.session, index)

    def pending(self) -> list[Signed]:
        """Return the statements of this folder that are not known to be placed."""
        return self.session.journal.pending()


class Client(_Desk):
    """One member's client, for threads."""

    def __init__(self, session: Session) -> None:
        """Take an open session; it is closed with the client."""
        super().__init__(session)
        self._transport = SyncTransport(session.endpoint, session.sign, session.pin)

    @classmethod
    def open(cls, folder: Path, passphrase: bytes, clock: Clock = clock_ms) -> Client:
        """
        Return the client of a folder.

        Raises:
            FolderError: folder, profile or keystore can't be used.
            StoreError: journal or vault can't be opened.
        """
        return cls(Session.open(folder, passphrase, clock))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections, journal and vault."""
        self._transport.close()
        self.session.close()

    def run(self, flow: Flow[T]) -> T:
        """Return what a flow returns, or raise what it raises."""
        return self._transport.run(flow)

    def checkpoint(self) -> VerifiedCheckpoint:
        """Return the newest checkpoint; see `flows.checkpoint.newest`."""
        return self.run(checkpoint_flow.newest(self.session))

    def registry(self) -> Registry:
        """Return the registry in force; see `flows.checkpoint.registry`."""
        return self.run(checkpoint_flow.registry(self.session))

    def position(self, feed: int) -> FeedPosition:
        """Return the verified position of a feed; see `flows.position.position`."""
        return self.run(position_flow.position(self.session, feed))

    def adopt_position(self, feed: int) -> FeedPosition:
        """Take the verified position of a feed; see `flows.position.adopt`."""
        return self.run(position_flow.adopt(self.session, feed))

    def resume(self) -> list[Placement | RefusedError]:
        """Settle what is pending; see `flows.entry.resume`."""
        return self.run(entry_flow.resume(self.session))

    def share_tag_key(self) -> dict[int, Exception | None]:
        """Hand the tag key to the committee; see `flows.tag_keys.share_tag_key`."""
        return self.run(tag_key_flow.share_tag_key(self.session))

    def submit(self, sealed: SealedBatch) -> PlacedBatch:
        """Put a batch on the ledger; see `flows.submit.submit`."""
        return self.run(submit_flow.submit(self.session, sealed))

    def submit_many(
        self, batches: Iterable[SealedBatch], in_flight: int = IN_FLIGHT
    ) -> Iterator[Result]:
        """Put many batches on the ledger, several at a time; see `pipeline.submit_many`."""
        return pipeline.submit_many(self.session, self._transport, batches, in_flight)

    def older_batches(self) -> list[bytes]:
        """Return the batches dealt to an earlier committee; see `flows.redeposit.older`."""
        return self.run(redeposit_flow.older(self.session))

    def bad_batches(self) -> list[bytes]:
        """Return batches with a deposit found bad; see `flows.redeposit.found_bad`."""
        return self.run(redeposit_flow.found_bad(self.session))

    def redeposit(
        self, batch_hashes: Iterable[bytes], in_flight: int = IN_FLIGHT
    ) -> Iterator[Redeposited]:
        """Deal the keys of batches to the committee in force; see `pipeline.redeposit_many`."""
        return pipeline.redeposit_many(self.session, self._transport, batch_hashes, in_flight)

    def grant(self, draft: Draft) -> Placement:
        """Post a consent; see `flows.consent.grant`."""
        return self.run(consent_flow.grant(self.session, draft))

    def change_consent(
        self,
        consent: bytes,
        what: Change,
        reason: ChangeReason,
        subject_key: SigningKey | None = None,
    ) -> Placement:
        """Pause, resume, revoke or terminate a consent; see `flows.consent.change`."""
        return self.run(consent_flow.change(self.session, consent, what, reason, subject_key))

    def consent(self, consent: bytes) -> ConsentStatus:
        """Return a consent that this member is a party of; see `flows.consent.show`."""
        return self.run(consent_flow.show(self.session, consent))

    def consents(self) -> list[ConsentStatus]:
        """Return every consent that this member is a party of; see `flows.consent.show_all`."""
        return self.run(consent_flow.show_all(self.session))

    def propose(self, proposal: Proposal) -> Placement:
        """Post a proposal; see `flows.governance.propose`."""
        return self.run(governance_flow.propose(self.session, proposal))

    def vote(self, proposal: bytes, choice: VoteChoice) -> Placement:
        """Approve or reject a proposal, by its id; see `flows.governance.vote`."""
        return self.run(governance_flow.vote(self.session, proposal, choice))

    def proposal(self, proposal: bytes) -> ProposalStatus:
        """Return where a proposal stands, by its id; see `flows.governance.show`."""
        return self.run(governance_flow.show(self.session, proposal))

    def proposals(self) -> list[ProposalStatus]:
        """Return every proposal; see `flows.governance.show_all`."""
        return self.run(governance_flow.show_all(self.session))

    def erase(self, event: EventId, reason: MarkReason) -> Placement:
        """Have an event's body deleted everywhere; see `flows.mark.erase`."""
        return self.run(mark_flow.erase(self.session, event, reason))

    def retain(self, event: EventId, month: int, reason: MarkReason) -> Placement:
        """Move the month until which a body is kept; see `flows.mark.retain`."""
        return self.run(mark_flow.retain(self.session, event, month, reason))

    def inquire(self, question: Question) -> PostedInquiry:
        """Post an inquiry; see `flows.inquiry.inquire`."""
        return self.run(inquiry_flow.inquire(self.session, question))

    def ask(self, question: Question) -> Reading:
        """Post an inquiry and return the report that answers it; see `flows.report.ask`."""
        return self.run(report_flow.ask(self.session, question))

    def read(self, posted: PostedInquiry) -> Reading:
        """Return the report of an accepted inquiry; see `flows.report.read_inquiry`."""
        return self.run(report_flow.read_inquiry(self.session, posted))

    def own_events(self, subjects: Sequence[SubjectId] | None = None) -> OwnHistory:
        """Return what this member said, from ledger and vault; see `flows.own_events`."""
        return self.run(own_flow.own_events(self.session, subjects))


class AsyncClient(_Desk):
    """One member's client, for `asyncio`. Made in any thread, used in one event loop."""

    def __init__(self, session: Session) -> None:
        """Take an open session; it is closed with the client."""
        super().__init__(session)
        self._transport = AsyncTransport(session.endpoint, session.sign, session.pin)

    @classmethod
    def open(cls, folder: Path, passphrase: bytes, clock: Clock = clock_ms) -> AsyncClient:
        """
        Return the client of a folder.

        Raises:
            FolderError: folder, profile or keystore can't be used.
            StoreError: journal or vault can't be opened.
        """
        return cls(Session.open(folder, passphrase, clock))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close connections, journal and vault."""
        await self._transport.close()
        self.session.close()

    async def run(self, flow: Flow[T]) -> T:
        """Return what a flow returns, or raise what it raises."""
        return await self._transport.run(flow)

    async def checkpoint(self) -> VerifiedCheckpoint:
        """Return the newest checkpoint; see `flows.checkpoint.newest`."""
        return await self.run(checkpoint_flow.newest(self.session))

    async def registry(self) -> Registry:
        """Return the registry in force; see `flows.checkpoint.registry`."""
        return await self.run(checkpoint_flow.registry(self.session))

    async def position(self, feed: int) -> FeedPosition:
        """Return the verified position of a feed; see `flows.position.position`."""
        return await self.run(position_flow.position(self.session, feed))

    async def adopt_position(self, feed: int) -> FeedPosition:
        """Take the verified position of a feed; see `flows.position.adopt`."""
        return await self.run(position_flow.adopt(self.session, feed))

    async def resume(self) -> list[Placement | RefusedError]:
        """Settle what is pending; see `flows.entry.resume`."""
        return await self.run(entry_flow.resume(self.session))

    async def share_tag_key(self) -> dict[int, Exception | None]:
        """Hand the tag key to the committee; see `flows.tag_keys.share_tag_key`."""
        return await self.run(tag_key_flow.share_tag_key(self.session))

    async def submit(self, sealed: SealedBatch) -> PlacedBatch:
        """Put a batch on the ledger; see `flows.submit.submit`."""
        return await self.run(submit_flow.submit(self.session, sealed))

    def submit_many(
        self, batches: Iterable[SealedBatch], in_flight: int = IN_FLIGHT
    ) -> AsyncIterator[Result]:
        """Put many batches on the ledger, several at a time; see `pipeline.submit_many_async`."""
        return pipeline.submit_many_async(self.session, self._transport, batches, in_flight)

    async def older_batches(self) -> list[bytes]:
        """Return the batches dealt to an earlier committee; see `flows.redeposit.older`."""
        return await self.run(redeposit_flow.older(self.session))

    async def bad_batches(self) -> list[bytes]:
        """Return batches with a deposit found bad; see `flows.redeposit.found_bad`."""
        return await self.run(redeposit_flow.found_bad(self.session))

    def redeposit(
        self, batch_hashes: Iterable[bytes], in_flight: int = IN_FLIGHT
    ) -> AsyncIterator[Redeposited]:
        """Deal keys to the committee in force; see `pipeline.redeposit_many_async`."""
        return pipeline.redeposit_many_async(self.session, self._transport, batch_hashes, in_flight)

    async def grant(self, draft: Draft) -> Placement:
        """Post a consent; see `flows.consent.grant`."""
        return await self.run(consent_flow.grant(self.session, draft))

    async def change_consent(
        self,
        consent: bytes,
        what: Change,
        reason: ChangeReason,
        subject_key: SigningKey | None = None,
    ) -> Placement:
        """Pause, resume, revoke or terminate a consent; see `flows.consent.change`."""
        return await self.run(consent_flow.change(self.session, consent, what, reason, subject_key))

    async def consent(self, consent: bytes) -> ConsentStatus:
        """Return a consent that this member is a party of; see `flows.consent.show`."""
        return await self.run(consent_flow.show(self.session, consent))

    async def consents(self) -> list[ConsentStatus]:
        """Return every consent that this member is a party of; see `flows.consent.show_all`."""
        return await self.run(consent_flow.show_all(self.session))

    async def propose(self, proposal: Proposal) -> Placement:
        """Post a proposal; see `flows.governance.propose`."""
        return await self.run(governance_flow.propose(self.session, proposal))

    async def vote(self, proposal: bytes, choice: VoteChoice) -> Placement:
        """Approve or reject a proposal, by its id; see `flows.governance.vote`."""
        return await self.run(governance_flow.vote(self.session, proposal, choice))

    async def proposal(self, proposal: bytes) -> ProposalStatus:
        """Return where a proposal stands, by its id; see `flows.governance.show`."""
        return await self.run(governance_flow.show(self.session, proposal))

    async def proposals(self) -> list[ProposalStatus]:
        """Return every proposal; see `flows.governance.show_all`."""
        return await self.run(governance_flow.show_all(self.session))

    async def erase(self, event: EventId, reason: MarkReason) -> Placement:
        """Have an event's body deleted everywhere; see `flows.mark.erase`."""
        return await self.run(mark_flow.erase(self.session, event, reason))

    async def retain(self, event: EventId, month: int, reason: MarkReason) -> Placement:
        """Move the month until which a body is kept; see `flows.mark.retain`."""
        return await self.run(mark_flow.retain(self.session, event, month, reason))

    async def inquire(self, question: Question) -> PostedInquiry:
        """Post an inquiry; see `flows.inquiry.inquire`."""
        return await self.run(inquiry_flow.inquire(self.session, question))

    async def ask(self, question: Question) -> Reading:
        """Post an inquiry and return the report that answers it; see `flows.report.ask`."""
        return await self.run(report_flow.ask(self.session, question))

    async def read(self, posted: PostedInquiry) -> Reading:
        """Return the report of an accepted inquiry; see `flows.report.read_inquiry`."""
        return await self.run(report_flow.read_inquiry(self.session, posted))

    async def own_events(self, subjects: Sequence[SubjectId] | None = None) -> OwnHistory:
        """Return what this member said, from ledger and vault; see `flows.own_events`."""
        return await self.run(own_flow.own_events(self.session, subjects))
