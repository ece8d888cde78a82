"""
From what a contributor reports to a sealed batch: tags, bodies, shares, deposits, attachment.

DESIGN.md sections 6 and 7. Everything here stays with the member until `flows.submit` hands the
result over; identifiers, plaintexts and keys are in no representation.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from tradeline_client.vault import VaultRow, encode_places
from tradeline_ledger.body import KEY_BYTES, seal_bodies
from tradeline_ledger.calendar import MONTHS_PER_YEAR, month_of, year_of
from tradeline_ledger.deposit import ATTACHMENT_BYTES_MAX, Attachment, make_deposits
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import EventError, MalformedError
from tradeline_ledger.event import Report, bind, category_of, encode_event, retain_month
from tradeline_ledger.hpke import hpke_key_id
from tradeline_ledger.sharing import split
from tradeline_ledger.submission import EVENTS_MAX, make_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradeline_client.keystore import Keystore
    from tradeline_client.vault import VaultEvent
    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.identifier import SubjectId
    from tradeline_ledger.registry import Registry
    from tradeline_ledger.submission import Batch

BATCH_EVENTS: Final = 1_000
"""Events of one batch unless the caller says otherwise."""


@dataclass(frozen=True, slots=True)
class PlainEvent:
    """One event ready to be sealed: its bytes and what decides where it is filed."""

    subject: SubjectId
    category: int
    month: int
    """Of `occurred_on`: `year * 12 + month - 1`."""
    retain_month: int
    """Month of `occurred_on` + months that its category is kept."""
    ref: bytes
    """The contributor's keyed reference, 16 bytes, as in the event."""
    encoded: bytes
    """As `encode_event` writes it."""
    correction: bool
    """Whether it corrects or retracts another event."""

    @property
    def year(self) -> int:
        """Of `occurred_on`: the tag's."""
        return self.month // MONTHS_PER_YEAR

    def __repr__(self) -> str:
        return f"PlainEvent({self.ref.hex()}, not shown)"


@dataclass(frozen=True, slots=True)
class PlainColumns:
    """Events ready to be sealed, column by column; each column has one item an event."""

    encoded: Sequence[bytes]
    """As `encode_event` writes them."""
    tags: Sequence[bytes]
    """This member's tags of subject, year and category, 16 bytes each."""
    refs: bytes
    """The contributor's keyed references, 16 bytes each, as in the events."""
    retain_months: Sequence[int]
    """As in the headers."""
    months: Sequence[int]
    """Of `occurred_on`, counted alike; their years are those of the tags."""
    categories: Sequence[int]
    """Of the tags."""
    corrections: Sequence[int]
    """1 for events that correct or retract another, else 0."""

    def __len__(self) -> int:
        return len(self.encoded)

    def __repr__(self) -> str:
        return f"PlainColumns({len(self)} events, not shown)"


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """A batch as it is handed over, and the vault's row of it."""

    batch: Batch
    batch_hash: bytes
    attachment: bytes
    """Encoded `Attachment`."""
    row: VaultRow
    """To be stored before anything leaves."""

    def __repr__(self) -> str:
        return f"SealedBatch({self.batch_hash.hex()}, count={self.batch.count})"

    def custody_body(self) -> bytes:
        """Return the body of the request that hands batch and attachment to a committee member."""
        return encode((self.batch.encode(), self.attachment))


