"""Links between nodes: what is cut waits, what is healed arrives whole and in order."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.network.proxy import HOST, Link, Proxies, Way
from tests.node.cluster import free_ports

SHORT_S = 0.2
LONG_S = 5.0


@pytest.fixture
def echo() -> Iterator[int]:
    """A port that sends back what it gets."""
    with socket.create_server((HOST, 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connected, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connected,), daemon=True).start()

        def answer(connected: socket.socket) -> None:
            with connected:
                while data := connected.recv(1 << 16):
                    connected.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def links() -> Iterator[Proxies]:
    with Proxies() as links:
        yield links


@pytest.fixture
def link(links: Proxies, echo: int) -> Link:
    return links.open(free_ports(1)[0], echo)


def connect(link: Link) -> socket.socket:
    connected = socket.create_connection((HOST, link.port))
    connected.settimeout(LONG_S)
    return connected


def silent(connected: socket.socket) -> bool:
    connected.settimeout(SHORT_S)
    try:
        connected.recv(1)
    except TimeoutError:
        return True
    finally:
        connected.settimeout(LONG_S)
    return False


def receive(connected: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        data = connected.recv(count - len(found))
        assert data, f"closed after {len(found)} of {count} bytes"
        found += data
    return found


def test_bytes_arrive_whole_and_the_end_too(link: Link) -> None:
    sent = bytes(range(256)) * 4096
    with closing(connect(link)) as connected:
        sending = threading.Thread(target=connected.sendall, args=(sent,))
        sending.start()
        assert receive(connected, len(sent)) == sent
        sending.join()
        connected.shutdown(socket.SHUT_WR)
        assert connected.recv(1) == b""


@pytest.mark.parametrize(("way", "there", "back"), [(Way.THERE, 0, 0), (Way.BACK, 5, 0)])
def test_one_way_cut_holds_one_way_only(
    links: Proxies, link: Link, way: Way, there: int, back: int
) -> None:
    with closing(connect(link)) as connected:
        links.cut([link], way)
        connected.sendall(b"first")
        assert silent(connected)
        assert link.bytes == {Way.THERE: there, Way.BACK: back}
        connected.sendall(b"second")
        links.heal([link])
        assert receive(connected, 11) == b"firstsecond"


def test_connection_that_begins_during_a_cut_goes_on_after_it(links: Proxies, link: Link) -> None:
    links.cut([link])
    with closing(connect(link)) as connected:
        connected.sendall(b"late")
        assert silent(connected)
        links.heal([link])
        assert receive(connected, 4) == b"late"


def test_delayed_bytes_keep_their_order(links: Proxies, link: Link) -> None:
    links.delay([link], 20, 60)
    with closing(connect(link)) as connected:
        started = time.monotonic()
        for number in range(10):
            connected.sendall(bytes([number]) * 3)
        assert receive(connected, 30) == b"".join(bytes([each]) * 3 for each in range(10))
        assert time.monotonic() - started >= 0.04


def test_refused_link_ends_connections_until_it_takes_them_again(
    links: Proxies, link: Link
) -> None:
    with closing(connect(link)) as connected:
        connected.sendall(b"x")
        assert receive(connected, 1) == b"x"
        links.refuse([link])
        assert connected.recv(1) == b""
    links.refuse([link], refused=False)
    with closing(connect(link)) as connected:
        connected.sendall(b"y")
        assert receive(connected, 1) == b"y"
