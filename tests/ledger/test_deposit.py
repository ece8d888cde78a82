"""Deposits and attachments: from keys to shares and back, and everything that could be swapped."""

from __future__ import annotations

import hashlib
from functools import cache
from itertools import combinations
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeline_ledger.body import BODY_BYTES_MAX, open_body, seal_bodies, verify_key
from tradeline_ledger.deposit import (
    ATTACHMENT,
    ATTACHMENT_BYTES_MAX,
    SEALED_BYTES_MAX,
    Attachment,
    make_deposits,
    open_deposit,
    sealed_hash,
    share_paths,
    share_root,
)
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError, SealError
from tradeline_ledger.hpke import PrivateKey, deposit_info, seal
from tradeline_ledger.merkle import leaf_hash, verify_inclusion
from tradeline_ledger.sharing import combine, split
from tradeline_ledger.submission import EVENTS_MAX, Deposit

LEDGER: Final = bytes(range(32))
PLACE: Final[dict[str, Any]] = {"member": 7, "epoch": 3, "events_root": bytes(range(100, 132))}


@cache
def private_key(position: int) -> PrivateKey:
    return PrivateKey.generate(hashlib.shake_256(b"committee %d" % position).digest(96))


def some_bytes(what: str, count: int) -> bytes:
    return hashlib.shake_256(what.encode()).digest(count)


def recipients(members: int) -> list[tuple[int, bytes]]:
    return [(40 + at, private_key(at).public.encoded) for at in range(members)]


def info_of(position: int, ledger_id: bytes = LEDGER, **place: Any) -> bytes:
    key_id = private_key(position).public.key_id
    named = {"recipient": 40 + position, "key_id": key_id, **PLACE, **place}
    return deposit_info(ledger_id, **named)


def one_deposit(count: int = 3) -> tuple[bytes, Deposit, bytes]:
    shares = some_bytes("shares", 32 * count)
    (deposit,), (sealed,) = make_deposits([shares], recipients(1), ledger_id=LEDGER, **PLACE)
    return shares, deposit, sealed


def naive_root(hashes: list[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    middle = 1 << (len(hashes) - 1).bit_length() - 1
    parts = naive_root(hashes[:middle]) + naive_root(hashes[middle:])
    return hashlib.sha256(b"\x01" + parts).digest()


@settings(deadline=None, max_examples=15)
@given(
    st.integers(1, 7).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))),
    st.lists(st.binary(max_size=300), min_size=1, max_size=6),
)
def test_any_threshold_of_the_committee_opens_every_body_and_fewer_open_none(
    committee: tuple[int, int], events: list[bytes]
) -> None:
    threshold, members = committee
    count = len(events)
    keys = some_bytes("keys", 32 * count)
    tags = [some_bytes(f"tag {at}", 16) for at in range(count)]
    bodies, _ = seal_bodies(keys, events, LEDGER, 7, tags)
    dealt = split(keys, threshold, members, some_bytes("random", 32 * count * (threshold - 1)))
    deposits, sealed = make_deposits(dealt, recipients(members), ledger_id=LEDGER, **PLACE)

    opened = {
        at: open_deposit(private_key(at), sealed[at], info_of(at), deposits[at], count)
        for at in range(members)
    }
    for positions in combinations(range(members), threshold):
        combined = combine({at: opened[at] for at in positions}, threshold)
        for at, event in enumerate(events):
            key = combined[32 * at : 32 * at + 32]
            assert open_body(key, bodies[at], LEDGER, 7, tags[at]) == event
    if threshold > 1:
        fewer = {at: opened[at] for at in range(threshold - 1)}
        with pytest.raises(SealError, match="are needed to open"):
            combine(fewer, threshold)
        with pytest.raises(SealError, match="commits to another key"):
            verify_key(combine(fewer, threshold - 1)[:32], bodies[0])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 31, 33])
def test_share_root_is_the_tree_of_the_shares_and_paths_lead_to_it(count: int) -> None:
    shares = some_bytes("shares", 32 * count)
    each = [shares[32 * at : 32 * at + 32] for at in range(count)]
    root = share_root(shares)
    assert root == naive_root([hashlib.sha256(b"\x00" + share).digest() for share in each])
    for at, path in enumerate(share_paths(shares, range(count))):
        verify_inclusion(leaf_hash(each[at]), at, count, path, root)
    first, last = share_paths(shares, [0, count - 1])
    assert share_paths(shares, [count - 1, 0]) == [last, first]


def test_deposits_commit_to_the_sealed_bytes_and_to_the_shares() -> None:
    shares, deposit, sealed = one_deposit()
    expected = hashlib.sha256(b"tradeline/v1 sealed\n" + sealed).digest()
    assert deposit.sealed_hash == sealed_hash(sealed) == expected
    assert deposit.share_root == share_root(shares)
    assert len(sealed) == len(shares) + 1136


