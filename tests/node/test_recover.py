"""A node that comes back: from a backup, or from nothing but its keys and the other nodes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.node.cluster import PASSPHRASE, Cluster, institutions, wait_for
from tests.world import DESK

from tradeline_ledger import state
from tradeline_ledger.statement import ENTRY, Kind, statement_hash
from tradeline_node import hold_watch, log_export
from tradeline_node.backup import MANIFEST_NAME, SUMS_NAME, backup_node, read_manifest
from tradeline_node.config import Config, load_config
from tradeline_node.errors import ConfigError, KeystoreError, RequestError, StoreError
from tradeline_node.others import Address, Others
from tradeline_node.outbox_rows import OutboxRows, Place, Queued
from tradeline_node.published import OwnLines
from tradeline_node.recover import recover_node, to_json
from tradeline_node.restore import restore_node
from tradeline_node.service import Node
from tradeline_node.signing_hold import SigningHold
from tradeline_node.sweep import Sweeper

LOST = 4
"""The member whose node loses its disk."""
Get = Callable[..., Any]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("net") / "net", founders=institutions(tls=True))
    with pytest.MonkeyPatch.context() as patch, made.running() as running:
        patch.setattr(log_export, "CHUNK_BYTES", 1000)
        running.hand_over_tag_keys()
        for salt in range(6):
            running.submit(1 + salt % 2, 2, salt)
        running.wait_for_checkpoint(running.node(1).store.head.size)
        yield running


@pytest.fixture
def lost(cluster: Cluster, tmp_path: Path) -> Config:
    """A folder with what its operator has kept: node.toml, keystore and genesis."""
    folder = tmp_path / "lost"
    folder.mkdir()
    for name in ("node.toml", "node.keys", "genesis"):
        shutil.copy(cluster.member_folder(LOST) / name, folder / name)
    return load_config(folder, {})


def check_whole(cluster: Cluster, config: Config) -> None:
    """Compare what was recovered with what the member's own node has."""
    own = cluster.node(LOST)
    node = Node.open(config, PASSPHRASE)
    try:
        Sweeper(node.store, node.custody).follow()
        assert node.store.head == own.store.head
        assert node.store.verify() == []
        assert node.custody.hashes() == own.custody.hashes()
        assert node.tag_keys.missing(node.store.registry) == []
        for batch_hash in own.custody.hashes():
            node.custody.verify(batch_hash, cluster.ledger.ledger_id)
            assert shares_of(node, batch_hash) == shares_of(own, batch_hash)
            assert node.custody.attachment(batch_hash) == own.custody.attachment(batch_hash)
            held = node.custody.held(batch_hash)
            assert held is not None
            index = node.store.get(state.batch_key(batch_hash))
            assert held.log_index == int.from_bytes(index or b"", "big")
    finally:
        node.close()


def shares_of(node: Node, batch_hash: bytes) -> bytes:
    file = node.custody.open_file(batch_hash)
    assert file is not None
    with file:
        shares = node.custody.own_shares(file)
    assert shares
    return shares


# A lost disk


def test_lost_disk_comes_back_from_the_keys_and_the_others(cluster: Cluster, lost: Config) -> None:
    seen: list[tuple[int, int]] = []
    done = recover_node(lost, PASSPHRASE, attachments=lambda at, end: seen.append((at, end)))
    assert (done.attachments, done.missing, done.findings, done.faults) == (6, 0, [], [])
    assert done.tag_keys == len(cluster.founders)
    assert done.size == cluster.node(1).store.head.size
    assert done.leaves == done.size - 1
    assert seen == [(each, 6) for each in range(1, 7)]
    assert to_json(done)["attachments"] == 6
    check_whole(cluster, lost)
    hold = SigningHold(lost.folder)
    assert hold.holds()
    assert hold.reason.startswith("recovered from the others on ")
    again = recover_node(lost, PASSPHRASE)
    assert (again.leaves, again.attachments, again.tag_keys) == (0, 0, 0)


