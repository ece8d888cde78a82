"""Bodies: padding, the pinned body, and every way in which a body could be another's."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_aead_aes256gcm_encrypt

from tradeline_ledger.body import (
    BODY_BYTES_MAX,
    BUCKETS_BYTES,
    EVENT_BYTES_MAX,
    body_aad,
    body_hash,
    check_bodies,
    open_body,
    pad,
    seal_bodies,
    seal_body,
    unpad,
    verify_key,
)
from tradeline_ledger.errors import MalformedError, SealError

PINNED: Final = json.loads((Path(__file__).parent / "vectors/sealing/sealing.json").read_text())[
    "body"
]
LEDGER, MEMBER, TAG = bytes(range(32)), 7, bytes(range(16))
KEY, OTHER_KEY = bytes(range(50, 82)), bytes(range(51, 83))
EVENT: Final = b"an event of little length"
BODY: Final = seal_body(KEY, pad(EVENT), body_aad(LEDGER, MEMBER, TAG))


def packed(number: int) -> bytes:
    """MessagePack's shortest form of a u32."""
    if number < 0x80:
        return bytes([number])
    head, length = next(
        (head, length) for head, length in ((0xCC, 1), (0xCD, 2), (0xCE, 4)) if number < 256**length
    )
    return bytes([head]) + number.to_bytes(length, "big")


def batch(count: int) -> tuple[bytes, list[bytes], list[bytes]]:
    keys = b"".join(hashlib.sha256(b"key %d" % at).digest() for at in range(count))
    tags = [hashlib.sha256(b"tag %d" % at).digest()[:16] for at in range(count)]
    return keys, [b"event %d" % at for at in range(count)], tags


@pytest.mark.parametrize(
    ("length", "bucket"),
    [
        *((0, 256), (1, 256), (250, 256), (251, 256), (252, 256), (253, 512)),
        *((507, 512), (508, 512), (509, 1024), (1020, 1024), (1021, 2048)),
        *((2044, 2048), (2045, 4096), (4092, 4096), (4093, 8192)),
        *((8188, 8192), (8189, 16384), (16379, 16384), (16380, 16384)),
    ],
)
def test_an_event_is_padded_to_the_smallest_bucket(length: int, bucket: int) -> None:
    event = b"\x5a" * length
    padded = pad(event)
    assert padded == length.to_bytes(4, "big") + event + bytes(bucket - 4 - length)
    assert unpad(padded) == event


def test_every_length_up_to_the_limit_has_a_bucket() -> None:
    for length in range(EVENT_BYTES_MAX + 1):
        expected = next(bucket for bucket in BUCKETS_BYTES if length + 4 <= bucket)
        assert len(pad(bytes(length))) == expected


def test_an_event_over_the_limit_is_refused() -> None:
    with pytest.raises(MalformedError, match="16381 bytes, at most 16380"):
        pad(bytes(16381))


def test_a_larger_bucket_than_needed_is_refused() -> None:
    for small, large in pairwise(BUCKETS_BYTES):
        padded = (small - 4).to_bytes(4, "big") + bytes(large - 4)
        with pytest.raises(MalformedError, match="smallest bucket"):
            unpad(padded)


def test_every_other_fill_is_refused() -> None:
    padded = pad(b"four")
    for at in range(8, 256):
        altered = bytearray(padded)
        altered[at] = 1
        with pytest.raises(MalformedError, match="filled with zeros"):
            unpad(bytes(altered))


@pytest.mark.parametrize(
    "padded",
    [
        b"",
        bytes(3),
        bytes(4),
        bytes(255),
        bytes(257),
        bytes(32768),
        (253).to_bytes(4, "big") + bytes(252),
        b"\xff\xff\xff\xff" + bytes(252),
        (16381).to_bytes(4, "big") + bytes(16380),
        (16381).to_bytes(4, "big") + bytes(32764),
    ],
)
def test_what_pad_never_writes_is_refused(padded: bytes) -> None:
    with pytest.raises(MalformedError):
        unpad(padded)


def test_pinned_body_is_sealed_and_opened() -> None:
    key, event, tag, body, ledger_id = (
        bytes.fromhex(PINNED[name]) for name in ("key", "event", "tag", "body", "ledger_id")
    )
    bodies, hashes = seal_bodies(key, [event], ledger_id, PINNED["member"], [tag])
    assert bodies == [body]
    assert hashes == [bytes.fromhex(PINNED["body_hash"])]
    assert open_body(key, body, ledger_id, PINNED["member"], tag) == event


@settings(deadline=None, max_examples=60)
@given(
    st.binary(max_size=600),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
    st.sampled_from([1, 127, 128, 255, 256, 65535, 65536]) | st.integers(0, 2**32 - 1),
    st.binary(min_size=16, max_size=16),
)
def test_a_body_is_what_libsodium_makes_of_it_under_the_associated_data_of_the_format(
    event: bytes, key: bytes, ledger_id: bytes, member: int, tag: bytes
) -> None:
    place = b"\xc4\x20" + ledger_id + packed(member) + b"\xc4\x10" + tag
    aad = b"\x94\xb1tradeline/v1 body" + place
    commitment = hashlib.sha256(b"tradeline/v1 body-key\n" + key).digest()
    expected = commitment + crypto_aead_aes256gcm_encrypt(pad(event), aad, bytes(12), key)
    (body,), (hashed,) = seal_bodies(key, [event], ledger_id, member, [tag])
    assert body == expected == seal_body(key, pad(event), aad)
    assert hashed == body_hash(body) == hashlib.sha256(b"tradeline/v1 body\n" + body).digest()
    assert open_body(key, body, ledger_id, member, tag) == event


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, EVENT_BYTES_MAX), max_size=12), st.integers(1, 2**32 - 1))
def test_a_batch_is_sealed_like_each_of_its_events(lengths: list[int], member: int) -> None:
    keys, _, tags = batch(len(lengths))
    events = [b"\xee" * length for length in lengths]
    bodies, hashes = seal_bodies(keys, events, LEDGER, member, tags)
    assert check_bodies(bodies, hashes) == bodies
    for at, event in enumerate(events):
        key = keys[32 * at : 32 * at + 32]
        assert bodies[at] == seal_body(key, pad(event), body_aad(LEDGER, member, tags[at]))
        assert open_body(key, bodies[at], LEDGER, member, tags[at]) == event


