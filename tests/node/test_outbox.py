from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

import pytest
from tests.node.engines import LocalCluster
from tests.node.keys import end_feed
from tests.node.workload import Feeds
from tests.world import BULK, DESK, World, make_ledger, next_prev

from tradeline_ledger.encoding import encode
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.statement import ENTRY, Kind, content_hash, verify_statement
from tradeline_node import outbox as outbox_module
from tradeline_node.engine import Admission
from tradeline_node.errors import BusyError, EngineError, StoreError
from tradeline_node.outbox import Outbox, Standing, StatementStatus
from tradeline_node.outbox_rows import OutboxRows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tradeline_node.engine import EngineStatus


class Lossy:
    """An engine that can be told to forget what it admitted, to halt or to be busy."""

    def __init__(self, cluster: LocalCluster) -> None:
        self.cluster = cluster
        self.offered: list[bytes] = []
        self.forgetting = False
        self.error: Exception | None = None

    @property
    def height(self) -> int:
        return self.cluster.local.height

    def submit(self, entry: bytes) -> Admission:
        if self.error is not None:
            raise self.error
        self.offered.append(entry)
        if self.forgetting:
            return Admission.of(self.cluster.applications[0].check(entry))
        return self.cluster.local.submit(entry)

    def start(self) -> None:
        raise AssertionError("the outbox starts no engine")

    def stop(self) -> None:
        raise AssertionError("the outbox stops no engine")

    def status(self) -> EngineStatus:
        return self.cluster.local.status()


class Bench:
    """A cluster, an engine in front of it and one node's outbox, without threads."""

    def __init__(self, path: Path, world: World | None = None) -> None:
        self.path = path
        self.cluster = LocalCluster(path, world)
        self.cluster.open()
        self.engine = Lossy(self.cluster)
        self.feeds = Feeds(self.cluster.world)
        self.open()

    def open(self, resend_ms: int = 0) -> None:
        file = self.path / "outbox.sqlite"
        self.outbox = Outbox(file, self.cluster.stores[0], self.engine, resend_ms=resend_ms)

    def restart(self) -> None:
        """Stop everything, as after a crash, and start it again."""
        self.outbox.close()
        self.cluster.stop()
        self.cluster.open()
        self.open()

    def block(self) -> None:
        self.outbox.send()
        self.cluster.local.produce()
        self.outbox.send()

    def status(self, entry: bytes) -> StatementStatus:
        return self.outbox.status(next_prev(entry))

    def standings(self, *entries: bytes) -> list[str]:
        return [self.status(entry).standing.value for entry in entries]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.outbox.close()
    bench.cluster.stop()


def test_entry_is_queued_then_placed_and_handing_it_over_again_says_where(bench: Bench) -> None:
    entry = bench.feeds.submission(1)
    assert bench.status(entry) == StatementStatus(Standing.UNKNOWN)
    taken = bench.outbox.put(entry)
    assert (taken.standing, taken.outcome, taken.index) == (
        Standing.QUEUED,
        Outcome.ACCEPTED,
        None,
    )
    assert bench.outbox.put(entry).standing is Standing.QUEUED
    assert bench.outbox.pending() == 1
    bench.block()
    assert bench.status(entry) == StatementStatus(Standing.PLACED, 1, 1, Outcome.ACCEPTED)
    again = bench.outbox.put(entry)
    assert (again.standing, again.index) == (Standing.PLACED, 1)
    assert bench.outbox.pending() == 0


def test_refused_entry_is_placed_with_its_outcome(bench: Bench) -> None:
    entry = bench.feeds.refused(1)
    assert bench.outbox.put(entry).outcome is Outcome.CONTENT_MALFORMED
    bench.block()
    assert bench.status(entry).outcome is Outcome.CONTENT_MALFORMED
    assert bench.outbox.put(entry).outcome is Outcome.CONTENT_MALFORMED


