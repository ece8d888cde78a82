"""
Identifiers of subjects: their types, normal forms and checks (docs/formats.md, section 6).

An identifier is brought into one normal form, because the pseudonym made from it must be the same
for every member. Check digits, county codes and birth dates are checked with python-stdnum; what
that library leaves open is decided here:

* it accepts birth dates in the future: the caller gives the current year, and 1850 is the first;
* it asks that a county code was in use in the year of birth, but the code is that of the day on
  which the number was assigned, often decades later: any year from birth to now will do;
* of an LEI it checks only the remainder: length and check digits 02 to 98 are checked here;
* a resident ID of 15 digits has no century: it is 19, but 18 where the sequence is 996 to 999,
  which were kept for people who were a hundred years old;
* a social security number of the United States has no check digit, so a mistyped one often passes:
  only areas, groups and serials that are never issued, and the best known misused ones, are found.

No message and no representation ever contains an identifier.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from stdnum.cn import ric
from stdnum.cn import uscc as stdnum_uscc
from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_97_10
from stdnum.us import ssn as stdnum_ssn

from tradeline_ledger.errors import IdentifierError

IDENTIFIER_CHARS_MAX: Final = 64
"""Length of what is given, separators included."""
BIRTH_YEAR_MIN: Final = 1850

_RESIDENT_ID_CHARS: Final = 18
_OLD_RESIDENT_ID_CHARS: Final = 15
_CENTENARIANS: Final = ("996", "997", "998", "999")
_COUNTY_CHARS: Final = 6
_SEQUENCE_MAX: Final = 999
_LEI = re.compile(r"[0-9A-Z]{18}[0-9]{2}", re.ASCII)
_LEI_CHECKS_NEVER_USED: Final = ("00", "01", "99")
"""They leave the same remainder as 97, 98 and 02, which ISO 17442 uses instead."""
_DROPPED = re.compile(r"[^0-9A-Z]", re.ASCII)


@enum.unique
class IdType(enum.IntEnum):
    """Type of a subject's identifier. The numbers are append-only."""

    RESIDENT_ID = 1
    """Resident identity number of China, GB 11643: 18 characters."""
    USCC = 2
    """Unified social credit code of China, GB 32100: 18 characters."""
    LEI = 3
    """Legal entity identifier, ISO 17442: 20 characters."""
    US_SSN = 4
    """Social security number of the United States: 9 digits."""


COUNTRIES: Final = {
    IdType.RESIDENT_ID: "CN",
    IdType.USCC: "CN",
    IdType.LEI: "",
    IdType.US_SSN: "US",
}
"""ISO 3166-1 alpha-2 code of the country that issues a type, empty where it is international."""


@dataclass(frozen=True, slots=True, repr=False)
class SubjectId:
    """One checked identifier of a person or firm, in normal form; made by `parse_identifier`."""

    id_type: IdType
    """What kind of identifier it is."""
    country: str
    """Two letters, or empty where the type is international."""
    identifier: str
    """Normal form. Never log or print it."""

    def __repr__(self) -> str:
        return f"SubjectId({self.id_type.name}, not shown)"


def parse_identifier(id_type: IdType, text: str, current_year: int) -> SubjectId:
    """
    Return the identifier that `text` writes, in normal form and checked.

    Args:
        id_type: what kind of identifier it is said to be.
        text: as somebody wrote it; width, case, spaces and separators don't matter.
        current_year: last year in which a person can be born.

    Raises:
        IdentifierError: length, characters, check digits, county code or birth date are wrong.
    """
    if len(text) > IDENTIFIER_CHARS_MAX:
        raise IdentifierError(
            f"{id_type.name} has {len(text)} characters with separators, "
            f"at most {IDENTIFIER_CHARS_MAX} are read"
        )
    normal = normalise(text)
    match id_type:
        case IdType.RESIDENT_ID:
            normal = _check_resident_id(normal, current_year)
        case IdType.USCC:
            _check_uscc(normal)
        case IdType.LEI:
            _check_lei(normal)
        case IdType.US_SSN:
            _check_us_ssn(normal)
    return SubjectId(id_type, COUNTRIES[id_type], normal)


def subject_from_json(value: object, current_year: int) -> SubjectId:
    """
    Return the subject that `{"type": "resident_id", "id": "..."}` names; types are in lower case.

    Raises:
        IdentifierError: another shape or type, or an identifier that fails its checks.
    """
    names = [id_type.name.lower() for id_type in IdType]
    match value:
        case {"type": str(name), "id": str(text), **rest} if not rest and name in names:
            return parse_identifier(IdType[name.upper()], text, current_year)
        case _:
            # What was given is not shown: it may hold an identifier in the wrong place.
            raise IdentifierError(
                'subject is not readable, expected {"type": ..., "id": "..."} with type one of '
                + ", ".join(names)
            )


def subject_to_json(subject: SubjectId) -> dict[str, str]:
    """Return what `subject_from_json` reads, identifier and all: for a member's own files."""
    return {"type": subject.id_type.name.lower(), "id": subject.identifier}


