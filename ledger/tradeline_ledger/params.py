"""
Parameters of a ledger, and the settings that votes put in their place.

See docs/formats.md, section 2.
"""

from __future__ import annotations

from typing import Final

from tradeline_ledger.encoding import B32, U8, U16, U32, U64, Codec, Record, check_text

UTC_OFFSET_MIN_MAX: Final = 14 * 60
CATEGORIES: Final = (1, 2, 3, 4, 5, 6)
SETTINGS_RECORD_BYTES_MAX: Final = 1024


class CategoryRetention(Record, frozen=True):
    """How long events of one category are kept."""

    category: U8
    retain_months: U16
    """Months after that of `occurred_on`."""


class Params(Record, frozen=True):
    """Parameters of a ledger."""

    release_window_ms: U64
    """How long after an inquiry's block its releases are given."""
    receipt_ms: U64
    """How long a receipt of custody counts."""
    epoch_overlap_ms: U64
    """How long a batch may still name the epoch before."""
    inquiry_skew_ms: U64
    """How far `created_ms` of an inquiry may be from block time."""
    refused_per_day: U32
    """Refused entries of one member and day that take a place."""
    utc_offset_min: int
    """Local time of days, months and years, minutes east of UTC."""
    profile: str
    """Policy profile: cn, us, eu or in."""
    retention: tuple[CategoryRetention, ...]
    """One row for each category."""
    linker: B32
    """H("linker", consortium key)."""

    def __post_init__(self) -> None:
        """Refuse parameters that contradict themselves."""
        check_text(self.profile, "profile", 16)
        if not -UTC_OFFSET_MIN_MAX <= self.utc_offset_min <= UTC_OFFSET_MIN_MAX:
            raise ValueError("utc_offset_min must be from -840 to 840")
        if tuple(row.category for row in self.retention) != CATEGORIES:
            raise ValueError("retention needs one row for each category, 1 to 6 in order")

    def retain_months(self, category: int) -> int:
        """Return the months that events of `category` are kept."""
        return self.retention[category - 1].retain_months


class SettingsRecord(Record, frozen=True):
    """Parameters and rules from one height on; before the first record, those of the genesis."""

    from_height: U64
    from_ms: U64
    """Time of the block that put them in force."""
    rules: U16
    """Number of the rules that blocks are executed by."""
    params: Params


SETTINGS_RECORD: Final[Codec[SettingsRecord]] = Codec(
    SettingsRecord, "settings record", SETTINGS_RECORD_BYTES_MAX
)
