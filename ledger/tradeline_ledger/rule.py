"""
Rules between the fields of one event, as data that schemas list (docs/formats.md, section 4).

A rule names the fields that it reads, gets their wire values in that order, and says what is
broken or None. A field that is nil was not reported, and breaks no rule that only compares it.
`occurred_on` is the day of the event and can be read like a field. Dates and months compare as
strings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

OCCURRED_ON = "occurred_on"
"""Stands for the event's own day among the fields that a rule reads."""


class Rule(Protocol):
    """Compares fields of one event."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the fields, in the order in which `broken` takes them."""
        ...

    def broken(self, *values: Any) -> str | None:
        """Return what is wrong with these values and what was expected, or None."""
        ...


@dataclass(frozen=True, slots=True)
class ZeroTogether:
    """Two numbers are both zero or both not."""

    first: str
    second: str

    @property
    def reads(self) -> tuple[str, ...]:
        """Both fields."""
        return (self.first, self.second)

    def broken(self, *values: Any) -> str | None:
        """Compare the two."""
        first, second = values
        if first is None or second is None or (first == 0) == (second == 0):
            return None
        return f"{self.first} is {first} and {self.second} is {second}, expected both 0 or neither"


@dataclass(frozen=True, slots=True)
class AtLeast:
    """One number is at least another."""

    larger: str
    smaller: str

    @property
    def reads(self) -> tuple[str, ...]:
        """Both fields."""
        return (self.larger, self.smaller)

    def broken(self, *values: Any) -> str | None:
        """Compare the two."""
        larger, smaller = values
        if larger is None or smaller is None or larger >= smaller:
            return None
        return f"{self.larger} is {larger}, expected at least {self.smaller}, which is {smaller}"


@dataclass(frozen=True, slots=True)
class NotAfter:
    """One day or month is not after another."""

    earlier: str
    later: str = OCCURRED_ON

    @property
    def reads(self) -> tuple[str, ...]:
        """Both fields."""
        return (self.earlier, self.later)

    def broken(self, *values: Any) -> str | None:
        """Compare the two, a month with a day by that day's month."""
        earlier, later = values
        if earlier is None or later is None or earlier[:7] < later[:7] or earlier <= later:
            return None
        return f"{self.earlier} is {earlier}, expected not after {self.later}, which is {later}"


@dataclass(frozen=True, slots=True)
class GivenTogether:
    """Either all of the fields are given or none."""

    fields: tuple[str, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields."""
        return self.fields

    def broken(self, *values: Any) -> str | None:
        """Count the fields that are given."""
        missing = [name for name, value in zip(self.fields, values, strict=True) if value is None]
        if len(missing) in (0, len(self.fields)):
            return None
        return f"{', '.join(missing)} missing, expected all or none of {', '.join(self.fields)}"


@dataclass(frozen=True, slots=True)
class Needs:
    """Where a choice is one of some numbers, at least one of the other fields is given."""

    choice: str
    numbers: tuple[int, ...]
    one_of: tuple[str, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        """The choice, then the fields of which one is needed."""
        return (self.choice, *self.one_of)

    def broken(self, *values: Any) -> str | None:
        """Look for a field that is given."""
        number, *others = values
        if number not in self.numbers or any(value is not None for value in others):
            return None
        return f"this {self.choice} needs {' or '.join(self.one_of)}, got null"


@dataclass(frozen=True, slots=True)
class Reached:
    """A stage, the k-th of its choice, is reached at `step` times k of a number."""

    stage: str
    number: str
    step: int

    @property
    def reads(self) -> tuple[str, ...]:
        """The stage and the number."""
        return (self.stage, self.number)

    def broken(self, *values: Any) -> str | None:
        """Compare the number with where the stage begins."""
        stage, number = values
        if stage is None or number >= stage * self.step:
            return None
        return f"{self.number} is {number}, expected at least {stage * self.step} at this stage"
