"""
What this folder signed: feed positions, statements not known to be placed, one-time secrets.

A statement is recorded, with the bytes of its entry, before it leaves the folder, and its position
is taken in the same transaction. So there is never a second statement for a position: after a
crash the same bytes are sent again. Private parts of consents and the one-time keys of inquiries
are stored, encrypted, before what names them is posted.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_client.errors import NotFoundError, StoreError
from tradeline_client.store import Database, Sealer
from tradeline_ledger.statement import ENTRY, STATEMENT, statement_hash

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JOURNAL_VERSION: Final = 1
STORAGE_NAME: Final = "journal"
"""Name of the journal's storage key."""

_SCHEMA: Final = """
CREATE TABLE feed (
    feed INTEGER PRIMARY KEY, next_seq INTEGER NOT NULL, prev BLOB NOT NULL
) STRICT;
CREATE TABLE statement (
    hash BLOB PRIMARY KEY, feed INTEGER NOT NULL, seq INTEGER NOT NULL, kind INTEGER NOT NULL,
    about BLOB, entry BLOB, log_index INTEGER, outcome INTEGER, UNIQUE (feed, seq)
) STRICT;
CREATE UNIQUE INDEX place ON statement (log_index) WHERE log_index IS NOT NULL;
CREATE INDEX pending ON statement (feed, seq) WHERE log_index IS NULL;
CREATE TABLE secret (
    what TEXT NOT NULL, id BLOB NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (what, id)
) STRICT
"""


class Secret(enum.Enum):
    """What is kept encrypted."""

    ONE_TIME_KEY = "inquiry key"
    """By `key_hash`: HPKE private key and consent of an inquiry."""
    CONSENT = "consent"
    """By consent id: salt and identifiers behind a consent's commitments."""


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """Where the next statement of a feed goes."""

    next_seq: int
    prev: bytes
    """`statement_hash` of the last statement; `FIRST_PREV` at 0."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement that this folder signed."""

    hash: bytes
    """`statement_hash`."""
    feed: int
    seq: int
    kind: int
    about: bytes | None
    """What it is about: batch hash, consent id, key hash of an inquiry."""
    entry: bytes | None
    """Encoded entry; None once it is known to be placed."""
    log_index: int | None
    """Verified place in the log, None before it is known."""
    outcome: int | None

    def __repr__(self) -> str:
        return f"Signed(feed={self.feed}, seq={self.seq}, kind={self.kind})"


