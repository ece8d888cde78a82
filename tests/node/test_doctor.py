"""The doctor names what is wrong, and changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rocksdict import Options, Rdict
from tests.node.cluster import PASSPHRASE, Cluster
from tests.world import seed

from tradeline_ledger.fingerprint import fingerprint
from tradeline_ledger.signing import SigningKey
from tradeline_node import index as tables
from tradeline_node.doctor import examine_folder
from tradeline_node.findings import Report
from tradeline_node.store import LedgerStore


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    cluster = Cluster(tmp_path_factory.mktemp("net") / "net")
    with cluster.running():
        cluster.hand_over_tag_keys()
        for salt in range(3):
            cluster.submit(1, 2, salt)
        cluster.wait_for_checkpoint(cluster.node(1).store.head.size)
    return cluster


@pytest.fixture
def folder(healthy: Cluster, tmp_path: Path) -> Path:
    """Return a copy of the stopped consortium."""
    return Path(shutil.copytree(healthy.folder, tmp_path / "net"))


def examine(folder: Path, *, deep: bool = True, passphrase: bytes = PASSPHRASE) -> list[Report]:
    return examine_folder(folder, {}, lambda _: passphrase, deep=deep, peers=False)


def codes(reports: list[Report]) -> set[tuple[str, str]]:
    return {(each.folder.name, found.code) for each in reports for found in each.findings}


def change_row(store: Path, key: bytes) -> None:
    """Change one byte of a row, as the database itself would write it."""
    options = Options(raw_mode=True)
    database = Rdict(str(store), options)
    value = database.get(key)
    assert isinstance(value, bytes), key
    database[key] = value[:-1] + bytes([value[-1] ^ 1])
    database.close()


def test_nothing_is_wrong_with_a_healthy_consortium(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    reports = examine(folder)
    assert codes(reports) == set()
    assert len(reports) == 4
    assert any("log replayed, 7 leaves" in check for check in reports[0].checks)
    assert any("3 attachments read" in check for check in reports[0].checks)
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    changed = {path.name for path in before if before[path] != after.get(path)}
    assert not {name for name in changed if not name.startswith(("LOG", "OPTIONS"))}


def test_changed_leaf_is_named(folder: Path) -> None:
    change_row(folder / "member-2" / "ledger", tables.LEAF + tables.number(3))
    reports = examine(folder)
    assert codes(reports) == {("member-2", "record")}
    (found,) = reports[1].findings
    assert "leaf 3" in found.where
    assert found.remedy


def test_changed_attachment_is_named(folder: Path) -> None:
    path = next(
        each for each in (folder / "member-3" / "custody").rglob("*") if len(each.name) == 64
    )
    content = bytearray(path.read_bytes())
    content[-200] ^= 1
    path.write_bytes(content)
    reports = examine(folder)
    assert codes(reports) == {("member-3", "custody")}
    assert path.name in reports[2].findings[0].where
    assert codes(examine(folder, deep=False)) == set()


def test_store_that_was_replaced_by_an_older_one_is_found(healthy: Cluster, folder: Path) -> None:
    store = folder / "member-1" / "ledger"
    shutil.rmtree(store)
    LedgerStore.open(store, healthy.ledger).close()
    assert codes(examine(folder)) == {("member-1", "signed")}


def test_locked_keystore_and_wrong_keys_are_found(folder: Path) -> None:
    assert codes(examine(folder, passphrase=b"wrong")) == {
        (f"member-{n}", "keystore") for n in (1, 2, 3, 4)
    }
    shutil.copy(folder / "member-1" / "node.keys", folder / "member-2" / "node.keys")
    reports = examine(folder)
    assert codes(reports) == {("member-2", "keystore"), ("member-2", "double")}
    of_other, of_own = (fingerprint(SigningKey(seed("node", n)).public) for n in (1, 2))
    details = [each.detail for each in reports[1].findings]
    assert any(of_other in each and of_own in each for each in details), details


def test_wrong_configuration_and_genesis_are_found(folder: Path) -> None:
    (folder / "member-1" / "node.toml").write_text("[http]\nprot = 1\n")
    assert codes(examine(folder)) == {("member-1", "config")}
    for n in (1, 2, 3, 4):
        (folder / f"member-{n}" / "genesis").write_bytes(b"x")
    assert codes(examine(folder)) == {(f"member-{n}", "config") for n in (1, 2, 3, 4)}


@pytest.fixture
def tampered(healthy: Cluster, tmp_path: Path) -> Iterator[Cluster]:
    """Return the running consortium, of which member 2 changed a content on its disk."""
    copy = Cluster.__new__(Cluster)
    copy.__dict__.update(healthy.__dict__)
    copy.folder = Path(shutil.copytree(healthy.folder, tmp_path / "net"))
    change_row(copy.folder / "member-2" / "ledger", tables.CONTENT + tables.number(3))
    with copy.running() as running:
        yield running


def test_peers_and_the_doctor_point_at_the_same_record(tampered: Cluster) -> None:
    reports = examine_folder(tampered.folder, {}, lambda _: PASSPHRASE, deep=True, peers=True)
    found = [each for report in reports for each in report.findings]
    assert ("member-2", "record") in codes(reports)
    assert all("3" in each.where for each in found), found
    against = [each.where for each in reports[0].findings]
    assert against == ["member 2: content of leaf 3"]
    assert all("the node runs" in report.checks for report in reports)


def test_node_that_does_not_answer_is_named(healthy: Cluster, folder: Path) -> None:
    reports = examine_folder(folder / "member-1", {}, lambda _: PASSPHRASE, deep=False, peers=True)
    assert {(each.code, each.where) for each in reports[0].findings} == {
        ("peer", f"member {n}") for n in (2, 3, 4)
    }


def test_report_is_json(folder: Path) -> None:
    (report, *_) = examine(folder, deep=False)
    found = report.to_json()
    assert found["findings"] == []
    assert found["folder"] == str(folder / "member-1")
