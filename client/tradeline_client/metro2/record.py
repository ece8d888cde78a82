"""One record of a Metro 2 file: its segments and how it was framed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_client.metro2.kind import Packing
from tradeline_client.metro2.layout import (
    APPENDED,
    BASE,
    DESCRIPTOR_BYTES,
    HEADER,
    REPEATED,
    TRAILER,
    Layout,
    Segment,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CHARACTER_BYTES_MAX: Final = 9_999
"""Most bytes of a record or block, as four digits can say."""
PACKED_BYTES_MAX: Final = 0xFFFF
"""Most bytes of a record or block, as two bytes can say."""


@dataclass(frozen=True, slots=True)
class Form:
    """How the records of a file are written."""

    packing: Packing
    blocked: bool
    """Whether block descriptor words stand before records."""
    lines: bool
    """Whether line breaks stand between records."""

    @property
    def unit_bytes_max(self) -> int:
        """Most bytes of a record or block, descriptor words included."""
        return PACKED_BYTES_MAX if self.packing.packed else CHARACTER_BYTES_MAX

    @property
    def record_bytes_min(self) -> int:
        """Fewest bytes of a record, its descriptor word included."""
        return DESCRIPTOR_BYTES + BASE.length(self.packing)

    def word(self, raw: bytes) -> int | None:
        """Return what a descriptor word says, None if it is no such word."""
        if self.packing.packed:
            return (
                int.from_bytes(raw[:2])
                if len(raw) == DESCRIPTOR_BYTES and not any(raw[2:])
                else None
            )
        return int(raw) if len(raw) == DESCRIPTOR_BYTES and raw.isdigit() else None

    def encode_word(self, size: int) -> bytes:
        """Return the descriptor word of `size` bytes."""
        assert 0 <= size <= self.unit_bytes_max, size
        return size.to_bytes(2) + b"\0\0" if self.packing.packed else b"%04d" % size


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """A header, a trailer, or what is reported of one account."""

    number: int
    """1-based, the header included."""
    offset: int
    """Where it begins in the file, in bytes."""
    segments: tuple[Segment, ...]
    """Header, trailer, or base segment and what is appended to it."""
    block_bytes: int | None
    """What the block descriptor word before it says, None where none stands there."""
    record_bytes: int
    """What its record descriptor word says."""
    padding: bytes
    """Filler between its last segment and the next record."""
    ending: bytes
    """Line break behind it, if any."""

    def __repr__(self) -> str:
        return f"Record({self.number}, {self.layout.name}, not shown)"

    @property
    def layout(self) -> Layout:
        """Layout of its first segment: header, base or trailer."""
        return self.segments[0].layout

    @property
    def base(self) -> Segment:
        """The first segment."""
        return self.segments[0]

    def appended(self, *layouts: Layout) -> Iterator[Segment]:
        """Yield the segments of these layouts behind the first one."""
        return (each for each in self.segments[1:] if each.layout in layouts)


@dataclass(frozen=True, slots=True)
class SegmentFault:
    """What is wrong within the body of a record; `Fault` says where in the file."""

    offset: int
    """In bytes, within the body."""
    segment: str
    field: str
    code: str
    got: str
    expected: str
    fix: str


def layout_of(body: bytes) -> Layout:
    """Return the layout of the first segment of a record, descriptor words left out."""
    if body.startswith(b"HEADER"):
        return HEADER
    return TRAILER if body.startswith(b"TRAILER") else BASE


def decode_segments(
    body: bytes, packing: Packing
) -> tuple[tuple[Segment, ...], tuple[SegmentFault, ...], int]:
    """
    Return the segments of a record, what is wrong with them, and the bytes that they take.

    Args:
        body: the record without descriptor words; filler may stand at its end.
        packing: of the file.
    """
    segments: list[Segment] = []
    faults: list[SegmentFault] = []
    at, layout = 0, layout_of(body)
    while True:
        end = at + layout.length(packing)
        if end > len(body):
            faults.append(_too_short(layout, at, len(body), end - at))
            break
        piece = body[at:end]
        try:
            values = layout.decode(piece, packing)
        except ValueError:
            values = ()
            faults += _wrong_fields(layout, piece, at, packing)
        segments.append(Segment(layout, values))
        at = end
        if at == len(body) or not body[at:].strip(b" \0") or segments[0].layout is not BASE:
            break
        following = APPENDED.get(body[at : at + 2])
        if following is None or (following not in REPEATED and _has(segments, following)):
            faults.append(_unknown(body, at, following))
            break
        layout = following
    return tuple(segments), tuple(faults), at


def measure_segments(body: bytes, packing: Packing) -> int:
    """Return the bytes that first segment, known segments and filler take, whatever they say."""
    at = layout_of(body).length(packing)
    while at < len(body) and (layout := APPENDED.get(body[at : at + 2])):
        at += layout.length(packing)
    while at < len(body) and body[at] in b" \0":
        at += 1
    return at


def _wrong_fields(
    layout: Layout, piece: bytes, at: int, packing: Packing
) -> Iterator[SegmentFault]:
    """Yield what is wrong with each field of a segment that stands at `at`."""
    for place in layout.places(packing):
        try:
            place.decode(piece[place.start : place.end])
        except ValueError as error:
            name = place.field.name
            yield SegmentFault(
                at + place.start,
                layout.name,
                name,
                "field",
                str(error),
                place.field.kind.expected,
                f"correct {name} in the system that writes the file",
            )


def _has(segments: list[Segment], layout: Layout) -> bool:
    return any(each.layout is layout for each in segments)


def _too_short(layout: Layout, at: int, size: int, needs: int) -> SegmentFault:
    return SegmentFault(
        at,
        layout.name,
        "",
        "segment-short",
        f"{size - at} bytes",
        f"{needs} bytes",
        "write the segment at its full length, fields filled up with blanks or zeros",
    )


def _unknown(body: bytes, at: int, repeated: Layout | None) -> SegmentFault:
    names = ", ".join(sorted(name.decode() for name in APPENDED))
    if repeated is not None:
        got, expected = f"a second segment {repeated.name}", "at most one in a record"
    else:
        got = f"{len(body) - at} bytes that begin with no name of a segment"
        expected = f"one of {names}, or filler to the end of the record"
    return SegmentFault(
        at,
        "" if repeated is None else repeated.name,
        "",
        "segment-unknown",
        got,
        expected,
        "check the lengths of the segments before it; each has a fixed one",
    )
