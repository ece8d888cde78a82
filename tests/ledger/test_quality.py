"""Quality statements as records, facts counted from blocks, and the index that follows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
from tests.world import BULK, DAY_MS, World, seed

from tradeline_ledger import calendar
from tradeline_ledger.custody_record import CustodyRow
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.history import EventId
from tradeline_ledger.mark import Mark, MarkKind, MarkReason
from tradeline_ledger.quality import (
    QUALITY,
    QUALITY_BYTES_MAX,
    Delay,
    Listed,
    MonthEnd,
    MonthStanding,
    Quality,
    RejectClass,
    Rejected,
    event_print,
    has_print,
    join_prints,
)
from tradeline_ledger.quality_facts import LedgerFacts
from tradeline_ledger.quality_index import (
    FULL,
    WEIGHTS,
    Dimension,
    Gain,
    QualityIndex,
    months_of,
    quality_index,
)
from tradeline_ledger.statement import Kind
from tradeline_ledger.transition import Executed, execute_genesis

JULY: Final = calendar.month_of("2026-07-01")
SEPTEMBER: Final = JULY + 2
NONE: Final = (0,) * len(Delay)
DOCUMENT: Final = Path(__file__).parents[2] / "docs/quality.md"
EMPTY: Final = Quality(
    1, SEPTEMBER, 10, None, MonthStanding.OPEN, 0, 0, (), 0, 0, (), NONE, b"", b""
)


def statement(**changes: Any) -> Quality:
    fields = {name: getattr(EMPTY, name) for name in EMPTY.__struct_fields__}
    return Quality(**(fields | changes))


class Observed(World):
    """A world whose blocks are counted as they are executed."""

    facts: LedgerFacts

    def __post_init__(self) -> None:
        self.facts = LedgerFacts(self.ledger)
        super().__post_init__()
        self.facts.observe(execute_genesis(self.ledger))

    def block(self, *entries: bytes, later_ms: int = 1000) -> Executed:
        executed = super().block(*entries, later_ms=later_ms)
        self.facts.observe(executed)
        return executed

    def on(self, day: str) -> None:
        """Let the next block come at noon of a day of local time."""
        month, number = calendar.month_of(day), int(day[-2:])
        start_ms = calendar.month_start_ms(month, 480) + (number - 1) * DAY_MS
        self.time_ms = start_ms + DAY_MS // 2

    def submit(self, member: int, *events: tuple[int, int]) -> int:
        """Place a batch with so many events of each month; return its log index."""
        salt = len(self.leaves)
        rows = [
            (seed("tag", salt, month, n)[:16], month + 60, b"event")
            for month, count in events
            for n in range(count)
        ]
        batch = self.batch(member, rows, salt)[0]
        return self.accepted(self.submission(member, batch))

    def state(self, member: int, month: int, **changes: Any) -> int:
        """Place a quality statement; return its log index."""
        known = self.facts.member(member).in_force(month)
        supersedes = None if known is None else known.index
        content = statement(
            **({"month": month, "size": self.head.size, "supersedes": supersedes} | changes)
        )
        return self.accepted(self.entry(member, Kind.QUALITY, encode(content)))

    def accepted(self, entry: bytes) -> int:
        (placed,) = self.block(entry).placed
        assert placed.applied.outcome.accepted, placed.applied.outcome
        return placed.index

    def index(self, member: int, month: int) -> QualityIndex:
        return quality_index(self.facts, member, month)


def prints(count: int) -> bytes:
    return join_prints([seed("print", n)[:8] for n in range(count)])


def worked_example() -> Observed:
    """Return the ledger of the example in docs/quality.md: member 2 reports September 2026."""
    world = Observed()
    world.on("2026-09-25")
    july = world.submit(2, (JULY, 100))
    erase = Mark(EventId(july, 3), MarkKind.ERASE, None, MarkReason.CONTRIBUTOR_ERROR)
    world.accepted(world.entry(2, Kind.MARK, encode(erase)))
    assert world.block(world.entry(2, Kind.MARK, encode(erase))).placed[0].applied.outcome.refused
    world.state(
        2,
        JULY,
        standing=MonthStanding.COMPLETE,
        received=100,
        accepted=100,
        listed=(Listed(july, 100),),
    )
    world.on("2026-10-10")
    first = world.submit(2, (SEPTEMBER, 60))
    world.on("2026-10-20")
    second = world.submit(2, (SEPTEMBER, 30), (SEPTEMBER - 1, 10))
    world.on("2026-11-10")
    third = world.submit(2, (SEPTEMBER, 5))
    world.state(
        2,
        SEPTEMBER,
        standing=MonthStanding.COMPLETE,
        received=110,
        accepted=98,
        rejected=(Rejected(RejectClass.VALUE, 4), Rejected(RejectClass.DATE, 2)),
        quarantined=1,
        duplicates=5,
        listed=(Listed(first, 60), Listed(second, 30), Listed(third, 5)),
        corrections=(0, 0, 5, 0, 0, 0),
        correction_prints=prints(5),
        repeat_prints=prints(2),
    )
    return world


# Records


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"standing": 0},
        {"standing": 5},
        {"received": 1},
        {"accepted": 1},
        {"quarantined": 1},
        {"duplicates": 1},
        {"received": 1, "rejected": (Rejected(1, 2),)},
        {"received": 2, "rejected": (Rejected(2, 1), Rejected(1, 1))},
        {"received": 2, "rejected": (Rejected(1, 1), Rejected(1, 1))},
        {"listed": (Listed(5, 1), Listed(5, 1))},
        {"listed": (Listed(5, 1), Listed(4, 1))},
        {"listed": (Listed(5, 1),), "corrections": (1, 0, 0, 0, 0, 0)},
        {"listed": (Listed(5, 1),), "correction_prints": bytes(8)},
        {"listed": (Listed(5, 1),), "repeat_prints": bytes(7)},
        {"repeat_prints": bytes(8)},
        {"listed": (Listed(5, 1),), "repeat_prints": bytes(16)},
        {"listed": (Listed(5, 2),), "repeat_prints": b"\xff" * 8 + bytes(8)},
        {"standing": MonthStanding.VOID, "received": 1, "accepted": 1},
        {"standing": MonthStanding.VOID, "listed": (Listed(5, 1),)},
    ],
    ids="-".join,
)
def test_a_statement_that_does_not_add_up_is_malformed(changes: dict[str, Any]) -> None:
    fields = {name: getattr(EMPTY, name) for name in EMPTY.__struct_fields__} | changes
    with pytest.raises(MalformedError, match="does not decode"):
        QUALITY.decode(encode(tuple(fields.values())))


def test_a_statement_of_nothing_decodes_to_itself() -> None:
    assert QUALITY.decode(encode(EMPTY)) == EMPTY
    assert (EMPTY.events, EMPTY.repeats, EMPTY.first_events, EMPTY.not_taken) == (0, 0, 0, 0)


@pytest.mark.parametrize("rejected", [[0, 1], [10, 1], [1, 0]])
def test_rejected_rows_have_a_known_reason_and_are_some(rejected: list[int]) -> None:
    received = rejected[1]
    fields = (1, SEPTEMBER, 10, None, 1, received, 0, (rejected,), 0, 0, (), NONE, b"", b"")
    with pytest.raises(MalformedError, match="known reason"):
        QUALITY.decode(encode(fields))


def test_the_largest_statement_fits_its_limit() -> None:
    most = statement(
        received=2**40,
        accepted=2**40,
        listed=tuple(Listed(2**50 + n, 10_000) for n in range(8_192)),
        corrections=(65_536, 0, 0, 0, 0, 0),
        correction_prints=b"\xff" * 8 * 65_536,
        repeat_prints=b"\xff" * 8 * 16_384,
    )
    encoded = encode(most)
    assert 0.9 * QUALITY_BYTES_MAX < len(encoded) <= QUALITY_BYTES_MAX
    assert QUALITY.decode(encoded) == most


@pytest.mark.parametrize(
    ("day", "delay"),
    [
        ("2026-09-01", Delay.DUE),
        ("2026-10-15", Delay.DUE),
        ("2026-10-16", Delay.DAYS_30),
        ("2026-10-30", Delay.DAYS_30),
        ("2026-10-31", Delay.DAYS_60),
        ("2026-11-29", Delay.DAYS_60),
        ("2026-11-30", Delay.DAYS_90),
        ("2026-12-29", Delay.DAYS_90),
        ("2026-12-30", Delay.DAYS_180),
        ("2027-03-29", Delay.DAYS_180),
        ("2027-03-30", Delay.BEYOND),
        ("2040-01-01", Delay.BEYOND),
    ],
)
def test_a_delay_begins_at_local_midnight(day: str, delay: Delay) -> None:
    end, month = MonthEnd(SEPTEMBER, 480), calendar.month_of(day)
    start_ms = calendar.month_start_ms(month, 480) + (int(day[-2:]) - 1) * DAY_MS
    assert end.delay(start_ms) is delay
    assert end.delay(start_ms + DAY_MS - 1) is delay


def test_a_print_is_of_one_event_under_one_key() -> None:
    keys = [seed("key"), seed("other")]
    events = [EventId(1, 2), EventId(2, 1), EventId(2, 2)]
    made = {event_print(key, event) for key in keys for event in events}
    assert len(made) == 6
    joined = join_prints(sorted(made, reverse=True))
    assert all(has_print(joined, each) for each in made)
    assert not has_print(joined, bytes(8))
    assert not has_print(b"", bytes(8))


# The index


def test_the_worked_example_gives_the_numbers_of_the_document() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| ([a-z]+) \|.*\| \*\*([0-9]+)\*\* \|$", text, re.MULTILINE))
    index = worked_example().index(2, SEPTEMBER)
    values = {each.value: str(value) for each, value in index.values.items()}
    assert told == values | {"total": str(index.total)}


def test_weights_are_hundredths_of_the_total() -> None:
    assert sum(WEIGHTS.values()) == 100
    assert set(WEIGHTS) == set(Dimension)


def test_what_would_raise_the_total_most_comes_first() -> None:
    index = worked_example().index(2, SEPTEMBER)
    assert index.gains[0].per_mille == max(gain.per_mille for gain in index.gains)
    assert {gain.dimension for gain in index.gains} == {
        each for each, value in index.values.items() if value < FULL
    }
    assert Gain(Dimension.COMPLETENESS, 25 * (FULL - 880) // 100) in index.gains


def test_a_month_of_which_nothing_is_stated_counts_as_nothing() -> None:
    world = Observed()
    world.on("2026-09-25")
    world.submit(2, (SEPTEMBER, 3))
    index = world.index(2, SEPTEMBER)
    assert (index.total, index.due, index.stated, index.statements) == (0, False, None, 0)
    world.on("2026-10-16")
    world.submit(2, (SEPTEMBER, 3))
    assert world.index(2, SEPTEMBER).due


def test_a_month_declared_missing_is_worth_more_than_silence_and_less_than_an_empty_one() -> None:
    world = Observed()
    world.on("2026-10-05")
    silent = world.index(2, SEPTEMBER).total
    world.state(2, SEPTEMBER, standing=MonthStanding.MISSING)
    missing = world.index(2, SEPTEMBER)
    world.state(2, SEPTEMBER, standing=MonthStanding.COMPLETE)
    empty = world.index(2, SEPTEMBER)
    assert silent < missing.total < empty.total == FULL
    assert missing.values[Dimension.CONSISTENCY] == FULL
    assert empty.statements == 2


def test_an_open_month_is_at_most_three_quarters_complete() -> None:
    world = Observed()
    world.on("2026-10-05")
    index = world.submit(2, (SEPTEMBER, 4))
    listed = (Listed(index, 4),)
    world.state(2, SEPTEMBER, received=4, accepted=4, listed=listed)
    assert world.index(2, SEPTEMBER).values[Dimension.COMPLETENESS] == 750
    world.state(2, SEPTEMBER, received=4, accepted=4, listed=listed, standing=MonthStanding.MISSING)
    assert world.index(2, SEPTEMBER).values[Dimension.COMPLETENESS] == 0


def test_a_void_month_is_complete_unless_events_were_to_be_expected() -> None:
    world = Observed()
    world.on("2026-10-05")
    world.state(2, SEPTEMBER, standing=MonthStanding.VOID)
    assert world.index(2, SEPTEMBER).total == FULL
    index = world.submit(2, (JULY, 4))
    whole = {"received": 4, "accepted": 4, "standing": MonthStanding.COMPLETE}
    world.state(2, JULY, listed=(Listed(index, 4),), **whole)
    assert world.index(2, SEPTEMBER).values[Dimension.COMPLETENESS] == 0


def test_events_that_the_headers_do_not_bear_out_are_inconsistent() -> None:
    world = Observed()
    world.on("2026-10-05")
    index = world.submit(2, (SEPTEMBER - 1, 3), (SEPTEMBER, 1))
    world.state(2, SEPTEMBER, received=4, accepted=4, listed=(Listed(index, 4),))
    assert world.index(2, SEPTEMBER).values[Dimension.CONSISTENCY] == 250


def test_one_event_claimed_for_two_months_makes_both_inconsistent() -> None:
    world = Observed()
    world.on("2026-10-05")
    index = world.submit(2, (SEPTEMBER, 2))
    listed = (Listed(index, 2),)
    world.state(2, SEPTEMBER, received=2, accepted=2, listed=listed)
    assert world.index(2, SEPTEMBER).values[Dimension.CONSISTENCY] == FULL
    world.state(2, JULY, received=2, accepted=2, listed=listed)
    assert world.index(2, SEPTEMBER).values[Dimension.CONSISTENCY] == 0
    assert world.index(2, JULY).values[Dimension.CONSISTENCY] == 0


def test_a_deposit_that_was_bad_counts_against_the_month_of_its_submission() -> None:
    world = Observed()
    world.on("2026-09-25")
    index = world.submit(2, (SEPTEMBER, 2))
    said = encode((CustodyRow(index, 0, 0),))
    (placed,) = world.block(world.entry(4, Kind.CUSTODY, said, feed=0)).placed
    assert placed.applied.outcome.accepted, placed.applied.outcome
    world.state(2, SEPTEMBER, received=2, accepted=2, listed=(Listed(index, 2),))
    assert world.index(2, SEPTEMBER).conduct.bad_deposits == 1
    assert world.index(2, SEPTEMBER).values[Dimension.CONSISTENCY] == 0


def test_what_others_do_changes_nothing() -> None:
    world = worked_example()
    before = world.index(2, SEPTEMBER)
    world.on("2026-11-12")
    other = world.submit(3, (SEPTEMBER, 7))
    world.state(3, SEPTEMBER, received=9, accepted=9, listed=(Listed(other, 7),))
    world.block(world.entry(1, Kind.MARK, b"malformed", feed=BULK))
    after = world.index(2, SEPTEMBER)
    assert (after.values, after.conduct) == (before.values, before.conduct)


def test_a_member_has_an_index_from_its_first_month_to_the_last() -> None:
    world = worked_example()
    assert months_of(world.facts, 2) == list(range(JULY, SEPTEMBER + 3))
    assert months_of(world.facts, 5) == []


def test_dimensions_stay_within_their_bounds_whatever_is_stated() -> None:
    world = Observed()
    world.on("2026-10-05")
    index = world.submit(2, (SEPTEMBER, 3))
    for corrections, repeats in ((3, 0), (0, 3), (2, 1), (0, 0)):
        world.state(
            2,
            SEPTEMBER,
            received=3,
            duplicates=3,
            listed=(Listed(index, 3),),
            corrections=(corrections, 0, 0, 0, 0, 0),
            correction_prints=prints(corrections),
            repeat_prints=prints(repeats),
        )
        found = world.index(2, SEPTEMBER)
        assert all(0 <= value <= FULL for value in found.values.values()), found.values
        assert 0 <= found.total <= FULL