def test_entries_of_a_feed_follow_each_other_without_waiting_for_a_block(bench: Bench) -> None:
    entries = [bench.feeds.refused(1, number) for number in range(20)]
    for entry in entries:
        assert bench.outbox.put(entry).standing is Standing.QUEUED
    bench.outbox.send()
    assert bench.engine.offered == entries
    bench.block()
    assert bench.standings(*entries) == ["placed"] * 20
    after = bench.feeds.refused(1, "after")
    assert bench.outbox.put(after).standing is Standing.QUEUED


@pytest.mark.parametrize("entry", [b"", b"junk", b"\x93\xc4\x01a\xc4\x00\xc4\x00"])
def test_what_does_not_decode_is_not_taken(bench: Bench, entry: bytes) -> None:
    refused = bench.outbox.put(entry)
    assert refused.standing is Standing.UNKNOWN
    assert refused.outcome.dropped
    assert bench.outbox.pending() == 0


def test_entry_ahead_of_its_feed_is_not_taken(bench: Bench) -> None:
    bench.feeds.refused(1, "kept back")
    entry = bench.feeds.refused(1, "ahead")
    assert bench.outbox.put(entry).outcome is Outcome.POSITION_AHEAD
    assert bench.status(entry).standing is Standing.UNKNOWN


def test_everything_taken_is_sent_again_after_a_restart(bench: Bench) -> None:
    entries = [bench.feeds.refused(member, n) for n in range(3) for member in (1, 2)]
    for entry in entries:
        bench.outbox.put(entry)
    bench.outbox.send()
    bench.restart()  # the engine's queue is gone
    assert bench.standings(*entries) == ["queued"] * 6
    bench.block()
    assert bench.standings(*entries) == ["placed"] * 6
    bench.restart()
    assert bench.standings(*entries) == ["placed"] * 6


def test_entries_that_the_engine_forgot_are_sent_again(bench: Bench) -> None:
    entries = [bench.feeds.refused(1, number) for number in range(3)]
    for entry in entries:
        bench.outbox.put(entry)
    bench.engine.forgetting = True
    bench.outbox.send()
    bench.engine.forgetting = False
    other = bench.feeds.refused(2)
    bench.cluster.local.submit(other)
    bench.cluster.local.produce()
    assert bench.standings(*entries) == ["queued"] * 3
    bench.block()
    assert bench.standings(*entries) == ["placed"] * 3


def test_entries_are_not_sent_again_before_it_is_time(bench: Bench) -> None:
    bench.outbox.close()
    bench.open(resend_ms=60_000)
    entry = bench.feeds.refused(1)
    bench.outbox.put(entry)
    for _ in range(3):
        bench.outbox.send()
    assert bench.engine.offered == [entry]


def test_entry_whose_position_another_statement_took_is_lost_and_both_are_evidence(
    bench: Bench,
) -> None:
    rival = Feeds(bench.cluster.world).refused(1, "signed elsewhere")
    entry, after = bench.feeds.refused(1, "handed over here"), bench.feeds.refused(1, "after")
    bench.outbox.put(entry)
    bench.outbox.put(after)
    bench.cluster.local.submit(rival)
    bench.cluster.local.produce()
    for _ in range(3):
        bench.outbox.send()
    assert bench.status(entry) == StatementStatus(
        Standing.LOST,
        outcome=Outcome.POSITION_PAST,
        detail="another statement has position 0",
    )
    assert bench.status(after).standing is Standing.LOST
    assert bench.status(after).outcome is Outcome.PREV_WRONG
    assert bench.outbox.pending() == 0
    (evidence,) = bench.outbox.evidence()
    assert (evidence.member, evidence.feed, evidence.seq) == (1, DESK, 0)
    key = bench.cluster.world.institution(1).feed_key(DESK).public
    signed = [ENTRY.decode(each) for each in (rival, entry)]
    assert [evidence.first, evidence.second] == [
        encode((each.statement, each.signature)) for each in signed
    ]
    for each in signed:
        verify_statement(key, each.statement, each.signature)
    bench.restart()
    assert bench.outbox.is_lost(next_prev(entry))
    assert bench.outbox.evidence() == [evidence]


