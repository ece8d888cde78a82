"""Link keys, year keys, tags and check values, recomputed from the formats by plain means."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from tradeline_ledger import tag as tag_module
from tradeline_ledger.identifier import IdType, SubjectId, parse_identifier
from tradeline_ledger.tag import (
    Category,
    Filer,
    HmacLinker,
    SubjectLinker,
    Tagger,
    check_value,
    link_key,
    linker_hash,
    tag,
    tag_key_hash,
    year_key,
)

CONSORTIUM_KEY = bytes(range(32))
TAG_KEY = bytes(range(32, 64))
SUBJECT = parse_identifier(IdType.RESIDENT_ID, "11010519491231002X", 2026)
FIRM = parse_identifier(IdType.LEI, "213800KUD8LAJWSQ9D15", 2026)
REF = b"r" * 16


def plain(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def test_keys_and_tags_follow_the_formats() -> None:
    # An array of four: three short strings and a number.
    message = b"\x94\xb1tradeline/v1 link\x01\xa2CN\xb211010519491231002X"
    linked = plain(CONSORTIUM_KEY, message)
    assert link_key(CONSORTIUM_KEY, SUBJECT) == linked

    yearly = plain(linked, b"tradeline/v1 year\n" + (2026).to_bytes(2, "big"))
    assert year_key(linked, 2026) == yearly

    filed = plain(TAG_KEY, b"tradeline/v1 tag\n" + yearly + b"\x03")[:16]
    assert tag(TAG_KEY, yearly, Category.INQUIRY) == filed

    tied = plain(yearly, b"tradeline/v1 check\n" + (7).to_bytes(4, "big") + REF)[:16]
    assert check_value(yearly, 7, REF) == tied

    assert linker_hash(CONSORTIUM_KEY) == sha256(b"tradeline/v1 linker\n" + CONSORTIUM_KEY)
    assert tag_key_hash(TAG_KEY) == sha256(b"tradeline/v1 tag-key\n" + TAG_KEY)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def test_linker_says_which_key_it_has_and_hides_it() -> None:
    linker: SubjectLinker = HmacLinker(CONSORTIUM_KEY)
    assert linker.linker_hash == linker_hash(CONSORTIUM_KEY)
    assert linker.link_key(SUBJECT) == link_key(CONSORTIUM_KEY, SUBJECT)
    assert CONSORTIUM_KEY.hex() not in repr(linker)


def test_one_identifier_under_two_types_or_countries_has_two_link_keys() -> None:
    linker = HmacLinker(CONSORTIUM_KEY)
    variants = [
        SubjectId(IdType.RESIDENT_ID, "CN", "1"),
        SubjectId(IdType.USCC, "CN", "1"),
        SubjectId(IdType.RESIDENT_ID, "", "1"),
        SubjectId(IdType.RESIDENT_ID, "CN", "2"),
    ]
    assert len({linker.link_key(subject) for subject in variants}) == len(variants)


def test_each_part_of_a_tag_changes_it() -> None:
    first, second = (link_key(CONSORTIUM_KEY, subject) for subject in (SUBJECT, FIRM))
    tags = {
        tag(tag_key, year_key(key, year), category)
        for tag_key in (TAG_KEY, CONSORTIUM_KEY)
        for key in (first, second)
        for year in (2025, 2026)
        for category in Category
    }
    assert len(tags) == 2 * 2 * 2 * 6


def test_tagger_makes_many_tags_in_order() -> None:
    years = [year_key(link_key(CONSORTIUM_KEY, SUBJECT), year) for year in (2024, 2025)]
    assert Tagger(TAG_KEY).tags(years, [1, 3]) == [
        tag(TAG_KEY, years[0], 1),
        tag(TAG_KEY, years[0], 3),
        tag(TAG_KEY, years[1], 1),
        tag(TAG_KEY, years[1], 3),
    ]


def test_filer_gives_the_same_with_and_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_module, "CACHED_SUBJECTS_MAX", 2)
    filer = Filer(HmacLinker(CONSORTIUM_KEY), TAG_KEY, 7)
    for _ in range(2):
        for subject in (SUBJECT, FIRM):
            for year in (2024, 2025, 2026):
                yearly = year_key(link_key(CONSORTIUM_KEY, subject), year)
                for category in (Category.ACCOUNT, Category.PUBLIC_RECORD):
                    assert filer.tag(subject, year, category) == tag(TAG_KEY, yearly, category)
                assert filer.check(subject, year, REF) == check_value(yearly, 7, REF)
    assert repr(filer) == "Filer(member=7)"


def test_numbers_of_categories_never_change() -> None:
    assert {item.name: item.value for item in Category} == {
        "ACCOUNT": 1,
        "PUBLIC_RECORD": 2,
        "INQUIRY": 3,
        "IDENTITY": 4,
        "PLATFORM": 5,
        "OTHER": 6,
    }
