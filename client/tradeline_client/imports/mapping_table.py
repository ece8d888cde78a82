"""A table of a mapping's TOML: typed values, and errors that say key, line and expectation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from tradeline_client.errors import MappingError
from tradeline_client.imports.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

T = TypeVar("T")
_MISSING: Final[Any] = object()
_TEXT_MAX: Final = 40


class Table:
    """One table, with where it stands."""

    def __init__(self, name: str, source: str, key: str, content: Mapping[str, Any]) -> None:
        """Take name and text of the mapping, the table's key in it, and what it holds."""
        self._name = name
        self._source = source
        self.key = key
        """Keys down to this table, such as `event[2].fields`; empty for the whole mapping."""
        self._content = content

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def get(self, key: str) -> Any:
        """Return what stands under a key, or None."""
        return self._content.get(key)

    def only(self, *known: str) -> None:
        """Refuse any other key."""
        for key in self._content:
            if key not in known:
                raise self.error(
                    key, "an unknown key", f"one of {', '.join(known)}{nearest(key, known)}"
                )

    def table(self, key: str) -> Table:
        """Return a table within; an empty one if it is not there."""
        found = self._content.get(key, {})
        if not isinstance(found, dict):
            raise self.error(key, _shown(found), "a table")
        return self.within(key, found)

    def within(self, key: str, content: Mapping[str, Any]) -> Table:
        """Return a table of this content that stands under a key."""
        return Table(self._name, self._source, self._path(key), content)

    def tables(self, key: str) -> list[dict[str, Any]]:
        """Return a list of tables."""
        found = self._content.get(key, [])
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise self.error(key, _shown(found), f"tables [[{key}]]")
        return found

    def text(self, key: str, default: str = _MISSING) -> str:
        """Return a text."""
        found = self._content.get(key, default)
        if not isinstance(found, str):
            raise self.error(key, "nothing" if found is _MISSING else _shown(found), "a text")
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, none if it is not there."""
        found = self._content.get(key, [])
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise self.error(key, _shown(found), "a list of texts")
        return tuple(found)

    def flag(self, key: str) -> bool:
        """Return true or false, false if it is not there."""
        found = self._content.get(key, False)
        if not isinstance(found, bool):
            raise self.error(key, _shown(found), "true or false")
        return found

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        """Return an integer within bounds."""
        found = self._content.get(key, default)
        if type(found) is not int or not least <= found <= most:
            raise self.error(key, _shown(found), f"an integer from {least} to {most}")
        return found

    @overload
    def choice(self, key: str, known: Mapping[str, T]) -> T: ...
    @overload
    def choice(self, key: str, known: Mapping[str, T], default: T | None) -> T | None: ...

    def choice(self, key: str, known: Mapping[str, T], default: Any = _MISSING) -> Any:
        """Return what a name stands for."""
        if key not in self._content and default is not _MISSING:
            return default
        name = self.text(key)
        if name not in known:
            raise self.error(key, _shown(name), f"one of {', '.join(known)}{nearest(name, known)}")
        return known[name]

    def error(self, key: str, got: str, expected: str) -> MappingError:
        """Return the error of one key."""
        line = self._line(key)
        where = f", line {line}" if line else ""
        return MappingError(
            f"{self._name}{where}: {self._path(key)}: got {got}, expected {expected}"
        )

    def _path(self, key: str) -> str:
        return f"{self.key}.{key}" if self.key else key

    def _line(self, key: str) -> int:
        """Return the line of a key, or that of the nearest table around it, or 0."""
        lines = self._source.splitlines()
        start, found = 0, 0
        for part in [*self.key.split("."), key]:
            event = re.fullmatch(r"event\[([0-9]+)\]", part)
            header = r"\s*\[\[\s*event\s*\]\]" if event else rf"\s*(\[[^\]]*\b)?{re.escape(part)}\b"
            wanted = int(event[1]) if event else 1
            for place in range(start, len(lines)):
                if re.match(header, lines[place]) or (
                    not event and re.search(rf"[{{,]\s*\"?{re.escape(part)}\"?\s*=", lines[place])
                ):
                    wanted -= 1
                    if not wanted:
                        start, found = place, place + 1
                        break
        return found


def _shown(value: object) -> str:
    """Return a value of the mapping, which holds nothing of a subject."""
    text = repr(value)
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}..."
