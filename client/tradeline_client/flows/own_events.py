"""
What this member has said, read back from the ledger: no journal, consent or inquiry is needed.

The vault names the member's batches and has their keys; nodes give entries and bodies. A batch
counts once its entry is proven to stand in the log and to be the one of the vault, a body once it
hashes to its header there. What was corrected is resolved as in a report, so the member sees its
own history as readers see it, and can rebuild its records after it lost them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tradeline_client.flows.batch import attachment_of, batch_at
from tradeline_client.flows.checkpoint import registry
from tradeline_client.requests import Flow
from tradeline_client.vault import decode_places
from tradeline_ledger.body import KEY_BYTES, open_body
from tradeline_ledger.calendar import month
from tradeline_ledger.deposit import ATTACHMENT
from tradeline_ledger.event import Event, decode_event
from tradeline_ledger.history import EventId
from tradeline_ledger.resolution import resolve
from tradeline_ledger.submission import TAG_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tradeline_client.session import Session
    from tradeline_client.vault import VaultRow
    from tradeline_ledger.identifier import SubjectId
    from tradeline_ledger.resolution import Chain, EffectiveEvent


class Absence(enum.Enum):
    """Why an event can't be read any more."""

    ERASED = "erased"
    """The vault's key is gone: an order to erase was followed."""
    EXPIRED = "expired"
    """Its month is past, and no node has the body."""
    MISSING = "missing"
    """It should be there, and no node gave the body."""


@dataclass(frozen=True, slots=True)
class OwnHistory:
    """What a member said, corrections resolved."""

    events: Mapping[EventId, Event] = field(repr=False)
    """Every event that can be read, in log order."""
    tags: Mapping[EventId, bytes] = field(repr=False)
    """Tag, 16 bytes, under which each of `events` is filed."""
    absent: Mapping[EventId, Absence]
    """Every event that can't be read, in log order."""
    effective: tuple[EffectiveEvent, ...] = field(repr=False)
    """What stands."""
    chains: tuple[Chain, ...] = field(repr=False)
    """What was corrected."""

    def ref(self, standing: EffectiveEvent) -> bytes:
        """Return the keyed reference, 16 bytes, of the row that was first reported so."""
        original = self.events.get(standing.original)
        return (original or self.events[standing.source]).ref


def own_events(session: Session, subjects: Sequence[SubjectId] | None = None) -> Flow[OwnHistory]:
    """
    Return what this folder's member said about `subjects`, by default about everybody.

    All of it is in memory at once, about 1 kB an event: ask by subject where there are millions.

    Raises:
        UnavailableError: no node gives an entry or an attachment.
        VerificationError: what nodes give is not what the vault's batches are.
        StoreError: the vault can't be read.
    """
    yield from registry(session)
    events: dict[EventId, Event] = {}
    tags: dict[EventId, bytes] = {}
    absent: dict[EventId, Absence] = {}
    for batch_hash in session.vault.placed_hashes():
        row = session.vault.row(batch_hash)
        positions = _positions(session, row, subjects)
        if not positions:
            continue
        read = yield from _read_batch(session, row, positions)
        for id_, found in read.items():
            if isinstance(found, Absence):
                absent[id_] = found
            else:
                events[id_] = found
                tags[id_] = _tag(row, id_.position)
    effective, chains = resolve(events)
    return OwnHistory(events, tags, absent, effective, chains)


def _read_batch(
    session: Session, row: VaultRow, positions: Sequence[int]
) -> Flow[dict[EventId, Event | Absence]]:
    """Return the events at `positions` of a placed batch, or why they can't be read."""
    index = row.log_index
    assert index is not None, row
    batch = yield from batch_at(session, index, row.batch_hash)
    now = month(session.clock_ms(), session.ledger.params.utc_offset_min)
    erased = set(row.erased())
    until = decode_places(row.places).retain_months
    due = [each for each in positions if each not in erased and until[each] >= now]
    bodies: Sequence[bytes | None] = [None] * row.count
    if len(erased) < row.count:
        attachment = yield from attachment_of(session, row.batch_hash, batch.body_hashes(), due)
        bodies = ATTACHMENT.decode(attachment).bodies
    read: dict[EventId, Event | Absence] = {}
    for position in positions:
        body = bodies[position]
        if position in erased:
            found: Event | Absence = Absence.ERASED
        elif body is None:
            found = Absence.MISSING if until[position] >= now else Absence.EXPIRED
        else:
            found = _open(session, row, position, body)
        read[EventId(index, position)] = found
    return read


def _open(session: Session, row: VaultRow, position: int, body: bytes) -> Event:
    key = row.keys[position * KEY_BYTES : (position + 1) * KEY_BYTES]
    tag = _tag(row, position)
    return decode_event(open_body(key, body, session.ledger.ledger_id, session.member, tag))


def _positions(
    session: Session, row: VaultRow, subjects: Sequence[SubjectId] | None
) -> Sequence[int]:
    """Return the positions of the events of a batch that are about `subjects`, ascending."""
    if subjects is None:
        return range(row.count)
    filer, places = session.keystore.filer(), decode_places(row.places)
    wanted = {
        tag
        for year, category in np.unique(np.stack([places.years, places.categories]), axis=1).T
        for subject in subjects
        for tag in filer.tags_ever(subject, int(year), int(category))
    }
    return [position for position in range(row.count) if _tag(row, position) in wanted]


def _tag(row: VaultRow, position: int) -> bytes:
    return row.tags[position * TAG_BYTES : (position + 1) * TAG_BYTES]
