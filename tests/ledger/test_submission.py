"""Batches: the fast path agrees with a slow decoder on everything, and hashes bind every part."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any, Final

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.story import story
from tests.world import INSTITUTIONS, World, seed

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError, SignatureError
from tradeline_ledger.merkle import leaf_hash, root_of, verify_inclusion
from tradeline_ledger.registry import COMMITTEE_MAX
from tradeline_ledger.statement import CONTENT_BYTES_MAX
from tradeline_ledger.submission import (
    EVENTS_MAX,
    HEADER_BYTES,
    Batch,
    Deposit,
    Receipt,
    Submission,
    check_header,
    decode_batch,
    decode_submission,
    encode_headers,
    encode_submission,
    header_at,
    header_body_hash,
    header_retain_month,
    header_tag,
    make_batch,
    sign_receipt,
    verify_receipt,
)

Slow = tuple[int, list[tuple[bytes, int, bytes]], list[tuple[bytes, bytes]], list[Any]]
DEPOSIT: Final = Deposit(bytes(32), bytes([1]) * 32)
RECEIPTS: Final = (Receipt(1, 5, bytes(64)), Receipt(3, 6, bytes(64)))


def some_batch(count: int, epoch: int = 0, deposits: int = 4) -> Batch:
    return make_batch(
        epoch,
        [seed("tag", i)[:16] for i in range(count)],
        [24_000 + i % 500 for i in range(count)],
        [seed("hash", i) for i in range(count)],
        [DEPOSIT] * deposits,
    )


@cache
def content(count: int = 3) -> bytes:
    return encode_submission(some_batch(count), RECEIPTS)


def is_number(value: object, bits: int) -> bool:
    return type(value) is int and 0 <= value < 1 << bits


def is_bytes(value: object, length: int) -> bool:
    return type(value) is bytes and len(value) == length


def slow_decode(encoded: bytes) -> Slow | None:
    """Return what a decoder makes of a submission that knows msgpack and the document only."""
    if len(encoded) > 1 << 20:
        return None
    try:
        whole = msgpack.unpackb(encoded, strict_map_key=False)
        if msgpack.packb(whole, use_bin_type=True) != encoded:
            return None
        (epoch, headers, deposits), receipts = whole
        headers = [(tag, month, body) for tag, month, body in headers]
        deposits = [(sealed, shares) for sealed, shares in deposits]
        receipts = [(number, expires, signature) for number, expires, signature in receipts]
    except Exception:  # noqa: BLE001 - whatever is wrong, it is no submission
        return None
    numbers = [number for number, _, _ in receipts]
    fits = (
        is_number(epoch, 32)
        and 1 <= len(headers) <= 10_000
        and all(is_bytes(t, 16) and is_bytes(b, 32) for t, _, b in headers)
        and all(is_number(month, 16) and month >= 256 for _, month, _ in headers)
        and 1 <= len(deposits) <= 16
        and all(is_bytes(a, 32) and is_bytes(b, 32) for a, b in deposits)
        and all(is_number(n, 32) and is_number(e, 64) for n, e, _ in receipts)
        and all(is_bytes(signature, 64) for _, _, signature in receipts)
        and numbers == sorted(set(numbers))
    )
    return (epoch, headers, deposits, receipts) if fits else None


def fast_decode(encoded: bytes) -> Slow | None:
    try:
        found = decode_submission(encoded)
    except MalformedError:
        return None
    batch = found.batch
    headers = [batch.header(i) for i in range(batch.count)]
    return (
        batch.epoch,
        [(header_tag(h), header_retain_month(h), header_body_hash(h)) for h in headers],
        [(each.sealed_hash, each.share_root) for each in batch.deposits],
        [(each.validator, each.expires_ms, each.signature) for each in found.receipts],
    )


def agree(encoded: bytes) -> bool:
    """Say whether both decoders accept, having compared them."""
    slow = slow_decode(encoded)
    assert fast_decode(encoded) == slow, encoded[:100].hex()
    return slow is not None


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 255, 256, 257, 1000])
@pytest.mark.parametrize("epoch", [0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1])
def test_both_decoders_accept_what_is_encoded(count: int, epoch: int) -> None:
    batch = some_batch(count, epoch)
    encoded = encode_submission(batch, RECEIPTS)
    assert agree(encoded)
    assert decode_submission(encoded) == Submission(batch, RECEIPTS)
    assert decode_batch(batch.encode()) == batch


def rows(count: int) -> list[list[object]]:
    return [[seed("tag", i)[:16], 24_000, seed("hash", i)] for i in range(count)]


DEPOSITS: Final[list[object]] = [[bytes(32), bytes(32)]] * 4
ODD: Final[dict[str, object]] = {
    "no event": [[0, [], DEPOSITS], []],
    "10,001 events": [[0, rows(10_001), DEPOSITS], []],
    "no deposit": [[0, rows(1), []], []],
    "16 deposits": [[0, rows(1), DEPOSITS * 4], []],
    "17 deposits": [[0, rows(1), [*DEPOSITS * 4, DEPOSITS[0]]], []],
    "month 255": [[0, [[bytes(16), 255, bytes(32)]], DEPOSITS], []],
    "month 256": [[0, [[bytes(16), 256, bytes(32)]], DEPOSITS], []],
    "month 65535": [[0, [[bytes(16), 65_535, bytes(32)]], DEPOSITS], []],
    "month 65536": [[0, [[bytes(16), 65_536, bytes(32)]], DEPOSITS], []],
    "month nil": [[0, [[bytes(16), None, bytes(32)]], DEPOSITS], []],
    "tag of 15 bytes": [[0, [[bytes(15), 24_000, bytes(33)]], DEPOSITS], []],
    "tag of 17 bytes": [[0, [[bytes(17), 24_000, bytes(31)]], DEPOSITS], []],
    "tag of text": [[0, [["x" * 16, 24_000, bytes(32)]], DEPOSITS], []],
    "header of two": [[0, [[bytes(16), 24_000]], DEPOSITS], []],
    "header of four": [[0, [[bytes(16), 24_000, bytes(32), 0]], DEPOSITS], []],
    "epoch of 33 bits": [[1 << 32, rows(1), DEPOSITS], []],
    "epoch below 0": [[-1, rows(1), DEPOSITS], []],
    "epoch -32": [[-32, rows(1), DEPOSITS], []],
    "epoch nil": [[None, rows(1), DEPOSITS], []],
    "epoch true": [[True, rows(1), DEPOSITS], []],
    "epoch a list": [[[0], rows(1), DEPOSITS], []],
    "headers nil": [[0, None, DEPOSITS], []],
    "headers bytes": [[0, bytes(56), DEPOSITS], []],
    "batch of four": [[0, rows(1), DEPOSITS, 0], []],
    "batch nil": [None, []],
    "receipts nil": [[0, rows(1), DEPOSITS], None],
    "no receipts": [[0, rows(1), DEPOSITS], []],
    "receipts out of order": [[0, rows(1), DEPOSITS], [[2, 1, bytes(64)], [1, 1, bytes(64)]]],
    "one receipt twice": [[0, rows(1), DEPOSITS], [[2, 1, bytes(64)], [2, 1, bytes(64)]]],
    "short signature": [[0, rows(1), DEPOSITS], [[2, 1, bytes(63)]]],
    "three parts": [[0, rows(1), DEPOSITS], [], []],
    "one part": [[0, rows(1), DEPOSITS]],
    "a map": {"batch": 1},
    "a number": 7,
}
ACCEPTED: Final = {"16 deposits", "month 256", "month 65535", "no receipts"}


@pytest.mark.parametrize("name", ODD)
def test_both_decoders_agree_on_odd_values(name: str) -> None:
    assert agree(msgpack.packb(ODD[name], use_bin_type=True)) == (name in ACCEPTED)


LONGER: Final = {
    "content header": (b"\x92\x93", b"\xdc\x00\x02\x93"),
    "batch header": (b"\x92\x93\x00", b"\x92\xdc\x00\x03\x00"),
    "epoch in 2 bytes": (b"\x92\x93\x00", b"\x92\x93\xcc\x00"),
    "epoch in 3 bytes": (b"\x92\x93\x00", b"\x92\x93\xcd\x00\x00"),
    "epoch in 5 bytes": (b"\x92\x93\x00", b"\x92\x93\xce\x00\x00\x00\x00"),
    "epoch in 9 bytes": (b"\x92\x93\x00", b"\x92\x93\xcf" + bytes(8)),
    "signed epoch": (b"\x92\x93\x00", b"\x92\x93\xd0\x00"),
    "headers in 3 bytes": (b"\x00\x93\x93\xc4\x10", b"\x00\xdc\x00\x03\x93\xc4\x10"),
    "headers in 5 bytes": (b"\x00\x93\x93\xc4\x10", b"\x00\xdd\x00\x00\x00\x03\x93\xc4\x10"),
    "first event header": (b"\x00\x93\x93\xc4\x10", b"\x00\x93\xdc\x00\x03\xc4\x10"),
    "tag header": (b"\x93\xc4\x10", b"\x93\xc5\x00\x10"),
    "month in 5 bytes": (b"\xcd\x5d\xc0", b"\xce\x00\x00\x5d\xc0"),
}


@pytest.mark.parametrize("name", LONGER)
def test_both_decoders_refuse_longer_forms(name: str) -> None:
    short, long = LONGER[name]
    assert short in content()
    assert not agree(content().replace(short, long, 1))


def test_both_decoders_agree_on_every_flipped_byte() -> None:
    whole, accepted = content(), 0
    for at in range(len(whole)):
        for flip in (0x01, 0x20, 0x80, 0xFF):
            accepted += agree(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
    assert accepted > len(whole), "tags, hashes and signatures may be any bytes"


def test_both_decoders_agree_on_every_length() -> None:
    whole = content()
    assert not any(agree(whole[:length]) for length in range(len(whole)))
    assert not any(agree(whole + more) for more in (b"\x00", b"\x90", whole))


@settings(max_examples=200)
@given(data=st.data())
def test_both_decoders_agree_on_mutations(data: st.DataObject) -> None:
    whole = content(data.draw(st.sampled_from([1, 3, 15, 16, 40])))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole)) | st.integers(0, 64))
        end = data.draw(st.integers(at, at + 8))
        some = st.binary(max_size=8) | st.sampled_from(
            [
                b"\x93",
                b"\xdc\x00\x10",
                b"\xcd\x01\x00",
                b"\xc4\x10",
                b"\xc4\x20",
                b"\xce\x00\x00\x00\x00",
            ]
        )
        whole = whole[:at] + data.draw(some) + whole[end:]
    agree(whole)


def headers_of_any_shape() -> st.SearchStrategy[object]:
    header = st.tuples(
        st.binary(min_size=16, max_size=16) | st.binary(max_size=20),
        st.integers(200, 70_000),
        st.binary(min_size=32, max_size=32),
    )
    return st.lists(header, max_size=20)


@settings(max_examples=150)
@given(
    epoch=st.integers(-5, 2**33),
    headers=headers_of_any_shape(),
    deposits=st.integers(0, 18),
    receipts=st.lists(st.integers(0, 9), max_size=4),
)
def test_both_decoders_agree_on_random_values(
    epoch: int, headers: object, deposits: int, receipts: list[int]
) -> None:
    batch = [epoch, headers, [[bytes(32), bytes(32)]] * deposits]
    given_by = [[number, 1, bytes(64)] for number in receipts]
    agree(msgpack.packb([batch, given_by], use_bin_type=True))


def test_a_content_over_its_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(MalformedError, match=f"at most {CONTENT_BYTES_MAX}"):
        decode_submission(b"\x92" + bytes(CONTENT_BYTES_MAX))


def test_the_largest_batch_fits() -> None:
    batch = some_batch(EVENTS_MAX, 2**32 - 1, COMMITTEE_MAX)
    receipts = [Receipt(2**32 - 64 + n, 2**64 - 1, bytes(64)) for n in range(64)]
    encoded = encode_submission(batch, receipts)
    assert len(encoded) < CONTENT_BYTES_MAX
    assert decode_submission(encoded).batch.count == EVENTS_MAX


@pytest.mark.parametrize("month", [0, 1, 255])
def test_a_month_that_would_shorten_the_header_is_never_written(month: int) -> None:
    with pytest.raises(MalformedError, match="event header 1 is not"):
        make_batch(0, [bytes(16)] * 2, [256, month], [bytes(32)] * 2, [DEPOSIT])


@pytest.mark.parametrize("count", [0, EVENTS_MAX + 1])
def test_a_batch_has_1_to_10000_events(count: int) -> None:
    with pytest.raises(MalformedError, match=f"batch has {count} events"):
        make_batch(0, [bytes(16)] * count, [256] * count, [bytes(32)] * count, [DEPOSIT])


def test_headers_have_one_length_and_are_found_by_position() -> None:
    batch = some_batch(300)
    encoded = encode_submission(batch, RECEIPTS)
    assert len(batch.headers) == 300 * HEADER_BYTES
    for position in (0, 1, 16, 299):
        header = header_at(encoded, position)
        assert header == batch.header(position) == check_header(header)
        expected = [seed("tag", position)[:16], 24_000 + position % 500, seed("hash", position)]
        assert msgpack.unpackb(header) == expected
        assert batch.tag(position) == expected[0]
    assert batch.tags() == [batch.tag(i) for i in range(300)]
    assert batch.body_hashes() == [header_body_hash(batch.header(i)) for i in range(300)]


@pytest.mark.parametrize("at", [0, 1, 2, 19, 22, 23])
def test_a_header_out_of_its_frame_is_none(at: int) -> None:
    header = bytearray(some_batch(1).header(0))
    header[at] ^= 1
    with pytest.raises(MalformedError, match="event header 0"):
        check_header(bytes(header))
    for length in (0, 55, 57):
        with pytest.raises(MalformedError, match=f"has {length} bytes, expected 56"):
            check_header(bytes(length))


def test_columns_are_laid_out_as_msgpack_does() -> None:
    tags, months, hashes = (
        [bytes([i] * 16) for i in range(3)],
        [256, 24_319, 65_535],
        [bytes([9]) * 32] * 3,
    )
    expected = b"".join(
        msgpack.packb(list(row), use_bin_type=True)
        for row in zip(tags, months, hashes, strict=True)
    )
    assert encode_headers(tags, months, hashes) == expected
    assert encode_headers(tags, list(np.array(months)), hashes) == expected


def test_hashes_are_the_formulas_of_the_document() -> None:
    batch, ledger_id = some_batch(5, 7), bytes(range(32))

    def named(name: str, data: bytes) -> bytes:
        return hashlib.sha256(b"tradeline/v1 " + name.encode() + b"\n" + data).digest()

    root = root_of([leaf_hash(batch.header(i)) for i in range(5)])
    deposits = named("deposits", encode(batch.deposits))
    numbers = (9).to_bytes(4, "big") + (7).to_bytes(4, "big") + (5).to_bytes(4, "big")
    hashed = named("batch", ledger_id + numbers + root + deposits)
    assert batch.hash(ledger_id, 9) == hashed
    receipts = named("receipts", encode(RECEIPTS))
    expected = named("submission", hashed + receipts)
    assert Submission(batch, RECEIPTS).content_hash(ledger_id, 9) == expected


def test_the_batch_hash_binds_ledger_member_epoch_events_and_deposits() -> None:
    base = some_batch(3)
    hashes = {
        base.hash(bytes(32), 1),
        base.hash(bytes([1]) * 32, 1),
        base.hash(bytes(32), 2),
        some_batch(3, 1).hash(bytes(32), 1),
        some_batch(2).hash(bytes(32), 1),
        some_batch(3, 0, 3).hash(bytes(32), 1),
    }
    swapped = make_batch(0, base.tags()[::-1], [24_000] * 3, base.body_hashes(), base.deposits)
    assert len(hashes | {swapped.hash(bytes(32), 1)}) == 7


@pytest.mark.parametrize("count", [1, 2, 3, 15, 16, 17, 33, 100])
def test_every_event_has_its_path(count: int) -> None:
    batch = some_batch(count)
    for position in range(count):
        path = batch.path(position)
        leaf = leaf_hash(batch.header(position))
        verify_inclusion(leaf, position, count, path, batch.events_root)


def test_a_receipt_binds_ledger_validator_member_batch_and_time() -> None:
    key, ledger_id, batch = INSTITUTIONS[1].node, bytes(32), seed("batch")
    receipt = sign_receipt(key, ledger_id, validator=2, member=1, batch=batch, expires_ms=9)
    assert verify_receipt(key.public, ledger_id, 1, batch, receipt) == receipt
    attempts: list[tuple[bytes, int, bytes, Receipt]] = [
        (bytes([1]) * 32, 1, batch, receipt),
        (ledger_id, 2, batch, receipt),
        (ledger_id, 1, seed("other"), receipt),
        (ledger_id, 1, batch, Receipt(3, 9, receipt.signature)),
        (ledger_id, 1, batch, Receipt(2, 10, receipt.signature)),
    ]
    for ledger, member, hashed, shown in attempts:
        with pytest.raises(SignatureError, match="signature is not by key"):
            verify_receipt(key.public, ledger, member, hashed, shown)
    with pytest.raises(SignatureError, match="signature is not by key"):
        verify_receipt(INSTITUTIONS[0].node.public, ledger_id, 1, batch, receipt)


def test_what_custody_gets_is_what_is_ordered() -> None:
    filed, placed = story().loan, story().submissions[0]
    found = decode_submission(placed.content)
    assert decode_batch(filed.batch.encode()) == found.batch == filed.batch
    ledger_id = World().ledger.ledger_id
    assert found.receipts == story().receipts[1]
    assert found.batch.hash(ledger_id, 1) == filed.batch.hash(ledger_id, 1)
