"""
The life of one consent as a plain model: a dictionary and a page of `if`.

It knows the tables of docs/formats.md, sections 7 and 8, and nothing of the package's rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tradeline_ledger.consent import Terms

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
LOCAL_MS: Final = 8 * HOUR_MS
ENDED: Final = {"revoked", "terminated", "superseded"}
AFTER: Final = {
    "pause": "paused",
    "resume": "active",
    "revoke": "revoked",
    "terminate": "terminated",
}


@dataclass
class Model:
    """What the ledger should know of one consent."""

    terms: Terms
    standing: str = "none"
    paused_by: str = ""
    changes: int = 0
    reads: dict[int, int] = field(default_factory=dict)
    revoked_by: set[int] = field(default_factory=set)
    """Who posted a revoke before the consent was posted."""

    def post(self, poster: int, now_ms: int, superseded: Model | None) -> str:
        if self.terms.grantee != poster:
            return "consent-grantee-wrong"
        if self.terms.until_ms <= now_ms:
            return "consent-window-past"
        if self.standing != "none":
            return "consent-duplicate"
        if self.terms.second in self.revoked_by:
            return "consent-revoked-before"
        if self.terms.supersedes is not None:
            if superseded is None or superseded.standing == "none":
                return "consent-supersedes-wrong"
            parties = (self.terms.grantee, self.terms.second)
            if (superseded.terms.grantee, superseded.terms.second) != parties:
                return "consent-supersedes-wrong"
            if superseded.standing not in ENDED:
                superseded.standing = "superseded"
        self.standing = "active"
        return "accepted"

    def change(self, poster: int, change: str, signed: str) -> str:
        """`signed` says how the subject did: not, well, or wrongly."""
        if self.standing == "none":
            if change != "revoke" or signed != "not":
                return "status-consent-unknown"
            if poster in self.revoked_by:
                return "status-without-effect"
            self.revoked_by.add(poster)
            return "accepted"
        if change == "terminate":
            actor = "reader" if poster == self.terms.grantee and signed == "not" else ""
        elif signed != "not":
            actor = "subject"
        else:
            actor = "second" if poster == self.terms.second else ""
        if not actor:
            return "status-not-allowed"
        if actor == "subject" and (signed == "wrongly" or self.terms.subject_key is None):
            return "status-subject-unsigned"
        if self.standing in ENDED:
            return "status-consent-ended"
        if AFTER[change] == self.standing:
            return "status-without-effect"
        if change == "resume" and self.paused_by != actor:
            return "status-paused-by-other"
        self.standing, self.paused_by = AFTER[change], actor
        self.changes += 1
        return "accepted"

    def read(self, poster: int, now_ms: int) -> str:
        if self.standing == "none":
            return "inquiry-consent-unknown"
        if self.terms.grantee != poster:
            return "inquiry-reader-wrong"
        if self.standing != "active":
            return f"inquiry-consent-{self.standing}"
        if now_ms < self.terms.from_ms:
            return "inquiry-consent-not-yet"
        if now_ms >= self.terms.until_ms:
            return "inquiry-consent-expired"
        bucket = 0 if self.terms.frequency.unit == 0 else (now_ms + LOCAL_MS) // DAY_MS
        if self.reads.get(bucket, 0) >= self.terms.frequency.max:
            return "inquiry-frequency-used"
        self.reads[bucket] = self.reads.get(bucket, 0) + 1
        return "accepted"
