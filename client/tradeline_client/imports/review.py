"""
Rows that wait for a person, and what was decided about each (docs/cleansing.md, section 4).

Everything of a row is sealed in the member's folder: its events, what was found about them, and
the reason of the decision. Decisions are chained by hash, and each names digests of what it
decided, so that one that is changed or taken out shows.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

from tradeline_client.errors import NotFoundError, ReviewError
from tradeline_client.imports.review_item import (
    ReviewItem,
    decode_item,
    encode_items,
    item_digest,
    rebuilt,
)
from tradeline_client.store import Database, Sealer
from tradeline_ledger.encoding import Codec, Record, encode

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tradeline_client.imports.columns import MappedChunk
    from tradeline_client.keystore import Keystore

REVIEW_VERSION: Final = 1
REVIEW_NAME: Final = "review.sqlite"
STORAGE_NAME: Final = "review"
"""Name of the storage key."""
REASON_CHARS_MAX: Final = 500
OPERATOR_CHARS_MAX: Final = 100
DECISION_BYTES_MAX: Final = 1 << 28
"""About ten million rows."""
CHUNK_ROWS: Final = 10_000
"""Rows of one chunk that `accepted` yields."""
CHAIN_START: Final = bytes(32)
"""Stands for the decision before the first."""

_SCHEMA: Final = """
CREATE TABLE item (
    id INTEGER PRIMARY KEY, job TEXT NOT NULL, row INTEGER NOT NULL, line INTEGER NOT NULL,
    code TEXT NOT NULL, state INTEGER NOT NULL, digest BLOB NOT NULL, sealed BLOB NOT NULL,
    UNIQUE (job, row)
) STRICT;
CREATE INDEX by_state ON item (state, job, row);
CREATE TABLE decision (
    seq INTEGER PRIMARY KEY, prev BLOB NOT NULL, hash BLOB NOT NULL, sealed BLOB NOT NULL
) STRICT
"""


class _Decided(Record, frozen=True):
    """A decision as it is hashed and sealed."""

    seq: int
    operator: str
    decided_ms: int
    accepted: bool
    reason: str
    items: tuple[tuple[int, bytes], ...]


_DECIDED: Final[Codec[_Decided]] = Codec(_Decided, "decision", DECISION_BYTES_MAX)


@enum.unique
class ReviewState(enum.IntEnum):
    """What became of a row."""

    OPEN = 0
    """Nobody decided yet."""
    ACCEPTED = 1
    """It goes on to the ledger with the next run of its job."""
    REJECTED = 2
    """It is not submitted."""
    SUBMITTED = 3
    """It was accepted, and the job took it over."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision about one row or several, as an auditor reads it."""

    seq: int
    """From 0, without gaps."""
    operator: str
    """Who decided, as given."""
    decided_ms: int
    accepted: bool
    reason: str
    items: tuple[tuple[int, bytes], ...]
    """Id and digest of each row; the digest is keyed, so it tells nothing of the row."""
    prev: bytes
    """Hash of the decision before."""
    hash: bytes


