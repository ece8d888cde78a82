"""The one encoding: everything that is not what `encode` writes is refused, cheaply and by type."""

from __future__ import annotations

import json
import tracemalloc
from functools import cache
from typing import Any, Final

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts.make_vectors import FOLDER

from tradeline_ledger.bundle import BUNDLE
from tradeline_ledger.consent import CONSENT, STATUS, TERMS
from tradeline_ledger.deposit import ATTACHMENT
from tradeline_ledger.encoding import (
    B16,
    B32,
    U8,
    U16,
    U32,
    U64,
    U64_MAX,
    Codec,
    Record,
    check_ascending,
    check_text,
    encode,
)
from tradeline_ledger.errors import EventError, LedgerError, MalformedError
from tradeline_ledger.event import EVENT_BYTES_MAX, decode_event, encode_event
from tradeline_ledger.genesis import GENESIS, GENESIS_FILE
from tradeline_ledger.inquiry import INQUIRY
from tradeline_ledger.key import KEY, KEY_CHANGE
from tradeline_ledger.mark import MARK
from tradeline_ledger.params import SETTINGS_RECORD
from tradeline_ledger.proposal import PROPOSAL, PROPOSAL_VOTE
from tradeline_ledger.registry import EPOCH_RECORD, MEMBER_RECORD
from tradeline_ledger.release import ANSWER, COMMON, PAYLOAD, PROOFS, RELEASED, REQUEST
from tradeline_ledger.statement import ENTRY, LEAF_BYTES_MAX, STATEMENT, decode_leaf
from tradeline_ledger.submission import decode_batch, decode_submission
from tradeline_ledger.trust import STEP


class Sample(Record, frozen=True):
    """One field of each type that records have."""

    a: U8
    b: U16
    c: U32
    d: U64
    e: B16
    f: bytes
    g: str
    h: tuple[U32, ...]
    i: B32 | None

    def __post_init__(self) -> None:
        check_text(self.g, "g", 16)
        check_ascending(self.h, "h")


SAMPLE: Final[Codec[Sample]] = Codec(Sample, "sample", 256)
GOOD: Final = Sample(1, 2, 3, 4, bytes(16), b"f", "g", (5, 6), None)

DECODERS: Final[dict[str, Any]] = {
    "member record": MEMBER_RECORD.decode,
    "epoch record": EPOCH_RECORD.decode,
    "settings record": SETTINGS_RECORD.decode,
    "proposal": PROPOSAL.decode,
    "vote content": PROPOSAL_VOTE.decode,
    "genesis": GENESIS.decode,
    "genesis file": GENESIS_FILE.decode,
    "key change": KEY_CHANGE.decode,
    "key content": KEY.decode,
    "registry step": STEP.decode,
    "statement": STATEMENT.decode,
    "entry": ENTRY.decode,
    "leaf": decode_leaf,
    "batch": decode_batch,
    "content": decode_submission,
    "attachment": ATTACHMENT.decode,
    "event": decode_event,
    "terms": TERMS.decode,
    "consent content": CONSENT.decode,
    "status content": STATUS.decode,
    "inquiry content": INQUIRY.decode,
    "mark content": MARK.decode,
    "released content": RELEASED.decode,
    "common": COMMON.decode,
    "payload": PAYLOAD.decode,
    "answer": ANSWER.decode,
    "release request": REQUEST.decode,
    "proofs": PROOFS.decode,
    "evidence bundle": BUNDLE.decode,
}
"""Every record that comes from outside."""
WHERE: Final = {
    "member record": ("identity.json", "member record 1"),
    "epoch record": ("identity.json", "epoch record 0"),
    "settings record": ("governance.json", "settings record"),
    "proposal": ("governance.json", "proposal"),
    "vote content": ("governance.json", "vote content: approve"),
    "genesis": ("identity.json", "genesis"),
    "genesis file": ("identity.json", "genesis file"),
    "key change": ("identity.json", "key change of member 2"),
    "key content": ("identity.json", "key content"),
    "registry step": ("identity.json", "registry step"),
    "statement": ("order.json", "entry 1: statement"),
    "entry": ("order.json", "entry 1"),
    "leaf": ("order.json", "leaf 1: entry leaf"),
    "batch": ("submission.json", "batch"),
    "content": ("submission.json", "content"),
    "attachment": ("submission.json", "attachment"),
    "event": ("submission.json", "event 0"),
    "terms": ("consent.json", "terms"),
    "consent content": ("consent.json", "consent content"),
    "status content": ("consent.json", "pause: status content"),
    "inquiry content": ("consent.json", "inquiry content"),
    "mark content": ("consent.json", "mark content, retain"),
    "released content": ("consent.json", "released content"),
    "common": ("history.json", "common"),
    "payload": ("history.json", "payload of 1"),
    "answer": ("history.json", "answer of 1, before it is sealed"),
    "release request": ("history.json", "release request, before it is sealed"),
    "proofs": ("history.json", "proofs of the bundle"),
    "evidence bundle": ("history.json", "evidence bundle"),
}


