"""
The folder of one member as a node and a client find it: configuration, key files, genesis, policy.

Everything in it is its member's own, and no path in it leads out of it, so it can be moved to
another machine as it is.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from tradeline_ledger.checkpoint import origin_of
from tradeline_ledger.encoding import encode
from tradeline_ledger.keyfile import NONCE_BYTES, SALT_BYTES, seal_keyfile
from tradeline_ledger.member_files import (
    BULK_FEED,
    CLIENT_FOLDER_NAME,
    CLIENT_KEYS_NAME,
    DESK_FEED,
    GENESIS_NAME,
    NODE_CONFIG_NAME,
    NODE_KEYS_NAME,
    POLICY_NAME,
    PROFILE_NAME,
    ClientKeys,
    Profile,
    encode_profile,
)
from tradeline_ledger.policy import validators_policy
from tradeline_ledger.policy_file import encode_policy
from tradeline_node.config import encode_config
from tradeline_node.engine.cometbft import DRIVER as COMETBFT
from tradeline_node.keystore import FOLDER_MODE, seal_keystore, write_private

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.registry import MemberRecord
    from tradeline_node.member_keys import MemberKeys, Place

PASSPHRASE_NAME: Final = "passphrase"  # noqa: S105  names a file
"""File with the passphrase of both key files, where nobody is to be asked for it."""


def write_keys(folder: Path, keys: MemberKeys, passphrase: bytes) -> None:
    """Make `folder` with the key files of node and client, encrypted under `passphrase`."""
    make_folder(folder)
    if keys.node is not None:
        write_private(folder / NODE_KEYS_NAME, seal_keystore(keys.node, passphrase))
    make_folder(folder / CLIENT_FOLDER_NAME)
    sealed = seal_client_keys(keys.client, passphrase)
    write_private(folder / CLIENT_FOLDER_NAME / CLIENT_KEYS_NAME, sealed)


def seal_client_keys(keys: ClientKeys, passphrase: bytes) -> bytes:
    """Return the file `client.keys`, with fresh salt and nonce."""
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    return seal_keyfile(passphrase, encode(keys), salt, nonce)


def node_values(member: int, name: str, place: Place, driver: str) -> dict[str, Any]:
    """Return what `node.toml` says of a node called `name` at `place`."""
    values: dict[str, Any] = {
        "node.member": member,
        "node.name": name,
        "http.host": place.host,
        "http.port": place.http_port,
    }
    if driver == COMETBFT:
        values |= {
            "engine.driver": driver,
            "engine.p2p_host": place.host,
            "engine.p2p_port": place.engine_port,
        }
    return values


def write_config(folder: Path, values: Mapping[str, Any]) -> None:
    """Write `node.toml` with `values`, by their keys such as `http.port`."""
    (folder / NODE_CONFIG_NAME).write_text(encode_config(values), encoding="utf-8")


def write_ledger(folder: Path, record: MemberRecord, ledger: Ledger) -> None:
    """Write the ledger's genesis, and what the client of member `record` starts from."""
    client = folder / CLIENT_FOLDER_NAME
    validators = ledger.registry.epoch.validators
    profile = Profile(
        member=record.id,
        name=record.name,
        ledger_id=ledger.ledger_id,
        bulk_feed=BULK_FEED,
        desk_feed=DESK_FEED,
        request_feed=DESK_FEED,
        home=record.id if record.endpoint else validators[0],
    )
    records = [each for each in ledger.registry.members if each.id in validators]
    policy = validators_policy(origin_of(ledger.ledger_id), records)
    (client / PROFILE_NAME).write_text(encode_profile(profile), encoding="utf-8")
    (client / POLICY_NAME).write_bytes(encode_policy(policy))
    (client / GENESIS_NAME).write_bytes(ledger.file)
    (folder / GENESIS_NAME).write_bytes(ledger.file)


def make_folder(folder: Path) -> None:
    """Make `folder`, for its owner alone."""
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)
