"""
The newest checkpoint, consistent with the last one seen, and leaves proven under it.

A checkpoint counts with a quorum of cosignatures and only as an extension of what this folder saw
before. Two that can't be of one log end in `ForkError`, with evidence in a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from tradeline_client.errors import (
    AnswerError,
    ClientError,
    ForkError,
    NodeProblemError,
    StaleCheckpointError,
)
from tradeline_client.requests import (
    Flow,
    Request,
    Response,
    Round,
    from_json,
    hashes,
    pause,
    raise_failures,
    read,
    try_each,
)
from tradeline_ledger.c2sp import decode_base64
from tradeline_ledger.checkpoint import Checkpoint
from tradeline_ledger.errors import (
    ConsistencyError,
    LedgerError,
    PolicyError,
    SignatureError,
)
from tradeline_ledger.fork import encode_fork
from tradeline_ledger.merkle import (
    PATH_HASHES_MAX,
    leaf_hash,
    node_hash,
    prefix_root,
    verify_consistency,
    verify_inclusion,
)
from tradeline_ledger.note import NOTE_BYTES_MAX
from tradeline_ledger.statement import BlockLeaf, content_hash, decode_leaf
from tradeline_ledger.trust import STEPS, STEPS_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_client.session import Session
    from tradeline_ledger.registry import Registry
    from tradeline_ledger.statement import EntryLeaf
    from tradeline_ledger.trust import TrustedLog, VerifiedCheckpoint

WAITS_S: Final = (0.0, 0.03, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
"""Before each time that all nodes are asked for a checkpoint that is not there yet."""
FETCH_POLL_S: Final = 0.01
STEPS_TIMEOUT_S: Final = 60.0
REGISTRY_FRESH_MS: Final = 60_000
_NO_QUORUM: Final = "no-quorum-yet"
"""Code of the problem that a node answers with while it has no checkpoint."""


@dataclass(frozen=True, slots=True)
class ProvenLeaf:
    """A leaf that stands in the log of a verified checkpoint."""

    index: int
    leaf: EntryLeaf | BlockLeaf
    encoded: bytes
    path: tuple[bytes, ...]
    """To the checkpoint's root."""
    checkpoint: VerifiedCheckpoint
    node: int
    """Member whose node gave it."""


class _Consistency(msgspec.Struct):
    path: list[str]


class _Entry(msgspec.Struct):
    index: int
    size: int
    leaf: str
    path: list[str]


def newest(
    session: Session, *, size_min: int = 0, waits: int = len(WAITS_S)
) -> Flow[VerifiedCheckpoint]:
    """
    Return a checkpoint of at least `size_min` leaves, and no older than any seen before.

    With `size_min` a known checkpoint that is large enough will do; without, nodes are asked.

    Raises:
        ForkError: a quorum cosigned what is not of the log that was seen before.
        StaleCheckpointError: no node serves one that is new enough.
        UnavailableError: no node serves one.
    """
    if (known := _known(session, size_min)) is not None:
        return known
    while size_min and not session.begin_fetch():
        # Another flow asks already: what it gets may do for this one, too.
        yield from pause(FETCH_POLL_S)
        if (known := _known(session, size_min)) is not None:
            return known
    try:
        return (yield from _fetch(session, size_min, waits))
    finally:
        if size_min:
            session.end_fetch()


def accept(session: Session, node: int, note: bytes, size_min: int = 0) -> Flow[VerifiedCheckpoint]:
    """
    Return the checkpoint of a note that member `node` served, once it extends what was seen.

    Raises:
        ForkError: it can't be of the log that was seen before.
        StaleCheckpointError: it is older, or smaller than `size_min`.
        MalformedError, PolicyError, SignatureError: it is no checkpoint of the validators.
    """
    verified = yield from _verify(session, node, note)
    while True:
        seen_note = session.seen.note()
        seen = None if seen_note is None else session.seen.read(seen_note)
        wanted = max(size_min, seen.size if seen else 0)
        if verified.size < wanted:
            raise StaleCheckpointError(
                f"node {node} serves a checkpoint of {verified.size} leaves, {wanted} are known of"
            )
        if seen is not None and seen_note is not None:
            yield from _check_extends(session, node, (seen, seen_note), verified)
            if seen.size == verified.size:
                break
        if session.seen.advance(seen_note, note):
            break
    session.accept(verified)
    return verified


