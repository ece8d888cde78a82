"""What proposals and votes do: who decides, when it takes effect, and what can't be undone."""

from __future__ import annotations

import msgspec.structs
import pytest
from tests.committee import Committee
from tests.draft import key_content
from tests.governance import (
    KEPT,
    NEWCOMER,
    cast,
    enact,
    newcomer_record,
    pass_heights,
    post,
    proposal,
    replace_keys,
    standing,
    vote,
)
from tests.world import DAY_MS, DESK, DESK_KINDS, World, seed

from tradeline_ledger.consent import Change, Status
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import RulesError, VerificationError
from tradeline_ledger.governance import ProposalStanding, read_waiting, tally, upgrade_due
from tradeline_ledger.hashing import digest
from tradeline_ledger.history import EventId
from tradeline_ledger.hpke import PrivateKey
from tradeline_ledger.mark import Mark
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.proposal import (
    Admit,
    Remove,
    Resume,
    SetCommittee,
    SetEndpoint,
    SetParams,
    SetRoles,
    SetRules,
    Suspend,
)
from tradeline_ledger.registry import Feed, Role
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import BlockLeaf, Kind, decode_leaf
from tradeline_ledger.transition import execute_genesis, proposal_rules, replay
from tradeline_ledger.trust import TrustedLog, change_heights, registry_after

ROLES = SetRoles(5, int(Role.READER))


@pytest.fixture
def world() -> World:
    return World()


def submit(world: World, member: int, salt: str) -> int:
    """Submit one event; return the log index."""
    row = (world.tag(member, 1, 2026), 24_400, b"event")
    placed = world.block(world.submission(member, world.batch(member, [row], salt)[0])).placed[0]
    assert placed.applied.outcome is Outcome.ACCEPTED
    return placed.index


def replayed(world: World) -> World:
    """Return what a replay of the leaves and contents of `world` arrives at."""
    first = execute_genesis(world.ledger)
    rows, registry, head = dict(first.writes), first.registry, first.head
    block: list[bytes] = []
    start = 1
    for index, leaf in enumerate(world.leaves[1:], start=1):
        block.append(leaf)
        if isinstance(decode_leaf(leaf), BlockLeaf):
            contents = [world.contents[each] for each in range(start, index)]
            view = World(world.ledger, rows={})
            view.rows = rows
            done = replay(view, world.ledger, registry, head, leaves=block, contents=contents)
            rows |= done.writes
            registry, head = done.registry, done.head
            block, start = [], index + 1
    again = World(world.ledger)
    again.rows, again.registry, again.head = rows, registry, head
    return again


def assert_replays(world: World) -> None:
    again = replayed(world)
    assert again.rows == world.rows
    assert (again.registry, again.head) == (world.registry, world.head)


# Who decides


def test_a_quorum_of_validators_changes_the_registry_from_the_next_height(world: World) -> None:
    before = world.registry
    outcome, identity = post(world, proposal(world, ROLES))
    assert outcome is Outcome.ACCEPTED
    assert cast(world, 2, identity) is Outcome.ACCEPTED
    assert world.registry == before, "two of four are no quorum"
    assert cast(world, 3, identity) is Outcome.ACCEPTED
    height = world.head.height
    row = standing(world, identity)
    assert (row.standing, row.decided_height, row.enacted_height) == (
        ProposalStanding.ENACTED,
        height,
        height + 1,
    )
    record = world.registry.member(5)
    assert record is not None
    assert (record.roles, record.from_height) == (Role.READER, height + 1)
    assert world.registry.member_at(5, height) == msgspec.structs.replace(
        before.members[4], until_height=height + 1
    )
    assert_replays(world)


def test_the_proposal_of_a_validator_is_its_approval_and_that_of_others_is_none(
    world: World,
) -> None:
    _, own = post(world, proposal(world, ROLES), member=2)
    assert standing(world, own).approvals == (2,)
    _, others = post(world, proposal(world, SetRoles(1, 15 | 16)), member=5)
    assert standing(world, others).approvals == ()
    for member in (1, 2):
        cast(world, member, others)
    assert standing(world, others).standing == ProposalStanding.OPEN


def test_who_is_no_validator_does_not_vote(world: World) -> None:
    _, identity = post(world, proposal(world, ROLES))
    assert cast(world, 5, identity) is Outcome.VOTE_NOT_VALIDATOR
    assert standing(world, identity).approvals == (1,)


