"""
The folder of one member as a node and a client find it: configuration, key files, genesis, policy.

Everything in it is its member's own, and no path in it leads out of it, so it can be moved to
another machine as it is.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec.structs

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError, SealError
from tradeline_ledger.keyfile import NONCE_BYTES, SALT_BYTES, open_keyfile, seal_keyfile
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
    decode_client_keys,
    encode_profile,
)
from tradeline_ledger.trust import policy_of
from tradeline_node.config import encode_config
from tradeline_node.durable import write_file
from tradeline_node.engine.cometbft import DRIVER as COMETBFT
from tradeline_node.errors import KeystoreError
from tradeline_node.keystore import FOLDER_MODE, seal_keystore, write_private

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.registry import MemberRecord, Registry
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


def open_client_keys(folder: Path, passphrase: bytes) -> ClientKeys:
    """
    Return the client's keys of a member folder.

    Raises:
        KeystoreError: no file, a wrong passphrase, or not such a file.
    """
    path = folder / CLIENT_FOLDER_NAME / CLIENT_KEYS_NAME
    try:
        return decode_client_keys(open_keyfile(passphrase, path.read_bytes()))
    except OSError as error:
        raise KeystoreError(f"client's keys {path} can't be read: {error.strerror}") from error
    except SealError as error:
        raise KeystoreError(
            f"client's keys {path} are locked: the passphrase is wrong, or the file was altered"
        ) from error
    except MalformedError as error:
        raise KeystoreError(f"client's keys {path} do not decode: {error}") from error


def take_consortium_key(folder: Path, key: bytes, passphrase: bytes) -> None:
    """
    Put the consortium key into the client's keys of a member folder.

    Raises:
        KeystoreError: as `open_client_keys`.
    """
    keys = open_client_keys(folder, passphrase)
    if keys.consortium_key != key:
        changed = msgspec.structs.replace(keys, consortium_key=key)
        path = folder / CLIENT_FOLDER_NAME / CLIENT_KEYS_NAME
        write_file(path, seal_client_keys(changed, passphrase))


def seal_client_keys(keys: ClientKeys, passphrase: bytes) -> bytes:
    """Return the file `client.keys`, with fresh salt and nonce."""
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    return seal_keyfile(passphrase, encode(keys), salt, nonce)


def node_values(
    member: int, name: str, place: Place, driver: str, listen: str = ""
) -> dict[str, Any]:
    """
    Return what `node.toml` says of a node called `name` at `place`.

    It listens on `listen` where others reach it at another address than its machine has.
    """
    values: dict[str, Any] = {
        "node.member": member,
        "node.name": name,
        "http.host": listen or place.host,
        "http.port": place.http_port,
    }
    if driver == COMETBFT:
        values |= {
            "engine.driver": driver,
            "engine.p2p_host": listen or place.host,
            "engine.p2p_port": place.engine_port,
        }
    return values


def write_config(folder: Path, values: Mapping[str, Any]) -> None:
    """Write `node.toml` with `values`, by their keys such as `http.port`."""
    (folder / NODE_CONFIG_NAME).write_text(encode_config(values), encoding="utf-8")


def write_ledger(folder: Path, record: MemberRecord, ledger: Ledger, registry: Registry) -> None:
    """
    Write the ledger's genesis, and what the client of member `record` starts from.

    `registry` is the ledger's as far as it is known. The genesis comes last: whoever finds it in
    the folder finds the rest.
    """
    client = folder / CLIENT_FOLDER_NAME
    profile = Profile(
        member=record.id,
        name=record.name,
        ledger_id=ledger.ledger_id,
        bulk_feed=BULK_FEED,
        desk_feed=DESK_FEED,
        request_feed=DESK_FEED,
        home=record.id if record.endpoint else registry.epoch.validators[0],
    )
    write_file(client / PROFILE_NAME, encode_profile(profile).encode())
    write_file(client / POLICY_NAME, policy_of(ledger, registry).encode())
    write_file(client / GENESIS_NAME, ledger.file)
    write_file(folder / GENESIS_NAME, ledger.file)


def make_folder(folder: Path) -> None:
    """Make `folder`, for its owner alone."""
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)
