"""
The vault: the body keys of everything that this folder sealed, until an event is erased.

One row a batch, each column encrypted under a key of the keystore. A row is on the disk before
its batch leaves for custody: without its keys a batch could not be deposited again for a new
committee. References, tags, months and categories are kept beside the keys, so that an event can
be found again to correct, mark or erase it, and counted in a quality statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tradeline_client.errors import NotFoundError, StoreError
from tradeline_client.store import Database, Sealer
from tradeline_ledger.body import KEY_BYTES
from tradeline_ledger.calendar import MONTHS_PER_YEAR
from tradeline_ledger.history import EventId
from tradeline_ledger.mac import SHORT_MAC_BYTES
from tradeline_ledger.submission import TAG_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Column = Sequence[int] | NDArray[np.int64]

VAULT_VERSION: Final = 2
STORAGE_NAME: Final = "vault"
"""Name of the vault's storage key."""
_PLACE: Final = np.dtype([("retain_month", ">u2"), ("year", ">u2"), ("nature", "u1")])
"""
Of one event: month that it is kept; year of `occurred_on`; then its category (bits 0 to 2), month
of the year (3 to 6), and whether it is a correction (7).
"""
PLACE_BYTES: Final = _PLACE.itemsize

_ERASED: Final = bytes(KEY_BYTES)
_MONTH_SHIFT: Final = 3
_MONTH_MASK: Final = 0xF
_CATEGORY_MASK: Final = 0x7
_CORRECTION: Final = 0x80
_SCHEMA: Final = """
CREATE TABLE batch (
    hash BLOB PRIMARY KEY, epoch INTEGER NOT NULL, count INTEGER NOT NULL,
    created_ms INTEGER NOT NULL, log_index INTEGER UNIQUE,
    keys BLOB NOT NULL, refs BLOB NOT NULL, tags BLOB NOT NULL, places BLOB NOT NULL
) STRICT
"""


@dataclass(frozen=True, slots=True)
class Places:
    """What is kept of where the events of a batch are filed, column by column."""

    retain_months: NDArray[np.int64]
    """As in the headers: `year * 12 + month - 1`."""
    months: NDArray[np.int64]
    """Of `occurred_on`, counted alike."""
    categories: NDArray[np.int64]
    corrections: NDArray[np.bool_]
    """Whether an event corrects or retracts another."""

    @property
    def years(self) -> NDArray[np.int64]:
        """Of `occurred_on`: the tags'."""
        return self.months // MONTHS_PER_YEAR

    def __len__(self) -> int:
        return len(self.months)

    def __repr__(self) -> str:
        return f"Places({len(self)} events, not shown)"


@dataclass(frozen=True, slots=True)
class VaultRow:
    """What is kept of one batch. Shows no key."""

    batch_hash: bytes
    epoch: int
    """To whose committee the keys were dealt last."""
    count: int
    created_ms: int
    keys: bytes
    """32 bytes an event, zeros once it is erased."""
    refs: bytes
    """16 bytes an event: its keyed reference."""
    tags: bytes
    """16 bytes an event."""
    places: bytes
    """`PLACE_BYTES` an event, see `encode_places`."""
    log_index: int | None = None
    """Of the submission, None until its place is verified."""

    def __repr__(self) -> str:
        return f"VaultRow({self.batch_hash.hex()}, count={self.count}, index={self.log_index})"

    def erased(self) -> list[int]:
        """Return the positions of the events whose keys are gone."""
        return [
            position
            for position in range(self.count)
            if self.keys[position * KEY_BYTES : (position + 1) * KEY_BYTES] == _ERASED
        ]

    def event(self, position: int) -> VaultEvent:
        """Return what is kept of the event at `position`."""
        place = decode_places(self.places[position * PLACE_BYTES : (position + 1) * PLACE_BYTES])
        key = self.keys[position * KEY_BYTES : (position + 1) * KEY_BYTES]
        return VaultEvent(
            batch_hash=self.batch_hash,
            log_index=self.log_index,
            position=position,
            ref=self.refs[position * SHORT_MAC_BYTES : (position + 1) * SHORT_MAC_BYTES],
            tag=self.tags[position * TAG_BYTES : (position + 1) * TAG_BYTES],
            retain_month=int(place.retain_months[0]),
            month=int(place.months[0]),
            category=int(place.categories[0]),
            correction=bool(place.corrections[0]),
            erased=key == _ERASED,
        )


@dataclass(frozen=True, slots=True)
class VaultEvent:
    """What is kept of one event, its key aside."""

    batch_hash: bytes
    log_index: int | None
    """Of its submission, None until its place is verified."""
    position: int
    ref: bytes
    """The contributor's keyed reference."""
    tag: bytes
    retain_month: int
    """As in the header: `year * 12 + month - 1`."""
    month: int
    """Of `occurred_on`: `year * 12 + month - 1`."""
    category: int
    correction: bool
    """Whether it corrects or retracts another event."""
    erased: bool
    """Whether its key is gone."""

    @property
    def year(self) -> int:
        """Of `occurred_on`: the tag's."""
        return self.month // MONTHS_PER_YEAR

    @property
    def id(self) -> EventId:
        """
        The event's id in the log.

        Raises:
            NotFoundError: its batch is not known to be placed.
        """
        if self.log_index is None:
            raise NotFoundError(
                f"the batch {self.batch_hash.hex()} is not known to be on the ledger; send what is "
                "pending first"
            )
        return EventId(self.log_index, self.position)