class EventSealer:
    """Seals one member's events. Remembers tags of subjects, so it stays with the keystore."""

    __slots__ = ("_clock_ms", "_filer", "_keystore", "_ledger", "params")

    def __init__(self, keystore: Keystore, ledger: Ledger, clock_ms: Callable[[], int]) -> None:
        """Seal with the keys of `keystore` for the committee of `ledger`."""
        self._keystore = keystore
        self._ledger = ledger
        self.params = ledger.params
        """In force; whoever follows the registry sets them."""
        self._clock_ms = clock_ms
        self._filer = keystore.filer()

    def __repr__(self) -> str:
        return f"EventSealer(member={self._keystore.member})"

    def plain(
        self, report: Report, subject: SubjectId, target: VaultEvent | None = None
    ) -> PlainEvent:
        """
        Return a report about `subject`, checked and encoded.

        A correction is filed where the event is that it corrects: give that as `target`.

        Raises:
            EventError: the report does not follow its schema, or the correction is about another
                subject, year or category than its target.
        """
        filer, year = self._filer, _year(report)
        event = bind(report, self._keystore.references, _binder(filer.check, subject))
        encoded = encode_event(event)
        own = category_of(event)
        if target is not None:
            _check_target(report, own, year, target)
            category = target.category
            if target.tag not in filer.tags_ever(subject, year, category):
                raise EventError(
                    f"the event at {target.id} is not about this subject; a correction names the "
                    "subject of its target, and a wrong subject is retracted and posted anew"
                )
        elif own is None or report.target is not None:
            raise EventError(
                f"{report.schema.title} corrects another event: look its target up in the vault "
                "and give it along"
            )
        else:
            category = int(own)
        month = retain_month(report.occurred_on, self.params.retain_months(category))
        occurred = month_of(report.occurred_on)
        return PlainEvent(
            subject, category, occurred, month, event.ref, encoded, target is not None
        )

    def seal(self, events: Sequence[PlainEvent], registry: Registry) -> SealedBatch:
        """
        Return the batch of `events`, sealed for the committee of the epoch in force.

        Raises:
            MalformedError: none, too many or too long events, or too large an attachment.
        """
        tag = self._filer.tag
        columns = PlainColumns(
            encoded=[each.encoded for each in events],
            tags=[tag(each.subject, each.year, each.category) for each in events],
            refs=b"".join([each.ref for each in events]),
            retain_months=[each.retain_month for each in events],
            months=[each.month for each in events],
            categories=[each.category for each in events],
            corrections=[each.correction for each in events],
        )
        return self.seal_columns(columns, registry)

    def seal_columns(self, columns: PlainColumns, registry: Registry) -> SealedBatch:
        """
        Return the batch of the events in `columns`, sealed as `seal` does.

        Raises:
            MalformedError: as `seal`.
        """
        count = len(columns)
        if not 0 < count <= EVENTS_MAX:
            raise MalformedError(f"a batch has 1 to {EVENTS_MAX} events, got {count}")
        ledger_id, member = self._ledger.ledger_id, self._keystore.member
        epoch = registry.epoch
        tags, months = columns.tags, columns.retain_months
        keys = os.urandom(KEY_BYTES * count)
        bodies, body_hashes = seal_bodies(keys, columns.encoded, ledger_id, member, tags)
        open_batch = make_batch(epoch.epoch, tags, months, body_hashes, ())
        committee = committee_keys(registry)
        random = os.urandom(len(keys) * (epoch.threshold - 1))
        shares = split(keys, epoch.threshold, len(committee), random)
        deposits, sealed = make_deposits(
            shares,
            committee,
            ledger_id=ledger_id,
            member=member,
            epoch=epoch.epoch,
            events_root=open_batch.events_root,
        )
        attachment = encode(Attachment(tuple(bodies), tuple(sealed)))
        if len(attachment) > ATTACHMENT_BYTES_MAX:
            raise MalformedError(
                f"attachment has {len(attachment)} bytes, at most {ATTACHMENT_BYTES_MAX}; put "
                "fewer events into a batch"
            )
        batch = replace(open_batch, deposits=tuple(deposits))
        batch_hash = batch.hash(ledger_id, member)
        row = VaultRow(
            batch_hash=batch_hash,
            epoch=epoch.epoch,
            count=count,
            created_ms=self._clock_ms(),
            keys=keys,
            refs=columns.refs,
            tags=b"".join(tags),
            places=encode_places(months, columns.months, columns.categories, columns.corrections),
        )
        return SealedBatch(batch, batch_hash, attachment, row)

    def batches(
        self, events: Iterable[PlainEvent], registry: Registry, batch_events: int = BATCH_EVENTS
    ) -> Iterator[SealedBatch]:
        """
        Yield the batches of `events`, each of at most `batch_events`, as they are asked for.

        Raises:
            MalformedError: as `seal`.
        """
        rest = iter(events)
        while chunk := tuple(islice(rest, batch_events)):
            yield self.seal(chunk, registry)


def _binder(
    check: Callable[[SubjectId, int, bytes], bytes], subject: SubjectId
) -> Callable[[int, bytes], bytes]:
    return lambda year, ref: check(subject, year, ref)


def _year(report: Report) -> int:
    try:
        return year_of(report.occurred_on)
    except ValueError:
        raise EventError("occurred_on: expected a day of the calendar, as YYYY-MM-DD") from None


def _check_target(report: Report, category: int | None, year: int, target: VaultEvent) -> None:
    expected = target.id
    if report.target != (expected.index, expected.position):
        raise EventError(
            f"{report.schema.title} names another event than {expected}, which was looked up"
        )
    if year != target.year:
        raise EventError(
            f"occurred_on: got a day of {year}, expected one of {target.year}, the year of the "
            "corrected event; an event of another year is retracted and posted anew"
        )
    if category not in (None, target.category):
        raise EventError(
            f"the replacement belongs to category {category}, its target to {target.category}; "
            "an event of another category is retracted and posted anew"
        )


def committee_keys(registry: Registry) -> list[tuple[int, bytes]]:
    """
    Return member id and HPKE public key of each committee member in force, in committee order.

    Raises:
        MalformedError: a member's key in the registry is not the one that the epoch names.
    """
    found = []
    for each in registry.epoch.committee:
        record = registry.member(each.member)
        if record is None or record.hpke_key is None:
            raise MalformedError(f"committee member {each.member} has no HPKE key in the registry")
        if hpke_key_id(record.hpke_key) != each.hpke_key_id:
            raise MalformedError(
                f"the HPKE key of committee member {each.member} is not the one that epoch "
                f"{registry.epoch.epoch} names; follow the registry up to today"
            )
        found.append((each.member, record.hpke_key))
    return found
