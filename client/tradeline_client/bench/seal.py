"""Sealing in the client: from a report to a batch that can be handed over, its keys kept."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradeline_client import vault
from tradeline_client.bench.stopwatch import Stopwatch, rss_mib
from tradeline_client.bench.workload import SUBJECTS, reports, subjects
from tradeline_client.keystore import Keystore
from tradeline_client.seal import BATCH_EVENTS, EventSealer
from tradeline_ledger.body import KEY_BYTES, seal_bodies
from tradeline_ledger.deposit import make_deposits
from tradeline_ledger.measured import Measured
from tradeline_ledger.member_files import ClientKeys, FeedKey
from tradeline_ledger.sample import SAMPLE_CONSORTIUM_KEY, SAMPLE_FEED, SAMPLE_MS, Sample
from tradeline_ledger.sharing import split
from tradeline_ledger.statement import Kind, kinds_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_client.seal import PlainEvent, SealedBatch
    from tradeline_ledger.sample import SampleMember

MEMBER: Final = 0
"""Place of the sealing member."""


def measure_seal(events: int) -> Measured:
    """
    Return what it takes to encode and seal so many events, rounded up to whole batches.

    Stages `encode` (a report checked, bound to its subject and encoded), `seal` (all from tags to
    the attachment) and `vault` (the keys, encrypted and synced) add up to the whole. Three parts
    of `seal` are measured once more on their own, in `seal_parts_us`.
    """
    sample = Sample()
    member = sample.members[MEMBER]
    keystore = Keystore(_keys(member))
    sealer = EventSealer(keystore, sample.ledger, lambda: SAMPLE_MS)
    today = datetime.fromtimestamp(SAMPLE_MS / 1000, UTC).date().isoformat()
    count = -(-events // BATCH_EVENTS) * BATCH_EVENTS
    filings = reports(count, subjects(SUBJECTS), today)
    watch, parts = Stopwatch(), Stopwatch()
    event_bytes = 0
    with tempfile.TemporaryDirectory(prefix="tradeline-bench-") as folder:
        key = keystore.storage_key(vault.STORAGE_NAME)
        store = vault.Vault(Path(folder) / "vault.sqlite", key)
        try:
            for start in range(0, count, BATCH_EVENTS):
                chunk = filings[start : start + BATCH_EVENTS]
                with watch.lap():
                    with watch.stage("encode"):
                        plain = [sealer.plain(report, subject) for report, subject in chunk]
                    with watch.stage("seal"):
                        sealed = sealer.seal(plain, sample.ledger.registry)
                    with watch.stage("vault"):
                        store.put(sealed.row)
                event_bytes += sum(len(each.encoded) for each in plain)
                _parts(sample, member, plain, sealed, parts)
        finally:
            store.close()
    own = sum(watch.cpu_s[stage] for stage in ("encode", "seal"))
    more = {
        "events_per_cpu_s": round(count / sum(watch.cpu_s.values())),
        "events_per_cpu_s_without_vault": round(count / own),
        "sealed_events_per_cpu_s": round(count / watch.cpu_s["seal"]),
        "event_bytes": round(event_bytes / count, 1),
        "seal_parts_us": {
            name: round(seconds * 1e6 / count, 3) for name, seconds in parts.cpu_s.items()
        },
    }
    return Measured("seal", count, watch.seconds, watch.laps_ms, watch.cpu_s, rss_mib(), more)


def _keys(member: SampleMember) -> ClientKeys:
    feed = FeedKey(SAMPLE_FEED, member.seed("feed"), kinds_of(Kind.SUBMISSION))
    storage = member.seed("storage")
    return ClientKeys(member.id, (feed,), None, SAMPLE_CONSORTIUM_KEY, member.tag_key, storage)


def _parts(
    sample: Sample,
    member: SampleMember,
    plain: Sequence[PlainEvent],
    sealed: SealedBatch,
    watch: Stopwatch,
) -> None:
    """Do the dearest parts of `seal` again, each measured."""
    ledger, epoch = sample.ledger, sample.ledger.registry.epoch
    keys = os.urandom(KEY_BYTES * len(plain))
    tags = sealed.batch.tags()
    with watch.stage("bodies"):
        seal_bodies(keys, [each.encoded for each in plain], ledger.ledger_id, member.id, tags)
    random = os.urandom(len(keys) * (epoch.threshold - 1))
    with watch.stage("split"):
        shares = split(keys, epoch.threshold, len(sample.members), random)
    with watch.stage("deposits"):
        make_deposits(
            shares,
            [(each.id, each.hpke.public.encoded) for each in sample.members],
            ledger_id=ledger.ledger_id,
            member=member.id,
            epoch=epoch.epoch,
            events_root=sealed.batch.events_root,
        )
