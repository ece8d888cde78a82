#!/usr/bin/env python3
"""
Verify a file of a Tradeline ledger without any code of Tradeline.

    python verify_independent.py FILE [--trust POLICY] [--json]

FILE is an evidence bundle, a checkpoint or a proof file (`.tlog-proof`); POLICY is a tlog-policy
file with the keys that you trust. There are two verdicts: the file is *consistent* in itself, and
*anchored* to the policy. Without the second anybody can have made the file up.

Exit codes: 0 verified (in every verdict that was asked for), 3 not verified, and where, 2 usage.

This is one file on the standard library, msgpack and PyNaCl. It was written from docs/formats.md
alone, and its sections are those of that page. Whatever a file gets wrong raises `Refused`.
AES-256-GCM is libsodium's, which has it only where the processor has instructions for it;
elsewhere a bundle with body keys ends with exit code 2, and one without them can be verified.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import msgpack
from nacl.bindings import (
    crypto_aead_aes256gcm_decrypt,
    crypto_core_ed25519_is_valid_point,
    crypto_sign_open,
)
from nacl.exceptions import CryptoError, UnavailableError


class Refused(Exception):  # noqa: N818 - a verdict rather than a fault
    """What is verified does not hold: `where`, and `why`."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where, self.why = where, why


class Usage(Exception):  # noqa: N818 - the caller's doing
    """The question can't be answered here."""


def refuse(where: str, why: str) -> NoReturn:
    """Raise `Refused`."""
    raise Refused(where, why)


def require(holds: object, where: str, why: str) -> None:
    """Raise `Refused` unless `holds`."""
    if not holds:
        raise Refused(where, why)


# 1. Conventions: encoding. A `Shape` checks one decoded value and returns it, a record as a
# `Record` with named fields; `where` is the path to the value, for people.

Shape = Callable[[Any, str], Any]


class Record(SimpleNamespace):
    """A decoded record: its fields by name."""


def integer(least: int, most: int) -> Shape:
    """Return the shape of an integer from `least` to `most`."""

    def check(value: Any, where: str) -> int:
        if type(value) is not int or not least <= value <= most:  # bool is no int here
            refuse(where, f"{value!r:.40} is no integer from {least} to {most}")
        return value

    return check


def blob(least: int, most: int | None = None) -> Shape:
    """Return the shape of `least` to `most` bytes; of exactly `least` without `most`."""
    top = least if most is None else most

    def check(value: Any, where: str) -> bytes:
        if type(value) is not bytes or not least <= len(value) <= top:
            refuse(where, f"expected {least} to {top} bytes")
        return value

    return check


def text(least: int, most: int, pattern: str | None = None) -> Shape:
    """Return the shape of text of `least` to `most` characters, which match `pattern` whole."""

    def check(value: Any, where: str) -> str:
        if type(value) is not str or not least <= len(value) <= most:
            refuse(where, f"expected text of {least} to {most} characters")
        if any(unicodedata.category(each) in {"Cc", "Cs"} for each in value):
            refuse(where, "text with control characters")
        require(unicodedata.is_normalized("NFC", value), where, "text is not in normal form C")
        if pattern is not None and not re.fullmatch(pattern, value):
            refuse(where, f"{value!r:.40} is not as demanded")
        return value

    return check


def optional(shape: Shape) -> Shape:
    """Return the shape of `x|nil`."""
    return lambda value, where: None if value is None else shape(value, where)


def record(fields: str) -> Shape:
    """Return the shape of a record of exactly these fields, as in "name type, name type"."""
    named = [(name, shape_of(kind)) for name, kind in (f.split() for f in fields.split(","))]

    def check(value: Any, where: str) -> Record:
        if type(value) is not list or len(value) != len(named):
            refuse(where, f"expected a record of {len(named)} fields")
        items = zip(named, value, strict=True)
        return Record(**{name: shape(item, f"{where}.{name}") for (name, shape), item in items})

    return check


def shape_of(kind: str) -> Shape:
    """
    Return the shape that a word names: `u8`, `b32`, `bin512` for at most 512 bytes, `str9` for 1
    to 9 characters, `1..9` for an integer, a key of `SHAPES`, each with `?` where nil is allowed.
    """
    if kind.endswith("?"):
        return optional(shape_of(kind[:-1]))
    if kind in SHAPES:
        return SHAPES[kind]
    if ".." in kind:
        least, most = kind.split("..")
        return integer(int(least), int(most))
    word, number = re.fullmatch("([a-z]+)([0-9]+)", kind).groups()  # type: ignore[union-attr]
    n = int(number)
    return {
        "u": lambda: integer(0, 2**n - 1),
        "b": lambda: blob(n),
        "bin": lambda: blob(0, n),
        "str": lambda: text(1, n),
    }[word]()


def several(
    shape: Shape, least: int, most: int, order: Callable[[Any], Any] | None = None
) -> Shape:
    """Return the shape of a list, which strictly ascends by `order` where that is given."""

    def check(value: Any, where: str) -> list[Any]:
        if type(value) is not list or not least <= len(value) <= most:
            refuse(where, f"expected a list of {least} to {most}")
        items = [shape(item, f"{where}[{place}]") for place, item in enumerate(value)]
        if order is not None:
            places = [order(item) for item in items]
            rises = all(a < b for a, b in pairwise(places))
            require(rises, where, "the list does not ascend without duplicates")
        return items

    return check


def decode(shape: Shape, data: bytes, where: str, most: int) -> Any:
    """Return the value whose one encoding `data` is."""
    require(len(data) <= most, where, f"{len(data)} bytes are more than {most}")
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=True, max_ext_len=0, max_map_len=0)
        again = encode(value)  # which refuses what nests too deep
    except (ValueError, msgpack.UnpackException) as error:
        raise Refused(where, f"no MessagePack value ({error})"[:160]) from None
    checked = shape(value, where)
    require(again == data, where, "not the canonical encoding")
    return checked


def encode(value: Any) -> bytes:
    """Return the one encoding of integers, bytes, text, None and lists of them."""
    return msgpack.packb(value, use_bin_type=True)  # type: ignore[no-any-return]


def by(*names: str) -> Callable[[Any], Any]:
    """Return what orders a list of records by these fields, or of values by themselves."""
    return lambda item: tuple(getattr(item, name) for name in names) if names else item


SHAPES: dict[str, Shape] = {
    "id": integer(1, 2**32 - 1),
    "genesis_time": integer(172_800_000, 2**53 - 1),
    "month": integer(256, 2**16 - 1),
    "path": several(blob(32), 0, 63),
}


# 1. Conventions: hashes and signatures


def sha256(data: bytes) -> bytes:
    """Return SHA-256."""
    return hashlib.sha256(data).digest()


def label(name: str) -> bytes:
    """Return what stands before everything that is hashed or signed under `name`."""
    return f"tradeline/v1 {name}\n".encode()


def digest(name: str, data: bytes) -> bytes:
    """Return H(name, data)."""
    return sha256(label(name) + data)


