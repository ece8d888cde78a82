"""Founding a consortium, and the keystores that it writes."""

from __future__ import annotations

import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tradeline_ledger.genesis import open_genesis
from tradeline_ledger.keyfile import open_keyfile
from tradeline_ledger.member_files import CLIENT_KEYS, decode_profile
from tradeline_ledger.policy_file import decode_policy
from tradeline_ledger.registry import Role
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.tag import Category, linker_hash
from tradeline_node.cli import app
from tradeline_node.config import load_config
from tradeline_node.errors import ConfigError, KeystoreError
from tradeline_node.founding import Founding, found
from tradeline_node.genesis_file import read_genesis
from tradeline_node.keystore import open_keystore, read_passphrase
from tradeline_node.tag_keys import FOLDER_NAME, file_name

PASSPHRASE = b"of tests"
FOUNDING = Founding("Trial", ("bank", "shop-2"), (), ("regulator",), 7101, 480, 1_790_000_000_000)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("init") / "net"
    found(folder, FOUNDING, PASSPHRASE)
    return folder


def test_genesis_is_signed_by_every_founder_and_names_their_keys(net: Path) -> None:
    ledger = open_genesis((net / "genesis").read_bytes())
    members = ledger.registry.members
    assert [(each.id, each.name, each.endpoint) for each in members] == [
        (1, "Bank", "https://127.0.0.1:7101"),
        (2, "Shop 2", "https://127.0.0.1:7102"),
        (3, "Regulator", ""),
    ]
    assert members[2].roles == Role.OBSERVER
    assert members[2].tag_key_hash is None
    assert ledger.registry.epoch.validators == (1, 2)
    for number, slug in ((1, "bank"), (2, "shop-2")):
        keys = open_keystore(net / slug / "node.keys", PASSPHRASE)
        keys.check(ledger.registry.member(number), net)
        assert load_config(net / slug, {}).node.member == number


def test_client_folders_open_with_the_keys_of_the_registry(net: Path) -> None:
    ledger = open_genesis((net / "genesis").read_bytes())
    for number, slug in ((1, "bank"), (2, "shop-2"), (3, "regulator")):
        client = net / slug / "client"
        keys = CLIENT_KEYS.decode(open_keyfile(PASSPHRASE, (client / "client.keys").read_bytes()))
        record = ledger.registry.member(number)
        assert record is not None
        assert [(each.feed, SigningKey(each.seed).public) for each in keys.feeds] == [
            (each.feed, each.key) for each in record.feeds
        ]
        assert linker_hash(keys.consortium_key) == ledger.params.linker
        assert keys.root_seed is not None
        assert SigningKey(keys.root_seed).public == record.root_key
        profile = decode_profile((client / "client.toml").read_text(encoding="utf-8"))
        assert (profile.member, profile.ledger_id) == (number, ledger.ledger_id)
        assert profile.home == (number if number < 3 else 1)
        assert decode_policy((client / "policy").read_bytes()).quorum == "validators"
        assert (client / "genesis").read_bytes() == ledger.file


def test_folders_and_keys_are_their_owners_alone(net: Path) -> None:
    for path in net.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_dir():
            assert mode == 0o700, path
        elif path.suffix == ".keys":
            assert mode == 0o600, path


def test_two_foundings_share_no_key(net: Path, tmp_path: Path) -> None:
    other = found(tmp_path / "net", FOUNDING, PASSPHRASE)
    ours = open_genesis((net / "genesis").read_bytes())
    assert other.ledger_id != ours.ledger_id
    keys = [key for each in ours.registry.members for key in each.key_list()]
    assert not {key for each in other.registry.members for key in each.key_list()} & set(keys)


def test_nothing_is_overwritten(net: Path, tmp_path: Path) -> None:
    before = (net / "genesis").read_bytes()
    with pytest.raises(ConfigError, match="is there already and not empty"):
        found(net, FOUNDING, PASSPHRASE)
    assert (net / "genesis").read_bytes() == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="is there already"):
        found(tmp_path / "file", FOUNDING, PASSPHRASE)
    (tmp_path / "empty").mkdir()
    assert found(tmp_path / "empty", FOUNDING, PASSPHRASE).file