def test_a_vote_is_changed_until_the_proposal_is_decided(world: World) -> None:
    _, identity = post(world, proposal(world, ROLES))
    assert cast(world, 1, identity, approve=False) is Outcome.ACCEPTED
    assert (standing(world, identity).approvals, standing(world, identity).rejections) == ((), (1,))
    assert cast(world, 1, identity) is Outcome.ACCEPTED
    assert cast(world, 1, identity) is Outcome.VOTE_WITHOUT_EFFECT
    for member in (2, 3):
        cast(world, member, identity)
    assert cast(world, 4, identity, approve=False) is Outcome.VOTE_PROPOSAL_CLOSED


def test_a_proposal_that_no_quorum_can_pass_any_more_is_rejected_and_frees_its_place(
    world: World,
) -> None:
    _, identity = post(world, proposal(world, ROLES))
    assert post(world, proposal(world, SetRoles(5, 6)))[0] is Outcome.PROPOSAL_CONFLICT
    for member in (2, 3):
        assert cast(world, member, identity, approve=False) is Outcome.ACCEPTED
    assert standing(world, identity).standing == ProposalStanding.REJECTED
    assert cast(world, 4, identity) is Outcome.VOTE_PROPOSAL_CLOSED
    assert post(world, proposal(world, SetRoles(5, 6)))[0] is Outcome.ACCEPTED
    assert_replays(world)


def test_an_expired_proposal_takes_no_votes_and_is_in_nobodys_way(world: World) -> None:
    _, identity = post(world, proposal(world, ROLES, expires_ms=world.time_ms + DAY_MS))
    world.time_ms += DAY_MS
    assert cast(world, 2, identity) is Outcome.VOTE_PROPOSAL_EXPIRED
    assert post(world, proposal(world, SetRoles(5, 6)))[0] is Outcome.ACCEPTED
    assert len(read_waiting(world)) == 1
    assert_replays(world)


def test_votes_of_those_who_are_validators_no_more_do_not_count(world: World) -> None:
    _, identity = post(world, proposal(world, ROLES))
    cast(world, 4, identity)
    enact(world, SetCommittee((1, 2, 3), (1, 2, 3)))
    votes = tally(standing(world, identity), world.registry.epoch.validators)
    assert (votes.approvals, votes.needed) == (1, 3)
    for member in (2, 3):
        cast(world, member, identity)
    assert standing(world, identity).standing == ProposalStanding.ENACTED


def test_who_is_no_validator_keeps_no_validator_from_proposing(world: World) -> None:
    _, own = post(world, proposal(world, ROLES), member=5)
    assert post(world, proposal(world, SetRoles(5, 6)), member=5)[0] is Outcome.PROPOSAL_CONFLICT
    enact(world, Remove(5))
    for member in (1, 2, 3):
        cast(world, member, own)
    row = standing(world, own)
    assert (row.standing, row.failure) == (
        ProposalStanding.FAILED,
        Outcome.PROPOSAL_MEMBER_UNKNOWN,
    )
    assert_replays(world)


def test_of_two_changes_of_one_thing_at_one_height_the_second_fails(world: World) -> None:
    _, others = post(world, proposal(world, SetCommittee((1, 2, 3), (1, 2, 3))), member=5)
    _, own = post(world, proposal(world, SetCommittee((1, 2, 4), (1, 2, 4))))
    world.block(*(vote(world, member, own) for member in (2,)))
    world.block(*(vote(world, member, others) for member in (1, 2)))
    world.block(vote(world, 3, own), vote(world, 4, others))
    assert standing(world, others).standing == ProposalStanding.ENACTED
    row = standing(world, own)
    assert (row.standing, row.failure) == (ProposalStanding.FAILED, Outcome.PROPOSAL_CONFLICT)
    assert [each.epoch for each in world.registry.epochs] == [0, 1]
    assert_replays(world)


def test_one_member_has_few_proposals_waiting(world: World) -> None:
    said = [post(world, proposal(world, admit(number)), member=5)[0] for number in range(10, 15)]
    assert said == [Outcome.ACCEPTED] * 4 + [Outcome.PROPOSAL_TOO_MANY]
    assert post(world, proposal(world, admit(20)))[0] is Outcome.ACCEPTED
    world.time_ms += 30 * DAY_MS
    assert post(world, proposal(world, admit(15)), member=5)[0] is Outcome.ACCEPTED


def test_those_who_are_no_validators_leave_room_for_validators(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposal_rules, "WAITING_OTHERS_MAX", 2)
    said = [post(world, proposal(world, admit(number)), member=5)[0] for number in range(10, 13)]
    assert said == [Outcome.ACCEPTED] * 2 + [Outcome.PROPOSAL_TOO_MANY]
    assert post(world, proposal(world, admit(20)))[0] is Outcome.ACCEPTED


