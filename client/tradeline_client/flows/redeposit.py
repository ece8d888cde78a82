"""
Keys dealt again to a new committee: from the vault to a verified re-deposit (DESIGN.md, section 7).

When the committee changes, bodies stay where they are and the old committee serves until the new
one has shares of its own. The vault has the keys, the ledger the batch; fresh polynomials are
drawn each time. Broken off at any point, it is done again: what was signed is in the journal and
is settled first, what was not was for nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from tradeline_client.errors import NotFoundError
from tradeline_client.flows.batch import attachment_of, batch_at
from tradeline_client.flows.checkpoint import registry
from tradeline_client.flows.custody import Custody
from tradeline_client.flows.entry import confirm, hand_over, sign
from tradeline_client.requests import Flow, Request, Response, from_json, try_each
from tradeline_client.seal import committee_keys
from tradeline_client.session import dealt_about
from tradeline_ledger.body import KEY_BYTES
from tradeline_ledger.deposit import make_deposits
from tradeline_ledger.encoding import encode
from tradeline_ledger.redeposit import Redeposit
from tradeline_ledger.sharing import split
from tradeline_ledger.statement import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_client.flows.entry import Placement
    from tradeline_client.journal import Signed
    from tradeline_client.session import Session
    from tradeline_client.vault import VaultRow
    from tradeline_ledger.registry import Registry
    from tradeline_ledger.submission import Batch


_PAGE_BYTES_MAX: Final = 4 << 20


class _Bad(msgspec.Struct):
    index: int


class _BadPage(msgspec.Struct):
    bad: list[_Bad]
    next: int | None


@dataclass(frozen=True, slots=True)
class Dealt:
    """A batch's keys, dealt again. Shows no key."""

    redeposit: Redeposit
    """Without receipts."""
    sealed: tuple[bytes, ...]
    """Sealed deposits by committee position."""
    hash: bytes
    """`redeposit_hash`."""
    batch_hash: bytes
    """Of the batch whose keys they are."""
    events: int
    """Events whose keys were dealt."""

    def __repr__(self) -> str:
        return f"Dealt(index={self.redeposit.index}, epoch={self.redeposit.epoch})"

    def custody_body(self, attachment: bytes | None = None) -> bytes:
        """Return the body of the request that hands it to a committee member."""
        given = self.redeposit
        return encode((given.index, given.epoch, given.deposits, self.sealed, attachment))


@dataclass(frozen=True, slots=True)
class Deposited:
    """Deposits that a threshold of the committee in force holds."""

    dealt: Dealt
    redeposit: Redeposit
    """With their receipts."""
    missing: dict[int, Exception]
    """Committee members that gave no receipt in time, and why."""


@dataclass(frozen=True, slots=True)
class Signing:
    """A re-deposit on its way: signed, recorded and taken by a node."""

    deposited: Deposited
    signed: Signed
    node: int
    """Member whose node took it."""


@dataclass(frozen=True, slots=True)
class PlacedRedeposit:
    """A re-deposit that is on the ledger, verified."""

    submission: int
    """Log index of the batch whose keys were dealt."""
    epoch: int
    events: int
    """Events whose keys were dealt."""
    placement: Placement
    missing: dict[int, Exception]
    """Committee members that gave no receipt in time, and why."""


def older(session: Session) -> Flow[list[bytes]]:
    """
    Return the hashes of this folder's batches that are dealt to an earlier committee.

    Those whose every key is erased are left out.

    Raises:
        UnavailableError, VerificationError: as `checkpoint.registry`.
    """
    current: Registry = yield from registry(session)
    vault = session.vault
    hashes = vault.older(current.epoch.epoch)
    return [each for each in hashes if _live(vault.row(each))]


def found_bad(session: Session) -> Flow[list[bytes]]:
    """
    Return the hashes of this folder's batches of which a committee member found its deposit bad.

    One node is believed: to deal keys for nothing does no harm, and another node says so again.

    Raises:
        UnavailableError, NodeProblemError: no node says.
    """
    indexes: set[int] = set()
    start: int | None = 0
    while start is not None:
        page = yield from _bad_page(session, start)
        indexes |= {each.index for each in page.bad}
        # A node that leads nowhere ends it.
        start = page.next if page.next is not None and page.next > start else None
    return [
        hash_
        for index in sorted(indexes)
        if (hash_ := session.vault.hash_at(index)) is not None and _live(session.vault.row(hash_))
    ]


