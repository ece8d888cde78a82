"""
Write the tables of docs/formats.md that are made from the code, or say that they differ.

    python scripts/formats_tables.py           writes them
    python scripts/formats_tables.py --check   exits with 1 if the document is not up to date

Each table stands between a line `<!-- table: NAME -->` and the next `<!-- end -->`. Whatever has a
number in the code is listed once in the document, so that neither can change without the other.
"""

from __future__ import annotations

import enum
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from tradeline_ledger import (
    body,
    bundle,
    c2sp,
    candidate,
    consent,
    custody_record,
    deposit,
    event,
    field,
    genesis,
    genesis_draft,
    inquiry,
    invite,
    key,
    mark,
    merkle,
    note,
    params,
    proposal,
    quality,
    redeposit,
    registry,
    release,
    request,
    statement,
    submission,
    tlog_proof,
    trust,
)
from tradeline_ledger.advice import ADVICE
from tradeline_ledger.currency import MINOR_DIGITS
from tradeline_ledger.field import (
    AMOUNT_MINOR_MAX,
    Amount,
    Choice,
    Currency,
    Day,
    Field,
    Integer,
    Period,
    Replacement,
    Rows,
    Text,
)
from tradeline_ledger.identifier import COUNTRIES, IdType
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.rule import (
    AtLeast,
    GivenTogether,
    Needs,
    NotAfter,
    Reached,
    Rule,
    ZeroTogether,
)
from tradeline_ledger.schema import Basis, EventSchema
from tradeline_ledger.schemas import SCHEMAS
from tradeline_ledger.statement import KINDS_IMPLEMENTED, NODE_KINDS, Kind
from tradeline_ledger.tag import Category
from tradeline_ledger.transition.apply import ROLES

DOCUMENT: Final = Path(__file__).parent.parent / "docs/formats.md"

_BLOCK: Final = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def fill(document: str) -> str:
    """Return `document` with every table as the code makes it."""
    named = re.findall(r"<!-- table: (\S+) -->", document)
    if sorted(named) != sorted(TABLES):
        raise SystemExit(f"tables of the document {sorted(named)}, of the code {sorted(TABLES)}")
    return _BLOCK.sub(lambda found: found[1] + TABLES[found[2]]() + found[3], document)


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def _name(member: enum.Enum) -> str:
    return member.name.lower().replace("_", "-")


def _doc_of(members: type[enum.IntEnum], texts: dict[Any, str]) -> str:
    assert set(texts) == set(members), members
    return _table(
        ("number", "name", "meaning"),
        ((each.value, _name(each), texts[each]) for each in members),
    )


def _outcomes() -> str:
    def effect(outcome: Outcome) -> str:
        if outcome.accepted:
            return "accepted"
        return "dropped" if outcome.dropped else "refused"

    return _table(
        ("number", "code", "what becomes of the entry", "meaning", "what to do"),
        (
            (each.value, f"`{each.code}`", effect(each), ADVICE[each].meaning, ADVICE[each].remedy)
            for each in Outcome
        ),
    )


def _kinds() -> str:
    def signer(kind: Kind) -> str:
        return "feed 0 (node key)" if NODE_KINDS >> kind & 1 else "feeds from 1"

    def role(kind: Kind) -> str:
        if kind not in KINDS_IMPLEMENTED:
            return "reserved"
        if NODE_KINDS >> kind & 1:
            return "none; is or was in a committee"
        if kind is Kind.VOTE:
            return "none; is a validator in force"
        demanded = ROLES.get(kind)
        return "any" if demanded is None else str(demanded.name).lower()

    return _table(
        ("number", "kind", "bit", "signed by", "role of the poster"),
        ((each.value, _name(each), f"0x{1 << each:x}", signer(each), role(each)) for each in Kind),
    )


