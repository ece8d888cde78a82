"""This node as a witness: it never cosigns two histories of a log, and keeps what shows a fork."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
from tests.node.test_checkpoint_watch import Tree
from tests.world import seed

from tradeline_ledger.checkpoint import Checkpoint, encode_checkpoint
from tradeline_ledger.cosignature import verify_cosignatures
from tradeline_ledger.evidence import verify_evidence
from tradeline_ledger.fork import Fork
from tradeline_ledger.merkle import EMPTY_ROOT
from tradeline_ledger.note import (
    KeyType,
    Note,
    VerifierKey,
    decode_note,
    decode_vkey,
    encode_note,
    encode_vkey,
    sign_note,
)
from tradeline_ledger.policy import Log, Policy
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.witness_request import encode_witness_request
from tradeline_node.errors import ConfigError, RequestError, StoreError
from tradeline_node.witness import (
    OldSizeError,
    Witnessed,
    WitnessService,
    WitnessStore,
    read_policies,
)

ORIGIN = "example.com/log"
LOG, STRANGER, WITNESS = (SigningKey(seed("witness", each)) for each in ("log", "other", "key"))
NAME = "example.com/witness"
OWN = VerifierKey(NAME, KeyType.COSIGNATURE, WITNESS.public)

# The log, its requests and its private key's signatures of filippo.io/torchwood, a witness of
# others: internal/witness/witness_test.go, gentest seed b4e385f4… (BSD-3-Clause).
SIGSUM_ORIGIN = (
    "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562"
)
SIGSUM_KEY = bytes.fromhex("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f")
SIGSUM_ROOT_5 = bytes.fromhex("42bb57ad06420afa4882c4a63ac6a1ec77480b330b2f20dfc53a0caa5f564e36")
SIGSUM_REQUESTS = {
    size: f"{head}\n{SIGSUM_ORIGIN}\n{size}\n{root}\n\n— {SIGSUM_ORIGIN} UgIom{signed}\n".encode()
    for size, head, root, signed in (
        (
            1,
            "old 0\n",
            "KgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=",
        ),
        (
            3,
            (
                "old 1\nKgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
                "KgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
            ),
            "RcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=",
            "2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=",
        ),
        (
            5,
            (
                "old 1\nKgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
                "+fUDV+k970B4I3uKrqJM4aP1lloPZP8mvr2Z4wRw2LI=\n"
                "KgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
            ),
            "QrtXrQZCCvpIgsSmOsah7HdICzMLLyDfxToMql9WTjY=",
            "w/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=",
        ),
    )
}


class Racing(WitnessStore):
    """A store between whose reading and writing something else may happen."""

    between: Callable[[], object] | None = None

    def newest(self, origin: str) -> Witnessed | None:
        found = super().newest(origin)
        if self.between is not None:
            between, self.between = self.between, None
            between()
        return found


@dataclass
class Bench:
    """A witness of two logs."""

    path: Path
    now_s: float = 1_790_000_000
    forks: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        self.store = Racing(self.path)
        keys = {ORIGIN: LOG.public, SIGSUM_ORIGIN: SIGSUM_KEY}
        policies = {
            origin: Policy((Log(VerifierKey(origin, KeyType.NOTE, key)),), (), (), "none")
            for origin, key in keys.items()
        }
        self.service = WitnessService(
            self.store,
            policies,
            name=NAME,
            key=WITNESS,
            on_fork=lambda _smaller, _larger, fork: self.forks.append(fork),
            clock_s=lambda: self.now_s,
        )

    def add(self, body: bytes) -> int:
        """Send a request, and return the time of the cosignature, verified by itself."""
        line = self.service.add(body).encode()
        _, _, note = body.partition(b"\n\n")
        signed = decode_note(note + line)
        (cosignature,) = verify_cosignatures(signed, [OWN])
        return cosignature.time_s

    def refusal(self, body: bytes) -> str | int:
        """Return the code that a request is refused with, or the size that was cosigned last."""
        try:
            self.service.add(body)
        except RequestError as error:
            return error.code
        except OldSizeError as error:
            return error.size
        return "accepted"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "witnessed.sqlite")
    yield made
    made.store.close()


TREE = Tree([seed("leaf", index) for index in range(12)])
OTHER = Tree([*TREE.hashes[:3], *(seed("other", index) for index in range(9))])


def note(size: int, root: bytes | None = None, key: SigningKey = LOG) -> bytes:
    root = root or (TREE.root(size) if size else EMPTY_ROOT)
    text = encode_checkpoint(Checkpoint(ORIGIN, size, root))
    return encode_note(Note(text, (sign_note(text, ORIGIN, key),)))


def request(old: int, new: int, tree: Tree = TREE) -> bytes:
    part = Tree(tree.hashes[:new])
    path = part.path(old) if 0 < old <= new else []
    return encode_witness_request(old, path, note(new, part.root() if new else None))


def test_requests_of_another_implementation_are_answered(bench: Bench) -> None:
    assert bench.add(SIGSUM_REQUESTS[1]) == 1_790_000_000
    assert bench.refusal(SIGSUM_REQUESTS[1]) == 1
    bench.add(SIGSUM_REQUESTS[5])
    # Its proof begins at size 1, and by now size 5 was cosigned.
    assert bench.refusal(SIGSUM_REQUESTS[3]) == 5
    newest = bench.store.newest(SIGSUM_ORIGIN)
    assert newest is not None
    assert (newest.size, newest.root) == (5, SIGSUM_ROOT_5)


def test_log_is_not_set_back_by_a_request_that_was_checked_before_another(bench: Bench) -> None:
    bench.add(SIGSUM_REQUESTS[1])
    bench.store.between = lambda: bench.add(SIGSUM_REQUESTS[5])
    assert bench.refusal(SIGSUM_REQUESTS[3]) == 5
    newest = bench.store.newest(SIGSUM_ORIGIN)
    assert newest is not None
    assert newest.size == 5


def test_first_requests_at_the_same_time_make_one_history(bench: Bench) -> None:
    bench.store.between = lambda: bench.add(request(0, 3, OTHER))
    assert bench.refusal(request(0, 4)) == 3


def test_every_growth_of_a_log_is_cosigned(bench: Bench) -> None:
    known = 0
    for size in (0, 0, 1, 1, 2, 5, 8, 12, 12):
        bench.add(request(known, size))
        known = size
    assert bench.forks == []


REFUSALS: dict[str, tuple[bytes, str | int]] = {
    # Each row is otherwise right, after size 5 was cosigned.
    "empty body": (b"", "witness-malformed"),
    "old size above the new one": (
        encode_witness_request(7, [], note(6)),
        "witness-malformed",
    ),
    "extension line": (
        request(5, 6).replace(b"\n6\n", b"\n6\n" + b"A" * 43 + b"=\n", 1),
        "witness-malformed",
    ),
    "unknown log": (
        request(5, 6).replace(b"example.com/log", b"example.com/elsewhere"),
        "witness-log-unknown",
    ),
    "signed by a stranger": (
        encode_witness_request(5, [], note(6, key=STRANGER)),
        "witness-unsigned",
    ),
    "signature of another text": (
        request(5, 6).replace(b"\n6\n", b"\n7\n", 1),
        "witness-unsigned",
    ),
    "old size 0": (request(0, 6), 5),
    "old size that is less": (request(4, 6), 5),
    "smaller than what was cosigned": (request(3, 4), 5),
    "no proof": (encode_witness_request(5, [], note(6)), "witness-inconsistent"),
    "proof of another size": (
        encode_witness_request(5, Tree(TREE.hashes[:7]).path(5), note(6)),
        "witness-inconsistent",
    ),
    "another log of the same beginning": (request(5, 7, OTHER), "witness-inconsistent"),
    "another root of that size": (request(5, 5, OTHER), "witness-inconsistent"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_not_to_be_cosigned_is_refused_and_changes_nothing(bench: Bench, case: str) -> None:
    bench.add(request(0, 5))
    body, expected = REFUSALS[case]
    before = bench.store.newest(ORIGIN)
    assert bench.refusal(body) == expected
    assert bench.store.newest(ORIGIN) == before
    bench.add(request(5, 6))


def test_proof_from_nothing_has_no_hashes(bench: Bench) -> None:
    body = encode_witness_request(0, [seed("hash")], note(3))
    assert bench.refusal(body) == "witness-inconsistent"
    bench.add(request(0, 0))
    assert bench.refusal(body) == "witness-inconsistent"
    bench.add(request(0, 3))


@pytest.mark.parametrize(("old", "new"), [(5, 5), (0, 5), (5, 7), (5, 12)])
def test_fork_that_a_request_proves_is_handed_on_as_evidence(
    bench: Bench, old: int, new: int
) -> None:
    bench.add(request(0, 5))
    assert bench.refusal(request(old, new, OTHER)) in ("witness-inconsistent", 5)
    (evidence,) = bench.forks
    fork = verify_evidence(evidence)
    assert isinstance(fork, Fork)
    assert (fork.smaller.size, fork.larger.size) == (5, new)
    key = VerifierKey(ORIGIN, KeyType.NOTE, LOG.public)
    assert fork.blame([key]) == (key,)


def test_bad_proof_and_forged_checkpoint_make_no_evidence(bench: Bench) -> None:
    bench.add(request(0, 5))
    bench.refusal(encode_witness_request(5, [seed("a")] * 3, note(7)))
    bench.refusal(encode_witness_request(5, [], note(5, seed("root"), STRANGER)))
    assert bench.forks == []


def test_what_was_cosigned_holds_after_a_restart(bench: Bench) -> None:
    bench.add(request(0, 5))
    bench.store.close()
    bench.open()
    assert bench.refusal(request(0, 5, OTHER)) == 5
    bench.add(request(5, 8))


def test_cosignature_does_not_leave_before_it_is_on_the_disk(bench: Bench) -> None:
    bench.add(request(0, 5))
    bench.store.close()
    with pytest.raises(StoreError, match=r"witnessed\.sqlite failed"):
        bench.service.add(request(5, 6))
    bench.open()
    lock = sqlite3.connect(bench.path, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    bench.store._db.execute("PRAGMA busy_timeout = 1")
    with pytest.raises(StoreError, match="nothing was cosigned"):
        bench.service.add(request(5, 6))
    lock.close()
    bench.add(request(5, 6))


def test_times_of_cosignatures_never_fall(bench: Bench) -> None:
    assert bench.add(request(0, 5)) == 1_790_000_000
    bench.now_s -= 1000
    assert bench.add(request(5, 6)) == 1_790_000_000


def test_newest_checkpoint_carries_the_lines_that_the_policy_knows_and_no_others(
    bench: Bench,
) -> None:
    assert bench.service.newest(sha256(ORIGIN.encode()).hexdigest()) is None
    signed = decode_note(note(5))
    extra = sign_note(signed.text, "example.com/spam", STRANGER)
    noisy = encode_note(Note(signed.text, (extra, *signed.signatures)))
    bench.add(encode_witness_request(0, [], noisy))
    served = bench.service.newest(sha256(ORIGIN.encode()).hexdigest())
    assert served is not None
    assert [each.name for each in decode_note(served).signatures] == [ORIGIN, NAME]
    assert verify_cosignatures(decode_note(served), [decode_vkey(bench.service.vkey)])
    assert bench.service.newest("00" * 32) is None


def test_policies_are_read_from_a_folder_one_log_each(tmp_path: Path) -> None:
    line = f"log {encode_vkey(VerifierKey(ORIGIN, KeyType.NOTE, LOG.public))}\nquorum none\n"
    (tmp_path / "notes.txt").write_text("not a policy")
    (tmp_path / "a.policy").write_text(line)
    assert list(read_policies(tmp_path)) == [ORIGIN]
    (tmp_path / "b.policy").write_text(line)
    with pytest.raises(ConfigError, match=r"b\.policy: the log example\.com/log stands in another"):
        read_policies(tmp_path)
    (tmp_path / "b.policy").write_text("log x\n")
    with pytest.raises(ConfigError, match=r"b\.policy: policy line 1"):
        read_policies(tmp_path)
    with pytest.raises(ConfigError, match=r"witness\.logs .* can't be read.*make the folder"):
        read_policies(tmp_path / "absent")