@pytest.mark.parametrize(
    ("members", "port", "message"),
    [
        (("Bank",), 7101, "makes no folder"),
        (("../x",), 7101, "makes no folder"),
        (("a", "a"), 7101, "name one twice"),
        ((), 7101, "0 members"),
        (tuple(f"m{i}" for i in range(17)), 7101, "17 members"),
        (("a", "b"), 65_535, "not all from 1"),
        (("a",), 0, "not all from 1"),
    ],
)
def test_impossible_founding_is_refused(members: tuple[str, ...], port: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Founding("Trial", members, (), (), port, 480, 1_790_000_000_000)


def test_wrong_passphrase_says_that_the_keystore_is_locked(net: Path) -> None:
    with pytest.raises(KeystoreError, match="is locked"):
        open_keystore(net / "bank" / "node.keys", b"another")


def test_keystore_that_others_can_read_is_refused(net: Path, tmp_path: Path) -> None:
    copy = tmp_path / "node.keys"
    copy.write_bytes((net / "bank" / "node.keys").read_bytes())
    copy.chmod(0o640)
    with pytest.raises(KeystoreError, match="chmod 600"):
        open_keystore(copy, PASSPHRASE)


def test_keystore_of_another_kind_or_absent_is_refused(net: Path, tmp_path: Path) -> None:
    copy = tmp_path / "node.keys"
    copy.touch(mode=0o600)
    copy.write_bytes((net / "bank" / "client" / "client.keys").read_bytes())
    with pytest.raises(KeystoreError, match="does not decode"):
        open_keystore(copy, PASSPHRASE)
    copy.write_bytes(b"x")
    with pytest.raises(KeystoreError, match="does not decode"):
        open_keystore(copy, PASSPHRASE)
    with pytest.raises(KeystoreError, match="can't be read"):
        open_keystore(tmp_path / "absent", PASSPHRASE)


def test_keys_of_another_member_are_refused(net: Path) -> None:
    ledger = open_genesis((net / "genesis").read_bytes())
    keys = open_keystore(net / "bank" / "node.keys", PASSPHRASE)
    with pytest.raises(KeystoreError, match="not the one of member 2"):
        keys.check(ledger.registry.member(2), net)
    with pytest.raises(KeystoreError, match="not in the registry"):
        keys.check(None, net)


def test_no_key_is_shown(net: Path) -> None:
    keys = open_keystore(net / "bank" / "node.keys", PASSPHRASE)
    assert repr(keys) == "Keystore(member=1)"
    client = CLIENT_KEYS.decode(
        open_keyfile(PASSPHRASE, (net / "bank" / "client" / "client.keys").read_bytes())
    )
    for secret in (client.tag_key, client.consortium_key, *(each.seed for each in client.feeds)):
        assert str(secret) not in repr(client) + repr(client.feeds)


def test_passphrase_comes_from_flag_or_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"first\n")
    (tmp_path / "b").write_bytes(b"second\r\n")
    (tmp_path / "empty").write_bytes(b"\n")
    monkeypatch.setenv("TRADELINE_PASSPHRASE_FILE", str(tmp_path / "b"))
    assert read_passphrase(tmp_path / "a", "it") == b"first"
    assert read_passphrase(None, "it") == b"second"
    with pytest.raises(KeystoreError, match="has 0 bytes"):
        read_passphrase(tmp_path / "empty", "it")
    with pytest.raises(KeystoreError, match="can't be read"):
        read_passphrase(tmp_path / "absent", "it")
    monkeypatch.delenv("TRADELINE_PASSPHRASE_FILE")
    with pytest.raises(KeystoreError, match="no terminal"):
        read_passphrase(None, "it")


TESTNET = Founding(
    name="Trial",
    members=("bank", "lender"),
    observers=("regulator",),
    nodeless=(),
    base_port=7101,
    utc_offset_min=480,
    time_ms=1_790_000_000_000,
    engine="cometbft",
    hosts=("127.0.0.1", "127.0.0.2", "::1"),
)


@pytest.fixture(scope="module")
def testnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("founding") / "testnet"
    found(folder, TESTNET, None)
    return folder


