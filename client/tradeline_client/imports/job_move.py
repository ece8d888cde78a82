"""
What a member said of a subject or account filed elsewhere, with its history kept together.

An identifier or an account number changes; the events under the old one are read back, corrections
taken in, and go through a job like the rows of a file: an event whose subject is another is
retracted where it is and posted anew, one whose account is another is superseded. So a move can be
killed at any moment, and what it did is remembered like any import. The list of what is to be moved
is made once and kept, encrypted, with the job.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from msgspec.structs import replace

from tradeline_client.errors import FileError, NotFoundError, StoreError
from tradeline_client.imports.job_prepare import KEYED, PreparedChunk, PreparedEvents
from tradeline_client.imports.job_standing import (
    sent_index,
    standing_event,
    standing_records,
    unreadable_refs,
)
from tradeline_ledger.calendar import year, year_of
from tradeline_ledger.event import encode_event
from tradeline_ledger.identifier import IdType, SubjectId
from tradeline_ledger.subject_rule import check_subject

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from tradeline_client.client import Client
    from tradeline_client.flows.own_events import OwnHistory
    from tradeline_client.imports.job_store import Job, JobStore
    from tradeline_ledger.event import Event
    from tradeline_ledger.resolution import EffectiveEvent

CHUNK_EVENTS: Final = 5_000
"""Events that are planned at once."""

_KEY: Final = "move"
"""Under which a job keeps what it moves, where others keep their file."""


@dataclass(frozen=True, slots=True)
class Move:
    """What is filed elsewhere."""

    subjects: tuple[SubjectId, ...]
    """Identifiers under which the events are filed up to now."""
    to_subject: SubjectId | None
    """Under which they are filed from now on; None if that stays."""
    to_account: bytes | None
    """Keyed reference of the account that they name from now on; None if that stays."""
    refs: tuple[bytes, ...] = field(repr=False)
    """Keyed references of the events, in log order: the rows of the job."""

    def stored(self) -> dict[str, Any]:
        """Return how a job keeps it."""
        to = None if self.to_subject is None else _stored(self.to_subject)
        subjects = [_stored(each) for each in self.subjects]
        return {_KEY: [subjects, to, self.to_account, list(self.refs)]}


@dataclass(frozen=True, slots=True)
class FoundMove:
    """What a move would do."""

    move: Move
    types: Mapping[str, int]
    """How many events are moved, by name of their type."""
    years: Mapping[int, int]
    """The same by year of `occurred_on`."""
    unreadable: int
    """Events that are erased or expired; they stay as they are."""

    @property
    def count(self) -> int:
        """Events to be moved."""
        return len(self.move.refs)


def find_move(
    store: JobStore,
    client: Client,
    subjects: Sequence[SubjectId],
    *,
    account: str | None,
    to_subject: SubjectId | None,
    to_account: str | None,
) -> FoundMove:
    """
    Return what is to be moved of what this member said about `subjects`.

    Args:
        store: of jobs, which knows what was sent.
        client: an open one.
        subjects: identifiers of one subject, under which the events are filed.
        account: the member's own reference of the account; None for all there is.
        to_subject: identifier of the same subject to file them under; None if it stays.
        to_account: the account's new reference; None if it stays.

    Raises:
        FileError: nothing would change, or nothing says which account has a new number.
        NotFoundError: nothing stands there.
        EventError: an event can't be about a subject such as `to_subject`.
        StoreError: the store doesn't know what was sent.
        ClientError, VerificationError: as `Client.own_events`.
    """
    _check_wish(subjects, account, to_subject, to_account)
    session = client.session
    keyed = session.keystore.references.account
    history = client.own_events(subjects)
    unreadable = unreadable_refs(session, history)
    chosen = [
        each
        for each in history.effective
        if history.ref(each) not in unreadable
        and (account is None or each.account == keyed(account))
    ]
    if not chosen:
        raise NotFoundError(
            "nothing stands there that could be moved: all of it was moved already, or it is "
            "another subject or account; see: tradeline own --subject-file FILE"
        )
    if to_subject is not None:
        current_year = year(session.clock_ms(), session.ledger.params.utc_offset_min)
        for each in chosen:
            check_subject(each.schema, each.fields, to_subject, current_year)
    move = Move(
        tuple(subjects),
        to_subject,
        None if to_account is None else keyed(to_account),
        tuple(history.ref(each) for each in chosen),
    )
    _prepare(store, client, move, history)  # nothing is begun that can't be carried out
    return FoundMove(
        move,
        Counter(each.schema.name for each in chosen),
        Counter(year_of(each.occurred_on) for each in chosen),
        len(history.absent),
    )


def move_of(job: Job) -> Move | None:
    """Return what a job moves, None if it imports a file."""
    kept = job.source.get(_KEY)
    if kept is None:
        return None
    subjects, to, to_account, refs = kept
    return Move(
        tuple(_subject(each) for each in subjects),
        None if to is None else _subject(to),
        to_account,
        tuple(refs),
    )


class MoveSource:
    """Yields what is to be moved as the chunks of a job, as it is filed from now on."""

    def __init__(self, store: JobStore, client: Client, move: Move) -> None:
        """Read what stands with `client` whenever the job passes through it."""
        self._store = store
        self._client = client
        self._move = move

    def __repr__(self) -> str:
        return f"MoveSource({len(self._move.refs)} events)"

    def prepared(
        self, complete: Mapping[int, int], planned: Collection[int] = ()
    ) -> Iterator[PreparedChunk]:
        """
        Yield the chunks; see `PreparedSource`. What stands there no more is left out.

        Raises:
            ClientError, VerificationError: as `find_move`.
        """
        del planned  # nothing is looked for in them that a first pass could have found
        move = self._move
        new = () if move.to_subject is None else (move.to_subject,)
        history = self._client.own_events((*move.subjects, *new))
        events = _prepare(self._store, self._client, move, history)
        for first in range(0, len(move.refs), CHUNK_EVENTS):
            count = min(CHUNK_EVENTS, len(move.refs) - first)
            chosen = None
            if complete.get(first) != count:
                own = (events.rows >= first) & (events.rows < first + count)
                chosen = events.take(np.flatnonzero(own))
            yield PreparedChunk(first, count, chosen, (), (), {})


def _check_wish(
    subjects: Sequence[SubjectId],
    account: str | None,
    to_subject: SubjectId | None,
    to_account: str | None,
) -> None:
    if to_subject is None and to_account is None:
        raise FileError("nothing changes: name the new identifier, the new account, or both")
    if to_subject in subjects or (to_account is not None and to_account == account):
        raise FileError("the new identifier or account is the old one; name another")
    if to_account is not None and account is None:
        raise FileError(
            "name the account whose number is new, by --account; not all can become one"
        )


def _prepare(store: JobStore, client: Client, move: Move, history: OwnHistory) -> PreparedEvents:
    """Return what of a move stands in `history`, filed as it is from now on, by row."""
    by_ref: dict[bytes, EffectiveEvent] = {}
    for each in history.effective:
        if by_ref.setdefault(history.ref(each), each) is not each:
            raise StoreError(
                "two of your events stand under one reference; retract one of them first "
                "(tradeline own --json shows both)"
            )
    rows = [row for row, ref in enumerate(move.refs) if ref in by_ref]
    standing = [by_ref[move.refs[row]] for row in rows]
    versions = _versions(store, [move.refs[row] for row in rows], standing)
    events, tags = [], []
    for each in standing:
        event, tag = _filed(client, move, standing_event(history, each), each)
        events.append(event)
        tags.append(history.tags[each.source] if tag is None else tag)
    records = standing_records(events, tags)
    return PreparedEvents(
        rows=np.array(rows, dtype=np.int64),
        refs=records["ref"],
        accounts=records["account"],
        tags=records["tag"],
        checks=records["check"],
        digests=records["digest"],
        versions=versions,
        days=records["day"],
        categories=records["category"],
        encoded=[encode_event(each) for each in events],
    )


def _filed(
    client: Client, move: Move, event: Event, standing: EffectiveEvent
) -> tuple[Event, bytes | None]:
    """Return an event as it is filed from now on, and its tag; None if that stays."""
    if move.to_account is not None:
        event = replace(event, account=move.to_account)
    if move.to_subject is None:
        return event, None
    filer, year_filed = client.session.keystore.filer(), year_of(event.occurred_on)
    category = standing.schema.category
    assert category is not None, standing.schema.title
    check = filer.check(move.to_subject, year_filed, event.ref)
    return replace(event, check=check), filer.tag(move.to_subject, year_filed, category)


def _versions(
    store: JobStore, refs: Sequence[bytes], standing: Sequence[EffectiveEvent]
) -> NDArray[np.int64]:
    """
    Return which report each event is; what is remembered must be what stands.

    Raises:
        StoreError: an event was sent by other means, or after the store was copied.
    """
    found, records = sent_index(store).find(np.frombuffer(b"".join(refs), dtype=KEYED))
    places = {each: store.place_of(each) for each in np.unique(records["batch"]).tolist()}
    known = [
        there
        and (places[int(record["batch"])], int(record["position"]))
        == (each.original.index, each.original.position)
        for there, record, each in zip(found.tolist(), records, standing, strict=True)
    ]
    if not all(known):
        raise StoreError(
            f"{known.count(False)} of {len(known)} events are not where this folder remembers "
            "them: another job has some of them on their way (tradeline import list), or they "
            "were sent by other means (tradeline import rebuild)"
        )
    versions: NDArray[np.int64] = records["version"].astype(np.int64)
    return versions


def _stored(subject: SubjectId) -> list[Any]:
    return [int(subject.id_type), subject.country, subject.identifier]


def _subject(stored: Sequence[Any]) -> SubjectId:
    id_type, country, identifier = stored
    return SubjectId(IdType(id_type), country, identifier)
