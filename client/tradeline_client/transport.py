"""
How requests reach nodes: one driver for threads, one for `asyncio`.

Both sign, read at most what a request allows, follow no redirect and use no proxy of the
environment. They repeat only idempotent requests, a bounded number of times, and wait as long as
`Retry-After` says, within bounds. No type of the HTTP library leaves this module.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, TypeVar

import httpx2

from tradeline_client.pinning import pinned_context
from tradeline_client.requests import Answer, Flow, Request, Response, Round, TransportFailure
from tradeline_ledger.endpoint import check_endpoint
from tradeline_ledger.errors import MalformedError

T = TypeVar("T")

ATTEMPTS_MAX: Final = 3
RETRY_WAITS_S: Final = (0.1, 0.4)
"""Wait before the first repetition, and before the second."""
RETRY_WAIT_MAX_S: Final = 5.0
"""A node that asks for more patience than this is given up for now."""
NODE_REQUESTS_MAX: Final = 32
"""Requests in flight to one node; a node that hangs costs no more than this."""
THREADS_MAX: Final = 512
"""So that nodes that hang, up to a third of a committee of 16, leave threads for the others."""

_REPEATED: Final = frozenset({429, 502, 503, 504})
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "tradeline-client"}
_REASON_CHARS_MAX: Final = 400

Sign = Callable[[Request], dict[str, str]]
"""Returns the headers that sign a request now."""
Endpoint = Callable[[int], str | None]
"""Returns the base URL of a member's node, None if it has none."""
Pin = Callable[[int], bytes | None]
"""Returns the pinned hash of a node's TLS key; None if there is none, for loopback only."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None
    timeout: httpx2.Timeout
    deadline_s: float


class _Courier:
    """What both drivers share: preparing attempts, judging answers, counting what is in flight."""

    def __init__(self, endpoint: Endpoint, sign: Sign, pin: Pin) -> None:
        self._endpoint = endpoint
        self.pin = pin
        self._sign = sign
        self._in_flight: Counter[int] = Counter()
        self._lock = Lock()

    def begin(self, node: int) -> bool:
        with self._lock:
            if self._in_flight[node] >= NODE_REQUESTS_MAX:
                return False
            self._in_flight[node] += 1
            return True

    def end(self, node: int) -> None:
        with self._lock:
            self._in_flight[node] -= 1

    def prepare(self, request: Request) -> _Prepared | TransportFailure:
        base = self._endpoint(request.node)
        if not base:
            return TransportFailure(request.node, "no endpoint is known")
        try:
            check_endpoint(base, self.pin(request.node))
        except MalformedError as error:
            return TransportFailure(request.node, str(error))
        headers = dict(_HEADERS)
        if request.body:
            headers["Content-Type"] = request.content_type
        if request.signed:
            headers |= self._sign(request)
        return _Prepared(
            request.method,
            base.rstrip("/") + request.target,
            headers,
            request.body or None,
            httpx2.Timeout(request.timeout_s, connect=min(request.timeout_s, 5.0)),
            time.monotonic() + request.timeout_s,
        )

    @staticmethod
    def wait_before_repeating(request: Request, answer: Answer, attempt: int) -> float | None:
        """Return how long to wait before sending again, None if the answer stands."""
        if not request.idempotent or attempt + 1 >= ATTEMPTS_MAX:
            return None
        backoff = RETRY_WAITS_S[attempt]
        if isinstance(answer, TransportFailure):
            return None if answer.timed_out else backoff
        if answer.status not in _REPEATED:
            return None
        wanted = _retry_after_s(answer)
        if wanted is None:
            return backoff
        return wanted if wanted <= RETRY_WAIT_MAX_S else None


class SyncTransport:
    """Runs flows in the calling thread; a round of several requests is sent by a few threads."""

    def __init__(self, endpoint: Endpoint, sign: Sign, pin: Pin = lambda _: None) -> None:
        """Take where nodes are, what signs, and which TLS keys are pinned."""
        self._courier = _Courier(endpoint, sign, pin)
        self._clients: dict[bytes | None, httpx2.Client] = {}
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="tradeline")

    def run(self, flow: Flow[T]) -> T:
        """Return what `flow` returns, or raise what it raises."""
        done, value = _step(flow, None)
        while not done:
            done, value = _step(flow, self._send_round(value))
        result: T = value
        return result

    def close(self) -> None:
        """Give up what is in flight and close all connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for client in self._clients.values():
            client.close()

    def _http(self, node: int) -> httpx2.Client:
        pin = self._courier.pin(node)
        with self._lock:
            if pin not in self._clients:
                self._clients[pin] = httpx2.Client(**_settings(pin))
            return self._clients[pin]

    def _send_round(self, round_: Round) -> tuple[Answer, ...]:
        if round_.delay_s > 0:
            time.sleep(round_.delay_s)
        if len(round_.requests) == 1:
            return (self._send(round_.requests[0]),)
        futures = [self._threads.submit(self._send, request) for request in round_.requests]
        pending: set[Future[Answer]] = set(futures)
        patience = _Patience(round_)
        while pending and not patience.suffice(futures):
            _, pending = wait_for(pending, timeout=patience.left_s(), return_when=FIRST_COMPLETED)
        return tuple(
            future.result() if future.done() else TransportFailure(request.node, _LATE)
            for request, future in zip(round_.requests, futures, strict=True)
        )

    def _send(self, request: Request) -> Answer:
        if not self._courier.begin(request.node):
            return TransportFailure(request.node, _BUSY)
        try:
            for attempt in range(ATTEMPTS_MAX):
                answer = self._attempt(request)
                wait_s = self._courier.wait_before_repeating(request, answer, attempt)
                if wait_s is None:
                    break
                time.sleep(wait_s)
            return answer
        finally:
            self._courier.end(request.node)

    def _attempt(self, request: Request) -> Answer:
        prepared = self._courier.prepare(request)
        if isinstance(prepared, TransportFailure):
            return prepared
        try:
            with self._http(request.node).stream(
                prepared.method,
                prepared.url,
                headers=prepared.headers,
                content=prepared.content,
                timeout=prepared.timeout,
            ) as response:
                chunks = _Chunks(request, response, prepared.deadline_s)
                for chunk in response.iter_raw():
                    chunks.add(chunk)
                return chunks.response()
        except _FAILURES as error:
            return _failure(request, error)


