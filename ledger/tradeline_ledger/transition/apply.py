"""
`apply`: one entry against the state before it.

First what can only make an entry *dropped*, because the member's signature does not cover it or
the entry is not in its turn; then the rules of its kind, which accept or refuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradeline_ledger import calendar, state
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError, SignatureError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.registry import Role
from tradeline_ledger.statement import (
    ENTRY,
    FIRST_PREV,
    KINDS_IMPLEMENTED,
    STATEMENT,
    Entry,
    Kind,
    Statement,
    content_hash,
    statement_hash,
    verify_statement,
)
from tradeline_ledger.submission import Submission, decode_submission
from tradeline_ledger.transition import (
    consent_rules,
    custody_rules,
    inquiry_rules,
    key_rules,
    mark_rules,
    proposal_rules,
    quality_rules,
    redeposit_rules,
    released_rules,
    status_rules,
    submission_rules,
    vote_rules,
)
from tradeline_ledger.transition.context import Applied, Context, Opened, Ruling, Signed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradeline_ledger.registry import Feed, MemberRecord
    from tradeline_ledger.state import View

_RULES: Final[dict[Kind, Callable[[View, Signed, Context], Ruling]]] = {
    Kind.SUBMISSION: submission_rules.rule,
    Kind.CONSENT: consent_rules.rule,
    Kind.STATUS: status_rules.rule,
    Kind.INQUIRY: inquiry_rules.rule,
    Kind.RELEASED: released_rules.rule,
    Kind.MARK: mark_rules.rule,
    Kind.KEY: key_rules.rule,
    Kind.CUSTODY: custody_rules.rule,
    Kind.REDEPOSIT: redeposit_rules.rule,
    Kind.PROPOSAL: proposal_rules.rule,
    Kind.VOTE: vote_rules.rule,
    Kind.QUALITY: quality_rules.rule,
}
ROLES: Final = {
    Kind.SUBMISSION: Role.CONTRIBUTOR,
    Kind.CONSENT: Role.READER,
    Kind.INQUIRY: Role.READER,
    Kind.MARK: Role.CONTRIBUTOR,
    Kind.REDEPOSIT: Role.CONTRIBUTOR,
    Kind.QUALITY: Role.CONTRIBUTOR,
}
"""Role that a kind demands; the others ask who the poster is in their own rules."""


class _DroppedError(Exception):
    """Ends the checks of an entry that gets no place; never leaves this module."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome


def apply(view: View, encoded: bytes, context: Context) -> Applied:
    """
    Return the outcome of one encoded entry and the rows that it writes.

    Outcomes are checked in the order in which `Outcome` lists them. Nothing raises: whatever
    the bytes, the result is an outcome.
    """
    try:
        signed = _place(view, encoded, context)
        ruling = _rule(view, signed, context)
        refusals = _count_refusal(view, signed, ruling, context)
    except _DroppedError as dropped:
        return Applied(dropped.outcome, str(dropped), None, (), None)
    advance = _advance(signed, context)
    return Applied(ruling.outcome, "", signed, (advance, *refusals, *ruling.writes), ruling)


def _place(view: View, encoded: bytes, context: Context) -> Signed:
    """Check all that can make an entry dropped but the daily limit of refusals."""
    known = None if context.memory is None else context.memory.get(encoded)
    entry, statement = (known.entry, known.statement) if known else _decode(encoded)
    if statement.ledger_id != context.ledger.ledger_id:
        raise _DroppedError(
            Outcome.LEDGER_WRONG,
            f"the statement names ledger {statement.ledger_id.hex()}, "
            f"this one is {context.ledger.ledger_id.hex()}",
        )
    member, feed = _find_feed(statement, context)
    if known is None or known.key != feed.key:
        try:
            verify_statement(feed.key, entry.statement, entry.signature)
        except SignatureError as error:
            raise _DroppedError(Outcome.SIGNATURE_WRONG, str(error)) from error
    _check_position(view, statement)
    if known is None:
        known = Opened(entry, statement, feed.key, _check_content(entry, statement, context))
        if context.memory is not None:
            context.memory.put(encoded, known)
    return Signed(entry, statement, member, feed.kinds, known.submission)


