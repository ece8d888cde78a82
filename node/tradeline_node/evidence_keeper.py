"""
From what contradicts to evidence files: what this node has met becomes proof for anybody.

The outbox remembers two statements at one position, the publisher a signature under another root.
Both are raw: here each becomes a file that carries what a third party needs to verify it offline,
as soon as the node has that. What can't be proven yet is tried again in the next round.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from tradeline_ledger.checkpoint import decode_checkpoint
from tradeline_ledger.conviction import SignedStatement, encode_statements, encode_votes
from tradeline_ledger.cosignature import cosigner_name
from tradeline_ledger.encoding import Codec, encode
from tradeline_ledger.errors import LedgerError, SignatureError
from tradeline_ledger.evidence_file import EvidenceType
from tradeline_ledger.fork import encode_equivocation, encode_fork
from tradeline_ledger.note import KeyType, VerifierKey, decode_note
from tradeline_ledger.trust import STEP, STEPS_MAX, TrustedLog
from tradeline_node.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradeline_ledger.registry import Registry
    from tradeline_node.engine.reported_votes import DuplicateVotes
    from tradeline_node.evidence_store import EvidenceStore
    from tradeline_node.logs import Log
    from tradeline_node.metrics import Metrics
    from tradeline_node.outbox_rows import Evidence
    from tradeline_node.publish import Publisher
    from tradeline_node.published import PublishedStore
    from tradeline_node.service import Node
    from tradeline_node.store import LedgerStore

VOTES_MAX: Final = 100
"""Reports that wait for the registry step of a young key."""

_SIGNED: Final[Codec[SignedStatement]] = Codec(SignedStatement, "signed statement", 512)

_ADVICE: Final = {
    EvidenceType.FORK: "two logs of one origin are signed: run `tradeline node doctor --deep "
    "--peers`, and send the file to all members",
    EvidenceType.WITNESS: "this key cosigned two logs: send the file to all members, and propose "
    "that its owner be suspended",
    EvidenceType.STATEMENTS: "a feed key is in use twice: its member ends it with its root key",
    EvidenceType.VOTES: "an engine key voted twice: if it is yours, stop the second engine at "
    "once; else propose that its owner be suspended",
}


class EvidenceKeeper:
    """Makes evidence files; any thread may call it, one at a time."""

    def __init__(
        self,
        files: EvidenceStore,
        store: LedgerStore,
        published: PublishedStore,
        publisher: Publisher,
        *,
        conflicts: Callable[[], list[Evidence]],
        reported: Callable[[], list[DuplicateVotes]],
        metrics: Metrics,
        log: Log,
    ) -> None:
        """
        Write to `files`.

        `conflicts` returns the outbox's pairs of statements, `reported` the votes that the engine
        has reported since it was asked last.
        """
        self._files, self._store, self._published = files, store, published
        self._publisher, self._conflicts = publisher, conflicts
        self._reported: Callable[[], list[DuplicateVotes]] = reported
        self._votes: deque[DuplicateVotes] = deque(maxlen=VOTES_MAX)
        self._metrics, self._log = metrics, log
        self._trust = TrustedLog.start(store.ledger)

    def collect(self) -> None:
        """
        Make files of all that is remembered raw and is no file yet.

        Raises:
            StoreError: a store can't be read, or the disk is full.
        """
        for pair in self._conflicts():
            subject = pair.first + pair.second
            if self._files.wants(EvidenceType.STATEMENTS, pair.member, subject):
                self._keep_statements(pair, subject)
        for row in self._published.evidence():
            self.keep_fork(row.peer, row.note)
        try:
            self._votes.extend(self._reported())
        except EngineError as error:
            self._log.debug("the engine can't be asked for votes", reason=str(error))
        for _ in range(len(self._votes)):
            self._keep_votes(self._votes.popleft())

    def keep_fork(self, peer: int, note: bytes) -> None:
        """
        Keep that `peer` showed the signed `note` of another log than this node computed.

        Nothing is kept while the own newest checkpoint is smaller; see `collect`.

        Raises:
            StoreError: a store can't be read, or the disk is full.
        """
        own = self.own_note()
        if own is None or not self._files.wants(EvidenceType.FORK, peer, _subject(note)):
            return
        size, newest = _size(note), _size(own)
        if size > newest:
            return
        path = self._store.consistency_path(size, newest)
        try:
            fork = encode_fork(note, own, self._store.root(size), path)
        except LedgerError as error:
            # The own log was another one when the note was met: it has been repaired since.
            self._log.debug("no evidence", kind="fork", peer=peer, reason=str(error))
            return
        self.keep_pair(peer, note, fork)

    def keep_pair(self, peer: int, note: bytes, fork: bytes) -> None:
        """
        Keep the evidence file `fork`, of an own checkpoint and `note`, which `peer` showed.

        Beside it goes a file against each validator that cosigned both.

        Raises:
            StoreError: the disk is full.
        """
        subject = _subject(note)
        where = f"member {peer} shows a checkpoint of {_size(note)} leaves that this log never had"
        self._keep(EvidenceType.FORK, peer, subject, fork, where)
        for member, key in _cosigners(self._store.registry, self._store.ledger.origin):
            try:
                named = encode_equivocation(fork, key)
            except SignatureError:
                continue
            detail = f"member {member} cosigned two logs, which part before leaf {_size(note)}"
            self._keep(EvidenceType.WITNESS, member, subject, named, detail)

    def keep_outside_fork(self, smaller: bytes, larger: bytes, fork: bytes) -> None:
        """
        Keep the evidence file `fork` of two notes of a log that this node witnesses.

        Raises:
            StoreError: the disk is full.
        """
        subject = _subject(smaller) + _subject(larger)
        origin = decode_checkpoint(decode_note(larger).text).origin
        self._keep(EvidenceType.FORK, 0, subject, fork, f"the witnessed log {origin} was forked")

    def own_note(self) -> bytes | None:
        """Return this node's newest checkpoint, with a quorum's lines if it has such a one."""
        newest = self._publisher.newest
        if newest is not None:
            return newest.note
        own = self._published.newest()
        return None if own is None else own.note

    def _keep_statements(self, pair: Evidence, subject: bytes) -> None:
        try:
            first, second = _SIGNED.decode(pair.first), _SIGNED.decode(pair.second)
            data = encode_statements(self._trusted(), first, second)
        except LedgerError as error:
            # The step that made the key may still lack its checkpoint.
            self._log.debug("no evidence yet", kind="statements", reason=str(error))
            return
        detail = f"member {pair.member} signed two statements at {pair.seq} of feed {pair.feed}"
        self._keep(EvidenceType.STATEMENTS, pair.member, subject, data, detail)

    def _keep_votes(self, found: DuplicateVotes) -> None:
        ballot = found.ballot
        subject = encode((ballot.type, ballot.height, ballot.round))
        if not self._files.wants(EvidenceType.VOTES, found.member, subject):
            return
        try:
            data = encode_votes(self._trusted(), found.member, ballot, found.votes)
        except LedgerError as error:
            self._log.debug("no evidence yet", kind="votes", reason=str(error))
            self._votes.append(found)
            return
        detail = f"member {found.member} voted twice at the engine's height {ballot.height}"
        self._keep(EvidenceType.VOTES, found.member, subject, data, detail)

    def _trusted(self) -> TrustedLog:
        """Return the registry with the steps that lead to it, as far as they are proven."""
        for step in self._publisher.steps(self._trust.height + 1, STEPS_MAX):
            self._trust = self._trust.advance(STEP.decode(step))
        return self._trust

    def _keep(
        self, type_: EvidenceType, member: int, subject: bytes, data: bytes, detail: str
    ) -> None:
        name = self._files.add(type_, member, subject, data)
        if name is None:
            return
        self._metrics.evidence.labels(type_.name.lower()).inc()
        self._log.error(
            "evidence kept", member=member, path=name, reason=f"{detail}; {_ADVICE[type_]}"
        )


def make_keeper(node: Node) -> EvidenceKeeper:
    """Return what makes the evidence files of a node whose outbox and publisher are there."""
    return EvidenceKeeper(
        node.evidence,
        node.store,
        node.published,
        node.publisher,
        conflicts=node.outbox.evidence,
        reported=node.reported_votes,
        metrics=node.metrics,
        log=node.log,
    )


def _subject(note: bytes) -> bytes:
    """Return what tells one checkpoint from others: its text, whoever signed it."""
    return decode_note(note).text.encode()


def _size(note: bytes) -> int:
    return decode_checkpoint(decode_note(note).text).size


def _cosigners(registry: Registry, origin: str) -> list[tuple[int, VerifierKey]]:
    """Return each cosigner key that a member has or had, with the member."""
    keys = {
        record.cosigner_key: record.id
        for record in registry.members
        if record.cosigner_key is not None
    }
    return [
        (member, VerifierKey(cosigner_name(origin, member), KeyType.COSIGNATURE, key))
        for key, member in keys.items()
    ]
