"""
A mapping for a file that nobody has mapped yet, by names and values of its columns.

It is a proposal for a person to read: what was guessed says so, what is missing is named, and
columns that the law keeps out are left out with the article. No value of a column of identifiers or
amounts is in it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Final

from tradeline_client.errors import SourceError
from tradeline_client.imports import suggest_words as words
from tradeline_client.imports.nearest import nearest_of
from tradeline_client.imports.source import SourceSettings, open_source
from tradeline_client.imports.suggest_column import Profile, profile
from tradeline_ledger.currency import MINOR_DIGITS
from tradeline_ledger.field import Amount, Choice, Field, Integer
from tradeline_ledger.restricted import of_name
from tradeline_ledger.schemas import CLOSED, OPENED, STATEMENT

if TYPE_CHECKING:
    from pathlib import Path

    from tradeline_client.imports.source import Source
    from tradeline_ledger.schema import EventSchema

_ASSUMED: Final = {
    "role": "primary",
    "portfolio": "instalment",
    "product": "personal_loan",
    "reason": "paid",
}
"""Choices that are put in where no column says more; each is marked as a guess."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A proposed mapping."""

    text: str
    """TOML, with comments."""
    missing: tuple[str, ...]
    """Keys that a person has to fill in before it can be used."""
    left_out: tuple[str, ...]
    """Columns that are restricted by law."""


def suggest(path: Path, today: str, settings: SourceSettings | None = None) -> Suggestion:
    """
    Return a mapping for a file.

    Args:
        path: the file.
        today: `YYYY-MM-DD`.
        settings: what is known of how to read it.

    Raises:
        SourceError: it can't be read, or has no rows.
    """
    source = open_source(path, settings or SourceSettings())
    names = [name for name in dict.fromkeys(source.names) if name]
    restricted = {name: found for name in names if (found := of_name(name)) is not None}
    usable = [name for name in names if name not in restricted and source.names.count(name) == 1]
    chunk = next(islice(source.chunks(usable), 1), None)
    if chunk is None or not usable:
        raise SourceError(f"{path} has no rows to learn from")
    year = date.fromisoformat(today).year
    profiles = [profile(name, chunk.columns[name], year) for name in usable]
    writer = _Writer(source, profiles)
    writer.head(path.name, len(chunk))
    for name, restriction in restricted.items():
        article = restriction.article
        writer.say(f"Left out: {name!r} says {restriction.name}: {article} ({article.text})")
    writer.subject()
    writer.events()
    writer.unused()
    return Suggestion("\n".join(writer.lines) + "\n", tuple(writer.missing), tuple(restricted))


