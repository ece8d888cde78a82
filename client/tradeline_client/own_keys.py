"""
Replacing the member's root key and tag key in its `client.keys`.

The new key is in the file, beside the one in use, before the ledger hears of it, and takes its
place once the registry has it. Whatever is cut off in between goes on where it was.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec.structs

from tradeline_client.errors import FolderError
from tradeline_client.keystore import read_client_keys, write_keystore
from tradeline_ledger.member_files import MORE_TAG_KEYS_MAX
from tradeline_ledger.signing import SEED_BYTES, SigningKey
from tradeline_ledger.tag import TAG_KEY_BYTES, tag_key_hash

if TYPE_CHECKING:
    from tradeline_client.profile import ClientFolder
    from tradeline_ledger.registry import Registry


def prepare_root(folder: ClientFolder, passphrase: bytes) -> bytes:
    """
    Return the public half of the root key that is to come, which is in the folder from now on.

    Raises:
        FolderError: the keystore does not open.
    """
    keys = read_client_keys(folder.keys, passphrase)
    seed = keys.next_root_seed
    if seed is None:
        seed = secrets.token_bytes(SEED_BYTES)
        write_keystore(folder.keys, msgspec.structs.replace(keys, next_root_seed=seed), passphrase)
    return SigningKey(seed).public


def use_root(folder: ClientFolder, passphrase: bytes) -> None:
    """
    Put the root key that was to come in the place of the present one.

    Raises:
        FolderError: the keystore does not open.
    """
    keys = read_client_keys(folder.keys, passphrase)
    if keys.next_root_seed is not None:
        changed = msgspec.structs.replace(keys, root_seed=keys.next_root_seed, next_root_seed=None)
        write_keystore(folder.keys, changed, passphrase)


def prepare_tag_key(folder: ClientFolder, passphrase: bytes, registry: Registry) -> bytes:
    """
    Return the hash of the tag key that is to come, which is in the folder from now on.

    Raises:
        FolderError: the keystore does not open, or has as many tag keys as it can.
    """
    keys = read_client_keys(folder.keys, passphrase)
    known = {record.tag_key_hash for record in registry.versions(keys.member)}
    for each in keys.more_tag_keys:
        if tag_key_hash(each) not in known:
            return tag_key_hash(each)
    if len(keys.more_tag_keys) >= MORE_TAG_KEYS_MAX:
        raise FolderError(
            f"this member had {MORE_TAG_KEYS_MAX + 1} tag keys, and can have no more: readers look "
            "under each of them"
        )
    new = secrets.token_bytes(TAG_KEY_BYTES)
    changed = msgspec.structs.replace(keys, more_tag_keys=(new, *keys.more_tag_keys))
    write_keystore(folder.keys, changed, passphrase)
    return tag_key_hash(new)


def use_tag_key(folder: ClientFolder, passphrase: bytes, hash_: bytes) -> None:
    """
    File under the tag key with that hash from now on; the one before stays, to find with.

    Raises:
        FolderError: the keystore does not open, or lacks that key.
    """
    keys = read_client_keys(folder.keys, passphrase)
    if tag_key_hash(keys.tag_key) == hash_:
        return
    new = next((each for each in keys.more_tag_keys if tag_key_hash(each) == hash_), None)
    if new is None:
        raise FolderError(
            f"the registry has a tag key with hash {hash_.hex()}, which is not in this folder; use "
            "the client.keys that it was made in"
        )
    others = tuple(each for each in keys.more_tag_keys if each != new)
    changed = msgspec.structs.replace(keys, tag_key=new, more_tag_keys=(keys.tag_key, *others))
    write_keystore(folder.keys, changed, passphrase)
