"""
Articles of law that event types and restrictions name.

Only what the software acts upon is listed. `text` says in our words what follows for an event; it
is no translation. Whoever operates a ledger has the list confirmed by a lawyer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Article:
    """One article of one law."""

    law: str
    """Official name."""
    number: str
    """As the law counts them."""
    text: str
    """What follows for an event."""

    def __str__(self) -> str:
        """Return how it is cited in messages."""
        return f"{self.law} Art. {self.number}"


_REGULATION: Final = "征信业管理条例"
_MEASURES: Final = "征信业务管理办法"
_PRIVACY: Final = "个人信息保护法"

CONSENT_TO_COLLECT: Final = Article(
    _REGULATION, "13", "collected with the subject's consent, unless the law made it public"
)
PROHIBITED: Final = Article(
    _REGULATION, "14(1)", "never collected: religion, genes, fingerprints, blood type, disease"
)
MEANS: Final = Article(
    _REGULATION,
    "14(2)",
    "collected only with written consent, after the subject was told of adverse consequences",
)
PRIOR_NOTICE: Final = Article(
    _REGULATION, "15", "before something negative about a person is reported, that person is told"
)
FIVE_YEARS: Final = Article(
    _REGULATION, "16", "negative information goes five years after the behaviour ended"
)
FIRMS: Final = Article(
    _REGULATION, "21", "of firms, from sources that the law does not close and without secrets"
)
MINIMAL: Final = Article(
    _MEASURES, "7", "collected only as far as needed for the purpose, and never in excess"
)
UNRELATED: Final = Article(
    _MEASURES, "29", "nothing unrelated to credit goes into a score, so none is collected"
)
SENSITIVE: Final = Article(
    _PRIVACY, "28", "sensitive: processed for a specific purpose, with separate consent (Art. 29)"
)
ANNOTATION: Final = Article(
    _REGULATION, "16", "the subject may have a statement put beside what is said about it"
)
EXPLAINED: Final = Article(
    _PRIVACY, "24", "who decides by machine tells why when asked, and a person looks again"
)

ARTICLES: Final = (
    *(CONSENT_TO_COLLECT, PROHIBITED, MEANS, PRIOR_NOTICE, FIVE_YEARS, FIRMS, MINIMAL, UNRELATED),
    *(SENSITIVE, ANNOTATION, EXPLAINED),
)
"""All, for documents."""