def admit(number: int) -> Admit:
    """Return the admission of a member without a node, whose root key is its own."""
    root = SigningKey(seed("root", number)).public
    nothing = dict.fromkeys(("node_key", "note_key", "cosigner_key", "engine_key", "hpke_key"))
    record = newcomer_record(id=number, root_key=root, feeds=(), endpoint="", engine_peer="")
    return Admit(msgspec.structs.replace(record, **nothing))


def test_votes_of_one_block_count_in_their_order(world: World) -> None:
    _, identity = post(world, proposal(world, ROLES))
    executed = world.block(*(vote(world, member, identity) for member in (2, 3, 4)))
    assert [each.applied.outcome for each in executed.placed] == [
        Outcome.ACCEPTED,
        Outcome.ACCEPTED,
        Outcome.VOTE_PROPOSAL_CLOSED,
    ]
    assert standing(world, identity).enacted_height == world.head.height + 1


# When it takes effect


def test_a_change_waits_for_its_height_and_comes_in_a_block_without_entries(world: World) -> None:
    stated = world.head.height + 6
    identity = enact(world, ROLES, effect_height=stated)
    assert standing(world, identity).standing == ProposalStanding.PASSED
    before, size = world.registry, world.head.size
    empty, due, after = pass_heights(world, 3)
    assert not empty.leaves
    assert len(due.leaves) == 1
    assert not after.leaves
    leaf = decode_leaf(world.leaves[size])
    assert isinstance(leaf, BlockLeaf)
    assert leaf.height == stated - 1
    assert leaf.registry_root == world.registry.root != before.root
    assert world.registry.member_at(5, stated - 1) is not None
    record = world.registry.member(5)
    assert record is not None
    assert record.from_height == stated
    assert_replays(world)


def test_nobody_adds_a_block_without_effect_to_the_log(world: World) -> None:
    enact(world, ROLES, effect_height=world.head.height + 5)
    pass_heights(world, 1)
    head = world.head
    forged = encode((2, head.height + 1, head.time_ms + 1, head.block_hash, bytes(32), 1))
    with pytest.raises(VerificationError, match="has no effect, so it has no leaf"):
        replay(
            world,
            world.ledger,
            world.registry,
            head,
            leaves=[forged],
            contents=[],
        )


def test_a_change_that_cannot_be_made_any_more_fails_and_the_others_go_on(world: World) -> None:
    stated = world.head.height + 12
    feed = Feed(3, SigningKey(seed("new")).public, DESK_KINDS)
    first = enact(world, replace_keys(5, added=(feed,)), effect_height=stated)
    second = enact(world, SetRoles(4, 2 | 8), effect_height=stated)
    world.block(world.entry(2, Kind.KEY, key_content(world, 5, 0, added=(feed,))))
    pass_heights(world, 5)
    row = standing(world, first)
    assert (row.standing, row.failure) == (ProposalStanding.FAILED, Outcome.PROPOSAL_FEED_WRONG)
    assert standing(world, second).standing == ProposalStanding.ENACTED
    assert read_waiting(world) == ()
    assert_replays(world)


def test_several_changes_of_a_block_make_one_version(world: World) -> None:
    stated = world.head.height + 9
    change = SetEndpoint(4, "http://127.0.0.1:7999", None, world.registry.members[3].engine_peer)
    enact(world, SetRoles(4, 9 | 2), change, effect_height=stated)
    enact(world, ROLES, effect_height=stated)
    feed = Feed(3, SigningKey(seed("new")).public, DESK_KINDS)
    world.block()
    world.block(world.entry(2, Kind.KEY, key_content(world, 4, 0, added=(feed,))))
    assert world.head.height + 1 == stated
    versions = world.registry.versions(4)
    assert [each.from_height for each in versions] == [0, stated]
    assert versions[1].endpoint == change.endpoint
    assert versions[1].roles == 9 | 2
    assert [each.feed for each in versions[1].feeds] == [1, 2, 3]
    assert_replays(world)


# Members


