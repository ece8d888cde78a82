"""Routes of contributors: entries, custody, tag keys, and what became of a statement."""

from __future__ import annotations

import time
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse, Response

from tradeline_ledger.deposit import ATTACHMENT_BYTES_MAX
from tradeline_ledger.encoding import Codec, Record, encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.merkle import SIZE_MAX
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.registry import Role
from tradeline_ledger.statement import (
    CONTENT_BYTES_MAX,
    ENTRY,
    ENTRY_BYTES_MAX,
    STATEMENT,
)
from tradeline_ledger.submission import Receipt
from tradeline_node.bad_deposits import bad_deposits
from tradeline_node.errors import RequestError
from tradeline_node.http.access import NODE_FEED, Caller, CurrentNode, member
from tradeline_node.http.models import (
    BadDepositModel,
    BadDepositPageModel,
    StatementModel,
    SubmittedModel,
    binary,
    binary_body,
)
from tradeline_node.http.parameters import WAIT_MS_MAX, PathHash, PathMember
from tradeline_node.http.problems import NOT_FOUND, described_signed
from tradeline_node.http.routes_log import OCTETS, outcome_model
from tradeline_node.metrics import counted
from tradeline_node.redeposit_service import OFFER, OFFER_BYTES_MAX
from tradeline_node.service import MEBIBYTE, Node
from tradeline_node.tag_keys import SEALED_BYTES

LOOK_AGAIN_S: Final = 0.5
"""How often a waiting request looks whether its statement was lost; a block wakes it at once."""
_CUSTODY_BYTES_MAX: Final = ATTACHMENT_BYTES_MAX + CONTENT_BYTES_MAX + 32


class _CustodyBody(Record, frozen=True):
    batch: bytes
    attachment: bytes


_CUSTODY: Final[Codec[_CustodyBody]] = Codec(_CustodyBody, "custody request", _CUSTODY_BYTES_MAX)

router = APIRouter(prefix="/v1", tags=["write"], responses=described_signed("node-halted"))


@router.post(
    "/entries",
    status_code=202,
    responses={
        200: {"model": SubmittedModel, "description": "The same statement has its place already."},
        **described_signed(
            "body-too-large", Outcome.POSITION_PAST.code, "entry-malformed", "node-halted"
        ),
    },
    openapi_extra=binary_body("An encoded entry, docs/formats.md section 3."),
)
async def post_entry(
    caller: Annotated[Caller, Depends(member(ENTRY_BYTES_MAX))], node: CurrentNode
) -> Response:
    """
    Take an entry of the caller's own, and hand it on until it has its place or can't.

    A validator's node may hand over what members gave it, while its own engine is away.
    """
    try:
        entry = ENTRY.decode(caller.body)
        statement = STATEMENT.decode(entry.statement)
    except MalformedError as error:
        raise RequestError(Outcome.ENTRY_MALFORMED.code, str(error)) from error
    relayed = caller.feed == NODE_FEED and caller.record.has(Role.VALIDATOR)
    if statement.member != caller.member and not relayed:
        raise NOT_FOUND
    handover = await node.turns.run(lambda: node.submit(caller.body))
    answer = SubmittedModel(
        statement_hash=handover.hash.hex(),
        status="queued" if handover.index is None else "placed",
        index=handover.index,
    )
    return JSONResponse(answer.model_dump(), 202 if handover.index is None else 200)


@router.get("/statements/{statement}", dependencies=[Depends(member())])
async def read_statement(
    statement: PathHash,
    node: CurrentNode,
    wait_ms: Annotated[int, Query(ge=0, le=WAIT_MS_MAX)] = 0,
) -> StatementModel:
    """Return where a statement stands; with `wait_ms`, once it is placed or lost."""
    hash_ = bytes.fromhex(statement)
    seen = node.blocks.count
    found = await _look(node, hash_)
    if not wait_ms:
        return found
    deadline = time.monotonic() + wait_ms / 1000
    with node.waits:
        while found.status in ("queued", "unknown") and not node.stopping:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                break
            await node.blocks.wait(min(left_s, LOOK_AGAIN_S), since=seen)
            seen = node.blocks.count
            found = await _look(node, hash_)
    return found


@router.post(
    "/custody",
    responses={
        **binary("Receipt of custody."),
        **described_signed(
            *("body-too-large", "custody-malformed", "custody-body-wrong", "custody-deposit-wrong"),
            *("custody-tag-key-missing", "custody-quota", "custody-placed", "node-halted"),
        ),
    },
    openapi_extra=binary_body("Array of batch and attachment, docs/formats.md section 4."),
)
async def post_custody(
    caller: Annotated[Caller, Depends(member(_CUSTODY_BYTES_MAX, Role.CONTRIBUTOR))],
    node: CurrentNode,
) -> Response:
    """Check a batch with its attachment, keep it, and return the receipt."""
    try:
        parts = _CUSTODY.decode(caller.body)
    except MalformedError as error:
        raise RequestError("custody-malformed", str(error)) from error

    def accept() -> Receipt:
        node.check_writes()
        return node.custody_service.accept(caller.member, parts.batch, parts.attachment)

    with counted(node.metrics.custody_batches):
        receipt = await node.custody_turns.run(accept)
    return Response(encode(receipt), media_type=OCTETS)


