"""
This node as a witness of other logs (c2sp.org/tlog-witness): it cosigns that they only grow.

What is known of a log is its newest checkpoint that was cosigned here. A checkpoint that extends it
is written to the disk before its cosignature leaves; one that does not is refused, and where it
proves that the log was forked, kept as evidence. Which logs, and whose signatures make a checkpoint
of one acceptable, is said by a policy file for each: of a ledger like this one it is what its nodes
serve as `/policy`, and demands the quorum of its validators.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradeline_ledger.c2sp import check_key_name
from tradeline_ledger.checkpoint import Checkpoint, decode_checkpoint
from tradeline_ledger.cosignature import cosign, cosigner_name
from tradeline_ledger.errors import (
    ConsistencyError,
    LedgerError,
    MalformedError,
    PolicyError,
    SignatureError,
)
from tradeline_ledger.fork import encode_fork
from tradeline_ledger.merkle import prefix_root, verify_consistency
from tradeline_ledger.note import (
    KeyType,
    Note,
    VerifierKey,
    encode_note,
    encode_signature,
    encode_vkey,
    known_signatures,
)
from tradeline_ledger.policy import Policy, verify_checkpoint_note
from tradeline_ledger.policy_file import POLICY_BYTES_MAX, decode_policy
from tradeline_ledger.witness_request import WitnessRequest, decode_witness_request
from tradeline_node.errors import ConfigError, RequestError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_ledger.signing import SigningKey
    from tradeline_node.service import Node

LOGS_MAX: Final = 1000
POLICY_SUFFIX: Final = ".policy"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS log (
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, time_s INTEGER NOT NULL,
    note BLOB NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The newest checkpoint of a log that was cosigned here."""

    size: int
    root: bytes
    time_s: int
    """Of the cosignature."""
    note: bytes
    """With the lines that its policy knows, and the cosignature."""


class OldSizeError(Exception):
    """The sender does not know which size was cosigned last; `size` is it."""

    def __init__(self, size: int) -> None:
        """Take the size that was cosigned last, 0 if none."""
        super().__init__(f"size {size} was cosigned last")
        self.size = size


class WitnessStore:
    """What was cosigned of each log: one SQLite file, synced at each write; for any thread."""

    def __init__(self, path: Path) -> None:
        """
        Open or make the file at `path`.

        Raises:
            StoreError: it can't be opened.
        """
        self._path = path
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            path.chmod(0o600)
            self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"{path} can't be opened: {error}; restore it from its backup. Never start without "
                "it, or the node may cosign two histories of one log"
            ) from error

    def newest(self, origin: str) -> Witnessed | None:
        """
        Return what was cosigned last of a log, None if nothing.

        Raises:
            StoreError: the file failed.
        """
        query = "SELECT size, root, time_s, note FROM log WHERE origin = ?"
        try:
            with self._lock:
                row = self._db.execute(query, (origin,)).fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path} failed: {error}") from error
        return None if row is None else Witnessed(*row)

    def advance(self, origin: str, old: Witnessed | None, new: Witnessed) -> bool:
        """
        Put `new` in the place of `old`, durably; return False if `old` is not the newest any more.

        Raises:
            StoreError: the disk is full or failed; nothing may be cosigned.
        """
        try:
            with self._lock:
                if old is None:
                    changed = self._db.execute(
                        "INSERT OR IGNORE INTO log VALUES (?, ?, ?, ?, ?)",
                        (origin, new.size, new.root, new.time_s, new.note),
                    ).rowcount
                else:
                    changed = self._db.execute(
                        "UPDATE log SET size = ?, root = ?, time_s = ?, note = ? "
                        "WHERE origin = ? AND size = ? AND root = ?",
                        (new.size, new.root, new.time_s, new.note, origin, old.size, old.root),
                    ).rowcount
        except sqlite3.Error as error:
            raise StoreError(f"{self._path} failed: {error}; nothing was cosigned") from error
        return changed == 1

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


