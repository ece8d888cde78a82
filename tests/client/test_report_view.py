"""A verified report as people see it: the months of each account in the grids they are used to."""

from __future__ import annotations

import pytest
from tests.reading import Scene

from tradeline_client.cli.report_json import report_to_json
from tradeline_client.cli.report_view import print_history
from tradeline_ledger.schemas import STATEMENT


def test_months_of_an_account_are_shown_in_the_grids_of_two_countries(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene = Scene()
    for number, (period, late) in enumerate({"2026-01": 0, "2026-02": 30, "2026-03": 61}.items()):
        fields = STATEMENT.values(
            period=period, currency="CNY", statement_balance_minor=5, days_past_due=late
        )
        day = f"{period}-28"
        event = scene.event(2, number, on=day, schema=STATEMENT.number, fields=fields)
        scene.file(2, event)
    scene.ask()
    report = scene.read().report
    (months,) = report_to_json(report)["months"]
    assert months["last_month"] == "2026-03"
    assert months["pboc"] == "/" * 21 + "N13"
    assert months["metro2"] == "210" + "B" * 21

    print_history(report)

    printed = capsys.readouterr().out
    assert "Accounts month by month: 1" in printed
    row = next(line for line in printed.splitlines() if months["pboc"] in line)
    assert row.split()[0] == months["account"][:8]
    assert months["metro2"] in row
    assert "2026-03" in row


def test_account_without_a_statement_has_no_months(capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene()
    scene.file(2, scene.event(2, "a"))
    scene.ask()
    report = scene.read().report
    assert report_to_json(report)["months"] == []
    print_history(report)
    assert "month by month" not in capsys.readouterr().out
