"""Routes that serve the log: checkpoints, tiles, contents, proofs, the registry (DESIGN.md, 13)."""

from __future__ import annotations

import base64
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from tradeline_ledger import state
from tradeline_ledger.advice import ADVICE
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.hashing import ZERO_HASH
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.statement import (
    STATEMENT,
    BlockLeaf,
    Kind,
    decode_leaf,
)
from tradeline_ledger.tile import Bundle, decode_path, encode_bundle, encode_tile, tile_nodes
from tradeline_ledger.trust import STEPS_MAX, encode_registry, log_vkey, policy_of
from tradeline_node.errors import RequestError
from tradeline_node.http.access import CurrentNode, log_reader
from tradeline_node.http.models import (
    ConsistencyModel,
    EntryModel,
    FeedModel,
    LedgerModel,
    OutcomeModel,
    binary,
    text,
)
from tradeline_node.http.parameters import (
    PathFeed,
    PathHash,
    PathIndex,
    PathMember,
    PathSize,
    QueryFirst,
    QueryHeight,
    QueryOptionalSize,
    QuerySize,
)
from tradeline_node.http.problems import NOT_FOUND, described, described_signed
from tradeline_node.log_export import export_chunk
from tradeline_node.service import Node
from tradeline_node.version import VERSION

IMMUTABLE: Final = "public, max-age=31536000, immutable"
OCTETS: Final = "application/octet-stream"
TEXT: Final = "text/plain; charset=utf-8"
router = APIRouter(dependencies=[Depends(log_reader)], responses=described_signed(), tags=["log"])


GATHER_WAIT_S: Final = 0.5
"""How long a reader of the newest checkpoint waits for cosignatures that are on their way."""


@router.get("/checkpoint", responses={**text("Signed note."), **described_signed("no-quorum-yet")})
async def read_checkpoint(request: Request, node: CurrentNode) -> Response:
    """Return the newest checkpoint that a quorum of the validators cosigned."""
    newest = await node.publisher.freshest(GATHER_WAIT_S)
    if newest is None:
        raise RequestError("no-quorum-yet", retry_after_s=1)
    headers = {"etag": newest.etag, "cache-control": "no-cache"}
    known = {each.strip() for each in request.headers.get("if-none-match", "").split(",")}
    if known & {newest.etag, f"W/{newest.etag}", "*"}:
        return Response(status_code=304, headers=headers)
    return Response(newest.note, headers=headers, media_type=TEXT)


@router.get("/checkpoint/witnessed", responses=text("Signed note."))
async def read_witnessed_checkpoint(node: CurrentNode) -> Response:
    """Return the newest checkpoint that an outside witness cosigned as well, if there is one."""
    newest = node.outside.newest
    if newest is None:
        raise NOT_FOUND
    return Response(
        newest.note,
        headers={"etag": newest.etag, "cache-control": "no-cache"},
        media_type=TEXT,
    )


@router.get("/cosignature/{size}", responses=text("Signed note with two lines."))
async def read_cosignature(size: PathSize, node: CurrentNode) -> Response:
    """Return this node's own signature and cosignature of a size."""
    lines = await node.publisher.lines(size)
    if lines is None:
        raise NOT_FOUND
    return Response(lines.note, media_type=TEXT)


@router.get(
    "/tile/{path:path}",
    responses=binary("Hashes of a tile, 32 bytes each; or a bundle of entries, length u16 each."),
)
async def read_tile(
    path: Annotated[
        str,
        Path(
            max_length=64,
            description="`L/N[.p/W]` or `entries/N[.p/W]`, as c2sp.org/tlog-tiles writes it.",
            examples=["0/000.p/1", "entries/000.p/1"],
        ),
    ],
    node: CurrentNode,
) -> Response:
    """Return a tile of the tree or a bundle of entries."""
    try:
        resource = decode_path("tile/" + path)
    except MalformedError as error:
        raise NOT_FOUND from error
    if isinstance(resource, Bundle):
        first = resource.index * 256
        content = encode_bundle(node.store.leaves(first, first + resource.width))
    else:
        content = encode_tile(node.store.nodes(tile_nodes(resource)))
    return _immutable(content)


@router.get("/content/{content_hash}", responses=binary("Content of an entry."))
async def read_content(content_hash: PathHash, node: CurrentNode) -> Response:
    """Return the content with a hash; the genesis under the ledger's id."""
    content = node.store.content_by_hash(bytes.fromhex(content_hash))
    if content is None:
        raise NOT_FOUND
    return _immutable(content)


@router.get("/genesis", responses=binary("The genesis file, signed by all founders."))
async def read_genesis(node: CurrentNode) -> Response:
    """Return the genesis file."""
    return _immutable(node.ledger.file)


@router.get("/policy", responses=text("Policy file, c2sp.org/tlog-policy."))
async def read_policy(node: CurrentNode) -> Response:
    """Return whose signatures make a checkpoint, for tools that know no registry."""
    return Response(policy_of(node.ledger, node.store.registry), media_type=TEXT)


@router.get("/log.vkey", responses=text("Verifier key of this node's signatures."))
async def read_vkey(node: CurrentNode) -> Response:
    """Return the key under which this node signs checkpoints."""
    return Response(log_vkey(node.ledger, node.record) + "\n", media_type=TEXT)


