"""A manifest of an import checked against the ledger: its entries are there, with its events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_client.flows.checkpoint import leaf_at, newest
from tradeline_client.flows.checkpoint import registry as follow_registry
from tradeline_client.flows.show import submission_content
from tradeline_ledger.errors import ConsistencyError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.statement import STATEMENT, EntryLeaf, Kind
from tradeline_ledger.submission import decode_submission

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradeline_client.imports.job_manifest import Manifest, ManifestEntry
    from tradeline_client.requests import Flow
    from tradeline_client.session import Session
    from tradeline_ledger.trust import VerifiedCheckpoint


def check_manifest(
    session: Session, manifest: Manifest, show: Callable[[int, int], None]
) -> Flow[VerifiedCheckpoint]:
    """
    Return the checkpoint under which every entry of a manifest is proven to hold its events.

    Every receipt names an entry and a position; the entry's leaf is proven, its content hashes to
    what the leaf's statement signs, and its headers to the batch of the manifest.

    Args:
        session: of any member of the ledger.
        manifest: as `read_manifest` returned it.
        show: given how many entries are checked, of how many.

    Raises:
        ConsistencyError: an entry is another's, was refused, or has other events.
        UnavailableError: no node gave it.
        VerificationError: what a node gave is not what was signed.
    """
    if manifest.ledger_id != session.ledger.ledger_id:
        raise ConsistencyError("the manifest is of another ledger than this folder's")
    yield from follow_registry(session)
    checkpoint = yield from newest(session)
    for done, entry in enumerate(manifest.entries.values()):
        show(done, len(manifest.entries))
        yield from _check_entry(session, manifest.member, entry, checkpoint)
    return checkpoint


def _check_entry(
    session: Session, member: int, entry: ManifestEntry, checkpoint: VerifiedCheckpoint
) -> Flow[None]:
    index = entry.index
    if not 0 <= index < checkpoint.size:
        raise ConsistencyError(f"the log of the newest checkpoint has no entry {index}")
    proven = yield from leaf_at(session, index, checkpoint)
    if not isinstance(proven.leaf, EntryLeaf):
        raise ConsistencyError(f"leaf {index} ends a block and holds no events")
    statement = STATEMENT.decode(proven.leaf.statement)
    if (statement.kind, statement.member) != (Kind.SUBMISSION, member):
        raise ConsistencyError(f"entry {index} is no submission of member {member}")
    if proven.leaf.outcome != Outcome.ACCEPTED:
        raise ConsistencyError(f"entry {index} was refused, so that none of its events counts")
    content = yield from submission_content(session, statement)
    batch = decode_submission(content).batch
    if batch.hash(session.ledger.ledger_id, member) != entry.batch_hash:
        raise ConsistencyError(f"entry {index} holds another batch than the manifest says")
    if batch.count != entry.count:
        raise ConsistencyError(f"entry {index} has {batch.count} events, not {entry.count}")
