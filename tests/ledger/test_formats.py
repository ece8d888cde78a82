"""docs/formats.md says what the code does: its tables, its labels and its links."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest
from scripts.formats_tables import DOCUMENT, TABLES, fill

from tradeline_ledger.outcome import Outcome

LEDGER: Final = Path(__file__).parents[2] / "ledger/tradeline_ledger"
TEXT: Final = DOCUMENT.read_text(encoding="utf-8")
PLACE_OF_THE_NAME: Final = {"digest": 0, "label": 0, "sign": 0, "verify": 1}


def labels_in_the_code() -> set[str]:
    found = set()
    for source in LEDGER.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            place = PLACE_OF_THE_NAME.get(name, len(node.args))
            given = node.args[place] if place < len(node.args) else None
            if isinstance(given, ast.Constant) and isinstance(given.value, str):
                found.add(given.value)
    return found


def test_tables_are_those_of_the_code() -> None:
    assert fill(TEXT) == TEXT, "run scripts/formats_tables.py and read what changed"


@pytest.mark.parametrize("name", TABLES)
def test_a_changed_number_is_noticed(name: str) -> None:
    block = TEXT.split(f"<!-- table: {name} -->\n")[1].split("<!-- end -->")[0]
    altered = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), block, count=1)
    assert altered != block
    assert fill(TEXT.replace(block, altered)) == TEXT


def test_every_label_of_the_code_is_listed() -> None:
    table = TEXT.split("### Labels\n")[1].split("###")[0]
    listed = {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([a-z-]+)`", line.split("|")[1])
    }
    assert listed == labels_in_the_code()


def test_every_outcome_is_explained_by_a_rule() -> None:
    rules = TEXT.split("## 8. Kinds and rules")[1].split("## 9.")[0]
    named = set()
    for line in rules.splitlines():
        if line.startswith("| `"):
            first, *others = re.findall(r"`([a-z-]+)`", line.split("|")[1])
            stem = first.rpartition("-")[0]
            # "`inquiry-consent-revoked`, `-terminated`" stands for two codes.
            named |= {first, *(stem + other if other[0] == "-" else other for other in others)}
    assert named == {outcome.code for outcome in Outcome} - {"accepted"}


def test_links_within_the_document_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", text.lower()).replace(" ", "-") for text in headings}
    for target in re.findall(r"\]\(#([^)]+)\)", TEXT):
        assert target in anchors, target