def _roles() -> str:
    texts = {
        registry.Role.CONTRIBUTOR: "submits batches, deals their keys again, marks its own events",
        registry.Role.READER: "posts consents and inquiries",
        registry.Role.AUTHENTICATOR: "identifies subjects: second member of a consent",
        registry.Role.VALIDATOR: "orders, cosigns, may sit in the committee",
        registry.Role.OBSERVER: "reads the log, posts nothing that needs a role",
        registry.Role.SUSPENDED: "no role: what the member signs is refused, and it reads nothing",
    }
    return _table(
        ("bit", "role", "what for"),
        ((each.value, str(each.name).lower(), texts[each]) for each in registry.Role),
    )


def _categories() -> str:
    texts = {
        Category.ACCOUNT: "loans, cards, guarantees and other accounts",
        Category.PUBLIC_RECORD: "what courts, tax offices and other authorities say",
        Category.INQUIRY: "reads; never listed in terms or inquiries, always in the scope",
        Category.IDENTITY: "who a subject is, and the accounts of a firm",
        Category.PLATFORM: "platforms and utilities",
        Category.OTHER: "notices, protection, lists, signals, scores",
    }
    return _doc_of(Category, texts)


def _id_types() -> str:
    texts = {
        IdType.RESIDENT_ID: "resident identity number, GB 11643: 18 characters",
        IdType.USCC: "unified social credit code, GB 32100: 18 characters",
        IdType.LEI: "legal entity identifier, ISO 17442: 20 characters",
        IdType.US_SSN: "social security number of the United States: 9 digits",
    }
    return _table(
        ("number", "type", "`country`", "what"),
        ((t.value, _name(t), f'`"{COUNTRIES[t]}"`', texts[t]) for t in IdType),
    )


def _bases() -> str:
    return _doc_of(
        Basis,
        {
            Basis.CONSENT: "the subject consented to reporting",
            Basis.CONTRACT: "the contract that the event is about says so",
            Basis.PUBLIC: "made public by law",
            Basis.STATUTORY: "the law obliges the contributor to report",
        },
    )


def _consent_bases() -> str:
    of = consent.ConsentBasis
    return _doc_of(
        of,
        {
            of.CONSENT: "the subject's consent",
            of.SUPERVISORY: "reserved: needs a passed proposal",
            of.POST_LOAN: "reserved: needs a live account of the reader's",
        },
    )


def _purposes() -> str:
    of = consent.Purpose
    return _doc_of(
        of,
        {
            of.LOAN_APPLICATION: "deciding on a loan",
            of.CARD_APPLICATION: "deciding on a card",
            of.GUARANTOR: "accepting a guarantor",
            of.POST_LOAN: "watching a loan that was made",
            of.LEGAL_REPRESENTATIVE: "legal representative or investor of an applicant firm",
            of.SELF_ACCESS: "the subject reads its own history",
            of.DISPUTE: "settling a dispute",
            of.SUPERVISORY: "supervision; needs consent basis 2",
        },
    )


def _units() -> str:
    of = consent.FrequencyUnit
    return _table(
        ("number", "name", "as unit of frequency", "as unit of data life"),
        (
            (of.ONCE.value, "once", "one read, ever; `max` is 1", "not allowed"),
            (of.DAY.value, "day", "`max` reads in a local day", "days"),
            (of.MONTH.value, "month", "`max` reads in a local month", "months"),
            (of.YEAR.value, "year", "`max` reads in a local year", "years"),
        ),
    )


def _evidence_types() -> str:
    of = consent.EvidenceType
    return _doc_of(
        of,
        {
            of.SD_JWT: "SD-JWT VC with key binding",
            of.ACCOUNT_AGGREGATOR: "signed consent artefact of an account aggregator",
            of.SIGNED_DOCUMENT: "electronically signed document",
            of.WET_INK: "scan of a document signed on paper",
        },
    )


def _changes() -> str:
    of = consent.Change
    return _doc_of(
        of,
        {
            of.PAUSE: "no reads until resumed",
            of.RESUME: "reads again; by whoever paused",
            of.REVOKE: "ended by second or subject",
            of.TERMINATE: "ended by the reader",
        },
    )


