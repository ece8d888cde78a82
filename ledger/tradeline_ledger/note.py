"""
Signed notes, c2sp.org/signed-note: a text, an empty line, and one line for each signature.

    text, lines of UTF-8, may contain empty lines
    <empty line>
    — <key name> <base64 of key id (4) ‖ signature>

A key is known by its name and its id, the first 4 bytes of SHA-256(name ‖ "\\n" ‖ type ‖ public
key). Whoever verifies names the keys that it knows: signatures by other keys are ignored, so
that logs can add keys and types that we have never heard of, and one bad signature by a known
key refuses the whole note.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tradeline_ledger.c2sp import check_key_name, decode_base64, encode_base64
from tradeline_ledger.errors import MalformedError, SignatureError
from tradeline_ledger.signing import PUBLIC_KEY_BYTES, SigningKey, verify_raw

NOTE_BYTES_MAX: Final = 1_000_000
SIGNATURES_MAX: Final = 256
"""Lines in one note: 64 validators sign and cosign. Go's reader stops at 100, so publish fewer."""
SIGNATURE_BYTES_MAX: Final = 8192
"""Key id and signature; the largest assigned type, ML-DSA-44 with a time, has 2,432."""
VKEY_CHARS_MAX: Final = 512
KEY_ID_BYTES: Final = 4

_BASE64_CHARS_MAX: Final = (SIGNATURE_BYTES_MAX + 2) // 3 * 4
_DASH: Final = "— "


@enum.unique
class KeyType(enum.IntEnum):
    """What a key signs. The types not listed are ignored in notes and refused in configuration."""

    NOTE = 0x01
    """Ed25519 over the text."""
    COSIGNATURE = 0x04
    """Ed25519 over a time and the text of a checkpoint (`cosignature`)."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A key that somebody may have signed a note with."""

    name: str
    """Of a log: its origin."""
    type: KeyType
    public: bytes
    """Ed25519 public key, 32 bytes."""

    @property
    def id(self) -> bytes:
        """4 bytes that tell keys of one name apart. Anyone can make a key with a given id."""
        named = self.name.encode() + b"\n" + bytes([self.type]) + self.public
        return hashlib.sha256(named).digest()[:KEY_ID_BYTES]


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line, unverified."""

    name: str
    key_id: bytes
    """4 bytes."""
    data: bytes
    """What the key's type makes of it; 1 byte or more."""


@dataclass(frozen=True, slots=True)
class Note:
    """A text and its signatures, unverified."""

    text: str
    """Ends with a newline."""
    signatures: tuple[Signature, ...]
    """In the order of their lines, one at least."""


def encode_vkey(key: VerifierKey) -> str:
    """Return `<name>+<key id in hex>+<base64 of type ‖ public key>`, as in configuration files."""
    return f"{key.name}+{key.id.hex()}+{encode_base64(bytes([key.type]) + key.public)}"


def decode_vkey(vkey: str) -> VerifierKey:
    """
    Return the key that `vkey` describes.

    Raises:
        MalformedError: another form, a type that we can't verify, or an id that is not the key's.
    """
    if len(vkey) > VKEY_CHARS_MAX:
        raise MalformedError(f"vkey has {len(vkey)} characters, at most {VKEY_CHARS_MAX} allowed")
    name, _, rest = vkey.partition("+")
    key_id, plus, encoded = rest.partition("+")
    if not plus:
        raise MalformedError(f"vkey {vkey!r} is not <name>+<key id>+<base64>")
    check_key_name(name)
    material = decode_base64(encoded, f"key of {name!r}")
    type_, public = material[0], material[1:]
    if type_ not in tuple(KeyType):
        raise MalformedError(
            f"key of {name!r} has type 0x{type_:02x}, expected 0x01 (note) or 0x04 (cosignature)"
        )
    if len(public) != PUBLIC_KEY_BYTES:
        raise MalformedError(f"key of {name!r} has {len(public)} bytes, expected 32")
    key = VerifierKey(name, KeyType(type_), public)
    if key_id != key.id.hex():
        raise MalformedError(
            f"vkey of {name!r} gives key id {key_id!r}, the key's is {key.id.hex()}"
        )
    return key


