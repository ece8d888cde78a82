"""
Identifiers in normal form; of a wrong one, the slip that most likely explains it.

A slip is reported by its place and kind and never repaired: a check digit lets one in eleven of
all changes pass, so what passes may be somebody else's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from tradeline_client.imports.cleansing_value import (
    Distinct,
    Normalised,
    ValueFinding,
    clean_words,
)
from tradeline_client.imports.fault import Severity
from tradeline_ledger.errors import IdentifierError
from tradeline_ledger.identifier import IdType, normalise, parse_identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOKALIKES: Final = {
    char: others
    for group in ("0OQD", "1IL", "2Z", "5S", "6G", "8B")
    for char, others in ((each, group[0] if each != group[0] else group[1:]) for each in group)
}
"""What is read or typed for what, in both ways."""
_LETTER_X: Final = "*\u00d7\u2573\u2715\u2716\u0425\u0445\u03a7\u03c7"
"""What stands for the X at the end of a resident ID: signs, and letters of other scripts."""
_SCIENTIFIC: Final = re.compile(r"\d(?:\.\d+)?[Ee]\+?\d{2}", re.ASCII)
_CUT: Final = re.compile(r"\d{15}000", re.ASCII)
"""A spreadsheet keeps 15 digits of a number."""
_CHARS: Final = {IdType.RESIDENT_ID: 18, IdType.USCC: 18, IdType.LEI: 20}

_SHEET: Final = "keep the column as text in the sheet and export again; the digits are lost here"


def normalise_identifier(array: pa.Array, id_type: IdType, current_year: int) -> Normalised:
    """
    Return identifiers in the normal form of the ledger; what fails its checks stays as written.

    Faults, all of which reject: `identifier-scientific`, `identifier-cut`, `identifier-typo` where
    one slip explains it, `identifier-wrong`. One check a distinct identifier.

    Args:
        array: column of strings.
        id_type: what they are said to be.
        current_year: last year in which a person can be born.
    """
    distinct = Distinct(array)
    words: list[str] = []
    faults: list[tuple[int, ValueFinding]] = []
    for index, word in enumerate(clean_words(distinct.words).to_pylist()):
        try:
            words.append(parse_identifier(id_type, word, current_year).identifier)
        except IdentifierError as error:
            words.append(word)
            if word:
                faults.append((index, _explain(id_type, word, current_year, error)))
    return distinct.spread(pa.array(words, pa.string()), faults)


def likely_slips(id_type: IdType, text: str, current_year: int) -> list[str]:
    """
    Return the single slips that would explain a wrong identifier, by place, counted from 1.

    A slip is a look-alike character or two neighbours that were exchanged. What is returned shows
    no character of the identifier.
    """
    found = []
    for said, candidate in _slips(id_type, text):
        try:
            parse_identifier(id_type, candidate, current_year)
        except IdentifierError:
            continue
        found.append(said)
    return found


def _explain(id_type: IdType, word: str, current_year: int, error: IdentifierError) -> ValueFinding:
    name = id_type.name
    if _SCIENTIFIC.fullmatch(word):
        return _rejected("identifier-scientific", f"{name} in scientific notation", error, _SHEET)
    if _CUT.fullmatch(word) and id_type is IdType.RESIDENT_ID:
        return _rejected(
            "identifier-cut", f"{name} that ends in 000, as a sheet leaves it", error, _SHEET
        )
    slips = likely_slips(id_type, word, current_year)
    if len(slips) == 1:
        return _rejected(
            "identifier-typo",
            f"{name} that fails its checks, and passes if {slips[0]}",
            error,
            "compare these characters with the document, and correct them at the source",
        )
    several = f"; {len(slips)} different slips would explain it" if slips else ""
    return _rejected(
        "identifier-wrong",
        f"{name} that fails its checks{several}",
        error,
        "compare it with the document, and correct it at the source",
    )


def _rejected(code: str, got: str, error: IdentifierError, fix: str) -> ValueFinding:
    # Messages about identifiers show none.
    return ValueFinding(code, got, str(error), fix, Severity.REJECT)


def _slips(id_type: IdType, text: str) -> Iterator[tuple[str, str]]:
    """Yield what a slip is said to be, and the identifier without it."""
    if id_type is IdType.RESIDENT_ID and text and text[-1] in _LETTER_X:
        text = text[:-1] + "X"
        yield "the last character is the letter X", text
    normal = normalise(text)
    if len(normal) != _CHARS[id_type]:
        return
    letters = normal if id_type is IdType.RESIDENT_ID else ""
    odd = [place for place, char in enumerate(letters) if char in _LOOKALIKES and char.isalpha()]
    if len(odd) > 1:
        # Several letters where only digits stand: one habit of whoever typed it.
        mended = [_LOOKALIKES[char] if place in odd else char for place, char in enumerate(normal)]
        yield f"its {len(odd)} letters are the digits that they look like", "".join(mended)
        return
    for place, char in enumerate(normal):
        for other in _LOOKALIKES.get(char, ""):
            yield (
                f"character {place + 1} is one that looks like it",
                normal[:place] + other + normal[place + 1 :],
            )
    for place in range(len(normal) - 1):
        first, second = normal[place], normal[place + 1]
        if first != second:
            yield (
                f"characters {place + 1} and {place + 2} are exchanged",
                normal[:place] + second + first + normal[place + 2 :],
            )
