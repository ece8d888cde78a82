"""
A Metro 2 file as a stream of records, each checked, with bounded memory.

Descriptor words say how long blocks and records are; a file with line breaks has one record or
block a line. A record in which something is wrong costs that record: the next is found by line
break or block, or, where a descriptor word is broken, at the end of the segments that stand there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from tradeline_client.metro2.fault import Fault
from tradeline_client.metro2.kind import Packing
from tradeline_client.metro2.layout import BASE, DESCRIPTOR_BYTES, HEADER, TRAILER
from tradeline_client.metro2.record import (
    PACKED_BYTES_MAX,
    Form,
    Record,
    decode_segments,
    measure_segments,
)
from tradeline_client.metro2.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES: Final = 1 << 20
_LINE_BREAKS: Final = b"\r\n"
_END_MARKS: Final = b" \0\r\n\x1a"
"""What may stand behind the trailer: filler, line breaks and the end mark of old systems."""
_FILLER: Final = b" \0"
_BEGINNING_BYTES: Final = 24
"""Enough of a record to tell that it is one: two descriptor words, indicators and time."""
_DATES: Final = ("date_opened", "date_of_account_information")
_SIGNS: Final = {"c": Packing.DECIMAL, "f": Packing.DECIMAL_UNSIGNED}
_RECORD_DESCRIPTOR: Final = "a record descriptor word"
_BLOCK_DESCRIPTOR: Final = "a block descriptor word"


class Readable(Protocol):
    """A file opened for bytes, as far as it is needed."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end of the file."""
        ...


