"""A ledger starts from bytes that every founder signed and that do not contradict themselves."""

from __future__ import annotations

from typing import Any

import msgspec.structs
import pytest
from tests.world import INSTITUTIONS, Institution, make_ledger, seed

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import LedgerError, MalformedError, SignatureError
from tradeline_ledger.genesis import (
    GENESIS,
    GENESIS_FILE,
    TIME_MS_MAX,
    TIME_MS_MIN,
    FounderSignature,
    Genesis,
    GenesisFile,
    ledger_id,
    open_genesis,
    sign_genesis,
)
from tradeline_ledger.params import Params
from tradeline_ledger.registry import CommitteeMember
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.state import HEAD, HEAD_KEY
from tradeline_ledger.statement import BlockLeaf, decode_leaf
from tradeline_ledger.transition import execute_genesis

LEDGER = make_ledger()
FOUNDERS = [(each.id, each.root) for each in INSTITUTIONS]
WEAK = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")


def signed(genesis: Genesis) -> bytes:
    return sign_genesis(genesis, FOUNDERS)


def altered(**fields: Any) -> Genesis:
    return msgspec.structs.replace(LEDGER.genesis, **fields)


def with_member(number: int, **fields: Any) -> Genesis:
    members = list(LEDGER.genesis.members)
    members[number - 1] = msgspec.structs.replace(members[number - 1], **fields)
    return altered(members=tuple(members))


def test_identity_is_the_hash_of_the_genesis() -> None:
    file = GENESIS_FILE.decode(LEDGER.file)
    assert file.genesis == LEDGER.genesis_bytes == encode(LEDGER.genesis)
    assert LEDGER.ledger_id == ledger_id(LEDGER.genesis_bytes)
    assert LEDGER.origin == f"tradeline.{LEDGER.ledger_id.hex()[:16]}"
    assert LEDGER.chain_id == f"tl-{LEDGER.ledger_id.hex()[:40]}"
    assert open_genesis(LEDGER.file) == LEDGER


def test_every_field_is_part_of_the_identity() -> None:
    changes: list[dict[str, Any]] = [
        {"name": "Other"},
        {"time_ms": LEDGER.genesis.time_ms + 1},
        {"members": LEDGER.genesis.members[:4]},
        *(
            {"params": msgspec.structs.replace(LEDGER.params, **{name: value})}
            for name, value in {"release_window_ms": 1, "linker": bytes(32)}.items()
        ),
    ]
    identities = {ledger_id(encode(altered(**change))) for change in changes}
    assert len(identities | {LEDGER.ledger_id}) == len(changes) + 1


def test_block_0_chains_to_the_identity() -> None:
    executed = execute_genesis(LEDGER)
    (leaf,) = executed.leaves
    block = decode_leaf(leaf)
    assert block == BlockLeaf(
        2, 0, LEDGER.genesis.time_ms, LEDGER.ledger_id, LEDGER.registry.root, 1
    )
    assert HEAD.decode(executed.writes[HEAD_KEY]) == executed.head
    assert (executed.head.height, executed.head.size) == (0, 1)


@pytest.mark.parametrize("left_out", range(5))
def test_every_founder_must_have_signed(left_out: int) -> None:
    some = [each for place, each in enumerate(FOUNDERS) if place != left_out]
    with pytest.raises(MalformedError, match="signature of every founder"):
        open_genesis(sign_genesis(LEDGER.genesis, some))


def test_nobody_else_signs() -> None:
    extra = [*FOUNDERS, (6, SigningKey(seed("stranger")))]
    with pytest.raises(MalformedError, match="signature of every founder"):
        open_genesis(sign_genesis(LEDGER.genesis, extra))


@pytest.mark.parametrize("forged", range(5))
def test_a_signature_by_another_key_is_refused(forged: int) -> None:
    keys = list(FOUNDERS)
    keys[forged] = (keys[forged][0], INSTITUTIONS[forged].node)
    with pytest.raises(SignatureError, match=INSTITUTIONS[forged].root.public.hex()):
        open_genesis(sign_genesis(LEDGER.genesis, keys))


def test_signatures_are_of_this_genesis() -> None:
    other = GENESIS_FILE.decode(signed(altered(name="Other")))
    mixed = encode(GenesisFile(LEDGER.genesis_bytes, other.signatures))
    with pytest.raises(SignatureError, match="signature is not by key"):
        open_genesis(mixed)


def test_founders_stand_in_order() -> None:
    file = GENESIS_FILE.decode(LEDGER.file)
    rows = tuple(reversed(file.signatures))
    with pytest.raises(MalformedError, match="founders must ascend"):
        open_genesis(encode((file.genesis, rows)))
    doubled = (file.signatures[0], *file.signatures)
    with pytest.raises(MalformedError, match="founders must ascend"):
        open_genesis(encode((file.genesis, doubled)))


