"""
docs/vectors is what the packages make, and what a second implementation makes of it.

Everything below `SECOND IMPLEMENTATION` uses msgpack, hashlib, hmac and PyNaCl only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgpack
import pytest
from nacl.bindings import crypto_aead_aes256gcm_decrypt
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from scripts.make_vectors import FILES, FOLDER, request_of
from tests.story import ONE_TIME, story
from tests.story_bundle import answer, bundle
from tests.world import CONSORTIUM_KEY

from tradeline_ledger.bundle import BUNDLE
from tradeline_ledger.deposit import open_deposit
from tradeline_ledger.encoding import U64, Codec, Record, check_text, encode
from tradeline_ledger.errors import LedgerError, MalformedError, SealError
from tradeline_ledger.facts import verify_facts
from tradeline_ledger.genesis import open_genesis
from tradeline_ledger.genesis_draft import open_linker
from tradeline_ledger.hpke import (
    answer_info,
    deposit_info,
    open_sealed,
    request_info,
    tag_key_info,
)
from tradeline_ledger.policy import verify_checkpoint
from tradeline_ledger.policy_file import decode_policy
from tradeline_ledger.trust import TrustedLog

NAMES: Final = sorted(FILES)


@cache
def read(name: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((FOLDER / name).read_text("utf-8"))["vectors"]
    return vectors


def value(name: str, what: str) -> str:
    (found,) = [str(each["value"]) for each in read(name) if each["what"] == what]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_packages_make_every_byte_again(name: str) -> None:
    assert FILES[name]().file() == (FOLDER / name).read_text("utf-8")


def test_no_file_is_forgotten() -> None:
    assert {path.name for path in Path(FOLDER).iterdir()} == {*NAMES, "sealed.json", "README.md"}


class _Number(Record, frozen=True):
    value: U64


class _Text(Record, frozen=True):
    value: str

    def __post_init__(self) -> None:
        check_text(self.value, "text", 128)


class _Bytes(Record, frozen=True):
    value: bytes


SHAPES: Final[dict[str, Codec[Any]]] = {
    "[u64]": Codec(_Number, "number", 64),
    "[str]": Codec(_Text, "text", 256),
    "[bin]": Codec(_Bytes, "bytes", 64),
}


@pytest.mark.parametrize("vector", read("refused.json"), ids=lambda vector: vector["what"])
def test_what_is_refused_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(MalformedError, match=r"does not decode|canonical"):
        SHAPES[vector["refused as"]].decode(bytes.fromhex(vector["value"]))


def test_what_was_sealed_opens() -> None:
    told, sealed = story(), json.loads((FOLDER / "sealed.json").read_text("utf-8"))
    ledger_id, inquiry = told.world.ledger.ledger_id, told.inquired.index
    dealt = (told.loan, told.loan.dealt), (told.judged, told.judged.dealt), (told.loan, told.again)
    for number, (filed, shared) in enumerate(dealt, 1):
        batch = filed.batch
        for place, each in enumerate(sealed[f"deposits {number}"]):
            private = told.institution(place + 1).hpke
            info = deposit_info(
                ledger_id,
                member=filed.member,
                epoch=0,
                recipient=place + 1,
                key_id=private.public.key_id,
                events_root=batch.events_root,
            )
            deposit = shared.deposits[place]
            shares = open_deposit(private, bytes.fromhex(each), info, deposit, batch.count)
            assert shares == shared.shares[place]
    private = told.institution(1).hpke
    info = request_info(ledger_id, inquiry, 1, private.public.key_id)
    request = open_sealed(private, bytes.fromhex(sealed["release request to 1"]), info)
    assert request == encode(request_of(told))
    info = answer_info(ledger_id, inquiry, 1)
    opened = open_sealed(ONE_TIME, bytes.fromhex(sealed["answer of 1"]), info)
    assert opened == encode(answer(told, 1))
    info = tag_key_info(ledger_id, 5, 1, private.public.key_id)
    assert open_sealed(private, bytes.fromhex(sealed["tag key of 5 to 1"]), info) == (
        told.institution(5).tag_key
    )
    linker = told.world.ledger.params.linker
    handed = bytes.fromhex(sealed["consortium key to 1"])
    assert open_linker(handed, private, 1, linker) == CONSORTIUM_KEY
    with pytest.raises(SealError, match="does not open"):
        open_sealed(told.institution(2).hpke, bytes.fromhex(sealed["tag key of 5 to 1"]), info)


def test_the_bundle_holds() -> None:
    decoded = BUNDLE.decode(bytes.fromhex(value("history.json", "evidence bundle")))
    assert decoded == bundle()
    log = TrustedLog.start(open_genesis(decoded.genesis))
    for step in decoded.steps:
        log = log.advance(step)
    facts = verify_facts(decoded, log)
    assert [str(event.id) for event in facts.events] == ["1/0", "1/1", "1/2", "3/0", "15/0"]
    standings = [event.standing.value for event in facts.events]
    assert standings == ["present", "erased", "present", "present", "present"]
    policy = decode_policy(value("publishing.json", "policy").encode())
    assert verify_checkpoint(decoded.checkpoint.encode(), policy).checkpoint.size == log.size + 18


# SECOND IMPLEMENTATION


def label(name: str) -> bytes:
    return b"tradeline/v1 " + name.encode() + b"\n"


def unplain(value: Any) -> Any:
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"])
    return [unplain(each) for each in value] if isinstance(value, list) else value


def joined(parts: list[str]) -> bytes:
    return b"".join(bytes.fromhex(part) for part in parts)


def leaf_of(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def root_over(hashes: list[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    left = 1 << (len(hashes) - 1).bit_length() - 1
    pair = root_over(hashes[:left]) + root_over(hashes[left:])
    return hashlib.sha256(b"\x01" + pair).digest()


def path_over(hashes: list[bytes], index: int) -> list[bytes]:
    if len(hashes) == 1:
        return []
    left = 1 << (len(hashes) - 1).bit_length() - 1
    if index < left:
        return [*path_over(hashes[:left], index), root_over(hashes[left:])]
    return [*path_over(hashes[left:], index - left), root_over(hashes[:left])]


def computed(vector: dict[str, Any]) -> bytes | None:
    """Return what a vector says that its value is, None if it doesn't say."""
    match vector:
        case {"encodes": fields}:
            return bytes(msgpack.packb(unplain(fields), use_bin_type=True))
        case {"hash": {"label": name, "parts": parts}}:
            return hashlib.sha256(label(name) + joined(parts)).digest()
        case {"hmac": {"key": key, "parts": parts}}:
            return hmac.digest(bytes.fromhex(key), joined(parts), "sha256")
        case {"root": leaves}:
            return root_over([leaf_of(bytes.fromhex(leaf)) for leaf in leaves])
        case {"path": {"leaves": leaves, "index": index}}:
            hashes = [leaf_of(bytes.fromhex(leaf)) for leaf in leaves]
            return b"".join(path_over(hashes, index))
        case {"signature": {"public": public, "label": name, "message": message}}:
            signature = bytes.fromhex(vector["value"])
            VerifyKey(bytes.fromhex(public)).verify(label(name) + bytes.fromhex(message), signature)
            return signature
    return None


