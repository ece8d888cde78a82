"""The founders' ceremony, by its commands: each founder has one folder, and sees no other."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tradeline_ledger.candidate import open_candidate
from tradeline_ledger.genesis_draft import open_draft
from tradeline_ledger.identifier import lei, uscc
from tradeline_ledger.registry import Role
from tradeline_ledger.tag import linker_hash
from tradeline_node.cli import app
from tradeline_node.config import load_config
from tradeline_node.errors import ConfigError, KeystoreError, NodeError
from tradeline_node.genesis_file import read_genesis
from tradeline_node.keystore import open_keystore
from tradeline_node.member_folder import open_client_keys

NAMES = {1: "Bank", 2: "Lender", 3: "Feed"}


def passphrase(member: int) -> bytes:
    return f"of member {member}".encode()


class Ceremony:
    """Founders, each in a folder of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.draft = path / "draft"

    def folder(self, member: int) -> Path:
        return self.path / f"of-{member}"

    def run(self, *words: str | Path, member: int | None = None) -> Result:
        """Run a command in the name of a member; what it raises is raised."""
        arguments = [str(word) for word in words]
        if member is not None:
            file = self.path / f"passphrase-{member}"
            file.write_bytes(passphrase(member))
            arguments += ["--passphrase-file", str(file)]
        done = CliRunner().invoke(app, arguments)
        if isinstance(done.exception, NodeError):
            raise done.exception
        return done

    def init(self, member: int, *options: str) -> Result:
        words = ("node", "init", self.folder(member), "--member", str(member))
        name = NAMES.get(member, f"Member {member}")
        port = ("--http-port", str(7100 + member), "--engine-port", str(7200 + member))
        return self.run(*words, "--name", name, *port, *options, member=member)

    def create(self, *others: int) -> Result:
        given = [word for each in others for word in ("--member", str(self.candidate(each)))]
        words = ("genesis", "create", self.draft, "--name", "Trial", "--folder", self.folder(1))
        return self.run(*words, *given, member=1)

    def candidate(self, member: int) -> Path:
        return self.folder(member) / "candidate"

    def sign(self, member: int, draft: Path | None = None) -> Result:
        words = ("genesis", "sign", draft or self.draft, "--folder", self.folder(member), "--yes")
        return self.run(*words, member=member)

    def install(self, member: int) -> Result:
        words = ("genesis", "verify", self.draft, "--folder", self.folder(member))
        return self.run(*words, member=member)


@pytest.fixture(scope="module")
def candidates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ceremony = Ceremony(tmp_path_factory.mktemp("ceremony"))
    for member in NAMES:
        assert ceremony.init(member).exit_code == 0
    return ceremony.path


@pytest.fixture
def ceremony(candidates: Path, tmp_path: Path) -> Ceremony:
    return Ceremony(Path(shutil.copytree(candidates, tmp_path / "ceremony")))


def test_three_founders_make_a_ledger_and_nobody_holds_anothers_keys(ceremony: Ceremony) -> None:
    assert "signatures of members 1, 2, 3 are missing" in ceremony.create(2, 3).stdout
    for member in (2, 1, 3):
        assert ceremony.sign(member).exit_code == 0
    for member in NAMES:
        assert "complete: every founder has signed" in ceremony.install(member).stdout
    ledgers = {read_genesis(ceremony.folder(member) / "genesis").ledger_id for member in NAMES}
    assert len(ledgers) == 1
    for member in NAMES:
        folder = ceremony.folder(member)
        config = load_config(folder, {})
        ledger = read_genesis(config.path(config.node.genesis))
        record = ledger.registry.member(member)
        open_keystore(folder / "node.keys", passphrase(member)).check(record, folder)
        keys = open_client_keys(folder, passphrase(member))
        assert linker_hash(keys.consortium_key) == ledger.params.linker
        assert (config.engine.driver, config.http.port) == ("cometbft", 7100 + member)
        for other in set(NAMES) - {member}:
            with pytest.raises(KeystoreError, match="is locked"):
                open_keystore(folder / "node.keys", passphrase(other))
        assert {each.name for each in folder.iterdir()} == {
            *("candidate", "client", "genesis", "node.keys", "node.toml")
        }
        assert stat.S_IMODE((folder / "client" / "client.keys").stat().st_mode) == 0o600