def raw_signature_holds(key: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether `crypto_sign_open` accepts: its judgement is the protocol's."""
    try:
        crypto_sign_open(signature + message, key)
    except (CryptoError, ValueError):
        return False
    return len(signature) == 64


def signature_holds(key: bytes, name: str, signature: bytes, data: bytes) -> bool:
    """Return whether `signature` is Sig(key, name, data)."""
    return raw_signature_holds(key, signature, label(name) + data)


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf of the tree of RFC 6962."""
    return sha256(b"\x00" + leaf)


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right)


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf bytes."""
    level = [leaf_hash(leaf) for leaf in leaves]
    if not level:
        return sha256(b"")
    while len(level) > 1:  # a node without a sibling moves up as it is
        pairs = [node_hash(a, b) for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def verify_inclusion(
    leaf: bytes, index: int, head: tuple[int, bytes], path: Sequence[bytes], where: str
) -> None:
    """Refuse unless `path` leads from `leaf` to head (size, root) (RFC 9162, 2.1.3.2)."""
    size, root = head
    require(index < size, where, f"index {index} is not below size {size}")
    at, last, result = index, size - 1, leaf_hash(leaf)
    for sibling in path:
        require(last, where, "the path is too long")
        if at & 1 or at == last:
            result = node_hash(sibling, result)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        at, last = at >> 1, last >> 1
    require(last == 0, where, "the path is too short")
    require(result == root, where, "the path does not lead to the root")


def verify_consistency(
    old_head: tuple[int, bytes], new_head: tuple[int, bytes], path: Sequence[bytes], where: str
) -> None:
    """Refuse unless the older head (size, root) is a beginning of the newer (RFC 9162, 2.1.4.2)."""
    (old, old_root), (new, new_root) = old_head, new_head
    require(1 <= old <= new, where, f"size {old} is not one of the first {new}")
    if old == new:
        require(not path, where, "a path between equal sizes")
        require(old_root == new_root, where, "two roots for one size")
        return
    rest = list(path)
    if old & (old - 1) == 0:  # the old root is a node of the new tree, and is left out
        rest.insert(0, old_root)
    require(rest, where, "the path is too short")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = rest[0]
    for sibling in rest[1:]:
        require(last, where, "the path is too long")
        if at & 1 or at == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        at, last = at >> 1, last >> 1
    require(last == 0, where, "the path is too short")
    require(first == old_root, where, "the path does not lead to the older root")
    require(second == new_root, where, "the path does not lead to the newer root")


# 1. Conventions: time


def local_month(time_ms: int, utc_offset_min: int) -> int:
    """
    Return the local month of an instant, counted as year x 12 + month - 1.

    Block times go far beyond the year 9999, where `datetime` ends: years of 365.2425 days that
    begin in March put the leap day last, in cycles of 400 years.
    """
    day = (time_ms + utc_offset_min * 60_000) // 86_400_000 + 719_468  # since 0000-03-01
    cycle, day = divmod(day, 146_097)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    months = (5 * day + 2) // 153  # since March
    return (cycle * 400 + year) * 12 + months + 2


def month_of_day(day: str) -> int:
    """Return the month of a date `YYYY-MM-DD`, counted alike."""
    return int(day[:4]) * 12 + int(day[5:7]) - 1


# 2. Identity of a ledger, members, epochs

KINDS = {"submission": 1, "consent": 2, "inquiry": 4, "mark": 6}
FEED_KINDS = sum(1 << kind for kind in range(1, 17) if kind not in {5, 8})
ROLE_OF_KIND = {1: 1, 2: 2, 4: 2, 6: 1}  # contributor 1, reader 2
VALIDATOR_ROLE = 8
MEMBER_KEYS = ("root_key", "node_key", "note_key", "cosigner_key", "engine_key")

LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HOST = f"(?P<name>({LABEL}\\.)*{LABEL})|\\[(?P<v6>[0-9a-f:]+)\\]"
PEER = f"[0-9a-f]{{40}}@({HOST}):(?P<port>[1-9][0-9]{{0,4}})"


def engine_peer(value: Any, where: str) -> str:
    """Check where a consensus engine is reached: nothing, or id, host and port."""
    text(0, 256)(value, where)
    if not value:
        return ""
    match = re.fullmatch(PEER, value, re.ASCII)
    require(match is not None and int(match["port"]) <= 65_535, where, "no id@host:port")
    try:
        if match["v6"]:
            IPv6Address(match["v6"])
        elif match["name"].split(".")[-1].isdigit():
            IPv4Address(match["name"])
    except ValueError:
        refuse(where, "no address of an engine")
    return value


SHAPES |= {
    "country": text(0, 2, "([A-Z]{2})?"),
    "identifier": text(1, 64, "[0-9A-Z]+"),
    "endpoint": text(0, 256),
    "engine_peer": engine_peer,
    "feeds": several(record("feed id, key b32, kinds u32"), 0, 256, by("feed")),
    "validators": several(shape_of("u32"), 1, 64, by()),
    "committee": several(record("member u32, key_id b32"), 1, 16, by("member")),
    "retention": several(record("category u8, months u16"), 6, 6),
}
SHAPES["legal_ids"] = several(record("type u8, country country, identifier identifier"), 0, 8)
MEMBER = record(
    "id id, from_height u64, until_height u64?, name str128, group id, legal_ids legal_ids,"
    "roles 0..63, root_key b32, feeds feeds, node_key b32?, note_key b32?, cosigner_key b32?,"
    "engine_key b32?, hpke_key b1216?, tag_key_hash b32?, endpoint endpoint, tls_pin b32?,"
    "engine_peer engine_peer"
)
EPOCH = record(
    "epoch u32, from_height u64, from_ms u64, suite 1..1, validators validators,committee committee"
)


def member_record(value: Any, where: str) -> Record:
    """Check a member record; its `encoded` is what `registry_root` is over."""
    result: Record = MEMBER(value, where)
    until = result.until_height
    require(until is None or until >= result.from_height, where, "ends before it begins")
    for feed in result.feeds:
        allowed = feed.kinds and not feed.kinds & ~FEED_KINDS
        require(allowed, where, f"feed {feed.feed} has no kind, or one that it can't have")
    result.encoded = encode(value)
    return result


def epoch_record(value: Any, where: str) -> Record:
    """Check an epoch record, and keep its `encoded`."""
    result: Record = EPOCH(value, where)
    result.encoded = encode(value)
    return result


def settings_record(value: Any, where: str) -> Record:
    """Check a settings record, and keep its `encoded`."""
    result: Record = SETTINGS(value, where)
    result.encoded = encode(value)
    return result


SHAPES |= {
    "epoch": epoch_record,
    "settings": settings_record,
    "members": several(member_record, 1, 65_536, by("id", "from_height")),
    "changed_members": several(member_record, 0, 65_536, by("id", "from_height")),
    "founder_signatures": several(record("member u32, signature b64"), 0, 65_536, by("member")),
    "params": record(
        "release_window_ms u64, receipt_ms u64, epoch_overlap_ms u64, inquiry_skew_ms u64,"
        "refused_per_day u32, utc_offset_min -840..840, profile str16, retention retention,"
        "linker b32"
    ),
}
SETTINGS = record("from_height u64, from_ms u64, rules u16, params params")
GENESIS = record(
    "format 1..1, name str128, time_ms genesis_time, rules 1..1, params params, members members,"
    "epoch epoch"
)
GENESIS_FILE = record("genesis bin1048576, signatures founder_signatures")


def quorum(n: int) -> int:
    """Return how many of n must agree."""
    return n - (n - 1) // 3


def in_force(version: Record, height: int) -> bool:
    """Return whether a version is in force at a height."""
    until = version.until_height
    return version.from_height <= height and (until is None or height < until)


@dataclass(frozen=True)
class Registry:
    """All versions of all members, all epochs and settings, as known after some block."""

    origin: str
    members: dict[int, list[Record]]
    epochs: list[Record]
    settings: list[Record]

    def root(self, height: int | None = None) -> bytes:
        """Return `registry_root`: as it is, or as the block of `height` left it."""
        next_height = 2**64 if height is None else height + 1
        versions = (version for _, each in sorted(self.members.items()) for version in each)
        leaves = [_as_of(v, next_height) for v in versions if v.from_height <= next_height]
        later = [*self.epochs, *self.settings]
        return root_of(leaves + [e.encoded for e in later if e.from_height <= next_height])

    def version(self, member: int, height: int) -> Record | None:
        """Return the version of a member that is in force at a height."""
        return next((v for v in self.members.get(member, []) if in_force(v, height)), None)

    def current(self, member: int) -> Record | None:
        """Return the version of a member that has no end."""
        return next((v for v in self.members.get(member, [])[::-1] if v.until_height is None), None)

    def epoch(self, height: int) -> Record:
        """Return the epoch at a height."""
        return [each for each in self.epochs if each.from_height <= height][-1]

    def verify_checkpoint(self, note: Note, where: str) -> tuple[int, bytes]:
        """Return size and root of a checkpoint that validators signed, a quorum cosigned."""
        origin, size, root = checkpoint_of(note, where)
        require(origin == self.origin, where, f"origin {origin!r:.60} is not {self.origin!r}")
        versions = [version for each in self.members.values() for version in each]
        keys = [VerifierKey(origin, 1, v.note_key) for v in versions if v.note_key]
        keys += [
            VerifierKey(f"{origin}/{v.id}", 4, v.cosigner_key) for v in versions if v.cosigner_key
        ]
        valid = valid_signers(note, keys, where)
        validators = self.epochs[-1].validators
        current = [v for each in validators if (v := self.current(each)) is not None]
        signed = [v.id for v in current if VerifierKey(origin, 1, v.note_key) in valid]
        require(signed, where, "no validator signed the checkpoint with its note key")
        names = [VerifierKey(f"{origin}/{v.id}", 4, v.cosigner_key) for v in current]
        count, need = sum(name in valid for name in names), quorum(len(validators))
        require(count >= need, where, f"{count} validators cosigned, the quorum is {need}")
        return size, root


def _as_of(version: Record, next_height: int) -> bytes:
    if version.until_height is None or version.until_height <= next_height:
        return version.encoded  # type: ignore[no-any-return]
    values = msgpack.unpackb(version.encoded, raw=False)
    values[2] = None  # its end was not known then
    return encode(values)


@dataclass(frozen=True)
class Ledger:
    """What a genesis file fixes."""

    ledger_id: bytes
    genesis: Record
    registry: Registry


def verify_genesis(data: bytes, where: str = "genesis") -> Ledger:
    """Return the ledger of a genesis file that all its founders signed."""
    file = decode(GENESIS_FILE, data, where, 1_056_768)
    genesis = decode(GENESIS, file.genesis, where, 1_048_576)
    ledger_id = digest("genesis", file.genesis)
    members = {each.id: each for each in genesis.members}
    require(len(members) == len(genesis.members), where, "a founder stands in it twice")
    require([s.member for s in file.signatures] == list(members), where, "not one signature each")
    for each in file.signatures:
        key = members[each.member].root_key
        holds = signature_holds(key, "genesis", each.signature, ledger_id)
        require(holds, where, f"the signature of founder {each.member} is wrong")
    keys = []
    for member in genesis.members:
        whole = member.from_height == 0 and member.until_height is None
        require(whole, where, f"founder {member.id} is not in force from height 0 on")
        keys += [key for name in MEMBER_KEYS if (key := getattr(member, name)) is not None]
        keys += [feed.key for feed in member.feeds]
    require(len(set(keys)) == len(keys), where, "an Ed25519 key stands in it twice")
    for key in keys:
        require(crypto_core_ed25519_is_valid_point(key), where, f"weak key {key.hex()}")
    _verify_first_epoch(genesis, members, where)
    categories = [row.category for row in genesis.params.retention]
    require(categories == [1, 2, 3, 4, 5, 6], where, "retention is not for categories 1 to 6")
    registry = Registry(
        "tradeline." + ledger_id.hex()[:16],
        {each.id: [each] for each in genesis.members},
        [genesis.epoch],
        [],
    )
    return Ledger(ledger_id, genesis, registry)


def _verify_first_epoch(genesis: Record, members: dict[int, Record], where: str) -> None:
    epoch = genesis.epoch
    first = (epoch.epoch, epoch.from_height, epoch.from_ms) == (0, 0, genesis.time_ms)
    require(first, where, "epoch 0 does not begin with the ledger")
    for number in epoch.validators:
        member = members.get(number)
        require(member and member.roles & VALIDATOR_ROLE, where, f"{number} is no validator")
        has = member and member.node_key and member.note_key and member.cosigner_key
        require(has, where, f"validator {number} lacks a key")
    for each in epoch.committee:
        require(each.member in epoch.validators, where, f"{each.member} of the committee is none")
        key = members[each.member].hpke_key
        holds = key is not None and digest("hpke-key", key) == each.key_id
        require(holds, where, f"the HPKE key of {each.member} is not that of the epoch")


# 2. Registry steps

SHAPES["note"] = lambda value, where: parse_note(value, where)  # noqa: PLW0108 - defined below
STEP = record(
    "checkpoint note, index u64, block_leaf bin512, path path, records changed_members,"
    "epoch epoch?, settings settings?"
)


def take_step(
    registry: Registry, step: Record, before: tuple[int, int], where: str
) -> tuple[Registry, tuple[int, int]]:
    """Return the registry after a step, and (index, height) of its block leaf."""
    head = registry.verify_checkpoint(step.checkpoint, f"{where}.checkpoint")
    leaf = decode_leaf(step.block_leaf, f"{where}.block_leaf")
    require(leaf.version == 2, where, "no block leaf")
    verify_inclusion(step.block_leaf, step.index, head, step.path, where)
    later = step.index > before[0] and leaf.height > before[1]
    require(later, where, "the block is not after that of the step before")
    members = dict(registry.members)
    for number in sorted({each.id for each in step.records}):
        versions = [each for each in step.records if each.id == number]
        _verify_past(registry.members.get(number, []), versions, where)
        members[number] = versions
    require(step.records or step.epoch or step.settings, where, "a step that changes nothing")
    epochs = registry.epochs + ([step.epoch] if step.epoch else [])
    require(epochs[-1].epoch == len(epochs) - 1, where, "epochs are not numbered without a gap")
    settings = registry.settings + ([step.settings] if step.settings else [])
    heights = [each.from_height for each in settings]
    require(heights == sorted(set(heights)), where, "settings do not ascend by height")
    result = Registry(registry.origin, members, epochs, settings)
    require(result.root() == leaf.registry_root, where, "the registry root is not the block's")
    return result, (step.index, leaf.height)


def _verify_past(old: list[Record], new: list[Record], where: str) -> None:
    """Refuse records that leave out or change a version that was known."""
    require(len(new) >= len(old), where, f"versions of member {new[0].id} are missing")
    for known, given in zip(old, new, strict=False):
        now = vars(given) | {"encoded": known.encoded}
        if known.until_height is None:  # it may have ended
            now["until_height"] = None
        require(vars(known) == now, where, f"a past version of member {given.id} changed")


# 3. What is ordered

STATEMENT = record(
    "version 1..1, ledger_id b32, member u32, feed u32, seq u64, prev b32, created_ms u64,"
    "kind u8, content_hash b32"
)
ENTRY_LEAF = record("version 1..1, height u64, outcome u16, statement bin256, signature b64")
BLOCK_LEAF = record(
    "version 2..2, height u64, time_ms u64, prev_block b32, registry_root b32, rules u16"
)


def decode_leaf(data: bytes, where: str) -> Any:
    """Return an entry leaf (version 1) or a block leaf (version 2): their first bytes differ."""
    shape = BLOCK_LEAF if data[:1] == b"\x96" else ENTRY_LEAF
    return decode(shape, data, where, 512)


# 4. Submissions

EVENT_HEADER = record("tag b16, retain_month month, body_hash b32")
BUCKETS = (256, 512, 1024, 2048, 4096, 8192, 16_384)


def submission_hash(ledger_id: bytes, member: int, batch: Record) -> bytes:
    """Return the content hash of a submission from its batch part."""
    named = ledger_id + member.to_bytes(4, "big") + batch.epoch.to_bytes(4, "big")
    named += batch.count.to_bytes(4, "big") + batch.events_root + batch.deposits_hash
    return digest("submission", digest("batch", named) + batch.receipts_hash)


def open_body(body: bytes, key: bytes, ledger_id: bytes, member: int, tag: bytes) -> bytes:
    """Return the padded event of a body."""
    aad = encode(["tradeline/v1 body", ledger_id, member, tag])
    try:
        padded: bytes = crypto_aead_aes256gcm_decrypt(body[32:], aad, bytes(12), key)
    except UnavailableError:
        raise Usage("libsodium has no AES-256-GCM on this processor") from None
    except (CryptoError, ValueError):
        refuse("body", "its key does not open it")
    return padded


def unpad(padded: bytes) -> bytes:
    """Return the event in a padded event: the smallest bucket that holds it, filled with zeros."""
    length = int.from_bytes(padded[:4], "big")
    fits = [bucket for bucket in BUCKETS if bucket >= 4 + length]
    require(fits[:1] == [len(padded)], "body", "the event is in a bucket of another size")
    require(not any(padded[4 + length :]), "body", "the fill is not of zeros")
    return padded[4 : 4 + length]


# 4. Events, 11. event types. `TYPES` is the table of event types: name, category, bases, fields.

CONTRACT, BY_LAW, AGREED = (1, 2, 4), (3,), (1,)
AUTHORITY = "authority str100, document_no str64, severity 1..3?, until day?, source str200?, "
MAYBE_AMOUNT = "currency cur?, amount_minor amount?"
TYPES = {
    1: ("account.opened", 1, CONTRACT,
        ("product 1..14, portfolio 1..6, role 1..4, currency cur, limit_minor amount,"
         "term_months term?, payment_frequency 1..11?, rate_ppm ppm?, apr_ppm ppm?, fees fees?,"
         "security 1..5?, repayment 1..6?")),
    2: ("account.updated", 1, CONTRACT,
        ("reason 1..6, currency cur?, limit_minor amount?, term_months term?,"
         "payment_frequency 1..11?, rate_ppm ppm?, apr_ppm ppm?")),
    3: ("account.statement", 1, CONTRACT,
        ("period year_month, currency cur, statement_balance_minor balance, days_past_due days,"
         "past_due_minor amount?, paid_minor amount?, minimum_due_minor amount?,"
         "scheduled_due_minor amount?, closing_balance_minor balance?, rate_ppm ppm?,"
         "five_class 1..5?, asset_status 1..5?")),
    4: ("account.payment", 1, CONTRACT, "currency cur, amount_minor amount, kind 1..5"),
    5: ("account.delinquency", 1, CONTRACT,
        ("first_delinquent_on day, days_past_due 1..36500, stage 1..6?, currency cur?,"
         "past_due_minor some?")),
    6: ("account.default", 1, CONTRACT,
        "kind 1..8, currency cur, amount_minor some, first_delinquent_on day"),
    7: ("account.resolved", 1, CONTRACT, "kind 1..7, " + MAYBE_AMOUNT),
    8: ("account.closed", 1, CONTRACT,
        "reason 1..6, opened_on day?, currency cur?, final_balance_minor amount?"),
    9: ("public.judgment", 2, BY_LAW, AUTHORITY + MAYBE_AMOUNT + ", status 1..3"),
    10: ("public.enforcement", 2, BY_LAW, AUTHORITY + MAYBE_AMOUNT + ", status 1..4"),
    11: ("public.tax_arrears", 2, BY_LAW,
         AUTHORITY + "tax 1..5, currency cur, amount_minor some"),
    12: ("public.admin_penalty", 2, BY_LAW, AUTHORITY + "penalty 1..6, " + MAYBE_AMOUNT),
    13: ("correction.supersede", None, (1, 2, 3, 4), "reason 1..6, replacement replacement"),
    14: ("correction.retract", None, (1, 2, 3, 4), "reason 1..6"),
    15: ("account.application", 1, CONTRACT,
         "product 1..14, channel 1..4?, decision 1..4, " + MAYBE_AMOUNT + ", reasons codes?"),
    16: ("account.transferred", 1, CONTRACT,
         "direction 1..2, counterparty str100, original_creditor str100?, opened_on day?, "
         + MAYBE_AMOUNT),
    17: ("guarantee.given", 1, CONTRACT,
         ("kind 1..5, currency cur, amount_minor some, until day?, debtor_name str100?,"
          "debtor_type 1..4?, debtor_number str64?")),
    18: ("guarantee.released", 1, CONTRACT, "reason 1..4"),
    19: ("guarantee.called", 1, CONTRACT, "currency cur, amount_minor some, paid_minor amount?"),
    20: ("public.dishonest_debtor", 2, BY_LAW,
         AUTHORITY + "ground 1..7, status 1..2, " + MAYBE_AMOUNT),
    21: ("public.bankruptcy", 2, BY_LAW, AUTHORITY + "kind 1..4, status 1..4"),
    22: ("public.abnormal_operation", 2, BY_LAW, AUTHORITY + "ground 1..4, status 1..2"),
    23: ("public.award", 2, BY_LAW, AUTHORITY + "title str100"),
    24: ("public.licence", 2, BY_LAW, AUTHORITY + "title str100, status 1..5"),
    25: ("public.housing_fund", 2, AGREED,
         AUTHORITY + ("status 1..3, paid_to year_month, currency cur?, contribution_minor amount?,"
                      "base_minor amount?, employer str100?, adverse_notice_on day")),
    26: ("public.social_aid", 2, AGREED,
         AUTHORITY + "kind 1..4, " + MAYBE_AMOUNT + ", adverse_notice_on day"),
    27: ("subject.identity", 4, CONTRACT,
         ("name str100, born_on day?, phones phones?, addresses addresses?,"
          "employer str100?, documents documents?, verified_by 1..4,"
          "verified_on day")),
    28: ("subject.means", 4, AGREED,
         "kind 1..6, currency cur, amount_minor amount, months 1..12?, adverse_notice_on day"),
    29: ("org.profile", 4, (1, 2, 3, 4),
         ("name str100, uscc str64?, lei str64?, kind 1..7, industry str8?, region str6?,"
          "currency cur?, capital_minor amount?, established_on day?, status 1..6,"
          "representative str100?, shareholders shareholders?, scale 1..4?")),
    30: ("org.financials", 4, (1, 2, 3, 4),
         ("period year_month, months 1..12, currency cur, revenue_minor amount,"
          "profit_minor balance, assets_minor amount, liabilities_minor amount,"
          "equity_minor balance, cash_flow_minor balance?, tax_paid_minor amount?,"
          "headcount count?, audited 1..2, auditor str100?")),
    31: ("platform.summary", 5, (1, 2),
         ("period year_month, currency cur, payments count, volume_minor amount, refunds count,"
          "disputes_lost count, chargebacks count, tenure_days days, merchant 1..2")),
    32: ("utility.postpaid", 5, CONTRACT,
         ("service 1..4, period year_month, currency cur, due_minor amount, paid_minor amount,"
          "past_due_minor amount?, months_in_arrears 0..24")),
    33: ("annotation.statement", 6, (1, 4),
         "text str500, target_index safe?, target_position u32?"),
    34: ("protection.freeze", 6, (1, 4), "phones phones?, until day?"),
    35: ("protection.lift", 6, (1, 4), "reason 1..3, until day?"),
    36: ("protection.fraud_alert", 6, (1, 4), "kind 1..3, phones phones?, until day?"),
    37: ("notice.negative_prior", 6, CONTRACT, "channel 1..6, content_hash str64"),
    38: ("notice.access", 6, CONTRACT, "channel 1..6, content_hash str64"),
    39: ("watchlist.listed", 6, CONTRACT,
         ("list str64, ground 1..5, rule str64?, authority str100?, evidence evidence?,"
          "review_by day, until day?")),
    40: ("watchlist.appealed", 6, CONTRACT, "list str64, outcome 1..3"),
    41: ("watchlist.delisted", 6, CONTRACT, "list str64, reason 1..4"),
    42: ("reward.granted", 6, CONTRACT, "kind 1..4, rule str64, until day?"),
    43: ("reward.ended", 6, CONTRACT, "kind 1..4, rule str64, reason 1..3"),
    44: ("risk.signal", 6, CONTRACT,
         ("rule str64, rule_version 1..1000000, inputs_hash str64, severity 1..4,"
          "indicators indicators?")),
    45: ("score.issued", 6, CONTRACT,
         ("model str64, model_hash str64, as_of day, score 0..10000, default_ppm 0..1000000?,"
          "grade str8?, reasons codes?, inputs_hash str64")),
    46: ("adverse_action.notice", 6, CONTRACT,
         ("decision 1..4, channel 1..6, score 0..10000?, score_min 0..10000?, score_max 0..10000?,"
          "reasons reasons, contact str200")),
}  # fmt: skip
SUPERSEDE, RETRACT = 13, 14
ACCOUNT, INQUIRIES = 1, 3  # categories
UTILITY, PRIOR_NOTICE = 32, 37  # types outside of category account that name one
LATER = "occurred_on <= until"
PAIRED = "currency with amount_minor"
NOTICED = "adverse_notice_on <= occurred_on"
ANY_TERMS = "term_months payment_frequency rate_ppm apr_ppm limit_minor"
RULES = {
    1: ("rate_ppm <= apr_ppm", "portfolio 2 3 6 needs term_months"),
    2: ("rate_ppm <= apr_ppm", "currency with limit_minor", "reason 1 needs limit_minor",
        "reason 2 3 4 needs " + ANY_TERMS),
    3: ("past_due_minor zero days_past_due", "period <= occurred_on"),
    5: ("first_delinquent_on <= occurred_on", "stage times 30 days_past_due",
        "currency with past_due_minor"),
    6: ("first_delinquent_on <= occurred_on",),
    7: (PAIRED, "kind 2 3 7 needs amount_minor"),
    8: ("opened_on <= occurred_on", "currency with final_balance_minor"),
    9: (LATER, PAIRED),
    10: (LATER, PAIRED),
    11: (LATER,),
    12: (LATER, PAIRED, "penalty 2 3 needs amount_minor"),
    15: (PAIRED,),
    16: (PAIRED, "opened_on <= occurred_on", "direction 2 needs original_creditor"),
    17: (LATER, "debtor_type with debtor_number"),
    20: (LATER, PAIRED),
    21: (LATER,),
    22: (LATER,),
    23: (LATER,),
    24: (LATER,),
    25: (LATER, "currency with contribution_minor base_minor", NOTICED),
    26: (LATER, PAIRED, NOTICED),
    27: ("born_on <= occurred_on", "verified_on <= occurred_on"),
    28: (NOTICED,),
    29: ("established_on <= occurred_on", "currency with capital_minor"),
    30: ("period <= occurred_on",),
    31: ("period <= occurred_on", "refunds <= payments"),
    32: ("past_due_minor zero months_in_arrears", "period <= occurred_on"),
    33: ("target_index with target_position",),
    34: (LATER,),
    35: (LATER,),
    36: (LATER,),
    39: (LATER, "occurred_on <= review_by", "ground 1 2 3 4 5 needs rule authority"),
    42: (LATER,),
    45: ("as_of <= occurred_on",),
    46: ("score with score_min score_max", "score <= score_max", "score_min <= score"),
}  # fmt: skip
CURRENCIES = frozenset(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF "  # noqa: SIM905 - as the page has it
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN "
    "BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP "
    "GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP "
    "LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR "
    "NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN "
    "SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR "
    "ZMW ZWG BHD IQD JOD KWD LYD OMR TND CLF UYW".split()
)


def _day(value: Any, where: str) -> str:
    match = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", text(10, 10)(value, where))
    try:
        date(*(int(part) for part in match.groups())) if match else refuse(where, "no day")
    except ValueError:
        refuse(where, f"there is no day {value}")
    return value  # type: ignore[no-any-return]


def _year_month(value: Any, where: str) -> str:
    checked: str = text(7, 7, "[0-9]{4}-(0[1-9]|1[0-2])")(value, where)
    require(checked[:4] != "0000", where, "there is no year 0000")
    return checked


def _currency(value: Any, where: str) -> str:
    checked: str = text(3, 3)(value, where)
    require(checked in CURRENCIES, where, f"no currency {checked!r}")
    return checked


SAFE = 2**53 - 1
SHAPES |= {
    "cur": _currency,
    "day": _day,
    "year_month": _year_month,
    "amount": integer(0, SAFE),
    "some": integer(1, SAFE),
    "balance": integer(-SAFE, SAFE),
    "signed": integer(-SAFE, SAFE),
    "term": integer(1, 1200),
    "ppm": integer(0, 100_000_000),
    "days": integer(0, 36_500),
    "fees": several(record(f"fee 1..6, amount_minor 0..{SAFE}"), 1, 16),
    "count": integer(0, 2**40),
    "safe": integer(0, SAFE),
    "codes": several(record("code str64"), 1, 5),
    "reasons": several(record("reason str200"), 1, 5),
    "phones": several(record("number str20"), 1, 5),
    "addresses": several(record("kind 1..4, address str200"), 1, 5),
    "documents": several(record("kind 1..5, number str64"), 1, 3),
    "shareholders": several(record("name str100, share_permille 0..1000"), 1, 50),
    "evidence": several(record(f"index 0..{SAFE}, position u32"), 1, 8),
    "any": lambda value, _: value,
    "target": record("index u64, position u32"),
}
SHAPES["indicators"] = several(record("name str64, value signed"), 1, 16)
SHAPES["replacement"] = record("schema u16, version u8, fields any")
EVENT = record(
    "schema u16, version u8, occurred_on any, basis u8, ref b16, account b16?, check b16,"
    "target target?, fields any"
)
FIELDS = {number: record(row[3]) for number, row in TYPES.items()}


def check_event(event: Record) -> str:
    """Return the name of an event's type; refuse an event that breaks its type."""
    schema = event.schema
    known = schema in TYPES and event.version == 1
    require(known, "type", f"there is no {schema} of version {event.version}")
    name, category, bases, _ = TYPES[schema]
    _day(event.occurred_on, "occurred_on")
    values = FIELDS[schema](event.fields, name)
    require((event.target is not None) == (category is None), name, "target")
    require(event.basis in bases, name, f"basis {event.basis}")
    if schema == SUPERSEDE:
        new = values.replacement
        require(new.schema not in {SUPERSEDE, RETRACT}, name, "a correction as a replacement")
        changed = {"schema": new.schema, "version": new.version, "fields": new.fields}
        check_event(Record(**{**vars(event), **changed, "target": None}))
    elif schema != RETRACT:
        named = category == ACCOUNT or schema in {UTILITY, PRIOR_NOTICE}
        require((event.account is not None) == named, name, "account")
        given = {**vars(values), "occurred_on": event.occurred_on}
        for rule in RULES.get(schema, ()):
            require(_rule_holds(rule.split(), given), name, f"breaks the rule {rule}")
    return name


def _rule_holds(words: list[str], values: dict[str, Any]) -> bool:
    """Return whether a rule below the fields of a type holds; it reads only what is given."""
    match words:
        case [low, "<=", high]:
            least, most = values[low], values[high]
            # A month and a day are compared by their month.
            if isinstance(least, str) and isinstance(most, str):
                length = min(len(least), len(most))
                least, most = least[:length], most[:length]
            return least is None or most is None or least <= most
        case [one, "with", *others]:
            return len({values[each] is None for each in (one, *others)}) == 1
        case [one, "zero", other]:
            given = (values[one], values[other])
            return None in given or (given[0] == 0) == (given[1] == 0)
        case [stage, "times", days, number]:
            return bool((values[stage] or 0) * int(days) <= values[number])
    place = words.index("needs")
    chosen = values[words[0]] in map(int, words[1:place])
    return not chosen or any(values[each] is not None for each in words[place + 1 :])


def category_of(event: Record) -> int | None:
    """Return the category that a checked event is filed under; a retraction is with its target."""
    schema = event.fields[1][0] if event.schema == SUPERSEDE else event.schema
    return TYPES[schema][1]


def event_check(year_key: bytes, member: int, ref: bytes) -> bytes:
    """Return the `check` of an event: for who holds the year key, which is in no bundle."""
    message = label("check") + member.to_bytes(4, "big") + ref
    return hmac.digest(year_key, message, "sha256")[:16]


# 5. Histories


def fold_head(events: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Return the head over (index, position, event header) in log order."""
    head = bytes(32)
    for index, position, header in events:
        place = index.to_bytes(8, "big") + position.to_bytes(4, "big")
        head = digest("head", head + place + leaf_hash(header))
    return head


def fold_marks(marks: Iterable[tuple[int, int, int]]) -> bytes:
    """Return the fold over (target index, target position, index of the mark) in log order."""
    folded = bytes(32)
    for index, position, mark in marks:
        place = index.to_bytes(8, "big") + position.to_bytes(4, "big")
        folded = digest("mark", folded + place + mark.to_bytes(8, "big"))
    return folded


# 7. Consent, inquiry, release, proofs, bundle: records

SHAPES |= {
    "categories": several(shape_of("u8"), 0, 256, by()),
    "contributors": several(shape_of("u32"), 0, 4096, by()),
    "years": several(shape_of("u16"), 1, 64, by()),
    "commitments": several(record("year u16, commitment b32"), 0, 512, by("year", "commitment")),
    "printable16": text(1, 16, "[ -~]+"),
    "printable32": text(1, 32, "[ -~]+"),
    "frequency": record("unit u8, max u32"),
    "life": record("unit u8, life u16"),
    "evidence": record("type u8, hash b32"),
    "second_signature": record("feed u32, signature b64"),
    "event_id": record("index u64, position u32"),
    "mark_value": lambda v, at: shape_of("b32" if isinstance(v, bytes) else "u64")(v, at),
}
CONSENT_CONTENT = record(
    "terms bin65536, second_signature second_signature?, subject_signature b64?"
)
TERMS = record(
    "version 1..1, ledger_id b32, grantee u32, basis u8, second u32, proposal b16?, purpose u16,"
    "categories categories, contributors contributors?, commitments commitments, from_ms u64,"
    "until_ms u64, frequency frequency, life life, template printable32, language printable16,"
    "notice_hash b32, evidence evidence, ref_hash b32, supersedes b16?, subject_key b32?"
)
INQUIRY_CONTENT = record(
    "consent_id b16, purpose u16, ref_hash b32, operator_hash b32, categories categories,"
    "contributors contributors?, years years, key_hash b32, tag b16, retain_month u16"
)
MARK_CONTENT = record("target event_id, what u8, value mark_value?, reason u8")
ERASE, RETAIN, MANY = 1, 2, 2**32 - 1
HISTORY_ROW = record(f"member u32, tag b16, count 1..{MANY}, head b32, marks_count u32, marks b32")
SHAPES |= {
    "rows": several(HISTORY_ROW, 0, MANY, by("member", "tag")),
    "batch": record(
        "epoch u32, count 1..10000, events_root b32, deposits_hash b32, receipts_hash b32"
    ),
}
COMMON = record("ledger_id b32, inquiry u64, size u64, root b32, scope_hash b32, rows rows")
SHAPES["entry_proof"] = record(
    "index u64, leaf bin512, path path, content bin1048576?, batch batch?"
)
EVENT_PROOF = record("member u32, index u64, position u32, header bin56, path path, body bin16432?")
SHAPES |= {
    "entries": several(SHAPES["entry_proof"], 0, 2_097_152, by("index")),
    "events": several(EVENT_PROOF, 0, 1_048_576, by("index", "position")),
    "steps": several(STEP, 0, 4096),
    "signers": several(
        record("validator u32, signature b64, payload_hash b32"), 0, 16, by("validator")
    ),
    "keys": several(shape_of("b32?"), 0, 1_048_576),
}
SHAPES["proofs"] = record("entries entries, events events")
BUNDLE = record(
    "version 1..1, genesis_file bin1056768, steps steps, checkpoint note, consistency path,"
    "terms bin65536, inquiry entry_proof, common bin16777216, signers signers, proofs proofs,"
    "keys keys"
)
CONTENTS = {
    KINDS["consent"]: (CONSENT_CONTENT, 66_048),
    KINDS["inquiry"]: (INQUIRY_CONTENT, 32_768),
    KINDS["mark"]: (MARK_CONTENT, 256),
}


@dataclass(frozen=True)
class Entry:
    """An entry proof that holds."""

    index: int
    leaf: Record
    statement: Record
    content: Any
    batch: Record | None


@dataclass
class Event:
    """
    One event of a report. What became of it: `inquiry`, `erased`, `expired`, `lapsed`; or, with a
    body, `withheld`, `shown`, `invalid` or `unknown`.
    """

    proof: Record
    header: Record
    entry: Entry
    state: str = "inquiry"
    why: str | None = None
    content: Record | None = None
    type: str | None = None
    place: tuple[int, int | None] | None = None

    @property
    def id(self) -> tuple[int, int]:
        """Log index and position."""
        return (self.proof.index, self.proof.position)

    @property
    def row(self) -> tuple[int, bytes]:
        """Member and tag: the history that it is filed in."""
        return (self.proof.member, self.header.tag)


@dataclass
class Bundle:
    """A bundle under verification: what is proven so far. The numbers are those of section 7."""

    record: Record
    ledger: Ledger
    registry: Registry
    common: Record
    size: int
    root: bytes
    entries: dict[int, Record]
    used: set[int] = field(default_factory=set)
    blocks: list[Record] = field(default_factory=list)
    inquiry: Entry | None = None
    events: list[Event] = field(default_factory=list)
    marks: list[Entry] = field(default_factory=list)


# 7. Bundle: verification


def verify_bundle(data: bytes) -> Bundle:
    """Return a bundle that is consistent in itself; raise `Refused` for any other bytes."""
    given = decode(BUNDLE, data, "bundle", 536_870_912)  # 1
    ledger = verify_genesis(given.genesis_file)  # 2
    registry, before = ledger.registry, (0, 0)
    for number, step in enumerate(given.steps):
        registry, before = take_step(registry, step, before, f"step {number}")
    size, root = registry.verify_checkpoint(given.checkpoint, "checkpoint")  # 3
    common = decode(COMMON, given.common, "common", 16_777_216)  # 4
    require(common.ledger_id == ledger.ledger_id, "common", "another ledger")
    require(common.inquiry == given.inquiry.index, "common", "another inquiry")
    heads = (common.size, common.root), (size, root)
    verify_consistency(*heads, given.consistency, "consistency")
    entries = {proof.index: proof for proof in given.proofs.entries}
    bundle = Bundle(given, ledger, registry, common, size, root, entries)
    _verify_blocks(bundle)  # 5
    bundle.inquiry = _verify_inquiry(bundle)  # 6, 7
    _verify_consent(bundle)  # 8
    _verify_signers(bundle)  # 9
    _verify_events(bundle)  # 10
    _verify_marks(bundle)  # 11
    _verify_completeness(bundle)  # 12
    _verify_what_is_left(bundle)  # 13
    _verify_keys(bundle)  # 14
    return bundle


def _verify_path(bundle: Bundle, proof: Record, where: str) -> Any:
    """Return the leaf of an entry proof, which leads to common's root, or the checkpoint's."""
    common = bundle.common
    early = proof.index < common.size
    head = (common.size, common.root) if early else (bundle.size, bundle.root)
    verify_inclusion(proof.leaf, proof.index, head, proof.path, where)
    return decode_leaf(proof.leaf, where)


def _verify_blocks(bundle: Bundle) -> None:
    for index in (bundle.common.size - 1, bundle.size - 1):
        where = f"block leaf {index}"
        require(index in bundle.entries, where, "its proof is missing")
        proof = bundle.entries[index]
        leaf = _verify_path(bundle, proof, where)
        require(leaf.version == 2, where, "no block leaf")
        bare = proof.content is None and proof.batch is None
        require(bare, where, "a block leaf with a content or a batch part")
        bundle.used.add(index)
        bundle.blocks.append(leaf)
    then, last = bundle.blocks
    registry = bundle.registry
    require(registry.root() == last.registry_root, "registry", "not the root of the last block")
    at_inquiry = registry.root(then.height) == then.registry_root
    require(at_inquiry, "registry", "not the root of the inquiry's block")


def _verify_entry(bundle: Bundle, proof: Record, where: str) -> Entry:
    """Return an entry whose proof holds (6)."""
    leaf = _verify_path(bundle, proof, where)
    require(leaf.version == 1, where, "no entry leaf")
    require(leaf.outcome == 0, where, f"the entry has outcome {leaf.outcome}")
    statement = decode(STATEMENT, leaf.statement, f"{where}.statement", 256)
    ledger_id, kind = bundle.ledger.ledger_id, statement.kind
    require(statement.ledger_id == ledger_id, where, "a statement of another ledger")
    require(kind in ROLE_OF_KIND, where, f"kind {kind} has no place in a bundle")
    member = bundle.registry.version(statement.member, leaf.height)
    require(member, where, f"member {statement.member} was not in force")
    has_role = member and member.roles & ROLE_OF_KIND[kind]
    require(has_role, where, f"member {statement.member} had no role for that")
    key = _feed_key(member, statement.feed, kind, where)
    holds = signature_holds(key, "statement", leaf.signature, leaf.statement)
    require(holds, where, "the signature is not by the feed's key")
    content = None
    if kind == KINDS["submission"]:
        require(proof.content is None and proof.batch is not None, where, "needs a batch part only")
        content_hash = submission_hash(ledger_id, statement.member, proof.batch)
    else:
        require(proof.content is not None and proof.batch is None, where, "needs a content only")
        content_hash = digest("content", bytes([kind]) + proof.content)
        shape, most = CONTENTS[kind]
        content = decode(shape, proof.content, f"{where}.content", most)
    require(content_hash == statement.content_hash, where, "the content is not what was signed")
    return Entry(proof.index, leaf, statement, content, proof.batch)


def _feed_key(member: Record | None, number: int, kind: int, where: str) -> bytes:
    for feed in member.feeds if member else ():
        if feed.feed == number:
            require(feed.kinds >> kind & 1, where, f"feed {number} may not sign kind {kind}")
            return feed.key  # type: ignore[no-any-return]
    refuse(where, f"there is no feed {number}")


def _verify_inquiry(bundle: Bundle) -> Entry:
    proof = bundle.record.inquiry
    where = f"inquiry {proof.index}"
    require(proof.index < bundle.common.size, where, "not below the size")
    entry = _verify_entry(bundle, proof, where)
    require(entry.statement.kind == KINDS["inquiry"], where, "no inquiry")
    same = entry.leaf.height == bundle.blocks[0].height
    require(same, where, "its height is not that of the inquiry's block")
    return entry


def _verify_consent(bundle: Bundle) -> None:
    inquiry, encoded = _inquiry(bundle), bundle.record.terms
    terms = decode(TERMS, encoded, "terms", 65_536)
    same = digest("consent", encoded)[:16] == inquiry.content.consent_id
    require(same, "terms", "not those of the consent that the inquiry names")
    require(terms.ledger_id == bundle.ledger.ledger_id, "terms", "another ledger")
    require(terms.grantee == inquiry.statement.member, "terms", "the grantee is not the reader")
    for index, proof in bundle.entries.items():
        leaf = decode_leaf(proof.leaf, f"entry {index}")
        if index >= inquiry.index or leaf.version != 1:
            continue
        where = f"consent {index}"
        if decode(STATEMENT, leaf.statement, where, 256).kind != KINDS["consent"]:
            continue
        entry = _verify_entry(bundle, proof, where)
        require(entry.content.terms == encoded, where, "it has other terms")
        given = entry.content.second_signature
        require(given, where, "the second did not sign")
        second = bundle.registry.version(terms.second, entry.leaf.height)
        key = _feed_key(second, given.feed, KINDS["consent"], f"{where}, second {terms.second}")
        holds = signature_holds(key, "consent", given.signature, encoded)
        require(holds, where, "the signature of the second is wrong")
        bundle.used.add(index)
        return
    refuse("consent", "there is no proof of it before the inquiry")


def _inquiry(bundle: Bundle) -> Entry:
    assert bundle.inquiry is not None
    return bundle.inquiry


def _verify_signers(bundle: Bundle) -> None:
    height = _inquiry(bundle).leaf.height
    committee = [each.member for each in bundle.registry.epoch(height).committee]
    common = digest("history-common", bundle.record.common)
    for each in bundle.record.signers:
        where = f"history statement of {each.validator}"
        require(each.validator in committee, where, "not of the committee")
        message = common + each.validator.to_bytes(4, "big") + each.payload_hash
        versions = bundle.registry.members.get(each.validator, [])
        late = [v for v in versions if v.until_height is None or v.until_height > height]
        keys = {v.node_key for v in late if v.node_key is not None}
        holds = any(signature_holds(key, "history", each.signature, message) for key in keys)
        require(holds, where, "the signature is wrong")
    count, need = len(bundle.record.signers), quorum(len(committee))
    require(count >= need, "history statements", f"{count} signed, {need} are needed")


def _verify_events(bundle: Bundle) -> None:
    inquiry = _inquiry(bundle)
    held = {inquiry.index: inquiry}
    for proof in bundle.record.proofs.events:
        where = f"event {proof.index}/{proof.position}"
        header = decode(EVENT_HEADER, proof.header, f"{where}.header", 56)
        require(proof.index < bundle.common.size, where, "not below the size")
        if proof.index not in held:
            require(proof.index in bundle.entries, where, "the proof of its entry is missing")
            entry_proof = bundle.entries[proof.index]
            held[proof.index] = _verify_entry(bundle, entry_proof, f"entry {proof.index}")
            bundle.used.add(proof.index)
        entry = held[proof.index]
        require(entry.statement.member == proof.member, where, "the entry is another member's")
        _verify_event_place(proof, entry, where)
        bundle.events.append(Event(proof, header, entry))
    require((inquiry.index, 0) in {event.id for event in bundle.events}, "events", "no inquiry")


def _verify_event_place(proof: Record, entry: Entry, where: str) -> None:
    if entry.batch is not None:
        head = (entry.batch.count, entry.batch.events_root)
        verify_inclusion(proof.header, proof.position, head, proof.path, where)
        return
    require(entry.statement.kind == KINDS["inquiry"], where, "its entry has no events")
    bare = proof.position == 0 and not proof.path and proof.body is None
    require(bare, where, "an inquiry is one event, without path and body")
    header = encode([entry.content.tag, entry.content.retain_month, bytes(32)])
    require(proof.header == header, where, "the header is not the inquiry's")


def _verify_marks(bundle: Bundle) -> None:
    targets = {event.id for event in bundle.events if event.entry.batch is not None}
    for index, proof in bundle.entries.items():
        if index in bundle.used:
            continue
        where = f"entry {index}"
        entry = _verify_entry(bundle, proof, where)
        require(entry.statement.kind == KINDS["mark"], where, "a proof that nothing refers to")
        require(_target(entry) in targets, where, "a mark about no event of the bundle")
        bundle.marks.append(entry)


def _target(mark: Entry) -> tuple[int, int]:
    return (mark.content.target.index, mark.content.target.position)


def _verify_completeness(bundle: Bundle) -> None:
    groups: dict[tuple[int, bytes], list[Event]] = {}
    for event in bundle.events:
        groups.setdefault(event.row, []).append(event)
    rows = {(row.member, row.tag): row for row in bundle.common.rows}
    require(groups.keys() == rows.keys(), "completeness", "the events are of other histories")
    for (member, tag), row in rows.items():
        where = f"history {member}/{tag.hex()}"
        events = groups[member, tag]
        ids = {event.id for event in events}
        marks = [m for m in bundle.marks if _target(m) in ids and m.index < bundle.common.size]
        require(len(events) == row.count, where, f"{len(events)} events, not {row.count}")
        head = fold_head((*event.id, event.proof.header) for event in events)
        require(head == row.head, where, "the events do not give its head")
        require(len(marks) == row.marks_count, where, f"{len(marks)} marks, not {row.marks_count}")
        folded = fold_marks((*_target(mark), mark.index) for mark in marks)
        require(folded == row.marks, where, "the marks do not give its marks")


def _verify_what_is_left(bundle: Bundle) -> None:
    offset = bundle.ledger.genesis.params.utc_offset_min
    month, last_month = (local_month(block.time_ms, offset) for block in bundle.blocks)
    for event in bundle.events:
        if event.entry.batch is None:
            continue
        marks = [mark for mark in bundle.marks if _target(mark) == event.id]
        moved = [m for m in marks if m.content.what == RETAIN and type(m.content.value) is int]
        then = [mark.content.value for mark in moved if mark.index < bundle.common.size]
        months = [event.header.retain_month, *(mark.content.value for mark in moved)]
        where, body = f"event {event.proof.index}/{event.proof.position}", event.proof.body
        if any(mark.content.what == ERASE for mark in marks):
            event.state = "erased"
        elif month > [event.header.retain_month, *then][-1]:
            event.state = "expired"
        elif body is not None:
            fits = digest("body", body) == event.header.body_hash
            require(fits, where, "the body does not hash to the header's body_hash")
            event.state = "withheld"
        elif last_month > months[-1]:
            event.state = "expired"
        elif last_month > min(months):
            event.state = "lapsed"
        else:
            refuse(where, "its body is missing, and nothing explains why")


def _verify_keys(bundle: Bundle) -> None:
    keys, places = bundle.record.keys, dict[tuple[int, bytes], tuple[int, int | None]]()
    require(len(keys) == len(bundle.events), "keys", "not one item for each event proof")
    for event, key in zip(bundle.events, keys, strict=True):
        where = f"event {event.proof.index}/{event.proof.position}"
        if event.state == "inquiry":
            places.setdefault(event.row, (0, INQUIRIES))
        if key is None:
            continue
        require(event.state == "withheld", where, "a key for an event that has no body")
        fits = digest("body-key", key) == event.proof.body[:32]
        require(fits, where, "the key is not the one that the body commits to")
        try:
            event.state = _read_event(bundle, event, key)
            if event.state == "shown":
                _judge_event(bundle, event, places)
        except Refused as refused:
            event.state, event.why = "invalid", str(refused)


def _read_event(bundle: Bundle, event: Event, key: bytes) -> str:
    """Open a body; return `shown`, or `unknown` for a type that has no number here."""
    ledger_id, (member, tag) = bundle.ledger.ledger_id, event.row
    length = len(event.proof.body) - 48
    require(length in BUCKETS, "body", f"{length + 48} bytes")
    padded = unpad(open_body(event.proof.body, key, ledger_id, member, tag))
    event.content = decode(EVENT, padded, "event", 16_380)
    if event.content.schema not in TYPES or event.content.version != 1:
        return "unknown"
    event.type = check_event(event.content)
    return "shown"


def _judge_event(
    bundle: Bundle, event: Event, places: dict[tuple[int, bytes], tuple[int, int | None]]
) -> None:
    """Refuse an event that is not filed where it belongs, as far as a bundle tells."""
    inside, (member, _), asked = event.content, event.row, _inquiry(bundle).content
    assert inside is not None
    year, category = int(inside.occurred_on[:4]), category_of(inside)
    require(year in asked.years, "year", f"{year} was not asked for")
    if inside.target is not None:
        category = _judge_correction(bundle, event, (year, category))
    named = asked.contributors is None or member in asked.contributors
    categories = asked.categories if named else []
    require(category is None or category in categories, "category", f"{category} was not asked for")
    months = {
        month_of_day(inside.occurred_on) + row.months
        for params in _params_for(bundle, event.entry)
        for row in params.retention
        if row.category in (categories if category is None else [category])
    }
    require(event.header.retain_month in months, "retain_month", "not that of day and category")
    place = (year, category)
    if category is not None:
        same = places.setdefault(event.row, place) == place
        require(same, "tag", "an event of another year or category is under it")
    event.place = place


def _params_for(bundle: Bundle, entry: Entry) -> list[Record]:
    """Return the params in force for an entry; at first those before count as well."""
    past = [each for each in bundle.registry.settings if each.from_height <= entry.leaf.height]
    versions = [bundle.ledger.genesis.params, *(each.params for each in past)]
    if not past:
        return versions
    until = past[-1].from_ms + versions[-1].epoch_overlap_ms
    return versions[-2:] if entry.statement.created_ms < until else versions[-1:]


def _judge_correction(bundle: Bundle, event: Event, place: tuple[int, int | None]) -> int | None:
    """Return the category of a correction; refuse one that is not beside its target."""
    target = (event.content.target.index, event.content.target.position)  # type: ignore[union-attr]
    about = next((each for each in bundle.events if each.id == target), None)
    if about is None or about.state == "inquiry" or target >= event.id:
        refuse("target", "no earlier event of this bundle")
    require(about.proof.member == event.proof.member, "target", "an event of another member")
    versions = bundle.registry.members[event.proof.member]
    tag_keys = {version.tag_key_hash for version in versions} - {None}
    require(about.row == event.row or len(tag_keys) > 1, "target", "under another tag")
    if about.place is None or about.content is None:
        return place[1]
    year, category = place[0], about.place[1] if place[1] is None else place[1]
    require((year, category) == about.place, "target", "of another year or category")
    retracts = about.content.schema != RETRACT or event.content.schema == RETRACT  # type: ignore[union-attr]
    require(retracts, "target", "a retraction")
    return category


# 9. Publishing: signed notes, checkpoints, policies, proof files


@dataclass(frozen=True)
class VerifierKey:
    """A key under its name: type 1 signs notes, type 4 cosigns them."""

    name: str
    type: int
    key: bytes

    @property
    def id(self) -> bytes:
        """The key id of signature lines."""
        return sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.key)[:4]


@dataclass(frozen=True)
class Note:
    """A signed note: its text, and its lines as (key name, key id, signature)."""

    text: str
    lines: list[tuple[str, bytes, bytes]]


def parse_base64(value: str, where: str) -> bytes:
    """Return what canonical base64 stands for."""
    try:
        data = base64.b64decode(value, validate=True)
    except ValueError:
        refuse(where, "no base64")
    require(base64.b64encode(data).decode() == value, where, "base64 is not canonical")
    return data


def parse_decimal(value: str, where: str) -> int:
    """Return a decimal without leading zeros, at most 2^63 - 1."""
    require(re.fullmatch("0|[1-9][0-9]{0,18}", value), where, f"{value!r:.40} is no decimal")
    require(int(value) < 2**63, where, "a number above 2^63 - 1")
    return int(value)


def parse_note(data: bytes | str, where: str) -> Note:
    """Return a note; nothing of it is verified."""
    try:
        content = data if isinstance(data, str) else data.decode()
        length = len(content.encode())
    except (UnicodeError, AttributeError):
        refuse(where, "a note is UTF-8 text")
    require(length <= 1_000_000, where, "the note is too long")
    require(all(each >= " " or each == "\n" for each in content), where, "control characters")
    body, separator, tail = content.rpartition("\n\n")
    require(separator and tail.endswith("\n"), where, "no signed note")
    lines = [_parse_line(line, where) for line in tail[:-1].split("\n")]
    require(len(lines) <= 256, where, f"{len(lines)} signature lines are more than 256")
    return Note(body + "\n", lines)


def _parse_line(line: str, where: str) -> tuple[str, bytes, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, payload = rest.partition(" ")
    require(dash == "\u2014", where, f"{line!r:.60} is no signature line")
    check_key_name(name, where)
    data = parse_base64(payload, where)
    require(4 < len(data) <= 8192, where, f"a signature line of {len(data)} bytes")
    return name, data[:4], data[4:]


def check_key_name(name: str, where: str) -> None:
    """Refuse what can't name a key."""
    fine = not any(c.isspace() or c == "+" or c < " " or "\ud800" <= c <= "\udfff" for c in name)
    require(name and fine, where, f"{name!r:.60} is no key name")
    require(len(name.encode("utf-8", "replace")) <= 255, where, "the key name is too long")


def valid_signers(note: Note, keys: Iterable[VerifierKey], where: str) -> set[VerifierKey]:
    """Return the keys that signed; refuse a line that names one of them and is not by it."""
    known: dict[tuple[str, bytes], list[VerifierKey]] = {}
    for key in keys:
        known.setdefault((key.name, key.id), []).append(key)
    valid: set[VerifierKey] = set()
    for name, key_id, signature in note.lines:
        named = known.get((name, key_id), [])
        by = [key for key in named if _signed(note, key, signature)]
        require(by or not named, where, f"the signature of {name!r:.80} is not valid")
        valid.update(by)
    return valid


def _signed(note: Note, key: VerifierKey, signature: bytes) -> bool:
    message = note.text.encode()
    if key.type == 4:
        if len(signature) != 72 or signature[0] & 0x80:
            return False
        seconds, signature = int.from_bytes(signature[:8], "big"), signature[8:]
        message = f"cosignature/v1\ntime {seconds}\n".encode() + message
    return raw_signature_holds(key.key, signature, message)


def checkpoint_of(note: Note, where: str) -> tuple[str, int, bytes]:
    """Return origin, size and root that the text of a note states."""
    lines = note.text[:-1].split("\n")
    require(len(lines) == 3 and lines[0], where, "the text of a checkpoint is three lines")
    root = parse_base64(lines[2], where)
    require(len(root) == 32, where, "a root of another length")
    return lines[0], parse_decimal(lines[1], where), root


@dataclass
class Policy:
    """A tlog-policy: its logs, its witnesses by name, its groups, and the name of its quorum."""

    logs: list[VerifierKey] = field(default_factory=list)
    witnesses: dict[str, VerifierKey] = field(default_factory=dict)
    groups: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    quorum: str | None = None

    def accept(self, note: Note, where: str) -> tuple[str, int, bytes]:
        """Return origin, size and root of a checkpoint that this policy accepts."""
        origin, size, root = checkpoint_of(note, where)
        valid = valid_signers(note, [*self.logs, *self.witnesses.values()], where)
        signed = any(log.name == origin and log in valid for log in self.logs)
        require(signed, where, f"no log of the policy signed it as {origin!r:.60}")
        enough = self._cosigned(self.quorum or "none", valid)
        require(enough, where, f"the quorum {self.quorum!r} of the policy did not cosign it")
        return origin, size, root

    def _cosigned(self, name: str, valid: set[VerifierKey]) -> bool:
        if name in self.groups:
            need, members = self.groups[name]
            return sum(self._cosigned(each, valid) for each in members) >= need
        return name == "none" or self.witnesses[name] in valid


def parse_policy(data: bytes) -> Policy:
    """Return a policy file's policy (c2sp.org/tlog-policy)."""
    policy, grouped = Policy(), set[str]()
    allowed = all(each in {9, 10} or 32 <= each != 127 for each in data)
    require(allowed and data.endswith(b"\n"), "policy", "no text of lines that end in a line feed")
    # Names are opaque bytes; `surrogateescape` carries those that are no UTF-8.
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        words, where = re.findall("[^ \t]+", line), f"policy line {number}"
        if not words or words[0].startswith("#"):
            continue
        _parse_policy_line(policy, words, grouped, where)
    require(policy.quorum is not None, "policy", "there is no quorum line")
    return policy


def _parse_policy_line(policy: Policy, words: list[str], grouped: set[str], where: str) -> None:
    names = {*policy.witnesses, *policy.groups}
    match words:
        case ["log", vkey] | ["log", vkey, _]:
            log = parse_vkey(vkey, 1, where)
            require(log.key not in {each.key for each in policy.logs}, where, "a log twice")
            policy.logs.append(log)
        case ["witness", name, vkey] | ["witness", name, vkey, _]:
            key = parse_vkey(vkey, 4, where)
            require(name not in {*names, "none"}, where, f"the name {name!r} is taken")
            twice = key.key in {each.key for each in policy.witnesses.values()}
            require(not twice, where, "a witness twice")
            policy.witnesses[name] = key
        case ["group", name, threshold, *members] if members:
            require(name not in {*names, "none"}, where, f"the name {name!r} is taken")
            short = {"all": len(members), "any": 1}
            need = short.get(threshold) or parse_decimal(threshold, where)
            require(1 <= need <= len(members), where, f"{need} of {len(members)}")
            for each in members:
                require(each in names, where, f"{each!r} is not defined before")
                require(each not in grouped, where, f"{each!r} is in a group already")
                grouped.add(each)
            policy.groups[name] = (need, members)
        case ["quorum", name]:
            require(policy.quorum is None, where, "a second quorum line")
            require(name in {*names, "none"}, where, f"{name!r} is not defined before")
            policy.quorum = name
        case _:
            refuse(where, f"{' '.join(words)!r:.60} is no line of a policy")


def parse_vkey(value: str, kind: int, where: str) -> VerifierKey:
    """Return the key of a vkey of that type."""
    parts = value.split("+", 2)
    require(len(parts) == 3, where, "no vkey")
    check_key_name(parts[0], where)
    data = parse_base64(parts[2], where)
    require(len(data) == 33 and data[0] == kind, where, f"no Ed25519 vkey of type {kind}")
    key = VerifierKey(parts[0], kind, data[1:])
    require(parts[1] == key.id.hex(), where, "the key id is not that of name and key")
    return key


def parse_proof(data: bytes) -> tuple[bytes, int, list[bytes], Note]:
    """Return leaf, index, path and checkpoint of a proof file; nothing of it is verified."""
    where = "proof"
    require(len(data) <= 1_131_072, where, "the file is too long")
    head, separator, note = data.partition(b"\n\n")
    require(separator, where, "no empty line before the checkpoint")
    try:
        lines = head.decode().split("\n")
    except UnicodeError:
        refuse(where, "no UTF-8")
    require(lines[0] == PROOF_HEADER, where, "no proof file")
    shaped = len(lines) >= 3 and lines[1].startswith("extra ") and lines[2].startswith("index ")
    require(shaped, where, "expected the lines `extra` and `index`")
    leaf = parse_base64(lines[1].removeprefix("extra "), where)
    index = parse_decimal(lines[2].removeprefix("index "), where)
    path = [parse_base64(line, where) for line in lines[3:]]
    require(all(len(each) == 32 for each in path), where, "a hash of another length")
    return leaf, index, path, parse_note(note, "checkpoint")


PROOF_HEADER = "c2sp.org/tlog-proof@v1"


# The command


def _judge_checkpoint(data: bytes) -> tuple[Note, dict[str, Any]]:
    note = parse_note(data, "checkpoint")
    origin, size, root = checkpoint_of(note, "checkpoint")
    return note, {"origin": origin, "size": size, "root": root.hex()}


def _judge_proof(data: bytes) -> tuple[Note, dict[str, Any]]:
    leaf, index, path, note = parse_proof(data)
    origin, size, root = checkpoint_of(note, "checkpoint")
    verify_inclusion(leaf, index, (size, root), path, "proof")
    decoded = decode_leaf(leaf, "leaf")
    if decoded.version == 1:
        decode(STATEMENT, decoded.statement, "statement", 256)
    what = "entry" if decoded.version == 1 else "block"
    found = {"origin": origin, "size": size, "root": root.hex(), "index": index}
    return note, found | {"leaf": what, "height": decoded.height}


def _judge_bundle(data: bytes) -> tuple[Note, dict[str, Any]]:
    bundle = verify_bundle(data)
    inquiry = _inquiry(bundle)
    found = {
        "ledger_id": bundle.ledger.ledger_id.hex(),
        "origin": bundle.registry.origin,
        "size": bundle.size,
        "root": bundle.root.hex(),
        "reader": inquiry.statement.member,
        "consent": inquiry.content.consent_id.hex(),
        "inquiry": inquiry.index,
        "as_of_ms": bundle.blocks[0].time_ms,
        "events": [
            {
                "id": f"{event.proof.index}/{event.proof.position}",
                "member": event.proof.member,
                "state": event.state,
                "type": event.type,
                "why": event.why,
            }
            for event in bundle.events
        ],
    }
    return bundle.record.checkpoint, found


def judge(data: bytes, policy: Policy | None) -> dict[str, Any]:
    """Return the verdicts on a file, where and why they failed, and what the file says."""
    if data.startswith(b"tradeline/v1 evidence\n"):
        raise Usage("evidence of a fork (section 10) is not judged here")
    kind, look = "checkpoint", _judge_checkpoint
    if data.startswith(PROOF_HEADER.encode()):
        kind, look = "proof", _judge_proof
    elif data[:1] >= b"\x80":
        kind, look = "bundle", _judge_bundle
    verdict: dict[str, Any] = {"kind": kind, "verified": False, "consistent": False}
    verdict["anchored"] = None if policy is None else False
    try:
        note, found = look(data)
        verdict |= {"consistent": True} | found
        if policy is not None:
            policy.accept(note, "trust")
            verdict["anchored"] = True
    except Refused as refused:
        return verdict | {"where": refused.where, "why": refused.why}
    return verdict | {"verified": True}


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify a file, print the verdicts, and return the exit code."""
    parser = argparse.ArgumentParser(description="Verify a bundle, a checkpoint or a proof file.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--trust", type=Path, metavar="POLICY", help="tlog-policy file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    try:
        policy = None if given.trust is None else parse_policy(given.trust.read_bytes())
        verdict = judge(given.file.read_bytes(), policy)
    except (OSError, Refused, Usage) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps(verdict, ensure_ascii=False))
    else:
        _print(verdict)
    return 0 if verdict["verified"] else 3


def _print(verdict: dict[str, Any]) -> None:
    said = {True: "yes", False: "NO", None: "not asked: bring the keys you trust with --trust"}
    print(f"{verdict['kind']}: {'verified' if verdict['verified'] else 'NOT verified'}")
    print(f"  consistent in itself: {said[verdict['consistent']]}")
    print(f"  anchored to your policy: {said[verdict['anchored']]}")
    if "why" in verdict:
        print(f"  {verdict['where']}: {verdict['why']}")
    for name in ("origin", "size", "root", "index", "reader", "consent", "inquiry", "as_of_ms"):
        if name in verdict:
            print(f"  {name}: {verdict[name]}")
    for event in verdict.get("events", ()):
        what = event["why"] or event["type"] or ""
        print(f"  {event['id']} of {event['member']}: {event['state']} {what}".rstrip())


if __name__ == "__main__":
    sys.exit(main())
