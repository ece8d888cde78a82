"""
Write docs/vectors: examples of every record, hash and signature of docs/formats.md.

    python -m scripts.make_vectors         writes the files that can be made again
    python -m scripts.make_vectors --seal  seals anew first, which changes sealed.json

Run it from the root of the repository. Each vector says what it is, its value, and how the value is
computed, so that a second implementation can do that without reading the first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
from scripts import event_vectors, governance_vectors
from tests import accused
from tests.mirror import signed_checkpoint
from tests.story import ONE_TIME, SEALED, SUBJECT_KEY, WHO, Filed, Story, story
from tests.story_bundle import CHANGED_NODE, Tree, answer, bundle, node_key, payload, step
from tests.world import BULK, CONSORTIUM_KEY, DAY_MS, DESK, INSTITUTIONS, seed, subject

from tradeline_ledger import (
    body,
    candidate,
    consent,
    genesis,
    genesis_draft,
    hpke,
    identifier,
    inquiry,
    quality,
    submission,
    tag,
)
from tradeline_ledger.bundle import withhold
from tradeline_ledger.checkpoint import Checkpoint, encode_checkpoint
from tradeline_ledger.cosignature import cosigner_name
from tradeline_ledger.encoding import Record, encode
from tradeline_ledger.engine_peer import peer_id
from tradeline_ledger.hashing import digest, label
from tradeline_ledger.history import EventId, fold_head, fold_marks
from tradeline_ledger.invite import InviteBody, sign_invite
from tradeline_ledger.merkle import leaf_hash, path_of, root_of
from tradeline_ledger.note import KeyType, VerifierKey, decode_note, encode_vkey
from tradeline_ledger.policy import validators_policy
from tradeline_ledger.policy_file import encode_policy
from tradeline_ledger.quality import Quality
from tradeline_ledger.release import ReleaseRequest, YearKey, common_hash, payload_hash
from tradeline_ledger.request import sign_request
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import (
    ENTRY,
    STATEMENT,
    BlockLeaf,
    Entry,
    Kind,
    content_hash,
    decode_leaf,
    statement_hash,
)
from tradeline_ledger.tile import encode_bundle, encode_tile
from tradeline_ledger.tlog_proof import TlogProof, encode_proof

FOLDER: Final = Path(__file__).parents[1] / "docs/vectors"
NONCE: Final = bytes(range(16))


class Vectors:
    """The vectors of one file, in the order in which they are made."""

    def __init__(self, about: str) -> None:
        """Start a file that is `about` something."""
        self.about = about
        self.vectors: list[dict[str, Any]] = []

    def value(self, what: str, value: bytes | str | int) -> None:
        """Add what follows from nothing else: a key, a text, a number."""
        self._add(what, value, {})

    def record(self, what: str, value: Record | tuple[Any, ...]) -> bytes:
        """Add an encoding."""
        encoded = encode(value)
        self._add(what, encoded, {"encodes": plain(value)})
        return encoded

    def hash(self, what: str, value: bytes, label: str, *parts: bytes) -> bytes:
        """Add `H(label, parts)`, or the first bytes of it."""
        self._add(what, value, {"hash": {"label": label, "parts": [p.hex() for p in parts]}})
        return value

    def mac(self, what: str, value: bytes, key: bytes, *parts: bytes) -> bytes:
        """Add `HMAC(key, parts)`, or the first bytes of it."""
        self._add(what, value, {"hmac": {"key": key.hex(), "parts": [p.hex() for p in parts]}})
        return value

    def signature(self, what: str, value: bytes, key: SigningKey, label: str, x: bytes) -> bytes:
        """Add `Sig(key, label, x)`."""
        made = {"public": key.public.hex(), "label": label, "message": x.hex()}
        self._add(what, value, {"signature": made})
        return value

    def root(self, what: str, value: bytes, leaves: list[bytes]) -> bytes:
        """Add the RFC 6962 root over leaves."""
        self._add(what, value, {"root": [leaf.hex() for leaf in leaves]})
        return value

    def path(self, what: str, leaves: list[bytes], index: int) -> None:
        """Add the RFC 6962 path of a leaf."""
        hashes = path_of([leaf_hash(leaf) for leaf in leaves], index)
        how = {"path": {"leaves": [leaf.hex() for leaf in leaves], "index": index}}
        self._add(what, b"".join(hashes), how)

    def refused(self, what: str, value: bytes, shape: str) -> None:
        """Add bytes that are no encoding of a shape."""
        self._add(what, value, {"refused as": shape})

    def _add(self, what: str, value: bytes | str | int, how: dict[str, Any]) -> None:
        shown = value.hex() if isinstance(value, bytes) else value
        self.vectors.append({"what": what, "value": shown, **how})

    def file(self) -> str:
        """Return the text of the file."""
        whole = {"about": self.about, "vectors": self.vectors}
        return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def plain(value: Any) -> Any:
    """Return a value of the encoding as JSON: bytes as {"hex": ...}, records as their fields."""
    if isinstance(value, Record):
        tag = value.__struct_config__.tag
        fields = [plain(each) for each in msgspec.structs.astuple(value)]
        return fields if tag is None else [tag, *fields]
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return value


def u8(value: int) -> bytes:
    """Return one byte."""
    return value.to_bytes(1, "big")


def u16(value: int) -> bytes:
    """Return two bytes."""
    return value.to_bytes(2, "big")


def u32(value: int) -> bytes:
    """Return four bytes."""
    return value.to_bytes(4, "big")


def u64(value: int) -> bytes:
    """Return eight bytes."""
    return value.to_bytes(8, "big")


def make_encoding() -> Vectors:
    """Return encodings of single values, each in a list of its own."""
    out = Vectors("Canonical MessagePack of single values (section 1).")
    for number in (0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1):
        out.record(f"integer {number}", (number,))
    for number in (-1, -32, -33, -128, -129, -32768, -32769, -(2**31), -(2**31) - 1, -(2**53) + 1):
        out.record(f"integer {number}", (number,))
    for length in (0, 1, 31, 32, 255, 256):
        out.record(f"text of {length} characters", ("x" * length,))
        out.record(f"bytes, {length} of them", (bytes(length),))
    for length in (0, 1, 15, 16, 256):
        out.record(f"list of {length}", ((1,) * length,))
    out.record("nil", (None,))
    out.record("text in Unicode normal form C", ("Crédit 信用",))
    return out


REFUSED: Final = {
    "[u64]": {
        "integer 1 in two bytes": "91cc01",
        "integer 255 in three bytes": "91cd00ff",
        "integer 1 in nine bytes": "91cf0000000000000001",
        "integer 1 as a signed byte": "91d001",
        "negative integer": "91ff",
        "float": "91cb3ff0000000000000",
        "not a number": "91cb7ff8000000000000",
        "boolean": "91c3",
        "nil": "91c0",
        "text": "91a131",
        "array header of three bytes": "dc000101",
        "array header of five bytes": "dd0000000101",
        "a byte behind the value": "910100",
        "a field too many": "920101",
        "a field too few": "90",
        "map": "81a16101",
        "extension type": "91d40001",
        "timestamp": "91d6ff00000001",
        "array that ends early": "dd00ffffff01",
        "no array": "01",
        "nothing": "",
        "the byte that is never used": "91c1",
    },
    "[str]": {
        "text with a header of two bytes": "91d90161",
        "text with a header of five bytes": "91db0000000161",
        "bytes for text": "91c40161",
        "text that is not UTF-8": "91a1ff",
        "half a surrogate pair": "91a3eda080",
        "text that is not in normal form C": "91a365cc81",
        "text with a line feed": "91a10a",
        "text with a control character of two bytes": "91a2c285",
        "text longer than its bytes": "91dbffffffff61",
        "empty text": "91a0",
    },
    "[bin]": {
        "bytes with a header of three bytes": "91c5000161",
        "text for bytes": "91a161",
        "bytes longer than they are": "91c6ffffffff61",
    },
}
"""Bytes by what they are said to encode; no decoder accepts them."""


def make_refused() -> Vectors:
    """Return bytes that no decoder accepts, by what they are said to encode."""
    out = Vectors(
        "What a decoder refuses (section 1). `str` stands for a name of 1 to 128 characters."
    )
    for shape, rows in REFUSED.items():
        for what, encoded in rows.items():
            out.refused(what, bytes.fromhex(encoded), shape)
    return out


def make_identity() -> Vectors:
    """Return keys, registry and genesis of the ledger that all files are about."""
    out = Vectors("Keys, members, epoch 0 and identity of the ledger (section 2).")
    told, ledger = story(), story().world.ledger
    for who in INSTITUTIONS:
        keys = {"root": who.root, "node": who.node, "note": who.note, "cosigner": who.cosigner}
        keys |= {f"feed {number}": who.feed_key(number) for number in (BULK, DESK)}
        for name, seeded in keys.items():
            label = ("feed", who.id, int(name[-1])) if name[:4] == "feed" else (name, who.id)
            out.value(f"member {who.id}: seed of its {name} key", seed(*label))
            out.value(f"member {who.id}: its {name} key", seeded.public)
        out.value(f"member {who.id}: tag key", who.tag_key)
        hashed = tag.tag_key_hash(who.tag_key)
        out.hash(f"member {who.id}: tag_key_hash", hashed, "tag-key", who.tag_key)
        if who.validator:
            secret = b"".join(seed("hpke", who.id, part) for part in range(3))
            out.value(f"member {who.id}: HPKE private key", secret)
            public = who.hpke.public
            out.value(f"member {who.id}: HPKE public key", public.encoded)
            out.hash(f"member {who.id}: hpke_key_id", public.key_id, "hpke-key", public.encoded)
            for name, engine in {"engine": who.engine, "engine's peer": who.peer}.items():
                out.value(f"member {who.id}: its {name} key", engine.public)
            out.value(f"member {who.id}: id of its engine's peer key", peer_id(who.peer.public))
    out.value("consortium key", CONSORTIUM_KEY)
    out.hash("linker", ledger.params.linker, "linker", CONSORTIUM_KEY)
    records = [out.record(f"member record {each.id}", each) for each in ledger.registry.members]
    epoch = out.record("epoch record 0", ledger.registry.epoch)
    out.root("registry_root of the genesis", ledger.registry.root, [*records, epoch])
    out.record("params", ledger.params)
    encoded = out.record("genesis", ledger.genesis)
    out.hash("ledger_id", genesis.ledger_id(encoded), "genesis", encoded)
    founders = genesis.GENESIS_FILE.decode(ledger.file)
    for each in founders.signatures:
        who = told.institution(each.member)
        out.signature(f"founder {who.id}", each.signature, who.root, "genesis", ledger.ledger_id)
    out.record("genesis file", founders)
    out.value("origin", ledger.origin)
    out.value("chain id", ledger.chain_id)
    _make_key_change(out, told)
    _make_candidate(out, told)
    return out


def _make_key_change(out: Vectors, told: Story) -> None:
    change = out.record("key change of member 2", told.change)
    root = told.institution(2).root
    signature = out.signature("its root_sig", root.sign("key", change), root, "key", change)
    assert told.key.content == out.record("key content", (change, signature))
    out.value("member 2: seed of the node key that the change puts in", seed("node", 2, "second"))
    out.value("member 2: that key", CHANGED_NODE.public)
    registry = told.world.registry
    rows = [encode(each) for each in (*registry.members, *registry.epochs)]
    out.record("member record 2, first version after it", registry.versions(2)[0])
    out.record("member record 2, second version", registry.versions(2)[1])
    out.root("registry_root after it", registry.root, rows)
    out.record("registry step", step(told, Tree(told.world.leaves)))


def _make_candidate(out: Vectors, told: Story) -> None:
    who = told.institution(1)
    encoded = encode(who.record)
    signature = who.root.sign("candidate", encoded)
    out.signature("candidate 1", signature, who.root, "candidate", encoded)
    file = out.record("candidate file of 1", ("tradeline/v1 candidate", encoded, signature))
    assert file == candidate.sign_candidate(who.record, who.root)
    inviter, ledger = told.institution(3), told.world.ledger
    sealed = bytes.fromhex(json.loads(SEALED.read_text(encoding="utf-8"))["consortium key to 1"])
    steps = (step(told, Tree(told.world.leaves)),)
    invited = InviteBody(3, 1, ledger.genesis.time_ms + DAY_MS, ledger.file, steps, sealed)
    body = out.record("body of an invite of 1 by 3", invited)
    signature = inviter.node.sign("invite", body)
    out.signature("its signature", signature, inviter.node, "invite", body)
    file = out.record("invite of 1 by 3", ("tradeline/v1 invite", body, signature))
    assert file == sign_invite(invited, inviter.node)


def make_order() -> Vectors:
    """Return statements, entries, leaves and the log that they make."""
    out = Vectors("Statements, entries, leaves and blocks: the whole log of the story (section 3).")
    world = story().world
    for index, leaf in enumerate(world.leaves):
        decoded = decode_leaf(leaf)
        if isinstance(decoded, BlockLeaf):
            assert out.record(f"leaf {index}: block leaf", decoded) == leaf
            out.root(f"leaf {index}: its leaf hash, the next prev_block", leaf_hash(leaf), [leaf])
            before = world.leaves[: index + 1]
            root = root_of([leaf_hash(each) for each in before])
            out.root(f"root at size {index + 1}", root, before)
            continue
        entry = Entry(decoded.statement, decoded.signature, world.contents[index])
        statement = STATEMENT.decode(entry.statement)
        key = story().institution(statement.member).feed_key(statement.feed)
        out.record(f"entry {index}: statement", statement)
        hashed, said = statement_hash(entry.statement), entry.statement
        out.hash(f"entry {index}: prev of the next", hashed, "statement", said)
        out.signature(f"entry {index}: signature", entry.signature, key, "statement", said)
        if statement.kind != 1:
            made = content_hash(statement.kind, entry.content)
            parts = (u8(statement.kind), entry.content)
            out.hash(f"entry {index}: content_hash", made, "content", *parts)
        if index <= story().consent.index:
            assert ENTRY.decode(out.record(f"entry {index}", entry)) == entry
        assert out.record(f"leaf {index}: entry leaf", decoded) == leaf
    return out


def make_submission() -> Vectors:
    """Return a batch of three events, from plain rows to its entry's content."""
    out = Vectors("A batch of member 1: events, bodies, shares, deposits, receipts (section 4).")
    told = story()
    filed, ledger_id = told.loan, told.world.ledger.ledger_id
    batch = filed.batch
    out.value("secret of member 1 for its references", seed("references", 1))
    for position, event in enumerate(filed.events):
        _make_event(out, filed, position, event, ledger_id)
    headers = [batch.header(position) for position in range(batch.count)]
    out.root("events_root", batch.events_root, headers)
    for position in range(batch.count):
        out.path(f"event {position}: path to events_root", headers, position)
    out.value("coefficients of degree 1, then 2, of all keys", filed.dealt.coefficients)
    for place, (deposit, own) in enumerate(zip(batch.deposits, filed.dealt.shares, strict=True)):
        sealed = filed.attachment.sealed[place] or b""
        out.value(f"committee position {place}: shares", own)
        rows = [own[at : at + 32] for at in range(0, len(own), 32)]
        out.root(f"committee position {place}: share_root", deposit.share_root, rows)
        out.hash(f"committee position {place}: sealed_hash", deposit.sealed_hash, "sealed", sealed)
        key_id = told.institution(place + 1).hpke.public.key_id
        info = ("tradeline/v1 deposit", ledger_id, 1, 0, place + 1, key_id, batch.events_root)
        out.record(f"committee position {place}: info", info)
    deposits = out.record("deposits", batch.deposits)
    hashed = out.hash("deposits hash", batch.deposits_hash(), "deposits", deposits)
    numbers = (u32(1), u32(batch.epoch), u32(batch.count))
    named = batch.hash(ledger_id, 1)
    out.hash("batch_hash", named, "batch", ledger_id, *numbers, batch.events_root, hashed)
    rows_of = tuple(header_fields(header) for header in headers)
    whole = (batch.epoch, rows_of, batch.deposits)
    assert out.record("batch", whole) == batch.encode()
    out.record("attachment", filed.attachment)
    for receipt in told.receipts[1]:
        node = told.institution(receipt.validator).node
        said = (ledger_id, receipt.validator, 1, named, receipt.expires_ms)
        name = f"receipt of {receipt.validator}"
        message = out.record(f"{name}: what it signs", said)
        out.signature(name, receipt.signature, node, "receipt", message)
    receipts = out.record("receipts", told.receipts[1])
    decoded = submission.decode_submission(told.submissions[0].content)
    received = out.hash("receipts hash", decoded.receipts_hash(), "receipts", receipts)
    assert out.record("content", (whole, told.receipts[1])) == told.submissions[0].content
    hashed = decoded.content_hash(ledger_id, 1)
    out.hash("content_hash", hashed, "submission", named, received)
    return out


