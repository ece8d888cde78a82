"""
One entry from its signature to its verified place in the log.

The journal records a statement before it leaves. The same bytes are handed to one node, then to
another if that fails, until a node says where they stand; that counts once the leaf is proven
under a checkpoint with a quorum.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from tradeline_client.errors import (
    AnswerError,
    ClientError,
    DroppedError,
    NodeProblemError,
    RefusedError,
)
from tradeline_client.flows.checkpoint import leaf_at, newest
from tradeline_client.flows.position import ready
from tradeline_client.requests import (
    Flow,
    Request,
    Round,
    TransportFailure,
    from_json,
    pause,
    problem_of,
    raise_failures,
    read,
)
from tradeline_ledger.errors import LedgerError, MalformedError
from tradeline_ledger.note import decode_note
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.statement import (
    STATEMENT_VERSION,
    EntryLeaf,
    Kind,
    Statement,
    content_hash,
    sign_entry,
    statement_hash,
)
from tradeline_ledger.tlog_proof import TlogProof, encode_proof

if TYPE_CHECKING:
    from tradeline_client.journal import Signed
    from tradeline_client.session import Session
    from tradeline_ledger.trust import VerifiedCheckpoint

PLACED_WITHIN_MS: Final = 60_000
"""How long to wait for an entry's place; it stays pending and can be asked for again."""
ENTRY_TIMEOUT_S: Final = 10.0
"""Of one node; then another one is asked, and this one perhaps again."""
WAIT_MS: Final = 10_000
"""Of one long poll."""
_BETWEEN_S: Final = 0.2
"""Between asking all nodes, none of which had it."""
_OUTCOMES: Final = {outcome.code: outcome for outcome in Outcome}


@dataclass(frozen=True, slots=True)
class Placement:
    """An entry of this client and its verified place. Made by `confirm` only."""

    index: int
    """Log index."""
    height: int
    """Block that placed it."""
    kind: int
    """`Kind` of the statement."""
    outcome: Outcome
    """Accepted; a refused one is raised as `RefusedError`."""
    statement_hash: bytes
    leaf: bytes
    path: tuple[bytes, ...]
    """From the leaf to the checkpoint's root."""
    checkpoint: VerifiedCheckpoint

    def proof(self) -> bytes:
        """Return a tlog-proof file of the leaf, which third-party tools verify."""
        return encode_proof(TlogProof(self.index, self.path, decode_note(self.checkpoint.note)))


class _Submitted(msgspec.Struct):
    status: str
    index: int | None = None


class _OutcomeAnswer(msgspec.Struct):
    code: str


class _Status(msgspec.Struct):
    status: str
    index: int | None = None
    outcome: _OutcomeAnswer | None = None
    detail: str | None = None


def place(
    session: Session,
    kind: Kind,
    content: bytes,
    *,
    feed: int,
    about: bytes | None = None,
    created_ms: int | None = None,
) -> Flow[Placement]:
    """
    Sign, hand over and confirm an entry of any kind but a submission.

    Raises:
        RefusedError: it has its place, and no other effect.
        DroppedError: it has no place; it stays pending in the journal.
        JournalConflictError: the feed was used elsewhere; nothing was signed.
        UnavailableError: no node takes it, or its place is not known in time; it stays pending.
        VerificationError: a node lied about it.
    """
    signed = yield from sign(session, kind, content, feed=feed, about=about, created_ms=created_ms)
    return (yield from deliver(session, signed))


def sign(
    session: Session,
    kind: Kind,
    content: bytes,
    *,
    feed: int,
    about: bytes | None = None,
    hash_: bytes | None = None,
    created_ms: int | None = None,
) -> Flow[Signed]:
    """
    Return a new statement over `content`, which the journal has before this returns.

    `hash_` is the content hash of a submission, of other kinds it is computed; `created_ms` is
    the clock unless the content says otherwise.

    Raises:
        JournalConflictError: the feed was used elsewhere; nothing was signed.
        UnavailableError: the feed's position can't be verified.
    """
    yield from ready(session, feed)
    key = session.keystore.feed(feed)
    named = content_hash(kind, content) if hash_ is None else hash_

    def make(seq: int, prev: bytes) -> bytes:
        statement = Statement(
            version=STATEMENT_VERSION,
            ledger_id=session.ledger.ledger_id,
            member=session.member,
            feed=feed,
            seq=seq,
            prev=prev,
            created_ms=session.clock_ms() if created_ms is None else created_ms,
            kind=kind,
            content_hash=named,
        )
        return sign_entry(key, statement, content)

    return session.journal.sign(feed, make, about)


def deliver(session: Session, signed: Signed) -> Flow[Placement]:
    """Hand over a signed entry and confirm its place; raises as `place`."""
    node = yield from hand_over(session, signed)
    return (yield from confirm(session, signed, node))


