"""
What stands on the ledger, read back, as an import would have sent it and remembers it.

An import compares bytes: what stands is brought to the form that a row has before it is sent, with
all corrections taken in, so that its digest is the one of the same row.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from tradeline_client.errors import UnavailableError
from tradeline_client.flows.own_events import Absence
from tradeline_client.imports.job_plan import Fate
from tradeline_client.imports.job_prepare import NO_ACCOUNT
from tradeline_client.imports.job_sent import RECORD, SentIndex
from tradeline_ledger.calendar import day_of
from tradeline_ledger.event import Event, category_of, encode_event
from tradeline_ledger.mac import SHORT_MAC_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tradeline_client.flows.own_events import OwnHistory
    from tradeline_client.imports.job_store import JobStore
    from tradeline_client.session import Session
    from tradeline_ledger.resolution import EffectiveEvent


def standing_event(history: OwnHistory, standing: EffectiveEvent) -> Event:
    """Return what stands as the event that says so without any correction."""
    source = history.events[standing.source]
    # A correction may have a reference of its own; check values go with references.
    first = history.events.get(standing.original, source)
    return replace(
        source,
        schema=standing.schema.number,
        version=standing.schema.version,
        ref=first.ref,
        check=first.check,
        target=None,
        fields=standing.fields,
    )


def standing_records(events: Sequence[Event], tags: Sequence[bytes]) -> NDArray[np.void]:
    """Return the `RECORD`s of events without correction; batch and position are left open."""
    records = np.zeros(len(events), dtype=RECORD)
    for record, event, tag in zip(records, events, tags, strict=True):
        category = category_of(event)
        assert category is not None, event.schema
        for name, value in (
            *(("ref", event.ref), ("digest", _digest(event)), ("tag", tag)),
            *(("check", event.check), ("account", event.account or NO_ACCOUNT)),
        ):
            record[name] = np.void(value)
        record["day"], record["category"] = day_of(event.occurred_on), category
    records["kind"] = Fate.ACCEPTED
    return records


def unreadable_refs(session: Session, history: OwnHistory) -> set[bytes]:
    """
    Return the references of what is erased or expired, so that nobody can tell what stands.

    Raises:
        UnavailableError: an event should be there, and no node gave it.
    """
    if missing := sum(why is Absence.MISSING for why in history.absent.values()):
        raise UnavailableError(f"{missing} of your events were given by no node", {})
    return {session.vault.find(each).ref for each in history.absent}


def sent_index(store: JobStore) -> SentIndex:
    """Return the index of all that a store remembers."""
    index = SentIndex(store.records)
    for batch in store.batches():
        index.add(batch.id, store.records(batch.id))
    return index


def _digest(event: Event) -> bytes:
    return hashlib.sha256(encode_event(event)).digest()[:SHORT_MAC_BYTES]
