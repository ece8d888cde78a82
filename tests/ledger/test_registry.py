"""Members, versions and epochs: what a registry refuses, remembers and hashes to."""

from __future__ import annotations

import msgspec.structs
import pytest
from tests.world import BULK, DESK, INSTITUTIONS, make_ledger, seed

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.merkle import leaf_hash, root_of
from tradeline_ledger.registry import (
    EPOCH_RECORD,
    FEEDS_MAX,
    LEGAL_IDS_MAX,
    MEMBER_RECORD,
    CommitteeMember,
    Feed,
    LegalId,
    MemberRecord,
    Registry,
    Role,
    quorum,
)
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import NODE_KINDS, Kind, kinds_of

RECORD = INSTITUTIONS[0].record
REGISTRY = make_ledger().registry
EPOCH = REGISTRY.epoch


PEER_ID = "0123456789abcdef" * 2 + "01234567"
PEERS = [
    *("node-1.bank.example:1", "a:65535", "7101.example:26656", "10.0.0.255:26656"),
    *("[::1]:26656", "[2001:db8::ff00:42:8329]:1", f"{'a' * 63}.{'b' * 63}.{'c' * 63}:1"),
]
NO_PEERS = [
    *(f"{PEER_ID}{rest}" for rest in ("", "@", "@host", "@host:", "@:1", ":1", "@@host:1")),
    *(f"{PEER_ID}@host:{port}" for port in ("0", "01", "65536", "123456", "+1", "1 ", "\u0661")),
    *(f"{PEER_ID}@{host}:1" for host in ("Host", "-a", "a-", "a..b", ".a", "a.", "a_b", "a b")),
    *(
        f"{PEER_ID}@{host}:1"
        for host in ("1.2.3", "256.1.1.1", "01.1.1.1", "1.2.3.4.5", "7", "::1")
    ),
    *(
        f"{PEER_ID}@{host}:1"
        for host in ("[]", "[::G]", "[::1%lo]", "[::1.2.3.4]", "[fe80::1", "é")
    ),
    *(f"{PEER_ID[:-1]}{rest}@host:1" for rest in ("", "A", "g", "77")),
    f"{PEER_ID}@{'a' * 64}:1",
    f"tcp://{PEER_ID}@host:1",
    f"{PEER_ID}@host:1\n",
]


@pytest.mark.parametrize("where", PEERS)
def test_engine_is_reached_by_name_or_address(where: str) -> None:
    peer = f"{PEER_ID}@{where}"
    assert MEMBER_RECORD.decode(changed(engine_peer=peer)).engine_peer == peer


