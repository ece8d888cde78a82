"""
The founders' ceremony: a genesis that each founder signs with its own root key, on its own machine.

One founder makes the draft out of the candidate files of all; every founder checks it, signs it and
passes it on; complete, it becomes the genesis in everybody's folder (docs/operators.md). Nobody
sees a secret of another's: the consortium key travels sealed to each founder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec.structs

from tradeline_ledger.candidate import open_candidate
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.fingerprint import fingerprint
from tradeline_ledger.genesis_draft import Draft, SealedLinker, linker_info, open_draft
from tradeline_ledger.hpke import PublicKey, seal
from tradeline_ledger.member_files import NODE_KEYS_NAME
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.tag import linker_hash
from tradeline_node.candidacy import check_without_ledger, read_candidate
from tradeline_node.durable import write_file
from tradeline_node.errors import ConfigError, KeystoreError
from tradeline_node.founding import default_params, make_genesis
from tradeline_node.keystore import open_keystore
from tradeline_node.member_folder import open_client_keys, take_consortium_key, write_ledger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.registry import MemberRecord

FILE_BYTES_MAX: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Outline:
    """What founders agree on beside who they are."""

    name: str
    """Of the ledger."""
    time_ms: int
    """Of the genesis."""
    utc_offset_min: int
    profile: str
    """Policy profile."""


def create_draft(
    path: Path, founder: Path, outline: Outline, files: Sequence[Path], passphrase: bytes
) -> Draft:
    """
    Write a draft to `path`: of the founder whose folder is `founder`, and of the candidate `files`.

    `passphrase` is that of the folder. Its consortium key becomes that of the ledger.

    Raises:
        ConfigError: there is such a file, a candidate is none, or they make no genesis.
        KeystoreError: the folder's keys do not open.
    """
    if path.exists():
        raise ConfigError(f"{path} is there already; name a new file, or add to this one")
    check_without_ledger(founder)
    consortium_key = open_client_keys(founder, passphrase).consortium_key
    params = default_params(outline.utc_offset_min, linker_hash(consortium_key))
    records = _together([read_candidate(founder), *map(read_candidate, files)])
    try:
        changed = msgspec.structs.replace(params, profile=outline.profile)
        genesis = make_genesis(outline.name, outline.time_ms, changed, records)
        draft = Draft(genesis, _seal(records, consortium_key), ())
        return _write(path, draft)
    except (LedgerError, ValueError) as error:
        raise ConfigError(f"these make no genesis: {error}") from error


def add_to_draft(
    path: Path, founder: Path | None, files: Sequence[Path], passphrase: bytes
) -> Draft:
    """
    Add to the draft at `path`: signatures of its copies, and founders by their candidate files.

    New founders make it another ledger, whose signatures all have to be made anew. For them the
    founder in whose name this is done, and the passphrase of its folder, are needed.

    Raises:
        ConfigError: a file is neither, of another draft, or the founders make no genesis.
        KeystoreError: the folder's keys do not open.
    """
    draft = read_draft(path)
    records: list[MemberRecord] = []
    for file in files:
        content = _read(file)
        try:
            records.append(open_candidate(content))
        except LedgerError as error:
            try:
                draft = draft.merged(open_draft(content))
            except LedgerError as other:
                raise ConfigError(
                    f"{file} can't be added: as a candidate file, {error}; as a copy of the draft, "
                    f"{other}"
                ) from other
    if not records:
        return _write(path, draft)
    if founder is None:
        raise ConfigError("adding founders seals the consortium key to them; name your folder")
    consortium_key = open_client_keys(founder, passphrase).consortium_key
    if linker_hash(consortium_key) != draft.genesis.params.linker:
        raise ConfigError(
            f"{founder} does not hold the consortium key of this draft; let who made the draft, or "
            "a founder who signed it, add others"
        )
    together = _together([*draft.genesis.members, *records])
    old = draft.genesis
    try:
        genesis = make_genesis(old.name, old.time_ms, old.params, together)
        return _write(path, Draft(genesis, _seal(together, consortium_key), ()))
    except (LedgerError, ValueError) as error:
        raise ConfigError(f"with these founders it is no genesis: {error}") from error


def sign_draft(path: Path, founder: Path, passphrase: bytes) -> Draft:
    """
    Sign the draft at `path` with the root key in the folder `founder`, which keeps the consortium
    key that the draft brings.

    Raises:
        ConfigError: the draft does not hold this founder as its candidate file does.
        KeystoreError: the keys do not open, or are not those of the candidate.
    """
    draft = read_draft(path)
    record = _own(draft, founder)
    keys = open_keystore(founder / NODE_KEYS_NAME, passphrase)
    keys.check(record, founder / NODE_KEYS_NAME)
    root_seed = open_client_keys(founder, passphrase).root_seed
    if root_seed is None or SigningKey(root_seed).public != record.root_key:
        raise KeystoreError(f"{founder} does not hold the root key of member {record.id}")
    try:
        consortium_key = draft.open_linker(record.id, keys.hpke)
    except LedgerError as error:
        raise ConfigError(f"{path}: {error}; let its maker make it anew") from error
    take_consortium_key(founder, consortium_key, passphrase)
    return _write(path, draft.signed(record.id, SigningKey(root_seed)))


def install_draft(path: Path, founder: Path, passphrase: bytes) -> Ledger:
    """
    Make the genesis of the complete draft at `path` that of the folder `founder`.

    Raises:
        ConfigError: founders have not signed, or the draft does not hold this one.
        KeystoreError: the keys do not open, or this founder did not sign here.
    """
    draft = read_draft(path)
    record = _own(draft, founder)
    if draft.missing:
        raise ConfigError(
            f"{path} lacks the signatures of members {_listed(draft.missing)}; nothing was written"
        )
    if linker_hash(open_client_keys(founder, passphrase).consortium_key) != (
        draft.genesis.params.linker
    ):
        raise KeystoreError(
            f"{founder} lacks the consortium key; run `tradeline genesis sign` there first"
        )
    ledger = draft.ledger()
    write_ledger(founder, record, ledger, ledger.registry)
    return ledger


def read_draft(path: Path) -> Draft:
    """
    Return the draft at `path`.

    Raises:
        ConfigError: it can't be read, or is none.
    """
    content = _read(path)
    try:
        return open_draft(content)
    except LedgerError as error:
        raise ConfigError(f"{path} is no draft: {error}") from error


def _own(draft: Draft, founder: Path) -> MemberRecord:
    """Return the founder's record, which the draft must have as the founder gave it away."""
    check_without_ledger(founder)
    own = read_candidate(founder)
    found = draft.founder(own.id)
    if found is None:
        raise ConfigError(
            f"the draft's founders are {_listed([each.id for each in draft.genesis.members])}, "
            f"member {own.id} of {founder} is not among them; hand its candidate file to who made "
            "the draft"
        )
    if found != own:
        fields = [
            name for name in own.__struct_fields__ if getattr(own, name) != getattr(found, name)
        ]
        raise ConfigError(
            f"the draft says of member {own.id} what its candidate file does not, in "
            f"{', '.join(fields)}: root key {fingerprint(found.root_key)}, its own is "
            f"{fingerprint(own.root_key)}; don't sign, and ask who made the draft"
        )
    return own