def registry(session: Session) -> Flow[Registry]:
    """
    Return the registry in force after the newest checkpoint's block.

    Raises:
        ForkError, StaleCheckpointError, UnavailableError: as `newest`.
        VerificationError: no node leads to the registry that the block leaf names.
    """
    checkpoint = yield from newest(session)
    last = yield from leaf_at(session, checkpoint.size - 1, checkpoint)
    if not isinstance(last.leaf, BlockLeaf):
        raise AnswerError(last.node, "the checkpoint ends with the leaf of an entry")
    failures: dict[int, Exception] = {}
    for node in session.nodes():
        if session.registry.root == last.leaf.registry_root:
            return session.registry
        try:
            yield from _follow_steps(session, node)
        except (ClientError, LedgerError) as error:
            failures[node] = error
    if session.registry.root == last.leaf.registry_root:
        return session.registry
    raise_failures(f"registry of block {last.leaf.height} can't be followed", failures)
    raise AssertionError


def known_registry(session: Session) -> Flow[Registry]:
    """
    Return a registry that was verified at most `REGISTRY_FRESH_MS` ago.

    Of a ledger without any checkpoint yet it is that of the genesis.

    Raises:
        ForkError, StaleCheckpointError, UnavailableError, VerificationError: as `registry`.
    """
    now_ms = session.clock_ms()
    if now_ms - session.registry_ms < REGISTRY_FRESH_MS:
        return session.registry
    try:
        found = yield from registry(session)
    except NodeProblemError as error:
        if error.code != _NO_QUORUM or session.seen.note() is not None:
            raise
        return session.registry
    session.registry_ms = now_ms
    return found


def leaf_at(
    session: Session, index: int, checkpoint: VerifiedCheckpoint, first: int | None = None
) -> Flow[ProvenLeaf]:
    """
    Return the leaf at `index`, proven to stand in the log of `checkpoint`; `first` is asked first.

    Raises:
        InclusionError: a node gave another leaf, and no node gave this one.
        UnavailableError: no node gave it.
    """

    def build(node: int) -> Request:
        return Request(node, "GET", f"/v1/entries/{index}?size={checkpoint.size}")

    def take(response: Response) -> ProvenLeaf:
        found = from_json(_Entry, response)
        encoded = decode_base64(found.leaf, "leaf")
        path = hashes(found.path, PATH_HASHES_MAX, "inclusion path")
        verify_inclusion(leaf_hash(encoded), index, checkpoint.size, path, checkpoint.root)
        leaf = decode_leaf(encoded)
        return ProvenLeaf(index, leaf, encoded, tuple(path), checkpoint, response.node)

    assert 0 <= index < checkpoint.size, (index, checkpoint.size)
    return (yield from try_each(session.nodes(first), build, take))


def content_of(session: Session, kind: int, hash_: bytes, bytes_max: int) -> Flow[bytes]:
    """
    Return the content of that hash, of any kind but a submission.

    Raises:
        UnavailableError: no node gave it.
    """

    def build(node: int) -> Request:
        return Request(node, "GET", f"/content/{hash_.hex()}", bytes_max=bytes_max)

    def take(response: Response) -> bytes:
        if content_hash(kind, response.body) != hash_:
            raise AnswerError(response.node, f"content does not hash to {hash_.hex()}")
        return response.body

    return (yield from try_each(session.nodes(), build, take))


def _known(session: Session, size_min: int) -> VerifiedCheckpoint | None:
    known = session.trust.checkpoint
    return known if known is not None and 0 < size_min <= known.size else None


def _fetch(session: Session, size_min: int, waits: int) -> Flow[VerifiedCheckpoint]:
    """Ask the nodes one after another, several times if what is wanted may be on its way."""
    failures: dict[int, Exception] = {}
    for turn, wait_s in enumerate(WAITS_S[:waits]):
        for place, node in enumerate(session.nodes()):
            request = Request(node, "GET", "/checkpoint", bytes_max=NOTE_BYTES_MAX)
            (answer,) = yield Round((request,), delay_s=0.0 if place else wait_s)
            try:
                return (yield from accept(session, node, read(answer).body, size_min))
            except ForkError:
                raise
            except (ClientError, LedgerError) as error:
                failures[node] = error
                if size_min and not turn and _worth_waiting(error, size_min):
                    # Right after a block its checkpoint is about to come: a moment does more
                    # than asking everybody.
                    break
        if not any(_worth_waiting(error, size_min) for error in failures.values()):
            break
    stale = [error for error in failures.values() if isinstance(error, StaleCheckpointError)]
    if stale:
        raise stale[0]
    raise_failures("no node serves a checkpoint", failures)
    raise AssertionError


