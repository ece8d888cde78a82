"""`audit`: one pass over a mirror, from genesis to checkpoint."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

from tradeline_client.audit.finding import AuditReport, Finding
from tradeline_client.audit.folder import (
    CHECKPOINT,
    GENESIS,
    LOG_VKEY,
    POLICY,
    MirrorFolder,
    check_content,
    content_name,
)
from tradeline_client.audit.state import ReplayState
from tradeline_client.audit.tree import TileTree
from tradeline_ledger.checkpoint import Checkpoint, decode_checkpoint
from tradeline_ledger.cosignature import verify_cosignatures
from tradeline_ledger.errors import LedgerError, MalformedError, RulesError, VerificationError
from tradeline_ledger.genesis import Ledger, open_genesis
from tradeline_ledger.merkle import leaf_hash
from tradeline_ledger.note import Note, decode_note, encode_vkey, verify_signatures
from tradeline_ledger.policy import Policy, validators_policy, verify_checkpoint
from tradeline_ledger.policy_file import encode_policy
from tradeline_ledger.statement import STATEMENT, BlockLeaf, Statement, decode_leaf
from tradeline_ledger.tile import bundles_between, decode_bundle, encode_path
from tradeline_ledger.transition import Executed, execute_genesis, replay
from tradeline_ledger.trust import registry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tradeline_ledger.registry import Registry

_FINDINGS_MAX: Final = 1_000
"""An audit that found this many stops; the folder is no mirror of this ledger."""


_FIRST_BUNDLE: Final = "tile/entries/000"


class _StoppedError(Exception):
    """Ends an audit that can't go on; its reason is a finding already."""


def audit(
    path: Path,
    policy: Policy | None = None,
    progress: Callable[[int, int], None] | None = None,
    observe: Callable[[Executed], None] | None = None,
) -> AuditReport:
    """
    Return what replaying the mirror at `path` found; `policy` is what the auditor trusts.

    `observe` is shown every block that was replayed, in order; what it makes of them holds only
    if the report is `ok`. Takes time linear in the events, and memory that does not grow with
    them. Never raises for what a file contains: every deviation is a finding.
    """
    auditor = _Auditor(MirrorFolder(path), progress, observe)
    started = time.perf_counter()
    with contextlib.suppress(_StoppedError):
        auditor.run()
    auditor.anchor(policy)
    auditor.report.seconds = time.perf_counter() - started
    return auditor.report


