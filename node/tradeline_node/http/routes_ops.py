"""Routes for operators and their tools: probes, metrics, version; and the sweep."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tradeline_ledger.genesis import RULES
from tradeline_node.http.access import Caller, CurrentNode, anyone, own_node
from tradeline_node.http.models import (
    ComponentModel,
    HealthModel,
    SweepModel,
    VersionModel,
    text,
)
from tradeline_node.http.problems import described, described_signed, problem_response
from tradeline_node.metrics import CONTENT_TYPE
from tradeline_node.version import VERSION

router = APIRouter(tags=["operation"], responses=described("rate-limited"))
_OPEN = [Depends(anyone)]


@router.get("/livez", dependencies=_OPEN, responses=text("The process runs."))
async def livez() -> PlainTextResponse:
    """Say that the process answers; nothing else is looked at."""
    return PlainTextResponse("ok\n")


@router.get(
    "/readyz",
    dependencies=_OPEN,
    responses={**text("The node takes requests."), **described("node-halted")},
)
async def readyz(node: CurrentNode) -> Response:
    """Say whether store and engine work and heights advance; else why not, with status 503."""
    reason = await node.turns.run(lambda: node.halted() or node.engine_stalled())
    if reason:
        return problem_response("node-halted", reason)
    return PlainTextResponse("ok\n")


@router.get(
    "/healthz",
    dependencies=_OPEN,
    response_model=HealthModel,
    responses={503: {"model": HealthModel, "description": "A part is not well."}},
)
async def healthz(node: CurrentNode) -> Response:
    """Return each part of the node and how it does; status 503 if one does not."""
    parts = await node.turns.run(node.health)
    components = [ComponentModel(name=each.name, ok=each.ok, detail=each.detail) for each in parts]
    health = HealthModel(ok=all(each.ok for each in parts), components=components)
    return JSONResponse(health.model_dump(), 200 if health.ok else 503)


@router.get("/metrics", dependencies=_OPEN, responses=text("Prometheus text format."))
async def metrics(node: CurrentNode) -> Response:
    """Return all metrics."""
    await node.turns.run(node.refresh_metrics)
    return Response(node.metrics.text(), headers={"content-type": CONTENT_TYPE})


@router.get("/version", dependencies=_OPEN)
async def version() -> VersionModel:
    """Return which software this is."""
    return VersionModel(version=VERSION, rules=RULES, api="v1")


@router.post(
    "/v1/sweep",
    responses=described_signed("node-halted"),
)
async def post_sweep(
    node: CurrentNode, _caller: Annotated[Caller, Depends(own_node)]
) -> SweepModel:
    """Erase now what is to be gone as of the last block; when it answers, it is gone."""
    result = await node.turns.run(node.housekeeping.sweep)
    return SweepModel(events=result.events, attachments=result.attachments)