def _decode(encoded: bytes) -> tuple[Entry, Statement]:
    try:
        entry = ENTRY.decode(encoded)
    except MalformedError as error:
        raise _DroppedError(Outcome.ENTRY_MALFORMED, str(error)) from error
    try:
        return entry, STATEMENT.decode(entry.statement)
    except MalformedError as error:
        raise _DroppedError(Outcome.STATEMENT_MALFORMED, str(error)) from error


def _find_feed(statement: Statement, context: Context) -> tuple[MemberRecord, Feed]:
    member = context.registry.member(statement.member)
    if member is None:
        raise _DroppedError(
            Outcome.MEMBER_UNKNOWN, f"no member {statement.member} at height {context.height}"
        )
    feed = member.feed(statement.feed)
    if feed is not None:
        return member, feed
    where = f"feed {statement.feed} of member {statement.member}"
    for version in context.registry.versions(statement.member):
        if version.feed(statement.feed) is not None:
            raise _DroppedError(Outcome.KEY_ENDED, f"the key of {where} was ended")
    raise _DroppedError(Outcome.FEED_UNKNOWN, f"{where} is not in the registry")


def _check_position(view: View, statement: Statement) -> None:
    feed = state.read(view, state.FEED, state.feed_key(statement.member, statement.feed))
    next_seq, prev = (feed.next_seq, feed.prev) if feed else (0, FIRST_PREV)
    where = f"feed {statement.feed} of member {statement.member}"
    if statement.seq != next_seq:
        outcome = Outcome.POSITION_PAST if statement.seq < next_seq else Outcome.POSITION_AHEAD
        raise _DroppedError(outcome, f"{where}: got seq {statement.seq}, next is {next_seq}")
    if statement.prev != prev:
        raise _DroppedError(
            Outcome.PREV_WRONG, f"{where}: got prev {statement.prev.hex()}, expected {prev.hex()}"
        )


def _check_content(entry: Entry, statement: Statement, context: Context) -> Submission | None:
    submission = None
    if statement.kind == Kind.SUBMISSION:
        try:
            submission = decode_submission(entry.content)
        except MalformedError as error:
            raise _DroppedError(Outcome.SUBMISSION_MALFORMED, str(error)) from error
        actual = submission.content_hash(context.ledger.ledger_id, statement.member)
    else:
        actual = content_hash(statement.kind, entry.content)
    if actual != statement.content_hash:
        raise _DroppedError(
            Outcome.CONTENT_HASH_WRONG,
            f"the content hashes to {actual.hex()}, the statement names "
            f"{statement.content_hash.hex()}",
        )
    return submission


def _rule(view: View, signed: Signed, context: Context) -> Ruling:
    number = signed.statement.kind
    if number not in set(Kind):
        return Ruling(Outcome.KIND_UNKNOWN)
    kind = Kind(number)
    if kind not in KINDS_IMPLEMENTED:
        return Ruling(Outcome.KIND_RESERVED)
    if not signed.feed_kinds >> kind & 1:
        return Ruling(Outcome.KIND_NOT_ALLOWED)
    try:
        ruling = _RULES[kind](view, signed, context)
    except MalformedError:
        return Ruling(Outcome.CONTENT_MALFORMED)
    role = ROLES.get(kind)
    if role is not None and not signed.member.has(role):
        return Ruling(Outcome.ROLE_MISSING)
    if signed.member.suspended:
        return Ruling(Outcome.MEMBER_SUSPENDED)
    return ruling


def _count_refusal(
    view: View, signed: Signed, ruling: Ruling, context: Context
) -> tuple[tuple[bytes, bytes], ...]:
    if not ruling.outcome.refused:
        return ()
    params = context.params
    day = calendar.day(context.time_ms, params.utc_offset_min)
    key = state.refused_key(signed.member.id, day)
    refused = state.count(view, key)
    if refused >= params.refused_per_day:
        raise _DroppedError(
            Outcome.REFUSED_TOO_OFTEN,
            f"the entry would be refused ({ruling.outcome.code}) and member {signed.member.id} "
            f"had {refused} refused entries today, of {params.refused_per_day}",
        )
    return ((key, state.counter(refused + 1)),)


def _advance(signed: Signed, context: Context) -> tuple[bytes, bytes]:
    statement = signed.statement
    after = state.FeedState(
        statement.seq + 1, statement_hash(signed.entry.statement), context.index
    )
    return state.feed_key(statement.member, statement.feed), encode(after)