def make_redeposit() -> Vectors:
    """Return what a committee member says of its deposit, and the re-deposit that follows."""
    out = Vectors("A custody record, and a re-deposit of the batch of member 1 (section 8).")
    told = story()
    again, redeal, ledger_id = told.again, told.redeal, told.world.ledger.ledger_id
    out.value("custody content", told.custody.content)
    out.value("coefficients of degree 1, then 2, of all keys", again.coefficients)
    for place, (deposit, own) in enumerate(zip(again.deposits, again.shares, strict=True)):
        out.value(f"committee position {place}: shares, zero where erased", own)
        rows = [own[at : at + 32] for at in range(0, len(own), 32)]
        out.root(f"committee position {place}: share_root", deposit.share_root, rows)
        sealed = again.sealed[place]
        out.hash(f"committee position {place}: sealed_hash", deposit.sealed_hash, "sealed", sealed)
    deposits = out.record("deposits", redeal.deposits)
    hashed = out.hash("deposits hash", digest("deposits", deposits), "deposits", deposits)
    numbers = (u32(1), u64(redeal.index), u32(redeal.epoch))
    named = redeal.hash(ledger_id, 1)
    out.hash("redeposit hash", named, "redeposit", ledger_id, *numbers, hashed)
    for receipt in redeal.receipts:
        node = told.institution(receipt.validator).node
        said = (ledger_id, receipt.validator, 1, named, receipt.expires_ms)
        name = f"receipt of {receipt.validator}"
        message = out.record(f"{name}: what it signs", said)
        out.signature(name, receipt.signature, node, "receipt", message)
    assert out.record("redeposit content", redeal) == told.redeposit.content
    return out


