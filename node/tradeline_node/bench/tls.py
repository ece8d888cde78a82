"""What TLS adds to the POST of an attachment, and what one handshake takes, on loopback."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx2
import uvicorn
import uvloop

from tradeline_ledger.measured import Measured
from tradeline_node.bench.stopwatch import Stopwatch, rss_mib
from tradeline_node.http.server import Protocol
from tradeline_node.tls import (
    generate_tls_private,
    pinned_context,
    server_context,
    tls_key,
    tls_pin,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY_BYTES: Final = 400_000
"""An attachment of 1,000 events in 256-byte bodies, with four deposits."""
HANDSHAKES: Final = 20
_HOST: Final = "127.0.0.1"
_START_S: Final = 10.0


def measure_tls(posts: int) -> Measured:
    """
    Return what `posts` POSTs of 400 kB take over one connection, plain and with TLS.

    Both sides are in this process, so a stage's processor time is that of client and server. A lap
    is one POST with TLS, and an event of the figures is one POST.
    """
    key = tls_key(generate_tls_private())
    verify = pinned_context(tls_pin(key))
    watch, plain = Stopwatch(), Stopwatch()
    with _serving(None) as url:
        _post(url, verify=False, posts=posts, watch=plain, stage="plain")
    with _serving(server_context(key)) as url:
        _post(url, verify=verify, posts=posts, watch=watch, stage="tls")
        handshakes = Stopwatch()
        for _ in range(HANDSHAKES):
            with handshakes.lap(), handshakes.stage("handshake"), _client(verify=verify) as client:
                client.get(url)
    cpu_s = plain.cpu_s | watch.cpu_s
    figures = {
        "body_bytes": BODY_BYTES,
        "plain_p50_ms": round(sorted(plain.laps_ms)[posts // 2], 3),
        "added_cpu_ms": round((cpu_s["tls"] - cpu_s["plain"]) * 1000 / posts, 3),
        "connection_cpu_ms": round(handshakes.cpu_s["handshake"] * 1000 / HANDSHAKES, 3),
    }
    return Measured("tls", posts, watch.seconds, watch.laps_ms, cpu_s, rss_mib(), figures)


def _client(*, verify: ssl.SSLContext | bool) -> httpx2.Client:
    return httpx2.Client(verify=verify, trust_env=False)


def _post(
    url: str, *, verify: ssl.SSLContext | bool, posts: int, watch: Stopwatch, stage: str
) -> None:
    body = bytes(BODY_BYTES)
    with _client(verify=verify) as client:
        client.post(url, content=body)
        for _ in range(posts):
            with watch.lap(), watch.stage(stage):
                client.post(url, content=body).raise_for_status()


async def _take(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Take a body and answer with its size."""
    assert scope["type"] == "http", scope["type"]
    taken, more = 0, True
    while more:
        message = await receive()
        taken += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(taken).encode()})


@contextmanager
def _serving(tls: ssl.SSLContext | None) -> Iterator[str]:
    """Serve as nodes do, in a thread; yields the URL."""
    config = uvicorn.Config(
        _take,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        ssl_context_factory=(lambda *_: tls) if tls is not None else None,
    )
    server = uvicorn.Server(config)
    with socket.create_server((_HOST, 0)) as listening:

        def serve() -> None:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(server.serve(sockets=[listening]))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"{'http' if tls is None else 'https'}://{_HOST}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_START_S)
