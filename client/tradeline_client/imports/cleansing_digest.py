"""
64-bit digests of columns of strings, under a key, without a Python object for each string.

A string is the sum of its bytes, each times a secret number of its place. For numbers drawn at
random two different strings meet with a chance of at most 2**-57, whoever chose them, so long as
the numbers stay secret: they are derived from a storage key, and digests are stored sealed.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

STRING_BYTES_MAX: Final = 4096
"""Bytes of a string that count; longer references are refused long before."""
_ASCII_SPACES: Final = (" ", "\t")
_FOLDED: Final = r"[\s\p{Z}\p{Cf}]+"


class Digests:
    """Digests under one key. Its representation shows nothing of it."""

    __slots__ = ("_factors",)

    def __init__(self, key: bytes) -> None:
        """Derive the secret numbers from a 32-byte key."""
        drawn = hashlib.shake_256(key).digest(8 * (STRING_BYTES_MAX + 1))
        self._factors = np.frombuffer(drawn, dtype="<u8").astype(np.uint64)

    def __repr__(self) -> str:
        return "Digests()"

    def strings(self, array: pa.Array) -> NDArray[np.uint64]:
        """Return the digest of each string; that of a null is 0."""
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        array = array.cast(pa.large_string())
        lengths = pc.binary_length(array).fill_null(0).to_numpy(zero_copy_only=False)
        lengths = np.minimum(lengths, STRING_BYTES_MAX)
        total = lengths.astype(np.uint64) * self._factors[-1]
        data = array.buffers()[2]
        if data is not None and len(lengths):
            starts = np.frombuffer(array.buffers()[1], np.int64)[array.offset :][: len(lengths)]
            self._add(total, np.frombuffer(data, np.uint8), starts, lengths)
        digests = mixed(total)
        digests[pc.is_null(array).to_numpy(zero_copy_only=False)] = 0
        return digests

    def _add(
        self,
        total: NDArray[np.uint64],
        data: NDArray[np.uint8],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
    ) -> None:
        """Add the bytes of all strings to `total`, one place after the other."""
        for place in range(int(lengths.max())):
            there = np.flatnonzero(lengths > place)
            # A byte of 0 must count, too.
            letters = data[starts[there] + place].astype(np.uint64) + np.uint64(1)
            total[there] += letters * self._factors[place]


def mixed(*columns: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return one number for the numbers of each row (the finaliser of SplitMix64, chained)."""
    state = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        state = (state ^ column) + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return state


def folded(array: pa.Array) -> pa.Array:
    """Return references without what differs between spellings: case, width and spaces."""
    if pc.all(pc.string_is_ascii(array)).as_py() is not False:
        words = pc.ascii_upper(array)
        for space in _ASCII_SPACES:
            words = pc.replace_substring(words, space, "")
        return words
    words = pc.utf8_upper(pc.utf8_normalize(array, form="NFKC"))
    return pc.replace_substring_regex(words, _FOLDED, "")
