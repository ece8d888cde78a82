"""What an audit found and what it counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tradeline_ledger.outcome import Outcome
from tradeline_ledger.statement import Kind


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be."""

    code: str
    """Stable name, for scripts."""
    where: str
    """File and record, such as `content/ab12… (entry 7)`."""
    detail: str
    """What was got, what was expected."""


@dataclass(slots=True)
class AuditReport:
    """Result of an audit. Its two verdicts are separate: see `consistent` and `anchored`."""

    findings: list[Finding] = field(default_factory=list)
    """Empty if the folder is consistent in itself."""
    trust_findings: list[Finding] = field(default_factory=list)
    """Why the folder is not anchored to the keys that the auditor brought."""
    trusted: bool = False
    """Whether the auditor brought a policy."""
    ledger_id: str = ""
    name: str = ""
    origin: str = ""
    size: int = 0
    """Leaves that the checkpoint commits to."""
    root: str = ""
    height: int = 0
    time_ms: int = 0
    """Block time of the last block."""
    blocks: int = 0
    entries: int = 0
    events: int = 0
    """Events of accepted submissions; inquiries are not counted."""
    outcomes: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Entries by (kind, outcome)."""
    cosigners: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def consistent(self) -> bool:
        """Whether everything in the folder follows from its own genesis."""
        return not self.findings

    @property
    def anchored(self) -> bool:
        """Whether the checkpoint is accepted by the policy that the auditor brought."""
        return self.trusted and not self.trust_findings

    @property
    def ok(self) -> bool:
        """Whether both verdicts are good; without a policy, the first alone."""
        return self.consistent and (self.anchored or not self.trusted)

    def count(self, kind: Kind, outcome: Outcome = Outcome.ACCEPTED) -> int:
        """Return how many entries of `kind` had that outcome."""
        return self.outcomes[kind, outcome]

    def refused(self, kind: Kind) -> int:
        """Return how many entries of `kind` were refused."""
        return sum(
            count
            for (each, outcome), count in self.outcomes.items()
            if each == kind and outcome != Outcome.ACCEPTED
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values; `findings` holds those of both verdicts."""
        return {
            "ok": self.ok,
            "consistent": self.consistent,
            "anchored": self.anchored if self.trusted else None,
            "findings": [
                {"code": each.code, "where": each.where, "detail": each.detail}
                for each in (*self.findings, *self.trust_findings)
            ],
            "ledger_id": self.ledger_id,
            "name": self.name,
            "origin": self.origin,
            "size": self.size,
            "root": self.root,
            "height": self.height,
            "time_ms": self.time_ms,
            "blocks": self.blocks,
            "entries": self.entries,
            "events": self.events,
            "outcomes": [
                {"kind": _kind(kind), "outcome": Outcome(outcome).code, "entries": count}
                for (kind, outcome), count in sorted(self.outcomes.items())
            ],
            "reads": {
                "inquiries_accepted": self.count(Kind.INQUIRY),
                "inquiries_refused": self.refused(Kind.INQUIRY),
                "reads_without_consent": 0 if self.consistent else None,
            },
            "cosigners": self.cosigners,
            "seconds": round(self.seconds, 3),
        }


def _kind(number: int) -> str:
    return Kind(number).name.lower() if number in set(Kind) else str(number)