def _change_reasons() -> str:
    of = consent.ChangeReason
    return _doc_of(
        of,
        {
            of.SUBJECT: "the subject wishes so",
            of.READER: "the reader needs it no more",
            of.EVIDENCE: "the evidence does not hold",
            of.ERROR: "granted by mistake",
        },
    )


def _marks() -> str:
    texts = {
        mark.MarkKind.ERASE: ("nil", "the body is deleted everywhere"),
        mark.MarkKind.RETAIN: ("month number, 256 to 65,535", "kept up to that month instead"),
        mark.MarkKind.DISPUTE: ("", "reserved"),
        mark.MarkKind.ANNOTATION: ("", "reserved"),
    }
    return _table(
        ("number", "mark", "`value`", "effect"),
        ((each.value, _name(each), *texts[each]) for each in mark.MarkKind),
    )


def _mark_reasons() -> str:
    of = mark.MarkReason
    return _doc_of(
        of,
        {
            of.RETENTION: "the time for keeping it changes or is over",
            of.CORRECTION: "a correction takes its place",
            of.COURT_ORDER: "a court ordered it",
            of.SUBJECT_REQUEST: "the subject asked for it",
            of.CONTRIBUTOR_ERROR: "should never have been submitted",
            of.BEHAVIOUR_NOT_ENDED: "the reported behaviour has not ended: kept longer",
            of.BEHAVIOUR_ENDED: "the reported behaviour has ended: its time for keeping runs",
        },
    )


def _wants() -> str:
    texts = {
        release.Want.SHARES: "shares of the body keys",
        release.Want.PROOFS: "proofs and bodies, beside the sealed answer",
        release.Want.SHARE_PATHS: "the path of each share to its `share_root`",
    }
    return _table(
        ("bit", "name", "asks for"),
        ((each.value, str(each.name).lower().replace("_", "-"), texts[each]) for each in texts),
    )


def _proposal_changes() -> str:
    of = proposal.ChangeKind
    return _doc_of(
        of,
        {
            of.ADMIT: "admits a member",
            of.ROLES: "sets a member's roles",
            of.SUSPEND: "suspends a member",
            of.RESUME: "ends a suspension",
            of.REMOVE: "removes a member",
            of.ENDPOINT: "says where a member's node is reached",
            of.KEYS: "gives a member other keys, its root key too",
            of.PARAMS: "sets the params",
            of.COMMITTEE: "sets validators and committee: opens an epoch",
            of.RULES: "puts the next rules in force",
        },
    )


def _waivers() -> str:
    texts = {
        proposal.Waiver.QUORUM: "more validators change at once than the network can lose",
        proposal.Waiver.STRAND: "too few may be left of a committee that holds keys of events",
    }
    return _table(
        ("bit", "guard", "what is waived"),
        ((each.value, str(each.name).lower(), texts[each]) for each in proposal.Waiver),
    )


def _month_standings() -> str:
    of = quality.MonthStanding
    return _doc_of(
        of,
        {
            of.OPEN: "more of it may come",
            of.COMPLETE: "all that the member has to report of it was reported",
            of.MISSING: "there is something to report that is not reported yet",
            of.VOID: "there is nothing to report: no rows, no events",
        },
    )


def _reject_classes() -> str:
    of = quality.RejectClass
    return _doc_of(
        of,
        {
            of.FORM: "the row could not be read: columns, encoding, number of fields",
            of.ABSENT: "a value that must be there was not",
            of.VALUE: "a value out of its bounds or its list of codes",
            of.IDENTIFIER: "an identifier of a subject that can't be right",
            of.DATE: "no day of the calendar, or one that can't be",
            of.RULE: "values that contradict each other",
            of.TARGET: "about an account or event that the member has not reported",
            of.FORBIDDEN: "what may not be reported by law",
            of.OTHER: "other",
        },
    )