def test_recovery_that_was_killed_goes_on(
    cluster: Cluster, lost: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fetched = 0
        get = Others.get

        async def killed(self: Others, address: Address, target: str, *a: Any, **k: Any) -> bytes:
            nonlocal fetched
            fetched += target.startswith("/v1/custody/")
            if fetched > 3:
                raise KeyboardInterrupt
            return await get(self, address, target, *a, **k)

        patch.setattr(Others, "get", killed)
        with pytest.raises((KeyboardInterrupt, BaseExceptionGroup)):
            recover_node(lost, PASSPHRASE)
    done = recover_node(lost, PASSPHRASE)
    assert 3 <= done.attachments <= 6
    assert done.leaves == 0
    check_whole(cluster, lost)


def test_attachment_that_was_altered_is_refused_and_had_from_another(
    cluster: Cluster, lost: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    alter(monkeypatch, {2})
    done = recover_node(lost, PASSPHRASE)
    assert (done.attachments, done.missing) == (6, 0)
    assert {each.member for each in done.faults} == {2}
    assert all("attachment of entry" in each.detail for each in done.faults)
    check_whole(cluster, lost)


def test_attachments_that_nobody_gives_are_named(
    cluster: Cluster, lost: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        alter(patch, {1, 2, 3})
        done = recover_node(lost, PASSPHRASE)
    assert (done.attachments, done.missing) == (0, 6)
    assert all("no other node gave it" in each for each in done.findings)
    assert recover_node(lost, PASSPHRASE).attachments == 6
    check_whole(cluster, lost)


def alter(patch: pytest.MonkeyPatch, members: set[int]) -> None:
    """Have the nodes of `members` serve attachments with another last byte."""
    get = Others.get

    async def altered(self: Others, address: Address, target: str, *a: Any, **k: Any) -> bytes:
        body = await get(self, address, target, *a, **k)
        if address.member in members and target.startswith("/v1/custody/"):
            return body[:-1] + bytes([body[-1] ^ 1])
        return body

    patch.setattr(Others, "get", altered)


def test_tag_keys_are_given_to_the_committee_alone(cluster: Cluster) -> None:
    hash_ = cluster.institution(1).record.tag_key_hash
    assert hash_ is not None
    target = f"/v1/tag-keys/1/{hash_.hex()}"
    assert cluster.request(2, target, feed=0).status_code == 200
    for member in (5, 6):
        assert cluster.request(member, target).status_code == 404
    assert cluster.request(2, f"/v1/tag-keys/1/{'00' * 32}", feed=0).status_code == 404
    assert cluster.request(None, target).status_code == 401


# Backup and restore


@pytest.fixture
def backup(cluster: Cluster, tmp_path: Path) -> Path:
    """A backup of a node that runs."""
    folder = cluster.member_folder(LOST)
    (folder / "engine" / "data").mkdir(parents=True, exist_ok=True)
    (folder / "engine" / "data" / "priv_validator_state.json").write_text('{"height": "9"}')
    (folder / "evidence" / "fork-2-00.evidence").write_bytes(b"evidence")
    target = tmp_path / "backup"
    backup_node(load_config(folder, {}), PASSPHRASE, target)
    return target


def restored(backup: Path, tmp_path: Path) -> Config:
    folder = tmp_path / "restored"
    restore_node(backup, folder, PASSPHRASE)
    return load_config(folder, {})


def test_backup_of_a_running_node_restores_whole_and_held(
    cluster: Cluster, backup: Path, tmp_path: Path
) -> None:
    manifest = read_manifest(backup)
    own = cluster.node(LOST)
    assert (manifest.member, manifest.size) == (LOST, own.store.head.size)
    assert manifest.attachments == 6
    assert not [path for path in backup.rglob("*") if "engine" in path.name or "priv" in path.name]
    assert all(path.stat().st_mode & 0o77 == 0 for path in backup.rglob("*"))
    config = restored(backup, tmp_path)
    check_whole(cluster, config)
    assert "restored from a backup of" in SigningHold(config.folder).reason
    assert not (config.folder / "engine").exists()
    assert (config.folder / "evidence" / "fork-2-00.evidence").read_bytes() == b"evidence"


def test_restored_node_gets_what_came_after_its_backup(
    cluster: Cluster, backup: Path, tmp_path: Path
) -> None:
    cluster.submit(1, 1, "after the backup")
    wait_for(lambda: cluster.node(1).publisher.behind_s() == 0)
    config = restored(backup, tmp_path)
    reason = SigningHold(config.folder).reason
    done = recover_node(config, PASSPHRASE)
    assert (done.leaves, done.attachments, done.tag_keys) == (2, 1, 0)
    assert SigningHold(config.folder).reason == reason
    check_whole(cluster, config)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("node.keys", "damaged, take another"),
        ("log/00000001.chunk", "damaged, take another"),
        ("custody/own-shares.key", "damaged, take another"),
        (SUMS_NAME, "was changed after the backup"),
        (MANIFEST_NAME, "not that of a backup"),
    ],
)
def test_damaged_backup_is_not_restored(
    cluster: Cluster, backup: Path, tmp_path: Path, name: str, match: str
) -> None:
    content = bytearray((backup / name).read_bytes())
    content[-2] ^= 1
    (backup / name).write_bytes(content)
    with pytest.raises(ConfigError, match=match):
        restored(backup, tmp_path)
    folder = tmp_path / "restored"
    if name not in (SUMS_NAME, MANIFEST_NAME):
        with pytest.raises(StoreError, match="is not whole"):
            Node.open(load_config(folder, {}), PASSPHRASE)


def test_log_that_does_not_follow_the_rules_is_not_restored(
    cluster: Cluster, backup: Path, tmp_path: Path
) -> None:
    chunks = sorted((backup / "log").iterdir())
    first, second = chunks[0].read_bytes(), chunks[1].read_bytes()
    chunks[0].write_bytes(second)
    chunks[1].write_bytes(first)
    resign(backup)
    with pytest.raises(StoreError, match="does not follow the rules: log chunk begins at leaf"):
        restored(backup, tmp_path)
    with pytest.raises(StoreError, match="is not whole"):
        Node.open(load_config(tmp_path / "restored", {}), PASSPHRASE)
    for each in chunks[:-1]:
        each.unlink()
    resign(backup)
    shutil.rmtree(tmp_path / "restored")
    with pytest.raises(StoreError, match="does not follow the rules"):
        restored(backup, tmp_path)


def resign(backup: Path) -> None:
    """Make the sums of a backup right for the files that it now has."""
    lines = [
        f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(backup).as_posix()}\n"
        for path in sorted(backup.rglob("*"))
        if path.is_file() and path.name not in (SUMS_NAME, MANIFEST_NAME)
    ]
    sums = "".join(lines).encode()
    (backup / SUMS_NAME).write_bytes(sums)
    manifest = json.loads((backup / MANIFEST_NAME).read_bytes())
    manifest["files_sha256"] = sha256(sums).hexdigest()
    (backup / MANIFEST_NAME).write_text(json.dumps(manifest))


