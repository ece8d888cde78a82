"""
A node's own shares, kept so that one is read without opening a sealed deposit.

An HPKE deposit of 1,000 shares takes 80 µs to open, and a report of 100 events may stand in 100
submissions. So when a deposit was opened and checked once, its shares are encrypted again under a
key of the node's own and kept in the attachment file, where erasing reaches them. That key is
random, and at rest sealed to the node's HPKE key, which is what the deposits are sealed to: who
has one has the other.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import SealError
from tradeline_ledger.hashing import label
from tradeline_ledger.hpke import seal
from tradeline_node.durable import write_file
from tradeline_node.errors import StoreError
from tradeline_node.hpke_keys import HpkeKeys

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12

_INFO: Final = label("own-shares")


class ShareBox:
    """Encrypts the shares of one batch at a time. Its representation shows no key."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        """Take the 32 random bytes of this node; use `open_share_box` for those on disk."""
        assert len(key) == KEY_BYTES, len(key)
        self._key = key

    def __repr__(self) -> str:
        return "ShareBox()"

    def seal(self, batch_hash: bytes, shares: bytes) -> bytes:
        """Return nonce, ciphertext and tag of a batch's shares; a fresh nonce each time."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher(batch_hash).encrypt(nonce, shares, batch_hash)

    def open(self, batch_hash: bytes, box: bytes) -> bytes:
        """
        Return the shares in `box`.

        Raises:
            SealError: it was altered, is another batch's or under another key.
        """
        nonce, sealed = box[:NONCE_BYTES], box[NONCE_BYTES:]
        try:
            return self._cipher(batch_hash).decrypt(nonce, sealed, batch_hash)
        except (InvalidTag, ValueError) as error:
            raise SealError(
                f"own shares of batch {batch_hash.hex()} do not open: they were altered"
            ) from error

    def _cipher(self, batch_hash: bytes) -> AESGCM:
        return AESGCM(HKDFExpand(SHA256(), KEY_BYTES, _INFO + batch_hash).derive(self._key))


def open_share_box(path: Path, hpke: HpkeKeys, ledger_id: bytes, member: int) -> ShareBox:
    """
    Return the box whose key the file at `path` holds, sealed; a new one if there is no file.

    Raises:
        StoreError: the file does not open with the node's HPKE key, or can't be written.
    """

    def info(key_id: bytes) -> bytes:
        return encode(("tradeline/v1 own-shares", ledger_id, member, key_id))

    try:
        if not path.exists():
            public = hpke.newest.public
            key = secrets.token_bytes(KEY_BYTES)
            write_file(path, seal(public, key, info(public.key_id)))
        sealed = path.read_bytes()
    except OSError as error:
        raise StoreError(f"key of the own shares {path}: {error.strerror}") from error
    try:
        key = hpke.open_sealed(sealed, info)
    except SealError as error:
        raise StoreError(
            f"key of the own shares {path} does not open with this node's HPKE keys; remove the "
            "file, and shares will be read from the sealed deposits"
        ) from error
    return ShareBox(key)
