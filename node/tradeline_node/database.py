"""
The one RocksDB of a ledger store: raw keys and values, one column family, one writer.

Every value is read with its checksum verified; a failure of any kind is a `StoreError`. Four
memtables of 16 MiB are merged into one file of 64 MiB: rows under random tags then meet the
processor's cache, which makes a write 1.4 times faster than with one of 64 MiB. Hashes, tags and
ciphertext don't compress, so nothing is.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    Checkpoint,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from tradeline_node.errors import StoreDamagedError, StoreError
from tradeline_node.log_frames import check_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

MEMTABLE_BYTES: Final = 16 << 20
MEMTABLES_MERGED: Final = 4
MEMTABLES_MAX: Final = 8
BLOCK_CACHE_BYTES: Final = 256 << 20
BLOOM_BITS: Final = 10
"""A key; one in a hundred look-ups of an absent key reads a block in vain."""
BACKGROUND_JOBS: Final = 2
LOG_FILES_MAX: Final = 3
LOG_FILE_BYTES_MAX: Final = 8 << 20
"""RocksDB's own notes, not the write-ahead log."""

ROWS_AT_ONCE_FIRST: Final = 8
ROWS_AT_ONCE: Final = 256
"""Read from a cursor in one go; most who read rows want few."""

REMEDY: Final = (
    "stop the node, move the folder away and start it again: it replays the log from the others; "
    "or restore a backup"
)


