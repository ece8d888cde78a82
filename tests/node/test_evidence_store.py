"""Evidence files in their folder: once each, bounded, and set aside by people."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import accused

from tradeline_ledger.evidence import verify_evidence
from tradeline_ledger.evidence_file import EvidenceType
from tradeline_node import evidence_store
from tradeline_node.errors import StoreError
from tradeline_node.evidence_store import FILES_EACH_MAX, HANDLED, EvidenceStore

FORK, VOTES = EvidenceType.FORK, EvidenceType.VOTES


def test_a_contradiction_is_kept_once_and_verifies_as_it_was(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path / "evidence")
    data = accused.statements()
    name = store.add(EvidenceType.STATEMENTS, 1, b"subject", data)
    assert name is not None
    assert store.add(EvidenceType.STATEMENTS, 1, b"subject", data) is None
    (kept,) = EvidenceStore(tmp_path / "evidence").files()
    assert (kept.name, kept.type, kept.member) == (name, EvidenceType.STATEMENTS, 1)
    assert (kept.word, kept.bytes, kept.handled) == ("statements", len(data), False)
    found = store.read(name)
    assert found == data
    verify_evidence(found)


def test_one_who_misbehaves_on_and_on_does_not_fill_the_folder(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path)
    names = [store.add(VOTES, 2, bytes([number]), b"x") for number in range(FILES_EACH_MAX + 3)]
    assert sum(each is not None for each in names) == FILES_EACH_MAX
    assert not store.wants(VOTES, 2, b"another")
    # Neither another type against the same member nor another member is shut out.
    assert store.add(FORK, 2, b"fork", b"x")
    assert store.add(VOTES, 3, b"votes", b"x")


def test_folder_is_bounded_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EvidenceStore(tmp_path)
    monkeypatch.setattr(evidence_store, "FILES_MAX", 3)
    names = [store.add(VOTES, member, b"", b"x") for member in range(5)]
    assert [each is not None for each in names] == [True] * 3 + [False] * 2
    monkeypatch.setattr(evidence_store, "FILES_MAX", 10)
    monkeypatch.setattr(evidence_store, "BYTES_MAX", 4)
    assert store.add(VOTES, 8, b"", b"xx")
    assert store.add(VOTES, 9, b"", b"x") is None


def test_file_that_an_operator_has_handled_is_neither_lost_nor_made_again(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path)
    name = store.add(FORK, 2, b"fork", b"data")
    assert name is not None
    (tmp_path / name).rename(tmp_path / HANDLED / name)
    (kept,) = store.files()
    assert kept.handled
    assert store.read(name) == b"data"
    assert store.add(FORK, 2, b"fork", b"data") is None


def test_what_is_not_named_as_evidence_is_passed_over_and_never_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "evidence"
    store = EvidenceStore(folder)
    (folder / "notes.txt").write_bytes(b"by the operator")
    (folder / "fork-02-0123456789abcdef.evidence").write_bytes(b"x")
    (folder / "fork-2-0123456789abcdef.evidence.1.2.part").write_bytes(b"cut short by a crash")
    assert EvidenceStore(folder).files() == []
    assert not list(folder.glob("*.part"))
    for name in ("../secret", "notes.txt", "", "fork-2-0123456789abcdef.evidence/../../secret"):
        assert store.read(name) is None


def test_folder_that_cannot_be_made_says_which_key_names_it(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_bytes(b"a file")
    with pytest.raises(StoreError, match=r"evidence can't be opened: .*storage\.evidence"):
        EvidenceStore(tmp_path / "evidence")
