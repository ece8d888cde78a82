"""
Records of the releases that this node gave, on their way to the ledger.

docs/formats.md, section 7. What else the node posts by itself goes the same way. Records are
collected in a small SQLite file and posted together, on the node's own feed 0, one entry at a time:
the next is signed when the one before has its place. A signed entry is kept before it is handed
over, so that no second statement is ever signed for a position that may still be taken.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tradeline_ledger import state
from tradeline_ledger.encoding import encode
from tradeline_ledger.release import RELEASED, RELEASED_ROWS_MAX, ReleasedRow
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.state import FeedState
from tradeline_ledger.statement import (
    ENTRY,
    FIRST_PREV,
    STATEMENT,
    STATEMENT_VERSION,
    Kind,
    Statement,
    content_hash,
    sign_entry,
    statement_hash,
)
from tradeline_node.errors import BusyError, StoreError

if TYPE_CHECKING:
    from tradeline_node.outbox import Outbox
    from tradeline_node.service import Node
    from tradeline_node.store import LedgerStore

FILE_NAME: Final = "released.sqlite"
NODE_FEED: Final = 0

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS pending (
    inquiry INTEGER PRIMARY KEY, events INTEGER NOT NULL, common_hash BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS flight (entry BLOB NOT NULL);
"""


class RecordSource(Protocol):
    """Something else that the node has to post on its own feed."""

    @property
    def kind(self) -> Kind:
        """Of its records."""
        ...

    def count(self) -> int:
        """Return how much is not on the ledger yet."""
        ...

    def content(self) -> bytes | None:
        """Return the content of the next record, None if nothing can be said."""
        ...

    def arrived(self, content: bytes) -> None:
        """Take note that a record has its place."""
        ...


