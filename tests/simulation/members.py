"""
The simulated clients of one member: they sign, hand over, ask what became of it, and misbehave.

A client signs a second statement for a position only if the first can't be placed any more, unless
its key was copied. It believes what any honest node says and tells it to the oracle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.node.workload import EXPIRES_MS, MONTH
from tests.simulation import governance
from tests.simulation.deposits import SUBJECTS, Depositor, Filed, Offer, made
from tests.simulation.knobs import BYZANTINE_MEMBER
from tests.simulation.reads import Asked
from tests.world import BULK, BULK_KINDS, DESK, World, next_prev, seed

from tradeline_ledger import state
from tradeline_ledger.consent import Change, Status, consent_id
from tradeline_ledger.encoding import encode
from tradeline_ledger.history import EventId
from tradeline_ledger.hpke import PrivateKey
from tradeline_ledger.inquiry import key_hash
from tradeline_ledger.key import Key, KeyChange, Replaced
from tradeline_ledger.mark import Mark
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.registry import EpochRecord, Feed
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.state import FeedState
from tradeline_ledger.statement import FIRST_PREV, Kind, Statement, content_hash, sign_entry
from tradeline_ledger.submission import (
    Batch,
    Deposit,
    Submission,
    encode_submission,
    make_batch,
)
from tradeline_node.outbox import Standing

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.simulation.keeping import Keeping
    from tests.simulation.knobs import Knobs
    from tests.simulation.oracle import Oracle
    from tests.simulation.replica import Replica

    from tradeline_ledger.consent import Terms
    from tradeline_node.store import LedgerStore

UNRESOLVED_MAX: Final = 3
"""Of one feed at a time."""
READERS: Final = (1, 2, 3, 6)


class Sent(NamedTuple):
    """An entry whose fate is open."""

    hash: bytes
    entry: bytes
    kind: int
    about: Offer | Asked | None = None


@dataclass
class Line:
    """One feed that is being written."""

    feed: int
    key: SigningKey
    seq: int = 0
    prev: bytes = FIRST_PREV
    unresolved: list[Sent] = field(default_factory=list)
    stale: bool = False
    """Whether to ask a node for the position before the next statement."""


class Shared:
    """
    What clients of all members know: consents, placed submissions, all entries ever signed.

    `ask` has the node of a member do something for a client, if it is up and hears it.
    """

    def __init__(
        self,
        world: World,
        knobs: Knobs,
        oracle: Oracle,
        ask: Callable[[int, Callable[[Keeping], Any]], Any],
    ) -> None:
        self.world, self.knobs, self.oracle, self.ask = world, knobs, oracle, ask
        self.terms: dict[bytes, tuple[Terms, int]] = {}
        """Terms and subject of each consent."""
        self.asked: dict[int, Asked] = {}
        """Accepted inquiries by log index."""
        self.filed: dict[bytes, Filed] = {}
        """Batches that anybody made, by batch hash."""
        self.spoilt: set[bytes] = set()
        """Hashes of sealed deposits that do not open."""
        self._salt = 0
        self.consents: list[tuple[bytes, int, int]] = []
        """(id, grantee, second)."""
        self.submissions: list[tuple[int, int]] = []
        """(member, log index)."""
        self.entries: list[bytes] = []
        self.signed = 0

    def salt(self) -> int:
        """Return another number each time."""
        self._salt += 1
        return self._salt

    def is_byzantine(self, member: int) -> bool:
        return bool(self.knobs.byzantine) and member == BYZANTINE_MEMBER


class Client:
    """What one member does."""

    def __init__(self, member: int, shared: Shared, rng: random.Random) -> None:
        self.member, self._shared, self._rng = member, shared, rng
        own = shared.world.institution(member)
        self.lines = [Line(BULK, own.feed_key(BULK)), Line(DESK, own.feed_key(DESK))]
        self.depositor = Depositor(member, shared, rng)
        self._batches: list[Batch] = []
        self._changes = 0
        self._about: Offer | Asked | None = None
        """What the statement is about that is being made."""

    def settled(self, store: LedgerStore) -> bool:
        """Whether nothing is open, and every batch is safe with the committee in force."""
        return not any(line.unresolved for line in self.lines) and self.depositor.settled(store)

    def step(self, honest: list[Replica], now_ms: int, *, signing: bool) -> None:
        """Look what became of entries, perhaps sign another one, hand over what is open."""
        if not honest:
            return
        shared = self._shared
        shared.world.time_ms = now_ms
        if shared.knobs.custody:
            filing = signing and shared.signed < shared.knobs.entries_max
            self.depositor.step(self._rng.choice(honest).store, filing=filing)
            honest = [each for each in honest if each.up]
            if not honest:
                return
        for line in self.lines:
            self._resolve(line, self._rng.choice(honest))
            below = len(line.unresolved) < UNRESOLVED_MAX
            if (signing or shared.knobs.custody) and below and self._rng.random() < 0.4:
                self._sign_next(line, self._rng.choice(honest), signing=signing)
            self._hand_over(line, self._rng.choice(honest))

    def _resolve(self, line: Line, node: Replica) -> None:
        oracle = self._shared.oracle
        while line.unresolved:
            first = line.unresolved[0]
            status = node.outbox.status(first.hash)
            if status.standing is Standing.PLACED:
                assert status.index is not None, first
                oracle.saw_placed(first.hash, status.index, status.outcome)
                line.unresolved.pop(0)
                self._placed(first, status.index, status.outcome)
            elif status.standing is Standing.LOST:
                oracle.lost.add(first.hash)
                self._abandon(line)
            else:
                return

    def _abandon(self, line: Line) -> None:
        """Forget what can't be placed, and all that was signed after it."""
        for sent in line.unresolved:
            self._landed(sent)
        line.unresolved.clear()
        line.stale = True

    def _landed(self, sent: Sent) -> None:
        """Wait no more for what an entry was about, placed or not."""
        if isinstance(sent.about, Offer):
            self.depositor.flying.remove(sent.about)

    def _placed(self, sent: Sent, index: int, outcome: Outcome | None) -> None:
        self._landed(sent)
        if outcome is not Outcome.ACCEPTED:
            return
        if sent.kind == Kind.SUBMISSION:
            self._shared.submissions.append((self.member, index))
        if isinstance(sent.about, Asked):
            self._shared.asked[index] = sent.about
        if sent.kind == Kind.KEY:
            self._changes += 1
            bulk = self.lines[0]
            number = self._next_feed()
            self.lines[0] = Line(number, self._feed_key(number))
            # What the old feed had on its way may be placed yet; nobody waits for it.
            for each in bulk.unresolved:
                self._landed(each)
            bulk.unresolved.clear()

    def _hand_over(self, line: Line, node: Replica) -> None:
        """Give a node what is open, in order, until it does not take one; requests get lost."""
        shared, drop = self._shared, self._shared.knobs.drop
        for sent in line.unresolved:
            if shared.oracle.queued.get(sent.hash) and not shared.knobs.resend:
                continue
            if self._rng.random() < drop:
                return
            given = node.outbox.put(sent.entry)
            if self._rng.random() < drop:
                return  # the answer is lost: nobody knows whether it was taken
            if given.standing is Standing.QUEUED:
                shared.oracle.saw_queued(node.member, sent.hash)
            elif given.standing is Standing.UNKNOWN:
                if given.outcome is not Outcome.POSITION_AHEAD:
                    self._abandon(line)
                return

    # Signing

    def _sign_next(self, line: Line, node: Replica, *, signing: bool) -> None:
        shared = self._shared
        signing = signing and shared.signed < shared.knobs.entries_max
        if not signing and not shared.knobs.custody:
            return
        if node.store.registry.member(self.member) is None:
            return
        if line.stale:
            row = state.read(node.store, state.FEED, state.feed_key(self.member, line.feed))
            row = row or FeedState(0, FIRST_PREV, 0)
            line.seq, line.prev, line.stale = row.next_seq, row.prev, False
        self._about = None
        made = self._deposited(line) or (self._make(line, node) if signing else None)
        if made is None:
            return
        kind, content, hash_ = made
        if self._rng.random() < shared.knobs.copied_key:
            junk = seed("copied", self.member, line.feed, line.seq, shared.signed)
            copy = self._sign(line, Kind.MARK, junk, content_hash(Kind.MARK, junk))
            self._hand_over(Line(line.feed, line.key, unresolved=[copy]), node)
        sent = self._sign(line, kind, content, hash_)._replace(about=self._about)
        line.unresolved.append(sent)
        line.seq, line.prev = line.seq + 1, sent.hash

    def _sign(self, line: Line, kind: int, content: bytes, hash_: bytes) -> Sent:
        world = self._shared.world
        statement = Statement(
            1,
            world.ledger.ledger_id,
            self.member,
            line.feed,
            line.seq,
            line.prev,
            world.time_ms,
            kind,
            hash_,
        )
        entry = sign_entry(line.key, statement, content)
        self._shared.entries.append(entry)
        self._shared.signed += 1
        return Sent(next_prev(entry), entry, kind)

    def _make(self, line: Line, node: Replica) -> tuple[int, bytes, bytes] | None:
        """Return kind, content and its hash of something that this feed may say."""
        rng = self._rng
        if rng.random() < 0.05:
            return self._junk()
        if line is self.lines[0]:
            if self.member not in READERS and rng.random() < 0.9:
                return None  # the notary has no role for what this feed may say
            if self._shared.knobs.custody:
                return self._mark() if rng.random() < 0.1 else None
            submission = partial(self._submission, node.store.registry.epoch)
            return rng.choice((submission, submission, self._mark))()
        if self._shared.knobs.governance and rng.random() < 0.6:
            return self._govern(node)
        makers = (self._consent, self._status, self._inquiry, self._inquiry, self._key)
        return rng.choice(makers)()

    def _deposited(self, line: Line) -> tuple[int, bytes, bytes] | None:
        """Return what places deposits that enough of their committee hold."""
        bulk = line is self.lines[0]
        offer = self.depositor.ready(Kind.SUBMISSION if bulk else Kind.REDEPOSIT)
        if offer is None:
            return None
        self._about = offer
        return made(self._shared.world, self.member, offer)

    def _govern(self, node: Replica) -> tuple[int, bytes, bytes] | None:
        """Return a vote, or a proposal or statement of quality if there is nothing to vote on."""
        shared, rng, store = self._shared, self._rng, node.store
        voted = governance.vote(store, rng, self.member)
        if voted is not None:
            return _plain(Kind.VOTE, voted)
        if rng.random() < 0.5:
            stated = governance.quality(store, rng, self.member, shared.submissions)
            return _plain(Kind.QUALITY, stated)
        wished = governance.proposal(store, rng, shared.signed, shared.world.time_ms)
        return _plain(Kind.PROPOSAL, wished)

    def _submission(self, epoch: EpochRecord) -> tuple[int, bytes, bytes]:
        world, rng = self._shared.world, self._rng
        if self._batches and rng.random() < 0.1:
            batch = rng.choice(self._batches)  # a second time: refused
        else:
            count = rng.choice((1, 1, 2, 5))
            salt = (self.member, self._shared.signed)
            tags = [seed("tag", salt, i)[:16] for i in range(count)]
            hashes = [seed("body", salt, i) for i in range(count)]
            deposit = Deposit(seed("sealed", salt), seed("shares", salt))
            deposits = [deposit] * len(epoch.committee)
            batch = make_batch(epoch.epoch, tags, [MONTH] * count, hashes, deposits)
            self._batches.append(batch)
        needed = epoch.threshold if rng.random() < 0.9 else epoch.threshold - 1
        validators = tuple(each.member for each in epoch.committee[:needed])
        receipts = world.receipts(self.member, batch, validators, EXPIRES_MS)
        hash_ = Submission(batch, receipts).content_hash(world.ledger.ledger_id, self.member)
        return Kind.SUBMISSION, encode_submission(batch, receipts), hash_

    def _mark(self) -> tuple[int, bytes, bytes] | None:
        submissions = self._shared.submissions
        own = [each for each in submissions if each[0] == self.member]
        if not own or self._rng.random() < 0.1:
            own = submissions
        if not own:
            return None
        _, index = self._rng.choice(own)
        return _plain(Kind.MARK, encode(Mark(EventId(index, 0), 1, None, 1)))

    def _consent(self) -> tuple[int, bytes, bytes] | None:
        shared, rng = self._shared, self._rng
        if self.member not in READERS:
            return None
        # Now and then a consent to another reader, which only that one may post.
        grantee = self.member if rng.random() < 0.9 else rng.choice(READERS[:3])
        second = rng.choice([each for each in (2, 3, 5) if each != grantee])
        who = rng.choice(SUBJECTS) if shared.knobs.custody else 1
        terms = shared.world.terms(grantee, second, who, ref_hash=seed("ref", shared.signed))
        shared.oracle.drafted(terms)
        shared.terms[consent_id(encode(terms))] = terms, who
        shared.consents.append((consent_id(encode(terms)), grantee, second))
        return _plain(Kind.CONSENT, shared.world.consent(terms))

    def _status(self) -> tuple[int, bytes, bytes] | None:
        consents = self._shared.consents
        own = [each for each in consents if self.member in each[1:]] or consents
        if not own:
            return None
        name, *_ = self._rng.choice(own)
        change = self._rng.choice([*Change, Change.REVOKE])
        return _plain(Kind.STATUS, encode(Status(name, change, 1, None)))

    def _inquiry(self) -> tuple[int, bytes, bytes] | None:
        consents = self._shared.consents
        own = [each for each in consents if each[1] == self.member] or consents
        if not own or self.member not in READERS:
            return None
        name, *_ = self._rng.choice(own[-3:])
        shared, changes = self._shared, {}
        terms, who = shared.terms[name]
        if shared.knobs.custody:
            parts = [seed("one-time", shared.signed, i) for i in range(3)]
            key = PrivateKey.generate(b"".join(parts))
            self._about = Asked(self.member, key, terms, who)
            changes["key_hash"] = key_hash(key.public.encoded)
        inquiry = shared.world.inquiry(name, self.member, who, **changes)
        return _plain(Kind.INQUIRY, encode(inquiry))

    def _key(self) -> tuple[int, bytes, bytes] | None:
        """Return the change that ends the bulk feed and begins another."""
        if self._rng.random() < 0.5:
            return None
        world, number = self._shared.world, self._next_feed()
        added = Feed(number, self._feed_key(number).public, BULK_KINDS)
        nothing = Replaced(None, None, None, None, None)
        change = encode(
            KeyChange(
                world.ledger.ledger_id,
                self.member,
                self._changes,
                (added,),
                (self.lines[0].feed,),
                nothing,
            )
        )
        signature = world.institution(self.member).root.sign("key", change)
        return _plain(Kind.KEY, encode(Key(change, signature)))

    def _junk(self) -> tuple[int, bytes, bytes]:
        """Return content that its kind's codec refuses."""
        return _plain(Kind.MARK, seed("junk", self._shared.signed))

    def _next_feed(self) -> int:
        return 10 + self._changes

    def _feed_key(self, number: int) -> SigningKey:
        return SigningKey(seed("feed", self.member, number))


def _plain(kind: Kind, content: bytes) -> tuple[int, bytes, bytes]:
    return kind, content, content_hash(kind, content)
