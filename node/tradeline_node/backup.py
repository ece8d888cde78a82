"""
Backups of a node: everything of a member folder but what must never come back.

    backup.json      what it is of and how long the log is; written last, so it is there or whole
    files.sha256     hash and name of every other file, as sha256sum writes and checks them
    genesis, node.toml, node.keys
    log/             the log in chunks (`tradeline_ledger.log_chunk`), up to the size in backup.json
    custody/         attachments, tag keys, the key of the own shares, all as they lie in custody
    evidence/        evidence files
    *.sqlite         outbox, own signatures, other logs cosigned, records of releases

The log is taken as leaves and contents, since all else follows from them: a restore executes it
again, so it can't bring back a damaged store, and a backup outlives changes of the store's tables.
It is read without the node's help, whether the node runs or not. Left out are the client's folder,
whose vault has a backup of its own, and everything of the consensus engine: with an old sign state
it would vote twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradeline_ledger.member_files import GENESIS_NAME, NODE_CONFIG_NAME, NODE_KEYS_NAME
from tradeline_node.attachment_folder import NAME
from tradeline_node.custody import INDEX_NAME
from tradeline_node.durable import (
    FILE_MODE,
    FOLDER_MODE,
    PART_SUFFIX,
    flush_folder,
    make_way,
    write_file,
)
from tradeline_node.errors import ConfigError, StoreError
from tradeline_node.genesis_file import read_genesis
from tradeline_node.keystore import open_keystore
from tradeline_node.log_export import export_chunk
from tradeline_node.released_log import FILE_NAME as RELEASED_NAME
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tradeline_node.config import Config

FORMAT: Final = 1
MANIFEST_NAME: Final = "backup.json"
SUMS_NAME: Final = "files.sha256"
LOG_NAME: Final = "log"
CHUNK_SUFFIX: Final = ".chunk"
CUSTODY_NAME: Final = "custody"
EVIDENCE_NAME: Final = "evidence"
DATABASES: Final = ("outbox.sqlite", "published.sqlite", "witnessed.sqlite", RELEASED_NAME)
"""Names in a backup, whatever node.toml calls them; see `database_paths`."""
_OPENINGS: Final = 5
"""Tries to open the store of a running node, whose tables may change just then."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of."""

    format: int
    ledger_id: str
    member: int
    made: str
    """By the clock of the node, ISO 8601, UTC."""
    size: int
    """Leaves of the log."""
    root: str
    height: int
    attachments: int
    bytes: int
    """Of all files that files.sha256 names."""
    files_sha256: str
    """Of files.sha256 itself."""


def backup_node(
    config: Config,
    passphrase: bytes,
    target: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """
    Write a backup of a node, running or stopped, into the new folder `target`.

    `progress` is called with the leaves that are written and all of them.

    Raises:
        ConfigError: `target` is there already, or can't be written.
        KeystoreError: the keystore does not open: a backup without it would be of no use.
        StoreError: a file of the node can't be read.
    """
    open_keystore(config.path(config.node.keys), passphrase)
    try:
        target.mkdir(mode=FOLDER_MODE, parents=True)
    except FileExistsError as error:
        raise ConfigError(f"{target} is there already; name a new folder") from error
    except OSError as error:
        raise ConfigError(f"{target} can't be made: {error.strerror}") from error
    try:
        return _write(config, target, progress or (lambda _done, _all: None))
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"the backup {target} is not whole: {error}; remove it, make room, and try again"
        ) from error


def read_manifest(folder: Path) -> Manifest:
    """
    Return what the backup in `folder` is of; its files are not looked at.

    Raises:
        ConfigError: it is none, or not whole.
    """
    path = folder / MANIFEST_NAME
    try:
        values = json.loads(path.read_bytes())
        found = Manifest(**values)
    except OSError as error:
        raise ConfigError(
            f"{folder} has no {MANIFEST_NAME}, which is written last: it is no backup, or one that "
            "was cut off"
        ) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"{path} is not that of a backup: {type(error).__name__}") from error
    if any(
        type(value) is not type_
        for value, type_ in zip(asdict(found).values(), _TYPES, strict=True)
    ):
        raise ConfigError(f"{path} is not that of a backup: a value is of another type")
    if found.format != FORMAT:
        raise ConfigError(f"{path} has format {found.format}, this version reads {FORMAT}")
    return found


def named_files(folder: Path, manifest: Manifest) -> dict[str, str]:
    """
    Return name and hash of every file of a backup, as files.sha256 has them.

    Raises:
        ConfigError: it is not the one of the manifest, or names a file outside of the backup.
    """
    try:
        content = (folder / SUMS_NAME).read_bytes()
    except OSError as error:
        raise ConfigError(f"{folder / SUMS_NAME} can't be read: {error.strerror}") from error
    if sha256(content).hexdigest() != manifest.files_sha256:
        raise ConfigError(f"{folder / SUMS_NAME} was changed after the backup was made")
    named: dict[str, str] = {}
    for line in content.decode(errors="replace").splitlines():
        hash_, _, name = line.partition("  ")
        if Path(name).is_absolute() or ".." in Path(name).parts or not name:
            raise ConfigError(f"{folder / SUMS_NAME} names {name!r}, which is not in the backup")
        named[name] = hash_
    return named