class Review:
    """The review store of one client folder, for any number of threads and processes."""

    def __init__(self, path: Path, key: bytes, clock_ms: Callable[[], int]) -> None:
        """
        Open the store at `path`; `key` is the storage key called `STORAGE_NAME`.

        Raises:
            StoreError: it can't be opened.
        """
        self._database = Database(path, _SCHEMA, REVIEW_VERSION)
        self._sealer = Sealer(key)
        self._key = key
        self._clock_ms = clock_ms

    @classmethod
    def open(cls, folder: Path, keystore: Keystore, clock_ms: Callable[[], int]) -> Self:
        """
        Return the review store of a client folder.

        Raises:
            StoreError: it can't be opened.
        """
        return cls(folder / REVIEW_NAME, keystore.storage_key(STORAGE_NAME), clock_ms)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def put(self, job: str, quarantined: MappedChunk) -> int:
        """
        Store the rows of a chunk that wait for a person, and return how many are new.

        A row of a job that is there already stays as it is, so that a resumed job can put its
        chunks again.

        Raises:
            StoreError: the file can't be written; nothing was changed.
        """
        new = 0
        with self._database.transaction() as rows:
            for row, line, code, plain in encode_items(quarantined):
                digest = item_digest(self._key, job, row, plain)
                sealed = self._sealer.seal(plain, "item", job, str(row))
                new += rows.execute(
                    "INSERT OR IGNORE INTO item (job, row, line, code, state, digest, sealed) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (job, row, line, code, ReviewState.OPEN, digest, sealed),
                ).rowcount
        return new

    def items(
        self,
        state: ReviewState | None = ReviewState.OPEN,
        job: str | None = None,
        code: str | None = None,
    ) -> list[ReviewItem]:
        """Return rows without their events, in the order of jobs and rows."""
        with self._database.reading() as rows:
            found = rows.execute(
                "SELECT id, job, row, line, code, state FROM item WHERE state = coalesce(?, state) "
                "AND job = coalesce(?, job) AND code = coalesce(?, code) ORDER BY job, row",
                (state, job, code),
            ).fetchall()
        return [_listed(each) for each in found]

    def item(self, id_: int) -> ReviewItem:
        """
        Return one row with its events and everything found about it: for the member's own eyes.

        Raises:
            NotFoundError: there is none.
            StoreError: it does not open with this keystore.
        """
        with self._database.reading() as rows:
            found = rows.execute(
                "SELECT id, job, row, line, code, state, sealed FROM item WHERE id = ?", (id_,)
            ).fetchone()
        if found is None:
            raise NotFoundError(
                f"no row {id_} waits for review; list them with `tradeline review list`"
            )
        *listed, sealed = found
        item = _listed(listed)
        plain = self._sealer.open(sealed, "item", item.job, str(item.row))
        faults, events = decode_item(plain, item.row, item.line)
        return replace(item, faults=faults, events=events)

    def decide(self, ids: Sequence[int], *, accept: bool, reason: str, operator: str) -> Decision:
        """
        Accept or reject rows that are open, and return the decision as it was recorded.

        Raises:
            ReviewError: no row, a row is not open, or reason or operator is empty or too long.
            StoreError: the file can't be written; nothing was decided.
        """
        _check_words(reason, operator)
        with self._database.transaction() as rows:
            items = []
            for id_ in dict.fromkeys(ids):
                found = rows.execute(
                    "SELECT digest, state FROM item WHERE id = ?", (id_,)
                ).fetchone()
                if found is None or found[1] != ReviewState.OPEN:
                    said = "unknown" if found is None else ReviewState(found[1]).name.lower()
                    raise ReviewError(
                        f"row {id_} is {said}, expected one that is open; nothing was decided"
                    )
                items.append((id_, bytes(found[0])))
            if not items:
                raise ReviewError("no row is open that this decision would be about")
            decision = self._chained(rows, accept, reason.strip(), operator.strip(), items)
            state = ReviewState.ACCEPTED if accept else ReviewState.REJECTED
            rows.executemany(
                "UPDATE item SET state = ? WHERE id = ?", [(state, id_) for id_, _ in items]
            )
        return decision

    def decide_all(
        self, code: str, *, job: str | None = None, accept: bool, reason: str, operator: str
    ) -> Decision:
        """
        Accept or reject every open row whose first finding is `code`, of one job or of all.

        Raises:
            ReviewError, StoreError: as `decide`.
        """
        ids = [each.id for each in self.items(ReviewState.OPEN, job, code)]
        return self.decide(ids, accept=accept, reason=reason, operator=operator)

    def log(self) -> list[Decision]:
        """
        Return every decision, once the chain and the state of every row were checked against it.

        Raises:
            ReviewError: a decision was changed or taken out, or a row was decided without one.
        """
        with self._database.reading() as rows:
            stored = rows.execute("SELECT seq, prev, hash, sealed FROM decision ORDER BY seq")
            decisions = [self._opened(*each) for each in stored.fetchall()]
            states = {
                id_: (bytes(digest), ReviewState(state))
                for id_, digest, state in rows.execute("SELECT id, digest, state FROM item")
            }
        _check_chain(decisions, states)
        return decisions

    def head(self) -> bytes:
        """Return the hash of the last decision: kept elsewhere, it proves that none was cut off."""
        with self._database.reading() as rows:
            found = rows.execute("SELECT hash FROM decision ORDER BY seq DESC LIMIT 1").fetchone()
        return CHAIN_START if found is None else bytes(found[0])

    def accepted(self, job: str | None = None) -> Iterator[MappedChunk]:
        """
        Yield the accepted rows that no job took over yet, as chunks, a job after the other.

        Rows keep their numbers, so what becomes of them is recorded as of any other row.

        Raises:
            StoreError: a row does not open with this keystore.
        """
        waiting = self.items(ReviewState.ACCEPTED, job)
        for name in dict.fromkeys(each.job for each in waiting):
            own = [each for each in waiting if each.job == name]
            for start in range(0, len(own), CHUNK_ROWS):
                yield rebuilt([self.item(each.id) for each in own[start : start + CHUNK_ROWS]])

    def submitted(self, job: str, rows_taken: Sequence[int]) -> None:
        """
        Record that a job took over accepted rows: they are on their way to the ledger.

        Raises:
            StoreError: the file can't be written.
        """
        with self._database.transaction() as rows:
            rows.executemany(
                "UPDATE item SET state = ? WHERE job = ? AND row = ? AND state = ?",
                [(ReviewState.SUBMITTED, job, row, ReviewState.ACCEPTED) for row in rows_taken],
            )

    def _chained(
        self,
        rows: sqlite3.Connection,
        accept: bool,  # noqa: FBT001 - private, and passed by its one caller
        reason: str,
        operator: str,
        items: list[tuple[int, bytes]],
    ) -> Decision:
        found = rows.execute("SELECT seq, hash FROM decision ORDER BY seq DESC LIMIT 1").fetchone()
        seq, prev = (0, CHAIN_START) if found is None else (found[0] + 1, bytes(found[1]))
        plain = encode(_Decided(seq, operator, self._clock_ms(), accept, reason, tuple(items)))
        hash_ = chain_hash(prev, plain)
        sealed = self._sealer.seal(plain, "decision", str(seq))
        rows.execute("INSERT INTO decision VALUES (?, ?, ?, ?)", (seq, prev, hash_, sealed))
        return _decision(plain, prev, hash_)

    def _opened(self, seq: int, prev: bytes, hash_: bytes, sealed: bytes) -> Decision:
        plain = self._sealer.open(sealed, "decision", str(seq))
        if chain_hash(prev, plain) != hash_:
            raise ReviewError(f"decision {seq} does not have its hash: it was changed")
        return _decision(plain, prev, hash_)


