"""
Evidence against a member by what it signed (docs/formats.md, section 10).

Each file carries the genesis and the registry steps that lead to the key, so that it needs
nothing but itself: whoever trusts the founders of that genesis knows whom it convicts. A key may
have been stolen: what is proven is what was signed with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from tradeline_ledger.body import BODY_BYTES_MAX
from tradeline_ledger.bundle import BUNDLE, BUNDLE_BYTES_MAX
from tradeline_ledger.encoding import B32, B64, U8, U32, Codec, Record, check_ascending, encode
from tradeline_ledger.errors import MalformedError, SignatureError, VerificationError
from tradeline_ledger.evidence_file import EvidenceType, check_type, evidence_type, unwrap, wrap
from tradeline_ledger.genesis import GENESIS_BYTES_MAX, open_genesis
from tradeline_ledger.hashing import HASH_BYTES, digest
from tradeline_ledger.merkle import PATH_HASHES_MAX, leaf_hash, verify_inclusion
from tradeline_ledger.registry import COMMITTEE_MAX
from tradeline_ledger.release import BatchPart
from tradeline_ledger.report import verify_bundle
from tradeline_ledger.share_fault import CLAIM, Part, verify_fault
from tradeline_ledger.sharing import combine
from tradeline_ledger.statement import (
    STATEMENT,
    STATEMENT_BYTES_MAX,
    Kind,
    Statement,
    verify_statement,
)
from tradeline_ledger.submission import (
    Deposit,
    batch_hash,
    check_header,
    header_body_hash,
    submission_hash,
)
from tradeline_ledger.trust import STEPS_MAX, RegistryStep, TrustedLog
from tradeline_ledger.vote import (
    Ballot,
    BlockVote,
    VoteType,
    chain_id_of,
    verify_vote,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tradeline_ledger.registry import MemberRecord

CONVICTION_BYTES_MAX: Final = 64 << 20
"""Of an evidence file with a registry, other than that of a false share."""
FALSE_SHARE_BYTES_MAX: Final = BUNDLE_BYTES_MAX

_Genesis = Annotated[bytes, Meta(max_length=GENESIS_BYTES_MAX + 8192)]
_Steps = Annotated[tuple[RegistryStep, ...], Meta(max_length=STEPS_MAX)]
_Statement = Annotated[bytes, Meta(max_length=STATEMENT_BYTES_MAX)]
_Path = Annotated[tuple[B32, ...], Meta(max_length=PATH_HASHES_MAX)]


class SignedStatement(Record, frozen=True):
    """A statement and its signature, as they stand in an entry."""

    statement: _Statement
    signature: B64


class StatementsEvidence(Record, frozen=True):
    """Two statements at one position of a feed."""

    type: U8
    """3."""
    genesis: _Genesis
    """The `genesis` file."""
    steps: _Steps
    """Changes of the registry up to the one that made the key, in order."""
    pair: tuple[SignedStatement, SignedStatement]
    """Ascending by the bytes of the statement."""

    def __post_init__(self) -> None:
        """Refuse other types, and one statement twice."""
        check_type(self.type, EvidenceType.STATEMENTS)
        check_ascending(tuple(each.statement for each in self.pair), "statements")


class VotesEvidence(Record, frozen=True):
    """Two consensus votes for one height, round and type."""

    type: U8
    """4."""
    genesis: _Genesis
    steps: _Steps
    member: U32
    """The validator."""
    ballot: Ballot
    pair: tuple[BlockVote, BlockVote]
    """Ascending by (block hash, parts, parts hash)."""

    def __post_init__(self) -> None:
        """Refuse other types, and votes for one block."""
        check_type(self.type, EvidenceType.VOTES)
        check_ascending(tuple(vote.block for vote in self.pair), "votes")


class DealtShare(Record, frozen=True):
    """One share as it was dealt."""

    position: U8
    """Committee position."""
    share: B32
    path: _Path
    """To `share_root` of that position's deposit."""


