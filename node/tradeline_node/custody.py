"""
The custody store: attachments as files, found by batch hash, with an index beside them.

    custody.sqlite   the index, see `custody_index`
    own-shares.key   key of the node's own shares, sealed to its HPKE key, see `share_box`
    0/0/ … f/f/      attachment files, named by batch hash, see `custody_file`

A file is durable before its row is, and its row before anybody gets a receipt. A file without a
row was left by a crash, or its index was lost: it is taken in again when the store is opened. So
nothing that was acknowledged depends on the index.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tradeline_node.attachment_folder import NAME, AttachmentFolder
from tradeline_node.custody_file import AttachmentItems
from tradeline_node.custody_index import CustodyIndex, Held
from tradeline_node.durable import remove_file, remove_parts, write_file
from tradeline_node.errors import RequestError, StoreDamagedError, StoreError
from tradeline_node.share_box import ShareBox

INDEX_NAME: Final = "custody.sqlite"
BOX_KEY_NAME: Final = "own-shares.key"
QUOTA_BYTES: Final = 4 << 30
"""Default of what one member may have in custody that is not in the log yet."""


class Usage(NamedTuple):
    """What the store holds."""

    attachments: int
    bytes: int
    """Of the attachment files."""


class CustodyStore(AttachmentFolder):
    """
    Every attachment that this node keeps. Any thread may read and write.

    After a failed write it takes no further ones (`halted` says why) and goes on reading.
    """

    def __init__(
        self, path: Path, box: ShareBox, *, kept_until_ms: int, quota_bytes: int = QUOTA_BYTES
    ) -> None:
        """
        Open the store in the folder `path`, a new one if there is none.

        Files that the index lacks are taken in and kept until `kept_until_ms` at least: the
        applied block time plus the life of a receipt, since receipts may be out for them.

        Raises:
            StoreError: folder, index or a file can't be read or written.
        """
        super().__init__(path, box)
        self._quota_bytes = quota_bytes
        self._lock = threading.Condition(threading.RLock())
        self._erasing = threading.Lock()
        self._writing: set[bytes] = set()
        self.halted: str | None = None
        """Why nothing is written any more, None while all is well."""
        self.findings: list[str] = []
        """What was found wrong, and mended or not, when the store was opened."""
        with self._guard():
            self.make_folders()
            self._index = CustodyIndex(path / INDEX_NAME)
            if self._index.rebuilt:
                self.findings.append("the index of the custody store was broken and is made again")
            self._match_files(kept_until_ms)
            self._unordered = Counter(self._index.unordered_bytes())

    def close(self) -> None:
        """Close the index; the store must not be used afterwards."""
        with self._lock:
            self._index.close()

    def put(
        self,
        items: AttachmentItems,
        *,
        expires_ms: int,
        due_month: int,
        log_index: int | None = None,
    ) -> bool:
        """
        Keep an attachment durably until `expires_ms`, or longer if it is held longer already.

        Returns whether it was written: one that is held is not written again. `due_month` is the
        earliest of its events', `log_index` that of its submission where it is in the log.

        Raises:
            RequestError: the member's quota of attachments that are not in the log is used up.
            StoreError: the disk is full or failed; nothing may be acknowledged.
        """
        content = items.encode()
        if self._reserve(items.batch_hash, items.member, len(content), expires_ms, log_index):
            return False
        done = False
        try:
            with self._guard():
                self._write(items.batch_hash, content)
                row = Held(
                    items.batch_hash, items.member, len(content), expires_ms, log_index, due_month
                )
                with self._lock, self._index.transaction() as index:
                    index.add(row)
            done = True
        finally:
            with self._lock:
                self._writing.discard(items.batch_hash)
                if not done and log_index is None:
                    self._unordered[items.member] -= len(content)
                self._lock.notify_all()
        return True

    def extend(self, batch_hash: bytes, expires_ms: int) -> bool:
        """
        Keep an attachment until `expires_ms` at least; return whether it is held at all.

        Raises:
            StoreError: the disk is full or failed.
        """
        with self._lock, self._guard():
            held = self._index.find(batch_hash)
            if held is not None and held.expires_ms < expires_ms:
                with self._index.transaction() as index:
                    index.extend(batch_hash, expires_ms)
        return held is not None

    def held(self, batch_hash: bytes) -> Held | None:
        """Return what the index says of an attachment, None if it is not held."""
        with self._lock:
            return self._index.find(batch_hash)

    def unordered_bytes(self, member: int) -> int:
        """Return the bytes of a member's attachments that are not in the log."""
        with self._lock:
            return self._unordered[member]

    def usage(self) -> Usage:
        """Return how much is held."""
        with self._lock:
            return Usage(*self._index.totals())

    def placed(self, placed: Sequence[tuple[bytes, int]], marked: Sequence[int], size: int) -> None:
        """
        Take note of what the log below `size` says.

        `placed` are batch hashes and log indexes of submissions, `marked` the log indexes of
        submissions with an event that got a mark.

        Raises:
            StoreError: the disk is full or failed.
        """
        with self._lock, self._guard(), self._index.transaction(flushed=False) as index:
            for batch_hash, log_index in placed:
                held = index.find(batch_hash)
                if held is not None and held.log_index is None:
                    index.place(batch_hash, log_index)
                    self._unordered[held.member] -= held.bytes
            for log_index in marked:
                index.touch(log_index)
            index.follow(size)

    def place_late(self, batch_hash: bytes, log_index: int) -> None:
        """
        Note where the submission of an attachment stands, found out otherwise than by `placed`.

        The next sweep looks at it, since marks may have come before.

        Raises:
            StoreError: the disk is full or failed.
        """
        with self._lock, self._guard(), self._index.transaction(flushed=False) as index:
            self._place_late(index, index.find(batch_hash), log_index)

    def followed(self) -> int:
        """Return the log size that `placed` was last told."""
        with self._lock:
            return self._index.followed()

    def unordered(self) -> list[bytes]:
        """Return the batch hashes of attachments that are not in the log, as far as known here."""
        with self._lock:
            return self._index.unordered()

    def discard_expired(self, time_ms: int, placed_at: Callable[[bytes], int | None]) -> int:
        """
        Discard attachments whose receipts ended before `time_ms`, an applied block's time.

        `placed_at` returns the log index at which a batch was accepted: one that is in the log is
        never discarded, whatever its receipt says. Returns how many were.

        Raises:
            StoreError: the disk failed.
        """
        discarded = 0
        with self._lock, self._guard():
            for held in self._index.expired(time_ms):
                log_index = placed_at(held.batch_hash)
                with self._index.transaction(flushed=False) as index:
                    if log_index is not None:
                        self._place_late(index, held, log_index)
                        continue
                    index.remove(held.batch_hash)
                self.file(held.batch_hash).unlink(missing_ok=True)
                self._unordered[held.member] -= held.bytes
                discarded += 1
        return discarded

    def due(self, month: int, count: int) -> list[Held]:
        """Return up to `count` attachments of which something may have to go in `month`."""
        with self._lock:
            return self._index.due(month, count)

    def erase(self, batch_hash: bytes, positions: Sequence[int], due_month: int | None) -> int:
        """
        Erase bodies, so that their bytes are in no file; return how many there still were.

        This node's own shares of them go too, and all deposits with the last body. `due_month` is
        the earliest of the events that are left.

        Raises:
            StoreDamagedError: the file is damaged; nothing is erased.
            StoreError: the disk is full or failed.
        """
        with self._erasing:
            gone = frozenset(positions)
            left, erased = self.items_without(batch_hash, gone)
            if left is None:
                left = self.redeposit_without(batch_hash, gone, live=due_month is not None)
            with self._guard():
                size = None
                if left is not None:
                    content = left.encode()
                    self._write(batch_hash, content)
                    size = len(content)
                with self._lock, self._index.transaction(flushed=False) as index:
                    index.settle(batch_hash, due_month, size)
            return erased

    def hashes(self) -> list[bytes]:
        """Return the batch hashes of everything that is held, ascending."""
        with self._lock:
            return sorted(self._index.hashes())

    def _write(self, batch_hash: bytes, content: bytes) -> None:
        """Put an attachment file in place durably."""
        write_file(self.file(batch_hash), content)

    def _place_late(self, index: CustodyIndex, held: Held | None, log_index: int) -> None:
        if held is not None and held.log_index is None:
            index.place(held.batch_hash, log_index)
            index.touch(log_index)
            self._unordered[held.member] -= held.bytes

    def _reserve(
        self, batch_hash: bytes, member: int, size: int, expires_ms: int, log_index: int | None
    ) -> bool:
        """Return whether the attachment is held; else its bytes are counted and it may be put."""
        with self._lock:
            while batch_hash in self._writing:
                self._lock.wait()
            if self.extend(batch_hash, expires_ms):
                return True
            used = self._unordered[member]
            if log_index is None and used + size > self._quota_bytes:
                raise RequestError(
                    "custody-quota",
                    f"member {member} has {used} bytes in custody that are not in the log, and "
                    f"this attachment {size}, of {self._quota_bytes}",
                    used_bytes=used,
                    quota_bytes=self._quota_bytes,
                )
            self._writing.add(batch_hash)
            if log_index is None:
                self._unordered[member] += size
            return False

    def _match_files(self, kept_until_ms: int) -> None:
        """Make files and rows agree: take in files without a row, drop rows without a file."""
        rows, found = self._index.hashes(), set[bytes]()
        for folder in self.folders():
            remove_parts(folder)
            names = [entry.name for entry in folder.iterdir()]
            found.update(bytes.fromhex(name) for name in names if NAME.fullmatch(name))
        with self._index.transaction() as index:
            for batch_hash in sorted(rows - found):
                index.remove(batch_hash)
                self.findings.append(f"attachment {batch_hash.hex()}: its file is missing")
            for batch_hash in sorted(found - rows):
                row = self._adopt(batch_hash, kept_until_ms)
                if row is not None:
                    index.add(row)

    def _adopt(self, batch_hash: bytes, kept_until_ms: int) -> Held | None:
        """Return the row of a file that has none; a file that is none of ours is removed."""
        path = self.file(batch_hash)
        try:
            file = self.open_file(batch_hash)
            assert file is not None, "it was listed a moment ago"
            with file:
                items = file.items()
        except StoreDamagedError as error:
            # No row means that no sweep would ever find it, so it can't stay.
            remove_file(path)
            self.findings.append(f"{error}; it was in no index and is removed")
            return None
        size = path.stat().st_size
        return Held(batch_hash, items.member, size, kept_until_ms, None, 0)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Halt the store when a write fails: what a failed flush left behind is unknown."""
        if self.halted is not None:
            raise StoreError(self.halted)
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            self.halted = (
                f"custody store {self.path} failed: {error}; free or repair the disk, then "
                "restart the node"
            )
            raise StoreError(self.halted) from error