def _make_event(out: Vectors, filed: Filed, position: int, event: Any, ledger_id: bytes) -> None:
    batch, key = filed.batch, filed.keys[position]
    sealed = filed.attachment.bodies[position] or b""
    name = f"event {position}"
    encoded = out.record(name, event)
    out.value(f"{name}: padded", body.pad(encoded))
    out.value(f"{name}: K", key)
    out.hash(f"{name}: commitment to K", sealed[:32], "body-key", key)
    out.record(f"{name}: AAD", ("tradeline/v1 body", ledger_id, filed.member, batch.tag(position)))
    out.value(f"{name}: body", sealed)
    out.hash(f"{name}: body_hash", body.body_hash(sealed), "body", sealed)
    header = batch.header(position)
    assert out.record(f"{name}: header", header_fields(header)) == header


def header_fields(header: bytes) -> tuple[bytes, int, bytes]:
    """Return tag, month and body hash of an event header."""
    return (
        submission.header_tag(header),
        submission.header_retain_month(header),
        submission.header_body_hash(header),
    )


def make_governance() -> Vectors:
    """Return every change of a proposal, votes, and what comes of them."""
    out = Vectors("Proposals, votes, settings (sections 2 and 8), of a ledger of its own.")
    governance_vectors.fill(out)
    return out


