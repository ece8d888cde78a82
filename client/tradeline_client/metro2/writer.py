"""Metro 2 records to bytes: as they were read, or composed anew with lengths and totals."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from tradeline_client.metro2.layout import DESCRIPTOR_BYTES, Segment
from tradeline_client.metro2.record import Form, Record
from tradeline_client.metro2.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def encode_record(record: Record, form: Form) -> bytes:
    """
    Return the bytes of a record: of one that was read in this form, the very bytes.

    Raises:
        ValueError: a value does not fit its field.
    """
    words = [record.record_bytes]
    if record.block_bytes is not None:
        words.insert(0, record.block_bytes)
    return b"".join(
        (
            *(form.encode_word(word) for word in words),
            *(each.encode(form.packing) for each in record.segments),
            record.padding,
            record.ending,
        )
    )


class Writer:
    """Writes one file, a block for each record."""

    def __init__(self, stream: BinaryIO, form: Form, *, record_bytes: int = 0) -> None:
        """Take where to write; records shorter than `record_bytes` are filled up to it."""
        self._stream = stream
        self._form = form
        self._record_bytes = record_bytes
        self._totals = Totals()
        self._number = 0
        self._offset = 0

    def write(self, segments: Sequence[Segment]) -> Record:
        """
        Write a header or base record and return it.

        Raises:
            ValueError: a value does not fit its field.
        """
        record = self._write(segments)
        self._totals.add(record)
        return record

    def close(self) -> Record:
        """Write the trailer of what was written, and return it."""
        return self._write((self._totals.segment(),))

    def _write(self, segments: Sequence[Segment]) -> Record:
        form = self._form
        self._number += 1
        size = DESCRIPTOR_BYTES + sum(each.layout.length(form.packing) for each in segments)
        filled = max(size, self._record_bytes)
        if filled + DESCRIPTOR_BYTES > form.unit_bytes_max:
            raise ValueError(
                f"a record has {filled} bytes, at most {form.unit_bytes_max - DESCRIPTOR_BYTES} "
                "can be written"
            )
        record = Record(
            self._number,
            self._offset,
            tuple(segments),
            filled + DESCRIPTOR_BYTES if form.blocked else None,
            filled,
            b" " * (filled - size),
            b"\n" if form.lines else b"",
        )
        written = encode_record(record, form)
        self._stream.write(written)
        self._offset += len(written)
        return record


def write_file(
    stream: BinaryIO,
    form: Form,
    header: Segment,
    accounts: Iterable[Sequence[Segment]],
    *,
    record_bytes: int = 0,
) -> None:
    """
    Write a whole file: header, a record for each account, trailer with its totals.

    Raises:
        ValueError: a value does not fit its field.
    """
    writer = Writer(stream, form, record_bytes=record_bytes)
    writer.write((header,))
    for segments in accounts:
        writer.write(segments)
    writer.close()
