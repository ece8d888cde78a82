"""
Consents: draft, sign as the second, post, change, show (DESIGN.md, section 8).

Terms are proven by the log. That a consent still stands is not: only the absence of a later change
would show it. So a quorum of the validators must say the same, and the change that they name last
is proven.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from tradeline_client.draft import (
    ConsentSecret,
    Draft,
    Wish,
    check_commitments,
    check_signatures,
    draft_terms,
    open_secret,
)
from tradeline_client.errors import (
    AnswerError,
    ClientError,
    DraftError,
    NodeProblemError,
    UnavailableError,
)
from tradeline_client.flows.checkpoint import content_of, known_registry, leaf_at, newest
from tradeline_client.flows.entry import Placement, place
from tradeline_client.flows.pages import all_pages
from tradeline_client.journal import Secret
from tradeline_client.requests import (
    Flow,
    Request,
    Response,
    Round,
    from_json,
    pause,
    raise_failures,
    read,
)
from tradeline_ledger import calendar
from tradeline_ledger.consent import (
    CONSENT,
    CONSENT_BYTES_MAX,
    STATUS,
    TERMS,
    Change,
    ChangeReason,
    SecondSignature,
    Status,
    Terms,
    consent_id,
    status_message,
)
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.registry import quorum
from tradeline_ledger.state import ConsentStanding
from tradeline_ledger.statement import STATEMENT, EntryLeaf, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_client.session import Session
    from tradeline_ledger.identifier import SubjectId
    from tradeline_ledger.signing import SigningKey

_AGREE_TRIES: Final = 5
_AGREE_WAIT_S: Final = 0.2
_STANDINGS: Final = {standing.name.lower(): standing for standing in ConsentStanding}


@dataclass(frozen=True, slots=True)
class ConsentStatus:
    """A consent: its terms and last change proven, its standing agreed by a quorum of nodes."""

    consent_id: bytes
    terms: Terms
    index: int
    """Log index of the consent."""
    standing: ConsentStanding
    changed_index: int
    """Log index of the last change; of the consent before any."""
    reads_used: int
    """In the present calendar unit, as the nodes count."""
    agreed_by: tuple[int, ...]
    """Members whose nodes say so, ascending."""


class _View(msgspec.Struct):
    consent_id: str
    index: int
    standing: str
    standing_index: int
    reads_used: int
    changes: int


class _Id(msgspec.Struct):
    consent_id: str


class _Page(msgspec.Struct):
    consents: list[_Id]
    next: str | None


def draft(session: Session, wish: Wish, subjects: Sequence[SubjectId]) -> Draft:
    """
    Return a draft of terms on `subjects`, whose private part the journal keeps from now on.

    `subjects` are all identifiers of one person or firm. Sends nothing.

    Raises:
        DraftError: the terms would contradict themselves.
    """
    offset = session.ledger.params.utc_offset_min
    first, last = calendar.year(wish.from_ms, offset), calendar.year(wish.until_ms - 1, offset)
    secret = draft_terms(
        wish,
        subjects,
        ledger_id=session.ledger.ledger_id,
        grantee=session.member,
        linker=session.keystore.linker,
        years=sorted({*wish.years, *range(first, last + 1)}),
    )
    made = Draft(secret.terms, secret.salt)
    session.journal.keep(Secret.CONSENT, made.consent_id, secret.encoded())
    return made


def sign_as_second(session: Session, given: Draft, subjects: Sequence[SubjectId]) -> Draft:
    """
    Return the draft with this member's signature as the one that identified the subject.

    `subjects` are the identifiers that the member itself saw. Sends nothing.

    Raises:
        DraftError: the terms are about others, name another second or ledger.
        FolderError: no feed here may sign consents.
    """
    terms = check_commitments(given, subjects, session.keystore.linker)
    if (terms.ledger_id, terms.second) != (session.ledger.ledger_id, session.member):
        raise DraftError(
            f"the terms name member {terms.second} of ledger {terms.ledger_id.hex()[:16]}… as "
            f"second, this is member {session.member} of {session.ledger.ledger_id.hex()[:16]}…"
        )
    feed = session.keystore.feed_for(Kind.CONSENT, session.folder.profile.desk_feed)
    signature = session.keystore.feed(feed).sign("consent", given.terms)
    return replace(given, second=SecondSignature(feed, signature))


def secret_of(session: Session, consent: bytes) -> ConsentSecret:
    """
    Return the private part of a consent that this folder drafted.

    Raises:
        NotFoundError: it did not.
    """
    return open_secret(session.journal.secret(Secret.CONSENT, consent))


def grant(session: Session, signed: Draft) -> Flow[Placement]:
    """
    Post a consent that all who must have signed; its id is `Draft.consent_id`.

    Raises:
        DraftError: a signature is missing or wrong, or another member is the grantee.
        NotFoundError: this folder did not draft it, and so could not use it.
        RefusedError and others: as `entry.place`.
    """
    terms = signed.decoded()
    if terms.grantee != session.member:
        raise DraftError(f"the terms are for member {terms.grantee}, which posts them itself")
    secret_of(session, signed.consent_id)
    registry = yield from known_registry(session)
    second = registry.member(terms.second)
    number = signed.second.feed if signed.second else 0
    feed = second.feed(number) if second else None
    able = feed is not None and feed.kinds >> Kind.CONSENT & 1
    check_signatures(signed, feed.key if feed is not None and able else None)
    return (
        yield from place(
            session,
            Kind.CONSENT,
            signed.content(),
            feed=_desk(session, Kind.CONSENT),
            about=signed.consent_id,
        )
    )


def change(
    session: Session,
    consent: bytes,
    what: Change,
    reason: ChangeReason,
    subject_key: SigningKey | None = None,
) -> Flow[Placement]:
    """
    Pause, resume, revoke or terminate a consent.

    The second member and the subject pause, resume and revoke; the reader terminates. With
    `subject_key` the subject speaks, and any member may carry its word.

    Raises:
        RefusedError and others: as `entry.place`.
    """
    signature = None
    if subject_key is not None:
        changes = yield from _count_changes(session, consent)
        message = status_message(session.ledger.ledger_id, consent, what, reason, changes)
        signature = subject_key.sign("status", message)
    content = encode(Status(consent, what, reason, signature))
    feed = _desk(session, Kind.STATUS)
    return (yield from place(session, Kind.STATUS, content, feed=feed, about=consent))


def show(session: Session, consent: bytes) -> Flow[ConsentStatus]:
    """
    Return a consent that this member is a party of.

    Raises:
        NodeProblemError: there is no such consent, or this member is no party of it.
        UnavailableError: no quorum of the nodes answers and agrees.
        VerificationError: what they say is not what the log holds.
    """
    view, agreed_by = yield from _agreed(session, consent)
    checkpoint = yield from newest(session, size_min=max(view.index, view.standing_index) + 1)
    leaf = yield from leaf_at(session, view.index, checkpoint)
    content = yield from _content(session, leaf.leaf, Kind.CONSENT, leaf.node)
    encoded = CONSENT.decode(content).terms
    if consent_id(encoded) != consent:
        raise AnswerError(leaf.node, f"entry {view.index} is another consent")
    if view.standing_index != view.index:
        changed = yield from leaf_at(session, view.standing_index, checkpoint)
        yield from _check_change(session, changed.leaf, consent, changed.node)
    return ConsentStatus(
        consent_id=consent,
        terms=TERMS.decode(encoded),
        index=view.index,
        standing=_STANDINGS[view.standing],
        changed_index=view.standing_index,
        reads_used=view.reads_used,
        agreed_by=agreed_by,
    )


def show_all(session: Session) -> Flow[list[ConsentStatus]]:
    """
    Return every consent that this member was granted or identified the subject of, by id.

    Raises:
        UnavailableError, VerificationError: as `show`.
    """
    ids = yield from all_pages(
        session, "/v1/consents", _Page, lambda page: [each.consent_id for each in page.consents]
    )
    found = []
    for each in ids:
        found.append((yield from show(session, each)))  # noqa: PERF401  yields
    return found


def _agreed(session: Session, consent: bytes) -> Flow[tuple[_View, tuple[int, ...]]]:
    """Return what a quorum of the validators' nodes says alike, and which of them."""
    target = f"/v1/consents/{consent.hex()}"
    needed = quorum(len(session.registry.epoch.validators))
    failures: dict[int, Exception] = {}
    best = 0
    for attempt in range(_AGREE_TRIES):
        if attempt:
            yield from pause(_AGREE_WAIT_S)
        nodes = session.nodes()
        answers = yield Round(tuple(Request(node, "GET", target) for node in nodes))
        views: dict[int, _View] = {}
        failures = {}
        for node, answer in zip(nodes, answers, strict=True):
            try:
                views[node] = _view(consent, read(answer))
            except (ClientError, LedgerError) as error:
                failures[node] = error
        alike = Counter((v.index, v.standing, v.standing_index) for v in views.values())
        (common, best) = alike.most_common(1)[0] if alike else ((0, "", 0), 0)
        if best >= needed:
            who = sorted(
                n for n, v in views.items() if (v.index, v.standing, v.standing_index) == common
            )
            reads = max(views[node].reads_used for node in who)
            return msgspec.structs.replace(views[who[0]], reads_used=reads), tuple(who)
        problems = [each for each in failures.values() if isinstance(each, NodeProblemError)]
        if len(problems) >= needed and not views:
            break
    if best == 0:
        raise_failures("no node shows the consent", failures)
    raise UnavailableError(
        f"{best} nodes agree on the consent's standing, {needed} are needed",
        {node: str(error) for node, error in failures.items()},
    )


