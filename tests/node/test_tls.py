"""TLS of nodes: the key of the registry answers and is asked, and no other."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec.structs
import pytest
from tests.node.cluster import Cluster, free_ports, institutions
from tests.world import seed

from tradeline_ledger.registry import MemberRecord
from tradeline_ledger.signing import SigningKey
from tradeline_node.errors import ConfigError, PeerError
from tradeline_node.peers import PeerAnswer, PeerClient
from tradeline_node.tls import generate_tls_private, server_context, tls_key, tls_pin

KEY = tls_key(seed("tls"))
OTHER = tls_key(seed("another"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("tls")
    with Cluster(folder, founders=institutions(tls=True)).running() as running:
        yield running


def ask(record: MemberRecord, pin: bytes | None, asker: int = 1) -> PeerAnswer:
    async def main() -> PeerAnswer:
        client = PeerClient(SigningKey(seed("node", asker)), asker, bytes(32), 3_000)
        try:
            return await client.request_at(
                record.endpoint, record.id, "/livez", pin=pin, bytes_max=1_000
            )
        finally:
            await client.close()

    return asyncio.run(main())


def test_nodes_gather_cosignatures_and_serve_members_over_tls(cluster: Cluster) -> None:
    cluster.hand_over_tag_keys()
    index = cluster.submit(1)
    assert cluster.wait_for_checkpoint(index + 1).count(b"\xe2\x80\x94 ") > 3
    assert ask(cluster.node(2).record, cluster.institution(2).pin).status == 200


def test_nobody_serves_plain_http_at_a_port_with_a_pinned_key(cluster: Cluster) -> None:
    with socket.create_connection(("127.0.0.1", cluster.institution(1).port)) as plain:
        plain.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        plain.settimeout(5)
        assert b"HTTP" not in plain.recv(100)


def test_node_does_not_ask_whoever_holds_another_key(cluster: Cluster) -> None:
    record = cluster.node(2).record
    with pytest.raises(PeerError) as caught:
        ask(record, tls_pin(OTHER))
    assert f"has hash {cluster.institution(2).pin.hex()}" in str(caught.value)
    assert f"pins {tls_pin(OTHER).hex()}" in str(caught.value)


def test_node_asks_nobody_without_encryption_or_pin(cluster: Cluster) -> None:
    record = cluster.node(2).record
    with pytest.raises(PeerError, match="pins no TLS key"):
        ask(record, None)
    plain = msgspec.structs.replace(record, endpoint=record.endpoint.replace("https", "http"))
    with pytest.raises(PeerError, match="write https://"):
        ask(plain, record.tls_pin)


@contextmanager
def in_between(port: int) -> Iterator[list[bytes]]:
    """Stand where member 2 is expected, with another key; yields what was heard."""
    heard: list[bytes] = []
    context = server_context(OTHER)
    with socket.create_server(("127.0.0.1", port)) as server:

        def hear() -> None:
            connection, _ = server.accept()
            with connection:
                try:
                    with context.wrap_socket(connection, server_side=True) as opened:
                        heard.append(opened.recv(4096))
                except OSError:
                    heard.append(b"")

        thread = threading.Thread(target=hear)
        thread.start()
        yield heard
        thread.join(10)
        assert not thread.is_alive()


def test_whoever_stands_in_between_hears_no_byte_of_a_request() -> None:
    (port,) = free_ports(1)
    member = replace(institutions(tls=True)[1], port=port)
    with in_between(port) as heard, pytest.raises(PeerError, match="somebody stands in between"):
        ask(member.record, member.record.tls_pin)
    assert heard == [b""]


def test_no_key_is_left_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    load = ssl.SSLContext.load_cert_chain

    def spy(context: ssl.SSLContext, file: Path, **given: bytes) -> None:
        written.append(file.read_bytes())
        assert file.parent.stat().st_mode & 0o77 == 0
        load(context, file, **given)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spy)
    server_context(KEY)
    assert written[0].startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert b"BEGIN PRIVATE" not in written[0]
    assert list(tmp_path.iterdir()) == []
    server_context(KEY)
    certificates = [each[each.index(b"-----BEGIN CERT") :] for each in written]
    assert certificates[0] == certificates[1]


def test_fresh_keys_differ_and_scalars_out_of_range_are_none() -> None:
    first, second = generate_tls_private(), generate_tls_private()
    assert tls_pin(tls_key(first)) != tls_pin(tls_key(second))
    for scalar in (bytes(32), b"\xff" * 32):
        with pytest.raises(ValueError, match=r"out of range|positive"):
            tls_key(scalar)


def test_node_without_a_pinned_key_serves_its_own_machine_only(tmp_path: Path) -> None:
    founded = Cluster(tmp_path, settings={"http.host": "0.0.0.0"})  # noqa: S104  it must refuse
    with pytest.raises(ConfigError, match="would listen without encryption"), founded.running():
        pass