class AsyncTransport:
    """Runs flows in an event loop; what flows compute and store runs in threads beside it."""

    def __init__(self, endpoint: Endpoint, sign: Sign, pin: Pin = lambda _: None) -> None:
        """Take where nodes are, what signs, and which TLS keys are pinned."""
        self._courier = _Courier(endpoint, sign, pin)
        self._clients: dict[bytes | None, httpx2.AsyncClient] = {}
        self._late: set[asyncio.Task[Answer]] = set()

    async def run(self, flow: Flow[T]) -> T:
        """Return what `flow` returns, or raise what it raises."""
        done, value = await asyncio.to_thread(_step, flow, None)
        while not done:
            answers = await self._send_round(value)
            done, value = await asyncio.to_thread(_step, flow, answers)
        result: T = value
        return result

    async def close(self) -> None:
        """Give up what is in flight and close all connections."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        for client in self._clients.values():
            await client.aclose()

    def _http(self, node: int) -> httpx2.AsyncClient:
        pin = self._courier.pin(node)
        if pin not in self._clients:
            self._clients[pin] = httpx2.AsyncClient(**_settings(pin))
        return self._clients[pin]

    async def _send_round(self, round_: Round) -> tuple[Answer, ...]:
        if round_.delay_s > 0:
            await asyncio.sleep(round_.delay_s)
        tasks = [asyncio.ensure_future(self._send(request)) for request in round_.requests]
        pending: set[asyncio.Task[Answer]] = set(tasks)
        patience = _Patience(round_)
        try:
            while pending and not patience.suffice(tasks):
                _, pending = await asyncio.wait(
                    pending,
                    timeout=patience.left_s(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
        except asyncio.CancelledError:
            for task in pending:
                task.cancel()
            raise
        self._late |= pending
        for task in pending:
            task.add_done_callback(self._late.discard)
        return tuple(
            task.result() if task.done() else TransportFailure(request.node, _LATE)
            for request, task in zip(round_.requests, tasks, strict=True)
        )

    async def _send(self, request: Request) -> Answer:
        if not self._courier.begin(request.node):
            return TransportFailure(request.node, _BUSY)
        try:
            for attempt in range(ATTEMPTS_MAX):
                answer = await self._attempt(request)
                wait_s = self._courier.wait_before_repeating(request, answer, attempt)
                if wait_s is None:
                    break
                await asyncio.sleep(wait_s)
            return answer
        finally:
            self._courier.end(request.node)

    async def _attempt(self, request: Request) -> Answer:
        prepared = self._courier.prepare(request)
        if isinstance(prepared, TransportFailure):
            return prepared
        try:
            async with self._http(request.node).stream(
                prepared.method,
                prepared.url,
                headers=prepared.headers,
                content=prepared.content,
                timeout=prepared.timeout,
            ) as response:
                chunks = _Chunks(request, response, prepared.deadline_s)
                async for chunk in response.aiter_raw():
                    chunks.add(chunk)
                return chunks.response()
        except _FAILURES as error:
            return _failure(request, error)


class _RefusedAnswerError(Exception):
    """An answer that is not read to its end."""


class _LateAnswerError(_RefusedAnswerError):
    """An answer that takes too long."""


class _Chunks:
    """Collects one answer within the limits of its request."""

    def __init__(self, request: Request, response: httpx2.Response, deadline_s: float) -> None:
        self._request = request
        self._response = response
        self._deadline_s = deadline_s
        self._body = bytearray()
        declared = response.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > request.bytes_max:
            raise self._too_long()
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _RefusedAnswerError("the answer is compressed, which was not asked for")

    def add(self, chunk: bytes) -> None:
        self._body += chunk
        if len(self._body) > self._request.bytes_max:
            raise self._too_long()
        if time.monotonic() > self._deadline_s:
            raise _LateAnswerError(f"no whole answer within {self._request.timeout_s:g} s")

    def response(self) -> Response:
        headers = {name.lower(): value for name, value in self._response.headers.items()}
        return Response(self._request.node, self._response.status_code, headers, bytes(self._body))

    def _too_long(self) -> _RefusedAnswerError:
        return _RefusedAnswerError(
            f"the answer is longer than the {self._request.bytes_max} bytes that are allowed"
        )


_KEPT_ALIVE_S: Final = 20.0
"""Below what nodes allow, so that a connection and its handshake serve many requests."""
_LIMITS: Final = httpx2.Limits(
    max_connections=256, max_keepalive_connections=64, keepalive_expiry=_KEPT_ALIVE_S
)
_LATE: Final = "not waited for: enough others had answered"
_BUSY: Final = f"{NODE_REQUESTS_MAX} requests to this node are in flight already"
_FAILURES: Final = (
    httpx2.HTTPError,
    httpx2.InvalidURL,
    httpx2.StreamError,
    _RefusedAnswerError,
    OSError,
)


def _settings(pin: bytes | None) -> dict[str, Any]:
    """Return how the HTTP library is set up for the nodes with that pin."""
    common = {"trust_env": False, "follow_redirects": False, "limits": _LIMITS}
    return common if pin is None else common | {"verify": pinned_context(pin)}


def _step(flow: Flow[Any], answers: tuple[Answer, ...] | None) -> tuple[bool, Any]:
    """Return (False, the next round), or (True, what the flow returned)."""
    try:
        return False, next(flow) if answers is None else flow.send(answers)
    except StopIteration as done:
        return True, done.value


class _Patience:
    """Whether what has been answered of a round is enough by now."""

    def __init__(self, round_: Round) -> None:
        self._enough = round_.enough
        hurry_s = round_.hurry_s
        self._hurry_at_s = None if hurry_s is None else time.monotonic() + hurry_s

    def left_s(self) -> float | None:
        """Return until when only successes count, None if no such moment is to come."""
        if self._hurry_at_s is None or self._enough is None:
            return None
        left_s = self._hurry_at_s - time.monotonic()
        return left_s if left_s > 0 else None

    def suffice(self, futures: list[Future[Answer]] | list[asyncio.Task[Answer]]) -> bool:
        if self._enough is None:
            return False
        answers = [future.result() for future in futures if future.done()]
        given = [each for each in answers if isinstance(each, Response)]
        if sum(each.ok for each in given) >= self._enough:
            return True
        hurried = self._hurry_at_s is not None and time.monotonic() >= self._hurry_at_s
        return hurried and len(given) >= self._enough


def _retry_after_s(response: Response) -> float | None:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _failure(request: Request, error: Exception) -> TransportFailure:
    timed_out = isinstance(error, httpx2.TimeoutException | _LateAnswerError)
    return TransportFailure(request.node, _reason(error), timed_out)


def _reason(error: Exception) -> str:
    said = str(error) or type(error).__name__
    name = type(error).__name__.removeprefix("_")
    text = said if isinstance(error, _RefusedAnswerError) else f"{name}: {said}"
    return "".join(char if char.isprintable() else " " for char in text)[:_REASON_CHARS_MAX]
