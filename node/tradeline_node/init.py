"""
Founding a consortium for the `local` engine: every key, the genesis, and one folder a member.

One party makes everything here, which suits a demo, a test or a trial. A consortium of
independent operators makes its keys each on its own machine.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tradeline_ledger.checkpoint import origin_of
from tradeline_ledger.encoding import encode
from tradeline_ledger.engine_peer import peer_id
from tradeline_ledger.genesis import (
    CATEGORIES,
    GENESIS_FORMAT,
    RULES,
    CategoryRetention,
    Genesis,
    Ledger,
    Params,
    open_genesis,
    sign_genesis,
)
from tradeline_ledger.hpke import (
    PRIVATE_KEY_BYTES,
    PrivateKey,
    PublicKey,
    seal,
    tag_key_info,
)
from tradeline_ledger.keyfile import NONCE_BYTES, SALT_BYTES, STORAGE_KEY_BYTES, seal_keyfile
from tradeline_ledger.member_files import (
    BULK_FEED,
    BULK_KINDS,
    CLIENT_FOLDER_NAME,
    CLIENT_KEYS_NAME,
    DESK_FEED,
    DESK_KINDS,
    GENESIS_NAME,
    NODE_CONFIG_NAME,
    NODE_KEYS_NAME,
    POLICY_NAME,
    PROFILE_NAME,
    ClientKeys,
    FeedKey,
    NodeKeys,
    Profile,
    encode_profile,
)
from tradeline_ledger.policy import validators_policy
from tradeline_ledger.policy_file import encode_policy
from tradeline_ledger.registry import (
    SUITE_HPKE_XWING,
    VALIDATORS_MAX,
    CommitteeMember,
    EpochRecord,
    Feed,
    MemberRecord,
    Role,
)
from tradeline_ledger.signing import SEED_BYTES, SigningKey
from tradeline_ledger.tag import (
    LINKER_KEY_BYTES,
    TAG_KEY_BYTES,
    Category,
    linker_hash,
    tag_key_hash,
)
from tradeline_node.config import StorageSection, encode_config
from tradeline_node.errors import ConfigError
from tradeline_node.keystore import FOLDER_MODE, seal_keystore, write_private
from tradeline_node.tag_keys import FOLDER_NAME as TAG_KEYS_NAME
from tradeline_node.tag_keys import file_name
from tradeline_node.tls import generate_tls_private, tls_key, tls_pin

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
PORT_MAX: Final = 65_535
ENGINE_PORT_STEP: Final = 100
"""Engines have the ports this far above the HTTP ports of their nodes."""

_SLUG: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_MEMBER: Final = Role.CONTRIBUTOR | Role.READER | Role.AUTHENTICATOR
_PRESETS: Final = {
    "bank": ("Bank", _MEMBER),
    "lender": ("Online lender", _MEMBER),
    "payment": ("Payment company", _MEMBER),
    "court": ("Court registry", Role.CONTRIBUTOR),
    "regulator": ("Regulator", Role.OBSERVER),
}
"""Name and roles of members that most trials have; any other gets its name and all roles."""


@dataclass(frozen=True, slots=True)
class Founding:
    """What a new consortium is made of."""

    name: str
    """Of the ledger, for people."""
    members: tuple[str, ...]
    """Slugs of the members with a node; they become members 1, 2, …, folders and labels."""
    observers: tuple[str, ...]
    """Slugs of members without a node, who only read the log."""
    base_port: int
    """Port of the first node; the others follow."""
    utc_offset_min: int
    """Local time of the ledger's days and months, minutes east of UTC."""
    time_ms: int
    """The genesis' time."""

    def __post_init__(self) -> None:
        """Refuse names that make no folder, doubles, and ports that are none."""
        slugs = (*self.members, *self.observers)
        for slug in slugs:
            if not _SLUG.fullmatch(slug):
                raise ConfigError(
                    f"member {slug!r} makes no folder; use up to 32 letters a-z, digits and "
                    "hyphens, a letter first"
                )
        if len(set(slugs)) != len(slugs):
            raise ConfigError(f"members {', '.join(slugs)} name one twice")
        if not 0 < len(self.members) <= min(VALIDATORS_MAX, 16):
            raise ConfigError(f"{len(self.members)} members with a node, expected 1 to 16")
        last = self.base_port + len(self.members) - 1 + ENGINE_PORT_STEP
        if not 0 < self.base_port <= last <= PORT_MAX:
            raise ConfigError(f"ports {self.base_port} to {last} are not all from 1 to {PORT_MAX}")