def make_events() -> Vectors:
    """Return an event of each type."""
    out = Vectors("Events (section 4) of every type (section 11), each with all its fields.")
    event_vectors.fill(out)
    return out


def make_subject() -> Vectors:
    """Return keys and tags of one made-up person, and what ties an event to it."""
    out = Vectors("From an identifier to tags (section 6), and what ties events to it (section 4).")
    told, who = story(), subject(WHO)
    out.value("identifier", who.identifier)
    spaced = f" {who.identifier[:6]}-{who.identifier[6:14]} {who.identifier[14:]} "
    for text in (spaced, who.identifier.lower()):
        assert identifier.parse_identifier(who.id_type, text, 2026) == who
        out.value("the same, as somebody else writes it", text)
    message = ("tradeline/v1 link", int(who.id_type), who.country, who.identifier)
    linked = out.record("what link_key is the HMAC of", message)
    link = out.mac("link_key", told.world.linker.link_key(who), CONSORTIUM_KEY, linked)
    american = identifier.parse_identifier(identifier.IdType.US_SSN, "536-90-4399", 2026)
    message = ("tradeline/v1 link", int(american.id_type), american.country, american.identifier)
    linked = out.record("what link_key of 536-90-4399 is the HMAC of", message)
    key = told.world.linker.link_key(american)
    out.mac("link_key of 536-90-4399", key, CONSORTIUM_KEY, linked)
    for year in (2025, 2026):
        label = b"tradeline/v1 year\n"
        out.mac(f"year_key {year}", tag.year_key(link, year), link, label, u16(year))
    year_key = told.world.year_key(WHO, 2026)
    for who_files in INSTITUTIONS:
        for category in (1, 3):
            made = tag.tag(who_files.tag_key, year_key, category)
            what = f"tag of 2026, category {category}, under the tag key of member {who_files.id}"
            label = b"tradeline/v1 tag\n"
            out.mac(what, made, who_files.tag_key, label, year_key, u8(category))
    secret, event = seed("references", 1), told.loan.events[0]
    out.mac("ref of `row 1`", event.ref, secret, b"tradeline/v1 ref\nrow 1")
    out.mac("account of `loan 88`", event.account or b"", secret, b"tradeline/v1 account\nloan 88")
    parts = (b"tradeline/v1 check\n", u32(1), event.ref)
    out.mac("check of that event", event.check, year_key, *parts)
    return out