@pytest.mark.parametrize("name", [name for name in NAMES if name != "refused.json"])
def test_a_second_implementation_agrees(name: str) -> None:
    checked = 0
    for vector in read(name):
        expected = computed(vector)
        if expected is not None:
            short = bytes.fromhex(vector["value"])
            assert expected[: len(short)] == short, vector["what"]
            assert len(short) in {8, 16, len(expected)}, vector["what"]
            checked += 1
    assert checked > 5 or name in {"publishing.json", "evidence.json"}


def accepts(shape: str, data: bytes) -> bool:
    """Say whether bytes are the encoding of a shape, by msgpack alone."""
    try:
        whole: Any = msgpack.unpackb(data)
        (inside,) = whole
    except Exception:  # noqa: BLE001 - whatever is raised, it is refused
        return False
    match shape, inside:
        case "[u64]", int():
            fits = type(inside) is int and inside >= 0
        case "[str]", str():
            fits = inside.isascii() and inside.isprintable() and inside != ""
        case "[bin]", bytes():
            fits = True
        case _:
            fits = False
    return fits and type(whole) is list and msgpack.packb([inside], use_bin_type=True) == data


def test_a_second_implementation_refuses_alike() -> None:
    for vector in read("refused.json"):
        assert not accepts(vector["refused as"], bytes.fromhex(vector["value"])), vector["what"]
    assert accepts("[u64]", b"\x91\x01")
    assert accepts("[str]", b"\x91\xa1a")
    assert accepts("[bin]", b"\x91\xc4\x01a")


def test_a_second_implementation_opens_the_bodies() -> None:
    for position in range(3):
        name = f"event {position}"
        body = bytes.fromhex(value("submission.json", f"{name}: body"))
        aad = bytes.fromhex(value("submission.json", f"{name}: AAD"))
        key = bytes.fromhex(value("submission.json", f"{name}: K"))
        padded = crypto_aead_aes256gcm_decrypt(body[32:], aad, bytes(12), key)
        assert padded.hex() == value("submission.json", f"{name}: padded")
        length = int.from_bytes(padded[:4], "big")
        assert padded[4 : 4 + length].hex() == value("submission.json", name)
        assert len(padded) in {256, 512}
        assert not any(padded[4 + length :])


