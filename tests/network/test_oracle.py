"""The oracle sees what it is for: each defect that is made here is a problem."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from scripts import soak
from tests.network.journal import Acked, AckJournal, read_journal
from tests.network.members import NAMES
from tests.network.oracle import judge
from tests.network.trial import Row
from tests.node.workload import Feeds
from tests.world import World

from tradeline_ledger.genesis import Ledger
from tradeline_ledger.statement import ENTRY, statement_hash
from tradeline_ledger.submission import decode_submission
from tradeline_node.store import LedgerStore

MEMBER: Final = 1


class Made:
    """Member folders of four nodes after three blocks, and the journal of who loaded them."""

    def __init__(self, path: Path) -> None:
        world = World()
        self.ledger: Ledger = world.ledger
        self.folders = {name: path / name for name in NAMES}
        self.journal: list[Acked] = []
        feeds = Feeds(world)
        self._stores = self._open(NAMES)
        self.submission = feeds.submission(MEMBER, 3)
        self._block(world, feeds.refused(MEMBER), self.submission)
        self._block(world, feeds.refused(MEMBER, 1))
        self.roots = [(each, self._stores[0].root(each)) for each in (1, 4)]
        self._close()
        batch = decode_submission(ENTRY.decode(self.submission).content).batch
        self.attachment = batch.hash(self.ledger.ledger_id, MEMBER).hex()
        for name in NAMES[:3]:
            self.file(name).parent.mkdir(parents=True)
            self.file(name).touch()
        self._world, self._feeds = world, feeds

    def file(self, name: str) -> Path:
        """Return where a member has the attachment; the oracle goes by names only."""
        return self.folders[name] / "custody" / "0" / "1" / self.attachment

    def grow(self, names: Sequence[str]) -> None:
        """Let some nodes alone have a block more."""
        self._stores = self._open(names)
        self._block(self._world, self._feeds.refused(MEMBER, 2))
        self._close()

    def _open(self, names: Sequence[str]) -> list[LedgerStore]:
        return [LedgerStore.open(self.folders[name] / "ledger", self.ledger) for name in names]

    def _block(self, world: World, *entries: bytes) -> None:
        executed = world.block(*entries)
        for store in self._stores:
            store.commit(executed, executed.head.height)
        for entry in entries:
            hash_ = statement_hash(ENTRY.decode(entry).statement)
            index = self._stores[0].placed_at(hash_)
            assert index is not None
            self.journal.append(Acked(MEMBER, hash_.hex(), index, entry is self.submission))

    def _close(self) -> None:
        for store in self._stores:
            store.close()

    def problems(self) -> list[str]:
        return judge(self.ledger, self.folders, self.journal, self.roots).problems


@pytest.fixture
def made(tmp_path: Path) -> Made:
    for name in NAMES:
        (tmp_path / name).mkdir()
    return Made(tmp_path)


def test_what_is_as_it_should_be_is_no_problem(made: Made) -> None:
    verdict = judge(made.ledger, made.folders, made.journal, made.roots)
    assert verdict.problems == []
    assert (verdict.acked, verdict.lost, verdict.forks, verdict.size) == (3, 0, 0, 6)


def test_acknowledged_entry_that_is_nowhere_is_lost_on_every_node(made: Made) -> None:
    made.journal.append(replace(made.journal[0], statement="00" * 32))
    verdict = judge(made.ledger, made.folders, made.journal)
    assert verdict.lost == len(NAMES)
    assert all(" has [] of " in each for each in verdict.problems)


def test_acknowledged_entry_that_is_elsewhere_or_fared_otherwise_is_lost(made: Made) -> None:
    made.journal[0] = replace(made.journal[0], index=2)
    made.journal[1] = replace(made.journal[1], accepted=False)
    assert judge(made.ledger, made.folders, made.journal).lost == 2 * len(NAMES)


def test_log_that_is_shorter_is_a_problem_and_lacks_what_was_acknowledged(made: Made) -> None:
    made.grow(NAMES[:3])
    verdict = judge(made.ledger, made.folders, made.journal, made.roots)
    assert verdict.lost == 1
    assert any("different sizes" in each for each in verdict.problems)


def test_logs_that_differ_are_a_fork(made: Made, tmp_path: Path) -> None:
    world = World()
    executed = world.block(Feeds(world).refused(MEMBER, "another"))
    store = LedgerStore.open(tmp_path / "forked" / "ledger", made.ledger)
    store.commit(executed, executed.head.height)
    store.close()
    made.folders[NAMES[3]] = tmp_path / "forked"
    assert judge(made.ledger, made.folders, []).forks == 1


def test_checkpoint_of_another_log_is_a_fork(made: Made) -> None:
    made.roots.append((4, bytes(32)))
    made.roots.append((99, bytes(32)))
    verdict = judge(made.ledger, made.folders, made.journal, made.roots)
    assert verdict.forks == 2


def test_attachment_that_too_few_hold_is_a_problem(made: Made) -> None:
    made.file(NAMES[0]).unlink()
    (problem,) = made.problems()
    assert "its attachment is at 2 honest nodes" in problem
    del made.folders[NAMES[0]]
    made.file(NAMES[1]).unlink()
    (problem,) = made.problems()
    assert "its attachment is at 1 honest nodes" in problem


def test_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    first, second = Acked(1, "ab", 3, True), Acked(2, "cd", 4, False)
    with AckJournal(tmp_path / "journal") as journal:
        journal.add(first)
    with AckJournal(tmp_path / "journal") as journal:
        journal.add(second)
        assert journal.entries == [first, second]
    assert read_journal(tmp_path / "journal") == [first, second]


def test_table_of_a_soak_is_written_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    row = Row("kill", 3, rounds=2, recovery_s=[1.0, 2.5, 9.0], notes=Counter({"killed http": 2}))
    soak.show([row], json_wanted=True)
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["recovery_p50_s"], shown["recovery_max_s"]) == (2.5, 9.0)
    assert shown["notes"] == {"killed http": 2}
    soak.show([row], json_wanted=False)
    assert "killed http 2" in capsys.readouterr().out
