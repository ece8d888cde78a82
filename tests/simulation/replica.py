"""
One simulated node: the real application, store and outbox on a simulated disk and network.

What a process keeps in memory is lost when it ends; what is on its disk is there for the next one.
`known` stands for the block store of its engine, which is durable.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from tests.simulation.copies import Copy, bring_back, take
from tests.simulation.disk import Disk, Fault, SimDatabase, SimHighWater
from tests.simulation.keeping import lose_indexes

from tradeline_node.application import Application
from tradeline_node.engine import Admission, EngineStatus
from tradeline_node.errors import BusyError, StoreDamagedError
from tradeline_node.outbox import Outbox
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from tests.simulation.keeping import Keeping
    from tests.simulation.oracle import Oracle

    from tradeline_ledger.genesis import Ledger
    from tradeline_node.entry_memory import EntryMemory


class SimStore(LedgerStore):
    """A store that tells whether it had to build tables anew."""

    rebuilds = 0

    @classmethod
    def on(cls, disk: Disk, ledger: Ledger) -> SimStore:
        store = cls(SimDatabase(disk), ledger, read_only=False)
        store._begin()
        store._check_high_water(SimHighWater(disk))
        return store

    def rebuild_index(self) -> None:
        self.rebuilds += 1
        raise StoreDamagedError("simulated: tables are not of one block")


class SimEngine:
    """The `OrderingEngine` that a replica's outbox speaks to: its pool of waiting entries."""

    def __init__(self, replica: Replica, gossip: Callable[[Replica, bytes], None]) -> None:
        self._replica, self._gossip = replica, gossip

    @property
    def height(self) -> int:
        return self._replica.store.engine_height

    def submit(self, entry: bytes) -> Admission:
        replica = self._replica
        if replica.busy():
            raise BusyError("simulated: too many entries wait")
        digest = sha256(entry).digest()
        admission = replica.pool.get(digest, (b"", None))[1]
        if admission is None:
            admission = Admission.of(replica.application.check(entry))
            if not admission.admitted:
                return admission
            replica.pool[digest] = (entry, admission)
        self._gossip(replica, entry)
        return admission

    def start(self) -> None:
        raise AssertionError("the outbox starts no engine")

    def stop(self) -> None:
        raise AssertionError("the outbox stops no engine")

    def status(self) -> EngineStatus:
        return EngineStatus("simulated", self.height, True, None, None, len(self._replica.pool), 0)


