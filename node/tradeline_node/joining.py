"""
Inviting a member that was admitted, and joining by an invite.

The invited member made its keys itself (`candidacy`) and was admitted by a vote on its candidate
file. The invite brings the ledger's genesis, the registry and the consortium key into its folder.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from tradeline_ledger.errors import LedgerError
from tradeline_ledger.fingerprint import fingerprint
from tradeline_ledger.invite import INVITE_BYTES_MAX, Invite, InviteBody, open_invite, sign_invite
from tradeline_ledger.member_files import NODE_KEYS_NAME
from tradeline_ledger.tag import linker_hash
from tradeline_ledger.trust import STEP, change_heights
from tradeline_node.candidacy import check_without_ledger, read_candidate
from tradeline_node.ceremony import seal_linker
from tradeline_node.durable import write_file
from tradeline_node.errors import ConfigError, KeystoreError
from tradeline_node.genesis_file import read_genesis
from tradeline_node.keystore import open_keystore
from tradeline_node.member_folder import open_client_keys, take_consortium_key, write_ledger
from tradeline_node.others import Address
from tradeline_node.published import read_steps
from tradeline_node.store import LedgerStore
from tradeline_node.twin import check_alone

if TYPE_CHECKING:
    from pathlib import Path

    from tradeline_ledger.registry import MemberRecord
    from tradeline_ledger.trust import RegistryStep
    from tradeline_node.config import Config

DAY_MS: Final = 86_400_000
TWIN_TIMEOUT_S: Final = 3.0
"""For the answer of a node that used the invite already."""


def write_invite(
    config: Config, passphrase: bytes, candidate: Path, path: Path, until_ms: int
) -> Invite:
    """
    Write an invite for the member of a candidate file to `path`, from a node running or stopped.

    Raises:
        ConfigError: there is such a file, the candidate was not admitted, or its steps are not
            vouched for yet.
        KeystoreError: the folder's keys do not open, or lack the consortium key.
        StoreError: a store can't be opened.
    """
    if path.exists():
        raise ConfigError(f"{path} is there already; name a new file")
    asked = read_candidate(candidate)
    ledger = read_genesis(config.path(config.node.genesis))
    keys = open_keystore(config.path(config.node.keys), passphrase)
    consortium_key = open_client_keys(config.folder, passphrase).consortium_key
    if linker_hash(consortium_key) != ledger.params.linker:
        raise KeystoreError(f"{config.folder} does not hold the consortium key of this ledger")
    store = LedgerStore.open(config.path(config.storage.ledger), ledger, read_only=True)
    with contextlib.closing(store):
        keys.check(store.registry.member(keys.member), config.path(config.node.keys))
        record = store.registry.member(asked.id)
        if record is None:
            raise ConfigError(
                f"member {asked.id} is not admitted; propose it with its candidate file, and "
                "invite it once the vote has taken effect"
            )
        _check_same(record, asked)
        steps = _steps(config, store)
    body = InviteBody(
        inviter=keys.member,
        member=record.id,
        until_ms=until_ms,
        genesis=ledger.file,
        steps=steps,
        sealed=seal_linker(record, consortium_key),
    )
    file = sign_invite(body, keys.node)
    try:
        invite = open_invite(file)
        write_file(path, file)
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}") from error
    except LedgerError as error:
        raise ConfigError(f"the invite does not verify, and was not written: {error}") from error
    return invite


def read_invite(path: Path, now_ms: int) -> Invite:
    """
    Return the invite at `path`, if it can be used at `now_ms`.

    Raises:
        ConfigError: it can't be read, does not verify, or has expired.
    """
    try:
        with path.open("rb") as file:
            content = file.read(2 * INVITE_BYTES_MAX)
        invite = open_invite(content)
    except OSError as error:
        raise ConfigError(f"invite {path} can't be read: {error.strerror}") from error
    except LedgerError as error:
        raise ConfigError(f"{path} is no invite that can be used: {error}") from error
    if now_ms >= invite.until_ms:
        raise ConfigError(
            f"the invite expired {(now_ms - invite.until_ms) / DAY_MS:.1f} days ago by this "
            f"machine's clock; set the clock right, or ask member {invite.inviter.id} for a new one"
        )
    return invite


def join(folder: Path, invite: Invite, passphrase: bytes) -> None:
    """
    Make a candidate's folder one of the invite's ledger.

    Raises:
        ConfigError: the folder is of a ledger already, the invite is for other keys, or a node
            with these keys runs already.
        KeystoreError: the folder's keys do not open, or are not those of its candidate file.
    """
    check_without_ledger(folder, "an invite is used once")
    own = read_candidate(folder)
    if own.id != invite.member.id:
        raise ConfigError(
            f"the invite is for member {invite.member.id}, {folder} is of member {own.id}"
        )
    _check_same(invite.member, own)
    path = folder / NODE_KEYS_NAME
    keys = open_keystore(path, passphrase)
    keys.check(invite.member, path)
    check_alone(invite.member.endpoint, keys, TWIN_TIMEOUT_S)
    try:
        consortium_key = invite.open_linker(keys.hpke)
    except LedgerError as error:
        raise ConfigError(
            f"the consortium key in the invite can't be used: {error}; ask for a new invite"
        ) from error
    take_consortium_key(folder, consortium_key, passphrase)
    write_ledger(folder, invite.member, invite.log.ledger, invite.registry)


def addresses(invite: Invite) -> list[Address]:
    """Return where the other validators are, as the invite's registry has it."""
    records = [invite.registry.member(each) for each in invite.registry.epoch.validators]
    return [
        Address(each.id, each.endpoint, each.tls_pin)
        for each in records
        if each is not None and each.endpoint and each.id != invite.member.id
    ]


def _check_same(registered: MemberRecord, own: MemberRecord) -> None:
    """Accept a registered member that has the keys of a candidate file."""
    for field in ("root_key", "node_key", "engine_key", "hpke_key", "tls_pin"):
        ours, theirs = getattr(own, field), getattr(registered, field)
        if ours != theirs:
            raise ConfigError(
                f"member {own.id} is registered with {field} {fingerprint(theirs)}, the "
                f"candidate file says {fingerprint(ours)}: another institution has that "
                "id, or the folder was made anew after the vote"
            )


def _steps(config: Config, store: LedgerStore) -> tuple[RegistryStep, ...]:
    """Return every registry step of a node."""
    heights = change_heights(store.registry)
    kept = read_steps(config.path(config.storage.published)) if heights else {}
    lacking = [height for height in heights if height not in kept]
    if lacking:
        raise ConfigError(
            f"the change of the registry in block {lacking[0]} is not vouched for by a quorum yet; "
            "start the node, and try again when /healthz shows no checkpoint behind"
        )
    return tuple(STEP.decode(kept[height]) for height in heights)
