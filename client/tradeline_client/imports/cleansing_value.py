"""
Values of a column brought into one form, each distinct value once (docs/cleansing.md, section 1).

What only concerns writing (width, invisible characters, spaces) is normalised and said to be
changed. What concerns meaning is a fault and stays as it was written: nothing is repaired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_client.imports.fault import Severity

_INVISIBLE: Final = (
    r"[\x{AD}\x{180E}\x{200B}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2060}-\x{2064}"
    r"\x{2066}-\x{2069}\x{FE00}-\x{FE0F}\x{FEFF}]"
)
"""
Characters without a look of their own. The joiners U+200C and U+200D stay: in Persian and in
scripts of India they change the letters beside them.
"""
_CONTROL: Final = r"[\x{0}-\x{8}\x{E}-\x{1F}\x{7F}-\x{84}\x{86}-\x{9F}]"
_SPACES: Final = r"[\s\x{B}\x{85}\p{Z}]+"


@dataclass(frozen=True, slots=True)
class ValueFault:
    """One fault of one distinct value, and where in the column it stands."""

    places: NDArray[np.int64]
    """0-based places in the column, ascending."""
    code: str
    """Stable name, as of a `RowFault`."""
    got: str
    """What was found, as far as it may be shown."""
    expected: str
    fix: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class ValueFinding:
    """What a check says about one distinct value; `Distinct.fault` adds its places."""

    code: str
    got: str
    expected: str
    fix: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Normalised:
    """A column in normal form. Its representation shows no value."""

    array: pa.StringArray
    """As long as what was given; null where nothing is left."""
    changed: NDArray[np.bool_]
    """Where the text differs from what was given."""
    faults: tuple[ValueFault, ...]
    """By distinct value, in the order in which each comes first."""

    def __repr__(self) -> str:
        return f"Normalised({len(self.array)} values, {len(self.faults)} faults, not shown)"


class Distinct:
    """The distinct values of a column, and where each of them stands."""

    __slots__ = ("_given", "_order", "_places", "_starts", "words")

    def __init__(self, array: pa.Array) -> None:
        """Take a column of strings, in one chunk or several."""
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        self._given = array.cast(pa.string())
        encoded = self._given.dictionary_encode()
        self.words: pa.StringArray = encoded.dictionary
        """Each value once, without nulls, in the order in which they come first."""
        self._places: pa.Array = encoded.indices
        self._order: NDArray[np.int64] | None = None
        self._starts: NDArray[np.int64] | None = None

    def places(self, word: int) -> NDArray[np.int64]:
        """Return where the distinct value number `word` stands in the column."""
        if self._order is None or self._starts is None:
            filled = self._places.fill_null(len(self.words)).to_numpy(zero_copy_only=False)
            self._order = np.argsort(filled, kind="stable")
            self._starts = np.searchsorted(
                filled[self._order], np.arange(len(self.words) + 1), side="left"
            )
        return self._order[self._starts[word] : self._starts[word + 1]]

    def fault(self, word: int, finding: ValueFinding) -> ValueFault:
        """Return a finding about one distinct value with its places."""
        return ValueFault(
            self.places(word),
            finding.code,
            finding.got,
            finding.expected,
            finding.fix,
            finding.severity,
        )

    def spread(self, words: pa.Array, findings: Sequence[tuple[int, ValueFinding]]) -> Normalised:
        """Return the column with `words` in place of the distinct values; empty ones are null."""
        words = pc.if_else(pc.equal(words, ""), pa.scalar(None, pa.string()), words)
        array = words.take(self._places)
        same = pc.equal(array, self._given).fill_null(False)  # noqa: FBT003 - pyarrow's signature
        kept = pc.or_(same, pc.is_null(self._given))
        faults = tuple(self.fault(word, finding) for word, finding in findings)
        return Normalised(array, ~kept.to_numpy(zero_copy_only=False), faults)


def matching(
    words: pa.Array, pattern: str, finding: ValueFinding
) -> list[tuple[int, ValueFinding]]:
    """Return `finding` for each distinct value in which a pattern of RE2 is found."""
    mask = pc.match_substring_regex(words, pattern).fill_null(False)  # noqa: FBT003
    return [(int(index), finding) for index in np.flatnonzero(mask.to_numpy(zero_copy_only=False))]


def clean_words(words: pa.Array) -> pa.Array:
    """Return strings in form NFKC without invisible characters, with single spaces, trimmed."""
    words = pc.utf8_normalize(words, form="NFKC")
    words = pc.replace_substring_regex(words, _INVISIBLE, "")
    words = pc.replace_substring_regex(words, _SPACES, " ")
    words = pc.replace_substring_regex(words, _CONTROL, "")
    # What was dropped may have stood between letters and their marks.
    return pc.utf8_normalize(pc.utf8_trim(words, " "), form="NFKC")
