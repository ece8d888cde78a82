"""
Kinds of field of Metro 2: how a value is written in characters and packed.

A field that was not filled, of blanks or packed of zero bytes, is `""` whatever its kind, and a
date of zeros, which stands for "none", is None; so every value has one writing, and what was read
is written byte for byte.

Packed files hold numbers as packed decimals: two digits a byte and a sign in the last half byte.
The files of one widely used implementation hold big-endian integers instead, and dates as such an
integer between a zero byte and the letter `s`. Both are read and written.
"""

from __future__ import annotations

import abc
import enum
import re
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

Value = str | int | date | datetime | None
"""Text, code, number, date (None for zeros) or timestamp; `""` for a field not filled."""

_PRINTABLE = re.compile(rb"[ -~]*")
_DATE_DIGITS: Final = 8
_TIMESTAMP_DIGITS: Final = 14
_BINARY_DATE_MARK: Final = b"s"
_SIGN_CHARS: Final = "cf"


@enum.unique
class Packing(enum.Enum):
    """How a file holds numbers and dates of its base and trailer records."""

    CHARACTER = "character"
    """In digits; base and trailer have 426 characters."""
    DECIMAL = "packed decimal"
    """Packed, sign C, as the standard has it; base and trailer have 366 bytes."""
    DECIMAL_UNSIGNED = "packed decimal without sign"
    """Packed, sign F."""
    BINARY = "packed binary"
    """Big-endian integers; also 366 bytes."""

    @property
    def packed(self) -> bool:
        """Whether numbers are shorter than their digits."""
        return self is not Packing.CHARACTER


class Kind(abc.ABC):
    """One kind of field."""

    @property
    @abc.abstractmethod
    def expected(self) -> str:
        """What may stand in the field, in words."""

    @abc.abstractmethod
    def decoder(self, length: int, packing: Packing | None) -> Callable[[bytes], Value]:
        """
        Return the function that reads a field of `length` characters; it raises ValueError.

        The error says what was got, and never repeats it where it may be of a person.

        Args:
            length: of the field in characters, packed or not.
            packing: of a field that is packed; None for one in characters.
        """

    @abc.abstractmethod
    def encode(self, value: Value, length: int, packing: Packing | None) -> bytes:
        """
        Return the bytes of a value.

        Raises:
            ValueError: the value is of another kind or does not fit.
        """


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """Printable ASCII, filled up with blanks."""

    @property
    def expected(self) -> str:
        """What may stand in the field."""
        return "printable ASCII characters, filled up with blanks"

    def decoder(self, length: int, packing: Packing | None) -> Callable[[bytes], Value]:
        """Return the function that reads a text."""
        _ = length, packing
        return _text

    def encode(self, value: Value, length: int, packing: Packing | None) -> bytes:
        """Return the text, filled up."""
        _ = packing
        return _filled(value, length)


@dataclass(frozen=True, slots=True)
class Code(Kind):
    """One of a list of codes. They say nothing of a person, so a wrong one is shown."""

    codes: frozenset[str]
    """The codes without blanks behind; `""` if the field may be blank."""

    @property
    def expected(self) -> str:
        """The codes."""
        named = sorted(code for code in self.codes if code)
        return "one of " + ", ".join(named) + (" or blank" * ("" in self.codes))

    def decoder(self, length: int, packing: Packing | None) -> Callable[[bytes], Value]:
        """Return the function that looks a code up."""
        _ = packing
        return partial(_code, {code.ljust(length).encode(): code for code in self.codes})

    def encode(self, value: Value, length: int, packing: Packing | None) -> bytes:
        """Return the code, filled up."""
        _ = packing
        if value not in self.codes:
            raise ValueError("a code that is not in the list")
        return _filled(value, length)


@dataclass(frozen=True, slots=True)
class Profile(Kind):
    """One code a month, the latest first."""

    codes: frozenset[str]
    """Codes of one month."""

    @property
    def expected(self) -> str:
        """The codes."""
        return "for each month one of " + ", ".join(sorted(self.codes - {" "})) + " or blank"

    def decoder(self, length: int, packing: Packing | None) -> Callable[[bytes], Value]:
        """Return the function that checks each month."""
        _ = length, packing
        return partial(_profile, "".join(sorted(self.codes)).encode())

    def encode(self, value: Value, length: int, packing: Packing | None) -> bytes:
        """Return the profile, filled up."""
        _ = packing
        if not isinstance(value, str) or not set(value) <= self.codes:
            raise ValueError("a code of a month that is not in the list")
        return _filled(value, length)


