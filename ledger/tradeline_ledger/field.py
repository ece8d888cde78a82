"""
Kinds of field that an event can have (docs/formats.md, section 4).

A kind says which values are allowed on the wire, in words and as a type that the decoder checks,
and how they read in JSON. Schemas are lists of fields of these kinds, so a new event type needs
data, not code. No kind takes a float.
"""

from __future__ import annotations

import abc
import re
from dataclasses import dataclass
from datetime import date
from types import GenericAlias
from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import Meta

from tradeline_ledger.currency import MINOR_DIGITS
from tradeline_ledger.encoding import U8, U16, check_text

AMOUNT_MINOR_MAX: Final = 2**53 - 1
"""Largest amount either way: the largest integer that every JSON reader keeps exact."""
PPM_MAX: Final = 100_000_000
"""Largest rate: 10,000 % a year."""
TEXT_CHARS_MAX: Final = 1024
NESTING_MAX: Final = 5
"""Arrays within arrays: fields, a replacement, its fields, rows, one row."""

_SHOWN_CHARS_MAX: Final = 12
_SHOWN_WORD_CHARS_MAX: Final = 40
_SHOWN_DIGITS_MAX: Final = 12
_WORD = re.compile(r"[A-Za-z_. -]+", re.ASCII)
_PERIOD_PATTERN: Final = r"^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])\Z"


class Kind(abc.ABC):
    """One kind of field: base class with what most kinds share."""

    __slots__ = ()

    checks: ClassVar[bool] = False
    """Whether `check` looks at anything."""

    @property
    @abc.abstractmethod
    def wire(self) -> Any:
        """The type that a decoder checks."""

    @property
    @abc.abstractmethod
    def expected(self) -> str:
        """What is allowed, in words and with units and bounds."""

    def check(self, value: Any) -> None:
        """
        Accept a value of the wire type if it also follows what that type can't say.

        Raises:
            ValueError: it does not.
        """
        _ = value

    def from_json(self, value: Any) -> Any:
        """
        Return the wire value of a JSON value, which the schema checks afterwards.

        Raises:
            ValueError: a JSON value that stands for no wire value.
        """
        return value

    def to_json(self, value: Any) -> Any:
        """Return the JSON value of a wire value that was checked."""
        return value


@dataclass(frozen=True, slots=True)
class Amount(Kind):
    """Money: an integer number of minor units of the currency that the event names."""

    minor_min: int = 0
    """Least amount; below 0 only for balances."""

    @property
    def wire(self) -> Any:
        """An integer within the bounds."""
        return Annotated[int, Meta(ge=self.minor_min, le=AMOUNT_MINOR_MAX)]

    @property
    def expected(self) -> str:
        """Unit and bounds."""
        return f"an integer of minor units from {self.minor_min} to {AMOUNT_MINOR_MAX}"


@dataclass(frozen=True, slots=True)
class Integer(Kind):
    """A count of something."""

    unit: str
    """What is counted."""
    minimum: int
    """Least value."""
    maximum: int
    """Largest value."""

    @property
    def wire(self) -> Any:
        """An integer within the bounds."""
        return Annotated[int, Meta(ge=self.minimum, le=self.maximum)]

    @property
    def expected(self) -> str:
        """Unit and bounds."""
        return f"an integer of {self.unit} from {self.minimum} to {self.maximum}"


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of a list of names, numbered from 1 on the wire. The list is append-only."""

    names: tuple[str, ...]
    """Name 0 has number 1."""

    @property
    def wire(self) -> Any:
        """The number of a name."""
        return Annotated[int, Meta(ge=1, le=len(self.names))]

    @property
    def expected(self) -> str:
        """The names."""
        return "one of " + ", ".join(self.names)

    def number(self, name: str) -> int:
        """Return the number of a name of the list."""
        return self.names.index(name) + 1

    def numbers(self, *names: str) -> tuple[int, ...]:
        """Return the numbers of several names of the list."""
        return tuple(self.number(name) for name in names)

    def from_json(self, value: Any) -> int:
        """Return the number of a name."""
        if not isinstance(value, str) or value not in self.names:
            raise ValueError(f"got {shown(value)}, expected {self.expected}")
        return self.number(value)

    def to_json(self, value: int) -> str:
        """Return the name of a number."""
        return self.names[value - 1]


@dataclass(frozen=True, slots=True)
class Currency(Kind):
    """The currency of all amounts of the event."""

    @property
    def wire(self) -> Any:
        """One of the codes."""
        return Literal[tuple(MINOR_DIGITS)]

    @property
    def expected(self) -> str:
        """What is allowed."""
        return "a currency code of ISO 4217, such as CNY"


@dataclass(frozen=True, slots=True)
class Day(Kind):
    """A real day of the calendar."""

    @property
    def wire(self) -> Any:
        """The decoder takes `YYYY-MM-DD` only, and refuses days that don't exist."""
        return date

    @property
    def expected(self) -> str:
        """What is allowed."""
        return "a day of the calendar written as YYYY-MM-DD"


