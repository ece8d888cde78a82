"""
Corrections resolved: what stands once events have superseded and retracted each other.

A correction names the event that it is about, which may itself be a correction. Of several that
supersede one event the last in the log counts; a retraction undoes what it is about and nothing
else, so that the retraction of a correction brings back what that one had replaced. Nothing is
hidden: a chain lists the original and every correction (DESIGN.md, section 9).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from tradeline_ledger.field import Replacement
from tradeline_ledger.history import EventId
from tradeline_ledger.schemas import RETRACT, SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tradeline_ledger.event import Event, Fields
    from tradeline_ledger.schema import EventSchema


@dataclass(frozen=True, slots=True)
class EffectiveEvent:
    """What one event says after all corrections: the values to count with."""

    original: EventId
    """The event that was corrected, or the event itself."""
    source: EventId
    """The event or correction whose values stand."""
    schema: EventSchema = field(repr=False)
    occurred_on: str
    """`YYYY-MM-DD`."""
    account: bytes | None
    """The contributor's keyed reference, 16 bytes."""
    fields: tuple[Any, ...]
    """Wire values in the order of `schema`."""


@dataclass(frozen=True, slots=True)
class Chain:
    """One event and all corrections about it, directly or not."""

    original: EventId
    corrections: tuple[EventId, ...]
    """In log order; at least one."""
    current: EffectiveEvent | None
    """What stands; None if it was retracted, or if what stands can't be shown."""
    retracted: bool
    """Whether the original must not be counted."""


def resolve(
    events: Mapping[EventId, Event],
) -> tuple[tuple[EffectiveEvent, ...], tuple[Chain, ...]]:
    """
    Return what stands, by original in log order, and the chains of all corrections.

    `events` are valid and readable; each correction among them names an earlier event of the same
    place, which is left out only if nobody can read it.
    """
    about: dict[EventId, list[EventId]] = {}
    roots: dict[EventId, EventId] = {}
    for event in sorted(events):
        target = _target(events[event])
        if target is None:
            roots[event] = event
        else:
            roots[event] = roots.setdefault(target, target)
            about.setdefault(target, []).append(event)
    standing: dict[EventId, tuple[EventId | None, bool]] = {}
    # Corrections come after what they are about, so the last in the log has nothing about itself.
    for event in sorted(roots, reverse=True):
        standing[event] = _stand(event, events, about.get(event, []), standing)
    chained: dict[EventId, list[EventId]] = {}
    for event in sorted(events):
        if roots[event] != event:
            chained.setdefault(roots[event], []).append(event)
    effective, chains = [], []
    for root in sorted(event for event in roots if roots[event] == event):
        source, retracted = standing[root]
        current = None if source is None else _effective(root, source, events[source])
        if current is not None:
            effective.append(current)
        if root in chained:
            chains.append(Chain(root, tuple(chained[root]), current, retracted))
    return tuple(effective), tuple(chains)


def is_retraction(event: Event) -> bool:
    """Return whether an event says that its target must not be counted."""
    return event.schema == RETRACT.number


def _target(event: Event) -> EventId | None:
    return None if event.target is None else EventId(*event.target)


def _stand(
    event: EventId,
    events: Mapping[EventId, Event],
    about: list[EventId],
    standing: Mapping[EventId, tuple[EventId | None, bool]],
) -> tuple[EventId | None, bool]:
    """Return whose values stand in the place of `event`, and whether it was retracted."""
    in_force = [each for each in about if standing[each][0] is not None]
    if any(is_retraction(events[each]) for each in in_force):
        return None, True
    for each in reversed(in_force):
        return standing[each][0], False
    return (event if event in events else None), False


def _effective(original: EventId, source: EventId, event: Event) -> EffectiveEvent:
    schema, fields = SCHEMAS.get(event.schema, event.version), event.fields
    for item, value in zip(schema.fields, event.fields, strict=True):
        if isinstance(item.kind, Replacement) and isinstance(value, tuple):
            number, version, fields = cast("tuple[int, int, Fields]", value)
            schema = SCHEMAS.get(number, version)
    return EffectiveEvent(original, source, schema, event.occurred_on, event.account, fields)
