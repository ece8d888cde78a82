"""What clients and other nodes ask of a simulated node: ways that lose things, and who lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.simulation.keeping import Keeping, SimPeers
from tests.simulation.loop import SimLoop
from tests.simulation.ordering import SKEWED
from tests.world import GENESIS_MS

from tradeline_node.peers import PeerAnswer

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.simulation.network import Network
    from tests.simulation.replica import Replica
    from tests.simulation.simulation import Simulation
    from tests.world import World

    from tradeline_node.outbox import Outbox
    from tradeline_node.store import LedgerStore

LOOKED_AT: Final = 100
"""Deposits that a node lacks, at most."""


class Wire:
    """Connects the custody of the nodes of one run."""

    def __init__(self, run: Simulation, world: World, network: Network, rng: random.Random) -> None:
        self._run, self._world, self._network, self._rng = run, world, network, rng

    def keep(self, replica: Replica, store: LedgerStore, outbox: Outbox) -> Keeping | None:
        """Open the custody of a node; a Byzantine one keeps nothing."""
        run = self._run
        if replica.byzantine:
            return None
        off_ms = run.knobs.skew_ms if replica.member == SKEWED else 0

        def guard(act: Callable[[], None]) -> None:
            run.alive(replica, lambda _: act())

        def send(member: int, target: str, arrived: Callable[[PeerAnswer | None], None]) -> None:
            self._request(replica, run.replicas[member - 1], target, arrived)

        return Keeping(
            self._world.institution(replica.member),
            replica.custody_folder,
            replica.disk,
            store,
            outbox,
            peers=SimPeers(send),
            loop=SimLoop(lambda: run.now_ms, run.after, guard),  # type: ignore[abstract]
            clock_ms=lambda: GENESIS_MS + run.now_ms + off_ms,
        )

    def for_client(self, member: int, act: Callable[[Keeping], Any]) -> Any:
        """Have a node do something for a client; None if it is down or one does not hear."""
        run = self._run
        replica, drop = run.replicas[member - 1], 0.0 if run.healed else run.knobs.drop
        found: list[Any] = []

        def ask(asked: Replica) -> None:
            assert asked.keeping is not None, member
            found.append(act(asked.keeping))

        if replica.keeping is not None and self._rng.random() >= drop:
            run.alive(replica, ask)
        return found[0] if found and self._rng.random() >= drop else None

    def is_fetching(self, replica: Replica, honest: list[Replica]) -> bool:
        """Return whether a node has yet to get, or to say, what it can."""
        own = replica.keeping
        if own is None:
            return False
        own.backlog.follow()
        others = [each.keeping for each in honest if each.keeping and each is not replica]
        wanted = [own.backlog.look(placed) for placed in own.backlog.open(LOOKED_AT)]
        held = any(
            other.custody.held(each.hash) for each in wanted if each is not None for other in others
        )
        lacking = own.tag_keys.missing(replica.store.registry)
        served = any(other.tag_keys.tagger(*each) for each in lacking for other in others)
        return own.busy or held or served

    def _request(
        self,
        source: Replica,
        target: Replica,
        what: str,
        arrived: Callable[[PeerAnswer | None], None],
    ) -> None:
        """Carry a request of one node to another, and the answer back, unless they get lost."""
        run, network = self._run, self._network

        def serve() -> None:
            answers: list[PeerAnswer | None] = [] if target.up else [None]
            run.alive(target, lambda r: answers.append(self._answer(r, source, what)))
            if answers and network.passes(target, source):
                run.after(network.delays_ms()[0], lambda: arrived(answers[0]))

        if network.passes(source, target):
            run.after(network.delays_ms()[0], serve)

    def _answer(self, target: Replica, source: Replica, what: str) -> PeerAnswer:
        if target.keeping is not None:
            return target.keeping.serve(source.member, what)
        self._run.oracle.seen["lie served"] += 1
        return PeerAnswer(200, self._rng.randbytes(200))
