"""
Problem documents (RFC 9457) and the table of every code that they may carry.

A node answers every request that it does not fulfil with one of these, a client reads them, and
`tradeline explain CODE` prints the table. A code is stable: append, never rename. Where the
outcome of an entry decides, the code is `Outcome.code`; the others are listed in `CODES`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tradeline_ledger.advice import ADVICE
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.outcome import Outcome

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "https://tradeline.example/problems/"
PROBLEM_BYTES_MAX: Final = 16 * 1024
TEXT_CHARS_MAX: Final = 2048
"""Of each text of a problem; what a node writes is shorter."""

_FIELDS: Final = ("type", "title", "status", "code", "detail", "remedy", "instance")
_CONFLICTS: Final = frozenset(
    {
        Outcome.POSITION_PAST,
        Outcome.POSITION_AHEAD,
        Outcome.PREV_WRONG,
        Outcome.REFUSED_TOO_OFTEN,
        Outcome.BATCH_DUPLICATE,
    }
)
"""Outcomes that depend on when the entry comes: 409. The others depend on the entry alone: 422."""


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of problem."""

    code: str
    """Lower case, words joined by hyphens."""
    status: int
    """HTTP status that it is answered with."""
    title: str
    meaning: str
    """When it happens, one sentence."""
    remedy: str
    """What to do about it, one or two sentences."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem document."""

    code: str
    status: int
    title: str
    detail: str
    """What was got and expected, this time; never a secret, a body or a subject's identifier."""
    remedy: str
    instance: str | None = None
    """Id of the request, as it stands in the node's log."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further fields, such as the `index` of an entry that is placed already."""

    def to_json(self) -> bytes:
        """Return the document, UTF-8."""
        values = {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "remedy": self.remedy,
            **({} if self.instance is None else {"instance": self.instance}),
            **{name: value for name, value in self.extra.items() if name not in _FIELDS},
        }
        return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, document: bytes) -> Problem:
        """
        Return the problem of a document that somebody else wrote, its texts made printable.

        Raises:
            MalformedError: not such a document, or over a limit.
        """
        if len(document) > PROBLEM_BYTES_MAX:
            raise MalformedError(
                f"problem has {len(document)} bytes, at most {PROBLEM_BYTES_MAX} are allowed"
            )
        try:
            values = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise MalformedError("problem document is not JSON") from error
        if not isinstance(values, dict) or not isinstance(values.get("status"), int):
            raise MalformedError("problem document is no JSON object with a status")
        return cls(
            code=_text(values, "code"),
            status=values["status"],
            title=_text(values, "title"),
            detail=_text(values, "detail"),
            remedy=_text(values, "remedy"),
            instance=_text(values, "instance") or None,
            extra={name: value for name, value in values.items() if name not in _FIELDS},
        )


def problem(code: str, detail: str = "", *, instance: str | None = None, **extra: Any) -> Problem:
    """Return a problem of a listed `code`; its meaning stands in for an empty `detail`."""
    row = explain(code)
    return Problem(
        row.code, row.status, row.title, detail or row.meaning, row.remedy, instance, extra
    )


def explain(code: str) -> Code:
    """
    Return what a code means, whether a node's own or an outcome's.

    Raises:
        MalformedError: nothing has that code.
    """
    found = CODES.get(code) or _OUTCOMES.get(code)
    if found is None:
        raise MalformedError(f"no problem or outcome has the code {code[:64]!r}")
    return found


def all_codes() -> tuple[Code, ...]:
    """Return the codes of nodes, then those of outcomes."""
    return (*CODES.values(), *_OUTCOMES.values())


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name, "")
    if not isinstance(value, str):
        raise MalformedError(f"{name} of a problem document is no text")
    return "".join(char if char.isprintable() else " " for char in value[:TEXT_CHARS_MAX])


def _of_outcome(outcome: Outcome) -> Code:
    advice = ADVICE[outcome]
    title = outcome.code.replace("-", " ").capitalize()
    status = 200 if outcome.accepted else 409 if outcome in _CONFLICTS else 422
    return Code(outcome.code, status, title, advice.meaning, advice.remedy)


_OUTCOMES: Final = {outcome.code: _of_outcome(outcome) for outcome in Outcome}

