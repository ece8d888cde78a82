"""
Key files: a member's secrets, encrypted under a passphrase.

    key file         [header bin, sealed bin]
    header           ["tradeline/v1 keyfile", log2_n u8, r u8, p u8, salt b16, nonce b12]
    sealed           AES-256-GCM(scrypt(passphrase, salt), nonce, secret), AAD header bin

What is inside is the business of whoever keeps the file. Keys for stores beside it are derived
from one secret inside, so that one passphrase opens all that a member keeps.
"""

from __future__ import annotations

from typing import Annotated, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from msgspec import Meta

from tradeline_ledger.encoding import B16, U8, Codec, Record, encode
from tradeline_ledger.errors import SealError
from tradeline_ledger.hashing import label

SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
SECRET_BYTES_MAX: Final = 1 << 20
STORAGE_KEY_BYTES: Final = 32
SCRYPT_LOG2_N: Final = 15
"""32 MiB of memory and about 0.1 s for one guess."""
SCRYPT_R: Final = 8
SCRYPT_P: Final = 1

_NAME: Final = "tradeline/v1 keyfile"


class _Header(Record, frozen=True):
    name: str
    log2_n: U8
    r: U8
    p: U8
    salt: B16
    nonce: Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]

    def __post_init__(self) -> None:
        got = (self.name, self.log2_n, self.r, self.p)
        if got != (_NAME, SCRYPT_LOG2_N, SCRYPT_R, SCRYPT_P):
            raise ValueError("name or scrypt parameters are those of another format")


class _File(Record, frozen=True):
    header: bytes
    sealed: bytes


_HEADER: Final[Codec[_Header]] = Codec(_Header, "key file header", 128)
_FILE: Final[Codec[_File]] = Codec(_File, "key file", SECRET_BYTES_MAX + 256)


def seal_keyfile(passphrase: bytes, secret: bytes, salt: bytes, nonce: bytes) -> bytes:
    """
    Return the key file that holds `secret` under `passphrase`.

    `salt` (16 bytes) and `nonce` (12 bytes) are fresh random bytes of every file that is written.
    """
    assert len(salt) == SALT_BYTES, len(salt)
    assert len(nonce) == NONCE_BYTES, len(nonce)
    assert len(secret) <= SECRET_BYTES_MAX, len(secret)
    header = encode(_Header(_NAME, SCRYPT_LOG2_N, SCRYPT_R, SCRYPT_P, salt, nonce))
    sealed = AESGCM(_stretch(passphrase, salt)).encrypt(nonce, secret, header)
    return encode(_File(header, sealed))


def open_keyfile(passphrase: bytes, file: bytes) -> bytes:
    """
    Return the secret of a key file.

    Raises:
        MalformedError: it is no key file, or one of another version.
        SealError: the passphrase is wrong, or the file was altered.
    """
    decoded = _FILE.decode(file)
    header = _HEADER.decode(decoded.header)
    key = _stretch(passphrase, header.salt)
    try:
        return AESGCM(key).decrypt(header.nonce, decoded.sealed, decoded.header)
    except InvalidTag as error:
        raise SealError(
            "the key file does not open: the passphrase is wrong, or the file was altered; "
            "try the passphrase again, else restore the file from its backup"
        ) from error


def derive(secret: bytes, name: str) -> bytes:
    """
    Return the 32-byte key of the store called `name` below a 32-byte `secret`.

    HKDF-SHA256 without extraction: the secret is random already (RFC 5869, section 3.3).
    """
    assert len(secret) == STORAGE_KEY_BYTES, len(secret)
    expand = HKDFExpand(SHA256(), STORAGE_KEY_BYTES, label("storage " + name))
    return expand.derive(secret)


def _stretch(passphrase: bytes, salt: bytes) -> bytes:
    scrypt = Scrypt(salt=salt, length=32, n=1 << SCRYPT_LOG2_N, r=SCRYPT_R, p=SCRYPT_P)
    return scrypt.derive(passphrase)
