"""
Files that prove something, verified offline: what kind a file is, and two verdicts on it.

*Consistent in itself*: everything follows from what the file itself holds. *Anchored*: it also
holds by the keys that the verifier brought. Without those a file proves nothing about any ledger.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_client.audit.finding import Finding
from tradeline_ledger.checkpoint import Checkpoint, decode_checkpoint
from tradeline_ledger.conviction import Conviction
from tradeline_ledger.cosignature import cosigner_name, verify_cosignatures
from tradeline_ledger.errors import (
    ConsistencyError,
    InclusionError,
    IncompleteError,
    LedgerError,
    MalformedError,
    PolicyError,
    SealError,
    SignatureError,
)
from tradeline_ledger.evidence import verify_evidence
from tradeline_ledger.evidence_file import EvidenceType, evidence_type, is_evidence
from tradeline_ledger.fork import Fork
from tradeline_ledger.merkle import leaf_hash, verify_inclusion
from tradeline_ledger.note import Note, VerifierKey, decode_note
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.policy import Policy, validators_policy, verify_checkpoint_note
from tradeline_ledger.report import Anchor, BundleVerdict, NotAnchored, verify_bundle
from tradeline_ledger.statement import STATEMENT, BlockLeaf, Kind, decode_leaf
from tradeline_ledger.tlog_proof import TlogProof, decode_proof

if TYPE_CHECKING:
    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.report_parts import Report

NOT_CONSISTENT: Final = "not-consistent"
NOT_ANCHORED: Final = "not-anchored"

_PROOF_START: Final = b"c2sp.org/tlog-proof@"
_BUNDLE_START: Final = b"\x9b\x01"
"""An array of eleven whose first is the version: canonical MessagePack leaves no choice."""
_NOTE_MARK: Final = "\n\n— ".encode()

_PLACES: Final[tuple[tuple[type[LedgerError], str], ...]] = (
    (SignatureError, "signatures"),
    (InclusionError, "inclusion proofs"),
    (ConsistencyError, "tree heads"),
    (IncompleteError, "completeness"),
    (SealError, "bodies and keys"),
    (PolicyError, "signers"),
    (MalformedError, "form"),
)


@enum.unique
class FileKind(enum.Enum):
    """What a file is."""

    BUNDLE = "bundle"
    CHECKPOINT = "checkpoint"
    PROOF = "proof"
    FORK = "fork"
    WITNESS = "witness"
    STATEMENTS = "statements"
    VOTES = "votes"
    DEALING = "dealing"
    FALSE_SHARE = "false-share"
    QUALITY = "quality"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Brought:
    """What a verifier brings: keys that it trusts for reasons of its own."""

    policy: Policy | None = None
    ledger: Ledger | None = None
    """Of a genesis whose founders it believes."""

    @property
    def asked(self) -> bool:
        """Whether there is anything to anchor to."""
        return self.policy is not None or self.ledger is not None

    def policies(self) -> list[tuple[str, Policy]]:
        """Return each policy that a checkpoint must satisfy, with what to call it."""
        found = [] if self.policy is None else [("your policy", self.policy)]
        if self.ledger is not None:
            registry = self.ledger.registry
            records = [registry.member(number) for number in registry.epoch.validators]
            validators = [record for record in records if record is not None]
            made = validators_policy(self.ledger.origin, validators)
            found.append(("the validators of your genesis", made))
        return found


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """Both verdicts on one file, and what it says."""

    kind: FileKind
    consistent: bool
    anchored: bool | None
    """None if no keys were brought."""
    findings: tuple[Finding, ...]
    """Why a verdict failed, and where."""
    says: tuple[tuple[str, str], ...]
    """What the file claims, name by name; to be believed only as far as the verdicts go."""
    unsafe_report: Report | None = None
    """Of a consistent bundle. Anybody could have made it up unless it is anchored."""

    @property
    def ok(self) -> bool:
        """Whether every verdict that was asked for is good."""
        return self.consistent and self.anchored is not False


def verify_file(data: bytes, brought: Brought) -> FileVerdict:
    """Return the verdicts on the bytes of a file. Never raises for what they are."""
    kind = kind_of(data)
    verify = _VERIFIERS.get(kind)
    if verify is None:
        detail = (
            "neither an evidence bundle, a checkpoint, a tlog-proof nor evidence of misbehaviour; "
            "it was altered, or is something else"
        )
        return _inconsistent(kind, brought, Finding(NOT_CONSISTENT, "first bytes", detail))
    try:
        return verify(data, brought)
    except LedgerError as error:
        return _inconsistent(kind, brought, Finding(NOT_CONSISTENT, _where(error), str(error)))


def kind_of(data: bytes) -> FileKind:
    """Return what a file is, by its first bytes; nothing is checked."""
    if is_evidence(data):
        try:
            return _EVIDENCE_KINDS[evidence_type(data)]
        except MalformedError:
            return FileKind.UNKNOWN
    if data.startswith(_PROOF_START):
        return FileKind.PROOF
    if data.startswith(_BUNDLE_START):
        return FileKind.BUNDLE
    if _NOTE_MARK in data:
        return FileKind.CHECKPOINT
    return FileKind.UNKNOWN


def _bundle(data: bytes, brought: Brought) -> FileVerdict:
    ledger_id = None if brought.ledger is None else brought.ledger.ledger_id
    anchor = Anchor(brought.policy, ledger_id) if brought.asked else None
    verdict = verify_bundle(data, anchor=anchor)
    findings: tuple[Finding, ...] = ()
    if brought.asked and isinstance(verdict.anchor, NotAnchored):
        findings = (Finding(NOT_ANCHORED, "checkpoint", verdict.anchor.reason),)
    return FileVerdict(
        FileKind.BUNDLE,
        consistent=True,
        anchored=not findings if brought.asked else None,
        findings=findings,
        says=_bundle_says(verdict),
        unsafe_report=verdict.unsafe_report,
    )


def _bundle_says(verdict: BundleVerdict) -> tuple[tuple[str, str], ...]:
    report, facts = verdict.unsafe_report, verdict.facts
    complete = report.completeness
    history = (
        f"{sum(each.events for each in complete.histories)} events in {len(complete.histories)} "
        f"histories, complete as of block {complete.height} by {len(complete.validators)} of "
        f"{complete.committee} committee members, {complete.threshold} needed"
    )
    events = (
        f"{len(report.events)} shown, {len(report.inquiries)} inquiries, {len(report.gone)} erased "
        f"or expired, {len(report.withheld)} withheld, {len(report.invalid)} invalid"
    )
    return (
        ("ledger", f"{verdict.log.ledger.genesis.name} ({report.ledger_id.hex()})"),
        ("checkpoint", f"size {facts.checkpoint.size}, root {facts.checkpoint.root.hex()}"),
        ("inquiry", f"entry {report.inquiry} by member {report.reader}"),
        ("consent", report.consent_id.hex()),
        ("history", history),
        ("events", events),
    )


def _checkpoint(data: bytes, brought: Brought) -> FileVerdict:
    note = decode_note(data)
    checkpoint = decode_checkpoint(note.text)
    return _anchored_note(FileKind.CHECKPOINT, note, brought, _checkpoint_says(checkpoint))


def _proof(data: bytes, brought: Brought) -> FileVerdict:
    proof = decode_proof(data)
    checkpoint = decode_checkpoint(proof.checkpoint.text)
    if not proof.extra:
        raise MalformedError(
            "the proof carries no leaf in its `extra` line, so that there is nothing to check; "
            "proofs that `tradeline show --proof` writes carry it"
        )
    verify_inclusion(
        leaf_hash(proof.extra), proof.index, checkpoint.size, proof.path, checkpoint.root
    )
    says = (*_leaf_says(proof), *_checkpoint_says(checkpoint))
    return _anchored_note(FileKind.PROOF, proof.checkpoint, brought, says)


def _leaf_says(proof: TlogProof) -> tuple[tuple[str, str], ...]:
    leaf = decode_leaf(proof.extra)
    if isinstance(leaf, BlockLeaf):
        return (("entry", f"{proof.index}: the end of block {leaf.height}"),)
    statement = STATEMENT.decode(leaf.statement)
    kind, outcome = statement.kind, leaf.outcome
    return (
        ("entry", f"{proof.index} in block {leaf.height}"),
        ("kind", Kind(kind).name.lower() if kind in set(Kind) else str(kind)),
        ("outcome", Outcome(outcome).code if outcome in set(Outcome) else str(outcome)),
        ("member", f"{statement.member}, feed {statement.feed}, position {statement.seq}"),
        ("content", statement.content_hash.hex()),
    )


def _checkpoint_says(checkpoint: Checkpoint) -> tuple[tuple[str, str], ...]:
    return (
        ("log", checkpoint.origin),
        ("checkpoint", f"size {checkpoint.size}, root {checkpoint.root.hex()}"),
    )


def _anchored_note(
    kind: FileKind, note: Note, brought: Brought, says: tuple[tuple[str, str], ...]
) -> FileVerdict:
    """Return the verdicts on a file whose checkpoint alone ties it to anybody's keys."""
    findings = []
    for name, policy in brought.policies():
        try:
            verified = verify_checkpoint_note(note, policy)
        except LedgerError as error:
            findings.append(Finding(NOT_ANCHORED, "checkpoint", f"by {name}: {error}"))
        else:
            cosigners = ", ".join(each.name for each in verified.cosignatures) or "nobody"
            says = (*says, (f"by {name}", f"cosigned by {cosigners}"))
    return FileVerdict(
        kind,
        consistent=True,
        anchored=not findings if brought.asked else None,
        findings=tuple(findings),
        says=says,
    )


