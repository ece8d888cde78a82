"""A read over every member of a large registry: its tags derived, and looked up one by one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradeline_ledger.calendar import month
from tradeline_ledger.hpke import seal, tag_key_info
from tradeline_ledger.inquiry import Inquiry
from tradeline_ledger.measured import Measured
from tradeline_ledger.sample import SAMPLE_MS, Sample
from tradeline_ledger.tag import Category
from tradeline_node.bench.apply import BATCH_EVENTS, BLOCK_BATCHES, Ingest, random_tags
from tradeline_node.bench.stopwatch import Stopwatch, rss_mib
from tradeline_node.history_reader import read_histories
from tradeline_node.hpke_keys import HpkeKeys
from tradeline_node.scope import derive_scope
from tradeline_node.tag_keys import FOLDER_NAME, TagKeys

if TYPE_CHECKING:
    from tradeline_ledger.genesis import Ledger

VALIDATORS: Final = 4
ROUNDS: Final = 20
YEARS: Final = (2025, 2026)
_UTC_OFFSET_MIN: Final = 480


def measure_scope(members: int, events: int) -> Measured:
    """
    Return what one committee member does for an inquiry that asks `members` members.

    Two years, two categories and the members' own inquiries: a lap is one inquiry, and an event of
    the figures is one tag. The store holds `events` events, none of them about the subject, which
    is what nearly every member answers.
    """
    sample = Sample(VALIDATORS, max(0, members - VALIDATORS))
    ledger, node = sample.ledger, sample.members[0]
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="tradeline-bench-") as folder:
        ingest = Ingest(Path(folder), sample)
        try:
            for _ in range(0, events, BLOCK_BATCHES * BATCH_EVENTS):
                ingest.block(BLOCK_BATCHES, random_tags)
            tag_keys = TagKeys(
                Path(folder) / FOLDER_NAME, ledger.ledger_id, node.id, HpkeKeys(node.hpke)
            )
            for each in (*sample.members, *sample.others):
                info = tag_key_info(ledger.ledger_id, each.id, node.id, node.hpke.public.key_id)
                sealed = seal(node.hpke.public, each.tag_key, info)
                tag_keys.put(ledger.registry, each.id, sealed)
            tags = _ask(ingest, ledger, tag_keys, watch)
        finally:
            ingest.close()
    figures = {
        "members": members,
        "ledger_events": ingest.events,
        "tags": tags,
        "cpu_ms": round(sum(watch.cpu_s.values()) * 1000 / ROUNDS, 2),
    }
    return Measured(
        "scope", tags * ROUNDS, watch.seconds, watch.laps_ms, watch.cpu_s, rss_mib(), figures
    )


def _ask(ingest: Ingest, ledger: Ledger, tag_keys: TagKeys, watch: Stopwatch) -> int:
    """Measure the inquiries; return how many tags each asks for."""
    store = ingest.store
    for number in range(ROUNDS):
        keys = [number.to_bytes(16, "big") + year.to_bytes(16, "big") for year in YEARS]
        with watch.lap():
            with watch.stage("derive"):
                scope = derive_scope(_inquiry(), ledger.registry, 1, tag_keys, keys)
            with watch.stage("look_up"):
                read_histories(store, scope, store.head.size)
    return len(scope)


def _inquiry() -> Inquiry:
    return Inquiry(
        consent_id=bytes(32),
        purpose=1,
        ref_hash=bytes(32),
        operator_hash=bytes(32),
        categories=(int(Category.ACCOUNT), int(Category.PUBLIC_RECORD)),
        contributors=None,
        years=YEARS,
        key_hash=bytes(32),
        tag=bytes(16),
        retain_month=month(SAMPLE_MS, _UTC_OFFSET_MIN) + 24,
    )
