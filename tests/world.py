"""
A small consortium with keys made from numbers, for tests: no randomness, no clock, no files.

Members 1 to 4 are validators (bank, lender, payment firm, court), 5 is an authenticator without a
node. Feed 1 of each signs submissions and marks, feed 2 consents, changes of status, inquiries
and keys.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache, cached_property

from tradeline_ledger import calendar, state
from tradeline_ledger.body import seal_bodies
from tradeline_ledger.consent import (
    Commitment,
    Consent,
    DataLife,
    Evidence,
    Frequency,
    SecondSignature,
    Terms,
    commitment,
)
from tradeline_ledger.deposit import Attachment, make_deposits
from tradeline_ledger.encoding import encode
from tradeline_ledger.engine_peer import peer_id
from tradeline_ledger.genesis import (
    Genesis,
    Ledger,
    open_genesis,
    sign_genesis,
)
from tradeline_ledger.hpke import PrivateKey
from tradeline_ledger.identifier import IdType, SubjectId, parse_identifier, resident_id
from tradeline_ledger.inquiry import Inquiry, key_hash
from tradeline_ledger.merkle import leaf_hash, root_of
from tradeline_ledger.params import CategoryRetention, Params
from tradeline_ledger.redeposit import Redeposit, redeposit_hash
from tradeline_ledger.registry import (
    CommitteeMember,
    EpochRecord,
    Feed,
    MemberRecord,
    Registry,
    Role,
)
from tradeline_ledger.sharing import split
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import (
    ENTRY,
    FIRST_PREV,
    Kind,
    Statement,
    content_hash,
    kinds_of,
    sign_entry,
    statement_hash,
)
from tradeline_ledger.submission import (
    HEADER_BYTES,
    Batch,
    Deposit,
    Receipt,
    Submission,
    decode_submission,
    encode_headers,
    encode_submission,
    make_batch,
    sign_receipt,
)
from tradeline_ledger.tag import HmacLinker, linker_hash, tag, tag_key_hash, year_key
from tradeline_ledger.transition import (
    Applied,
    Block,
    Context,
    Executed,
    apply,
    execute,
    execute_genesis,
)

GENESIS_MS = 1_790_000_000_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000
CONSORTIUM_KEY = hashlib.sha256(b"consortium").digest()
BULK, DESK = 1, 2
BULK_KINDS = kinds_of(Kind.SUBMISSION, Kind.MARK)
DESK_KINDS = kinds_of(*(set(Kind) - {Kind.SUBMISSION, Kind.RELEASED, Kind.CUSTODY}))


def seed(*parts: object) -> bytes:
    """Return 32 bytes that are always the same for the same words."""
    return hashlib.sha256(repr(parts).encode()).digest()


@dataclass(frozen=True)
class Institution:
    """One member with all its keys."""

    id: int
    name: str
    roles: Role
    validator: bool = True
    engine_port: int = 0
    """Of its consensus engine; 0 where none is started."""

    @cached_property
    def root(self) -> SigningKey:
        return SigningKey(seed("root", self.id))

    @cached_property
    def node(self) -> SigningKey:
        return SigningKey(seed("node", self.id))

    @cached_property
    def note(self) -> SigningKey:
        return SigningKey(seed("note", self.id))

    @cached_property
    def cosigner(self) -> SigningKey:
        return SigningKey(seed("cosigner", self.id))

    @cached_property
    def engine(self) -> SigningKey:
        return SigningKey(seed("engine", self.id))

    @cached_property
    def peer(self) -> SigningKey:
        return SigningKey(seed("peer", self.id))

    @property
    def engine_peer(self) -> str:
        return f"{peer_id(self.peer.public)}@127.0.0.1:{self.engine_port or 8000 + self.id}"

    @cached_property
    def hpke(self) -> PrivateKey:
        return PrivateKey.generate(b"".join(seed("hpke", self.id, part) for part in range(3)))

    @cached_property
    def tag_key(self) -> bytes:
        return seed("tag", self.id)

    def feed_key(self, number: int) -> SigningKey:
        return SigningKey(seed("feed", self.id, number)) if number else self.node

    @cached_property
    def record(self) -> MemberRecord:
        own = self.validator
        return MemberRecord(
            id=self.id,
            from_height=0,
            until_height=None,
            name=self.name,
            group=self.id,
            legal_ids=(),
            roles=int(self.roles),
            root_key=self.root.public,
            feeds=(
                Feed(BULK, self.feed_key(BULK).public, BULK_KINDS),
                Feed(DESK, self.feed_key(DESK).public, DESK_KINDS),
            ),
            node_key=self.node.public if own else None,
            note_key=self.note.public if own else None,
            cosigner_key=self.cosigner.public if own else None,
            engine_key=self.engine.public if own else None,
            hpke_key=self.hpke.public.encoded if own else None,
            tag_key_hash=tag_key_hash(self.tag_key),
            endpoint=f"http://127.0.0.1:{7000 + self.id}" if own else "",
            tls_pin=None,
            engine_peer=self.engine_peer if own else "",
        )


ALL = Role.CONTRIBUTOR | Role.READER | Role.AUTHENTICATOR
INSTITUTIONS = (
    Institution(1, "Bank", ALL | Role.VALIDATOR),
    Institution(2, "Online lender", ALL | Role.VALIDATOR),
    Institution(3, "Payment company", ALL | Role.VALIDATOR),
    Institution(4, "Court registry", Role.CONTRIBUTOR | Role.VALIDATOR),
    Institution(5, "Notary", Role.AUTHENTICATOR, validator=False),
)


def make_ledger(
    institutions: tuple[Institution, ...] = INSTITUTIONS, refused_per_day: int = 1000
) -> Ledger:
    """Return a ledger founded by `institutions`."""
    params = Params(
        release_window_ms=7 * DAY_MS,
        receipt_ms=60 * MINUTE_MS,
        epoch_overlap_ms=DAY_MS,
        inquiry_skew_ms=15 * MINUTE_MS,
        refused_per_day=refused_per_day,
        utc_offset_min=480,
        profile="cn",
        retention=tuple(CategoryRetention(c, 24 if c == 3 else 60) for c in range(1, 7)),
        linker=linker_hash(CONSORTIUM_KEY),
    )
    validators = [each for each in institutions if each.validator]
    epoch = EpochRecord(
        epoch=0,
        from_height=0,
        from_ms=GENESIS_MS,
        suite=1,
        validators=tuple(each.id for each in validators),
        committee=tuple(CommitteeMember(each.id, each.hpke.public.key_id) for each in validators),
    )
    genesis = Genesis(
        1, "Test ledger", GENESIS_MS, 1, params, tuple(each.record for each in institutions), epoch
    )
    return open_genesis(sign_genesis(genesis, [(each.id, each.root) for each in institutions]))


def subject(number: int) -> SubjectId:
    """Return one of many made-up persons, born in 1870."""
    text = resident_id("110101", f"1870-01-{number // 900 % 28 + 1:02}", number % 900 + 1)
    return parse_identifier(IdType.RESIDENT_ID, text, 2026)


@dataclass
class World:
    """A ledger in a dictionary: execute blocks, look at the state."""

    ledger: Ledger = field(default_factory=make_ledger)
    institutions: tuple[Institution, ...] = INSTITUTIONS
    rows: dict[bytes, bytes] = field(default_factory=dict)
    leaves: list[bytes] = field(default_factory=list)
    contents: dict[int, bytes] = field(default_factory=dict)
    time_ms: int = GENESIS_MS
    height: int = 0
    """Of the last block, also if it had no effect."""

    def __post_init__(self) -> None:
        first = execute_genesis(self.ledger)
        self.registry: Registry = first.registry
        self.head = first.head
        self._commit(first)
        self.linker = HmacLinker(CONSORTIUM_KEY)

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def institution(self, number: int) -> Institution:
        return self.institutions[number - 1]

    def apply(self, entry: bytes) -> Applied:
        """Return what the entry would do as the first of the next block."""
        context = Context(
            self.ledger,
            self.registry,
            self.registry,
            self.height + 1,
            self.time_ms + 1,
            self.head.size,
        )
        return apply(self, entry, context)

    def block(self, *entries: bytes, later_ms: int = 1000) -> Executed:
        """Execute and commit one block of `entries`."""
        self.time_ms += later_ms
        block = Block(self.height + 1, self.time_ms, entries)
        executed = execute(self, self.ledger, self.registry, self.head, block)
        self.height = block.height
        self._commit(executed)
        return executed

    def open_epoch(self, *members: int, later_ms: int = 0) -> EpochRecord:
        """Put a committee of `members` in force from the next height on."""
        self.time_ms += later_ms
        record = EpochRecord(
            epoch=len(self.registry.epochs),
            from_height=self.head.height + 1,
            from_ms=self.time_ms,
            suite=1,
            validators=self.registry.epoch.validators,
            committee=tuple(
                CommitteeMember(number, self.institution(number).hpke.public.key_id)
                for number in members
            ),
        )
        self.registry = Registry(self.registry.members, (*self.registry.epochs, record))
        self.rows[state.epoch_key(record.epoch)] = encode(record)
        return record

    def _commit(self, executed: Executed) -> None:
        for placed in executed.placed:
            assert placed.applied.signed is not None
            self.contents[placed.index] = placed.applied.signed.entry.content
        self.leaves += executed.leaves
        self.rows |= executed.writes
        self.registry, self.head = executed.registry, executed.head

    @property
    def root(self) -> bytes:
        return root_of([leaf_hash(leaf) for leaf in self.leaves])

    def position(self, member: int, feed: int) -> tuple[int, bytes]:
        """Return (seq, prev) of the feed's next statement."""
        row = state.read(self, state.FEED, state.feed_key(member, feed))
        return (row.next_seq, row.prev) if row else (0, FIRST_PREV)

    def statement(
        self,
        member: int,
        feed: int,
        kind: int,
        hash_: bytes,
        *,
        ahead: int = 0,
        prev: bytes | None = None,
    ) -> Statement:
        """Return the next statement of a feed; `ahead` and `prev` for later ones of a block."""
        seq, own_prev = self.position(member, feed)
        return Statement(
            1,
            self.ledger.ledger_id,
            member,
            feed,
            seq + ahead,
            prev or own_prev,
            self.time_ms,
            kind,
            hash_,
        )

    def entry(self, member: int, kind: int, content: bytes, feed: int | None = None) -> bytes:
        """Return a signed entry of any kind but a submission."""
        number = (BULK if kind == Kind.MARK else DESK) if feed is None else feed
        statement = self.statement(member, number, kind, content_hash(kind, content))
        return sign_entry(self.institution(member).feed_key(number), statement, content)

    def year_key(self, who: int, year: int) -> bytes:
        """Return the `year_key` of a made-up person."""
        return _year_key(who, year)

    def tag(self, member: int, who: int, year: int, category: int = 1) -> bytes:
        """Return the tag under which `member` files that person."""
        return tag(self.institution(member).tag_key, self.year_key(who, year), category)

    def batch(
        self, member: int, events: list[tuple[bytes, int, bytes]], salt: object = 0
    ) -> tuple[Batch, Attachment, list[bytes]]:
        """Return the batch of (tag, retain_month, event) rows, its attachment and the keys."""
        tags = [row[0] for row in events]
        months = [row[1] for row in events]
        keys = [seed("key", member, salt, i) for i in range(len(events))]
        bodies, hashes = seal_bodies(
            b"".join(keys), [row[2] for row in events], self.ledger.ledger_id, member, tags
        )
        epoch = self.registry.epoch
        committee = [self.institution(each.member) for each in epoch.committee]
        random = b"".join(
            seed("poly", member, salt, i) for i in range(len(events) * (epoch.threshold - 1))
        )
        shares = split(b"".join(keys), epoch.threshold, len(committee), random)
        headers = encode_headers(tags, months, hashes)
        events_root = root_of(
            [leaf_hash(headers[i : i + HEADER_BYTES]) for i in range(0, len(headers), HEADER_BYTES)]
        )
        deposits, sealed = make_deposits(
            shares,
            [(each.id, each.hpke.public.encoded) for each in committee],
            ledger_id=self.ledger.ledger_id,
            member=member,
            epoch=epoch.epoch,
            events_root=events_root,
        )
        batch = make_batch(epoch.epoch, tags, months, hashes, deposits)
        return batch, Attachment(tuple(bodies), tuple(sealed)), keys

    def receipts(
        self,
        member: int,
        batch: Batch,
        validators: tuple[int, ...] = (1, 2, 3),
        expires_ms: int | None = None,
    ) -> tuple[Receipt, ...]:
        """Return receipts of custody for `batch`."""
        until = self.time_ms + 60 * MINUTE_MS if expires_ms is None else expires_ms
        named = batch.hash(self.ledger.ledger_id, member)
        return tuple(self._receipt(each, member, named, until) for each in validators)

    def deal_again(
        self,
        member: int,
        index: int,
        *,
        salt: object = 0,
        dealer: object = 0,
        erased: tuple[int, ...] = (),
    ) -> tuple[tuple[Deposit, ...], list[bytes]]:
        """Return deposits, and sealed ones, of the batch that `batch` made under `salt`."""
        record = self.registry.epoch
        batch = decode_submission(self.contents[index]).batch
        keys = b"".join(
            bytes(32) if i in erased else seed("key", member, salt, i) for i in range(batch.count)
        )
        random = b"".join(
            bytes(32) if i in erased else seed("again", member, dealer, i, degree)
            for degree in range(record.threshold - 1)
            for i in range(batch.count)
        )
        committee = [self.institution(each.member) for each in record.committee]
        dealt, sealed = make_deposits(
            split(keys, record.threshold, len(committee), random),
            [(each.id, each.hpke.public.encoded) for each in committee],
            ledger_id=self.ledger.ledger_id,
            member=member,
            epoch=record.epoch,
            events_root=batch.events_root,
        )
        return tuple(dealt), sealed

    def redeposit(
        self,
        member: int,
        index: int,
        deposits: tuple[Deposit, ...],
        validators: tuple[int, ...] = (1, 2, 3),
        *,
        epoch: int | None = None,
        expires_ms: int | None = None,
    ) -> Redeposit:
        """Return a re-deposit with receipts of `validators`."""
        number = self.registry.epoch.epoch if epoch is None else epoch
        named = redeposit_hash(self.ledger.ledger_id, member, index, number, deposits)
        until = self.time_ms + 60 * MINUTE_MS if expires_ms is None else expires_ms
        receipts = tuple(self._receipt(each, member, named, until) for each in validators)
        return Redeposit(index, number, deposits, receipts)

    def _receipt(self, validator: int, member: int, named: bytes, expires_ms: int) -> Receipt:
        return sign_receipt(
            self.institution(validator).node,
            self.ledger.ledger_id,
            validator=validator,
            member=member,
            batch=named,
            expires_ms=expires_ms,
        )

    def submission(
        self, member: int, batch: Batch, receipts: tuple[Receipt, ...] | None = None
    ) -> bytes:
        """Return the signed entry of a batch."""
        given = self.receipts(member, batch) if receipts is None else receipts
        hash_ = Submission(batch, given).content_hash(self.ledger.ledger_id, member)
        statement = self.statement(member, BULK, Kind.SUBMISSION, hash_)
        key = self.institution(member).feed_key(BULK)
        return sign_entry(key, statement, encode_submission(batch, given))

    def terms(self, grantee: int = 1, second: int = 2, who: int = 1, **changes: object) -> Terms:
        """Return terms of a consent on a made-up person; `changes` replace fields."""
        salt = seed("salt", grantee, second, who)
        years = changes.pop("years", (2025, 2026))
        assert isinstance(years, tuple)
        commitments = sorted(
            (year, commitment(salt, year, self.year_key(who, year))) for year in years
        )
        fields: dict[str, object] = {
            "version": 1,
            "ledger_id": self.ledger.ledger_id,
            "grantee": grantee,
            "basis": 1,
            "second": second,
            "proposal": None,
            "purpose": 1,
            "categories": (1, 2),
            "contributors": None,
            "commitments": tuple(Commitment(year, hash_) for year, hash_ in commitments),
            "from_ms": GENESIS_MS,
            "until_ms": GENESIS_MS + 90 * DAY_MS,
            "frequency": Frequency(1, 2),
            "life": DataLife(2, 3),
            "template": "loan-application-1",
            "language": "en",
            "notice_hash": seed("notice"),
            "evidence": Evidence(3, seed("evidence")),
            "ref_hash": seed("ref"),
            "supersedes": None,
            "subject_key": None,
        }
        return Terms(**(fields | changes))  # type: ignore[arg-type]

    def consent(self, terms: Terms, **changes: object) -> bytes:
        """Return the content of a consent, signed by its second; `changes` replace fields."""
        encoded = encode(terms)
        signature = self.institution(terms.second).feed_key(DESK).sign("consent", encoded)
        fields: dict[str, object] = {
            "terms": encoded,
            "second": SecondSignature(DESK, signature),
            "subject_signature": None,
        }
        return encode(Consent(**(fields | changes)))  # type: ignore[arg-type]

    def inquiry(self, consent: bytes, reader: int = 1, who: int = 1, **changes: object) -> Inquiry:
        """Return an inquiry under `consent`; `changes` replace fields."""
        month = calendar.month(self.time_ms, 480)
        fields: dict[str, object] = {
            "consent_id": consent,
            "purpose": 1,
            "ref_hash": seed("ref"),
            "operator_hash": seed("operator"),
            "categories": (1, 2),
            "contributors": None,
            "years": (2025, 2026),
            "key_hash": key_hash(seed("one-time")),
            "tag": self.tag(reader, who, month // 12, 3),
            "retain_month": month + 24,
        }
        return Inquiry(**(fields | changes))  # type: ignore[arg-type]


@cache
def _year_key(who: int, year: int) -> bytes:
    return year_key(HmacLinker(CONSORTIUM_KEY).link_key(subject(who)), year)


def next_prev(entry: bytes) -> bytes:
    """Return the `prev` of the statement after that of an encoded entry."""
    return statement_hash(ENTRY.decode(entry).statement)
