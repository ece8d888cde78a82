"""Policies: files, quorums, and which checkpoints they accept."""

import base64
import hashlib
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.test_checkpoint import PUBLIC_CHECKPOINT, PUBLIC_LOG, PUBLIC_WITNESSES

from tradeline_ledger.checkpoint import Checkpoint, encode_checkpoint
from tradeline_ledger.cosignature import cosign, cosigner_name
from tradeline_ledger.errors import MalformedError, PolicyError, SignatureError
from tradeline_ledger.merkle import EMPTY_ROOT
from tradeline_ledger.note import (
    KeyType,
    Note,
    Signature,
    VerifierKey,
    encode_note,
    encode_vkey,
    sign_note,
)
from tradeline_ledger.policy import (
    Group,
    Log,
    Policy,
    Witness,
    validators_policy,
    verify_checkpoint,
)
from tradeline_ledger.policy_file import (
    POLICY_BYTES_MAX,
    decode_policy,
    encode_policy,
)
from tradeline_ledger.registry import MemberRecord, Role
from tradeline_ledger.signing import SigningKey

ORIGIN = "tradeline.0001020304050607"
TEXT = encode_checkpoint(Checkpoint(ORIGIN, 42, bytes(32)))


def signing_key(name: str) -> SigningKey:
    return SigningKey(hashlib.sha256(name.encode()).digest())


def log_key(name: str, origin: str = ORIGIN) -> VerifierKey:
    return VerifierKey(origin, KeyType.NOTE, signing_key(name).public)


def witness_key(name: str) -> VerifierKey:
    return VerifierKey(name, KeyType.COSIGNATURE, signing_key(name).public)


def vkey(name: str) -> str:
    return encode_vkey(witness_key(name))


def signed(logs: Iterable[str], cosigners: Iterable[str], text: str = TEXT) -> bytes:
    signatures = [sign_note(text, ORIGIN, signing_key(name)) for name in logs]
    signatures += [cosign(text, name, signing_key(name), 1000) for name in cosigners]
    return encode_note(Note(text, tuple(signatures)))


LOG = f"log {encode_vkey(log_key('n1'))}\n"
W1, W2, W3 = (f"witness {name} {vkey(name)}\n" for name in ("w1", "w2", "w3"))

EXAMPLE = (
    LOG
    + "".join(f"witness {name} {vkey(name)}\n" for name in ("X1", "X2", "X3"))
    + "group X-witnesses 2 X1 X2 X3\n\n"
    + "".join(f"witness {name} {vkey(name)}\n" for name in ("Y1", "Y2", "Y3"))
    + "group Y-witnesses any Y1 Y2 Y3\n\ngroup X-and-Y all X-witnesses Y-witnesses\n"
    + "quorum X-and-Y\n"
)
"""The example of c2sp.org/tlog-policy, with keys."""


def test_example_of_the_specification_is_read() -> None:
    policy = decode_policy(EXAMPLE.encode())
    assert policy.logs == (Log(log_key("n1")),)
    assert [witness.name for witness in policy.witnesses] == ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
    assert policy.groups == (
        Group("X-witnesses", 2, ("X1", "X2", "X3")),
        Group("Y-witnesses", 1, ("Y1", "Y2", "Y3")),
        Group("X-and-Y", 2, ("X-witnesses", "Y-witnesses")),
    )
    assert policy.quorum == "X-and-Y"


@pytest.mark.parametrize(
    ("cosigners", "lacking"),
    [
        ("X1 X2 Y1", None),
        ("X1 X3 Y3 stranger", None),
        ("X1 X2 X3 Y1 Y2 Y3", None),
        ("", "X-witnesses has 0 of the 2 it needs, missing X1, X2, X3"),
        ("X1 Y1 Y2 Y3", "X-witnesses has 1 of the 2 it needs, missing X2, X3"),
        ("X1 X2 X3", "Y-witnesses has 0 of the 1 it needs"),
        ("X1 X-witnesses Y-witnesses X-and-Y", "X-witnesses has 1 of the 2"),
    ],
)
def test_quorum_of_groups(cosigners: str, lacking: str | None) -> None:
    policy = decode_policy(EXAMPLE.encode())
    if lacking is None:
        policy.check(cosigners.split())
    else:
        with pytest.raises(PolicyError, match=f"quorum X-and-Y is not met: .*{lacking}"):
            policy.check(cosigners.split())