def changed(**fields: object) -> bytes:
    names = RECORD.__struct_fields__
    return encode(tuple(fields.get(name, getattr(RECORD, name)) for name in names))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"id": 0}, "numbered from 1"),
        ({"group": 0}, "numbered from 1"),
        ({"from_height": 5, "until_height": 4}, "ends before it begins"),
        ({"name": ""}, "expected 1 to 128"),
        ({"name": "x" * 129}, "expected 1 to 128"),
        ({"name": "A\nB"}, "control character"),
        ({"name": "e\u0301"}, "normal form C"),
        ({"endpoint": "x" * 257}, "expected 1 to 256"),
        ({"endpoint": "http://a\x00"}, "control character"),
        ({"engine_peer": "a" * 257}, "at most 256"),
        *(({"engine_peer": each}, "engine peer is not") for each in NO_PEERS),
        ({"engine_peer": f"{PEER_ID}@[::1::]:1"}, "'::1::'"),
        ({"roles": 64}, "unknown roles 64"),
        ({"legal_ids": ((3, "", "A" * 20),) * (LEGAL_IDS_MAX + 1)}, "too many"),
        ({"legal_ids": ((3, "", "lower"),)}, "digits and capital letters"),
        ({"legal_ids": ((3, "", ""),)}, "digits and capital letters"),
        ({"legal_ids": ((3, "", "A" * 65),)}, "digits and capital letters"),
        ({"legal_ids": ((2, "cn", "A"),)}, "country code"),
        ({"legal_ids": ((2, "CHN", "A"),)}, "country code"),
        ({"feeds": ((0, bytes(32), 2),)}, "feed 0 is the node's"),
        ({"feeds": ((2, bytes(32), 2), (1, bytes(32), 2))}, "ascend"),
        ({"feeds": ((1, bytes(32), 2), (1, bytes(32), 2))}, "ascend"),
        ({"feeds": ((1, bytes(32), 0),)}, "no kind"),
        ({"feeds": ((1, bytes(32), 1),)}, "unknown one"),
        ({"feeds": ((1, bytes(32), 1 << 17),)}, "unknown one"),
        ({"feeds": ((1, bytes(32), 1 << Kind.RELEASED),)}, "only the node signs"),
        ({"feeds": tuple((n, bytes(32), 2) for n in range(1, FEEDS_MAX + 2))}, "too many"),
        ({"root_key": bytes(31)}, "length >= 32"),
        ({"hpke_key": bytes(1215)}, "length >= 1216"),
        ({"until_height": -1}, ">= 0"),
    ],
)
def test_no_registry_holds_such_a_member(fields: dict[str, object], why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        MEMBER_RECORD.decode(changed(**fields))


def test_the_most_that_a_member_may_have_is_accepted() -> None:
    feeds = tuple((n, seed("feed", n), 2) for n in range(1, FEEDS_MAX + 1))
    legal_ids = ((3, "", "A" * 64), (2, "CN", "0")) * (LEGAL_IDS_MAX // 2)
    wide = "\U00020000"
    encoded = changed(feeds=feeds, legal_ids=legal_ids, name=wide * 128, endpoint=wide * 256)
    assert len(encoded) < MEMBER_RECORD.bytes_max
    record = MEMBER_RECORD.decode(encoded)
    assert len(record.feeds) == 256
    assert record.legal_ids[1] == LegalId(2, "CN", "0")


def epoch(**fields: object) -> bytes:
    names = EPOCH.__struct_fields__
    return encode(tuple(fields.get(name, getattr(EPOCH, name)) for name in names))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"suite": 2}, "suite is 2"),
        ({"suite": 0}, "suite is 0"),
        ({"validators": ()}, "0 validators, expected 1 to 64"),
        ({"validators": tuple(range(1, 66))}, "65 validators"),
        ({"validators": (2, 1)}, "validators must ascend"),
        ({"committee": ()}, "committee of 0, expected 1 to 16"),
        ({"committee": tuple((n, bytes(32)) for n in range(1, 18))}, "committee of 17"),
        ({"committee": ((2, bytes(32)), (1, bytes(32)))}, "committee members must ascend"),
    ],
)
def test_no_registry_holds_such_an_epoch(fields: dict[str, object], why: str) -> None:
    assert EPOCH_RECORD.decode(epoch()) == EPOCH
    with pytest.raises(MalformedError, match=why):
        EPOCH_RECORD.decode(epoch(**fields))


def test_quorum_leaves_room_for_a_third_of_the_members() -> None:
    assert [quorum(n) for n in range(1, 17)] == [1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9, 9, 10, 11, 11]
    for n in range(1, 100):
        faulty = n - quorum(n)
        assert 3 * faulty < n
        assert 2 * quorum(n) - n > faulty, "two quorums share an honest member"


def test_feed_0_is_the_node_key() -> None:
    assert RECORD.feed(0) == Feed(0, INSTITUTIONS[0].node.public, NODE_KINDS)
    assert INSTITUTIONS[4].record.feed(0) is None
    found = RECORD.feed(DESK)
    assert found is not None
    assert found.key == INSTITUTIONS[0].feed_key(DESK).public
    assert RECORD.feed(3) is None


def test_roles_are_a_set() -> None:
    assert RECORD.has(Role.READER)
    assert not INSTITUTIONS[3].record.has(Role.READER)
    assert INSTITUTIONS[3].record.has(Role.VALIDATOR)