def _together(records: Sequence[MemberRecord]) -> list[MemberRecord]:
    found: dict[int, MemberRecord] = {}
    for record in records:
        other = found.setdefault(record.id, record)
        if other != record:
            raise ConfigError(
                f"{other.name!r} and {record.name!r} both are member {record.id}; one of them "
                "makes its folder anew with another id"
            )
    return [found[number] for number in sorted(found)]


def _seal(records: Sequence[MemberRecord], consortium_key: bytes) -> tuple[SealedLinker, ...]:
    return tuple(SealedLinker(record.id, seal_linker(record, consortium_key)) for record in records)


def seal_linker(record: MemberRecord, consortium_key: bytes) -> bytes:
    """Return the consortium key sealed to a member, which has an HPKE key."""
    assert record.hpke_key is not None, record.id
    public = PublicKey.from_bytes(record.hpke_key)
    info = linker_info(linker_hash(consortium_key), record.id, public.key_id)
    return seal(public, consortium_key, info)


def _write(path: Path, draft: Draft) -> Draft:
    """Write a draft that reads back as it is."""
    encoded = draft.encoded()
    opened = open_draft(encoded)
    try:
        write_file(path, encoded)
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}") from error
    return opened


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    if len(content) > FILE_BYTES_MAX:
        raise ConfigError(f"{path} has more than {FILE_BYTES_MAX} bytes; it is no file of these")
    return content


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(each) for each in numbers)