def chain_hash(prev: bytes, plain: bytes) -> bytes:
    """Return the hash of a decision: SHA-256 of the one before and of its canonical encoding."""
    return hashlib.sha256(b"tradeline/review/v1\n" + prev + plain).digest()


def _listed(found: Sequence[Any]) -> ReviewItem:
    id_, job, row, line, code, state = found
    return ReviewItem(id_, job, row, line, code, ReviewState(state).name.lower())


def _decision(plain: bytes, prev: bytes, hash_: bytes) -> Decision:
    said = _DECIDED.decode(plain)
    return Decision(
        seq=said.seq,
        operator=said.operator,
        decided_ms=said.decided_ms,
        accepted=said.accepted,
        reason=said.reason,
        items=said.items,
        prev=prev,
        hash=hash_,
    )


def _check_words(reason: str, operator: str) -> None:
    for name, text, most in (
        ("reason", reason, REASON_CHARS_MAX),
        ("operator", operator, OPERATOR_CHARS_MAX),
    ):
        if not 0 < len(text.strip()) <= most:
            raise ReviewError(
                f"{name} has {len(text.strip())} characters, expected 1 to {most}: an auditor "
                "reads who decided and why"
            )


def _check_chain(decisions: list[Decision], states: dict[int, tuple[bytes, ReviewState]]) -> None:
    prev, open_rows = CHAIN_START, dict(states)
    for place, decision in enumerate(decisions):
        if decision.seq != place or decision.prev != prev:
            raise ReviewError(f"decision {place} is missing, or another one stands in its place")
        prev = decision.hash
        wanted = (
            (ReviewState.ACCEPTED, ReviewState.SUBMITTED)
            if decision.accepted
            else (ReviewState.REJECTED,)
        )
        for id_, digest in decision.items:
            found = open_rows.pop(id_, None)
            if found is None or found[0] != digest or found[1] not in wanted:
                raise ReviewError(
                    f"row {id_} is not as decision {place} left it: it was changed or taken out"
                )
    undecided = [id_ for id_, (_, state) in open_rows.items() if state is not ReviewState.OPEN]
    if undecided:
        raise ReviewError(
            f"row {undecided[0]} was decided, and no decision is about it: one was taken out"
        )