def test_the_root_is_over_members_then_epochs() -> None:
    rows = [encode(record) for record in (*REGISTRY.members, *REGISTRY.epochs)]
    assert REGISTRY.root == root_of([leaf_hash(row) for row in rows])


@pytest.mark.parametrize("order", [(1, 0, 2, 3, 4), (0, 0, 1, 2, 3), (4, 3, 2, 1, 0)])
def test_members_out_of_order_are_no_registry(order: tuple[int, ...]) -> None:
    with pytest.raises(MalformedError, match="ascend by id and height"):
        Registry(tuple(REGISTRY.members[place] for place in order), REGISTRY.epochs)


def test_a_gap_in_the_epochs_is_no_registry() -> None:
    later = msgspec.structs.replace(EPOCH, epoch=2)
    with pytest.raises(MalformedError, match="without a gap"):
        Registry(REGISTRY.members, (EPOCH, later))
    with pytest.raises(MalformedError, match="without a gap"):
        Registry(REGISTRY.members, (later,))


def with_feed(record: MemberRecord, number: int, from_height: int) -> MemberRecord:
    feed = Feed(number, SigningKey(seed("new", number)).public, kinds_of(Kind.MARK))
    feeds = (*record.feeds, feed)
    return msgspec.structs.replace(record, feeds=feeds, from_height=from_height, until_height=None)


def test_a_new_version_ends_the_one_before_and_every_height_keeps_its_own() -> None:
    second = with_feed(RECORD, 3, 7)
    registry = REGISTRY.with_version(second)
    assert [each.from_height for each in registry.versions(1)] == [0, 7]
    assert registry.versions(1)[0].until_height == 7
    assert registry.member(1) == second
    for height, feeds in ((0, 2), (6, 2), (7, 3), (10**9, 3)):
        found = registry.member_at(1, height)
        assert found is not None
        assert len(found.feeds) == feeds, height
    assert registry.member_at(9, 0) is None
    assert registry.root != REGISTRY.root
    assert REGISTRY.member(1) == RECORD, "the registry before it did not change"


def test_several_changes_at_one_height_make_one_version() -> None:
    once = REGISTRY.with_version(with_feed(RECORD, 3, 7))
    twice = once.with_version(with_feed(with_feed(RECORD, 3, 7), 4, 7))
    assert [each.from_height for each in twice.versions(1)] == [0, 7]
    assert [feed.feed for feed in twice.versions(1)[1].feeds] == [BULK, DESK, 3, 4]
    assert twice.versions(1)[0].until_height == 7


def test_a_key_is_engaged_for_ever() -> None:
    for who in INSTITUTIONS:
        assert REGISTRY.has_key(who.root.public)
        assert REGISTRY.has_key(who.feed_key(BULK).public)
    ended = msgspec.structs.replace(RECORD, feeds=RECORD.feeds[1:], from_height=7)
    assert REGISTRY.with_version(ended).has_key(RECORD.feeds[0].key)
    assert not REGISTRY.has_key(seed("never"))


def test_members_that_left_are_still_members_ever() -> None:
    left = msgspec.structs.replace(REGISTRY.members[2], until_height=9)
    members = (*REGISTRY.members[:2], left, *REGISTRY.members[3:])
    registry = Registry(members, REGISTRY.epochs)
    assert registry.member(3) is None
    assert registry.ever() == (1, 2, 3, 4, 5)
    assert registry.member_at(3, 8) == left
    assert registry.member_at(3, 9) is None


def test_the_epoch_of_a_height_is_the_last_that_began() -> None:
    second = msgspec.structs.replace(
        EPOCH, epoch=1, from_height=10, committee=(CommitteeMember(1, bytes(32)),)
    )
    registry = Registry(REGISTRY.members, (EPOCH, second))
    assert registry.epoch_at(9).epoch == 0
    assert registry.epoch_at(10).epoch == 1
    assert registry.epoch.threshold == 1
    assert EPOCH.threshold == 3
    assert EPOCH.position(3) == 2
    assert EPOCH.position(5) is None
