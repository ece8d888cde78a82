"""
Attachment files: one batch with its bodies, its sealed deposits and this node's own shares.

A re-deposit has a file of its own, under its own hash: it has no bodies, and in the place of the
batch a re-deposit without receipts.

    header           magic 8, batch_hash 32, member u32, events u32, deposits u32
    offsets          u32 of each item, then of the end: the batch, the bodies, the sealed
                     deposits, the node's own shares
    items            one after another; an empty one was erased, or was never there

All integers are big-endian. The offsets let one item be read alone, and the file says by itself
what it is, so that an index over many of them can be made again. Nothing in it is in clear but the
batch, which is on the ledger anyway.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import Struct
from types import TracebackType
from typing import Final, Self

from tradeline_ledger.body import body_hash
from tradeline_ledger.deposit import Attachment, sealed_hash
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.redeposit import REDEPOSIT
from tradeline_ledger.registry import COMMITTEE_MAX
from tradeline_ledger.submission import EVENTS_MAX, decode_batch
from tradeline_node.errors import StoreDamagedError

MAGIC: Final = b"tlcust\x00\x01"

_HEADER: Final = Struct(">8s32sIII")
_OFFSET_BYTES: Final = 4
_HEAD_BYTES: Final = 8192
"""Read at once: header and offsets of a batch of up to 2,000 events."""


@dataclass(frozen=True, slots=True)
class AttachmentItems:
    """Everything that one attachment file holds."""

    batch_hash: bytes
    member: int
    batch: bytes
    """Encoded `Batch`; of a re-deposit, encoded `Redeposit` without receipts."""
    bodies: tuple[bytes, ...]
    """In batch order; empty where erased. None of them: it is a re-deposit."""
    sealed: tuple[bytes, ...]
    """By committee position; empty once the last event was erased."""
    own: bytes
    """This node's shares under its storage key, see `share_box`; empty likewise."""

    def attachment(self) -> bytes:
        """Return the encoded `Attachment`, as it travels; of a re-deposit, its sealed deposits."""
        sealed = tuple(each or None for each in self.sealed)
        if not self.bodies:
            return encode(sealed)
        return encode(Attachment(tuple(body or None for body in self.bodies), sealed))

    def without(self, positions: frozenset[int], own: bytes) -> AttachmentItems:
        """
        Return what is left once the bodies at `positions` are erased.

        `own` takes the place of the node's shares. The deposits go with the last body.
        """
        bodies = tuple(
            b"" if position in positions else body for position, body in enumerate(self.bodies)
        )
        live = any(bodies)
        return AttachmentItems(
            self.batch_hash,
            self.member,
            self.batch,
            bodies,
            self.sealed if live else tuple(b"" for _ in self.sealed),
            own if live else b"",
        )

    def with_own(self, own: bytes, *, live: bool) -> AttachmentItems:
        """Return the re-deposit with other own shares; not `live`, without any shares."""
        sealed = self.sealed if live else tuple(b"" for _ in self.sealed)
        own = own if live else b""
        return AttachmentItems(self.batch_hash, self.member, self.batch, (), sealed, own)

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        items = (self.batch, *self.bodies, *self.sealed, self.own)
        at = _HEADER.size + _OFFSET_BYTES * (len(items) + 1)
        offsets = [at, *(at := at + len(item) for item in items)]
        header = _HEADER.pack(
            MAGIC, self.batch_hash, self.member, len(self.bodies), len(self.sealed)
        )
        return b"".join((header, _pack_offsets(offsets), *items))