def test_an_admitted_member_writes_from_the_next_height_and_its_number_is_never_used_again(
    world: World,
) -> None:
    enact(world, Admit(newcomer_record()))
    world.institutions = (*world.institutions, NEWCOMER)
    submit(world, 6, "first")
    enact(world, Remove(6), waived=2)
    assert world.registry.member(6) is None
    past = world.registry.member_at(6, world.head.height)
    assert past is not None
    assert past.until_height == world.head.height + 1
    entry = world.entry(6, Kind.STATUS, encode(Status(bytes(16), Change.REVOKE, 1, None)))
    assert world.apply(entry).outcome is Outcome.MEMBER_UNKNOWN
    outcome, _ = post(world, proposal(world, Admit(newcomer_record(roles=1))))
    assert outcome is Outcome.PROPOSAL_MEMBER_ID_USED
    assert 6 in world.registry.ever()
    assert_replays(world)


def test_what_a_suspended_member_signs_is_placed_and_refused_until_it_is_resumed(
    world: World,
) -> None:
    enact(world, Suspend(5))
    revoke = encode(Status(bytes(16), Change.REVOKE, 1, None))
    placed = world.block(world.entry(5, Kind.STATUS, revoke)).placed
    assert placed[0].applied.outcome is Outcome.MEMBER_SUSPENDED
    terms = world.terms(1, 5)
    refused = world.block(world.entry(1, Kind.CONSENT, world.consent(terms))).placed[0]
    assert refused.applied.outcome is Outcome.CONSENT_SECOND_UNKNOWN
    assert post(world, proposal(world, Suspend(5)))[0] is Outcome.PROPOSAL_WITHOUT_EFFECT
    enact(world, Resume(5))
    placed = world.block(world.entry(5, Kind.STATUS, revoke)).placed
    assert placed[0].applied.outcome is Outcome.ACCEPTED
    assert_replays(world)


def test_roles_set_for_a_suspended_member_do_not_end_its_suspension(world: World) -> None:
    enact(world, Suspend(5))
    enact(world, ROLES)
    record = world.registry.member(5)
    assert record is not None
    assert record.suspended
    assert record.has(Role.READER)


def test_a_vote_replaces_a_root_key_and_the_old_one_changes_nothing_more(world: World) -> None:
    fresh = SigningKey(seed("fresh root"))
    enact(world, replace_keys(5, root_key=fresh.public))
    feed = Feed(3, SigningKey(seed("thief")).public, DESK_KINDS)
    stolen = key_content(world, 5, 0, added=(feed,))
    refused = world.block(world.entry(2, Kind.KEY, stolen)).placed[0].applied.outcome
    assert refused is Outcome.KEY_ROOT_UNSIGNED
    good = key_content(world, 5, 0, ended=(DESK,), signer=fresh)
    assert world.block(world.entry(2, Kind.KEY, good)).placed[0].applied.outcome.accepted


@pytest.mark.parametrize(
    "change",
    [
        Admit(newcomer_record(cosigner_key=World().institution(1).root.public)),
        Admit(newcomer_record(engine_peer=World().institution(2).engine_peer)),
        SetEndpoint(1, "http://127.0.0.1:7001", None, World().institution(2).engine_peer),
        replace_keys(2, engine_key=World().institution(3).engine.public),
    ],
)
def test_no_key_and_no_engine_serves_two_members(world: World, change: Admit) -> None:
    assert post(world, proposal(world, change))[0] is Outcome.PROPOSAL_KEY_REUSED


# Epochs


def test_a_new_committee_opens_an_epoch_with_the_hpke_keys_in_force(world: World) -> None:
    stated = world.head.height + 10
    members = (Admit(newcomer_record()), SetCommittee((1, 2, 3, 4, 6), (1, 2, 3, 6)))
    enact(world, *members, effect_height=stated)
    pass_heights(world, 6)
    epoch = world.registry.epoch
    assert (epoch.epoch, epoch.from_height) == (1, stated)
    assert epoch.validators == (1, 2, 3, 4, 6)
    assert [each.member for each in epoch.committee] == [1, 2, 3, 6]
    assert epoch.committee[3].hpke_key_id == NEWCOMER.hpke.public.key_id
    assert world.registry.epoch_at(stated - 1).epoch == 0
    assert_replays(world)


def test_a_new_hpke_key_of_the_committee_opens_an_epoch_and_of_others_does_not(
    world: World,
) -> None:
    fresh = PrivateKey.generate(b"".join(seed("fresh", part) for part in range(3)))
    new = msgspec.structs.replace(KEPT, hpke_key=fresh.public.encoded)
    enact(world, replace_keys(2, replaced=new))
    assert world.registry.epoch.epoch == 1
    assert world.registry.epoch.committee[1].hpke_key_id == digest("hpke-key", fresh.public.encoded)
    assert world.registry.epoch.validators == (1, 2, 3, 4)
    other = msgspec.structs.replace(KEPT, hpke_key=NEWCOMER.hpke.public.encoded)
    enact(world, replace_keys(5, replaced=other))
    assert world.registry.epoch.epoch == 1


