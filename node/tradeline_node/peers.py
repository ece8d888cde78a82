"""
The other nodes, as this node asks them: signed requests over HTTP, answers of limited size.

Endpoints come from the registry and nowhere else, and redirects are not followed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx2

from tradeline_ledger.registry import MemberRecord
from tradeline_ledger.request import NONCE_BYTES, sign_request
from tradeline_ledger.signing import SigningKey
from tradeline_node.errors import PeerError

CONNECTIONS_MAX: Final = 32
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
        self._client = httpx2.AsyncClient(
            headers={"accept-encoding": "identity"},
            trust_env=False,
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=CONNECTIONS_MAX),
        )

    async def request(
        self,
        peer: MemberRecord,
        target: str,
        *,
        bytes_max: int,
        method: str = "GET",
        wait_s: float = 0.0,
    ) -> PeerAnswer:
        """
        Return what `peer` answers to `target`, a path with its query; `wait_s` is added to the
        time that it may take.

        Raises:
            PeerError: it has no endpoint, can't be reached, or answers too slowly or too much.
        """
        if not peer.endpoint:
            raise PeerError(f"member {peer.id} has no endpoint in the registry")
        return await self.request_at(
            peer.endpoint, peer.id, target, bytes_max=bytes_max, method=method, wait_s=wait_s
        )

    async def request_at(
        self,
        endpoint: str,
        recipient: int,
        target: str,
        *,
        bytes_max: int,
        method: str = "GET",
        wait_s: float = 0.0,
    ) -> PeerAnswer:
        """
        Return what the node of member `recipient`, reached at `endpoint`, answers; see `request`.

        Raises:
            PeerError: it can't be reached, or answers too slowly or too much.
        """
        headers = sign_request(
            self._key,
            member=self._member,
            feed=NODE_FEED,
            ledger_id=self._ledger_id,
            recipient=recipient,
            method=method,
            target=target,
            body=b"",
            created_s=int(self._clock_s()),
            nonce=secrets.token_bytes(NONCE_BYTES),
        )
        timeout = httpx2.Timeout(self._timeout_s, read=self._timeout_s + wait_s)
        url = endpoint.rstrip("/") + target
        try:
            async with self._client.stream(
                method, url, headers=headers, timeout=timeout
            ) as response:
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > bytes_max:
                        raise PeerError(f"member {recipient} answers with over {bytes_max} bytes")
                return PeerAnswer(response.status_code, bytes(body))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise PeerError(
                f"member {recipient} at {endpoint} does not answer: {type(error).__name__}"
            ) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()