def test_quorum_may_be_one_witness_or_none() -> None:
    single = decode_policy((W1 + W2 + "quorum w1\n").encode())
    single.check(["w1"])
    with pytest.raises(PolicyError, match="w1 has not cosigned"):
        single.check(["w2"])
    decode_policy(b"quorum none\n").check([])


# The cases of transparency-dev/formats, policy/tlog_policy_test.go (Apache-2.0), and more.
@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        ("quorum none\n", Policy((), (), (), "none")),
        (
            f"\n# comment\n\t # 2\n\twitness \t w1  {vkey('w1')}   https://w1/  \n\n quorum\tw1\n",
            Policy((), (Witness("w1", witness_key("w1"), "https://w1/"),), (), "w1"),
        ),
        (
            f"{LOG.rstrip()} https://log/\n{W1}quorum w1\n",
            Policy(
                (Log(log_key("n1"), "https://log/"),),
                (Witness("w1", witness_key("w1")),),
                (),
                "w1",
            ),
        ),
        (
            f"witness all {vkey('w1')}\nwitness any {vkey('w2')}\ngroup of 2 all any\nquorum of\n",
            Policy(
                (),
                (Witness("all", witness_key("w1")), Witness("any", witness_key("w2"))),
                (Group("of", 2, ("all", "any")),),
                "of",
            ),
        ),
        (
            f"witness #1 {vkey('w1')}\nquorum #1\n",
            Policy((), (Witness("#1", witness_key("w1")),), (), "#1"),
        ),
    ],
)
def test_policy_is_read(encoded: str, expected: Policy) -> None:
    assert decode_policy(encoded.encode()) == expected
    assert decode_policy(encode_policy(expected)) == expected


def test_names_are_opaque_bytes() -> None:
    name = b"K\xe2\x84\xaa\xc2\xa0w\x80"
    encoded = b"witness " + name + b" " + vkey("w1").encode() + b"\nquorum " + name + b"\n"
    policy = decode_policy(encoded)
    assert encode_policy(policy) == encoded
    policy.check([policy.quorum])
    with pytest.raises(MalformedError, match=r"quorum 'K.*' is not defined"):
        decode_policy(encoded.replace(b"quorum K\xe2\x84\xaa", b"quorum KK"))


