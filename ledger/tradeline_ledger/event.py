"""
Credit events: what a contributor reports, its record, and its forms in JSON and in bytes.

docs/formats.md, section 4. A `Report` is what the contributor knows: type, day, its own references
and fields. Bound to a subject it becomes an `Event`, in which the references are keyed, so that
nobody else can read or match them, and `check` ties it to the subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from tradeline_ledger.calendar import month_of, parse_date, year_of
from tradeline_ledger.encoding import (
    B16,
    U8,
    U16,
    U32,
    U64,
    U64_MAX,
    Codec,
    Record,
    check_text,
    encode,
)
from tradeline_ledger.errors import EventError, MalformedError
from tradeline_ledger.field import shown
from tradeline_ledger.hashing import label
from tradeline_ledger.mac import SHORT_MAC_BYTES, MacKey
from tradeline_ledger.schema import Basis, EventSchema, Handle, SchemaSet
from tradeline_ledger.schemas import SCHEMAS
from tradeline_ledger.tag import Category

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EVENT_BYTES_MAX: Final = 16 * 1024 - 4
"""The largest bucket of padding less its length field."""
REFERENCE_CHARS_MAX: Final = 128
REFERENCE_SECRET_BYTES: Final = 32

_REF = label("ref")
_ACCOUNT = label("account")
_JSON_KEYS = frozenset(
    {"type", "version", "occurred_on", "basis", "ref", "account", "target", "fields"}
)

# Arrays nest as deep as a correction of an event with rows needs, and no deeper.
_Scalar = int | str | None
_Cells = tuple[_Scalar, ...]
_RowCells = tuple[_Scalar | _Cells, ...]
_InnerFields = tuple[_Scalar | _RowCells, ...]
_Replacement = tuple[_Scalar | _InnerFields, ...]
Fields = tuple[_Scalar | _Replacement, ...]
"""Values in the order of a schema."""


class Event(Record, frozen=True):
    """One credit event, as it is sealed into a body."""

    schema: U16
    """Number of the event type."""
    version: U8
    """Version of the schema that the fields follow."""
    occurred_on: str
    """Day on which what is reported happened, `YYYY-MM-DD`; its year is that of the tag."""
    basis: U8
    """A `Basis`: why it may be reported."""
    ref: B16
    """The contributor's reference of this row, keyed: the same row again has the same."""
    account: B16 | None
    """The contributor's reference of the account, keyed; nil where there is none."""
    check: B16
    """Ties the event to its subject: `check_value`."""
    target: tuple[U64, U32] | None
    """Log index and position of the event that a correction is about."""
    fields: Fields
    """Values in the order of the schema."""


