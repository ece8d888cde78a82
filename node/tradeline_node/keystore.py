"""
The node's own keys, opened: to sign with, for the consensus engine, for HPKE and for TLS.

They are read from `node.keys` (mode 0600, encrypted under a passphrase) once, at start. Nothing
here is ever logged or shown.
"""

from __future__ import annotations

import getpass
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradeline_ledger.encoding import encode
from tradeline_ledger.engine_peer import peer_id
from tradeline_ledger.errors import LedgerError, SealError
from tradeline_ledger.fingerprint import fingerprint
from tradeline_ledger.hpke import PrivateKey
from tradeline_ledger.keyfile import NONCE_BYTES, SALT_BYTES, open_keyfile, seal_keyfile
from tradeline_ledger.member_files import NODE_KEYS, NodeKeys
from tradeline_ledger.registry import MemberRecord
from tradeline_ledger.signing import SigningKey
from tradeline_node.errors import KeystoreError
from tradeline_node.hpke_keys import HpkeKeys
from tradeline_node.tls import tls_key, tls_pin

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

PASSPHRASE_VARIABLE: Final = "TRADELINE_PASSPHRASE_FILE"  # noqa: S105  names a file
PASSPHRASE_BYTES_MAX: Final = 4096
FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True, repr=False)
class Keystore:
    """A node's opened keys. Its representation shows none of them."""

    member: int
    node: SigningKey
    """Receipts, history statements, node-to-node requests; the member's feed 0."""
    note: SigningKey
    """Signs checkpoints."""
    cosigner: SigningKey
    """Cosigns checkpoints."""
    hpke: PrivateKey
    """Opens deposits, release requests and tag keys."""
    engine: SigningKey
    """Consensus votes; the engine's process signs with it."""
    peer: SigningKey
    """By which the peers of the consensus engine know this node's."""
    tls: EllipticCurvePrivateKey
    """Of the node's TLS connections."""
    witness: SigningKey
    """Cosigns checkpoints of other logs; in no registry."""
    more_hpke: tuple[PrivateKey, ...] = ()
    """HPKE keys of earlier epochs, or of the next."""

    @property
    def hpke_keys(self) -> HpkeKeys:
        """All HPKE keys."""
        return HpkeKeys(self.hpke, *self.more_hpke)

    def __repr__(self) -> str:
        return f"Keystore(member={self.member})"

    def check(self, record: MemberRecord | None, where: Path) -> None:
        """
        Accept these keys for their member, whose version in force is `record`.

        Raises:
            KeystoreError: the ledger has no such member, or it has other keys.
        """
        if record is None:
            raise KeystoreError(
                f"{where} holds the keys of member {self.member}, which is not in the registry; "
                "put the keystore and the genesis of one ledger in place; if it was admitted by a "
                "vote, run `tradeline node catch-up` first"
            )
        pairs = (
            ("node", self.node.public, record.node_key),
            ("note", self.note.public, record.note_key),
            ("cosigner", self.cosigner.public, record.cosigner_key),
            ("HPKE", self.hpke_keys.in_force(record).public.encoded, record.hpke_key),
        )
        given = (
            ("engine", self.engine.public, record.engine_key),
            ("engine's peer", _peer(peer_id(self.peer.public)), _peer(record.engine_peer)),
            ("TLS", tls_pin(self.tls), record.tls_pin),
        )
        optional = [each for each in given if each[2]]
        for what, own, registered in (*pairs, *optional):
            if own != registered:
                raise KeystoreError(
                    f"{where}: the {what} key {fingerprint(own)} is not the one of member "
                    f"{record.id} in the registry, which has {fingerprint(registered)}; use the "
                    "keystore of this ledger, or post a key change"
                )


def _peer(engine_peer: str) -> bytes:
    """Return the id in the address of an engine."""
    return bytes.fromhex(engine_peer.partition("@")[0])


def open_keystore(path: Path, passphrase: bytes) -> Keystore:
    """
    Return the keys of the file at `path`.

    Raises:
        KeystoreError: no file, readable by others, a wrong passphrase, or not such a file.
    """
    keys = read_node_keys(path, passphrase)
    try:
        return keystore_of(keys)
    except (LedgerError, ValueError) as error:
        raise KeystoreError(f"keystore {path} does not decode: {error}") from error


def read_node_keys(path: Path, passphrase: bytes) -> NodeKeys:
    """
    Return the keys of the file at `path` as they stand in it.

    Raises:
        KeystoreError: as `open_keystore`.
    """
    try:
        mode = path.stat().st_mode
        encoded = path.read_bytes()
    except OSError as error:
        raise KeystoreError(f"keystore {path} can't be read: {error.strerror}") from error
    if mode & _OTHERS:
        raise KeystoreError(
            f"keystore {path} is open to others (mode {mode & 0o777:o}); run chmod 600 {path}"
        )
    try:
        return NODE_KEYS.decode(open_keyfile(passphrase, encoded))
    except SealError as error:
        raise KeystoreError(
            f"keystore {path} is locked: the passphrase is wrong, or the file was altered; give "
            f"--passphrase-file or {PASSPHRASE_VARIABLE}"
        ) from error
    except LedgerError as error:
        raise KeystoreError(f"keystore {path} does not decode: {error}") from error


def keystore_of(keys: NodeKeys) -> Keystore:
    """
    Return keys, opened.

    Raises:
        MalformedError, ValueError: an HPKE or TLS key is none.
    """
    return Keystore(
        keys.member,
        SigningKey(keys.node_seed),
        SigningKey(keys.note_seed),
        SigningKey(keys.cosigner_seed),
        PrivateKey.from_bytes(keys.hpke_private),
        SigningKey(keys.engine_seed),
        SigningKey(keys.peer_seed),
        tls_key(keys.tls_private),
        SigningKey(keys.witness_seed),
        tuple(map(PrivateKey.from_bytes, keys.more_hpke)),
    )


def seal_keystore(keys: NodeKeys, passphrase: bytes) -> bytes:
    """Return the keystore file of `keys`, with fresh salt and nonce."""
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    return seal_keyfile(passphrase, encode(keys), salt, nonce)


def write_private(path: Path, content: bytes) -> None:
    """
    Write a new file that only its owner reads.

    Raises:
        FileExistsError: there is one already; keys are never overwritten.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_passphrase(file: Path | None, what: str) -> bytes:
    """
    Return the passphrase: from `file`, else the file that the environment names, else asked for.

    One newline at its end is not part of it.

    Raises:
        KeystoreError: the file can't be read or is empty, or there is no terminal to ask on.
    """
    named = os.environ.get(PASSPHRASE_VARIABLE)
    path = file or (Path(named) if named else None)
    if path is None:
        if not sys.stdin.isatty():
            raise KeystoreError(
                f"{what} needs its passphrase; give --passphrase-file FILE or set "
                f"{PASSPHRASE_VARIABLE}, since there is no terminal to ask on"
            )
        return _checked(getpass.getpass(f"Passphrase of {what}: ").encode(), "the terminal")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise KeystoreError(f"passphrase file {path} can't be read: {error.strerror}") from error
    return _checked(content.removesuffix(b"\n").removesuffix(b"\r"), str(path))


def _checked(passphrase: bytes, where: str) -> bytes:
    if not 0 < len(passphrase) <= PASSPHRASE_BYTES_MAX:
        raise KeystoreError(
            f"the passphrase from {where} has {len(passphrase)} bytes, expected 1 to "
            f"{PASSPHRASE_BYTES_MAX}"
        )
    return passphrase
