"""Key changes: only a member's root key adds, ends and replaces its other keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger import state
from tradeline_ledger.errors import SignatureError
from tradeline_ledger.key import KEY, KEY_CHANGE, KEY_CHANGES_MAX, KeyChange, changed_record
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.registry import FEEDS_MAX, VERSIONS_MAX
from tradeline_ledger.signing import valid_key, verify
from tradeline_ledger.statement import FEED_KINDS
from tradeline_ledger.transition.context import Ruling

if TYPE_CHECKING:
    from tradeline_ledger.registry import MemberRecord, Registry
    from tradeline_ledger.state import View
    from tradeline_ledger.transition.context import Context, Signed


def rule(view: View, signed: Signed, context: Context) -> Ruling:
    """
    Return the ruling on a key change.

    Raises:
        MalformedError: the content or its change does not decode.
    """
    content = KEY.decode(signed.entry.content)
    change = KEY_CHANGE.decode(content.change)
    record = context.pending.member(change.member)
    if record is None:
        return Ruling(Outcome.KEY_MEMBER_UNKNOWN)
    if change.ledger_id != context.ledger.ledger_id:
        return Ruling(Outcome.KEY_CHANGE_WRONG_LEDGER)
    changes_key = state.key_changes_key(change.member)
    changes = state.count(view, changes_key)
    if change.n != changes:
        return Ruling(Outcome.KEY_CHANGE_OUT_OF_TURN)
    try:
        verify(record.root_key, "key", content.change, content.root_signature)
    except SignatureError:
        return Ruling(Outcome.KEY_ROOT_UNSIGNED)
    outcome = _check_change(change, record, context.pending)
    if outcome:
        return Ruling(outcome)
    after = changed_record(record, change, context.height + 1)
    return Ruling(Outcome.ACCEPTED, ((changes_key, state.counter(changes + 1)),), record=after)


def _check_change(change: KeyChange, record: MemberRecord, registry: Registry) -> Outcome | None:
    replaced = change.replaced
    if replaced.hpke_key is not None:
        return Outcome.KEY_EPOCH_RESERVED
    used = {feed.feed for version in registry.versions(record.id) for feed in version.feeds}
    if any(feed.feed == 0 or feed.feed in used for feed in change.added):
        return Outcome.KEY_FEED_REUSED
    present = {feed.feed for feed in record.feeds}
    if any(number not in present for number in change.ended):
        return Outcome.KEY_FEED_ABSENT
    keys = [feed.key for feed in change.added]
    keys += [key for key in (replaced.node_key, replaced.note_key, replaced.cosigner_key) if key]
    if not all(valid_key(key) for key in keys):
        return Outcome.KEY_WEAK
    if len(set(keys)) != len(keys) or any(registry.has_key(key) for key in keys):
        return Outcome.KEY_REUSED
    if any(not feed.kinds or feed.kinds & ~FEED_KINDS for feed in change.added):
        return Outcome.KEY_KINDS_WRONG
    if not (keys or change.ended or replaced.tag_key_hash):
        return Outcome.KEY_WITHOUT_EFFECT
    feeds = len(present) - len(change.ended) + len(change.added)
    if feeds > FEEDS_MAX or change.n >= KEY_CHANGES_MAX or len(registry.members) >= VERSIONS_MAX:
        return Outcome.KEY_TOO_MANY
    return None