def make_consent() -> Vectors:
    """Return terms, a consent, its changes, an inquiry and its scope."""
    out = Vectors("Consent, status, inquiry, scope, marks and released records (sections 7 and 8).")
    told = story()
    terms, ledger_id = told.terms, told.world.ledger.ledger_id
    salt = seed("salt", 1, 2, WHO)
    out.value("salt of the commitments", salt)
    for each in terms.commitments:
        key = told.world.year_key(WHO, each.year)
        parts = (salt, u16(each.year), key)
        out.hash(f"commitment of {each.year}", each.commitment, "year-key", *parts)
    out.value("seed of the subject's key", seed("subject", WHO))
    encoded = out.record("terms", terms)
    out.hash("consent_id", told.consent_id, "consent", encoded)
    posted = told.consent_record()
    assert posted.second is not None
    second = told.institution(2).feed_key(DESK)
    out.signature("the second's signature", posted.second.signature, second, "consent", encoded)
    own = posted.subject_signature or b""
    out.signature("the subject's signature", own, SUBJECT_KEY, "consent", encoded)
    out.record("consent content", posted)
    for change, count in ((consent.Change.PAUSE, 0), (consent.Change.RESUME, 1)):
        name = change.name.lower()
        said = (ledger_id, told.consent_id, int(change), 1, count)
        message = out.record(f"{name}: what is signed", said)
        signed = told.status_signature(change, count)
        out.signature(f"{name}: subject_sig", signed, SUBJECT_KEY, "status", message)
        out.record(f"{name}: status content", (told.consent_id, int(change), 1, signed))
    out.record("revoke by the second: status content", (told.consent_id, 3, 1, None))
    out.value("one-time HPKE public key", ONE_TIME.public.encoded)
    out.hash("key_hash", told.inquiry.key_hash, "inquiry-key", ONE_TIME.public.encoded)
    out.record("inquiry content", told.inquiry)
    out.value("event header of the inquiry", inquiry.inquiry_header(told.inquiry))
    scope = out.record("scope", tuple(told.scope()))
    out.hash("scope_hash", told.common.scope_hash, "scope", scope)
    for name, content in (("erase", told.erase.content), ("retain", told.retain.content)):
        out.value(f"mark content, {name}", content)
    out.value("released content", told.released.content)
    return out


