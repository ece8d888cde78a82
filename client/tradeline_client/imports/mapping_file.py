"""Reading a mapping from TOML (docs/import.md), whole: mistakes are found before a row is read."""

from __future__ import annotations

import hashlib
import re
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from tradeline_client.errors import MappingError
from tradeline_client.imports.mapping import (
    EVENTS_MAX,
    EventFrom,
    Mapping,
    Piece,
    SubjectFrom,
)
from tradeline_client.imports.mapping_table import Table
from tradeline_client.imports.mapping_template import read_template
from tradeline_client.imports.mapping_value import (
    read_conditions,
    read_day,
    read_revision,
    read_value,
)
from tradeline_client.imports.nearest import nearest
from tradeline_client.imports.source import Format, SourceSettings
from tradeline_client.imports.text_encoding import TextEncoding
from tradeline_ledger.errors import EventError
from tradeline_ledger.identifier import IdType
from tradeline_ledger.restricted import finding_of_name
from tradeline_ledger.schema import EventSchema, Handle
from tradeline_ledger.schemas import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Mapping as ByText
    from pathlib import Path

MAPPING_BYTES_MAX: Final = 1 << 20
_PARAMETER = re.compile(r"<([A-Za-z_][A-Za-z0-9_]*)>")
_ENCODINGS: Final = {
    "utf-8": TextEncoding.UTF8,
    "gb18030": TextEncoding.GB18030,
    "gbk": TextEncoding.GB18030,
    "gb2312": TextEncoding.GB18030,
    "utf-16": TextEncoding.UTF16,
}


