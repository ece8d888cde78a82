"""A client's folder: who the member is, which ledger it trusts, and where everything lies."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradeline_client.errors import FolderError
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.genesis import Ledger, open_genesis
from tradeline_ledger.member_files import (
    CLIENT_KEYS_NAME,
    GENESIS_NAME,
    PROFILE_NAME,
    Profile,
    decode_profile,
)

if TYPE_CHECKING:
    from tradeline_ledger.registry import Registry

JOURNAL_NAME: Final = "journal.sqlite"
VAULT_NAME: Final = "vault.sqlite"
CHECKPOINT_NAME: Final = "checkpoint"
EVIDENCE_NAME: Final = "evidence"
FOLDER_MODE: Final = 0o700
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class ClientFolder:
    """A client folder whose profile and genesis were read and agree."""

    path: Path
    profile: Profile
    ledger: Ledger
    """From the pinned `genesis` file, all founders' signatures checked."""

    @property
    def keys(self) -> Path:
        """The keystore."""
        return self.path / CLIENT_KEYS_NAME

    @property
    def journal(self) -> Path:
        """What this folder signed."""
        return self.path / JOURNAL_NAME

    @property
    def vault(self) -> Path:
        """Keys of the bodies that this folder sealed."""
        return self.path / VAULT_NAME

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint that was verified."""
        return self.path / CHECKPOINT_NAME

    @property
    def evidence(self) -> Path:
        """Folder for evidence of misbehaviour."""
        return self.path / EVIDENCE_NAME

    def endpoint(self, registry: Registry, member: int) -> str | None:
        """Return the base URL of a member's node: the profile's, else the registry's."""
        own = dict(self.profile.endpoints).get(member)
        record = registry.member(member)
        return own or (record.endpoint if record else "") or None


def open_folder(path: Path) -> ClientFolder:
    """
    Return the client folder at `path`.

    Raises:
        FolderError: it is open to others, a file is missing or wrong, or they don't agree.
    """
    try:
        mode = path.stat().st_mode
        text = (path / PROFILE_NAME).read_text(encoding="utf-8")
        genesis = (path / GENESIS_NAME).read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise FolderError(f"{path} is no client folder: {error}") from error
    if not stat.S_ISDIR(mode) or mode & _OTHERS:
        raise FolderError(
            f"client folder {path} is open to others (mode {mode & 0o777:o}); run chmod 700 {path}"
        )
    try:
        profile = decode_profile(text)
        ledger = open_genesis(genesis)
    except LedgerError as error:
        raise FolderError(f"client folder {path}: {error}") from error
    if profile.ledger_id != ledger.ledger_id:
        raise FolderError(
            f"client folder {path}: client.toml names ledger {profile.ledger_id.hex()}, genesis is "
            f"that of {ledger.ledger_id.hex()}; files of two ledgers are mixed up"
        )
    return ClientFolder(path, profile, ledger)