@dataclass(frozen=True, slots=True)
class Number(Kind):
    """A number without sign, filled up with zeros."""

    @property
    def expected(self) -> str:
        """What may stand in the field."""
        return "digits, filled up with zeros from the left, or all blanks"

    def decoder(self, length: int, packing: Packing | None) -> Callable[[bytes], Value]:
        """Return the function that reads a number."""
        if packing is None:
            return partial(_number, b" " * length)
        if packing is Packing.BINARY:
            return partial(_binary, 10**length)
        return partial(_decimal, length)

    def encode(self, value: Value, length: int, packing: Packing | None) -> bytes:
        """Return the digits of the number."""
        if value == "" and packing is not Packing.BINARY:
            return _unfilled(length, packing, mark=False)
        if type(value) is not int or not 0 <= value < 10**length:
            raise ValueError(f"no number from 0 of at most {length} digits")
        if packing is None:
            return b"%0*d" % (length, value)
        return _packed(value, length, packing)


@dataclass(frozen=True, slots=True)
class Date(Kind):
    """A day, `MMDDYYYY`; zeros stand for none."""

    @property
    def expected(self) -> str:
        """What may stand in the field."""
        return "a day of the calendar written as MMDDYYYY, or zeros"

    def decoder(self, length: int, packing: Packing | None) -> Callable[[bytes], Value]:
        """Return the function that reads a day."""
        assert length == _DATE_DIGITS, length
        return _date if packing is None else partial(_packed_date, packing)

    def encode(self, value: Value, length: int, packing: Packing | None) -> bytes:
        """Return the digits of the day."""
        if value == "" and packing is not Packing.BINARY:
            return _unfilled(length, packing, mark=True)
        if value is not None and (isinstance(value, datetime) or not isinstance(value, date)):
            raise ValueError("no day")
        digits = 0
        if value is not None:
            digits = value.month * 1_000_000 + value.day * 10_000 + value.year
        return b"%08d" % digits if packing is None else _packed(digits, length, packing, mark=True)


@dataclass(frozen=True, slots=True)
class Timestamp(Kind):
    """A second, `MMDDYYYYHHMMSS`; zeros stand for none."""

    @property
    def expected(self) -> str:
        """What may stand in the field."""
        return "a time written as MMDDYYYYHHMMSS, or zeros"

    def decoder(self, length: int, packing: Packing | None) -> Callable[[bytes], Value]:
        """Return the function that reads a time."""
        assert length == _TIMESTAMP_DIGITS, length
        return _timestamp if packing is None else partial(_packed_timestamp, packing)

    def encode(self, value: Value, length: int, packing: Packing | None) -> bytes:
        """Return the digits of the time."""
        if value == "" and packing is not Packing.BINARY:
            return _unfilled(length, packing, mark=True)
        if value is not None and not isinstance(value, datetime):
            raise ValueError("no time")
        digits = 0
        if value is not None:
            digits = int(f"{value:%m%d}{value.year:04}{value:%H%M%S}")
        return b"%014d" % digits if packing is None else _packed(digits, length, packing, mark=True)


def packed_length(digits: int, *, dated: bool = False) -> int:
    """Return how many bytes a packed number has; a date has a leading zero and as many."""
    return (digits + dated) // 2 + 1


def _text(raw: bytes) -> str:
    text = raw.decode("latin-1")
    if not (text.isascii() and text.isprintable()):
        raise ValueError(_strange(raw, lambda byte: 0x20 <= byte < 0x7F))  # noqa: PLR2004 - ASCII
    return text.rstrip(" ")


def _code(codes: dict[bytes, str], raw: bytes) -> str:
    code = codes.get(raw)
    if code is None:
        raise ValueError(repr(raw.decode("ascii", "replace")))
    return code


def _profile(codes: bytes, raw: bytes) -> str:
    if raw.translate(None, codes):
        raise ValueError(_strange(raw, codes.__contains__))
    return raw.decode("ascii").rstrip(" ")


def _number(blanks: bytes, raw: bytes) -> int | str:
    if raw.isdigit():
        return int(raw)
    if raw == blanks:
        return ""
    raise ValueError(_strange(raw, lambda byte: 0x30 <= byte <= 0x39))  # noqa: PLR2004 - digits


