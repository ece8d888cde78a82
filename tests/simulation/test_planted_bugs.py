"""
The simulation finds what it is for: each bug that is planted here fails one of the first seeds.

A bug is a small change of the real code, of a sort that was found in other ledgers and databases.
"""

from __future__ import annotations

import re
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
import scripts.simulate
from tests.simulation.cases import Case
from tests.simulation.disk import SimDatabase
from tests.simulation.knobs import Knobs
from tests.simulation.replica import SimStore

from tradeline_ledger import state
from tradeline_ledger.governance import ProposalState
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.registry import MemberRecord
from tradeline_ledger.statement import Kind
from tradeline_ledger.transition import (
    enactment,
    inquiry_rules,
    quality_rules,
    submission_rules,
)
from tradeline_node import application, release_checks
from tradeline_node.application import Application
from tradeline_node.custody import CustodyStore
from tradeline_node.custody_backlog import CustodyBacklog
from tradeline_node.custody_file import AttachmentItems
from tradeline_node.errors import StoreError
from tradeline_node.late_fetch import LateFetch
from tradeline_node.ordered_attachment import OrderedAttachments
from tradeline_node.outbox import Outbox
from tradeline_node.outbox_rows import OutboxRows
from tradeline_node.sweep import Sweeper

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradeline_ledger.consent import Terms
    from tradeline_ledger.inquiry import Inquiry
    from tradeline_ledger.state import View
    from tradeline_ledger.statement import Statement
    from tradeline_ledger.transition import Block, Executed
    from tradeline_ledger.transition.context import Ruling
    from tradeline_node.high_water import HighWater
    from tradeline_node.ordered_attachment import Ordered
    from tradeline_node.store import LedgerStore

SEEDS_MAX: Final = 40
"""Within which each bug is found."""
APPLY: Final = import_module("tradeline_ledger.transition.apply")
"""The module; the package gives the function of that name."""


class Blind(NamedTuple):
    """A view without the rows of one table."""

    view: View
    prefix: bytes

    def get(self, key: bytes) -> bytes | None:
        return None if key.startswith(self.prefix) else self.view.get(key)


def store_does_not_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    write = SimDatabase.write

    def unsynced(self: SimDatabase, *rows: Any, **_: bool) -> None:
        write(self, *rows, synced=False)

    monkeypatch.setattr(SimDatabase, "write", unsynced)


def block_is_written_in_two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    write = SimDatabase.write

    def twice(self: SimDatabase, rows: list[tuple[bytes, bytes]], *more: Any, **how: Any) -> None:
        rows = list(rows)
        write(self, rows[: len(rows) // 2], *more, **how)
        write(self, rows[len(rows) // 2 :], *more, **how)

    monkeypatch.setattr(SimDatabase, "write", twice)


def failed_write_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    write = SimDatabase.write

    def ignoring(self: SimDatabase, *rows: Any, **how: Any) -> None:
        try:
            write(self, *rows, **how)
        except StoreError:
            if self._closed:
                raise

    monkeypatch.setattr(SimDatabase, "write", ignoring)


def lost_blocks_are_not_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def unchecked(self: SimStore, high_water: HighWater) -> None:
        self._high_water = high_water

    monkeypatch.setattr(SimStore, "_check_high_water", unchecked)


def outbox_takes_without_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OutboxRows, "add", lambda *_: None)


def outbox_offers_once(monkeypatch: pytest.MonkeyPatch) -> None:
    offer = Outbox._offer

    def once(self: Outbox, queued: Any) -> bool:
        offered = offer(self, queued)
        self._rows.remove([queued.hash])
        return offered

    monkeypatch.setattr(Outbox, "_offer", once)


def outbox_gives_up_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Outbox, "_loss", lambda _, __, ___, applied: (applied.outcome, "early"))


def any_proposal_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Application, "process", lambda self, block: self._comes_next(block))


def unknown_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Application.process

    def knowing(self: Application, block: Block) -> bool:
        known = all(sha256(entry).digest() in self._verdicts for entry in block.entries)
        return known and process(self, block)

    monkeypatch.setattr(Application, "process", knowing)


def proposer_keeps_order_of_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "_feed_order", list)


