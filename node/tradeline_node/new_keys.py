"""
New keys for a node: made beside the old ones, registered by the root key or a vote, then put in
their place.

`node.keys.next` holds the keystore that is to come, and `new-keys.json` the public halves, for who
registers them. A node runs on its old keys until its operator stops it and switches.
"""

from __future__ import annotations

import contextlib
import enum
import json
import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec.structs

from tradeline_ledger.engine_peer import peer_id
from tradeline_ledger.hpke import PRIVATE_KEY_BYTES
from tradeline_ledger.member_files import MORE_HPKE_MAX, NodeKeys
from tradeline_ledger.signing import SEED_BYTES
from tradeline_node.durable import flush_folder, write_file
from tradeline_node.errors import ConfigError
from tradeline_node.genesis_file import read_genesis
from tradeline_node.keystore import (
    Keystore,
    keystore_of,
    open_keystore,
    read_node_keys,
    seal_keystore,
)
from tradeline_node.store import LedgerStore
from tradeline_node.tls import generate_tls_private, tls_pin

if TYPE_CHECKING:
    from pathlib import Path

    from tradeline_node.config import Config

NEXT_SUFFIX: Final = ".next"
OLD_SUFFIX: Final = ".old"
PUBLIC_NAME: Final = "new-keys.json"


class NodeKey(enum.StrEnum):
    """Keys of a node that can be replaced."""

    NODE = "node"
    NOTE = "note"
    COSIGNER = "cosigner"
    ENGINE = "engine"
    PEER = "peer"
    HPKE = "hpke"
    TLS = "tls"


BY_ROOT: Final = frozenset({NodeKey.NODE, NodeKey.NOTE, NodeKey.COSIGNER})
"""Those that the root key alone replaces; the others need a vote."""


def make_new_keys(config: Config, passphrase: bytes, wanted: frozenset[NodeKey]) -> dict[str, Any]:
    """
    Write a keystore with fresh `wanted` keys beside that of a node; return the public halves.

    Raises:
        ConfigError: there is one already, nothing is wanted, or it can't be written.
        KeystoreError: the keystore does not open.
    """
    path = config.path(config.node.keys)
    following = path.with_name(path.name + NEXT_SUFFIX)
    if not wanted:
        raise ConfigError(f"name a key to replace: {', '.join(NodeKey)}")
    if following.exists():
        raise ConfigError(
            f"{following} waits for its switch; run `tradeline node keys switch`, or remove it if "
            "none of its keys was registered"
        )
    keys = read_node_keys(path, passphrase)
    changed = msgspec.structs.replace(keys, **_fresh(keys, wanted))
    public = _public(keystore_of(changed), wanted)
    try:
        write_file(following, seal_keystore(changed, passphrase))
        write_file(path.with_name(PUBLIC_NAME), json.dumps(public, indent=2).encode() + b"\n")
    except OSError as error:
        raise ConfigError(f"{following} can't be written: {error.strerror}") from error
    return public


def switch_keys(config: Config, passphrase: bytes) -> Path:
    """
    Put a stopped node's new keys in the place of the old ones; return where the old ones are.

    Raises:
        ConfigError: there are no new keys, or it can't be written.
        KeystoreError: they don't open, or the registry, as this node's store has it, has others.
        StoreError: the node runs, or its store can't be opened.
    """
    path = config.path(config.node.keys)
    following = path.with_name(path.name + NEXT_SUFFIX)
    if not following.exists():
        raise ConfigError(f"there is no {following}; `tradeline node keys new` makes it")
    keys = open_keystore(following, passphrase)
    ledger = read_genesis(config.path(config.node.genesis))
    store = LedgerStore.open(config.path(config.storage.ledger), ledger)
    with contextlib.closing(store):
        keys.check(store.registry.member(keys.member), following)
    old = path.with_name(path.name + OLD_SUFFIX)
    try:
        write_file(old, path.read_bytes())
        following.replace(path)
        path.with_name(PUBLIC_NAME).unlink(missing_ok=True)
        flush_folder(path.parent)
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}") from error
    return old


def _fresh(keys: NodeKeys, wanted: frozenset[NodeKey]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        f"{each}_seed": secrets.token_bytes(SEED_BYTES)
        for each in wanted - {NodeKey.HPKE, NodeKey.TLS}
    }
    if NodeKey.TLS in wanted:
        fields["tls_private"] = generate_tls_private()
    if NodeKey.HPKE in wanted:
        # Deposits of epochs before stay sealed to the old one.
        kept = (keys.hpke_private, *keys.more_hpke)[:MORE_HPKE_MAX]
        fields |= {"hpke_private": secrets.token_bytes(PRIVATE_KEY_BYTES), "more_hpke": kept}
    return fields


def _public(keys: Keystore, wanted: frozenset[NodeKey]) -> dict[str, Any]:
    """Return the public halves, by the names that proposals have for them."""
    halves = {
        NodeKey.NODE: ("node_key", keys.node.public.hex()),
        NodeKey.NOTE: ("note_key", keys.note.public.hex()),
        NodeKey.COSIGNER: ("cosigner_key", keys.cosigner.public.hex()),
        NodeKey.ENGINE: ("engine_key", keys.engine.public.hex()),
        NodeKey.PEER: ("engine_peer_id", peer_id(keys.peer.public)),
        NodeKey.HPKE: ("hpke_key", keys.hpke.public.encoded.hex()),
        NodeKey.TLS: ("tls_pin", tls_pin(keys.tls).hex()),
    }
    return {"member": keys.member} | dict(halves[each] for each in NodeKey if each in wanted)