class Reader:
    """Reads one file from its beginning; iterate once over records and faults, in file order."""

    def __init__(self, stream: Readable) -> None:
        """Take a file opened for bytes."""
        self._input = _Input(stream)
        self._form: Form | None = None
        self._number = 0
        self._whole = True
        self._totals = Totals()
        self._ended = False
        self._settled = False

    @property
    def form(self) -> Form:
        """How the file is written; known as soon as one record was read."""
        assert self._form is not None, "nothing was read"
        return self._form

    def __iter__(self) -> Iterator[Record | Fault]:
        """Yield each record that is right, and each fault of those that are not."""
        head = self._input.ahead(PACKED_BYTES_MAX)
        form = _form_of(head)
        if form is None:
            yield self._fault(
                0,
                "no-header",
                f"a file of {len(head)} bytes or more that does not begin with a header record",
                "HEADER behind one or two descriptor words of 4 bytes",
                "check that it is a Metro 2 file, not compressed, and nothing stands before it",
            )
            return
        self._form = form
        while not self._ended and self._input.ahead(1):
            yield from self._line() if self.form.lines else self._unit()
        if not self._ended:
            yield self._fault(
                self._input.offset,
                "trailer-missing",
                "the end of the file",
                "a trailer record",
                "the file was cut short: get it again, what was read is right as far as it goes",
            )

    def _line(self) -> Iterator[Record | Fault]:
        offset = self._input.offset
        line, ending, size = self._input.line(self.form.unit_bytes_max)
        if len(line) < size:
            self._number += 1
            self._whole = False
            yield self._fault(
                offset,
                "record-too-long",
                f"a line of {size} bytes",
                f"at most {self.form.unit_bytes_max}",
                "check that line breaks stand between records",
            )
        elif line.strip(_END_MARKS):
            yield from self._records(line, offset, ending)

    def _unit(self) -> Iterator[Record | Fault]:
        form, offset = self.form, self._input.offset
        size = form.word(self._input.ahead(DESCRIPTOR_BYTES))
        if size is not None and _framed(form, self._input.ahead(size + _BEGINNING_BYTES), size):
            yield from self._records(self._input.take(size), offset, b"")
            return
        # Segments say how long they are too.
        head = self._input.ahead(form.unit_bytes_max + _BEGINNING_BYTES)
        blocked = _begins_block(form, head)
        words = DESCRIPTOR_BYTES * (1 + blocked)
        measured = words + measure_segments(head[words:], form.packing)
        if size == measured <= len(head):
            yield from self._records(self._input.take(size), offset, b"")
            return
        self._number += 1
        self._whole = False
        if _framed(form, head, measured):
            unit = self._input.take(measured)
            yield self._broken_word(offset, unit, measured, blocked=blocked)
            return
        self._ended = True
        if len(head) < (form.record_bytes_min if size is None else size):
            yield self._truncated(offset, len(head), size)
            return
        yield self._broken_word(offset, head, None, blocked=blocked)
        lost = self._input.rest()
        yield self._fault(
            offset,
            "not-framed",
            f"{lost} bytes behind a broken descriptor word",
            "records, each with its length",
            "nothing says where the next record begins: correct that word and read the file again",
        )

    def _records(self, unit: bytes, offset: int, ending: bytes) -> Iterator[Record | Fault]:
        """Yield the records of one block, or the one record that has no block."""
        form, size = self.form, len(unit)
        block = form.word(unit[:DESCRIPTOR_BYTES]) if _begins_block(form, unit) else None
        at = DESCRIPTOR_BYTES if _begins_block(form, unit) else 0
        first = True
        while first or unit[at:].strip(_FILLER):
            self._number += 1
            word = form.word(unit[at : at + DESCRIPTOR_BYTES])
            length = size - at
            whole_line = form.lines and first and size in (word, block)
            fits = word is not None and form.record_bytes_min <= word <= length
            if not fits and not (whole_line and word is not None and word >= length):
                self._whole = False
                yield self._broken_word(offset + at, unit[at:], None, blocked=False, room=length)
                return
            if form.lines and first and not whole_line:
                self._whole = False
                yield self._broken_word(offset, unit, size, blocked=block is not None)
                return
            assert word is not None
            end = min(at + word, size)
            found = self._record(unit[:end], at, offset)
            filled = end + _filler(unit, end)
            if isinstance(found, Record):
                last = filled == size
                found = Record(
                    found.number,
                    found.offset,
                    found.segments,
                    block if first else None,
                    word,
                    found.padding + unit[end:filled],
                    self._ending(found, ending) if last else b"",
                )
                yield found
                yield from self._checked(found)
            else:
                self._whole = False
                yield from found
            at, first = filled, False

    def _record(self, unit: bytes, at: int, offset: int) -> Record | tuple[Fault, ...]:
        """Return the record whose descriptor word stands at `at`, or what is wrong with it."""
        body_at = at + DESCRIPTOR_BYTES
        body = unit[body_at:]
        self._settle_packing(body)
        segments, faults, used = decode_segments(body, self.form.packing)
        if not faults:
            begins = offset if self.form.blocked and at == DESCRIPTOR_BYTES else offset + at
            return Record(self._number, begins, segments, None, 0, body[used:], b"")
        return tuple(
            Fault(
                self._number,
                offset + body_at + each.offset,
                each.segment,
                each.field,
                each.code,
                each.got,
                each.expected,
                each.fix,
                unit[at:],
            )
            for each in faults
        )

    def _checked(self, record: Record) -> Iterator[Fault]:
        """Count a record, and yield what is wrong with its place among the others."""
        if (record.layout is HEADER) != (record.number == 1):
            got = f"a {record.layout.name} record"
            yield self._fault(
                record.offset,
                "record-order",
                got,
                "one header record, at the beginning",
                "split files that were joined, each with its header and trailer",
            )
        if record.layout is not TRAILER:
            self._totals.add(record)
            return
        self._ended = True
        if self._whole:
            for name, said, counted in self._totals.differ(record.base):
                place = next(p for p in TRAILER.places(self.form.packing) if p.field.name == name)
                yield Fault(
                    record.number,
                    record.offset + DESCRIPTOR_BYTES + place.start,
                    TRAILER.name,
                    name,
                    "trailer-total",
                    str(said),
                    f"{counted}, as counted in the file",
                    "check that no record is missing, then correct the total",
                )
        lost = self._input.rest()
        if lost:
            yield self._fault(
                self._input.offset - lost,
                "after-trailer",
                f"{lost} bytes behind the trailer record",
                "the end of the file",
                "split files that were joined; nothing behind the trailer was read",
            )

    def _ending(self, record: Record, ending: bytes) -> bytes:
        """Return what stands behind the last record of a unit and belongs to no record."""
        if record.layout is not TRAILER:
            return ending
        marks = self._input.ahead(_CHUNK_BYTES)
        size = len(marks) - len(marks.lstrip(_END_MARKS))
        return ending + self._input.take(size)

    def _settle_packing(self, body: bytes) -> None:
        """Find out from the first packed record which of the packings it is."""
        form = self.form
        if not form.packing.packed or self._settled or body.startswith(b"HEADER"):
            return
        self._settled = True
        self._form = Form(_packing_of(body), form.blocked, form.lines)

    def _truncated(self, offset: int, left: int, size: int | None) -> Fault:
        least = f"{self.form.record_bytes_min} or more"
        return self._fault(
            offset,
            "truncated",
            f"{left} bytes to the end of the file",
            f"{least if size is None else size} bytes of a record",
            "the file was cut short: get it again, what was read is right as far as it goes",
        )

    def _broken_word(
        self, offset: int, unit: bytes, size: int | None, *, blocked: bool, room: int | None = None
    ) -> Fault:
        raw = unit[:DESCRIPTOR_BYTES]
        said = self.form.word(raw)
        written = "two bytes and two zero bytes" if self.form.packing.packed else "four digits"
        at_least, at_most = self.form.record_bytes_min, room or self.form.unit_bytes_max
        return self._fault(
            offset,
            "descriptor",
            f"0x{raw.hex()}" if said is None else f"a length of {said}",
            f"{_BLOCK_DESCRIPTOR if blocked else _RECORD_DESCRIPTOR}: {written}, "
            + (f"{size}" if size is not None else f"{at_least} to {at_most}"),
            "write the length of the record, descriptor word included, before it",
            raw=unit,
        )

    def _fault(
        self, offset: int, code: str, got: str, expected: str, fix: str, *, raw: bytes = b""
    ) -> Fault:
        return Fault(max(self._number, 1), offset, "", "", code, got, expected, fix, raw)