def make_history() -> Vectors:
    """Return the folds, what committee members say, and what they answer."""
    out = Vectors("Histories, history statements and releases (sections 5 and 7).")
    told = story()
    ledger_id, zero, inquired = told.world.ledger.ledger_id, bytes(32), told.inquired.index
    rows = []
    for placed, filed in zip(told.submissions, (told.loan, told.judged), strict=True):
        batch = filed.batch
        rows += [(filed.member, placed.index, i, batch.header(i)) for i in range(batch.count)]
    rows.append((1, told.inquired.index, 0, inquiry.inquiry_header(told.inquiry)))
    for number, row in enumerate(told.common.rows):
        head = zero
        for member, index, position, header in rows:
            if (member, header[3:19]) != (row.member, row.tag):
                continue
            place = u64(index) + u32(position)
            parts = (head, place, leaf_hash(header))
            head = fold_head([(EventId(index, position), header)], head)
            out.hash(f"history {number}: head after {index}/{position}", head, "head", *parts)
        assert head == row.head
    erased = EventId(told.submissions[0].index, 1)
    marked = next(row for row in told.common.rows if row.marks_count)
    parts = (zero, erased.encoded(), u64(told.erase.index))
    assert marked.marks == fold_marks([(erased, told.erase.index)])
    out.hash("marks of the history with the erased event", marked.marks, "mark", *parts)
    common = out.record("common", told.common)
    named = out.hash("hash of common", common_hash(common), "history-common", common)
    for validator in (1, 2, 3):
        shares = out.record(f"payload of {validator}", payload(told, validator))
        hashed = out.hash(f"payload hash of {validator}", payload_hash(shares), "payload", shares)
        key, given = node_key(told, validator), answer(told, validator)
        message = named + u32(validator) + hashed
        out.signature(f"history sig of {validator}", given.signature, key, "history", message)
        out.record(f"answer of {validator}, before it is sealed", given)
        info = ("tradeline/v1 release", ledger_id, inquired, validator)
        out.record(f"answer of {validator}: info", info)
    out.record("release request, before it is sealed", request_of(told))
    for who in INSTITUTIONS[:4]:
        key_id = who.hpke.public.key_id
        sealed_for = ("tradeline/v1 release-request", ledger_id, inquired, who.id, key_id)
        out.record(f"release request to {who.id}: info", sealed_for)
    out.record("proofs of the bundle", bundle().proofs)
    encoded = out.record("evidence bundle", bundle())
    out.value("evidence bundle without content", withhold(encoded))
    return out