@dataclass(frozen=True, slots=True)
class Period(Kind):
    """A month of the calendar."""

    @property
    def wire(self) -> Any:
        """A string of the right shape."""
        return Annotated[str, Meta(pattern=_PERIOD_PATTERN)]

    @property
    def expected(self) -> str:
        """What is allowed."""
        return "a month written as YYYY-MM"


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """Text in Unicode form NFC, without control characters."""

    checks: ClassVar[bool] = True
    chars_max: int
    """Most characters."""

    @property
    def wire(self) -> Any:
        """A string within the bound."""
        return Annotated[str, Meta(min_length=1, max_length=self.chars_max)]

    @property
    def expected(self) -> str:
        """Bounds and form."""
        return f"1 to {self.chars_max} characters in Unicode form NFC without control characters"

    def check(self, value: Any) -> None:
        """Refuse control characters and text that is not NFC."""
        check_text(value, "text", self.chars_max)


@dataclass(frozen=True, slots=True)
class Replacement(Kind):
    """What a corrected event should have said: its schema, version and fields."""

    @property
    def wire(self) -> Any:
        """The schema set checks the fields against the schema that is named."""
        return tuple[U16, U8, tuple[Any, ...]]

    @property
    def expected(self) -> str:
        """What is allowed."""
        return "type, version and fields of an event that is no correction itself"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event type."""

    name: str
    """Key in JSON; ends in its unit where it has one."""
    kind: Kind
    """Which values are allowed."""
    doc: str
    """What it means."""
    optional: bool = False
    """Whether nil is allowed, for "not reported"."""

    @property
    def wire(self) -> Any:
        """The type that a decoder checks."""
        return self.kind.wire | None if self.optional else self.kind.wire


@dataclass(frozen=True, slots=True)
class Rows(Kind):
    """A list of rows, each with the same fields."""

    checks: ClassVar[bool] = True
    fields: tuple[Field, ...]
    """Columns, in the order of the wire."""
    rows_max: int
    """Most rows; an empty list is written as nil."""

    @property
    def wire(self) -> Any:
        """An array of arrays."""
        row = GenericAlias(tuple, tuple(field.wire for field in self.fields))
        rows = GenericAlias(tuple, (row, ...))
        return Annotated[rows, Meta(min_length=1, max_length=self.rows_max)]

    @property
    def expected(self) -> str:
        """Columns and bound."""
        columns = "; ".join(f"{field.name}: {field.kind.expected}" for field in self.fields)
        return f"1 to {self.rows_max} rows of ({columns})"

    def check(self, value: Any) -> None:
        """Check every cell."""
        for row in value:
            for field, cell in zip(self.fields, row, strict=True):
                if cell is not None:
                    field.kind.check(cell)

    def from_json(self, value: Any) -> tuple[tuple[Any, ...], ...]:
        """Return the rows of a list of objects."""
        names = {field.name for field in self.fields}
        if not isinstance(value, list):
            raise ValueError(f"got {shown(value)}, expected {self.expected}")  # noqa: TRY004
        for row in value:
            if not isinstance(row, dict) or not set(row) <= names:
                raise ValueError(f"got {shown(row)} as a row, expected {self.expected}")
        return tuple(tuple(_cell_from_json(field, row) for field in self.fields) for row in value)

    def to_json(self, value: Any) -> list[dict[str, Any]]:
        """Return a list of objects."""
        return [
            {
                field.name: None if cell is None else field.kind.to_json(cell)
                for field, cell in zip(self.fields, row, strict=True)
            }
            for row in value
        ]


def shown(value: object) -> str:
    """
    Return what a message may show of a value from outside.

    Somebody may have put an identifier in the wrong place, so long numbers and long strings with
    digits are described and not repeated.
    """
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case int():
            digits = len(str(abs(value))) if abs(value) < 2**64 else 0
            too_long = not 0 < digits <= _SHOWN_DIGITS_MAX
            return f"an integer of more than {_SHOWN_DIGITS_MAX} digits" if too_long else str(value)
        case float():
            return f"float {value!r}"
        case str():
            word = len(value) <= _SHOWN_WORD_CHARS_MAX and _WORD.fullmatch(value)
            if word or len(value) <= _SHOWN_CHARS_MAX:
                return repr(value)
            return f"text of {len(value)} characters"
        case list() | tuple():
            return f"a list of {len(value)}"
        case dict():
            return f"an object of {len(value)} keys"
        case _:
            return f"a {type(value).__name__}"


def holds_float(value: object, depth: int = NESTING_MAX) -> bool:
    """Say whether a value is a float or has one inside, as deep as any field goes."""
    match value:
        case float():
            return True
        case list() | tuple() if depth:
            return any(holds_float(item, depth - 1) for item in value)
        case dict() if depth:
            return any(holds_float(item, depth - 1) for item in value.values())
        case _:
            return False


def _cell_from_json(field: Field, row: dict[str, Any]) -> Any:
    cell = row.get(field.name)
    return None if cell is None else field.kind.from_json(cell)
