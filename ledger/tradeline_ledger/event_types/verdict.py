"""What rules and models make of a subject's record: lists, rewards, signals and scores."""

from __future__ import annotations

from typing import Final

from tradeline_ledger.article import EXPLAINED, PRIOR_NOTICE, UNRELATED, Article
from tradeline_ledger.event_types.notice import INDEX, POSITION, SCORE
from tradeline_ledger.event_types.vocabulary import (
    ACCOUNT_BASES,
    AUTHORITY_CHARS_MAX,
    CODE,
    HASH,
    INPUTS_HASH,
    REASON_CODES,
    RULE_ID,
    RULE_VERSION,
    UNTIL,
    UNTIL_LATER,
)
from tradeline_ledger.field import AMOUNT_MINOR_MAX, Choice, Day, Field, Integer, Rows, Text
from tradeline_ledger.polarity import NEGATIVE, NEUTRAL, Leaning, OneOf, Polarity, negative_if
from tradeline_ledger.polarity import POSITIVE as SPEAKS_FOR
from tradeline_ledger.rule import Needs, NotAfter, Rule
from tradeline_ledger.schema import EventSchema, Handle
from tradeline_ledger.tag import Category

EVIDENCE_MAX: Final = 8
INDICATORS_MAX: Final = 16
GRADE_CHARS_MAX: Final = 8
PROBABILITY_PPM_MAX: Final = 1_000_000

GROUND: Final = Choice(
    ("malicious_overdue", "fraud", "dishonest_debtor", "identity_misuse", "other")
)
APPEAL: Final = Choice(("pending", "upheld", "dismissed"))
DELISTING: Final = Choice(("expired", "appeal", "repaired", "error"))
REWARD: Final = Choice(("limit_up", "rate_cut", "fee_waiver", "priority"))
REWARD_END: Final = Choice(("expired", "withdrawn", "used"))
SIGNAL: Final = Choice(("info", "low", "medium", "high"))

_LIST = Field("list", CODE, "name of the list")
_INDICATOR = Integer("units of the indicator", -AMOUNT_MINOR_MAX, AMOUNT_MINOR_MAX)


def _verdict(
    number: int,
    name: str,
    doc: str,
    fields: tuple[Field, ...],
    *rules: Rule,
    leaning: Leaning = NEUTRAL,
    law: tuple[Article, ...] = (UNRELATED, EXPLAINED),
) -> EventSchema:
    return EventSchema(
        number=number,
        version=1,
        name=name,
        category=Category.OTHER,
        bases=ACCOUNT_BASES,
        account=Handle.ABSENT,
        fields=fields,
        rules=rules,
        doc=doc,
        leaning=leaning,
        law=law,
    )


LISTED: Final = _verdict(
    39,
    "watchlist.listed",
    "The subject was put on a list on that day, by a rule or by an authority.",
    (
        _LIST,
        Field("ground", GROUND, "why"),
        Field("rule", CODE, "name of the rule that it follows from", optional=True),
        Field("authority", Text(AUTHORITY_CHARS_MAX), "who decided", optional=True),
        Field(
            "evidence",
            Rows(
                (
                    Field("index", INDEX, "log index of an event"),
                    Field("position", POSITION, "its place in its batch"),
                ),
                EVIDENCE_MAX,
            ),
            "events that it rests on",
            optional=True,
        ),
        Field("review_by", Day(), "day by which a person looks at it again"),
        UNTIL,
    ),
    Needs("ground", tuple(range(1, len(GROUND.names) + 1)), ("rule", "authority")),
    NotAfter("occurred_on", "review_by"),
    UNTIL_LATER,
    leaning=NEGATIVE,
    law=(PRIOR_NOTICE, EXPLAINED),
)
APPEALED: Final = _verdict(
    40,
    "watchlist.appealed",
    "An appeal of the subject against a list was made or decided on that day.",
    (_LIST, Field("outcome", APPEAL, "how it stands")),
)
DELISTED: Final = _verdict(
    41,
    "watchlist.delisted",
    "The subject was taken off a list on that day.",
    (_LIST, Field("reason", DELISTING, "why")),
)
REWARD_GRANTED: Final = _verdict(
    42,
    "reward.granted",
    "The subject was given better terms from that day on.",
    (Field("kind", REWARD, "what it gets"), RULE_ID, UNTIL),
    UNTIL_LATER,
    leaning=SPEAKS_FOR,
)
REWARD_ENDED: Final = _verdict(
    43,
    "reward.ended",
    "Better terms ended on that day.",
    (Field("kind", REWARD, "what it had"), RULE_ID, Field("reason", REWARD_END, "why")),
)
RISK_SIGNAL: Final = _verdict(
    44,
    "risk.signal",
    "A rule found something in the subject's record on that day.",
    (
        RULE_ID,
        Field("rule_version", RULE_VERSION, "of the rule"),
        INPUTS_HASH,
        Field("severity", SIGNAL, "of what was found"),
        Field(
            "indicators",
            Rows(
                (
                    Field("name", CODE, "of the indicator"),
                    Field("value", _INDICATOR, "integer, in the unit of the indicator"),
                ),
                INDICATORS_MAX,
            ),
            "what the rule looked at",
            optional=True,
        ),
    ),
    leaning=negative_if(
        OneOf("severity", SIGNAL.numbers("medium", "high")), otherwise=Polarity.NEUTRAL
    ),
)
SCORE_ISSUED: Final = _verdict(
    45,
    "score.issued",
    "A model scored the subject on that day.",
    (
        Field("model", CODE, "name and version of the model"),
        Field("model_hash", HASH, "SHA-256 in hex of the model"),
        Field("as_of", Day(), "day up to which the record was read"),
        Field("score", SCORE, "result"),
        Field(
            "default_ppm",
            Integer("parts per million", 0, PROBABILITY_PPM_MAX),
            "probability of default that the score stands for",
            optional=True,
        ),
        Field("grade", Text(GRADE_CHARS_MAX), "that the score stands for", optional=True),
        REASON_CODES,
        INPUTS_HASH,
    ),
    NotAfter("as_of"),
)

VERDICTS: Final = (
    *(LISTED, APPEALED, DELISTED),
    *(REWARD_GRANTED, REWARD_ENDED, RISK_SIGNAL, SCORE_ISSUED),
)
"""All types of the group, in the order of their numbers."""
