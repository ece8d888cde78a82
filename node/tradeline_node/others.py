"""
The other nodes of the ledger as a source: where they are, what they show, and who served wrongly.

A checkpoint is believed if a quorum of the validators cosigned it, whoever shows it; the registry
is followed to it step by step from the one in the own store.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from tradeline_ledger.checkpoint import decode_checkpoint
from tradeline_ledger.errors import LedgerError, PolicyError
from tradeline_ledger.note import NOTE_BYTES_MAX, decode_note
from tradeline_ledger.trust import STEPS, TrustedLog
from tradeline_node.errors import PeerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_ledger.trust import VerifiedCheckpoint
    from tradeline_node.peers import PeerClient
    from tradeline_node.store import LedgerStore

STEPS_ANSWER_BYTES_MAX: Final = 64 << 20
BUSY_S: Final = (0.5, 1.0, 2.0)
"""Waits before a node that was asked too often is asked again."""
_OK: Final = 200
_TOO_MANY: Final = 429


class Address(NamedTuple):
    """Where the node of a member is."""

    member: int
    endpoint: str
    pin: bytes | None
    """Hash of its TLS key, None if it has none."""


class Fault(NamedTuple):
    """What a node served that does not verify."""

    member: int
    detail: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What one other node showed."""

    member: int
    checkpoint: VerifiedCheckpoint


class Others:
    """The nodes of the other validators, and those that the operator names beside."""

    def __init__(
        self,
        store: LedgerStore,
        client: PeerClient,
        member: int,
        named: Sequence[Address] = (),
    ) -> None:
        """Ask with `client` in the name of `member`; `named` come first, whatever the registry."""
        self._store, self._client, self._member = store, client, member
        self._named = tuple(named)
        self._turn = 0
        self.faults: list[Fault] = []
        """By whom what was served wrongly; they are asked no more."""

    def addresses(self) -> list[Address]:
        """Return whom to ask, beginning with another each time; without whom served wrongly."""
        found = {each.member: each for each in self._named}
        for number in self._store.registry.epoch.validators:
            record = self._store.registry.member(number)
            if record is not None and record.endpoint:
                found.setdefault(number, Address(number, record.endpoint, record.tls_pin))
        blamed = {self._member, *(each.member for each in self.faults)}
        left = [each for number, each in found.items() if number not in blamed]
        self._turn += 1
        start = self._turn % len(left) if left else 0
        return left[start:] + left[:start]

    def blame(self, member: int, error: Exception) -> str:
        """Take note that `member` served what does not verify, and return the text of it."""
        self.faults.append(Fault(member, str(error)))
        return f"{error}; it is asked no more"

    async def get(
        self, address: Address, target: str, bytes_max: int, *, wait_s: float = 0.0
    ) -> bytes:
        """
        Return what the node at `address` answers to `target`, which may take `wait_s` longer.

        One that is busy, or says that it was asked too often, is asked again a little later.

        Raises:
            PeerError: it can't be reached, or refuses.
        """
        for busy_s in (*BUSY_S, None):
            answer = await self._client.request_at(
                address.endpoint,
                address.member,
                target,
                pin=address.pin,
                bytes_max=bytes_max,
                wait_s=wait_s,
            )
            if answer.status == _OK:
                return answer.body
            if answer.status != _TOO_MANY or busy_s is None:
                break
            await asyncio.sleep(busy_s)
        raise PeerError(f"member {address.member} answers {answer.status} to {target}")

    async def shown(self) -> tuple[list[Shown], dict[int, str]]:
        """Return the checkpoints that the others show, verified, and why the rest shows none."""
        shown: list[Shown] = []
        failures: dict[int, str] = {each.member: each.detail for each in self.faults}

        async def ask(address: Address) -> None:
            try:
                shown.append(Shown(address.member, await self._checkpoint(address)))
            except (PeerError, PolicyError) as error:
                # Too few cosignatures for the registry known here: a step may be on its way yet.
                failures[address.member] = str(error)
            except LedgerError as error:
                failures[address.member] = self.blame(address.member, error)

        await asyncio.gather(*map(ask, self.addresses()))
        return shown, failures

    async def newest(self) -> VerifiedCheckpoint:
        """
        Return the newest checkpoint that any of them shows.

        Raises:
            PeerError: none of them shows one; says of each why.
        """
        shown, failures = await self.shown()
        if not shown:
            raise PeerError(f"no other node shows a checkpoint: {told(failures)}")
        return max((each.checkpoint for each in shown), key=lambda each: each.size)

    async def _checkpoint(self, address: Address) -> VerifiedCheckpoint:
        note = await self.get(address, "/checkpoint", NOTE_BYTES_MAX)
        size = decode_checkpoint(decode_note(note).text).size
        store, head = self._store, self._store.head
        trusted = TrustedLog(store.ledger, store.registry, head.height, head.size, (), None)
        followed = -1
        while followed < trusted.height and trusted.size < size:
            followed = trusted.height
            target = f"/v1/registry/steps?from={followed + 1}"
            for step in STEPS.decode(await self.get(address, target, STEPS_ANSWER_BYTES_MAX)):
                if step.index < size:
                    trusted = trusted.advance(step)
        return trusted.verify_checkpoint(note)


def told(failures: dict[int, str]) -> str:
    """Return why each member failed, in one line."""
    return "; ".join(f"member {each}: {failures[each]}" for each in sorted(failures)) or (
        "the registry names no other validator with an endpoint"
    )
