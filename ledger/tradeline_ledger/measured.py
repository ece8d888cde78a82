"""What a benchmark measured, alike for every program that measures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one benchmark."""

    name: str
    events: int
    """Processed while the clock ran."""
    seconds: float
    """Wall clock, preparations left out."""
    laps_ms: Sequence[float]
    """Wall clock of each unit of work: a batch, a block, a report."""
    cpu_s: dict[str, float]
    """Processor time by stage, all threads."""
    rss_mib: float
    """Resident memory of the measuring process at the end."""
    more: dict[str, Any] = field(default_factory=dict)
    """Figures that only this benchmark has."""

    def to_json(self) -> dict[str, Any]:
        """Return the figures as one JSON object."""
        return {
            "name": self.name,
            "events": self.events,
            "seconds": round(self.seconds, 4),
            "events_per_s": round(self.events / self.seconds),
            "p50_ms": round(percentile(self.laps_ms, 50), 3),
            "p99_ms": round(percentile(self.laps_ms, 99), 3),
            "cpu_us_per_event": {
                stage: round(seconds * 1e6 / self.events, 3)
                for stage, seconds in self.cpu_s.items()
            },
            "rss_mib": round(self.rss_mib, 1),
            **self.more,
        }

    def rows(self) -> list[tuple[str, str]]:
        """Return the figures as names and texts, one row each, nested ones by path."""
        return list(_rows("", self.to_json()))


def percentile(values: Sequence[float], rank: int) -> float:
    """Return the smallest of `values` that at least `rank` percent of them do not exceed."""
    assert values, "at least one lap"
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * rank // 100) - 1)]


def _rows(prefix: str, value: Any) -> Sequence[tuple[str, str]]:
    if isinstance(value, dict):
        return [row for name, each in value.items() for row in _rows(f"{prefix}.{name}", each)]
    if isinstance(value, list):
        return [row for i, each in enumerate(value) for row in _rows(f"{prefix}.{i}", each)]
    text = f"{value:,}" if isinstance(value, int | float) else str(value)
    return [(prefix.removeprefix("."), text)]
