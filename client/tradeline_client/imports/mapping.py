"""
How rows of one kind of file become events: a mapping, as `mapping_file` reads it from TOML.

All of it is checked when it is read. `mapping_run` applies it to columns; nothing here looks at
a row.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from collections.abc import Mapping as ByText
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tradeline_client.imports.source import SourceSettings

if TYPE_CHECKING:
    from tradeline_ledger.identifier import IdType
    from tradeline_ledger.schema import Basis, EventSchema

EVENTS_MAX: Final = 256
"""Events that one row can become."""


@enum.unique
class Unit(enum.Enum):
    """What 1 means in a column of money."""

    MINOR = "minor"
    """The minor unit of the currency, such as a cent."""
    MAJOR = "major"
    """The currency itself."""
    THOUSAND = "thousand"
    TEN_THOUSAND = "ten_thousand"
    """万 of Chinese statements."""
    MILLION = "million"

    @property
    def digits(self) -> int:
        """Powers of ten above the currency itself."""
        return {"thousand": 3, "ten_thousand": 4, "million": 6}.get(self.value, 0)


@enum.unique
class Negative(enum.Enum):
    """How a number below 0 is written."""

    MINUS = "minus"
    """`-12`."""
    TRAILING = "trailing"
    """`12-`."""
    PARENTHESES = "parentheses"
    """`(12)`."""


@enum.unique
class DayOf(enum.Enum):
    """Which day of a month stands for it."""

    FIRST = "first"
    LAST = "last"


@enum.unique
class Clean(enum.Enum):
    """In which form texts are brought before they are read (docs/cleansing.md)."""

    TEXT = "text"
    NAME = "name"
    ADDRESS = "address"
    CODE = "code"
    """Width, case and spaces don't matter, in the table of codes neither."""


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """How a column writes numbers."""

    unit: Unit | None = None
    """Of money; None for other numbers."""
    multiply: int = 1
    """What each number is multiplied with; the product must be whole."""
    decimal: str = "."
    """Before the fraction."""
    thousands: str = ""
    """Between groups of three digits; empty where there is none."""
    negative: Negative = Negative.MINUS


@dataclass(frozen=True, slots=True)
class DateStyle:
    """How a column writes days or months."""

    pattern: str
    """`YYYY`, `MM`, `M`, `DD`, `D` and signs between them, or `excel` for day numbers."""
    day: DayOf | None = None
    """Which day of the month is meant, whatever day the cell says or none."""
    not_before: str = ""
    """Earlier days become this one, `YYYY-MM-DD`; empty for none."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of one column."""

    column: str
    among: frozenset[str] | None = None
    """The texts that it may be."""
    except_for: frozenset[str] | None = None
    """The texts that it must not be."""
    given: bool | None = None
    """Whether something must stand there, or nothing."""
    above: int | None = None
    """A number below what it must be."""
    below: int | None = None
    """A number above what it must be."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """A second column that must fit what a field became."""

    column: str
    codes: ByText[str, frozenset[Any]]
    """Wire values that each text fits."""


@dataclass(frozen=True, slots=True)
class Value:
    """Where one field comes from."""

    columns: tuple[str, ...] = ()
    """The first in which something stands is taken; none for a constant."""
    constant: Any = None
    """Wire value of every row."""
    codes: ByText[str, Any] | None = None
    """Wire values by text; None where the text itself is read."""
    otherwise: Any = None
    """Wire value of texts that are no code; None where they are a fault."""
    default: Any = None
    """Wire value where nothing stands; None where that is not reported."""
    number: NumberStyle = NumberStyle()
    date: DateStyle | None = None
    when: tuple[Condition, ...] = ()
    """All must hold, or the field is not reported."""
    agrees: Agreement | None = None
    clean: Clean | None = None
    """None where texts are read as they stand, without the spaces around them."""
    required: bool = False
    """Whether a row in which nothing stands is wrong, though the type could do without."""


@dataclass(frozen=True, slots=True)
class SubjectFrom:
    """Whom a row is about."""

    column: str
    """Of the identifier."""
    id_type: IdType | None
    """None where a column says it."""
    type_column: str = ""
    types: ByText[str, IdType] = field(default_factory=dict)
    """Types by the text in `type_column`."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a template: fixed text, or the text of a column or of a part of the event."""

    text: str = ""
    column: str = ""
    part: str = ""
    """`account`, `occurred_on` or the name of a field."""
    width: int = 0
    """Zeros are put in front up to so many characters."""


@dataclass(frozen=True, slots=True)
class EventFrom:
    """One event of a row."""

    key: str
    """Where it stands in the mapping, for messages."""
    schema: EventSchema
    basis: Basis
    when: tuple[Condition, ...]
    """All must hold, or the row does not become this event."""
    subject: SubjectFrom
    account: tuple[Piece, ...]
    """Empty where the type has no account."""
    ref: tuple[Piece, ...]
    occurred_on: Value
    revision: Value | None
    """Which report of the same reference a row is; the highest holds."""
    fields: tuple[Value | None, ...]
    """In the order of the schema; None for what is never reported."""

    def columns(self) -> Iterator[str]:
        """Yield each column that is read, some more than once."""
        for condition in self.when:
            yield condition.column
        yield self.subject.column
        if self.subject.type_column:
            yield self.subject.type_column
        for piece in (*self.account, *self.ref):
            if piece.column:
                yield piece.column
        for value in (self.occurred_on, self.revision, *self.fields):
            if value is not None:
                yield from value.columns
                yield from (condition.column for condition in value.when)
                if value.agrees is not None:
                    yield value.agrees.column


@dataclass(frozen=True, slots=True)
class Mapping:
    """How the rows of a file become events."""

    name: str
    settings: SourceSettings
    events: tuple[EventFrom, ...]
    sha256: bytes
    """Hash of its text and of the parameters that were given."""

    def columns(self) -> tuple[str, ...]:
        """Return the columns that are read, each once."""
        return tuple(dict.fromkeys(name for event in self.events for name in event.columns()))
