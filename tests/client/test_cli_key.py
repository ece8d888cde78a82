"""A member replaces its keys from the command line, against real node processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.client.cli import Cli, Ran
from tests.client.test_end_to_end import PASSPHRASE, Consortium

from tradeline_client.keystore import read_client_keys
from tradeline_ledger.member_files import decode_profile

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]


@pytest.fixture
def consortium(tmp_path: Path) -> Iterator[Consortium]:
    made = Consortium(tmp_path)
    made.init()
    made.start()
    yield made
    made.stop()


@dataclass
class Desk:
    """A command line in the bank's folder."""

    cli: Cli
    consortium: Consortium

    def __call__(self, *arguments: object, code: int = 0) -> Ran:
        options = ("--folder", self.folder, "--passphrase-file", self.consortium.passphrase)
        ran = self.cli("key", *arguments, *options)
        assert ran.code == code, ran.err
        return ran

    @property
    def folder(self) -> Path:
        return self.consortium.client("bank")

    def keys(self) -> dict[str, dict[str, Any]]:
        return {each["key"]: each for each in self("show", "--json").json}

    def feeds(self) -> list[int]:
        return [
            each.feed for each in read_client_keys(self.folder / "client.keys", PASSPHRASE).feeds
        ]


@pytest.fixture
def desk(consortium: Consortium, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(Cli(capsys), consortium)


def node(consortium: Consortium, *arguments: object, code: int = 0) -> str:
    """Run `tradeline node keys` as the bank's operator; return what it says."""
    command = [sys.executable, "-m", "tradeline_node", "node", "keys", *map(str, arguments)]
    done = subprocess.run(
        [*command, "--passphrase-file", str(consortium.passphrase)],
        env=consortium.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_feeds_get_new_keys_and_the_folder_goes_on_with_them(desk: Desk) -> None:
    before = desk.keys()
    assert (before["feed 1"]["here"], before["feed 2"]["here"]) == (True, True)
    assert desk("rotate", 1, "--json").json["feed"] == 3
    assert desk("rotate", 2, "--json").json["feed"] == 4  # the desk, which also signs requests
    after = desk.keys()
    assert {name for name in after if name.startswith("feed")} == {"feed 3", "feed 4"}
    assert after["feed 3"]["here"] is True
    assert not {each["fingerprint"] for each in before.values() if "feed" in each["key"]} & {
        each["fingerprint"] for each in after.values()
    }
    assert after["root"] == before["root"]
    assert desk.feeds() == [3, 4]
    profile = decode_profile((desk.folder / "client.toml").read_text())
    assert (profile.bulk_feed, profile.desk_feed, profile.request_feed) == (3, 4, 4)
    assert "has no key in this folder" in desk("rotate", 2, code=1).err
    assert "tradeline key rotate 4" in desk("end", 4, code=1).err


def test_rotation_that_was_cut_off_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_arguments: object) -> None:
        raise KeyboardInterrupt

    for name in ("use_feed", "drop_feed"):
        with monkeypatch.context() as patch:
            patch.setattr(f"tradeline_client.feed_keys.{name}", cut)
            ran = desk.cli(
                *("key", "rotate", 2, "--folder", desk.folder),
                *("--passphrase-file", desk.consortium.passphrase),
            )
            assert ran.code != 0
        assert 3 in desk.feeds()
    assert desk("rotate", 2, "--json").json["feed"] == 3
    assert desk.feeds() == [1, 3]


def test_node_runs_on_with_keys_that_the_root_key_registered(
    desk: Desk, consortium: Consortium
) -> None:
    bank = consortium.folder / "bank"
    before = desk.keys()
    assert "unknown key 'king'" in node(consortium, "new", bank, "king", code=1)
    node(consortium, "new", bank, "node,cosigner")
    told = json.loads((bank / "new-keys.json").read_text())
    assert told.keys() == {"member", "node_key", "cosigner_key"}
    assert "waits for its switch" in node(consortium, "new", bank, "note", code=1)
    desk("node", bank / "new-keys.json")
    after = desk.keys()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"node", "cosigner"}
    assert "in use by another process" in node(consortium, "switch", bank, code=1)
    consortium.stop()
    node(consortium, "switch", bank)
    assert not (bank / "node.keys.next").exists()
    assert (bank / "node.keys.old").exists()
    assert "there is no" in node(consortium, "switch", bank, code=1)
    consortium.start()
    assert desk.keys() == after


def test_keys_that_nobody_registered_are_not_switched_to(
    desk: Desk, consortium: Consortium
) -> None:
    bank = consortium.folder / "bank"
    node(consortium, "new", bank, "note,hpke,tls,engine,peer")
    told = json.loads((bank / "new-keys.json").read_text())
    assert {*told} == {
        *("member", "note_key", "engine_key", "engine_peer_id", "hpke_key", "tls_pin")
    }
    kept = (bank / "node.keys").read_bytes()
    consortium.stop()
    said = node(consortium, "switch", bank, code=1)
    assert "the note key" in said
    assert "in the registry, which has" in said
    assert (bank / "node.keys").read_bytes() == kept
    consortium.start()


def test_wrong_files_of_new_keys_are_refused(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "new-keys.json"
    for text, message in (
        ("x", "is no file of new keys"),
        ('{"member": 2, "node_key": "00"}', "keys of member 2, this folder is of member 1"),
        ('{"member": 1, "tls_pin": "00"}', "tls_pin has 1 bytes"),
        (f'{{"member": 1, "tls_pin": "{32 * "00"}"}}', "run `tradeline key propose`"),
        ('{"member": 1, "note_key": "00"}', "64 hexadecimal digits"),
    ):
        file.write_text(text)
        assert message in desk("node", file, code=1).err
    assert "can't be read" in desk("node", tmp_path / "absent", code=1).err