class Journal:
    """The journal of one client folder, for any number of threads and processes."""

    def __init__(self, path: Path, key: bytes) -> None:
        """
        Open the journal at `path`; `key` is the storage key called `STORAGE_NAME`.

        Raises:
            StoreError: it can't be opened.
        """
        self._database = Database(path, _SCHEMA, JOURNAL_VERSION)
        self._sealer = Sealer(key)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def position(self, feed: int) -> FeedPosition | None:
        """Return where the feed's next statement goes, None if this folder never used it."""
        with self._database.reading() as rows:
            row = rows.execute("SELECT next_seq, prev FROM feed WHERE feed = ?", (feed,)).fetchone()
        return None if row is None else FeedPosition(*row)

    def adopt(self, feed: int, position: FeedPosition) -> None:
        """
        Take a position from verified blocks as the feed's; it is never one that was passed.

        Raises:
            StoreError: this folder signed for a position that is not before it.
        """
        with self._database.transaction() as rows:
            row = rows.execute("SELECT max(next_seq) FROM feed WHERE feed = ?", (feed,)).fetchone()
            if row[0] is not None and row[0] > position.next_seq:
                raise StoreError(
                    f"feed {feed} was signed up to position {row[0]}, which is past "
                    f"{position.next_seq}: send what is pending instead of going back"
                )
            rows.execute(
                "INSERT OR REPLACE INTO feed VALUES (?, ?, ?)",
                (feed, position.next_seq, position.prev),
            )

    def sign(
        self, feed: int, make: Callable[[int, bytes], bytes], about: bytes | None = None
    ) -> Signed:
        """
        Take the feed's next position and return the statement that `make` signs for it.

        `make` is given seq and prev and returns the encoded entry, which is on the disk when this
        returns.

        Raises:
            StoreError: the feed's position was never adopted, or the file can't be written.
        """
        with self._database.transaction() as rows:
            row = rows.execute("SELECT next_seq, prev FROM feed WHERE feed = ?", (feed,)).fetchone()
            if row is None:
                raise StoreError(f"position of feed {feed} is unknown; take it from the ledger")
            seq, prev = row
            encoded = make(seq, prev)
            entry = ENTRY.decode(encoded)
            statement = STATEMENT.decode(entry.statement)
            own = (statement.feed, statement.seq, statement.prev)
            assert own == (feed, seq, prev), (own, feed, seq)
            hash_ = statement_hash(entry.statement)
            rows.execute(
                "INSERT INTO statement VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)",
                (hash_, feed, seq, statement.kind, about, encoded),
            )
            rows.execute(
                "UPDATE feed SET next_seq = ?, prev = ? WHERE feed = ?", (seq + 1, hash_, feed)
            )
        return Signed(hash_, feed, seq, statement.kind, about, encoded, None, None)

    def pending(self, feed: int | None = None) -> list[Signed]:
        """Return the statements not known to be placed, of one feed or of all, in their order."""
        with self._database.reading() as rows:
            found = rows.execute(
                "SELECT * FROM statement WHERE log_index IS NULL AND entry IS NOT NULL "
                "AND feed = coalesce(?, feed) ORDER BY feed, seq",
                (feed,),
            ).fetchall()
        return [Signed(*row) for row in found]

    def statement(self, hash_: bytes) -> Signed:
        """
        Return a statement that this folder signed.

        Raises:
            NotFoundError: it did not.
        """
        with self._database.reading() as rows:
            row = rows.execute("SELECT * FROM statement WHERE hash = ?", (hash_,)).fetchone()
        if row is None:
            raise NotFoundError(f"this folder signed no statement {hash_.hex()}")
        return Signed(*row)

    def at(self, feed: int, seq: int) -> Signed | None:
        """Return the statement that this folder signed for a position, None if it signed none."""
        with self._database.reading() as rows:
            row = rows.execute(
                "SELECT * FROM statement WHERE feed = ? AND seq = ?", (feed, seq)
            ).fetchone()
        return None if row is None else Signed(*row)

    def placed_at(self, log_index: int) -> Signed:
        """
        Return the statement of this folder that stands at a log index.

        Raises:
            NotFoundError: none of this folder is known to stand there.
        """
        with self._database.reading() as rows:
            row = rows.execute(
                "SELECT * FROM statement WHERE log_index = ?", (log_index,)
            ).fetchone()
        if row is None:
            raise NotFoundError(f"this folder has no statement at log index {log_index}")
        return Signed(*row)

    def placed(self, hash_: bytes, log_index: int, outcome: int) -> None:
        """Record a statement's verified place; the bytes of its entry are not kept further."""
        with self._database.transaction() as rows:
            rows.execute(
                "UPDATE statement SET log_index = ?, outcome = ?, entry = NULL WHERE hash = ?",
                (log_index, outcome, hash_),
            )

    def give_up(self, hash_: bytes) -> None:
        """Record that a statement can't be placed: another one has its position in the log."""
        with self._database.transaction() as rows:
            rows.execute("UPDATE statement SET entry = NULL WHERE hash = ?", (hash_,))

    def keep(self, what: Secret, id_: bytes, secret: bytes) -> None:
        """Store `secret` under `id_`, encrypted and on the disk when this returns."""
        sealed = self._sealer.seal(secret, what.value, id_)
        with self._database.transaction() as rows:
            rows.execute(
                "INSERT OR REPLACE INTO secret VALUES (?, ?, ?)", (what.value, id_, sealed)
            )

    def secret(self, what: Secret, id_: bytes) -> bytes:
        """
        Return what `keep` stored.

        Raises:
            NotFoundError: nothing is stored under `id_`.
            StoreError: it does not open with this keystore.
        """
        with self._database.reading() as rows:
            row = rows.execute(
                "SELECT sealed FROM secret WHERE what = ? AND id = ?", (what.value, id_)
            ).fetchone()
        if row is None:
            raise NotFoundError(f"this folder has no {what.value} {id_.hex()}")
        return self._sealer.open(row[0], what.value, id_)
