"""Stating a month from vault and log, measuring members from a mirror, proving what is false."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec.structs
import pytest
from tests.client.cli import Cli
from tests.client.network import payment
from tests.client.test_report import Desk, make_desk
from tests.mirror import write_mirror
from tests.world import subject

from tradeline_client.errors import FileError, QualityError, RefusedError
from tradeline_client.flows.mark import erase
from tradeline_client.flows.quality import state_quality
from tradeline_client.flows.submit import submit
from tradeline_client.month import RowCounts, count_month
from tradeline_client.quality import Replay, replay
from tradeline_ledger.calendar import month_of
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import VerificationError
from tradeline_ledger.event import Report
from tradeline_ledger.history import EventId
from tradeline_ledger.mark import MarkReason
from tradeline_ledger.quality import (
    Delay,
    Listed,
    MonthStanding,
    Quality,
    RejectClass,
    Rejected,
)
from tradeline_ledger.quality_index import quality_index
from tradeline_ledger.schemas import PAYMENT_MADE, SUPERSEDE
from tradeline_ledger.statement import Kind

MARCH = month_of("2026-03-05")
NONE = (0,) * len(Delay)


@dataclass
class Member:
    """Member 2, which filed two payments of March, and its reader."""

    desk: Desk
    path: Path

    def file(self, *reports: Report, target: EventId | None = None) -> list[EventId]:
        """Place a batch about person 0."""
        session = self.desk.contributor
        corrected = None if target is None else session.vault.find(target)
        plain = [session.sealer.plain(each, subject(0), corrected) for each in reports]
        sealed = session.sealer.seal(plain, session.registry)
        placed = self.desk.network.run(session, submit(session, sealed))
        return [EventId(placed.placement.index, n) for n in range(len(reports))]

    def correct(self, target: EventId, ref: str, amount: int = 70) -> EventId:
        """Place a correction of one event."""
        fields = PAYMENT_MADE.values(currency="CNY", amount_minor=amount, kind=1)
        values = SUPERSEDE.values(reason=1, replacement=(PAYMENT_MADE.number, 1, fields))
        report = replace(
            payment(ref), schema=SUPERSEDE, fields=values, target=(target.index, target.position)
        )
        return self.file(report, target=target)[0]

    def mirror(self) -> Path:
        """Return the mirror of the ledger as it is."""
        path = self.path / f"mirror-{len(self.desk.network.world.leaves)}"
        write_mirror(self.desk.network.world, path)
        return path

    def replay(self) -> Replay:
        return replay(self.mirror())

    def count(self, month: int = MARCH, **changes: Any) -> Quality:
        """Return what the member states, counted as its client counts."""
        given = {"standing": MonthStanding.COMPLETE} | changes
        vault = self.desk.contributor.vault
        return count_month(vault, self.replay().facts, 2, month, **given)

    def state(self, content: Quality) -> int:
        session = self.desk.contributor
        return self.desk.network.run(session, state_quality(session, content)).index


@pytest.fixture
def member(tmp_path: Path) -> Member:
    return Member(make_desk(tmp_path), tmp_path)


def test_a_month_is_counted_from_vault_and_log(member: Member) -> None:
    (late,) = member.file(payment("d", "2026-04-02"))
    first, again = member.file(payment("e", "2026-03-31"), payment("a"))
    member.correct(first, "f")
    content = member.count()

    assert content.listed == (Listed(1, 3), Listed(first.index, 2), Listed(first.index + 2, 1))
    assert sum(content.corrections) == 1
    assert content.corrections[Delay.DAYS_180] == 1  # March was over for 174 days
    assert content.repeats == 1
    assert (content.received, content.accepted) == (5, 5)
    april = member.count(month_of("2026-04-01"))
    assert april.listed == (Listed(late.index, 1),)
    assert (april.corrections, april.repeats) == (NONE, 0)
    assert again.position == 1


def test_what_is_counted_is_accepted_and_measured(member: Member) -> None:
    rows = RowCounts(3, {RejectClass.VALUE: 1, RejectClass.FORM: 0}, 1, 2)
    content = member.count(rows=rows)
    assert content.rejected == (Rejected(RejectClass.VALUE, 1),)
    index = member.state(content)
    measured = quality_index(member.replay().facts, 2, MARCH)
    assert measured.stated is not None
    assert (measured.stated.index, measured.stated.content) == (index, content)
    again = member.count()
    assert again.supersedes == index
    member.state(again)
    with pytest.raises(RefusedError, match="quality-supersedes-wrong"):
        member.state(msgspec.structs.replace(again, size=again.size + 1))


def test_an_erased_correction_keeps_the_print_that_was_stated(member: Member) -> None:
    correction = member.correct(EventId(1, 0), "x")
    before = member.count()
    member.state(before)
    session = member.desk.contributor
    member.desk.network.run(session, erase(session, correction, MarkReason.CORRECTION))
    after = member.count()
    assert after.correction_prints == before.correction_prints
    assert after.corrections == before.corrections
    member.state(after)


def test_an_erased_correction_that_was_never_stated_is_an_event_like_others(
    member: Member,
) -> None:
    correction = member.correct(EventId(1, 0), "x")
    session = member.desk.contributor
    member.desk.network.run(session, erase(session, correction, MarkReason.CORRECTION))
    content = member.count()
    assert content.corrections == NONE
    assert content.listed[-1] == Listed(correction.index, 1)
    member.state(content)


def test_nothing_is_stated_as_of_a_log_before_an_erasure(member: Member) -> None:
    correction = member.correct(EventId(1, 0), "x")
    old = member.replay().facts
    session = member.desk.contributor
    member.desk.network.run(session, erase(session, correction, MarkReason.CORRECTION))
    with pytest.raises(QualityError, match="bring the mirror up to date"):
        count_month(session.vault, old, 2, MARCH, standing=MonthStanding.OPEN)


def test_nothing_is_stated_from_a_vault_that_lacks_a_submission(member: Member) -> None:
    stranger = member.desk.reader
    with pytest.raises(QualityError, match="lacks 1 of the member's submissions"):
        count_month(stranger.vault, member.replay().facts, 2, MARCH, standing=MonthStanding.OPEN)


def test_a_month_with_events_is_not_void(member: Member) -> None:
    with pytest.raises(QualityError, match="so it is not void"):
        member.count(standing=MonthStanding.VOID)
    assert member.count(MARCH - 1, standing=MonthStanding.VOID).events == 0


def test_a_false_statement_is_proven_from_the_readers_bundle(
    member: Member, capsys: pytest.CaptureFixture[str]
) -> None:
    member.correct(EventId(1, 0), "x")
    honest = member.count()
    lie = msgspec.structs.replace(honest, corrections=NONE, correction_prints=b"")
    index = member.state(lie)
    reading = member.desk.ask()
    bundle = member.path / "report.bundle"
    bundle.write_bytes(reading.bundle)
    mirror, cli = member.mirror(), Cli(capsys)

    ran = cli("quality", "check", bundle, "--mirror", mirror, "--out", member.path, "--json")

    assert ran.code == 3
    file = member.path / "quality-2-2026-03.evidence"
    (found,) = ran.json["statements"]
    assert found == {
        "member": 2,
        "month": "2026-03",
        "statement": index,
        "evidence": str(file),
    }
    genesis = member.path / "2" / "genesis"
    verified = cli("verify", file, "--genesis", genesis, "--json")
    assert verified.code == 0, verified.out
    assert (verified.json["kind"], verified.json["anchored"]) == ("quality", True)
    assert "hides that event" in verified.json["says"]["guilty"]
    assert "evidence of a false quality statement" in cli("verify", file).out


def test_an_honest_statement_agrees_with_the_readers_bundle(
    member: Member, capsys: pytest.CaptureFixture[str]
) -> None:
    member.correct(EventId(1, 0), "x")
    member.file(payment("a"))
    member.state(member.count())
    bundle = member.path / "report.bundle"
    bundle.write_bytes(member.desk.ask().bundle)

    ran = Cli(capsys)("quality", "check", bundle, "--mirror", member.mirror())

    assert ran.code == 0
    assert "the report agrees" in ran.out


def test_a_bundle_is_not_held_against_statements_that_came_later(
    member: Member, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = member.path / "report.bundle"
    bundle.write_bytes(member.desk.ask().bundle)
    member.state(msgspec.structs.replace(member.count(), listed=(Listed(1, 1),)))

    ran = Cli(capsys)("quality", "check", bundle, "--mirror", member.mirror())

    assert ran.code == 0
    assert "no member in the report stated a month" in ran.out


def test_a_mirror_that_was_changed_or_lags_behind_measures_nothing(member: Member) -> None:
    old = member.mirror()
    member.file(payment("x"))
    bundle = member.desk.ask().bundle
    with pytest.raises(FileError, match="bring the mirror up to date"):
        list(replay(old).compare(bundle))
    content = next((old / "content").iterdir())
    content.write_bytes(content.read_bytes()[:-1])
    with pytest.raises(VerificationError, match="can't be relied on"):
        replay(old)
    with pytest.raises(FileError, match="is no mirror"):
        replay(member.path / "nothing")


def test_the_same_log_gives_the_same_numbers_to_whoever_replays_it(
    member: Member, capsys: pytest.CaptureFixture[str]
) -> None:
    member.state(member.count())
    cli = Cli(capsys)
    mirrors = [member.path / name for name in ("one", "two")]
    for path in mirrors:
        write_mirror(member.desk.network.world, path)
    first, second = (cli("quality", "--member", 2, "--mirror", each, "--json") for each in mirrors)
    assert first.code == 0, first.err
    assert first.out == second.out
    assert [each["month"] for each in first.json["months"]] == [
        f"2026-{number:02}" for number in range(3, 10)
    ]
    (march, *_) = first.json["months"]
    assert march["dimensions"]["consistency"] == 1000
    assert march["total"] == 840


def test_statements_of_other_kinds_are_not_taken_for_quality(member: Member) -> None:
    world = member.desk.network.world
    member.desk.network.block(world.entry(2, Kind.QUALITY, encode((1, 2))))
    facts = member.replay().facts.member(2)
    assert not facts.stated
    assert sum(each.refused for each in facts.conduct.values()) == 1
