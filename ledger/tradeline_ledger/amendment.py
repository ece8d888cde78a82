"""
Amendments: the registry that a proposal's changes make, or why they can't be made.

One function judges a proposal when it is posted and makes its changes when they take effect: what
was possible then may not be any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec.structs

from tradeline_ledger.endpoint import check_endpoint
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.hashing import digest
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.params import SettingsRecord
from tradeline_ledger.proposal import (
    Admit,
    Remove,
    ReplaceKeys,
    Resume,
    SetCommittee,
    SetEndpoint,
    SetParams,
    SetRoles,
    SetRules,
    Suspend,
    Waiver,
)
from tradeline_ledger.registry import (
    FEEDS_MAX,
    SUITE_HPKE_XWING,
    VERSIONS_MAX,
    CommitteeMember,
    EpochRecord,
    MemberRecord,
    Registry,
    Role,
    quorum,
)
from tradeline_ledger.signing import valid_key
from tradeline_ledger.statement import FEED_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.proposal import Change, Proposal


class _RefusedError(Exception):
    """Ends an amendment; never leaves this module."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.code)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Moment:
    """When an amendment takes effect."""

    height: int
    """First height at which it is in force."""
    time_ms: int
    """Time of the block before that height."""


def amend(
    ledger: Ledger,
    registry: Registry,
    proposal: Proposal,
    moment: Moment,
    held: Callable[[int], int],
) -> Registry | Outcome:
    """
    Return the registry that `proposal` makes of `registry`, or the outcome that refuses it.

    `held` says how many batches have their deposits in force with the committee of an epoch.
    """
    try:
        after = _Amendment(ledger, registry, moment).make(proposal)
        _check_validators(registry, after)
        if not proposal.waived & Waiver.QUORUM:
            _check_quorum(registry, after)
        if not proposal.waived & Waiver.STRAND:
            _check_stranded(registry, after, held)
    except _RefusedError as refused:
        return refused.outcome
    return after


