"""
What stands in the folders of a member: key bundles of node and client, and the client's profile.

Founding a consortium writes them, nodes and clients read them. This module only turns them into
bytes and text and back; keys are encrypted around it (`keyfile`), and files are others' business.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any, Final

from tradeline_ledger.encoding import (
    B32,
    U32,
    Codec,
    Record,
    check_ascending,
    check_text,
)
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.hpke import PRIVATE_KEY_BYTES
from tradeline_ledger.registry import FEEDS_MAX, NAME_CHARS_MAX
from tradeline_ledger.statement import Kind, kinds_of

NODE_CONFIG_NAME: Final = "node.toml"
NODE_KEYS_NAME: Final = "node.keys"
GENESIS_NAME: Final = "genesis"
POLICY_NAME: Final = "policy"
CLIENT_FOLDER_NAME: Final = "client"
PROFILE_NAME: Final = "client.toml"
CLIENT_KEYS_NAME: Final = "client.keys"

PROFILE_FORMAT: Final = 1
PROFILE_CHARS_MAX: Final = 64 * 1024
URL_CHARS_MAX: Final = 256
_MEMBER_MAX: Final = 2**32 - 1

BULK_FEED: Final = 1
"""Feed that founding gives to bulk jobs."""
DESK_FEED: Final = 2
"""Feed that founding gives to the inquiry desk; it signs the client's requests, too."""
BULK_KINDS: Final = kinds_of(Kind.SUBMISSION, Kind.MARK)
DESK_KINDS: Final = kinds_of(*(set(Kind) - {Kind.SUBMISSION, Kind.RELEASED, Kind.CUSTODY}))

_KEYS_BYTES_MAX: Final = 64 * 1024
MORE_HPKE_MAX: Final = 63
MORE_TAG_KEYS_MAX: Final = 63


class FeedKey(Record, frozen=True):
    """The private key of one feed."""

    feed: U32
    seed: B32
    """Ed25519 seed."""
    kinds: U32
    """Set of `Kind`, bit k for kind k, as the registry has it."""

    def __repr__(self) -> str:
        return f"FeedKey(feed={self.feed})"

    def __rich_repr__(self) -> Any:
        yield "feed", self.feed


class ClientKeys(Record, frozen=True):
    """What `client.keys` holds, encrypted. Its representation shows no key."""

    member: U32
    feeds: tuple[FeedKey, ...]
    """Ascending by number, from 1."""
    root_seed: B32 | None
    """Ed25519 seed of the member's root key; None where it is kept elsewhere, offline."""
    consortium_key: B32
    """Key of the subject linker, the same for all members."""
    tag_key: B32
    """The member's own secret, which the committee knows too."""
    storage_key: B32
    """
    Random secret that nobody else knows and that never changes: vault, journal, drafts and the
    keyed references of events have keys derived from it.
    """
    more_tag_keys: tuple[B32, ...] = ()
    """Tag keys before `tag_key`, under which events stand, and one that is to take its place."""
    next_root_seed: B32 | None = None
    """Ed25519 seed of the root key that a vote is to put in the place of the present one."""

    def __post_init__(self) -> None:
        """Refuse feeds out of order, and too many tag keys."""
        if len(self.more_tag_keys) > MORE_TAG_KEYS_MAX:
            raise ValueError(f"a client has at most {MORE_TAG_KEYS_MAX} further tag keys")
        check_ascending(tuple(each.feed for each in self.feeds), "feeds")
        if not 0 < len(self.feeds) <= FEEDS_MAX or self.feeds[0].feed == 0:
            raise ValueError(f"a client has 1 to {FEEDS_MAX} feeds, numbered from 1")

    def __repr__(self) -> str:
        return f"ClientKeys(member={self.member}, feeds={[each.feed for each in self.feeds]})"

    def __rich_repr__(self) -> Any:
        yield "member", self.member