@lru_cache(maxsize=1 << 15)
def _date(raw: bytes) -> date | str | None:
    digits = _number(b" " * _DATE_DIGITS, raw)
    return digits if isinstance(digits, str) else _day(digits)


@lru_cache(maxsize=1 << 10)
def _timestamp(raw: bytes) -> datetime | str | None:
    digits = _number(b" " * _TIMESTAMP_DIGITS, raw)
    return digits if isinstance(digits, str) else _second(digits)


def _day(digits: int) -> date | None:
    if not digits:
        return None
    month, rest = divmod(digits, 1_000_000)
    day, year = divmod(rest, 10_000)
    try:
        return date(year, month, day)
    except ValueError:
        raise ValueError("8 digits that are no day") from None


def _second(digits: int) -> datetime | None:
    if not digits:
        return None
    day, clock = divmod(digits, 1_000_000)
    hour, rest = divmod(clock, 10_000)
    minute, second = divmod(rest, 100)
    on = _day(day)
    try:
        if on is not None:
            return datetime(on.year, on.month, on.day, hour, minute, second)  # noqa: DTZ001 - local
    except ValueError:
        pass
    raise ValueError("14 digits that are no time")


def _binary(beyond: int, raw: bytes) -> int:
    value = int.from_bytes(raw)
    if value >= beyond:
        raise ValueError(f"{len(raw)} bytes that are a larger number")
    return value


def _decimal(digits: int, raw: bytes) -> int | str:
    written = raw.hex()
    if not any(raw):
        return ""  # there is not even a sign
    if not written[:-1].isdecimal() or written[-1] not in _SIGN_CHARS:
        raise ValueError(f"{len(raw)} bytes that are no packed decimal with sign C or F")
    value = int(written[:-1])
    if value >= 10**digits:
        raise ValueError(f"{len(raw)} bytes that are a larger number")
    return value


@lru_cache(maxsize=1 << 15)
def _packed_date(packing: Packing, raw: bytes) -> date | str | None:
    digits = _packed_digits(packing, _DATE_DIGITS, raw)
    return digits if isinstance(digits, str) else _day(digits)


@lru_cache(maxsize=1 << 10)
def _packed_timestamp(packing: Packing, raw: bytes) -> datetime | str | None:
    digits = _packed_digits(packing, _TIMESTAMP_DIGITS, raw)
    return digits if isinstance(digits, str) else _second(digits)


def _packed_digits(packing: Packing, digits: int, raw: bytes) -> int | str:
    if packing is not Packing.BINARY:
        return _decimal(digits, raw)
    if not any(raw):
        return 0
    if raw[:1] != b"\0" or raw[-1:] != _BINARY_DATE_MARK:
        raise ValueError(f"{len(raw)} bytes that don't begin with 0x00 and end with 0x73")
    return _binary(10**digits, raw[1:-1])


def _packed(value: int, digits: int, packing: Packing, *, mark: bool = False) -> bytes:
    length = packed_length(digits, dated=mark)
    if packing is Packing.BINARY:
        if not mark:
            return value.to_bytes(length)
        if not value:
            return bytes(length)
        return b"\0" + value.to_bytes(length - 2) + _BINARY_DATE_MARK
    sign = "c" if packing is Packing.DECIMAL else "f"
    return bytes.fromhex(f"{value:0{length * 2 - 1}}{sign}")


def _unfilled(digits: int, packing: Packing | None, *, mark: bool) -> bytes:
    return b" " * digits if packing is None else bytes(packed_length(digits, dated=mark))


def _filled(value: Value, length: int) -> bytes:
    if not isinstance(value, str) or len(value) > length or value.endswith(" "):
        raise ValueError(f"no text of at most {length} characters without blanks behind")
    raw = value.encode("ascii", "replace").ljust(length)
    if not value.isascii() or not _PRINTABLE.fullmatch(raw):
        raise ValueError("text with other than printable ASCII characters")
    return raw


def _strange(raw: bytes, right: Callable[[int], bool]) -> str:
    """Return where the first wrong byte stands, and nothing of what stands around it."""
    place = next(place for place, byte in enumerate(raw, 1) if not right(byte))
    return f"byte 0x{raw[place - 1]:02x} at place {place} of {len(raw)}"