def _view(consent: bytes, response: Response) -> _View:
    view = from_json(_View, response)
    if view.consent_id != consent.hex() or view.standing not in _STANDINGS or view.index < 0:
        raise AnswerError(response.node, "it shows another consent, or an unknown standing")
    return view


def _content(session: Session, leaf: object, kind: Kind, node: int) -> Flow[bytes]:
    """Return the content of an accepted entry of `kind`."""
    if not isinstance(leaf, EntryLeaf) or leaf.outcome != Outcome.ACCEPTED:
        raise AnswerError(node, f"the leaf that it names is no accepted {kind.name.lower()}")
    statement = STATEMENT.decode(leaf.statement)
    if statement.kind != kind:
        raise AnswerError(node, f"the leaf that it names is no {kind.name.lower()}")
    return (yield from content_of(session, kind, statement.content_hash, CONSENT_BYTES_MAX))


def _check_change(session: Session, leaf: object, consent: bytes, node: int) -> Flow[None]:
    """Accept the leaf of a change of status, or of the consent that superseded this one."""
    superseded = isinstance(leaf, EntryLeaf) and (
        STATEMENT.decode(leaf.statement).kind == Kind.CONSENT
    )
    kind = Kind.CONSENT if superseded else Kind.STATUS
    content = yield from _content(session, leaf, kind, node)
    about = (
        TERMS.decode(CONSENT.decode(content).terms).supersedes
        if superseded
        else STATUS.decode(content).consent_id
    )
    if about != consent:
        raise AnswerError(node, "the change that it names is of another consent")


def _count_changes(session: Session, consent: bytes) -> Flow[int]:
    """Return how many changes the nodes count; a wrong number only makes a signature useless."""
    view, _ = yield from _agreed(session, consent)
    return view.changes


def _desk(session: Session, kind: Kind) -> int:
    return session.keystore.feed_for(kind, session.folder.profile.desk_feed)