@dataclass(frozen=True, slots=True)
class VaultReport:
    """What `Vault.verify` found."""

    batches: int
    events: int
    erased: int
    """Events whose key is gone."""
    unplaced: tuple[bytes, ...]
    """Hashes of batches that are not known to be on the ledger."""


class Vault:
    """The vault of one client folder, for any number of threads and processes."""

    def __init__(self, path: Path, key: bytes) -> None:
        """
        Open the vault at `path`; `key` is the storage key called `STORAGE_NAME`.

        Raises:
            StoreError: it can't be opened.
        """
        self._database = Database(path, _SCHEMA, VAULT_VERSION)
        self._sealer = Sealer(key)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def put(self, row: VaultRow) -> None:
        """
        Store the row of a batch; it is on the disk when this returns.

        Raises:
            StoreError: the file can't be written, so the batch must not leave.
        """
        seal, hash_ = self._sealer.seal, row.batch_hash
        sealed = [seal(getattr(row, name), hash_, name) for name in _SEALED]
        with self._database.transaction() as rows:
            rows.execute(
                "INSERT OR IGNORE INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (hash_, row.epoch, row.count, row.created_ms, row.log_index, *sealed),
            )

    def placed(self, batch_hash: bytes, log_index: int) -> None:
        """Record the verified log index of a batch."""
        with self._database.transaction() as rows:
            rows.execute("UPDATE batch SET log_index = ? WHERE hash = ?", (log_index, batch_hash))

    def dealt(self, log_index: int, epoch: int) -> None:
        """Record that the keys of the batch at a log index are dealt to those of `epoch`."""
        with self._database.transaction() as rows:
            rows.execute(
                "UPDATE batch SET epoch = max(epoch, ?) WHERE log_index = ?", (epoch, log_index)
            )

    def older(self, epoch: int) -> list[bytes]:
        """Return the hashes of placed batches last dealt before `epoch`, in log order."""
        with self._database.reading() as rows:
            found = rows.execute(
                "SELECT hash FROM batch WHERE log_index IS NOT NULL AND epoch < ? "
                "ORDER BY log_index",
                (epoch,),
            ).fetchall()
        return [hash_ for (hash_,) in found]

    def placed_hashes(self) -> list[bytes]:
        """Return the hashes of all batches that are known to be on the ledger, in log order."""
        with self._database.reading() as rows:
            found = rows.execute(
                "SELECT hash FROM batch WHERE log_index IS NOT NULL ORDER BY log_index"
            ).fetchall()
        return [hash_ for (hash_,) in found]

    def hash_at(self, log_index: int) -> bytes | None:
        """Return the hash of the batch at a log index, None if this folder has none there."""
        with self._database.reading() as rows:
            row = rows.execute(
                "SELECT hash FROM batch WHERE log_index = ?", (log_index,)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def discard(self, batch_hash: bytes) -> None:
        """Delete the row of a batch that was refused, if it is not on the ledger."""
        with self._database.transaction() as rows:
            rows.execute("DELETE FROM batch WHERE hash = ? AND log_index IS NULL", (batch_hash,))
        self._database.forget()

    def row(self, batch_hash: bytes) -> VaultRow:
        """
        Return the row of a batch, to deposit its keys again.

        Raises:
            NotFoundError: there is none.
            StoreError: it does not open with this keystore.
        """
        with self._database.reading() as rows:
            found = rows.execute("SELECT * FROM batch WHERE hash = ?", (batch_hash,)).fetchone()
        return self._open(found, f"batch {batch_hash.hex()}")

    def find(self, event: EventId) -> VaultEvent:
        """
        Return what is kept of the event with that id.

        Raises:
            NotFoundError: it is no event of this folder.
        """
        return self._row_of(event).event(event.position)

    def find_ref(self, ref: bytes) -> list[VaultEvent]:
        """Return every event with that keyed reference, the newest batch first; reads all rows."""
        found = []
        for row in self.rows():
            at = row.refs.find(ref)
            while at >= 0:
                if at % SHORT_MAC_BYTES == 0:
                    found.append(row.event(at // SHORT_MAC_BYTES))
                at = row.refs.find(ref, at + 1)
        return found

    def rows(self) -> Iterator[VaultRow]:
        """
        Yield every row, the newest first.

        Raises:
            StoreError: a row does not open with this keystore.
        """
        with self._database.reading() as rows:
            hashes = rows.execute("SELECT hash FROM batch ORDER BY rowid DESC").fetchall()
        for (hash_,) in hashes:
            yield self.row(hash_)

    def erase(self, event: EventId) -> bool:
        """
        Delete the key of one event, so that no copy is left in the file; False if it was gone.

        Raises:
            NotFoundError: it is no event of this folder.
            StoreError: the file can't be written; the key is still there.
        """
        row = self._row_of(event)
        start = event.position * KEY_BYTES
        if row.keys[start : start + KEY_BYTES] == _ERASED:
            return False
        keys = row.keys[:start] + _ERASED + row.keys[start + KEY_BYTES :]
        sealed = self._sealer.seal(keys, row.batch_hash, "keys")
        with self._database.transaction() as rows:
            rows.execute("UPDATE batch SET keys = ? WHERE hash = ?", (sealed, row.batch_hash))
        self._database.forget()
        return True

    def backup(self, target: Path) -> VaultReport:
        """
        Copy the vault to `target`, open every row of the copy, and return what it holds.

        The copy is as secret as the vault: it opens with the keystore.

        Raises:
            StoreError: `target` exists or can't be written, or a row does not open.
        """
        self._database.copy_to(target)
        return self._verified(target)

    def verify(self) -> VaultReport:
        """
        Open every row and return what the vault holds.

        Raises:
            StoreError: the file or a row is damaged.
        """
        self._database.check()
        batches = events = erased = 0
        unplaced = []
        for row in self.rows():
            batches, events = batches + 1, events + row.count
            keys = np.frombuffer(row.keys, dtype=np.uint8).reshape(row.count, KEY_BYTES)
            erased += int((~keys.any(axis=1)).sum())
            if row.log_index is None:
                unplaced.append(row.batch_hash)
        return VaultReport(batches, events, erased, tuple(unplaced))

    def _verified(self, path: Path) -> VaultReport:
        copy = Vault.__new__(Vault)
        copy._database = Database(path, _SCHEMA, VAULT_VERSION)  # noqa: SLF001  its own class
        copy._sealer = self._sealer  # noqa: SLF001
        try:
            return copy.verify()
        finally:
            copy.close()

    def _row_of(self, event: EventId) -> VaultRow:
        with self._database.reading() as rows:
            found = rows.execute(
                "SELECT * FROM batch WHERE log_index = ?", (event.index,)
            ).fetchone()
        row = self._open(found, f"event {event}")
        if event.position >= row.count:
            raise NotFoundError(f"the batch at {event.index} has only {row.count} events")
        return row

    def _open(self, found: tuple[Any, ...] | None, what: str) -> VaultRow:
        if found is None:
            raise NotFoundError(f"this vault has no {what}")
        hash_, epoch, count, created_ms, log_index, *sealed = found
        columns = {
            name: self._sealer.open(column, hash_, name)
            for name, column in zip(_SEALED, sealed, strict=True)
        }
        row = VaultRow(hash_, epoch, count, created_ms, log_index=log_index, **columns)
        widths = (len(row.keys), len(row.refs), len(row.tags), len(row.places))
        if widths != tuple(count * each for each in _WIDTHS):
            raise StoreError(f"the row of batch {hash_.hex()} is damaged; restore a backup")
        return row


def restore(source: Path, target: Path, key: bytes) -> VaultReport:
    """
    Put a backup in place of a vault that is lost, once every row of it has opened.

    Journals are never restored: an old one would sign for positions that are taken.

    Raises:
        StoreError: `target` exists, or the backup is damaged or of another keystore.
    """
    if not source.is_file():
        raise StoreError(f"{source} is no backup of a vault")
    if target.exists():
        raise StoreError(f"{target} exists; move it away before a backup takes its place")
    vault = Vault(source, key)
    try:
        vault.verify()
        return vault.backup(target)
    finally:
        vault.close()


def encode_places(
    retain_months: Column, months: Column, categories: Column, corrections: Column
) -> bytes:
    """
    Return the `places` column of events given column by column.

    `months` are those of `occurred_on`, `year * 12 + month - 1`; `corrections` are 1 for events
    that correct or retract another, else 0.
    """
    occurred = np.asarray(months, dtype=np.int64)
    places = np.empty(len(occurred), dtype=_PLACE)
    places["retain_month"] = retain_months
    places["year"] = occurred // MONTHS_PER_YEAR
    month_of_year = occurred % MONTHS_PER_YEAR + 1
    nature = np.asarray(categories, dtype=np.int64) | month_of_year << _MONTH_SHIFT
    places["nature"] = nature | np.asarray(corrections, dtype=np.int64) * _CORRECTION
    return places.tobytes()


def decode_places(places: bytes) -> Places:
    """Return what `encode_places` wrote."""
    rows = np.frombuffer(places, dtype=_PLACE)
    nature = rows["nature"].astype(np.int64)
    month_of_year = nature >> _MONTH_SHIFT & _MONTH_MASK
    return Places(
        retain_months=rows["retain_month"].astype(np.int64),
        months=rows["year"].astype(np.int64) * MONTHS_PER_YEAR + month_of_year - 1,
        categories=nature & _CATEGORY_MASK,
        corrections=(nature & _CORRECTION).astype(np.bool_),
    )


_SEALED: Final = ("keys", "refs", "tags", "places")
_WIDTHS: Final = (KEY_BYTES, SHORT_MAC_BYTES, TAG_BYTES, PLACE_BYTES)
