"""
Evidence files that a node keeps: one file each in a folder that people can look into.

A file is named after its type, the member that it is about (0: nobody of this ledger) and a hash of
what contradicts, so that the same contradiction is kept once however often it is met. An operator
who has acted on a file moves it into the folder `handled` beside it: it stays, is served, and no
longer makes the node's health bad. Any process may add files; nothing here is remembered.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from tradeline_ledger.evidence_file import EvidenceType
from tradeline_node.durable import FOLDER_MODE, remove_parts, write_file
from tradeline_node.errors import StoreError

FILES_MAX: Final = 1000
FILES_EACH_MAX: Final = 16
"""Of one type against one member: more prove nothing more, and who misbehaves could fill a disk."""
BYTES_MAX: Final = 1 << 30
"""Of all files together."""
HANDLED: Final = "handled"
"""Folder of the files that an operator has acted on."""

_SUFFIX: Final = ".evidence"
_HASH_DIGITS: Final = 16
_TYPES: Final = {each.name.lower().replace("_", "-"): each for each in EvidenceType}
_WORDS: Final = {type_: word for word, type_ in _TYPES.items()}
_NAME: Final = re.compile(
    rf"({'|'.join(_TYPES)})-(0|[1-9][0-9]{{0,9}})-[0-9a-f]{{{_HASH_DIGITS}}}\{_SUFFIX}", re.ASCII
)


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One evidence file, by its name alone."""

    name: str
    type: EvidenceType
    member: int
    """Who is accused; of a fork between two members, the one that showed it; 0: nobody of ours."""
    bytes: int
    kept_ms: int
    """When it was written, by this machine's clock."""
    handled: bool

    @property
    def word(self) -> str:
        """The type's name, as file names and `tradeline verify` have it."""
        return _WORDS[self.type]


class EvidenceStore:
    """A folder of evidence files, bounded in number and bytes; for any thread or process."""

    def __init__(self, folder: Path) -> None:
        """
        Open or make `folder`.

        Raises:
            StoreError: it can't be made or read.
        """
        self.folder = folder
        try:
            for each in (folder, folder / HANDLED):
                each.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
                remove_parts(each)
        except OSError as error:
            raise StoreError(
                f"evidence folder {folder} can't be opened: {error.strerror}; storage.evidence "
                "names it"
            ) from error

    def wants(self, type_: EvidenceType, member: int, subject: bytes) -> bool:
        """Return whether `add` would write a file: it is not there, and there is room."""
        name = file_name(type_, member, subject)
        files = self.files()
        alike = sum(each.type is type_ and each.member == member for each in files)
        return (
            all(each.name != name for each in files)
            and alike < FILES_EACH_MAX
            and len(files) < FILES_MAX
            and sum(each.bytes for each in files) < BYTES_MAX
        )

    def add(self, type_: EvidenceType, member: int, subject: bytes, data: bytes) -> str | None:
        """
        Keep a verified evidence file about `member`; `subject` is what tells it from others.

        Returns its name, None if the same is kept already or there is no room.

        Raises:
            StoreError: the disk is full or failed.
        """
        if not self.wants(type_, member, subject):
            return None
        name = file_name(type_, member, subject)
        try:
            write_file(self.folder / name, data)
        except OSError as error:
            raise StoreError(
                f"evidence {self.folder / name} can't be written: {error.strerror}; make room"
            ) from error
        return name

    def files(self) -> list[KeptFile]:
        """
        Return all files, oldest first; what is not named as one is passed over.

        Raises:
            StoreError: the folder can't be read.
        """
        found = []
        try:
            for folder in (self.folder, self.folder / HANDLED):
                for path in folder.iterdir():
                    match = _NAME.fullmatch(path.name)
                    if match is None:
                        continue
                    with contextlib.suppress(FileNotFoundError):  # moved meanwhile
                        stat = path.stat()
                        found.append(
                            KeptFile(
                                path.name,
                                _TYPES[match[1]],
                                int(match[2]),
                                stat.st_size,
                                stat.st_mtime_ns // 1_000_000,
                                handled=folder != self.folder,
                            )
                        )
        except OSError as error:
            raise StoreError(
                f"evidence folder {self.folder} can't be read: {error.strerror}"
            ) from error
        return sorted(found, key=lambda each: (each.kept_ms, each.name))

    def read(self, name: str) -> bytes | None:
        """Return the file of that name, None if there is none or it is no name of one."""
        if _NAME.fullmatch(name) is None:
            return None
        for folder in (self.folder, self.folder / HANDLED):
            with contextlib.suppress(OSError):
                return (folder / name).read_bytes()
        return None


def file_name(type_: EvidenceType, member: int, subject: bytes) -> str:
    """Return the name of the evidence file about `member`; `subject` is what contradicts."""
    digest = sha256(subject).hexdigest()[:_HASH_DIGITS]
    return f"{_WORDS[type_]}-{member}-{digest}{_SUFFIX}"