def times(left: int, right: int) -> int:
    product = 0
    for bit in range(8):
        if right >> bit & 1:
            product ^= left << bit
    for bit in range(15, 7, -1):
        if product >> bit & 1:
            product ^= 0x11B << bit - 8
    return product


def test_a_second_implementation_combines_the_shares() -> None:
    keys = [value("submission.json", f"event {position}: K") for position in range(3)]
    combine_all("submission.json", "shares", keys)
    erased = [keys[0], bytes(32).hex(), keys[2]]
    combine_all("redeposit.json", "shares, zero where erased", erased)


def combine_all(file: str, what: str, keys: list[str]) -> None:
    shares = [
        bytes.fromhex(value(file, f"committee position {place}: {what}")) for place in range(4)
    ]
    inverse = {a: b for a in range(1, 256) for b in range(1, 256) if times(a, b) == 1}
    for chosen in ([0, 1, 2], [1, 2, 3], [0, 2, 3]):
        secret = bytes(96)
        for place in chosen:
            weight = 1
            for other in chosen:
                if other != place:
                    x, y = place + 1, other + 1
                    weight = times(times(weight, y), inverse[x ^ y])
            share = bytes(times(weight, byte) for byte in shares[place])
            secret = bytes(a ^ b for a, b in zip(secret, share, strict=True))
        for position in range(3):
            assert secret[32 * position : 32 * position + 32].hex() == keys[position]


def test_a_second_implementation_reads_the_note() -> None:
    note, text = value("publishing.json", "note"), value("publishing.json", "checkpoint")
    assert note.startswith(text + "\n")
    vkeys = [
        str(each["value"]).split("+", 2)
        for each in read("publishing.json")
        if each["what"].startswith("vkey")
    ]
    known = {}
    for name, key_id, encoded in vkeys:
        material = base64.b64decode(encoded, validate=True)
        hashed = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
        assert hashed.hex() == key_id
        known[name, hashed] = material
    lines = note.removeprefix(text + "\n").splitlines()
    for line in lines:
        dash, name, encoded = line.split(" ")
        data = base64.b64decode(encoded, validate=True)
        material = known[name, data[:4]]
        assert dash == "—"
        if material[0] == 1:
            message, signature = text.encode(), data[4:]
        else:
            time_s = int.from_bytes(data[4:12], "big")
            message = f"cosignature/v1\ntime {time_s}\n{text}".encode()
            signature = data[12:]
        VerifyKey(material[1:]).verify(message, signature)
        with pytest.raises(BadSignatureError):
            VerifyKey(material[1:]).verify(message + b"x", signature)
    assert len(lines) == len(known) == 8


def test_a_second_implementation_follows_the_log() -> None:
    leaves = [
        bytes.fromhex(each["value"])
        for each in read("order.json")
        if each["what"].endswith(("block leaf", "entry leaf"))
    ]
    prev, height = bytes.fromhex(value("identity.json", "ledger_id")), -1
    positions: dict[tuple[int, int], tuple[int, bytes]] = {}
    for leaf in leaves:
        fields = msgpack.unpackb(leaf)
        if fields[0] == 2:
            assert fields[3] == prev
            assert fields[1] > height
            prev, height = leaf_of(leaf), fields[1]
        else:
            statement = msgpack.unpackb(fields[3])
            _, ledger_id, member, feed, seq, before, *_ = statement
            assert ledger_id.hex() == value("identity.json", "ledger_id")
            assert (seq, before) == positions.get((member, feed), (0, bytes(32)))
            hashed = hashlib.sha256(label("statement") + fields[3]).digest()
            positions[member, feed] = (seq + 1, hashed)
    text = value("publishing.json", "checkpoint").splitlines()
    assert text[1] == str(len(leaves))
    assert base64.b64decode(text[2]) == root_over([leaf_of(leaf) for leaf in leaves])


def test_every_byte_of_every_record_counts() -> None:
    """A changed byte is refused, or stands for another value that encodes to itself."""
    decoded = 0
    for name in ("consent.json", "subject.json"):
        for vector in read(name):
            if "encodes" not in vector:
                continue
            whole = bytes.fromhex(vector["value"])
            shape = Codec[Any](tuple[Any, ...], "record", 1 << 20)
            for at in range(len(whole)):
                flipped = whole[:at] + bytes([whole[at] ^ 0x80]) + whole[at + 1 :]
                try:
                    assert encode(shape.decode(flipped)) == flipped
                    decoded += 1
                except LedgerError:
                    pass
    assert decoded