def other(number: int) -> Institution:
    return INSTITUTIONS[number - 1]


def epoch(**fields: Any) -> Genesis:
    return altered(epoch=msgspec.structs.replace(LEDGER.genesis.epoch, **fields))


CONTRADICTIONS: dict[str, tuple[Genesis, str]] = {
    "member not from height 0": (with_member(2, from_height=1), "in force from height 0"),
    "member that has left": (with_member(2, until_height=9), "in force from height 0"),
    "members out of order": (altered(members=LEDGER.genesis.members[::-1]), "ascend by id"),
    "one member twice": (altered(members=LEDGER.genesis.members[:1] * 2), "ascend by id"),
    "weak root key": (with_member(3, root_key=WEAK), f"signature is not by key {WEAK.hex()}"),
    "weak node key": (with_member(3, node_key=WEAK), "member 3 has a weak key"),
    "weak engine key": (with_member(3, engine_key=bytes(32)), "member 3 has a weak key"),
    "one key for two members": (
        with_member(3, node_key=other(1).node.public),
        "two purposes or two members",
    ),
    "one key for two purposes": (
        with_member(3, note_key=other(3).node.public),
        "two purposes or two members",
    ),
    "root key that is a feed key": (
        with_member(3, engine_key=other(3).feed_key(1).public),
        "two purposes or two members",
    ),
    "validator that is nobody": (epoch(validators=(1, 2, 3, 9)), "validator 9 is no member"),
    "validator without the role": (epoch(validators=(1, 2, 3, 5)), "validator 5 is no member"),
    "validator without a node key": (with_member(1, node_key=None), "validator 1 lacks"),
    "validator without a note key": (with_member(1, note_key=None), "validator 1 lacks"),
    "validator without a cosigner key": (with_member(1, cosigner_key=None), "validator 1 lacks"),
    "committee member that orders nothing": (epoch(validators=(1, 2, 3)), "committee member 4"),
    "committee member without an HPKE key": (with_member(4, hpke_key=None), "committee member 4"),
    "another HPKE key": (
        epoch(committee=(CommitteeMember(1, bytes(32)),)),
        "committee member 1 has another HPKE key id",
    ),
    "epoch that is not the first": (epoch(epoch=1), "without a gap"),
    "epoch that begins later": (epoch(from_height=1), "epoch 0 begins at height 0"),
    "epoch of another time": (epoch(from_ms=1), "at the time of the genesis"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_genesis_that_contradicts_itself_is_refused(name: str) -> None:
    genesis, why = CONTRADICTIONS[name]
    founders = {record.id: INSTITUTIONS[record.id - 1].root for record in genesis.members}
    with pytest.raises(LedgerError, match=why):
        open_genesis(sign_genesis(genesis, list(founders.items())))


def genesis_bytes(**fields: Any) -> bytes:
    names = LEDGER.genesis.__struct_fields__
    return encode(tuple(fields.get(name, getattr(LEDGER.genesis, name)) for name in names))


def params(**fields: Any) -> tuple[Any, ...]:
    names = Params.__struct_fields__
    return tuple(fields.get(name, getattr(LEDGER.params, name)) for name in names)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"format": 2}, "genesis format is 2"),
        ({"rules": 2}, "names rules 2"),
        ({"name": ""}, "expected 1 to 128"),
        ({"time_ms": TIME_MS_MIN - 1}, "genesis time"),
        ({"time_ms": TIME_MS_MAX + 1}, "genesis time"),
        ({"params": params(utc_offset_min=841)}, "from -840 to 840"),
        ({"params": params(utc_offset_min=-841)}, "from -840 to 840"),
        ({"params": params(profile="")}, "profile"),
        ({"params": params(profile="x" * 17)}, "profile"),
        ({"params": params(retention=tuple((c, 1) for c in range(1, 6)))}, "each category"),
        ({"params": params(retention=tuple((c, 1) for c in (1, 2, 3, 4, 6, 5)))}, "each category"),
        ({"params": params(retention=tuple((c, 1) for c in range(7)))}, "each category"),
    ],
)
def test_a_genesis_out_of_bounds_does_not_decode(fields: dict[str, Any], why: str) -> None:
    assert GENESIS.decode(genesis_bytes()) == LEDGER.genesis
    with pytest.raises(MalformedError, match=why):
        GENESIS.decode(genesis_bytes(**fields))


def test_a_founder_of_another_ledger_is_no_founder_here() -> None:
    elsewhere = make_ledger(INSTITUTIONS[:4])
    assert elsewhere.ledger_id != LEDGER.ledger_id
    borrowed = GENESIS_FILE.decode(elsewhere.file).signatures
    rows = (*borrowed, FounderSignature(5, bytes(64)))
    with pytest.raises(SignatureError, match="signature is not by key"):
        open_genesis(encode(GenesisFile(LEDGER.genesis_bytes, rows)))