def _delays() -> str:
    of = quality.Delay
    texts = {
        of.DUE: "at most 15, or before the month ended",
        of.DAYS_30: "16 to 30",
        of.DAYS_60: "31 to 60",
        of.DAYS_90: "61 to 90",
        of.DAYS_180: "91 to 180",
        of.BEYOND: "181 or more",
    }
    return _table(
        ("place", "name", "local days after the last day of the month"),
        ((each.value, _name(each), texts[each]) for each in of),
    )


def _limits() -> str:
    bytes_of = (
        ("statement", statement.STATEMENT_BYTES_MAX),
        ("content of an entry", statement.CONTENT_BYTES_MAX),
        ("entry", statement.ENTRY_BYTES_MAX),
        ("leaf", statement.LEAF_BYTES_MAX),
        ("genesis", genesis.GENESIS_BYTES_MAX),
        ("genesis file", genesis.GENESIS_FILE.bytes_max),
        ("candidate file", candidate.CANDIDATE_BYTES_MAX),
        ("body of an invite", invite.INVITE_BYTES_MAX),
        ("genesis draft", genesis_draft.DRAFT_BYTES_MAX),
        ("member record", registry.MEMBER_RECORD_BYTES_MAX),
        ("epoch record", registry.EPOCH_RECORD_BYTES_MAX),
        ("settings record", params.SETTINGS_RECORD_BYTES_MAX),
        ("key change", key.KEY_CHANGE_BYTES_MAX),
        ("key content", key.KEY.bytes_max),
        ("terms", consent.TERMS_BYTES_MAX),
        ("consent content", consent.CONSENT_BYTES_MAX),
        ("status content", consent.STATUS_BYTES_MAX),
        ("inquiry content", inquiry.INQUIRY_BYTES_MAX),
        ("mark content", mark.MARK_BYTES_MAX),
        ("released content", release.RELEASED_BYTES_MAX),
        ("custody content", custody_record.CUSTODY_BYTES_MAX),
        ("redeposit content", redeposit.REDEPOSIT_BYTES_MAX),
        ("proposal", proposal.PROPOSAL_BYTES_MAX),
        ("vote content", proposal.VOTE_BYTES_MAX),
        ("quality content", quality.QUALITY_BYTES_MAX),
        ("event", event.EVENT_BYTES_MAX),
        ("padded event", body.BUCKETS_BYTES[-1]),
        ("body", body.BODY_BYTES_MAX),
        ("sealed deposit", deposit.SEALED_BYTES_MAX),
        ("attachment", deposit.ATTACHMENT_BYTES_MAX),
        ("release request, before it is sealed", release.REQUEST_BYTES_MAX),
        ("history common", release.COMMON_BYTES_MAX),
        ("release answer, before it is sealed", release.ANSWER_BYTES_MAX),
        ("proofs", release.PROOFS_BYTES_MAX),
        ("signed note", note.NOTE_BYTES_MAX),
        ("key id and signature of a line of a note", note.SIGNATURE_BYTES_MAX),
        ("key name", c2sp.KEY_NAME_BYTES_MAX),
        ("proof file", tlog_proof.PROOF_BYTES_MAX),
        ("evidence bundle", bundle.BUNDLE_BYTES_MAX),
    )
    counts = (
        ("events of a batch", f"1 to {submission.EVENTS_MAX:,}"),
        ("validators", f"1 to {registry.VALIDATORS_MAX}"),
        ("committee members, and so deposits of a batch", f"1 to {registry.COMMITTEE_MAX}"),
        ("feeds of a member at one time", f"0 to {registry.FEEDS_MAX}"),
        ("legal ids of a member", f"0 to {registry.LEGAL_IDS_MAX}"),
        ("key changes of a member, ever", f"{key.KEY_CHANGES_MAX:,}"),
        ("member record versions of a registry", f"{registry.VERSIONS_MAX:,}"),
        ("changes of a proposal", f"1 to {proposal.CHANGES_MAX}"),
        ("proposals that wait", f"{proposal.WAITING_MAX}"),
        ("of them by one member", f"{proposal.WAITING_MEMBER_MAX}"),
        ("of them by members that are no validators", f"{proposal.WAITING_OTHERS_MAX}"),
        ("characters of a proposal's title", f"1 to {proposal.TITLE_CHARS_MAX}"),
        ("characters of a proposal's reason", f"1 to {proposal.REASON_CHARS_MAX:,}"),
        ("heights that a proposal's effect may be ahead", f"{proposal.EFFECT_AHEAD_MAX:,}"),
        ("ms that a proposal may be open", f"{proposal.VOTING_MS_MAX:,}"),
        ("commitments of terms", f"1 to {consent.COMMITMENTS_MAX}"),
        ("contributors named by terms or an inquiry", f"1 to {consent.CONTRIBUTORS_MAX:,}"),
        ("`max` of a frequency", f"1 to {consent.FREQUENCY_MAX:,}"),
        ("years of an inquiry", f"1 to {inquiry.YEARS_MAX}"),
        ("tags of a scope", f"{inquiry.SCOPE_TAGS_MAX:,}"),
        ("submissions of a quality content", f"{quality.LISTED_MAX:,}"),
        ("prints of corrections of a quality content", f"{quality.CORRECTIONS_MAX:,}"),
        ("prints of repeats of a quality content", f"{quality.REPEATS_MAX:,}"),
        ("rows of a released content", f"1 to {release.RELEASED_ROWS_MAX:,}"),
        ("characters of a member's or ledger's name", f"1 to {registry.NAME_CHARS_MAX}"),
        ("characters of an endpoint", f"0 to {registry.ENDPOINT_CHARS_MAX}"),
        ("characters of a template", f"1 to {consent.TEMPLATE_CHARS_MAX}"),
        ("characters of a language", f"1 to {consent.LANGUAGE_CHARS_MAX}"),
        ("time of a block, ms", f"{genesis.TIME_MS_MIN:,} to {genesis.TIME_MS_MAX:,}"),
        ("leaves of a log, height of a block", f"{merkle.SIZE_MAX:,}"),
        ("signature lines of a note", f"1 to {note.SIGNATURES_MAX}"),
        ("registry steps of a bundle", f"{trust.STEPS_MAX:,}"),
        ("entry proofs of a bundle", f"{bundle.BUNDLE_ENTRIES_MAX:,}"),
        ("event proofs of a bundle", f"{bundle.BUNDLE_EVENTS_MAX:,}"),
        ("seconds that a request may be old or early", f"{request.WINDOW_S}"),
    )
    return _table(
        ("what", "most bytes, or how many"),
        (*((what, f"{limit:,} bytes") for what, limit in bytes_of), *counts),
    )


