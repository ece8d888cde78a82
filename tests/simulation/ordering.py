"""
The simulated engine: it decides one block after another as a BFT engine may, and no worse.

The proposer's turn goes round. A validator votes for the first proposal of a round that it accepts;
a block with the votes of a quorum, seen by one honest replica, is decided. Who was not reached
learns it from a peer. Consensus itself is not simulated: two blocks of one height are never
decided, whatever a Byzantine validator does with its one vote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tests.world import GENESIS_MS, INSTITUTIONS

from tradeline_ledger.registry import quorum
from tradeline_ledger.transition import Block

if TYPE_CHECKING:
    import random

    from tests.simulation.knobs import Knobs
    from tests.simulation.network import Network
    from tests.simulation.oracle import Oracle
    from tests.simulation.replica import Replica

SKEWED: Final = 3
"""Member whose clock is off."""
CLOCKS_MIN: Final = 3
"""Of which a median leaves out the one that is off."""


class Proposal(NamedTuple):
    """A block, and the app hash of the one before, as an engine's header carries it."""

    block: Block
    app_hash: bytes


class Ordering:
    """The blocks decided so far, and the rounds that decide more."""

    def __init__(
        self,
        replicas: list[Replica],
        network: Network,
        oracle: Oracle,
        knobs: Knobs,
        rng: random.Random,
    ) -> None:
        self._replicas, self._network, self._oracle = replicas, network, oracle
        self._knobs, self._rng = knobs, rng
        self.chain: list[Block] = []
        self._hashes: dict[int, bytes] = {}
        """App hash by height, as the first honest replica computed it."""
        self._round = 0
        self._validators = tuple(each.id for each in INSTITUTIONS if each.validator)
        """Of the block that was proposed last."""
        self.bytes_max = knobs.block_bytes
        self.junk: list[bytes] = []
        """Entries that a Byzantine proposer may use."""

    def round(self, now_ms: int) -> None:
        """Try to decide the next block."""
        self._round += 1
        if self.chain and all(each.known < len(self.chain) for each in self._replicas):
            self._decide_again()
            return
        height = len(self.chain) + 1
        proposer = self._replicas[self._round % len(self._replicas)]
        if not proposer.up or proposer.height != height - 1 or proposer.byzantine == "silence":
            return
        validators = proposer.store.registry.epoch.validators
        if proposer.member not in validators:
            return
        self._validators = validators
        proposal = self._propose(proposer, height, self._time(now_ms))
        if proposal is None:
            return
        if proposer.byzantine == "garbage":
            proposal = self._spoilt(proposal)
        votes: dict[int, Proposal] = {}
        for each in self._replicas:
            if not each.up or each.member not in validators or each.height != height - 1:
                continue
            if self._network.passes(proposer, each):
                sent = self._sent_to(each, proposer, proposal)
                if each.byzantine or self._accepts(each, sent, proposer):
                    votes[each.member] = sent
        for each in self._replicas:
            if each.up and not each.byzantine:
                self._count(each, votes, height)

    def advance(self, replica: Replica) -> bool:
        """Have a replica execute the next block that it knows; False if it knows no more."""
        height = replica.height + 1
        if height > min(replica.known, len(self.chain)):
            return False
        block = self.chain[height - 1]
        app_hash = replica.application.finalize(block)
        if not replica.byzantine:
            known = self._hashes.setdefault(height, app_hash)
            self._oracle.demand(
                known == app_hash,
                f"fork: node {replica.member} has another app hash at height {height}",
            )
        return True

    def sync(self, replica: Replica) -> None:
        """Let a replica fetch decided blocks from a peer."""
        for peer in self._rng.sample(self._replicas, len(self._replicas)):
            if peer.up and self._network.passes(peer, replica):
                replica.known = max(replica.known, peer.known)

    def _decide_again(self) -> None:
        """Decide the last block once more: who knew of it lost its folder, its voters have not."""
        up = [each for each in self._replicas if each.up and each.member in self._validators]
        if len(up) >= quorum(len(self._validators)):
            for each in up:
                each.known = len(self.chain)

    def _time(self, now_ms: int) -> int:
        """Return the block time: the median of the clocks, later than the block before."""
        clocks = sorted(
            now_ms + (self._knobs.skew_ms if each.member == SKEWED else 0)
            for each in self._replicas
            if each.up
        )
        before = self.chain[-1].time_ms if self.chain else GENESIS_MS
        return max(clocks[len(clocks) // 2] if len(clocks) >= CLOCKS_MIN else now_ms, before + 1)

    def _propose(self, proposer: Replica, height: int, time_ms: int) -> Proposal | None:
        waiting = proposer.waiting()
        if not waiting and self._rng.random() >= self._knobs.empty:
            return None
        offered = self._rng.sample(waiting, len(waiting))
        chosen = proposer.application.prepare(
            offered, self.bytes_max, height=height, time_ms=time_ms
        )
        fits = sum(map(len, offered)) <= self.bytes_max
        self._oracle.demand(
            bool(proposer.byzantine) or not fits or sorted(chosen) == sorted(offered),
            f"node {proposer.member} admitted {len(offered)} entries and proposes {len(chosen)}",
        )
        block = Block(height, time_ms, tuple(chosen))
        return Proposal(block, proposer.application.info()[1])

    def _sent_to(self, target: Replica, proposer: Replica, proposal: Proposal) -> Proposal:
        """Return what a proposer sends; a Byzantine one may send something else to each."""
        block, app_hash = proposal
        if proposer.byzantine == "equivocation" and target.member % 2:
            half = tuple(block.entries[: len(block.entries) // 2])
            return Proposal(Block(block.height, block.time_ms + 1, half), app_hash)
        if proposer.byzantine == "app-hash":
            return Proposal(block, self._rng.randbytes(32))
        return proposal

    def _spoilt(self, proposal: Proposal) -> Proposal:
        """Return a proposal with entries that have no place there, and perhaps a wrong header."""
        rng, (block, app_hash) = self._rng, proposal
        junk = [rng.randbytes(rng.choice((0, 1, 200))), *self.junk[-20:], *block.entries]
        entries = [*block.entries, *rng.sample(junk, min(len(junk), 3))]
        rng.shuffle(entries)
        height = block.height + rng.choice((0, 0, 0, -1, 1, 1 << 63))
        time_ms = block.time_ms + rng.choice((0, 0, 0, -(10**12), 1 << 62))
        return Proposal(Block(height, time_ms, tuple(entries)), app_hash)

    def _accepts(self, replica: Replica, proposal: Proposal, proposer: Replica) -> bool:
        _, app_hash = replica.application.info()
        accepted = app_hash == proposal.app_hash and replica.application.process(proposal.block)
        self._oracle.seen["proposal refused"] += not accepted
        self._oracle.demand(
            accepted or bool(proposer.byzantine),
            f"node {replica.member} refuses the honest proposal of node {proposer.member}",
        )
        return accepted

    def _count(self, replica: Replica, votes: dict[int, Proposal], height: int) -> None:
        """Let one replica count the votes that reach it."""
        counted: dict[Block, int] = {}
        for voter in self._replicas:
            if voter.member not in votes or not self._network.passes(voter, replica):
                continue
            # A Byzantine vote goes to every block, an honest one to the one that was received.
            voted = votes.values() if voter.byzantine else (votes[voter.member],)
            for block in dict.fromkeys(each.block for each in voted):
                counted[block] = counted.get(block, 0) + 1
        for block, count in counted.items():
            if count >= quorum(len(self._validators)) and len(self.chain) < height:
                self.chain.append(block)
            if count >= quorum(len(self._validators)) and block == self.chain[-1]:
                replica.known = height
