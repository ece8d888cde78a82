"""
A line that carries frames between two network interfaces, late and with losses.

    python tests/network/line.py SEED LEAST_MS MOST_MS LOST NAME OTHER [NAME OTHER …]

A program of its own, which runs in the namespace of the interfaces: the kernel's `netem` is not on
every machine, and the work must not wait for the threads of a test. Carries until its end, and says
`ready` once it does. LOST is a share of frames, from 0 to 1.
"""

from __future__ import annotations

import random
import selectors
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

FRAME_BYTES_MAX: Final = 1 << 17
FRAMES_AT_ONCE: Final = 64
_ALL_PROTOCOLS: Final = 0x0003
_SOL_PACKET: Final = 263
_PACKET_VNET_HDR: Final = 15
"""Frames come with a header that says what the sender left to its hardware, and go with it."""
_PACKET_IGNORE_OUTGOING: Final = 23


@dataclass
class Direction:
    """Frames that go from one interface to another."""

    source: socket.socket
    target: socket.socket
    frames: deque[tuple[float, bytes]] = field(default_factory=deque)
    """On their way, with the times at which they are due."""

    def take(self, drawn: random.Random, delay_s: tuple[float, float], lost: float) -> None:
        """Take frames that have come."""
        with suppress(BlockingIOError):
            for _ in range(FRAMES_AT_ONCE):
                frame = self.source.recv(FRAME_BYTES_MAX)
                due = time.monotonic() + drawn.uniform(*delay_s)
                if drawn.random() >= lost:
                    last = self.frames[-1][0] if self.frames else 0.0
                    self.frames.append((max(due, last), frame))

    def give(self) -> None:
        """Send what is due."""
        while self.frames and self.frames[0][0] <= time.monotonic():
            # A frame for which there is no room is lost, as on any line.
            with suppress(OSError):
                self.target.send(self.frames.popleft()[1])

    def wait_s(self) -> float | None:
        """Return the time until the next frame is due, None if there is none."""
        return max(0.0, self.frames[0][0] - time.monotonic()) if self.frames else None


def main(arguments: Sequence[str]) -> None:
    """Carry frames for ever."""
    seed, least_ms, most_ms, lost, *names = arguments
    sockets = [_open(name) for name in names]
    directions = [
        Direction(source, target)
        for one, other in zip(sockets[::2], sockets[1::2], strict=True)
        for source, target in ((one, other), (other, one))
    ]
    delay_s = (int(least_ms) / 1000, int(most_ms) / 1000)
    drawn = random.Random(seed)
    with selectors.DefaultSelector() as selector:
        for each in directions:
            selector.register(each.source, selectors.EVENT_READ, each)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            waits = [wait for each in directions if (wait := each.wait_s()) is not None]
            for key, _ in selector.select(min(waits, default=None)):
                key.data.take(drawn, delay_s, float(lost))
            for each in directions:
                each.give()


def _open(name: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
    opened.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, struct.pack("i", 1))
    opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, struct.pack("i", 1))
    opened.bind((name, 0))
    opened.setblocking(False)
    return opened


if __name__ == "__main__":
    main(sys.argv[1:])
