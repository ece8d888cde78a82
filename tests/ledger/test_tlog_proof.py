"""Proofs as files: form, then what a policy makes of them."""

import base64
import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeline_ledger.checkpoint import Checkpoint, encode_checkpoint
from tradeline_ledger.cosignature import cosign
from tradeline_ledger.errors import (
    InclusionError,
    LedgerError,
    MalformedError,
    PolicyError,
    SignatureError,
)
from tradeline_ledger.merkle import leaf_hash, path_of, root_of
from tradeline_ledger.note import KeyType, Note, Signature, VerifierKey, encode_note, sign_note
from tradeline_ledger.policy import Group, Log, Policy, Witness
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.tlog_proof import (
    EXTRA_BYTES_MAX,
    PROOF_BYTES_MAX,
    TlogProof,
    decode_proof,
    encode_proof,
    verify_proof,
)

LOG_KEY, WITNESS_KEY = SigningKey(bytes(32)), SigningKey(b"\1" + bytes(31))
ORIGIN = "example.org/log"
LEAVES = [leaf_hash(b"%d" % number) for number in range(11)]
TEXT = encode_checkpoint(Checkpoint(ORIGIN, 11, root_of(LEAVES)))
NOTE = Note(TEXT, (sign_note(TEXT, ORIGIN, LOG_KEY), cosign(TEXT, "w", WITNESS_KEY, 5)))
POLICY = Policy(
    (Log(VerifierKey(ORIGIN, KeyType.NOTE, LOG_KEY.public)),),
    (Witness("w", VerifierKey("w", KeyType.COSIGNATURE, WITNESS_KEY.public)),),
    (Group("g", 1, ("w",)),),
    "g",
)
PROOF = TlogProof(6, tuple(path_of(LEAVES, 6)), NOTE)
HASH = hashlib.sha256(b"hash1").digest()
HASH_TEXT = base64.b64encode(HASH).decode()
HEADER = "c2sp.org/tlog-proof@v1\n"
CHECKPOINT = encode_note(NOTE).decode()
EXTRA_TOO_LONG = base64.b64encode(bytes(EXTRA_BYTES_MAX + 1)).decode()


def test_file_is_as_specified() -> None:
    """The cases of transparency-dev/formats, proof/tlog_proof_test.go, with a real checkpoint."""
    for proof, head in (
        (TlogProof(5, (HASH, HASH), NOTE), f"index 5\n{HASH_TEXT}\n{HASH_TEXT}\n"),
        (
            TlogProof(10, (HASH,), NOTE, b"extra information"),
            f"extra ZXh0cmEgaW5mb3JtYXRpb24=\nindex 10\n{HASH_TEXT}\n",
        ),
        (TlogProof(0, (), NOTE), "index 0\n"),
    ):
        encoded = f"{HEADER}{head}\n{CHECKPOINT}".encode()
        assert encode_proof(proof) == encoded
        assert decode_proof(encoded) == proof


@pytest.mark.parametrize("index", range(len(LEAVES)))
def test_proof_of_each_leaf_verifies(index: int) -> None:
    proof = TlogProof(index, tuple(path_of(LEAVES, index)), NOTE)
    verified = verify_proof(decode_proof(encode_proof(proof)), LEAVES[index], POLICY)
    assert (verified.checkpoint.size, verified.cosignatures[0].time_s) == (11, 5)


def test_proof_of_something_else_is_refused() -> None:
    with pytest.raises(InclusionError, match="leads to root"):
        verify_proof(PROOF, LEAVES[5], POLICY)
    with pytest.raises(InclusionError, match="leads to root"):
        verify_proof(TlogProof(7, PROOF.path, NOTE), LEAVES[6], POLICY)
    with pytest.raises(InclusionError, match="outside a tree of 11"):
        verify_proof(TlogProof(11, PROOF.path, NOTE), LEAVES[6], POLICY)
    with pytest.raises(InclusionError, match="3 hashes, expected 4"):
        verify_proof(TlogProof(6, PROOF.path[1:], NOTE), LEAVES[6], POLICY)