def load_mapping(path: Path | str, parameters: ByText[str, str] | None = None) -> Mapping:
    """
    Return the mapping of a file, or the ready one of this name that comes with this package.

    Args:
        path: a file, or a name of `ready_mappings`.
        parameters: values of the names that the mapping has in `[parameters]`.

    Raises:
        MappingError: no such file or name; or the first mistake in it, with key and line.
    """
    if isinstance(path, str) and path in ready_mappings():
        folder = resources.files("tradeline_client.imports") / "mappings"
        return read_mapping(path, (folder / f"{path}.toml").read_bytes(), parameters)
    from pathlib import Path as FilePath  # noqa: PLC0415 - the name is taken by annotations

    file = FilePath(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        ready = ready_mappings()
        raise MappingError(
            f"{file} can't be read: {error.strerror or error}; the name of a ready mapping is one "
            f"of {', '.join(ready)}{nearest(str(path), ready)}"
        ) from error
    return read_mapping(file.stem, content, parameters)


def ready_mappings() -> tuple[str, ...]:
    """Return the names of the mappings that come with this package."""
    folder = resources.files("tradeline_client.imports") / "mappings"
    names = (each.name for each in folder.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def read_mapping(name: str, content: bytes, parameters: ByText[str, str] | None = None) -> Mapping:
    """
    Return the mapping that a TOML text is.

    Raises:
        MappingError: the first mistake, with its key and line.
    """
    given = dict(parameters or {})
    if len(content) > MAPPING_BYTES_MAX:
        raise MappingError(f"{name} has more than {MAPPING_BYTES_MAX} bytes")
    try:
        text = content.decode()
        parsed = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MappingError(f"{name} is no TOML: {error}") from error
    parsed = _with_parameters(name, parsed, given)
    top = Table(name, text, "", parsed)
    top.only("source", "subject", "event", "parameters", "description")
    settings = _settings(top.table("source"))
    subject = _subject(top.table("subject")) if "subject" in top else None
    tables = [
        Table(name, text, f"event[{place}]", repeated)
        for place, each in enumerate(top.tables("event"), start=1)
        for repeated in _repeated(each)
    ]
    if not 0 < len(tables) <= EVENTS_MAX:
        raise top.error("event", f"{len(tables)} events", f"1 to {EVENTS_MAX} tables [[event]]")
    return Mapping(
        name=name,
        settings=settings,
        events=tuple(_event(table, subject) for table in tables),
        sha256=hashlib.sha256(content + repr(sorted(given.items())).encode()).digest(),
    )


def _settings(table: Table) -> SourceSettings:
    table.only(
        *("format", "encoding", "delimiter", "quote", "multiline", "skip_rows", "columns", "empty")
    )
    formats = {each.value: each for each in Format}
    signs = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
    delimiter = table.text("delimiter", "")
    return SourceSettings(
        format=table.choice("format", formats, None),
        encoding=table.choice("encoding", _ENCODINGS, None),
        delimiter=signs.get(delimiter, delimiter) or None,
        quote=table.text("quote", '"'),
        multiline=table.flag("multiline"),
        skip_rows=table.whole("skip_rows", 0, 0, 1000),
        names=table.texts("columns"),
        empty=("", *table.texts("empty")),
    )


def _subject(table: Table) -> SubjectFrom:
    table.only("type", "column")
    types = {each.name.lower(): each for each in IdType}
    if isinstance(table.get("type"), dict):
        inner = table.table("type")
        inner.only("column", "codes")
        codes = inner.table("codes")
        return SubjectFrom(
            column=table.text("column"),
            id_type=None,
            type_column=inner.text("column"),
            types={text: codes.choice(text, types) for text in codes},
        )
    return SubjectFrom(table.text("column"), table.choice("type", types))


def _event(table: Table, subject: SubjectFrom | None) -> EventFrom:
    table.only(
        *("type", "version", "basis", "when", "subject", "account", "ref", "occurred_on"),
        *("revision", "fields"),
    )
    schema = _schema(table)
    if "subject" in table:
        subject = _subject(table.table("subject"))
    if subject is None:
        raise table.error("subject", "none", "a table [subject] with type and column")
    bases = {each.name.lower(): each for each in sorted(schema.bases)}
    fields = table.table("fields")
    known = [item.name for item in schema.fields]
    fields.only(*known)
    parts = ("account", "occurred_on", *fields)
    account: tuple[Piece, ...] = ()
    if schema.account is Handle.REQUIRED:
        account = read_template(table, "account", ("occurred_on", *fields))
    elif "account" in table:
        raise table.error("account", "one", f"none: {schema.name} is about no account")
    event = EventFrom(
        key=table.key,
        schema=schema,
        basis=table.choice("basis", bases),
        when=read_conditions(table, "when"),
        subject=subject,
        account=account,
        ref=read_template(table, "ref", parts),
        occurred_on=read_day(table, "occurred_on"),
        revision=read_revision(table, "revision"),
        fields=tuple(read_value(fields, item) for item in schema.fields),
    )
    _refuse_restricted(event, fields)
    return event


def _refuse_restricted(event: EventFrom, fields: Table) -> None:
    """Refuse columns whose names say that they hold what must not be reported."""
    for item, value in zip(event.schema.fields, event.fields, strict=True):
        for column in value.columns if value else ():
            finding = finding_of_name(column, event.schema.name, item.name)
            if finding is not None:
                got = f"column {column!r}, which says {finding.got}"
                raise fields.error(item.name, got, f"{finding.expected}; {finding.fix}")


def _schema(table: Table) -> EventSchema:
    name = table.text("type")
    try:
        schema = SCHEMAS.named(name, table.get("version"))
    except EventError as error:
        names = dict.fromkeys(each.name for each in SCHEMAS)
        if name in names:
            raise table.error("version", str(table.get("version")), str(error)) from None
        raise table.error(
            "type", name, f"a type of event, as `tradeline schema list` shows{nearest(name, names)}"
        ) from None
    if schema.corrects:
        raise table.error(
            "type", name, "no correction: a row that comes again and differs becomes one"
        )
    return schema


def _repeated(table: ByText[str, Any]) -> list[dict[str, Any]]:
    """Return a table once for each of `repeat`, with its `<name>`s replaced."""
    rest = {key: value for key, value in table.items() if key != "repeat"}
    repeat = table.get("repeat")
    if repeat is None:
        return [rest]
    if not isinstance(repeat, list) or not all(isinstance(each, dict) for each in repeat):
        raise MappingError("event.repeat: expected a list of tables, one for each repetition")
    return [_replaced(rest, {key: str(value) for key, value in each.items()}) for each in repeat]


def _with_parameters(name: str, parsed: dict[str, Any], given: dict[str, str]) -> dict[str, Any]:
    declared = parsed.get("parameters", {})
    if not isinstance(declared, dict) or not all(
        isinstance(each, str) for each in declared.values()
    ):
        raise MappingError(f"{name}: parameters: expected a table of texts")
    if unknown := [key for key in given if key not in declared]:
        raise MappingError(
            f"{name} has no parameter {unknown[0]!r}{nearest(unknown[0], declared)}; it has "
            + (", ".join(declared) or "none")
        )
    values = {**declared, **given}
    if missing := [key for key, value in values.items() if not value]:
        raise MappingError(f"{name} needs the parameter {missing[0]!r}: give it with --set")
    rest = {key: value for key, value in parsed.items() if key != "parameters"}
    return _replaced(rest, values) if values else rest


def _replaced(value: Any, values: ByText[str, str]) -> Any:
    match value:
        case str():
            return _PARAMETER.sub(lambda found: values.get(found[1], found[0]), value)
        case dict():
            return {key: _replaced(each, values) for key, each in value.items()}
        case list():
            return [_replaced(each, values) for each in value]
        case _:
            return value