_ROWS: Final = (
    Code(
        "request-malformed",
        400,
        "Request is malformed",
        "A header, a path or the framing of the request is not what HTTP or this route allows.",
        "Build requests with the client library, or compare with /openapi.json.",
    ),
    Code(
        "request-unsigned",
        401,
        "Request is not signed",
        "The route is for members, and the request carries no signature.",
        "Sign the request (RFC 9421) with a key of the registry, as the client library does.",
    ),
    Code(
        "request-signature",
        401,
        "Signature of the request is wrong",
        "Signature, content digest, key id or tag of the request do not fit it.",
        "Check that the keystore belongs to the member and that nothing alters requests on the "
        "way.",
    ),
    Code(
        "request-expired",
        401,
        "Signature of the request is not of now",
        "`created` of the signature is more than 300 s from the node's clock.",
        "Set the clock of whichever machine is wrong; sign again.",
    ),
    Code(
        "request-replayed",
        401,
        "Request was seen before",
        "The nonce of the signature was used in an earlier request.",
        "Sign each request anew, a repeated one too.",
    ),
    Code(
        "not-found",
        404,
        "Not found",
        "There is no such thing, or not for this member.",
        "Check the address, and that the member has the role and the right to it.",
    ),
    Code(
        "method-not-allowed",
        405,
        "Method is not allowed",
        "The route exists, but not for this method.",
        "Use a method of the Allow header.",
    ),
    Code(
        "request-timeout",
        408,
        "Request took too long",
        "The body did not arrive in the time that the node allows.",
        "Send it again, on a faster line or in smaller parts.",
    ),
    Code(
        "size-ahead",
        409,
        "Log is not that large here",
        "A size was named that this node has not reached.",
        "Wait until the node has caught up, or ask another one.",
    ),
    Code(
        "body-too-large",
        413,
        "Body is too large",
        "The body is larger than the route allows.",
        "Send less at a time; docs/formats.md section 1 lists the limits.",
    ),
    Code(
        "request-invalid",
        422,
        "Request is invalid",
        "A parameter or the body is well formed, but not what the route takes.",
        "Compare the named parameters with /openapi.json.",
    ),
    Code(
        "rate-limited",
        429,
        "Too many requests",
        "The member has used up its requests for the moment.",
        "Wait as long as Retry-After says.",
    ),
    Code(
        "streams-full",
        503,
        "Too many streams",
        "The node serves as many streams and waiting requests as it is set to.",
        "Try again later, or poll /v1/ledger.",
    ),
    Code(
        "node-error",
        500,
        "Node failed",
        "The node met an error of its own; nothing was changed.",
        "Try again, or ask another node; tell the operator the instance.",
    ),
    Code(
        "node-busy",
        503,
        "Node is busy",
        "More requests of this kind are waiting than the node is set to.",
        "Wait as long as Retry-After says.",
    ),
    Code(
        "node-halted",
        503,
        "Node takes no writes",
        "The node stopped writing, since storage or engine failed. Reads go on.",
        "Ask another node; the operator finds the reason in /readyz, and restarts after repair.",
    ),
    Code(
        "no-quorum-yet",
        503,
        "No quorum of cosignatures yet",
        "Too few validators have cosigned a checkpoint.",
        "Try again in a moment; if it lasts, see /healthz of the nodes that are missing.",
    ),
    Code(
        "witness-malformed",
        400,
        "Request to the witness is malformed",
        "It is no request of c2sp.org/tlog-witness, or its old size is above its checkpoint's.",
        "Send `old <size>`, the proof, an empty line and the checkpoint, without extension lines.",
    ),
    Code(
        "witness-log-unknown",
        404,
        "Log is unknown",
        "The witness is not configured for a log of that origin.",
        "Have its operator add the log's policy to the folder `witness.logs`.",
    ),
    Code(
        "witness-unsigned",
        403,
        "Checkpoint is not signed by the log",
        "The checkpoint lacks the signatures that the witness demands of its log.",
        "Send it with the log's signatures; compare the log's keys with the witness's policy.",
    ),
    Code(
        "witness-inconsistent",
        422,
        "Checkpoint does not extend the last one",
        "The proof does not lead from the checkpoint that was cosigned last to this one.",
        "Make the proof from that size. If it is right, the log was forked: look for evidence.",
    ),
    Code(
        "custody-malformed",
        422,
        "Batch or attachment does not decode",
        "The body is no array of batch and attachment, or one of them is malformed.",
        "Seal the batch with the client library, or compare with docs/formats.md section 4.",
    ),
    Code(
        "custody-body-wrong",
        422,
        "Body is not what the batch names",
        "A body or sealed deposit of the attachment does not hash to what the batch names.",
        "Send the attachment that was sealed with this batch.",
    ),
    Code(
        "custody-deposit-wrong",
        422,
        "Deposit is wrong",
        "The node's deposit does not open, or its shares do not have the root in the batch.",
        "Seal the batch again for the epoch in force.",
    ),
    Code(
        "custody-tag-key-missing",
        409,
        "Tag key is missing",
        "The node has no tag key of the member that is in force, so it gives no receipt.",
        "Hand the tag key over with PUT /v1/tag-keys; the client library does it by itself.",
    ),
    Code(
        "custody-quota",
        409,
        "Quota of custody is used up",
        "The member's attachments that are not placed in the log yet fill its quota.",
        "Place or let expire what was handed over; then send again.",
    ),
    Code(
        "custody-not-committee",
        409,
        "Node holds no shares",
        "This node is not in the committee of the batch's epoch.",
        "Send the batch to the committee members of the epoch in force.",
    ),
    Code(
        "custody-placed",
        409,
        "Batch is on the ledger already",
        "The batch was accepted before; it needs no custody again.",
        "Nothing to do: the events are on the ledger once.",
    ),
    Code(
        "custody-attachment-missing",
        409,
        "Attachment is missing",
        "The node does not hold the attachment of the batch whose keys are dealt again.",
        "Send the attachment along; the client library fetches it from another node by itself.",
    ),
    Code(
        "tag-key-wrong",
        422,
        "Tag key is wrong",
        "The tag key does not open, or is not the one whose hash is in the member's record.",
        "Send the tag key that the registry names, sealed to this node.",
    ),
    Code(
        "release-malformed",
        422,
        "Release request is wrong",
        "The sealed request does not open or decode, or names another ledger or inquiry.",
        "Seal the request to this node's HPKE key, for this inquiry.",
    ),
    Code(
        "release-key-wrong",
        422,
        "One-time key is wrong",
        "The one-time key is not the one whose hash the inquiry names.",
        "Use the key that was stored before the inquiry was posted.",
    ),
    Code(
        "release-commitment-wrong",
        422,
        "Year keys do not match the consent",
        "The year keys and the salt do not open the commitments of the consent.",
        "Use salt and year keys of that consent, for all years of the inquiry.",
    ),
    Code(
        "release-tag-wrong",
        422,
        "Inquiry is filed under a wrong tag",
        "The inquiry's own tag is none of the reader's tags for the subject, so that nobody who "
        "reads the subject's history would see it.",
        "Post a new inquiry with the tag that the client library derives.",
    ),
    Code(
        "release-scope-wide",
        422,
        "Scope is too wide",
        "Members, categories and year keys of the inquiry make more tags than one scope may have.",
        "Post an inquiry for fewer years, categories or contributors.",
    ),
    Code(
        "release-consent-ended",
        409,
        "Consent does not hold any more",
        "The consent was revoked, paused or ended after the inquiry.",
        "Ask the subject for a new consent.",
    ),
    Code(
        "release-closed",
        409,
        "Release window is over",
        "The time in which the inquiry's releases are given has passed.",
        "Post a new inquiry, if the consent allows one.",
    ),
    Code(
        "release-stalled",
        503,
        "Node does not know the present",
        "The engine has not moved for too long, so the node can't tell whether the consent "
        "still holds.",
        "Ask the other committee members; try again when the node is ready.",
    ),
    Code(
        "release-tag-key-missing",
        503,
        "Tag key of a contributor is missing",
        "The node lacks a tag key that the scope needs, so it can't make a complete statement.",
        "Ask the other committee members; the contributor hands its key over again.",
    ),
)

CODES: Final[dict[str, Code]] = {row.code: row for row in _ROWS}
"""The codes of nodes, in the order of their HTTP status and subject."""