def test_an_event_over_the_limit_names_its_position() -> None:
    keys, events, tags = batch(3)
    events[1] = bytes(EVENT_BYTES_MAX + 1)
    with pytest.raises(MalformedError, match="event 1 has 16381 bytes"):
        seal_bodies(keys, events, LEDGER, MEMBER, tags)


def test_columns_of_a_batch_that_do_not_match_are_stopped() -> None:
    keys, events, tags = batch(3)
    with pytest.raises(AssertionError):
        seal_bodies(keys[:-1], events, LEDGER, MEMBER, tags)
    with pytest.raises(AssertionError, match="16 bytes"):
        seal_bodies(keys, events, LEDGER, MEMBER, [*tags[:2], tags[2] + b"x"])
    with pytest.raises(ValueError, match="argument 3 is shorter"):
        seal_bodies(keys, events, LEDGER, MEMBER, tags[:2])


def test_every_altered_bit_of_a_body_is_refused() -> None:
    for at in range(len(BODY)):
        for bit in range(8):
            altered = bytearray(BODY)
            altered[at] ^= 1 << bit
            expected = "commits to another key" if at < 32 else "does not open"
            with pytest.raises(SealError, match=expected):
                open_body(KEY, bytes(altered), LEDGER, MEMBER, TAG)


@pytest.mark.parametrize(
    ("ledger_id", "member", "tag"),
    [
        (bytes(32), MEMBER, TAG),
        (LEDGER, MEMBER + 1, TAG),
        (LEDGER, MEMBER, bytes(16)),
        (LEDGER, MEMBER, TAG[:-1] + b"\x00"),
    ],
)
def test_a_body_does_not_open_in_another_place(ledger_id: bytes, member: int, tag: bytes) -> None:
    with pytest.raises(SealError, match="another ledger, member or tag"):
        open_body(KEY, BODY, ledger_id, member, tag)


def test_another_key_is_refused_before_decryption() -> None:
    with pytest.raises(SealError, match="commits to another key"):
        open_body(OTHER_KEY, BODY, LEDGER, MEMBER, TAG)
    with pytest.raises(SealError, match="commits to another key"):
        verify_key(KEY[:31], BODY)
    assert verify_key(KEY, BODY) == KEY


def test_a_commitment_glued_to_another_ciphertext_does_not_open() -> None:
    other = seal_body(OTHER_KEY, pad(EVENT), body_aad(LEDGER, MEMBER, TAG))
    with pytest.raises(SealError, match="does not open"):
        open_body(KEY, BODY[:32] + other[32:], LEDGER, MEMBER, TAG)


@pytest.mark.parametrize("length", [0, 31, 32, 48, 303, 305, 16431, 16433, BODY_BYTES_MAX * 2])
def test_a_length_that_no_body_has_is_refused(length: int) -> None:
    with pytest.raises(MalformedError, match=f"body has {length} bytes"):
        open_body(KEY, bytes(length), LEDGER, MEMBER, TAG)


def test_a_body_padded_by_another_rule_is_refused() -> None:
    wasteful = len(EVENT).to_bytes(4, "big") + EVENT + bytes(512 - 4 - len(EVENT))
    body = seal_body(KEY, wasteful, body_aad(LEDGER, MEMBER, TAG))
    with pytest.raises(MalformedError, match="smallest bucket"):
        open_body(KEY, body, LEDGER, MEMBER, TAG)


@pytest.mark.parametrize("position", [0, 4, 8])
def test_custody_names_the_body_that_is_not_the_committed_one(position: int) -> None:
    keys, events, tags = batch(9)
    bodies, hashes = seal_bodies(keys, events, LEDGER, MEMBER, tags)
    altered: list[bytes | None] = list(bodies)
    altered[position] = bodies[position][:-1] + bytes([bodies[position][-1] ^ 1])
    with pytest.raises(SealError, match=f"body {position} hashes to [0-9a-f]{{64}}, its header"):
        check_bodies(altered, hashes)
    altered[position] = None
    with pytest.raises(SealError, match=f"body {position} is missing"):
        check_bodies(altered, hashes)


def test_custody_refuses_a_committed_body_of_a_length_that_no_bucket_gives() -> None:
    odd = bytes(305)
    with pytest.raises(SealError, match="body 1 has 305 bytes"):
        check_bodies([BODY, odd], [body_hash(BODY), body_hash(odd)])


def test_custody_refuses_another_number_or_order_of_bodies() -> None:
    keys, events, tags = batch(3)
    bodies, hashes = seal_bodies(keys, events, LEDGER, MEMBER, tags)
    for wrong in (bodies[:2], [*bodies, bodies[0]], []):
        with pytest.raises(SealError, match=f"{len(wrong)} bodies came with a batch of 3 events"):
            check_bodies(wrong, hashes)
    with pytest.raises(SealError, match="body 0 hashes to"):
        check_bodies(bodies[::-1], hashes)
