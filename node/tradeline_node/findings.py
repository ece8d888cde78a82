"""What the doctor looked at in one member folder, and what it found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

FINDINGS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    code: str
    """
    config, keystore, double, engine, port, clock, store, record, custody, signed, health, peer,
    peer-differs, engine-peer.
    """
    where: str
    """File, record or peer."""
    detail: str
    remedy: str


@dataclass(slots=True)
class Report:
    """What was looked at in one member folder, and what was found."""

    folder: Path
    checks: list[str] = field(default_factory=list)
    """What was done, each with its figures."""
    findings: list[Finding] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON shows it."""
        return {
            "folder": str(self.folder),
            "checks": self.checks,
            "findings": [asdict(each) for each in self.findings],
        }

    def add(self, code: str, where: object, detail: object, remedy: str) -> None:
        """Take note of a finding, up to `FINDINGS_MAX`."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(code, str(where), str(detail), remedy))
