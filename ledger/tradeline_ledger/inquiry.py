"""
Inquiries and the scope that they ask for (docs/formats.md, section 7).

An inquiry is itself an event without a body, in category inquiry under the reader's own tag, so
that later readers and the subject see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradeline_ledger.consent import CONTRIBUTORS_MAX
from tradeline_ledger.encoding import (
    B16,
    B32,
    U8,
    U16,
    U32,
    Codec,
    Record,
    check_ascending,
    encode,
)
from tradeline_ledger.hashing import ZERO_HASH, digest
from tradeline_ledger.submission import encode_headers
from tradeline_ledger.tag import Category, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

INQUIRY_BYTES_MAX: Final = 32 * 1024
YEARS_MAX: Final = 64
SCOPE_TAGS_MAX: Final = 1_000_000
"""Most tags of one scope; a wider inquiry is not released."""


class Inquiry(Record, frozen=True):
    """Content of an inquiry."""

    consent_id: B16
    purpose: U16
    """The consent's `Purpose`."""
    ref_hash: B32
    """H of the reader's reference and a salt."""
    operator_hash: B32
    """H of who asks, inside the reader."""
    categories: tuple[U8, ...]
    """Within the consent's; category inquiry is always read and never listed."""
    contributors: tuple[U32, ...] | None
    """Within the consent's; None: all members ever."""
    years: tuple[U16, ...]
    """Within the consent's; the year of `created_ms` among them."""
    key_hash: B32
    """H("inquiry-key", one-time HPKE public key)."""
    tag: B16
    """The reader's own tag for category inquiry of any one committed identifier."""
    retain_month: U16
    """That of an inquiry of this month."""

    def __post_init__(self) -> None:
        """Refuse lists out of order."""
        check_ascending(self.categories, "categories")
        check_ascending(self.years, "years")
        if not self.categories or not self.years or len(self.years) > YEARS_MAX:
            raise ValueError(f"an inquiry has categories and 1 to {YEARS_MAX} years")
        if self.contributors is not None:
            check_ascending(self.contributors, "contributors")
            if not 0 < len(self.contributors) <= CONTRIBUTORS_MAX:
                raise ValueError(f"an inquiry names 1 to {CONTRIBUTORS_MAX} contributors, or all")


INQUIRY: Final[Codec[Inquiry]] = Codec(Inquiry, "inquiry", INQUIRY_BYTES_MAX)


def key_hash(public_key: bytes) -> bytes:
    """Return what an inquiry names its one-time HPKE public key by."""
    return digest("inquiry-key", public_key)


def inquiry_header(inquiry: Inquiry) -> bytes:
    """Return the event header that an inquiry is: position 0 of its entry, without a body."""
    return encode_headers([inquiry.tag], [inquiry.retain_month], [ZERO_HASH])


def scope_tags(
    inquiry: Inquiry,
    members: Iterable[int],
    tag_keys: Mapping[int, Sequence[bytes]],
    year_keys: Sequence[tuple[int, bytes]],
) -> list[tuple[int, bytes]]:
    """
    Return every (member, tag) that an inquiry asks for, ascending without duplicates.

    `members` are all members ever, `tag_keys` every tag key that each of them ever had,
    `year_keys` the (year, year_key) pairs of all committed identifiers.
    """
    wanted = [key for year, key in year_keys if year in inquiry.years]
    named = None if inquiry.contributors is None else frozenset(inquiry.contributors)
    scope: set[tuple[int, bytes]] = set()
    for member in members:
        asked = inquiry.categories if named is None or member in named else ()
        for own in tag_keys.get(member, ()):
            for key in wanted:
                scope.add((member, tag(own, key, Category.INQUIRY)))
                scope.update((member, tag(own, key, category)) for category in asked)
    return sorted(scope)


def scope_hash(scope: Sequence[tuple[int, bytes]]) -> bytes:
    """Return H("scope", encode(scope)) of an ascending scope."""
    return digest("scope", encode(scope))
