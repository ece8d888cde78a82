"""
Applying a mapping: from chunks of rows to chunks of events.

What is computed for each row by itself and not for columns: the object of a subject, for each
distinct one of a chunk; texts that are not ASCII, for each distinct one; and faults.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tradeline_client.imports.columns import EventColumns, MappedChunk
from tradeline_client.imports.fault import Severity
from tradeline_client.imports.mapping_column import map_value
from tradeline_client.imports.mapping_value import DAY_FIELD, REVISION_FIELD
from tradeline_client.imports.mapping_view import Chunk, View
from tradeline_client.imports.source import open_source
from tradeline_client.imports.subjects import check_subjects
from tradeline_client.imports.validation import Mask, broken, mask_of, numbers, unfit_text
from tradeline_ledger.calendar import year_of
from tradeline_ledger.event import REFERENCE_CHARS_MAX
from tradeline_ledger.field import Currency, shown
from tradeline_ledger.rule import OCCURRED_ON, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tradeline_client.imports.mapping import EventFrom, Mapping, Piece, SubjectFrom
    from tradeline_client.imports.source import Source, SourceChunk
    from tradeline_ledger.identifier import IdType, SubjectId


class MappedFile:
    """A file that was opened with a mapping that fits it."""

    def __init__(self, path: Path, mapping: Mapping, today: str) -> None:
        """
        Open a file; none of its rows is read.

        Args:
            path: the file.
            mapping: how its rows become events.
            today: `YYYY-MM-DD`, after which nothing can have happened.

        Raises:
            SourceError: the file can't be read.
            MappingError: the file lacks a column that the mapping names.
        """
        self.mapping = mapping
        self._names = mapping.columns()
        self.source: Source = open_source(path, mapping.settings, self._names)
        self._today = today

    def chunks(self, first_row: int = 0) -> Iterator[MappedChunk]:
        """
        Yield what becomes of the rows, in chunks that are cut at the same rows every time.

        Args:
            first_row: chunks that end before it are left out, at little cost.

        Raises:
            SourceError: the file can't be read on; what came before is right.
        """
        names = self.source.names
        for chunk in self.source.chunks(self._names, first_row):
            yield map_chunk(self.mapping, chunk, self._today, names)


def map_file(path: Path, mapping: Mapping, today: str, first_row: int = 0) -> Iterator[MappedChunk]:
    """
    Yield what becomes of the rows of a file, as `MappedFile` does.

    Raises:
        SourceError: the file can't be read.
        MappingError: the file lacks a column that the mapping names.
    """
    return MappedFile(path, mapping, today).chunks(first_row)


def map_chunk(
    mapping: Mapping, source: SourceChunk, today: str, names: tuple[str, ...] = ()
) -> MappedChunk:
    """
    Return what becomes of a chunk of rows.

    Args:
        mapping: how rows become events.
        source: the rows.
        today: day after which nothing can have happened.
        names: columns of the file, for the reject file.
    """
    chunk = Chunk(source, mapping.settings.empty)
    subjects = _Subjects(chunk, year_of(today))
    mapped = [_Mapped(event, chunk, subjects, today) for event in mapping.events]
    faults = chunk.faults()
    kept = {each.row for each in faults if each.severity is not Severity.WARNING}
    return MappedChunk(
        first_row=source.first_row,
        row_count=len(source),
        lines=source.lines,
        events=tuple(each.columns(source.first_row) for each in mapped),
        faults=faults,
        names=names,
        originals={row: source.cells(row - source.first_row) for row in sorted(kept)},
        original=lambda row: source.cells(row - source.first_row),
    )


class _Subjects:
    """The subjects of a chunk, each column of identifiers read once."""

    def __init__(self, chunk: Chunk, current_year: int) -> None:
        self._whole = View(chunk, None)
        self._current_year = current_year
        self._found: dict[int, _Found] = {}

    def of(self, view: View, wanted: SubjectFrom) -> _Found:
        """Return the subjects of a view; a row without one is a fault."""
        found = self._found.get(id(wanted))
        if found is None:
            found = self._found[id(wanted)] = self._read(wanted)
        places = found.places[view.places]
        for message in found.messages:
            view.fault(
                places == message.place,
                message.code,
                "a valid identifier",
                "look for a mistyped character; identifiers are never repaired",
                column=message.column,
                got=message.got,
            )
        return replace(found, places=places)

    def _read(self, wanted: SubjectFrom) -> _Found:
        texts, empty = self._whole.column(wanted.column)
        places = np.full(len(texts), _NONE, np.int32)
        wrong = _Messages()
        places[empty] = wrong.place("value-missing", wanted.column, "nothing")
        subjects: list[Any] = []
        for id_type, rows in self._types(wanted, ~empty, places, wrong):
            encoded = pc.if_else(pa.array(rows), texts, None).dictionary_encode()
            found, bad = check_subjects(id_type, encoded.dictionary, self._current_year)
            right = np.ones(len(found), np.int32)
            right[list(bad)] = 0
            # The last place is that of rows of another type.
            by_text = np.append(len(subjects) + np.cumsum(right, dtype=np.int32) - 1, np.int32(0))
            for place, message in bad.items():
                by_text[place] = wrong.place("identifier-wrong", wanted.column, message)
            subjects += [each for each in found if each is not None] if bad else found
            indices = encoded.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)
            places[rows] = by_text[indices[rows]]
        return _Found(tuple(subjects), places, tuple(wrong.messages))

    def _types(
        self, wanted: SubjectFrom, filled: Mask, places: NDArray[np.int32], wrong: _Messages
    ) -> Iterator[tuple[IdType, Mask]]:
        """Yield each type of identifier and the rows that have one of it."""
        if wanted.id_type is not None:
            yield wanted.id_type, filled
            return
        texts, _ = self._whole.column(wanted.type_column)
        places[filled] = wrong.place(
            "code-unknown", wanted.type_column, f"none of {', '.join(wanted.types)}"
        )
        by_type: dict[IdType, list[str]] = {}
        for text, id_type in wanted.types.items():
            by_type.setdefault(id_type, []).append(text)
        for id_type, codes in by_type.items():
            yield id_type, mask_of(pc.is_in(texts, pa.array(codes, pa.string()))) & filled


_NONE: Final = -1


@dataclass(frozen=True, slots=True)
class _Message:
    """What is wrong with the subject of some rows, and what stands for it among places."""

    place: int
    code: str
    column: str
    got: str


class _Messages:
    """Numbers what is wrong, below 0, so that it can stand in a column of places."""

    def __init__(self) -> None:
        self.messages: list[_Message] = []
        self._places: dict[tuple[str, str, str], int] = {}

    def place(self, code: str, column: str, got: str) -> int:
        key = (code, column, got)
        if key not in self._places:
            self._places[key] = _NONE - 1 - len(self.messages)
            self.messages.append(_Message(self._places[key], code, column, got))
        return self._places[key]


@dataclass(frozen=True, slots=True)
class _Found:
    """Subjects, and the place of each row's among them, below 0 for none."""

    subjects: tuple[SubjectId, ...]
    places: NDArray[np.int32]
    messages: tuple[_Message, ...]


