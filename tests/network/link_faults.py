"""Faults of links beside those of `faults.py`; `lacking` says which links they need."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tests.network.faults import Fault, Scene
from tests.network.namespaces import NamespaceLinks

if TYPE_CHECKING:
    from tests.network.links import Links

FLAP_S: Final = (0.1, 1.0)
"""Least and most that a flapping link is up or down."""
LOST: Final = 0.2
"""Of all packets between nodes."""


@contextmanager
def link_down(scene: Scene) -> Iterator[None]:
    """The network interface of one node is down."""
    name = scene.member().name
    scene.network.links.pull(name)
    yield
    scene.network.links.plug(name)


@contextmanager
def flapping_link(scene: Scene) -> Iterator[None]:
    """The network interface of one node goes down and up, again and again."""
    links, name, stopping = scene.network.links, scene.member().name, threading.Event()

    def flap() -> None:
        while not stopping.is_set():
            links.pull(name)
            stopping.wait(scene.random.uniform(*FLAP_S))
            links.plug(name)
            scene.notes["link went down"] += 1
            stopping.wait(scene.random.uniform(*FLAP_S))

    flapping = threading.Thread(target=flap, name="flap")
    flapping.start()
    yield
    stopping.set()
    flapping.join()


@contextmanager
def packet_loss(scene: Scene) -> Iterator[None]:
    """A fifth of the packets between nodes is lost."""
    links = scene.network.links
    assert isinstance(links, NamespaceLinks), f"{links} has no packets"
    with links.lossy(LOST):
        yield


LINKS: Final[dict[str, Fault]] = {
    "link-down": link_down,
    "flapping-link": flapping_link,
    "packet-loss": packet_loss,
}
"""By the name that `scripts/soak` takes."""


def lacking(fault: str, links: type[Links]) -> str:
    """Return what links of this kind lack for a fault, "" if nothing."""
    return "packets" if fault == "packet-loss" and links is not NamespaceLinks else ""
