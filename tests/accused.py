"""Evidence of every type, made from a small ledger, for tests and vectors: no randomness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec.structs
from tests.mirror import signed_checkpoint
from tests.world import INSTITUTIONS, World, make_ledger, seed

from tradeline_ledger import calendar
from tradeline_ledger.body import pad, seal_body
from tradeline_ledger.conviction import (
    DealingEvidence,
    DealtShare,
    SignedStatement,
    encode_dealing,
    encode_statements,
    encode_votes,
)
from tradeline_ledger.encoding import encode
from tradeline_ledger.evidence_file import EvidenceType
from tradeline_ledger.fork import encode_equivocation, encode_fork
from tradeline_ledger.genesis import open_genesis, sign_genesis
from tradeline_ledger.merkle import consistency_path, fold_root, leaf_hash, new_nodes, root_nodes
from tradeline_ledger.note import KeyType, VerifierKey
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import ENTRY, Kind, content_hash, sign_entry
from tradeline_ledger.submission import decode_submission
from tradeline_ledger.trust import TrustedLog
from tradeline_ledger.vote import Ballot, BlockVote, VoteType, chain_id_of, vote_bytes

if TYPE_CHECKING:
    from tests.committee import Committee

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.merkle import NodeId

BALLOT = Ballot(VoteType.PRECOMMIT, 7, 1)
NO_BLOCK = (b"", 0, b"")
ENGINE = INSTITUTIONS[1].engine


def grown(blocks: int, who: int = 1) -> World:
    """Return a ledger of `blocks` blocks, each with one inquiry of member `who`."""
    world = World()
    for _ in range(blocks):
        inquiry = encode(world.inquiry(bytes(16)))
        world.block(world.entry(who, Kind.INQUIRY, inquiry))
    return world


def fork() -> bytes:
    """Return evidence that all validators signed and cosigned two logs, of 5 and 7 leaves."""
    small, large = grown(2), grown(3, who=2)
    nodes: dict[NodeId, bytes] = {}

    def read(ids: list[NodeId]) -> list[bytes]:
        return [nodes[each] for each in ids]

    nodes |= dict(new_nodes(0, [leaf_hash(leaf) for leaf in large.leaves], read))
    size = len(small.leaves)
    path = consistency_path(size, len(large.leaves), read)
    root = fold_root(read(root_nodes(size)))
    return encode_fork(signed_checkpoint(small), signed_checkpoint(large), root, path)


def cosigner(number: int, name: str | None = None) -> VerifierKey:
    """Return the cosigner key of a validator."""
    named = name or f"{make_ledger().origin}/{number}"
    return VerifierKey(named, KeyType.COSIGNATURE, INSTITUTIONS[number - 1].cosigner.public)


def equivocation() -> bytes:
    """Return evidence that validator 3 cosigned both."""
    return encode_equivocation(fork(), cosigner(3))


def signed(world: World, member: int, content: bytes, key: SigningKey | None = None) -> bytes:
    """Return an entry at position 0 of the member's desk, whatever stands there."""
    statement = world.statement(member, 2, Kind.INQUIRY, content_hash(Kind.INQUIRY, content))
    return sign_entry(key or world.institution(member).feed_key(2), statement, content)


def statement_of(entry: bytes) -> SignedStatement:
    """Return statement and signature of an entry."""
    decoded = ENTRY.decode(entry)
    return SignedStatement(decoded.statement, decoded.signature)


def statements() -> bytes:
    """Return evidence that member 1 signed two statements at one position."""
    world = World()
    pair = [statement_of(signed(world, 1, content)) for content in (b"one", b"two")]
    return encode_statements(TrustedLog.start(world.ledger), pair[0], pair[1])


def other_ledger() -> Ledger:
    """Return a ledger of the same members under another name."""
    genesis = msgspec.structs.replace(make_ledger().genesis, name="Another ledger")
    return open_genesis(sign_genesis(genesis, [(each.id, each.root) for each in INSTITUTIONS]))


def vote(
    ledger: Ledger,
    block: tuple[bytes, int, bytes],
    ballot: Ballot = BALLOT,
    key: SigningKey = ENGINE,
) -> BlockVote:
    """Return a signed vote."""
    unsigned = BlockVote(*block, 1_790_000_000, 5, bytes(64))
    message = vote_bytes(chain_id_of(ledger.ledger_id), ballot, unsigned)
    return msgspec.structs.replace(unsigned, signature=key.sign_raw(message))


def votes() -> bytes:
    """Return evidence that validator 2 voted for a block and for none."""
    ledger = make_ledger()
    pair = (vote(ledger, (seed("block"), 1, seed("parts"))), vote(ledger, NO_BLOCK))
    return encode_votes(TrustedLog.start(ledger), 2, BALLOT, pair)


def dealing_record(committee: Committee, index: int, count: int = 3) -> DealingEvidence:
    """Return what shows how the first event of the submission at `index` was dealt."""
    from tests.committee import batch_part  # noqa: PLC0415  makes keys when imported

    world, placed = committee.world, committee.placed(index)
    assert placed is not None
    submission = decode_submission(world.contents[index])
    batch = submission.batch
    shares = []
    for position in range(count):
        member = world.registry.epochs[batch.epoch].committee[position].member
        (share,) = committee.shares(member, index, [0], paths=True)
        assert share.path is not None
        shares.append(DealtShare(position, share.share, share.path))
    body = committee.attachments[index].bodies[0]
    assert body is not None
    return DealingEvidence(
        EvidenceType.DEALING,
        world.ledger.file,
        (),
        SignedStatement(placed.leaf.statement, placed.leaf.signature),
        batch_part(submission),
        batch.deposits,
        0,
        batch.header(0),
        tuple(batch.path(0)),
        body,
        tuple(shares),
    )


def dealt_wrong() -> tuple[Committee, int]:
    """Return a committee, and the submission whose one event opens with no shares."""
    from tests.committee import Committee  # noqa: PLC0415  makes keys when imported

    committee = Committee()
    world = committee.world
    tag = world.tag(2, 1, 2026)
    aad = encode(("tradeline/v1 body", world.ledger.ledger_id, 2, tag))
    key = seed("key")
    body = seal_body(key, pad(b"an event"), aad)
    rows = [(tag, calendar.month(world.time_ms, 480) + 60, body)]
    return committee, committee.submit_sealed(2, rows, [key], [seed("other")])


def dealing() -> bytes:
    """Return evidence that member 2 dealt wrong shares."""
    return encode_dealing(dealing_record(*dealt_wrong()))
