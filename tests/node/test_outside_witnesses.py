"""Outside witnesses: over HTTP, with a node as the witness, and with witnesses that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest
from tests.node.cluster import Cluster, wait_for
from tests.node.test_checkpoint_watch import Tree, signed
from tests.node.test_witness import OWN, WITNESS
from tests.world import seed

from tradeline_client.verification import Brought, verify_file
from tradeline_ledger.checkpoint import decode_checkpoint
from tradeline_ledger.cosignature import cosign, verify_cosignatures
from tradeline_ledger.errors import PolicyError
from tradeline_ledger.merkle import leaf_hash
from tradeline_ledger.note import (
    KeyType,
    Note,
    VerifierKey,
    decode_note,
    decode_vkey,
    encode_note,
    encode_signature,
    encode_vkey,
)
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.trust import TrustedLog, policy_of
from tradeline_ledger.witness_request import decode_witness_request, encode_witness_request
from tradeline_node.errors import ConfigError
from tradeline_node.metrics import Metrics
from tradeline_node.outside_witnesses import (
    ANSWER_BYTES_MAX,
    OutsideWitness,
    OutsideWitnesses,
    read_witnesses,
)

WITNESS_NODE = 4
NAME = "court.example/witness"
KEY = VerifierKey(NAME, KeyType.COSIGNATURE, SigningKey(seed("witness", WITNESS_NODE)).public)


def cluster_with_a_witness(folder: Path) -> Cluster:
    """Return a cluster whose node 4 witnesses the log that all four of them publish."""
    settings = {
        "witness.name": NAME,
        "witness.logs": "logs",
        "witness.outside": "outside.policy",
        "witness.ask_ms": 50,
        "http.anonymous_per_second": 10_000,
    }
    made = Cluster(folder / "net", settings)
    policy = policy_of(made.ledger, made.ledger.registry)
    for member in (1, 2, 3, 4):
        own = made.member_folder(member)
        (own / "logs").mkdir()
        (own / "outside.policy").write_text("quorum none\n")
    (made.member_folder(WITNESS_NODE) / "logs/ledger.policy").write_text(policy)
    (made.member_folder(1) / "outside.policy").write_text(
        f"witness court {encode_vkey(KEY)} {made.url(WITNESS_NODE)}/witness\nquorum none\n"
    )
    return made


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster_with_a_witness(tmp_path_factory.mktemp("net")).running() as running:
        running.hand_over_tag_keys()
        running.submit(1, 1)
        yield running


def witnessed(cluster: Cluster, size: int) -> Note:
    """Return the checkpoint that node 1 serves once the witness has cosigned `size` leaves."""

    def look() -> Note | None:
        note = decode_note(cluster.request(6, "/checkpoint").content)
        there = decode_checkpoint(note.text).size >= size and verify_cosignatures(note, [KEY])
        return note if there else None

    return cast("Note", wait_for(look, "a cosignature of the witness"))


def test_cosignature_of_a_witness_stands_in_the_checkpoint(cluster: Cluster) -> None:
    for salt in range(3):
        cluster.submit(2, 1, salt)
        size = cluster.node(1).store.head.size
        note = witnessed(cluster, size)
        head = decode_checkpoint(note.text)
        assert head.root == cluster.node(1).store.root(head.size)
    served = cluster.request(6, "/checkpoint/witnessed")
    assert served.status_code == 200
    assert verify_cosignatures(decode_note(served.content), [KEY])
    # The node that asks no witness has none.
    assert cluster.request(6, "/checkpoint/witnessed", to=2).status_code == 404
    # What the witness has cosigned it shows to anybody, signed by the log.
    origin = sha256(cluster.ledger.origin.encode()).hexdigest()
    shown = cluster.request(None, f"/witness/{origin}/checkpoint", to=WITNESS_NODE)
    assert verify_cosignatures(decode_note(shown.content), [KEY])
    assert TrustedLog.start(cluster.ledger).verify_checkpoint(shown.content).size >= size
    assert cluster.request(None, f"/witness/{'00' * 32}/checkpoint").status_code == 404
    vkey = cluster.request(None, "/witness/vkey", to=WITNESS_NODE).text
    assert decode_vkey(vkey.strip()) == KEY


def test_cosignature_of_a_witness_never_counts_to_the_quorum(cluster: Cluster) -> None:
    note = witnessed(cluster, 1)
    trust = TrustedLog.start(cluster.ledger)
    assert set(trust.verify_checkpoint(encode_note(note)).cosigners) <= {1, 2, 3, 4}
    origin = cluster.ledger.origin
    few = [each for each in note.signatures if each.name in {origin, f"{origin}/1", f"{origin}/2"}]
    (line,) = [each for each in note.signatures if each.name == NAME]
    with pytest.raises(PolicyError, match="cosigned by members"):
        trust.verify_checkpoint(encode_note(Note(note.text, (*few, line))))


def test_node_answers_as_the_protocol_of_witnesses_says(cluster: Cluster) -> None:
    note = witnessed(cluster, 1)
    size = decode_checkpoint(note.text).size
    encoded = encode_note(note)

    def post(body: bytes, to: int = WITNESS_NODE) -> tuple[int, str, str]:
        answer = cluster.client.post(cluster.url(to) + "/witness/add-checkpoint", content=body)
        return answer.status_code, answer.headers["content-type"], answer.text

    status, media, text = post(encode_witness_request(size + 1, [], encoded))
    assert (status, media) == (400, "application/problem+json"), text
    status, media, text = post(encode_witness_request(size - 1, [], encoded))
    assert (status, media) == (409, "text/x.tlog.size")
    known = int(text)
    assert text == f"{known}\n"
    assert known >= size
    assert post(b"old 0\n")[0] == 400
    assert post(encode_witness_request(0, [], encoded), to=1)[0] == 404
    alone = signed(cluster, known + 1, seed("forked"), 2)
    status, _, text = post(encode_witness_request(known, [], alone))
    assert (status, "2 of" in text or "group" in text or "quorum" in text) == (403, True)
    ahead = signed(cluster, known + 1, seed("forked"), 1, 2, 3)
    assert post(encode_witness_request(known, [], ahead))[0] == 422
    assert post(b"x" * (300 << 10))[0] == 413
    good = cluster.request(6, "/checkpoint").content
    size = decode_checkpoint(decode_note(good).text).size
    path = cluster.node(1).store.consistency_path(known, size)
    status, media, text = post(encode_witness_request(known, path, good))
    assert (status, media) == (200, "text/plain; charset=utf-8")
    assert verify_cosignatures(decode_note(good + text.encode()), [KEY])


def test_witness_that_is_shown_a_fork_keeps_what_proves_it(cluster: Cluster) -> None:
    origin = sha256(cluster.ledger.origin.encode()).hexdigest()
    shown = cluster.request(None, f"/witness/{origin}/checkpoint", to=WITNESS_NODE).content
    size = decode_checkpoint(decode_note(shown).text).size
    forged = signed(cluster, size, seed("fork"), 1, 2, 3, 4)
    body = encode_witness_request(size, [], forged)
    answer = cluster.client.post(
        cluster.url(WITNESS_NODE) + "/witness/add-checkpoint", content=body
    )
    assert answer.json()["code"] == "witness-inconsistent"
    (kept,) = cluster.node(WITNESS_NODE).evidence.files()
    assert (kept.word, kept.member) == ("fork", 0)
    data = cluster.node(WITNESS_NODE).evidence.read(kept.name)
    assert data is not None
    verdict = verify_file(data, Brought(ledger=cluster.ledger))
    assert verdict.ok, verdict.findings


def test_witness_that_knows_another_log_is_said_to_the_operator(tmp_path: Path) -> None:
    made = cluster_with_a_witness(tmp_path)
    with made.running((1, 2, 3, 4)) as running:
        running.hand_over_tag_keys()
        # The witness was shown another log first, by whoever holds the keys of all validators.
        tree = Tree([leaf_hash(running.node(1).store.leaf(0)), seed("a"), seed("b")])
        forged = signed(running, 3, tree.root(), 1, 2, 3, 4)
        witness = running.node(WITNESS_NODE).witness
        wait_for(lambda: witness.newest(sha256(running.ledger.origin.encode()).hexdigest()))
        witness.add(encode_witness_request(1, tree.path(1), forged))
        running.submit(1, 1)
        running.submit(1, 1, "more")
        outside = running.node(1).outside
        wait_for(lambda: outside.refused, "a refusal")
        health = running.request(None, "/healthz").json()
        part = next(each for each in health["components"] if each["name"] == "witnesses")
        assert (part["ok"], "may have been forked" in part["detail"]) == (False, True)
        # The ledger goes on without it.
        size = running.submit(2, 1) + 2
        running.wait_for_checkpoint(size)


class Answers:
    """A witness that answers with what a test says."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        self.honest = False
        self.asked: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                request = decode_witness_request(body)
                outer.asked.append(request.old_size)
                status, answer = outer.status, outer.body
                if outer.honest:
                    line = cosign(request.note.text, OWN.name, WITNESS, 1_790_000_000)
                    status, answer = 200, encode_signature(line).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(answer)

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/w"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def answers() -> Iterator[Answers]:
    made = Answers()
    yield made
    made.close()