class _Mapped:
    """The events of one kind of a chunk, some of which may still fall to a fault of their row."""

    def __init__(self, event: EventFrom, chunk: Chunk, subjects: _Subjects, today: str) -> None:
        self._event = event
        whole = View(chunk, None)
        self._view = view = whole.narrowed(whole.holds(event.when) & ~chunk.source.unreadable)
        self._found = subjects.of(view, event.subject)
        self._parts: dict[str, pa.Array] = {}
        parts, schema = self._parts, event.schema
        parts[OCCURRED_ON] = map_value(view, DAY_FIELD, event.occurred_on, None)
        self._check_day(today)
        pairs = sorted(
            zip(schema.fields, event.fields, strict=True),
            key=lambda pair: not isinstance(pair[0].kind, Currency),  # amounts need it
        )
        for item, value in pairs:
            parts[item.name] = map_value(view, item, value, parts.get("currency"))
        self._account = self._template("account", event.account) if event.account else None
        if self._account is not None:
            parts["account"] = self._account
        self._ref = self._template("ref", event.ref)
        self._revision: pa.Array | None = None
        if event.revision is not None:
            self._revision = map_value(view, REVISION_FIELD, event.revision, None)
        self._check_rules()

    def columns(self, first_row: int) -> EventColumns:
        """Return the events of the rows that have no fault."""
        kept = self._view.fine
        every = bool(kept.all())
        chosen = pa.array(kept)

        def of(column: pa.Array) -> pa.Array:
            return column if every else column.filter(chosen)

        fields = self._event.schema.fields
        return EventColumns(
            schema=self._event.schema,
            basis=self._event.basis,
            rows=self._view.places[kept] + first_row,
            subjects=self._found.subjects,
            subject=self._found.places[kept],
            occurred_on=of(self._parts[OCCURRED_ON]),
            ref=of(self._ref),
            account=None if self._account is None else of(self._account),
            values=pa.RecordBatch.from_arrays(
                [of(self._parts[item.name]) for item in fields],
                names=[item.name for item in fields],
            ),
            version=None if self._revision is None else numbers(of(self._revision)),
        )

    def _check_day(self, today: str) -> None:
        self._view.fault(
            mask_of(pc.greater(self._parts[OCCURRED_ON], today)),
            "day-after-today",
            f"a day not after today, {today}",
            "correct the day, or import the row when it has happened",
            column=next(iter(self._event.occurred_on.columns), ""),
            field=OCCURRED_ON,
            hidden=False,
        )

    def _check_rules(self) -> None:
        """Refuse rows that break a rule of the type, and name those that are doubtful."""
        schema = self._event.schema
        for rule in schema.rules:
            self._check_rule(rule, Severity.REJECT)
        for doubt in schema.doubts:
            self._check_rule(doubt.rule, doubt.severity)

    def _check_rule(self, rule: Rule, severity: Severity) -> None:
        def got(place: int) -> str:
            return _shown({name: self._parts[name][place].as_py() for name in rule.reads})

        self._view.fault(
            broken(rule, self._parts) & self._view.fine,
            rule.code,
            rule.expected,
            rule.fix,
            field=rule.reads[0],
            got=got,
            severity=severity,
        )

    def _template(self, part: str, pieces: tuple[Piece, ...]) -> pa.StringArray:
        texts: list[pa.Array] = []
        hollow = np.ones(len(self._view), np.bool_)
        for piece in pieces:
            if piece.text:
                texts.append(pa.scalar(piece.text))
                continue
            text = self._parts[piece.part] if piece.part else self._view.column(piece.column)[0]
            text = text.cast(pa.string()).fill_null("")
            hollow &= mask_of(pc.equal(pc.binary_length(text), 0))
            texts.append(pc.utf8_lpad(text, piece.width, "0") if piece.width else text)
        joined = texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, "")
        column = next((piece.column for piece in pieces if piece.column), "")
        wrong = (hollow | unfit_text(joined, REFERENCE_CHARS_MAX)) & self._view.fine
        self._view.fault(
            wrong,
            "reference-unfit",
            f"1 to {REFERENCE_CHARS_MAX} characters in Unicode form NFC without control characters",
            f"every row needs its own {part}",
            column=column,
            field=part,
            got="nothing" if hollow[wrong].all() else "a text that is no reference",
        )
        return joined


def _shown(read: dict[str, Any]) -> str:
    """Return values that a rule read; amounts are named and not shown."""
    return ", ".join(
        f"{name} {'not shown' if name.endswith('_minor') and value else shown(value)}"
        for name, value in read.items()
    )
