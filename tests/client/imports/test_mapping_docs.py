"""docs/mapping.md says what mappings can say: its example is one, its names are in the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tradeline_client.imports.mapping import Clean, DayOf, Negative, Unit
from tradeline_client.imports.mapping_file import read_mapping, ready_mappings
from tradeline_client.imports.source import Format
from tradeline_client.imports.text_encoding import TextEncoding

ROOT: Final = Path(__file__).resolve().parents[3]
TEXT: Final = (ROOT / "docs/mapping.md").read_text(encoding="utf-8")
CODE: Final = ROOT / "client/tradeline_client/imports"
READING: Final = ("source*.py", "mapping*.py")


def test_the_example_is_a_mapping() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    mapping = read_mapping("bank", example.encode())
    assert [event.schema.name for event in mapping.events] == [
        "account.statement",
        "account.closed",
    ]
    assert "overdue" in mapping.columns()


def test_every_word_of_a_mapping_is_documented() -> None:
    for words in (Unit, Negative, DayOf, Clean, Format, TextEncoding):
        for word in words:
            assert f"`{word.value}`" in TEXT or word.value in TEXT.split("```toml")[1], word
    for name in ready_mappings():
        assert f"`{name}`" in TEXT


def test_every_fault_of_reading_and_mapping_is_documented() -> None:
    codes = set()
    for pattern in READING:
        for path in CODE.glob(pattern):
            codes |= set(
                re.findall(r'^\s+"([a-z]+(?:-[a-z]+)+)",$', path.read_text(), re.MULTILINE)
            )
            codes |= set(re.findall(r'place\("([a-z]+-[a-z]+)"', path.read_text()))
    codes -= {"utf-8", "utf-16", "utf-16-le", "utf-16-be", "taiwan-cards"}
    assert {"row-width", "number-unreadable", "identifier-wrong"} <= codes
    assert not [code for code in sorted(codes) if f"`{code}`" not in TEXT]
