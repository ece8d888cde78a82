"""Routes that hand out the evidence files which this node keeps."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from tradeline_node.http.access import CurrentNode, member
from tradeline_node.http.models import EvidenceListModel, EvidenceModel, binary
from tradeline_node.http.problems import NOT_FOUND, described_signed

NAME_CHARS_MAX: Final = 64
router = APIRouter(
    dependencies=[Depends(member())], responses=described_signed(), tags=["evidence"]
)


@router.get("/v1/evidence")
async def read_evidence_list(node: CurrentNode) -> EvidenceListModel:
    """Return what evidence is kept against members and logs."""
    files = await node.turns.run(node.evidence.files)
    return EvidenceListModel(
        evidence=[
            EvidenceModel(
                name=each.name,
                type=each.word,
                member=each.member,
                bytes=each.bytes,
                kept_ms=each.kept_ms,
                handled=each.handled,
            )
            for each in files
        ]
    )


@router.get("/v1/evidence/{name}", responses=binary("Evidence file."))
async def read_evidence(
    name: Annotated[str, Path(max_length=NAME_CHARS_MAX, description="Name in the list.")],
    node: CurrentNode,
) -> Response:
    """Return one evidence file, which `tradeline verify` checks offline."""
    data = await node.turns.run(lambda: node.evidence.read(name))
    if data is None:
        raise NOT_FOUND
    return Response(data, media_type="application/octet-stream")
