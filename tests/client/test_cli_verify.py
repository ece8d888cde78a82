"""`tradeline verify`: which file it is, two verdicts, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests import accused
from tests.client.cli import Cli
from tests.mirror import signed_checkpoint, write_mirror
from tests.story import story
from tests.story_bundle import bundle
from tests.world import INSTITUTIONS, World, make_ledger

from tradeline_client.compare import compare
from tradeline_client.verification import Brought, FileKind, kind_of, verify_file
from tradeline_ledger.bundle import withhold
from tradeline_ledger.encoding import encode
from tradeline_ledger.merkle import leaf_hash, path_of
from tradeline_ledger.note import decode_note
from tradeline_ledger.policy import validators_policy
from tradeline_ledger.policy_file import encode_policy
from tradeline_ledger.statement import Kind
from tradeline_ledger.tlog_proof import TlogProof, encode_proof

KEYS = {"file", "kind", "ok", "consistent", "anchored", "findings", "says", "history"}


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file of each kind, and the keys to anchor them to."""
    world = story().world
    write_mirror(world, tmp_path / "mirror")
    note = signed_checkpoint(world)
    hashes = [leaf_hash(leaf) for leaf in world.leaves]
    proof = TlogProof(3, tuple(path_of(hashes, 3)), decode_note(note), world.leaves[3])
    (tmp_path / "bundle").write_bytes(encode(bundle()))
    (tmp_path / "checkpoint").write_bytes(note)
    (tmp_path / "proof").write_bytes(encode_proof(proof))
    (tmp_path / "fork").write_bytes(fork(tmp_path))
    (tmp_path / "policy").write_bytes((tmp_path / "mirror/policy").read_bytes())
    (tmp_path / "genesis").write_bytes(world.ledger.file)
    return tmp_path


def fork(path: Path) -> bytes:
    one, two = World(), World()
    one.block(one.entry(1, Kind.INQUIRY, encode(one.inquiry(bytes(16)))))
    two.block(two.entry(2, Kind.INQUIRY, encode(two.inquiry(bytes(16)))))
    write_mirror(one, path / "one")
    write_mirror(two, path / "two")
    evidence = compare(path / "one", path / "two").evidence
    assert evidence is not None
    return evidence


@pytest.mark.parametrize("kind", ["bundle", "checkpoint", "proof", "fork"])
def test_each_kind_of_file_is_told_and_verified(cli: Cli, folder: Path, kind: str) -> None:
    alone = cli("verify", folder / kind, "--json")
    by_policy = cli("verify", folder / kind, "--trust", folder / "policy", "--json")
    by_genesis = cli("verify", folder / kind, "--genesis", folder / "genesis", "--json")

    assert alone.code == by_policy.code == by_genesis.code == 0
    assert alone.json.keys() == by_policy.json.keys() == KEYS
    assert {each.json["kind"] for each in (alone, by_policy, by_genesis)} == {kind}
    assert (alone.json["consistent"], alone.json["anchored"]) == (True, None)
    assert by_policy.json["anchored"] is by_genesis.json["anchored"] is True
    assert not alone.err


@pytest.mark.parametrize("kind", ["bundle", "checkpoint", "proof", "fork"])
def test_a_file_of_another_consortium_is_not_anchored(cli: Cli, folder: Path, kind: str) -> None:
    other = make_ledger(INSTITUTIONS[:4], refused_per_day=7)
    (folder / "other.genesis").write_bytes(other.file)
    records = [each.record for each in INSTITUTIONS if each.validator]
    policy = encode_policy(validators_policy(other.origin, records))
    (folder / "other.policy").write_bytes(policy)

    for option, name in (("--trust", "other.policy"), ("--genesis", "other.genesis")):
        ran = cli("verify", folder / kind, option, folder / name, "--json")

        assert ran.code == 3
        assert (ran.json["consistent"], ran.json["anchored"]) == (True, False)
        assert ran.json["findings"][0]["code"] == "not-anchored"


def test_the_two_verdicts_are_printed_apart(cli: Cli, folder: Path) -> None:
    alone = cli("verify", folder / "bundle")
    anchored = cli("verify", folder / "bundle", "--trust", folder / "policy")

    assert "consistent in itself   YES" in alone.out
    assert "anchored to your keys  not asked" in alone.out
    assert "anchored to your keys  YES" in anchored.out


@pytest.mark.parametrize("kind", [FileKind.BUNDLE, FileKind.PROOF, FileKind.FORK])
def test_no_changed_byte_of_a_file_passes_unnoticed(folder: Path, kind: FileKind) -> None:
    """With keys to anchor to: what still passes says the same as before."""
    data = (folder / kind.value).read_bytes()
    brought = Brought(ledger=story().world.ledger)
    good = verify_file(data, brought)
    step = 7 if kind is FileKind.BUNDLE else 1
    passed = 0
    for at in range(0, len(data), step):
        changed = data[:at] + bytes([data[at] ^ 0x01]) + data[at + 1 :]
        verdict = verify_file(changed, brought)
        if verdict.ok:
            passed += 1
            assert verdict.says[:3] == good.says[:3], at
        else:
            assert verdict.findings[0].where, at
    # A line whose name was changed is a stranger's, and leaves enough of the others.
    if kind is not FileKind.FORK:  # a fork is proven by one signature under each checkpoint
        assert passed < len(data) / step / 5