@router.get("/v1/ledger")
async def read_ledger(node: CurrentNode) -> LedgerModel:
    """Return what this ledger is, and how far this node has applied it."""
    head, ledger = node.store.head, node.ledger
    return LedgerModel(
        ledger_id=ledger.ledger_id.hex(),
        name=ledger.genesis.name,
        origin=ledger.origin,
        member=node.member,
        engine=node.config.engine.driver,
        rules=ledger.genesis.rules,
        height=head.height,
        applied_height=node.store.engine_height,
        time_ms=head.time_ms,
        size=head.size,
        root=_b64(node.store.root(head.size)),
        version=VERSION,
    )


@router.get("/v1/registry", responses=binary("Every member record and every epoch record."))
async def read_registry(node: CurrentNode) -> Response:
    """Return the registry in force from the next height."""
    return Response(encode_registry(node.store.registry), media_type=OCTETS)


@router.get("/v1/registry/steps", responses=binary("Array of registry steps, oldest first."))
async def read_steps(node: CurrentNode, from_height: QueryHeight = 0) -> Response:
    """Return the changes of the registry from a height on, each with its proof."""
    steps = await node.turns.run(lambda: node.publisher.steps(from_height, STEPS_MAX))
    body = _array_header(len(steps)) + b"".join(steps)
    return Response(body, media_type=OCTETS)


@router.get("/v1/entries/{index}", responses=described("size-ahead"))
async def read_entry(
    index: PathIndex, node: CurrentNode, size: QueryOptionalSize = None
) -> EntryModel:
    """Return one leaf, what it says, and its path to the root at `size`."""
    end = _proven_size(node, index, size)
    leaf = node.store.leaf(index)
    (path,) = node.store.inclusion_paths([index], end)
    decoded = decode_leaf(leaf)
    entry = EntryModel(
        index=index,
        height=decoded.height,
        kind="block",
        leaf=_b64(leaf),
        size=end,
        path=[_b64(each) for each in path],
    )
    if isinstance(decoded, BlockLeaf):
        return entry
    statement = STATEMENT.decode(decoded.statement)
    outcome = Outcome(decoded.outcome)
    return entry.model_copy(
        update={
            "kind": kind_name(statement.kind),
            "outcome": outcome_model(outcome),
            "remedy": ADVICE[outcome].remedy,
            "member": statement.member,
            "feed": statement.feed,
            "seq": statement.seq,
            "created_ms": statement.created_ms,
            "content_hash": statement.content_hash.hex(),
            "content_bytes": len(node.store.content(index)),
        }
    )


@router.get("/v1/consistency", responses=described("size-ahead"))
async def read_consistency(node: CurrentNode, old: QuerySize, new: QuerySize) -> ConsistencyModel:
    """Return the proof that the log of `new` leaves extends the one of `old`."""
    if old > new:
        raise RequestError("request-invalid", f"old is {old}, which is larger than new, {new}")
    _check_reached(node, new)
    path = node.store.consistency_path(old, new)
    return ConsistencyModel(old=old, new=new, path=[_b64(each) for each in path])


@router.get(
    "/v1/blocks",
    responses={**binary("Log chunk, docs/formats.md section 9."), **described("size-ahead")},
)
async def read_blocks(node: CurrentNode, first: QueryFirst, size: QuerySize) -> Response:
    """Return whole blocks from a leaf on, about 8 MiB of them, proved to the log of a size."""
    chunk, _ = await node.bulk_turns.run(lambda: export_chunk(node.store, first, size))
    return _immutable(chunk)


@router.get("/v1/feeds/{member}/{feed}")
async def read_feed(member: PathMember, feed: PathFeed, node: CurrentNode) -> FeedModel:
    """Return where a feed stands; verify it by the entry at `index`."""
    known = any(each.feed(feed) is not None for each in node.store.registry.versions(member))
    if not known:
        raise NOT_FOUND
    size = node.store.head.size
    row = state.read(node.store, state.FEED, state.feed_key(member, feed))
    return FeedModel(
        member=member,
        feed=feed,
        next_seq=row.next_seq if row else 0,
        prev=(row.prev if row else ZERO_HASH).hex(),
        index=row.index if row else None,
        size=size,
    )


def kind_name(kind: int) -> str:
    """Return the name of a kind of statement, in lower case."""
    return Kind(kind).name.lower() if kind in set(Kind) else f"kind-{kind}"


def outcome_model(outcome: Outcome) -> OutcomeModel:
    """Return an outcome as the interface shows it."""
    return OutcomeModel(number=outcome, code=outcome.code, meaning=ADVICE[outcome].meaning)


def _proven_size(node: Node, index: int, size: int | None) -> int:
    if size is None:
        newest = node.publisher.newest
        if newest is None or index >= newest.size:
            if index >= node.store.head.size:
                raise NOT_FOUND
            raise RequestError(
                "size-ahead", f"entry {index} is in no checkpoint with a quorum yet; ask again soon"
            )
        return newest.size
    _check_reached(node, size)
    if index >= size:
        raise NOT_FOUND
    return size


def _check_reached(node: Node, size: int) -> None:
    head = node.store.head
    if size > head.size:
        raise RequestError("size-ahead", f"size {size} was named, this node has {head.size}")


def _immutable(content: bytes) -> Response:
    return Response(content, headers={"cache-control": IMMUTABLE}, media_type=OCTETS)


def _array_header(count: int) -> bytes:
    """Return the head of a MessagePack array, for items that are encoded already."""
    return encode([None] * count)[: -count or None]


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
