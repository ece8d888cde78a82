"""One node taking attachments into custody: checked, then stored durably, then receipted."""

from __future__ import annotations

import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from tradeline_ledger.body import KEY_BYTES, check_bodies, seal_bodies
from tradeline_ledger.deposit import (
    ATTACHMENT,
    Attachment,
    make_deposits,
    open_deposit,
    sealed_hash,
)
from tradeline_ledger.encoding import encode
from tradeline_ledger.hpke import deposit_info, seal, tag_key_info
from tradeline_ledger.measured import Measured
from tradeline_ledger.sample import SAMPLE_MS, Sample
from tradeline_ledger.sharing import split
from tradeline_ledger.submission import TAG_BYTES, decode_batch, make_batch
from tradeline_node.bench.apply import BATCH_EVENTS, SEED
from tradeline_node.bench.stopwatch import Stopwatch, rss_mib
from tradeline_node.custody import CustodyStore
from tradeline_node.custody_service import CustodyService
from tradeline_node.hpke_keys import HpkeKeys
from tradeline_node.own_deposit import OwnDeposits
from tradeline_node.receipts import Receipts
from tradeline_node.share_box import open_share_box
from tradeline_node.store import LedgerStore
from tradeline_node.tag_keys import FOLDER_NAME, TagKeys

if TYPE_CHECKING:
    from tradeline_ledger.sample import SampleMember

EVENT_BYTES: Final = 250
"""Content of one event, before padding and encryption."""


@dataclass(frozen=True, slots=True)
class _Offer:
    batch: bytes
    attachment: bytes


def measure_custody(events: int) -> Measured:
    """
    Return what it takes to accept so many events, rounded up to whole batches.

    Stage `check` is only what proves an attachment to be what its batch says, measured on its own;
    `accept` is all of it: the check, the copy sealed for this node, files and index, synced, and
    the signed receipt.
    """
    sample = Sample()
    contributor, node = sample.members[0], sample.members[1]
    random = np.random.default_rng(SEED)
    watch, checks = Stopwatch(), Stopwatch()
    batches = -(-events // BATCH_EVENTS)
    stored = 0
    with tempfile.TemporaryDirectory(prefix="tradeline-bench-") as name:
        folder = Path(name)
        store = LedgerStore.open(folder / "ledger", sample.ledger)
        box = open_share_box(folder / "box", HpkeKeys(node.hpke), sample.ledger.ledger_id, node.id)
        custody = CustodyStore(folder / "custody", box, kept_until_ms=SAMPLE_MS)
        try:
            service = CustodyService(
                store,
                custody,
                _tag_keys(folder / FOLDER_NAME, sample, contributor, node),
                member=node.id,
                receipts=Receipts(store, node.id, node.node, lambda: SAMPLE_MS),
                deposits=OwnDeposits(sample.ledger.ledger_id, node.id, HpkeKeys(node.hpke)),
                box=box,
            )
            for _ in range(batches):
                offer = _offer(sample, contributor, random)
                stored += len(offer.attachment)
                with checks.lap(), checks.stage("check"):
                    _check(sample, contributor, node, offer)
                with watch.lap(), watch.stage("accept"):
                    service.accept(contributor.id, offer.batch, offer.attachment)
        finally:
            custody.close()
            store.close()
    count = batches * BATCH_EVENTS
    more = {
        "check_events_per_s": round(count / checks.seconds),
        "check_events_per_cpu_s": round(count / checks.cpu_s["check"]),
        "attachment_bytes_per_event": round(stored / count, 1),
    }
    cpu_s = checks.cpu_s | watch.cpu_s
    return Measured("custody", count, watch.seconds, watch.laps_ms, cpu_s, rss_mib(), more)


def _tag_keys(
    folder: Path, sample: Sample, contributor: SampleMember, node: SampleMember
) -> TagKeys:
    ledger = sample.ledger
    tag_keys = TagKeys(folder, ledger.ledger_id, node.id, HpkeKeys(node.hpke))
    info = tag_key_info(ledger.ledger_id, contributor.id, node.id, node.hpke.public.key_id)
    sealed = seal(node.hpke.public, contributor.tag_key, info)
    tag_keys.put(ledger.registry, contributor.id, sealed)
    return tag_keys


def _offer(sample: Sample, contributor: SampleMember, random: np.random.Generator) -> _Offer:
    """Return a sealed batch of random events, as a contributor hands it over."""
    ledger = sample.ledger
    epoch = ledger.registry.epoch
    tags = [random.bytes(TAG_BYTES) for _ in range(BATCH_EVENTS)]
    events = [random.bytes(EVENT_BYTES) for _ in range(BATCH_EVENTS)]
    months = [sample.retain_month] * BATCH_EVENTS
    keys = secrets.token_bytes(KEY_BYTES * BATCH_EVENTS)
    bodies, hashes = seal_bodies(keys, events, ledger.ledger_id, contributor.id, tags)
    polynomials = secrets.token_bytes(len(keys) * (epoch.threshold - 1))
    shares = split(keys, epoch.threshold, len(sample.members), polynomials)
    deposits, sealed = make_deposits(
        shares,
        [(each.id, each.hpke.public.encoded) for each in sample.members],
        ledger_id=ledger.ledger_id,
        member=contributor.id,
        epoch=epoch.epoch,
        events_root=make_batch(epoch.epoch, tags, months, hashes, ()).events_root,
    )
    batch = make_batch(epoch.epoch, tags, months, hashes, deposits)
    return _Offer(batch.encode(), encode(Attachment(tuple(bodies), tuple(sealed))))


def _check(sample: Sample, contributor: SampleMember, node: SampleMember, offer: _Offer) -> None:
    """Do what custody does before it writes anything."""
    batch, parts = decode_batch(offer.batch), ATTACHMENT.decode(offer.attachment)
    check_bodies(parts.bodies, batch.body_hashes())
    position = sample.ledger.registry.epoch.position(node.id)
    assert position is not None
    sealed = [each for each in parts.sealed if each is not None]
    assert [sealed_hash(each) for each in sealed] == [d.sealed_hash for d in batch.deposits]
    info = deposit_info(
        sample.ledger.ledger_id,
        member=contributor.id,
        epoch=batch.epoch,
        recipient=node.id,
        key_id=node.hpke.public.key_id,
        events_root=batch.events_root,
    )
    open_deposit(node.hpke, sealed[position], info, batch.deposits[position], batch.count)
