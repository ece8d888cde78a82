"""
What an event and whom it is about must agree on.

No event names its subject, so only who reports it, and who reads it with the identifier at hand,
can check this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tradeline_ledger.errors import EventError, IdentifierError
from tradeline_ledger.event_types.guarantee import DEBTOR_TYPE, GIVEN
from tradeline_ledger.event_types.subject import IDENTITY, PROFILE
from tradeline_ledger.identifier import IdType, SubjectId, parse_identifier
from tradeline_ledger.schema import About
from tradeline_ledger.schemas import SCHEMAS

if TYPE_CHECKING:
    from tradeline_ledger.schema import EventSchema, SchemaSet

PERSONS: Final = frozenset({IdType.RESIDENT_ID, IdType.US_SSN})
"""Types of identifier that persons have; the others are those of firms."""

_BIRTH: Final = slice(6, 14)
"""Where a resident ID has the day of birth, `YYYYMMDD`."""


def check_subject(
    schema: EventSchema,
    values: tuple[Any, ...],
    subject: SubjectId,
    current_year: int,
    schemas: SchemaSet = SCHEMAS,
) -> None:
    """
    Accept checked values of an event that may be about `subject`.

    Args:
        schema: of the event; of a correction, its replacement is looked at.
        values: in the order of the schema.
        subject: whom the event is filed for.
        current_year: last year in which a person can be born.
        schemas: the types that are known.

    Raises:
        EventError: the type is not about such subjects, the day of birth is another than the
            identifier's, the subject is its own debtor, or an identifier in a field is wrong.
    """
    replaced = schemas.replaced(schema, values)
    if replaced is not None:
        _, _, inner = values[-1]
        check_subject(replaced, inner, subject, current_year, schemas)
        return
    person = subject.id_type in PERSONS
    if schema.about is not About.ANY and (schema.about is About.PERSON) != person:
        raise EventError(
            f"{schema.title}: subject: got a {'person' if person else 'firm'}, expected a "
            f"{schema.about.value}"
        )
    given = dict(zip((item.name for item in schema.fields), values, strict=True))
    match schema.number:
        case IDENTITY.number:
            _check_birth(schema, given["born_on"], subject)
        case GIVEN.number:
            _check_debtor(schema, given, subject, current_year)
        case PROFILE.number:
            for name, id_type in (("uscc", IdType.USCC), ("lei", IdType.LEI)):
                if given[name] is not None:
                    _parse(schema, name, id_type, given[name], current_year)


def _check_birth(schema: EventSchema, born_on: str | None, subject: SubjectId) -> None:
    if born_on is None or subject.id_type is not IdType.RESIDENT_ID:
        return
    if born_on.replace("-", "") != subject.identifier[_BIRTH]:
        raise EventError(
            f"{schema.title}: field born_on: got another day, expected the day of birth in the "
            "subject's resident ID"
        )


def _check_debtor(
    schema: EventSchema, given: dict[str, Any], subject: SubjectId, current_year: int
) -> None:
    if given["debtor_number"] is None:
        return
    id_type = IdType[DEBTOR_TYPE.to_json(given["debtor_type"]).upper()]
    debtor = _parse(schema, "debtor_number", id_type, given["debtor_number"], current_year)
    if debtor == subject:
        raise EventError(
            f"{schema.title}: field debtor_number: got the guarantor, expected somebody else, "
            "since nobody vouches for their own debt"
        )


def _parse(
    schema: EventSchema, name: str, id_type: IdType, text: str, current_year: int
) -> SubjectId:
    try:
        return parse_identifier(id_type, text, current_year)
    except IdentifierError as error:
        raise EventError(f"{schema.title}: field {name}: {error}") from None
