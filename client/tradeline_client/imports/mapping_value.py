"""Where the fields of an event come from, as a mapping says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from tradeline_client.imports.cleansing_text import code_key
from tradeline_client.imports.date_style import check_pattern, read_text
from tradeline_client.imports.mapping import (
    Agreement,
    Clean,
    Condition,
    DateStyle,
    DayOf,
    Negative,
    NumberStyle,
    Unit,
    Value,
)
from tradeline_client.imports.mapping_table import Table
from tradeline_client.imports.nearest import nearest
from tradeline_ledger.calendar import parse_date
from tradeline_ledger.encoding import encode
from tradeline_ledger.field import (
    Amount,
    Choice,
    Day,
    Field,
    Integer,
    Kind,
    Period,
    Replacement,
    Rows,
)

if TYPE_CHECKING:
    from tradeline_client.errors import MappingError

MULTIPLY_MAX: Final = 1_000_000_000
_NUMBER_MAX: Final = 2**53 - 1
_ANY = (
    *("column", "columns", "constant", "codes", "otherwise", "default", "when", "agrees", "clean"),
    "required",
)
_NUMBER = ("decimal", "thousands", "negative")
_DATE = ("date",)
DAY_FIELD: Final = Field("occurred_on", Day(), "")
REVISION_FIELD: Final = Field("revision", Integer("reports", 0, _NUMBER_MAX), "")


def read_value(fields: Table, item: Field) -> Value | None:
    """
    Return where a field comes from, or None if the mapping leaves it out.

    Raises:
        MappingError: it is required and left out, or said in a way that does not fit its kind.
    """
    if item.name not in fields:
        if item.optional:
            return None
        raise fields.error(
            item.name, "nothing", f"a column or a constant: {item.doc} ({item.kind.expected})"
        )
    if isinstance(item.kind, Rows | Replacement):
        raise fields.error(item.name, "a column", "nothing: columns hold no lists")
    table = _as_table(fields, item.name)
    match item.kind:
        case Amount():
            table.only(*_ANY, *_NUMBER, "unit")
        case Integer():
            table.only(*_ANY, *_NUMBER, "multiply")
        case Day():
            table.only(*_ANY, *_DATE, "day", "not_before")
        case Period():
            table.only(*_ANY, *_DATE)
        case _:
            table.only(*_ANY)
    return _value(table, item)


def read_day(table: Table, key: str) -> Value:
    """Return where the day of an event comes from."""
    if key not in table:
        raise table.error(key, "nothing", "a column or a constant: the day of the event")
    inner = _as_table(table, key)
    inner.only(*_ANY, *_DATE, "day", "not_before")
    return _value(inner, DAY_FIELD)


def read_revision(table: Table, key: str) -> Value | None:
    """Return where the number of a report comes from, if reports are numbered."""
    if key not in table:
        return None
    inner = _as_table(table, key)
    inner.only("column", "columns", "constant", "codes")
    return _value(inner, REVISION_FIELD)


def read_conditions(table: Table, key: str) -> tuple[Condition, ...]:
    """Return what must hold, all of it."""
    found = table.get(key)
    if found is None:
        return ()
    listed = found if isinstance(found, list) else [found]
    if not all(isinstance(each, dict) for each in listed):
        raise table.error(key, repr(found), 'a table such as { column = "x", given = true }')
    return tuple(_condition(table.within(key, each)) for each in listed)


def _condition(table: Table) -> Condition:
    table.only("column", "in", "not_in", "given", "above", "below")
    if len(list(table)) < 2:  # noqa: PLR2004 - the column and what is asked of it
        raise table.error("column", "a column alone", "in, not_in, given, above or below as well")
    return Condition(
        column=table.text("column"),
        among=frozenset(table.texts("in")) if "in" in table else None,
        except_for=frozenset(table.texts("not_in")) if "not_in" in table else None,
        given=table.flag("given") if "given" in table else None,
        above=table.whole("above", 0, -_NUMBER_MAX, _NUMBER_MAX) if "above" in table else None,
        below=table.whole("below", 0, -_NUMBER_MAX, _NUMBER_MAX) if "below" in table else None,
    )


def _as_table(table: Table, key: str) -> Table:
    """Return the table under a key; a text alone is the name of a column."""
    found = table.get(key)
    if isinstance(found, str):
        return table.within(key, {"column": found})
    return table.table(key)


def _value(table: Table, item: Field) -> Value:
    given = [key for key in ("column", "columns", "constant") if key in table]
    if len(given) != 1:
        raise table.error("column", " and ".join(given) or "nothing", "column, columns or constant")
    columns = table.texts("columns") if "columns" in table else ()
    if "column" in table:
        columns = (table.text("column"),)
    codes = None
    if "codes" in table:
        inner = table.table("codes")
        codes = {text: _wire(inner, text, item.kind) for text in inner}
    elif "otherwise" in table:
        raise table.error("otherwise", "one", "none without codes")
    clean = table.choice("clean", {each.value: each for each in Clean}, None)
    if clean is Clean.CODE and codes is not None:
        codes = {code_key(text): value for text, value in codes.items()}
    date = _date(table, item.kind, codes is None)
    agrees = None
    if "agrees" in table:
        inner = table.table("agrees")
        inner.only("column", "codes")
        agrees = _agreement(inner, item.kind)
    return Value(
        columns=columns,
        constant=_constant(table, item.kind, date) if "constant" in table else None,
        codes=codes,
        otherwise=_wire(table, "otherwise", item.kind) if "otherwise" in table else None,
        default=_wire(table, "default", item.kind) if "default" in table else None,
        number=_number(table, item.kind, needed=codes is None and "constant" not in table),
        date=date,
        when=read_conditions(table, "when"),
        agrees=agrees,
        clean=clean,
        required=table.flag("required"),
    )


def _agreement(table: Table, kind: Kind) -> Agreement:
    codes = table.table("codes")
    fits = {}
    for text in codes:
        found = codes.get(text)
        listed = found if isinstance(found, list) else [found]
        inner = [codes.within(text, {"fits": each}) for each in listed]
        fits[text] = frozenset(_wire(each, "fits", kind) for each in inner)
    return Agreement(table.text("column"), fits)


def _number(table: Table, kind: Kind, *, needed: bool) -> NumberStyle:
    if not isinstance(kind, Amount | Integer):
        return NumberStyle()
    units = {each.value: each for each in Unit}
    unit = None
    if isinstance(kind, Amount):
        unit = table.choice("unit", units, None)
        if unit is None and needed:
            raise table.error("unit", "nothing", f"one of {', '.join(units)}: what 1 means")
    decimal, thousands = table.text("decimal", "."), table.text("thousands", "")
    if decimal not in (".", ",") or thousands == decimal or len(thousands) > 1:
        raise table.error(
            "decimal",
            f"{decimal!r} and {thousands!r} for thousands",
            "decimal . or , and another sign for thousands",
        )
    negatives = {each.value: each for each in Negative}
    return NumberStyle(
        unit=unit,
        multiply=table.whole("multiply", 1, 1, MULTIPLY_MAX),
        decimal=decimal,
        thousands=thousands,
        negative=table.choice("negative", negatives, None) or Negative.MINUS,
    )


def _date(table: Table, kind: Kind, needed: bool) -> DateStyle | None:  # noqa: FBT001
    if not isinstance(kind, Day | Period):
        return None
    if "date" not in table:
        if needed and "constant" not in table:
            raise table.error("date", "nothing", "how the column writes dates, such as YYYY-MM-DD")
        return None
    pattern = table.text("date")
    days = {each.value: each for each in DayOf}
    day = table.choice("day", days, None)
    try:
        check_pattern(pattern, day=isinstance(kind, Day) and day is None)
    except ValueError as error:
        raise table.error("date", repr(pattern), str(error)) from None
    not_before = table.text("not_before", "")
    if not_before:
        try:
            parse_date(not_before)
        except ValueError:
            raise table.error("not_before", repr(not_before), "a day YYYY-MM-DD") from None
    return DateStyle(pattern, day, not_before)


def _constant(table: Table, kind: Kind, date: DateStyle | None) -> Any:
    if date is None:
        return _wire(table, "constant", kind)
    try:
        return read_text(table.text("constant"), date, month=isinstance(kind, Period))
    except ValueError:
        raise table.error(
            "constant", repr(table.get("constant")), f"a date written as {date.pattern}"
        ) from None


def _wire(table: Table, key: str, kind: Kind) -> Any:
    """Return the wire value of a value in the mapping, which is written as in JSON."""
    given = table.get(key)
    if isinstance(given, bool | float | list | dict):
        raise _unfit(table, key, kind)
    if isinstance(kind, Amount | Integer) and isinstance(given, str) and given.isdecimal():
        given = int(given)  # a parameter is a text, whatever it stands for
    try:
        wire = kind.from_json(given)
        msgspec.msgpack.Decoder(kind.wire).decode(encode(wire))
        kind.check(wire)
    except (ValueError, TypeError, OverflowError, msgspec.ValidationError):
        raise _unfit(table, key, kind) from None
    return wire


def _unfit(table: Table, key: str, kind: Kind) -> MappingError:
    given = table.get(key)
    hint = nearest(given, kind.names) if isinstance(kind, Choice) and isinstance(given, str) else ""
    return table.error(key, repr(given), kind.expected + hint)
