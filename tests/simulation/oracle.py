"""
What must hold, whatever happened: told of every promise and every root, it keeps its own books.

It stands outside of all nodes, as the journal of a client does, and is judged by nothing that a
node says about itself but its log.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from tests.ledger.consent_model import Model
from tests.mirror import write_mirror
from tests.simulation.governance import MEMBERS
from tests.simulation.governance_check import GovernanceCheck
from tests.world import World

from tradeline_client.audit.auditor import audit
from tradeline_ledger.consent import CONSENT, STATUS, Change, consent_id
from tradeline_ledger.encoding import encode
from tradeline_ledger.inquiry import INQUIRY
from tradeline_ledger.merkle import verify_consistency
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.registry import Role
from tradeline_ledger.statement import (
    FIRST_PREV,
    STATEMENT,
    BlockLeaf,
    EntryLeaf,
    Kind,
    Statement,
    decode_leaf,
    statement_hash,
)
from tradeline_ledger.submission import decode_submission
from tradeline_node.outbox import Standing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.simulation.replica import Replica

    from tradeline_ledger.consent import Terms
    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.registry import Registry
    from tradeline_node.store import LedgerStore


class BrokenError(AssertionError):
    """Something that must hold does not."""


@dataclass(frozen=True)
class Row:
    """One entry of the log, decoded."""

    index: int
    hash: bytes
    """Of its statement."""
    height: int
    time_ms: int
    """Of its block."""
    statement: Statement
    outcome: Outcome
    content: bytes


class Oracle:
    """Promises and roots of one run."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.placed: dict[bytes, tuple[int, Outcome | None]] = {}
        """Acknowledged: log index and outcome by hash of the statement."""
        self.lost: set[bytes] = set()
        """Said to be unplaceable for ever."""
        self.queued: dict[bytes, set[int]] = {}
        """Members whose nodes promised to see an entry through, by its hash."""
        self.roots: dict[int, bytes] = {}
        """Of every size that an honest node ever showed."""
        self.wiped: set[int] = set()
        """Members whose nodes lost their folder."""
        self.models: dict[bytes, Model] = {}
        """Of consents that were drafted, by id."""
        self.seen: Counter[str] = Counter()
        """What happened, so that a campaign can tell what it never met."""

    def demand(self, holds: bool, what: str) -> None:
        if not holds:
            raise BrokenError(what)

    def saw_root(self, size: int, root: bytes, member: int) -> None:
        known = self.roots.setdefault(size, root)
        self.demand(known == root, f"fork: node {member} has another root at size {size}")

    def saw_placed(self, hash_: bytes, index: int, outcome: Outcome | None) -> None:
        known = self.placed.setdefault(hash_, (index, outcome))
        self.demand(known == (index, outcome), f"one entry at {known} and at {(index, outcome)}")

    def saw_queued(self, member: int, hash_: bytes) -> None:
        self.queued.setdefault(hash_, set()).add(member)

    def drafted(self, terms: Terms) -> None:
        self.models[consent_id(encode(terms))] = Model(terms)

    def forget_node(self, member: int) -> None:
        """Ask nothing more of a node whose folder is lost; what is placed stays promised."""
        self.wiped.add(member)
        for members in self.queued.values():
            members.discard(member)

    def judge(self, honest: list[Replica], folder: Path) -> int:
        """Check everything, once all nodes are well again; return the size of the log."""
        stores = [each.store for each in honest]
        first = stores[0]
        self._check_same(honest)
        rows = _rows(first)
        self.seen.update(f"outcome {row.outcome.code}" for row in rows)
        self.seen["kept evidence"] += sum(len(each.outbox.evidence()) for each in honest)
        self.seen["lost"] += len(self.lost)
        self._check_promises(honest, rows)
        self._check_roots(first)
        self._check_feeds(rows)
        self._check_consents(rows, first.registry)
        enacted = GovernanceCheck(first, self.demand).run(rows)
        self.seen.update(f"enacted {each}" for each in enacted)
        self._check_audit(first, folder)
        return first.head.size

    def _check_same(self, honest: list[Replica]) -> None:
        first = honest[0].disk
        for each in honest[1:]:
            differing = [
                key
                for key in sorted({*first.rows, *each.disk.rows})
                if first.rows.get(key) != each.disk.rows.get(key)
            ]
            self.demand(
                not differing,
                f"stores of nodes {honest[0].member} and {each.member} differ in "
                f"{len(differing)} rows, first {differing[:1]}",
            )

    def _check_promises(self, honest: list[Replica], rows: list[Row]) -> None:
        found: dict[bytes, tuple[int, Outcome]] = {}
        for row in rows:
            self.demand(row.hash not in found, f"entry {row.index} is in the log twice")
            found[row.hash] = row.index, row.outcome
        for hash_, said in self.placed.items():
            at = found.get(hash_)
            self.demand(at == said, f"acknowledged as {said}, the log has {at}")
        given_up = [key for node in honest for key in found if node.outbox._rows.lost(key)]
        for hash_ in [*sorted(self.lost), *given_up]:
            self.demand(hash_ not in found, "an entry that was called lost is in the log")
        for node in honest:
            for hash_ in [key for key, members in self.queued.items() if node.member in members]:
                standing = node.outbox.status(hash_).standing
                self.demand(
                    standing in (Standing.PLACED, Standing.LOST),
                    f"node {node.member} took an entry over and now calls it {standing.value}",
                )

    def _check_roots(self, store: LedgerStore) -> None:
        last_size, last_root = 1, store.root(1)
        for size, root in sorted(self.roots.items()):
            self.demand(size <= store.head.size, f"size {size} was shown and is gone")
            path = store.consistency_path(last_size, size)
            verify_consistency(last_size, size, path, last_root, root)
            last_size, last_root = size, root

    def _check_feeds(self, rows: list[Row]) -> None:
        feeds: dict[tuple[int, int], tuple[int, bytes]] = {}
        batches: set[bytes] = set()
        for row in rows:
            said = row.statement
            feed = (said.member, said.feed)
            expected = feeds.get(feed, (0, FIRST_PREV))
            self.demand((said.seq, said.prev) == expected, f"entry {row.index} is out of turn")
            feeds[feed] = (said.seq + 1, row.hash)
            if said.kind == Kind.SUBMISSION and row.outcome is Outcome.ACCEPTED:
                batch = decode_submission(row.content).batch
                hash_ = batch.hash(self.ledger.ledger_id, said.member)
                self.demand(hash_ not in batches, f"entry {row.index} repeats a batch")
                batches.add(hash_)

    def _check_consents(self, rows: list[Row], registry: Registry) -> None:
        """Run the model of consents over the log; the log must say what the model says."""
        for row in rows:
            expected = _unfit(row, self.models, registry) or _expected(self.models, row)
            self.demand(
                expected is None or expected == row.outcome.code,
                f"entry {row.index} is {row.outcome.code}, by the consents it is {expected}",
            )

    def _check_audit(self, store: LedgerStore, folder: Path) -> None:
        world = World(self.ledger, MEMBERS)
        world.registry = store.registry
        world.leaves = store.leaves(0, store.head.size)
        for index, leaf in enumerate(world.leaves):
            if isinstance(decode_leaf(leaf), EntryLeaf):
                world.contents[index] = store.content(index)
        write_mirror(world, folder)
        findings = audit(folder).findings
        self.demand(not findings, f"the audit from genesis finds {findings[:1]}")


