"""Joining a running consortium: own keys, a vote on the candidate file, an invite, the log."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.governance import proposal, vote
from tests.node.cluster import PASSPHRASE, Cluster, institutions, wait_for
from tests.world import CONSORTIUM_KEY
from typer.testing import CliRunner, Result

from tradeline_ledger.encoding import encode
from tradeline_ledger.member_files import ClientKeys, decode_profile
from tradeline_ledger.policy_file import decode_policy
from tradeline_ledger.proposal import Admit, proposal_id
from tradeline_ledger.registry import Role
from tradeline_ledger.statement import Kind
from tradeline_node.candidacy import Candidacy, make_candidate, read_candidate
from tradeline_node.cli import app
from tradeline_node.config import load_config
from tradeline_node.errors import ConfigError, KeystoreError, NodeError
from tradeline_node.genesis_file import read_genesis
from tradeline_node.joining import join, read_invite, write_invite
from tradeline_node.keystore import open_keystore
from tradeline_node.member_folder import open_client_keys, seal_client_keys, take_consortium_key
from tradeline_node.member_keys import Place, make_member_keys
from tradeline_node.store import LedgerStore

NEW = 7
OWN = b"of the newcomer"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run a consortium of four nodes, the first with its client's folder."""
    founders = institutions(tls=True)
    cluster = Cluster(tmp_path_factory.mktemp("joining") / "net", founders=founders)
    client = cluster.member_folder(1) / "client"
    client.mkdir()
    keys = make_member_keys(1, CONSORTIUM_KEY, node=False).client
    (client / "client.keys").write_bytes(seal_client_keys(keys, PASSPHRASE))
    with cluster.running() as running:
        running.hand_over_tag_keys()
        yield running


@pytest.fixture(scope="module")
def candidate(cluster: Cluster) -> Path:
    """Return the folder of a newcomer that was not admitted yet."""
    folder = cluster.folder.with_name("newcomer")
    roles = Role.CONTRIBUTOR | Role.READER
    make_candidate(folder, Candidacy(NEW, "Newcomer", roles, Place("127.0.0.1", 7401, 7501)), OWN)
    return folder


def invite(cluster: Cluster, candidate: Path, path: Path, days: float = 1) -> Path:
    config = load_config(cluster.member_folder(1), {})
    until_ms = int((time.time() + days * 86_400) * 1000)
    write_invite(config, PASSPHRASE, candidate, path, until_ms)
    return path


def test_member_that_was_not_admitted_is_not_invited(
    cluster: Cluster, candidate: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="member 7 is not admitted"):
        invite(cluster, candidate, tmp_path / "invite")
    assert not (tmp_path / "invite").exists()


@pytest.fixture(scope="module")
def admitted(cluster: Cluster, candidate: Path) -> Path:
    """Have the newcomer admitted by a vote; return its folder."""
    world = cluster.world()
    content = encode(proposal(world, Admit(read_candidate(candidate))))
    cluster.post(1, world.entry(1, Kind.PROPOSAL, content))
    for member in (2, 3):
        cluster.post(member, vote(cluster.world(), member, proposal_id(content)))
    wait_for(lambda: cluster.node(1).store.registry.member(NEW), "its admission")
    cluster.submit(1, 2, "after the admission")
    wait_for(lambda: cluster.node(1).publisher.behind_s() == 0)
    return candidate


@pytest.fixture
def folder(admitted: Path, tmp_path: Path) -> Path:
    """Return a copy of the newcomer's folder."""
    return Path(shutil.copytree(admitted, tmp_path / "member"))


def command(folder: Path, *words: str | Path) -> Result:
    file = folder.with_name("passphrase")
    file.write_bytes(OWN)
    arguments = [str(each) for each in words]
    done = CliRunner().invoke(app, [*arguments, "--passphrase-file", str(file)])
    if isinstance(done.exception, NodeError):
        raise done.exception
    return done


def test_newcomer_joins_by_an_invite_and_has_the_log(
    cluster: Cluster, folder: Path, tmp_path: Path
) -> None:
    file = invite(cluster, folder, tmp_path / "invite")
    done = command(folder, "node", "join", file, folder, "--yes")
    assert done.exit_code == 0, done.output
    assert f"ledger     {cluster.ledger.ledger_id.hex()}" in done.stdout
    config = load_config(folder, {})
    ledger = read_genesis(config.path(config.node.genesis))
    store = LedgerStore.open(config.path(config.storage.ledger), ledger)
    record = store.registry.member(NEW)
    assert store.head.size >= cluster.node(1).store.head.size - 2
    store.close()
    open_keystore(folder / "node.keys", OWN).check(record, folder)
    assert open_client_keys(folder, OWN).consortium_key == CONSORTIUM_KEY
    profile = decode_profile((folder / "client" / "client.toml").read_text())
    assert (profile.member, profile.ledger_id) == (NEW, ledger.ledger_id)
    assert decode_policy((folder / "client" / "policy").read_bytes()).quorum == "validators"


