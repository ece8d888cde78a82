"""Metro 2 records parsed, checked and mapped to events."""

from __future__ import annotations

import io
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from tradeline_client.bench.stopwatch import Stopwatch, rss_mib
from tradeline_client.metro2.kind import Packing
from tradeline_client.metro2.layout import BASE, HEADER, Segment, segment
from tradeline_client.metro2.reader import Reader
from tradeline_client.metro2.record import Form, Record
from tradeline_client.metro2.to_events import events_of
from tradeline_client.metro2.writer import write_file
from tradeline_ledger.measured import Measured

if TYPE_CHECKING:
    from collections.abc import Iterator

_LAP_RECORDS: Final = 1_000
_SERIALS: Final = 9_999
_TODAY: Final = "2026-02-01"
_PERIOD_ENDS: Final = date(2026, 1, 31)


def measure_metro2(records: int) -> Measured:
    """
    Return what it takes to parse and map so many accounts, rounded up to whole laps, in characters.

    Stage `parse` is from bytes to checked fields, `map` from those to events. `write` puts the
    file together and is not part of the whole; `packed_records_per_s` is `parse` of packed files.
    """
    count = -(-records // _LAP_RECORDS) * _LAP_RECORDS
    watch = Stopwatch()
    made = 0
    with watch.stage("write"):
        plain = _file(count, Form(Packing.CHARACTER, blocked=False, lines=True))
    written_s = watch.cpu_s.pop("write")
    found = iter(Reader(io.BytesIO(plain)))
    for _ in range(count // _LAP_RECORDS):
        with watch.lap():
            with watch.stage("parse"):
                lap = _accounts(found)
            with watch.stage("map"):
                made += sum(len(events_of(each, _TODAY)[0]) for each in lap)
    packed_watch = Stopwatch()
    packed = _file(count, Form(Packing.DECIMAL, blocked=True, lines=False))
    with packed_watch.stage("parse"):
        parsed = sum(isinstance(each, Record) for each in Reader(io.BytesIO(packed)))
    more = {
        "records_per_cpu_s": round(count / watch.cpu_s["parse"]),
        "packed_records_per_cpu_s": round(parsed / packed_watch.cpu_s["parse"]),
        "written_records_per_cpu_s": round(count / written_s),
        "events_made": made,
        "file_bytes": len(plain),
    }
    return Measured("metro2", count, watch.seconds, watch.laps_ms, watch.cpu_s, rss_mib(), more)


def _accounts(found: Iterator[object]) -> list[Record]:
    """Return the next accounts, as many as a lap has."""
    lap: list[Record] = []
    while len(lap) < _LAP_RECORDS:
        each = next(found)
        assert isinstance(each, Record), each
        if each.layout is BASE:
            lap.append(each)
    return lap


def _file(count: int, form: Form) -> bytes:
    stream = io.BytesIO()
    header = segment(HEADER, {"record_identifier": "HEADER", "activity_date": _PERIOD_ENDS})
    write_file(stream, form, header, ((_account(number),) for number in range(count)))
    return stream.getvalue()


def _account(number: int) -> Segment:
    """Return a made-up account in order."""
    # Serial 0 of no area and group is ever issued.
    block, serial = divmod(number, _SERIALS)
    return segment(
        BASE,
        {
            "processing_indicator": "1",
            "time_stamp": datetime(2026, 2, 1, 8, 30),  # noqa: DTZ001 - the format has no zone
            "correction_indicator": "0",
            "consumer_account_number": f"LOAN {number}",
            "portfolio_type": "I",
            "account_type": "01",
            "date_opened": date(2024, 1 + number % 12, 1 + number % 28),
            "highest_credit": 1_000 + number,
            "terms_duration": "036",
            "terms_frequency": "M",
            "scheduled_monthly_payment": 350,
            "actual_payment": 350,
            "account_status": "11",
            "payment_history_profile": "0" * 24,
            "current_balance": 500 + number,
            "date_of_account_information": _PERIOD_ENDS,
            "date_of_last_payment": date(2026, 1, 15),
            "surname": "DOE",
            "first_name": f"JANE {number}",
            "social_security_number": 1_01_0000 + block * 10_000 + serial + 1,
            "date_of_birth": date(1950 + number % 50, 5, 9),
            "telephone_number": 5_550_100_000 + number,
            "ecoa_code": "1",
            "country_code": "US",
            "address_line_1": f"{number} MADE UP STREET",
            "city": "SPRINGFIELD",
            "state": "IL",
            "zip_code": "62701",
        },
    )
