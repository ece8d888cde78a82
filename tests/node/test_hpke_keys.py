"""A node's HPKE keys of several epochs: which one opens what, and what is said when it is gone."""

from __future__ import annotations

from pathlib import Path

import msgspec.structs
import pytest
from tests.node.cluster import PASSPHRASE, node_keys
from tests.world import World, seed

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError, SealError
from tradeline_ledger.hpke import PrivateKey, seal
from tradeline_ledger.member_files import MORE_HPKE_MAX, NODE_KEYS
from tradeline_ledger.registry import CommitteeMember
from tradeline_node.errors import KeystoreError, StoreError
from tradeline_node.hpke_keys import HpkeKeys
from tradeline_node.keystore import open_keystore, seal_keystore, write_private
from tradeline_node.share_box import open_share_box

OLD, NEW, OTHER = (
    PrivateKey.generate(b"".join(seed(name, part) for part in range(3)))
    for name in ("old", "new", "other")
)


def info(key_id: bytes) -> bytes:
    return encode(("test", key_id))


def sealed(key: PrivateKey) -> bytes:
    return seal(key.public, b"plaintext", info(key.public.key_id))


def test_any_of_the_keys_opens_what_is_sealed_to_it() -> None:
    keys = HpkeKeys(NEW, OLD)
    for key in (NEW, OLD):
        assert keys.open_sealed(sealed(key), info) == b"plaintext"
    with pytest.raises(SealError, match=NEW.public.key_id.hex()):
        keys.open_sealed(sealed(OTHER), info)


def test_the_registry_says_which_key_is_in_force() -> None:
    keys, record = HpkeKeys(NEW, OLD), World().institution(4).record
    for key in (OLD, NEW):
        named = msgspec.structs.replace(record, hpke_key=key.public.encoded)
        assert keys.in_force(named) is key
    assert keys.in_force(msgspec.structs.replace(record, hpke_key=OTHER.public.encoded)) is NEW


def test_deposits_open_with_the_key_that_their_epoch_names() -> None:
    keys, epoch = HpkeKeys(NEW, OLD), World().registry.epoch
    for key in (OLD, NEW):
        seat = CommitteeMember(4, key.public.key_id)
        named = msgspec.structs.replace(epoch, committee=(*epoch.committee[:3], seat))
        assert keys.of_epoch(named, 3) is key
    with pytest.raises(KeystoreError, match="is not in this node's keystore"):
        keys.of_epoch(epoch, 3)
    assert OLD.public.key_id.hex() in repr(keys)


def test_keystore_holds_further_keys_and_none_is_shown(tmp_path: Path) -> None:
    private = b"".join(seed("old", part) for part in range(3))
    keys = msgspec.structs.replace(node_keys(4), more_hpke=(private,))
    path = tmp_path / "node.keys"
    write_private(path, seal_keystore(keys, PASSPHRASE))
    opened = open_keystore(path, PASSPHRASE)
    record = World().institution(4).record
    opened.check(record, path)
    opened.check(msgspec.structs.replace(record, hpke_key=OLD.public.encoded), path)
    with pytest.raises(KeystoreError, match=r"the HPKE key .* is not the one of member 4"):
        opened.check(msgspec.structs.replace(record, hpke_key=NEW.public.encoded), path)
    assert private.hex() not in repr(keys) + repr(opened)
    for wrong in ((private[:-1],), (private,) * (MORE_HPKE_MAX + 1)):
        fields = msgspec.structs.astuple(keys)
        with pytest.raises(MalformedError, match="HPKE"):
            NODE_KEYS.decode(encode((*fields[:-1], wrong)))


def test_box_of_own_shares_opens_after_the_key_was_replaced(tmp_path: Path) -> None:
    ledger_id = World().ledger.ledger_id
    before = open_share_box(tmp_path / "box", HpkeKeys(OLD), ledger_id, 4)
    kept = before.seal(seed("batch"), b"shares")
    after = open_share_box(tmp_path / "box", HpkeKeys(NEW, OLD), ledger_id, 4)
    assert after.open(seed("batch"), kept) == b"shares"
    with pytest.raises(StoreError, match="does not open with this node's HPKE keys"):
        open_share_box(tmp_path / "box", HpkeKeys(NEW), ledger_id, 4)
