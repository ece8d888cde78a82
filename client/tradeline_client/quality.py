"""
Quality of members, measured from a mirror that was replayed from genesis, and by nothing less.

What is returned follows from blocks that were executed again and lead to a signed checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradeline_client.audit import audit
from tradeline_client.errors import FileError
from tradeline_ledger.bundle import BUNDLE
from tradeline_ledger.checkpoint import decode_checkpoint
from tradeline_ledger.errors import VerificationError
from tradeline_ledger.genesis import open_genesis
from tradeline_ledger.merkle import leaf_hash, path_of
from tradeline_ledger.note import decode_note
from tradeline_ledger.quality_evidence import quality_evidence
from tradeline_ledger.quality_facts import LedgerFacts
from tradeline_ledger.release import COMMON, EntryProof
from tradeline_ledger.report import verify_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.policy import Policy
    from tradeline_ledger.quality_facts import StatedQuality
    from tradeline_ledger.transition import Executed


@dataclass(frozen=True, slots=True)
class Compared:
    """A quality statement that a report was held against."""

    member: int
    stated: StatedQuality
    evidence: bytes | None
    """File that convicts the member, None if the report does not contradict it."""


class Replay:
    """What was taken down while a mirror was replayed. Made by `replay`."""

    def __init__(self, ledger: Ledger) -> None:
        """Start before the first block."""
        self.ledger = ledger
        self.facts = LedgerFacts(ledger)
        """About every member, as of the mirror's checkpoint."""
        self.root = b""
        """Of the log at the mirror's checkpoint."""
        self._hashes: list[bytes] = []
        self._leaves: dict[int, tuple[bytes, bytes]] = {}

    def observe(self, executed: Executed) -> None:
        """Take down one block."""
        self.facts.observe(executed)
        self._hashes += map(leaf_hash, executed.leaves)
        for placed in executed.placed:
            signed = placed.applied.signed
            assert signed is not None, placed.index
            if signed.submission is None:
                self._leaves[placed.index] = (placed.leaf, signed.entry.content)

    def proof(self, index: int, size: int) -> EntryProof:
        """Return the proof of an entry that is no submission, to the root of `size` leaves."""
        leaf, content = self._leaves[index]
        path = tuple(path_of(self._hashes[:size], index))
        return EntryProof(index, leaf, path, content, None)

    def compare(self, bundle: bytes) -> Iterator[Compared]:
        """
        Yield each statement that a report can be held against, and what comes of it.

        Those are the statements in force at the checkpoint of the report's bundle that speak as
        of no larger log size than the report.

        Raises:
            MalformedError: no bundle.
            FileError: of another ledger, or newer than the mirror.
            VerificationError: the bundle does not hold.
        """
        decoded = BUNDLE.decode(bundle)
        verdict = verify_bundle(bundle)
        if verdict.log.ledger.ledger_id != self.ledger.ledger_id:
            raise FileError("the bundle is of another ledger than the mirror")
        head = decode_checkpoint(decode_note(decoded.checkpoint.encode()).text)
        if head.size > self.facts.size:
            raise FileError(
                f"the bundle's log has {head.size} entries, the mirror's {self.facts.size}; bring "
                "the mirror up to date first"
            )
        shown = {each.filed.member for each in verdict.unsafe_report.events}
        as_of = COMMON.decode(decoded.common).size
        for member in sorted(shown):
            for _, stated in sorted(self.facts.member(member).stated.items()):
                known = [each for each in stated if each.index < head.size]
                if known and known[-1].content.size <= as_of:
                    proof = self.proof(known[-1].index, head.size)
                    yield Compared(member, known[-1], quality_evidence(bundle, proof))


def replay(
    path: Path, policy: Policy | None = None, progress: Callable[[int, int], None] | None = None
) -> Replay:
    """
    Return what the mirror at `path` says about its members, replayed from genesis.

    Raises:
        FileError: no mirror.
        VerificationError: the mirror is not consistent in itself, or not anchored to `policy`.
    """
    try:
        ledger = open_genesis((path / "genesis").read_bytes())
    except OSError as error:
        raise FileError(
            f"{path} is no mirror, its genesis can't be read: {error.strerror}; make one with: "
            "tradeline mirror DIR"
        ) from error
    taken = Replay(ledger)
    report = audit(path, policy, progress, taken.observe)
    if not report.ok:
        first = [*report.findings, *report.trust_findings][0]
        raise VerificationError(
            f"the mirror {path} can't be relied on: {first.where}: {first.detail}; see all with: "
            f"tradeline audit {path}"
        )
    taken.root = bytes.fromhex(report.root)
    return taken
