"""
What was sent, remembered again out of vault and ledger, where the store of jobs is lost or old.

A batch that the vault has and the store doesn't know is read back and verified, and what stands of
it is recorded as if a job had sent it. Jobs, their rows and counts are not made again: nothing but
the store knew them. Nor are numbers of reports, which no event holds: they begin at 0.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from tradeline_client.errors import StoreError
from tradeline_client.imports.job_prepare import KEYED
from tradeline_client.imports.job_standing import (
    standing_event,
    standing_records,
    unreadable_refs,
)
from tradeline_client.imports.job_store import STORE_NAME, StoredBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tradeline_client.client import Client
    from tradeline_client.flows.own_events import OwnHistory
    from tradeline_client.imports.job_store import JobStore
    from tradeline_client.vault import Vault
    from tradeline_ledger.history import EventId
    from tradeline_ledger.resolution import EffectiveEvent

NO_JOB: Final = 0
"""Whose batches are remembered without a job."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of it."""

    batches: int
    """That the store did not know."""
    events: int
    """That stand, and are recognised from now on when they come again."""
    unreadable: int
    """Erased or expired events of all batches: a row that comes again is sent as a new one."""


def rebuild(store: JobStore, client: Client) -> Rebuilt:
    """
    Remember what is on the ledger and not in the store.

    Raises:
        StoreError: the store knows batches that the vault does not: it is of another folder, or the
            vault is an old copy.
        ClientError, LedgerError: as `Client.resume` and `Client.own_events`.
    """
    session = client.session
    _check_vault(store, session.vault)
    client.resume()  # what is on its way gets its place, or never will
    history = client.own_events()
    unreadable = unreadable_refs(session, history)
    newest = _newest(history)
    every = sorted({*history.events, *history.absent})
    counts = Counter(each.index for each in every)
    found = Rebuilt(0, 0, len(history.absent))
    with store.transaction() as rows:
        known = {each.hash: each.id for each in store.batches()}
        first = number = store.next_batch(rows)
        numbers: dict[int, int] = {}
        for index in counts:
            hash_ = session.vault.hash_at(index)
            numbers[index] = known.get(hash_, number)
            number += numbers[index] == number
        for index, number in numbers.items():
            if number < first:
                continue
            own = [each for each in history.effective if newest[each.original].index == index]
            records = _records(history, own, unreadable)
            records["batch"] = [numbers[each.original.index] for each in own]
            hash_ = session.vault.hash_at(index)
            batch = StoredBatch(number, NO_JOB, 0, hash_, counts[index], index, {})
            store.put_batch(rows, batch, records)
            found = replace(found, batches=found.batches + 1, events=found.events + len(own))
    return found


def _check_vault(store: JobStore, vault: Vault) -> None:
    unknown = 0
    for batch in store.batches():
        if batch.hash is None or batch.log_index is None:
            continue
        unknown += vault.hash_at(batch.log_index) != batch.hash
    if unknown:
        raise StoreError(
            f"{STORE_NAME} knows {unknown} batches on the ledger that the vault does not have: it "
            "is of another folder, or the vault is an old copy; restore the newest backup of the "
            f"vault (tradeline vault restore), or move {STORE_NAME} away"
        )


def _newest(history: OwnHistory) -> dict[EventId, EventId]:
    """Return the last that was said about each event that stands, by the first."""
    newest = {each.original: each.original for each in history.effective}
    newest.update({each.original: each.corrections[-1] for each in history.chains})
    return newest


def _records(
    history: OwnHistory, standing: list[EffectiveEvent], unreadable: set[bytes]
) -> NDArray[np.void]:
    """Return the `RECORD`s of what stands; in which batch is left open."""
    events = [standing_event(history, each) for each in standing]
    records = standing_records(events, [history.tags[each.source] for each in standing])
    records["position"] = [each.original.position for each in standing]
    # Of what can't be read in full nobody knows what it says now: it is like no row.
    doubtful = [event.ref in unreadable for event in events]
    records["digest"][doubtful] = np.zeros((), dtype=KEYED)
    return records