def ask(cluster: Cluster, answers: Answers, before: OutsideWitnesses | None = None) -> str:
    """Ask once, and return why there is no cosignature; empty if there is."""
    node = cluster.node(2)
    outside = before or OutsideWitnesses(
        [OutsideWitness("w", OWN, answers.url, None)],
        node.store,
        node.publisher,
        ask_ms=1000,
        timeout_ms=2000,
        metrics=Metrics(),
        log=node.log,
    )
    newest = node.publisher.newest
    assert newest is not None

    async def turn() -> None:
        # The publisher belongs to the loop of the cluster.
        outside._publisher = cast("object", _NoPublisher())  # type: ignore[assignment]
        await outside.ask(newest)

    asyncio.run(turn())
    if not outside.failures:
        assert outside.newest is not None
        assert verify_cosignatures(decode_note(outside.newest.note), [OWN])
    return outside.failures.get("w", "")


class _NoPublisher:
    newest = None

    def add_outside(self, size: int, lines: object) -> None:
        assert size
        assert lines


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, b"out of order\x1b[31m", "answers 500: out of order "),
        (302, b"", "answers 302"),
        (200, b"", "gives no cosignature"),
        (200, b"\xff", "gives no cosignature"),
        (200, "— w AAAA\n".encode(), "gives no cosignature"),
        (200, b"x" * (ANSWER_BYTES_MAX + 1), "over 16384 bytes"),
        (409, b"x\n", "409 without a size"),
        (409, b"1\n", "another size at each try"),
        (409, b"4000000\n", "another node was faster"),
    ],
)
def test_witness_that_misbehaves_is_told_of_and_changes_nothing(
    cluster: Cluster, answers: Answers, status: int, body: bytes, message: str
) -> None:
    answers.status, answers.body = status, body
    assert message in ask(cluster, answers)


