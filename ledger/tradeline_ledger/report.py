"""
Reports: verified by their reader from what nodes answered, and by anybody from a bundle.

Two verdicts are kept apart. A bundle is *consistent in itself* if everything follows from the
genesis inside it: then all its parts agree, and somebody who made up a ledger of its own could
have written it. It is *anchored* if it also holds by the keys that the verifier brought. Only an
anchored report is returned as one (docs/verification.md says what is checked, in order).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec.structs

from tradeline_ledger.agreement import agree
from tradeline_ledger.bundle import BUNDLE, Bundle, SignedHistory, check_proofs
from tradeline_ledger.composition import compose_report
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import (
    MalformedError,
    PolicyError,
    UnopenedError,
    VerificationError,
)
from tradeline_ledger.facts import Facts, verify_facts
from tradeline_ledger.genesis import open_genesis
from tradeline_ledger.hpke import PrivateKey, answer_info, open_sealed
from tradeline_ledger.judgement import SubjectKeys, judge
from tradeline_ledger.note import decode_note
from tradeline_ledger.policy import NO_QUORUM, verify_checkpoint_note
from tradeline_ledger.release import (
    ANSWER,
    PAYLOAD,
    Answer,
    EntryShares,
    Proofs,
    payload_hash,
)
from tradeline_ledger.report_parts import Report
from tradeline_ledger.share_fault import Blame, FaultClaim, Part, verify_fault
from tradeline_ledger.share_opening import open_keys
from tradeline_ledger.statement import EntryLeaf, decode_leaf
from tradeline_ledger.trust import TrustedLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tradeline_ledger.history import EventId
    from tradeline_ledger.policy import Policy
    from tradeline_ledger.release import EntryProof

__all__ = [
    "Anchor",
    "Anchored",
    "BundleVerdict",
    "NotAnchored",
    "Reading",
    "Released",
    "Report",
    "SubjectKeys",
    "open_answer",
    "read_report",
    "verify_bundle",
    "verify_fault_of",
]


@dataclass(frozen=True, slots=True)
class Anchor:
    """The keys that a verifier brings: a policy, the id of a ledger that it trusts, or both."""

    policy: Policy | None = None
    """Whose signatures it believes (`policy_file.decode_policy`)."""
    ledger_id: bytes | None = None
    """Of a genesis whose founders it believes."""

    def __post_init__(self) -> None:
        """Demand one of the two."""
        assert self.policy is not None or self.ledger_id is not None, "an anchor holds something"


@dataclass(frozen=True, slots=True)
class Anchored:
    """A bundle holds by the verifier's own keys."""

    by_genesis: bool
    """Whether its genesis is the verifier's."""
    signers: tuple[str, ...]
    """The policy's log keys that signed the checkpoint, in hex; empty without a policy."""
    cosigners: tuple[str, ...]
    """Names of the policy's witnesses that cosigned it."""
    cosigned: bool
    """Whether a quorum was asked for: of the policy, or of the validators since the genesis."""


@dataclass(frozen=True, slots=True)
class NotAnchored:
    """A bundle agrees with itself, and not with keys that the verifier brought."""

    reason: str


@dataclass(frozen=True, slots=True)
class BundleVerdict:
    """The two verdicts on a bundle that is consistent in itself. Made by `verify_bundle`."""

    anchor: Anchored | NotAnchored
    log: TrustedLog
    """As the bundle's genesis and steps make it."""
    facts: Facts
    unsafe_report: Report
    """Follows from the genesis inside the bundle; anybody could have made that up."""

    @property
    def report(self) -> Report:
        """
        The report, if it is anchored.

        Raises:
            PolicyError: it is not.
        """
        if isinstance(self.anchor, NotAnchored):
            raise PolicyError(f"the bundle is not anchored: {self.anchor.reason}")
        return self.unsafe_report