def test_backup_names_no_file_outside_of_it(cluster: Cluster, backup: Path, tmp_path: Path) -> None:
    for name in ("../stolen", "/etc/hostname"):
        sums = f"{'00' * 32}  {name}\n".encode()
        (backup / SUMS_NAME).write_bytes(sums)
        manifest = json.loads((backup / MANIFEST_NAME).read_bytes())
        manifest["files_sha256"] = sha256(sums).hexdigest()
        (backup / MANIFEST_NAME).write_text(json.dumps(manifest))
        with pytest.raises(ConfigError, match="which is not in the backup"):
            restored(backup, tmp_path)


def test_nothing_is_overwritten_and_no_half_backup_is_taken(
    cluster: Cluster, backup: Path, tmp_path: Path
) -> None:
    config = load_config(cluster.member_folder(LOST), {})
    with pytest.raises(ConfigError, match="is there already"):
        backup_node(config, PASSPHRASE, backup)
    with pytest.raises(KeystoreError, match="is locked"):
        backup_node(config, b"wrong", tmp_path / "other")
    assert not (tmp_path / "other").exists()
    with pytest.raises(ConfigError, match="is not empty"):
        restore_node(backup, config.folder, PASSPHRASE)
    (backup / MANIFEST_NAME).unlink()
    with pytest.raises(ConfigError, match="written last"):
        restored(backup, tmp_path)