def _form_of(head: bytes) -> Form | None:
    """Return how a file with this beginning is written; which packing is not known yet."""
    words = head.find(b"HEADER", 0, 2 * DESCRIPTOR_BYTES + len(b"HEADER"))
    if words not in (DESCRIPTOR_BYTES, 2 * DESCRIPTOR_BYTES):
        return None
    blocked = words == 2 * DESCRIPTOR_BYTES
    if head[words - 2 : words] == b"\0\0":
        return Form(Packing.DECIMAL, blocked, lines=False)
    form = Form(Packing.CHARACTER, blocked, lines=False)
    first_break = head.find(b"\n", 0, form.unit_bytes_max + 1)
    if first_break < 0 or _framed(form, head, form.word(head[:DESCRIPTOR_BYTES])):
        return form
    return Form(Packing.CHARACTER, blocked, lines=True)


def _packing_of(body: bytes) -> Packing:
    """Return the packing of the first base or trailer record of a packed file."""
    names = ("base_records",) if body.startswith(b"TRAILER") else _DATES
    layout = TRAILER if body.startswith(b"TRAILER") else BASE
    for place in layout.places(Packing.DECIMAL):
        raw = body[place.start : place.end]
        if place.field.name in names and any(raw):
            digits, sign = raw.hex()[:-1], raw.hex()[-1]
            return _SIGNS.get(sign, Packing.BINARY) if digits.isdecimal() else Packing.BINARY
    return Packing.BINARY


def _begins_block(form: Form, head: bytes) -> bool:
    """Say whether a block descriptor word stands here; before a trailer it may be missing."""
    return form.blocked and not head.startswith(b"TRAILER", DESCRIPTOR_BYTES)


def _framed(form: Form, head: bytes, size: int | None) -> bool:
    """Say whether a record or block can have `size` bytes: another begins there, or nothing."""
    if size is None or not form.record_bytes_min <= size <= len(head):
        return False
    following = head[size : size + _BEGINNING_BYTES]
    if not following.strip(_END_MARKS):
        return True
    word = form.word(following[:DESCRIPTOR_BYTES])
    if word is None or not form.record_bytes_min <= word <= form.unit_bytes_max:
        return False
    words = DESCRIPTOR_BYTES * (1 + _begins_block(form, following))
    body = following[words:]
    if body.startswith((b"HEADER", b"TRAILER")):
        return True
    # Processing indicator, then a time in digits or packed, then the correction indicator.
    marks = body[9:10] if form.packing.packed else body[15:16]
    time = b"0" if form.packing.packed else body[1:15].strip(b" ") or b"0"
    return body[:1] in (b"1", b" ") and time.isdigit() and marks in (b"0", b"1", b" ", b"")


def _filler(unit: bytes, at: int) -> int:
    """Return how many bytes from `at` are filler, if nothing else follows."""
    return 0 if unit[at:].strip(_FILLER) else len(unit) - at


class _Input:
    """A file read ahead, in chunks."""

    __slots__ = ("_at", "_held", "_stream", "offset")

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._held = b""
        self._at = 0
        self.offset = 0
        """Place in the file of what is taken next."""

    def ahead(self, count: int) -> bytes:
        """Return the next `count` bytes, fewer at the end of the file."""
        while len(self._held) - self._at < count:
            chunk = self._stream.read(_CHUNK_BYTES)
            if not chunk:
                break
            self._held = self._held[self._at :] + chunk
            self._at = 0
        return self._held[self._at : self._at + count]

    def take(self, count: int) -> bytes:
        """Return and pass the next `count` bytes."""
        taken = self.ahead(count)
        self._at += len(taken)
        self.offset += len(taken)
        return taken

    def line(self, bytes_max: int) -> tuple[bytes, bytes, int]:
        """Return a line, as far as `bytes_max`, its line break, and how long it is."""
        held = self.ahead(bytes_max + len(_LINE_BREAKS))
        end = held.find(b"\n")
        if end >= 0 or len(held) < bytes_max + len(_LINE_BREAKS):
            line = self.take(end + 1 if end >= 0 else len(held))
            text = line.rstrip(_LINE_BREAKS)
            return text, line[len(text) :], len(text)
        line, size = self.take(bytes_max), bytes_max
        while held := self.ahead(_CHUNK_BYTES):
            end = held.find(b"\n")
            size += len(self.take(end + 1 if end >= 0 else len(held)))
            if end >= 0:
                return line, b"", size - 1
        return line, b"", size

    def rest(self) -> int:
        """Pass everything to the end of the file, and return how many bytes it was."""
        size = 0
        while taken := self.take(_CHUNK_BYTES):
            size += len(taken)
        return size
