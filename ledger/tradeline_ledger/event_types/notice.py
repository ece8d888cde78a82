"""What protects a subject: its own statement, freezes and alerts, and what it was told."""

from __future__ import annotations

from typing import Final

from tradeline_ledger.article import ANNOTATION, EXPLAINED, PRIOR_NOTICE, Article
from tradeline_ledger.event_types.vocabulary import (
    ACCOUNT_BASES,
    HASH,
    PHONES,
    REASONS_MAX,
    STATEMENT_CHARS_MAX,
    UNTIL,
    UNTIL_LATER,
)
from tradeline_ledger.field import AMOUNT_MINOR_MAX, Choice, Field, Integer, Rows, Text
from tradeline_ledger.rule import AtLeast, GivenTogether, Rule
from tradeline_ledger.schema import Basis, EventSchema, Handle
from tradeline_ledger.tag import Category

SCORE_MAX: Final = 10_000
REASON_CHARS_MAX: Final = 200
CONTACT_CHARS_MAX: Final = 200

INDEX: Final = Integer("log entries", 0, AMOUNT_MINOR_MAX)
POSITION: Final = Integer("events", 0, 2**32 - 1)
SCORE: Final = Integer("points", 0, SCORE_MAX)
LIFTING: Final = Choice(("subject_request", "expired", "error"))
ALERT: Final = Choice(("initial", "extended", "military"))
CHANNEL: Final = Choice(("letter", "text_message", "email", "app", "phone", "in_person"))
ADVERSE: Final = Choice(("declined", "reduced", "worse_terms", "closed"))

_BY_SUBJECT: Final = frozenset({Basis.CONSENT, Basis.STATUTORY})
_CHANNEL = Field("channel", CHANNEL, "how the subject was told")
_CONTENT = Field("content_hash", HASH, "SHA-256 in hex of what the subject was told")


def _notice(
    number: int,
    name: str,
    doc: str,
    fields: tuple[Field, ...],
    *rules: Rule,
    bases: frozenset[Basis],
    law: tuple[Article, ...] = (),
    account: Handle = Handle.ABSENT,
) -> EventSchema:
    return EventSchema(
        number=number,
        version=1,
        name=name,
        category=Category.OTHER,
        bases=bases,
        account=account,
        fields=fields,
        rules=rules,
        doc=doc,
        law=law,
    )


STATEMENT_OF_SUBJECT: Final = _notice(
    33,
    "annotation.statement",
    "The subject had this put beside its record on that day; it is shown with it.",
    (
        Field("text", Text(STATEMENT_CHARS_MAX), "in the subject's words"),
        Field("target_index", INDEX, "log index of the event that it is about", optional=True),
        Field("target_position", POSITION, "place of that event in its batch", optional=True),
    ),
    GivenTogether(("target_index", "target_position")),
    bases=_BY_SUBJECT,
    law=(ANNOTATION,),
)
FREEZE: Final = _notice(
    34,
    "protection.freeze",
    "The subject wants no new credit in its name from that day on.",
    (PHONES, UNTIL),
    UNTIL_LATER,
    bases=_BY_SUBJECT,
)
LIFT: Final = _notice(
    35,
    "protection.lift",
    "A freeze or alert ended on that day, or pauses until another.",
    (Field("reason", LIFTING, "why"), UNTIL),
    UNTIL_LATER,
    bases=_BY_SUBJECT,
)
FRAUD_ALERT: Final = _notice(
    36,
    "protection.fraud_alert",
    "From that day on a lender makes sure that it is the subject who applies.",
    (Field("kind", ALERT, "of the alert"), PHONES, UNTIL),
    UNTIL_LATER,
    bases=_BY_SUBJECT,
)
NOTICE_NEGATIVE: Final = _notice(
    37,
    "notice.negative_prior",
    "The contributor told the subject on that day that it will report something negative about "
    "the account.",
    (_CHANNEL, _CONTENT),
    bases=ACCOUNT_BASES,
    law=(PRIOR_NOTICE,),
    account=Handle.REQUIRED,
)
NOTICE_ACCESS: Final = _notice(
    38,
    "notice.access",
    "The subject was told on that day who read its history.",
    (_CHANNEL, _CONTENT),
    bases=ACCOUNT_BASES,
)
ADVERSE_ACTION: Final = _notice(
    46,
    "adverse_action.notice",
    "A lender told the subject on that day that it decided against it, and why.",
    (
        Field("decision", ADVERSE, "what was decided"),
        _CHANNEL,
        Field("score", SCORE, "that was used", optional=True),
        Field("score_min", SCORE, "least that the model gives", optional=True),
        Field("score_max", SCORE, "most that the model gives", optional=True),
        Field(
            "reasons",
            Rows((Field("reason", Text(REASON_CHARS_MAX), "in words"),), REASONS_MAX),
            "the weightiest first",
        ),
        Field("contact", Text(CONTACT_CHARS_MAX), "where the subject gets its record"),
    ),
    GivenTogether(("score", "score_min", "score_max")),
    AtLeast("score_max", "score"),
    AtLeast("score", "score_min"),
    bases=ACCOUNT_BASES,
    law=(EXPLAINED,),
)

NOTICES: Final = (
    *(STATEMENT_OF_SUBJECT, FREEZE, LIFT, FRAUD_ALERT, NOTICE_NEGATIVE, NOTICE_ACCESS),
    ADVERSE_ACTION,
)
"""All types of the group, in the order of their numbers."""
