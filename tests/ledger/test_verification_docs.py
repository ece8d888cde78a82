"""The program in docs/verification.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.reading import full_scene

from tradeline_ledger.report_parts import Fault, WarningCode
from tradeline_ledger.trust import policy_of

DOCUMENT = Path(__file__).parents[2] / "docs/verification.md"


def test_the_program_in_the_document_prints_what_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    scene = full_scene()
    ledger = scene.committee.world.ledger
    (tmp_path / "policy").write_text(policy_of(ledger, ledger.registry))
    (tmp_path / "report.bundle").write_bytes(scene.read().bundle)
    monkeypatch.chdir(tmp_path)
    exec(compile(program, str(DOCUMENT), "exec"), {})  # noqa: S102  our own document
    first, *events = capsys.readouterr().out.splitlines()
    assert first == "complete as of block 10, by the word of members (1, 2, 3, 4)"
    assert events[0] == "2026-03-04 account.payment ('CNY', 70, 1)"
    assert len(events) == 2


def test_the_document_lists_every_warning() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for code in WarningCode:
        assert f"`{code.value}`" in text, code


def test_faults_and_warnings_have_stable_codes() -> None:
    for enumeration in (Fault, WarningCode):
        for each in enumeration:
            assert re.fullmatch(r"[a-z]+(-[a-z]+)*", each.value), each