def request_of(told: Story) -> ReleaseRequest:
    """Return what the reader asks of each committee member."""
    keys = (YearKey(2026, told.world.year_key(WHO, 2026)),)
    salt = seed("salt", 1, 2, WHO)
    ledger_id = told.world.ledger.ledger_id
    return ReleaseRequest(ledger_id, told.inquired.index, ONE_TIME.public.encoded, salt, keys, 7)


def make_publishing() -> Vectors:
    """Return the C2SP files of the story's log, and a signed request."""
    out = Vectors("Checkpoints, notes, policies, proofs, tiles, requests (sections 2 and 9).")
    world = story().world
    origin, leaves = world.ledger.origin, world.leaves
    hashes = [leaf_hash(leaf) for leaf in leaves]
    text = encode_checkpoint(Checkpoint(origin, len(leaves), root_of(hashes)))
    out.value("checkpoint", text)
    for who in INSTITUTIONS[:4]:
        key = VerifierKey(origin, KeyType.NOTE, who.note.public)
        out.value(f"vkey of the note key of {who.id}", encode_vkey(key))
        name = cosigner_name(origin, who.id)
        key = VerifierKey(name, KeyType.COSIGNATURE, who.cosigner.public)
        out.value(f"vkey of the cosigner key of {who.id}", encode_vkey(key))
    out.value("note", signed_checkpoint(world).decode())
    policy = validators_policy(origin, [who.record for who in INSTITUTIONS[:4]])
    out.value("policy", encode_policy(policy).decode())
    path = tuple(path_of(hashes, 5))
    proof = TlogProof(5, path, decode_note(signed_checkpoint(world)), leaves[5])
    out.value("proof file of leaf 5", encode_proof(proof).decode())
    out.value(f"tile/0/000.p/{len(leaves)}", encode_tile(hashes))
    out.value(f"tile/entries/000.p/{len(leaves)}", encode_bundle(leaves))
    headers = sign_request(
        story().institution(1).feed_key(DESK),
        member=1,
        feed=DESK,
        ledger_id=world.ledger.ledger_id,
        recipient=3,
        method="POST",
        target="/v1/entries?x=1",
        body=b"entry",
        created_s=1_790_000_000,
        nonce=NONCE,
    )
    for name, value in sorted(headers.items()):
        out.value(f"POST /v1/entries?x=1 with the body `entry`, header {name}", value)
    return out


