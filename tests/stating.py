"""Quality statements on the scenes of `tests.reading`: honest ones, and what is changed in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec.structs
from tests.world import seed

from tradeline_ledger import state
from tradeline_ledger.body import open_body
from tradeline_ledger.calendar import month_of
from tradeline_ledger.encoding import encode
from tradeline_ledger.event import Event, decode_event
from tradeline_ledger.history import EventId
from tradeline_ledger.quality import (
    QUALITY_STATE,
    Delay,
    Listed,
    MonthEnd,
    MonthStanding,
    Quality,
    event_print,
    join_prints,
)
from tradeline_ledger.schemas import SCHEMAS
from tradeline_ledger.statement import Kind
from tradeline_ledger.submission import decode_submission

if TYPE_CHECKING:
    from tests.reading import Scene

    from tradeline_ledger.transition import Executed

MONTH = month_of("2026-03-04")
"""That of the events of a scene."""


def key_of(member: int, event: EventId) -> bytes:
    """Return the body key of an event that `Scene.file` filed."""
    return seed("key", member, event.index, event.position)


def filed(scene: Scene, member: int) -> list[tuple[EventId, Event | None]]:
    """Return every event of a member in log order, None for one whose body is gone."""
    world, found = scene.committee.world, list[tuple[EventId, Event | None]]()
    for index, attachment in sorted(scene.committee.attachments.items()):
        placed = scene.committee.placed(index)
        assert placed is not None
        if placed.statement.member != member:
            continue
        batch = decode_submission(placed.content).batch
        for position, body in enumerate(attachment.bodies):
            event = EventId(index, position)
            tag, key = batch.tag(position), key_of(member, event)
            opened = body and open_body(key, body, world.ledger.ledger_id, member, tag)
            found.append((event, decode_event(opened) if opened else None))
    return found


def honest(scene: Scene, member: int, month: int = MONTH, **changes: Any) -> Quality:
    """Return what a member states that counts right; `changes` replace fields."""
    world, size = scene.committee.world, scene.committee.world.head.size
    end = MonthEnd(month, world.ledger.params.utc_offset_min)
    listed: dict[int, int] = {}
    corrections, corrected, repeats = dict.fromkeys(Delay, 0), list[bytes](), list[bytes]()
    refs: set[bytes] = set()
    for place, event in filed(scene, member):
        if event is None:
            listed[place.index] = listed.get(place.index, 0) + 1  # of the scene's one month
            continue
        mine, own_print = (
            month_of(event.occurred_on) == month,
            event_print(key_of(member, place), place),
        )
        if mine:
            listed[place.index] = listed.get(place.index, 0) + 1
        if SCHEMAS.get(event.schema, event.version).corrects:
            if mine:
                row = state.read(world, state.SUBMISSION, state.submission_key(place.index))
                assert row is not None
                corrections[end.delay(row.time_ms)] += 1
                corrected.append(own_print)
        elif event.ref in refs and mine:
            repeats.append(own_print)
        else:
            refs.add(event.ref)
    last = world.get(state.quality_key(member, month))
    events = sum(listed.values())
    values: dict[str, Any] = {
        "version": 1,
        "month": month,
        "size": size,
        "supersedes": None if last is None else QUALITY_STATE.decode(last).index,
        "standing": MonthStanding.COMPLETE,
        "received": events,
        "accepted": events,
        "rejected": (),
        "quarantined": 0,
        "duplicates": 0,
        "listed": tuple(Listed(index, count) for index, count in sorted(listed.items())),
        "corrections": tuple(corrections.values()),
        "correction_prints": join_prints(corrected),
        "repeat_prints": join_prints(repeats),
    }
    return Quality(**(values | changes))


def changed(content: Quality, **changes: Any) -> Quality:
    """Return a statement with other fields, checked as one that is decoded."""
    return Quality(**(msgspec.structs.asdict(content) | changes))


def state_quality(scene: Scene, member: int, content: Quality) -> Executed:
    """Place a statement, whatever its outcome."""
    world = scene.committee.world
    return world.block(world.entry(member, Kind.QUALITY, encode(content)))


def accepted(executed: Executed) -> int:
    """Return the log index of the one entry of a block, which was accepted."""
    (placed,) = executed.placed
    assert placed.applied.outcome.accepted, placed.applied.outcome
    return placed.index