_EVENT = Codec[Event](Event, "event", EVENT_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class Report:
    """What a contributor reports, with its own references in clear. It stays with it."""

    schema: EventSchema
    """Type and version."""
    occurred_on: str
    """Day on which it happened, `YYYY-MM-DD`."""
    basis: Basis
    """Why it may be reported."""
    ref: str
    """The contributor's own reference of this row."""
    account: str | None
    """The contributor's own reference of the account."""
    fields: tuple[Any, ...]
    """Wire values in the order of the schema."""
    target: tuple[int, int] | None = None
    """Log index and position of the event that it corrects."""


class Binder(Protocol):
    """Ties a reference to a subject: `Filer.check` for one subject."""

    def __call__(self, year: int, ref: bytes, /) -> bytes:
        """Return the check value, 16 bytes, of the event `ref` in a year."""
        ...


class References:
    """Keys a contributor's own references under a secret of its own."""

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        """Take 32 bytes that never leave the contributor and never change."""
        assert len(secret) == REFERENCE_SECRET_BYTES, len(secret)
        self._key = MacKey(secret)

    def __repr__(self) -> str:
        return "References()"

    def ref(self, text: str) -> bytes:
        """Return the 16 bytes that stand for one reported row."""
        return self._key.sign(_REF + text.encode())[:SHORT_MAC_BYTES]

    def account(self, text: str) -> bytes:
        """Return the 16 bytes that stand for one account."""
        return self._key.sign(_ACCOUNT + text.encode())[:SHORT_MAC_BYTES]

    def refs(self, texts: Sequence[str]) -> list[bytes]:
        """Return `ref` of each text; much faster for many."""
        return self._key.sign_short([_REF + text.encode() for text in texts])

    def accounts(self, texts: Sequence[str]) -> list[bytes]:
        """Return `account` of each text; much faster for many."""
        return self._key.sign_short([_ACCOUNT + text.encode() for text in texts])


def bind(report: Report, references: References, binder: Binder) -> Event:
    """Return the event record of a report; `encode_event` checks it."""
    ref = references.ref(report.ref)
    return Event(
        schema=report.schema.number,
        version=report.schema.version,
        occurred_on=report.occurred_on,
        basis=report.basis,
        ref=ref,
        account=None if report.account is None else references.account(report.account),
        check=binder(year_of(report.occurred_on), ref),
        target=report.target,
        fields=report.fields,
    )


def encode_event(event: Event, schemas: SchemaSet = SCHEMAS) -> bytes:
    """
    Return the bytes of an event that follows its schema.

    Raises:
        EventError: it does not, or is longer than `EVENT_BYTES_MAX`.
    """
    assert len(event.ref) == len(event.check) == SHORT_MAC_BYTES, event
    check_event(event, schemas)
    encoded = encode(event)
    if len(encoded) > EVENT_BYTES_MAX:
        raise EventError(f"event has {len(encoded)} bytes, at most {EVENT_BYTES_MAX} are allowed")
    return encoded


def decode_event(encoded: bytes, schemas: SchemaSet = SCHEMAS) -> Event:
    """
    Return the event that `encoded` is the canonical encoding of, checked by its schema.

    Raises:
        EventError: not canonical, unknown type or version, or against its schema.
    """
    try:
        event = _EVENT.decode(encoded)
    except MalformedError as error:
        raise EventError(str(error)) from error
    return check_event(event, schemas)


def check_event(event: Event, schemas: SchemaSet = SCHEMAS) -> Event:
    """
    Return `event` if it follows its schema.

    Raises:
        EventError: it does not; the message says field, got and expected.
    """
    try:
        month_of(event.occurred_on)
    except ValueError:
        raise _day_error("occurred_on", event.occurred_on) from None
    schema = schemas.check(event.schema, event.version, event.fields, event.occurred_on)
    corrects = schema.category is None
    described = (schemas.replaced(schema, event.fields) or schema) if corrects else schema
    if (event.target is not None) != corrects:
        raise EventError(
            f"{schema.title}: target: got {'one' if event.target else 'none'}, expected "
            + ("the event that it corrects" if corrects else "none")
        )
    if event.basis not in described.bases:
        expected = ", ".join(f"{basis} {basis.name.lower()}" for basis in sorted(described.bases))
        raise EventError(f"{schema.title}: basis: got {event.basis}, expected one of {expected}")
    if described.account is not Handle.AS_TARGET:
        given, wanted = event.account is not None, described.account is Handle.REQUIRED
        if given != wanted:
            raise EventError(
                f"{schema.title}: account: got {'one' if given else 'none'}, "
                f"expected {'one' if wanted else 'none'}"
            )
    return event


def category_of(event: Event, schemas: SchemaSet = SCHEMAS) -> Category | None:
    """
    Return the category that a checked event is filed under.

    None for a retraction, which says nothing about what it retracts: it takes its target's.
    """
    schema = schemas.get(event.schema, event.version)
    replaced = schemas.replaced(schema, event.fields) if schema.corrects else None
    return schema.category if replaced is None else replaced.category


def retain_month(occurred_on: str, retain_months: int) -> int:
    """
    Return the last month, `year * 12 + month - 1`, in which the body of an event is kept.

    Args:
        occurred_on: day of the event.
        retain_months: of the event's category in the parameters of the ledger.
    """
    return month_of(occurred_on) + retain_months


def report_from_json(
    line: Mapping[str, Any], *, today: str, schemas: SchemaSet = SCHEMAS
) -> Report:
    """
    Return what one line of a file of events reports; it is checked when it is encoded.

    Args:
        line: `type`, `version` (the newest if left out), `occurred_on`, `basis` by name, `ref`,
            `account`, `target` as `{"index": ..., "position": ...}` and `fields` by name. The
            caller has taken out what says whom it is about.
        today: day after which nothing can have happened yet.
        schemas: the types that are known.

    Raises:
        EventError: a key or field is unknown, missing or has another shape.
    """
    if unknown := [key for key in line if key not in _JSON_KEYS]:
        raise EventError(
            f"unknown key {shown(unknown[0])}, expected {', '.join(sorted(_JSON_KEYS))}"
        )
    schema = schemas.named(line.get("type"), line.get("version"))
    occurred_on = line.get("occurred_on")
    if not isinstance(occurred_on, str):
        raise _day_error("occurred_on", occurred_on)
    try:
        parse_date(occurred_on)
    except ValueError:
        raise _day_error("occurred_on", occurred_on) from None
    if occurred_on > today:
        raise EventError(f"occurred_on: got {occurred_on}, expected not after today, {today}")
    fields = schemas.fields_from_json(schema, line.get("fields", {}))
    schemas.check(schema.number, schema.version, fields, occurred_on)
    account = line.get("account")
    return Report(
        schema=schema,
        occurred_on=occurred_on,
        basis=_basis_from_json(line.get("basis")),
        ref=_reference_from_json("ref", line.get("ref")),
        account=None if account is None else _reference_from_json("account", account),
        fields=fields,
        target=_target_from_json(line.get("target")),
    )


def report_to_json(report: Report, schemas: SchemaSet = SCHEMAS) -> dict[str, Any]:
    """Return the line of a file of events; `report_from_json` reads it."""
    line: dict[str, Any] = {
        "type": report.schema.name,
        "version": report.schema.version,
        "occurred_on": report.occurred_on,
        "basis": report.basis.name.lower(),
        "ref": report.ref,
        "fields": schemas.fields_to_json(report.schema, report.fields),
    }
    if report.account is not None:
        line["account"] = report.account
    if report.target is not None:
        line["target"] = _target_to_json(report.target)
    return line


def event_from_json(
    line: Mapping[str, Any],
    *,
    today: str,
    references: References,
    binder: Binder,
    schemas: SchemaSet = SCHEMAS,
) -> Event:
    """
    Return the checked event of one line of a file, bound to its subject.

    Raises:
        EventError: as `report_from_json` and `check_event`.
    """
    report = report_from_json(line, today=today, schemas=schemas)
    return check_event(bind(report, references, binder), schemas)


def event_to_json(event: Event, schemas: SchemaSet = SCHEMAS) -> dict[str, Any]:
    """Return a checked event for people and programs to read; keyed references in hex."""
    schema = schemas.get(event.schema, event.version)
    return {
        "type": schema.name,
        "version": schema.version,
        "occurred_on": event.occurred_on,
        "basis": Basis(event.basis).name.lower(),
        "ref": event.ref.hex(),
        "account": None if event.account is None else event.account.hex(),
        "target": None if event.target is None else _target_to_json(event.target),
        "fields": schemas.fields_to_json(schema, event.fields),
    }


def _day_error(name: str, value: object) -> EventError:
    return EventError(
        f"{name}: got {shown(value)}, expected a day of the calendar written as YYYY-MM-DD"
    )


def _basis_from_json(value: object) -> Basis:
    names = [basis.name.lower() for basis in Basis]
    if not isinstance(value, str) or value not in names:
        raise EventError(f"basis: got {shown(value)}, expected one of {', '.join(names)}")
    return Basis[value.upper()]


def _reference_from_json(name: str, value: object) -> str:
    expected = f"1 to {REFERENCE_CHARS_MAX} characters without control characters"
    if not isinstance(value, str):
        raise EventError(f"{name}: got {shown(value)}, expected {expected}")
    try:
        check_text(value, name, REFERENCE_CHARS_MAX)
    except ValueError as error:
        raise EventError(str(error)) from None
    return value


def _target_from_json(value: object) -> tuple[int, int] | None:
    match value:
        case None:
            return None
        case {"index": index, "position": position, **rest} if not rest:
            # A bool is an int to Python, but not on the wire.
            whole = type(index) is int and type(position) is int
            if whole and 0 <= index <= U64_MAX and 0 <= position < 1 << 32:
                return index, position
    raise EventError(
        f"target: got {shown(value)}, expected index and position of the corrected event"
    )


def _target_to_json(target: tuple[int, int]) -> dict[str, int]:
    index, position = target
    return {"index": index, "position": position}
