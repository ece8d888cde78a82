"""
Write the tables of docs/events.md that are made from the code, or say that they differ.

    python scripts/events_tables.py           writes them
    python scripts/events_tables.py --check   exits with 1 if the document is not up to date

Each table stands between a line `<!-- table: NAME -->` and the next `<!-- end -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from tradeline_ledger.account_course import FINDINGS
from tradeline_ledger.article import ARTICLES
from tradeline_ledger.field import Choice
from tradeline_ledger.grid import METRO2_MARKS, PBOC_MARKS, SCALES
from tradeline_ledger.polarity import Above, Condition, OneOf
from tradeline_ledger.restricted import RESTRICTIONS
from tradeline_ledger.schema import EventSchema
from tradeline_ledger.schemas import SCHEMAS

DOCUMENT: Final = Path(__file__).parent.parent / "docs/events.md"
FORMATS: Final = "formats.md"

_BLOCK: Final = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def fill(document: str) -> str:
    """Return `document` with every table as the code makes it."""
    named = re.findall(r"<!-- table: (\S+) -->", document)
    if sorted(named) != sorted(TABLES):
        raise SystemExit(f"tables of the document {sorted(named)}, of the code {sorted(TABLES)}")
    return _BLOCK.sub(lambda found: found[1] + TABLES[found[2]]() + found[3], document)


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def _types() -> str:
    def row(schema: EventSchema) -> tuple[object, ...]:
        place = f"{schema.number}-{schema.name}-version-{schema.version}".replace(".", "")
        category = schema.category
        return (
            f"[{schema.number}]({FORMATS}#{place})",
            f"`{schema.name}`",
            schema.about.value,
            "" if category is None else category.name.lower().replace("_", "-"),
            ", ".join(basis.name.lower() for basis in sorted(schema.bases)),
            _polarity(schema),
            ", ".join(each.number for each in schema.law),
        )

    head = ("number", "type", "about", "category", "basis", "speaks for or against", "articles")
    return _table(head, map(row, SCHEMAS))


def _polarity(schema: EventSchema) -> str:
    cases = [
        f"{polarity.value} where {_condition(schema, condition)}"
        for condition, polarity in schema.leaning.cases
    ]
    if not cases:
        return schema.leaning.otherwise.value
    return "; ".join((*cases, f"else {schema.leaning.otherwise.value}"))


def _condition(schema: EventSchema, condition: Condition) -> str:
    match condition:
        case Above(field=field, number=number):
            return f"`{field}` is over {number}"
        case OneOf(field=field, numbers=numbers):
            kind = next(item.kind for item in schema.fields if item.name == field)
            assert isinstance(kind, Choice), kind
            return f"`{field}` is {' or '.join(kind.to_json(each) for each in numbers)}"
    raise AssertionError(condition)


def _doubts() -> str:
    return _table(
        ("type", "code", "what becomes of it", "usually", "what to do"),
        (
            (f"`{schema.name}`", f"`{d.rule.code}`", d.severity.value, d.rule.expected, d.rule.fix)
            for schema in SCHEMAS
            for d in schema.doubts
        ),
    )


def _course() -> str:
    return _table(
        ("code", "what becomes of it", "found", "expected", "what to do"),
        (
            (f"`{each.code}`", each.severity.value, each.got, each.expected, each.fix)
            for each in FINDINGS.values()
        ),
    )


def _articles() -> str:
    return _table(
        ("law", "article", "what follows for an event"),
        ((each.law, each.number, each.text) for each in ARTICLES),
    )


def _restrictions() -> str:
    return _table(
        ("what", "collected", "article", "words", "characters", "types that may hold it"),
        (
            (
                each.name,
                each.ban.value,
                each.article,
                ", ".join(each.words),
                "、".join(each.characters),
                ", ".join(f"`{name}`" for name in each.types),
            )
            for each in RESTRICTIONS
        ),
    )


def _scales() -> str:
    firsts = sorted({first for scale in SCALES for first in scale.firsts})
    lasts = [*(first - 1 for first in firsts[1:]), None]

    def days(first: int, last: int | None) -> str:
        if last is None:
            return f"{first} and more"
        return str(first) if first == last else f"{first} to {last}"

    return _table(
        ("days past due", *(scale.name for scale in SCALES)),
        (
            (days(first, last), *(scale.symbol(first) for scale in SCALES))
            for first, last in zip(firsts, lasts, strict=True)
        ),
    )


def _marks() -> str:
    grids = (("PBoC monthly status", PBOC_MARKS), ("Metro 2 payment history profile", METRO2_MARKS))
    return _table(
        ("grid", "symbol", "meaning"),
        ((grid, f"`{symbol}`", text) for grid, marks in grids for symbol, text in marks.items()),
    )


TABLES: Final[dict[str, Callable[[], str]]] = {
    "types": _types,
    "doubts": _doubts,
    "course": _course,
    "articles": _articles,
    "restrictions": _restrictions,
    "scales": _scales,
    "marks": _marks,
}


def main() -> None:
    """Write the tables, or compare them."""
    document = DOCUMENT.read_text(encoding="utf-8")
    filled = fill(document)
    if filled == document:
        return
    if "--check" in sys.argv[1:]:
        raise SystemExit("docs/events.md differs from the code: run scripts/events_tables.py")
    DOCUMENT.write_text(filled, encoding="utf-8")


if __name__ == "__main__":
    main()
