"""Every error is one shape: a problem with code and remedy, that repeats nothing of the request."""

from __future__ import annotations

import io
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.cluster import Cluster

import tradeline_node
from tradeline_ledger.problem import CODES, MEDIA_TYPE, all_codes
from tradeline_node.logs import configure_logs

CANARY = "cAnArY110101199003074610"


@pytest.fixture(scope="module")
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, log: io.StringIO) -> Iterator[Cluster]:
    configure_logs("debug", "json", log)
    settings = {"http.anonymous_per_second": 10_000}
    with Cluster(tmp_path_factory.mktemp("net") / "net", settings).running() as running:
        running.wait_for_checkpoint(1)
        yield running


CASES: dict[str, tuple[str, str, bytes, int, str]] = {
    "no such route": ("GET", "/v2/x", b"", 404, "not-found"),
    "no such route, posted": ("POST", "/v2/x", b"x", 404, "not-found"),
    "other method": ("DELETE", "/v1/ledger", b"", 405, "method-not-allowed"),
    "get what is posted": ("GET", "/v1/entries", b"", 405, "method-not-allowed"),
    "text for a number": ("GET", f"/v1/entries/{CANARY}", b"", 422, "request-invalid"),
    "negative number": ("GET", "/v1/entries/-1", b"", 422, "request-invalid"),
    "huge number": ("GET", "/v1/entries/" + "9" * 400, b"", 422, "request-invalid"),
    "no hash": ("GET", f"/content/{CANARY}", b"", 422, "request-invalid"),
    "missing parameter": ("GET", "/v1/consistency?old=1", b"", 422, "request-invalid"),
    "no cursor": ("GET", f"/v1/consents?cursor={CANARY}", b"", 422, "request-invalid"),
    "too long a wait": (
        "GET",
        f"/v1/statements/{'0' * 64}?wait_ms=20001",
        b"",
        422,
        "request-invalid",
    ),
    "long path": ("GET", "/" + "x" * 5000, b"", 404, "not-found"),
    "absent index": ("GET", "/v1/entries/1000", b"", 404, "not-found"),
    "absent tile": ("GET", f"/tile/{CANARY}", b"", 404, "not-found"),
    "encoded path": ("GET", f"/tile/%00%0a{CANARY}", b"", 404, "not-found"),
    "body that is none": ("POST", "/v1/entries", CANARY.encode(), 422, "entry-malformed"),
    "empty body": ("POST", "/v1/entries", b"", 422, "entry-malformed"),
    "no custody": ("POST", "/v1/custody", CANARY.encode(), 422, "custody-malformed"),
    "no tag key": ("PUT", "/v1/tag-keys/1", CANARY.encode(), 422, "tag-key-wrong"),
    "large body": ("PUT", "/v1/tag-keys/1", bytes(100_000), 413, "body-too-large"),
    "absent inquiry": ("POST", "/v1/releases/0", b"x", 404, "not-found"),
    "inquiry ahead": ("POST", "/v1/releases/1000", b"x", 409, "size-ahead"),
}


@pytest.mark.parametrize("case", CASES)
def test_error_is_a_problem(cluster: Cluster, case: str) -> None:
    method, target, body, status, code = CASES[case]
    answer = cluster.request(1, target, method, body)
    document = answer.json()
    assert (answer.status_code, document["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert document["type"].endswith("/" + code)
    assert document["status"] == status
    for name in ("title", "detail", "remedy"):
        assert document[name].strip(), document
    assert document["instance"] == answer.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", document["instance"])
    assert answer.headers["cache-control"] == "no-store"


def test_allowed_methods_are_named(cluster: Cluster) -> None:
    assert cluster.request(1, "/v1/ledger", "DELETE").headers["allow"] == "GET"


def test_failure_of_our_own_is_a_problem_without_a_word_of_its_cause(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_size: int) -> bytes:
        raise ZeroDivisionError(CANARY)

    monkeypatch.setattr(cluster.node(1).store, "root", fail)
    answer = cluster.request(1, "/v1/ledger")
    assert (answer.status_code, answer.json()["code"]) == (500, "node-error")
    assert CANARY not in answer.text


def test_no_quorum_yet_is_a_problem(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_wait_s: float) -> None:
        """Return the newest checkpoint of a node whose peers have not cosigned yet."""

    monkeypatch.setattr(cluster.node(1).publisher, "freshest", nothing)
    answer = cluster.request(1, "/checkpoint")
    assert (answer.status_code, answer.json()["code"]) == (503, "no-quorum-yet")
    assert answer.headers["retry-after"] == "1"


def test_garbage_on_the_line_ends_the_connection_only(cluster: Cluster) -> None:
    address = ("127.0.0.1", cluster.institution(1).port)
    for sent in (b"\x00\xff\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"x" * 100_000):
        with socket.create_connection(address, timeout=5) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert b" 200 " not in connection.recv(4096)
    assert cluster.request(None, "/livez").status_code == 200


def test_nothing_of_a_request_is_repeated_or_logged(cluster: Cluster, log: io.StringIO) -> None:
    hidden = "\x1b[31m" + CANARY
    for method, target, body, _, _ in CASES.values():
        answer = cluster.request(1, target, method, body, headers={"user-agent": CANARY})
        assert CANARY not in answer.text
        assert CANARY not in str(answer.headers)
    for target in (f"/v1/ledger?subject={CANARY}", f"/{CANARY}", f"/v1/statements/{CANARY}"):
        assert CANARY not in cluster.request(1, target).text
        assert CANARY not in cluster.request(None, target).text
    forged = {"signature-input": hidden.encode().hex(), "signature": CANARY}
    assert CANARY not in cluster.request(None, "/v1/ledger", headers=forged).text
    assert CANARY not in cluster.request(None, "/metrics").text
    written = log.getvalue()
    assert CANARY not in written
    assert '"code": "node-error"' in written or "a request failed unexpectedly" in written
    secrets = [
        cluster.institution(1).tag_key.hex(),
        cluster.world().year_key(1, 2026).hex(),
        cluster.world().tag(1, 1, 2026).hex(),
    ]
    assert not [each for each in secrets if each in written]


def test_every_line_of_the_log_is_one_json_object(cluster: Cluster, log: io.StringIO) -> None:
    cluster.request(1, "/nothing%0d%0ahere")
    lines = log.getvalue().splitlines()
    assert lines
    for line in lines:
        assert json.loads(line)["event"]
        assert all(char.isprintable() for char in line)


def test_every_code_says_what_to_do() -> None:
    rows = all_codes()
    assert len({each.code for each in rows}) == len(rows)
    for each in rows:
        assert re.fullmatch("[a-z]+(-[a-z]+)*", each.code), each.code
        assert each.title
        assert each.meaning.endswith("."), each.code
        assert each.remedy.endswith("."), each.code
        assert each.status in (200, *range(400, 600)), each.code


def test_codes_that_the_node_raises_are_listed() -> None:
    """Each code in the source of the node is in the table, and none is there for nothing."""
    (folder,) = tradeline_node.__path__
    source = "".join(path.read_text() for path in Path(folder).rglob("*.py"))
    raised = set(re.findall(r'RequestError\(\s*"([a-z-]+)"', source))
    assert raised <= {each.code for each in all_codes()}
    mentioned = {code for code in CODES if f'"{code}"' in source}
    assert mentioned == set(CODES)
