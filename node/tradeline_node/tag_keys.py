"""
The tag keys that members shared with this committee member (docs/formats.md, section 6).

Each is kept as it was received, sealed to this node's HPKE key, in a file `<member>-<hash>.sealed`,
and opened when the node starts. Every key that a member ever had is kept: events are filed under
each of them, and a scope needs them all.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Final

from tradeline_ledger.errors import SealError
from tradeline_ledger.hpke import SEAL_OVERHEAD_BYTES, PublicKey, seal, tag_key_info
from tradeline_ledger.registry import MemberRecord, Registry
from tradeline_ledger.tag import TAG_KEY_BYTES, Tagger, tag_key_hash
from tradeline_node.durable import make_folders, remove_parts, write_file
from tradeline_node.errors import RequestError, StoreError
from tradeline_node.hpke_keys import HpkeKeys

SEALED_BYTES: Final = TAG_KEY_BYTES + SEAL_OVERHEAD_BYTES
FOLDER_NAME: Final = "tag-keys"

_NAME: Final = re.compile(r"([1-9][0-9]{0,9})-([0-9a-f]{64})\.sealed")


class TagKeys:
    """All tag keys known here. Any thread may read and write. Its representation shows none."""

    def __init__(self, path: Path, ledger_id: bytes, recipient: int, hpke: HpkeKeys) -> None:
        """
        Open the keys in the folder `path` with the HPKE keys of committee member `recipient`.

        Raises:
            StoreError: the folder can't be read or made.
        """
        self._path = path
        self._ledger_id = ledger_id
        self._recipient = recipient
        self._hpke = hpke
        self._lock = threading.Lock()
        self._taggers: dict[tuple[int, bytes], Tagger] = {}
        self.findings: list[str] = []
        """Files that did not open; their members have to hand their keys over again."""
        try:
            make_folders(path.parent, [path.name])
            remove_parts(path)
            for file in sorted(path.iterdir()):
                self._load(file)
        except OSError as error:
            raise StoreError(f"tag keys {path} can't be read: {error}") from error

    def __repr__(self) -> str:
        return f"TagKeys({len(self._taggers)} keys)"

    def put(self, registry: Registry, member: int, sealed: bytes) -> None:
        """
        Keep a tag key of `member`, as `sealed` to this node by it or by a committee member.

        Raises:
            RequestError: it does not open, or its hash is in no version of the member's record.
            StoreError: the disk is full or failed.
        """
        key = self._open(member, sealed)
        hash_ = tag_key_hash(key)
        versions = registry.versions(member)
        if hash_ not in {version.tag_key_hash for version in versions}:
            raise RequestError(
                "tag-key-wrong",
                f"the tag key hashes to {hash_.hex()}, which is in no record of member {member}; "
                "post the key change first, and wait until it is in force",
            )
        with self._lock:
            if (member, hash_) in self._taggers:
                return
            try:
                write_file(self._path / file_name(member, hash_), sealed)
            except OSError as error:
                raise StoreError(f"tag key of member {member} can't be kept: {error}") from error
            self._taggers[member, hash_] = Tagger(key)

    def has(self, record: MemberRecord) -> bool:
        """Return whether the key that is in force in `record` is known here."""
        return self._known(record.id, record.tag_key_hash)

    def tagger(self, member: int, hash_: bytes) -> Tagger | None:
        """Return the key of `member` with that hash, None if it is not known here."""
        return self._taggers.get((member, hash_))

    def missing(self, registry: Registry) -> list[tuple[int, bytes]]:
        """Return member and hash of every tag key of `registry` that is not known here."""
        named = {(each.id, each.tag_key_hash) for each in registry.members if each.tag_key_hash}
        return sorted((member, hash_) for member, hash_ in named if not self._known(member, hash_))

    def sealed_for(self, member: int, hash_: bytes, recipient: int, public: bytes) -> bytes | None:
        """
        Return the tag key of `member` with that hash, sealed to another committee member.

        `public` is the HPKE key of `recipient` in the registry. None if the key is not known here.

        Raises:
            StoreError: the file of the key can't be read.
            RequestError: it does not open any more.
            MalformedError: `public` can't be sealed to.
        """
        if not self._known(member, hash_):
            return None
        path = self._path / file_name(member, hash_)
        try:
            key = self._open(member, path.read_bytes())
        except OSError as error:
            raise StoreError(f"tag key {path} can't be read: {error.strerror}") from error
        to = PublicKey.from_bytes(public)
        return seal(to, key, tag_key_info(self._ledger_id, member, recipient, to.key_id))

    def _known(self, member: int, hash_: bytes | None) -> bool:
        return hash_ is not None and (member, hash_) in self._taggers

    def _open(self, member: int, sealed: bytes) -> bytes:
        if len(sealed) != SEALED_BYTES:
            raise RequestError(
                "tag-key-wrong",
                f"a sealed tag key has {SEALED_BYTES} bytes, got {len(sealed)}",
            )

        def info(key_id: bytes) -> bytes:
            return tag_key_info(self._ledger_id, member, self._recipient, key_id)

        try:
            return self._hpke.open_sealed(sealed, info)
        except SealError as error:
            raise RequestError(
                "tag-key-wrong",
                f"the tag key does not open with HPKE key {self._hpke.newest.public.key_id.hex()} "
                f"of member {self._recipient}; seal it to this node, for this ledger, as member "
                f"{member}",
            ) from error

    def _load(self, file: Path) -> None:
        named = _NAME.fullmatch(file.name)
        if named is None:
            self.findings.append(f"{file}: is no tag key")
            return
        member, hash_ = int(named[1]), bytes.fromhex(named[2])
        try:
            key = self._open(member, file.read_bytes())
        except RequestError as error:
            self.findings.append(f"{file}: {error.detail}")
            return
        if tag_key_hash(key) != hash_:
            self.findings.append(f"{file}: holds another key than its name says")
            return
        self._taggers[member, hash_] = Tagger(key)


def file_name(member: int, hash_: bytes) -> str:
    """Return the name of the file of one sealed tag key."""
    return f"{member}-{hash_.hex()}.sealed"
