"""The name that somebody probably meant."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `, did you mean 'x'?` for the known name that is most like `name`, or nothing."""
    found = nearest_of(name, known)
    return f", did you mean {found!r}?" if found else ""


def nearest_of(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `name`, or None."""
    by_folded = {each.casefold().strip(): each for each in known}
    found = get_close_matches(name.casefold().strip(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None
