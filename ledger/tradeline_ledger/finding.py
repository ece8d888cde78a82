"""
What is wrong with an event beyond its form, and how much that matters.

An event that breaks its schema is refused by everybody. A finding also says what is doubtful:
whoever is about to report the event then decides, before it is sealed. docs/events.md lists all.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


@enum.unique
class Severity(enum.Enum):
    """What becomes of an event that somebody wants to report."""

    REJECT = "reject"
    """Hard: it is not reported."""
    QUARANTINE = "quarantine"
    """Soft: it is kept aside until a person accepts or rejects it."""
    WARNING = "warning"
    """It is reported; the finding is counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or doubtful. No text repeats an identifier or a name."""

    code: str
    """Stable name, in lower case with hyphens."""
    severity: Severity
    """What becomes of the event."""
    field: str
    """Field of the event that is concerned; empty where it is the event as a whole."""
    got: str
    """What was found, as far as it may be shown."""
    expected: str
    """What would be right."""
    fix: str
    """What to do about it."""
