"""A mirror as files: what belongs in it, and reading it within limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradeline_ledger.errors import MalformedError
from tradeline_ledger.genesis import GENESIS_BYTES_MAX
from tradeline_ledger.note import NOTE_BYTES_MAX
from tradeline_ledger.statement import CONTENT_BYTES_MAX, Kind, content_hash
from tradeline_ledger.submission import decode_submission
from tradeline_ledger.tile import BUNDLE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.statement import Statement

CHECKPOINT: Final = "checkpoint"
GENESIS: Final = "genesis"
POLICY: Final = "policy"
LOG_VKEY: Final = "log.vkey"
TOP_FILES: Final = (CHECKPOINT, GENESIS, POLICY, LOG_VKEY)

_FILE_BYTES_MAX: Final = max(
    GENESIS_BYTES_MAX * 2, NOTE_BYTES_MAX, CONTENT_BYTES_MAX, BUNDLE_BYTES_MAX
)


class MirrorFolder:
    """Files of a mirror by their names, with a record of which were read."""

    def __init__(self, path: Path) -> None:
        """Read from `path`."""
        self.path = path
        self._read: set[str] = set()

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, None if it is absent; at most a little over any limit."""
        self._read.add(name)
        try:
            with (self.path / name).open("rb") as file:
                return file.read(_FILE_BYTES_MAX + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def unread(self) -> Iterator[str]:
        """Yield the names of files that nothing in the mirror refers to, `TOP_FILES` aside."""
        for path in sorted(self.path.rglob("*")):
            name = path.relative_to(self.path).as_posix()
            known = name in self._read or name in TOP_FILES
            if not known and (path.is_symlink() or not path.is_dir()):
                yield name


def content_name(content_hash: bytes) -> str:
    """Return the name of the file of a content."""
    return f"content/{content_hash.hex()}"


def check_content(ledger: Ledger, statement: Statement, content: bytes) -> None:
    """
    Accept the content that `statement` signed.

    Raises:
        MalformedError: it hashes to something else, or is no submission where it must be one.
    """
    if statement.kind == Kind.SUBMISSION:
        actual = decode_submission(content).content_hash(ledger.ledger_id, statement.member)
    else:
        actual = content_hash(statement.kind, content)
    if actual != statement.content_hash:
        raise MalformedError(
            f"it hashes to {actual.hex()}, {statement.content_hash.hex()} is signed"
        )
