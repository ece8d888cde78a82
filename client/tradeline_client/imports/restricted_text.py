"""Free text of a file that seems to say what the law restricts, found a column at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradeline_client.imports.fault import RowFault
from tradeline_ledger.field import Text
from tradeline_ledger.restricted import TEXT_PATTERN, finding_of_text

if TYPE_CHECKING:
    import pyarrow as pa

    from tradeline_client.imports.columns import EventColumns
    from tradeline_ledger.finding import Finding


PARTIES: Final = frozenset(
    {
        *("name", "employer", "counterparty", "original_creditor", "debtor_name"),
        *("representative", "auditor"),
    }
)
"""Fields that name a person or firm: a Ms Church or a hospital says nothing about a subject."""


def restricted_faults(columns: EventColumns, lines: dict[int, int]) -> list[RowFault]:
    """Return a fault for each free text of some events that is doubtful; lines are by row."""
    schema = columns.schema
    return [
        RowFault(
            row=row,
            line=lines.get(row, 0),
            column="",
            field=found.field,
            code=found.code,
            got=found.got,
            expected=found.expected,
            fix=found.fix,
            severity=found.severity,
        )
        for item in schema.fields
        if isinstance(item.kind, Text) and item.name not in PARTIES
        for at, found in doubtful_texts(
            columns.values.column(item.name), schema.name, item.name
        ).items()
        for row in (int(columns.rows[at]),)
    ]


def doubtful_texts(column: pa.StringArray, event_type: str, field: str) -> dict[int, Finding]:
    """
    Return by place what is doubtful about the texts of a column, in their order.

    Args:
        column: of texts, null where there is none.
        event_type: name of the type that the texts are reported in.
        field: of the event, for messages.
    """
    import pyarrow.compute as pc  # noqa: PLC0415 - takes 0.1 s, and only who imports files needs it

    # Each distinct text is looked at once, and only the few that the pattern finds one by one.
    encoded = column.dictionary_encode()
    normal = pc.utf8_normalize(encoded.dictionary, "NFKC")
    suspected = pc.indices_nonzero(pc.match_substring_regex(normal, TEXT_PATTERN)).to_pylist()
    found = {
        place: finding
        for place in suspected
        if (finding := finding_of_text(encoded.dictionary[place].as_py(), event_type, field))
    }
    if not found:
        return {}
    places = encoded.indices.to_pylist()
    return {at: found[place] for at, place in enumerate(places) if place in found}
