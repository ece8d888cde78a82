"""
Members, their keys and roles, and the committee (docs/formats.md, section 2).

The registry is a list of versions: a change of a member ends one version and adds the next, so
that every signature ever made can be checked against the keys of its height. Its root stands in
every block leaf.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec.structs
from msgspec import Meta

from tradeline_ledger.encoding import (
    B32,
    U8,
    U16,
    U32,
    U64,
    Codec,
    Record,
    check_ascending,
    check_text,
    encode,
)
from tradeline_ledger.engine_peer import check_engine_peer
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.merkle import leaf_hash, root_of
from tradeline_ledger.params import SettingsRecord
from tradeline_ledger.statement import FEED_KINDS, NODE_KINDS

HPKE_PUBLIC_KEY_BYTES: Final = 1216
COMMITTEE_MAX: Final = 16
VALIDATORS_MAX: Final = 64
VERSIONS_MAX: Final = 65_536
"""Member record versions of one registry."""
NAME_CHARS_MAX: Final = 128
ENDPOINT_CHARS_MAX: Final = 256
LEGAL_IDS_MAX: Final = 8
FEEDS_MAX: Final = 256
MEMBER_RECORD_BYTES_MAX: Final = 32 * 1024
EPOCH_RECORD_BYTES_MAX: Final = 4096
SUITE_HPKE_XWING: Final = 1

_COUNTRY: Final = re.compile(r"(?:[A-Z]{2})?", re.ASCII)
_LEGAL_ID: Final = re.compile(r"[0-9A-Z]{1,64}", re.ASCII)

HpkePublicKey = Annotated[
    bytes, Meta(min_length=HPKE_PUBLIC_KEY_BYTES, max_length=HPKE_PUBLIC_KEY_BYTES)
]


@enum.unique
class Role(enum.IntFlag):
    """What a member may do; a member record holds the sum."""

    CONTRIBUTOR = 1
    READER = 2
    AUTHENTICATOR = 4
    VALIDATOR = 8
    OBSERVER = 16
    SUSPENDED = 32
    """No role: while set, what the member signs is placed and refused, and it reads nothing."""


_ROLES: Final = sum(int(role) for role in Role)


class LegalId(Record, frozen=True):
    """One legal identifier of an institution, in clear."""

    id_type: U8
    """An `IdType`: USCC or LEI."""
    country: str
    """ISO 3166-1 alpha-2, empty where the type is international."""
    identifier: str
    """In normal form: 1 to 64 digits and capital letters."""

    def __post_init__(self) -> None:
        """Refuse what is in no normal form."""
        if not _COUNTRY.fullmatch(self.country) or not _LEGAL_ID.fullmatch(self.identifier):
            raise ValueError("a legal id is not a country code and digits and capital letters")


class Feed(Record, frozen=True):
    """One signing key of a member and the kinds of statement that it may sign."""

    feed: U32
    """Number of the feed, from 1; never used again."""
    key: B32
    """Ed25519 public key."""
    kinds: U32
    """Set of `Kind`, bit k for kind k."""


class MemberRecord(Record, frozen=True):
    """One version of a member, in force in the heights [from_height, until_height)."""

    id: U32
    """From 1, never used again; 0 is nobody."""
    from_height: U64
    until_height: U64 | None
    """None while in force."""
    name: str
    group: U32
    """Legal group; a member alone in its group has its own id there."""
    legal_ids: tuple[LegalId, ...]
    roles: U16
    """Sum of `Role`."""
    root_key: B32
    """Ed25519, offline: adds and ends the member's other keys."""
    feeds: tuple[Feed, ...]
    """Ascending by number."""
    node_key: B32 | None
    """Ed25519: receipts, history statements, node-to-node requests; the member's feed 0."""
    note_key: B32 | None
    """Ed25519: signs checkpoints."""
    cosigner_key: B32 | None
    """Ed25519: cosigns checkpoints."""
    engine_key: B32 | None
    """Ed25519: consensus votes."""
    hpke_key: HpkePublicKey | None
    """X-Wing public key of the committee member."""
    tag_key_hash: B32 | None
    """H("tag-key", tag key)."""
    endpoint: str
    """Base URL of the node's HTTP interface; empty where there is no node."""
    tls_pin: B32 | None
    """SHA-256 of the SubjectPublicKeyInfo of the node's TLS key."""
    engine_peer: str
    """`<id>@host:port` of the node's consensus engine; empty where there is none."""

    def __post_init__(self) -> None:
        """Refuse what no registry holds."""
        if not self.id or not self.group:
            raise ValueError("member id and group are numbered from 1")
        if self.until_height is not None and self.until_height < self.from_height:
            raise ValueError("a version ends before it begins")
        check_text(self.name, "member name", NAME_CHARS_MAX)
        if self.endpoint:
            check_text(self.endpoint, "endpoint", ENDPOINT_CHARS_MAX)
        if self.engine_peer:
            check_engine_peer(self.engine_peer)
        if len(self.legal_ids) > LEGAL_IDS_MAX or len(self.feeds) > FEEDS_MAX:
            raise ValueError("too many legal ids or feeds")
        check_ascending(tuple(feed.feed for feed in self.feeds), "feeds")
        if self.feeds and self.feeds[0].feed == 0:
            raise ValueError("feed 0 is the node's and is not listed")
        if any(not feed.kinds or feed.kinds & ~FEED_KINDS for feed in self.feeds):
            raise ValueError("a feed has no kind, an unknown one, or one that only the node signs")
        if self.roles & ~_ROLES:
            raise ValueError(f"unknown roles {self.roles & ~_ROLES}")

    def has(self, role: Role) -> bool:
        """Return whether the member has `role` in this version, suspended or not."""
        return bool(self.roles & role)

    @property
    def suspended(self) -> bool:
        """Whether a vote has suspended the member."""
        return self.has(Role.SUSPENDED)

    def feed(self, number: int) -> Feed | None:
        """Return the feed of that number, 0 being the node's; None if there is none."""
        if number == 0:
            return Feed(0, self.node_key, NODE_KINDS) if self.node_key else None
        return next((feed for feed in self.feeds if feed.feed == number), None)

    def key_list(self) -> tuple[bytes, ...]:
        """Return every Ed25519 key of this version."""
        own = (self.root_key, self.node_key, self.note_key, self.cosigner_key, self.engine_key)
        return (*(key for key in own if key), *(feed.key for feed in self.feeds))


