"""Signed notes: the examples of other implementations, then everything malformed or altered."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeline_ledger.c2sp import decode_base64, decode_integer
from tradeline_ledger.errors import MalformedError, SignatureError
from tradeline_ledger.note import (
    NOTE_BYTES_MAX,
    SIGNATURE_BYTES_MAX,
    SIGNATURES_MAX,
    KeyType,
    Note,
    Signature,
    VerifierKey,
    decode_note,
    decode_signature,
    decode_vkey,
    encode_note,
    encode_signature,
    encode_vkey,
    sign_note,
    verify_note,
)
from tradeline_ledger.signing import SigningKey

# Keys, text and signatures of golang.org/x/mod, sumdb/note/note_test.go (BSD-3-Clause).
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
PETER_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdng"
    "otpRZb6KE6RyyBwJnAM=\n"
)
ENOCH_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWL"
    "ox33WWd1RvMc+QQ=\n"
)
PETER_KEY = decode_vkey(PETER)
ENOCH_KEY = decode_vkey(ENOCH)
BOTH = (TEXT + "\n" + PETER_LINE + ENOCH_LINE).encode()


def test_key_of_another_implementation_signs_the_same_bytes() -> None:
    signature = sign_note(TEXT, "PeterNeumann", SigningKey(PETER_SEED))
    assert encode_signature(signature) == PETER_LINE
    assert encode_note(Note(TEXT, (signature,))) == (TEXT + "\n" + PETER_LINE).encode()


def test_only_the_keys_that_we_know_count() -> None:
    note = decode_note(BOTH)
    assert note.text == TEXT
    assert [signature.name for signature in note.signatures] == ["PeterNeumann", "EnochRoot"]
    assert verify_note(note, [PETER_KEY]) == (PETER_KEY,)
    assert verify_note(note, [ENOCH_KEY, PETER_KEY]) == (ENOCH_KEY, PETER_KEY)
    with pytest.raises(SignatureError, match=r"no known key .* by EnochRoot, PeterNeumann"):
        verify_note(note, [])
    with pytest.raises(SignatureError, match="no known key"):
        verify_note(decode_note((TEXT + "\n" + ENOCH_LINE).encode()), [PETER_KEY])


def test_bad_signature_by_a_known_key_refuses_the_whole_note() -> None:
    peter, enoch = decode_note(BOTH).signatures
    bad = Signature(peter.name, peter.key_id, bytes(64))
    for signatures in ((bad, enoch), (enoch, bad), (enoch, peter, bad)):
        with pytest.raises(SignatureError, match="signature is not by key"):
            verify_note(Note(TEXT, signatures), [PETER_KEY, ENOCH_KEY])
    assert verify_note(Note(TEXT, (bad, enoch)), [ENOCH_KEY]) == (ENOCH_KEY,)


def test_signature_of_another_length_by_a_known_key_is_bad() -> None:
    longer = PETER_LINE[:60] + "ABCD" + PETER_LINE[60:]
    with pytest.raises(SignatureError, match="expected 32 and 64"):
        verify_note(decode_note((TEXT + "\n" + longer).encode()), [PETER_KEY])


def test_same_name_or_same_id_alone_is_not_a_known_key() -> None:
    peter, _ = decode_note(BOTH).signatures
    other_id = Signature(peter.name, b"\0\0\0\0", bytes(64))
    other_name = Signature("CarmenSandiego", peter.key_id, bytes(64))
    note = Note(TEXT, (other_id, other_name, peter))
    assert verify_note(note, [PETER_KEY]) == (PETER_KEY,)
    with pytest.raises(SignatureError, match="no known key"):
        verify_note(Note(TEXT, (other_id, other_name)), [PETER_KEY])


def test_repeated_signature_counts_once() -> None:
    peter, _ = decode_note(BOTH).signatures
    assert verify_note(Note(TEXT, (peter, peter)), [PETER_KEY]) == (PETER_KEY,)


def test_example_of_the_specification_verifies() -> None:
    """c2sp.org/signed-note; it prints no public key, so only its form can be checked."""
    example = (
        "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\n"
        "ed è subito sera.\n\n— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddn"
        "GITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
    )
    note = decode_note(example.encode())
    assert note.text.endswith("di sole:\n\ned è subito sera.\n")
    assert encode_note(note) == example.encode()


def test_every_flipped_byte_of_a_note_is_detected() -> None:
    """Wherever a bit changes, the note is malformed or no longer signed by both."""
    for at in range(len(BOTH)):
        for bit in (0x01, 0x20, 0x80):
            altered = bytearray(BOTH)
            altered[at] ^= bit
            try:
                signers = verify_note(decode_note(bytes(altered)), [PETER_KEY, ENOCH_KEY])
            except (MalformedError, SignatureError):
                continue
            assert len(signers) < 2, f"bit {bit:#x} of byte {at}"
            assert at >= len(TEXT) + 1, f"bit {bit:#x} of byte {at} is text"


def test_every_truncated_note_is_refused() -> None:
    note = (TEXT + "\n" + PETER_LINE).encode()
    for length in range(len(note)):
        with pytest.raises(MalformedError):
            decode_note(note[:length])


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        (b"", "not text, an empty line"),
        (TEXT.encode(), "not text, an empty line"),
        ((TEXT + "\n").encode(), "signature line ''|not text"),
        ((TEXT + "\n" + PETER_LINE[:-1]).encode(), "end with a newline"),
        (("\n" + PETER_LINE).encode(), "not text, an empty line"),
        (("\x01" + TEXT + "\n" + PETER_LINE).encode(), "control character"),
        ((TEXT + "\n" + PETER_LINE).replace("\n", "\r\n").encode(), "control character"),
        (b"\xff" + TEXT.encode() + b"\n" + PETER_LINE.encode(), "not UTF-8"),
        ((TEXT + "\n" + PETER_LINE + "Unexpected line.\n").encode(), "signature line"),
        ((TEXT + "\n- PeterNeumann AAAAAAA=\n").encode(), "signature line"),
        ((TEXT + "\n—PeterNeumann AAAAAAA=\n").encode(), "signature line"),
        ((TEXT + "\n— PeterNeumann\n").encode(), "not canonical"),
        ((TEXT + "\n—  AAAAAAA=\n").encode(), "key name has 0 bytes"),
        ((TEXT + "\n— Bad Name AAAAAAA=\n").encode(), "not base64|not canonical"),
        ((TEXT + "\n— Bad+Name AAAAAAA=\n").encode(), "space, a plus"),
        ((TEXT + "\n— Bad\u00a0Name AAAAAAA=\n").encode(), "space, a plus"),
        ((TEXT + "\n— Bad\u2028Name AAAAAAA=\n").encode(), "space, a plus"),
        ((TEXT + "\n— a AAAAAA==\n").encode(), "expected 5 or more"),
        ((TEXT + "\n— a AAAAAAB=\n").encode(), "not canonical"),
        ((TEXT + "\n— a AAAAAAA\n").encode(), "not base64"),
        ((TEXT + "\n— a AAAA_AAA\n").encode(), "not base64"),
        ((TEXT + "\n— a AAAAAAA= \n").encode(), "not base64"),
        ((TEXT + f"\n— {'a' * 256} AAAAAAA=\n").encode(), "256 bytes, expected 1 to 255"),
        ((TEXT + "\n" + PETER_LINE * (SIGNATURES_MAX + 1)).encode(), "257 signatures"),
        (TEXT.encode() * (NOTE_BYTES_MAX // len(TEXT) + 1), "at most 1000000"),
    ],
)
def test_malformed_note_is_refused(encoded: bytes, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        decode_note(encoded)


def test_as_many_signatures_as_allowed_are_read() -> None:
    note = decode_note((TEXT + "\n" + PETER_LINE * SIGNATURES_MAX).encode())
    assert verify_note(note, [PETER_KEY]) == (PETER_KEY,)


def test_signature_of_an_unknown_type_may_be_large_but_not_larger() -> None:
    largest = Signature("a", b"\0\0\0\6", bytes(SIGNATURE_BYTES_MAX - 4))
    assert decode_signature(encode_signature(largest)) == largest
    with pytest.raises(MalformedError, match="more than 8192 bytes"):
        decode_signature(encode_signature(Signature("a", b"\0\0\0\6", bytes(8192))))


def test_vkeys_of_other_implementations_round_trip() -> None:
    # The second and third: transparency-dev/formats, note/note_cosigv1_test.go (Apache-2.0).
    for vkey, type_ in (
        (PETER, KeyType.NOTE),
        ("TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6", KeyType.NOTE),
        (
            "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
            KeyType.COSIGNATURE,
        ),
    ):
        assert decode_vkey(vkey).type is type_
        assert encode_vkey(decode_vkey(vkey)) == vkey


def test_every_mangled_vkey_is_refused() -> None:
    """The manglings of sumdb/note: every substring, and every byte incremented."""
    for start in range(len(PETER)):
        for end in range(start + 1, len(PETER) + 1):
            if (start, end) != (0, len(PETER)):
                with pytest.raises(MalformedError):
                    decode_vkey(PETER[start:end])
    for at, char in enumerate(PETER):
        with pytest.raises(MalformedError):
            decode_vkey(PETER[:at] + chr(ord(char) + 1) + PETER[at + 1 :])


@pytest.mark.parametrize(
    ("vkey", "why"),
    [
        # The first two: sumdb/note, key ids adjusted to the wrong keys.
        ("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "type 0x65"),
        (
            "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
            "not canonical",
        ),
        (PETER.replace("c74f20a3", "C74F20A3"), "gives key id 'C74F20A3'"),
        (PETER.replace("PeterNeumann", "Peter Neumann"), "space, a plus"),
        (PETER.replace("PeterNeumann", "Peter\udc80"), "not UTF-8"),
        (PETER + "A" * 500, "at most 512"),
        ("bananas.sigstore.dev+12344556", "not <name>"),
        ("rekor.sigstore.dev+12345678+THIS_IS_NOT_BASE64!", "not base64"),
        ("rekor.sigstore.dev+12345678+AQEB", "has 2 bytes, expected 32"),
        ("rekor.sigstore.dev+12345678+", "not canonical"),
        ("ecdsa.example+00000000+AgECAw==", "type 0x02"),
    ],
)
def test_malformed_vkey_is_refused(vkey: str, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        decode_vkey(vkey)


def test_key_id_tells_types_of_one_key_apart() -> None:
    public = SigningKey(bytes(32)).public
    ids = {VerifierKey("a", type_, public).id for type_ in KeyType}
    assert len(ids) == 2


@pytest.mark.parametrize("text", ["", "00", "01", "-1", "+1", " 1", "1 ", "1_0", "٣", "²", "0x1"])
def test_number_has_one_form(text: str) -> None:
    with pytest.raises(MalformedError, match="without leading zeros"):
        decode_integer(text, "size")


def test_number_has_a_limit() -> None:
    assert decode_integer(str(2**63 - 1), "size") == 2**63 - 1
    for text in (str(2**63), "9" * 10_000):
        with pytest.raises(MalformedError, match="without leading zeros"):
            decode_integer(text, "size")


@given(st.binary(min_size=1, max_size=40), st.integers(0, 60), st.characters(codec="utf-8"))
def test_base64_has_one_form(data: bytes, at: int, char: str) -> None:
    text = base64.b64encode(data).decode()
    assert decode_base64(text, "hash") == data
    altered = text[:at] + char + text[at + 1 :]
    if altered != text:
        with contextlib.suppress(MalformedError):
            assert base64.b64encode(decode_base64(altered, "hash")).decode() == altered


lines = st.text(st.characters(min_codepoint=32, codec="utf-8"), max_size=20)


@given(st.lists(lines, max_size=6), st.lists(st.binary(min_size=1, max_size=80), min_size=1))
def test_notes_round_trip(text: list[str], data: list[bytes]) -> None:
    signatures = tuple(Signature(f"key{at}", b"abcd", bytes_) for at, bytes_ in enumerate(data))
    note = Note("\n".join(text) + "\n", signatures)
    assert decode_note(encode_note(note)) == note


@given(st.binary(max_size=200))
def test_any_bytes_are_a_note_or_malformed(encoded: bytes) -> None:
    for candidate in (encoded, b"text\n\n\xe2\x80\x94 " + encoded + b"\n"):
        with contextlib.suppress(MalformedError):
            assert encode_note(decode_note(candidate)) == candidate
