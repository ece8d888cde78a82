"""From columns of text to columns of wire values, as a mapping says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradeline_client.imports.cleansing_text import (
    normalise_address,
    normalise_code,
    normalise_name,
    normalise_text,
)
from tradeline_client.imports.columns import column_type
from tradeline_client.imports.date_style import read_text
from tradeline_client.imports.fault import Severity
from tradeline_client.imports.mapping import Clean, Unit
from tradeline_client.imports.number_column import read_numbers
from tradeline_client.imports.validation import Mask, given, mask_of, unfit
from tradeline_ledger.currency import MINOR_DIGITS
from tradeline_ledger.field import Amount, Choice, Currency, Day, Field, Integer, Period, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tradeline_client.imports.mapping import Value
    from tradeline_client.imports.mapping_view import View

_DIGITS_UNKNOWN: Final = 2
"""Of an amount whose currency is missing, which is another fault."""
_CLEANERS: Final = {
    Clean.TEXT: normalise_text,
    Clean.NAME: normalise_name,
    Clean.ADDRESS: normalise_address,
    Clean.CODE: normalise_code,
}


def map_value(
    view: View, item: Field, value: Value | None, currency: pa.StringArray | None
) -> pa.Array:
    """
    Return the wire values of one field, null where it is not reported or a fault was found.

    Args:
        view: the rows.
        item: the field.
        value: where it comes from; None for what is never reported.
        currency: of the amounts of each row, if the type has one.
    """
    kind = column_type(item.kind)
    if value is None:
        return pa.nulls(len(view), kind)
    held = view.holds(value.when)
    if not value.columns:
        constant = pa.repeat(pa.scalar(value.constant, kind), len(view))
        mapped = constant if held.all() else _where(held, constant)
        column = ""
    else:
        texts, empty = _first_given(view, value.columns)
        column = value.columns[0]
        wanted = held & ~empty
        read = _Reader(view, item, value, column, wanted)
        mapped = read.read(_where(wanted, texts), currency)
        if value.default is not None:
            filled = pa.scalar(value.default, kind)
            mapped = pc.if_else(pa.array(held & empty), filled, mapped)
    if not item.optional or value.required:
        missing = ~given(mapped) & view.fine & (held if item.optional else True)
        view.fault(
            missing,
            "value-missing",
            item.kind.expected,
            f"put {item.doc or item.name} there",
            column=column,
            field=item.name,
            got="nothing",
        )
    if value.agrees is not None:
        _check_agreement(view, item, value, mapped)
    return mapped


class _Reader:
    """Reads the texts of one field."""

    def __init__(self, view: View, item: Field, value: Value, column: str, wanted: Mask) -> None:
        self._view = view
        self._item = item
        self._value = value
        self._column = column
        self._wanted = wanted

    def read(self, texts: pa.StringArray, currency: pa.StringArray | None) -> pa.Array:
        """Return wire values; what is no value is a fault, and null."""
        item, value = self._item, self._value
        texts = self._cleaned(texts)
        codes = value.codes
        if codes is None and isinstance(item.kind, Choice):
            codes = {name: item.kind.number(name) for name in item.kind.names}
        if codes is not None:
            return self._codes(texts, codes)
        match item.kind:
            case Amount():
                return self._bounded(self._amounts(texts, currency))
            case Integer():
                return self._bounded(self._numbers(texts, 0))
            case Day() | Period():
                return self._dates(texts)
            case Currency() | Text():
                return self._bounded(texts)
            case _:
                raise AssertionError(f"{item.name} is not mapped")

    def _cleaned(self, texts: pa.StringArray) -> pa.StringArray:
        """Return texts in the form that the mapping asks for, and say what is wrong with them."""
        if self._value.clean is None:
            return texts
        cleaned = _CLEANERS[self._value.clean](texts)
        for fault in cleaned.faults:
            wrong = np.zeros(len(texts), np.bool_)
            wrong[fault.places] = True
            self._view.fault(
                wrong,
                fault.code,
                fault.expected,
                fault.fix,
                column=self._column,
                field=self._item.name,
                got=fault.got,
                severity=fault.severity,
            )
        return cleaned.array

    def _codes(self, texts: pa.StringArray, codes: Mapping[str, Any]) -> pa.Array:
        otherwise = self._value.otherwise
        column = _by_distinct(
            texts, lambda text: codes.get(text, otherwise), column_type(self._item.kind)
        )
        self._view.fault(
            given(column) & self._view.padded(self._column),
            "code-padded",
            "the code without spaces around it",
            "nothing: it was read without them; mend what writes the file",
            column=self._column,
            field=self._item.name,
            got="spaces around it",
            severity=Severity.WARNING,
        )
        self._fault(
            given(texts) & ~given(column),
            "code-unknown",
            "one of " + ", ".join(codes),
            "add the code to the table of the mapping, or correct it",
            hidden=False,
        )
        return column

    def _dates(self, texts: pa.StringArray) -> pa.Array:
        style, month = self._value.date, isinstance(self._item.kind, Period)
        assert style is not None, "the mapping was checked"

        def read(text: str) -> str | None:
            try:
                return read_text(text, style, month=month)
            except ValueError:
                return None

        column = _by_distinct(texts, read, pa.string())
        self._fault(
            given(texts) & ~given(column),
            "date-unreadable",
            f"a date of the calendar written as {style.pattern}",
            "write all dates of a column in one style",
            hidden=False,
        )
        return column

    def _amounts(self, texts: pa.StringArray, currency: pa.StringArray | None) -> pa.Array:
        unit = self._value.number.unit
        if unit is Unit.MINOR or unit is None:
            return self._numbers(texts, 0)
        if currency is None:
            return self._numbers(texts, _DIGITS_UNKNOWN + unit.digits)
        groups: dict[int, list[str]] = {}
        for code in pc.unique(currency).to_pylist():
            groups.setdefault(MINOR_DIGITS.get(code, _DIGITS_UNKNOWN), []).append(code)
        if len(groups) == 1:
            return self._numbers(texts, next(iter(groups)) + unit.digits)
        column = pa.nulls(len(texts), pa.int64())
        for digits, codes in groups.items():
            rows = mask_of(pc.is_in(currency, pa.array(codes, pa.string())))
            column = pc.coalesce(column, self._numbers(_where(rows, texts), digits + unit.digits))
        return column

    def _numbers(self, texts: pa.StringArray, digits: int) -> pa.Array:
        style = self._value.number
        read = read_numbers(texts, style, digits)
        hidden = isinstance(self._item.kind, Amount)
        self._fault(
            read.unreadable,
            "number-unreadable",
            f"{self._item.kind.expected}, written with {style.decimal!r} before the fraction"
            + (f" and {style.thousands!r} between thousands" if style.thousands else ""),
            "write it in digits, or say in the mapping how the column writes numbers",
            hidden=hidden,
        )
        self._fault(
            read.imprecise,
            "number-too-precise",
            f"at most {digits} digits behind the point"
            if style.multiply == 1
            else f"a number that is whole when multiplied with {style.multiply}",
            "look at the unit that the mapping gives; nothing is rounded",
            hidden=hidden,
        )
        return read.values

    def _bounded(self, column: pa.Array) -> pa.Array:
        """Return a column without the values that the kind does not allow."""
        item = self._item
        wrong = unfit(item.kind, column)
        if not wrong.any():
            return column
        self._fault(
            wrong,
            "value-not-allowed",
            item.kind.expected,
            "correct it, or the unit that the mapping gives",
            hidden=isinstance(item.kind, Amount | Text),
        )
        return _where(~wrong, column)

    def _fault(self, wrong: Mask, code: str, expected: str, fix: str, *, hidden: bool) -> None:
        column, item = self._column, self._item
        self._view.fault(wrong, code, expected, fix, column=column, field=item.name, hidden=hidden)


def _first_given(view: View, columns: tuple[str, ...]) -> tuple[pa.StringArray, Mask]:
    texts, empty = view.column(columns[0])
    for name in columns[1:]:
        if not empty.any():
            break
        others, lacking = view.column(name)
        texts = pc.if_else(pa.array(empty), others, texts)
        empty = empty & lacking
    return texts, empty


def _by_distinct(texts: pa.StringArray, read: Callable[[str], Any], kind: pa.DataType) -> pa.Array:
    """Return what each text becomes, computed once for each distinct one."""
    encoded = texts.dictionary_encode()
    values = pa.array([read(text) for text in encoded.dictionary.to_pylist()], kind)
    return values.take(encoded.indices)


def _where(kept: Mask, column: pa.Array) -> pa.Array:
    """Return a column with null in the other rows."""
    if kept.all():
        return column
    return pc.if_else(pa.array(kept), column, pa.scalar(None, column.type))


def _check_agreement(view: View, item: Field, value: Value, mapped: pa.Array) -> None:
    agrees = value.agrees
    assert agrees is not None, "asked for"
    texts, empty = view.column(agrees.column)
    fits = np.zeros(len(view), np.bool_)
    for text, values in agrees.codes.items():
        among = pa.array(sorted(values), mapped.type)
        fits |= mask_of(pc.and_(pc.equal(texts, text), pc.is_in(mapped, among)))
    known = mask_of(pc.is_in(texts, pa.array(list(agrees.codes), pa.string())))
    view.fault(
        empty & given(mapped) & view.fine,
        "value-missing",
        "one of " + ", ".join(agrees.codes),
        f"put there what fits {item.name}",
        column=agrees.column,
        field=item.name,
        got="nothing",
    )
    view.fault(
        ~known & ~empty & view.fine,
        "code-unknown",
        "one of " + ", ".join(agrees.codes),
        "add the code to the table of the mapping, or correct it",
        column=agrees.column,
        field=item.name,
        hidden=False,
    )
    view.fault(
        known & ~fits & given(mapped),
        "columns-disagree",
        f"a value that fits {' and '.join(value.columns)}",
        "find out which of the columns is right",
        column=agrees.column,
        field=item.name,
        hidden=False,
        severity=Severity.QUARANTINE,
    )
