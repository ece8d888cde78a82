"""Sealing: published vectors through a second key schedule, a pinned message, and every bit."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any, Final

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_aead_aes256gcm_encrypt

from tradeline_ledger.errors import MalformedError, SealError
from tradeline_ledger.hpke import (
    SEAL_OVERHEAD_BYTES,
    PrivateKey,
    PublicKey,
    answer_info,
    deposit_info,
    hpke_key_id,
    open_sealed,
    request_info,
    seal,
    tag_key_info,
)

PINNED: Final = json.loads((Path(__file__).parent / "vectors/sealing/sealing.json").read_text())
KEM, HKDF_SHA256, AES_256_GCM, CHACHA20 = 0x647A, 1, 2, 3
ALICE: Final = PrivateKey.generate(bytes(range(96)))
BOB: Final = PrivateKey.generate(bytes(range(1, 97)))
LEDGER: Final = bytes(range(32))


def published() -> list[dict[str, Any]]:
    with cryptography_vectors.open_vector_file("HPKE/hpke-pq-test-vectors.json", "r") as file:
        vectors = [vector for vector in json.load(file) if vector["kem_id"] == KEM]
    assert len(vectors) == 2
    return vectors


def expanded(vector: dict[str, Any]) -> PrivateKey:
    """The published private key is X-Wing's seed; ours is what it expands to."""
    return PrivateKey.from_bytes(hashlib.shake_256(bytes.fromhex(vector["skRm"])).digest(96))


def extract(suite: bytes, salt: bytes, name: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + name + secret, "sha256")


def expand(suite: bytes, key: bytes, name: bytes, info: bytes, length: int) -> bytes:
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + name + info
    return hmac.digest(key, labelled + b"\x01", "sha256")[:length]