@dataclass(frozen=True, slots=True, repr=False)
class _Member:
    """A founder with its secrets; lives only while the folders are written."""

    id: int
    slug: str
    record: MemberRecord
    root: SigningKey
    client: ClientKeys
    node: NodeKeys | None
    """None for an observer."""
    port: int


def found(folder: Path, founding: Founding, passphrase: bytes) -> Ledger:
    """
    Make `folder`, with the genesis and one folder a member in it, and return the ledger.

    All keys are fresh; the key files are encrypted under `passphrase`. Nothing is left behind if
    it fails.

    Raises:
        ConfigError: `folder` exists and is not empty, or can't be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            f"{folder} is there already and not empty; name a new folder, nothing is overwritten"
        )
    consortium_key = secrets.token_bytes(LINKER_KEY_BYTES)
    members = _make_members(founding, consortium_key)
    genesis = _make_genesis(founding, members, consortium_key)
    file = sign_genesis(genesis, [(each.id, each.root) for each in members])
    ledger = open_genesis(file)
    existed = folder.exists()
    try:
        _make_folder(folder)
        (folder / GENESIS_NAME).write_bytes(file)
        for member in members:
            _write_member(folder / member.slug, member, ledger, passphrase)
            if member.node is not None:
                _write_tag_keys(folder / member.slug, member.record, members, ledger)
    except BaseException as error:
        for child in folder.iterdir() if existed else [folder]:
            if child.is_dir():
                shutil.rmtree(child, ignore_errors=True)
            else:
                child.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ConfigError(f"{folder} can't be written: {error.strerror}") from error
        raise
    return ledger


def _make_members(founding: Founding, consortium_key: bytes) -> list[_Member]:
    validators = [
        _make_member(number, slug, consortium_key, founding.base_port + number - 1)
        for number, slug in enumerate(founding.members, 1)
    ]
    first = len(validators) + 1
    observers = [
        _make_member(number, slug, consortium_key, 0)
        for number, slug in enumerate(founding.observers, first)
    ]
    return [*validators, *observers]


def _make_member(number: int, slug: str, consortium_key: bytes, port: int) -> _Member:
    name, roles = _PRESETS.get(slug, (slug.replace("-", " ").capitalize(), _MEMBER))
    roles = roles | Role.VALIDATOR if port else Role.OBSERVER
    root = secrets.token_bytes(SEED_BYTES)
    feeds = (
        FeedKey(BULK_FEED, secrets.token_bytes(SEED_BYTES), BULK_KINDS),
        FeedKey(DESK_FEED, secrets.token_bytes(SEED_BYTES), DESK_KINDS),
    )
    client = ClientKeys(
        member=number,
        feeds=feeds,
        root_seed=root,
        consortium_key=consortium_key,
        tag_key=secrets.token_bytes(TAG_KEY_BYTES),
        storage_key=secrets.token_bytes(STORAGE_KEY_BYTES),
    )
    node = _make_node_keys(number) if port else None
    record = MemberRecord(
        id=number,
        from_height=0,
        until_height=None,
        name=name,
        group=number,
        legal_ids=(),
        roles=int(roles),
        root_key=SigningKey(root).public,
        feeds=tuple(Feed(each.feed, SigningKey(each.seed).public, each.kinds) for each in feeds),
        node_key=SigningKey(node.node_seed).public if node else None,
        note_key=SigningKey(node.note_seed).public if node else None,
        cosigner_key=SigningKey(node.cosigner_seed).public if node else None,
        engine_key=SigningKey(node.engine_seed).public if node else None,
        hpke_key=PrivateKey.from_bytes(node.hpke_private).public.encoded if node else None,
        # Who files nothing has no tags, so that no reader waits for its key.
        tag_key_hash=tag_key_hash(client.tag_key) if node else None,
        endpoint=f"https://127.0.0.1:{port}" if port else "",
        tls_pin=tls_pin(tls_key(node.tls_private)) if node else None,
        engine_peer=_engine_peer(node, port) if node else "",
    )
    return _Member(number, slug, record, SigningKey(root), client, node, port)


def _make_node_keys(number: int) -> NodeKeys:
    return NodeKeys(
        member=number,
        node_seed=secrets.token_bytes(SEED_BYTES),
        note_seed=secrets.token_bytes(SEED_BYTES),
        cosigner_seed=secrets.token_bytes(SEED_BYTES),
        hpke_private=secrets.token_bytes(PRIVATE_KEY_BYTES),
        engine_seed=secrets.token_bytes(SEED_BYTES),
        peer_seed=secrets.token_bytes(SEED_BYTES),
        tls_private=generate_tls_private(),
        witness_seed=secrets.token_bytes(SEED_BYTES),
    )


def _engine_peer(node: NodeKeys, port: int) -> str:
    public = SigningKey(node.peer_seed).public
    return f"{peer_id(public)}@127.0.0.1:{port + ENGINE_PORT_STEP}"


def _make_genesis(founding: Founding, members: Sequence[_Member], consortium_key: bytes) -> Genesis:
    params = Params(
        release_window_ms=7 * DAY_MS,
        receipt_ms=HOUR_MS,
        epoch_overlap_ms=DAY_MS,
        inquiry_skew_ms=15 * MINUTE_MS,
        refused_per_day=1000,
        utc_offset_min=founding.utc_offset_min,
        profile="cn",
        retention=tuple(
            CategoryRetention(category, 24 if category == Category.INQUIRY else 60)
            for category in CATEGORIES
        ),
        linker=linker_hash(consortium_key),
    )
    validators = [each.record for each in members if each.node is not None]
    epoch = EpochRecord(
        epoch=0,
        from_height=0,
        from_ms=founding.time_ms,
        suite=SUITE_HPKE_XWING,
        validators=tuple(each.id for each in validators),
        committee=tuple(
            CommitteeMember(each.id, PrivateKey.from_bytes(each.node.hpke_private).public.key_id)
            for each in members
            if each.node is not None
        ),
    )
    records = tuple(each.record for each in members)
    return Genesis(GENESIS_FORMAT, founding.name, founding.time_ms, RULES, params, records, epoch)


def _write_member(folder: Path, member: _Member, ledger: Ledger, passphrase: bytes) -> None:
    _make_folder(folder)
    if member.node is not None:
        values = {"node.member": member.id, "node.name": member.slug, "http.port": member.port}
        (folder / NODE_CONFIG_NAME).write_text(encode_config(values), encoding="utf-8")
        write_private(folder / NODE_KEYS_NAME, seal_keystore(member.node, passphrase))
    client = folder / CLIENT_FOLDER_NAME
    _make_folder(client)
    home = member.id if member.node is not None else ledger.registry.epoch.validators[0]
    profile = Profile(
        member=member.id,
        name=member.record.name,
        ledger_id=ledger.ledger_id,
        bulk_feed=BULK_FEED,
        desk_feed=DESK_FEED,
        request_feed=DESK_FEED,
        home=home,
    )
    (client / PROFILE_NAME).write_text(encode_profile(profile), encoding="utf-8")
    (client / GENESIS_NAME).write_bytes(ledger.file)
    validators = [
        record
        for record in ledger.registry.members
        if record.id in ledger.registry.epoch.validators
    ]
    policy = validators_policy(origin_of(ledger.ledger_id), validators)
    (client / POLICY_NAME).write_bytes(encode_policy(policy))
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    sealed = seal_keyfile(passphrase, encode(member.client), salt, nonce)
    write_private(client / CLIENT_KEYS_NAME, sealed)


def _write_tag_keys(
    folder: Path, recipient: MemberRecord, owners: Sequence[_Member], ledger: Ledger
) -> None:
    """Hand every member's tag key to one node, as their clients do with PUT /v1/tag-keys."""
    tag_keys = folder / StorageSection.custody / TAG_KEYS_NAME
    _make_folder(tag_keys.parent)
    _make_folder(tag_keys)
    assert recipient.hpke_key is not None, recipient.id
    public = PublicKey.from_bytes(recipient.hpke_key)
    for owner in owners:
        if owner.record.tag_key_hash is not None:
            info = tag_key_info(ledger.ledger_id, owner.id, recipient.id, public.key_id)
            sealed = seal(public, owner.client.tag_key, info)
            write_private(tag_keys / file_name(owner.id, owner.record.tag_key_hash), sealed)


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)
