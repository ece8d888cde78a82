"""The contents of entries as JSON values, numbers by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tradeline_client.cli.report_json import instant, name_of
from tradeline_ledger.calendar import period
from tradeline_ledger.consent import (
    CONSENT,
    STATUS,
    TERMS,
    Change,
    ChangeReason,
    ConsentBasis,
    DataLife,
    EvidenceType,
    Frequency,
    FrequencyUnit,
    Purpose,
    Terms,
)
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.inquiry import INQUIRY
from tradeline_ledger.key import KEY, KEY_CHANGE
from tradeline_ledger.mark import MARK, MarkKind, MarkReason
from tradeline_ledger.proposal import (
    PROPOSAL,
    PROPOSAL_VOTE,
    VoteChoice,
    change_kind,
    proposal_id,
)
from tradeline_ledger.quality import QUALITY, Delay, MonthStanding, Quality, RejectClass
from tradeline_ledger.release import RELEASED
from tradeline_ledger.statement import Kind
from tradeline_ledger.submission import decode_submission
from tradeline_ledger.tag import Category

if TYPE_CHECKING:
    from collections.abc import Callable


def terms_to_json(terms: Terms) -> dict[str, Any]:
    """Return what a consent's terms say; values of options are written as options take them."""
    return {
        "grantee": terms.grantee,
        "second": terms.second,
        "basis": name_of(ConsentBasis, terms.basis),
        "purpose": name_of(Purpose, terms.purpose),
        "categories": [name_of(Category, each) for each in terms.categories],
        "contributors": None if terms.contributors is None else list(terms.contributors),
        "years": sorted(terms.years()),
        "from": instant(terms.from_ms),
        "until": instant(terms.until_ms),
        "frequency": _frequency(terms.frequency),
        "life": _life(terms.life),
        "template": terms.template,
        "language": terms.language,
        "notice_hash": terms.notice_hash.hex(),
        "evidence_type": name_of(EvidenceType, terms.evidence.type),
        "evidence_hash": terms.evidence.hash.hex(),
        "supersedes": None if terms.supersedes is None else terms.supersedes.hex(),
        "subject_key": None if terms.subject_key is None else terms.subject_key.hex(),
    }


def quality_to_json(content: Quality) -> dict[str, Any]:
    """Return what a quality statement says; of the prints only how many there are."""
    return {
        "month": period(content.month),
        "size": content.size,
        "supersedes": content.supersedes,
        "standing": name_of(MonthStanding, content.standing),
        "rows": {
            "received": content.received,
            "accepted": content.accepted,
            "rejected": {name_of(RejectClass, each.reason): each.rows for each in content.rejected},
            "quarantined": content.quarantined,
            "duplicates": content.duplicates,
        },
        "submissions": len(content.listed),
        "events": content.events,
        "corrections": {name_of(Delay, each): content.corrections[each] for each in Delay},
        "repeats": content.repeats,
    }


def content_to_json(kind: int, content: bytes) -> dict[str, Any]:
    """Return what the content of an entry of `kind` says; a refused one may hold anything."""
    read = _READERS.get(kind)
    if read is None:
        return {"bytes": len(content)}
    try:
        return read(content)
    except MalformedError as error:
        return {"bytes": len(content), "undecoded": str(error)}


def _submission(content: bytes) -> dict[str, Any]:
    submission = decode_submission(content)
    return {
        "events": submission.batch.count,
        "epoch": submission.batch.epoch,
        "events_root": submission.batch.events_root.hex(),
        "receipts_of": [each.validator for each in submission.receipts],
    }


def _consent(content: bytes) -> dict[str, Any]:
    consent = CONSENT.decode(content)
    return {
        **terms_to_json(TERMS.decode(consent.terms)),
        "second_signed": consent.second is not None,
        "subject_signed": consent.subject_signature is not None,
    }


def _status(content: bytes) -> dict[str, Any]:
    status = STATUS.decode(content)
    return {
        "consent": status.consent_id.hex(),
        "change": name_of(Change, status.change),
        "reason": name_of(ChangeReason, status.reason),
        "subject_signed": status.subject_signature is not None,
    }


def _inquiry(content: bytes) -> dict[str, Any]:
    inquiry = INQUIRY.decode(content)
    return {
        "consent": inquiry.consent_id.hex(),
        "purpose": name_of(Purpose, inquiry.purpose),
        "categories": [name_of(Category, each) for each in inquiry.categories],
        "contributors": None if inquiry.contributors is None else list(inquiry.contributors),
        "years": list(inquiry.years),
        "tag": inquiry.tag.hex(),
        "retain_month": period(inquiry.retain_month),
    }


def _mark(content: bytes) -> dict[str, Any]:
    mark = MARK.decode(content)
    value = mark.value.hex() if isinstance(mark.value, bytes) else mark.value
    return {
        "event": str(mark.target),
        "what": name_of(MarkKind, mark.what),
        "value": value,
        "reason": name_of(MarkReason, mark.reason),
    }


def _released(content: bytes) -> dict[str, Any]:
    return {
        "releases": [
            {"inquiry": row.inquiry, "events": row.events} for row in RELEASED.decode(content)
        ]
    }


def _key(content: bytes) -> dict[str, Any]:
    return _fields(KEY_CHANGE.decode(KEY.decode(content).change))


def _proposal(content: bytes) -> dict[str, Any]:
    said = PROPOSAL.decode(content)
    changes = [{"what": change_kind(each).name.lower(), **_fields(each)} for each in said.changes]
    return {"proposal": proposal_id(content).hex(), **_fields(said), "changes": changes}


def _quality(content: bytes) -> dict[str, Any]:
    return quality_to_json(QUALITY.decode(content))


def _vote(content: bytes) -> dict[str, Any]:
    vote = PROPOSAL_VOTE.decode(content)
    return {"proposal": vote.proposal_id.hex(), "choice": name_of(VoteChoice, vote.choice)}


def _frequency(frequency: Frequency) -> str:
    if frequency.unit == FrequencyUnit.ONCE:
        return "once"
    return f"{frequency.max}/{name_of(FrequencyUnit, frequency.unit)}"


def _life(life: DataLife) -> str:
    return f"{life.life}-{name_of(FrequencyUnit, life.unit)}" if life.life else "decision"


def _fields(record: msgspec.Struct) -> dict[str, Any]:
    return {name: _plain(getattr(record, name)) for name in record.__struct_fields__}


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case msgspec.Struct():
            return _fields(value)
        case tuple() | list():
            return [_plain(each) for each in value]
        case _:
            return value


_READERS: dict[int, Callable[[bytes], dict[str, Any]]] = {
    Kind.SUBMISSION: _submission,
    Kind.CONSENT: _consent,
    Kind.STATUS: _status,
    Kind.INQUIRY: _inquiry,
    Kind.MARK: _mark,
    Kind.RELEASED: _released,
    Kind.KEY: _key,
    Kind.PROPOSAL: _proposal,
    Kind.VOTE: _vote,
    Kind.QUALITY: _quality,
}
