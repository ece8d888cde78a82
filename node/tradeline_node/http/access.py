"""
Who may use a route: every route names exactly one of these rules as a dependency.

Requests are signed by a key of the registry (`tradeline_ledger.request`). A body is read only
after the signature's headers are there, never beyond the route's limit, and never for longer than
the configured time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Final, cast

from fastapi import Depends
from starlette.requests import Request

from tradeline_ledger.errors import LedgerError, MalformedError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.registry import MemberRecord, Role
from tradeline_ledger.request import (
    DIGEST_HEADER,
    INPUT_HEADER,
    SIGNATURE_HEADER,
    WINDOW_S,
    verify_body,
    verify_head,
)
from tradeline_node.errors import RequestError
from tradeline_node.http.problems import NOT_FOUND
from tradeline_node.service import Node

NODE_FEED: Final = 0
_RULE: Final = "tradeline_rule"
_CREATED: Final = re.compile(r";created=([0-9]{1,15})(?:;|$)")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed the request."""

    record: MemberRecord
    """The member's version in force."""
    feed: int
    """Which of its keys; 0 is its node."""
    body: bytes
    """The body that was signed, empty where there is none."""

    @property
    def member(self) -> int:
        """The member's id."""
        return self.record.id


Rule = Callable[[Request], Coroutine[Any, Any, Caller | None]]


def node_of(request: Request) -> Node:
    """Return the node that the application serves."""
    return cast("Node", request.app.state.node)


CurrentNode = Annotated[Node, Depends(node_of)]


async def anyone(request: Request) -> None:
    """Anyone, signed or not."""
    _allow_anonymous(request)


def anyone_sending(bytes_max: int) -> Callable[[Request], Coroutine[Any, Any, bytes]]:
    """Anyone, with a body of at most `bytes_max` bytes."""

    async def rule(request: Request) -> bytes:
        _allow_anonymous(request)
        return await _read_body(request, bytes_max)

    _name(rule, "anyone with a body")
    return rule


async def log_reader(request: Request) -> Caller | None:
    """Any member; anyone where the node's log is public. Returns None for those unsigned."""
    if node_of(request).config.log.access == "public" and not _is_signed(request):
        _allow_anonymous(request)
        return None
    caller = await _caller(request, 0)
    # The node of a suspended member follows the log, or it would never see the suspension end.
    return caller if caller.feed == NODE_FEED else _not_suspended(caller)


def member(bytes_max: int = 0, role: Role | None = None) -> Rule:
    """Any member, with that role in force, and a body of at most `bytes_max` bytes."""

    async def rule(request: Request) -> Caller:
        caller = _not_suspended(await _caller(request, bytes_max))
        if role is not None and not caller.record.has(role):
            raise NOT_FOUND
        return caller

    _name(rule, "member" if role is None else f"member with role {role.name}")
    return rule


async def own_node(request: Request) -> Caller:
    """This node's own key: whoever operates it, from its own machine or folder."""
    caller = await _caller(request, 0)
    if (caller.member, caller.feed) != (node_of(request).member, NODE_FEED):
        raise NOT_FOUND
    return caller


def rule_of(dependency: object) -> str | None:
    """Return the name of the rule of access that a dependency is; None if it is none."""
    return getattr(dependency, _RULE, None)


def _name(rule: object, name: str) -> None:
    setattr(rule, _RULE, name)


_name(anyone, "anyone")
_name(log_reader, "log reader")
_name(own_node, "own node")


def _not_suspended(caller: Caller) -> Caller:
    if caller.record.suspended:
        raise RequestError(
            Outcome.MEMBER_SUSPENDED.code,
            f"member {caller.member} is suspended since height {caller.record.from_height} or "
            "before; requests of it are refused",
        )
    return caller


def _is_signed(request: Request) -> bool:
    return INPUT_HEADER in request.headers or SIGNATURE_HEADER in request.headers


