"""Templates of a mapping, such as `statement {account} {period}`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tradeline_client.imports.mapping import Piece

if TYPE_CHECKING:
    from collections.abc import Collection

    from tradeline_client.imports.mapping_table import Table

WIDTH_MAX: Final = 64
_PLACE = re.compile(r"\{([^{}:]+)(?::0([1-9][0-9]?))?\}|([^{}]+)|(.)", re.DOTALL)


def read_template(table: Table, key: str, parts: Collection[str]) -> tuple[Piece, ...]:
    """
    Return the pieces of the template under a key.

    A name in braces is a part of the event if there is one of that name, since that has one way of
    being written, and else a column. `{number:05}` puts zeros in front.

    Args:
        table: where it stands.
        key: its key.
        parts: parts of the event that may be named.

    Raises:
        MappingError: it is missing, or no template.
    """
    text = table.text(key)
    pieces = []
    for name, width, fixed, wrong in _PLACE.findall(text):
        if wrong or int(width or 0) > WIDTH_MAX:
            raise table.error(
                key, repr(text), "text with names of columns in braces, such as {account:05}"
            )
        if fixed:
            pieces.append(Piece(text=fixed))
        elif name in parts:
            pieces.append(Piece(part=name, width=int(width or 0)))
        else:
            pieces.append(Piece(column=name, width=int(width or 0)))
    if not any(piece.column or piece.part for piece in pieces):
        raise table.error(key, repr(text), "a template that names a column in braces")
    return tuple(pieces)
