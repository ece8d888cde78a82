"""
The other nodes, as this node asks them: signed requests over HTTP, answers of limited size.

Endpoints and the TLS keys that prove them come from the registry and nowhere else, and redirects
are not followed.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import httpx2

from tradeline_ledger.endpoint import check_endpoint
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.registry import MemberRecord
from tradeline_ledger.request import NONCE_BYTES, sign_request
from tradeline_ledger.signing import SigningKey
from tradeline_node.errors import PeerError
from tradeline_node.tls import PinError, pinned_context

CONNECTIONS_MAX: Final = 32
KEPT_ALIVE_S: Final = 20.0
"""Below what nodes allow, so that a connection and its handshake serve many requests."""
NODE_FEED: Final = 0


@dataclass(frozen=True, slots=True)
class PeerAnswer:
    """What a peer answered."""

    status: int
    body: bytes


class PeerClient:
    """Asks other nodes in the name of this one; for one event loop."""

    def __init__(
        self,
        key: SigningKey,
        member: int,
        ledger_id: bytes,
        timeout_ms: int,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        """Sign with the node key of `member`; each answer may take `timeout_ms`."""
        self._key, self._member, self._ledger_id = key, member, ledger_id
        self._clock_s = clock_s
        self._timeout_s = timeout_ms / 1000
        self._clients: dict[bytes | None, httpx2.AsyncClient] = {}

    async def request(
        self,
        peer: MemberRecord,
        target: str,
        *,
        bytes_max: int,
        method: str = "GET",
        body: bytes = b"",
        wait_s: float = 0.0,
    ) -> PeerAnswer:
        """
        Return what `peer` answers to `target`, a path with its query, asked with `body`; `wait_s`
        is added to the time that it may take.

        Raises:
            PeerError: it has no endpoint, can't be reached, or answers too slowly or too much.
        """
        return await self.request_at(
            _endpoint(peer),
            peer.id,
            target,
            pin=peer.tls_pin,
            bytes_max=bytes_max,
            method=method,
            body=body,
            wait_s=wait_s,
        )

    async def request_at(
        self,
        endpoint: str,
        recipient: int,
        target: str,
        *,
        pin: bytes | None,
        bytes_max: int,
        method: str = "GET",
        body: bytes = b"",
        wait_s: float = 0.0,
    ) -> PeerAnswer:
        """
        Return what the node of member `recipient`, reached at `endpoint`, answers; see `request`.

        `pin` is the hash of its TLS key, None if the registry has none.

        Raises:
            PeerError: it can't be reached, or answers too slowly or too much.
        """
        opened = self._open(
            endpoint, recipient, target, pin=pin, method=method, body=body, wait_s=wait_s
        )
        async with opened as response:
            answer = bytearray()
            async for chunk in response.aiter_raw():
                answer += chunk
                if len(answer) > bytes_max:
                    raise PeerError(f"member {recipient} answers with over {bytes_max} bytes")
            return PeerAnswer(response.status_code, bytes(answer))

    @contextlib.asynccontextmanager
    async def stream(self, peer: MemberRecord, target: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """
        Give what `peer` sends to `target`, chunk by chunk, for as long as it sends; between two
        chunks there may pass as much time as it has for an answer.

        Raises:
            PeerError: it has no endpoint, can't be reached, refuses, or falls silent.
        """
        opened = self._open(_endpoint(peer), peer.id, target, pin=peer.tls_pin)
        async with opened as response:
            if not response.is_success:
                raise PeerError(f"member {peer.id} answers {response.status_code} to {target}")
            yield response.aiter_raw()

    @contextlib.asynccontextmanager
    async def _open(
        self,
        endpoint: str,
        recipient: int,
        target: str,
        *,
        pin: bytes | None,
        method: str = "GET",
        body: bytes = b"",
        wait_s: float = 0.0,
    ) -> AsyncIterator[httpx2.Response]:
        """Send a signed request, and give its answer before its body is read."""
        try:
            check_endpoint(endpoint, pin)
        except MalformedError as error:
            raise PeerError(f"member {recipient} is not asked: {error}") from error
        headers = sign_request(
            self._key,
            member=self._member,
            feed=NODE_FEED,
            ledger_id=self._ledger_id,
            recipient=recipient,
            method=method,
            target=target,
            body=body,
            created_s=int(self._clock_s()),
            nonce=secrets.token_bytes(NONCE_BYTES),
        )
        timeout = httpx2.Timeout(self._timeout_s, read=self._timeout_s + wait_s)
        url = endpoint.rstrip("/") + target
        try:
            async with self._client(pin).stream(
                method, url, headers=headers, content=body or None, timeout=timeout
            ) as response:
                yield response
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise PeerError(
                f"member {recipient} at {endpoint} does not answer: {said(error)}"
            ) from error

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()

    def _client(self, pin: bytes | None) -> httpx2.AsyncClient:
        if pin not in self._clients:
            self._clients[pin] = httpx2.AsyncClient(
                headers={"accept-encoding": "identity"},
                trust_env=False,
                follow_redirects=False,
                verify=pinned_context(pin) if pin is not None else False,
                limits=httpx2.Limits(
                    max_connections=CONNECTIONS_MAX, keepalive_expiry=KEPT_ALIVE_S
                ),
            )
        return self._clients[pin]


def _endpoint(peer: MemberRecord) -> str:
    if not peer.endpoint:
        raise PeerError(f"member {peer.id} has no endpoint in the registry")
    return peer.endpoint


def said(error: Exception) -> str:
    """Return in few words what went wrong; in whole if somebody else holds the TLS key."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, PinError):
        cause = cause.__cause__ or cause.__context__
    return str(cause) if cause is not None else type(error).__name__
