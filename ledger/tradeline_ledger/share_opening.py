"""
Body keys from the shares of committee members (docs/formats.md, sections 4 and 7).

Any t right shares of a key combine to it; which shares are right only the commitment in the body
tells. So t members are combined for all bodies at once, and where the commitment differs, other t.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from tradeline_ledger.hashing import HASH_BYTES, digest
from tradeline_ledger.sharing import SHARE_BYTES, combine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tradeline_ledger.history import EventId
    from tradeline_ledger.registry import EpochRecord
    from tradeline_ledger.release import EntryShares

SUBSETS_MAX: Final = 4368
"""Sets of members tried for one body: all sets of 11 of 16."""

_Place = tuple[int, int]
"""Log index and position of an event."""
_Source = tuple[int, int]
"""Log index at which deposits were placed, and their epoch."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What shares open."""

    keys: dict[EventId, bytes]
    """32-byte key of each body that they open; the others are left out."""
    doubted: tuple[tuple[EventId, int], ...]
    """Opened events with the members whose share is not of the polynomial that gave the key."""


def open_keys(
    bodies: Sequence[tuple[EventId, bytes]],
    payloads: Mapping[int, Sequence[EntryShares]],
    epochs: Sequence[EpochRecord],
) -> Opened:
    """
    Return the keys of bodies that the shares open, and whose shares don't fit.

    `bodies` are events with their bodies, `payloads` what each committee member, by member id,
    answered. A member that answered twice for one event, or with an epoch that it had no part in,
    counts for nothing there.
    """
    held = {
        validator: _shares(payload, validator, epochs)
        for validator, payload in sorted(payloads.items())
    }
    groups: dict[tuple[_Source, tuple[int, ...]], list[tuple[EventId, bytes]]] = {}
    for event, body in bodies:
        place = (event.index, event.position)
        named = {v: shares[place] for v, shares in held.items() if place in shares}
        for source in sorted({source for source, _ in named.values()}):
            holders = tuple(v for v, (other, _) in named.items() if other == source)
            groups.setdefault((source, holders), []).append((event, body))
    keys: dict[EventId, bytes] = {}
    doubted: list[tuple[EventId, int]] = []
    for ((_, number), holders), group in groups.items():
        closed = [each for each in group if each[0] not in keys]
        opened = _open_group(closed, holders, held, epochs[number])
        keys |= opened.keys
        doubted += opened.doubted
    return Opened(keys, tuple(doubted))


def _open_group(
    closed: list[tuple[EventId, bytes]],
    holders: tuple[int, ...],
    held: Mapping[int, Mapping[_Place, tuple[_Source, bytes]]],
    epoch: EpochRecord,
) -> Opened:
    """Try sets of `holders`, all of whom hold shares of `closed`, until every key is found."""
    keys: dict[EventId, bytes] = {}
    doubted: list[tuple[EventId, int]] = []
    for tried, members in enumerate(combinations(holders, epoch.threshold)):
        if not closed or tried == SUBSETS_MAX:
            break
        found = _combine(closed, members, held, epoch)
        opened = [each for each in closed if each[0] in found]
        for other in [each for each in holders if opened and each not in members]:
            # With the others' right shares, a right one gives the same key.
            fits = _combine(opened, (*members[:-1], other), held, epoch)
            doubted += [(event, other) for event, _ in opened if event not in fits]
        keys |= found
        closed = [each for each in closed if each[0] not in found]
    return Opened(keys, tuple(sorted(doubted)))


def _combine(
    closed: Sequence[tuple[EventId, bytes]],
    members: tuple[int, ...],
    held: Mapping[int, Mapping[_Place, tuple[_Source, bytes]]],
    epoch: EpochRecord,
) -> dict[EventId, bytes]:
    """Return the keys of those of `closed` that the shares of exactly these members open."""
    shares = {
        _position(epoch, member): b"".join(
            held[member][event.index, event.position][1] for event, _ in closed
        )
        for member in members
    }
    combined = combine(shares, epoch.threshold)
    found = {}
    for place, (event, body) in enumerate(closed):
        key = combined[place * SHARE_BYTES : (place + 1) * SHARE_BYTES]
        if digest("body-key", key) == body[:HASH_BYTES]:
            found[event] = key
    return found


def _shares(
    payload: Iterable[EntryShares], validator: int, epochs: Sequence[EpochRecord]
) -> dict[_Place, tuple[_Source, bytes]]:
    """Return source and share of each event that a member answered for."""
    dealt = {each.epoch for each in epochs if each.position(validator) is not None}
    shares: dict[_Place, tuple[_Source, bytes]] = {}
    twice: set[_Place] = set()
    for entry in payload:
        if entry.epoch not in dealt:
            continue
        for each in entry.shares:
            place = (entry.index, each.position)
            if place in shares:
                twice.add(place)
            shares[place] = ((entry.placed, entry.epoch), each.share)
    return {place: share for place, share in shares.items() if place not in twice}


def _position(epoch: EpochRecord, member: int) -> int:
    position = epoch.position(member)
    assert position is not None, (epoch.epoch, member)
    return position
