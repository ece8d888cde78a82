"""How requests travel: against a small server that misbehaves, by both drivers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tradeline_client.errors import NodeProblemError, UnavailableError
from tradeline_client.requests import (
    Answer,
    Flow,
    Request,
    Response,
    Round,
    TransportFailure,
    pause,
    raise_failures,
    try_each,
)
from tradeline_client.transport import NODE_REQUESTS_MAX, AsyncTransport, SyncTransport
from tradeline_ledger.problem import problem

Answers = tuple[Answer, ...]


class Server(ThreadingHTTPServer):
    """Answers by the path; counts what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.release = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ARG002  its base's
        return

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        self.server.asked.append((self.path, dict(self.headers.items()), body))
        count = sum(path == self.path for path, _, _ in self.server.asked)
        match self.path.partition("?")[0]:
            case "/echo":
                self.answer(200, body or b"hello")
            case "/busy-once":
                self.answer(503 if count == 1 else 200, b"x", {"Retry-After": "0"})
            case "/busy-long":
                self.answer(429, problem("rate-limited").to_json(), {"Retry-After": "3600"})
            case "/busy":
                self.answer(503, b"x")
            case "/moved":
                self.answer(302, b"", {"Location": self.server.url + "echo"})
            case "/long":
                self.answer(200, b"x" * 5000)
            case "/endless":
                self.stream({"Transfer-Encoding": "chunked"}, b"400\r\n" + b"x" * 1024 + b"\r\n", 0)
            case "/zipped":
                self.answer(200, b"x", {"Content-Encoding": "gzip"})
            case "/drop":
                self.close_connection = True
            case "/slow":
                self.server.release.wait(10)
                self.answer(200, b"late")
            case "/drip":
                self.stream({"Content-Length": "100"}, b"x", 0.05)

    do_POST = do_GET  # noqa: N815 - named by the base class

    def stream(self, headers: dict[str, str], chunk: bytes, wait_s: float) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for _ in range(10_000):
            try:
                self.wfile.write(chunk)
            except OSError:
                return
            time.sleep(wait_s)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running
    running.release.set()
    running.shutdown()
    thread.join()
    running.server_close()


Run = Callable[[Flow[Any]], Any]


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest, server: Server) -> Iterator[Run]:
    def endpoint(node: int) -> str | None:
        return {1: server.url, 2: server.url, 3: "http://127.0.0.1:9/"}.get(node)

    def sign(each: Request) -> dict[str, str]:
        return {"Signature": f"of {each.target}"}

    if request.param == "sync":
        transport = SyncTransport(endpoint, sign)
        yield transport.run
        transport.close()
        return

    loop = asyncio.new_event_loop()
    other = AsyncTransport(endpoint, sign)
    yield lambda flow: loop.run_until_complete(other.run(flow))
    loop.run_until_complete(other.close())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def ask(
    *requests: Request, enough: int | None = None, hurry_s: float | None = None
) -> Flow[Answers]:
    return (yield Round(requests, enough=enough, hurry_s=hurry_s))


def get(path: str, node: int = 1, **changes: Any) -> Request:
    return Request(node, "GET", path, **changes)


def test_request_arrives_as_it_is(run: Run, server: Server) -> None:
    request = Request(1, "POST", "/echo?a=%2Fb", body=b"body")
    (answer,) = run(ask(request))
    assert (answer.status, answer.body) == (200, b"body")
    ((path, headers, body),) = server.asked
    assert (path, body) == ("/echo?a=%2Fb", b"body")
    assert headers["Signature"] == "of /echo?a=%2Fb"
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Accept-Encoding"] == "identity"


def test_unsigned_request_carries_no_signature(run: Run, server: Server) -> None:
    run(ask(get("/echo", signed=False)))
    assert "Signature" not in server.asked[0][1]


def test_answers_come_in_the_order_of_the_requests(run: Run) -> None:
    answers = run(ask(get("/echo"), get("/echo", node=3), get("/long"), get("/echo", node=7)))
    assert [type(answer) for answer in answers] == [
        Response,
        TransportFailure,
        Response,
        TransportFailure,
    ]
    assert answers[1].reason.startswith("ConnectError")
    assert answers[3].reason == "no endpoint is known"


def test_busy_node_is_asked_again_within_bounds(run: Run, server: Server) -> None:
    (answer,) = run(ask(get("/busy-once")))
    assert answer.status == 200
    (answer,) = run(ask(get("/busy")))
    assert answer.status == 503
    assert [path for path, _, _ in server.asked].count("/busy") == 3


def test_node_that_asks_for_much_patience_is_left_alone(run: Run, server: Server) -> None:
    (answer,) = run(ask(get("/busy-long")))
    assert answer.status == 429
    assert len(server.asked) == 1


