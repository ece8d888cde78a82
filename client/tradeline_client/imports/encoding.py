"""
The canonical bytes of events (docs/formats.md, sections 1 and 4), a column at a time.

`tradeline_ledger.encoding` writes one event out of Python objects; a file of a million rows has
none. Here every column becomes a column of encoded pieces, and the pieces of one event are joined.
The bytes are the same, which tests compare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import EventError
from tradeline_ledger.event import EVENT_BYTES_MAX
from tradeline_ledger.mac import SHORT_MAC_BYTES

if TYPE_CHECKING:
    from tradeline_client.imports.columns import EventColumns

_NIL: Final = 0xC0
_EVENT_HEADER: Final = b"\x99"
"""An event is an array of nine."""
_DAY_HEADER: Final = b"\xaa"
"""A string of ten bytes, `YYYY-MM-DD`."""
_B16_HEADER: Final = b"\xc4\x10"

# The shortest form of an integer: up to which value, bytes behind the lead, lead. Below the first
# bound the integer is its own lead.
_ABOVE = (
    (0x7F, 1, 0xCC),
    (0xFF, 2, 0xCD),
    (0xFFFF, 4, 0xCE),
    (0xFFFF_FFFF, 8, 0xCF),
)
_BELOW = (
    (-0x20, 1, 0xD0),
    (-0x80, 2, 0xD1),
    (-0x8000, 4, 0xD2),
    (-0x8000_0000, 8, 0xD3),
)
_FIXED_TEXT_MAX = 0x1F
_SHORT_TEXT_MAX = 0xFF


def encode_fields(columns: EventColumns) -> pa.BinaryArray:
    """Return the encoded array of the wire values of each event, in the order of the schema."""
    fields = [_pieces(column) for column in columns.values.columns]
    header = encode((None,) * len(fields))[: -len(fields) or None]
    if not fields:
        return pa.array([header] * len(columns), pa.binary())
    return _joined([_scalar(header), *fields])


def encode_events(
    columns: EventColumns, refs: bytes, accounts: bytes | None, checks: bytes
) -> pa.BinaryArray:
    """
    Return the bytes of each event, as `tradeline_ledger.event.encode_event` writes them.

    The columns are taken to follow their schema, as `EventColumns` says. Corrections, which have a
    target, are not made of columns.

    Args:
        columns: the events.
        refs: keyed references, 16 bytes an event, one after the other.
        accounts: keyed references of accounts, or None where the type has none.
        checks: what ties each event to its subject.

    Raises:
        EventError: an event is longer than `EVENT_BYTES_MAX`.
    """
    schema, count = columns.schema, len(columns)
    assert not schema.corrects, schema.title
    assert (accounts is None) == (columns.account is None), schema.title
    head = _EVENT_HEADER + encode(schema.number) + encode(schema.version) + _DAY_HEADER
    account = [_scalar(bytes([_NIL]))]
    if accounts is not None:
        account = [_scalar(_B16_HEADER), _b16(accounts, count)]
    events = _joined(
        [
            _scalar(head),
            columns.occurred_on.cast(pa.binary()),
            _scalar(encode(int(columns.basis)) + _B16_HEADER),
            _b16(refs, count),
            *account,
            _scalar(_B16_HEADER),
            _b16(checks, count),
            _scalar(bytes([_NIL])),
            encode_fields(columns),
        ]
    )
    longest = pc.max(pc.binary_length(events)).as_py() or 0
    if longest > EVENT_BYTES_MAX:
        raise EventError(f"event has {longest} bytes, at most {EVENT_BYTES_MAX} are allowed")
    return events


def _pieces(column: pa.Array) -> pa.BinaryArray:
    if pa.types.is_int64(column.type):
        return _integers(column)
    assert pa.types.is_string(column.type), column.type
    return _texts(column)


def _integers(column: pa.Array) -> pa.BinaryArray:
    """Return each integer in its shortest form, nil for null."""
    values = column.fill_null(0).to_numpy(zero_copy_only=False)
    widths = np.zeros(len(values), np.int64)
    leads = (values & 0xFF).astype(np.uint8)
    for bound, width, lead in _ABOVE:
        widths[above := values > bound] = width
        leads[above] = lead
    for bound, width, lead in _BELOW:
        widths[below := values < bound] = width
        leads[below] = lead
    if column.null_count:
        leads[column.is_null().to_numpy(zero_copy_only=False)] = _NIL
    return _compact(leads, values, widths)


def _texts(column: pa.Array) -> pa.BinaryArray:
    """Return each text behind its length in bytes, nil for null."""
    lengths = pc.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    lengths = lengths.astype(np.int64)
    leads = (lengths | 0xA0).astype(np.uint8)
    widths = np.zeros(len(lengths), np.int64)
    widths[longer := lengths > _FIXED_TEXT_MAX] = 1
    leads[longer] = 0xD9
    widths[longer := lengths > _SHORT_TEXT_MAX] = 2
    leads[longer] = 0xDA
    if column.null_count:
        leads[column.is_null().to_numpy(zero_copy_only=False)] = _NIL
    return _joined([_compact(leads, lengths, widths), column.cast(pa.binary()).fill_null(b"")])


def _compact(
    leads: NDArray[np.uint8], values: NDArray[np.int64], widths: NDArray[np.int64]
) -> pa.BinaryArray:
    """Return each lead with the last `widths` bytes of its value behind it, big end first."""
    widest = int(widths.max(initial=0))
    if widest:
        # Right-aligned in a table as wide as the widest, of which the used right parts are kept.
        table = np.empty((len(values), widest + 1), np.uint8)
        big_end_first = values.astype(">i8").view(np.uint8).reshape(-1, 8)
        table[:, 1:] = big_end_first[:, 8 - widest :]
        start = widest - widths
        table[np.arange(len(values)), start] = leads
        kept = table[np.arange(widest + 1) >= start[:, None]]
    else:
        kept = leads
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(widths + 1, out=offsets[1:])
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(kept)]
    )


def _b16(joined: bytes, count: int) -> pa.BinaryArray:
    assert len(joined) == SHORT_MAC_BYTES * count, (len(joined), count)
    offsets = np.arange(0, len(joined) + 1, SHORT_MAC_BYTES, dtype=np.int32)
    return pa.BinaryArray.from_buffers(
        pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(joined)]
    )


def _joined(pieces: list[pa.Array | pa.Scalar]) -> pa.BinaryArray:
    return pc.binary_join_element_wise(*pieces, _scalar(b""))


def _scalar(piece: bytes) -> pa.BinaryScalar:
    return pa.scalar(piece, pa.binary())