@dataclass(frozen=True, slots=True)
class Released:
    """What a reader collected about one inquiry of its own. Nothing of it is verified yet."""

    checkpoint: bytes
    """Signed note, of the end of the inquiry's block or later."""
    consistency: tuple[bytes, ...]
    """From the end of the inquiry's block to the checkpoint."""
    terms: bytes
    """Exact bytes of the consent's terms."""
    inquiry: EntryProof
    proofs: Proofs
    """As in a bundle; bodies that should be gone and the inquiry's own entry may be there, too."""
    answers: Mapping[int, Answer]
    """
    Opened answers by member of the committee at the inquiry's block. Those of members of earlier
    committees give shares of what was dealt to them, and no history.
    """
    claims: tuple[FaultClaim, ...] = ()
    """About events that no shares open."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader makes of a release. Made by `read_report`."""

    report: Report
    bundle: bytes
    """Encoded `Bundle` with the keys of what is shown."""
    dissenters: tuple[int, ...]
    """Committee members whose answer was signed wrong or says something else; see to them."""
    doubted: tuple[tuple[EventId, int], ...]
    """
    Events with committee members whose share does not fit the others'. With its path it convicts
    the member, or shows that it was dealt so.
    """
    blamed: tuple[Blame, ...]
    """Who is proven at fault for shares that do not open a body."""
    claims: tuple[FaultClaim, ...]
    """What proves it, with the bundle. Holds shares in clear: keep it as secret as the bodies."""


def verify_bundle(
    encoded: bytes, *, anchor: Anchor | None = None, subject: SubjectKeys | None = None
) -> BundleVerdict:
    """
    Return both verdicts on an evidence bundle. `subject` lets events be compared with the subject.

    Raises:
        MalformedError: it does not decode, or holds what no bundle holds.
        VerificationError: it is not consistent in itself; the subclass says in what.
    """
    bundle = BUNDLE.decode(encoded)
    log = TrustedLog.start(open_genesis(bundle.genesis))
    for step in bundle.steps:
        log = log.advance(step)
    facts = verify_facts(bundle, log)
    keys = {}
    for proven, key in zip(facts.events, bundle.keys, strict=True):
        if key is not None and proven.body is None:
            raise MalformedError(f"event {proven.id} comes with a key, and has no body to open")
        if key is not None:
            keys[proven.id] = key
    report = compose_report(facts, judge(facts, keys, subject, {}), subject)
    return BundleVerdict(_anchor(bundle, log, anchor), log, facts, report)


def open_answer(
    one_time: PrivateKey, sealed: bytes, *, ledger_id: bytes, inquiry: int, validator: int
) -> Answer:
    """
    Return the answer of a committee member, opened with the inquiry's one-time key.

    Raises:
        SealError: it was sealed to another key, for another inquiry or by another member.
        MalformedError: it does not decode.
    """
    return ANSWER.decode(open_sealed(one_time, sealed, answer_info(ledger_id, inquiry, validator)))


def read_report(log: TrustedLog, released: Released, subject: SubjectKeys) -> Reading:
    """
    Return the verified report of the reader's own inquiry, with the bundle that proves it.

    Raises:
        MalformedError, VerificationError: as `verify_bundle`.
        PolicyError: fewer than t committee members agree.
        IncompleteError: something that they count is missing; ask another node for the proofs.
        UnopenedError: no t of the shares open some bodies; ask further members, then all with
            share paths, and claim who is at fault.
    """
    bundle, agreed = _assemble(log, released)
    facts = verify_facts(bundle, log)
    blamed = [verify_fault(claim, facts) for claim in released.claims]
    dealt_wrong = {each.event: each.detail for each in blamed if each.part is Part.DEALER}
    bodies = [
        (proven.id, proven.body)
        for proven in facts.events
        if proven.body is not None and proven.id not in dealt_wrong
    ]
    epoch = log.registry.epoch_at(facts.block.height)
    elders = {each for each in released.answers if epoch.position(each) is None}
    payloads = {
        validator: _payload(released.answers[validator]) for validator in sorted({*agreed, *elders})
    }
    opened = open_keys(bodies, payloads, log.registry.epochs)
    keys = opened.keys
    if closed := [event for event, _ in bodies if event not in keys]:
        raise UnopenedError(
            f"shares of members {sorted(agreed)} open {len(keys)} of {len(bodies)} bodies; ask "
            f"further members for event {closed[0]} and others",
            tuple((event.index, event.position) for event in closed),
        )
    report = compose_report(facts, judge(facts, keys, subject, dealt_wrong), subject)
    dissenters = tuple(sorted(set(released.answers) - set(agreed) - elders))
    encoded = encode(_keyed(bundle, facts, keys))
    return Reading(report, encoded, dissenters, opened.doubted, tuple(blamed), released.claims)