def deposit_again(session: Session, batch_hash: bytes) -> Flow[Deposited]:
    """
    Deal the keys of a batch to the committee in force, and return what a threshold of it holds.

    Raises:
        NotFoundError: the vault has no such batch on the ledger, or none of its keys any more.
        CustodyError: fewer receipts than the threshold; the old committee goes on serving.
        UnavailableError, VerificationError: what the ledger has of the batch can't be verified.
    """
    row = session.vault.row(batch_hash)
    if row.log_index is None or not _live(row):
        raise NotFoundError(
            f"batch {batch_hash.hex()} has no key to deal: it is not known to be on the ledger, "
            "or every event of it is erased"
        )
    batch = yield from batch_at(session, row.log_index, batch_hash)
    dealt = deal(session, row, row.log_index, batch)
    epoch = session.registry.epochs[dealt.redeposit.epoch]
    custody = Custody(session, epoch, "/v1/redeposits", dealt.hash, dealt.custody_body())

    def with_attachment() -> Flow[bytes]:
        attachment = yield from attachment_of(session, batch_hash, batch.body_hashes())
        return dealt.custody_body(attachment)

    yield from custody.gather(with_attachment)
    given = dealt.redeposit
    complete = Redeposit(given.index, given.epoch, given.deposits, custody.listed())
    return Deposited(dealt, complete, custody.failures)


def hand_over_redeposit(session: Session, deposited: Deposited) -> Flow[Signing]:
    """
    Sign a re-deposit and hand it to a node; the next may follow before this one is placed.

    Raises:
        JournalConflictError: the feed was used elsewhere; nothing was signed.
        DroppedError, UnavailableError: no node takes it; it stays pending in the journal.
    """
    given = deposited.redeposit
    signed = yield from sign(
        session,
        Kind.REDEPOSIT,
        encode(given),
        feed=session.keystore.feed_for(Kind.REDEPOSIT, session.folder.profile.bulk_feed),
        about=dealt_about(given.index, given.epoch),
    )
    node = yield from hand_over(session, signed)
    return Signing(deposited, signed, node)


def finish_redeposit(session: Session, signing: Signing) -> Flow[PlacedRedeposit]:
    """
    Wait for the verified place of a re-deposit; the vault then knows its epoch.

    Raises:
        RefusedError: it has its place, and no other effect; deal again.
        DroppedError, UnavailableError, VerificationError: as `entry.confirm`.
    """
    placement = yield from confirm(session, signing.signed, signing.node)
    deposited = signing.deposited
    given = deposited.redeposit
    return PlacedRedeposit(
        given.index, given.epoch, deposited.dealt.events, placement, deposited.missing
    )


def deal(session: Session, row: VaultRow, index: int, batch: Batch) -> Dealt:
    """
    Return the keys of a vault row, dealt with fresh polynomials to the committee in force.

    `batch` stands at log index `index`. Erased events have shares of zeros.
    """
    current, ledger_id = session.registry, session.ledger.ledger_id
    epoch, committee = current.epoch, committee_keys(current)
    erased = row.erased()
    random = _random(row.count, epoch.threshold - 1, erased)
    deposits, sealed = make_deposits(
        split(row.keys, epoch.threshold, len(committee), random),
        committee,
        ledger_id=ledger_id,
        member=session.member,
        epoch=epoch.epoch,
        events_root=batch.events_root,
    )
    redeposit = Redeposit(index, epoch.epoch, tuple(deposits), ())
    named = redeposit.hash(ledger_id, session.member)
    return Dealt(redeposit, tuple(sealed), named, row.batch_hash, row.count - len(erased))


def _bad_page(session: Session, start: int) -> Flow[_BadPage]:
    def build(node: int) -> Request:
        return Request(node, "GET", f"/v1/bad-deposits?from={start}", bytes_max=_PAGE_BYTES_MAX)

    def take(response: Response) -> _BadPage:
        return from_json(_BadPage, response)

    return (yield from try_each(session.nodes(), build, take))


def _live(row: VaultRow) -> bool:
    return len(row.erased()) < row.count


def _random(count: int, degrees: int, erased: Sequence[int]) -> bytes:
    """Return fresh coefficients, zeros for the events that are erased."""
    random = bytearray(os.urandom(count * KEY_BYTES * degrees))
    for degree in range(degrees):
        for position in erased:
            start = (degree * count + position) * KEY_BYTES
            random[start : start + KEY_BYTES] = bytes(KEY_BYTES)
    return bytes(random)
