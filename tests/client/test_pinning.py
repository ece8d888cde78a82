"""TLS to a pinned key: the right key under any certificate, and no other."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.client.network import Network, make_session
from tests.world import seed

from tradeline_client.pinning import spki_hash
from tradeline_client.requests import Answer, Flow, Request, Response, Round, TransportFailure
from tradeline_client.transport import AsyncTransport, SyncTransport


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: list[str]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002  its base's
        return

    def do_POST(self) -> None:
        self.asked.append(self.rfile.read(int(self.headers["content-length"])).decode())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


def expired_certificate(folder: Path) -> tuple[Path, bytes]:
    """Return a file with key and certificate, self-signed, of another host and long expired."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node.example")])
    then = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, then, then + timedelta(days=1))
    ).sign(key, SHA256())
    path = folder / "node.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    return path, spki_hash(certificate.public_bytes(Encoding.DER))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, bytes, list[str]]]:
    path, pin = expired_certificate(tmp_path)
    asked: list[str] = []
    running = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"asked": asked}))
    running.daemon_threads = True
    running.handle_error = lambda *_: None  # type: ignore[method-assign]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    running.socket = context.wrap_socket(running.socket, server_side=True)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield f"https://127.0.0.1:{running.server_address[1]}", pin, asked
    running.shutdown()
    thread.join()
    running.server_close()


def ask() -> Flow[Answer]:
    request = Request(1, "POST", "/v1/entries", body=b"secret", idempotent=False)
    (answer,) = yield Round((request,))
    return answer


def answer_of(kind: str, url: str, pin: bytes | None) -> Answer:
    if kind == "threads":
        transport = SyncTransport(lambda _: url, lambda _: {}, lambda _: pin)
        answer = transport.run(ask())
        transport.close()
        return answer

    async def main() -> Answer:
        other = AsyncTransport(lambda _: url, lambda _: {}, lambda _: pin)
        answer = await other.run(ask())
        await other.close()
        return answer

    return asyncio.run(main())


@pytest.mark.parametrize("kind", ["threads", "loop"])
def test_pinned_key_will_do_under_any_certificate(
    server: tuple[str, bytes, list[str]], kind: str
) -> None:
    url, pin, asked = server
    answer = answer_of(kind, url, pin)
    assert isinstance(answer, Response), answer
    assert asked == ["secret"]


@pytest.mark.parametrize("kind", ["threads", "loop"])
def test_another_key_is_told_nothing(server: tuple[str, bytes, list[str]], kind: str) -> None:
    url, pin, asked = server
    answer = answer_of(kind, url, seed("other key"))
    assert isinstance(answer, TransportFailure)
    assert f"has hash {pin.hex()}, the registry pins {seed('other key').hex()}" in answer.reason
    assert asked == []


@pytest.mark.parametrize("kind", ["threads", "loop"])
def test_without_a_pin_nobody_is_asked(server: tuple[str, bytes, list[str]], kind: str) -> None:
    url, _, asked = server
    answer = answer_of(kind, url, None)
    assert isinstance(answer, TransportFailure)
    assert "pins no TLS key" in answer.reason
    assert asked == []


@pytest.mark.parametrize("kind", ["threads", "loop"])
def test_nothing_goes_unencrypted_to_a_node_with_a_pin(kind: str) -> None:
    answer = answer_of(kind, "http://127.0.0.1:9", seed("key"))
    assert isinstance(answer, TransportFailure)
    assert "write https://" in answer.reason


def test_pin_is_the_one_of_the_registry(network: Network, tmp_path: Path) -> None:
    session = make_session(tmp_path / "client", network)
    assert session.pin(1) is None
    assert session.pin(99) is None
    session.close()
