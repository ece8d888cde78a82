"""What stands in a member's folders, read and written."""

from __future__ import annotations

from dataclasses import replace

import msgspec.structs
import pytest
from rich.pretty import pretty_repr
from tests.world import seed

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.member_files import (
    BULK_KINDS,
    CLIENT_KEYS,
    DESK_KINDS,
    NODE_KEYS,
    ClientKeys,
    FeedKey,
    NodeKeys,
    Profile,
    decode_profile,
    encode_profile,
)
from tradeline_ledger.statement import Kind

PROFILE = Profile(
    member=3,
    name='A "bank" \\ of Zürich',
    ledger_id=seed("ledger"),
    bulk_feed=1,
    desk_feed=2,
    request_feed=2,
    home=1,
    endpoints=((1, "http://127.0.0.1:1"), (4, "https://node.example/x")),
)
CLIENT = ClientKeys(
    member=3,
    feeds=(FeedKey(1, seed("bulk"), BULK_KINDS), FeedKey(2, seed("desk"), DESK_KINDS)),
    root_seed=None,
    consortium_key=seed("consortium"),
    tag_key=seed("tag"),
    storage_key=seed("storage"),
)
NODE = NodeKeys(
    3,
    seed("node"),
    seed("note"),
    seed("cosigner"),
    seed("hpke") * 3,
    seed("engine"),
    seed("peer"),
    seed("tls"),
    seed("witness"),
)


def test_profile_is_read_as_it_was_written() -> None:
    assert decode_profile(encode_profile(PROFILE)) == PROFILE
    bare = replace(PROFILE, endpoints=())
    assert decode_profile(encode_profile(bare)) == bare


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("member = 3", "member = 0", "member must be a number"),
        ("member = 3", "member = true", "member must be a number"),
        ("member = 3", "membr = 3", "unknown key 'membr'"),
        ("format = 1", "format = 2", "format must be 1"),
        ('ledger = "', 'ledger = "00', "has 66 characters"),
        ('ledger = "', 'ledger = 1 #"', "ledger must be a text"),
        ("bulk = 1", "bulk = 1\nbulky = 2", "unknown key 'feeds.bulky'"),
        ("bulk = 1", "", "bulk must be a number"),
        ('4 = "', 'x = "', "'x' under endpoints is no member id"),
        ('4 = "', '04 = "', "'04' under endpoints is no member id"),
        ('4 = "', '99999999999 = "', "is no member id"),
        ("[feeds]", "[feeds", "is not TOML"),
        ("home = 1", "feeds = 1", "is not TOML"),
    ],
)
def test_other_profiles_are_refused(old: str, new: str, message: str) -> None:
    text = encode_profile(PROFILE)
    assert old in text
    with pytest.raises(MalformedError, match=message):
        decode_profile(text.replace(old, new, 1))


def test_long_profile_is_refused() -> None:
    with pytest.raises(MalformedError, match="at most"):
        decode_profile("#" * 70_000)


def test_key_bundles_are_read_as_they_were_written() -> None:
    assert CLIENT_KEYS.decode(encode(CLIENT)) == CLIENT
    assert NODE_KEYS.decode(encode(NODE)) == NODE


@pytest.mark.parametrize(
    "feeds", [(), (CLIENT.feeds[1], CLIENT.feeds[0]), (FeedKey(0, seed("x"), 2),)]
)
def test_client_needs_feeds_in_order(feeds: tuple[FeedKey, ...]) -> None:
    with pytest.raises(ValueError, match="feeds"):
        ClientKeys(3, feeds, None, seed("c"), seed("t"), seed("s"))


def test_node_needs_a_whole_hpke_key() -> None:
    with pytest.raises(ValueError, match="96 bytes"):
        msgspec.structs.replace(NODE, hpke_private=seed("hpke"))


def test_no_representation_shows_a_key() -> None:
    shown = f"{CLIENT!r} {CLIENT.feeds!r} {NODE!r} {pretty_repr([CLIENT, CLIENT.feeds, NODE])}"
    for part in (
        "bulk",
        "desk",
        "consortium",
        "tag",
        "storage",
        "node",
        "note",
        "hpke",
        "engine",
        "peer",
        "tls",
    ):
        assert repr(seed(part))[2:-1] not in shown
        assert seed(part).hex() not in shown


def test_feeds_of_the_founding_sign_every_kind_that_a_client_signs() -> None:
    for kind in set(Kind) - {Kind.RELEASED, Kind.CUSTODY}:
        assert (BULK_KINDS | DESK_KINDS) >> kind & 1
    assert not (BULK_KINDS | DESK_KINDS) >> Kind.RELEASED & 1
