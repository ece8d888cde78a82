"""Evidence files: whom each type convicts, and that forged ones convict nobody."""

from __future__ import annotations

from collections.abc import Callable

import msgspec.structs
import pytest
from tests import accused
from tests.reading import Scene
from tests.world import DESK, INSTITUTIONS, World, make_ledger, seed

from tradeline_ledger import conviction
from tradeline_ledger.bundle import withhold
from tradeline_ledger.conviction import (
    Conviction,
    encode_dealing,
    encode_false_share,
    encode_statements,
    encode_votes,
)
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import (
    InclusionError,
    LedgerError,
    MalformedError,
    SignatureError,
    VerificationError,
)
from tradeline_ledger.evidence import verify_evidence
from tradeline_ledger.evidence_file import EvidenceType, evidence_type, unwrap
from tradeline_ledger.fork import Fork, encode_equivocation, encode_fork
from tradeline_ledger.history import EventId
from tradeline_ledger.note import KeyType, VerifierKey
from tradeline_ledger.release import Answer
from tradeline_ledger.share_fault import FaultClaim, SignedShares
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import Kind, content_hash, sign_entry
from tradeline_ledger.submission import decode_submission
from tradeline_ledger.trust import TrustedLog
from tradeline_ledger.vote import Ballot, VoteType

FIRST = EventId(1, 0)
GENUINE: dict[EvidenceType, Callable[[], bytes]] = {
    EvidenceType.FORK: accused.fork,
    EvidenceType.WITNESS: accused.equivocation,
    EvidenceType.STATEMENTS: accused.statements,
    EvidenceType.VOTES: accused.votes,
    EvidenceType.DEALING: accused.dealing,
}
NOTE_KEYS = [
    VerifierKey(make_ledger().origin, KeyType.NOTE, each.note.public) for each in INSTITUTIONS[:4]
]
THIEF = SigningKey(seed("thief"))


@pytest.fixture(scope="module")
def scene() -> Scene:
    made = Scene()
    made.file(2, made.event(2, "a"))
    made.ask()
    return made


def claim(scene: Scene, answers: dict[int, Answer]) -> bytes:
    deposits = decode_submission(scene.committee.world.contents[FIRST.index]).batch.deposits
    signed = tuple(SignedShares(v, a.signature, a.payload) for v, a in sorted(answers.items()))
    return encode(FaultClaim(FIRST, deposits, None, signed))


def false_answer(scene: Scene, validator: int) -> Answer:
    (entry,) = scene.committee.payload(validator, scene.common, paths=True)
    shares = tuple(msgspec.structs.replace(each, share=seed("false")) for each in entry.shares)
    payload = (msgspec.structs.replace(entry, shares=shares),)
    return scene.committee.answer(validator, scene.common, payload=payload)


def outcome(data: bytes) -> tuple[object, ...]:
    """Return what a file proves, without what nobody vouches for."""
    proven = verify_evidence(data)
    if isinstance(proven, Fork):
        # A line under a changed name is one by nobody: fewer may be blamed, never another.
        assert proven.accused or set(proven.blame(NOTE_KEYS)) <= set(NOTE_KEYS)
        return proven.smaller, proven.larger, proven.accused
    return proven.type, proven.member, proven.detail, proven.log.ledger.ledger_id


@pytest.mark.parametrize("type_", GENUINE)
def test_each_type_proves_what_it_is_about(type_: EvidenceType) -> None:
    data = GENUINE[type_]()

    assert evidence_type(data) is type_
    proven = verify_evidence(data)
    if isinstance(proven, Fork):
        assert (proven.smaller.size, proven.larger.size) == (5, 7)
        expected = accused.cosigner(3) if type_ is EvidenceType.WITNESS else None
        assert proven.accused == expected
    else:
        member = 1 if type_ is EvidenceType.STATEMENTS else 2
        assert (proven.type, proven.member) == (type_, member)
        assert proven.record.name in {"Bank", "Online lender"}