def _wire(kind: field.Kind) -> str:
    match kind:
        case Amount(minor_min=least):
            low = "−(2^53−1)" if least == -AMOUNT_MINOR_MAX else str(least)
            return f"int, minor units, {low} to 2^53−1"
        case Integer():
            return f"int, {kind.unit}, {kind.minimum:,} to {kind.maximum:,}"
        case Choice():
            return "int: " + " · ".join(f"{i} {name}" for i, name in enumerate(kind.names, 1))
        case Currency():
            return "str, a currency of the list below"
        case Day():
            return "str, day `YYYY-MM-DD`"
        case Period():
            return "str, month `YYYY-MM`, years 0001 to 9999"
        case Text():
            return f"str of 1 to {kind.chars_max:,} characters"
        case Replacement():
            return "[schema u16, version u8, fields], of a type that is no correction"
        case Rows():
            columns = "; ".join(_column(each) for each in kind.fields)
            return f"list of 1 to {kind.rows_max} rows [{columns}]"
    raise AssertionError(kind)


def _column(item: Field) -> str:
    return f"`{item.name}` {_wire(item.kind)}{' or nil' if item.optional else ''}"


def _rule(schema: EventSchema, rule: Rule) -> str:
    match rule:
        case ZeroTogether(first=first, second=second):
            return f"`{first}` and `{second}` are both 0 or neither is"
        case AtLeast(larger=larger, smaller=smaller):
            return f"`{larger}` is at least `{smaller}`"
        case NotAfter(earlier=earlier, later=later):
            return f"`{earlier}` is not after `{later}`"
        case GivenTogether(fields=fields):
            return f"{_and(fields)} are given together or not at all"
        case Needs(choice=choice, numbers=numbers, one_of=one_of):
            given = " or ".join(f"`{name}`" for name in one_of)
            names = next(f.kind.names for f in schema.fields if f.name == choice)  # type: ignore[attr-defined]  # a rule's choice is a Choice
            chosen = " or ".join(f"{n} {names[n - 1]}" for n in sorted(numbers))
            return f"where `{choice}` is {chosen}, {given} is given"
        case Reached(stage=stage, number=number, step=step):
            return f"`{number}` is at least {step} × `{stage}`"
    raise AssertionError(rule)