def hand_over(session: Session, signed: Signed) -> Flow[int]:
    """
    Return the member whose node took the entry; what the journal signed before it goes first.

    Raises:
        DroppedError: a node says that it can't be placed, and no node takes it.
        NodeProblemError, UnavailableError: no node takes it.
    """
    failures: dict[int, Exception] = {}
    for node in session.nodes():
        try:
            yield from _post(node, signed)
        except DroppedError as error:
            failures[node] = error
            if error.outcome is not Outcome.POSITION_AHEAD:
                continue
            try:
                yield from _post_all_before(session, node, signed)
                yield from _post(node, signed)
            except (ClientError, LedgerError) as again:
                failures[node] = again
            else:
                return node
        except (ClientError, LedgerError) as error:
            failures[node] = error
        else:
            return node
    dropped = [error for error in failures.values() if isinstance(error, DroppedError)]
    if dropped:
        raise dropped[0]
    raise_failures("no node takes the entry", failures)
    raise AssertionError


def confirm(
    session: Session, signed: Signed, node: int | None = None, within_ms: int = PLACED_WITHIN_MS
) -> Flow[Placement]:
    """
    Return the verified place of an entry that was handed over, `node` being asked first.

    Raises:
        RefusedError: it has its place, and no other effect.
        DroppedError: every node that answers says that it can't be placed.
        UnavailableError: its place is not known in time; it stays pending.
        VerificationError: a node lied about it, and no other one proves its place.
    """
    deadline_ms = session.clock_ms() + within_ms
    failures: dict[int, Exception] = {}
    waiting = deque(session.nodes(node))
    while waiting:
        each = waiting[0]
        # Another node is asked next in any case: a node that hides a block can't hold us up.
        waiting.rotate(-1)
        try:
            index = yield from _ask(each, signed)
            if index is not None:
                return (yield from _prove(session, each, signed, index))
            failures.pop(each, None)
        except RefusedError:
            raise
        except (ClientError, LedgerError) as error:
            failures[each] = error
        if session.clock_ms() >= deadline_ms:
            break
        if len(failures) == len(waiting):
            yield from pause(_BETWEEN_S)
    dropped = [error for error in failures.values() if isinstance(error, DroppedError)]
    if dropped and len(dropped) == len(failures):
        raise dropped[0]
    raise_failures(f"statement {signed.hash.hex()} is not known to be placed in time", failures)
    raise AssertionError


def resume(session: Session) -> Flow[list[Placement | RefusedError]]:
    """
    Hand over and confirm everything that this folder signed and does not know to be placed.

    Raises:
        DroppedError, UnavailableError, VerificationError: as `deliver`, at the first that fails.
    """
    done: list[Placement | RefusedError] = []
    for signed in session.journal.pending():
        try:
            done.append((yield from deliver(session, signed)))
        except RefusedError as error:
            done.append(error)
    return done


def _ask(node: int, signed: Signed) -> Flow[int | None]:
    """Return the index that a node claims, None while it has the entry queued."""
    target = f"/v1/statements/{signed.hash.hex()}?wait_ms={WAIT_MS}"
    timeout_s = ENTRY_TIMEOUT_S + WAIT_MS / 1000
    request = Request(node, "GET", target, timeout_s=timeout_s, idempotent=False)
    (answer,) = yield Round((request,))
    found = from_json(_Status, read(answer))
    match found.status:
        case "placed" if found.index is not None:
            return found.index
        case "queued":
            return None
        case "lost":
            code = found.outcome.code if found.outcome else ""
            outcome = _OUTCOMES.get(code, Outcome.STATEMENT_MALFORMED)
            raise DroppedError(outcome, node, found.detail or "")
        case "unknown":
            return (yield from _post(node, signed))
    raise MalformedError(f"status of a statement is {found.status[:32]!r}")


def _post(node: int, signed: Signed) -> Flow[int | None]:
    """Hand the entry to one node; return its index if the node says that it is placed already."""
    if signed.entry is None:
        return signed.log_index
    request = Request(node, "POST", "/v1/entries", body=signed.entry, timeout_s=ENTRY_TIMEOUT_S)
    (answer,) = yield Round((request,))
    if not isinstance(answer, TransportFailure) and not answer.ok:
        problem = problem_of(answer)
        outcome = _OUTCOMES.get(problem.code)
        if outcome is not None and outcome.dropped:
            raise DroppedError(outcome, node, problem.detail)
        raise NodeProblemError(node, problem)
    return from_json(_Submitted, read(answer)).index


def _post_all_before(session: Session, node: int, signed: Signed) -> Flow[None]:
    for earlier in session.journal.pending(signed.feed):
        if earlier.seq < signed.seq:
            yield from _post(node, earlier)


def _prove(session: Session, node: int, signed: Signed, index: int) -> Flow[Placement]:
    checkpoint = yield from newest(session, size_min=index + 1)
    proven = yield from leaf_at(session, index, checkpoint, node)
    leaf = proven.leaf
    if not isinstance(leaf, EntryLeaf) or statement_hash(leaf.statement) != signed.hash:
        raise AnswerError(node, f"leaf {index} is not the entry that it was given")
    try:
        outcome = Outcome(leaf.outcome)
    except ValueError as error:
        raise MalformedError(
            f"entry {index} has outcome {leaf.outcome}, which this version does not know; update it"
        ) from error
    session.settle(signed, index, outcome)
    if outcome.refused:
        raise RefusedError(outcome, index)
    return Placement(
        index=index,
        height=leaf.height,
        kind=signed.kind,
        outcome=outcome,
        statement_hash=signed.hash,
        leaf=proven.encoded,
        path=proven.path,
        checkpoint=checkpoint,
    )
