"""
JSON Schema (draft 2020-12) of the lines of a file of events, made from the event types.

For editors, for other programs and for who writes an export. What it accepts and the validator
refuses is named in its comments: days after today, check digits, and rules that compare fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tradeline_ledger.currency import MINOR_DIGITS
from tradeline_ledger.event import REFERENCE_CHARS_MAX
from tradeline_ledger.field import (
    AMOUNT_MINOR_MAX,
    Amount,
    Choice,
    Currency,
    Day,
    Field,
    Integer,
    Kind,
    Period,
    Replacement,
    Rows,
    Text,
)
from tradeline_ledger.identifier import IDENTIFIER_CHARS_MAX, IdType
from tradeline_ledger.rule import GivenTogether, Needs, Rule, ZeroTogether
from tradeline_ledger.schema import About, EventSchema, Handle
from tradeline_ledger.schemas import SCHEMAS
from tradeline_ledger.subject_rule import PERSONS

if TYPE_CHECKING:
    from tradeline_ledger.schema import SchemaSet

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_NULL: Final = {"type": "null"}
_DAY: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
_MONTH: Final = r"^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])$"
_NO_CONTROLS: Final = r"^[^\u0000-\u001f\u007f-\u009f]*$"


def json_schema(schema: EventSchema, schemas: SchemaSet = SCHEMAS) -> dict[str, Any]:
    """Return the JSON Schema of a line that reports an event of a type."""
    properties: dict[str, Any] = {
        "subject": _subject(schema.about),
        "type": {"const": schema.name},
        "version": {"const": schema.version},
        "occurred_on": {"type": "string", "format": "date", "pattern": _DAY},
        "basis": {"enum": [basis.name.lower() for basis in sorted(schema.bases)]},
        "ref": _text(REFERENCE_CHARS_MAX),
        "fields": _object(schema.fields, schema.rules, schemas),
    }
    required = ["subject", "type", "occurred_on", "basis", "ref"]
    if schema.account is not Handle.ABSENT:
        properties["account"] = _text(REFERENCE_CHARS_MAX)
    if schema.account is Handle.REQUIRED:
        required.append("account")
    if schema.corrects:
        properties["target"] = _target()
        required.append("target")
    if any(not item.optional for item in schema.fields):
        required.append("fields")
    return {
        "$schema": DIALECT,
        "title": schema.title,
        "description": schema.doc,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        "x-law": [str(article) for article in schema.law],
    }


def _subject(about: About) -> dict[str, Any]:
    names = [
        each.name.lower()
        for each in IdType
        if about is About.ANY or (each in PERSONS) == (about is About.PERSON)
    ]
    return {
        "type": "object",
        "properties": {"type": {"enum": names}, "id": _text(IDENTIFIER_CHARS_MAX)},
        "required": ["type", "id"],
        "additionalProperties": False,
        "$comment": "check digits, county codes and dates of birth are checked as well",
    }


def _target() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "index": {"type": "integer", "minimum": 0},
            "position": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
        },
        "required": ["index", "position"],
        "additionalProperties": False,
    }


def _object(
    fields: tuple[Field, ...], rules: tuple[Rule, ...], schemas: SchemaSet
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "properties": {item.name: _field(item, schemas) for item in fields},
        "required": [item.name for item in fields if not item.optional],
        "additionalProperties": False,
    }
    said = [condition for rule in rules for condition in _conditions(rule, fields)]
    if said:
        found["allOf"] = said
    left = [rule.expected for rule in rules if not _conditions(rule, fields)]
    if left:
        found["$comment"] = "also: " + "; ".join(left)
    return found


def _field(item: Field, schemas: SchemaSet) -> dict[str, Any]:
    """Return the schema of a field; null stands for a field that is not reported."""
    kind = _kind(item.kind, schemas)
    described = {"description": item.doc}
    return {**described, "anyOf": [kind, _NULL]} if item.optional else {**described, **kind}


def _kind(kind: Kind, schemas: SchemaSet) -> dict[str, Any]:
    match kind:
        case Amount():
            return {"type": "integer", "minimum": kind.minor_min, "maximum": AMOUNT_MINOR_MAX}
        case Integer():
            return {"type": "integer", "minimum": kind.minimum, "maximum": kind.maximum}
        case Choice():
            return {"enum": list(kind.names)}
        case Currency():
            return {"enum": sorted(MINOR_DIGITS)}
        case Day():
            return {"type": "string", "format": "date", "pattern": _DAY}
        case Period():
            return {"type": "string", "pattern": _MONTH}
        case Text():
            return _text(kind.chars_max)
        case Rows():
            return {
                "type": "array",
                "minItems": 1,
                "maxItems": kind.rows_max,
                "items": _object(kind.fields, (), schemas),
            }
        case Replacement():
            return {"oneOf": [_replacement(each, schemas) for each in schemas if not each.corrects]}
    raise AssertionError(kind)


def _replacement(schema: EventSchema, schemas: SchemaSet) -> dict[str, Any]:
    required = ["type"]
    if any(not item.optional for item in schema.fields):
        required.append("fields")
    return {
        "type": "object",
        "properties": {
            "type": {"const": schema.name},
            "version": {"const": schema.version},
            "fields": _object(schema.fields, schema.rules, schemas),
        },
        "required": required,
        "additionalProperties": False,
    }


def _text(chars_max: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": chars_max, "pattern": _NO_CONTROLS}


def _conditions(rule: Rule, fields: tuple[Field, ...]) -> list[dict[str, Any]]:
    """Return a rule in terms of JSON Schema; empty if it compares values, which that can't."""
    match rule:
        case GivenTogether(fields=names):
            return [{"if": _given(one), "then": _all(names)} for one in names]
        case Needs(choice=choice, numbers=numbers, one_of=one_of):
            kind = next(item.kind for item in fields if item.name == choice)
            assert isinstance(kind, Choice), kind
            chosen = {
                "required": [choice],
                "properties": {choice: {"enum": [kind.to_json(each) for each in numbers]}},
            }
            return [{"if": chosen, "then": {"anyOf": [_given(name) for name in one_of]}}]
        case ZeroTogether(first=first, second=second):
            return [
                {"if": {"allOf": [_is_zero(one), _given(other)]}, "then": _is_zero(other)}
                for one, other in ((first, second), (second, first))
            ]
    return []


def _given(name: str) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"not": _NULL}}}


def _all(names: tuple[str, ...]) -> dict[str, Any]:
    return {"allOf": [_given(name) for name in names]}


def _is_zero(name: str) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"const": 0}}}