class ReleasedLog:
    """What is to be posted. Any thread may call it."""

    def __init__(
        self,
        path: Path,
        store: LedgerStore,
        outbox: Outbox,
        *,
        member: int,
        node_key: SigningKey,
        clock_ms: Callable[[], int],
        source: RecordSource | None = None,
    ) -> None:
        """
        Open the SQLite file at `path`; post for `member`, whose node key this is, to `outbox`.

        What `source` has is posted when no release is.

        Raises:
            StoreError: it can't be opened.
        """
        self._store = store
        self._outbox = outbox
        self._member = member
        self._node_key = node_key
        self._clock_ms = clock_ms
        self._source = source
        self._lock = threading.Lock()
        try:
            self._rows = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            path.chmod(0o600)
            # A release leaves its inquiry on the ledger anyway: what a loss of power may take
            # here is worth no flush in every answer.
            self._rows.executescript(
                f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {_SCHEMA}"
            )
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"released records {path} can't be opened: {error}") from error

    def close(self) -> None:
        """Close the file; what was not posted is posted after the next start."""
        with self._lock:
            self._rows.close()

    def note(self, inquiry: int, events: int, common_hash: bytes) -> None:
        """
        Take note of a release, unless one for that inquiry is on the ledger or noted.

        `events` are those of the history statement whose hash is `common_hash`: the most that the
        reader can open.

        Raises:
            StoreError: the disk is full or failed; the release must not be given.
        """
        if self._recorded(inquiry):
            return
        try:
            with self._lock:
                self._rows.execute(
                    "INSERT OR IGNORE INTO pending VALUES (?, ?, ?)", (inquiry, events, common_hash)
                )
        except sqlite3.Error as error:
            raise StoreError(f"released records can't be written: {error}") from error

    def pending(self) -> int:
        """Return how many releases, and findings of the other source, are not on the ledger yet."""
        with self._lock:
            (count,) = self._rows.execute("SELECT count(*) FROM pending").fetchone()
        return int(count) + (self._source.count() if self._source is not None else 0)

    def post(self) -> int:
        """
        Hand what is pending to the outbox, unless an entry before it is still on its way.

        Returns how many releases the entry has that was handed over now, 0 if it has none.

        Raises:
            StoreError: the disk is full or failed.
        """
        try:
            with self._lock:
                return 0 if self._in_flight() else self._post()
        except sqlite3.Error as error:
            raise StoreError(f"released records can't be written: {error}") from error

    def _in_flight(self) -> bool:
        """Return whether an entry is on its way; clear away one that has arrived or can't."""
        row = self._rows.execute("SELECT entry FROM flight").fetchone()
        if row is None:
            return False
        entry = ENTRY.decode(row[0])
        hash_ = statement_hash(entry.statement)
        if self._store.placed_at(hash_) is not None:
            # Accepted or refused, these rows have had their turn: posted again they would get the
            # same answer.
            inquiries = []
            if STATEMENT.decode(entry.statement).kind == Kind.RELEASED:
                inquiries = [(each.inquiry,) for each in RELEASED.decode(entry.content)]
            elif self._source is not None:
                self._source.arrived(entry.content)
            self._rows.execute("BEGIN")
            self._rows.executemany("DELETE FROM pending WHERE inquiry = ?", inquiries)
            self._rows.execute("DELETE FROM flight")
            self._rows.execute("COMMIT")
            return False
        if self._outbox.is_lost(hash_) or self._is_passed(STATEMENT.decode(entry.statement)):
            self._rows.execute("DELETE FROM flight")
            return False
        self._hand_over(row[0])
        return True

    def _is_passed(self, statement: Statement) -> bool:
        """Return whether the feed went another way, so that the statement can't be placed."""
        feed = self._feed()
        return statement.seq < feed.next_seq or (
            statement.seq == feed.next_seq and statement.prev != feed.prev
        )

    def _hand_over(self, entry: bytes) -> None:
        # An outbox that is full takes it another time.
        with suppress(BusyError):
            self._outbox.put(entry)

    def _post(self) -> int:
        found = self._rows.execute("SELECT * FROM pending ORDER BY inquiry").fetchall()
        rows: list[ReleasedRow] = []
        for inquiry, events, common_hash in found:
            if self._recorded(inquiry):
                self._rows.execute("DELETE FROM pending WHERE inquiry = ?", (inquiry,))
            elif len(rows) < RELEASED_ROWS_MAX:
                rows.append(ReleasedRow(inquiry, events, common_hash))
        if rows:
            self._launch(Kind.RELEASED, encode(tuple(rows)))
        elif self._source is not None and (content := self._source.content()) is not None:
            self._launch(self._source.kind, content)
        return len(rows)

    def _launch(self, kind: Kind, content: bytes) -> None:
        """Sign a record, keep it and hand it over."""
        entry = self._sign(kind, content)
        self._rows.execute("PRAGMA synchronous = FULL")
        self._rows.execute("INSERT INTO flight VALUES (?)", (entry,))
        self._rows.execute("PRAGMA synchronous = NORMAL")
        self._hand_over(entry)

    def _sign(self, kind: Kind, content: bytes) -> bytes:
        feed = self._feed()
        statement = Statement(
            STATEMENT_VERSION,
            self._store.ledger.ledger_id,
            self._member,
            NODE_FEED,
            feed.next_seq,
            feed.prev,
            self._clock_ms(),
            kind,
            content_hash(kind, content),
        )
        return sign_entry(self._node_key, statement, content)

    def _feed(self) -> FeedState:
        key = state.feed_key(self._member, NODE_FEED)
        return state.read(self._store, state.FEED, key) or FeedState(0, FIRST_PREV, 0)

    def _recorded(self, inquiry: int) -> bool:
        return self._store.get(state.released_key(inquiry, self._member)) is not None


def open_released_log(node: Node) -> ReleasedLog:
    """
    Return what `node` has to post on its own feed, its custody backlog's findings among it.

    Raises:
        StoreError: its file can't be opened.
    """
    return ReleasedLog(
        node.config.folder / FILE_NAME,
        node.store,
        node.outbox,
        member=node.member,
        node_key=node.keys.node,
        clock_ms=node.clock_ms,
        source=node.backlog,
    )
