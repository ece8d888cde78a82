"""Metro 2 files: every form there and back, broken words, cut files, and what is left then."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.metro2 import CHARACTER, FORMS, account, file_of, header, read, sample, segments_of

from tradeline_client.metro2.kind import Packing
from tradeline_client.metro2.layout import APPENDED, BASE, REPEATED, Segment, segment
from tradeline_client.metro2.reader import Reader
from tradeline_client.metro2.record import Form, Record
from tradeline_client.metro2.writer import Writer, encode_record

FILES = ("unpacked_fixed_file.dat", "unpacked_variable_file.dat", "packed_file.dat")
MALFORMED = [
    ("095fc33d", 3, 1480, "truncated", 2),
    ("0a80c2ff", 1, 0, "descriptor", 0),
    ("10c93541", 2, 370, "truncated", 1),
    ("616e90a0", 2, 370, "truncated", 1),
]
LINES = Form(Packing.CHARACTER, blocked=False, lines=True)
IDS = [
    "-".join((form.packing.name.lower(), *["blocked"] * form.blocked, *["lines"] * form.lines))
    for form in FORMS
]


def accounts() -> st.SearchStrategy[tuple[Segment, ...]]:
    """Return records with any segments."""
    once = [layout for layout in APPENDED.values() if layout not in REPEATED]
    several = [
        st.lists(segments_of(layout), max_size=2)
        for layout in sorted(REPEATED, key=lambda layout: layout.name)
    ]
    single = [st.lists(segments_of(layout), max_size=1) for layout in once]
    return st.tuples(segments_of(BASE), *several, *single).map(
        lambda parts: (parts[0], *(each for listed in parts[1:] for each in listed))
    )


def written(records: list[Record], form: Form) -> bytes:
    return b"".join(encode_record(each, form) for each in records)


def starts(content: bytes) -> list[int]:
    return [each.offset for each in read(content)[1]]


def numbers(records: list[Record]) -> list[str]:
    """Return the account numbers of the base records."""
    return [each.base.text("consumer_account_number") for each in records if each.layout is BASE]


@pytest.mark.parametrize("name", FILES)
def test_sample_file_is_written_byte_for_byte(name: str) -> None:
    content = sample(name)

    reader, records, faults = read(content)

    assert not faults
    assert [each.layout.name for each in records] == ["header", "base", "trailer"]
    assert written(records, reader.form) == content


@pytest.mark.parametrize(("name", "record", "offset", "code", "readable"), MALFORMED)
def test_malformed_sample_says_where_it_is_broken(
    name: str, record: int, offset: int, code: str, readable: int
) -> None:
    _, records, faults = read(sample(f"malformed/{name}"))

    first = faults[0]
    assert (first.record, first.offset, first.code) == (record, offset, code)
    assert all((first.got, first.expected, first.fix))
    assert len(records) == readable


@pytest.mark.parametrize("form", FORMS, ids=IDS)
@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(drawn=st.data())
def test_any_file_is_read_as_it_was_written(form: Form, drawn: st.DataObject) -> None:
    # A packed file tells its packing by the days of its first record.
    first = (account(1), *drawn.draw(accounts())[1:])
    listed = [first, *drawn.draw(st.lists(accounts(), max_size=2))]
    content = file_of(*listed, form=form, record_bytes=drawn.draw(st.sampled_from((0, 1_300))))

    reader, records, faults = read(content)

    assert not faults
    assert reader.form == form
    assert [each.segments for each in records if each.layout is BASE] == listed
    assert written(records, form) == content


@pytest.mark.parametrize("packing", Packing, ids=lambda each: each.value)
def test_several_records_in_one_block_are_read(packing: Packing) -> None:
    form = Form(packing, blocked=True, lines=False)
    plain = Form(packing, blocked=False, lines=False)
    content = file_of((account(1),), (account(2),), (account(3),), form=plain)
    at = starts(content)
    block = content[at[1] : at[-1]]
    blocked = b"".join(
        form.encode_word(len(part) + 4) + part
        for part in (content[: at[1]], block, content[at[-1] :])
    )

    reader, records, faults = read(blocked)

    assert [fault.code for fault in faults] in ([], ["trailer-total"])
    assert numbers(records) == ["LOAN 1", "LOAN 2", "LOAN 3"]
    assert written(records, reader.form) == blocked


@pytest.mark.parametrize("broken", [b"04X6", b"0000", b"9999", b"0500", b"-426"])
@pytest.mark.parametrize("form", FORMS[:4], ids=IDS[:4])
def test_broken_descriptor_word_costs_one_record(form: Form, broken: bytes) -> None:
    content = file_of(*((account(number),) for number in range(1, 6)), form=form)
    at = starts(content)[3]

    _, records, faults = read(content[:at] + broken + content[at + 4 :])

    if form.lines and form.blocked:
        # The other word of the line still says its length.
        assert numbers(records)[:2] == ["LOAN 1", "LOAN 2"]
    else:
        assert [(each.code, each.record, each.offset) for each in faults] == [("descriptor", 4, at)]
        assert numbers(records) == ["LOAN 1", "LOAN 2", "LOAN 4", "LOAN 5"]
    assert numbers(records)[-2:] == ["LOAN 4", "LOAN 5"]


@pytest.mark.parametrize("form", FORMS[4:], ids=IDS[4:])
def test_broken_packed_descriptor_word_costs_one_record(form: Form) -> None:
    content = file_of(*((account(number),) for number in range(1, 6)), form=form)
    at = starts(content)[3]

    _, records, faults = read(content[:at] + b"\x01\x72\x20\x20" + content[at + 4 :])

    assert [(each.code, each.record, each.offset) for each in faults] == [("descriptor", 4, at)]
    assert numbers(records) == ["LOAN 1", "LOAN 2", "LOAN 4", "LOAN 5"]


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_wrong_field_costs_its_record_alone(form: Form) -> None:
    content = file_of(*((account(number),) for number in range(1, 6)), form=form)
    places = {each.field.name: each.start for each in BASE.places(form.packing)}
    at = starts(content)[3] + 4 * (1 + form.blocked) + places["account_status"]

    _, records, faults = read(content[:at] + b"12" + content[at + 2 :])

    (fault,) = faults
    assert (fault.record, fault.offset, fault.segment) == (4, at, "base")
    assert (fault.field, fault.code, fault.got) == ("account_status", "field", "'12'")
    assert numbers(records) == ["LOAN 1", "LOAN 2", "LOAN 4", "LOAN 5"]
    assert str(fault).startswith(f"record 4, byte {at}, base account_status: field: got '12'")


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_cut_file_keeps_the_records_before_the_cut(form: Form) -> None:
    content = file_of(*((account(number),) for number in range(1, 4)), form=form)
    at = starts(content)

    for cut in range(at[1], len(content) - form.lines):
        _, records, faults = read(content[:cut])

        assert faults, cut
        whole = sum(start <= cut for start in [*at[1:], len(content)])
        # A line break may be missing behind the last record.
        assert len(records) in (whole, whole + 1), cut
        assert len(records) == whole or form.lines
        assert {fault.code for fault in faults} <= {
            *("truncated", "trailer-missing", "descriptor", "segment-short"),
        }


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_every_changed_byte_is_refused_or_read_and_never_breaks_the_reader(form: Form) -> None:
    content = file_of(*((account(number),) for number in range(1, 4)), form=form)

    for place in range(0, len(content), 7):
        changed = content[:place] + bytes([content[place] ^ 0x5A]) + content[place + 1 :]
        reader, records, faults = read(changed)
        assert faults or written(records, reader.form) == changed, place


def test_file_that_is_no_metro_2_is_refused() -> None:
    for content in (b"", b"PK\x03\x04", b"a,b\n1,2\n" * 1000):
        _, records, (fault,) = read(content)
        assert not records
        assert fault.code == "no-header"


def test_segment_without_a_known_name_costs_its_record() -> None:
    (plain,) = {len(file_of((account(1),))) - 852}
    body = account(1).encode(Packing.CHARACTER) + b"Q9".ljust(30)
    wrong = CHARACTER.encode_word(4 + len(body)) + body
    content = file_of((account(2),))

    _, records, faults = read(content[:426] + wrong + content[426:])

    assert plain == 426
    assert [(each.code, each.offset) for each in faults] == [("segment-unknown", 852)]
    assert numbers(records) == ["LOAN 2"]


def test_second_segment_of_a_kind_that_stands_once_is_refused() -> None:
    employer = segment(APPENDED[b"N1"], {"segment_identifier": "N1", "employer_name": "MILL"})

    _, records, faults = read(file_of((account(1), employer, employer), (account(2),)))

    assert [(each.segment, each.code) for each in faults] == [("N1", "segment-unknown")]
    assert numbers(records) == ["LOAN 2"]


def test_wrong_total_of_the_trailer_is_named() -> None:
    content = file_of((account(1),), (account(2),))
    at = content.index(b"TRAILER") + 7

    _, records, (fault,) = read(content[:at] + b"000000003" + content[at + 9 :])

    assert (fault.segment, fault.field, fault.code) == ("trailer", "base_records", "trailer-total")
    assert (fault.got, fault.offset) == ("3", at)
    assert fault.expected.startswith("2")
    assert len(records) == 4


def test_files_that_were_joined_are_refused_behind_the_first() -> None:
    content = file_of((account(1),))

    _, records, (fault,) = read(content + content)

    assert (fault.code, fault.offset) == ("after-trailer", len(content))
    assert len(records) == 3


def test_second_header_is_refused() -> None:
    content = file_of((account(1),))

    _, _, faults = read(content[:426] + content[:426] + content[426:])

    assert ("record-order", 426) in [(each.code, each.offset) for each in faults]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r\n\x1a", b"   \n\n"])
@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_line_breaks_behind_the_trailer_are_kept(form: Form, ending: bytes) -> None:
    content = file_of((account(1),), form=form).rstrip(b"\n") + ending.lstrip(b" " * form.lines)

    reader, records, faults = read(content)

    assert not faults
    assert written(records, reader.form) == content


def test_line_breaks_of_two_kinds_are_kept() -> None:
    content = file_of((account(1),), (account(2),), form=LINES)
    mixed = content.replace(b"\n", b"\r\n", 2)

    reader, records, faults = read(mixed)

    assert not faults
    assert numbers(records) == ["LOAN 1", "LOAN 2"]
    assert written(records, reader.form) == mixed


def test_endless_line_is_passed_over_in_bounded_memory() -> None:
    content = file_of((account(1),), (account(2),), form=LINES)
    at = starts(content)[2]

    class Endless:
        """A file whose third line has 200 MB."""

        def __init__(self) -> None:
            self.parts = [content[:at], *([b"7" * (1 << 20)] * 200), content[at:]]

        def read(self, size: int, /) -> bytes:
            assert size > 0
            return self.parts.pop(0) if self.parts else b""

    tracemalloc.start()
    found = list(Reader(Endless()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 16 << 20
    (fault,) = [each for each in found if not isinstance(each, Record)]
    assert (fault.code, fault.record) == ("record-too-long", 3)
    assert fault.got == f"a line of {200 * (1 << 20) + 426} bytes"


def test_record_that_no_descriptor_word_can_measure_is_not_written() -> None:
    writer = Writer(io.BytesIO(), CHARACTER)
    other = segment(APPENDED[b"J2"], {"segment_identifier": "J2", "surname": "DOE"})

    with pytest.raises(ValueError, match="10026 bytes, at most 9995"):
        writer.write((account(1), *([other] * 48)))


def test_representation_of_a_record_shows_nothing_of_a_person() -> None:
    _, (_, base, _), _ = read(file_of((account(1),)))

    assert repr(base) == "Record(2, base, not shown)"
    assert "DOE" not in repr(replace(base, padding=b"DOE"))


def test_header_is_read() -> None:
    _, (first, *_), _ = read(file_of((account(1),)))

    assert first.base == header()