def test_lines_of_others_in_the_answer_are_ignored(cluster: Cluster, answers: Answers) -> None:
    newest = cluster.node(2).publisher.newest
    assert newest is not None
    text = decode_note(newest.note).text
    stranger = cosign(text, "another.example", SigningKey(seed("stranger")), 1)
    own = cosign(text, OWN.name, WITNESS, 1_790_000_000)
    answers.body = (encode_signature(stranger) + encode_signature(own)).encode()
    assert ask(cluster, answers) == ""
    forged = cosign(f"{text}x\n", OWN.name, WITNESS, 1)
    answers.body = encode_signature(forged).encode()
    assert "gives no cosignature" in ask(cluster, answers)


def test_witness_that_is_away_does_not_stop_the_others(cluster: Cluster, answers: Answers) -> None:
    answers.honest = True
    away = OutsideWitness("away", KEY, "http://127.0.0.1:9/w", None)
    node = cluster.node(2)
    outside = OutsideWitnesses(
        [away, OutsideWitness("w", OWN, answers.url, None)],
        node.store,
        node.publisher,
        ask_ms=1000,
        timeout_ms=2000,
        metrics=Metrics(),
        log=node.log,
    )
    assert ask(cluster, answers, outside) == ""
    assert "does not answer" in outside.failures["away"]


LINE = f"witness w {encode_vkey(OWN)} "
PIN = "ab" * 32


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://w.example/sub/", ("https://w.example/sub", None)),
        (f"https://10.0.0.1:7104/witness#{PIN}", ("https://10.0.0.1:7104/witness", PIN)),
        ("http://127.0.0.1:1", ("http://127.0.0.1:1", None)),
        ("http://[::1]:1/", ("http://[::1]:1", None)),
    ],
)
def test_url_of_a_witness_says_whom_to_believe(
    tmp_path: Path, url: str, expected: tuple[str, str | None]
) -> None:
    path = tmp_path / "outside.policy"
    path.write_text(f"{LINE}{url}\nquorum none\n")
    (found,) = read_witnesses(path)
    assert (found.url, found.pin.hex() if found.pin else None) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "w.example",
        "http://w.example",
        "ftp://127.0.0.1",
        "https://",
        "https://user@w.example",
        "https://w.example/?a=b",
        "https://w.example:port",
        "https://w.example#abc",
    ],
)
def test_url_that_nobody_vouches_for_is_refused(tmp_path: Path, url: str) -> None:
    path = tmp_path / "outside.policy"
    path.write_text(f"{LINE}{url}\nquorum none\n")
    with pytest.raises(ConfigError, match=r"outside\.policy"):
        read_witnesses(path)


def test_checkpoint_that_comes_while_a_witness_is_asked_is_asked_about_next(
    cluster: Cluster, answers: Answers
) -> None:
    node = cluster.node(2)
    answers.honest = True
    older = node.publisher.newest
    assert older is not None
    cluster.wait_for_checkpoint(cluster.submit(1, 1, "meanwhile") + 2, to=2)
    newer = node.publisher.newest
    assert newer is not None
    assert newer.size > older.size
    outside = OutsideWitnesses(
        [OutsideWitness("w", OWN, answers.url, None)],
        node.store,
        node.publisher,
        ask_ms=1,
        timeout_ms=2000,
        metrics=Metrics(),
        log=node.log,
    )

    async def main() -> None:
        await outside.ask(older)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(outside.run(), 1)

    asyncio.run(main())
    assert outside.newest is not None
    assert outside.newest.size >= newer.size