def test_no_consortium_key_lies_open_in_what_is_passed_around(ceremony: Ceremony) -> None:
    ceremony.create(2, 3)
    ceremony.sign(1)
    passed = ceremony.draft.read_bytes() + ceremony.candidate(1).read_bytes()
    keys = open_client_keys(ceremony.folder(1), passphrase(1))
    secrets = (keys.consortium_key, keys.tag_key, keys.storage_key, keys.root_seed or b"")
    assert not any(secret in passed for secret in secrets)


def test_genesis_that_a_founder_did_not_sign_is_installed_nowhere(ceremony: Ceremony) -> None:
    ceremony.create(2, 3)
    ceremony.sign(1)
    ceremony.sign(3)
    done = ceremony.run("genesis", "verify", ceremony.draft, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["missing"] == [2]
    with pytest.raises(ConfigError, match="lacks the signatures of members 2;"):
        ceremony.install(1)
    assert not (ceremony.folder(1) / "genesis").exists()


def test_node_does_not_start_by_a_draft(ceremony: Ceremony) -> None:
    ceremony.create(2)
    shutil.copy(ceremony.draft, ceremony.folder(1) / "genesis")
    with pytest.raises(ConfigError, match="a draft becomes one by"):
        read_genesis(ceremony.folder(1) / "genesis")


def test_copies_that_were_signed_apart_are_merged(ceremony: Ceremony) -> None:
    ceremony.create(2, 3)
    copies = [Path(shutil.copy(ceremony.draft, ceremony.path / f"copy-{n}")) for n in (2, 3)]
    ceremony.sign(1)
    for member, copy in zip((2, 3), copies, strict=True):
        ceremony.sign(member, copy)
    done = ceremony.run("genesis", "add", ceremony.draft, *copies)
    assert "complete" in done.stdout
    assert open_draft(ceremony.draft.read_bytes()).missing == ()


def test_founder_who_is_added_makes_all_sign_anew(ceremony: Ceremony) -> None:
    ceremony.create(2)
    ceremony.sign(1)
    before = open_draft(ceremony.draft.read_bytes()).ledger_id
    words = ("genesis", "add", ceremony.draft, ceremony.candidate(3))
    with pytest.raises(ConfigError, match="name your folder"):
        ceremony.run(*words)
    with pytest.raises(ConfigError, match="does not hold the consortium key"):
        ceremony.run(*words, "--folder", ceremony.folder(2), member=2)
    assert ceremony.run(*words, "--folder", ceremony.folder(1), member=1).exit_code == 0
    draft = open_draft(ceremony.draft.read_bytes())
    assert draft.missing == (1, 2, 3)
    assert draft.ledger_id != before


def test_founder_does_not_sign_what_its_candidate_file_does_not_say(ceremony: Ceremony) -> None:
    impostor = Ceremony(ceremony.path / "impostor")
    impostor.path.mkdir()
    assert impostor.init(2).exit_code == 0
    shutil.copy(impostor.candidate(2), ceremony.path / "other")
    words = ("genesis", "create", ceremony.draft, "--name", "Trial")
    options = ("--folder", ceremony.folder(1), "--member", ceremony.path / "other")
    assert ceremony.run(*words, *options, member=1).exit_code == 0
    with pytest.raises(ConfigError, match=r"in root_key, feeds.*don't sign"):
        ceremony.sign(2)
    with pytest.raises(ConfigError, match=r"member 3 of .* is not among them"):
        ceremony.sign(3)


def test_founder_is_asked_before_it_signs(ceremony: Ceremony) -> None:
    ceremony.create(2)
    words = ["genesis", "sign", str(ceremony.draft), "--folder", str(ceremony.folder(2))]
    file = ["--passphrase-file", str(ceremony.path / "passphrase-2")]
    refused = CliRunner().invoke(app, [*words, *file], input="n\n")
    assert refused.exit_code == 1
    assert "root key" in refused.stdout
    assert open_draft(ceremony.draft.read_bytes()).missing == (1, 2)
    agreed = CliRunner().invoke(app, [*words, *file], input="y\n")
    assert agreed.exit_code == 0
    assert open_draft(ceremony.draft.read_bytes()).missing == (1,)


def test_two_founders_with_one_id_or_one_key_are_refused(ceremony: Ceremony) -> None:
    other = Ceremony(ceremony.path / "other")
    other.path.mkdir()
    assert other.init(1).exit_code == 0
    words = ("genesis", "create", ceremony.draft, "--name", "Trial", "--folder", ceremony.folder(1))
    with pytest.raises(ConfigError, match="both are member 1"):
        ceremony.run(*words, "--member", other.candidate(1), member=1)
    assert not ceremony.draft.exists()


def test_nothing_is_overwritten(ceremony: Ceremony) -> None:
    with pytest.raises(ConfigError, match="keys are never overwritten"):
        ceremony.init(1)
    ceremony.create(2)
    with pytest.raises(ConfigError, match="is there already"):
        ceremony.create(3)
    for member in (1, 2):
        ceremony.sign(member)
    ceremony.install(1)
    with pytest.raises(ConfigError, match="is of a ledger already"):
        ceremony.install(1)


def test_wrong_passphrase_and_files_of_another_kind_are_refused(ceremony: Ceremony) -> None:
    ceremony.create(2)
    (ceremony.path / "wrong").write_bytes(b"wrong")
    with pytest.raises(KeystoreError, match="locked"):
        ceremony.run(
            *("genesis", "sign", ceremony.draft, "--folder", ceremony.folder(1), "--yes"),
            *("--passphrase-file", ceremony.path / "wrong"),
        )
    with pytest.raises(ConfigError, match="is no draft"):
        ceremony.run("genesis", "verify", ceremony.candidate(1))
    with pytest.raises(ConfigError, match="as a candidate file"):
        ceremony.run("genesis", "add", ceremony.draft, ceremony.folder(1) / "node.toml")
    with pytest.raises(ConfigError, match="can't be read"):
        ceremony.run("genesis", "verify", ceremony.path / "absent")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--roles", "king"), "unknown role 'king'"),
        (("--lei", "5299000J2N45DDNE4Y27"), "LEI"),
        (("--host", "not a host"), "no such member"),
    ],
)
def test_impossible_candidate_leaves_nothing_behind(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    ceremony = Ceremony(tmp_path)
    with pytest.raises(ConfigError, match=message):
        ceremony.init(1, *options)
    assert not ceremony.folder(1).exists()


def test_candidate_says_what_was_asked(tmp_path: Path) -> None:
    ceremony = Ceremony(tmp_path)
    legal = lei("5299000J2N45DDNE4Y"), uscc("91", "310000", "MA1FL5E2X")
    options = ("--roles", "observer", "--host", "node.example", "--listen", "192.0.2.1")
    ids = ("--lei", legal[0], "--uscc", legal[1], "--group", "7")
    assert ceremony.init(9, *options, *ids).exit_code == 0
    record = open_candidate(ceremony.candidate(9).read_bytes())
    assert (record.id, record.group, record.roles) == (9, 7, Role.OBSERVER)
    assert record.endpoint == "https://node.example:7109"
    assert record.engine_peer.endswith("@node.example:7209")
    assert {each.identifier for each in record.legal_ids} == set(legal)
    config = load_config(ceremony.folder(9), {})
    assert (config.http.host, config.engine.p2p_host) == ("192.0.2.1", "192.0.2.1")
