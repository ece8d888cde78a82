"""Corrections: events about another event of the same contributor."""

from __future__ import annotations

from typing import Final

from tradeline_ledger.field import Choice, Field, Replacement
from tradeline_ledger.schema import Basis, EventSchema, Handle

CORRECTION_REASON: Final = Choice(
    ("furnisher_error", "matching_error", "dispute", "court", "fraud", "repair")
)


def _correction(number: int, name: str, doc: str, fields: tuple[Field, ...]) -> EventSchema:
    return EventSchema(
        number=number,
        version=1,
        name=f"correction.{name}",
        category=None,
        bases=frozenset(Basis),
        account=Handle.AS_TARGET,
        fields=(
            Field("reason", CORRECTION_REASON, "why the event was wrong or must go"),
            *fields,
        ),
        rules=(),
        doc=doc,
    )


SUPERSEDE: Final = _correction(
    13,
    "supersede",
    "The target said something wrong: `occurred_on`, account and these fields take its place. The "
    "day stays in the target's year; an event that belongs elsewhere is retracted and posted anew.",
    (Field("replacement", Replacement(), "what the target should have said"),),
)
RETRACT: Final = _correction(
    14,
    "retract",
    "The target must not be counted; `occurred_on` is the target's.",
    (),
)

CORRECTIONS: Final = (SUPERSEDE, RETRACT)
"""All types of the group, in the order of their numbers."""
