"""Names, addresses, codes and free text in one form (docs/cleansing.md, section 1)."""

from __future__ import annotations

import enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tradeline_client.imports.cleansing_value import (
    Distinct,
    Normalised,
    ValueFinding,
    clean_words,
    matching,
)
from tradeline_client.imports.fault import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

_HAN_SPACE: Final = r"(\p{Han}) (\p{Han})"
_MIDDLE_DOT: Final = r" ?[\x{2022}\x{2027}\x{2219}\x{22C5}\x{30FB}\x{16EB}\x{B7}\x{387}] ?"
_DASHES: Final = r"[\x{2010}-\x{2015}\x{2212}\x{FE58}]"
_DAMAGED: Final = r"\x{FFFD}|锟斤拷|烫烫烫|屯屯屯|ï¿½|Ã[\x{80}-\x{BF}©¨¼¶]|â€"
"""What text looks like that was read in a wrong encoding, once or twice."""
_PLACEHOLDER: Final = (
    r"(?i)^(?:test.{0,8}|xxx+|aaa+|n/?a|none|null|nil|unknown|no name|-+|\?+|\.+|0+|"
    r"测试.{0,8}|无|无名|无名氏|不详|未知|空)$"
)
_DIGIT: Final = r"\d"
_FORMULA: Final = r"^\s*(?:[=@][A-Za-z(+\-\"']|[+\-][A-Za-z(=@\"'])|^\s*=\d"
"""How a cell begins that a spreadsheet would compute; a number with its sign does not."""
_ERROR_CELL: Final = r"^#(?:REF!|VALUE!|N/A|NAME\?|DIV/0!|NUM!|NULL!)$"

DAMAGED: Final = ValueFinding(
    code="text-damaged",
    got="characters that a wrong encoding leaves behind",
    expected="text in the encoding of the file",
    fix="export the file again as UTF-8, or name its encoding in the mapping",
    severity=Severity.REJECT,
)
FORMULA: Final = ValueFinding(
    code="formula-cell",
    got="a formula, or an error of one",
    expected="the value itself",
    fix="paste values over the formulas before the sheet is saved as CSV",
    severity=Severity.REJECT,
)
PLACEHOLDER: Final = ValueFinding(
    code="name-placeholder",
    got="a word that stands for no name",
    expected="the name of a person or firm",
    fix="report the name of the contract, or leave the field out",
    severity=Severity.QUARANTINE,
)
NAME_DIGITS: Final = ValueFinding(
    code="name-with-digits",
    got="digits in a name",
    expected="a name as on the document that identified the subject",
    fix="look whether another column was mapped, or a number was appended",
    severity=Severity.WARNING,
)
CODE_FORMAT: Final = ValueFinding(
    code="code-formatting",
    got="a code with other case, width or spaces than usual",
    expected="the code as the table has it",
    fix="nothing, the code was read; mend the export if it comes again",
    severity=Severity.WARNING,
)
CONVERTED: Final = ValueFinding(
    code="script-converted",
    got="traditional characters",
    expected="simplified characters, which the mapping asks for",
    fix="nothing, or let the mapping keep the script as it is written",
    severity=Severity.WARNING,
)


@enum.unique
class Script(enum.Enum):
    """What becomes of traditional Chinese characters."""

    AS_WRITTEN = "as-written"
    """They stay: the name on the document is the name."""
    SIMPLIFIED = "simplified"
    """They are converted, and each converted value is reported."""


def normalise_text(array: pa.Array) -> Normalised:
    """
    Return free text in form NFKC, without invisible characters, with single spaces.

    Faults: `text-damaged`, `formula-cell`.
    """
    distinct = Distinct(array)
    words = clean_words(distinct.words)
    return distinct.spread(words, _text_faults(words))


def normalise_name(array: pa.Array, script: Script = Script.AS_WRITTEN) -> Normalised:
    """
    Return names as `normalise_text`, without spaces between Chinese characters.

    The dots that stand between parts of a name become U+00B7. Faults: those of text, and
    `name-placeholder`, `name-with-digits`, `script-converted`.
    """
    distinct = Distinct(array)
    words = _without_han_spaces(clean_words(distinct.words))
    words = pc.replace_substring_regex(words, _MIDDLE_DOT, "\u00b7")
    words, faults = _in_script(words, script, _text_faults(words))
    faults += matching(words, _PLACEHOLDER, PLACEHOLDER)
    faults += matching(words, _DIGIT, NAME_DIGITS)
    return distinct.spread(words, faults)


def normalise_address(array: pa.Array, script: Script = Script.AS_WRITTEN) -> Normalised:
    """
    Return addresses as `normalise_text`, without spaces between Chinese characters, one dash.

    Faults: those of text, and `script-converted`.
    """
    distinct = Distinct(array)
    words = _without_han_spaces(clean_words(distinct.words))
    words = pc.replace_substring_regex(words, _DASHES, "-")
    words, faults = _in_script(words, script, _text_faults(words))
    return distinct.spread(words, faults)


def normalise_code(array: pa.Array) -> Normalised:
    """
    Return codes in form NFKC, in lower case, with inner spaces as one underscore.

    A code table is to be compared in the same form (`code_key`). Faults: those of text, and
    `code-formatting` where the text was changed and the same code comes in another spelling, too.
    """
    distinct = Distinct(array)
    words = _code_words(distinct.words)
    faults = _text_faults(words)
    spellings: dict[str, list[int]] = {}
    for index, word in enumerate(words.to_pylist()):
        spellings.setdefault(word, []).append(index)
    for several in spellings.values():
        if len(several) > 1:
            # The commonest spelling is the usual one; of equals, the first.
            usual = max(several, key=lambda index: len(distinct.places(index)))
            faults += [(index, CODE_FORMAT) for index in several if index != usual]
    return distinct.spread(words, sorted(faults, key=lambda each: each[0]))


def code_key(text: str) -> str:
    """Return a code of a table in the form that `normalise_code` gives."""
    word: str = _code_words(pa.array([text], pa.string()))[0].as_py()
    return word


def _code_words(words: pa.Array) -> pa.Array:
    words = pc.utf8_lower(clean_words(words))
    return pc.replace_substring(words, " ", "_")


def _text_faults(words: pa.Array) -> list[tuple[int, ValueFinding]]:
    return [
        *matching(words, _DAMAGED, DAMAGED),
        *matching(words, f"{_FORMULA}|{_ERROR_CELL}", FORMULA),
    ]


def _without_han_spaces(words: pa.Array) -> pa.Array:
    # Twice, since the character that ends one match may begin the next.
    for _ in range(2):
        words = pc.replace_substring_regex(words, _HAN_SPACE, r"\1\2")
    return words


def _in_script(
    words: pa.Array, script: Script, faults: Sequence[tuple[int, ValueFinding]]
) -> tuple[pa.Array, list[tuple[int, ValueFinding]]]:
    if script is Script.AS_WRITTEN:
        return words, list(faults)
    given = words.to_pylist()
    convert = _converter().convert
    made = [convert(word) for word in given]
    converted = [
        (index, CONVERTED)
        for index, (old, new) in enumerate(zip(given, made, strict=True))
        if old != new
    ]
    return pa.array(made, pa.string()), [*faults, *converted]


@lru_cache(maxsize=1)
def _converter() -> Any:
    """Return what converts traditional characters, its tables read once."""
    from opencc import OpenCC  # noqa: PLC0415 - its tables take time and are seldom asked for

    return OpenCC("t2s")
