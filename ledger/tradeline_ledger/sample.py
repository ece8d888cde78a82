"""
A throw-away consortium whose keys are made from numbers, for benchmarks: it protects nothing.

Everything follows from its arguments. Headers are whatever the caller gives, receipts and
statements are really signed, so that whoever executes or audits them does all of their work.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from tradeline_ledger.calendar import month
from tradeline_ledger.encoding import encode
from tradeline_ledger.genesis import (
    Genesis,
    Ledger,
    open_genesis,
    sign_genesis,
)
from tradeline_ledger.hpke import PrivateKey
from tradeline_ledger.params import CATEGORIES, CategoryRetention, Params
from tradeline_ledger.registry import CommitteeMember, EpochRecord, Feed, MemberRecord, Role
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import (
    FIRST_PREV,
    Kind,
    Statement,
    kinds_of,
    sign_entry,
    statement_hash,
)
from tradeline_ledger.submission import (
    TAG_BYTES,
    Batch,
    Deposit,
    Submission,
    encode_submission,
    make_batch,
    sign_receipt,
)
from tradeline_ledger.tag import linker_hash, tag_key_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLE_MS: Final = 1_790_000_000_000
"""Time of the genesis."""
SAMPLE_CONSORTIUM_KEY: Final = hashlib.sha256(b"sample consortium").digest()
SAMPLE_PORT: Final = 7101
SAMPLE_FEED: Final = 1
"""Signs everything."""
_HASH_BYTES: Final = 32
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_RETAIN_MONTHS: Final = 60
_UTC_OFFSET_MIN: Final = 480


class SampleMember:
    """One member with all its keys."""

    def __init__(
        self,
        number: int,
        *,
        validator: bool = True,
        port: int = SAMPLE_PORT,
        tls_pin: bytes | None = None,
    ) -> None:
        """
        Make the keys of member `number`; without a node it only contributes and reads.

        Its node is on loopback, the first one's at `port`; with `tls_pin` it serves TLS.
        """
        self.id = number
        self.validator = validator
        self._endpoint = f"{'https' if tls_pin else 'http'}://127.0.0.1:{port + number - 1}"
        self._tls_pin = tls_pin
        self.root = self._key("root")
        self.node = self._key("node")
        self.note = self._key("note")
        self.cosigner = self._key("cosigner")
        self.feed = self._key("feed")
        self.hpke = PrivateKey.generate(b"".join(self.seed(f"hpke {part}") for part in range(3)))
        self.tag_key = self.seed("tag")

    def seed(self, purpose: str) -> bytes:
        """Return 32 bytes that are always the same for one member and purpose."""
        return hashlib.sha256(f"sample {self.id} {purpose}".encode()).digest()

    @property
    def record(self) -> MemberRecord:
        """The member's record in the genesis."""
        own = self.validator
        roles = Role.CONTRIBUTOR | Role.READER
        return MemberRecord(
            id=self.id,
            from_height=0,
            until_height=None,
            name=f"Member {self.id}",
            group=self.id,
            legal_ids=(),
            roles=int(roles | Role.VALIDATOR if own else roles),
            root_key=self.root.public,
            feeds=(Feed(SAMPLE_FEED, self.feed.public, kinds_of(Kind.SUBMISSION)),),
            node_key=self.node.public if own else None,
            note_key=self.note.public if own else None,
            cosigner_key=self.cosigner.public if own else None,
            engine_key=None,
            hpke_key=self.hpke.public.encoded if own else None,
            tag_key_hash=tag_key_hash(self.tag_key),
            endpoint=self._endpoint if own else "",
            tls_pin=self._tls_pin if own else None,
            engine_peer="",
        )

    def _key(self, purpose: str) -> SigningKey:
        return SigningKey(self.seed(purpose))


class Sample:
    """A ledger of such members."""

    def __init__(
        self,
        validators: int = 4,
        others: int = 0,
        *,
        port: int = SAMPLE_PORT,
        tls_pin: bytes | None = None,
    ) -> None:
        """Found the ledger; `others` have no node, see `SampleMember` for the nodes."""
        self.members = tuple(
            SampleMember(number, port=port, tls_pin=tls_pin) for number in range(1, validators + 1)
        )
        """The validators."""
        last = validators + others
        self.others = tuple(
            SampleMember(number, validator=False) for number in range(validators + 1, last + 1)
        )
        self.ledger = self._found()
        self.retain_month = month(SAMPLE_MS, _UTC_OFFSET_MIN) + _RETAIN_MONTHS
        """Month until which all events are kept."""

    def _found(self) -> Ledger:
        params = Params(
            release_window_ms=7 * _DAY_MS,
            receipt_ms=30 * _DAY_MS,
            epoch_overlap_ms=_DAY_MS,
            inquiry_skew_ms=_HOUR_MS,
            refused_per_day=1000,
            utc_offset_min=_UTC_OFFSET_MIN,
            profile="cn",
            retention=tuple(CategoryRetention(each, _RETAIN_MONTHS) for each in CATEGORIES),
            linker=linker_hash(SAMPLE_CONSORTIUM_KEY),
        )
        epoch = EpochRecord(
            epoch=0,
            from_height=0,
            from_ms=SAMPLE_MS,
            suite=1,
            validators=tuple(each.id for each in self.members),
            committee=tuple(CommitteeMember(m.id, m.hpke.public.key_id) for m in self.members),
        )
        records = tuple(each.record for each in (*self.members, *self.others))
        genesis = Genesis(1, "Sample ledger", SAMPLE_MS, 1, params, records, epoch)
        founders = [(each.id, each.root) for each in (*self.members, *self.others)]
        return open_genesis(sign_genesis(genesis, founders))


class SampleFeed:
    """One member's chain of submissions."""

    def __init__(self, sample: Sample, member: SampleMember) -> None:
        """Begin the feed of `member` at its first statement."""
        self._sample = sample
        self._member = member
        self._seq = 0
        self._prev = FIRST_PREV

    def blind(self, tags: bytes, body_hashes: bytes) -> bytes:
        """
        Return the entry of a batch of which nobody holds bodies or shares.

        `tags` are 16 bytes an event, `body_hashes` 32, one after another.
        """
        sample = self._sample
        hashes = _parts(body_hashes, _HASH_BYTES)
        deposit = Deposit(hashes[0], hashes[-1])
        months = [sample.retain_month] * len(hashes)
        deposits = (deposit,) * len(sample.members)
        return self.entry(make_batch(0, _parts(tags, TAG_BYTES), months, hashes, deposits))

    def entry(self, batch: Batch) -> bytes:
        """Return the feed's next entry: `batch` with receipts of a threshold of the committee."""
        ledger = self._sample.ledger
        ledger_id, member = ledger.ledger_id, self._member
        hash_ = batch.hash(ledger_id, member.id)
        receipts = tuple(
            sign_receipt(
                each.node,
                ledger_id,
                validator=each.id,
                member=member.id,
                batch=hash_,
                expires_ms=SAMPLE_MS + 30 * _DAY_MS,
            )
            for each in self._sample.members[: ledger.registry.epoch.threshold]
        )
        content_hash = Submission(batch, receipts).content_hash(ledger_id, member.id)
        statement = Statement(
            1,
            ledger_id,
            member.id,
            SAMPLE_FEED,
            self._seq,
            self._prev,
            SAMPLE_MS,
            Kind.SUBMISSION,
            content_hash,
        )
        self._seq += 1
        self._prev = statement_hash(encode(statement))
        return sign_entry(member.feed, statement, encode_submission(batch, receipts))


def _parts(data: bytes, size: int) -> Sequence[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
