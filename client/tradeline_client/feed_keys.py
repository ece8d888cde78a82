"""
Replacing the key of a feed: a feed number never gets another key, so a new feed takes its place.

The new private key is in `client.keys` before the ledger hears of it, and the old one leaves it
when the ledger has ended it. Whatever is cut off in between goes on where it was.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec.structs

from tradeline_client.errors import FolderError
from tradeline_client.files import write_private
from tradeline_client.keystore import read_client_keys, write_keystore
from tradeline_ledger.member_files import PROFILE_NAME, FeedKey, Profile, encode_profile
from tradeline_ledger.registry import Feed
from tradeline_ledger.signing import SEED_BYTES, SigningKey

if TYPE_CHECKING:
    from tradeline_client.profile import ClientFolder
    from tradeline_ledger.registry import Registry


def prepare_feed(
    folder: ClientFolder, passphrase: bytes, number: int, registry: Registry
) -> tuple[Feed, bool]:
    """
    Return the feed that takes the place of feed `number`, whose key is in the folder from now on,
    and whether the ledger has it already.

    Raises:
        FolderError: feed `number` has no key here, or the keystore does not open.
    """
    keys = read_client_keys(folder.keys, passphrase)
    old = next((each for each in keys.feeds if each.feed == number), None)
    if old is None:
        raise FolderError(
            f"feed {number} has no key in this folder, which holds those of feeds "
            f"{[each.feed for each in keys.feeds]}"
        )
    known = {each.feed for record in registry.versions(keys.member) for each in record.feeds}
    record = registry.member(keys.member)
    for each in keys.feeds:
        waiting = each.feed not in known
        taken = record is not None and record.feed(each.feed) is not None
        if each.feed > number and each.kinds == old.kinds and (waiting or taken):
            return _public(each), taken
    highest = max(known | {each.feed for each in keys.feeds})
    new = FeedKey(highest + 1, secrets.token_bytes(SEED_BYTES), old.kinds)
    changed = msgspec.structs.replace(keys, feeds=(*keys.feeds, new))
    write_keystore(folder.keys, changed, passphrase)
    return _public(new), False


def use_feed(folder: ClientFolder, number: int, successor: int) -> None:
    """Have the folder's profile name feed `successor` wherever it names feed `number`."""
    profile = folder.profile

    def of(feed: int) -> int:
        return successor if feed == number else feed

    changed = Profile(
        member=profile.member,
        name=profile.name,
        ledger_id=profile.ledger_id,
        bulk_feed=of(profile.bulk_feed),
        desk_feed=of(profile.desk_feed),
        request_feed=of(profile.request_feed),
        home=profile.home,
        endpoints=profile.endpoints,
    )
    if changed != profile:
        write_private(folder.path / PROFILE_NAME, encode_profile(changed).encode())


def drop_feed(folder: ClientFolder, passphrase: bytes, number: int) -> None:
    """
    Remove the key of a feed that has ended.

    Raises:
        FolderError: the keystore does not open, or the profile still names the feed.
    """
    profile = folder.profile
    if number in (profile.bulk_feed, profile.desk_feed, profile.request_feed):
        raise FolderError(f"client.toml still names feed {number}; name another one there first")
    keys = read_client_keys(folder.keys, passphrase)
    kept = tuple(each for each in keys.feeds if each.feed != number)
    if kept != keys.feeds:
        write_keystore(folder.keys, msgspec.structs.replace(keys, feeds=kept), passphrase)


def _public(key: FeedKey) -> Feed:
    return Feed(key.feed, SigningKey(key.seed).public, key.kinds)
