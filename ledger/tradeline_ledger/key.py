"""Key changes, signed by a member's root key (docs/formats.md, section 2)."""

from __future__ import annotations

from typing import Final

from tradeline_ledger.encoding import B32, B64, U32, Codec, Record, check_ascending
from tradeline_ledger.registry import Feed, HpkePublicKey, MemberRecord

KEY_CHANGE_BYTES_MAX: Final = 16 * 1024
KEY_CHANGES_MAX: Final = 1_024
"""Key changes of one member, ever: each adds a version to the registry."""


class Replaced(Record, frozen=True):
    """Keys that a change puts in place of others; None leaves one as it is."""

    node_key: B32 | None
    note_key: B32 | None
    cosigner_key: B32 | None
    hpke_key: HpkePublicKey | None
    tag_key_hash: B32 | None


class KeyChange(Record, frozen=True):
    """What the root key signs."""

    ledger_id: B32
    member: U32
    n: U32
    """Key changes of that member so far."""
    added: tuple[Feed, ...]
    """Ascending by number; numbers never used before."""
    ended: tuple[U32, ...]
    """Ascending."""
    replaced: Replaced

    def __post_init__(self) -> None:
        """Refuse lists out of order."""
        check_ascending(tuple(each.feed for each in self.added), "added feeds")
        check_ascending(self.ended, "ended feeds")


class Key(Record, frozen=True):
    """Content of a key entry; any member's feed may carry it."""

    change: bytes
    """Exact bytes of a `KeyChange`."""
    root_signature: B64
    """Sig(root key, "key", change)."""


KEY_CHANGE: Final[Codec[KeyChange]] = Codec(KeyChange, "key change", KEY_CHANGE_BYTES_MAX)
KEY: Final[Codec[Key]] = Codec(Key, "key record", KEY_CHANGE_BYTES_MAX + 128)


def changed_record(record: MemberRecord, change: KeyChange, from_height: int) -> MemberRecord:
    """Return the version of `record` that `change` makes, in force from `from_height`."""
    ended = frozenset(change.ended)
    kept = [feed for feed in record.feeds if feed.feed not in ended]
    new = change.replaced
    return MemberRecord(
        id=record.id,
        from_height=from_height,
        until_height=None,
        name=record.name,
        group=record.group,
        legal_ids=record.legal_ids,
        roles=record.roles,
        root_key=record.root_key,
        feeds=tuple(sorted([*kept, *change.added], key=lambda feed: feed.feed)),
        node_key=new.node_key or record.node_key,
        note_key=new.note_key or record.note_key,
        cosigner_key=new.cosigner_key or record.cosigner_key,
        engine_key=record.engine_key,
        hpke_key=record.hpke_key,
        tag_key_hash=new.tag_key_hash or record.tag_key_hash,
        endpoint=record.endpoint,
        tls_pin=record.tls_pin,
        engine_peer=record.engine_peer,
    )