def _allow_anonymous(request: Request) -> None:
    host = request.client.host if request.client else "unknown"
    allowance = node_of(request).anonymous_rate.take(host)
    if allowance.retry_after_s:
        raise RequestError("rate-limited", retry_after_s=allowance.retry_after_s)


async def _caller(request: Request, bytes_max: int) -> Caller:
    """Return who signed the request; its body is read once its signature is known to be good."""
    node = node_of(request)
    if not _is_signed(request):
        _allow_anonymous(request)
        raise RequestError("request-unsigned")
    headers = _signature_headers(request)
    record, feed = _verify(request, headers, with_body=bytes_max > 0 and _has_body(request))
    allowance = node.member_rate.take(str(record.id))
    request.scope["state"] |= {"member": record.id, "allowance": allowance}
    if allowance.retry_after_s:
        raise RequestError("rate-limited", retry_after_s=allowance.retry_after_s)
    body = await _read_body(request, bytes_max) if bytes_max else b""
    if body:
        try:
            verify_body(headers, body)
        except LedgerError as error:
            raise RequestError("request-signature", str(error)) from error
    return Caller(record, feed, body)


def _verify(
    request: Request, headers: dict[str, str], *, with_body: bool
) -> tuple[MemberRecord, int]:
    """Return the member and the feed that signed the request's head, and use up its nonce."""
    node = node_of(request)
    registry, now_s = node.store.registry, int(node.clock_s())

    def find_key(number: int, feed: int) -> bytes | None:
        record = registry.member(number)
        found = record.feed(feed) if record is not None else None
        return found.key if found is not None else None

    try:
        identity = verify_head(
            headers,
            ledger_id=node.ledger.ledger_id,
            recipient=node.member,
            method=request.method,
            target=_target(request),
            with_body=with_body,
            now_s=now_s,
            find_key=find_key,
        )
    except LedgerError as error:
        _allow_anonymous(request)
        raise _refusal(request, error, now_s) from error
    node.nonces.use(identity.member, identity.feed, identity.nonce)
    record = registry.member(identity.member)
    assert record is not None, identity
    return record, identity.feed


def _has_body(request: Request) -> bool:
    length = request.headers.get("content-length")
    return "transfer-encoding" in request.headers or (length is not None and length != "0")


def _signature_headers(request: Request) -> dict[str, str]:
    found = {}
    for name in (INPUT_HEADER, SIGNATURE_HEADER, DIGEST_HEADER):
        values = request.headers.getlist(name)
        if len(values) > 1:
            raise RequestError("request-signature", f"the header {name} stands twice")
        if values:
            found[name] = values[0]
    return found


def _target(request: Request) -> str:
    """Return path and query as they were sent."""
    path = cast("bytes", request.scope.get("raw_path") or request.scope["path"].encode())
    query = cast("bytes", request.scope["query_string"])
    return (path + b"?" + query if query else path).decode("latin-1")


def _refusal(request: Request, error: LedgerError, now_s: int) -> RequestError:
    created = _CREATED.search(request.headers.get(INPUT_HEADER, ""))
    if created is not None and abs(int(created[1]) - now_s) > WINDOW_S:
        return RequestError(
            "request-expired", f"signed at second {created[1]}, the clock here says {now_s}"
        )
    if isinstance(error, MalformedError):
        return RequestError("request-signature", "the signature does not have the form required")
    return RequestError("request-signature", str(error))


async def _read_body(request: Request, bytes_max: int) -> bytes:
    """Return the body, which is refused as soon as it can be larger than `bytes_max`."""
    too_large = RequestError("body-too-large", f"at most {bytes_max} bytes are allowed here")
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced[:20]) > bytes_max:
        raise too_large
    timeout_s = node_of(request).config.http.body_timeout_ms / 1000
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > bytes_max:
                    raise too_large
    except TimeoutError as error:
        raise RequestError("request-timeout", f"the body took longer than {timeout_s} s") from error
    return bytes(body)