def test_proof_under_a_checkpoint_that_the_policy_does_not_accept_is_refused() -> None:
    signed, cosigned = NOTE.signatures
    for signatures, error in (
        ((signed,), PolicyError),
        ((cosigned,), PolicyError),
        ((signed, Signature("w", cosigned.key_id, bytes(72))), SignatureError),
    ):
        with pytest.raises(error):
            verify_proof(TlogProof(6, PROOF.path, Note(TEXT, signatures)), LEAVES[6], POLICY)


def test_every_flipped_byte_of_a_proof_is_detected() -> None:
    """Except in the extra data, which nothing proves."""
    encoded = encode_proof(PROOF)
    for at in range(len(encoded)):
        altered = bytearray(encoded)
        altered[at] ^= 0x01
        with pytest.raises(LedgerError):
            verify_proof(decode_proof(bytes(altered)), LEAVES[6], POLICY)


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        (f"wrong-header\nindex 0\n\n{CHECKPOINT}", "starts with 'wrong-header'"),
        (f"C2SP.org/tlog-proof@v1\nindex 0\n\n{CHECKPOINT}", "starts with"),
        (f"{HEADER}extra !!notbase64!!\nindex 0\n\n{CHECKPOINT}", "extra data is not base64"),
        (f"{HEADER}extra \nindex 0\n\n{CHECKPOINT}", "extra data is not canonical"),
        (f"{HEADER}extra AB==\nindex 0\n\n{CHECKPOINT}", "extra data is not canonical"),
        (f"{HEADER}index 0\nextra AA==\n\n{CHECKPOINT}", "hash of the path is not base64"),
        (f"{HEADER}extra AA==\n\n{CHECKPOINT}", "no index line"),
        (f"{HEADER}\n\n{CHECKPOINT}", "no index line"),
        (f"{HEADER}index notanumber\n\n{CHECKPOINT}", "index is 'notanumber'"),
        (f"{HEADER}index -5\n\n{CHECKPOINT}", "index is '-5'"),
        (f"{HEADER}index 05\n\n{CHECKPOINT}", "leading zeros"),
        (f"{HEADER}index  5\n\n{CHECKPOINT}", "index is ' 5'"),
        (f"{HEADER}index 9223372036854775808\n\n{CHECKPOINT}", "index is '9223"),
        (f"{HEADER}index 0\n!!notbase64!!\n\n{CHECKPOINT}", "hash of the path is not base64"),
        (f"{HEADER}index 0\n{'A' * 88}\n\n{CHECKPOINT}", "63 hashes of 32 bytes"),
        (
            f"{HEADER}index 0\n" + f"{HASH_TEXT}\n" * 64 + f"\n{CHECKPOINT}",
            "more than 63|63 hashes",
        ),
        (f"{HEADER}index 0\n" + f"{HASH_TEXT}\n" * 70 + f"\n{CHECKPOINT}", "more than 63 hashes"),
        (f"{HEADER}index 0\n{'a' * 65 * 1024}\n", "no empty line"),
        (f"{HEADER}index 0\n", "no empty line"),
        (f"{HEADER}index 0\n\ncheckpoint\n", "note is not text"),
        (f"{HEADER[:-1]}\r\nindex 0\n\n{CHECKPOINT}", "starts with"),
        (f"{HEADER}index 0\r\n\n{CHECKPOINT}", "leading zeros"),
        (f"{HEADER}index é\n\n{CHECKPOINT}", "not ASCII"),
        (f"{HEADER}index 0\n\n{CHECKPOINT}\n", "note is not text|signature line"),
        ("x" * (PROOF_BYTES_MAX + 1), "at most"),
        (
            f"{HEADER}extra {EXTRA_TOO_LONG}\nindex 0\n\n{CHECKPOINT}",
            "extra data has 65537 bytes",
        ),
    ],
)
def test_malformed_proof_is_refused(encoded: str, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        decode_proof(encoded.encode())


@given(st.binary(max_size=120))
def test_any_bytes_are_a_proof_or_malformed(noise: bytes) -> None:
    for encoded in (noise, HEADER.encode() + noise + b"\n\n" + CHECKPOINT.encode()):
        with contextlib.suppress(MalformedError):
            assert encode_proof(decode_proof(encoded)) == encoded
