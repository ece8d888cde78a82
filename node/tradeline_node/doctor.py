"""
The doctor: what is wrong with a node, running or stopped, and what to do about it.

It changes nothing. Stores are opened to read only; a running node is asked beside that.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx2

from tradeline_ledger.errors import LedgerError
from tradeline_ledger.fingerprint import fingerprint
from tradeline_ledger.genesis import Ledger
from tradeline_ledger.registry import MemberRecord, Registry
from tradeline_node.compare import compare_log
from tradeline_node.config import Config, load_config
from tradeline_node.custody_file import AttachmentFile, check_items
from tradeline_node.errors import NodeError, PeerError, StoreError
from tradeline_node.findings import Report
from tradeline_node.genesis_file import read_genesis
from tradeline_node.keystore import Keystore, open_keystore
from tradeline_node.peers import PeerClient, said
from tradeline_node.published import read_own
from tradeline_node.run import member_folders
from tradeline_node.store import LedgerStore
from tradeline_node.surroundings import check_clock, check_peers, check_start
from tradeline_node.tls import pinned_context

HEALTH_TIMEOUT_S: Final = 3.0
_RESTORE: Final = "put the file back from a backup, or copy it from another node and check again"


def examine_folder(
    folder: Path,
    environment: Mapping[str, str],
    passphrase: Callable[[Config], bytes],
    *,
    deep: bool,
    peers: bool,
) -> list[Report]:
    """
    Return a report on each member folder of `folder`.

    `passphrase` returns that of a node's keystore, or raises `NodeError`. `deep` replays the whole
    log and reads every attachment; `peers` asks the other nodes, and compares with them.

    Raises:
        ConfigError: there is no member folder.
    """
    reports = []
    seen: dict[bytes, Path] = {}
    for each in member_folders(folder):
        report = Report(each)
        keys = _examine(report, environment, passphrase, deep=deep, peers=peers)
        if keys is not None:
            _double(report, keys, seen)
        reports.append(report)
    return reports


def _double(report: Report, keys: Keystore, seen: dict[bytes, Path]) -> None:
    """Look for a validator key that another folder has, too."""
    other = seen.setdefault(keys.engine.public, report.folder)
    if other != report.folder:
        report.add(
            "double",
            report.folder,
            f"it has the engine key {fingerprint(keys.engine.public)}, as {other} has",
            "never run both: two validators with one key vote twice, which is kept as evidence "
            "against their member; remove one of the folders",
        )


def _examine(
    report: Report,
    environment: Mapping[str, str],
    passphrase: Callable[[Config], bytes],
    *,
    deep: bool,
    peers: bool,
) -> Keystore | None:
    """Examine one member folder; return its keys, if they open."""
    folder = report.folder
    try:
        config = load_config(folder, environment)
        ledger = read_genesis(config.path(config.node.genesis))
    except NodeError as error:
        report.add("config", folder, error, "correct what the message names")
        return None
    report.checks.append("configuration, genesis")
    keys = _keystore(report, config, passphrase)
    store = _open_store(report, config, ledger)
    registry = ledger.registry if store is None else store.registry
    try:
        running = _health(report, config, registry.member(config.node.member))
        if not running:
            check_start(report, config, ledger)
        if keys is not None:
            _keys(report, config, keys, registry)
        if store is not None:
            _store(report, config, store, deep=deep)
            check_clock(report, store)
            _custody(report, config, store, deep=deep)
        if peers and keys is not None:
            unreached = check_peers(report, config, keys, registry, running=running)
            if store is not None:
                asyncio.run(_peers(report, config, store, keys, deep=deep, skipped=unreached))
    finally:
        if store is not None:
            store.close()
    return keys


def _open_store(report: Report, config: Config, ledger: Ledger) -> LedgerStore | None:
    path = config.path(config.storage.ledger)
    if not path.exists():
        report.checks.append("no ledger store yet: the node never ran")
        return None
    try:
        return LedgerStore.open(path, ledger, read_only=True)
    except NodeError as error:
        report.add("store", path, error, "restore the store, or remove it to fetch the log anew")
        return None


def _keystore(
    report: Report, config: Config, passphrase: Callable[[Config], bytes]
) -> Keystore | None:
    path = config.path(config.node.keys)
    try:
        keys = open_keystore(path, passphrase(config))
    except NodeError as error:
        report.add("keystore", path, error, "correct what the message names")
        return None
    if keys.member != config.node.member:
        report.add(
            "keystore",
            path,
            f"holds the keys of member {keys.member}, node.member is {config.node.member}",
            "put the right keystore in place, or correct node.toml",
        )
    report.checks.append("keystore")
    return keys


def _keys(report: Report, config: Config, keys: Keystore, registry: Registry) -> None:
    try:
        keys.check(registry.member(config.node.member), config.path(config.node.keys))
    except NodeError as error:
        report.add("keystore", config.path(config.node.keys), error, "correct what it names")


def _store(report: Report, config: Config, store: LedgerStore, *, deep: bool) -> None:
    head = store.head
    path = config.path(config.storage.ledger)
    if deep:
        try:
            found = store.verify()
        except StoreError as error:
            report.add("store", path, error, "restore the store, or remove it to fetch it anew")
            return
        for each in found:
            report.add(
                "record",
                f"{path}: {each.where}",
                f"{each.code}: {each.detail}",
                "stop the node; restore the store from a backup, or remove the folder and start: "
                "the node replays the log of the others",
            )
        report.checks.append(f"log replayed, {head.size} leaves")
    else:
        report.checks.append(f"store opens, {head.size} leaves (--deep replays them)")
    _signed(report, config, store)


def _signed(report: Report, config: Config, store: LedgerStore) -> None:
    """Compare what the node has signed with the store."""
    path = config.path(config.storage.published)
    if not path.exists():
        return
    try:
        rows = read_own(path)
        for size, root in rows:
            if size > store.head.size:
                report.add(
                    "signed",
                    f"{path}: size {size}",
                    f"this node signed a log of {size} leaves, its store has {store.head.size}",
                    "the store was replaced by an older copy: start the node, which catches up",
                )
                return
            if store.root(size) != root:
                report.add(
                    "signed",
                    f"{path}: size {size}",
                    f"signed with root {root.hex()}, the store has {store.root(size).hex()}",
                    "restore the store that the signatures were made with",
                )
                return
    except (sqlite3.Error, NodeError) as error:
        report.add("signed", path, error, _RESTORE)
        return
    report.checks.append(f"{len(rows)} own signatures")


def _custody(report: Report, config: Config, store: LedgerStore, *, deep: bool) -> None:
    folder = config.path(config.storage.custody)
    count = 0
    for path in _attachments(folder):
        count += 1
        try:
            with AttachmentFile(str(path)) as file:
                if file.batch_hash.hex() != path.name:
                    report.add(
                        "custody",
                        path,
                        f"it holds batch {file.batch_hash.hex()}",
                        "give it the name of its batch",
                    )
                if deep:
                    check_items(file.items(), store.ledger.ledger_id)
        except FileNotFoundError:
            count -= 1  # erased or discarded by the node meanwhile
        except (NodeError, LedgerError, OSError) as error:
            report.add("custody", path, error, _RESTORE)
    done = "read" if deep else "found (--deep reads them)"
    report.checks.append(f"{count} attachments {done}")


def _attachments(folder: Path) -> Iterator[Path]:
    """Yield the attachment files below `folder`, by name."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if len(name) == 64 and not name.strip("0123456789abcdef"):  # noqa: PLR2004  a hash
                yield Path(parent) / name


