"""docs/events.md says what the code does, and its links lead somewhere."""

from __future__ import annotations

import re

import pytest
from scripts.events_tables import DOCUMENT, TABLES, fill
from scripts.formats_tables import DOCUMENT as FORMATS

from tradeline_ledger.statement import Kind

TEXT = DOCUMENT.read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9_ -]", "", each.lower()).replace(" ", "-") for each in headings}


def test_tables_are_those_of_the_code() -> None:
    assert fill(TEXT) == TEXT, "run scripts/events_tables.py and read what changed"


@pytest.mark.parametrize("name", TABLES)
def test_a_changed_word_is_noticed(name: str) -> None:
    block = TEXT.split(f"<!-- table: {name} -->\n")[1].split("<!-- end -->")[0]
    last = block.rstrip().splitlines()[-1]
    altered = block.replace(last, last[::-1])
    assert altered != block
    assert fill(TEXT.replace(block, altered)) == TEXT


def test_links_lead_to_headings() -> None:
    own, formats = anchors(TEXT), anchors(FORMATS.read_text(encoding="utf-8"))
    links = re.findall(r"\]\((formats\.md)?#([^)]+)\)", TEXT)
    assert len(links) > 46
    for file, target in links:
        assert target in (formats if file else own), target


def test_kinds_that_are_named_exist() -> None:
    section = TEXT.split("### What is no event")[1].split("\n## ")[0]
    named = {
        name
        for line in section.splitlines()
        if line.startswith("| ") and "kind" in line
        for name in re.findall(r"`([a-z-]+)`", line.split("|")[2].split("marks")[0])
    }
    assert named <= {kind.name.lower().replace("_", "-") for kind in Kind}
    assert named