class DealingEvidence(Record, frozen=True):
    """An event whose shares, as its contributor dealt them, make another key."""

    type: U8
    """5."""
    genesis: _Genesis
    steps: _Steps
    statement: SignedStatement
    """Of the submission."""
    batch: BatchPart
    """What its content hash is made of."""
    deposits: Annotated[tuple[Deposit, ...], Meta(min_length=1, max_length=COMMITTEE_MAX)]
    """By committee position."""
    position: U32
    """Of the event in its batch."""
    header: bytes
    path: _Path
    """From the header to `events_root`."""
    body: Annotated[bytes, Meta(max_length=BODY_BYTES_MAX)]
    shares: Annotated[tuple[DealtShare, ...], Meta(max_length=COMMITTEE_MAX)]
    """t of them, ascending by committee position."""

    def __post_init__(self) -> None:
        """Refuse other types, and shares out of order."""
        check_type(self.type, EvidenceType.DEALING)
        check_ascending(tuple(each.position for each in self.shares), "shares")


class FalseShareEvidence(Record, frozen=True):
    """A bundle without keys, and the answer with the false share."""

    type: U8
    """6."""
    bundle: bytes
    claim: bytes
    """Encoded `FaultClaim` with one answer."""

    def __post_init__(self) -> None:
        """Refuse other types."""
        check_type(self.type, EvidenceType.FALSE_SHARE)


@dataclass(frozen=True, slots=True)
class Conviction:
    """Whom an evidence file convicts of what. Made by `verify_conviction`."""

    type: EvidenceType
    log: TrustedLog
    """The ledger and the registry that the file carries: to be compared with one's own."""
    member: int
    """Who is convicted."""
    record: MemberRecord
    """The version of its record whose key signed."""
    detail: str
    """What it did, and where."""


_STATEMENTS: Final[Codec[StatementsEvidence]] = Codec(
    StatementsEvidence, "evidence", CONVICTION_BYTES_MAX
)
_VOTES: Final[Codec[VotesEvidence]] = Codec(VotesEvidence, "evidence", CONVICTION_BYTES_MAX)
_DEALING: Final[Codec[DealingEvidence]] = Codec(DealingEvidence, "evidence", CONVICTION_BYTES_MAX)
_FALSE_SHARE: Final[Codec[FalseShareEvidence]] = Codec(
    FalseShareEvidence, "evidence", FALSE_SHARE_BYTES_MAX
)


def encode_statements(log: TrustedLog, first: SignedStatement, second: SignedStatement) -> bytes:
    """
    Return the evidence file of two statements at one position; `log` knows the key.

    Raises:
        LedgerError: they convict nobody.
    """
    pair = (first, second) if first.statement < second.statement else (second, first)
    return _checked((EvidenceType.STATEMENTS, log.ledger.file, log.steps, pair))


def encode_votes(
    log: TrustedLog, member: int, ballot: Ballot, votes: tuple[BlockVote, BlockVote]
) -> bytes:
    """
    Return the evidence file of two votes of the validator `member` on one ballot.

    Raises:
        LedgerError: they convict nobody.
    """
    first, second = votes
    pair = (first, second) if first.block < second.block else (second, first)
    genesis, steps = log.ledger.file, log.steps
    return _checked((EvidenceType.VOTES, genesis, steps, member, ballot, pair))


def encode_dealing(evidence: DealingEvidence) -> bytes:
    """
    Return the evidence file of shares that were dealt wrong.

    Raises:
        LedgerError: they convict nobody.
    """
    return _checked(evidence)


def encode_false_share(bundle: bytes, claim: bytes) -> bytes:
    """
    Return the evidence file of a false share; `bundle` must be without keys, see `withhold`.

    Raises:
        LedgerError: it convicts nobody.
    """
    return _checked((EvidenceType.FALSE_SHARE, bundle, claim))