def test_one_change_of_the_epoch_waits_at_a_time(world: World) -> None:
    stated = world.head.height + 5
    enact(world, SetCommittee((1, 2, 3), (1, 2, 3)), effect_height=stated)
    fresh = PrivateKey.generate(b"".join(seed("fresh", part) for part in range(3)))
    new = msgspec.structs.replace(KEPT, hpke_key=fresh.public.encoded)
    assert (
        post(world, proposal(world, replace_keys(2, replaced=new)))[0] is Outcome.PROPOSAL_CONFLICT
    )
    assert post(world, proposal(world, replace_keys(2, replaced=new)))[0] is Outcome.ACCEPTED, (
        "the first one is in force now"
    )


@pytest.mark.parametrize(
    "changes",
    [
        (Suspend(4),),
        (SetRoles(4, 1),),
        (SetEndpoint(4, "", None, World().institution(4).engine_peer),),
        (SetEndpoint(4, "http://127.0.0.1:7004", None, ""),),
        (SetCommittee((1, 2, 3, 4, 5), (1, 2, 3, 4)),),
    ],
)
def test_a_validator_that_could_not_do_its_work_is_refused(
    world: World, changes: tuple[Suspend, ...]
) -> None:
    outcome, _ = post(world, proposal(world, *changes))
    assert outcome is Outcome.PROPOSAL_VALIDATOR_UNFIT


def test_a_member_of_the_committee_is_removed_only_with_the_committee_that_stays(
    world: World,
) -> None:
    assert post(world, proposal(world, Remove(4)))[0] is Outcome.PROPOSAL_COMMITTEE_UNFIT
    enact(world, Remove(4), SetCommittee((1, 2, 3), (1, 2, 3)))
    assert world.registry.epoch.validators == (1, 2, 3)
    assert_replays(world)


@pytest.mark.parametrize(
    ("validators", "outcome"),
    [
        ((1, 2, 3), Outcome.ACCEPTED),
        ((1, 2), Outcome.PROPOSAL_QUORUM_LOST),
        ((1,), Outcome.PROPOSAL_QUORUM_LOST),
        ((1, 2, 3, 4, 6), Outcome.ACCEPTED),
        ((1, 2, 3, 6), Outcome.ACCEPTED),
        ((1, 2, 6), Outcome.PROPOSAL_QUORUM_LOST),
    ],
)
def test_no_more_validators_change_at_once_than_the_network_can_lose(
    world: World, validators: tuple[int, ...], outcome: Outcome
) -> None:
    enact(world, Admit(newcomer_record()))
    changes = SetCommittee(validators, validators[:2])
    assert post(world, proposal(world, changes))[0] is outcome
    if not outcome.accepted:
        assert post(world, proposal(world, changes, waived=1))[0] is Outcome.ACCEPTED


def test_two_new_engine_keys_of_four_are_too_many_at_once(world: World) -> None:
    one = replace_keys(1, engine_key=SigningKey(seed("one")).public)
    two = replace_keys(2, engine_key=SigningKey(seed("two")).public)
    assert post(world, proposal(world, one, two))[0] is Outcome.PROPOSAL_QUORUM_LOST
    assert post(world, proposal(world, one))[0] is Outcome.ACCEPTED


def test_a_committee_that_still_holds_keys_is_not_voted_away(world: World) -> None:
    index = submit(world, 1, "held")
    enact(world, Admit(newcomer_record()))
    enact(world, SetCommittee((1, 2, 3, 6), (1, 2, 3, 6)))
    leave = (Remove(3), SetCommittee((1, 2, 6), (1, 2, 6)))
    enact(world, Remove(4))
    assert post(world, proposal(world, *leave, waived=1))[0] is Outcome.PROPOSAL_STRANDS
    world.institutions = (*world.institutions, NEWCOMER)
    dealt, _ = world.deal_again(1, index, salt="held")
    again = encode(world.redeposit(1, index, dealt))
    assert world.block(world.entry(1, Kind.REDEPOSIT, again)).placed[0].applied.outcome.accepted
    assert post(world, proposal(world, *leave, waived=1))[0] is Outcome.ACCEPTED
    assert_replays(world)


