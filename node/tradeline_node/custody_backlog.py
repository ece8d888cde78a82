"""
What this committee member has yet to get hold of, and to say on the ledger (docs/formats.md, 8).

A submission is accepted with the receipts of t committee members. For deposits whose receipt this
node did not give, it has to fetch the attachment, look at its own deposit, and post `custody` with
what it found. Deposits whose receipt it gave are fetched again if they are lost. The backlog is a
small SQLite file that follows the log; without it, it is made again from log and custody store.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger import state
from tradeline_ledger.custody_record import (
    CUSTODY,
    CUSTODY_ROWS_MAX,
    CUSTODY_WITHIN_MS,
    CustodyRow,
)
from tradeline_ledger.encoding import encode
from tradeline_ledger.statement import STATEMENT, EntryLeaf, Kind, decode_leaf
from tradeline_node.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from tradeline_node.custody import CustodyStore
    from tradeline_node.ordered_attachment import OrderedAttachments
    from tradeline_node.redeposit_service import RedepositService
    from tradeline_node.service import Node
    from tradeline_node.store import LedgerStore

FILE_NAME: Final = "late.sqlite"
LEAVES_AT_ONCE: Final = 1000
SAY_AFTER_S: Final = 30.0
"""For which findings are collected, so that one record says many; a day is allowed."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS todo (placed INTEGER PRIMARY KEY, ok INTEGER);
CREATE TABLE IF NOT EXISTS followed (size INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something to be fetched from another committee member."""

    placed: int
    """Log index of the submission or re-deposit that it is for."""
    hash: bytes
    """Batch hash, or hash of a re-deposit: what custody knows it by."""
    index: int
    """Log index of the entry that names it: the submission's if its attachment is wanted."""
    holders: tuple[int, ...]
    """Members whose receipts for it stand in the log."""


class CustodyBacklog:
    """The backlog of one node. Any thread may call it."""

    kind: Kind = Kind.CUSTODY
    """Of the records that it has to post, see `ReleasedLog`."""

    def __init__(
        self,
        path: Path,
        store: LedgerStore,
        custody: CustodyStore,
        *,
        member: int,
        attachments: OrderedAttachments,
        redeposits: RedepositService,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Open the SQLite file at `path` for the node of `member`; `clock_s` measures pauses.

        Raises:
            StoreError: it can't be opened.
        """
        self._store, self._custody, self._member = store, custody, member
        self._attachments, self._redeposits = attachments, redeposits
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._found_s: float | None = None
        """Since when there is something new to say; None after a restart, too."""
        try:
            self._rows = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            path.chmod(0o600)
            # What is lost here is found again in the log.
            self._rows.executescript(
                f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {_SCHEMA}"
            )
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"backlog of custody {path} can't be opened: {error}; remove it, and it is made "
                "again"
            ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._rows.close()

    def follow(self) -> None:
        """
        Take note of the deposits in new leaves of the log.

        Raises:
            StoreError: the log can't be read, or the file can't be written.
        """
        head = self._store.head.size
        size = self._followed()
        if size > head:
            # The log was replaced by an older copy: begin anew.
            size = 0
        while size < head:
            end = min(size + LEAVES_AT_ONCE, head)
            todo = [index for index in self._placed(size, end) if self._concerns(index)]
            self._write(
                ("INSERT OR IGNORE INTO todo VALUES (?, NULL)", [(index,) for index in todo]),
                ("DELETE FROM followed", [()]),
                ("INSERT INTO followed VALUES (?)", [(end,)]),
            )
            size = end

    def open(self, count: int) -> list[int]:
        """Return the log indexes of up to `count` deposits not looked at yet, ascending."""
        with self._lock:
            found = self._rows.execute(
                "SELECT placed FROM todo WHERE ok IS NULL ORDER BY placed LIMIT ?", (count,)
            ).fetchall()
        return [placed for (placed,) in found]

    def look(self, placed: int) -> Wanted | None:
        """
        Return what is to be fetched for the deposits placed at that log index.

        None once nothing is: then what this node has to say of them is noted.

        Raises:
            StoreError: the log or the custody store can't be read.
        """
        deposits, submission = self._deposits(placed)
        ordered = self._attachments.find(submission)
        assert ordered is not None, placed
        if ordered.over:
            self._settle(placed, None)
            return None
        if self._attachments.lacks(ordered):
            row = ordered.state
            named = self._holders(row.epoch, row.holders)
            return Wanted(placed, row.batch_hash, submission, named)
        if self._custody.held(deposits.hash) is None:
            named = self._holders(deposits.epoch, deposits.holders)
            return Wanted(placed, deposits.hash, placed, named)
        self._settle(placed, self._is_good(deposits))
        return None

    def take(self, wanted: Wanted, fetched: bytes) -> None:
        """
        Keep what another node served.

        Raises:
            RequestError: it is not what the log names; who served it is at fault.
            KeystoreError: the HPKE key of its epoch is not here.
            StoreError: the disk is full or failed.
        """
        ordered = self._attachments.find(wanted.index)
        if ordered is not None:
            self._attachments.keep(ordered, fetched)
        else:
            self._redeposits.take(wanted.index, fetched)

    # What is to be posted, as `ReleasedLog` asks for it.

    def count(self) -> int:
        """Return how many findings are not on the ledger yet."""
        with self._lock:
            (count,) = self._rows.execute(
                "SELECT count(*) FROM todo WHERE ok IS NOT NULL"
            ).fetchone()
            return int(count)

    def content(self) -> bytes | None:
        """
        Return the content of a custody record with what was found.

        None while findings are collected, and if nothing can be said; what the ledger would refuse
        by now is dropped.

        Raises:
            StoreError: the log can't be read, or the file can't be written.
        """
        with self._lock:
            found = self._rows.execute(
                "SELECT placed, ok FROM todo WHERE ok IS NOT NULL ORDER BY placed"
            ).fetchall()
        waited = self._found_s is None or self._clock_s() - self._found_s >= SAY_AFTER_S
        if not waited and len(found) < CUSTODY_ROWS_MAX:
            return None
        self._found_s = None
        rows: dict[int, CustodyRow] = {}
        for placed, ok in found:
            deposits, submission = self._deposits(placed)
            if not self._may_say(deposits, submission):
                self._settle(placed, None)
            elif len(rows) < CUSTODY_ROWS_MAX:
                rows[submission] = CustodyRow(submission, deposits.epoch, ok)
        if not rows:
            return None
        return encode(tuple(rows[submission] for submission in sorted(rows)))

    def arrived(self, content: bytes) -> None:
        """
        Take note that a record is placed: its rows have had their turn.

        Raises:
            StoreError: the file can't be written.
        """
        size = self._store.head.size
        for row in CUSTODY.decode(content):
            deposits = state.deposits_at(self._store, row.index, size)
            if deposits is not None:
                self._settle(deposits.placed, None)

    def _placed(self, start: int, end: int) -> Iterable[int]:
        """Yield the log indexes of accepted submissions and re-deposits in [start, end)."""
        for index, encoded in enumerate(self._store.leaves(start, end), start):
            leaf = decode_leaf(encoded)
            if isinstance(leaf, EntryLeaf) and not leaf.outcome:
                kind = STATEMENT.decode(leaf.statement).kind
                if kind in (Kind.SUBMISSION, Kind.REDEPOSIT):
                    yield index

    def _concerns(self, placed: int) -> bool:
        """Return whether there may be something to fetch, or to say, about deposits."""
        deposits, _ = self._deposits(placed)
        position = self._store.registry.epochs[deposits.epoch].position(self._member)
        if position is None:
            return False
        if self._custody.held(deposits.hash) is None:
            return True
        said = self._store.get(state.custody_key(placed, self._member)) is not None
        return not said and not deposits.holders >> position & 1

    def _deposits(self, placed: int) -> tuple[state.Deposits, int]:
        """Return the deposits placed at a log index, and the log index of their submission."""
        row = state.read(self._store, state.SUBMISSION, state.submission_key(placed))
        if row is not None:
            found = state.Deposits(placed, row.epoch, row.batch_hash, row.time_ms, row.holders)
            return found, placed
        again = state.read(self._store, state.REDEPOSIT, state.redeposit_key(placed))
        assert again is not None, placed
        found = state.Deposits(placed, again.epoch, again.hash, again.time_ms, again.holders)
        return found, again.submission

    def _is_good(self, deposits: state.Deposits) -> bool:
        """Return whether this node has shares of its own in an attachment that it holds."""
        file = self._custody.open_file(deposits.hash)
        if file is None:
            return False
        with file:
            return file.own() is not None

    def _may_say(self, deposits: state.Deposits, submission: int) -> bool:
        head = self._store.head
        position = self._store.registry.epochs[deposits.epoch].position(self._member)
        if position is None or deposits.holders >> position & 1:
            return False
        in_force = state.deposits_at(self._store, submission, head.size)
        said = self._store.get(state.custody_key(deposits.placed, self._member))
        in_time = head.time_ms < deposits.time_ms + CUSTODY_WITHIN_MS
        return in_force == deposits and said is None and in_time

    def _holders(self, epoch: int, bits: int) -> tuple[int, ...]:
        committee = self._store.registry.epochs[epoch].committee
        return tuple(
            each.member
            for position, each in enumerate(committee)
            if bits >> position & 1 and each.member != self._member
        )

    def _followed(self) -> int:
        with self._lock:
            row = self._rows.execute("SELECT size FROM followed").fetchone()
        return int(row[0]) if row else 0

    def _settle(self, placed: int, ok: bool | None) -> None:  # noqa: FBT001  a finding, or none
        if ok is None:
            self._write(("DELETE FROM todo WHERE placed = ?", [(placed,)]))
        else:
            self._write(("UPDATE todo SET ok = ? WHERE placed = ?", [(int(ok), placed)]))
            self._found_s = self._found_s or self._clock_s()

    def _write(self, *changes: tuple[str, Sequence[tuple[int, ...]]]) -> None:
        try:
            with self._lock:
                self._rows.execute("BEGIN")
                for statement, values in changes:
                    self._rows.executemany(statement, values)
                self._rows.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"backlog of custody can't be written: {error}") from error


def open_backlog(node: Node) -> CustodyBacklog:
    """
    Return the backlog of `node`, in its custody folder.

    Raises:
        StoreError: it can't be opened.
    """
    return CustodyBacklog(
        node.config.path(node.config.storage.custody) / FILE_NAME,
        node.store,
        node.custody,
        member=node.member,
        attachments=node.attachments,
        redeposits=node.redeposit_service,
    )
