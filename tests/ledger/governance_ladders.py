"""Ladders of proposals and votes; `test_ladders` climbs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec.structs
from tests.draft import Draft, make_world
from tests.governance import (
    cast,
    enact,
    newcomer_record,
    post,
    proposal,
    replace_keys,
    vote,
)
from tests.world import BULK, DAY_MS, DESK, seed

from tradeline_ledger.encoding import encode
from tradeline_ledger.governance import read_proposal
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.proposal import (
    EFFECT_AHEAD_MAX,
    WAITING_MEMBER_MAX,
    Admit,
    Change,
    ProposalVote,
    Remove,
    SetCommittee,
    SetEndpoint,
    SetParams,
    SetRoles,
    SetRules,
    Suspend,
)
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import Kind

Repair = Callable[[Any], object]
WEAK: Final = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")


def put(**fields: Any) -> Repair:
    """Return a repair that sets fields of the draft."""

    def repair(draft: Any) -> None:
        for name, value in fields.items():
            assert hasattr(draft, name), name
            setattr(draft, name, value)

    return repair


class ProposalDraft(Draft):
    """A proposal with everything wrong."""

    named: bytes | None = bytes(32)
    root: bytes | None = bytes(32)
    days = 91
    effect = EFFECT_AHEAD_MAX * 2
    waived = 0
    changes: tuple[Change, ...] = ()
    posted: bytes = b""
    """Content that was accepted before; in place of the rest while it is there."""

    def encoded(self, _: Draft) -> bytes:
        if self.posted:
            return self.posted
        fields: dict[str, Any] = {
            "effect_height": self.effect,
            "expires_ms": self.world.time_ms + self.days * DAY_MS,
            "waived": self.waived,
        }
        if self.named is not None:
            fields["ledger_id"] = self.named
        if self.root is not None:
            fields["registry_root"] = self.root
        return encode(proposal(self.world, *self.changes, **fields))


def start_proposal() -> Draft:
    """Return the draft of a suspended member, in a world with proposals that wait."""
    world = make_world()
    enact(world, Suspend(5))
    batch = world.batch(1, [(world.tag(1, 1, 2026), 24_400, b"event")])[0]
    world.block(world.submission(1, batch))
    for number in range(10, 10 + WAITING_MEMBER_MAX):
        root = SigningKey(seed("root", number)).public
        nothing = dict.fromkeys(("node_key", "note_key", "cosigner_key", "engine_key", "hpke_key"))
        record = newcomer_record(id=number, root_key=root, feeds=(), endpoint="", engine_peer="")
        record = msgspec.structs.replace(record, **nothing)
        outcome, _ = post(world, proposal(world, Admit(record)), member=4)
        assert outcome is Outcome.ACCEPTED, outcome
    draft = ProposalDraft(
        world, 5, kind=Kind.PROPOSAL, content=lambda _: b"", feed=BULK, after_content=b"\x00"
    )
    draft.content, draft.changes = draft.encoded, (SetRules(2),)
    return draft


def post_twice(draft: ProposalDraft) -> None:
    """Name this ledger, with a proposal that is there."""
    draft.named = None
    waiting = [key[1:] for key in sorted(draft.world.rows) if key[:1] == b"A"]
    row = read_proposal(draft.world, waiting[-1])
    assert row is not None
    draft.posted = row.content


def let_expire(draft: ProposalDraft) -> None:
    """Wait until no proposal waits, then have one that waits."""
    draft.world.time_ms += 31 * DAY_MS
    post(draft.world, proposal(draft.world, SetRules(2), effect_height=10_000))


def reject_other(draft: ProposalDraft) -> None:
    """Have what waits rejected."""
    for row in [key[1:] for key in sorted(draft.world.rows) if key[:1] == b"A"]:
        for member in (2, 3):
            cast(draft.world, member, row, approve=False)


def changed(*changes: Change) -> Repair:
    """Return a repair that proposes other changes."""
    return put(changes=changes)


def _params(draft: ProposalDraft) -> None:
    params = msgspec.structs.replace(draft.world.ledger.params, utc_offset_min=0)
    draft.changes = (SetParams(params),)


PROPOSAL: Final[list[tuple[Outcome, Repair]]] = [
    (Outcome.KIND_NOT_ALLOWED, put(feed=DESK)),
    (Outcome.CONTENT_MALFORMED, put(after_content=b"")),
    (Outcome.MEMBER_SUSPENDED, put(member=4)),
    (Outcome.PROPOSAL_LEDGER_WRONG, post_twice),
    (Outcome.PROPOSAL_DUPLICATE, put(posted=b"")),
    (Outcome.PROPOSAL_STALE, put(root=None)),
    (Outcome.PROPOSAL_EXPIRY_WRONG, put(days=90)),
    (Outcome.PROPOSAL_EFFECT_TOO_FAR, put(effect=0)),
    (Outcome.PROPOSAL_TOO_MANY, let_expire),
    (Outcome.PROPOSAL_CONFLICT, reject_other),
    (Outcome.PROPOSAL_RULES_LATE, changed(SetRoles(9, 1))),
    (Outcome.PROPOSAL_MEMBER_UNKNOWN, changed(Admit(newcomer_record(id=2)))),
    (
        Outcome.PROPOSAL_MEMBER_ID_USED,
        changed(SetEndpoint(4, "http://example.org", None, "")),
    ),
    (Outcome.PROPOSAL_ENDPOINT_WRONG, changed(replace_keys(4, ended=(7,), root_key=WEAK))),
    (Outcome.PROPOSAL_FEED_WRONG, changed(replace_keys(4, root_key=WEAK))),
    (
        Outcome.PROPOSAL_KEY_WEAK,
        lambda draft: put(
            changes=(replace_keys(4, root_key=draft.world.institution(1).root.public),)
        )(draft),
    ),
    (Outcome.PROPOSAL_KEY_REUSED, _params),
    (Outcome.PROPOSAL_PARAMS_FIXED, put(changes=(SetRules(3),), effect=10_000)),
    (Outcome.PROPOSAL_RULES_WRONG, changed(replace_keys(4))),
    (Outcome.PROPOSAL_WITHOUT_EFFECT, changed(SetCommittee((1, 2, 5), (1, 2, 4)))),
    (Outcome.PROPOSAL_COMMITTEE_UNFIT, changed(SetCommittee((1, 2, 5), (1, 2)))),
    (Outcome.PROPOSAL_VALIDATOR_UNFIT, changed(SetCommittee((1, 2), (1, 2)))),
    (
        Outcome.PROPOSAL_QUORUM_LOST,
        put(changes=(Remove(3), Remove(4), SetCommittee((1, 2), (1, 2))), waived=1),
    ),
    (Outcome.PROPOSAL_STRANDS, put(waived=3)),
    (Outcome.ACCEPTED, lambda _: None),
]


class VoteDraft(Draft):
    """A vote with everything wrong."""

    identity = bytes(16)
    proposals: tuple[bytes, ...] = ()
    """Passed, expired, open."""

    def encoded(self, _: Draft) -> bytes:
        return encode(ProposalVote(self.identity, 1))


def start_vote() -> Draft:
    """Return the draft of a vote in a world with a passed, an expired and an open proposal."""
    world = make_world()
    passed = enact(world, SetRoles(5, 7))
    _, expired = post(world, proposal(world, SetRoles(5, 4), expires_ms=world.time_ms + 2000))
    world.block(world.entry(2, Kind.MARK, b""), later_ms=5000)
    _, open_ = post(world, proposal(world, SetRoles(5, 6)))
    world.block(vote(world, 4, open_))
    draft = VoteDraft(
        world, 5, kind=Kind.VOTE, content=lambda _: b"", feed=BULK, after_content=b"\x00"
    )
    draft.content = draft.encoded
    draft.proposals = (passed, expired, open_)
    return draft


def about(place: int) -> Repair:
    """Return a repair that votes on another proposal."""
    return lambda draft: put(identity=draft.proposals[place])(draft)


VOTE: Final[list[tuple[Outcome, Repair]]] = [
    (Outcome.KIND_NOT_ALLOWED, put(feed=DESK)),
    (Outcome.CONTENT_MALFORMED, put(after_content=b"")),
    (Outcome.VOTE_PROPOSAL_UNKNOWN, about(0)),
    (Outcome.VOTE_NOT_VALIDATOR, put(member=4)),
    (Outcome.VOTE_PROPOSAL_CLOSED, about(1)),
    (Outcome.VOTE_PROPOSAL_EXPIRED, about(2)),
    (Outcome.VOTE_WITHOUT_EFFECT, put(member=2)),
    (Outcome.ACCEPTED, lambda _: None),
]
