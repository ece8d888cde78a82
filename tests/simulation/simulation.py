"""
One seeded run of four nodes, their clients and their misfortunes, in one process and no real time.

First comes chaos, in which only safety is asked for; then everything but a Byzantine member is
healed, and what is open must be settled within a bound. The same seed and knobs give the same run,
step by step: `trace` is a hash over all of it.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tests.simulation.custody_check import CustodyCheck
from tests.simulation.disk import CrashError, Fault
from tests.simulation.governance import MEMBERS
from tests.simulation.knobs import BYZANTINE_MEMBER, NODES, Knobs
from tests.simulation.members import Client, Shared
from tests.simulation.network import Network
from tests.simulation.oracle import BrokenError, Oracle
from tests.simulation.ordering import Ordering
from tests.simulation.replica import Replica
from tests.simulation.substitutes import substituted
from tests.simulation.wire import Wire
from tests.world import GENESIS_MS, World, make_ledger

from tradeline_ledger.errors import LedgerError
from tradeline_node.entry_memory import EntryMemory
from tradeline_node.errors import StoreError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from pathlib import Path

    from tests.simulation.copies import Copy

    from tradeline_ledger.genesis import Ledger

CHAOS_MS: Final = 10_000
LIVENESS_MS: Final = 30_000
"""Within which everything is settled once the network is whole."""
ROUND_MS: Final = 100
CLIENT_MS: Final = 250
SEND_MS: Final = 200
RESTART_MS: Final = 1_000
HOUSE_MS: Final = 500
SECOND_MS: Final = 1_000
CLIENTS: Final = (1, 2, 3, 5)
MORE_CLIENTS: Final = (4, 6)
"""Where there is something to vote on, or a tag key to hand over; 6 is to be admitted first."""


@dataclass(frozen=True)
class Result:
    """What became of a run."""

    seed: int
    knobs: Knobs
    failure: str
    """Empty if everything held."""
    size: int
    """Of the log."""
    height: int
    acknowledged: int
    settled_ms: int
    """Simulated time from healing until everything was settled."""
    seen: Counter[str]
    """What happened how often."""
    trace: str
    """The same for the same seed, knobs and code."""


def simulate(seed: int, folder: Path, knobs: Knobs | None = None) -> Result:
    """Return what a run came to; `folder` is for its outboxes and its audit."""
    run = Simulation(seed, knobs or Knobs.draw(seed), folder)
    failure, size = "", 0
    try:
        with substituted():
            size = run.run()
    except BrokenError as error:
        failure = str(error)
    except Exception as error:  # noqa: BLE001  whatever escapes a node is a finding
        failure = f"{type(error).__name__}: {error}"
    finally:
        run.close()
    return Result(
        seed=seed,
        knobs=run.knobs,
        failure=failure,
        size=size,
        height=len(run.ordering.chain),
        acknowledged=len(run.oracle.placed),
        settled_ms=run.settled_ms,
        seen=run.oracle.seen,
        trace=run.trace.hexdigest(),
    )


class Simulation:
    """The world of one run; `run` runs it."""

    def __init__(self, seed: int, knobs: Knobs, folder: Path) -> None:
        self.knobs, self._seed, self._folder = knobs, seed, folder
        self.oracle = Oracle(_ledger())
        self.trace = sha256()
        self.settled_ms = 0
        self.now_ms, self._step = 0, 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._rng = self._stream("faults")
        self.healed = False
        memory = EntryMemory()
        self._network = Network(list(range(1, NODES + 1)), knobs, self._stream("network"))
        world = World(_ledger(), MEMBERS)
        self.replicas: list[Replica] = []
        self._wire = Wire(self, world, self._network, self._stream("wire"))
        self.replicas += [
            Replica(
                member,
                folder,
                _ledger(),
                self.oracle,
                rng=self._stream(f"node {member}"),
                memory=memory,
                gossip=self._gossip,
                busy=knobs.busy,
                lying=knobs.lying_disk == member,
                byzantine=knobs.byzantine if member == BYZANTINE_MEMBER else "",
                decided=lambda: len(self.ordering.chain),
                keep=self._wire.keep if knobs.custody else None,
            )
            for member in range(1, NODES + 1)
        ]
        self.ordering = Ordering(
            self.replicas, self._network, self.oracle, knobs, self._stream("ordering")
        )
        self._shared = Shared(world, knobs, self.oracle, self._wire.for_client)
        more = knobs.governance or knobs.custody
        members = (*CLIENTS, *MORE_CLIENTS) if more else CLIENTS
        self._clients = [Client(m, self._shared, self._stream(f"client {m}")) for m in members]

    def run(self) -> int:
        """Run chaos, healing and judgement; return the size of the log."""
        for each in self.replicas:
            each.start()
            self._every(SEND_MS, partial(self.alive, each, self._send))
            self._every(ROUND_MS, partial(self.alive, each, self._advance))
            if self.knobs.custody:
                each.disk.file_chance = self.knobs.commit_fault
                self._every(HOUSE_MS, partial(self.alive, each, self._keep_house))
        for client in self._clients:
            self._every(CLIENT_MS, partial(self._client, client))
        self._every(ROUND_MS, lambda: self.ordering.round(GENESIS_MS + self.now_ms))
        self._every(SECOND_MS, self._misfortune)
        if self.knobs.wipe:
            self.after(self._rng.randrange(CHAOS_MS), self._wipe)
        if self.knobs.restore:
            self.after(self._rng.randrange(CHAOS_MS // 2), self._back_up)
        if self.knobs.blackout:
            self.after(self._rng.randrange(CHAOS_MS), self._blackout)
        self._until(CHAOS_MS)
        self._heal()
        while not self._settled():
            self.oracle.demand(
                self.now_ms < CHAOS_MS + LIVENESS_MS,
                f"not settled {LIVENESS_MS} ms after healing: {self._describe()}",
            )
            self._until(self.now_ms + SECOND_MS)
        self.settled_ms = self.now_ms - CHAOS_MS
        honest = [each for each in self.replicas if not each.byzantine]
        size = self.oracle.judge(honest, self._folder / "mirror")
        if self.knobs.custody:
            CustodyCheck(self._shared, honest).run()
        self.trace.update(honest[0].store.root(size))
        return size

    def close(self) -> None:
        for each in self.replicas:
            each.stop()

    # Time

    def _stream(self, purpose: str) -> random.Random:
        """Return random numbers of their own for each purpose, so that one knob moves no other."""
        return random.Random(f"{self._seed}/{purpose}")

    def after(self, delay_ms: int, act: Callable[[], None]) -> None:
        self._step += 1
        heapq.heappush(self._events, (self.now_ms + delay_ms, self._step, act))

    def _every(self, period_ms: int, act: Callable[[], None]) -> None:
        def again() -> None:
            act()
            self.after(period_ms, again)

        self.after(self._rng.randrange(period_ms), again)

    def _until(self, end_ms: int) -> None:
        while self._events and self._events[0][0] <= end_ms:
            self.now_ms, step, act = heapq.heappop(self._events)
            self.trace.update(b"%d %d %d\n" % (self.now_ms, step, len(self.ordering.chain)))
            act()
        self.now_ms = end_ms

    # Nodes

    def alive(self, replica: Replica, act: Callable[[Replica], None]) -> None:
        """Have a node do something, unless it is down; a crash or a failed disk ends it."""
        if not replica.up:
            return
        try:
            act(replica)
        except CrashError:
            self.oracle.seen["crash within a commit"] += 1
            self._crash(replica)
        except StoreError:
            self.oracle.seen["failed write"] += 1
            replica.stop()
            self.after(RESTART_MS, lambda: self._start(replica))

    def _send(self, replica: Replica) -> None:
        if replica.height >= replica.behind_until:
            replica.outbox.send()

    def _advance(self, replica: Replica) -> None:
        self.ordering.sync(replica)
        faulty = self._rng.random() < self.knobs.commit_fault and not self.healed
        fault = self._rng.choice((*Fault, None)) if faulty else Fault.NONE
        replica.disk.fault = fault or Fault.NONE
        while self.ordering.advance(replica):
            if fault is None:
                raise CrashError  # between finalize and commit
            replica.commit()

    def _gossip(self, source: Replica, entry: bytes) -> None:
        """Pass an entry on, each copy at its own time; a peer that has it ignores it."""
        for target in self.replicas:
            if target is source or not self._network.passes(source, target):
                continue
            for delay_ms in self._network.delays_ms():
                self.after(delay_ms, partial(self.alive, target, lambda r: r.receive(entry)))

    def _keep_house(self, replica: Replica) -> None:
        if replica.keeping is not None:
            ended = replica.keeping.ended
            self.oracle.demand(not ended, f"node {replica.member} fetches no more: {ended}")
            replica.keeping.keep_house(posting=replica.height >= replica.behind_until)

    def _start(self, replica: Replica) -> None:
        if not replica.up:
            replica.start()
            replica.busy_chance = 0.0 if self.healed else self.knobs.busy

    def _crash(self, replica: Replica) -> None:
        if self._rng.random() < self.knobs.power:
            replica.cut_power()
        else:
            replica.stop()
        delay_ms = self._rng.randrange(3 * RESTART_MS)
        self.after(delay_ms, lambda: self._start(replica))

    # Misfortunes

    def _misfortune(self) -> None:
        """Once a second, throw the dice for everything that goes wrong by chance."""
        if self.healed:
            return
        knobs, rng = self.knobs, self._rng
        for each in self.replicas:
            if each.up and rng.random() < knobs.crash:
                self.oracle.seen["crash"] += 1
                self._crash(each)
        if rng.random() < knobs.partition:
            self.oracle.seen["partition"] += 1
            self._network.split()
        if rng.random() < knobs.one_way:
            self.oracle.seen["one-way cut"] += 1
            self._network.cut_one_way()

    def _blackout(self) -> None:
        for each in self.replicas:
            each.cut_power()
            self.after(self._rng.randrange(RESTART_MS), partial(self._start, each))

    def _back_up(self) -> None:
        """Copy one node; some time later it loses its folder and comes back with the copy."""
        replica = self.replicas[self.knobs.restore - 1]
        if replica.up:
            copy = replica.copy()
            self.after(self._rng.randrange(CHAOS_MS // 2), lambda: self._restore(replica, copy))
        elif not self.healed:
            self.after(ROUND_MS, self._back_up)

    def _restore(self, replica: Replica, copy: Copy) -> None:
        if self._are_whole_without(replica):
            replica.restore(copy)
            replica.start()
        elif not self.healed:
            self.after(ROUND_MS, lambda: self._restore(replica, copy))

    def _are_whole_without(self, replica: Replica) -> bool:
        """Return whether the other honest nodes have everything that was decided."""
        others = [each for each in self.replicas if each is not replica and not each.byzantine]
        height = len(self.ordering.chain)
        return all(each.up and each.height == height for each in others)

    def _wipe(self) -> None:
        """Lose one node's folder, once the others have everything that was decided."""
        wiped = self.replicas[self.knobs.wipe - 1]
        if not self._are_whole_without(wiped):
            if not self.healed:
                self.after(ROUND_MS, self._wipe)
            return
        self.oracle.seen["wipe"] += 1
        wiped.wipe()
        wiped.start()
        if self.knobs.bulk:
            self.alive(wiped, self._take_log)

    def _take_log(self, replica: Replica) -> None:
        """Replay a peer's log; a Byzantine peer alters one leaf or content, which is noticed."""
        peer = next(
            (p for p in reversed(self.replicas) if p is not replica and p.up), self.replicas[0]
        )
        altered = peer.byzantine == "altered-log"
        begin = 1
        for _, end in list(peer.store.block_sizes(1)):
            leaves = peer.store.leaves(begin, end)
            contents = peer.store.contents(range(begin, end - 1))
            if altered:
                spoilt = self._rng.choice((leaves, contents))
                place = self._rng.randrange(len(spoilt))
                spoilt[place] = spoilt[place][:-1] + bytes([spoilt[place][-1] ^ 1])
            try:
                replica.take_log(leaves, contents)
            except LedgerError:
                self.oracle.demand(altered, "an honest peer's log is refused")
                self.oracle.seen["altered log refused"] += 1
                return
            self.oracle.demand(not altered, "a log that a peer altered is taken")
            begin = end

    # Clients

    def _client(self, client: Client) -> None:
        honest = [each for each in self.replicas if each.up and not each.byzantine]
        self.ordering.junk = self._shared.entries
        client.step(honest, GENESIS_MS + self.now_ms, signing=not self.healed)
        honest = [each for each in honest if each.up]
        if honest and not self.healed and self._rng.random() < self.knobs.forged:
            self._forge(self._rng.choice(honest))

    def _forge(self, node: Replica) -> None:
        """Hand over or pass on something that no honest client would."""
        self.oracle.seen["forged"] += 1
        rng, entries = self._rng, self._shared.entries
        entry = bytearray(rng.choice(entries) if entries else rng.randbytes(100))
        how = rng.randrange(4)
        if how == 0:
            entry[rng.randrange(len(entry))] ^= 1 << rng.randrange(8)
        elif how == 1:
            del entry[rng.randrange(len(entry)) :]
        elif how == 2:
            entry += rng.randbytes(rng.choice((1, 50)))
        if rng.random() < 0.5:
            node.receive(bytes(entry))
        else:
            node.outbox.put(bytes(entry))

    # The end

    def _heal(self) -> None:
        self.healed = True
        self._network.heal()
        for each in self.replicas:
            each.busy_chance = each.disk.file_chance = 0.0
            self._start(each)

    def _settled(self) -> bool:
        honest = [each for each in self.replicas if not each.byzantine]
        height = len(self.ordering.chain)
        up = [each for each in honest if each.up]
        return (
            all(each.up and each.height == height and not each.outbox.pending() for each in honest)
            and all(client.settled(up[0].store) for client in self._clients)
            and not any(each.pool for each in honest)
            and not any(self._wire.is_fetching(each, honest) for each in honest)
        )

    def _describe(self) -> str:
        nodes = [
            f"{r.member}: height {r.height}, {r.outbox.pending()} on their way, {len(r.pool)} wait"
            for r in self.replicas
            if r.up
        ]
        open_ = sum(len(line.unresolved) for c in self._clients for line in c.lines)
        fetching = [
            r.member for r in self.replicas if r.up and self._wire.is_fetching(r, self.replicas)
        ]
        return (
            f"height {len(self.ordering.chain)}; {'; '.join(nodes)}; clients wait for {open_}; "
            f"custody of nodes {fetching}"
        )


@cache
def _ledger() -> Ledger:
    return make_ledger()