def normalise(text: str) -> str:
    """Return `text` in Unicode form NFKC and upper case, with only 0-9 and A-Z kept."""
    return _DROPPED.sub("", unicodedata.normalize("NFKC", text).upper())


def resident_id(county: str, born_on: str, sequence: int) -> str:
    """
    Return the resident ID with these parts and its check digit, for tests and examples.

    Only birth years 1850 to 1899 give numbers that belong to nobody living.

    Args:
        county: six digits of GB/T 2260.
        born_on: `YYYY-MM-DD`.
        sequence: 0 to 999, odd for men.
    """
    assert 0 <= sequence <= _SEQUENCE_MAX, sequence
    assert len(county) == _COUNTY_CHARS, county
    body = f"{county}{born_on.replace('-', '')}{sequence:03}"
    return body + ric.calc_check_digit(body + "0")  # it wants 18 characters and ignores the last


def uscc(authority: str, region: str, organisation: str) -> str:
    """
    Return the unified social credit code with these parts and its check digit.

    Args:
        authority: two characters, registering authority and kind, such as 91 for a company.
        region: six digits of GB/T 2260.
        organisation: nine characters without I, O, S, V and Z.
    """
    body = f"{authority}{region}{organisation}"
    assert len(body) == 17, len(body)  # noqa: PLR2004 - all but the check digit
    return body + stdnum_uscc.calc_check_digit(body)


def lei(body: str) -> str:
    """Return the LEI with these first 18 characters and its check digits."""
    assert len(body) == 18, len(body)  # noqa: PLR2004 - all but the check digits
    return body + mod_97_10.calc_check_digits(body)


def _check_resident_id(normal: str, current_year: int) -> str:
    if len(normal) == _OLD_RESIDENT_ID_CHARS:
        normal = _with_century(normal)
    if len(normal) != _RESIDENT_ID_CHARS:
        raise IdentifierError(
            f"RESIDENT_ID has {len(normal)} characters without separators, expected 18 (or 15)"
        )
    if not normal[:-1].isdecimal() or normal[-1] not in "0123456789X":
        raise IdentifierError("RESIDENT_ID has a letter where a digit stands; X may only be last")
    if ric.calc_check_digit(normal) != normal[-1]:
        raise IdentifierError("RESIDENT_ID has a wrong check digit; look for a mistyped one")
    birth_year = int(normal[6:10])
    if not BIRTH_YEAR_MIN <= birth_year <= current_year:
        raise IdentifierError(
            f"RESIDENT_ID has a birth year outside of {BIRTH_YEAR_MIN} to {current_year}"
        )
    try:
        ric.get_birth_date(normal)
    except ValidationError:
        raise IdentifierError("RESIDENT_ID has a birth date that is no day") from None
    if not county_known(normal[:_COUNTY_CHARS], birth_year, current_year):
        raise IdentifierError(
            "RESIDENT_ID begins with a county code that was never in use since that birth year"
        )
    return normal


def _with_century(old: str) -> str:
    if not old.isdecimal():
        raise IdentifierError("RESIDENT_ID of 15 characters has a letter, expected 15 digits")
    century = "18" if old[12:] in _CENTENARIANS else "19"
    body = old[:6] + century + old[6:]
    return body + ric.calc_check_digit(body + "0")


@lru_cache(maxsize=1 << 16)
def county_known(county: str, birth_year: int, current_year: int) -> bool:
    """Say whether a county code was in use in any year from birth to now."""
    for year in range(birth_year, current_year + 1):
        try:
            ric.get_birth_place(f"{county}{year}01010000")
        except (ValidationError, KeyError):
            # KeyError: the province is known, and no county of it has that code.
            continue
        return True
    return False


def _check_uscc(normal: str) -> None:
    try:
        stdnum_uscc.validate(normal)
    except ValidationError as error:
        # The library's messages are fixed texts; the number is in none of them.
        raise IdentifierError(
            f"USCC of {len(normal)} characters is wrong, expected 18, no I, O, S, V or Z, "
            f"with the check digit of GB 32100: {error}"
        ) from None


def _check_lei(normal: str) -> None:
    if not _LEI.fullmatch(normal):
        raise IdentifierError(
            f"LEI has {len(normal)} characters, expected 18 letters or digits and 2 check digits"
        )
    try:
        mod_97_10.validate(normal)
    except ValidationError:
        raise IdentifierError("LEI has wrong check digits; look for a mistyped one") from None
    if normal[-2:] in _LEI_CHECKS_NEVER_USED:
        raise IdentifierError("LEI has check digits outside of 02 to 98, which are never issued")


def _check_us_ssn(normal: str) -> None:
    try:
        stdnum_ssn.validate(normal)
    except ValidationError as error:
        # The library's messages are fixed texts; the number is in none of them.
        raise IdentifierError(
            f"US_SSN of {len(normal)} characters is wrong, expected 9 digits, of which the first "
            f"three, next two and last four were ever issued together: {error}"
        ) from None