@pytest.mark.parametrize(
    ("encoded", "line", "why"),
    [
        ("quorum none\n\x01\n", 2, "control character 0x01"),
        ("quorum none\r\n", 1, "control character 0x0d"),
        ("quorum none\x7f\n", 1, "control character 0x7f"),
        ("quorum none", 1, "no newline at the end"),
        ("quorum none\n# cut", 2, "no newline at the end"),
        ("quibble w1\nquorum none\n", 1, "'quibble' with 1 words is none of"),
        ("Log x\nquorum none\n", 1, "'Log' with 1 words"),
        ("quorum none # comment\n", 1, "'quorum' with 3 words"),
        (f"witness w1 {vkey('w1')} https://w1/ # comment\n", 1, "'witness' with 5 words"),
        ("log\n", 1, "'log' with 0 words"),
        ("log garbage\n", 1, "not <name>"),
        (f"log {PUBLIC_LOG.replace('ba2f06c0', 'ba2f06c1')}\n", 1, "gives key id"),
        ("log ecdsa.example+00000000+AgECAw==\n", 1, "type 0x02"),
        (f"log {vkey('w1')}\n", 1, "log key of 'w1' has type 0x04, expected 0x01"),
        (f"{LOG}{LOG}", 2, "log key .* is a second one"),
        (f"{LOG}log {encode_vkey(log_key('n1', 'x'))}\n", 2, "log key of 'x' is a second one"),
        ("witness w1\n", 1, "'witness' with 1 words"),
        (f"witness w1 {encode_vkey(log_key('n1'))}\n", 1, "type 0x01, expected 0x04"),
        (f"witness none {vkey('w1')}\n", 1, "'none' is reserved"),
        (f"{W1}witness w1 {vkey('w2')}\n", 2, "'w1' is defined already"),
        (f"{W1}witness w2 {vkey('w1')}\n", 2, "witness key of 'w1' is a second one"),
        (f"{W1}group w1 any w1\n", 2, "'w1' is defined already"),
        (f"{W1}group g1 1\n", 2, "'group' with 2 words"),
        (f"{W1}group none any w1\n", 2, "'none' is reserved"),
        (f"{W1}group g1 0 w1\n", 2, "threshold of group 'g1' is 0, expected 1 to 1"),
        (f"{W1}group g1 -1 w1\n", 2, "threshold of group 'g1' is '-1'"),
        (f"{W1}group g1 01 w1\n", 2, "leading zeros"),
        (f"{W1}group g1 2 w1\n", 2, "threshold of group 'g1' is 2, expected 1 to 1"),
        (f"{W1}group g1 any w2\n", 2, "member 'w2' of group 'g1' is not defined above"),
        (f"group g1 any w1\n{W1}", 1, "'w1' of group 'g1' is not defined above"),
        (f"{W1}group g1 any none w1\n", 2, "member 'none'"),
        (f"{W1}group g1 any g1\n", 2, "member 'g1'"),
        (f"{W1}group g1 all w1 w1\n", 2, "'w1' of group 'g1' is in a group already"),
        (f"{W1}{W2}group g1 any w1 w2\ngroup g2 any w1\n", 4, "is in a group already"),
        (f"{W1}quorum w1\nquorum w1\n", 3, "second quorum"),
        ("quorum none\nquorum none\n", 2, "second quorum"),
        ("quorum unknown\n", 1, "'unknown' is not defined above"),
        (f"quorum w1\n{W1}", 1, "'w1' is not defined above"),
        ("quorum\n", 1, "'quorum' with 0 words"),
        (f"quorum none\n{LOG * 0}" + "log x\n", 2, "not <name>"),
    ],
)
def test_malformed_policy_is_refused_with_its_line(encoded: str, line: int, why: str) -> None:
    with pytest.raises(MalformedError, match=f"policy line {line}: .*{why}"):
        decode_policy(encoded.encode())


def test_policy_without_quorum_or_too_large_is_refused() -> None:
    for encoded in ("", W1, "# quorum none\n"):
        with pytest.raises(MalformedError, match="policy has no quorum line"):
            decode_policy(encoded.encode())
    with pytest.raises(MalformedError, match="at most 524288"):
        decode_policy(b"\n" * (POLICY_BYTES_MAX + 1))


def test_limits_are_far_above_what_the_specification_asks_for() -> None:
    names = [f"w{number}" for number in range(257)]
    lines = [f"witness {name} {vkey(name)}\n" for name in names]
    policy = decode_policy("".join([*lines[:256], "quorum none\n"]).encode())
    assert len(policy.witnesses) == 256
    with pytest.raises(MalformedError, match="policy line 257: 257 witnesses, at most 256"):
        decode_policy("".join(lines).encode())
    logs = [f"log {encode_vkey(log_key(name))}\n" for name in names]
    with pytest.raises(MalformedError, match="policy line 257: 257 logs, at most 256"):
        decode_policy("".join(logs).encode())
    groups = [f"group g{at} any {f'g{at - 1}' if at else 'w1'}\n" for at in range(257)]
    deep = decode_policy("".join([W1, *groups[:256], "quorum g255\n"]).encode())
    deep.check(["w1"])
    with pytest.raises(MalformedError, match="policy line 258: 257 groups, at most 256"):
        decode_policy("".join([W1, *groups]).encode())


