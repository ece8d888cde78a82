"""
The folder of an institution that wants to found a ledger or to join one: its own keys, made on its
own machine, and the candidate file that it hands to the others.

What it lacks to be a member folder is the genesis, which the founders' ceremony or an invite brings
(`ceremony`, `joining`).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger.candidate import open_candidate, sign_candidate
from tradeline_ledger.encoding import check_text
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.member_files import GENESIS_NAME
from tradeline_ledger.registry import NAME_CHARS_MAX, LegalId, MemberRecord, Role
from tradeline_ledger.tag import LINKER_KEY_BYTES
from tradeline_node.durable import write_file
from tradeline_node.engine.cometbft import DRIVER as COMETBFT
from tradeline_node.errors import ConfigError
from tradeline_node.member_folder import make_folder, node_values, write_config, write_keys
from tradeline_node.member_keys import Place, make_member_keys, member_record

if TYPE_CHECKING:
    from pathlib import Path

CANDIDATE_NAME: Final = "candidate"
FOUNDER_ROLES: Final = Role.CONTRIBUTOR | Role.READER | Role.AUTHENTICATOR | Role.VALIDATOR
_MEMBER_MAX: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Candidacy:
    """What an institution says of itself."""

    member: int
    """Id that the members agreed on; used by nobody before."""
    name: str
    roles: Role
    place: Place
    """Where others reach its node."""
    listen: str = ""
    """Address on which the node listens, if it is another one."""
    group: int | None = None
    """Legal group; None: alone in its group."""
    legal_ids: tuple[LegalId, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no registry holds."""
        if not 0 < self.member <= _MEMBER_MAX:
            raise ConfigError(f"member id {self.member} is not from 1 to 2^32-1")
        if not self.roles:
            raise ConfigError("a candidate has no role; name one at least, such as observer")
        try:
            check_text(self.name, "member name", NAME_CHARS_MAX)
        except ValueError as error:
            raise ConfigError(str(error)) from error


def make_candidate(folder: Path, candidacy: Candidacy, passphrase: bytes) -> MemberRecord:
    """
    Make `folder` with fresh keys under `passphrase`, `node.toml` and the candidate file.

    The consortium key in it is drawn too: it becomes that of the ledger if this member makes the
    genesis, and is replaced by the ledger's otherwise.

    Raises:
        ConfigError: `folder` exists and is not empty, can't be written, or address or ports are
            none.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            f"{folder} is there already and not empty; name a new folder, keys are never "
            "overwritten"
        )
    keys = make_member_keys(candidacy.member, secrets.token_bytes(LINKER_KEY_BYTES), node=True)
    try:
        record = member_record(
            keys,
            candidacy.name,
            candidacy.roles,
            candidacy.place,
            group=candidacy.group,
            legal_ids=candidacy.legal_ids,
        )
        file = sign_candidate(record, keys.root)
        open_candidate(file)
    except (LedgerError, ValueError) as error:
        raise ConfigError(f"no such member can be: {error}") from error
    place = candidacy.place
    values = node_values(record.id, f"member-{record.id}", place, COMETBFT, candidacy.listen)
    try:
        make_folder(folder)
        write_keys(folder, keys, passphrase)
        write_config(folder, values)
        write_file(folder / CANDIDATE_NAME, file)
    except OSError as error:
        raise ConfigError(f"{folder} can't be written: {error.strerror}") from error
    return record


def read_candidate(path: Path) -> MemberRecord:
    """
    Return the record of a candidate file, or of the one in a folder.

    Raises:
        ConfigError: it can't be read, or does not verify.
    """
    file = path / CANDIDATE_NAME if path.is_dir() else path
    try:
        return open_candidate(file.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"candidate file {file} can't be read: {error.strerror}; `tradeline node init` makes "
            "one"
        ) from error
    except LedgerError as error:
        raise ConfigError(f"{file}: {error}") from error


def check_without_ledger(folder: Path, why: str = "a folder is of one ledger for ever") -> None:
    """
    Accept a folder that is of no ledger yet; `why` says why one that is may not go on.

    Raises:
        ConfigError: it has a genesis.
    """
    if (folder / GENESIS_NAME).exists():
        raise ConfigError(
            f"{folder} is of a ledger already, and {why}; make another folder, with keys of its "
            "own, for another ledger"
        )