def make_quality() -> Vectors:
    """Return what a member states of a month, first and again, and the prints of its events."""
    out = Vectors("Quality statements (section 8), each by itself.")
    month = 2026 * 12 + 8
    prints = []
    for index, position in ((5, 0), (5, 7), (300, 70_000)):
        key = seed("body key", index, position)
        event = EventId(index, position)
        made = quality.event_print(key, event)
        parts = (label("quality"), event.encoded())
        prints.append(out.mac(f"print of event {event}", made, key, *parts))
    void = (quality.MonthStanding.VOID, 0, 0, (), 0, 0, (), (0,) * 6, b"", b"")
    out.record("quality content: void", Quality(1, month - 1, 9, None, *void))
    first = Quality(
        1,
        month,
        9,
        None,
        quality.MonthStanding.OPEN,
        *(120, 100, (quality.Rejected(3, 6), quality.Rejected(5, 1)), 3, 10),
        (quality.Listed(5, 100),),
        *((0,) * 6, b"", b""),
    )
    out.record("quality content: open", first)
    again = Quality(
        1,
        month,
        4_000,
        10,
        quality.MonthStanding.COMPLETE,
        *(70_200, 70_187, (quality.Rejected(3, 3),), 0, 10),
        (quality.Listed(5, 100), quality.Listed(300, 10_000)),
        (1, 0, 0, 1, 0, 0),
        *(quality.join_prints(prints[:2]), prints[2]),
    )
    encoded = out.record("quality content: complete, in place of that", again)
    hashed = content_hash(Kind.QUALITY, encoded)
    out.hash("its content hash", hashed, "content", bytes([Kind.QUALITY]), encoded)
    return out


def make_evidence() -> Vectors:
    """Return an evidence file of each type that can be made again."""
    out = Vectors("Evidence files of types 1 to 4 (section 10), of ledgers of their own.")
    out.value("fork: all validators signed two logs", accused.fork())
    out.value("witness: validator 3 cosigned both", accused.equivocation())
    out.value("statements: member 1, feed 2, position 0", accused.statements())
    out.value("votes: validator 2 precommits a block and none", accused.votes())
    return out


def seal_anew() -> str:
    """Return the file of what HPKE sealed, with fresh randomness."""
    told = Story(None)
    sealed: dict[str, Any] = {
        "about": "What HPKE sealed. It can't be made again; it must open for ever (section 4).",
        "deposits 1": [(each or b"").hex() for each in told.loan.attachment.sealed],
        "deposits 2": [(each or b"").hex() for each in told.judged.attachment.sealed],
        "deposits 3": [each.hex() for each in told.again.sealed],
    }
    told = Story(sealed)
    ledger_id, inquired = told.world.ledger.ledger_id, told.inquired.index
    public = told.institution(1).hpke.public
    info = hpke.request_info(ledger_id, inquired, 1, public.key_id)
    sealed["release request to 1"] = hpke.seal(public, encode(request_of(told)), info).hex()
    info = hpke.answer_info(ledger_id, inquired, 1)
    sealed["answer of 1"] = hpke.seal(ONE_TIME.public, encode(answer(told, 1)), info).hex()
    info = hpke.tag_key_info(ledger_id, 5, 1, public.key_id)
    sealed["tag key of 5 to 1"] = hpke.seal(public, told.institution(5).tag_key, info).hex()
    info = genesis_draft.linker_info(told.world.ledger.params.linker, 1, public.key_id)
    sealed["consortium key to 1"] = hpke.seal(public, CONSORTIUM_KEY, info).hex()
    return json.dumps(sealed, indent=1) + "\n"


FILES: Final = {
    "encoding.json": make_encoding,
    "refused.json": make_refused,
    "identity.json": make_identity,
    "order.json": make_order,
    "submission.json": make_submission,
    "events.json": make_events,
    "redeposit.json": make_redeposit,
    "governance.json": make_governance,
    "subject.json": make_subject,
    "consent.json": make_consent,
    "history.json": make_history,
    "quality.json": make_quality,
    "publishing.json": make_publishing,
    "evidence.json": make_evidence,
}


def main() -> None:
    """Write the files."""
    if "--seal" in sys.argv[1:]:
        SEALED.write_text(seal_anew(), encoding="utf-8")
    for name, make in FILES.items():
        (FOLDER / name).write_text(make().file(), encoding="utf-8")


if __name__ == "__main__":
    main()
