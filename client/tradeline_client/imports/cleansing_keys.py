"""What events are known by: digests of subject, account, reference and content."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tradeline_client.imports.cleansing_column import months
from tradeline_client.imports.cleansing_digest import Digests, folded, mixed
from tradeline_ledger.field import Amount
from tradeline_ledger.schemas import CLOSED, OPENED

if TYPE_CHECKING:
    from tradeline_client.imports.columns import EventColumns

_ONCE: Final = frozenset({OPENED.number, CLOSED.number})
"""Types of which an account has one event."""
_DOCUMENT: Final = ("authority", "document_no")


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Digests of events, a column each."""

    account: NDArray[np.uint64]
    """Of the account as it is compared, 0 where the type has none."""
    account_spelt: NDArray[np.uint64]
    """Of the account as it is written."""
    ref: NDArray[np.uint64]
    """Of the reference as it is written."""
    ref_folded: NDArray[np.uint64]
    """Of the reference as it is compared."""
    content: NDArray[np.uint64]
    """Of type, day and all values."""
    slot: NDArray[np.uint64]
    """Of what only one event may be about."""
    twin: NDArray[np.uint64]
    """Of subject and content."""
    has_amount: NDArray[np.bool_]
    """Whether an amount other than 0 is reported, so that to be equal says something."""
    month: NDArray[np.int64]
    part: NDArray[np.int64]
    """Of the shelves: the month, 0 for what an account has once."""

    def select(self, mask: NDArray[np.bool_]) -> Self:
        """Return the keys of the events where `mask` is true."""
        return type(self)(*[getattr(self, each.name)[mask] for each in fields(self)])


def keys_of(columns: EventColumns, digests: Digests) -> Keys:
    """Return what the events of some columns are known by."""
    count = len(columns)
    kind = np.full(count, columns.schema.number, np.uint64)
    named = [f"{each.id_type}:{each.identifier}" for each in columns.subjects]
    subject = digests.strings(pa.array(named, pa.string()))[columns.subject]
    account = spelt = np.zeros(count, np.uint64)
    if columns.account is not None:
        account = digests.strings(folded(columns.account))
        spelt = digests.strings(columns.account)
    values = [_numbers(column, digests) for column in columns.values.columns]
    content = mixed(kind, digests.strings(columns.occurred_on), *values)
    month = months(columns)
    return Keys(
        account=account,
        account_spelt=spelt,
        ref=digests.strings(columns.ref),
        ref_folded=digests.strings(folded(columns.ref)),
        content=content,
        slot=_slots(columns, digests, mixed(kind, subject, account), content),
        twin=mixed(subject, content),
        has_amount=_has_amount(columns),
        month=month,
        part=np.zeros_like(month) if columns.schema.number in _ONCE else month,
    )


def _slots(
    columns: EventColumns,
    digests: Digests,
    owner: NDArray[np.uint64],
    content: NDArray[np.uint64],
) -> NDArray[np.uint64]:
    names = columns.values.schema.names
    if columns.schema.number in _ONCE:
        return owner
    if "period" in names:
        return mixed(owner, digests.strings(columns.values.column("period")))
    if all(name in names for name in _DOCUMENT):
        document = [digests.strings(columns.values.column(name)) for name in _DOCUMENT]
        return mixed(owner, *document)
    return mixed(owner, content)


def _numbers(column: pa.Array, digests: Digests) -> NDArray[np.uint64]:
    """Return a number for each wire value; null is one of its own."""
    if pa.types.is_string(column.type):
        return digests.strings(column)
    values = column.fill_null(np.iinfo(np.int64).min).to_numpy(zero_copy_only=False)
    return np.asarray(values, np.int64).view(np.uint64)


def _has_amount(columns: EventColumns) -> NDArray[np.bool_]:
    """Return which events have an amount other than 0, so that to be equal says something."""
    shown = np.zeros(len(columns), np.bool_)
    for item in columns.schema.fields:
        if isinstance(item.kind, Amount):
            amounts = columns.values.column(item.name).fill_null(0)
            shown |= amounts.to_numpy(zero_copy_only=False) != 0
    return shown