@pytest.mark.parametrize("type_", GENUINE)
def test_every_changed_byte_is_refused_or_proves_the_same(type_: EvidenceType) -> None:
    data = GENUINE[type_]()
    good = outcome(data)
    # A file carries a whole genesis, whose every byte is covered by the ledger's id.
    step = max(1, len(data) // 1500)
    for at in {*range(0, len(data), step), *range(max(0, len(data) - 400), len(data))}:
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            proven = outcome(changed)
        except LedgerError:
            continue
        assert proven == good, at


@pytest.mark.parametrize("type_", GENUINE)
def test_files_that_are_cut_or_longer_are_refused(type_: EvidenceType) -> None:
    data = GENUINE[type_]()
    for changed in (data[:-1], data + b"\0", data[: len(data) // 2], data[:23], data[:22]):
        with pytest.raises(MalformedError):
            verify_evidence(changed)


def test_what_is_no_evidence_is_refused() -> None:
    with pytest.raises(MalformedError, match="it begins otherwise"):
        verify_evidence(b"tradeline/v2 evidence\n\x95\x01")
    with pytest.raises(MalformedError, match="of type 8, expected one of"):
        verify_evidence(b"tradeline/v1 evidence\n\x95\x08")


def test_a_type_is_no_other_type() -> None:
    statements = unwrap(accused.statements())
    for type_ in EvidenceType:
        if type_ is not EvidenceType.STATEMENTS:
            with pytest.raises(MalformedError):
                verify_evidence(wrap_raw(statements[:1] + bytes([type_]) + statements[2:]))


def wrap_raw(record: bytes) -> bytes:
    return b"tradeline/v1 evidence\n" + record


# Cosigners.


def test_a_cosigner_of_one_of_both_is_not_convicted() -> None:
    small, large = accused.grown(2), accused.grown(2, who=2)
    from tests.mirror import signed_checkpoint  # noqa: PLC0415

    one, two = signed_checkpoint(small, (1, 2)), signed_checkpoint(large, (1, 3))
    data = encode_fork(one, two, large.root, ())

    proven = verify_evidence(encode_equivocation(data, accused.cosigner(1)))
    assert isinstance(proven, Fork)
    assert proven.accused == accused.cosigner(1)
    for innocent in (2, 3, 4):
        with pytest.raises(SignatureError, match="did not cosign both"):
            encode_equivocation(data, accused.cosigner(innocent))


def test_a_cosigner_is_named_as_its_lines_name_it() -> None:
    with pytest.raises(SignatureError, match="did not cosign both"):
        encode_equivocation(accused.fork(), accused.cosigner(3, "another.example/3"))


# Statements.


def test_two_positions_are_no_contradiction() -> None:
    world = World()
    log = TrustedLog.start(world.ledger)
    first = accused.statement_of(accused.signed(world, 1, b"one"))
    later = world.statement(1, DESK, Kind.INQUIRY, content_hash(Kind.INQUIRY, b"two"), ahead=1)
    key = world.institution(1).feed_key(DESK)
    second = accused.statement_of(sign_entry(key, later, b"two"))
    other = accused.statement_of(accused.signed(world, 2, b"two"))

    for each in (second, other):
        with pytest.raises(VerificationError, match="of two positions"):
            encode_statements(log, first, each)
    with pytest.raises(MalformedError, match="must ascend"):
        encode_statements(log, first, first)


def test_statements_that_the_member_did_not_both_sign_convict_nobody() -> None:
    world = World()
    log = TrustedLog.start(world.ledger)
    first = accused.statement_of(accused.signed(world, 1, b"one"))
    forged = accused.statement_of(accused.signed(world, 1, b"two", THIEF))
    by_other = accused.statement_of(
        accused.signed(world, 1, b"two", world.institution(2).feed_key(DESK))
    )

    for each in (forged, by_other):
        with pytest.raises(SignatureError, match="not signed by one key that feed 2 of member 1"):
            encode_statements(log, first, each)


def test_statements_of_another_ledger_convict_nobody() -> None:
    other = TrustedLog.start(accused.other_ledger())
    pair = [accused.statement_of(accused.signed(World(), 1, content)) for content in (b"1", b"2")]
    with pytest.raises(VerificationError, match="of another ledger"):
        encode_statements(other, pair[0], pair[1])


# Votes.


def test_votes_on_two_ballots_or_for_one_block_convict_nobody() -> None:
    ledger = make_ledger()
    log = TrustedLog.start(ledger)
    block = (seed("block"), 1, seed("parts"))
    ours = accused.vote(ledger, block)

    for ballot in (
        Ballot(VoteType.PREVOTE, 7, 1),
        Ballot(VoteType.PRECOMMIT, 8, 1),
        Ballot(VoteType.PRECOMMIT, 7, 2),
    ):
        second = accused.vote(ledger, accused.NO_BLOCK, ballot)
        with pytest.raises(SignatureError, match="not both signed with one engine key"):
            encode_votes(log, 2, accused.BALLOT, (ours, second))
    with pytest.raises(MalformedError, match="must ascend"):
        encode_votes(log, 2, accused.BALLOT, (ours, ours))


def test_votes_of_other_keys_members_or_ledgers_convict_nobody() -> None:
    ledger = make_ledger()
    log = TrustedLog.start(ledger)
    pair = (
        accused.vote(ledger, (seed("block"), 1, seed("parts"))),
        accused.vote(ledger, accused.NO_BLOCK),
    )
    forged = (pair[0], accused.vote(ledger, accused.NO_BLOCK, key=THIEF))
    elsewhere = (pair[0], accused.vote(accused.other_ledger(), accused.NO_BLOCK))

    for member, votes in ((1, pair), (9, pair), (2, forged), (2, elsewhere)):
        with pytest.raises(SignatureError, match="not both signed with one engine key"):
            encode_votes(log, member, accused.BALLOT, votes)


# Dealing.


def test_a_contributor_that_dealt_right_is_not_convicted(scene: Scene) -> None:
    record = accused.dealing_record(scene.committee, FIRST.index)
    with pytest.raises(VerificationError, match="nobody is at fault"):
        encode_dealing(record)


def test_made_up_shares_convict_no_contributor(scene: Scene) -> None:
    record = accused.dealing_record(scene.committee, FIRST.index)
    first, *rest = record.shares
    false = msgspec.structs.replace(first, share=seed("false"))
    with pytest.raises(InclusionError):
        encode_dealing(msgspec.structs.replace(record, shares=(false, *rest)))
    with pytest.raises(VerificationError, match="4 deposits and 2 shares, expected 4 and 3"):
        encode_dealing(msgspec.structs.replace(record, shares=record.shares[:2]))
    outside = msgspec.structs.replace(record.shares[2], position=4)
    with pytest.raises(VerificationError, match="no committee position 4"):
        encode_dealing(msgspec.structs.replace(record, shares=(*record.shares[:2], outside)))


def test_deposits_batch_and_body_are_those_that_were_signed() -> None:
    committee, index = accused.dealt_wrong()
    record = accused.dealing_record(committee, index)
    assert isinstance(verify_evidence(encode_dealing(record)), Conviction)
    part = msgspec.structs.replace(record.batch, events_root=seed("other"))
    for changes, match in (
        ({"deposits": record.deposits[:3]}, "not those of the batch"),
        ({"batch": part}, "not the one whose hash the statement signs"),
        ({"body": bytes(320)}, "not the one that the event header names"),
        ({"position": 1}, "outside a tree of 1"),
        ({"statement": accused.statement_of(accused.signed(World(), 2, b"x"))}, "no submission"),
    ):
        with pytest.raises(VerificationError, match=match):
            encode_dealing(msgspec.structs.replace(record, **changes))


# Released shares.


def test_a_false_share_convicts_its_committee_member(scene: Scene) -> None:
    bundle = withhold(scene.read().bundle)
    data = encode_false_share(bundle, claim(scene, {3: false_answer(scene, 3)}))

    proven = verify_evidence(data)

    assert isinstance(proven, Conviction)
    assert (proven.type, proven.member) == (EvidenceType.FALSE_SHARE, 3)
    assert proven.record.name == "Payment company"
    for at in range(len(data) - 700, len(data), 3):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(LedgerError):
            outcome(changed)


def test_a_right_share_convicts_nobody_and_no_file_opens_bodies(scene: Scene) -> None:
    whole = scene.read().bundle
    right = scene.committee.answer(3, scene.common, paths=True)
    with pytest.raises(LedgerError):
        encode_false_share(withhold(whole), claim(scene, {3: right}))
    with pytest.raises(MalformedError, match="holds body keys"):
        encode_false_share(whole, claim(scene, {3: false_answer(scene, 3)}))
    both = {2: right, 3: false_answer(scene, 3)}
    with pytest.raises(MalformedError, match="holds several answers"):
        encode_false_share(withhold(whole), claim(scene, both))
    forged = scene.committee.answer(3, scene.common, paths=True, key=THIEF)
    with pytest.raises(SignatureError):
        encode_false_share(withhold(whole), claim(scene, {3: forged}))


def test_evidence_of_checkpoints_is_no_conviction_of_a_member() -> None:
    with pytest.raises(MalformedError, match="convicts keys"):
        conviction.verify_conviction(accused.fork())
