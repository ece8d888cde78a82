"""Root, tag and HPKE keys are replaced from the command line, against real node processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec.structs
import pytest
from tests.client.cli import Cli, Ran
from tests.client.network import payment
from tests.client.test_cli_key import node
from tests.client.test_consent import correction, question
from tests.client.test_end_to_end import PASSPHRASE, Consortium, wish
from tests.world import subject

from tradeline_client.client import Client
from tradeline_client.flows.own_events import own_events
from tradeline_client.flows.submit import PlacedBatch
from tradeline_client.keystore import read_client_keys, write_keystore
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.member_files import decode_client_keys
from tradeline_ledger.schemas import PAYMENT_MADE, SUPERSEDE
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.tag import tag_key_hash

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    made = Consortium(tmp_path_factory.mktemp("keys"))
    made.init()
    made.start()
    yield made
    made.stop()


class Council:
    """A command line in each member's folder."""

    def __init__(self, cli: Cli, consortium: Consortium) -> None:
        self.cli, self.consortium = cli, consortium

    def __call__(self, member: str, *words: object, code: int = 0) -> Ran:
        options = ("--folder", self.consortium.client(member))
        ran = self.cli(*words, *options, "--passphrase-file", self.consortium.passphrase)
        assert ran.code == code, ran.err
        return ran

    def approve(self, proposal: str) -> None:
        for member in ("lender", "payment"):
            self(member, "governance", "approve", proposal)

    def fingerprints(self, member: str) -> dict[str, str]:
        rows = self(member, "key", "show", "--json").json
        return {each["key"]: each["fingerprint"] for each in rows}


@pytest.fixture
def council(consortium: Consortium, capsys: pytest.CaptureFixture[str]) -> Council:
    return Council(Cli(capsys), consortium)