class AttachmentFile:
    """One attachment file, open for reading. One item is one read."""

    __slots__ = ("_fd", "_head", "_path", "batch_hash", "deposits", "events", "member")
    batch_hash: bytes
    member: int
    events: int
    """Events of the batch, erased ones included."""
    deposits: int
    """Sealed deposits, one for each committee member."""

    def __init__(self, path: str) -> None:
        """
        Open the file at `path` and read its header and offsets.

        Raises:
            FileNotFoundError: there is none.
            StoreDamagedError: it is no attachment file, or one cut short.
        """
        self._path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._read_head()
        except BaseException:
            os.close(self._fd)
            raise

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
        """Close the file; nothing more is read from it."""
        os.close(self._fd)

    @property
    def is_redeposit(self) -> bool:
        """Whether it holds a re-deposit, which has no bodies."""
        return not self.events

    def batch(self) -> bytes:
        """Return the encoded batch, or the re-deposit without receipts."""
        return self._item(0)

    def body(self, position: int) -> bytes | None:
        """Return the body of one event, None if it was erased."""
        return self._item(self._body_item(position)) or None

    def has_body(self, position: int) -> bool:
        """Return whether the body of one event is there."""
        start, end = self._offsets(self._body_item(position))
        return end > start

    def sealed(self, position: int) -> bytes | None:
        """Return the sealed deposit of one committee position, None once it is gone."""
        if not 0 <= position < self.deposits:
            raise self._damaged(f"it has {self.deposits} deposits, and no number {position}")
        return self._item(1 + self.events + position) or None

    def own(self) -> bytes | None:
        """Return the node's own shares as they are kept, None once they are gone."""
        return self._item(1 + self.events + self.deposits) or None

    def items(self) -> AttachmentItems:
        """Return all of it, read at once."""
        size = os.fstat(self._fd).st_size
        content = os.pread(self._fd, size, 0)
        count = self.events + self.deposits + 2
        bounds = [self._offsets(item) for item in range(count)]
        parts = [content[start:end] for start, end in bounds]
        found = AttachmentItems(
            self.batch_hash,
            self.member,
            parts[0],
            tuple(parts[1 : 1 + self.events]),
            tuple(parts[1 + self.events : -1]),
            parts[-1],
        )
        if found.encode() != content:
            raise self._damaged("its offsets do not divide it into its items")
        return found

    def _read_head(self) -> None:
        self._head = os.pread(self._fd, _HEAD_BYTES, 0)
        if len(self._head) < _HEADER.size or self._head[: len(MAGIC)] != MAGIC:
            raise self._damaged("it does not begin like an attachment file")
        _, self.batch_hash, self.member, self.events, self.deposits = _HEADER.unpack_from(
            self._head
        )
        end = _HEADER.size + _OFFSET_BYTES * (self.events + self.deposits + 3)
        if end > len(self._head):
            if self.events > EVENTS_MAX or self.deposits > COMMITTEE_MAX:
                raise self._damaged("it names more items than there can be")
            self._head = os.pread(self._fd, end, 0)
        if end > len(self._head):
            raise self._damaged("it ends within its table of offsets")

    def _body_item(self, position: int) -> int:
        if not 0 <= position < self.events:
            raise self._damaged(f"it has {self.events} events, and no number {position}")
        return 1 + position

    def _item(self, item: int) -> bytes:
        start, end = self._offsets(item)
        found = os.pread(self._fd, end - start, start)
        if len(found) != end - start:
            raise self._damaged("it ends within an item")
        return found

    def _offsets(self, item: int) -> tuple[int, int]:
        at = _HEADER.size + _OFFSET_BYTES * item
        pair = self._head[at : at + 2 * _OFFSET_BYTES]
        start = int.from_bytes(pair[:_OFFSET_BYTES], "big")
        end = int.from_bytes(pair[_OFFSET_BYTES:], "big")
        if end < start:
            raise self._damaged("its offsets do not ascend")
        return start, end

    def _damaged(self, why: str) -> StoreDamagedError:
        return StoreDamagedError(
            f"attachment file {self._path} is damaged: {why}; put it back from a backup, or "
            "remove it and fetch the attachment from another committee member"
        )


def check_items(items: AttachmentItems, ledger_id: bytes) -> None:
    """
    Accept an attachment file whose parts are all what its batch or re-deposit commits to.

    Raises:
        StoreDamagedError: a part is another; names batch and part.
    """
    where = f"attachment {items.batch_hash.hex()}"
    if not items.bodies:
        _check_redeposit(where, items, ledger_id)
        return
    try:
        batch = decode_batch(items.batch)
    except MalformedError as error:
        raise StoreDamagedError(f"{where}: its batch does not decode: {error}") from error
    if batch.hash(ledger_id, items.member) != items.batch_hash:
        raise StoreDamagedError(f"{where}: the batch in it has another hash")
    if (len(items.bodies), len(items.sealed)) != (batch.count, len(batch.deposits)):
        raise StoreDamagedError(f"{where}: it has not one body an event and one deposit a member")
    _check_hashes(where, "body", items.bodies, batch.body_hashes(), body_hash)
    expected = [deposit.sealed_hash for deposit in batch.deposits]
    _check_hashes(where, "deposit", items.sealed, expected, sealed_hash)


def _check_redeposit(where: str, items: AttachmentItems, ledger_id: bytes) -> None:
    try:
        redeposit = REDEPOSIT.decode(items.batch)
    except MalformedError as error:
        raise StoreDamagedError(f"{where}: its re-deposit does not decode: {error}") from error
    if redeposit.hash(ledger_id, items.member) != items.batch_hash:
        raise StoreDamagedError(f"{where}: the re-deposit in it has another hash")
    if len(items.sealed) != len(redeposit.deposits):
        raise StoreDamagedError(f"{where}: it has not one deposit a committee member")
    expected = [deposit.sealed_hash for deposit in redeposit.deposits]
    _check_hashes(where, "deposit", items.sealed, expected, sealed_hash)


def _check_hashes(
    where: str,
    what: str,
    found: Sequence[bytes],
    expected: Sequence[bytes],
    hash_of: Callable[[bytes], bytes],
) -> None:
    for position, (item, hash_) in enumerate(zip(found, expected, strict=True)):
        if item and hash_of(item) != hash_:
            raise StoreDamagedError(
                f"{where}: {what} {position} is not the one that the batch names"
            )


def _pack_offsets(offsets: Sequence[int]) -> bytes:
    return Struct(f">{len(offsets)}I").pack(*offsets)