# What a held node does not do


def test_restored_node_signs_nothing_before_it_has_caught_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Cluster(tmp_path / "net")
    config = load_config(net.member_folder(LOST), {})
    with net.running():
        net.hand_over_tag_keys()
        net.submit(1, 1, "before")
        entry = net.world().entry(1, Kind.MARK, b"placed after the backup")
        backup_node(config, PASSPHRASE, tmp_path / "backup")
        net.post(1, entry)
        net.wait_for_checkpoint(net.node(1).store.head.size)
        signed = wait_for(partial(signed_up_to, net.node(LOST), net.node(1).store.head.size))
    shutil.rmtree(config.folder)
    restore_node(tmp_path / "backup", config.folder, PASSPHRASE)
    queue_stale(config, entry, net.ledger.ledger_id)
    monkeypatch.setattr(hold_watch, "ASK_S", 0.02)
    patch = pytest.MonkeyPatch()
    patch.setattr(Others, "shown", nothing_shown)
    with net.running():
        node = net.node(LOST)
        submitted = net.submit(1, 1, "while it is held", without=[LOST])
        net.wait_for_checkpoint(submitted + 2, to=1)
        for method, target, body in (
            ("POST", "/v1/entries", entry),
            ("POST", "/v1/custody", b"\x92\xc4\x00\xc4\x00"),
        ):
            refused = net.request(1, target, method, body, to=LOST)
            assert (refused.status_code, refused.json()["code"]) == (503, "node-halted")
            assert "signs nothing until it has caught up" in refused.json()["detail"]
        with pytest.raises(RequestError, match="signs nothing until it has caught up"):
            node.release_service.release(submitted, 1, b"", None)
        held = node.published.newest()
        assert held is not None
        assert held.size < signed.size
        assert node.publisher.newest is None
        assert net.request(None, "/readyz", to=LOST).status_code == 503
        health = net.request(None, "/healthz", to=LOST).json()
        assert "it does not answer" in str(health)
        assert node.outbox.pending() == 1
        patch.undo()
        wait_for(lambda: not node.hold.holds(), "lifting")
        wait_for(lambda: node.outbox.pending() == 0, "the stale entry")
        net.wait_for_checkpoint(submitted + 2, to=LOST)
        wait_for(partial(signed_up_to, node, submitted + 2))
        assert net.request(None, "/readyz", to=LOST).status_code == 200


def signed_up_to(node: Node, size: int) -> OwnLines | None:
    newest = node.published.newest()
    return newest if newest is not None and newest.size >= size else None


async def nothing_shown(_: Others) -> tuple[list[Any], dict[int, str]]:
    return [], {2: "it does not answer"}


def queue_stale(config: Config, entry: bytes, ledger_id: bytes) -> None:
    """Put an entry that is placed by now into an outbox, as an old backup has it."""
    rows = OutboxRows(config.path(config.storage.outbox), ledger_id)
    hash_ = statement_hash(ENTRY.decode(entry).statement)
    rows.add(Queued(hash_, Place(1, DESK, 0)), entry)
    rows.close()