def pool_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Application, "recheck", lambda *_, **__: True)


def proposal_is_executed_once_a_height(monkeypatch: pytest.MonkeyPatch) -> None:
    execute = Application._execute

    def by_height(self: Application, block: Block) -> Executed:
        if self._executed is not None and self._executed[0].height == block.height:
            return self._executed[1]
        return execute(self, block)

    monkeypatch.setattr(Application, "_execute", by_height)


def peers_log_is_not_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradeline_ledger.transition.block._compare", lambda *_: None)


def positions_may_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    check = APPLY._check_position

    def lenient(view: View, statement: Statement) -> None:
        feed = state.read(view, state.FEED, state.feed_key(statement.member, statement.feed))
        if feed is None or statement.seq >= feed.next_seq:
            check(view, statement)

    monkeypatch.setattr(APPLY, "_check_position", lenient)


def revoked_consent_still_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    check = inquiry_rules._check_consent

    def lenient(*asked: Any) -> Outcome | None:
        outcome = check(*asked)
        return None if outcome is Outcome.INQUIRY_CONSENT_REVOKED else outcome

    monkeypatch.setattr(inquiry_rules, "_check_consent", lenient)


def used_up_consent_still_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = inquiry_rules.rule

    def lenient(view: View, *asked: Any) -> Ruling:
        return rule(Blind(view, state.reads_key(b"", 0)[:1]), *asked)

    monkeypatch.setitem(APPLY._RULES, Kind.INQUIRY, lenient)


def batch_is_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = submission_rules.rule

    def lenient(view: View, *asked: Any) -> Ruling:
        return rule(Blind(view, state.batch_key(b"")), *asked)

    monkeypatch.setitem(APPLY._RULES, Kind.SUBMISSION, lenient)


def votes_count_after_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProposalState, "expired", lambda *_: False)


def change_takes_effect_a_block_late(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(view: View, ledger: Any, pending: Any, height: int, time_ms: int) -> Any:
        return enactment.enact(view, ledger, pending, height - 1, time_ms)

    monkeypatch.setattr("tradeline_ledger.transition.block.enact", late)


def suspended_member_still_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemberRecord, "suspended", False)


def quality_statement_counts_what_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality_rules, "_counts_fit", lambda *_: True)


def receipts_are_given_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CustodyStore, "_write", lambda *_: None)


def bad_deposit_is_called_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CustodyBacklog, "_is_good", lambda *_: True)


def what_is_lacking_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradeline_node.late_fetch.PAUSES_S", (1000.0,))
    monkeypatch.setattr(LateFetch, "_is_due", lambda self, what: what not in self._trials)


def peer_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def keep(self: OrderedAttachments, ordered: Ordered, attachment: bytes) -> None:
        sealed = (b"",) * len(ordered.batch.deposits)
        bodies = (attachment,) * ordered.batch.count
        row, batch = ordered.state, ordered.batch.encode()
        items = AttachmentItems(row.batch_hash, row.member, batch, bodies, sealed, b"")
        self._custody.put(items, expires_ms=0, due_month=0, log_index=ordered.index)

    monkeypatch.setattr(OrderedAttachments, "keep", keep)


def erased_bodies_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sweeper, "due", lambda _: False)


def release_does_not_look_at_the_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    def lenient(store: LedgerStore, inquiry: Inquiry) -> Terms:
        found = state.read_consent(store, inquiry.consent_id)
        assert found is not None, inquiry
        return found[1]

    monkeypatch.setattr(release_checks, "_consent", lenient)


def history_leaves_out_the_first_event(monkeypatch: pytest.MonkeyPatch) -> None:
    histories = SimStore.histories

    def shorter(self: SimStore, *asked: Any) -> Any:
        found = histories(self, *asked)
        return [(member, tag, events[1:] or events) for member, tag, events in found]

    monkeypatch.setattr(SimStore, "histories", shorter)


