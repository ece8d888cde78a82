"""
The books of persons, read by another lender under their consent.

A reader sees no account number and no inquiry of another lender, but everything else: accounts are
compared by what is said about them, as often as it is said.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scripts.creforge.state import ACCOUNT_COLUMNS, MONTH_COLUMNS, assemble, canonical

from tradeline_client.draft import Wish
from tradeline_client.flows.inquiry import Question
from tradeline_ledger.consent import (
    DataLife,
    Evidence,
    EvidenceType,
    Frequency,
    FrequencyUnit,
    Purpose,
)
from tradeline_ledger.tag import Category

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scripts.creforge.books import Row
    from scripts.creforge.state import Account

    from tradeline_client.client import Client
    from tradeline_ledger.identifier import SubjectId
    from tradeline_ledger.report import Reading

_DAY_MS: Final = 24 * 60 * 60 * 1000
_HIDDEN: Final = frozenset({"account_id", "subject_id", "inquiry_id"})
"""Columns whose values are the lender's own references."""

_Seen = tuple[str, ...]
"""What a reader can see of one account: its row, and those of its months."""


@dataclass(frozen=True, slots=True)
class Read:
    """What came of the reports."""

    subjects: int
    accounts: int
    """That the reports show."""
    differences: int
    """Accounts that the books have and no report shows, and the other way about."""
    warnings: int
    """Of the reports, invalid and withheld events included."""


def expected(
    accounts: Iterable[Row], months: Mapping[str, Sequence[Row]]
) -> dict[str, Counter[_Seen]]:
    """Return what a reader should see of each subject of the books."""
    seen: dict[str, Counter[_Seen]] = {}
    for row in accounts:
        account = _seen(canonical(row), [canonical(each) for each in months[row["account_id"]]])
        seen.setdefault(row["subject_id"], Counter())[account] += 1
    return seen


def read_all(
    reader: Client,
    second: Client,
    people: Mapping[str, SubjectId],
    *,
    lenders: Mapping[int, str],
    books: Mapping[str, Counter[_Seen]],
    years: tuple[int, ...],
) -> Read:
    """Read everybody of `people` and compare with `books`; `lenders` are names by member."""
    accounts = differences = warnings = 0
    for name, subject in people.items():
        reading = _ask(reader, second, name, subject, years)
        report = reading.report
        warnings += len(report.warnings) + len(report.invalid) + len(report.withheld)
        shown = _shown(reading, lenders)
        wanted = books.get(name, Counter())
        accounts += shown.total()
        differences += (shown - wanted).total() + (wanted - shown).total()
    return Read(len(people), accounts, differences, warnings)


def _ask(
    reader: Client, second: Client, name: str, subject: SubjectId, years: tuple[int, ...]
) -> Reading:
    now_ms = reader.session.clock_ms()
    wish = Wish(
        second=second.session.member,
        purpose=Purpose.LOAN_APPLICATION,
        categories=(Category.ACCOUNT,),
        years=years,
        from_ms=now_ms - _DAY_MS,
        until_ms=now_ms + _DAY_MS,
        frequency=Frequency(FrequencyUnit.ONCE, 1),
        life=DataLife(FrequencyUnit.MONTH, 3),
        template="loan-application-1",
        language="en",
        notice_hash=hashlib.sha256(b"What the subject read before agreeing.").digest(),
        evidence=Evidence(EvidenceType.SIGNED_DOCUMENT, hashlib.sha256(name.encode()).digest()),
        reference=f"application of {name}",
    )
    draft = reader.draft_consent(wish, [subject])
    reader.grant(second.sign_consent(draft, [subject]))
    return reader.ask(
        Question(draft.consent_id, Purpose.LOAN_APPLICATION, operator="check", reference=name)
    )


def _shown(reading: Reading, lenders: Mapping[int, str]) -> Counter[_Seen]:
    report = reading.report
    members = {each.id: each.filed.member for each in report.events}
    found = assemble(
        ((members[each.source], each.account), each)
        for each in report.effective
        if each.schema.category == Category.ACCOUNT
    )
    return Counter(
        _seen(_row(account, lenders[member]), account.month_rows())
        for (member, _), account in found.items()
    )


def _row(account: Account, lender: str) -> Row:
    return {"lender_id": lender, **account.account_row(), "twice": str(account.twice)}


def _seen(account: Row, months: Iterable[Row]) -> _Seen:
    said = [account[name] for name in ACCOUNT_COLUMNS if name not in _HIDDEN]
    for month in sorted(months, key=lambda row: row["as_of_month"]):
        said += [month[name] for name in MONTH_COLUMNS if name not in _HIDDEN]
    return (*said, account.get("twice", "0"))
