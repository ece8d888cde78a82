"""Quality indexes as JSON values, as tables and as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer

from tradeline_client.cli.entry_json import quality_to_json
from tradeline_client.cli.output import print_pairs, print_table
from tradeline_client.cli.report_json import instant
from tradeline_ledger.calendar import period
from tradeline_ledger.quality import MonthStanding
from tradeline_ledger.quality_index import FULL, Dimension, QualityIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

_BAR_CHARS: Final = 40
_BAR: Final = "█"
_REST: Final = "░"
_ADVICE: Final = {
    Dimension.COMPLETENESS: "report what is missing, then declare the month complete",
    Dimension.TIMELINESS: "submit within 15 days after the month ends",
    Dimension.ACCURACY: "check before you submit, and correct within 30 days",
    Dimension.VALIDITY: "mend what is rejected, refused or waits in quarantine",
    Dimension.UNIQUENESS: "send each row once, under one reference",
    Dimension.CONSISTENCY: "state every month of your batches, and deposit good shares",
}


def index_to_json(index: QualityIndex) -> dict[str, Any]:
    """Return an index as JSON values; per mille everywhere."""
    stated = index.stated
    conduct = index.conduct
    return {
        "month": period(index.month),
        "total": index.total,
        "dimensions": {each.value: value for each, value in index.values.items()},
        "due": index.due,
        "gains": [
            {"dimension": gain.dimension.value, "per_mille": gain.per_mille} for gain in index.gains
        ],
        "expected_events": index.expected,
        "statements": index.statements,
        "statement": None
        if stated is None
        else {
            "index": stated.index,
            "time": instant(stated.time_ms),
            **quality_to_json(stated.content),
        },
        "conduct": {
            "entries": conduct.entries,
            "refused": conduct.refused,
            "submissions": conduct.submissions,
            "bad_deposits": conduct.bad_deposits,
            "faulty_erasures": conduct.faulty_erasures,
            "other_erasures": conduct.other_erasures,
        },
    }


def print_indexes(member: int, indexes: Sequence[QualityIndex]) -> None:
    """Print the indexes of a member, a chart of them, and what would raise the last one most."""
    if not indexes:
        typer.echo(f"member {member} has neither submitted nor stated anything")
        return
    last = indexes[-1]
    names = tuple(each.value for each in Dimension)
    rows = [
        (period(each.month), each.total, *each.values.values(), _standing(each)) for each in indexes
    ]
    title = f"Quality of member {member} as of log size {last.size}, per mille"
    print_table(title, ("month", "total", *names, "stated"), rows)
    typer.echo("")
    if len(indexes) > 1:
        for each in indexes:
            typer.echo(f"{period(each.month)}  {_bar(each.total)} {each.total:>5}")
    else:
        width = max(map(len, names))
        for dimension, value in last.values.items():
            typer.echo(f"{dimension.value:<{width}}  {_bar(value)} {value:>5}")
    typer.echo("")
    _print_gains(last)


def _print_gains(index: QualityIndex) -> None:
    month = period(index.month)
    if index.stated is None:
        waits = "" if index.due else "; it is not due yet"
        typer.echo(
            f"{month} counts as 0 until it is stated: tradeline quality post --month {month}{waits}"
        )
    elif not index.gains:
        typer.echo(f"{month} can't be better")
    else:
        typer.echo(f"What would raise {month} most:")
        print_pairs(
            (f"+{gain.per_mille} {gain.dimension.value}", _ADVICE[gain.dimension])
            for gain in index.gains
        )


def _standing(index: QualityIndex) -> str:
    if index.stated is None:
        return "nothing" if index.due else "not due yet"
    return MonthStanding(index.stated.content.standing).name.lower()


def _bar(value: int) -> str:
    full = value * _BAR_CHARS // FULL
    return _BAR * full + _REST * (_BAR_CHARS - full)
