"""What is wrong with a Metro 2 file: which record, where, what was expected, how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclasses_field


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. No text of it repeats what a record says of a person."""

    record: int
    """1-based number of the record in the file, its header included."""
    offset: int
    """0-based place in the file, in bytes, of what is wrong."""
    segment: str
    """`header`, `base`, `J1` to `N1`, `trailer`; empty where it is about framing."""
    field: str
    """Field of the segment; empty where it is about the segment or record."""
    code: str
    """Stable name of the fault."""
    got: str
    expected: str
    fix: str
    raw: bytes = dataclasses_field(default=b"", repr=False, compare=False)
    """The record or line as it stands in the file, empty where it is too long or not framed."""

    def __str__(self) -> str:
        where = " ".join(part for part in (self.segment, self.field) if part)
        return (
            f"record {self.record}, byte {self.offset}{f', {where}' if where else ''}: "
            f"{self.code}: got {self.got}, expected {self.expected}; {self.fix}"
        )