class _FoundedKeys(Record, frozen=True):
    """What `client.keys` of a folder holds that was made before root and tag keys were replaced."""

    member: U32
    feeds: tuple[FeedKey, ...]
    root_seed: B32 | None
    consortium_key: B32
    tag_key: B32
    storage_key: B32


class NodeKeys(Record, frozen=True):
    """What `node.keys` holds, encrypted. Its representation shows no key."""

    member: U32
    node_seed: B32
    """Ed25519: receipts, history statements, the member's feed 0."""
    note_seed: B32
    """Ed25519: signs checkpoints."""
    cosigner_seed: B32
    """Ed25519: cosigns checkpoints."""
    hpke_private: bytes
    """X-Wing private key, 96 bytes: ML-KEM seed, X25519 scalar."""
    engine_seed: B32
    """Ed25519: consensus votes."""
    peer_seed: B32
    """Ed25519: by which the peers of the consensus engine know this node's."""
    tls_private: B32
    """P-256: the private scalar, big-endian, of the key that TLS connections are made with."""
    witness_seed: B32
    """Ed25519: cosigns checkpoints of other logs, as their outside witness; in no registry."""
    more_hpke: tuple[bytes, ...] = ()
    """
    Further X-Wing private keys: those of earlier epochs, while a live batch names one of them, and
    one that is to come into force.
    """

    def __post_init__(self) -> None:
        """Refuse HPKE keys of another length, or too many."""
        if len(self.more_hpke) > MORE_HPKE_MAX:
            raise ValueError(f"a node has at most {MORE_HPKE_MAX} further HPKE keys")
        if any(len(key) != PRIVATE_KEY_BYTES for key in (self.hpke_private, *self.more_hpke)):
            raise ValueError(f"HPKE private key must have {PRIVATE_KEY_BYTES} bytes")

    def __repr__(self) -> str:
        return f"NodeKeys(member={self.member})"

    def __rich_repr__(self) -> Any:
        yield "member", self.member


CLIENT_KEYS: Final[Codec[ClientKeys]] = Codec(ClientKeys, "client keys", _KEYS_BYTES_MAX)
_FOUNDED_KEYS: Final[Codec[_FoundedKeys]] = Codec(_FoundedKeys, "client keys", _KEYS_BYTES_MAX)
NODE_KEYS: Final[Codec[NodeKeys]] = Codec(NodeKeys, "node keys", _KEYS_BYTES_MAX)


def decode_client_keys(encoded: bytes) -> ClientKeys:
    """
    Return what a `client.keys` holds, once decrypted; also of one without the last two fields.

    Raises:
        MalformedError: it does not decode.
    """
    try:
        return CLIENT_KEYS.decode(encoded)
    except MalformedError:
        keys = _FOUNDED_KEYS.decode(encoded)
    try:
        return ClientKeys(*(getattr(keys, name) for name in keys.__struct_fields__))
    except ValueError as error:
        raise MalformedError(f"client keys do not decode: {error}") from error


@dataclass(frozen=True, slots=True)
class Profile:
    """What a client folder's `client.toml` says: who the member is and how to reach the nodes."""

    member: int
    """Its member id."""
    name: str
    """Its name, for people."""
    ledger_id: bytes
    """Of the genesis beside it, so that a mixed-up folder is found out."""
    bulk_feed: int
    """Signs submissions and marks."""
    desk_feed: int
    """Signs consents, changes of status, inquiries and key changes."""
    request_feed: int
    """Signs the requests to nodes."""
    home: int
    """Member whose node gets this client's entries first: its own, or another one's."""
    endpoints: tuple[tuple[int, str], ...] = ()
    """(member, base URL) where a node is reached elsewhere than the registry says; ascending."""


