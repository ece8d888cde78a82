"""
Founding a consortium for a trial: every key, the genesis, and one folder a member.

One party makes everything here, which suits a demo, a test or a trial. Each folder can then be
moved to a machine of its own. A consortium of independent operators makes its keys each on its own
machine instead, and signs its genesis in a ceremony.
"""

from __future__ import annotations

import re
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger.genesis import (
    GENESIS_FORMAT,
    RULES,
    Genesis,
    Ledger,
    open_genesis,
    sign_genesis,
)
from tradeline_ledger.hpke import PublicKey, hpke_key_id, seal, tag_key_info
from tradeline_ledger.member_files import GENESIS_NAME
from tradeline_ledger.params import CATEGORIES, CategoryRetention, Params
from tradeline_ledger.registry import (
    COMMITTEE_MAX,
    SUITE_HPKE_XWING,
    CommitteeMember,
    EpochRecord,
    MemberRecord,
    Role,
)
from tradeline_ledger.tag import LINKER_KEY_BYTES, Category, linker_hash
from tradeline_node.config import StorageSection
from tradeline_node.errors import ConfigError
from tradeline_node.keystore import write_private
from tradeline_node.member_folder import (
    PASSPHRASE_NAME,
    make_folder,
    node_values,
    write_config,
    write_keys,
    write_ledger,
)
from tradeline_node.member_keys import LOOPBACK, MemberKeys, Place, make_member_keys, member_record
from tradeline_node.tag_keys import FOLDER_NAME as TAG_KEYS_NAME
from tradeline_node.tag_keys import file_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
PORT_MAX: Final = 65_535
ENGINE_PORT_STEP: Final = 100
"""Engines have the ports this far above the HTTP ports of their nodes."""
NODES_MAX: Final = ENGINE_PORT_STEP
RETAIN_MONTHS: Final = 60
"""Unless the founders choose otherwise."""
PASSPHRASE_RANDOM_BYTES: Final = 32

_SLUG: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_MEMBER: Final = Role.CONTRIBUTOR | Role.READER | Role.AUTHENTICATOR
_PRESETS: Final = {
    "bank": ("Bank", _MEMBER),
    "lender": ("Online lender", _MEMBER),
    "payment": ("Payment company", _MEMBER),
    "court": ("Court registry", Role.CONTRIBUTOR),
}
"""Name and roles of members that most trials have; any other gets its name and all roles."""


@dataclass(frozen=True, slots=True)
class Founding:
    """What a new consortium is made of."""

    name: str
    """Of the ledger, for people."""
    members: tuple[str, ...]
    """Slugs of the validators; they become members 1, 2, …, folders and labels."""
    observers: tuple[str, ...]
    """Slugs of members whose nodes replicate and verify, without shares or a vote; they follow."""
    nodeless: tuple[str, ...]
    """Slugs of members without a node, who only read the log; they follow."""
    base_port: int
    """HTTP port of the first node; the others follow."""
    utc_offset_min: int
    """Local time of the ledger's days and months, minutes east of UTC."""
    time_ms: int
    """The genesis' time."""
    engine: str = "local"
    """Driver: local or cometbft."""
    hosts: tuple[str, ...] = (LOOPBACK,)
    """Addresses of the nodes, one for all or one for each, validators first."""
    retain_months: int = RETAIN_MONTHS
    """Months after that of an event in which its body is kept, inquiries aside."""
    contributors: tuple[str, ...] = ()
    """Slugs of members without a node, who submit and read through those of others; last."""

    def __post_init__(self) -> None:
        """Refuse names that make no folder, doubles, and ports that are none."""
        slugs = self.slugs
        for slug in slugs:
            if not _SLUG.fullmatch(slug):
                raise ConfigError(
                    f"member {slug!r} makes no folder; use up to 32 letters a-z, digits and "
                    "hyphens, a letter first"
                )
        if len(set(slugs)) != len(slugs):
            raise ConfigError(f"members {', '.join(slugs)} name one twice")
        if not 0 < len(self.members) <= COMMITTEE_MAX:
            raise ConfigError(f"{len(self.members)} members with a node, expected 1 to 16")
        nodes = len(self.members) + len(self.observers)
        if nodes > NODES_MAX:
            raise ConfigError(f"{nodes} nodes, expected at most {NODES_MAX}")
        if len(self.hosts) not in (1, nodes):
            raise ConfigError(
                f"{len(self.hosts)} addresses for {nodes} nodes; name one for all, or one for each"
            )
        last = self.base_port + nodes - 1 + ENGINE_PORT_STEP
        if not 0 < self.base_port <= last <= PORT_MAX:
            raise ConfigError(f"ports {self.base_port} to {last} are not all from 1 to {PORT_MAX}")

    @property
    def slugs(self) -> tuple[str, ...]:
        """Of all members, in the order of their numbers."""
        return (*self.members, *self.observers, *self.nodeless, *self.contributors)

    def place(self, index: int) -> Place:
        """Return where node `index` is."""
        port = self.base_port + index
        host = self.hosts[index if len(self.hosts) > 1 else 0]
        return Place(host, port, port + ENGINE_PORT_STEP)


