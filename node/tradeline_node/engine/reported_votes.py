"""
Duplicate votes that CometBFT has proven: found in its blocks, as they were signed.

The application is told only that a validator voted twice, not how. The two votes stand in the
block that reports it, so the headers of all blocks are looked through for such reports: new ones
first, then backwards as far as the engine itself would still take a report, so that a restart
needs no memory of where the last search ended.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from tradeline_ledger.vote import Ballot, BlockVote
from tradeline_node.engine.cometbft_home import engine_address

if TYPE_CHECKING:
    from tradeline_node.engine.cometbft_rpc import CometBftRpc
    from tradeline_node.logs import Log
    from tradeline_node.store import LedgerStore

HEADERS_AT_ONCE: Final = 20
"""The most that CometBFT answers with."""
NEW_HEIGHTS_MAX: Final = 2_000
"""Looked through in one round; the rest in the next."""
OLD_HEIGHTS: Final = 200
"""Looked through backwards in one round."""
EVIDENCE_AGE_HEIGHTS: Final = 100_000
"""What CometBFT calls too old to report, by its default."""

_NO_EVIDENCE: Final = sha256().hexdigest().upper()
_DUPLICATE: Final = "tendermint/DuplicateVoteEvidence"
_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?Z", re.ASCII
)
_NANOS_DIGITS: Final = 9
_Text = Annotated[str, Meta(max_length=200)]


@dataclass(frozen=True, slots=True)
class DuplicateVotes:
    """Two votes of a validator on one ballot, as a block reports them; not verified here."""

    member: int
    ballot: Ballot
    votes: tuple[BlockVote, BlockVote]


class _Parts(msgspec.Struct, frozen=True):
    total: Annotated[int, Meta(ge=0, lt=2**32)]
    hash: _Text


class _BlockId(msgspec.Struct, frozen=True):
    hash: _Text
    parts: _Parts


class _Vote(msgspec.Struct, frozen=True):
    type: int
    height: _Text
    round: int
    block_id: _BlockId
    timestamp: _Text
    validator_address: _Text
    signature: _Text


class _Pair(msgspec.Struct, frozen=True):
    vote_a: _Vote
    vote_b: _Vote


class ReportedVotes:
    """Looks through the blocks of one engine; one thread at a time."""

    def __init__(self, rpc: CometBftRpc, store: LedgerStore, log: Log) -> None:
        """Ask `rpc`; whose a vote is says the registry of `store`."""
        self._rpc, self._store, self._log = rpc, store, log
        self._newest: int | None = None
        """Up to where all was looked through; None before the first look."""
        self._oldest = 0
        """From where."""

    def find(self) -> list[DuplicateVotes]:
        """
        Return what blocks report that were not looked through yet; call again for more.

        Raises:
            EngineError: the engine does not answer, or not as it should; call again later.
        """
        latest = self._rpc.sync_info().height
        if latest < 1:
            return []
        if self._newest is None:
            self._newest, self._oldest = latest - 1, latest
        end = min(latest, self._newest + NEW_HEIGHTS_MAX)
        found = self._reports(self._newest + 1, end)
        self._newest = end
        floor = max(1, self._newest - EVIDENCE_AGE_HEIGHTS)
        start = max(floor, self._oldest - OLD_HEIGHTS)
        if start < self._oldest:
            found += self._reports(start, self._oldest - 1)
            self._oldest = start
        return found

    def _reports(self, first: int, last: int) -> list[DuplicateVotes]:
        found = []
        for start in range(first, last + 1, HEADERS_AT_ONCE):
            hashes = self._rpc.evidence_hashes(start, min(last, start + HEADERS_AT_ONCE - 1))
            for height, hash_ in hashes.items():
                if hash_ != _NO_EVIDENCE:
                    found += [
                        pair
                        for each in self._rpc.block_evidence(height)
                        for pair in self._read(each)
                    ]
        return found

    def _read(self, report: dict[str, Any]) -> list[DuplicateVotes]:
        """Return the votes of one report; none if it has none that decode, or is of no member."""
        if report.get("type") != _DUPLICATE:
            return []
        try:
            pair = msgspec.convert(report.get("value"), _Pair)
            address = bytes.fromhex(pair.vote_a.validator_address)
            first = pair.vote_a
            ballot = msgspec.convert((first.type, int(first.height), first.round), Ballot)
            votes = (_vote(pair.vote_a), _vote(pair.vote_b))
        except (msgspec.MsgspecError, ValueError, binascii.Error) as error:
            self._log.warning("the engine reports votes that don't decode", reason=str(error))
            return []
        for record in self._store.registry.members:
            if record.engine_key is not None and engine_address(record.engine_key) == address:
                return [DuplicateVotes(record.id, ballot, votes)]
        return []


def _vote(vote: _Vote) -> BlockVote:
    seconds, nanos = _time(vote.timestamp)
    block = vote.block_id
    fields = (
        bytes.fromhex(block.hash),
        block.parts.total,
        bytes.fromhex(block.parts.hash),
        seconds,
        nanos,
        base64.b64decode(vote.signature, validate=True),
    )
    return msgspec.convert(fields, BlockVote)


def _time(text: str) -> tuple[int, int]:
    """Return seconds and nanoseconds of an instant as Go writes it in JSON."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no instant")
    seconds = int(datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp())
    return seconds, int((match[2] or "0").ljust(_NANOS_DIGITS, "0"))
