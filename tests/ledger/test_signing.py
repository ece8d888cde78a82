"""Ed25519 verdicts are part of the protocol: pinned on the edge cases where libraries differ."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from nacl.signing import SigningKey as OtherSigningKey

from tradeline_ledger.errors import SignatureError
from tradeline_ledger.signing import SigningKey, valid_key, verify, verify_raw

SHARED: Final = Path(__file__).parents[2].parent / "shared" / "vectors"
CCTV_ACCEPTED: Final = frozenset(
    {
        *(7, 29, 50, 117, 139, 161, 182, 249, 305, 411, 425, 438, 465, 473, 481, 489, 497, 511),
        *(525, 538, 565, 573, 581, 589, 597, 611, 625, 638, 665, 673, 681, 689, 697, 711, 725),
        *(738, 765, 773, 781, 789, 797, 832, 899),
    }
)
"""The 43 of 914 edge cases that libsodium accepts, by number."""
REFUSED_FLAGS: Final = {"low_order_A", "low_order_R", "low_order_residue"}
"""docs/formats.md, section 1: small order of key or nonce, and what only a cofactor cancels."""
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
KEY: Final = SigningKey(bytes(range(32)))
SMALL_ORDER: Final = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]
NOT_CANONICAL: Final = [
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


@cache
def shared(name: str) -> Any:
    path = SHARED / name
    if not path.exists():
        message = f"{path} is absent: put the shared vectors beside the checkout"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return json.loads(path.read_text("utf-8"))


def accepted(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        return verify_raw(key, message, signature) == message
    except SignatureError:
        return False


def test_edge_cases_are_judged_as_libsodium_judges_them() -> None:
    vectors = shared("ed25519-cctv.json")
    judged = {
        each["number"]
        for each in vectors
        if accepted(bytes.fromhex(each["key"]), each["msg"].encode(), bytes.fromhex(each["sig"]))
    }
    assert len(vectors) == 914
    assert len(judged) == 43
    assert judged == CCTV_ACCEPTED
    # The rules of docs/formats.md, section 1, give the same verdicts.
    by_rule = {each["number"] for each in vectors if not REFUSED_FLAGS & set(each["flags"] or ())}
    assert judged == by_rule


def test_every_wycheproof_verdict_is_ours() -> None:
    groups = shared("ed25519-wycheproof.json")["testGroups"]
    checked = 0
    for group in groups:
        key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            verdict = accepted(key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert verdict == (case["result"] == "valid"), case
            checked += 1
    assert checked == 151


def test_a_signature_binds_its_name() -> None:
    signature = KEY.sign("statement", b"message")
    assert verify(KEY.public, "statement", b"message", signature) == b"message"
    assert signature == KEY.sign_raw(b"tradeline/v1 statement\nmessage")
    for name in ("consent", "statemen", "statement ", "statement\nm"):
        with pytest.raises(SignatureError, match=KEY.public.hex()):
            verify(KEY.public, name, b"message", signature)


def test_the_same_key_signs_alike_elsewhere() -> None:
    other = OtherSigningKey(bytes(range(32)))
    assert other.verify_key.encode() == KEY.public
    assert other.sign(b"x").signature == KEY.sign_raw(b"x")


def test_every_flipped_bit_of_a_signature_is_refused() -> None:
    signature = KEY.sign_raw(b"message")
    for bit in range(512):
        altered = bytearray(signature)
        altered[bit // 8] ^= 1 << bit % 8
        assert not accepted(KEY.public, b"message", bytes(altered)), bit
    for bit in range(56):
        message = bytearray(b"message")
        message[bit // 8] ^= 1 << bit % 8
        assert not accepted(KEY.public, bytes(message), signature), bit


def test_a_scalar_above_the_order_is_refused() -> None:
    signature = KEY.sign_raw(b"message")
    scalar = int.from_bytes(signature[32:], "little")
    for multiple in range(1, 15):
        altered = scalar + multiple * ORDER
        if altered >= 2**256:
            break
        malleable = signature[:32] + altered.to_bytes(32, "little")
        assert not accepted(KEY.public, b"message", malleable), multiple


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(SignatureError, match=f"key has {length} bytes"):
        verify_raw(bytes(length), b"", bytes(64))


@pytest.mark.parametrize("length", [0, 63, 65, 128])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(SignatureError, match=f"signature {length}"):
        verify_raw(KEY.public, b"", bytes(length))


def test_only_points_of_the_main_subgroup_are_valid_keys() -> None:
    assert valid_key(KEY.public)
    for encoded in (*SMALL_ORDER, *NOT_CANONICAL):
        assert not valid_key(bytes.fromhex(encoded)), encoded


def test_a_key_with_a_part_of_small_order_signs_but_never_enters() -> None:
    mixed = [
        bytes.fromhex(each["key"])
        for each in shared("ed25519-cctv.json")
        if each["number"] in CCTV_ACCEPTED and "low_order_component_A" in (each["flags"] or ())
    ]
    assert len(mixed) == 42
    assert not any(valid_key(key) for key in mixed)


def test_no_representation_shows_the_private_half() -> None:
    assert repr(KEY) == f"SigningKey(public={KEY.public.hex()})"
    assert bytes(range(32)).hex() not in repr(KEY)
