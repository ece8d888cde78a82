"""
What flows ask of nodes, without deciding how bytes travel.

A flow is a generator: it yields a `Round` of requests, which are sent at the same time, is sent
their answers in the same order, and returns a verified value or raises. `transport` has the two
drivers; flows are the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

import msgspec

from tradeline_client.errors import (
    AnswerError,
    ClientError,
    NodeProblemError,
    UnavailableError,
)
from tradeline_ledger.c2sp import decode_base64
from tradeline_ledger.errors import LedgerError, MalformedError, VerificationError
from tradeline_ledger.problem import PROBLEM_BYTES_MAX, Problem

T = TypeVar("T")

JSON_BYTES_MAX: Final = 256 * 1024
"""Of a JSON answer, unless a request says otherwise."""
TIMEOUT_S: Final = 10.0
OCTETS: Final = "application/octet-stream"

_OK: Final = range(200, 300)
_UNLISTED: Final = "http-status"
"""Code of a failure that is no problem document, such as a proxy's page."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to one node."""

    node: int
    """Member id."""
    method: str
    target: str
    """Path and query."""
    body: bytes = field(default=b"", repr=False)
    content_type: str = OCTETS
    signed: bool = True
    """Whether it is signed with the profile's request feed."""
    bytes_max: int = JSON_BYTES_MAX
    """The driver stops reading an answer that is longer."""
    timeout_s: float = TIMEOUT_S
    """For the whole of one attempt."""
    idempotent: bool = True
    """Whether it may be sent again when nobody knows what became of it."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a node answered: any status, nothing checked."""

    node: int
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status is of success."""
        return self.status in _OK


@dataclass(frozen=True, slots=True)
class TransportFailure:
    """No answer; the node may have received the request all the same."""

    node: int
    reason: str
    timed_out: bool = field(default=False, repr=False)
    """Whether all the time of the request went by: the same node is not asked again at once."""


Answer: TypeAlias = Response | TransportFailure


@dataclass(frozen=True, slots=True)
class Round:
    """Requests to send at the same time."""

    requests: tuple[Request, ...]
    enough: int | None = None
    """Go on after that many successes; the others are then failures. None: wait for all."""
    hurry_s: float | None = None
    """After that long `enough` answers of any status will do, not only successes."""
    delay_s: float = 0.0
    """Wait before they are sent."""


Flow: TypeAlias = Generator[Round, tuple[Answer, ...], T]


def pause(seconds: float) -> Flow[None]:
    """Wait."""
    yield Round((), delay_s=seconds)


def read(answer: Answer) -> Response:
    """
    Return the answer if it is one of success.

    Raises:
        UnavailableError: there is none.
        NodeProblemError: the node did not fulfil the request.
    """
    if isinstance(answer, TransportFailure):
        raise UnavailableError("no answer", {answer.node: answer.reason})
    if not answer.ok:
        raise NodeProblemError(answer.node, problem_of(answer))
    return answer


def problem_of(response: Response) -> Problem:
    """Return the problem that a response without success carries, or one that stands for it."""
    try:
        return Problem.from_json(response.body[: PROBLEM_BYTES_MAX + 1])
    except MalformedError:
        return Problem(
            _UNLISTED,
            response.status,
            f"HTTP status {response.status}",
            "the answer is no problem document",
            "check that the endpoint is a node's and that no proxy stands in between",
        )


def try_each(
    nodes: Sequence[int], build: Callable[[int], Request], take: Callable[[Response], T]
) -> Flow[T]:
    """
    Return what `take` makes of the answer of the first of `nodes` for which it succeeds.

    Raises:
        VerificationError: no node succeeded and one answered something false.
        NodeProblemError: every node that answered did so with this problem.
        UnavailableError: no node succeeded.
    """
    failures: dict[int, Exception] = {}
    for node in nodes:
        (answer,) = yield Round((build(node),))
        try:
            return take(read(answer))
        except (ClientError, LedgerError) as error:
            failures[node] = error
    raise_failures("no node fulfilled the request", failures)
    raise AssertionError


def raise_failures(message: str, failures: Mapping[int, Exception]) -> None:
    """
    Raise the one exception that stands for what every node failed with.

    Raises:
        VerificationError: one answered something false.
        NodeProblemError: every node that answered did so with this problem.
        UnavailableError: anything else.
    """
    for node, error in failures.items():
        if isinstance(error, VerificationError):
            raise error
        if isinstance(error, LedgerError):
            raise AnswerError(node, str(error)) from error
    problems = [error for error in failures.values() if isinstance(error, NodeProblemError)]
    if problems and len({error.code for error in problems}) == 1 and problems[0].code != _UNLISTED:
        raise problems[0]
    raise UnavailableError(message, {node: _reason(error) for node, error in failures.items()})


def from_json(type_: type[T], response: Response) -> T:
    """
    Return the JSON answer as `type_`; fields that it does not know are ignored.

    Raises:
        MalformedError: another shape.
    """
    try:
        return msgspec.json.decode(response.body, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(f"answer does not decode: {error}") from error


def hashes(values: Sequence[str], count_max: int, what: str) -> list[bytes]:
    """
    Return the hashes of a path, each written in base64.

    Raises:
        MalformedError: too many, or one is not 32 bytes.
    """
    if len(values) > count_max:
        raise MalformedError(f"{what} has {len(values)} hashes, at most {count_max}")
    decoded = [decode_base64(value, what) for value in values]
    if any(len(each) != 32 for each in decoded):  # noqa: PLR2004  bytes of a hash
        raise MalformedError(f"{what} has a hash that is not 32 bytes")
    return decoded


def _reason(error: Exception) -> str:
    if isinstance(error, UnavailableError) and len(error.reasons) == 1:
        return next(iter(error.reasons.values()))
    return str(error)
