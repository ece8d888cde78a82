"""Metro 2 files of made-up records, for tests."""

from __future__ import annotations

import io
import os
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import strategies as st

from tradeline_client.metro2.fault import Fault
from tradeline_client.metro2.kind import Code, Date, Kind, Number, Packing, Profile, Timestamp
from tradeline_client.metro2.layout import BASE, HEADER, Layout, Segment, segment
from tradeline_client.metro2.reader import Reader
from tradeline_client.metro2.record import Form, Record
from tradeline_client.metro2.writer import write_file

SAMPLES: Final = Path(__file__).parents[1].parent / "shared/vectors/metro2"
CHARACTER: Final = Form(Packing.CHARACTER, blocked=False, lines=False)
FORMS: Final = [
    *(
        Form(Packing.CHARACTER, blocked, lines)
        for blocked in (False, True)
        for lines in (False, True)
    ),
    *(
        Form(packing, blocked, lines=False)
        for packing in Packing
        if packing.packed
        for blocked in (False, True)
    ),
]


def sample(name: str) -> bytes:
    """Return a file of another implementation."""
    path = SAMPLES / name
    if not path.exists():
        message = f"{path} is absent: put the shared vectors beside the checkout"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path.read_bytes()


def header(**values: Any) -> Segment:
    """Return a header record."""
    made: dict[str, Any] = {"record_identifier": "HEADER", "reporter_name": "FIRST MADE UP BANK"}
    return segment(HEADER, {**made, "activity_date": date(2026, 1, 31), **values})


def account(number: int, **values: Any) -> Segment:
    """Return the base segment of an account in order: a personal loan that is paid as agreed."""
    made: dict[str, Any] = {
        "processing_indicator": "1",
        "time_stamp": datetime(2026, 2, 1, 8, 30, 5),  # noqa: DTZ001 - the format has no zone
        "correction_indicator": "0",
        "identification_number": "BANK 1",
        "consumer_account_number": f"LOAN {number}",
        "portfolio_type": "I",
        "account_type": "01",
        "date_opened": date(2024, 3, 15),
        "highest_credit": 12_000,
        "terms_duration": "036",
        "terms_frequency": "M",
        "scheduled_monthly_payment": 350,
        "actual_payment": 350,
        "account_status": "11",
        "payment_history_profile": "0" * 22 + "BB",
        "current_balance": 5_200,
        "date_of_account_information": date(2026, 1, 31),
        "date_of_last_payment": date(2026, 1, 15),
        "surname": "DOE",
        "first_name": f"JANE {number}",
        "social_security_number": 536_00_0000 + 90_0000 + number,
        "date_of_birth": date(1971, 5, 9),
        "telephone_number": 5_550_100_000 + number,
        "ecoa_code": "1",
        "country_code": "US",
        "address_line_1": "1 MADE UP STREET",
        "city": "SPRINGFIELD",
        "state": "IL",
        "zip_code": "62701",
    }
    return segment(BASE, {**made, **values})


def file_of(*accounts: tuple[Segment, ...], form: Form = CHARACTER, record_bytes: int = 0) -> bytes:
    """Return a whole file with these accounts."""
    stream = io.BytesIO()
    write_file(stream, form, header(), accounts, record_bytes=record_bytes)
    return stream.getvalue()


def read(content: bytes) -> tuple[Reader, list[Record], list[Fault]]:
    """Return what is read of a file."""
    reader = Reader(io.BytesIO(content))
    found = list(reader)
    records = [each for each in found if isinstance(each, Record)]
    return reader, records, [each for each in found if isinstance(each, Fault)]


def values_of(kind: Kind, length: int) -> st.SearchStrategy[Any]:
    """Return the values that a field can have in every packing."""
    match kind:
        case Code():
            return st.sampled_from(sorted(kind.codes))
        case Profile():
            return st.text(sorted(kind.codes), max_size=length).map(lambda text: text.rstrip(" "))
        case Number():
            return st.integers(0, 10**length - 1)
        case Date():
            return st.none() | st.dates()
        case Timestamp():
            return st.none() | st.datetimes().map(lambda at: at.replace(microsecond=0))
        case _:
            printable = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
            return st.text(printable, max_size=length).map(lambda text: text.rstrip(" "))


def segments_of(layout: Layout) -> st.SearchStrategy[Segment]:
    """Return segments with any values that a file can hold."""
    # A field that is shorter in packed files holds what fits there.
    lengths = [min(each.length, each.packed_filler or each.length) for each in layout.fields]
    return st.tuples(
        *(values_of(each.kind, size) for each, size in zip(layout.fields, lengths, strict=True))
    ).map(lambda values: Segment(layout, values))