class Found(NamedTuple):
    """How a bug shows."""

    failure: str
    """A pattern of what the simulation says."""
    knobs: Knobs | None = None
    """Faults without which it shows seldom; None: whatever the seeds draw."""


KEPT: Final = Knobs(custody=True, bad_deposit=0.3, drop=0.1, entries_max=80)
LIED_TO: Final = Knobs(custody=True, byzantine="garbage", drop=0.3)
VOTED: Final = Knobs(governance=True, entries_max=80)

BUGS: Final[dict[Callable[[pytest.MonkeyPatch], None], Found]] = {
    store_does_not_sync: Found("lost its store|had committed height"),
    block_is_written_in_two_parts: Found("lost its store"),
    failed_write_is_ignored: Found("lost its store|had committed height"),
    lost_blocks_are_not_noticed: Found(
        "does not see that it lost", Knobs(lying_disk=1, crash=0.5, power=1)
    ),
    outbox_takes_without_writing: Found("now calls it unknown|not settled"),
    outbox_offers_once: Found("now calls it unknown|not settled"),
    outbox_gives_up_early: Found(
        "called lost is in the log",
        Knobs(copied_key=0.3, drop=0.3, delay_ms=1500, partition=0.3),
    ),
    any_proposal_is_accepted: Found("holds entries that have no place", Knobs(byzantine="garbage")),
    unknown_entries_are_refused: Found("refuses the honest proposal"),
    proposer_keeps_order_of_arrival: Found("admitted .* and proposes"),
    pool_is_not_asked_again: Found("admitted .* and proposes|not settled"),
    proposal_is_executed_once_a_height: Found("fork"),
    peers_log_is_not_verified: Found("a log that a peer altered is taken"),
    positions_may_repeat: Found("UNIQUE|twice|out of turn"),
    revoked_consent_still_reads: Found("by the consents it is inquiry-consent-revoked"),
    used_up_consent_still_reads: Found("by the consents it is inquiry-frequency-used"),
    batch_is_taken_twice: Found("repeats a batch"),
    votes_count_after_their_time: Found("is vote-proposal-expired", Knobs(governance=True)),
    change_takes_effect_a_block_late: Found("is due at height", Knobs(governance=True)),
    suspended_member_still_writes: Found("may not write it|member-suspended", VOTED),
    quality_statement_counts_what_is_not_there: Found("does not fit", VOTED),
    receipts_are_given_for_nothing: Found("file is missing|custody of nodes", KEPT),
    bad_deposit_is_called_good: Found("says that its deposit", KEPT),
    what_is_lacking_is_asked_for_once: Found("custody of nodes", KEPT),
    peer_is_believed: Found("not the one that the batch names", LIED_TO),
    erased_bodies_stay: Found("has body .* it is to be gone: True", KEPT),
    release_does_not_look_at_the_consent: Found("without an active consent", KEPT),
    history_leaves_out_the_first_event: Found("shows .* filed were", KEPT),
}


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    expected = BUGS[plant]
    cases = (Case(seed, expected.knobs or Knobs.draw(seed)) for seed in range(SEEDS_MAX))
    failure = next(filter(None, (case.run().failure for case in cases)), None)

    assert failure is not None, f"not within {SEEDS_MAX} seeds"
    assert re.search(expected.failure, failure), failure


def test_a_failure_is_printed_with_the_fewest_faults_that_cause_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    any_proposal_is_accepted(monkeypatch)
    quiet = Knobs(byzantine="garbage", skew_ms=3_600_000, duplicate=0.5)

    assert scripts.simulate.run([Case(0, quiet)]) == 1

    printed = capsys.readouterr().out.splitlines()
    shrunk = Case.parse(printed[3].strip())
    assert "entries that have no place" in printed[0]
    assert "entries that have no place" in printed[2]
    assert printed[1].strip() == Case(0, quiet).text
    assert shrunk.knobs.changed().keys() == {"byzantine", "entries_max"}