def verify_conviction(data: bytes) -> Conviction:
    """
    Return whom an evidence file of type 3 to 6 convicts, if one believes in its genesis.

    Raises:
        MalformedError: no such file.
        SignatureError: what it shows is not signed by that member.
        VerificationError: it convicts nobody.
    """
    type_ = evidence_type(data)
    record = unwrap(data)
    match type_:
        case EvidenceType.STATEMENTS:
            return _statements(_STATEMENTS.decode(record))
        case EvidenceType.VOTES:
            return _votes(_VOTES.decode(record))
        case EvidenceType.DEALING:
            return _dealing(_DEALING.decode(record))
        case EvidenceType.FALSE_SHARE:
            return _false_share(_FALSE_SHARE.decode(record))
        case _:
            raise MalformedError("evidence of checkpoints convicts keys, see `fork.decode_fork`")


def _checked(record: Record | tuple[object, ...]) -> bytes:
    """Return the file of a record, or of its fields, once it was verified as others will."""
    encoded = wrap(record)
    verify_conviction(encoded)
    return encoded


def _statements(evidence: StatementsEvidence) -> Conviction:
    log = _walk(evidence.genesis, evidence.steps)
    first, second = (STATEMENT.decode(each.statement) for each in evidence.pair)
    place = (first.member, first.feed, first.seq)
    if place != (second.member, second.feed, second.seq):
        raise VerificationError("the two statements are of two positions: no contradiction")
    _check_ledger(log, first, second)
    # One key must have signed both: a key that was ended can sign what it likes ever after.
    record = _signer(log, first, evidence.pair)
    return Conviction(
        EvidenceType.STATEMENTS,
        log,
        first.member,
        record,
        f"signed two statements at position {first.seq} of feed {first.feed} with one key: the "
        "key was copied, or its owner contradicts itself",
    )


def _votes(evidence: VotesEvidence) -> Conviction:
    log, ballot = _walk(evidence.genesis, evidence.steps), evidence.ballot
    chain_id = chain_id_of(log.ledger.ledger_id)
    for record in log.registry.versions(evidence.member):
        if record.engine_key is None:
            continue
        try:
            for vote in evidence.pair:
                verify_vote(record.engine_key, chain_id, ballot, vote)
        except SignatureError:
            continue
        return Conviction(
            EvidenceType.VOTES,
            log,
            evidence.member,
            record,
            f"gave two {VoteType(ballot.type).name.lower()}s at height {ballot.height}, round "
            f"{ballot.round}: for {_block(evidence.pair[0])} and for {_block(evidence.pair[1])}",
        )
    raise SignatureError(
        f"the two votes are not both signed with one engine key of member {evidence.member}"
    )


def _dealing(evidence: DealingEvidence) -> Conviction:
    log = _walk(evidence.genesis, evidence.steps)
    statement = STATEMENT.decode(evidence.statement.statement)
    _check_ledger(log, statement)
    record = _signer(log, statement, [evidence.statement])
    if statement.kind != Kind.SUBMISSION:
        raise VerificationError(f"the statement is of kind {statement.kind}, no submission")
    _check_batch(evidence, statement)
    if digest("body-key", _dealt_key(evidence, log)) == evidence.body[:HASH_BYTES]:
        raise VerificationError("the shares combine to the body's key; nobody is at fault")
    return Conviction(
        EvidenceType.DEALING,
        log,
        statement.member,
        record,
        f"dealt {len(evidence.shares)} shares of event {evidence.position} of its submission at "
        f"position {statement.seq} of feed {statement.feed} that combine to another key than the "
        "body commits to",
    )


