"""
From a subject's identifier to the tags that its events are filed under.

docs/formats.md, section 6. link key = MAC(consortium key, identifier), year key = MAC(link key,
year), tag = MAC(a member's tag key, year key and category). Who knows a year key and a member's
tag key computes that member's tags of that subject and year, and no other.
"""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING, Final, Protocol

from tradeline_ledger.encoding import encode
from tradeline_ledger.hashing import digest, label
from tradeline_ledger.mac import SHORT_MAC_BYTES, MacKey, mac, macs_short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_ledger.identifier import SubjectId

LINKER_KEY_BYTES: Final = 32
TAG_KEY_BYTES: Final = 32
CACHED_SUBJECTS_MAX: Final = 1 << 17
"""Subject-years that a `Filer` remembers before it starts anew, about 50 MiB."""

_LINK_NAME = "tradeline/v1 link"
_YEAR = label("year")
_TAG = label("tag")
_CHECK = label("check")
_U16 = struct.Struct(">H").pack
_U32 = struct.Struct(">I").pack
_U8 = tuple(bytes((value,)) for value in range(256))


@enum.unique
class Category(enum.IntEnum):
    """What an event is filed under. Coarse on purpose, and never named after good or bad."""

    ACCOUNT = 1
    PUBLIC_RECORD = 2
    INQUIRY = 3
    IDENTITY = 4
    PLATFORM = 5
    """Platforms and utilities."""
    OTHER = 6


class SubjectLinker(Protocol):
    """Makes link keys. Nothing else may depend on how: an OPRF can take its place."""

    @property
    def linker_hash(self) -> bytes:
        """32 bytes of the ledger's parameters that tell a wrong linker at once."""
        ...

    def link_key(self, subject: SubjectId) -> bytes:
        """Return the 32-byte link key of a subject, the same for every member."""
        ...


class HmacLinker:
    """The first linker: an HMAC under a key that all members hold."""

    __slots__ = ("_key", "linker_hash")

    def __init__(self, consortium_key: bytes) -> None:
        """Take the 32-byte key that the members of the ledger share."""
        assert len(consortium_key) == LINKER_KEY_BYTES, len(consortium_key)
        self._key = MacKey(consortium_key)
        self.linker_hash = linker_hash(consortium_key)

    def __repr__(self) -> str:
        return f"HmacLinker(linker_hash={self.linker_hash.hex()})"

    def link_key(self, subject: SubjectId) -> bytes:
        """Return the link key of a subject, 32 bytes."""
        return self._key.sign(_link_message(subject))


def linker_hash(consortium_key: bytes) -> bytes:
    """Return `H("linker", consortium key)`, which stands in the parameters of the ledger."""
    return digest("linker", consortium_key)


def link_key(consortium_key: bytes, subject: SubjectId) -> bytes:
    """Return the link key of one subject, 32 bytes; `HmacLinker` is faster for many."""
    return mac(consortium_key, _link_message(subject))


def year_key(subject_link_key: bytes, year: int) -> bytes:
    """Return the key, 32 bytes, of one subject and one year of `occurred_on`."""
    return mac(subject_link_key, _YEAR + _U16(year))


def tag(tag_key: bytes, subject_year_key: bytes, category: int) -> bytes:
    """Return the 16-byte tag of a subject, year and category under one member's tag key."""
    return mac(tag_key, _TAG + subject_year_key + _U8[category])[:SHORT_MAC_BYTES]


def tag_key_hash(tag_key: bytes) -> bytes:
    """Return `H("tag-key", tag_key)`, which stands in the member's record."""
    return digest("tag-key", tag_key)


def check_value(subject_year_key: bytes, member: int, ref: bytes) -> bytes:
    """
    Return the 16 bytes by which a reader sees that an event is about its subject.

    Args:
        subject_year_key: of the subject and the year of the event's `occurred_on`.
        member: number of the contributor.
        ref: the event's own reference, 16 bytes (docs/formats.md, section 4).
    """
    return mac(subject_year_key, _CHECK + _U32(member) + ref)[:SHORT_MAC_BYTES]


