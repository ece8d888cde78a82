"""Restricted words in a column of free text: as many as one by one, without a loop over rows."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.imports.statements import Row, chunk, cleanser, held

from tradeline_client.imports.restricted_text import doubtful_texts
from tradeline_ledger.restricted import RESTRICTIONS, finding_of_text
from tradeline_ledger.schemas import SCHEMAS

WORDS = [word for each in RESTRICTIONS for word in (*each.words, *each.characters)]
JOINED = st.sampled_from([" ", "_", "-", "\n", "/", "", "x", "收", "1", "  "])
TEXTS = st.lists(
    st.tuples(JOINED, st.sampled_from(WORDS) | st.text(max_size=5), JOINED), min_size=1, max_size=3
).map(lambda parts: "".join("".join(part) for part in parts))


@given(st.lists(TEXTS | st.none(), max_size=8), st.sampled_from(["upper", "lower", "title"]))
def test_column_has_the_findings_of_its_texts(texts: list[str | None], case: str) -> None:
    written = [None if text is None else getattr(text, case)() for text in texts]
    expected = {}
    for at, text in enumerate(written):
        if text is not None:
            finding = finding_of_text(text, "annotation.statement", "text")
            if finding is not None:
                expected[at] = finding
    column = pa.array(written, pa.string())
    assert doubtful_texts(column, "annotation.statement", "text") == expected


@pytest.mark.parametrize("word", WORDS)
def test_word_is_found_however_it_is_written(word: str) -> None:
    wide = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in word)
    texts = [f"His {word}.", word.replace(" ", "_"), f"x_{word}", f"我的{word}呢", wide, "nothing"]
    found = doubtful_texts(pa.array(texts, pa.string()), "annotation.statement", "text")
    assert list(found) == [0, 1, 2, 3, 4]


def test_slice_of_a_column_and_a_column_of_nulls_are_read_right() -> None:
    column = pa.array(["income", "paid", None, "宗教"], pa.string())
    assert list(doubtful_texts(column.slice(1), "annotation.statement", "text")) == [2]
    assert doubtful_texts(pa.nulls(3, pa.string()), "annotation.statement", "text") == {}
    assert list(doubtful_texts(column, "subject.means", "text")) == [3]


def test_only_what_is_written_freely_is_held(tmp_path: Path) -> None:
    record = {"authority": "District Court", "document_no": "7", "source": "notice, cancer ward"}
    award = Row(
        record | {"title": "Best baker"}, "award 7", None, schema=SCHEMAS.named("public.award")
    )
    person = Row(
        {"name": "Faith Church", "employer": "Union Hospital"},
        *("person 1", None),
        schema=SCHEMAS.named("subject.identity"),
    )
    own = cleanser(tmp_path)
    checked = own.check(chunk(award, person))
    own.close()
    assert held(checked) == [(0, "restricted-text")]
    assert [len(each) for each in checked.chunk.events] == [0, 1]
    (fault,) = checked.quarantined.faults
    assert (fault.line, fault.field) == (2, "source")
    assert "ward" not in repr(fault)