def _dealt_key(evidence: DealingEvidence, log: TrustedLog) -> bytes:
    """Return the key that the shares combine to, each of them as it was dealt."""
    number, count = evidence.batch.epoch, evidence.batch.count
    if number >= len(log.registry.epochs):
        raise VerificationError(f"the registry knows no epoch {number}; take further steps")
    epoch = log.registry.epochs[number]
    if len(evidence.deposits) != len(epoch.committee) or len(evidence.shares) != epoch.threshold:
        raise VerificationError(
            f"{len(evidence.deposits)} deposits and {len(evidence.shares)} shares, expected "
            f"{len(epoch.committee)} and {epoch.threshold}"
        )
    shares = {}
    for each in evidence.shares:
        if each.position >= len(evidence.deposits):
            raise VerificationError(f"there is no committee position {each.position}")
        root = evidence.deposits[each.position].share_root
        verify_inclusion(leaf_hash(each.share), evidence.position, count, each.path, root)
        shares[each.position] = each.share
    return combine(shares, epoch.threshold)


def _check_batch(evidence: DealingEvidence, statement: Statement) -> None:
    """Accept deposits, header and body as those of the batch that the statement signs."""
    part = evidence.batch
    if digest("deposits", encode(evidence.deposits)) != part.deposits_hash:
        raise VerificationError("the deposits are not those of the batch")
    batch = batch_hash(
        statement.ledger_id,
        member=statement.member,
        epoch=part.epoch,
        count=part.count,
        events_root=part.events_root,
        deposits_hash=part.deposits_hash,
    )
    if submission_hash(batch, part.receipts_hash) != statement.content_hash:
        raise VerificationError("the batch is not the one whose hash the statement signs")
    check_header(evidence.header)
    verify_inclusion(
        leaf_hash(evidence.header), evidence.position, part.count, evidence.path, part.events_root
    )
    if digest("body", evidence.body) != header_body_hash(evidence.header):
        raise VerificationError("the body is not the one that the event header names")


def _false_share(evidence: FalseShareEvidence) -> Conviction:
    bundle, claim = BUNDLE.decode(evidence.bundle), CLAIM.decode(evidence.claim)
    if any(key is not None for key in bundle.keys):
        raise MalformedError("the bundle holds body keys; make the evidence of one without")
    if len(claim.answers) != 1:
        raise MalformedError("the claim holds several answers; one shows the false share")
    verdict = verify_bundle(evidence.bundle)
    blame = verify_fault(claim, verdict.facts)
    if blame.part is not Part.COMMITTEE_MEMBER:
        raise VerificationError("the claim is not about a committee member")
    registry = verdict.log.registry
    record = registry.member_at(blame.member, verdict.facts.block.height)
    if record is None:
        raise VerificationError(f"member {blame.member} had no record at that height")
    return Conviction(
        EvidenceType.FALSE_SHARE,
        verdict.log,
        blame.member,
        record,
        f"released, for inquiry {verdict.facts.common.inquiry}, a share of event "
        f"{blame.event.index}/{blame.event.position} that is not the one dealt to it",
    )


def _walk(genesis: bytes, steps: Iterable[RegistryStep]) -> TrustedLog:
    log = TrustedLog.start(open_genesis(genesis))
    for step in steps:
        log = log.advance(step)
    return log


def _check_ledger(log: TrustedLog, *statements: Statement) -> None:
    for statement in statements:
        if statement.ledger_id != log.ledger.ledger_id:
            raise VerificationError("a statement is of another ledger than the genesis")


def _signer(
    log: TrustedLog, statement: Statement, signed: Iterable[SignedStatement]
) -> MemberRecord:
    """Return the version of the member whose key of that feed signed all of `signed`."""
    for record in log.registry.versions(statement.member):
        feed = record.feed(statement.feed)
        if feed is None:
            continue
        try:
            for each in signed:
                verify_statement(feed.key, each.statement, each.signature)
        except SignatureError:
            continue
        return record
    raise SignatureError(
        f"not signed by one key that feed {statement.feed} of member {statement.member} has or had"
    )


def _block(vote: BlockVote) -> str:
    return f"block {vote.block_hash.hex()[:16]}…" if vote.block_hash else "no block"