class CommitteeMember(Record, frozen=True):
    """A recipient of key shares."""

    member: U32
    hpke_key_id: B32
    """H("hpke-key", public key)."""


class EpochRecord(Record, frozen=True):
    """Who orders and who holds shares, from one height on."""

    epoch: U32
    from_height: U64
    from_ms: U64
    suite: U8
    """1: HPKE with X-Wing, HKDF-SHA256, AES-256-GCM."""
    validators: tuple[U32, ...]
    """Ascending."""
    committee: tuple[CommitteeMember, ...]
    """Ascending by member; the place in this list is the committee position."""

    def __post_init__(self) -> None:
        """Refuse what no registry holds."""
        if self.suite != SUITE_HPKE_XWING:
            raise ValueError(f"suite is {self.suite}, expected {SUITE_HPKE_XWING}")
        if not 0 < len(self.validators) <= VALIDATORS_MAX:
            raise ValueError(f"{len(self.validators)} validators, expected 1 to {VALIDATORS_MAX}")
        if not 0 < len(self.committee) <= COMMITTEE_MAX:
            raise ValueError(f"committee of {len(self.committee)}, expected 1 to {COMMITTEE_MAX}")
        check_ascending(self.validators, "validators")
        check_ascending(tuple(each.member for each in self.committee), "committee members")

    @property
    def threshold(self) -> int:
        """`t`: how many committee members open a body."""
        return quorum(len(self.committee))

    def position(self, member: int) -> int | None:
        """Return the committee position of `member`, None if it is not in the committee."""
        return next((i for i, each in enumerate(self.committee) if each.member == member), None)


MEMBER_RECORD: Final[Codec[MemberRecord]] = Codec(
    MemberRecord, "member record", MEMBER_RECORD_BYTES_MAX
)
EPOCH_RECORD: Final[Codec[EpochRecord]] = Codec(EpochRecord, "epoch record", EPOCH_RECORD_BYTES_MAX)


def quorum(count: int) -> int:
    """Return `count - floor((count - 1) / 3)`: for committees, cosignatures and votes alike."""
    assert count > 0, count
    return count - (count - 1) // 3