def test_every_altered_byte_of_a_deposit_is_refused() -> None:
    shares, deposit, sealed = one_deposit()
    assert open_deposit(private_key(0), sealed, info_of(0), deposit, 3) == shares
    for at in range(len(sealed)):
        altered = bytearray(sealed)
        altered[at] ^= 0x80
        with pytest.raises(SealError, match="the batch says"):
            open_deposit(private_key(0), bytes(altered), info_of(0), deposit, 3)
        # A contributor that commits to the altered bytes doesn't get further.
        committed = Deposit(sealed_hash(bytes(altered)), deposit.share_root)
        with pytest.raises(SealError, match="does not open"):
            open_deposit(private_key(0), bytes(altered), info_of(0), committed, 3)


@pytest.mark.parametrize(
    "place",
    [
        {"events_root": bytes(32)},
        {"member": 8},
        {"epoch": 4},
        {"recipient": 41},
        {"key_id": bytes(32)},
        {"ledger_id": bytes(32)},
    ],
)
def test_a_deposit_copied_to_another_place_does_not_open(place: dict[str, Any]) -> None:
    _, deposit, sealed = one_deposit()
    with pytest.raises(SealError, match="sealed to another key or place"):
        open_deposit(private_key(0), sealed, info_of(0, **place), deposit, 3)


def test_a_deposit_does_not_open_with_another_members_key() -> None:
    _, deposit, sealed = one_deposit()
    with pytest.raises(SealError, match="does not open"):
        open_deposit(private_key(1), sealed, info_of(0), deposit, 3)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_another_number_of_shares_is_refused(count: int) -> None:
    _, deposit, sealed = one_deposit(3)
    with pytest.raises(SealError, match=f"expected {32 * count} for {count} events"):
        open_deposit(private_key(0), sealed, info_of(0), deposit, count)


def test_shares_that_the_batch_does_not_commit_to_are_refused() -> None:
    shares, deposit, _ = one_deposit()
    for at in range(len(shares)):
        dealt = bytearray(shares)
        dealt[at] ^= 1
        sealed = seal(private_key(0).public, bytes(dealt), info_of(0))
        committed = Deposit(sealed_hash(sealed), deposit.share_root)
        with pytest.raises(SealError, match=r"have root .* the batch says"):
            open_deposit(private_key(0), sealed, info_of(0), committed, 3)


def test_a_recipient_key_that_is_none_stops_the_dealing() -> None:
    with pytest.raises(MalformedError, match="expected 1216"):
        make_deposits([bytes(32)], [(40, b"short")], ledger_id=LEDGER, **PLACE)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.none() | st.binary(max_size=400), min_size=1, max_size=5),
    st.lists(st.none() | st.binary(max_size=400), min_size=1, max_size=16),
)
def test_an_attachment_reads_back_as_written(
    bodies: list[bytes | None], sealed: list[bytes | None]
) -> None:
    attachment = Attachment(tuple(bodies), tuple(sealed))
    assert ATTACHMENT.decode(encode(attachment)) == attachment
    assert encode(attachment) == encode([bodies, sealed])


@pytest.mark.parametrize(
    ("bodies", "sealed"),
    [
        ([b"x"] * EVENTS_MAX, [b"x"] * 16),
        ([bytes(BODY_BYTES_MAX)], [bytes(SEALED_BYTES_MAX)]),
        ([None], [None]),
    ],
)
def test_an_attachment_at_a_limit_is_accepted(
    bodies: list[bytes | None], sealed: list[bytes | None]
) -> None:
    assert ATTACHMENT.decode(encode([bodies, sealed])).bodies == tuple(bodies)


@pytest.mark.parametrize(
    "value",
    [
        [[b"x"] * (EVENTS_MAX + 1), [b"x"]],
        [[b"x"], [b"x"] * 17],
        [[bytes(BODY_BYTES_MAX + 1)], [b"x"]],
        [[b"x"], [bytes(SEALED_BYTES_MAX + 1)]],
        [[], [b"x"]],
        [[b"x"], []],
        [[b"x"]],
        [[b"x"], [b"x"], []],
        [["x"], [b"x"]],
        {},
    ],
)
def test_an_attachment_over_a_limit_or_of_another_shape_is_refused(value: Any) -> None:
    with pytest.raises(MalformedError, match="attachment does not decode"):
        ATTACHMENT.decode(encode(value))


def test_an_attachment_over_64_mib_is_refused_before_it_is_decoded() -> None:
    encoded = encode([[bytes(BODY_BYTES_MAX)] * 4_090, [b"x"]])
    assert len(encoded) > ATTACHMENT_BYTES_MAX == 64 * 1024 * 1024
    with pytest.raises(MalformedError, match="at most 67108864 are allowed"):
        ATTACHMENT.decode(encoded)


def test_an_attachment_with_a_longer_header_than_needed_is_refused() -> None:
    assert ATTACHMENT.decode(b"\x92\x91\xc4\x01a\x91\xc0") == Attachment((b"a",), (None,))
    with pytest.raises(MalformedError, match="not canonical"):
        ATTACHMENT.decode(b"\x92\x91\xc5\x00\x01a\x91\xc0")