@pytest.mark.parametrize("slug", ["bank", "lender", "regulator"])
def test_member_folder_is_complete_wherever_it_is_copied(
    testnet: Path, tmp_path: Path, slug: str
) -> None:
    folder = Path(shutil.copytree(testnet / slug, tmp_path / "elsewhere"))
    config = load_config(folder, {})
    ledger = read_genesis(config.path(config.node.genesis))
    passphrase = read_passphrase(config.path(config.node.passphrase_file), "it")
    keys = open_keystore(config.path(config.node.keys), passphrase)
    keys.check(ledger.registry.member(config.node.member), folder)
    assert str(testnet) not in (folder / "node.toml").read_text()
    client = (folder / "client" / "client.keys").read_bytes()
    assert CLIENT_KEYS.decode(open_keyfile(passphrase, client)).member == keys.member


def test_every_member_has_a_passphrase_of_its_own(testnet: Path) -> None:
    files = sorted(testnet.glob("*/passphrase"))
    assert [each.parent.name for each in files] == ["bank", "lender", "regulator"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    assert len({each.read_bytes() for each in files}) == 3


def test_engines_listen_where_the_registry_says(testnet: Path) -> None:
    ledger = open_genesis((testnet / "genesis").read_bytes())
    for number, slug in ((1, "bank"), (2, "lender"), (3, "regulator")):
        config = load_config(testnet / slug, {})
        record = ledger.registry.member(number)
        assert record is not None
        host = config.engine.p2p_host if number < 3 else f"[{config.engine.p2p_host}]"
        assert record.engine_peer.endswith(f"@{host}:{config.engine.p2p_port}")
        assert record.endpoint == config.url(tls=True)
        assert config.engine.driver == "cometbft"


def test_observer_with_a_node_has_neither_vote_nor_shares(testnet: Path) -> None:
    registry = open_genesis((testnet / "genesis").read_bytes()).registry
    regulator = registry.member(3)
    assert regulator is not None
    assert regulator.roles == Role.OBSERVER
    assert regulator.node_key is not None
    assert regulator.tag_key_hash is None
    assert registry.epoch.validators == (1, 2)
    assert [each.member for each in registry.epoch.committee] == [1, 2]
    assert not (testnet / "regulator" / "custody").exists()


def test_contributor_without_a_node_files_and_reads_through_those_of_others(tmp_path: Path) -> None:
    founding = replace(TESTNET, contributors=("branch",))
    registry = found(tmp_path / "net", founding, b"of tests").registry
    branch = registry.member(4)
    assert branch is not None
    assert branch.roles == Role.CONTRIBUTOR | Role.READER | Role.AUTHENTICATOR
    assert (branch.endpoint, branch.node_key) == ("", None)
    assert branch.tag_key_hash is not None
    for slug in ("bank", "lender"):
        handed = tmp_path / "net" / slug / "custody" / FOLDER_NAME
        assert (handed / file_name(4, branch.tag_key_hash)).is_file()
    assert not (tmp_path / "net" / "branch" / "node.toml").exists()
    assert not registry.epoch.validators.count(4)


def test_founders_choose_how_long_events_are_kept(tmp_path: Path) -> None:
    params = found(tmp_path / "net", replace(TESTNET, retain_months=480), b"of tests").params
    kept = {Category(row.category): row.retain_months for row in params.retention}
    assert kept.pop(Category.INQUIRY) == 24
    assert set(kept.values()) == {480}


def test_one_address_serves_all_nodes_or_each_has_its_own() -> None:
    with pytest.raises(ConfigError, match="2 addresses for 3 nodes"):
        replace(TESTNET, hosts=("127.0.0.1", "127.0.0.2"))


def test_command_names_as_many_members_as_asked(tmp_path: Path) -> None:
    arguments = ["testnet", "init", "--dir", str(tmp_path / "net"), "--nodes", "5"]
    done = CliRunner().invoke(app, [*arguments, "--observers", "3"])
    assert done.exit_code == 0, done.output
    names = [line.rsplit("/", 1)[1] for line in done.stdout.splitlines()[1:]]
    assert names == [
        *("bank", "lender", "payment", "court", "member-5"),
        *("regulator", "auditor", "observer-3"),
    ]
    assert f"tradeline testnet up --dir {tmp_path / 'net'}" in done.stderr
