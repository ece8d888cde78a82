"""Free text of a file that seems to say what the law restricts, found a column at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger.restricted import TEXT_PATTERN, finding_of_text

if TYPE_CHECKING:
    import pyarrow as pa

    from tradeline_ledger.finding import Finding


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