def _worth_waiting(error: Exception, size_min: int) -> bool:
    if isinstance(error, StaleCheckpointError):
        return True
    return size_min > 0 and isinstance(error, NodeProblemError) and error.code == _NO_QUORUM


def _verify(session: Session, node: int, note: bytes) -> Flow[VerifiedCheckpoint]:
    """Verify with the registry at hand; if its keys don't do, follow the registry first."""
    try:
        return session.trust.verify_checkpoint(note)
    except (PolicyError, SignatureError):
        yield from _follow_steps(session, node)
        return session.trust.verify_checkpoint(note)


def _follow_steps(session: Session, node: int) -> Flow[TrustedLog]:
    trust = session.trust
    target = f"/v1/registry/steps?from={trust.height + 1}"
    request = Request(node, "GET", target, bytes_max=STEPS_BYTES_MAX, timeout_s=STEPS_TIMEOUT_S)
    (answer,) = yield Round((request,))
    for step in STEPS.decode(read(answer).body):
        trust = trust.advance(step)
    session.follow(trust)
    return session.trust


def _check_extends(
    session: Session, node: int, seen: tuple[Checkpoint, bytes], new: VerifiedCheckpoint
) -> Flow[None]:
    """Accept `new` if it extends the checkpoint that was seen last."""
    old, _ = seen
    if old.size == new.size:
        if old.root != new.root:
            raise _fork(session, seen, new, new.root, ())
        return
    target = f"/v1/consistency?old={old.size}&new={new.size}"
    failures: dict[int, Exception] = {}
    for each in session.nodes(node):
        (answer,) = yield Round((Request(each, "GET", target),))
        try:
            path = hashes(
                from_json(_Consistency, read(answer)).path, PATH_HASHES_MAX, "consistency path"
            )
            verify_consistency(old.size, new.size, path, old.root, new.root)
        except ConsistencyError as error:
            failures[each] = error
            if other := _other_root(old, new, path):
                raise _fork(session, seen, new, other, path) from error
        except (ClientError, LedgerError) as error:
            failures[each] = error
        else:
            return
    if old.size.bit_count() == 1:
        yield from _check_subtree(session, seen, new)
    raise_failures(f"size {new.size} is not shown to extend size {old.size}", failures)


def _other_root(old: Checkpoint, new: VerifiedCheckpoint, path: list[bytes]) -> bytes | None:
    """Return the root that the new log proves to have had at the old size, if another one."""
    root = prefix_root(old.size, new.size, path)
    if root is None or root == old.root:
        return None
    try:
        verify_consistency(old.size, new.size, path, root, new.root)
    except ConsistencyError:
        return None
    return root


def _check_subtree(
    session: Session, seen: tuple[Checkpoint, bytes], new: VerifiedCheckpoint
) -> Flow[None]:
    """Find a fork where the old log was one complete subtree, which a path leaves out."""
    old, _ = seen
    last = yield from leaf_at(session, old.size - 1, new)
    level = old.size.bit_length() - 1
    root = leaf_hash(last.encoded)
    for sibling in last.path[:level]:
        root = node_hash(sibling, root)
    if root != old.root:
        raise _fork(session, seen, new, root, last.path[level:])


def _fork(
    session: Session,
    seen: tuple[Checkpoint, bytes],
    new: VerifiedCheckpoint,
    root: bytes,
    path: Sequence[bytes],
) -> ForkError:
    old, note = seen
    error = ForkError(
        f"the log was forked: a quorum signed root {old.root.hex()} and a log that has "
        f"{root.hex()} at the same size of {old.size} leaves",
        first=note,
        second=new.note,
    )
    name = f"fork-{old.size}-{new.size}"
    return session.forked(error, name, encode_fork(note, new.note, root, path))