class WitnessService:
    """Cosigns checkpoints of the logs in `policies`; for any thread."""

    def __init__(
        self,
        store: WitnessStore,
        policies: Mapping[str, Policy],
        *,
        name: str,
        key: SigningKey,
        on_fork: Callable[[bytes, bytes, bytes], None],
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        """
        Cosign under the key name `name`; `policies` are by origin.

        `on_fork` is told of each fork: the smaller and the larger note, and the evidence file.
        """
        self._store, self._policies = store, policies
        self._name, self._key = name, key
        self._on_fork, self._clock_s = on_fork, clock_s
        self._origins = {sha256(origin.encode()).hexdigest(): origin for origin in policies}

    @property
    def vkey(self) -> str:
        """The key that cosigns here, for the policies of others."""
        return encode_vkey(VerifierKey(self._name, KeyType.COSIGNATURE, self._key.public))

    def newest(self, origin_hash: str) -> bytes | None:
        """
        Return the checkpoint that was cosigned last of the log whose origin has that SHA-256.

        Raises:
            StoreError: the file failed.
        """
        origin = self._origins.get(origin_hash)
        witnessed = None if origin is None else self._store.newest(origin)
        return None if witnessed is None else witnessed.note

    def add(self, body: bytes) -> str:
        """
        Return the line of the cosignature that a request asks for; it is on the disk by then.

        Raises:
            OldSizeError: another size than the request names was cosigned last.
            RequestError: the request is malformed, of an unknown log, not signed by it, or proves
                no extension.
            StoreError: the disk is full or failed.
        """
        try:
            request = decode_witness_request(body)
            head = decode_checkpoint(request.note.text)
        except MalformedError as error:
            raise RequestError("witness-malformed", str(error)) from error
        policy = self._policies.get(head.origin)
        if policy is None:
            raise RequestError("witness-log-unknown")
        try:
            verify_checkpoint_note(request.note, policy)
        except (SignatureError, PolicyError) as error:
            raise RequestError("witness-unsigned", str(error)) from error
        if request.old_size > head.size:
            raise RequestError(
                "witness-malformed", f"old size {request.old_size} is above size {head.size}"
            )
        old = self._store.newest(head.origin)
        self._check(request, head, old, _of_policy(request.note, policy))
        time_s = max(int(self._clock_s()), 0 if old is None else old.time_s)
        line = cosign(request.note.text, self._name, self._key, time_s)
        known = _of_policy(request.note, policy)
        note = encode_note(Note(known.text, (*known.signatures, line)))
        if not self._store.advance(head.origin, old, Witnessed(head.size, head.root, time_s, note)):
            newest = self._store.newest(head.origin)
            raise OldSizeError(0 if newest is None else newest.size)
        return encode_signature(line)

    def _check(
        self, request: WitnessRequest, head: Checkpoint, old: Witnessed | None, note: Note
    ) -> None:
        """Accept a checkpoint that extends `old`, by the path of its request."""
        if old is not None and old.size == head.size and old.root != head.root:
            self._forked(old, note, head.root, ())
        known = 0 if old is None else old.size
        if request.old_size != known:
            raise OldSizeError(known)
        if old is None or not old.size:
            if request.path:
                raise RequestError("witness-inconsistent", "a proof from size 0 has no hashes")
            return
        try:
            verify_consistency(old.size, head.size, request.path, old.root, head.root)
        except ConsistencyError as error:
            root = prefix_root(old.size, head.size, request.path)
            if root is not None:
                self._forked(old, note, root, request.path)
            raise RequestError("witness-inconsistent", str(error)) from error

    def _forked(self, old: Witnessed, note: Note, root: bytes, path: Sequence[bytes]) -> None:
        """Tell of a fork, if it is one: a proof that leads nowhere proves nothing."""
        larger = encode_note(note)
        try:
            evidence = encode_fork(old.note, larger, root, path)
        except LedgerError:
            return
        self._on_fork(old.note, larger, evidence)


def make_witness(node: Node) -> WitnessService:
    """
    Return the witness that a node, which keeps evidence, is by its configuration.

    Raises:
        ConfigError: a policy can't be used, or the key name.
    """
    settings = node.config.witness
    policies = read_policies(node.config.path(settings.logs)) if settings.logs else {}
    own = cosigner_name(node.ledger.origin, node.member)
    try:
        name = check_key_name(settings.name or f"{own}/witness")
    except MalformedError as error:
        raise ConfigError(f"{node.config.folder}: witness.name can't be used: {error}") from error
    return WitnessService(
        node.witnessed,
        policies,
        name=name,
        key=node.keys.witness,
        on_fork=node.keeper.keep_outside_fork,
        clock_s=node.clock_s,
    )


def read_policies(folder: Path) -> dict[str, Policy]:
    """
    Return the policies of the logs to be witnessed, by origin: the files `*.policy` of `folder`.

    Raises:
        ConfigError: the folder can't be read, a file is no policy, or a log stands in two files.
    """
    found: dict[str, Policy] = {}
    try:
        paths = sorted(each for each in folder.iterdir() if each.suffix == POLICY_SUFFIX)
    except OSError as error:
        raise ConfigError(
            f"witness.logs {folder} can't be read: {error.strerror}; make the folder, with one "
            f"file *{POLICY_SUFFIX} for each log"
        ) from error
    for path in paths:
        policy = read_policy(path)
        for origin in {log.key.name for log in policy.logs}:
            if origin in found:
                raise ConfigError(f"{path}: the log {origin} stands in another file, too")
            found[origin] = policy
    if len(found) > LOGS_MAX:
        raise ConfigError(f"{folder} names {len(found)} logs, at most {LOGS_MAX} are allowed")
    return found


def read_policy(path: Path) -> Policy:
    """
    Return the policy in the file at `path`.

    Raises:
        ConfigError: it can't be read, or is none.
    """
    try:
        with path.open("rb") as file:
            return decode_policy(file.read(POLICY_BYTES_MAX + 1))
    except OSError as error:
        raise ConfigError(f"policy {path} can't be read: {error.strerror}") from error
    except MalformedError as error:
        raise ConfigError(f"{path}: {error}") from error


def _of_policy(note: Note, policy: Policy) -> Note:
    """Return a verified note with the lines of keys that its policy knows, and no others."""
    keys = [log.key for log in policy.logs] + [each.key for each in policy.witnesses]
    known = {
        id_ for key, lines in known_signatures(note, keys) if lines for id_ in [(key.name, key.id)]
    }
    lines = tuple(each for each in note.signatures if (each.name, each.key_id) in known)
    return Note(note.text, lines)
