"""Routes of this node as a witness of other logs (c2sp.org/tlog-witness)."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from tradeline_ledger.witness_request import SIZE_MEDIA_TYPE, WITNESS_REQUEST_BYTES_MAX
from tradeline_node.http.access import CurrentNode, anyone, anyone_sending
from tradeline_node.http.models import text
from tradeline_node.http.parameters import PathHash
from tradeline_node.http.problems import NOT_FOUND, described
from tradeline_node.http.routes_log import TEXT
from tradeline_node.witness import OldSizeError

_OLD_SIZE: Final = 409

router = APIRouter(prefix="/witness", tags=["witness"], responses=described("rate-limited"))


@router.post(
    "/add-checkpoint",
    responses={
        **text("Signature line."),
        **described(
            *("witness-malformed", "witness-unsigned", "witness-log-unknown"),
            *("request-timeout", "body-too-large", "witness-inconsistent", "node-busy"),
            "node-halted",
        ),
        _OLD_SIZE: {
            "description": "Another size was cosigned last: this one.",
            "content": {SIZE_MEDIA_TYPE: {"schema": {"type": "string"}}},
        },
    },
    openapi_extra={
        "requestBody": {
            "description": "`old <size>`, a proof, an empty line, a checkpoint.",
            "required": True,
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
async def add_checkpoint(
    node: CurrentNode, body: Annotated[bytes, Depends(anyone_sending(WITNESS_REQUEST_BYTES_MAX))]
) -> Response:
    """Cosign a checkpoint that extends the one that was cosigned last."""

    def add() -> str:
        node.hold.check()
        return node.witness.add(body)

    try:
        line = await node.turns.run(add)
    except OldSizeError as error:
        return Response(f"{error.size}\n", _OLD_SIZE, headers={"content-type": SIZE_MEDIA_TYPE})
    return Response(line, media_type=TEXT)


@router.get(
    "/{origin_hash}/checkpoint",
    dependencies=[Depends(anyone)],
    responses={**text("Signed note."), **described("not-found", "node-halted", "node-busy")},
)
async def read_witnessed(origin_hash: PathHash, node: CurrentNode) -> Response:
    """Return the checkpoint cosigned last of the log whose origin has that SHA-256."""
    note = await node.turns.run(lambda: node.witness.newest(origin_hash))
    if note is None:
        raise NOT_FOUND
    return Response(note, media_type=TEXT)


@router.get("/vkey", dependencies=[Depends(anyone)], responses=text("Verifier key."))
async def read_witness_vkey(node: CurrentNode) -> Response:
    """Return the key that cosigns other logs here, for their policies."""
    return Response(node.witness.vkey + "\n", media_type=TEXT)