def test_root_key_is_replaced_by_a_vote_and_the_old_one_signs_nothing_any_more(
    council: Council, consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = consortium.client("bank") / "client.keys"
    before = council.fingerprints("bank")
    old = read_client_keys(path, PASSPHRASE)

    def cut(*_arguments: object) -> None:
        raise KeyboardInterrupt

    options = ("--folder", path.parent, "--passphrase-file", consortium.passphrase)
    with monkeypatch.context() as patch:
        patch.setattr("tradeline_client.new_keys.propose_root", cut)
        assert council.cli("key", "root", *options).code != 0
    made = read_client_keys(path, PASSPHRASE)
    assert made.next_root_seed is not None
    assert msgspec.structs.replace(made, next_root_seed=None) == old
    key = SigningKey(made.next_root_seed).public.hex()

    asked = council("bank", "key", "root", "--reason", "Twice a year.", "--json").json
    assert (asked["state"], asked["standing"], asked["root_key"]) == ("waiting", "open", key)
    assert council("bank", "key", "root", "--json").json == asked, "it is not proposed twice"
    shown = council("court", "governance", "show", asked["proposal"]).out
    assert "Twice a year." in shown
    assert "member 1 root_key" in shown
    council("bank", "key", "rotate", 1)  # the old root key is good until then
    council.approve(asked["proposal"])
    with monkeypatch.context() as patch:
        patch.setattr("tradeline_client.own_keys.use_root", cut)
        assert council.cli("key", "root", *options).code != 0
    done = council("bank", "key", "root", "--json").json
    assert done == {"state": "replaced", "root_key": key}
    after = council.fingerprints("bank")
    assert [name for name in before if name in after and before[name] != after[name]] == ["root"]

    new = read_client_keys(path, PASSPHRASE)
    write_keystore(path, msgspec.structs.replace(new, root_seed=old.root_seed), PASSPHRASE)
    assert "key-root-unsigned" in council("bank", "key", "rotate", 2, code=1).err
    write_keystore(path, new, PASSPHRASE)
    council("bank", "key", "rotate", 2)


def test_tag_key_is_replaced_and_what_was_filed_before_is_found_and_corrected(
    council: Council, consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = consortium.client("lender")
    post(path, "before-1", "before-2")
    old = read_client_keys(path / "client.keys", PASSPHRASE).tag_key

    def cut(*_arguments: object) -> None:
        raise KeyboardInterrupt

    options = ("--folder", path, "--passphrase-file", consortium.passphrase)
    with monkeypatch.context() as patch:
        patch.setattr("tradeline_client.own_keys.use_tag_key", cut)
        assert council.cli("tag-key", "rotate", *options).code != 0
    cut_off = read_client_keys(path / "client.keys", PASSPHRASE)
    assert cut_off.tag_key == old
    rows = council("lender", "tag-key", "rotate", "--json").json
    assert [each["taken"] for each in rows] == [True] * 4
    keys = read_client_keys(path / "client.keys", PASSPHRASE)
    assert (keys.tag_key, keys.more_tag_keys) == (cut_off.more_tag_keys[0], (old,))
    with Client.open(path, PASSPHRASE) as lender:
        record = lender.registry().member(lender.session.member)
        assert record is not None
        assert record.tag_key_hash == tag_key_hash(keys.tag_key)

    post(path, "after")
    with Client.open(path, PASSPHRASE) as lender:
        (target,) = lender.find_reference("before-1")
        fields = PAYMENT_MADE.values(currency="CNY", amount_minor=777, kind=1)
        replacement = (PAYMENT_MADE.number, 1, fields)
        report = correction(target.id, SUPERSEDE, replacement=replacement)
        events = [lender.plain(report, subject(1), target)]
        assert all(isinstance(e, PlacedBatch) for e in lender.submit_many(lender.batches(events)))
        own = lender.run(own_events(lender.session, [subject(1)]))
        assert len(set(own.tags.values())) == 2
        assert sorted(amounts(own)) == [777, 1000, 1000]
    with (
        Client.open(consortium.client("bank"), PASSPHRASE) as reader,
        Client.open(consortium.client("payment"), PASSPHRASE) as notary,
    ):
        draft = reader.draft_consent(wish(second=notary.session.member), [subject(1)])
        signed = notary.sign_consent(draft, [subject(1)])
        reader.grant(signed)
        report_read = reader.ask(question(signed.consent_id)).report
        assert not report_read.invalid
        assert sorted(amounts(report_read)) == [777, 1000, 1000]


def test_keys_that_need_a_vote_are_proposed_by_one_command(
    council: Council, consortium: Consortium
) -> None:
    court = consortium.folder / "court"
    before = council.fingerprints("court")
    node(consortium, "new", court, "note")
    refused = council("court", "key", "propose", court / "new-keys.json", code=1)
    assert "none of the new keys needs a vote" in refused.err
    (court / "node.keys.next").unlink()
    node(consortium, "new", court, "hpke,engine,peer,note")
    file = court / "new-keys.json"
    told = json.loads(file.read_text())
    said = council("court", "key", "node", file).out
    assert f"tradeline key propose {file}" in said
    posted = council("court", "key", "propose", file, "--json").json
    council.approve(posted["what"].removeprefix("proposal "))
    after = council.fingerprints("court")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"note", "engine", "HPKE"}
    with Client.open(consortium.client("court"), PASSPHRASE) as client:
        registry = client.registry()
        record = registry.member(4)
        assert record is not None
        assert record.engine_peer.startswith(told["engine_peer_id"] + "@")
        assert registry.epoch.epoch == 1
    consortium.stop()
    node(consortium, "switch", court)
    consortium.start()
    assert council.fingerprints("court") == after
    post(consortium.client("payment"), "dealt-to-the-new-key")


def test_folder_from_before_such_changes_opens(consortium: Consortium) -> None:
    keys = read_client_keys(consortium.client("court") / "client.keys", PASSPHRASE)
    fields: list[Any] = [getattr(keys, name) for name in keys.__struct_fields__]
    assert decode_client_keys(encode(tuple(fields[:-2]))) == keys
    with pytest.raises(MalformedError, match="client keys"):
        decode_client_keys(encode(tuple(fields[:-3])))


def post(path: Path, *references: str) -> None:
    """Submit a payment of one person for each reference."""
    with Client.open(path, PASSPHRASE) as client:
        events = [client.plain(payment(each), subject(1)) for each in references]
        assert all(isinstance(e, PlacedBatch) for e in client.submit_many(client.batches(events)))


def amounts(found: Any) -> list[int]:
    """Return what the payments that stand in a history or report amount to, minor units."""
    place = [each.name for each in PAYMENT_MADE.fields].index("amount_minor")
    return [each.fields[place] for each in found.effective]
