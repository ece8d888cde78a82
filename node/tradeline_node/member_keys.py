"""
The keys of one member, made on its own machine, and what the registry says of them.

A node's operator makes them all at once: root, feeds, node, note, cosigner, engine, peer, HPKE,
TLS. Secrets go to key files (`member_folder`); the member record, which holds the public halves
alone, is what others get to see.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from tradeline_ledger.engine_peer import peer_id
from tradeline_ledger.hpke import PRIVATE_KEY_BYTES, PrivateKey
from tradeline_ledger.keyfile import STORAGE_KEY_BYTES
from tradeline_ledger.member_files import (
    BULK_FEED,
    BULK_KINDS,
    DESK_FEED,
    DESK_KINDS,
    ClientKeys,
    FeedKey,
    NodeKeys,
)
from tradeline_ledger.registry import Feed, LegalId, MemberRecord, Role
from tradeline_ledger.signing import SEED_BYTES, SigningKey
from tradeline_ledger.tag import TAG_KEY_BYTES, tag_key_hash
from tradeline_node.tls import generate_tls_private, tls_key, tls_pin

LOOPBACK: Final = "127.0.0.1"
_FILERS: Final = Role.CONTRIBUTOR | Role.READER


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is reached, and listens."""

    host: str
    """Name or address; IPv6 without brackets."""
    http_port: int
    engine_port: int

    @property
    def endpoint(self) -> str:
        """Base URL of the node's HTTP interface, as the registry has it."""
        return f"https://{self._shown}:{self.http_port}"

    def engine_peer(self, peer: SigningKey) -> str:
        """Return where the node's consensus engine is reached, known by its key `peer`."""
        return f"{peer_id(peer.public)}@{self._shown}:{self.engine_port}"

    @property
    def _shown(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


@dataclass(frozen=True, slots=True)
class MemberKeys:
    """All secrets of one member. Its representation shows none of them."""

    client: ClientKeys
    node: NodeKeys | None
    """None for a member without a node."""

    @property
    def root(self) -> SigningKey:
        """The root key, which signs the genesis and changes of the others."""
        assert self.client.root_seed is not None, "made with a root key"
        return SigningKey(self.client.root_seed)


def make_member_keys(number: int, consortium_key: bytes, *, node: bool) -> MemberKeys:
    """Return fresh keys of member `number`; with those of a node if it has one."""
    client = ClientKeys(
        member=number,
        feeds=(
            FeedKey(BULK_FEED, secrets.token_bytes(SEED_BYTES), BULK_KINDS),
            FeedKey(DESK_FEED, secrets.token_bytes(SEED_BYTES), DESK_KINDS),
        ),
        root_seed=secrets.token_bytes(SEED_BYTES),
        consortium_key=consortium_key,
        tag_key=secrets.token_bytes(TAG_KEY_BYTES),
        storage_key=secrets.token_bytes(STORAGE_KEY_BYTES),
    )
    return MemberKeys(client, _make_node_keys(number) if node else None)


def member_record(
    keys: MemberKeys,
    name: str,
    roles: Role,
    place: Place | None,
    *,
    group: int | None = None,
    legal_ids: tuple[LegalId, ...] = (),
) -> MemberRecord:
    """
    Return the record of a member with these keys, in force from height 0.

    `place` is None for a member without a node, `group` for one that is alone in its group.
    """
    node, client = keys.node, keys.client
    assert (node is None) == (place is None), client
    return MemberRecord(
        id=client.member,
        from_height=0,
        until_height=None,
        name=name,
        group=group or client.member,
        legal_ids=legal_ids,
        roles=int(roles),
        root_key=keys.root.public,
        feeds=tuple(
            Feed(each.feed, SigningKey(each.seed).public, each.kinds) for each in client.feeds
        ),
        node_key=SigningKey(node.node_seed).public if node else None,
        note_key=SigningKey(node.note_seed).public if node else None,
        cosigner_key=SigningKey(node.cosigner_seed).public if node else None,
        engine_key=SigningKey(node.engine_seed).public if node else None,
        hpke_key=PrivateKey.from_bytes(node.hpke_private).public.encoded if node else None,
        # Who files neither events nor inquiries has no tags, so that no reader waits for its key.
        tag_key_hash=tag_key_hash(client.tag_key) if roles & _FILERS else None,
        endpoint=place.endpoint if place else "",
        tls_pin=tls_pin(tls_key(node.tls_private)) if node else None,
        engine_peer=place.engine_peer(SigningKey(node.peer_seed)) if node and place else "",
    )


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