class _Amendment:
    """The changes of one proposal, made one after the other."""

    def __init__(self, ledger: Ledger, registry: Registry, moment: Moment) -> None:
        self.ledger = ledger
        self.registry = registry
        self.moment = moment
        self.params = ledger.params_of(registry)
        self.rules = ledger.rules_of(registry)

    def make(self, proposal: Proposal) -> Registry:
        if not has_room(self.registry, proposal):
            raise _RefusedError(Outcome.PROPOSAL_TOO_MANY)
        settings = (self.params, self.rules)
        for change in proposal.changes:
            before = (self.registry.root, self.params, self.rules)
            self._make(change)
            if before == (self.registry.root, self.params, self.rules) and not isinstance(
                change, SetCommittee
            ):
                raise _RefusedError(Outcome.PROPOSAL_WITHOUT_EFFECT)
        self._renew_epoch(proposal)
        if (self.params, self.rules) != settings:
            self.registry = self.registry.with_settings(
                SettingsRecord(self.moment.height, self.moment.time_ms, self.rules, self.params)
            )
        return self.registry

    def _make(self, change: Change) -> None:
        match change:
            case Admit(record=record):
                self._admit(record)
            case SetRoles(member=member, roles=roles):
                old = self._member(member)
                self._put(old, roles=roles | old.roles & Role.SUSPENDED)
            case Suspend(member=member):
                old = self._member(member)
                self._put(old, roles=old.roles | Role.SUSPENDED)
            case Resume(member=member):
                old = self._member(member)
                self._put(old, roles=old.roles & ~Role.SUSPENDED)
            case Remove(member=member):
                self._member(member)
                self.registry = self.registry.without_member(member, self.moment.height)
            case SetEndpoint():
                self._set_endpoint(change)
            case ReplaceKeys():
                self._replace_keys(change)
            case SetParams(params=params):
                same = (self.params.linker, self.params.utc_offset_min)
                if (params.linker, params.utc_offset_min) != same:
                    raise _RefusedError(Outcome.PROPOSAL_PARAMS_FIXED)
                self.params = params
            case SetRules(rules=rules):
                if rules != self.rules + 1:
                    raise _RefusedError(Outcome.PROPOSAL_RULES_WRONG)
                self.rules = rules
            case SetCommittee():
                pass  # once all members are as they will be

    def _member(self, number: int) -> MemberRecord:
        record = self.registry.member(number)
        if record is None:
            raise _RefusedError(Outcome.PROPOSAL_MEMBER_UNKNOWN)
        return record

    def _put(self, old: MemberRecord, **fields: object) -> None:
        record = msgspec.structs.replace(old, **fields)
        if record != old:
            from_height = self.moment.height
            version = msgspec.structs.replace(record, from_height=from_height)
            self.registry = self.registry.with_version(version)

    def _admit(self, record: MemberRecord) -> None:
        if self.registry.versions(record.id):
            raise _RefusedError(Outcome.PROPOSAL_MEMBER_ID_USED)
        _check_endpoint(record.endpoint, record.tls_pin)
        self._check_peer(record.id, record.engine_peer)
        self._check_keys(record.key_list())
        version = msgspec.structs.replace(record, from_height=self.moment.height)
        self.registry = self.registry.with_version(version)

    def _set_endpoint(self, change: SetEndpoint) -> None:
        old = self._member(change.member)
        _check_endpoint(change.endpoint, change.tls_pin)
        self._check_peer(change.member, change.engine_peer)
        self._put(
            old,
            endpoint=change.endpoint,
            tls_pin=change.tls_pin,
            engine_peer=change.engine_peer,
        )

    def _replace_keys(self, change: ReplaceKeys) -> None:
        old, new = self._member(change.member), change.replaced
        used = {feed.feed for each in self.registry.versions(old.id) for feed in each.feeds}
        present = {feed.feed for feed in old.feeds}
        kept = [feed for feed in old.feeds if feed.feed not in change.ended]
        fits = (
            all(feed.feed and feed.feed not in used for feed in change.added)
            and all(number in present for number in change.ended)
            and all(feed.kinds and not feed.kinds & ~FEED_KINDS for feed in change.added)
            and len(kept) + len(change.added) <= FEEDS_MAX
        )
        if not fits:
            raise _RefusedError(Outcome.PROPOSAL_FEED_WRONG)
        own = (
            change.root_key,
            change.engine_key,
            new.node_key,
            new.note_key,
            new.cosigner_key,
        )
        self._check_keys((*(key for key in own if key), *(feed.key for feed in change.added)))
        self._put(
            old,
            root_key=change.root_key or old.root_key,
            engine_key=change.engine_key or old.engine_key,
            feeds=tuple(sorted([*kept, *change.added], key=lambda feed: feed.feed)),
            node_key=new.node_key or old.node_key,
            note_key=new.note_key or old.note_key,
            cosigner_key=new.cosigner_key or old.cosigner_key,
            hpke_key=new.hpke_key or old.hpke_key,
            tag_key_hash=new.tag_key_hash or old.tag_key_hash,
        )

    def _check_keys(self, keys: tuple[bytes, ...]) -> None:
        if not all(valid_key(key) for key in keys):
            raise _RefusedError(Outcome.PROPOSAL_KEY_WEAK)
        if len(set(keys)) != len(keys) or any(self.registry.has_key(key) for key in keys):
            raise _RefusedError(Outcome.PROPOSAL_KEY_REUSED)

    def _check_peer(self, member: int, engine_peer: str) -> None:
        """Refuse the engine id of another member: its engine would take the one for the other."""
        others = [each for each in self.registry.in_force() if each.id != member]
        taken = {each.engine_peer.partition("@")[0] for each in others if each.engine_peer}
        if engine_peer.partition("@")[0] in taken:
            raise _RefusedError(Outcome.PROPOSAL_KEY_REUSED)

    def _renew_epoch(self, proposal: Proposal) -> None:
        """Open an epoch if validators, committee or an HPKE key of the committee changed."""
        now = self.registry.epoch
        stated = next((each for each in proposal.changes if isinstance(each, SetCommittee)), None)
        validators = stated.validators if stated else now.validators
        committee = stated.committee if stated else tuple(each.member for each in now.committee)
        if not set(committee) <= set(validators):
            raise _RefusedError(Outcome.PROPOSAL_COMMITTEE_UNFIT)
        seats = tuple(CommitteeMember(number, self._hpke_key_id(number)) for number in committee)
        if (validators, seats) == (now.validators, now.committee):
            if stated:
                raise _RefusedError(Outcome.PROPOSAL_WITHOUT_EFFECT)
            return
        self.registry = self.registry.with_epoch(
            EpochRecord(
                epoch=now.epoch + 1,
                from_height=self.moment.height,
                from_ms=self.moment.time_ms,
                suite=SUITE_HPKE_XWING,
                validators=validators,
                committee=seats,
            )
        )

    def _hpke_key_id(self, number: int) -> bytes:
        record = self.registry.member(number)
        if record is None or record.hpke_key is None:
            raise _RefusedError(Outcome.PROPOSAL_COMMITTEE_UNFIT)
        return digest("hpke-key", record.hpke_key)