class _Writer:
    """Writes the TOML."""

    def __init__(self, source: Source, profiles: list[Profile]) -> None:
        self.lines: list[str] = []
        self.missing: list[str] = []
        self._settings = source.settings
        self._profiles = profiles
        self._used: set[str] = set()

    def say(self, comment: str) -> None:
        self.lines.append(f"# {comment}")

    def head(self, name: str, rows: int) -> None:
        self.say(f"Proposed from the first {rows} rows of {name}. Read it before you use it.")
        self.lines += ["", "[source]"]
        settings = self._settings
        if settings.format is not None:
            self._put("format", settings.format.value)
        if settings.encoding is not None:
            self._put("encoding", settings.encoding.value)
        if settings.delimiter is not None:
            self._put("delimiter", settings.delimiter)
        self.lines.append("")

    def subject(self) -> None:
        found = [each for each in self._profiles if each.id_type is not None]
        found.sort(key=lambda each: -words.fit(each.name, words.SUBJECT))
        self.lines += ["", "[subject]"]
        if not found:
            self._lacks("subject.column", "the column of resident IDs, USCC or LEI")
            return
        assert found[0].id_type is not None, "chosen for it"
        self._put("type", found[0].id_type.name.lower())
        self._put("column", found[0].name)
        self._used.add(found[0].name)
        for other in found[1:]:
            self.say(f"{other.name!r} holds identifiers, too")

    def events(self) -> None:
        opened_on = self._column(words.OPENED_ON, dated=True)
        closed_on = self._column(words.CLOSED_ON, dated=True)
        balance = self._column(words.STATEMENT["statement_balance_minor"])
        if balance is not None or (opened_on is None and closed_on is None):
            occurred = self._column(words.OCCURRED, dated=True)
            self._event(STATEMENT, occurred, words.STATEMENT, "statement {account} {period}")
        if opened_on is not None:
            self._event(OPENED, opened_on, words.OPENED, "opened {account}")
        if closed_on is not None:
            self._event(CLOSED, closed_on, words.CLOSED, "closed {account}", when=closed_on)

    def unused(self) -> None:
        rest = [each.name for each in self._profiles if each.name not in self._used]
        if rest:
            self.lines.append("")
            self.say("Not used: " + ", ".join(rest))

    def _event(
        self,
        schema: EventSchema,
        occurred: Profile | None,
        vocabulary: dict[str, tuple[str, ...]],
        ref: str,
        when: Profile | None = None,
    ) -> None:
        self.lines += ["", "[[event]]"]
        self._put("type", schema.name)
        self._put("basis", "contract")
        if when is not None:
            self.lines.append(f"when = {{ column = {_text(when.name)}, given = true }}")
            self._used.add(when.name)
        account = self._column(words.ACCOUNT, identifiers=False)
        if account is None:
            self._lacks(f"{schema.name}: account", 'a template such as "{account_no}"')
        else:
            self._used.add(account.name)
            self._put("account", f"{{{account.name}}}")
        self._put("ref", ref)
        if occurred is None:
            self._lacks(f"{schema.name}: occurred_on", "a column and how it writes dates")
        else:
            self.lines.append(f"occurred_on = {self._date(occurred, last_of_month=True)}")
        self.lines += ["", "[event.fields]"]
        tables: list[str] = []
        for item in schema.fields:
            self._field(schema, item, occurred, vocabulary.get(item.name, ()), tables)
        self.lines += tables

    def _field(
        self,
        schema: EventSchema,
        item: Field,
        occurred: Profile | None,
        names: tuple[str, ...],
        tables: list[str],
    ) -> None:
        if item.name == "period":
            found = self._column(words.PERIOD, dated=True) or occurred
            if found is not None:
                self.lines.append(f"period = {self._date(found, last_of_month=False)}")
                return
        elif item.name == "currency":
            self._currency()
            return
        else:
            found = self._column(names)
            if found is not None and self._value(item, found, tables):
                self._used.add(found.name)
                return
        if item.optional:
            return
        if item.name in _ASSUMED:
            self.say(f"{item.name}: a guess, no column says it ({item.kind.expected})")
            self.lines.append(f"{item.name} = {{ constant = {_text(_ASSUMED[item.name])} }}")
            return
        self._lacks(f"{schema.name}: {item.name}", f"{item.doc} ({item.kind.expected})")

    def _value(self, item: Field, found: Profile, tables: list[str]) -> bool:
        """Write where a field comes from, if the column can be it."""
        match item.kind:
            case Amount() if found.number is not None:
                self.lines.append(f"{item.name} = {self._amount(found)}")
            case Integer() if found.number is not None:
                ratio = item.name.endswith("_ppm")
                factor = 1_000_000 if "%" not in found.name else 10_000
                multiply = f", multiply = {factor}" if ratio else ""
                self.lines.append(f"{item.name} = {{ column = {_text(found.name)}{multiply} }}")
                if ratio:
                    self.lines[-1] += "  # if 0.05 means 5 %; 10000 if 5 does"
            case Choice() if found.codes:
                tables += self._codes(item.name, item.kind, found)
            case _:
                return False
        return True

    def _amount(self, found: Profile) -> str:
        normal = words.folded(found.name)
        unit, comment = "major", "" if found.fractions else "  # or minor? no value has a fraction"
        if any(word in normal.split() for word in words.MINOR_WORDS) or "(分)" in found.name:
            unit, comment = "minor", ""
        elif any(word in normal for word in words.TEN_THOUSAND_WORDS):
            unit, comment = "ten_thousand", ""
        style = found.number
        assert style is not None, "a column of numbers"
        more = f", thousands = {_text(style.thousands)}" if style.thousands else ""
        more += f", decimal = {_text(style.decimal)}" if style.decimal != "." else ""
        return f"{{ column = {_text(found.name)}, unit = {_text(unit)}{more} }}{comment}"

    def _codes(self, name: str, kind: Choice, found: Profile) -> list[str]:
        lines = ["", f"[event.fields.{name}]", f"column = {_text(found.name)}"]
        lines += ["", f"[event.fields.{name}.codes]"]
        for code in found.codes:
            known = words.FIVE_CLASSES.get(code) if name == "five_class" else None
            choice = known or nearest_of(code.replace(" ", "_"), kind.names)
            if choice is None:
                lines.append(f"# {_text(code)} = ?  {kind.expected}")
                self.missing.append(f"{name}.codes.{code}")
            else:
                lines.append(f"{_text(code)} = {_text(choice)}")
        return lines

    def _currency(self) -> None:
        found = self._column(words.CURRENCY)
        if found is None or not found.codes:
            self.say("currency: a guess, no column says it")
            self.lines.append('currency = { constant = "CNY" }')
            return
        self._used.add(found.name)
        if set(found.codes) <= set(MINOR_DIGITS):
            self.lines.append(f"currency = {_text(found.name)}")
            return
        pairs = [(code, words.CURRENCIES.get(code, code)) for code in found.codes]
        codes = ", ".join(f"{_text(code)} = {_text(known)}" for code, known in pairs)
        self.lines.append(f"currency = {{ column = {_text(found.name)}, codes = {{ {codes} }} }}")

    def _date(self, found: Profile, *, last_of_month: bool) -> str:
        self._used.add(found.name)
        patterns = found.dates or found.months
        day = ', day = "last"' if last_of_month and not found.dates else ""
        text = f"{{ column = {_text(found.name)}, date = {_text(patterns[0])}{day} }}"
        if len(patterns) > 1:
            text += f"  # {' or '.join(patterns[1:])} would read it, too"
        return text

    def _column(
        self, names: tuple[str, ...], *, dated: bool = False, identifiers: bool = False
    ) -> Profile | None:
        """Return the column whose name fits best, of those that can be it."""
        fits = [
            (words.fit(each.name, names), each)
            for each in self._profiles
            if (identifiers or each.id_type is None)
            and each.filled
            and (not dated or each.dates or each.months)
        ]
        best = max(fits, key=lambda pair: pair[0], default=(0, None))
        return best[1] if best[0] else None

    def _lacks(self, key: str, what: str) -> None:
        self.missing.append(key)
        self.say(f"MISSING {key}: {what}")

    def _put(self, key: str, value: str) -> None:
        self.lines.append(f"{key} = {_text(value)}")


def _text(value: str) -> str:
    """Return a TOML string; those of JSON are."""
    return json.dumps(value, ensure_ascii=False)
