"""Events of a chunk one by one, as whoever reports a few of them wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger.event import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradeline_client.imports.columns import EventColumns, MappedChunk
    from tradeline_ledger.identifier import SubjectId


def reports_of(chunk: MappedChunk) -> Iterator[tuple[int, SubjectId, Report]]:
    """Yield row, subject and report of each event, by row and then in the order of the mapping."""
    found = [each for columns in chunk.events for each in _reports(columns)]
    yield from sorted(found, key=lambda each: each[0])


def _reports(columns: EventColumns) -> Iterator[tuple[int, SubjectId, Report]]:
    fields = zip(*(column.to_pylist() for column in columns.values.columns), strict=True)
    accounts = [None] * len(columns) if columns.account is None else columns.account.to_pylist()
    for row, subject, occurred_on, ref, account, values in zip(
        columns.rows.tolist(),
        columns.subject.tolist(),
        columns.occurred_on.to_pylist(),
        columns.ref.to_pylist(),
        accounts,
        fields,
        strict=True,
    ):
        report = Report(columns.schema, occurred_on, columns.basis, ref, account, values)
        yield row, columns.subjects[subject], report