@given(st.binary(max_size=100))
def test_any_bytes_are_a_policy_or_malformed(noise: bytes) -> None:
    for encoded in (noise, W1.encode() + noise + b"\nquorum none\n"):
        try:
            policy = decode_policy(encoded)
        except MalformedError:
            continue
        assert decode_policy(encode_policy(policy)) == policy


TWO_OF_THREE = decode_policy(
    (LOG + W1 + W2 + W3 + "group peers 2 w1 w2 w3\nquorum peers\n").encode()
)


def test_checkpoint_signed_by_log_and_quorum_is_returned() -> None:
    verified = verify_checkpoint(signed(["n1"], ["w3", "w1"]), TWO_OF_THREE)
    assert verified.checkpoint == Checkpoint(ORIGIN, 42, bytes(32))
    assert verified.signers == (log_key("n1"),)
    assert [(line.name, line.time_s) for line in verified.cosignatures] == [
        ("w1", 1000),
        ("w3", 1000),
    ]
    assert verified.note.text == TEXT


@pytest.mark.parametrize(
    ("logs", "cosigners", "why"),
    [
        ([], ["w1", "w2"], "no log of the policy signed .*, for which it has 1 keys"),
        (["n2"], ["w1", "w2"], "no log of the policy signed"),
        (["n1"], [], "peers has 0 of the 2 it needs, missing w1, w2, w3"),
        (["n1"], ["w1"], "peers has 1 of the 2 it needs, missing w2, w3"),
        (["n1"], ["w1", "w4", "w5"], "peers has 1 of the 2"),
        (["n1"], ["w1", "w1"], "peers has 1 of the 2"),
    ],
)
def test_checkpoint_without_log_or_quorum_is_refused(
    logs: list[str], cosigners: list[str], why: str
) -> None:
    with pytest.raises(PolicyError, match=why):
        verify_checkpoint(signed(logs, cosigners), TWO_OF_THREE)


def test_bad_signature_by_any_key_of_the_policy_refuses_the_note() -> None:
    good = [sign_note(TEXT, ORIGIN, signing_key("n1"))]
    good += [cosign(TEXT, name, signing_key(name), 5) for name in ("w1", "w2")]
    verify_checkpoint(encode_note(Note(TEXT, tuple(good))), TWO_OF_THREE)
    for bad in (
        Signature("w3", witness_key("w3").id, good[1].data),
        Signature("w3", witness_key("w3").id, b"\1"),
        Signature(ORIGIN, log_key("n1").id, bytes(64)),
    ):
        with pytest.raises(SignatureError):
            verify_checkpoint(encode_note(Note(TEXT, (*good, bad))), TWO_OF_THREE)


def test_unknown_signatures_change_nothing() -> None:
    unknown = [
        Signature("mldsa.example", b"\1\2\3\4", bytes(2428)),
        Signature("w1", b"\1\2\3\4", bytes(72)),
        Signature(ORIGIN, b"\1\2\3\4", b"?"),
    ]
    lines = [sign_note(TEXT, ORIGIN, signing_key("n1"))]
    lines += [cosign(TEXT, name, signing_key(name), 5) for name in ("w1", "w2")]
    encoded = encode_note(Note(TEXT, (*unknown, *lines)))
    assert len(verify_checkpoint(encoded, TWO_OF_THREE).cosignatures) == 2


def test_log_signs_only_for_the_origin_that_it_is_named_after() -> None:
    text = encode_checkpoint(Checkpoint("other.example/log", 0, EMPTY_ROOT))
    with pytest.raises(PolicyError, match=r"other\.example/log, for which it has 0 keys"):
        verify_checkpoint(signed(["n1"], ["w1", "w2"], text), TWO_OF_THREE)


def test_policy_without_logs_accepts_nothing() -> None:
    policy = decode_policy(b"quorum none\n")
    with pytest.raises(PolicyError, match="for which it has 0 keys"):
        verify_checkpoint(signed(["n1"], []), policy)


def test_text_that_is_no_checkpoint_is_refused_before_its_signatures_count() -> None:
    with pytest.raises(MalformedError, match="no extension lines"):
        verify_checkpoint(signed(["n1"], ["w1", "w2"], TEXT + "extension\n"), TWO_OF_THREE)


