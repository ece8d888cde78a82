"""Phone numbers in the form of E.164, by the numbering plans of libphonenumber."""

from __future__ import annotations

import re
from typing import Final

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

from tradeline_client.imports.cleansing_value import (
    Distinct,
    Normalised,
    ValueFinding,
    clean_words,
)
from tradeline_client.imports.fault import Severity

_PLACEHOLDER: Final = re.compile(r"(\d)\1{7,}$|12345678|13800138000$", re.ASCII)

_EXTENSION: Final = r"\s*[转轉]\s*"
"""How an extension is written in Chinese, which the library does not know."""

INVALID: Final = ValueFinding(
    code="phone-invalid",
    got="digits that no numbering plan has",
    expected="a phone number of the region, or one that starts with + and its country code",
    fix="correct the number, or leave it out",
    severity=Severity.WARNING,
)
PLACEHOLDER: Final = ValueFinding(
    code="phone-placeholder",
    got="a number that is typed to get past a form",
    expected="the phone number of the subject",
    fix="leave the field out where no number is known",
    severity=Severity.WARNING,
)
EXTENSION: Final = ValueFinding(
    code="phone-extension",
    got="a number with an extension",
    expected="a number of E.164, which has none",
    fix="nothing; the number was read without its extension",
    severity=Severity.WARNING,
)


def normalise_phone(array: pa.Array, region: str) -> Normalised:
    """
    Return phone numbers as E.164 has them: `+8613912345678`.

    What is no valid number stays as it was written. One call a distinct number, some 70 µs each.
    Faults: `phone-invalid`, `phone-placeholder`, `phone-extension`.

    Args:
        array: column of strings.
        region: ISO 3166-1 alpha-2 code of the region whose numbers are written without a country.
    """
    assert region in phonenumbers.SUPPORTED_REGIONS, region
    distinct = Distinct(array)
    words: list[str] = []
    faults: list[tuple[int, ValueFinding]] = []
    given = pc.replace_substring_regex(clean_words(distinct.words), _EXTENSION, " ext. ")
    for index, word in enumerate(given.to_pylist()):
        text, finding = _read(word, region)
        words.append(text)
        if finding is not None:
            faults.append((index, finding))
    return distinct.spread(pa.array(words, pa.string()), faults)


def _read(word: str, region: str) -> tuple[str, ValueFinding | None]:
    if not word:
        return word, None
    try:
        number = phonenumbers.parse(word, region)
    except phonenumbers.NumberParseException:
        return word, INVALID
    if not phonenumbers.is_valid_number(number):
        return word, INVALID
    text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if _PLACEHOLDER.search(text):
        return text, PLACEHOLDER
    return text, EXTENSION if number.extension else None