class Replica:
    """One node and what it has on its disk; `application` is None while it is down."""

    def __init__(
        self,
        member: int,
        folder: Path,
        ledger: Ledger,
        oracle: Oracle,
        *,
        rng: random.Random,
        memory: EntryMemory,
        gossip: Callable[[Replica, bytes], None],
        busy: float = 0.0,
        lying: bool = False,
        byzantine: str = "",
        decided: Callable[[], int] = lambda: 0,
        keep: Callable[[Replica, LedgerStore, Outbox], Keeping | None] | None = None,
    ) -> None:
        self.member, self._ledger, self._oracle = member, ledger, oracle
        self._folder, self._rng, self._memory, self._gossip = folder, rng, memory, gossip
        self.disk = Disk(rng, lying=lying)
        self.byzantine, self._decided, self._keep = byzantine, decided, keep
        self.busy_chance = busy
        self.known = 0
        """Height up to which its engine has the decided blocks."""
        self._durable = 0
        """Height of the last commit that returned."""
        self._lives = 0
        self._application: Application | None = None
        self._outbox: Outbox | None = None
        self.keeping: Keeping | None = None
        """Its services of custody, None while it is down or if there are none."""
        self.behind_until = 0
        """Height below which it may not know what it posted itself."""
        self.pool: dict[bytes, tuple[bytes, Admission]] = {}

    @property
    def up(self) -> bool:
        return self._application is not None

    @property
    def application(self) -> Application:
        assert self._application is not None, f"node {self.member} is down"
        return self._application

    @property
    def outbox(self) -> Outbox:
        assert self._outbox is not None, f"node {self.member} is down"
        return self._outbox

    @property
    def store(self) -> LedgerStore:
        return self.application.store

    @property
    def height(self) -> int:
        return self.store.engine_height

    def busy(self) -> bool:
        return self._rng.random() < self.busy_chance

    def start(self) -> None:
        """Start the processes on what is on the disk; a disk that lied is found out, and erased."""
        assert not self.up, self.member
        self.disk.fault = Fault.NONE
        try:
            store = SimStore.on(self.disk, self._ledger)
        except StoreDamagedError as error:
            self._oracle.demand(self.disk.lost, f"node {self.member} lost its store: {error}")
            self._oracle.seen["lying disk"] += 1
            self.wipe()
            store = SimStore.on(self.disk, self._ledger)
        self._oracle.demand(
            self.disk.lost or store.engine_height >= self._durable,
            f"node {self.member} had committed height {self._durable}, after the restart it is "
            f"at {store.engine_height}",
        )
        mark = self.disk.mark()
        self._oracle.demand(
            mark is None or mark.size <= store.head.size,
            f"node {self.member} does not see that it lost what it had committed",
        )
        self.disk.lost = False
        self._durable = store.engine_height
        self._application = Application(store)
        self._application.memory = self._memory
        self.pool = {}
        engine = SimEngine(self, self._gossip)
        self._outbox = Outbox(self.outbox_path, store, engine, resend_ms=0, memory=self._memory)
        self._application.on_commit.append(self._outbox.notice)
        if self._keep is not None:
            self.keeping = self._keep(self, store, self._outbox)
        if self.keeping is not None:
            self._application.on_commit.append(self.keeping.committed)

    def stop(self) -> None:
        """End the processes at once; what they wrote stays in the cache of the machine."""
        if self.keeping is not None:
            self.keeping.close()
        if self._application is not None:
            self._application.store.close()
            self.outbox.close()
        self.keeping = None
        self._application = self._outbox = None
        self.pool = {}

    def cut_power(self) -> None:
        self._oracle.seen["power cut"] += 1
        self.stop()
        self.disk.cut_power()
        if self.custody_folder.exists():
            lose_indexes(self.custody_folder, self._rng)

    def copy(self) -> Copy:
        """Return a backup of the node as it runs."""
        to = self._folder / f"copy-{self.member}"
        return take(self.height, self.disk.rows, self.outbox_path, self.custody_folder, to)

    def restore(self, copy: Copy) -> None:
        """Lose the folder, and put an older copy in its place."""
        self.wipe()
        self.disk.rows = dict(copy.rows)
        self._durable = self.known = copy.height
        bring_back(copy, self.outbox_path, self.custody_folder)
        self._oracle.seen["restored"] += 1

    @property
    def outbox_path(self) -> Path:
        return self._folder / f"outbox-{self.member}-{self._lives}.sqlite"

    @property
    def custody_folder(self) -> Path:
        return self._folder / f"custody-{self.member}-{self._lives}"

    def wipe(self) -> None:
        """Lose the folder: store, outbox and the engine's blocks."""
        self.stop()
        self.disk.erase()
        self._lives += 1
        self._durable = self.known = 0
        self.behind_until = self._decided()
        self._oracle.forget_node(self.member)

    def receive(self, entry: bytes) -> None:
        """Take an entry that a peer passed on."""
        digest = sha256(entry).digest()
        if digest not in self.pool:
            admission = Admission.of(self.application.check(entry))
            if admission.admitted:
                self.pool[digest] = (entry, admission)

    def waiting(self) -> list[bytes]:
        return [entry for entry, _ in self.pool.values()]

    def commit(self) -> None:
        """Commit what was finalized; an error of the disk ends the process, as it must."""
        height = self.store.engine_height
        executed = self.application.commit()
        self._oracle.demand(
            not executed.dropped, f"block {self.height} holds entries that have no place"
        )
        assert self.store.engine_height > height, "a commit that did not advance"
        self._settle()

    def take_log(self, leaves: list[bytes], contents: list[bytes]) -> None:
        """Replay one block of a peer's log."""
        self.application.replay(leaves, contents)
        self.known = max(self.known, self.height)
        self._settle()

    def _settle(self) -> None:
        store = self.store
        self._durable = store.engine_height
        if not self.byzantine:
            self._oracle.saw_root(store.head.size, store.root(store.head.size), self.member)
        for digest, (entry, _) in list(self.pool.items()):
            if not self.application.recheck(entry):
                del self.pool[digest]