def fault_bundle(log: TrustedLog, released: Released) -> bytes:
    """
    Return the bundle without keys against which claims of fault are verified.

    Raises:
        MalformedError, VerificationError: as `read_report`.
    """
    return encode(_assemble(log, released)[0])


def verify_fault_of(log: TrustedLog, released: Released, claim: FaultClaim) -> Blame:
    """
    Return whom `claim` convicts in what a reader collected; see `share_fault.verify_fault`.

    Raises:
        MalformedError, VerificationError: as `read_report` and `share_fault.verify_fault`.
    """
    bundle, _ = _assemble(log, released)
    return verify_fault(claim, verify_facts(bundle, log))


def _payload(answer: Answer) -> tuple[EntryShares, ...]:
    """Return the shares in an answer; none if it holds anything else: others' will do."""
    try:
        return PAYLOAD.decode(answer.payload)
    except MalformedError:
        return ()


def _assemble(log: TrustedLog, released: Released) -> tuple[Bundle, tuple[int, ...]]:
    """Return the bundle without keys, and the members that agree."""
    leaf = decode_leaf(released.inquiry.leaf)
    if not isinstance(leaf, EntryLeaf):
        raise VerificationError(f"leaf {released.inquiry.index} ends a block, expected the inquiry")
    epoch = log.registry.epoch_at(leaf.height)
    common, agreed = agree(released.answers, epoch, log.registry, leaf.height)
    entries = tuple(
        proof for proof in released.proofs.entries if proof.index != released.inquiry.index
    )
    proofs = Proofs(entries, released.proofs.events)
    try:
        check_proofs(proofs)
    except ValueError as error:
        raise MalformedError(f"proofs: {error}") from error
    statements = tuple(
        SignedHistory(v, released.answers[v].signature, payload_hash(released.answers[v].payload))
        for v in agreed
    )
    try:
        checkpoint = released.checkpoint.decode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"checkpoint is not UTF-8: {error}") from error
    bundle = Bundle(
        version=1,
        genesis=log.ledger.file,
        steps=log.steps,
        checkpoint=checkpoint,
        consistency=released.consistency,
        terms=released.terms,
        inquiry=released.inquiry,
        common=common,
        statements=statements,
        proofs=proofs,
        keys=(None,) * len(proofs.events),
    )
    return bundle, agreed


def _keyed(bundle: Bundle, facts: Facts, keys: Mapping[EventId, bytes]) -> Bundle:
    """Return the bundle with keys, and without bodies that should be gone."""
    events = tuple(
        proof
        if proven.body is not None or proof.body is None
        else msgspec.structs.replace(proof, body=None)
        for proven, proof in zip(facts.events, bundle.proofs.events, strict=True)
    )
    return msgspec.structs.replace(
        bundle,
        proofs=Proofs(bundle.proofs.entries, events),
        keys=tuple([keys.get(proven.id) for proven in facts.events]),
    )


def _anchor(bundle: Bundle, log: TrustedLog, anchor: Anchor | None) -> Anchored | NotAnchored:
    if anchor is None:
        return NotAnchored("no keys were given to compare it with; give a policy or a genesis")
    if anchor.ledger_id is not None and anchor.ledger_id != log.ledger.ledger_id:
        return NotAnchored(
            f"it is of ledger {log.ledger.ledger_id.hex()}, yours is {anchor.ledger_id.hex()}"
        )
    by_genesis = anchor.ledger_id is not None
    if anchor.policy is None:
        return Anchored(by_genesis, (), (), cosigned=True)
    try:
        verified = verify_checkpoint_note(decode_note(bundle.checkpoint.encode()), anchor.policy)
    except VerificationError as error:
        return NotAnchored(f"your policy does not accept its checkpoint: {error}")
    names = {witness.key: witness.name for witness in anchor.policy.witnesses}
    return Anchored(
        by_genesis,
        tuple(sorted(key.public.hex() for key in verified.signers)),
        tuple(names[each.key] for each in verified.cosignatures),
        cosigned=by_genesis or anchor.policy.quorum != NO_QUORUM,
    )
