"""What a node makes of the answers of its engine, and of none."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from tradeline_node.engine.cometbft_rpc import CometBftRpc
from tradeline_node.errors import BusyError, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


@contextmanager
def engine(path: Path, body: bytes | None) -> Iterator[None]:
    """An engine that answers one request with `body`, or closes the connection."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            connected, _ = listening.accept()
            with connected, connected.makefile("rb") as request:
                head = iter(request.readline, b"\r\n")
                headers = dict(each.split(b": ") for each in head if b": " in each)
                request.read(int(headers[b"Content-Length"]))
                if body is not None:
                    connected.sendall(HEAD % len(body) + body)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize("bound", [True, False])
def test_socket_is_closed_when_no_engine_listens(
    bound: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[socket.socket] = []

    class Recorded(socket.socket):
        def __init__(self, family: int) -> None:
            super().__init__(family)
            made.append(self)

    with socket.socket(socket.AF_UNIX) as silent:
        if bound:
            silent.bind(str(tmp_path / "rpc"))
        monkeypatch.setattr(socket, "socket", Recorded)
        with pytest.raises(EngineError, match=r"ConnectionRefusedError|FileNotFoundError"):
            CometBftRpc(tmp_path / "rpc").sync_info()

    assert [each.fileno() for each in made] == [-1]


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (None, "RemoteDisconnected"),
        (b"{", "DecodeError"),
        (b"[]", "ValidationError"),
        (b'{"result": 1}', "answers status with"),
    ],
)
def test_answer_that_is_none_is_an_error(body: bytes | None, match: str, tmp_path: Path) -> None:
    with engine(tmp_path / "rpc", body), pytest.raises(EngineError, match=match):
        CometBftRpc(tmp_path / "rpc").sync_info()


@pytest.mark.parametrize(
    ("said", "match"),
    [("mempool is full: number of txs 5000", "try later"), ("still catching up", "old blocks")],
)
def test_engine_that_takes_nothing_more_is_busy(said: str, match: str, tmp_path: Path) -> None:
    body = b'{"error": {"message": "Internal error", "data": "%s"}}' % said.encode()
    with engine(tmp_path / "rpc", body), pytest.raises(BusyError, match=match):
        CometBftRpc(tmp_path / "rpc").offer(b"entry")


def test_entry_that_the_engine_knows_already_is_known(tmp_path: Path) -> None:
    body = b'{"error": {"message": "Internal error", "data": "tx already exists in cache"}}'
    with engine(tmp_path / "rpc", body):
        assert CometBftRpc(tmp_path / "rpc").offer(b"entry").known