@pytest.mark.parametrize("placed", [False, True], ids=["queued", "placed"])
def test_second_statement_at_a_position_is_refused_and_kept_as_evidence(
    bench: Bench, *, placed: bool
) -> None:
    rival = Feeds(bench.cluster.world).refused(1, "rival")
    first = bench.feeds.refused(1, "first")
    bench.outbox.put(first)
    if placed:
        bench.block()
    refused = bench.outbox.put(rival)
    assert (refused.standing, refused.outcome) == (Standing.UNKNOWN, Outcome.POSITION_PAST)
    assert bench.outbox.put(rival).outcome is Outcome.POSITION_PAST
    (evidence,) = bench.outbox.evidence()
    assert evidence.first != evidence.second
    assert bench.standings(first) == ["placed" if placed else "queued"]
    bench.block()
    assert bench.standings(first) == ["placed"]


def test_statement_of_nobody_is_no_evidence(bench: Bench) -> None:
    entry = bench.feeds.refused(1)
    bench.outbox.put(entry)
    forged = ENTRY.decode(Feeds(bench.cluster.world).refused(1, "forged"))
    signature = bytes([forged.signature[0] ^ 1]) + forged.signature[1:]
    encoded = encode((forged.statement, signature, forged.content))
    assert bench.outbox.put(encoded).outcome is Outcome.SIGNATURE_WRONG
    assert bench.outbox.evidence() == []


def test_entries_of_a_key_that_was_ended_are_lost(bench: Bench) -> None:
    entries = [bench.feeds.refused(3, number) for number in range(2)]
    for entry in entries:
        bench.outbox.put(entry)
    bench.cluster.local.submit(end_feed(bench.feeds, 3, DESK, poster=2))
    bench.cluster.local.produce()
    bench.outbox.send()
    assert [bench.status(entry).outcome for entry in entries] == [Outcome.KEY_ENDED] * 2


def test_entry_that_is_refused_too_often_today_waits(tmp_path: Path) -> None:
    bench = Bench(tmp_path, World(make_ledger(refused_per_day=1)))
    first, second = bench.feeds.refused(1, 0), bench.feeds.refused(1, 1)
    bench.outbox.put(first)
    bench.outbox.put(second)
    bench.block()
    bench.block()
    assert bench.standings(first, second) == ["placed", "queued"]
    assert bench.outbox.put(bench.feeds.refused(1, 2)).outcome is Outcome.REFUSED_TOO_OFTEN
    bench.outbox.close()
    bench.cluster.stop()


def test_feed_moved_on_elsewhere_can_be_continued_here(bench: Bench) -> None:
    first, second = bench.feeds.refused(1, 0), bench.feeds.refused(1, 1)
    third = bench.feeds.refused(1, 2)
    bench.outbox.put(first)
    bench.outbox.send()
    bench.cluster.local.submit(second)
    bench.cluster.local.produce()
    assert bench.outbox.put(third).standing is Standing.QUEUED
    bench.block()
    assert bench.standings(first, second, third) == ["placed"] * 3


@pytest.mark.parametrize("error", [BusyError("full"), EngineError("halted")])
def test_engine_that_takes_nothing_leaves_the_queue_as_it_is(
    bench: Bench, error: Exception
) -> None:
    entry = bench.feeds.refused(1)
    bench.outbox.put(entry)
    bench.engine.error = error
    bench.outbox.send()
    assert bench.standings(entry) == ["queued"]
    bench.engine.error = None
    bench.block()
    assert bench.standings(entry) == ["placed"]