class Database:
    """
    An open RocksDB. Any thread may read; one thread writes.

    A *secondary* reads what another process writes, as of its last `catch_up`. RocksDB wants no
    read while it catches up, so its reads and catch-ups take turns; rows are read in pieces.
    """

    def __init__(
        self, path: Path, *, read_only: bool = False, secondary: Path | None = None
    ) -> None:
        """
        Open the database in folder `path`, made if it is missing and neither `read_only` nor read
        as a secondary, which keeps notes of its own in the folder `secondary`.

        Raises:
            StoreError: it can't be opened; the message says why.
        """
        self.path = path
        self._secondary = secondary
        self._turn: AbstractContextManager[object] = (
            contextlib.nullcontext() if secondary is None else threading.RLock()
        )
        self._synced = WriteOptions()
        self._synced.sync = True
        if secondary is not None:
            self._db = self._open(AccessType.secondary(str(secondary)))
            return
        try:
            check_frames(path)
        except StoreDamagedError as error:
            raise StoreDamagedError(f"ledger store {path}: {error}; {REMEDY}") from error
        except OSError as error:
            raise StoreError(f"ledger store {path} can't be read: {error.strerror}") from error
        self._db = self._open(AccessType.read_only() if read_only else AccessType.read_write())

    def get(self, key: bytes) -> bytes | None:
        """
        Return the value under `key`, None if there is none.

        Raises:
            StoreError: it can't be read.
        """
        try:
            with self._turn:
                value: bytes | None = self._db.get(key)
        except Exception as error:
            raise _store_error(self.path, "can't be read", error) from error
        return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """
        Return the values under `keys`, in their order, None where there is none.

        Raises:
            StoreError: they can't be read.
        """
        try:
            with self._turn:
                values: list[bytes | None] = self._db.get([*keys]) or []
        except Exception as error:
            raise _store_error(self.path, "can't be read", error) from error
        return values

    def iterate(self, prefix: bytes = b"", start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """
        Return the rows whose keys begin with `prefix`, ascending, from key `start` on.

        They are those of the moment of the call, whatever is written before the last is taken; a
        secondary may show some that it caught up with meanwhile.

        Raises:
            StoreError: they can't be read; so does taking the next.
        """
        try:
            with self._turn:
                cursor = self._db.iter(ReadOptions())
                cursor.seek(max(prefix, start))
        except Exception as error:
            raise _store_error(self.path, "can't be read", error) from error
        return self._rows(cursor, prefix)

    def keys_under(self, prefixes: Iterable[bytes]) -> Iterator[list[bytes]]:
        """
        Yield, for each of `prefixes`, the keys that begin with it, ascending.

        One cursor looks for all of them: for thousands, most of which begin no key at all.

        Raises:
            StoreError: they can't be read.
        """
        try:
            with self._turn:
                cursor = self._db.iter(ReadOptions())
            seek, valid, key_here, step = cursor.seek, cursor.valid, cursor.key, cursor.next
            for prefix in prefixes:
                found: list[bytes] = []
                with self._turn:
                    seek(prefix)
                    while valid():
                        key = key_here()
                        if not key.startswith(prefix):
                            break
                        found.append(key)
                        step()
                yield found
            with self._turn:
                cursor.status()
        except Exception as error:
            raise _store_error(self.path, "can't be read", error) from error

    def last_key(self, prefix: bytes, until: bytes) -> bytes | None:
        """
        Return the largest key that begins with `prefix` and is at most `until`, if there is one.

        Raises:
            StoreError: it can't be read.
        """
        try:
            with self._turn:
                cursor = self._db.iter(ReadOptions())
                cursor.seek_for_prev(until)
                cursor.status()
                key: bytes | None = cursor.key() if cursor.valid() else None
        except Exception as error:
            raise _store_error(self.path, "can't be read", error) from error
        return key if key is not None and key.startswith(prefix) else None

    def write(
        self,
        rows: Iterable[tuple[bytes, bytes]],
        blind: Iterable[bytes] = (),
        deleted: Iterable[bytes] = (),
        *,
        synced: bool = True,
    ) -> None:
        """
        Delete `deleted`, put `rows` and the keys of `blind` with empty values: all or nothing.

        When it returns, the rows are on the disk if `synced`.

        Raises:
            StoreError: nothing is known about what is on the disk; open the database again.
        """
        batch = WriteBatch(raw_mode=True)
        for key in deleted:
            batch.delete(key)
        put = batch.put
        for key in blind:
            put(key, b"")
        for key, value in rows:
            put(key, value)
        try:
            if synced:
                self._db.write(batch, self._synced)
            else:
                self._db.write(batch)
        except Exception as error:
            raise _store_error(self.path, "can't be written", error) from error

    def catch_up(self) -> None:
        """
        Show what the writer has written by now; for a secondary.

        Raises:
            StoreError: it can't be opened anew, which it is when it can't catch up.
        """
        assert self._secondary is not None, "only a secondary catches up"
        with self._turn:
            try:
                self._db.try_catch_up_with_primary()
            except Exception:  # noqa: BLE001  whatever ails it, opened anew it begins well
                with contextlib.suppress(Exception):
                    self._db.close()
                self._db = self._open(AccessType.secondary(str(self._secondary)))

    def copy_to(self, path: Path) -> None:
        """
        Make a consistent copy in folder `path`, which must not exist, of hard links where it can.

        Raises:
            StoreError: it can't be made.
        """
        try:
            Checkpoint(self._db).create_checkpoint(str(path))
        except Exception as error:
            raise _store_error(self.path, f"can't be copied to {path}", error) from error

    def flush(self) -> None:
        """
        Write what is in memory to table files.

        Raises:
            StoreError: it can't be written.
        """
        try:
            self._db.flush()
        except Exception as error:
            raise _store_error(self.path, "can't be written", error) from error

    def close(self) -> None:
        """Close; reads and writes after it raise. Iterators must be gone before."""
        with contextlib.suppress(Exception):  # a failed database must close too
            self._db.close()

    def _open(self, access: AccessType) -> Rdict:
        try:
            return Rdict(str(self.path), _options(), access_type=access)
        except Exception as error:
            raise _store_error(self.path, "can't be opened", error) from error

    def _rows(self, cursor: RdictIter, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        rows_max = ROWS_AT_ONCE_FIRST
        while rows := self._next_rows(cursor, prefix, rows_max):
            yield from rows
            rows_max = ROWS_AT_ONCE

    def _next_rows(
        self, cursor: RdictIter, prefix: bytes, rows_max: int
    ) -> list[tuple[bytes, bytes]]:
        """Return up to `rows_max` rows from where `cursor` stands, which then stands after them."""
        rows: list[tuple[bytes, bytes]] = []
        try:
            with self._turn:
                while len(rows) < rows_max and cursor.valid():
                    key = cursor.key()
                    if not key.startswith(prefix):
                        break
                    rows.append((key, cursor.value()))
                    cursor.next()
                cursor.status()
        except Exception as error:
            raise _store_error(self.path, "can't be read", error) from error
        return rows


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(create_if_missing=True)
    options.set_write_buffer_size(MEMTABLE_BYTES)
    options.set_min_write_buffer_number_to_merge(MEMTABLES_MERGED)
    options.set_max_write_buffer_number(MEMTABLES_MAX)
    options.set_max_background_jobs(BACKGROUND_JOBS)
    options.set_compression_type(DBCompressionType.none())
    options.set_paranoid_checks(True)
    # A write that a crash cut short is the last one and was never acknowledged; damage before
    # it is an error.
    options.set_wal_recovery_mode(DBRecoveryMode.tolerate_corrupted_tail_records())
    options.set_keep_log_file_num(LOG_FILES_MAX)
    options.set_max_log_file_size(LOG_FILE_BYTES_MAX)
    table = BlockBasedOptions()
    table.set_bloom_filter(BLOOM_BITS, block_based=False)
    table.set_block_cache(Cache(BLOCK_CACHE_BYTES))
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options.set_block_based_table_factory(table)
    return options


def _store_error(path: Path, what: str, error: Exception) -> StoreError:
    reason = " ".join(str(error).split())
    if reason.startswith("Corruption"):
        return StoreDamagedError(f"ledger store {path} {what}: {reason}; {REMEDY}")
    if "lock hold" in reason or "LOCK" in reason:
        return StoreError(f"ledger store {path} is in use by another process; end that one first")
    return StoreError(f"ledger store {path} {what}: {reason}; make room or repair, then restart")
