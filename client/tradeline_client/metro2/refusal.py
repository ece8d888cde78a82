"""Why a Metro 2 record, or a part of it, makes no events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIX_SOURCE: Final = "correct it in the system that writes the file"


@dataclass(frozen=True, slots=True)
class RecordFault:
    """Why a record, or a part of it, makes no events."""

    field: str
    """Of the record."""
    code: str
    got: str
    expected: str
    fix: str = FIX_SOURCE
    rejects: bool = True
    """False where the events of the rest stand."""


class RejectedError(Exception):
    """Ends the mapping of a record with its fault."""

    def __init__(self, fault: RecordFault) -> None:
        super().__init__(fault.code)
        self.fault = fault


def rejected(
    field: str, code: str, got: str, expected: str, fix: str = FIX_SOURCE
) -> RejectedError:
    """Return what ends the mapping of a record, of which `field` is wrong."""
    return RejectedError(RecordFault(field, code, got, expected, fix))