def test_full_outbox_is_busy(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradeline_node.outbox.QUEUED_MAX", 2)
    entries = [bench.feeds.refused(1, number) for number in range(3)]
    for entry in entries[:2]:
        bench.outbox.put(entry)
    with pytest.raises(BusyError, match="2 entries are on their way"):
        bench.outbox.put(entries[2])
    bench.block()
    assert bench.outbox.put(entries[2]).standing is Standing.QUEUED


def test_failed_write_is_not_acknowledged_and_ends_all_writing(bench: Bench) -> None:
    kept, refused = bench.feeds.refused(1, 0), bench.feeds.refused(1, 1)
    bench.outbox.put(kept)
    rows = bench.outbox._rows._rows
    (pages,) = rows.execute("PRAGMA page_count").fetchone()
    rows.execute(f"PRAGMA max_page_count = {pages}")
    big = bench.feeds.sign(
        1, BULK, Kind.MARK, b"x" * 200_000, content_hash(Kind.MARK, b"x" * 200_000)
    )
    with pytest.raises(StoreError, match="full"):
        bench.outbox.put(big)
    with pytest.raises(StoreError, match="takes nothing more"):
        bench.outbox.put(refused)
    assert "full" in str(bench.outbox.failure)
    assert bench.standings(kept, big) == ["queued", "unknown"]
    bench.restart()
    assert bench.outbox.failure is None
    assert bench.outbox.put(big).standing is Standing.QUEUED
    bench.block()
    assert bench.standings(kept, big) == ["placed", "placed"]


def test_outbox_of_another_ledger_or_version_is_refused(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    OutboxRows(path, bytes(32)).close()
    with pytest.raises(StoreError, match="of another ledger"):
        Outbox(path, bench.cluster.stores[0], bench.engine)
    with sqlite3.connect(path) as rows:
        rows.execute("PRAGMA user_version = 9")
    rows.close()
    with pytest.raises(StoreError, match="has version 9, expected 1"):
        Outbox(path, bench.cluster.stores[0], bench.engine)
    path.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    with pytest.raises(StoreError, match="can't be opened"):
        Outbox(path, bench.cluster.stores[0], bench.engine)


def test_outbox_and_engine_run_on_their_own(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path)
    cluster.start()
    outboxes = [Outbox(tmp_path / f"outbox{i}", cluster.stores[i], cluster.local) for i in range(4)]
    for application, outbox in zip(cluster.applications, outboxes, strict=True):
        application.on_commit.append(outbox.notice)
        outbox.start()
    feeds = Feeds(cluster.world)
    entries = [feeds.submission(1 + n % 4, 3, n) for n in range(40)]
    for number, entry in enumerate(entries):
        assert outboxes[number % 4].put(entry).standing is Standing.QUEUED
    until = time.monotonic() + 20
    for number, entry in enumerate(entries):
        while outboxes[number % 4].status(next_prev(entry)).standing is not Standing.PLACED:
            assert time.monotonic() < until, "an entry was not placed in time"
            time.sleep(0.005)
    for outbox in outboxes:
        outbox.close()
    cluster.stop()


def test_entries_go_through_another_node_while_the_engine_is_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[bytes] = []
    willing = True

    def relay(entry: bytes) -> bool:
        if willing:
            taken.append(entry)
        return willing

    monkeypatch.setattr(outbox_module, "AWAY_S", 0.05)
    monkeypatch.setattr(bench.outbox, "_relay", relay)
    entries = [bench.feeds.refused(1, i) for i in range(3)]
    for entry in entries:
        assert bench.outbox.put(entry).standing is Standing.QUEUED
    bench.engine.error = EngineError("the engine does not answer")
    bench.outbox.send()
    assert taken == [], "it may only be starting again"
    time.sleep(0.06)
    bench.outbox.send()
    assert taken == entries
    willing = False
    bench.outbox.send()
    assert bench.standings(*entries) == ["queued"] * 3, "nobody took them: they stay"
    bench.engine.error = None
    bench.block()
    assert bench.standings(*entries) == ["placed"] * 3
    willing = True
    bench.engine.error = EngineError("the engine does not answer")
    bench.outbox.put(bench.feeds.refused(1, "later"))
    bench.outbox.send()
    assert taken == entries, "the engine was there meanwhile"
