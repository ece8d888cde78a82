"""
From all that a member outside the committee holds, no other member's tag can be told from a random
one.

The attacker is member 5: it holds the consortium key, its own keys and the whole log, and guesses
every identifier right. A harness derives what can be derived from that and looks for other members'
tags; given a tag key the same harness finds them at once, so it can find.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Final

from tests.world import CONSORTIUM_KEY, World, seed, subject

from tradeline_ledger.hashing import label
from tradeline_ledger.statement import STATEMENT, EntryLeaf, Kind, decode_leaf
from tradeline_ledger.submission import decode_submission
from tradeline_ledger.tag import tag

SUBJECTS: Final = range(1, 13)
YEARS: Final = (2025, 2026)
CATEGORIES: Final = (1, 2, 3)
CONTRIBUTORS: Final = (1, 2, 3, 4)
ATTACKER: Final = 5
LABELS: Final = ("tag", "tag-key", "year", "check", "year-key", "linker", "head", "consent")


@cache
def world() -> World:
    """Return a ledger in which every contributor filed every subject."""
    made = World()
    for member in CONTRIBUTORS:
        rows = [
            (made.tag(member, who, year, category), 24_400, b"event")
            for who, year, category in product(SUBJECTS, YEARS, CATEGORIES)
        ]
        executed = made.block(made.submission(member, made.batch(member, rows)[0]))
        assert executed.placed[0].applied.outcome.accepted
    return made


def tags_in_the_log(member: int) -> list[bytes]:
    """Return what everybody can read: the tags under which a member filed."""
    found: list[bytes] = []
    for index, leaf in enumerate(world().leaves):
        decoded = decode_leaf(leaf)
        if isinstance(decoded, EntryLeaf):
            submission = decode_submission(world().contents[index])
            if owner(decoded) == member:
                found += submission.batch.tags()
    return found


def owner(leaf: EntryLeaf) -> int:
    statement = STATEMENT.decode(leaf.statement)
    assert statement.kind == Kind.SUBMISSION
    return statement.member


@dataclass
class Knowledge:
    """Secrets and public values of the attacker, each a key or a message of anything."""

    secrets: list[bytes]
    public: list[bytes] = field(default_factory=list)

    def values(self) -> list[bytes]:
        return list(dict.fromkeys([*self.secrets, *self.public]))


def knowledge(*more_secrets: bytes) -> Knowledge:
    """Return what member 5 holds, identifiers guessed right, and `more_secrets`."""
    ledger = world().ledger
    own = world().institution(ATTACKER)
    year_keys = [world().year_key(who, year) for who, year in product(SUBJECTS, YEARS)]
    link_keys = [world().linker.link_key(subject(who)) for who in SUBJECTS]
    secrets = [CONSORTIUM_KEY, own.tag_key, seed("feed", ATTACKER, 1), seed("root", ATTACKER)]
    public = [ledger.ledger_id, ledger.params.linker, world().root, world().registry.root]
    for record in world().registry.members:
        public += [*record.key_list(), record.tag_key_hash or b"", record.id.to_bytes(4, "big")]
    return Knowledge([*more_secrets, *secrets, *link_keys, *year_keys], public)


def messages() -> Iterator[bytes]:
    """Yield everything that a tag could be made of, year keys guessed right."""
    for who, year, category in product(SUBJECTS, YEARS, CATEGORIES):
        key = world().year_key(who, year)
        ending = bytes([category])
        yield label("tag") + key + ending
        yield key + ending
        yield key
        yield label("year") + year.to_bytes(2, "big") + ending


def derived(known: Knowledge) -> set[bytes]:
    """Return the first 16 bytes of all that one step makes of what is known."""
    found: set[bytes] = set()
    sha256, told = hashlib.sha256, list(messages())
    for key in known.values():
        for message in told:
            found.add(hmac.digest(key, message, "sha256")[:16])
            found.add(sha256(key + message).digest()[:16])
        for name in LABELS:
            found.add(sha256(label(name) + key).digest()[:16])
            found.add(hmac.digest(key, label(name), "sha256")[:16])
        found.add(sha256(key).digest()[:16])
        found |= {key[at : at + 16] for at in range(len(key) - 15)}
    return found


def others() -> list[bytes]:
    return [each for member in CONTRIBUTORS for each in tags_in_the_log(member)]


def ideal() -> list[bytes]:
    """Return random tags in the same places: the same one where the real ones are the same."""
    random: dict[bytes, bytes] = {}
    return [random.setdefault(each, seed("ideal", len(random))[:16]) for each in others()]


def test_the_log_holds_what_the_attack_looks_for() -> None:
    assert len(others()) == len(CONTRIBUTORS) * len(SUBJECTS) * len(YEARS) * len(CATEGORIES)
    assert len(set(others())) == len(others())


def test_nothing_that_an_outsider_derives_is_a_tag_of_another_member() -> None:
    reachable = derived(knowledge())
    assert len(reachable) > 30_000
    assert reachable.isdisjoint(others())
    assert reachable.isdisjoint(ideal())


def candidate_keys(known: Knowledge) -> set[bytes]:
    """Return what a careless member could have made its tag key from: one or two known values."""
    values = known.values()
    found = set(values)
    for value in values:
        found |= {hashlib.sha256(label(name) + value).digest() for name in LABELS}
        found |= {hmac.digest(value, label(name), "sha256") for name in LABELS}
        found |= {hmac.digest(secret, value, "sha256") for secret in known.secrets}
    return found


def test_no_tag_key_follows_from_anything_that_an_outsider_holds() -> None:
    keys = candidate_keys(knowledge())
    assert len(keys) > 4_000
    place = (1, 2026, 1)
    year_key = world().year_key(*place[:2])
    made = {tag(key, year_key, place[2]) for key in keys}
    assert world().tag(ATTACKER, *place) in made
    assert made.isdisjoint(world().tag(member, *place) for member in CONTRIBUTORS)


def test_no_distinguisher_does_better_on_real_tags_than_on_random_ones() -> None:
    """Each value that can be derived is one distinguisher: "is it this?"; all have no advantage."""
    reachable = derived(knowledge())
    real = sum(each in reachable for each in others())
    random = sum(each in reachable for each in ideal())
    assert real == random == 0
    for bit in range(128):
        place, mask = bit // 8, 1 << bit % 8
        ones = sum(bool(each[place] & mask) for each in others())
        # 288 fair coins stay within 4.5 deviations of 144.
        assert 144 - 38 < ones < 144 + 38, bit


def test_the_harness_finds_a_members_own_tags() -> None:
    reachable = derived(knowledge())
    own = [
        world().tag(ATTACKER, who, year, category)
        for who, year, category in product(SUBJECTS, YEARS, CATEGORIES)
    ]
    assert all(each in reachable for each in own)


def test_the_harness_finds_every_tag_of_a_member_whose_tag_key_leaked() -> None:
    reachable = derived(knowledge(world().institution(3).tag_key))
    assert all(each in reachable for each in tags_in_the_log(3))
    for member in (1, 2, 4):
        assert reachable.isdisjoint(tags_in_the_log(member))


def test_a_committee_member_needs_the_year_key() -> None:
    """All tag keys without any year key, as a node holds them, reach no tag either."""
    known = Knowledge([world().institution(member).tag_key for member in range(1, 6)])
    blind = {
        tag(key, guess, category)
        for key in known.secrets
        for guess in (bytes(32), *known.secrets, *knowledge().public)
        if len(guess) == 32
        for category in CATEGORIES
    }
    assert blind.isdisjoint(others())


def distance(left: bytes, right: bytes) -> int:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).bit_count()


def pairs() -> Iterable[tuple[bytes, bytes]]:
    for who, year, category in product(SUBJECTS, YEARS, CATEGORIES):
        yield world().tag(1, who, year, category), world().tag(3, who, year, category)


def test_tags_of_two_members_for_one_subject_are_unrelated() -> None:
    distances = [distance(left, right) for left, right in pairs()]
    mean = sum(distances) / len(distances)
    # 72 pairs of 128 fair coins: the mean of distances is within 4.5 deviations of 64.
    assert 64 - 3.0 < mean < 64 + 3.0
    assert min(distances) > 30
    xored = {bytes(a ^ b for a, b in zip(left, right, strict=True)) for left, right in pairs()}
    assert len(xored) == len(distances), "no constant turns one member's tags into another's"


def test_tags_of_one_member_are_unrelated_across_years_categories_and_subjects() -> None:
    base = world().tag(1, 1, 2026, 1)
    others_of_1 = [
        world().tag(1, 1, 2025, 1),
        world().tag(1, 1, 2026, 2),
        world().tag(1, 2, 2026, 1),
    ]
    assert len({base, *others_of_1}) == 4
    assert all(distance(base, each) > 30 for each in others_of_1)


def test_the_hash_of_a_tag_key_in_the_registry_is_no_key() -> None:
    record = world().registry.member(1)
    assert record is not None
    assert record.tag_key_hash is not None
    made = {
        tag(record.tag_key_hash, world().year_key(who, year), category)
        for who, year, category in product(SUBJECTS, YEARS, CATEGORIES)
    }
    assert made.isdisjoint(tags_in_the_log(1))
