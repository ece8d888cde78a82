"""
What must have become of custody, once all nodes are well again.

Whoever can hold what the log names holds it, what committee members said of their deposits is true,
erased bodies are in no file, and every read under an active consent gives what contributors filed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.simulation import reads

from tradeline_ledger import state
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.event import encode_event
from tradeline_ledger.history import EventId
from tradeline_ledger.redeposit import REDEPOSIT
from tradeline_ledger.state import ConsentStanding
from tradeline_ledger.statement import decode_leaf
from tradeline_ledger.submission import decode_submission

if TYPE_CHECKING:
    from tests.simulation.keeping import Keeping
    from tests.simulation.members import Shared
    from tests.simulation.reads import Asked
    from tests.simulation.replica import Replica

    from tradeline_node.ordered_attachment import Ordered

READS_MAX: Final = 3


class CustodyCheck:
    """Looks at the nodes of one run that keep what they should."""

    def __init__(self, shared: Shared, honest: list[Replica]) -> None:
        self._shared, self._demand = shared, shared.oracle.demand
        self._seen = shared.oracle.seen
        self._store = honest[0].store
        self._nodes: dict[int, Keeping] = {
            each.member: each.keeping for each in honest if each.keeping is not None
        }

    def run(self) -> None:
        """Check everything."""
        found = [self._node.attachments.find(index) for index in self._indexes()]
        ordered = [each for each in found if each is not None]
        for node in self._nodes.values():
            node.keep_house(posting=False)
        for each in ordered:
            self._check_batch(each)
            self._check_deposits(each)
        self._check_said()
        for index in sorted(self._shared.asked)[-READS_MAX:]:
            self._check_read(index, self._shared.asked[index], ordered)

    @property
    def _node(self) -> Keeping:
        return next(iter(self._nodes.values()))

    def _indexes(self) -> list[int]:
        found = (self._store.get(state.batch_key(named)) for named in self._shared.filed)
        return sorted(int.from_bytes(row, "big") for row in found if row is not None)

    def _check_batch(self, ordered: Ordered) -> None:
        row, batch = ordered.state, ordered.batch
        self._check_held(row.batch_hash, row.epoch, row.holders, over=ordered.over)
        for member, node in self._nodes.items():
            for position in range(batch.count) if node.custody.held(row.batch_hash) else ():
                there = node.custody.body(row.batch_hash, position) is not None
                self._demand(
                    there == (position not in ordered.gone),
                    f"node {member} has body {position} of entry {ordered.index}: {there}, it is "
                    f"to be gone: {position in ordered.gone}",
                )

    def _check_deposits(self, ordered: Ordered) -> None:
        deposits = state.deposits_at(self._store, ordered.index, self._store.head.size)
        assert deposits is not None, ordered
        self._check_held(deposits.hash, deposits.epoch, deposits.holders, over=ordered.over)
        self._seen["dealt again"] += deposits.placed != ordered.index

    def _check_held(self, named: bytes, epoch: int, holders: int, *, over: bool) -> None:
        """Whoever is in the committee holds it, if anybody whom it can be got from does."""
        held = {member for member, node in self._nodes.items() if node.custody.held(named)}
        seats = self._store.registry.epochs[epoch].committee
        givers = {each.member for i, each in enumerate(seats) if holders >> i & 1}
        lost = self._shared.oracle.wiped
        self._demand(
            over or bool(held) or not (givers & self._nodes.keys()) - lost,
            f"members {sorted(givers)} gave receipts for {named.hex()[:8]} and none holds it",
        )
        lacking = {each.member for each in seats} & self._nodes.keys() - held
        self._demand(
            over or not held or not lacking,
            f"nodes {sorted(lacking)} lack {named.hex()[:8]}, which nodes {sorted(held)} hold",
        )
        for member in held:
            self._nodes[member].custody.verify(named, self._store.ledger.ledger_id)

    def _check_said(self) -> None:
        """What a committee member said of its deposit is what its dealer made of it."""
        for key, value in self._store.iterate(state.CUSTODY_PREFIX):
            where = key[len(state.CUSTODY_PREFIX) :]
            placed, member = int.from_bytes(where[:8], "big"), int.from_bytes(where[8:], "big")
            good = bool(int.from_bytes(value, "big") & 1)
            self._seen["said ok" if good else "said bad"] += 1
            self._demand(
                good != (self._deposit(placed, member) in self._shared.spoilt),
                f"member {member} says that its deposit of entry {placed} is good: {good}",
            )

    def _deposit(self, placed: int, member: int) -> bytes:
        """Return the hash of a member's sealed deposit."""
        content = self._store.content(placed)
        again = state.read(self._store, state.REDEPOSIT, state.redeposit_key(placed))
        if again is not None:
            deposits, epoch = REDEPOSIT.decode(content).deposits, again.epoch
        else:
            batch = decode_submission(content).batch
            deposits, epoch = tuple(batch.deposits), batch.epoch
        position = self._store.registry.epochs[epoch].position(member)
        assert position is not None, (placed, member)
        return deposits[position].sealed_hash

    def _check_read(self, index: int, asked: Asked, ordered: list[Ordered]) -> None:
        """Read once more: refused without an active consent, else complete and right."""
        store, world = self._store, self._shared.world
        responses, refusals = reads.ask(world, store, index, asked, self._nodes)
        consent = state.read(store, state.CONSENT, state.consent_key(reads.consent_of(asked)))
        assert consent is not None, index
        if consent.standing != ConsentStanding.ACTIVE:
            self._seen["read refused"] += 1
            self._demand(not responses, f"inquiry {index} is answered without an active consent")
            return
        late = {"release-closed", "release-tag-key-missing"}
        self._demand(
            set(refusals.values()) <= late,
            f"inquiry {index} is refused: {sorted(refusals.items())}",
        )
        size, inquiry = store.block_of(index)[1] + 1, decode_leaf(store.leaf(index))
        epoch = store.registry.epoch_at(inquiry.height)
        answering = [each for each in responses if epoch.position(each) is not None]
        before = [each for each in ordered if each.index < size]
        if len(answering) < epoch.threshold:
            self._seen["read without enough answers"] += 1
            return
        if not all(self._opens(each, size) for each in before):
            self._seen["read without enough shares"] += 1
            return
        try:
            report = reads.report(world, store, index, asked, responses)
        except LedgerError as error:
            self._demand(False, f"inquiry {index} gives no report: {error}")
            return
        self._seen["read"] += 1
        shown = {each.id: encode_event(each.event) for each in report.events}
        gone = {each.filed.id for each in report.gone}
        expected, erased = self._filed(before, asked.who)
        self._demand(
            (shown, gone) == (expected, erased),
            f"inquiry {index} shows {sorted(shown)} and {sorted(gone)} gone, filed were "
            f"{sorted(expected)} and {sorted(erased)}",
        )

    def _opens(self, ordered: Ordered, size: int) -> bool:
        """Return whether enough nodes have good shares of what was in force at a size."""
        deposits = state.deposits_at(self._store, ordered.index, size)
        assert deposits is not None, ordered
        epoch = self._store.registry.epochs[deposits.epoch]
        good = 0
        for node in self._nodes.values():
            file = node.custody.open_file(deposits.hash)
            if file is not None:
                with file:
                    good += file.own() is not None
        held = any(node.custody.held(ordered.state.batch_hash) for node in self._nodes.values())
        return ordered.over or (held and good >= epoch.threshold)

    def _filed(self, before: list[Ordered], who: int) -> tuple[dict[EventId, bytes], set[EventId]]:
        expected: dict[EventId, bytes] = {}
        erased: set[EventId] = set()
        for each in before:
            filed = self._shared.filed[each.state.batch_hash]
            for position, (subject, event) in enumerate(filed.events):
                if subject == who and position in each.gone:
                    erased.add(EventId(each.index, position))
                elif subject == who:
                    expected[EventId(each.index, position)] = event
        return expected, erased