def has_room(registry: Registry, proposal: Proposal) -> bool:
    """Return whether the registry can hold the versions that a proposal adds."""
    return len(registry.members) + len(proposal.changes) <= VERSIONS_MAX


def _check_endpoint(endpoint: str, pin: bytes | None) -> None:
    if not endpoint:
        return
    try:
        check_endpoint(endpoint, pin)
    except MalformedError as error:
        raise _RefusedError(Outcome.PROPOSAL_ENDPOINT_WRONG) from error


def _check_validators(before: Registry, after: Registry) -> None:
    """Refuse a validator, new or changed, that could not do its work."""
    for number in after.epoch.validators:
        record = after.member(number)
        known = number in before.epoch.validators and before.member(number) == record
        if not known and not _fit_to_validate(record):
            raise _RefusedError(Outcome.PROPOSAL_VALIDATOR_UNFIT)


def _fit_to_validate(record: MemberRecord | None) -> bool:
    if record is None or record.suspended or not record.has(Role.VALIDATOR):
        return False
    keys = (record.node_key, record.note_key, record.cosigner_key, record.engine_key)
    return None not in keys and bool(record.engine_peer and record.endpoint)


def _check_quorum(before: Registry, after: Registry) -> None:
    """
    Refuse to change more validators at once than the network can lose.

    Those that stay must be a quorum of those before and of those after: the blocks in between are
    theirs to decide, while the others still have to be started or are stopped already.
    """
    old, new = _engines(before), _engines(after)
    stay = len(old & new)
    if stay < max(quorum(len(old)), quorum(len(new))) and old != new:
        raise _RefusedError(Outcome.PROPOSAL_QUORUM_LOST)


def _engines(registry: Registry) -> frozenset[tuple[int, bytes | None]]:
    records = [(number, registry.member(number)) for number in registry.epoch.validators]
    return frozenset((number, each.engine_key if each else None) for number, each in records)


def _check_stranded(before: Registry, after: Registry, held: Callable[[int], int]) -> None:
    """Refuse to leave fewer than t of a committee that still holds the keys of batches."""
    for epoch in before.epochs:
        left = sum(_serves(after, each.member) for each in epoch.committee)
        were = sum(_serves(before, each.member) for each in epoch.committee)
        if left < epoch.threshold and left < were and held(epoch.epoch):
            raise _RefusedError(Outcome.PROPOSAL_STRANDS)


def _serves(registry: Registry, number: int) -> bool:
    record = registry.member(number)
    return record is not None and not record.suspended and record.node_key is not None
