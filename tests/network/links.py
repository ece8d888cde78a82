"""
How the members of a network reach each other, and what faults do to that.

`proxies` lets all nodes be on loopback and leads connections through TCP proxies; it needs nothing.
`namespaces` gives each node a network namespace of its own at a bridge and touches packets; it
needs root on Linux.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol, Self

QUORUM_MISSES: Final = 1
"""Members that four can do without."""


class Links(Protocol):
    """Links between members, numbered from 1 as they are named, while the context lasts."""

    base_port: int
    """The registry gets `base_port` + member's number - 1 for HTTP, as `Founding` has it."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Addresses that the registry gets, one for all or one for each member."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *raised: object) -> None: ...

    def settings(self, name: str) -> Mapping[str, Any]:
        """Return what node.toml says about where this member's node listens."""

    def url(self, name: str) -> str:
        """Return where observers reach its HTTP process, whatever is cut."""

    def within(self, name: str, /) -> Sequence[str]:
        """Return what a command is begun with that runs where its node does."""

    def engine_at(self, here: str, there: str, /) -> str:
        """Return `host:port` at which the engine of `here` finds that of `there`."""

    def partition(self, *groups: Sequence[str]) -> None:
        """Let nodes reach only their own group, and nobody from outside one without a quorum."""

    def silence(self, name: str) -> None:
        """Let nobody hear the node `name`; it goes on hearing the others."""

    def heal(self) -> None:
        """Take back `partition` and `silence`."""

    def refuse(self, here: str, there: str, *, refused: bool = True) -> None:
        """Let the engine of `here` begin no connection to that of `there`, or let it again."""

    def pull(self, name: str) -> None:
        """Take the node `name` off the network."""

    def plug(self, name: str) -> None:
        """Take back `pull`."""

    def slowed(self, least_ms: int, most_ms: int) -> AbstractContextManager[None]:
        """Let all that nodes send each other take so long, in order."""
