"""
The member's keys, opened: feed keys, the linker's key, the tag key, the root key where it is here.

They are read from `client.keys` (mode 0600, encrypted under a passphrase) once. No representation,
message or file in clear shows any of them.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from tradeline_client.errors import FolderError
from tradeline_client.files import write_private
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import LedgerError, SealError
from tradeline_ledger.event import References
from tradeline_ledger.keyfile import NONCE_BYTES, SALT_BYTES, derive, open_keyfile, seal_keyfile
from tradeline_ledger.member_files import ClientKeys, decode_client_keys
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.tag import Filer, HmacLinker, tag_key_hash

if TYPE_CHECKING:
    from pathlib import Path

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.registry import Registry
    from tradeline_ledger.statement import Kind

OTHERS_MODE: Final = 0o077
"""Permissions that a file with secrets must not have."""


class Keystore:
    """A client's keys, ready to use. Its representation shows the member only."""

    __slots__ = ("_feeds", "_keys", "linker", "member", "references")

    def __init__(self, keys: ClientKeys) -> None:
        """Take the opened keys."""
        self._keys = keys
        self._feeds = {each.feed: SigningKey(each.seed) for each in keys.feeds}
        self.member = keys.member
        self.linker = HmacLinker(keys.consortium_key)
        """Makes link keys of subjects."""
        self.references = References(self.storage_key("references"))
        """Keys the member's own references, always alike."""

    def __repr__(self) -> str:
        return f"Keystore(member={self.member})"

    def opened(self) -> ClientKeys:
        """Return the opened keys, to hand them to a process of one's own; they stay in memory."""
        return self._keys

    @property
    def feeds(self) -> tuple[int, ...]:
        """Numbers of the feeds whose keys are here, ascending."""
        return tuple(self._feeds)

    @property
    def tag_key(self) -> bytes:
        """The member's tag key, which only the committee may have besides."""
        return self._keys.tag_key

    @property
    def root(self) -> SigningKey:
        """
        The member's root key.

        Raises:
            FolderError: it is kept elsewhere.
        """
        if self._keys.root_seed is None:
            raise FolderError("the root key is not in this keystore; use the folder that holds it")
        return SigningKey(self._keys.root_seed)

    @property
    def next_root_key(self) -> bytes | None:
        """Public half of the root key that is to take the place of `root`, None if none is."""
        seed = self._keys.next_root_seed
        return None if seed is None else SigningKey(seed).public

    def feed(self, number: int) -> SigningKey:
        """
        Return the signing key of a feed.

        Raises:
            FolderError: it is not here.
        """
        key = self._feeds.get(number)
        if key is None:
            raise FolderError(
                f"feed {number} has no key in this keystore, which holds {list(self.feeds)}; "
                "choose one of them in client.toml"
            )
        return key

    def feed_for(self, kind: Kind, preferred: int) -> int:
        """
        Return the feed to sign `kind` with: `preferred` if it may, else the first that may.

        Raises:
            FolderError: none may.
        """
        able = [each.feed for each in self._keys.feeds if each.kinds >> kind & 1]
        if not able:
            raise FolderError(
                f"no feed in this keystore may sign {kind.name.lower()}; have the root key add one"
            )
        return preferred if preferred in able else able[0]

    def storage_key(self, name: str) -> bytes:
        """Return the 32-byte key of one store of this folder."""
        return derive(self._keys.storage_key, name)

    def filer(self) -> Filer:
        """Return what files this member's events under its tags."""
        return Filer(self.linker, self.tag_key, self.member, self._keys.more_tag_keys)

    def check(self, ledger: Ledger, registry: Registry) -> None:
        """
        Accept these keys for their member of the registry.

        A member or feed that the registry does not have, or not any more, is let pass: `registry`
        may be that of the genesis, before the member was admitted or the feed added. Statements of
        what is in no registry are dropped.

        Raises:
            FolderError: another ledger's keys, or the registry has another key in one's place.
        """
        if self.linker.linker_hash != ledger.params.linker:
            raise FolderError(
                "the consortium key in this keystore is not the one of this ledger; ask another "
                "member for it, since no tag made with this one would be found"
            )
        record = registry.member(self.member)
        if record is None:
            return
        own = (self.tag_key, *self._keys.more_tag_keys)
        if record.tag_key_hash not in (None, *map(tag_key_hash, own)):
            raise FolderError("the tag key in this keystore is not the one in the registry")
        for number, key in self._feeds.items():
            registered = record.feed(number)
            if registered is not None and registered.key != key.public:
                raise FolderError(
                    f"feed {number} in this keystore is not the key that the registry has for it"
                )


def open_keystore(path: Path, passphrase: bytes) -> Keystore:
    """
    Return the keys of the file at `path`.

    Raises:
        FolderError: no file, readable by others, a wrong passphrase, or not such a file.
    """
    return Keystore(read_client_keys(path, passphrase))


def read_client_keys(path: Path, passphrase: bytes) -> ClientKeys:
    """
    Return the keys of the file at `path` as they stand in it.

    Raises:
        FolderError: as `open_keystore`.
    """
    try:
        mode = path.stat().st_mode
        encoded = path.read_bytes()
    except OSError as error:
        raise FolderError(f"keystore {path} can't be read: {error.strerror}") from error
    if mode & OTHERS_MODE:
        raise FolderError(
            f"keystore {path} is open to others (mode {mode & 0o777:o}); run chmod 600 {path}"
        )
    try:
        return decode_client_keys(open_keyfile(passphrase, encoded))
    except SealError as error:
        raise FolderError(
            f"keystore {path} is locked: the passphrase is wrong, or the file was altered; give "
            "--passphrase-file or TRADELINE_PASSPHRASE_FILE"
        ) from error
    except LedgerError as error:
        raise FolderError(f"keystore {path} does not decode: {error}") from error


def write_keystore(path: Path, keys: ClientKeys, passphrase: bytes) -> None:
    """Put `keys` in place of the keystore at `path`, with fresh salt and nonce."""
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    write_private(path, seal_keyfile(passphrase, encode(keys), salt, nonce))
