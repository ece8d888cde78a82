"""What a proposal changes in a registry, line by line for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tradeline_ledger.registry import Role
from tradeline_ledger.statement import Kind

if TYPE_CHECKING:
    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.registry import EpochRecord, Feed, MemberRecord, Registry

_FIELDS: Final = (
    *("name", "group", "root_key", "node_key", "note_key", "cosigner_key", "engine_key"),
    *("hpke_key", "tag_key_hash", "endpoint", "tls_pin", "engine_peer"),
)
_HEX_SHOWN: Final = 16
"""Digits of a key that a line shows."""
NOTHING: Final = "-"


class Difference(NamedTuple):
    """One line: what is another thing before and after."""

    where: str
    before: str
    after: str


def differences(ledger: Ledger, before: Registry, after: Registry) -> list[Difference]:
    """Return in what two registries of a ledger differ as they are in force, members first."""
    found: list[Difference] = []
    for number in sorted({*before.ever(), *after.ever()}):
        old, new = before.member(number), after.member(number)
        if old != new:
            found += _member(number, old, new)
    if before.epoch != after.epoch:
        found += _epoch(before.epoch, after.epoch)
    return [*found, *_settings(ledger, before, after)]


def role_names(roles: int) -> str:
    """Return the names of a sum of roles."""
    names = [str(each.name).lower() for each in Role if roles & each]
    return ", ".join(names) or NOTHING


def _member(number: int, old: MemberRecord | None, new: MemberRecord | None) -> list[Difference]:
    found = []
    where = f"member {number}"
    if old is None or new is None:
        who = new or old
        assert who is not None, number
        summary = f"{who.name}: {role_names(who.roles)}"
        found.append(Difference(where, summary if old else NOTHING, summary if new else NOTHING))
    if new is None:
        return found
    if old is not None and old.roles != new.roles:
        found.append(Difference(f"{where} roles", role_names(old.roles), role_names(new.roles)))
    for name in _FIELDS:
        one, other = getattr(old, name, None), getattr(new, name)
        if one != other:
            found.append(Difference(f"{where} {name}", _shown(one), _shown(other)))
    feeds = {feed.feed: feed for feed in old.feeds} if old else {}
    fresh = {feed.feed: feed for feed in new.feeds}
    for feed in sorted({*feeds, *fresh}):
        if feeds.get(feed) != fresh.get(feed):
            ends = (_feed(feeds.get(feed)), _feed(fresh.get(feed)))
            found.append(Difference(f"{where} feed {feed}", *ends))
    return found


def _epoch(old: EpochRecord, new: EpochRecord) -> list[Difference]:
    lists = (
        ("epoch", str(old.epoch), str(new.epoch)),
        ("validators", _ids(old.validators), _ids(new.validators)),
        (
            "committee",
            _ids(tuple(each.member for each in old.committee)),
            _ids(tuple(each.member for each in new.committee)),
        ),
        (
            "deposits and releases need",
            f"{old.threshold} of {len(old.committee)}",
            f"{new.threshold} of {len(new.committee)}",
        ),
    )
    return [Difference(*each) for each in lists if each[1] != each[2]]


def _settings(ledger: Ledger, before: Registry, after: Registry) -> list[Difference]:
    old, new = ledger.params_of(before), ledger.params_of(after)
    found = [
        Difference(f"params {name}", _shown(getattr(old, name)), _shown(getattr(new, name)))
        for name in old.__struct_fields__
        if name != "retention" and getattr(old, name) != getattr(new, name)
    ]
    found += [
        Difference(
            f"params retention of category {one.category}",
            f"{one.retain_months} months",
            f"{other.retain_months} months",
        )
        for one, other in zip(old.retention, new.retention, strict=True)
        if one != other
    ]
    rules = (ledger.rules_of(before), ledger.rules_of(after))
    if rules[0] != rules[1]:
        found.append(Difference("rules", *map(str, rules)))
    return found


def _ids(members: tuple[int, ...]) -> str:
    return ", ".join(map(str, members))


def _feed(feed: Feed | None) -> str:
    if feed is None:
        return NOTHING
    kinds = ", ".join(each.name.lower() for each in Kind if feed.kinds >> each & 1)
    return f"{_shown(feed.key)} signs {kinds}"


def _shown(value: object) -> str:
    if value is None or value in ("", b""):
        return NOTHING
    if isinstance(value, bytes):
        return value.hex()[:_HEX_SHOWN] + ("…" if len(value.hex()) > _HEX_SHOWN else "")
    return str(value)
