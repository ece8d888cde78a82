"""
Event types as data: numbered, versioned lists of typed fields (docs/formats.md, section 4).

A schema is known by its number and version; both are append-only, and an event names the version
that it was written under. `tradeline_ledger.schemas` lists the types of this version of the
package.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from operator import itemgetter
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import EventError
from tradeline_ledger.field import Field, Replacement, holds_float, shown
from tradeline_ledger.finding import Finding, Severity
from tradeline_ledger.polarity import NEUTRAL, Leaning, Polarity
from tradeline_ledger.rule import OCCURRED_ON, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tradeline_ledger.article import Article
    from tradeline_ledger.tag import Category

FIELDS_MAX: Final = 64

_BAD_VALUES = (
    msgspec.ValidationError,
    OverflowError,
    RecursionError,
    TypeError,
    UnicodeEncodeError,
)
"""What encoding and decoding again raise about a value that is not of the wire type."""


@enum.unique
class Basis(enum.IntEnum):
    """Why a contributor may report an event. The numbers are append-only."""

    CONSENT = 1
    """The subject consented to reporting."""
    CONTRACT = 2
    """The contract that the event is about says so."""
    PUBLIC = 3
    """The event was made public by law."""
    STATUTORY = 4
    """The law obliges the contributor to report."""


@enum.unique
class Handle(enum.Enum):
    """Whether an event of a type names an account."""

    REQUIRED = "required"
    ABSENT = "absent"
    AS_TARGET = "as the corrected event"


@enum.unique
class About(enum.Enum):
    """Whom events of a type are about."""

    PERSON = "person"
    FIRM = "firm"
    ANY = "person or firm"


@dataclass(frozen=True, slots=True)
class Doubt:
    """A rule that an event may break, and what then becomes of it before it is reported."""

    rule: Rule
    severity: Severity
    """Never `REJECT`: what nobody may report is a rule of the schema."""


@dataclass(frozen=True, slots=True)
class EventSchema:
    """One version of one event type: plain data."""

    number: int
    """u16, append-only; the same for all versions of a type."""
    version: int
    """u8, from 1."""
    name: str
    """`group.verb`, as in JSON."""
    category: Category | None
    """What events are filed under; None for a correction: that of its target."""
    bases: frozenset[Basis]
    """Why such an event may be reported."""
    account: Handle
    """Whether the event names an account."""
    fields: tuple[Field, ...]
    """Fields in the order of the wire."""
    rules: tuple[Rule, ...]
    """Rules between fields."""
    doc: str
    """What the event says and what its `occurred_on` is."""
    about: About = About.ANY
    """Whom it may be about; checked by who reports it, since the subject is in no event."""
    leaning: Leaning = NEUTRAL
    """Whether it speaks for or against its subject."""
    law: tuple[Article, ...] = ()
    """Articles that restrict what may be reported in such an event, or oblige who reports it."""
    doubts: tuple[Doubt, ...] = ()
    """Soft rules. They may change within a version: no reader applies them."""

    @property
    def corrects(self) -> bool:
        """Whether events of this type are about another event."""
        return self.category is None

    @property
    def title(self) -> str:
        """Name and version, for messages."""
        return f"{self.name} version {self.version}"

    def values(self, **given: Any) -> tuple[Any, ...]:
        """Return wire values by name in the order of the schema, nil where not given."""
        values = tuple([given.pop(item.name, None) for item in self.fields])
        assert not given, f"{self.title} has no field {', '.join(given)}"
        return values

    def polarity(self, values: tuple[Any, ...]) -> Polarity:
        """Return which way an event with these wire values speaks."""
        names = [item.name for item in self.fields]
        for condition, polarity in self.leaning.cases:
            if condition.holds(values[names.index(condition.field)]):
                return polarity
        return self.leaning.otherwise

    def doubtful(self, values: tuple[Any, ...], occurred_on: str) -> tuple[Finding, ...]:
        """Return what is doubtful about checked values, in the order of `doubts`."""
        given = dict(zip((item.name for item in self.fields), values, strict=True))
        given[OCCURRED_ON] = occurred_on
        found = []
        for doubt in self.doubts:
            rule = doubt.rule
            read = {name: given[name] for name in rule.reads}
            if rule.broken(*read.values()) is not None:
                found.append(_finding(rule, doubt.severity, read))
        return tuple(found)

    def describe(self) -> tuple[Any, ...]:
        """Return what decides validity, as numbers and strings, for a hash that pins it."""
        return (
            self.number,
            self.version,
            self.name,
            self.category,
            tuple(sorted(self.bases)),
            self.account.value,
            tuple((item.name, item.kind.expected, item.optional) for item in self.fields),
            tuple(repr(rule) for rule in self.rules),
        )


class SchemaSet:
    """The event types that a program knows, ready to check fields."""

    __slots__ = ("_by_name", "_checkers")

    def __init__(self, schemas: Iterable[EventSchema]) -> None:
        """Take every version of every type; of one name the last version is the newest."""
        self._checkers: dict[tuple[int, int], _Checker] = {}
        self._by_name: dict[str, list[EventSchema]] = {}
        for schema in schemas:
            versions = self._by_name.setdefault(schema.name, [])
            assert schema.version == len(versions) + 1, f"{schema.title}: versions have a gap"
            assert all(older.number == schema.number for older in versions), schema.title
            assert (schema.number, schema.version) not in self._checkers, schema.title
            versions.append(schema)
            self._checkers[schema.number, schema.version] = _Checker(schema)

    def __iter__(self) -> Iterator[EventSchema]:
        """Yield every version of every type, in the order given."""
        return (checker.schema for checker in self._checkers.values())

    def get(self, number: int, version: int) -> EventSchema:
        """
        Return one schema.

        Raises:
            EventError: this program does not know it.
        """
        return self._checker(number, version).schema

    def named(self, name: object, version: object = None) -> EventSchema:
        """
        Return a schema by name, the newest version unless one is given.

        Raises:
            EventError: this program does not know it.
        """
        versions = self._by_name.get(name) if isinstance(name, str) else None
        if versions is None:
            raise EventError(
                f"type: got {shown(name)}, an unknown event type; expected one of "
                + ", ".join(self._by_name)
            )
        if version is None:
            return versions[-1]
        if type(version) is not int or not 1 <= version <= len(versions):
            raise EventError(
                f"version: got {shown(version)}, an unknown version of {versions[0].name}; "
                f"expected 1 to {len(versions)}"
            )
        return versions[version - 1]

    def check(self, number: int, version: int, values: Any, occurred_on: str) -> EventSchema:
        """
        Return the schema that `values`, in its order, and the day of the event follow.

        Raises:
            EventError: unknown schema, or a field or rule that is broken: field, got, expected.
        """
        checker = self._checker(number, version)
        checker.check(values, occurred_on)
        for index in checker.replacements:
            replaced, replaced_version, inner = values[index]
            schema = self.get(replaced, replaced_version)
            if schema.corrects:
                raise EventError(
                    f"{checker.schema.title}: field {checker.schema.fields[index].name}: "
                    f"got {schema.name}, expected {Replacement().expected}"
                )
            self.check(replaced, replaced_version, inner, occurred_on)
        return checker.schema

    def replaced(self, schema: EventSchema, values: tuple[Any, ...]) -> EventSchema | None:
        """Return the schema of the fields that a checked correction puts in place of others."""
        for index in self._checker(schema.number, schema.version).replacements:
            number, version, _ = values[index]
            return self.get(number, version)
        return None

    def fields_from_json(self, schema: EventSchema, given: object) -> tuple[Any, ...]:
        """
        Return wire values in the order of the schema; `check` is to follow.

        Raises:
            EventError: not an object; a field is unknown, missing or no JSON value of its kind.
        """
        where = f"{schema.title}: "
        if not isinstance(given, dict):
            raise EventError(f"{where}fields: got {shown(given)}, expected an object")
        names = [item.name for item in schema.fields]
        if unknown := [key for key in given if key not in names]:
            raise EventError(
                f"{where}unknown field {shown(unknown[0])}, expected {', '.join(names)}"
            )
        return tuple([self._field_from_json(where, item, given) for item in schema.fields])

    def fields_to_json(self, schema: EventSchema, values: tuple[Any, ...]) -> dict[str, Any]:
        """Return the JSON object of checked wire values, without fields that are nil."""
        return {
            item.name: self._field_to_json(item, value)
            for item, value in zip(schema.fields, values, strict=True)
            if value is not None
        }

    def _checker(self, number: int, version: int) -> _Checker:
        checker = self._checkers.get((number, version))
        if checker is None:
            raise EventError(
                f"schema {number} version {version} is unknown to this program; "
                "a newer one may know it"
            )
        return checker

    def _field_from_json(self, where: str, item: Field, given: Mapping[str, Any]) -> Any:
        value = given.get(item.name)
        if value is None:
            if item.optional:
                return None
            raise EventError(
                f"{where}field {item.name}: got nothing, expected {item.kind.expected}"
            )
        if holds_float(value):
            raise _float_error(where, item, value)
        if isinstance(item.kind, Replacement):
            return self._replacement_from_json(where, item, value)
        try:
            return item.kind.from_json(value)
        except ValueError as error:
            raise EventError(f"{where}field {item.name}: {error}") from None

    def _replacement_from_json(self, where: str, item: Field, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, dict) or not set(value) <= {"type", "version", "fields"}:
            raise EventError(
                f"{where}field {item.name}: got {shown(value)}, expected {item.kind.expected}"
            )
        schema = self.named(value.get("type"), value.get("version"))
        if schema.corrects:
            raise EventError(
                f"{where}field {item.name}: got {schema.name}, expected {item.kind.expected}"
            )
        return schema.number, schema.version, self.fields_from_json(schema, value.get("fields"))

    def _field_to_json(self, item: Field, value: Any) -> Any:
        if not isinstance(item.kind, Replacement):
            return item.kind.to_json(value)
        number, version, inner = value
        schema = self.get(number, version)
        return {
            "type": schema.name,
            "version": version,
            "fields": self.fields_to_json(schema, inner),
        }


class _Checker:
    """One schema with its decoder, and the places of what the decoder leaves to check."""

    __slots__ = ("_checked", "_decoder", "_rules", "replacements", "schema")

    def __init__(self, schema: EventSchema) -> None:
        names = [item.name for item in schema.fields]
        assert len(set(names)) == len(names) <= FIELDS_MAX, names
        # The day of the event stands behind the last field.
        place = {name: index for index, name in enumerate([*names, OCCURRED_ON])}
        self.schema = schema
        self.replacements = [
            index for index, item in enumerate(schema.fields) if isinstance(item.kind, Replacement)
        ]
        self._decoder = _decoder(item.wire for item in schema.fields)
        self._checked = [
            (index, item) for index, item in enumerate(schema.fields) if item.kind.checks
        ]
        # A rule reads two fields or more, so the getter returns a tuple.
        self._rules = [
            (rule.broken, itemgetter(*[place[name] for name in rule.reads]))
            for rule in schema.rules
        ]

    def check(self, values: Any, occurred_on: str) -> None:
        """Raise `EventError` at the first field or rule that is broken."""
        try:
            self._decoder.decode(encode(values))
        except _BAD_VALUES:
            raise self._explain(values) from None
        for index, item in self._checked:
            if values[index] is not None:
                try:
                    item.kind.check(values[index])
                except ValueError as error:
                    raise EventError(f"{self.schema.title}: field {item.name}: {error}") from None
        if self._rules:
            places = (*values, occurred_on)
            for breaks, read in self._rules:
                broken = breaks(*read(places))
                if broken is not None:
                    raise EventError(f"{self.schema.title}: {broken}")

    def _explain(self, values: Any) -> EventError:
        """Return the error of the first field that does not decode by itself."""
        where = f"{self.schema.title}: "
        fields = self.schema.fields
        if not isinstance(values, list | tuple) or len(values) != len(fields):
            return EventError(f"{where}fields: got {shown(values)}, expected {len(fields)} values")
        for item, value in zip(fields, values, strict=True):
            try:
                _decoder([item.wire]).decode(encode([value]))
            except _BAD_VALUES:
                if holds_float(value):
                    return _float_error(where, item, value)
                return EventError(
                    f"{where}field {item.name}: got {shown(value)}, expected {item.kind.expected}"
                )
        raise AssertionError(f"{where}every field decodes, but not all together")


def _finding(rule: Rule, severity: Severity, read: Mapping[str, Any]) -> Finding:
    """Return the finding of a broken rule; amounts are named and not shown."""
    got = ", ".join(
        f"{name} {'not shown' if name.endswith('_minor') else shown(value)}"
        for name, value in read.items()
    )
    return Finding(rule.code, severity, rule.reads[0], got, rule.expected, rule.fix)


def _decoder(wire: Iterable[Any]) -> msgspec.msgpack.Decoder[Any]:
    """Return a decoder of an array with exactly these types."""
    return msgspec.msgpack.Decoder(GenericAlias(tuple, tuple(wire)))


def _float_error(where: str, item: Field, value: Any) -> EventError:
    return EventError(
        f"{where}field {item.name}: float money: got {shown(value)}, expected "
        f"{item.kind.expected}; no field takes a float, write amounts in minor units"
    )