@cache
def vectors(name: str) -> dict[str, bytes]:
    rows = json.loads((FOLDER / name).read_text("utf-8"))["vectors"]
    return {each["what"]: bytes.fromhex(each["value"]) for each in rows if "encodes" in each} | {
        each["what"]: bytes.fromhex(each["value"])
        for each in rows
        if each["what"] in {"mark content, retain", "released content"}
    }


def vector(name: str) -> bytes:
    file, what = WHERE[name]
    return vectors(file)[what]


def encoded_again(value: Any, name: str) -> bytes:
    if name == "batch":
        return bytes(value.encode())
    if name == "content":
        return b"\x92" + bytes(value.batch.encode()) + encode(value.receipts)
    return encode_event(value) if name == "event" else encode(value)


def packed(*fields: object) -> bytes:
    return bytes(msgpack.packb(list(fields), use_bin_type=True))


def sample(**changes: object) -> bytes:
    fields = dict(zip("abcdefghi", [1, 2, 3, 4, bytes(16), b"f", "g", [5, 6], None], strict=True))
    return packed(*(fields | changes).values())


def refuse(encoded: bytes, match: str) -> None:
    with pytest.raises(MalformedError, match=match):
        SAMPLE.decode(encoded)


def test_a_record_is_an_array_of_its_fields() -> None:
    assert encode(GOOD) == sample()
    assert SAMPLE.decode(sample()) == GOOD


@pytest.mark.parametrize(
    ("field", "least_too_large"), [("a", 1 << 8), ("b", 1 << 16), ("c", 1 << 32)]
)
def test_integers_are_bounded_by_their_width(field: str, least_too_large: int) -> None:
    assert getattr(SAMPLE.decode(sample(**{field: least_too_large - 1})), field)
    refuse(sample(**{field: least_too_large}), "Expected `int` <=")
    refuse(sample(**{field: -1}), "Expected `int` >= 0")


def test_the_largest_integer_has_64_bits() -> None:
    assert SAMPLE.decode(sample(d=U64_MAX)).d == 2**64 - 1
    with pytest.raises(OverflowError, match="serialize ints"):
        encode((2**64,))


@pytest.mark.parametrize("value", [1.0, float("nan"), float("inf"), True, False, None, "1", b"1"])
def test_nothing_else_stands_for_an_integer(value: object) -> None:
    for field in "abcd":
        refuse(sample(**{field: value}), "Expected `int`")


@pytest.mark.parametrize("value", [bytes(15), bytes(17), b"", "0" * 16, 16, [0] * 16])
def test_fixed_bytes_have_their_length_and_type(value: object) -> None:
    refuse(sample(e=value), "Expected `bytes`|Expected `bytes` of length")


def test_text_and_bytes_are_never_taken_for_each_other() -> None:
    refuse(sample(f="f"), "Expected `bytes`")
    refuse(sample(g=b"g"), "Expected `str`")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected 1 to 16"),
        ("x" * 17, "expected 1 to 16"),
        ("e\u0301", "normal form C"),
        ("\u1100\u1161", "normal form C"),
        ("\u212b", "normal form C"),
        ("a\nb", "control character"),
        ("\x00", "control character"),
        ("\x7f", "control character"),
        ("\x85", "control character"),
        ("\x9f", "control character"),
    ],
)
def test_text_is_in_normal_form_and_without_control_characters(text: str, why: str) -> None:
    refuse(sample(g=text), why)


def test_half_a_surrogate_pair_is_no_text() -> None:
    refuse(sample().replace(b"\xa1g", b"\xa3\xed\xa0\x80"), "does not decode")
    with pytest.raises(ValueError, match="control character"):
        check_text("\ud800", "name", 10)


@pytest.mark.parametrize("rows", [[6, 5], [5, 5], [5, 6, 6], [1, 3, 2]])
def test_lists_of_ids_ascend_without_duplicates(rows: list[int]) -> None:
    refuse(sample(h=rows), "ascend without duplicates")


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\xc1",
        b"\xc0",
        sample()[:-1],
        sample() + b"\x00",
        sample() * 2,
        packed(*([1] * 8)),
        packed(*msgpack.unpackb(sample()), None),
        packed(),
        b"\x80",
        b"\xd6\xff\x00\x00\x00\x01",
        b"\x99" + b"\x91" * 200,
        b"\x91" * 256,
    ],
    ids=lambda encoded: encoded[:8].hex(),
)
def test_another_shape_is_refused(encoded: bytes) -> None:
    refuse(encoded, "does not decode")