def _evidence(data: bytes, brought: Brought) -> FileVerdict:
    kind, proven = kind_of(data), verify_evidence(data)
    if isinstance(proven, Conviction):
        return _conviction(kind, proven, brought)
    if proven.accused is not None:
        return _witness(proven, proven.accused, brought)
    return _fork(proven, brought)


def _fork(fork: Fork, brought: Brought) -> FileVerdict:
    findings = []
    says = _fork_says(fork)
    for name, policy in brought.policies():
        try:
            both = fork.blame([log.key for log in policy.logs])
            cosigned = _cosigned_both(fork, [each.key for each in policy.witnesses])
        except LedgerError as error:
            findings.append(Finding(NOT_ANCHORED, "signatures", f"by {name}: {error}"))
            continue
        signed = ", ".join(_owner(each, brought.ledger) for each in both) or "nobody"
        says = (
            *says,
            (f"by {name}", f"both signed by {signed}; both cosigned by {cosigned or 'nobody'}"),
        )
    return FileVerdict(
        FileKind.FORK,
        consistent=True,
        anchored=not findings if brought.asked else None,
        findings=tuple(findings),
        says=says,
    )


def _witness(fork: Fork, accused: VerifierKey, brought: Brought) -> FileVerdict:
    """Return the verdicts on evidence that one key cosigned two logs: anchored if it is known."""
    known = [
        (name, witness.name)
        for name, policy in brought.policies()
        for witness in policy.witnesses
        if witness.key == accused
    ]
    findings: tuple[Finding, ...] = ()
    if brought.asked and not known:
        detail = f"{accused.name}, key id {accused.id.hex()}, is no witness of what you brought"
        findings = (Finding(NOT_ANCHORED, "signatures", detail),)
    guilty = ("guilty", f"{accused.name}, key id {accused.id.hex()}: cosigned both")
    named = tuple((f"by {name}", f"the witness {witness}") for name, witness in known)
    return FileVerdict(
        FileKind.WITNESS,
        consistent=True,
        anchored=not findings if brought.asked else None,
        findings=findings,
        says=(*_fork_says(fork), guilty, *named),
    )