def _health(report: Report, config: Config, record: MemberRecord | None) -> bool:
    """Ask the node itself, and return whether it runs."""
    pin = record.tls_pin if record is not None else None
    url = f"{config.url(tls=pin is not None)}/healthz"
    verify = pinned_context(pin) if pin is not None else False
    try:
        answer = httpx2.get(url, timeout=HEALTH_TIMEOUT_S, trust_env=False, verify=verify)
        components = json.loads(answer.content)["components"]
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        reason = said(error)
        report.checks.append(
            "the node does not run" if reason == type(error).__name__ else f"{url}: {reason}"
        )
        return False
    except (ValueError, KeyError, TypeError):
        report.add(
            "health", url, "what answers there is no node", "end what uses the port, or set another"
        )
        return True
    report.checks.append("the node runs")
    for each in components:
        if not each["ok"]:
            report.add("health", f"{url}: {each['name']}", each["detail"], "see the detail")
    return True


async def _peers(
    report: Report,
    config: Config,
    store: LedgerStore,
    keys: Keystore,
    *,
    deep: bool,
    skipped: set[int],
) -> None:
    client = PeerClient(
        keys.node, keys.member, store.ledger.ledger_id, config.publish.peer_timeout_ms
    )
    compared = []
    try:
        for number in store.registry.epoch.validators:
            record = store.registry.member(number)
            if number == keys.member or record is None or number in skipped:
                continue
            try:
                compared.append(await compare_log(store, client, record, deep=deep))
            except PeerError as error:
                report.add(
                    "peer",
                    f"member {number}",
                    error,
                    "see whether that node runs and its endpoint is the registry's",
                )
            except NodeError as error:
                report.add("store", config.path(config.storage.ledger), error, _RESTORE)
    finally:
        await client.close()
    for each in compared:
        report.checks.append(f"compared with member {each.peer} up to size {each.size}")
        for difference in each.differences:
            where = f"member {each.peer}: {difference.where}"
            report.add("peer-differs", where, difference.detail, difference.remedy)
