"""
Ordering engines: what decides which entries stand in which block.

Consensus is not written here. `local` puts the blocks of one process in order, for replicas in the
same process; other drivers speak to a consensus engine. All drive the same `Application`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tradeline_ledger.outcome import Outcome
    from tradeline_ledger.transition import Applied


@dataclass(frozen=True, slots=True)
class Admission:
    """What an engine says of an entry that was offered to it."""

    admitted: bool
    """Whether it waits for its place. It is never admitted if it would be dropped."""
    outcome: Outcome
    """What it would be in the next block."""
    detail: str
    """What was got and expected; empty if it was admitted."""

    @classmethod
    def of(cls, applied: Applied) -> Admission:
        """Return the admission that follows from what an application said."""
        return cls(applied.signed is not None, applied.outcome, applied.detail)


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """How an engine does."""

    driver: str
    """`local` or `cometbft`."""
    height: int
    """Of the last block committed."""
    running: bool
    failure: str | None
    """Why it halted, None if it did not. Nothing is acknowledged until the node restarts."""
    stalled: str | None
    """Why what is committed here may not be what the network has decided, None while it is."""
    waiting: int
    """Entries admitted and not yet in a block."""
    waiting_bytes: int


class OrderingEngine(Protocol):
    """What an outbox and a node's health need of an engine; any thread may call it."""

    @property
    def height(self) -> int:
        """Height of the last block committed."""
        ...

    def submit(self, entry: bytes) -> Admission:
        """
        Offer an entry; return what it would do. It is admitted unless that is to be dropped.

        The entries of a feed are offered one by one, in order, each after the one before was
        admitted. An entry that waits already is not taken twice. Admission promises nothing:
        whoever offered it offers it again until it has its place or can't get it any more.

        Raises:
            BusyError: too many entries wait.
            EngineError: the engine halted or was stopped.
        """
        ...

    def start(self) -> None:
        """
        Bring replicas that are behind up to date, then make blocks.

        Raises:
            EngineError: the replicas' logs are not of one ledger.
        """
        ...

    def stop(self) -> None:
        """Finish the block that is being made, and make no more."""
        ...

    def status(self) -> EngineStatus:
        """Return how the engine does."""
        ...
