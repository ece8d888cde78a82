"""Ready mappings take real files whole: known totals, nothing rejected, nothing private read."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

from tests.cards import german_loans

from tradeline_client.imports.dry_run import dry_run
from tradeline_client.imports.mapping_file import load_mapping
from tradeline_ledger.identifier import resident_id

TODAY: Final = "2026-11-29"
PARAMETERS: Final = {"opened_on": "2024-01-15", "defaulted_on": "2026-01-15"}
PRIVATE: Final = {
    *("age.in.years", "personal_status_sex", "foreign_worker", "job", "telephone", "property"),
    *("savings", "account_check_status", "present_emp_since"),
}


def test_german_loans_are_mapped_whole(tmp_path: Path) -> None:
    rows = list(csv.reader(io.StringIO(german_loans().decode())))
    path = tmp_path / "german.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*rows[0], "resident_id"])
        for number, row in enumerate(rows[1:]):
            person = resident_id("110101", f"1890-03-{number // 1000 + 1:02}", number % 1000)
            writer.writerow([*row, person])
    mapping = load_mapping("german-loans", PARAMETERS)
    assert not PRIVATE & set(mapping.columns())
    found = dry_run(path, mapping, TODAY)
    assert (found.rows, found.rejected, found.quarantined) == (1000, 0, 0)
    assert found.events == {"account.opened": 1000, "account.default": 300}
    first = found.samples["account.opened"][0]
    assert first["ref"] == "opened 0001"
    assert first["fields"]["limit_minor"] == 116_900
    assert first["fields"]["term_months"] == 6
