"""Shamir's scheme against a bit-by-bit implementation on integers, over every small case."""

from __future__ import annotations

import json
from itertools import combinations, islice, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeline_ledger import sharing
from tradeline_ledger.errors import MalformedError, SealError
from tradeline_ledger.sharing import combine, split

VECTOR = json.loads((Path(__file__).parent / "vectors/sealing/sealing.json").read_text())["sharing"]
ALL_ELEMENTS = bytes(range(256))


def slow_times(left: int, right: int) -> int:
    """Carry-less product, then long division by x^8 + x^4 + x^3 + x + 1."""
    value = 0
    for bit in range(8):
        if right >> bit & 1:
            value ^= left << bit
    for bit in range(14, 7, -1):
        if value >> bit & 1:
            value ^= 0x11B << (bit - 8)
    return value


def slow_split(keys: bytes, threshold: int, members: int, random: bytes) -> list[bytes]:
    shares = []
    for x in range(1, members + 1):
        share = bytearray(keys)
        for at in range(len(keys)):
            power = 1
            for degree in range(1, threshold):
                power = slow_times(power, x)
                share[at] ^= slow_times(random[(degree - 1) * len(keys) + at], power)
        shares.append(bytes(share))
    return shares


def test_multiplication_is_right_for_every_pair_of_elements() -> None:
    lanes = np.frombuffer(ALL_ELEMENTS, dtype=np.uint64)
    for factor in range(1, 256):
        expected = bytes(slow_times(element, factor) for element in ALL_ELEMENTS)
        assert sharing._multiply(lanes, factor).tobytes() == expected
        assert bytes(sharing._times(element, factor) for element in ALL_ELEMENTS) == expected


def test_every_element_times_its_inverse_is_one() -> None:
    for element in range(1, 256):
        assert slow_times(element, sharing._inverse(element)) == 1


def test_pinned_shares_are_made_and_combined() -> None:
    keys, random = bytes.fromhex(VECTOR["keys"]), bytes.fromhex(VECTOR["random"])
    shares = [bytes.fromhex(share) for share in VECTOR["shares"]]
    assert split(keys, VECTOR["threshold"], VECTOR["members"], random) == shares
    for positions in combinations(range(VECTOR["members"]), VECTOR["threshold"]):
        assert combine({at: shares[at] for at in positions}, VECTOR["threshold"]) == keys


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_split_equals_the_slow_implementation(data: st.DataObject) -> None:
    members = data.draw(st.integers(1, 16))
    threshold = data.draw(st.integers(1, members))
    size = 32 * data.draw(st.integers(0, 3))
    keys = data.draw(st.binary(min_size=size, max_size=size))
    random = data.draw(st.binary(min_size=size * (threshold - 1), max_size=size * (threshold - 1)))
    assert split(keys, threshold, members, random) == slow_split(keys, threshold, members, random)


@pytest.mark.parametrize(
    ("threshold", "members"),
    [(t, n) for n in range(1, 8) for t in range(1, n + 1)] + [(11, 16), (16, 16), (1, 16)],
)
def test_any_threshold_of_members_combine_to_the_keys(threshold: int, members: int) -> None:
    random = np.random.default_rng(threshold * 100 + members)
    keys = random.bytes(96)
    shares = split(keys, threshold, members, random.bytes(96 * (threshold - 1)))
    assert all(len(share) == 96 for share in shares)
    for positions in islice(combinations(range(members), threshold), 300):
        assert combine({at: shares[at] for at in positions}, threshold) == keys


def test_one_share_of_two_is_equally_likely_for_every_secret() -> None:
    secrets_and_coefficients = list(product(range(256), repeat=2))
    keys = bytes(secret for secret, _ in secrets_and_coefficients)
    random = bytes(coefficient for _, coefficient in secrets_and_coefficients)
    for shares in split(keys, 2, 16, random):
        for secret in range(256):
            seen = shares[secret * 256 : (secret + 1) * 256]
            assert sorted(seen) == list(range(256))


@pytest.mark.parametrize("known", list(combinations(range(5), 2)))
def test_two_shares_of_three_leave_all_256_secrets_possible(known: tuple[int, int]) -> None:
    other = next(at for at in range(5) if at not in known)
    fixed = {known[0]: bytes([0xA7]) * 256, known[1]: bytes([0x31]) * 256}
    secrets = combine({**fixed, other: ALL_ELEMENTS}, 3)
    assert sorted(secrets) == list(range(256))


def test_too_few_members_are_refused() -> None:
    shares = split(bytes(range(32)), 3, 4, bytes(range(64)))
    with pytest.raises(SealError, match="shares of 2 committee members, 3 are needed"):
        combine({0: shares[0], 3: shares[3]}, 3)


def test_a_lower_threshold_than_the_dealer_used_gives_another_key() -> None:
    keys = bytes(range(32))
    shares = split(keys, 3, 4, bytes(range(1, 65)))
    assert combine({0: shares[0], 1: shares[1]}, 2) != keys


def test_of_more_members_than_needed_the_lowest_positions_are_used() -> None:
    keys = bytes(range(32))
    shares = dict(enumerate(split(keys, 2, 4, bytes(range(1, 33)))))
    assert combine({**shares, 3: bytes(32)}, 2) == keys
    assert combine({3: shares[3], 2: shares[2]}, 2) == keys


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({0: bytes(32), 1: bytes(64)}, "shares of .32, 64. bytes"),
        ({0: bytes(31), 1: bytes(31)}, "one multiple of 32"),
        ({0: bytes(32), 16: bytes(32)}, "expected 0 to 15"),
        ({-1: bytes(32), 1: bytes(32)}, "expected 0 to 15"),
    ],
)
def test_malformed_shares_are_refused(shares: dict[int, bytes], message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        combine(shares, 2)


def test_a_zero_key_with_zero_coefficients_has_zero_shares() -> None:
    keys = bytes(32) + bytes(range(32))
    random = (bytes(32) + bytes(range(100, 132))) * 2
    for share in split(keys, 3, 4, random):
        assert share[:32] == bytes(32)
        assert share[32:] != bytes(32)


@pytest.mark.parametrize(
    ("keys", "threshold", "members", "random"),
    [
        (bytes(32), 0, 1, b""),
        (bytes(32), 3, 2, bytes(64)),
        (bytes(32), 1, 17, b""),
        (bytes(31), 1, 1, b""),
        (bytes(32), 2, 2, bytes(31)),
        (bytes(32), 2, 2, bytes(33)),
    ],
)
def test_a_caller_of_split_with_wrong_arguments_is_stopped(
    keys: bytes, threshold: int, members: int, random: bytes
) -> None:
    with pytest.raises(AssertionError):
        split(keys, threshold, members, random)