class Tagger:
    """One tag key, ready to make many tags: a member's own, or on a committee member's node."""

    __slots__ = ("_key",)

    def __init__(self, tag_key: bytes) -> None:
        """Take a 32-byte tag key."""
        assert len(tag_key) == TAG_KEY_BYTES, len(tag_key)
        self._key = MacKey(tag_key)

    def __repr__(self) -> str:
        return "Tagger()"

    def tag(self, subject_year_key: bytes, category: int) -> bytes:
        """Return `tag(tag_key, subject_year_key, category)`, 16 bytes."""
        return self._key.sign(_TAG + subject_year_key + _U8[category])[:SHORT_MAC_BYTES]

    def tags_of(self, year_keys: Sequence[bytes], category: int) -> list[bytes]:
        """Return the tag of each year key in one category."""
        end = _U8[category]
        return self._key.sign_short([_TAG + each + end for each in year_keys])

    def tags(self, year_keys: list[bytes], categories: list[int]) -> list[bytes]:
        """Return the tags of every year key in every category, year keys outermost."""
        return [self.tag(key, category) for key in year_keys for category in categories]


class Filer:
    """
    Files one member's events under its tags; computes each key and tag of a subject once.

    It remembers up to `CACHED_SUBJECTS_MAX` subject-years, so it belongs in the memory of a
    process that holds the linker's key anyway.
    """

    __slots__ = ("_linker", "_others", "_tagger", "_tags", "_year_keys", "member")

    def __init__(
        self,
        linker: SubjectLinker,
        tag_key: bytes,
        member: int,
        others: Sequence[bytes] = (),
    ) -> None:
        """File for `member` under its own tag key; `others` are those that it had before."""
        self.member = member
        self._linker = linker
        self._tagger = Tagger(tag_key)
        self._others = [Tagger(each) for each in others]
        self._year_keys: dict[tuple[SubjectId, int], bytes] = {}
        self._tags: dict[tuple[bytes, int], bytes] = {}

    def __repr__(self) -> str:
        return f"Filer(member={self.member})"

    def year_key(self, subject: SubjectId, year: int) -> bytes:
        """Return the year key of a subject, 32 bytes."""
        place = (subject, year)
        found = self._year_keys.get(place)
        if found is None:
            if len(self._year_keys) >= CACHED_SUBJECTS_MAX:
                self._year_keys.clear()
            found = self._year_keys[place] = year_key(self._linker.link_key(subject), year)
        return found

    def tag(self, subject: SubjectId, year: int, category: int) -> bytes:
        """Return the tag, 16 bytes, of this member for a subject, year and category."""
        place = (self.year_key(subject, year), category)
        found = self._tags.get(place)
        if found is None:
            if len(self._tags) >= CACHED_SUBJECTS_MAX:
                self._tags.clear()
            found = self._tags[place] = self._tagger.tag(*place)
        return found

    def tags_ever(self, subject: SubjectId, year: int, category: int) -> frozenset[bytes]:
        """Return `tag`, and what it was under every other tag key of this member."""
        key = self.year_key(subject, year)
        others = [each.tag(key, category) for each in self._others]
        return frozenset((self.tag(subject, year, category), *others))

    def check(self, subject: SubjectId, year: int, ref: bytes) -> bytes:
        """Return the check value, 16 bytes, of this member's event `ref` about a subject."""
        return check_value(self.year_key(subject, year), self.member, ref)

    def tags(self, year_keys: Sequence[bytes], category: int) -> list[bytes]:
        """Return this member's tag, 16 bytes, of each year key in a category, none remembered."""
        return self._tagger.tags_of(year_keys, category)

    def checks(self, year_keys: Sequence[bytes], refs: Sequence[bytes]) -> list[bytes]:
        """Return the check value of each of this member's events `refs`, by its year key."""
        return macs_short(year_keys, _CHECK + _U32(self.member), refs)


def _link_message(subject: SubjectId) -> bytes:
    return encode((_LINK_NAME, int(subject.id_type), subject.country, subject.identifier))
