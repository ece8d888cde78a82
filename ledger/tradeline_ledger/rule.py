"""
Rules between the fields of one event, as data that schemas list (docs/formats.md, section 4).

A rule names the fields that it reads, gets their wire values in that order, and says what is
broken or None. A field that is nil was not reported, and breaks no rule that only compares it.
`occurred_on` is the day of the event and can be read like a field. Dates and months compare as
strings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

OCCURRED_ON = "occurred_on"
"""Stands for the event's own day among the fields that a rule reads."""


class Rule(Protocol):
    """Compares fields of one event."""

    @property
    def code(self) -> str:
        """Stable name of what is wrong where it is broken."""
        ...

    @property
    def expected(self) -> str:
        """What the rule asks for, without any value of an event."""
        ...

    @property
    def fix(self) -> str:
        """What to do where it is broken."""
        ...

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

    code: ClassVar[str] = "zero-alone"
    fix: ClassVar[str] = "report both as 0, or the number that is missing"
    first: str
    second: str

    @property
    def expected(self) -> str:
        """What the rule asks for."""
        return f"{self.first} and {self.second} both 0 or neither"

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

    code: ClassVar[str] = "less-than"
    fix: ClassVar[str] = "look whether the two fields are mixed up or one is wrong"
    larger: str
    smaller: str

    @property
    def expected(self) -> str:
        """What the rule asks for."""
        return f"{self.larger} of at least {self.smaller}"

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

    code: ClassVar[str] = "after"
    fix: ClassVar[str] = "look whether the two days are mixed up or one is wrong"
    earlier: str
    later: str = OCCURRED_ON

    @property
    def expected(self) -> str:
        """What the rule asks for."""
        return f"{self.earlier} not after {self.later}"

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

    code: ClassVar[str] = "given-alone"
    fix: ClassVar[str] = "report all of them or none"
    fields: tuple[str, ...]

    @property
    def expected(self) -> str:
        """What the rule asks for."""
        return f"all or none of {', '.join(self.fields)}"

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

    code: ClassVar[str] = "needed"
    fix: ClassVar[str] = "report one of the fields that this choice needs"
    choice: str
    numbers: tuple[int, ...]
    one_of: tuple[str, ...]

    @property
    def expected(self) -> str:
        """What the rule asks for."""
        return f"{' or '.join(self.one_of)} with this {self.choice}"

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

    code: ClassVar[str] = "stage-not-reached"
    fix: ClassVar[str] = "report the stage that the days past due have reached"
    stage: str
    number: str
    step: int

    @property
    def expected(self) -> str:
        """What the rule asks for."""
        return f"{self.number} of at least {self.step} times the stage"

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


@dataclass(frozen=True, slots=True)
class Adds:
    """A number is the sum of others, give or take what rounding leaves."""

    code: ClassVar[str] = "sum"
    fix: ClassVar[str] = "look for the part that is wrong or missing"
    total: str
    parts: tuple[str, ...]
    tolerance: int

    @property
    def expected(self) -> str:
        """What the rule asks for."""
        return f"{self.total} equal to {' + '.join(self.parts)}, give or take {self.tolerance}"

    @property
    def reads(self) -> tuple[str, ...]:
        """The sum, then its parts."""
        return (self.total, *self.parts)

    def broken(self, *values: Any) -> str | None:
        """Add up."""
        total, *parts = values
        if total is None or None in parts or abs(total - sum(parts)) <= self.tolerance:
            return None
        return f"{self.total} is off by {abs(total - sum(parts))}, expected {self.expected}"


@dataclass(frozen=True, slots=True)
class RowsAtMost:
    """A column of rows adds up to no more than a whole."""

    code: ClassVar[str] = "rows-above-whole"
    fix: ClassVar[str] = "look for a row that is listed twice or has a wrong number"
    rows: str
    place: int
    """Place of the column in a row."""
    column: str
    """Its name, for messages."""
    maximum: int

    @property
    def expected(self) -> str:
        """What the rule asks for."""
        return f"{self.column} of all {self.rows} together at most {self.maximum}"

    @property
    def reads(self) -> tuple[str, ...]:
        """The rows."""
        return (self.rows,)

    def broken(self, *values: Any) -> str | None:
        """Add up the column."""
        (rows,) = values
        total = sum(row[self.place] or 0 for row in rows or ())
        return None if total <= self.maximum else f"{total} in all, expected {self.expected}"


@dataclass(frozen=True, slots=True)
class Usually:
    """A number lies where such numbers usually lie: for doubts, since it need not be wrong."""

    code: ClassVar[str] = "unusual"
    fix: ClassVar[str] = "look at the unit and the scale; accept it if it is right"
    number: str
    least: int
    most: int

    @property
    def expected(self) -> str:
        """What the rule asks for."""
        return f"{self.number} usually from {self.least} to {self.most}"

    @property
    def reads(self) -> tuple[str, ...]:
        """The number."""
        return (self.number,)

    def broken(self, *values: Any) -> str | None:
        """Compare the number with both ends."""
        (number,) = values
        if number is None or self.least <= number <= self.most:
            return None
        return f"{self.number} is {number}, expected {self.expected}"


@dataclass(frozen=True, slots=True)
class GradeFollows:
    """A grade, whose choice goes from good to bad, is no better than a number allows."""

    code: ClassVar[str] = "grade-too-good"
    fix: ClassVar[str] = "look at the grade; accept it if there is a reason for the better one"
    grade: str
    number: str
    above: int
    best_allowed: int
    """Number of the best grade that is allowed where the number is above."""

    @property
    def expected(self) -> str:
        """What the rule asks for."""
        return (
            f"{self.grade} of {self.best_allowed} or worse where {self.number} is over {self.above}"
        )

    @property
    def reads(self) -> tuple[str, ...]:
        """The grade and the number."""
        return (self.grade, self.number)

    def broken(self, *values: Any) -> str | None:
        """Compare the grade with what the number allows."""
        grade, number = values
        if grade is None or number is None or number <= self.above or grade >= self.best_allowed:
            return None
        return f"{self.grade} is {grade}, expected {self.expected}"
