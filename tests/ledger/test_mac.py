"""HMAC-SHA256: the vectors of RFC 4231, then the standard library."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeline_ledger.mac import MacKey, mac

LARGE_KEY = b"\xaa" * 131
LONG_MESSAGE = (
    b"This is a test using a larger than block-size key and a larger than block-size data. "
    b"The key needs to be hashed before being used by the HMAC algorithm."
)
RFC_4231 = {
    "1": (
        b"\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    "2, key shorter than the output": (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    "3, message longer than a block with its key": (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    "4": (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    "6, key longer than a block": (
        LARGE_KEY,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    "7, key and message longer than a block": (
        LARGE_KEY,
        LONG_MESSAGE,
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
}


@pytest.mark.parametrize(("key", "message", "expected"), RFC_4231.values(), ids=RFC_4231)
def test_vector_of_rfc_4231(key: bytes, message: bytes, expected: str) -> None:
    assert mac(key, message).hex() == expected
    assert MacKey(key).sign(message).hex() == expected


@given(st.binary(max_size=200), st.lists(st.binary(max_size=300), max_size=4))
def test_one_key_signs_many_messages_as_the_standard_library(
    key: bytes, messages: list[bytes]
) -> None:
    ready = MacKey(key)
    for message in messages:
        expected = hmac.digest(key, message, "sha256")
        assert ready.sign(message) == mac(key, message) == expected


def test_key_is_not_in_its_representation() -> None:
    assert repr(MacKey(b"secret")) == "MacKey()"
