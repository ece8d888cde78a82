"""
Shamir's secret sharing over GF(2^8), for all keys of a batch at once (docs/formats.md, section 4).

The field has the polynomial 0x11B. The secret is the polynomial's value at 0; the committee member
at position p holds its value at p + 1. Every byte of every key has a polynomial of its own.

Multiplication doubles and adds, eight bytes to a machine word: no table is indexed by a secret
and no branch depends on one, only on committee positions, which are public.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tradeline_ledger.errors import MalformedError, SealError
from tradeline_ledger.registry import COMMITTEE_MAX

SHARE_BYTES: Final = 32
"""Length of a body key, and so of one member's share of it."""

_Lanes = npt.NDArray[np.uint64]
"""Eight field elements in each word; no operation lets one touch its neighbour."""

_LOW_BITS: Final = np.uint64(0x7F7F7F7F7F7F7F7F)
_UNITS: Final = np.uint64(0x0101010101010101)
_REDUCTION: Final = np.uint64(0x1B)
_ONE: Final = np.uint64(1)
_SEVEN: Final = np.uint64(7)


def split(keys: bytes, threshold: int, members: int, random: bytes) -> list[bytes]:
    """
    Return each committee member's shares of all `keys`, in committee order.

    `keys` are n keys of 32 bytes, one after another, and so are each member's shares: share i
    belongs to key i. `random` is n * 32 * (threshold - 1) fresh random bytes, first all
    coefficients of degree 1, then all of degree 2, and so on; they are as secret as the keys.
    Any `threshold` of the 1 to 16 `members` can combine their shares; fewer learn nothing.

    A key of zeros with zeros for its coefficients has shares of zeros: so is an erased event
    passed over when a batch is deposited again.
    """
    assert 0 < threshold <= members <= COMMITTEE_MAX, (threshold, members)
    assert len(keys) % SHARE_BYTES == 0, len(keys)
    assert len(random) == len(keys) * (threshold - 1), (len(random), len(keys), threshold)
    constant = _lanes(keys)
    coefficients = _lanes(random).reshape(threshold - 1, constant.size)
    descending = [*coefficients[::-1], constant]
    return [_evaluate(descending, position + 1).tobytes() for position in range(members)]


def combine(shares: Mapping[int, bytes], threshold: int) -> bytes:
    """
    Return the n keys of 32 bytes that `threshold` members' shares determine.

    `shares` maps committee position to that member's n * 32 bytes, as `split` made them; of more
    than `threshold` members, those at the lowest positions are used. Any bytes combine to some
    key: only the commitment in a body (`body.verify_key`) tells whether it is the right one.
    One call for many keys costs little more than one for a single key.

    Raises:
        SealError: there are fewer members than the threshold.
        MalformedError: a position is outside the committee, or shares are not of equal length.
    """
    assert 0 < threshold <= COMMITTEE_MAX, threshold
    if len(shares) < threshold:
        raise SealError(
            f"shares of {len(shares)} committee members, {threshold} are needed to open; "
            "ask further members"
        )
    positions = sorted(shares)[:threshold]
    if positions[0] < 0 or positions[-1] >= COMMITTEE_MAX:
        raise MalformedError(f"committee positions {positions}, expected 0 to {COMMITTEE_MAX - 1}")
    lengths = {len(shares[position]) for position in positions}
    if len(lengths) != 1 or lengths.pop() % SHARE_BYTES:
        raise MalformedError(
            f"shares of {[len(shares[position]) for position in positions]} bytes, expected one "
            f"multiple of {SHARE_BYTES}"
        )
    weights = _weights_at_zero([position + 1 for position in positions])
    keys = _multiply(_lanes(shares[positions[0]]), weights[0])
    for position, weight in zip(positions[1:], weights[1:], strict=True):
        keys = keys ^ _multiply(_lanes(shares[position]), weight)
    return keys.tobytes()


def _lanes(field_elements: bytes) -> _Lanes:
    return np.frombuffer(field_elements, dtype=np.uint64)


def _evaluate(descending: Sequence[_Lanes], x: int) -> _Lanes:
    """Return the value at `x` of polynomials given by coefficients of descending degree."""
    value = descending[0]
    for coefficient in descending[1:]:
        value = _multiply(value, x) ^ coefficient
    return value


def _multiply(lanes: _Lanes, factor: int) -> _Lanes:
    """Return every element times the public `factor`, from its highest bit down."""
    assert factor, "zero has no highest bit, and is no committee member's point"
    product = lanes
    for bit in bin(factor)[3:]:
        carries = (product >> _SEVEN) & _UNITS
        product = ((product & _LOW_BITS) << _ONE) ^ (carries * _REDUCTION)
        if bit == "1":
            product = product ^ lanes
    return product


def _weights_at_zero(points: Sequence[int]) -> list[int]:
    """Return Lagrange's factor of each point for the value at 0."""
    weights = []
    for point in points:
        numerator, denominator = 1, 1
        for other in points:
            if other != point:
                numerator = _times(numerator, other)
                denominator = _times(denominator, other ^ point)
        weights.append(_times(numerator, _inverse(denominator)))
    return weights


def _times(left: int, right: int) -> int:
    """Return the product of two public elements."""
    product = 0
    while right:
        if right & 1:
            product ^= left
        left = left << 1 ^ (0x11B if left & 0x80 else 0)
        right >>= 1
    return product


def _inverse(element: int) -> int:
    """Return the inverse of a public element: its power 254, as 255 is the order of the group."""
    inverse = 1
    for bit in "11111110":
        inverse = _times(inverse, inverse)
        if bit == "1":
            inverse = _times(inverse, element)
    return inverse