def _and(names: tuple[str, ...]) -> str:
    return " and ".join(f"`{name}`" for name in names)


def _schemas() -> str:
    return "\n".join(_schema(each) for each in SCHEMAS)


def _schema(schema: EventSchema) -> str:
    category = "that of its target" if schema.category is None else _name(schema.category)
    bases = ", ".join(f"{basis.value} {_name(basis)}" for basis in sorted(schema.bases))
    account = schema.account.value
    lines = (
        f"#### {schema.number} `{schema.name}`, version {schema.version}\n\n{schema.doc}\n\n"
        f"Category: {category}. Bases: {bases}. `account`: {account}. "
        f"`target`: {'required' if schema.corrects else 'nil'}.\n\n"
    )
    table = _table(
        ("place", "field", "value", "nil", "meaning"),
        (
            (i, f"`{f.name}`", _wire(f.kind), "allowed" if f.optional else "no", f.doc)
            for i, f in enumerate(schema.fields)
        ),
    )
    rules = "; ".join(_rule(schema, each) for each in schema.rules)
    return lines + table + (f"\nRules: {rules}.\n" if rules else "")


def _currencies() -> str:
    lines = [
        f"* {digits} digits: "
        + " ".join(code for code, each in MINOR_DIGITS.items() if each == digits)
        for digits in sorted(set(MINOR_DIGITS.values()))
    ]
    return "\n".join(lines) + "\n"


TABLES: Final[dict[str, Callable[[], str]]] = {
    "limits": _limits,
    "kinds": _kinds,
    "roles": _roles,
    "outcomes": _outcomes,
    "categories": _categories,
    "id-types": _id_types,
    "bases": _bases,
    "consent-bases": _consent_bases,
    "purposes": _purposes,
    "units": _units,
    "evidence-types": _evidence_types,
    "changes": _changes,
    "change-reasons": _change_reasons,
    "marks": _marks,
    "mark-reasons": _mark_reasons,
    "wants": _wants,
    "proposal-changes": _proposal_changes,
    "waivers": _waivers,
    "month-standings": _month_standings,
    "reject-classes": _reject_classes,
    "delays": _delays,
    "schemas": _schemas,
    "currencies": _currencies,
}


def main() -> None:
    """Write the tables, or compare them."""
    document = DOCUMENT.read_text(encoding="utf-8")
    filled = fill(document)
    if filled == document:
        return
    if "--check" in sys.argv[1:]:
        raise SystemExit("docs/formats.md differs from the code: run scripts/formats_tables.py")
    DOCUMENT.write_text(filled, encoding="utf-8")


if __name__ == "__main__":
    main()
