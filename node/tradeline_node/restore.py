"""
Restoring a node from a backup, everything of it checked: the log is executed again, block by block.

The first thing that is written is a hold on signing, which says that the folder is not whole; the
last, that it is. So a restore that was cut off never runs as a node, and one that is whole signs
nothing before it has caught up with the others.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradeline_ledger.errors import LedgerError
from tradeline_ledger.genesis import open_genesis
from tradeline_ledger.log_chunk import LOG_CHUNK, verify_chunk
from tradeline_ledger.member_files import GENESIS_NAME, NODE_CONFIG_NAME, NODE_KEYS_NAME
from tradeline_ledger.merkle import Frontier, root_nodes
from tradeline_node.application import Application
from tradeline_node.attachment_folder import NAME
from tradeline_node.backup import (
    CHUNK_SUFFIX,
    CUSTODY_NAME,
    EVIDENCE_NAME,
    LOG_NAME,
    Manifest,
    check_file,
    database_paths,
    named_files,
    read_manifest,
)
from tradeline_node.config import load_config
from tradeline_node.custody_file import AttachmentFile, check_items
from tradeline_node.durable import FOLDER_MODE, write_file
from tradeline_node.errors import ConfigError, StoreError
from tradeline_node.keystore import open_keystore
from tradeline_node.signing_hold import SigningHold
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tradeline_ledger.genesis import Ledger
    from tradeline_node.config import Config


@dataclass(frozen=True, slots=True)
class _Backup:
    folder: Path
    manifest: Manifest
    files: dict[str, str]

    def read(self, name: str) -> bytes:
        """Return one file, its hash compared."""
        if name not in self.files:
            raise ConfigError(f"the backup {self.folder} has no {name}; take another one")
        return check_file(self.folder, name, self.files[name]).read_bytes()


def restore_node(
    source: Path,
    folder: Path,
    passphrase: bytes,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """
    Make the member folder `folder` of the backup in `source`; return what the backup is of.

    `progress` is called with the leaves that are restored and all of them.

    Raises:
        ConfigError: `folder` is not empty, or a file of the backup is missing or damaged.
        KeystoreError: the keystore of the backup does not open.
        StoreError: a file can't be written, or the log of the backup does not follow the rules;
            the folder is left, and no node starts in it.
    """
    manifest = read_manifest(source)
    backup = _Backup(source, manifest, named_files(source, manifest))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not empty; name a new folder, nothing is overwritten")
    try:
        _restore(backup, folder, passphrase, progress or (lambda _done, _all: None))
    except OSError as error:
        raise StoreError(
            f"{folder} can't be written: {error}; remove it, make room, and restore again"
        ) from error
    return manifest


def _restore(
    backup: _Backup, folder: Path, passphrase: bytes, progress: Callable[[int, int], None]
) -> None:
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    hold = SigningHold(folder)
    hold.place(f"restored from a backup of {backup.manifest.made}", complete=False)
    write_file(folder / NODE_CONFIG_NAME, backup.read(NODE_CONFIG_NAME))
    config = load_config(folder, {})
    ledger = _restore_genesis(backup, config)
    keys_path = config.path(config.node.keys)
    _put(keys_path, backup.read(NODE_KEYS_NAME))
    keys = open_keystore(keys_path, passphrase)
    if not keys.member == config.node.member == backup.manifest.member:
        raise ConfigError(
            f"the backup {backup.folder} is of member {backup.manifest.member}, its keystore of "
            f"{keys.member}, its node.toml of {config.node.member}; take another one"
        )
    storage = config.storage
    for name, path in database_paths(config).items():
        if name in backup.files:
            _put(path, backup.read(name))
    for name in backup.files:
        if name.startswith(EVIDENCE_NAME + "/"):
            below = name.removeprefix(EVIDENCE_NAME + "/")
            _put(config.path(storage.evidence) / below, backup.read(name))
    _restore_custody(backup, config.path(storage.custody), ledger)
    _restore_log(backup, config.path(storage.ledger), ledger, progress)
    hold.complete()


def _restore_genesis(backup: _Backup, config: Config) -> Ledger:
    """Return the ledger of the backup; its genesis file is put where node.toml names it."""
    file = backup.read(GENESIS_NAME)
    try:
        ledger = open_genesis(file)
    except LedgerError as error:
        raise ConfigError(f"the genesis of the backup {backup.folder} is none: {error}") from error
    if ledger.ledger_id.hex() != backup.manifest.ledger_id:
        raise ConfigError(f"the genesis of the backup {backup.folder} is of another ledger")
    path = config.path(config.node.genesis)
    if not path.exists():
        _put(path, file)
    elif path.read_bytes() != file:
        raise ConfigError(
            f"{path} is the genesis of another ledger than the backup's, {ledger.ledger_id.hex()}; "
            "restore into a folder beside the right one"
        )
    return ledger


def _restore_custody(backup: _Backup, custody: Path, ledger: Ledger) -> None:
    prefix = CUSTODY_NAME + "/"
    for name in backup.files:
        if not name.startswith(prefix):
            continue
        path = custody / name.removeprefix(prefix)
        _put(path, backup.read(name))
        if NAME.fullmatch(path.name):
            with AttachmentFile(str(path)) as file:
                check_items(file.items(), ledger.ledger_id)


def _restore_log(
    backup: _Backup, path: Path, ledger: Ledger, progress: Callable[[int, int], None]
) -> None:
    """Execute the log of the backup again into a new store."""
    manifest = backup.manifest
    size, root = manifest.size, bytes.fromhex(manifest.root)
    prefix = LOG_NAME + "/"
    chunks = sorted(n for n in backup.files if n.startswith(prefix) and n.endswith(CHUNK_SUFFIX))
    with closing(LedgerStore.open(path, ledger)) as store:
        application = Application(store)
        for name in chunks:
            before = Frontier(store.head.size, store.nodes(root_nodes(store.head.size)))
            try:
                chunk = LOG_CHUNK.decode(backup.read(name))
                verify_chunk(chunk, before, size, root)
                for block in chunk.blocks:
                    last = block is chunk.blocks[-1]
                    application.replay(block.leaves, block.contents, synced=last)
            except LedgerError as error:
                raise StoreError(
                    f"{backup.folder / name} does not follow the rules: {error}; take another "
                    "backup, or recover the node from the others"
                ) from error
            progress(store.head.size, size)
        if (store.head.size, store.root(store.head.size)) != (size, root):
            raise StoreError(
                f"the log of the backup {backup.folder} ends at {store.head.size} leaves, "
                f"backup.json says {size} with root {manifest.root}; take another backup"
            )


def _put(path: Path, content: bytes) -> None:
    """Write a file into a folder that is made if it is missing."""
    path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    write_file(path, content)