def _unfit(row: Row, models: dict[bytes, Model], registry: Registry) -> str | None:
    """Return the outcome of who may not post an entry about a consent, or not with that second."""
    member, kind = row.statement.member, row.statement.kind
    if kind not in (Kind.CONSENT, Kind.STATUS, Kind.INQUIRY):
        return None
    poster = registry.member_at(member, row.height)
    assert poster is not None, row.index
    if kind != Kind.STATUS and not poster.has(Role.READER):
        return "role-missing"
    if poster.suspended:
        return "member-suspended"
    if kind == Kind.CONSENT:
        terms = models[consent_id(CONSENT.decode(row.content).terms)].terms
        second = registry.member_at(terms.second, row.height)
        fit = second is not None and second.has(Role.AUTHENTICATOR) and not second.suspended
        if terms.grantee == member and row.time_ms < terms.until_ms and not fit:
            return "consent-second-unknown"
    return None


def _expected(models: dict[bytes, Model], row: Row) -> str | None:
    member = row.statement.member
    if row.statement.kind == Kind.CONSENT:
        model = models[consent_id(CONSENT.decode(row.content).terms)]
        return model.post(member, row.time_ms, models.get(model.terms.supersedes or b""))
    if row.statement.kind == Kind.STATUS:
        status = STATUS.decode(row.content)
        change = Change(status.change).name.lower()
        return models[status.consent_id].change(member, change, "not")
    if row.statement.kind == Kind.INQUIRY:
        return models[INQUIRY.decode(row.content).consent_id].read(member, row.time_ms)
    return None


def _rows(store: LedgerStore) -> list[Row]:
    rows: list[Row] = []
    begin = 0
    for _, end in store.block_sizes():
        block = cast("BlockLeaf", decode_leaf(store.leaf(end - 1)))
        for index in range(begin, end - 1):
            leaf = cast("EntryLeaf", decode_leaf(store.leaf(index)))
            rows.append(
                Row(
                    index,
                    statement_hash(leaf.statement),
                    leaf.height,
                    block.time_ms,
                    STATEMENT.decode(leaf.statement),
                    Outcome(leaf.outcome),
                    store.content(index),
                )
            )
        begin = end
    return rows
