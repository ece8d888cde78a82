"""Routes of readers: releases and consents."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from tradeline_ledger import calendar, state
from tradeline_ledger.consent import (
    TERMS,
    ConsentBasis,
    EvidenceType,
    FrequencyUnit,
    Purpose,
    Terms,
)
from tradeline_ledger.hpke import SEAL_OVERHEAD_BYTES
from tradeline_ledger.release import REQUEST_BYTES_MAX
from tradeline_ledger.state import CONSENT, CONSENT_PREFIX, ConsentStanding, ConsentState
from tradeline_ledger.tag import Category
from tradeline_node.http.access import Caller, CurrentNode, member
from tradeline_node.http.models import ConsentModel, ConsentPageModel, binary, binary_body
from tradeline_node.http.parameters import (
    PAGE_MAX,
    PathConsent,
    PathIndex,
    QueryCursor,
    QueryOptionalSize,
)
from tradeline_node.http.problems import NOT_FOUND, described_signed
from tradeline_node.http.routes_log import OCTETS
from tradeline_node.metrics import counted
from tradeline_node.service import Node

SCANNED_MAX: Final = 2_000
"""Consents that one page looks at; a page may be short, or empty with a cursor."""
_UNITS: Final = {1: "day", 2: "month", 3: "year"}

router = APIRouter(
    prefix="/v1",
    tags=["read"],
    responses=described_signed(),
)


@router.post(
    "/releases/{inquiry}",
    responses={
        **binary("Encoded release response, docs/formats.md section 7."),
        **described_signed(
            *("body-too-large", "release-malformed", "release-key-wrong", "release-closed"),
            *("release-commitment-wrong", "release-consent-ended", "release-stalled"),
            *("release-tag-key-missing", "size-ahead"),
        ),
    },
    openapi_extra=binary_body("A release request, sealed to this node's HPKE key."),
)
async def post_release(
    inquiry: PathIndex,
    node: CurrentNode,
    caller: Annotated[Caller, Depends(member(REQUEST_BYTES_MAX + SEAL_OVERHEAD_BYTES))],
    size: QueryOptionalSize = None,
) -> Response:
    """Return this node's shares and its signed history statement to the inquiry's reader."""
    newest = node.publisher.newest
    proof_size = size or (newest.size if newest else None)
    release = node.release_service.release
    with counted(node.metrics.releases):
        response = await node.release_turns.run(
            lambda: release(inquiry, caller.member, caller.body, proof_size)
        )
    node.housekeeping.wake()
    return Response(response, media_type=OCTETS)


@router.get("/consents")
async def read_consents(
    node: CurrentNode,
    caller: Annotated[Caller, Depends(member())],
    cursor: QueryCursor = None,
) -> ConsentPageModel:
    """Return the consents that the caller was granted, or identified the subject of, by id."""
    return await node.turns.run(lambda: _page(node, caller.member, cursor))


@router.get("/consents/{consent}")
async def read_consent(
    consent: PathConsent, node: CurrentNode, caller: Annotated[Caller, Depends(member())]
) -> ConsentModel:
    """Return one consent that the caller is a party of."""
    consent_id = bytes.fromhex(consent)
    row = state.read(node.store, CONSENT, state.consent_key(consent_id))
    terms = TERMS.decode(row.terms) if row else None
    if row is None or terms is None or caller.member not in (terms.grantee, terms.second):
        raise NOT_FOUND
    return _view(node, consent_id, row, terms)


def _page(node: Node, caller: int, cursor: str | None) -> ConsentPageModel:
    start = CONSENT_PREFIX + bytes.fromhex(cursor) if cursor else b""
    found: list[ConsentModel] = []
    for scanned, (key, value) in enumerate(node.store.iterate(CONSENT_PREFIX, start)):
        consent_id = key[len(CONSENT_PREFIX) :]
        if len(found) == PAGE_MAX or scanned == SCANNED_MAX:
            return ConsentPageModel(consents=found, next=consent_id.hex())
        row = CONSENT.decode(value)
        terms = TERMS.decode(row.terms)
        if caller in (terms.grantee, terms.second):
            found.append(_view(node, consent_id, row, terms))
    return ConsentPageModel(consents=found, next=None)


def _view(node: Node, consent_id: bytes, row: ConsentState, terms: Terms) -> ConsentModel:
    offset = node.ledger.params.utc_offset_min
    bucket = calendar.bucket(terms.frequency.unit, node.store.head.time_ms, offset)
    return ConsentModel(
        consent_id=consent_id.hex(),
        index=row.index,
        schema_version="ISO/IEC TS 27560:2023",
        standing=ConsentStanding(row.standing).name.lower(),
        standing_index=row.changed_index,
        changes=row.changes,
        controller=terms.grantee,
        identified_by=terms.second,
        legal_basis=ConsentBasis(terms.basis).name.lower(),
        purpose=Purpose(terms.purpose).name.lower(),
        data_categories=[Category(each).name.lower() for each in terms.categories],
        sources=None if terms.contributors is None else list(terms.contributors),
        years=sorted(terms.years()),
        valid_from_ms=terms.from_ms,
        valid_until_ms=terms.until_ms,
        frequency_unit=FrequencyUnit(terms.frequency.unit).name.lower(),
        frequency_max=terms.frequency.max,
        reads_used=state.count(node.store, state.reads_key(consent_id, bucket)),
        retention_unit=_UNITS[terms.life.unit],
        retention=terms.life.life,
        notice_template=terms.template,
        notice_language=terms.language,
        notice_hash=terms.notice_hash.hex(),
        evidence_type=EvidenceType(terms.evidence.type).name.lower(),
        evidence_hash=terms.evidence.hash.hex(),
        reference_hash=terms.ref_hash.hex(),
        supersedes=None if terms.supersedes is None else terms.supersedes.hex(),
        subject_signs=terms.subject_key is not None,
    )