def test_an_altered_bundle_exits_with_3_and_says_where(cli: Cli, folder: Path) -> None:
    data = bytearray((folder / "bundle").read_bytes())
    body = bundle().proofs.events[0].body
    assert body is not None
    data[bytes(data).index(body) + 40] ^= 1
    (folder / "bundle").write_bytes(data)

    ran = cli("verify", folder / "bundle", "--trust", folder / "policy")
    as_json = cli("verify", folder / "bundle", "--trust", folder / "policy", "--json")

    assert ran.code == as_json.code == 3
    assert "consistent in itself   NO" in ran.out
    assert "body of event 1/0" in ran.out
    assert as_json.json["findings"] == [
        {
            "code": "not-consistent",
            "where": "bodies and keys",
            "detail": as_json.json["findings"][0]["detail"],
        }
    ]


def test_the_history_in_a_bundle_is_printed_on_demand(cli: Cli, folder: Path) -> None:
    ran = cli("verify", folder / "bundle", "--trust", folder / "policy", "--history")
    unanchored = cli("verify", folder / "bundle", "--history")

    assert ran.code == 0
    assert "Complete as of block" in ran.out
    assert "account.delinquency" in ran.out
    assert "erased: court_order" in ran.out
    assert "NOT ANCHORED" not in ran.out
    assert "NOT ANCHORED: anybody could have made up what follows" in unanchored.out
    history = cli("verify", folder / "bundle", "--history", "--json").json["history"]
    assert [each["id"] for each in history["events"]] == ["1/0", "1/2", "3/0"]
    assert history["gone"][0]["reason"] == "court_order"


def test_a_bundle_without_content_still_verifies(cli: Cli, folder: Path) -> None:
    (folder / "bundle").write_bytes(withhold(encode(bundle())))

    ran = cli("verify", folder / "bundle", "--trust", folder / "policy", "--history", "--json")

    assert ran.code == 0
    assert ran.json["history"]["events"] == []
    assert len(ran.json["history"]["withheld"]) == 3


def test_evidence_of_a_fork_names_who_signed_both(cli: Cli, folder: Path) -> None:
    ran = cli("verify", folder / "fork", "--genesis", folder / "genesis", "--json")

    origin = story().world.ledger.origin
    said = ran.json["says"]["by the validators of your genesis"]
    assert all(f"{origin}/{number}" in said for number in (1, 2, 3, 4))


def test_a_proof_without_its_leaf_can_not_be_checked(cli: Cli, folder: Path) -> None:
    world = story().world
    hashes = [leaf_hash(leaf) for leaf in world.leaves]
    bare = TlogProof(3, tuple(path_of(hashes, 3)), decode_note(signed_checkpoint(world)))
    (folder / "proof").write_bytes(encode_proof(bare))

    ran = cli("verify", folder / "proof")

    assert ran.code == 3
    assert "carries no leaf" in ran.out


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", FileKind.UNKNOWN),
        (b"hello\n", FileKind.UNKNOWN),
        (b"\x9b\x01", FileKind.BUNDLE),
        (b"c2sp.org/tlog-proof@v1\n", FileKind.PROOF),
        (b"tradeline/v1 evidence\n", FileKind.UNKNOWN),
        ("x\n\n— y AAAAAA==\n".encode(), FileKind.CHECKPOINT),
    ],
)
def test_what_is_no_whole_file_fails_and_never_raises(data: bytes, kind: FileKind) -> None:
    verdict = verify_file(data, Brought(ledger=story().world.ledger))

    assert kind_of(data) is verdict.kind is kind
    assert (verdict.consistent, verdict.anchored) == (False, False)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["{folder}/absent"], 1, "absent: No such file or directory"),
        (["{folder}/mirror"], 1, "is a folder; a mirror is checked with: tradeline audit"),
        (["{folder}/bundle", "--trust", "{folder}/bundle"], 1, "no newline at the end"),
        ([], 2, "Missing argument"),
        (["{folder}/bundle", "--trsut", "x"], 2, "No such option"),
    ],
)
def test_what_can_not_be_asked_is_refused(
    cli: Cli, folder: Path, arguments: list[str], code: int, said: str
) -> None:
    ran = cli("verify", *(each.format(folder=folder) for each in arguments))

    assert ran.code == code
    assert said in ran.err
    assert not ran.out


def test_json_is_one_value(cli: Cli, folder: Path) -> None:
    ran = cli("verify", folder / "bundle", "--json", "--history")

    assert json.loads(ran.out)["kind"] == "bundle"


@pytest.mark.parametrize(
    ("kind", "make", "guilty"),
    [
        (FileKind.WITNESS, accused.equivocation, "/3, key id"),
        (FileKind.STATEMENTS, accused.statements, "member 1, Bank: signed two statements"),
        (FileKind.DEALING, accused.dealing, "member 2, Online lender: dealt 3 shares"),
    ],
)
def test_evidence_names_the_guilty_and_is_anchored_by_ones_own_genesis(
    kind: FileKind, make: Callable[[], bytes], guilty: str
) -> None:
    data = make()

    verdict = verify_file(data, Brought(ledger=make_ledger()))
    assert (verdict.kind, verdict.ok, verdict.anchored) == (kind, True, True)
    assert guilty in dict(verdict.says)["guilty"]

    other = verify_file(data, Brought(ledger=accused.other_ledger()))
    assert other.consistent
    assert other.anchored is False
    (finding,) = other.findings
    assert finding.code == "not-anchored"


def test_evidence_against_a_member_is_not_anchored_by_a_policy() -> None:
    (_, policy), *_ = Brought(ledger=make_ledger()).policies()
    for make in (accused.statements, accused.votes):
        verdict = verify_file(make(), Brought(policy=policy))
        assert (verdict.consistent, verdict.anchored) == (True, False)
        assert "bring the genesis" in verdict.findings[0].detail
    assert verify_file(accused.equivocation(), Brought(policy=policy)).anchored
    assert verify_file(accused.votes(), Brought(ledger=make_ledger())).ok
