"""Duplicate votes as the engine reports them: a real one proves it, and we make evidence of it."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec.structs
import pytest
from tests import accused
from tests.node.cluster import Cluster, wait_for
from tests.node.engines import CometBftCluster
from tests.world import INSTITUTIONS, make_ledger, seed

from tradeline_client.verification import Brought, verify_file
from tradeline_ledger.conviction import Conviction, encode_votes
from tradeline_ledger.evidence import verify_evidence
from tradeline_ledger.evidence_file import EvidenceType
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.trust import TrustedLog
from tradeline_ledger.vote import Ballot, BlockVote, VoteType, chain_id_of, vote_bytes
from tradeline_node.engine.cometbft_home import engine_address
from tradeline_node.engine.cometbft_rpc import CometBftRpc, SyncInfo
from tradeline_node.engine.reported_votes import (
    EVIDENCE_AGE_HEIGHTS,
    HEADERS_AT_ONCE,
    NEW_HEIGHTS_MAX,
    ReportedVotes,
)
from tradeline_node.errors import EngineError
from tradeline_node.logs import node_log
from tradeline_node.store import LedgerStore

EMPTY = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"
GUILTY = INSTITUTIONS[1]


def signed_vote(key: SigningKey, chain_id: str, ballot: Ballot, salt: int) -> BlockVote:
    vote = BlockVote(seed("block", salt), 1, seed("parts", salt), int(time.time()), 5, bytes(64))
    signature = key.sign_raw(vote_bytes(chain_id, ballot, vote))
    return msgspec.structs.replace(vote, signature=signature)


def vote_json(vote: BlockVote, ballot: Ballot, address: bytes, index: int) -> dict[str, Any]:
    """Return a vote as CometBFT's RPC writes it."""
    at = datetime.fromtimestamp(vote.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return {
        "type": int(ballot.type),
        "height": str(ballot.height),
        "round": ballot.round,
        "block_id": {
            "hash": vote.block_hash.hex().upper(),
            "parts": {"total": vote.parts, "hash": vote.parts_hash.hex().upper()},
        },
        "timestamp": f"{at}.{vote.nanos:09}Z",
        "validator_address": address.hex().upper(),
        "validator_index": index,
        "signature": base64.b64encode(vote.signature).decode(),
        "extension": None,
        "extension_signature": None,
    }


def report_json(
    ballot: Ballot, key: SigningKey, chain_id: str, index: int, time_text: str
) -> dict[str, Any]:
    """Return the report of two votes of one validator, of four with one vote each."""
    votes = [signed_vote(key, chain_id, ballot, salt) for salt in (1, 2)]
    votes.sort(key=lambda each: each.block)
    address = engine_address(key.public)
    return {
        "type": "tendermint/DuplicateVoteEvidence",
        "value": {
            "vote_a": vote_json(votes[0], ballot, address, index),
            "vote_b": vote_json(votes[1], ballot, address, index),
            "TotalVotingPower": "4",
            "ValidatorPower": "1",
            "Timestamp": time_text,
        },
    }


class Blocks:
    """The RPC of an engine with so many blocks, some with reports."""

    def __init__(self, height: int, reports: dict[int, list[dict[str, Any]]]) -> None:
        self.height, self.reports = height, reports
        self.looked: list[int] = []
        self.failing = False

    def sync_info(self) -> SyncInfo:
        if self.failing:
            raise EngineError("away")
        return SyncInfo(self.height, catching_up=False)

    def evidence_hashes(self, first: int, last: int) -> dict[int, str]:
        assert 1 <= first <= last < first + HEADERS_AT_ONCE
        heights = range(first, min(last, self.height) + 1)
        self.looked += heights
        return {each: "AB" * 32 if each in self.reports else EMPTY for each in heights}

    def block_evidence(self, height: int) -> list[dict[str, Any]]:
        return self.reports[height]


class _Store:
    registry = make_ledger().registry


def searching(blocks: Blocks) -> ReportedVotes:
    return ReportedVotes(
        cast("CometBftRpc", blocks), cast("LedgerStore", _Store()), node_log("test")
    )


def report(height: int, key: SigningKey = GUILTY.engine) -> dict[str, Any]:
    chain_id = chain_id_of(make_ledger().ledger_id)
    ballot = Ballot(VoteType.PREVOTE, height, 2)
    return report_json(ballot, key, chain_id, 0, "2026-01-01T00:00:00Z")


def test_report_in_a_new_block_is_found_once_and_convicts() -> None:
    blocks = Blocks(100, {})
    search = searching(blocks)
    assert search.find() == []
    blocks.height, blocks.reports = 103, {102: [report(99)]}
    (found,) = search.find()
    assert (found.member, found.ballot) == (GUILTY.id, Ballot(VoteType.PREVOTE, 99, 2))
    data = encode_votes(TrustedLog.start(make_ledger()), found.member, found.ballot, found.votes)
    proven = verify_evidence(data)
    assert isinstance(proven, Conviction)
    assert proven.member == GUILTY.id
    assert search.find() == []


def test_every_block_that_may_hold_a_report_is_looked_through_once_after_a_start() -> None:
    blocks = Blocks(1001, {3: [report(2)]})
    search = searching(blocks)
    found = [each for _ in range(20) for each in search.find()]
    assert [each.ballot.height for each in found] == [2]
    assert sorted(blocks.looked) == list(range(1, 1002))


def test_what_is_too_old_to_report_is_left_alone() -> None:
    blocks = Blocks(EVIDENCE_AGE_HEIGHTS + 5000, {})
    search = searching(blocks)
    for _ in range(EVIDENCE_AGE_HEIGHTS // 200 + 5):
        search.find()
    assert min(blocks.looked) == 5000


def test_one_round_is_bounded_also_when_many_blocks_came() -> None:
    blocks = Blocks(10, {})
    search = searching(blocks)
    search.find()
    blocks.height = 10 + 3 * NEW_HEIGHTS_MAX
    blocks.looked.clear()
    search.find()
    assert len(blocks.looked) == NEW_HEIGHTS_MAX


def test_engine_that_is_away_is_asked_again_and_nothing_is_missed() -> None:
    blocks = Blocks(10, {})
    search = searching(blocks)
    search.find()
    blocks.height, blocks.reports, blocks.failing = 12, {11: [report(9)]}, True
    with pytest.raises(EngineError, match="away"):
        search.find()
    blocks.failing = False
    assert [each.ballot.height for each in search.find()] == [9]


def test_reports_of_others_and_of_other_types_are_passed_over() -> None:
    stranger = report(9, SigningKey(seed("stranger")))
    light = {"type": "tendermint/LightClientAttackEvidence", "value": {}}
    search = searching(Blocks(10, {10: [stranger, light]}))
    assert search.find() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", 3),
        ("type", "2"),
        ("height", "0"),
        ("height", "x"),
        ("height", "1" * 300),
        ("round", -1),
        ("timestamp", "yesterday"),
        ("timestamp", "2026-13-01T00:00:00Z"),
        ("signature", "!"),
        ("signature", "AAAA"),
        ("validator_address", "zz"),
        ("block_id", {"hash": "AB", "parts": {"total": 1, "hash": ""}}),
        ("block_id", None),
    ],
)
def test_report_that_does_not_decode_hides_no_other(field: str, value: object) -> None:
    broken = report(9)
    broken["value"]["vote_a"][field] = value
    search = searching(Blocks(10, {10: [broken, report(8)]}))
    assert [each.ballot.height for each in search.find()] == [8]


