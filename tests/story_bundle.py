"""What a reader of the story's inquiry ends with: shares, proofs, and the evidence bundle."""

from __future__ import annotations

from functools import cache
from typing import Final

from tests.mirror import signed_checkpoint
from tests.story import Story, story
from tests.world import seed

from tradeline_ledger.bundle import Bundle, SignedHistory
from tradeline_ledger.encoding import encode
from tradeline_ledger.inquiry import inquiry_header
from tradeline_ledger.merkle import (
    NodeId,
    consistency_path,
    inclusion_path,
    leaf_hash,
    new_nodes,
    path_of,
)
from tradeline_ledger.release import (
    Answer,
    BatchPart,
    EntryProof,
    EntryShares,
    EventProof,
    EventShare,
    Proofs,
    payload_hash,
    sign_history,
)
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.submission import decode_submission
from tradeline_ledger.trust import RegistryStep

CHANGED_NODE: Final = SigningKey(seed("node", 2, "second"))
"""Node key of member 2 since the story's key change."""
CHANGED: Final = 2
SIGNERS: Final = (1, 2, 3)


class Tree:
    """The stored nodes of the story's log."""

    def __init__(self, leaves: list[bytes]) -> None:
        hashes = [leaf_hash(leaf) for leaf in leaves]
        self.nodes: dict[NodeId, bytes] = dict(new_nodes(0, hashes, lambda _: []))

    def read(self, ids: list[NodeId]) -> list[bytes]:
        return [self.nodes[each] for each in ids]

    def path(self, index: int, size: int) -> tuple[bytes, ...]:
        return tuple(inclusion_path(index, size, self.read))

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        return tuple(consistency_path(old, new, self.read))


def payload(told: Story, validator: int) -> tuple[EntryShares, ...]:
    """Return the shares that a committee member gives: not of the event that was erased."""
    epoch = told.world.registry.epoch
    place = epoch.position(validator)
    assert place is not None
    rows = []
    for placed, filed in zip(told.submissions, (told.loan, told.judged), strict=True):
        own = filed.dealt.shares[place]
        shares = [own[at : at + 32] for at in range(0, len(own), 32)]
        hashes = [leaf_hash(share) for share in shares]
        given = tuple(
            EventShare(position, share, tuple(path_of(hashes, position)))
            for position, share in enumerate(shares)
            if (placed.index, position) != (told.submissions[0].index, 1)
        )
        rows.append(EntryShares(placed.index, placed.index, epoch.epoch, given))
    return tuple(rows)


def node_key(told: Story, validator: int) -> SigningKey:
    """Return the node key of a committee member when it answers."""
    return CHANGED_NODE if validator == CHANGED else told.institution(validator).node


def answer(told: Story, validator: int) -> Answer:
    """Return what a committee member answers, before it is sealed."""
    common, shares = encode(told.common), encode(payload(told, validator))
    signature = sign_history(node_key(told, validator), common, validator, shares)
    return Answer(common, signature, shares)


def step(told: Story, tree: Tree) -> RegistryStep:
    """Return the one change of the story's registry."""
    index = told.key.index + 1
    size = index + 1
    note = signed_checkpoint(told.world, size=size).decode()
    versions = told.world.registry.versions(CHANGED)
    leaf, path = told.world.leaves[index], tree.path(index, size)
    return RegistryStep(note, index, leaf, path, versions, None, None)


def entry_proof(told: Story, tree: Tree, index: int) -> EntryProof:
    """Return the proof of one leaf, to the history's head or, if it came later, to the log's."""
    common, leaves = told.common, told.world.leaves
    size = common.size if index < common.size else len(leaves)
    content, part = told.world.contents.get(index), None
    for placed, filed in zip(told.submissions, (told.loan, told.judged), strict=True):
        if placed.index == index:
            batch, receipts = filed.batch, decode_submission(placed.content).receipts_hash()
            part = BatchPart(
                batch.epoch, batch.count, batch.events_root, batch.deposits_hash(), receipts
            )
            content = None
    return EntryProof(index, leaves[index], tree.path(index, size), content, part)


def events(told: Story) -> tuple[EventProof, ...]:
    """Return the events of the histories, in log order."""
    proofs = []
    for placed, filed in zip(told.submissions, (told.loan, told.judged), strict=True):
        for position in range(filed.batch.count):
            erased = (placed.index, position) == (told.submissions[0].index, 1)
            body = None if erased else filed.attachment.bodies[position]
            header, path = filed.batch.header(position), tuple(filed.batch.path(position))
            proofs.append(EventProof(filed.member, placed.index, position, header, path, body))
    header = inquiry_header(told.inquiry)
    proofs.append(EventProof(1, told.inquired.index, 0, header, (), None))
    return tuple(proofs)


@cache
def bundle() -> Bundle:
    """Return the evidence bundle of the story's inquiry."""
    told = story()
    tree = Tree(told.world.leaves)
    size = len(told.world.leaves)
    ends = {told.common.size - 1, size - 1}
    about = {told.consent.index, told.erase.index, told.retain.index}
    indexes = sorted({placed.index for placed in told.submissions} | ends | about)
    statements = []
    for validator in SIGNERS:
        given = answer(told, validator)
        statements.append(SignedHistory(validator, given.signature, payload_hash(given.payload)))
    proofs = Proofs(tuple(entry_proof(told, tree, index) for index in indexes), events(told))
    keys = [*told.loan.keys, *told.judged.keys, None]
    return Bundle(
        1,
        told.world.ledger.file,
        (step(told, tree),),
        signed_checkpoint(told.world).decode(),
        tree.consistency(told.common.size, size),
        encode(told.terms),
        entry_proof(told, tree, told.inquired.index),
        encode(told.common),
        tuple(statements),
        proofs,
        tuple(key if proof.body else None for key, proof in zip(keys, proofs.events, strict=True)),
    )