def test_every_flipped_byte_of_a_checkpoint_is_detected() -> None:
    """Two of three: with either cosignature or the log's signature gone, nothing is accepted."""
    encoded = signed(["n1"], ["w1", "w2"])
    for at in range(len(encoded)):
        altered = bytearray(encoded)
        altered[at] ^= 0x01
        with pytest.raises((MalformedError, SignatureError, PolicyError)):
            verify_checkpoint(bytes(altered), TWO_OF_THREE)


def test_public_checkpoint_is_accepted_by_a_policy_of_its_witnesses() -> None:
    names = [vkey_.partition("+")[0] for vkey_ in PUBLIC_WITNESSES]
    lines = [f"log {PUBLIC_LOG}\n"]
    lines += [
        f"witness {name} {vkey_}\n" for name, vkey_ in zip(names, PUBLIC_WITNESSES, strict=True)
    ]
    policy = "".join([*lines, f"group public 3 {' '.join(names)}\nquorum public\n"])
    verified = verify_checkpoint(PUBLIC_CHECKPOINT.encode(), decode_policy(policy.encode()))
    assert (verified.checkpoint.size, len(verified.cosignatures)) == (1432088532, 4)
    too_much = policy.replace(
        "quorum public", f"witness more {vkey('w1')}\ngroup all 2 more public\nquorum all"
    )
    with pytest.raises(PolicyError, match="all has 1 of the 2 it needs, missing more"):
        verify_checkpoint(PUBLIC_CHECKPOINT.encode(), decode_policy(too_much.encode()))


def member(number: int) -> MemberRecord:
    return MemberRecord(
        id=number,
        from_height=0,
        until_height=None,
        name=f"Member {number}",
        group=number,
        legal_ids=(),
        roles=Role.VALIDATOR,
        root_key=signing_key(f"r{number}").public,
        feeds=(),
        node_key=None,
        note_key=signing_key(f"n{number}").public,
        cosigner_key=signing_key(cosigner_name(ORIGIN, number)).public,
        engine_key=None,
        hpke_key=None,
        tag_key_hash=None,
        endpoint="",
        tls_pin=None,
        engine_peer="",
    )


def test_validators_sign_one_text_under_one_name_with_keys_of_their_own() -> None:
    policy = validators_policy(ORIGIN, map(member, range(1, 5)))
    assert [log.key.name for log in policy.logs] == [ORIGIN] * 4
    assert policy.groups[0].threshold == 3
    assert decode_policy(encode_policy(policy)) == policy
    cosigners = [cosigner_name(ORIGIN, number) for number in (1, 2, 4)]
    for publisher in range(1, 5):
        verified = verify_checkpoint(signed([f"n{publisher}"], cosigners), policy)
        assert verified.signers == (log_key(f"n{publisher}"),)
    everybody = signed(["n1", "n2", "n3", "n4"], cosigners)
    assert len(verify_checkpoint(everybody, policy).signers) == 4
    with pytest.raises(PolicyError, match="validators has 2 of the 3 it needs"):
        verify_checkpoint(signed(["n1"], cosigners[:2]), policy)


def test_quorum_counts_validators_without_a_cosigner_key() -> None:
    members = [member(number) for number in range(1, 5)]
    members[0] = msgspec.structs.replace(members[0], cosigner_key=None, note_key=None)
    policy = validators_policy(ORIGIN, members)
    assert (len(policy.logs), policy.groups[0].threshold) == (3, 3)
    members[1] = msgspec.structs.replace(members[1], cosigner_key=None)
    with pytest.raises(PolicyError, match="2 of 4 validators have cosigner keys, the quorum is 3"):
        validators_policy(ORIGIN, members)


def test_vkey_of_the_policy_is_canonical_base64() -> None:
    altered = LOG.replace(base64.b64encode(b"\1" + log_key("n1").public).decode(), "AQ==")
    with pytest.raises(MalformedError, match=r"policy line 1: .*expected 32"):
        decode_policy(altered.encode())