LONGER: Final = {
    "array header of 3 bytes": (b"\x99", b"\xdc\x00\x09"),
    "array header of 5 bytes": (b"\x99", b"\xdd\x00\x00\x00\x09"),
    "u8 in 2 bytes": (b"\x99\x01", b"\x99\xcc\x01"),
    "u8 in 3 bytes": (b"\x99\x01", b"\x99\xcd\x00\x01"),
    "u8 in 5 bytes": (b"\x99\x01", b"\x99\xce\x00\x00\x00\x01"),
    "u8 in 9 bytes": (b"\x99\x01", b"\x99\xcf" + bytes(7) + b"\x01"),
    "signed 1 byte": (b"\x99\x01", b"\x99\xd0\x01"),
    "signed 8 bytes": (b"\x99\x01", b"\x99\xd3" + bytes(7) + b"\x01"),
    "bin header of 3 bytes": (b"\xc4\x10", b"\xc5\x00\x10"),
    "bin header of 5 bytes": (b"\xc4\x10", b"\xc6\x00\x00\x00\x10"),
    "str header of 2 bytes": (b"\xa1g", b"\xd9\x01g"),
    "str header of 3 bytes": (b"\xa1g", b"\xda\x00\x01g"),
    "str header of 5 bytes": (b"\xa1g", b"\xdb\x00\x00\x00\x01g"),
    "inner array header": (b"\x92\x05\x06", b"\xdc\x00\x02\x05\x06"),
}


@pytest.mark.parametrize("name", LONGER)
def test_a_longer_form_of_the_same_value_is_refused(name: str) -> None:
    short, long = LONGER[name]
    assert sample().count(short) == 1
    refuse(sample().replace(short, long), "not canonical")


@pytest.mark.parametrize("header", ["dd", "db", "c6"])
def test_a_huge_length_costs_nothing(header: str) -> None:
    decoders: list[Any] = [PAYLOAD.decode, PROOFS.decode, ATTACHMENT.decode, ENTRY.decode]
    bomb = bytes.fromhex(header + "ffffffff")
    tracemalloc.start()
    try:
        for decode in decoders:
            for before in (b"", b"\x91", b"\x92", b"\x93", b"\x91\x91"):
                with pytest.raises(MalformedError, match="does not decode"):
                    decode(before + bomb)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", DECODERS)
def test_deep_nesting_ends_in_an_error(name: str) -> None:
    for opening in (b"\x91", b"\x92", b"\x99", b"\x9f", b"\xdc\xff\xff", b"\x81"):
        with pytest.raises(MalformedError):
            DECODERS[name](opening * 100)


@pytest.mark.parametrize(
    ("codec", "limit"),
    [(STATEMENT, 256), (MARK, 256), (STATUS, 256), (INQUIRY, 32 * 1024), (TERMS, 64 * 1024)],
    ids=["statement", "mark", "status", "inquiry", "terms"],
)
def test_what_is_over_its_limit_is_not_even_looked_at(codec: Codec[Any], limit: int) -> None:
    with pytest.raises(MalformedError, match=f"has {limit + 1} bytes, at most {limit}"):
        codec.decode(bytes(limit + 1))


def test_an_event_and_a_leaf_have_limits_too() -> None:
    with pytest.raises(EventError, match=f"at most {EVENT_BYTES_MAX}"):
        decode_event(bytes(EVENT_BYTES_MAX + 1))
    with pytest.raises(MalformedError, match=f"at most {LEAF_BYTES_MAX}"):
        decode_leaf(bytes(LEAF_BYTES_MAX + 1))


@pytest.mark.parametrize("name", DECODERS)
def test_every_flipped_byte_is_refused_or_encodes_to_itself(name: str) -> None:
    whole, decode = vector(name), DECODERS[name]
    assert encoded_again(decode(whole), name) == whole
    for at in range(len(whole)):
        for flip in (0x01, 0x80) if len(whole) < 512 else (0x80,):
            flipped = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
            try:
                value = decode(flipped)
            except LedgerError:
                continue
            assert encoded_again(value, name) == flipped, (at, flip)


@pytest.mark.parametrize("name", DECODERS)
def test_every_shortened_or_extended_record_is_refused(name: str) -> None:
    whole, decode = vector(name), DECODERS[name]
    for length in range(0, len(whole), max(1, len(whole) // 300)):
        with pytest.raises(MalformedError):
            decode(whole[:length])
    for more in (b"\x00", b"\xc0", whole[:1], whole):
        with pytest.raises(MalformedError):
            decode(whole + more)


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=25)
@given(data=st.data())
def test_bytes_from_anywhere_never_raise_anything_else(name: str, data: st.DataObject) -> None:
    whole = vector(name)
    at = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(at, min(len(whole), at + 64)))
    mutated = whole[:at] + data.draw(st.binary(max_size=64)) + whole[end:]
    try:
        value = DECODERS[name](mutated)
    except LedgerError:
        return
    assert encoded_again(value, name) == mutated


def json_like() -> st.SearchStrategy[Any]:
    scalars = (
        st.none()
        | st.integers(-(2**63), 2**64 - 1)
        | st.binary(max_size=300)
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
    )
    return st.lists(
        st.recursive(scalars, lambda inner: st.lists(inner, max_size=20), max_leaves=20)
    )


@settings(max_examples=100)
@given(value=json_like())
def test_encode_writes_what_msgpack_writes(value: list[Any]) -> None:
    assert encode(value) == msgpack.packb(value, use_bin_type=True)
