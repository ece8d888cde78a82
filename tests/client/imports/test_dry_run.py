"""A dry run counts what an import would find, and says nothing of whom the rows are about."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Final

import pytest

from tradeline_client.bench.imports import MAPPING, TODAY, write_statements
from tradeline_client.errors import SourceError
from tradeline_client.imports.dry_run import EVENT_SAMPLES_MAX, FAULT_SAMPLES_MAX, dry_run
from tradeline_client.imports.file_bytes import file_sha256
from tradeline_client.imports.mapping_file import read_mapping
from tradeline_ledger.finding import Severity

ROWS: Final = 12_500


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "month.csv"
    write_statements(path, ROWS)
    return path


def test_a_dry_run_counts_rows_events_months_and_faults(path: Path) -> None:
    found = dry_run(path, read_mapping("bank", MAPPING), TODAY)
    assert (found.rows, found.rejected, found.quarantined) == (ROWS, 13, 0)
    assert found.events == {"account.statement": ROWS - 13}
    assert found.months == {"2026-09": ROWS - 13}
    assert found.batches == 3
    fault = found.faults["number-unreadable"]
    assert (fault.severity, fault.count) == (Severity.REJECT, 13)
    assert [each.line for each in fault.samples] == [
        2 + 1000 * at for at in range(FAULT_SAMPLES_MAX)
    ]
    assert found.sha256 == file_sha256(path)
    assert found.file_bytes == path.stat().st_size


def test_a_dry_run_shows_how_events_come_out_without_their_subjects(path: Path) -> None:
    found = dry_run(path, read_mapping("bank", MAPPING), TODAY)
    samples = found.samples["account.statement"]
    assert len(samples) == EVENT_SAMPLES_MAX
    assert samples[0]["occurred_on"] == "2026-09-30"
    assert samples[0]["fields"]["period"] == "2026-09"
    people = {line.split(",")[1] for line in path.read_text().splitlines()[1:]}
    told = json.dumps(found.to_json()) + json.dumps(samples)
    assert not any(person in told for person in people)


def test_an_estimate_is_no_shorter_than_reading(path: Path) -> None:
    found = dry_run(path, read_mapping("bank", MAPPING), TODAY)
    assert found.estimate_s(1.0) == found.events.total()
    assert found.estimate_s(1e12) == found.seconds > 0


def test_a_file_that_ends_early_is_no_plan(path: Path) -> None:
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(path.read_bytes())[:-1000])
    with pytest.raises(SourceError, match="cut off"):
        dry_run(packed, read_mapping("bank", MAPPING), TODAY)