@pytest.mark.parametrize("path", ["/busy", "/drop"])
def test_what_is_not_idempotent_is_sent_once(run: Run, server: Server, path: str) -> None:
    run(ask(get(path, idempotent=False)))
    assert len(server.asked) == 1


def test_dropped_connection_is_tried_again(run: Run, server: Server) -> None:
    (answer,) = run(ask(get("/drop")))
    assert isinstance(answer, TransportFailure)
    assert len(server.asked) == 3


def test_redirects_are_not_followed(run: Run, server: Server) -> None:
    (answer,) = run(ask(get("/moved")))
    assert answer.status == 302
    assert len(server.asked) == 1


def test_proxies_of_the_environment_are_not_used(
    run: Run, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9/")
    transport = SyncTransport(lambda _: server.url, lambda _: {})
    (answer,) = transport.run(ask(get("/echo")))
    transport.close()
    assert isinstance(answer, Response)


@pytest.mark.parametrize(
    ("path", "reason"), [("/long", "longer"), ("/endless", "longer"), ("/zipped", "compressed")]
)
def test_answers_are_bounded(run: Run, path: str, reason: str) -> None:
    (answer,) = run(ask(get(path, bytes_max=4096, idempotent=False)))
    assert isinstance(answer, TransportFailure)
    assert reason in answer.reason


def test_answer_that_drips_is_given_up(run: Run) -> None:
    began = time.monotonic()
    (answer,) = run(ask(get("/drip", timeout_s=0.5, idempotent=False)))
    assert isinstance(answer, TransportFailure)
    assert time.monotonic() - began < 3


def test_in_a_hurry_answers_of_any_status_are_enough(run: Run) -> None:
    started = time.monotonic()
    slow = get("/slow", timeout_s=5.0)
    answers = run(ask(slow, get("/moved"), get("/moved"), enough=2, hurry_s=0.1))
    assert time.monotonic() - started < 4
    assert [type(each) for each in answers] == [TransportFailure, Response, Response]


def test_node_that_takes_all_its_time_is_not_asked_again(run: Run, server: Server) -> None:
    (answer,) = run(ask(get("/slow", timeout_s=0.3)))
    assert isinstance(answer, TransportFailure)
    assert answer.timed_out
    assert [path for path, _, _ in server.asked].count("/slow") == 1


def test_enough_successes_do_not_wait_for_the_slow(run: Run) -> None:
    began = time.monotonic()
    answers = run(ask(get("/slow"), get("/echo", node=2), get("/echo", node=2), enough=2))
    assert time.monotonic() - began < 3
    assert isinstance(answers[0], TransportFailure)
    assert "not waited for" in answers[0].reason
    assert all(isinstance(answer, Response) for answer in answers[1:])


def test_too_few_successes_wait_for_all(run: Run) -> None:
    answers = run(ask(get("/echo"), get("/moved"), get("/echo", node=3), enough=2))
    assert [isinstance(answer, Response) for answer in answers] == [True, True, False]


def test_node_that_hangs_costs_a_bounded_number_of_requests(run: Run, server: Server) -> None:
    slow = [get("/slow") for _ in range(NODE_REQUESTS_MAX)]
    run(ask(*slow, get("/echo", node=2), enough=1))
    (answer,) = run(ask(get("/echo")))
    assert isinstance(answer, TransportFailure)
    assert "in flight" in answer.reason
    (other,) = run(ask(get("/echo", node=2)))
    assert isinstance(other, Response)
    server.release.set()


def test_pause_waits(run: Run) -> None:
    began = time.monotonic()
    run(pause(0.2))
    assert time.monotonic() - began >= 0.2


def test_errors_of_a_flow_come_out(run: Run) -> None:
    def flow() -> Flow[None]:
        yield from pause(0)
        raise KeyError("own")

    with pytest.raises(KeyError, match="own"):
        run(flow())


def test_first_node_that_will_do_is_taken(run: Run) -> None:
    body = run(try_each([3, 1], lambda node: get("/echo", node=node), lambda r: r.body))
    assert body == b"hello"
    with pytest.raises(NodeProblemError, match="Too many requests") as caught:
        run(try_each([1, 2], lambda node: get("/busy-long", node=node), lambda r: r.body))
    assert (caught.value.code, caught.value.node) == ("rate-limited", 1)
    with pytest.raises(UnavailableError, match="node 3: ConnectError"):
        run(try_each([3], lambda node: get("/echo", node=node), lambda r: r.body))


def test_reasons_of_all_nodes_stand_in_one_error() -> None:
    failures: dict[int, Exception] = {2: UnavailableError("x", {2: "down"}), 1: ValueError("odd")}
    with pytest.raises(UnavailableError, match=r"\(node 1: odd; node 2: down\)") as caught:
        raise_failures("nothing", failures)
    assert caught.value.reasons == {1: "odd", 2: "down"}