@router.post(
    "/redeposits",
    responses={
        **binary("Receipt of custody, over the re-deposit's hash."),
        **described_signed(
            *("body-too-large", "custody-malformed", "custody-body-wrong", "custody-deposit-wrong"),
            *("custody-tag-key-missing", "custody-quota", "custody-placed", "node-halted"),
            *("custody-attachment-missing", "custody-not-committee"),
        ),
    },
    openapi_extra=binary_body(
        "Array of log index, epoch, deposits, sealed deposits and the batch's attachment or nil, "
        "docs/formats.md section 8."
    ),
)
async def post_redeposit(
    caller: Annotated[Caller, Depends(member(OFFER_BYTES_MAX, Role.CONTRIBUTOR))],
    node: CurrentNode,
) -> Response:
    """Check deposits that were dealt again for the caller's batch, keep them, give a receipt."""
    try:
        offer = OFFER.decode(caller.body)
    except MalformedError as error:
        raise RequestError("custody-malformed", str(error)) from error

    def accept() -> Receipt:
        node.check_writes()
        return node.redeposit_service.accept(caller.member, offer)

    with counted(node.metrics.custody_batches):
        receipt = await node.custody_turns.run(accept)
    return Response(encode(receipt), media_type=OCTETS)


@router.get(
    "/custody/{batch}", responses=binary("Attachment of a batch; sealed deposits of a re-deposit.")
)
async def read_custody(
    batch: PathHash, node: CurrentNode, caller: Annotated[Caller, Depends(member())]
) -> Response:
    """Return an attachment, to its own member and to the committee."""
    batch_hash = bytes.fromhex(batch)
    held = await node.turns.run(lambda: node.custody.held(batch_hash))
    committees = {each.member for epoch in node.store.registry.epochs for each in epoch.committee}
    if held is None or caller.member not in {held.member, *committees}:
        raise NOT_FOUND
    allowance = node.served.take(str(caller.member), 1 + held.bytes // MEBIBYTE)
    if allowance.retry_after_s:
        raise RequestError("rate-limited", retry_after_s=allowance.retry_after_s)
    attachment = await node.custody_turns.run(lambda: node.custody.attachment(batch_hash))
    if attachment is None:
        raise NOT_FOUND
    return Response(attachment, media_type=OCTETS)


@router.get(
    "/tag-keys/{member_id}/{hash_}",
    responses=binary("Tag key, sealed to the caller's HPKE key in the registry."),
)
async def read_tag_key(
    member_id: PathMember,
    hash_: PathHash,
    node: CurrentNode,
    caller: Annotated[Caller, Depends(member())],
) -> Response:
    """Hand a member's tag key on to a member that is or was in the committee, and lacks it."""
    public, key_hash = caller.record.hpke_key, bytes.fromhex(hash_)
    if public is None or not node.store.registry.has_served(caller.member):
        raise NOT_FOUND

    def seal() -> bytes | None:
        return node.tag_keys.sealed_for(member_id, key_hash, caller.member, public)

    sealed = await node.turns.run(seal)
    if sealed is None:
        raise NOT_FOUND
    return Response(sealed, media_type=OCTETS)


@router.get("/bad-deposits")
async def read_bad_deposits(
    node: CurrentNode,
    caller: Annotated[Caller, Depends(member())],
    from_index: Annotated[int, Query(ge=0, le=SIZE_MAX, alias="from")] = 0,
) -> BadDepositPageModel:
    """Return which of the caller's deposits in force a committee member found bad."""
    found, following = await node.turns.run(
        lambda: bad_deposits(node.store, caller.member, from_index)
    )
    return BadDepositPageModel(
        bad=[
            BadDepositModel(
                index=each.index, placed=each.placed, validator=each.validator, record=each.record
            )
            for each in found
        ],
        next=following,
    )


@router.put(
    "/tag-keys/{member_id}",
    status_code=204,
    responses=described_signed("tag-key-wrong", "body-too-large"),
    openapi_extra=binary_body("Tag key, sealed to this node's HPKE key."),
)
async def put_tag_key(
    member_id: PathMember,
    node: CurrentNode,
    caller: Annotated[Caller, Depends(member(SEALED_BYTES))],
) -> Response:
    """Keep the caller's own tag key."""
    if member_id != caller.member:
        raise NOT_FOUND

    def put() -> None:
        node.check_writes()
        node.tag_keys.put(node.store.registry, caller.member, caller.body)

    await node.turns.run(put)
    return Response(status_code=204)


async def _look(node: Node, hash_: bytes) -> StatementModel:
    """Return where a statement stands now."""
    found = await node.turns.run(lambda: node.outbox.status(hash_))
    return StatementModel(
        status=found.standing.value,
        index=found.index,
        height=found.height,
        outcome=None if found.outcome is None else outcome_model(found.outcome),
        detail=found.detail or None,
    )