def test_what_is_erased_holds_no_committee_back(world: World) -> None:
    index = submit(world, 1, "erased")
    leave = (Remove(3), Remove(4), SetCommittee((1, 2), (1, 2)))
    assert post(world, proposal(world, *leave, waived=1))[0] is Outcome.PROPOSAL_STRANDS
    order = encode(Mark(EventId(index, 0), 1, None, 1))
    assert world.block(world.entry(1, Kind.MARK, order)).placed[0].applied.outcome.accepted
    assert post(world, proposal(world, *leave, waived=1))[0] is Outcome.ACCEPTED


# Settings


def test_parameters_are_those_of_the_height(world: World) -> None:
    params = msgspec.structs.replace(world.ledger.params, refused_per_day=1, profile="us")
    enact(world, SetParams(params))
    assert world.ledger.params_of(world.registry) == params
    assert world.registry.settings[0].from_height == world.head.height + 1
    unknown = encode(Mark(EventId(0, 0), 1, None, 1))
    assert world.block(world.entry(4, Kind.MARK, unknown)).placed
    ((_, dropped),) = world.block(world.entry(4, Kind.MARK, unknown)).dropped
    assert dropped.outcome is Outcome.REFUSED_TOO_OFTEN
    for fixed in ({"linker": bytes(32)}, {"utc_offset_min": 0}):
        change = SetParams(msgspec.structs.replace(params, **fixed))
        entry = world.entry(1, Kind.PROPOSAL, encode(proposal(world, change)))
        assert world.apply(entry).outcome is Outcome.PROPOSAL_PARAMS_FIXED
    assert_replays(world)


def test_blocks_of_rules_that_this_version_does_not_know_are_not_executed(world: World) -> None:
    stated = world.head.height + 6
    enact(world, SetRules(2), effect_height=stated)
    assert upgrade_due(world) == (stated, 2)
    pass_heights(world, 2)
    assert world.head.height == stated - 1
    leaf = decode_leaf(world.leaves[-1])
    assert isinstance(leaf, BlockLeaf)
    assert leaf.rules == 1, "the block before is executed by the old rules"
    assert world.ledger.rules_of(world.registry) == 2
    assert upgrade_due(world) is None
    with pytest.raises(RulesError, match="executed by rules 2, this version knows rules up to 1"):
        world.block()
    assert_replays(world)


def test_rules_whose_height_comes_before_their_quorum_do_not_begin(world: World) -> None:
    _, identity = post(world, proposal(world, SetRules(2), effect_height=world.head.height + 4))
    for member in (2, 3):
        cast(world, member, identity)
    row = standing(world, identity)
    assert (row.standing, row.failure) == (ProposalStanding.FAILED, Outcome.PROPOSAL_RULES_LATE)
    assert world.registry.settings == ()


# Who was there before


def test_a_verifier_follows_every_kind_of_change(world: World) -> None:
    committee = Committee()
    world = committee.world
    enact(world, Admit(newcomer_record()), SetCommittee((1, 2, 3, 4, 6), (1, 2, 3, 4)))
    params = msgspec.structs.replace(world.ledger.params, profile="eu")
    enact(world, SetParams(params))
    enact(world, Remove(5), voters=(2, 3, 4))
    log = TrustedLog.start(world.ledger)
    for step in committee.steps(cosigners=(1, 2, 3, 4)):
        log = log.advance(step)
    assert log.registry == world.registry
    assert change_heights(world.registry) == [
        leaf.height
        for leaf in map(decode_leaf, world.leaves)
        if isinstance(leaf, BlockLeaf) and leaf.height in change_heights(world.registry)
    ]


def test_the_registry_of_any_height_follows_from_a_later_one(world: World) -> None:
    seen = [(world.head.height, world.registry)]
    enact(world, Admit(newcomer_record()))
    seen.append((world.head.height, world.registry))
    enact(world, SetCommittee((1, 2, 3), (1, 2, 3)))
    seen.append((world.head.height, world.registry))
    enact(world, Remove(6))
    seen.append((world.head.height, world.registry))
    enact(world, SetParams(msgspec.structs.replace(world.ledger.params, profile="eu")))
    for height, registry in seen:
        assert registry_after(world.registry, height) == registry


def test_what_a_removed_member_posted_before_stays_as_it_was(world: World) -> None:
    _, identity = post(world, proposal(world, SetRoles(2, 9)), member=5)
    enact(world, Remove(5))
    for member in (1, 2, 3):
        cast(world, member, identity)
    assert standing(world, identity).standing == ProposalStanding.ENACTED
    assert_replays(world)