def database_paths(config: Config) -> dict[str, Path]:
    """Return where each of `DATABASES` is in a member folder."""
    storage = config.storage
    paths = (
        *(config.path(each) for each in (storage.outbox, storage.published, storage.witnessed)),
        config.folder / RELEASED_NAME,
    )
    return dict(zip(DATABASES, paths, strict=True))


def check_file(folder: Path, name: str, hash_: str) -> Path:
    """
    Return the path of one file of a backup, whose hash is `hash_`.

    Raises:
        ConfigError: it is missing, or another.
    """
    path = folder / name
    try:
        with path.open("rb") as file:
            found = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(
            f"{path} can't be read: {error.strerror}; the backup is damaged"
        ) from error
    if found != hash_:
        raise ConfigError(
            f"{path} hashes to {found}, the backup says {hash_}; it is damaged, take another"
        )
    return path


_TYPES: Final = (int, str, int, str, int, str, int, int, int, str)


def _write(config: Config, target: Path, progress: Callable[[int, int], None]) -> Manifest:
    ledger = read_genesis(config.path(config.node.genesis))
    write_file(target / GENESIS_NAME, ledger.file)
    for name, source in (
        (NODE_CONFIG_NAME, config.folder / NODE_CONFIG_NAME),
        (NODE_KEYS_NAME, config.path(config.node.keys)),
    ):
        write_file(target / name, source.read_bytes())
    # What was signed first, then the log, then custody: no later part lacks what an earlier names.
    storage = config.storage
    for name, source in database_paths(config).items():
        if source.exists():
            _copy_database(source, target / name)
    with contextlib.closing(_open(config)) as store:
        size, root, height = store.head.size, store.root(store.head.size), store.head.height
        _copy_log(store, target / LOG_NAME, size, progress)
    attachments = _copy_files(config.path(storage.custody), target / CUSTODY_NAME)
    _copy_files(config.path(storage.evidence), target / EVIDENCE_NAME)
    sums, bytes_ = _sums(target)
    write_file(target / SUMS_NAME, sums)
    manifest = Manifest(
        format=FORMAT,
        ledger_id=ledger.ledger_id.hex(),
        member=config.node.member,
        made=datetime.fromtimestamp(int(time.time()), UTC).isoformat(),
        size=size,
        root=root.hex(),
        height=height,
        attachments=attachments,
        bytes=bytes_,
        files_sha256=sha256(sums).hexdigest(),
    )
    write_file(target / MANIFEST_NAME, json.dumps(asdict(manifest), indent=2).encode() + b"\n")
    return manifest


def _open(config: Config) -> LedgerStore:
    """Return the ledger store as it is now, to read only."""
    ledger = read_genesis(config.path(config.node.genesis))
    path = config.path(config.storage.ledger)
    for _ in range(_OPENINGS - 1):
        try:
            return LedgerStore.open(path, ledger, read_only=True)
        except StoreError:
            time.sleep(0.2)
    return LedgerStore.open(path, ledger, read_only=True)


def _copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite file as of one moment, also while another process writes it."""
    reading = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)
    with contextlib.closing(reading):
        writing = sqlite3.connect(target)
        with contextlib.closing(writing):
            reading.backup(writing)
            writing.execute("PRAGMA journal_mode = DELETE")
    target.chmod(FILE_MODE)
    _flush(target)


def _copy_log(
    store: LedgerStore, target: Path, size: int, progress: Callable[[int, int], None]
) -> None:
    target.mkdir(mode=FOLDER_MODE)
    first, number = 1, 0
    while first < size:
        chunk, end = export_chunk(store, first, size)
        write_file(target / f"{number:08}{CHUNK_SUFFIX}", chunk)
        first, number = end, number + 1
        progress(first, size)


def _copy_files(source: Path, target: Path) -> int:
    """Copy the files below `source`, without an index; return how many are attachments."""
    target.mkdir(mode=FOLDER_MODE)
    attachments = 0
    for path in _files(source):
        copy = target / path.relative_to(source)
        make_way(copy.parent, target)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # erased or discarded by the node meanwhile
        write_file(copy, content)
        attachments += bool(NAME.fullmatch(path.name))
    return attachments


def _files(source: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            # The index is made anew of the files and the log.
            if not name.startswith(INDEX_NAME) and not name.endswith(PART_SUFFIX):
                yield Path(parent) / name


def _sums(target: Path) -> tuple[bytes, int]:
    """Return the lines of files.sha256 and the bytes of the files that it names."""
    lines, bytes_ = [], 0
    for path in sorted(path for path in target.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            hash_ = file_digest(file, "sha256").hexdigest()
        lines.append(f"{hash_}  {path.relative_to(target).as_posix()}\n")
        bytes_ += path.stat().st_size
    return "".join(lines).encode(), bytes_


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    flush_folder(path.parent)


def to_json(manifest: Manifest) -> dict[str, Any]:
    """Return what a backup is of as JSON shows it."""
    return asdict(manifest)