@dataclass(frozen=True, slots=True)
class Registry:
    """Every version of every member, epoch and settings, as of one height."""

    members: tuple[MemberRecord, ...]
    """By id, then from_height."""
    epochs: tuple[EpochRecord, ...]
    """By number."""
    settings: tuple[SettingsRecord, ...] = ()
    """By from_height; empty while those of the genesis are in force."""
    root: bytes = field(init=False)
    """RFC 6962 root over the encoded members, then the epochs, then the settings."""
    _current: dict[int, MemberRecord] = field(init=False, repr=False)
    _engaged: frozenset[bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check order and index by id."""
        order = [(record.id, record.from_height) for record in self.members]
        if order != sorted(set(order)) or len(order) > VERSIONS_MAX:
            raise MalformedError("member records must ascend by id and height")
        if [each.epoch for each in self.epochs] != list(range(len(self.epochs))):
            raise MalformedError("epochs must be numbered from 0 without a gap")
        heights = [each.from_height for each in self.settings]
        if heights != sorted(set(heights)):
            raise MalformedError("settings must ascend by height")
        records = (*self.members, *self.epochs, *self.settings)
        leaves = [leaf_hash(encode(record)) for record in records]
        object.__setattr__(self, "root", root_of(leaves))
        current = {each.id: each for each in self.members if each.until_height is None}
        object.__setattr__(self, "_current", current)
        engaged = frozenset(key for record in self.members for key in record.key_list())
        object.__setattr__(self, "_engaged", engaged)

    @property
    def epoch(self) -> EpochRecord:
        """The epoch in force."""
        return self.epochs[-1]

    def member(self, number: int) -> MemberRecord | None:
        """Return the version of that member that is in force, None if there is none."""
        return self._current.get(number)

    def in_force(self) -> tuple[MemberRecord, ...]:
        """Return the version in force of each member, ascending by id."""
        return tuple(self._current[number] for number in sorted(self._current))

    def member_at(self, number: int, height: int) -> MemberRecord | None:
        """Return the version of that member that was in force at `height`."""
        for record in self.versions(number):
            until = record.until_height
            if record.from_height <= height and (until is None or height < until):
                return record
        return None

    def versions(self, number: int) -> tuple[MemberRecord, ...]:
        """Return every version of that member, oldest first; empty if it never was one."""
        return tuple(record for record in self.members if record.id == number)

    def epoch_at(self, height: int) -> EpochRecord:
        """Return the epoch that was in force at `height`."""
        return next(each for each in reversed(self.epochs) if each.from_height <= height)

    def has_served(self, number: int) -> bool:
        """
        Return whether a member is or was in the committee.

        It holds shares until they are dealt again, and needs every tag key to release them.
        """
        return any(each.position(number) is not None for each in self.epochs)

    def ever(self) -> tuple[int, ...]:
        """Return the ids of all members ever, removed ones included, ascending."""
        return tuple(sorted({record.id for record in self.members}))

    def has_key(self, key: bytes) -> bool:
        """Return whether an Ed25519 key is or was in use by anybody for anything."""
        return key in self._engaged

    def with_version(self, record: MemberRecord) -> Registry:
        """
        Return the registry in which `record` takes the place of its member's version.

        The version before it ends; one that would begin at the same height is replaced, so that
        several changes of one block make one version.
        """
        members = [
            msgspec.structs.replace(old, until_height=record.from_height)
            if old.id == record.id and old.until_height is None
            else old
            for old in self.members
            if (old.id, old.from_height) != (record.id, record.from_height)
        ]
        members.append(record)
        members.sort(key=lambda each: (each.id, each.from_height))
        return Registry(tuple(members), self.epochs, self.settings)

    def without_member(self, number: int, from_height: int) -> Registry:
        """Return the registry in which that member is none any more from `from_height` on."""
        members = [
            msgspec.structs.replace(record, until_height=from_height)
            if record.id == number and record.until_height is None
            else record
            for record in self.members
        ]
        return Registry(tuple(members), self.epochs, self.settings)

    def with_epoch(self, record: EpochRecord) -> Registry:
        """Return the registry with an epoch more."""
        return Registry(self.members, (*self.epochs, record), self.settings)

    def with_settings(self, record: SettingsRecord) -> Registry:
        """Return the registry with settings more."""
        return Registry(self.members, self.epochs, (*self.settings, record))