def test_invite_shows_who_is_there_and_is_asked_about(
    cluster: Cluster, folder: Path, tmp_path: Path
) -> None:
    file = invite(cluster, folder, tmp_path / "invite")
    words = ["node", "join", str(file), str(folder), "--no-fetch"]
    passphrase = tmp_path / "passphrase"
    passphrase.write_bytes(OWN)
    words += ["--passphrase-file", str(passphrase)]
    refused = CliRunner().invoke(app, words, input="n\n")
    assert refused.exit_code == 1
    assert not (folder / "genesis").exists()
    for member in (1, 2, 3, 4):
        assert cluster.url(member) in refused.stdout
    agreed = CliRunner().invoke(app, words, input="y\n")
    assert agreed.exit_code == 0, agreed.output
    assert (folder / "genesis").read_bytes() == cluster.ledger.file


def test_invite_is_used_once(cluster: Cluster, folder: Path, tmp_path: Path) -> None:
    file = invite(cluster, folder, tmp_path / "invite")
    join(folder, read_invite(file, 0), OWN)
    before = {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()}
    with pytest.raises(ConfigError, match="an invite is used once"):
        join(folder, read_invite(file, 0), OWN)
    assert {each: each.read_bytes() for each in folder.rglob("*") if each.is_file()} == before


def test_expired_invite_is_refused(cluster: Cluster, folder: Path, tmp_path: Path) -> None:
    file = invite(cluster, folder, tmp_path / "invite", days=-3)
    with pytest.raises(ConfigError, match=r"expired 3\.0 days ago.*ask member 1 for a new one"):
        command(folder, "node", "join", file, folder, "--yes")
    assert not (folder / "genesis").exists()


def test_invite_is_of_no_use_to_other_keys(cluster: Cluster, folder: Path, tmp_path: Path) -> None:
    file = read_invite(invite(cluster, folder, tmp_path / "invite"), 0)
    place = Place("127.0.0.1", 7402, 7502)
    for number, message in ((NEW, "another institution has that id"), (8, "is of member 8")):
        other = tmp_path / f"other-{number}"
        make_candidate(other, Candidacy(number, "Other", Role.READER, place), OWN)
        with pytest.raises(ConfigError, match=message):
            join(other, file, OWN)
        assert not (other / "genesis").exists()
    with pytest.raises(KeystoreError, match="is locked"):
        join(folder, file, b"wrong")
    with pytest.raises(ConfigError, match="another institution has that id"):
        invite(cluster, tmp_path / f"other-{NEW}", tmp_path / "second")


def test_invite_that_was_altered_is_refused(cluster: Cluster, folder: Path, tmp_path: Path) -> None:
    file = invite(cluster, folder, tmp_path / "invite")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="is no invite that can be used"):
        read_invite(file, 0)
    with pytest.raises(ConfigError, match="can't be read"):
        read_invite(tmp_path / "absent", 0)
    with pytest.raises(ConfigError, match="is there already"):
        invite(cluster, folder, file)


def test_only_who_holds_the_consortium_key_invites(
    cluster: Cluster, folder: Path, tmp_path: Path
) -> None:
    mine = cluster.member_folder(1)
    take_consortium_key(mine, secrets.token_bytes(32), PASSPHRASE)
    try:
        with pytest.raises(KeystoreError, match="does not hold the consortium key"):
            invite(cluster, folder, tmp_path / "invite")
    finally:
        take_consortium_key(mine, CONSORTIUM_KEY, PASSPHRASE)


def test_command_writes_the_invite_of_a_running_node(
    cluster: Cluster, folder: Path, tmp_path: Path
) -> None:
    passphrase = tmp_path / "of-1"
    passphrase.write_bytes(PASSPHRASE)
    words = ("node", "invite", cluster.member_folder(1), folder, tmp_path / "invite")
    options = ["--days", "2", "--passphrase-file", str(passphrase)]
    done = CliRunner().invoke(app, [*map(str, words), *options])
    assert done.exit_code == 0, done.output
    left_ms = read_invite(tmp_path / "invite", 0).until_ms - time.time() * 1000
    assert 1.9 * 86_400_000 < left_ms <= 2 * 86_400_000
    assert isinstance(open_client_keys(folder, OWN), ClientKeys)