def encode_signature(signature: Signature) -> str:
    """Return the signature's line with its newline."""
    data = encode_base64(signature.key_id + signature.data)
    return f"{_DASH}{signature.name} {data}\n"


def decode_signature(line: str) -> Signature:
    """
    Return the signature of one line, which ends with its newline.

    Raises:
        MalformedError: another form, or longer than `SIGNATURE_BYTES_MAX`.
    """
    if not line.startswith(_DASH) or not line.endswith("\n"):
        raise MalformedError(
            f"signature line {line[:40]!r} is not '— <key name> <base64>' and a newline"
        )
    name, _, encoded = line[len(_DASH) : -1].partition(" ")
    check_key_name(name)
    if len(encoded) > _BASE64_CHARS_MAX:
        raise MalformedError(
            f"signature by {name!r} has more than {SIGNATURE_BYTES_MAX} bytes; refuse this note"
        )
    data = decode_base64(encoded, f"signature by {name!r}")
    if len(data) <= KEY_ID_BYTES:
        raise MalformedError(f"signature by {name!r} has {len(data)} bytes, expected 5 or more")
    return Signature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def encode_note(note: Note) -> bytes:
    """Return the note as it is published; of our own making, so it must be well formed."""
    assert note.text.endswith("\n"), note.text
    assert 0 < len(note.signatures) <= SIGNATURES_MAX, len(note.signatures)
    return (note.text + "\n" + "".join(map(encode_signature, note.signatures))).encode()


def decode_note(encoded: bytes) -> Note:
    """
    Return the note that `encoded` is the one encoding of. Nothing of it is verified yet.

    Raises:
        MalformedError: not UTF-8, a control character, no text or signature, or over a limit.
    """
    if len(encoded) > NOTE_BYTES_MAX:
        raise MalformedError(f"note has {len(encoded)} bytes, at most {NOTE_BYTES_MAX} are allowed")
    try:
        decoded = encoded.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError(f"note is not UTF-8: {error}") from error
    if any(char < " " and char != "\n" for char in decoded):
        raise MalformedError("note contains a control character other than newline")
    text, blank, lines = decoded.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise MalformedError(
            "note is not text, an empty line and signature lines that end with a newline"
        )
    count = lines.count("\n")
    if count > SIGNATURES_MAX:
        raise MalformedError(f"note has {count} signatures, at most {SIGNATURES_MAX} are allowed")
    signatures = tuple(decode_signature(line + "\n") for line in lines[:-1].split("\n"))
    return Note(text + "\n", signatures)


def sign_note(text: str, name: str, key: SigningKey) -> Signature:
    """Return the signature of `text` under the key of type 0x01 called `name`."""
    assert text.endswith("\n"), text
    verifier = VerifierKey(check_key_name(name), KeyType.NOTE, key.public)
    return Signature(name, verifier.id, key.sign_raw(text.encode()))


def verify_note(note: Note, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
    """
    Return those of `keys`, all of type 0x01, that signed the text; one at least.

    Raises:
        SignatureError: a signature attributed to one of `keys` is not by it, or none of them
            signed.
    """
    signers = verify_signatures(note, keys)
    if not signers:
        names = ", ".join(sorted({signature.name for signature in note.signatures}))
        raise SignatureError(f"no known key signed the note; it carries signatures by {names}")
    return signers


def verify_signatures(note: Note, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
    """
    Return those of `keys`, all of type 0x01, that signed the text; maybe none.

    Raises:
        SignatureError: a signature attributed to one of `keys` is not by it.
    """
    signers = []
    for key, signatures in known_signatures(note, keys):
        assert key.type is KeyType.NOTE, key
        for signature in signatures:
            verify_raw(key.public, note.text.encode(), signature.data)
        if signatures:
            signers.append(key)
    return tuple(signers)


def known_signatures(
    note: Note, keys: Iterable[VerifierKey]
) -> list[tuple[VerifierKey, Sequence[Signature]]]:
    """Return each of `keys` with the signatures attributed to it; other signatures are ignored."""
    by_key: dict[tuple[str, bytes], list[Signature]] = {}
    for signature in note.signatures:
        by_key.setdefault((signature.name, signature.key_id), []).append(signature)
    return [(key, by_key.get((key.name, key.id), ())) for key in keys]