@dataclass(frozen=True, slots=True)
class _Member:
    """A founder with its secrets; lives only while the folders are written."""

    slug: str
    record: MemberRecord
    keys: MemberKeys
    place: Place | None
    """None where there is no node."""


def found(folder: Path, founding: Founding, passphrase: bytes | None) -> Ledger:
    """
    Make `folder`, with the genesis and one folder a member in it, and return the ledger.

    All keys are fresh. The key files are encrypted under `passphrase`; without one each member gets
    a random one, in the file `passphrase` of its folder. Nothing is left behind if it fails.

    Raises:
        ConfigError: `folder` exists and is not empty, or can't be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            f"{folder} is there already and not empty; name a new folder, nothing is overwritten"
        )
    consortium_key = secrets.token_bytes(LINKER_KEY_BYTES)
    members = _make_members(founding, consortium_key)
    params = default_params(
        founding.utc_offset_min, linker_hash(consortium_key), founding.retain_months
    )
    genesis = make_genesis(
        founding.name, founding.time_ms, params, [each.record for each in members]
    )
    file = sign_genesis(genesis, [(each.record.id, each.keys.root) for each in members])
    ledger = open_genesis(file)
    existed = folder.exists()
    try:
        make_folder(folder)
        (folder / GENESIS_NAME).write_bytes(file)
        for member in members:
            own = folder / member.slug
            _write_member(own, member, founding, ledger, passphrase)
            if member.record.has(Role.VALIDATOR):
                _write_tag_keys(own, member.record, members, ledger)
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


def default_params(
    utc_offset_min: int, linker: bytes, retain_months: int = RETAIN_MONTHS
) -> Params:
    """Return the parameters that a ledger starts with where its founders chose no others."""
    return Params(
        release_window_ms=7 * DAY_MS,
        receipt_ms=HOUR_MS,
        epoch_overlap_ms=DAY_MS,
        inquiry_skew_ms=15 * MINUTE_MS,
        refused_per_day=1000,
        utc_offset_min=utc_offset_min,
        profile="cn",
        retention=tuple(
            CategoryRetention(category, 24 if category == Category.INQUIRY else retain_months)
            for category in CATEGORIES
        ),
        linker=linker,
    )


def make_genesis(
    name: str, time_ms: int, params: Params, records: Sequence[MemberRecord]
) -> Genesis:
    """Return the genesis of these founders; its validators, all of them, are the committee."""
    validators = [each for each in records if each.has(Role.VALIDATOR)]
    epoch = EpochRecord(
        epoch=0,
        from_height=0,
        from_ms=time_ms,
        suite=SUITE_HPKE_XWING,
        validators=tuple(each.id for each in validators),
        committee=tuple(
            CommitteeMember(each.id, hpke_key_id(each.hpke_key))
            for each in validators
            if each.hpke_key is not None
        ),
    )
    return Genesis(GENESIS_FORMAT, name, time_ms, RULES, params, tuple(records), epoch)


def _make_members(founding: Founding, consortium_key: bytes) -> list[_Member]:
    nodes = len(founding.members) + len(founding.observers)
    members = []
    for index, slug in enumerate(founding.slugs):
        place = founding.place(index) if index < nodes else None
        name = slug.replace("-", " ").capitalize()
        roles = Role.OBSERVER
        if slug in founding.members or slug in founding.contributors:
            name, roles = _PRESETS.get(slug, (name, _MEMBER))
        if slug in founding.members:
            roles |= Role.VALIDATOR
        keys = make_member_keys(index + 1, consortium_key, node=place is not None)
        members.append(_Member(slug, member_record(keys, name, roles, place), keys, place))
    return members


def _write_member(
    folder: Path, member: _Member, founding: Founding, ledger: Ledger, passphrase: bytes | None
) -> None:
    given = passphrase
    if given is None:
        given = secrets.token_urlsafe(PASSPHRASE_RANDOM_BYTES).encode()
        make_folder(folder)
        write_private(folder / PASSPHRASE_NAME, given + b"\n")
    write_keys(folder, member.keys, given)
    write_ledger(folder, member.record, ledger, ledger.registry)
    if member.place is not None:
        named = {"node.passphrase_file": PASSPHRASE_NAME} if passphrase is None else {}
        values = node_values(member.record.id, member.slug, member.place, founding.engine)
        write_config(folder, values | named)


def _write_tag_keys(
    folder: Path, recipient: MemberRecord, owners: Sequence[_Member], ledger: Ledger
) -> None:
    """Hand every member's tag key to one node, as their clients do with PUT /v1/tag-keys."""
    tag_keys = folder / StorageSection.custody / TAG_KEYS_NAME
    make_folder(tag_keys.parent)
    make_folder(tag_keys)
    assert recipient.hpke_key is not None, recipient.id
    public = PublicKey.from_bytes(recipient.hpke_key)
    for owner in owners:
        if owner.record.tag_key_hash is not None:
            info = tag_key_info(ledger.ledger_id, owner.record.id, recipient.id, public.key_id)
            sealed = seal(public, owner.keys.client.tag_key, info)
            write_private(tag_keys / file_name(owner.record.id, owner.record.tag_key_hash), sealed)
