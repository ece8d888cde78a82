"""The audit of a mirror: every file read, every rule executed again, from genesis on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from tradeline_client.audit import audit
from tradeline_client.audit.folder import CHECKPOINT, GENESIS, LOG_VKEY, POLICY, content_name
from tradeline_client.bench.stopwatch import Stopwatch, rss_mib
from tradeline_ledger.checkpoint import Checkpoint, encode_checkpoint
from tradeline_ledger.cosignature import cosign, cosigner_name
from tradeline_ledger.errors import VerificationError
from tradeline_ledger.measured import Measured
from tradeline_ledger.merkle import leaf_hash, levels_of, root_of
from tradeline_ledger.note import KeyType, Note, VerifierKey, encode_note, encode_vkey, sign_note
from tradeline_ledger.policy import validators_policy
from tradeline_ledger.policy_file import encode_policy
from tradeline_ledger.sample import SAMPLE_MS, Sample, SampleFeed
from tradeline_ledger.statement import STATEMENT, EntryLeaf, decode_leaf
from tradeline_ledger.submission import TAG_BYTES
from tradeline_ledger.tile import (
    bundles_between,
    encode_bundle,
    encode_path,
    encode_tile,
    tiles_between,
)
from tradeline_ledger.transition import Block, Executed, execute, execute_genesis

BATCH_EVENTS: Final = 1_000
BLOCK_BATCHES: Final = 4
"""One of each member."""
_BLOCK_MS: Final = 1_000
_SEED: Final = 20_260_921
_HASH_BYTES: Final = 32
_TILE_LEAVES: Final = 256


def measure_audit(events: int) -> Measured:
    """
    Return what it takes to audit mirrors of a quarter of the events, and of all of them.

    Time is linear and memory flat if both cost alike: `growth` is the ratio of their costs, and
    `rss_mib_quarter` the memory after the first. The figures are those of the second.
    """
    costs, resident = [], []
    for share in (4, 1):
        batches = max(1, events // share // BATCH_EVENTS)
        with tempfile.TemporaryDirectory(prefix="tradeline-bench-") as folder:
            files = _Mirror(Path(folder)).write(batches)
            watch = Stopwatch()
            before = rss_mib()
            with watch.lap(), watch.stage("audit"):
                report = audit(Path(folder), files.policy)
        if not report.consistent or report.events != batches * BATCH_EVENTS:
            raise VerificationError(f"the audit of a right mirror found {report.findings[:3]}")
        costs.append(watch.cpu_s["audit"] / report.events)
        resident.append((before, rss_mib()))
    more = {
        "events_per_cpu_s": round(1 / costs[1]),
        "growth": round(costs[1] / costs[0], 3),
        "rss_mib_added": round(resident[1][1] - resident[1][0], 1),
        "rss_mib_added_by_a_quarter": round(resident[0][1] - resident[0][0], 1),
    }
    return Measured(
        "audit", report.events, watch.seconds, watch.laps_ms, watch.cpu_s, resident[1][1], more
    )


class _Mirror:
    """Writes the mirror of a ledger of blind batches, as it executes them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sample = Sample()
        self._rows: dict[bytes, bytes] = {}
        self._leaves: list[bytes] = []
        ledger = self._sample.ledger
        self.policy = validators_policy(ledger.origin, [m.record for m in self._sample.members])
        """What the checkpoint is signed under."""

    def get(self, key: bytes) -> bytes | None:
        """Return a row of the state; that is all that executing blocks needs."""
        return self._rows.get(key)

    def write(self, batches: int) -> _Mirror:
        """Execute that many batches and write every file."""
        sample = self._sample
        feeds = [SampleFeed(sample, member) for member in sample.members]
        random = np.random.default_rng(_SEED)
        self._file(content_name(sample.ledger.ledger_id), sample.ledger.genesis_bytes)
        last = execute_genesis(sample.ledger)
        self._take(last)
        for start in range(0, batches, BLOCK_BATCHES):
            entries = tuple(
                feed.blind(
                    random.bytes(TAG_BYTES * BATCH_EVENTS), random.bytes(_HASH_BYTES * BATCH_EVENTS)
                )
                for feed in feeds[: batches - start]
            )
            height = last.head.height + 1
            block = Block(height, SAMPLE_MS + height * _BLOCK_MS, entries)
            last = execute(self, sample.ledger, last.registry, last.head, block)
            self._take(last)
        self._tiles()
        self._signed()
        return self

    def _take(self, executed: Executed) -> None:
        for placed in executed.placed:
            assert placed.applied.signed is not None, "a placed entry was signed"
            leaf = decode_leaf(executed.leaves[placed.index - len(self._leaves)])
            assert isinstance(leaf, EntryLeaf), "an entry has its leaf"
            name = content_name(STATEMENT.decode(leaf.statement).content_hash)
            self._file(name, placed.applied.signed.entry.content)
        self._leaves += executed.leaves
        self._rows |= executed.writes

    def _tiles(self) -> None:
        size = len(self._leaves)
        levels = [[leaf_hash(leaf) for leaf in self._leaves]]
        while len(levels[-1]) >= _TILE_LEAVES:
            full = len(levels[-1]) // _TILE_LEAVES * _TILE_LEAVES
            parts = range(0, full, _TILE_LEAVES)
            levels.append([levels_of(levels[-1][at : at + _TILE_LEAVES])[-1][0] for at in parts])
        for tile in tiles_between(0, size):
            start = tile.index * _TILE_LEAVES
            hashes = levels[tile.level][start : start + tile.width]
            self._file(encode_path(tile), encode_tile(hashes))
        for bundle in bundles_between(0, size):
            start = bundle.index * _TILE_LEAVES
            leaves = self._leaves[start : start + bundle.width]
            self._file(encode_path(bundle), encode_bundle(leaves))

    def _signed(self) -> None:
        sample, origin = self._sample, self._sample.ledger.origin
        root = root_of([leaf_hash(leaf) for leaf in self._leaves])
        text = encode_checkpoint(Checkpoint(origin, len(self._leaves), root))
        lines = []
        for member in sample.members:
            lines.append(sign_note(text, origin, member.note))
            name = cosigner_name(origin, member.id)
            lines.append(cosign(text, name, member.cosigner, SAMPLE_MS // 1000))
        own = VerifierKey(origin, KeyType.NOTE, sample.members[0].note.public)
        self._file(CHECKPOINT, encode_note(Note(text, tuple(lines))))
        self._file(GENESIS, sample.ledger.file)
        self._file(POLICY, encode_policy(self.policy))
        self._file(LOG_VKEY, f"{encode_vkey(own)}\n".encode())

    def _file(self, name: str, data: bytes) -> None:
        path = self._path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
