"""What the interface answers in JSON, as OpenAPI describes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Hex32 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Hex16 = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Base64 = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
Number = Annotated[int, Field(ge=0)]


class Model(BaseModel):
    """Base of all of them."""

    model_config = ConfigDict(frozen=True)


class ProblemModel(Model):
    """A problem document, RFC 9457."""

    model_config = ConfigDict(title="Problem", extra="allow")

    type: str
    title: str
    status: int
    code: str
    """Stable; `tradeline explain CODE` says more."""
    detail: str
    remedy: str
    instance: str | None = None
    """Id of the request, as in the node's log."""


class LedgerModel(Model):
    """What this node is and how far it has come."""

    ledger_id: Hex32
    name: str
    origin: str
    member: int
    engine: str
    rules: int
    height: Number
    """Of the last block in the log."""
    applied_height: Number
    """Of the last block that the engine had applied here, whether or not it placed anything."""
    time_ms: Number
    size: Number
    root: Base64
    version: str


class OutcomeModel(Model):
    """What became of an entry."""

    number: Number
    code: str
    meaning: str


class EntryModel(Model):
    """One leaf with its path to the root at `size`."""

    index: Number
    height: Number
    kind: str
    """Name of the kind; `block` for a block leaf."""
    leaf: Base64
    size: Number
    path: list[Base64]
    outcome: OutcomeModel | None = None
    remedy: str | None = None
    member: int | None = None
    feed: Number | None = None
    seq: Number | None = None
    created_ms: Number | None = None
    content_hash: Hex32 | None = None
    content_bytes: Number | None = None


class ConsistencyModel(Model):
    """Proof that one size extends another."""

    old: Number
    new: Number
    path: list[Base64]


class FeedModel(Model):
    """Where a feed stands."""

    member: int
    feed: Number
    next_seq: Number
    prev: Hex32
    """Hash of the feed's last statement; zeros before the first."""
    index: Number | None
    """Log index of the last statement."""
    size: Number
    """Size of the log that this is as of."""


class StatementModel(Model):
    """Where a statement stands."""

    status: Literal["queued", "placed", "lost", "unknown"]
    index: Number | None = None
    height: Number | None = None
    outcome: OutcomeModel | None = None
    detail: str | None = None


class SubmittedModel(Model):
    """Answer to an entry that was handed over."""

    statement_hash: Hex32
    status: Literal["queued", "placed"]
    index: Number | None = None


class EvidenceModel(Model):
    """One evidence file, at `/v1/evidence/<name>`."""

    name: str
    type: str
    """As `tradeline verify` names it."""
    member: Number
    """Who is accused; of a fork between members, who showed it; 0: nobody of this ledger."""
    bytes: Number
    kept_ms: Number
    handled: bool
    """Whether the node's operator has acted on it."""


class EvidenceListModel(Model):
    """Every evidence file that the node keeps, oldest first."""

    evidence: list[EvidenceModel]


class ConsentModel(Model):
    """A consent, in the words of ISO/IEC TS 27560 where it has them."""

    consent_id: Hex16
    index: Number
    schema_version: str
    standing: str
    standing_index: Number
    changes: Number
    """Accepted changes of status so far: the subject's key signs this number with the next one."""
    controller: int
    """The reader: member id."""
    identified_by: int
    legal_basis: str
    purpose: str
    data_categories: list[str]
    sources: list[int] | None
    """Contributors; null: all."""
    years: list[int]
    valid_from_ms: Number
    valid_until_ms: Number
    frequency_unit: str
    frequency_max: Number
    reads_used: Number
    """In the calendar unit of the last block."""
    retention_unit: str
    retention: Number
    notice_template: str
    notice_language: str
    notice_hash: Hex32
    evidence_type: str
    evidence_hash: Hex32
    reference_hash: Hex32
    supersedes: Hex16 | None
    subject_signs: bool


class ConsentPageModel(Model):
    """Some consents, by id."""

    consents: list[ConsentModel]
    next: Hex16 | None
    """Cursor of the next page; null on the last."""


class BadDepositModel(Model):
    """A deposit in force that a committee member found bad."""

    index: int
    """Log index of the submission."""
    placed: int
    """Log index of the submission or re-deposit that placed it."""
    validator: int
    """Who found it bad."""
    record: int
    """Log index of the custody record that says so."""


class BadDepositPageModel(Model):
    """Some of them, by where they were placed."""

    bad: list[BadDepositModel]
    next: int | None
    """`from` of the next page; null on the last."""


class ChangeModel(Model):
    """One change of a proposal."""

    what: str
    """`admit`, `roles`, `suspend`, `resume`, `remove`, `endpoint`, `keys`, `params`, ..."""
    member: Number
    """Whom it is about; 0: the whole ledger."""


class ProposalModel(Model):
    """A proposal; the content of entry `index` says it all."""

    proposal_id: Hex16
    index: Number
    member: int
    """Who proposed."""
    title: str
    changes: list[ChangeModel]
    effect_height: Number
    expires_ms: Number
    standing: Literal["open", "expired", "passed", "rejected", "enacted", "failed"]
    approvals: list[int]
    """Members whose vote stands at approve, also those that are validators no more."""
    rejections: list[int]
    needed: int
    """Approvals of validators in force that make it pass."""
    decided_height: Number | None
    enacted_height: Number | None
    """First height at which its changes are in force."""
    failure: str | None
    """Code of the outcome because of which its changes could not be made."""


class ProposalPageModel(Model):
    """Some proposals, by id."""

    proposals: list[ProposalModel]
    next: Hex16 | None
    """Cursor of the next page; null on the last."""


class KeyChangesModel(Model):
    """How many key changes of a member were accepted; the next one has this number."""

    member: int
    key_changes: int


class SweepModel(Model):
    """What a sweep erased."""

    events: Number
    attachments: Number


class ComponentModel(Model):
    """One part of the node."""

    name: str
    ok: bool
    detail: str


class HealthModel(Model):
    """All parts of the node."""

    ok: bool
    components: list[ComponentModel]


class VersionModel(Model):
    """What software this is."""

    version: str
    rules: int
    api: Literal["v1"]


class BlockModel(Model):
    """Data of one event of the stream."""

    height: Number
    size: Number
    root: Base64
    time_ms: Number
    placed: Number
    """Entries of the block."""


def binary(description: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that answers with bytes."""
    return {
        200: {
            "description": description,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    }


def text(description: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that answers with text."""
    return {
        200: {
            "description": description,
            "content": {"text/plain; charset=utf-8": {"schema": {"type": "string"}}},
        }
    }


def binary_body(description: str) -> dict[str, Any]:
    """Return the `openapi_extra` of a route that takes bytes."""
    return {
        "requestBody": {
            "description": description,
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    }