def encode_profile(profile: Profile) -> str:
    """Return the text of `client.toml`; of our own making, so it must be well formed."""
    lines = [
        "# Client profile. Keys are in client.keys, the genesis of the ledger in genesis.",
        f"format = {PROFILE_FORMAT}",
        f"member = {profile.member}",
        f"name = {_quote(profile.name)}",
        f"ledger = {_quote(profile.ledger_id.hex())}",
        "# Member whose node gets this client's entries first.",
        f"home = {profile.home}",
        "",
        "[feeds]",
        f"bulk = {profile.bulk_feed}",
        f"desk = {profile.desk_feed}",
        f"requests = {profile.request_feed}",
        "",
        "# Base URLs of nodes, by member id, in place of those in the registry.",
        "[endpoints]",
        *(f"{member} = {_quote(url)}" for member, url in profile.endpoints),
    ]
    text = "\n".join(lines) + "\n"
    assert decode_profile(text) == profile, profile
    return text


def decode_profile(text: str) -> Profile:
    """
    Return the profile that a `client.toml` describes.

    Raises:
        MalformedError: not TOML, an unknown, missing or impossible value, by its name.
    """
    if len(text) > PROFILE_CHARS_MAX:
        raise MalformedError(f"profile has {len(text)} characters, at most {PROFILE_CHARS_MAX}")
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise MalformedError(f"profile is not TOML: {error}") from error
    feeds, endpoints = table.get("feeds", {}), table.get("endpoints", {})
    _check_keys(table, ("format", "member", "name", "ledger", "home", "feeds", "endpoints"), "")
    if not isinstance(feeds, dict) or not isinstance(endpoints, dict):
        raise MalformedError("profile: feeds and endpoints must be tables")
    _check_keys(feeds, ("bulk", "desk", "requests"), "feeds.")
    if _number(table, "format") != PROFILE_FORMAT:
        raise MalformedError(f"profile: format must be {PROFILE_FORMAT}")
    return Profile(
        member=_number(table, "member"),
        name=_text(table, "name", NAME_CHARS_MAX),
        ledger_id=_hash(table, "ledger"),
        bulk_feed=_number(feeds, "bulk"),
        desk_feed=_number(feeds, "desk"),
        request_feed=_number(feeds, "requests"),
        home=_number(table, "home"),
        endpoints=tuple(
            sorted((_member(name), _text(endpoints, name, URL_CHARS_MAX)) for name in endpoints)
        ),
    )


def _check_keys(table: dict[str, Any], allowed: tuple[str, ...], where: str) -> None:
    for name in table:
        if name not in allowed:
            raise MalformedError(
                f"profile: unknown key {where + name!r}, expected one of {', '.join(allowed)}"
            )


def _number(table: dict[str, Any], name: str) -> int:
    value = table.get(name)
    if type(value) is not int or not 0 < value <= _MEMBER_MAX:
        raise MalformedError(f"profile: {name} must be a number from 1 to 2^32-1")
    return value


def _text(table: dict[str, Any], name: str, chars_max: int) -> str:
    value = table.get(name)
    if not isinstance(value, str):
        raise MalformedError(f"profile: {name} must be a text")
    try:
        check_text(value, name, chars_max)
    except ValueError as error:
        raise MalformedError(f"profile: {error}") from error
    return value


def _hash(table: dict[str, Any], name: str) -> bytes:
    text = _text(table, name, 64)
    try:
        value = bytes.fromhex(text)
    except ValueError as error:
        raise MalformedError(f"profile: {name} must be hexadecimal") from error
    if value.hex() != text or len(value) != 32:  # noqa: PLR2004  bytes of a hash
        raise MalformedError(f"profile: {name} must be 64 hexadecimal digits")
    return value


def _member(name: str) -> int:
    digits = name.isascii() and name.isdigit() and len(name) <= len(str(_MEMBER_MAX))
    if not digits or str(int(name)) != name or not 0 < int(name) <= _MEMBER_MAX:
        raise MalformedError(f"profile: {name!r} under endpoints is no member id")
    return int(name)


def _quote(text: str) -> str:
    """Return a TOML basic string; `text` has no control characters."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