def test_found_votes_become_a_file_of_the_node(tmp_path: Path) -> None:
    with Cluster(tmp_path / "net", {"publish.compare_ms": 50}).running() as running:
        node = running.node(1)
        ballot = Ballot(VoteType.PRECOMMIT, 7, 0)
        key = running.institution(2).engine
        chain_id = chain_id_of(running.ledger.ledger_id)
        made = report_json(ballot, key, chain_id, 0, "2026-01-01T00:00:00Z")
        search = ReportedVotes(cast("CometBftRpc", Blocks(8, {8: [made]})), node.store, node.log)
        node.keeper._reported = search.find
        (kept,) = wait_for(node.evidence.files, "evidence")
        assert (kept.type, kept.member) == (EvidenceType.VOTES, 2)
        data = running.request(6, f"/v1/evidence/{kept.name}").content
        verdict = verify_file(data, Brought(ledger=running.ledger))
        assert (verdict.kind.value, verdict.ok) == ("votes", True)
        assert running.request(None, "/healthz").status_code == 503


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[CometBftCluster]:
    made = CometBftCluster(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.mark.network
@pytest.mark.timeout(300)
def test_votes_that_real_engines_have_proven_are_found_and_convict(
    engines: CometBftCluster,
) -> None:
    """A validator signs twice; one engine is shown it, and all put it into a block."""
    rpc, own = engines.replicas[0].rpc, engines.founders[1]
    search = ReportedVotes(rpc, engines.replicas[3].store, node_log("test"))
    wait_for(lambda: rpc.sync_info().height >= 3)
    search.find()
    height = rpc.sync_info().height
    validators = rpc._result("validators", {"height": str(height)})["validators"]
    addresses = [each["address"] for each in validators]
    index = addresses.index(engine_address(own.engine.public).hex().upper())
    header = rpc._result("block", {"height": str(height)})["block"]["header"]
    ballot = Ballot(VoteType.PRECOMMIT, height, 0)
    ledger = engines.world.ledger
    made = report_json(ballot, own.engine, ledger.chain_id, index, header["time"])
    shown = rpc._ask("broadcast_evidence", {"evidence": made})
    assert "error" not in shown, shown
    # Another validator's engine finds it in the block that all of them agreed on.
    search = ReportedVotes(engines.replicas[3].rpc, engines.replicas[3].store, node_log("test"))
    (found,) = wait_for(search.find, "a report")
    data = encode_votes(TrustedLog.start(ledger), found.member, found.ballot, found.votes)
    verdict = verify_file(data, Brought(ledger=ledger))
    assert (found.member, verdict.ok) == (own.id, True)
    wait_for(lambda: all(each.misbehavior for each in engines.replicas))


def test_votes_of_the_helpers_are_the_ones_that_convict() -> None:
    """The helper signs as `tests.accused` does, which vectors of CometBFT confirm."""
    ledger = make_ledger()
    vote = signed_vote(GUILTY.engine, chain_id_of(ledger.ledger_id), accused.BALLOT, 1)
    other = accused.vote(ledger, accused.NO_BLOCK)
    pair = encode_votes(TrustedLog.start(ledger), GUILTY.id, accused.BALLOT, (vote, other))
    proven = verify_evidence(pair)
    assert isinstance(proven, Conviction)
    assert proven.member == GUILTY.id