class _Auditor:
    def __init__(
        self,
        folder: MirrorFolder,
        progress: Callable[[int, int], None] | None,
        observe: Callable[[Executed], None] | None,
    ) -> None:
        self.folder = folder
        self.report = AuditReport()
        self._progress = progress
        self._observe = observe

    def run(self) -> None:
        """Replay the folder; findings go to the report."""
        ledger = self._genesis()
        note, checkpoint = self._checkpoint(ledger)
        tree = TileTree(self._compare_tile)
        with ReplayState() as state:
            registry = self._replay(ledger, checkpoint, tree, state)
        tree.finish()
        if (tree.size, tree.root) != (checkpoint.size, checkpoint.root):
            self._find(
                "root-wrong",
                CHECKPOINT,
                f"the leaves lead to root {tree.root.hex()} at size {tree.size}, the checkpoint "
                f"says {checkpoint.root.hex()} at {checkpoint.size}",
            )
        if registry is not None:
            self._signatures(note, ledger, registry)
        for name in self.folder.unread():
            self._find("file-unexpected", name, "nothing in this ledger has that name")

    def anchor(self, policy: Policy | None) -> None:
        """Check the checkpoint against what the auditor brought."""
        report = self.report
        if policy is None:
            return
        report.trusted = True
        try:
            verified = verify_checkpoint(self.folder.read(CHECKPOINT) or b"", policy)
        except LedgerError as error:
            report.trust_findings.append(Finding("not-anchored", CHECKPOINT, str(error)))
            return
        if verified.checkpoint.origin != report.origin:
            detail = f"trusted log {verified.checkpoint.origin} is not ledger {report.origin}"
            report.trust_findings.append(Finding("not-anchored", CHECKPOINT, detail))
        if not report.consistent:
            detail = "the signed checkpoint stands, but the folder does not lead to it"
            report.trust_findings.append(Finding("not-anchored", "folder", detail))

    def _find(self, code: str, where: str, detail: str) -> None:
        self.report.findings.append(Finding(code, where, detail))
        if len(self.report.findings) >= _FINDINGS_MAX:
            raise _StoppedError

    def _stop(self, code: str, where: str, detail: str) -> _StoppedError:
        self.report.findings.append(Finding(code, where, detail))
        return _StoppedError()

    def _genesis(self) -> Ledger:
        file = self.folder.read(GENESIS)
        if file is None:
            raise self._stop("file-missing", GENESIS, "a mirror holds the genesis file")
        try:
            ledger = open_genesis(file)
        except LedgerError as error:
            raise self._stop("genesis-wrong", GENESIS, str(error)) from error
        name = content_name(ledger.ledger_id)
        if self.folder.read(name) != ledger.genesis_bytes:
            self._find("content-wrong", f"{name} (entry 0)", "not the bytes of the genesis")
        self.report.ledger_id = ledger.ledger_id.hex()
        self.report.name, self.report.origin = ledger.genesis.name, ledger.origin
        return ledger

    def _checkpoint(self, ledger: Ledger) -> tuple[Note, Checkpoint]:
        try:
            note = decode_note(self.folder.read(CHECKPOINT) or b"")
            checkpoint = decode_checkpoint(note.text)
        except MalformedError as error:
            raise self._stop("checkpoint-malformed", CHECKPOINT, str(error)) from error
        if checkpoint.origin != ledger.origin or not checkpoint.size:
            raise self._stop(
                "checkpoint-wrong",
                CHECKPOINT,
                f"checkpoint of {checkpoint.origin} at size {checkpoint.size}, expected one of "
                f"{ledger.origin} with at least the block of the genesis",
            )
        self.report.size, self.report.root = checkpoint.size, checkpoint.root.hex()
        return note, checkpoint

    def _leaves(self, size: int, tree: TileTree) -> Iterator[tuple[int, bytes]]:
        """Yield every leaf with its index; leaves that are absent or malformed end the audit."""
        index = 0
        for bundle in bundles_between(0, size):
            name = encode_path(bundle)
            encoded = self.folder.read(name)
            if encoded is None:
                raise self._stop("file-missing", name, "a mirror holds every bundle of entries")
            try:
                leaves = decode_bundle(encoded, bundle.width)
            except MalformedError as error:
                raise self._stop(
                    "leaf-wrong", f"{name} (from entry {index})", str(error)
                ) from error
            for leaf in leaves:
                tree.append(leaf_hash(leaf))
                yield index, leaf
                index += 1
            if self._progress:
                self._progress(index, size)

    def _replay(
        self, ledger: Ledger, checkpoint: Checkpoint, tree: TileTree, state: ReplayState
    ) -> Registry | None:
        """
        Run every block again; return the registry at the end, None if a block failed.

        After the first that fails, contents are still compared with what was signed.
        """
        executed = execute_genesis(ledger)
        state.put(executed.writes)
        self._count(executed)
        replaying = True
        for first, leaves in self._blocks(checkpoint.size, tree):
            if first == 0:
                replaying = leaves == list(executed.leaves)
                if not replaying:
                    self._find("leaf-wrong", f"{_FIRST_BUNDLE} (entry 0)", "not the genesis block")
                continue
            contents = self._contents(first, leaves)
            if contents is None:
                replaying = False
                continue
            if not replaying:
                self._check_contents(ledger, first, leaves, contents)
                continue
            try:
                executed = replay(
                    state,
                    ledger,
                    executed.registry,
                    executed.head,
                    leaves=leaves,
                    contents=contents,
                )
            except (MalformedError, VerificationError) as error:
                replaying = False
                if not self._check_contents(ledger, first, leaves, contents):
                    where = f"tile/entries (block of entries {first} to {first + len(leaves) - 1})"
                    unknown = isinstance(error, RulesError)
                    self._find("rules-unknown" if unknown else "block-wrong", where, str(error))
                continue
            state.put(executed.writes)
            self._count(executed)
        return executed.registry if replaying else None

    def _blocks(self, size: int, tree: TileTree) -> Iterator[tuple[int, list[bytes]]]:
        """Yield each block's first index and leaves, the block leaf last."""
        leaves: list[bytes] = []
        first = 0
        for index, leaf in self._leaves(size, tree):
            leaves.append(leaf)
            if _ends_block(leaf):
                yield first, leaves
                first, leaves = index + 1, []
        if leaves:
            where = f"tile/entries (from entry {first})"
            self._find("block-unfinished", where, "the log does not end on a block leaf")

    def _contents(self, first: int, leaves: list[bytes]) -> list[bytes] | None:
        """Return the contents that a block's entries name, None where one can't be had."""
        contents: list[bytes] = []
        for index, leaf in enumerate(leaves[:-1], start=first):
            try:
                statement = _statement(leaf)
            except MalformedError as error:
                self._find("leaf-wrong", f"tile/entries (entry {index})", str(error))
                return None
            name = content_name(statement.content_hash)
            content = self.folder.read(name)
            if content is None:
                what = "a mirror holds every content"
                self._find("content-missing", f"{name} (entry {index})", what)
                return None
            contents.append(content)
        return contents

    def _check_contents(
        self, ledger: Ledger, first: int, leaves: list[bytes], contents: list[bytes]
    ) -> bool:
        """Find the contents that are not what was signed; return whether there are any."""
        before = len(self.report.findings)
        for index, (leaf, content) in enumerate(zip(leaves, contents, strict=False), start=first):
            statement = _statement(leaf)
            try:
                check_content(ledger, statement, content)
            except MalformedError as error:
                name = content_name(statement.content_hash)
                self._find("content-wrong", f"{name} (entry {index})", str(error))
        return len(self.report.findings) > before

    def _compare_tile(self, name: str, expected: bytes) -> None:
        actual = self.folder.read(name)
        if actual is None:
            self._find("file-missing", name, "a mirror holds every tile")
        elif actual != expected:
            offset = next(
                (i for i, (a, b) in enumerate(zip(actual, expected, strict=False)) if a != b),
                min(len(actual), len(expected)),
            )
            self._find("tile-wrong", f"{name} (hash {offset // 32})", "not what the leaves lead to")

    def _count(self, executed: Executed) -> None:
        if self._observe:
            self._observe(executed)
        report = self.report
        report.blocks += 1
        report.height, report.time_ms = executed.head.height, executed.head.time_ms
        for placed in executed.placed:
            signed = placed.applied.signed
            assert signed is not None, placed
            report.entries += 1
            outcome = placed.applied.outcome
            report.outcomes[signed.statement.kind, outcome] += 1
            if outcome.accepted and signed.submission is not None:
                report.events += signed.submission.batch.count

    def _signatures(self, note: Note, ledger: Ledger, registry: Registry) -> None:
        """Accept only valid lines by registry keys, and the policy and vkey of the registry."""
        policy = _policy(ledger, registry)
        # Who ceased to be a validator with the checkpoint's block, or changed keys, signs it yet.
        before = _policy(ledger, registry_after(registry, self.report.height - 1))
        known = {
            (key.name, key.id)
            for each in (policy, before)
            for key in (*(log.key for log in each.logs), *(w.key for w in each.witnesses))
        }
        for signature in note.signatures:
            if (signature.name, signature.key_id) not in known:
                detail = f"the line of {signature.name} is by no key of the registry"
                self._find("signature-unknown", CHECKPOINT, detail)
        try:
            verify_signatures(note, [log.key for log in policy.logs])
            cosigned = verify_cosignatures(note, [each.key for each in policy.witnesses])
            policy.check({each.name for each in cosigned})
        except VerificationError as error:
            self._find("signature-wrong", CHECKPOINT, str(error))
            return
        self.report.cosigners = [each.name for each in cosigned]
        self._compare_trust_files(policy)

    def _compare_trust_files(self, policy: Policy) -> None:
        if self.folder.read(POLICY) != encode_policy(policy):
            self._find("policy-wrong", POLICY, "not the policy that the registry gives")
        vkeys = {f"{encode_vkey(log.key)}\n".encode() for log in policy.logs}
        if self.folder.read(LOG_VKEY) not in vkeys:
            self._find("vkey-wrong", LOG_VKEY, "not the key of a validator of the registry")


def _policy(ledger: Ledger, registry: Registry) -> Policy:
    validators = [registry.member(number) for number in registry.epoch.validators]
    return validators_policy(ledger.origin, [each for each in validators if each])


def _ends_block(leaf: bytes) -> bool:
    try:
        return isinstance(decode_leaf(leaf), BlockLeaf)
    except MalformedError:
        return False


def _statement(leaf: bytes) -> Statement:
    decoded = decode_leaf(leaf)
    if isinstance(decoded, BlockLeaf):
        raise MalformedError("a block ends within a block")
    return STATEMENT.decode(decoded.statement)