def key_schedule(aead: int, shared_secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and first nonce of RFC 9180, section 5.1, base mode, HKDF-SHA256."""
    suite = b"HPKE" + b"".join(part.to_bytes(2, "big") for part in (KEM, HKDF_SHA256, aead))
    psk_id_hash = extract(suite, b"", b"psk_id_hash", b"")
    context = b"\x00" + psk_id_hash + extract(suite, b"", b"info_hash", info)
    secret = extract(suite, shared_secret, b"secret", b"")
    return (
        expand(suite, secret, b"key", context, 32),
        expand(suite, secret, b"base_nonce", context, 12),
    )


@pytest.mark.parametrize("vector", published())
def test_published_private_keys_have_the_published_public_keys(vector: dict[str, Any]) -> None:
    assert expanded(vector).public.encoded.hex() == vector["pkRm"]


def test_second_key_schedule_reproduces_the_published_message() -> None:
    vector = next(each for each in published() if each["kdf_id"] == HKDF_SHA256)
    key, nonce = key_schedule(
        CHACHA20, bytes.fromhex(vector["shared_secret"]), bytes.fromhex(vector["info"])
    )
    assert (key.hex(), nonce.hex()) == (vector["key"], vector["base_nonce"])
    first = vector["encryptions"][0]
    plaintext, aad = bytes.fromhex(first["pt"]), bytes.fromhex(first["aad"])
    assert ChaCha20Poly1305(key).encrypt(nonce, plaintext, aad).hex() == first["ct"]


@pytest.mark.parametrize("vector", published())
def test_published_encapsulations_open_in_our_suite(vector: dict[str, Any]) -> None:
    info, plaintext = b"some place", b"Beauty is truth, truth beauty"
    key, nonce = key_schedule(AES_256_GCM, bytes.fromhex(vector["shared_secret"]), info)
    ciphertext = crypto_aead_aes256gcm_encrypt(plaintext, b"", nonce, key)
    sealed = bytes.fromhex(vector["enc"]) + ciphertext
    assert open_sealed(expanded(vector), sealed, info) == plaintext


def test_pinned_message_opens_for_ever() -> None:
    pinned = {name: bytes.fromhex(value) for name, value in PINNED["hpke"].items()}
    private = PrivateKey.from_bytes(pinned["private_key"])
    assert private.public.key_id == pinned["hpke_key_id"]
    assert open_sealed(private, pinned["sealed"], pinned["info"]) == pinned["plaintext"]
    assert pinned["info"] == deposit_info(
        bytes.fromhex(PINNED["body"]["ledger_id"]),
        member=7,
        epoch=3,
        recipient=300,
        key_id=pinned["hpke_key_id"],
        events_root=hashlib.shake_256(b"tradeline test vector: events root").digest(32),
    )


@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=2000), st.binary(max_size=300))
def test_what_was_sealed_opens(plaintext: bytes, info: bytes) -> None:
    sealed = seal(ALICE.public, plaintext, info)
    assert len(sealed) == len(plaintext) + SEAL_OVERHEAD_BYTES == len(plaintext) + 1136
    assert open_sealed(ALICE, sealed, info) == plaintext


def test_every_altered_byte_is_refused() -> None:
    sealed = seal(ALICE.public, b"shares", b"here")
    for at in range(len(sealed)):
        altered = bytearray(sealed)
        altered[at] ^= 1 << at % 8
        with pytest.raises(SealError, match="does not open"):
            open_sealed(ALICE, bytes(altered), b"here")


def test_every_truncation_is_refused() -> None:
    sealed = seal(ALICE.public, b"shares", b"here")
    for altered in [*(sealed[:length] for length in range(len(sealed))), sealed + b"\x00"]:
        with pytest.raises(SealError, match=f"of {len(altered)} bytes does not open"):
            open_sealed(ALICE, altered, b"here")


def test_a_message_opens_only_for_its_recipient_and_place() -> None:
    sealed = seal(ALICE.public, b"shares", b"here")
    with pytest.raises(SealError, match=BOB.public.key_id.hex()):
        open_sealed(BOB, sealed, b"here")
    for info in (b"", b"there", b"here "):
        with pytest.raises(SealError, match="sealed to another key or place"):
            open_sealed(ALICE, sealed, info)


def test_sealing_twice_gives_different_messages() -> None:
    assert seal(ALICE.public, b"shares", b"") != seal(ALICE.public, b"shares", b"")


def test_key_id_is_the_labelled_hash_of_the_public_key() -> None:
    encoded = ALICE.public.encoded
    expected = hashlib.sha256(b"tradeline/v1 hpke-key\n" + encoded).digest()
    assert ALICE.public.key_id == hpke_key_id(encoded) == expected


def test_public_keys_are_parsed_once() -> None:
    encoded = ALICE.public.encoded
    assert PublicKey.from_bytes(encoded) is PublicKey.from_bytes(bytes(bytearray(encoded)))
    assert open_sealed(ALICE, seal(PublicKey.from_bytes(encoded), b"x", b""), b"") == b"x"


def test_keys_show_no_secret() -> None:
    secret = bytes(range(96))
    shown = f"{ALICE!r} {ALICE} {ALICE.public!r}"
    assert ALICE.public.key_id.hex() in shown
    assert not any(secret[at : at + 8].hex() in shown for at in range(89))
    assert not hasattr(ALICE, "__dict__")


@pytest.mark.parametrize("length", [0, 32, 95, 97])
def test_private_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(MalformedError, match=f"has {length} bytes, expected 96"):
        PrivateKey.from_bytes(bytes(length))


@pytest.mark.parametrize("length", [0, 1184, 1215, 1217])
def test_public_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(MalformedError, match=f"has {length} bytes, expected 1216"):
        PublicKey.from_bytes(bytes(length))


def test_public_key_with_a_coefficient_out_of_range_is_refused() -> None:
    encoded = b"\xff\x0f" + ALICE.public.encoded[2:]
    with pytest.raises(MalformedError, match="ML-KEM half is not canonical"):
        PublicKey.from_bytes(encoded)


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31)])
def test_public_key_of_small_order_is_not_sealed_to(point: bytes) -> None:
    key = PublicKey.from_bytes(ALICE.public.encoded[:1184] + point)
    with pytest.raises(MalformedError, match="small order"):
        seal(key, b"shares", b"")


def test_infos_name_their_place_as_the_format_says() -> None:
    key_id, root = hpke_key_id(b"k"), bytes(range(32, 64))
    ledger_id, key, events = (b"\xc4\x20" + each for each in (LEDGER, key_id, root))
    inquiry, recipient = b"\xce\x00\x01\x11\x70", b"\xcd\x01\x2c"
    assert deposit_info(
        LEDGER, member=7, epoch=3, recipient=300, key_id=key_id, events_root=root
    ) == (b"\x97\xb4tradeline/v1 deposit" + ledger_id + b"\x07\x03" + recipient + key + events)
    assert request_info(LEDGER, 70_000, 300, key_id) == (
        b"\x95\xbctradeline/v1 release-request" + ledger_id + inquiry + recipient + key
    )
    assert answer_info(LEDGER, 70_000, 300) == (
        b"\x94\xb4tradeline/v1 release" + ledger_id + inquiry + recipient
    )
    assert tag_key_info(LEDGER, 7, 300, key_id) == (
        b"\x95\xb4tradeline/v1 tag-key" + ledger_id + b"\x07" + recipient + key
    )
