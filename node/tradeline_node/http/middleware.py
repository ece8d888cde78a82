"""
What every request passes through, as pure ASGI: its id, its line in the log, its metrics, and a
problem document when something fails that nobody expected.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tradeline_node.http.problems import problem_response

if TYPE_CHECKING:
    from tradeline_node.http.limits import Allowance
    from tradeline_node.service import Node

REQUEST_ID_BYTES: Final = 8
_UNROUTED: Final = "unrouted"
_SERVER_ERROR: Final = 500
_CLIENT_ERROR: Final = 400
_READS: Final = {"GET", "HEAD"}
_SECURITY: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


class RequestMiddleware:
    """Outermost layer of the application."""

    def __init__(self, app: ASGIApp, node: Node) -> None:
        """Wrap `app`, which serves `node`."""
        self._app, self._node = app, node

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = secrets.token_hex(REQUEST_ID_BYTES)
        started = time.perf_counter()
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _mark(MutableHeaders(scope=message), state)
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        except Exception:  # the boundary of the process: log and answer
            self._node.log.exception(
                "a request failed unexpectedly", request_id=state["request_id"]
            )
            if status == 0:
                answer = problem_response("node-error", request_id=state["request_id"])
                await answer(scope, receive, send_marked)
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", _UNROUTED)
        metrics, state = self._node.metrics, scope["state"]
        metrics.requests.labels(route, scope["method"], str(status)).inc()
        metrics.request_seconds.labels(route).observe(seconds)
        level = (
            "warning"
            if status >= _SERVER_ERROR
            else "info"
            if status >= _CLIENT_ERROR or scope["method"] not in _READS
            else "debug"
        )
        getattr(self._node.log, level)(
            "request",
            request_id=state["request_id"],
            member=state.get("member"),
            method=scope["method"],
            route=route,
            status=status,
            code=state.get("code"),
            duration_ms=round(seconds * 1000, 1),
        )


def _mark(headers: MutableHeaders, state: dict[str, Any]) -> None:
    headers["x-request-id"] = state["request_id"]
    for name, value in _SECURITY.items():
        headers.setdefault(name, value)
    headers.setdefault("cache-control", "no-store")
    allowance: Allowance | None = state.get("allowance")
    if allowance is not None:
        for name, value in allowance.headers("member").items():
            headers[name] = value
