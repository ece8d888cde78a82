"""
Whether an event speaks for its subject, against it, or neither, as data that schemas list.

Polarity decides which duties of law an event brings: who reports something negative about a
person must have told that person before (征信业管理条例 Art. 15), and it is shown for five years
from the end of the behaviour (Art. 16). It is derived from the fields, inside the body: nothing
outside of a body shows it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Protocol


@enum.unique
class Polarity(enum.Enum):
    """Which way an event speaks."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"


class Condition(Protocol):
    """Holds or not for the value of one field."""

    @property
    def field(self) -> str:
        """Name of the field."""
        ...

    def holds(self, value: Any) -> bool:
        """Say whether it holds for a wire value; never for nil."""
        ...


@dataclass(frozen=True, slots=True)
class Above:
    """A number is larger than another."""

    field: str
    number: int

    def holds(self, value: Any) -> bool:
        """Compare."""
        return value is not None and value > self.number


@dataclass(frozen=True, slots=True)
class OneOf:
    """A choice is one of some numbers."""

    field: str
    numbers: tuple[int, ...]

    def holds(self, value: Any) -> bool:
        """Look the number up."""
        return value in self.numbers


@dataclass(frozen=True, slots=True)
class Leaning:
    """Which way the events of a type speak: the first case that holds, else `otherwise`."""

    otherwise: Polarity
    cases: tuple[tuple[Condition, Polarity], ...] = ()


POSITIVE = Leaning(Polarity.POSITIVE)
NEUTRAL = Leaning(Polarity.NEUTRAL)
NEGATIVE = Leaning(Polarity.NEGATIVE)


def negative_if(*conditions: Condition, otherwise: Polarity) -> Leaning:
    """Return a leaning that is negative where any of the conditions holds."""
    return Leaning(otherwise, tuple((each, Polarity.NEGATIVE) for each in conditions))