def _conviction(kind: FileKind, proven: Conviction, brought: Brought) -> FileVerdict:
    """Return the verdicts on evidence against a member: anchored by one's own genesis alone."""
    ledger = proven.log.ledger
    findings: tuple[Finding, ...] = ()
    if brought.ledger is not None and brought.ledger.ledger_id != ledger.ledger_id:
        detail = f"it is about ledger {ledger.ledger_id.hex()}, your genesis is of another one"
        findings = (Finding(NOT_ANCHORED, "genesis", detail),)
    elif brought.ledger is None and brought.policy is not None:
        detail = "a policy names no key that this is about; bring the genesis with --genesis"
        findings = (Finding(NOT_ANCHORED, "genesis", detail),)
    return FileVerdict(
        kind,
        consistent=True,
        anchored=not findings if brought.asked else None,
        findings=findings,
        says=(
            ("ledger", f"{ledger.genesis.name} ({ledger.ledger_id.hex()})"),
            ("guilty", f"member {proven.member}, {proven.record.name}: {proven.detail}"),
        ),
    )


def _fork_says(fork: Fork) -> tuple[tuple[str, str], ...]:
    return (
        ("log", fork.smaller.origin),
        ("checkpoint", f"size {fork.smaller.size}, root {fork.smaller.root.hex()}"),
        ("and", f"size {fork.larger.size}, root {fork.larger.root.hex()}: no log has both"),
    )


def _cosigned_both(fork: Fork, keys: Sequence[VerifierKey]) -> str:
    smaller = {each.name for each in verify_cosignatures(fork.smaller_note, keys)}
    larger = [each.name for each in verify_cosignatures(fork.larger_note, keys)]
    return ", ".join(name for name in larger if name in smaller)


def _owner(key: VerifierKey, ledger: Ledger | None) -> str:
    """Return whose note key it is, as far as a genesis says; all note keys have one name."""
    records = () if ledger is None else ledger.registry.members
    owners = [cosigner_name(key.name, each.id) for each in records if each.note_key == key.public]
    return owners[0] if owners else f"note key {key.id.hex()}"


def _inconsistent(kind: FileKind, brought: Brought, finding: Finding) -> FileVerdict:
    return FileVerdict(
        kind,
        consistent=False,
        anchored=False if brought.asked else None,
        findings=(finding,),
        says=(),
    )


def _where(error: LedgerError) -> str:
    return next((place for type_, place in _PLACES if isinstance(error, type_)), "claims")


_EVIDENCE_KINDS: Final = {
    EvidenceType.FORK: FileKind.FORK,
    EvidenceType.WITNESS: FileKind.WITNESS,
    EvidenceType.STATEMENTS: FileKind.STATEMENTS,
    EvidenceType.VOTES: FileKind.VOTES,
    EvidenceType.DEALING: FileKind.DEALING,
    EvidenceType.FALSE_SHARE: FileKind.FALSE_SHARE,
    EvidenceType.QUALITY: FileKind.QUALITY,
}
_VERIFIERS: Final[dict[FileKind, Callable[[bytes, Brought], FileVerdict]]] = {
    FileKind.BUNDLE: _bundle,
    FileKind.CHECKPOINT: _checkpoint,
    FileKind.PROOF: _proof,
    **dict.fromkeys(_EVIDENCE_KINDS.values(), _evidence),
}
