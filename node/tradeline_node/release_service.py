"""
Releases: a committee member's answer to the reader of an inquiry (docs/formats.md, section 7).

It says what histories the scope has and hands over its shares of their body keys, signed and
sealed to the inquiry's one-time key. What it says of the histories is as of the end of the
inquiry's block, so that it says the same whenever it is asked. The year keys that a reader shows
are forgotten with the request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tradeline_ledger import calendar, state
from tradeline_ledger.body import body_hash
from tradeline_ledger.deposit import sealed_hash, share_paths
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError, SealError
from tradeline_ledger.history import EventId
from tradeline_ledger.hpke import answer_info, seal
from tradeline_ledger.inquiry import scope_hash
from tradeline_ledger.redeposit import REDEPOSIT
from tradeline_ledger.release import (
    Answer,
    EntryShares,
    EventShare,
    HistoryCommon,
    ReleaseResponse,
    Want,
    common_hash,
    sign_history,
)
from tradeline_ledger.sharing import SHARE_BYTES
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.state import SubmissionState
from tradeline_ledger.submission import decode_submission, header_body_hash, header_retain_month
from tradeline_node.custody import CustodyStore
from tradeline_node.custody_file import AttachmentFile
from tradeline_node.errors import KeystoreError, RequestError, StoreDamagedError
from tradeline_node.history_reader import Filed, Histories, later_marks, read_histories
from tradeline_node.hpke_keys import HpkeKeys
from tradeline_node.own_deposit import OwnDeposits
from tradeline_node.proofs import LaterMarks, build_proofs
from tradeline_node.release_checks import Granted, check_request
from tradeline_node.released_log import ReleasedLog
from tradeline_node.retention import last_month
from tradeline_node.scope import derive_scope
from tradeline_node.tag_keys import TagKeys

if TYPE_CHECKING:
    from tradeline_ledger.registry import MemberRecord
    from tradeline_node.store import LedgerStore


@dataclass(slots=True)
class _Opened:
    """What this node still holds of the events of a report."""

    shares: list[EntryShares] = field(default_factory=list)
    bodies: dict[EventId, bytes] = field(default_factory=dict)
    missing: list[Filed] = field(default_factory=list)
    """Events of submissions without a body."""


class ReleaseService:
    """Answers in the name of one committee member. Any thread may call it."""

    def __init__(
        self,
        store: LedgerStore,
        custody: CustodyStore,
        tag_keys: TagKeys,
        released: ReleasedLog,
        *,
        member: int,
        node_key: SigningKey,
        hpke: HpkeKeys,
        deposits: OwnDeposits,
        stalled: Callable[[], str | None],
    ) -> None:
        """
        Serve for committee member `member`, whose node key and HPKE keys these are.

        `stalled` returns why the node can't tell what the ledger says now, None while it can.
        """
        self._store = store
        self._custody = custody
        self._tag_keys = tag_keys
        self._released = released
        self._member = member
        self._node_key = node_key
        self._hpke = hpke
        self._deposits = deposits
        self._stalled = stalled
        self._ledger_id = store.ledger.ledger_id
        self.damaged: set[bytes] = set()
        """Batch hashes of attachments that were found damaged while they were read."""

    def release(
        self, inquiry: int, reader: int, sealed_request: bytes, proof_size: int | None = None
    ) -> bytes:
        """
        Return the encoded `ReleaseResponse` to member `reader` for the inquiry at that log index.

        Paths of marks that came after the inquiry's block lead to log size `proof_size`, that of
        the checkpoint that the reader goes by; without it, to the newest size of this node.

        Raises:
            RequestError: the request is not to be answered; says why and what to do.
            StoreError: the ledger store can't be read.
        """
        reason = self._stalled()
        if reason is not None:
            raise RequestError("release-stalled", reason)
        granted = check_request(
            self._store,
            self._hpke.in_force(self._record()),
            self._member,
            index=inquiry,
            reader=reader,
            sealed=sealed_request,
        )
        size = self._store.block_of(inquiry)[1] + 1
        until = self._proof_size(size, proof_size)
        scope = derive_scope(
            granted.inquiry,
            self._store.registry,
            granted.state.height,
            self._tag_keys,
            granted.year_keys,
        )
        if (reader, granted.inquiry.tag) not in set(scope):
            raise RequestError(
                "release-tag-wrong",
                f"inquiry {inquiry} is filed under a tag that none of the year keys makes with "
                f"the tag keys of member {reader}",
            )
        histories = read_histories(self._store, scope, size)
        common = encode(
            HistoryCommon(
                self._ledger_id,
                inquiry,
                size,
                self._store.root(size),
                scope_hash(scope),
                histories.rows,
            )
        )
        opened = self._open(histories, granted.want, size)
        response = ReleaseResponse(
            self._answer(granted, common, opened), self._proofs(granted, histories, opened, until)
        )
        events = sum(row.count for row in histories.rows)
        self._released.note(inquiry, events, common_hash(common))
        return encode(response)

    def _record(self) -> MemberRecord:
        record = self._store.registry.member(self._member)
        if record is None:
            raise RequestError("release-stalled", "this node's member is not in the registry")
        return record

    def _proof_size(self, size: int, asked: int | None) -> int:
        newest = self._store.head.size
        if asked is None:
            return newest
        if asked > newest:
            raise RequestError(
                "size-ahead", f"size {asked} is asked for, this node has applied {newest}"
            )
        return max(asked, size)

    def _answer(self, granted: Granted, common: bytes, opened: _Opened) -> bytes:
        payload = encode(tuple(opened.shares))
        signature = sign_history(self._node_key, common, self._member, payload)
        info = answer_info(self._ledger_id, granted.index, self._member)
        try:
            return seal(granted.key, encode(Answer(common, signature, payload)), info)
        except MalformedError as error:
            raise RequestError("release-key-wrong", str(error)) from error

    def _proofs(
        self, granted: Granted, histories: Histories, opened: _Opened, until: int
    ) -> bytes | None:
        if not granted.want & Want.PROOFS:
            return None
        size = self._store.block_of(granted.index)[1] + 1
        later = LaterMarks(later_marks(self._store, opened.missing, size, until), until)
        return encode(build_proofs(self._store, histories, opened.bodies, size, later))

    def _open(self, histories: Histories, want: int, size: int) -> _Opened:
        """Return what is held of every event whose body is there and is to be there."""
        params = self._store.ledger.params
        month = calendar.month(self._store.head.time_ms, params.utc_offset_min)
        opened = _Opened()
        filed: dict[int, list[Filed]] = {}
        for each in histories.events:
            if each.event.index not in histories.submissions:
                continue
            kept_until = last_month(self._store, each.event, header_retain_month(each.header))
            if kept_until is None or kept_until < month:
                opened.missing.append(each)
            else:
                filed.setdefault(each.event.index, []).append(each)
        for index, events in filed.items():
            submission = histories.submissions[index]
            there = self._open_entry(events, submission, want, opened)
            if there and want & Want.SHARES:
                deposits = state.deposits_at(self._store, index, size)
                assert deposits is not None, index
                shares = self._shares(there, submission, deposits, want)
                if shares:
                    opened.shares.append(
                        EntryShares(index, deposits.placed, deposits.epoch, shares)
                    )
        return opened

    def _open_entry(
        self, events: list[Filed], submission: SubmissionState, want: int, opened: _Opened
    ) -> list[Filed]:
        """Return those of `events`, all of one submission, whose bodies are there."""
        try:
            file = self._custody.open_file(submission.batch_hash)
            if file is None:
                opened.missing += events
                return []
            with file:
                return [each for each in events if self._has_body(file, each, want, opened)]
        except (StoreDamagedError, OSError):
            # Other committee members have the attachment; the operator hears of this one.
            self.damaged.add(submission.batch_hash)
            return []

    def _has_body(self, file: AttachmentFile, each: Filed, want: int, opened: _Opened) -> bool:
        position = each.event.position
        body = file.body(position) if want & Want.PROOFS else None
        if body is not None:
            if body_hash(body) != header_body_hash(each.header):
                self.damaged.add(file.batch_hash)
                return False
            opened.bodies[each.event] = body
        elif want & Want.PROOFS or not file.has_body(position):
            opened.missing.append(each)
            return False
        return True

    def _shares(
        self,
        events: list[Filed],
        submission: SubmissionState,
        deposits: state.Deposits,
        want: int,
    ) -> tuple[EventShare, ...]:
        """Return this node's shares out of the deposits that were in force."""
        try:
            file = self._custody.open_file(deposits.hash)
            if file is None:
                return ()
            with file:
                return self._read_shares(file, events, submission, deposits, want)
        except (StoreDamagedError, KeystoreError, OSError):
            self.damaged.add(deposits.hash)
            return ()

    def _read_shares(
        self,
        file: AttachmentFile,
        events: list[Filed],
        submission: SubmissionState,
        deposits: state.Deposits,
        want: int,
    ) -> tuple[EventShare, ...]:
        paths: list[list[bytes]] | list[None]
        positions = [each.event.position for each in events]
        index = events[0].event.index
        shares = None
        if want & Want.SHARE_PATHS:
            # Shares of erased events are gone from the node's own copy, and paths need them all.
            shares = self._open_deposit(file, index, submission, deposits)
            paths = share_paths(shares, positions) if shares else []
        else:
            own = self._custody.own_shares(file)
            shares = own or self._open_deposit(file, index, submission, deposits)
            paths = [None] * len(positions)
        if shares is None:
            return ()
        return tuple(
            EventShare(
                position,
                shares[position * SHARE_BYTES : (position + 1) * SHARE_BYTES],
                None if path is None else tuple(path),
            )
            for position, path in zip(positions, paths, strict=True)
        )

    def _open_deposit(
        self,
        file: AttachmentFile,
        index: int,
        submission: SubmissionState,
        deposits: state.Deposits,
    ) -> bytes | None:
        """
        Return the shares in this node's sealed deposit.

        None if it has none in that epoch, or if it was dealt so that it holds none.
        """
        epoch = self._store.registry.epochs[deposits.epoch]
        position = epoch.position(self._member)
        if position is None:
            return None
        sealed = file.sealed(position)
        if sealed is None:
            return None
        batch = decode_submission(self._store.content(index)).batch
        listed = REDEPOSIT.decode(file.batch()).deposits if file.is_redeposit else batch.deposits
        if sealed_hash(sealed) != listed[position].sealed_hash:
            raise StoreDamagedError(
                f"deposit {position} of {file.batch_hash.hex()} is not the one that was taken in"
            )
        try:
            return self._deposits.open(
                sealed,
                listed[position],
                epoch,
                dealer=submission.member,
                events_root=batch.events_root,
                count=batch.count,
            )
        except SealError:
            # Its dealer is at fault, not this disk; the backlog says so on the ledger.
            return None
