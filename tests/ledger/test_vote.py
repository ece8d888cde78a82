"""The sign bytes of consensus votes, against what CometBFT itself made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tradeline_ledger.errors import SignatureError
from tradeline_ledger.vote import Ballot, BlockVote, chain_id_of, verify_vote, vote_bytes

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors/votes/votes.json").read_text()
)


def decoded(vector: dict[str, Any]) -> tuple[Ballot, BlockVote]:
    vote = BlockVote(
        bytes.fromhex(vector["block_hash"]),
        vector["parts"],
        bytes.fromhex(vector["parts_hash"]),
        vector["seconds"],
        vector["nanos"],
        bytes.fromhex(vector["signature"]),
    )
    return Ballot(vector["type"], vector["height"], vector["round"]), vote


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["what"]))
def test_votes_are_signed_as_cometbft_signs_them(vector: dict[str, Any]) -> None:
    ballot, vote = decoded(vector)
    public = bytes.fromhex(vector["public"])

    assert vote_bytes(vector["chain_id"], ballot, vote).hex() == vector["sign_bytes"]
    verify_vote(public, vector["chain_id"], ballot, vote)
    with pytest.raises(SignatureError):
        verify_vote(public, "tl-" + "0" * 40, ballot, vote)


def test_chain_id_is_made_of_the_ledger_id() -> None:
    assert chain_id_of(bytes(range(32))) == "tl-000102030405060708090a0b0c0d0e0f10111213"


@pytest.mark.parametrize(
    "block", [(bytes(31), 1, bytes(32)), (b"", 1, b""), (bytes(32), 0, b""), (b"", 0, bytes(32))]
)
def test_block_ids_are_whole_or_absent(block: tuple[bytes, int, bytes]) -> None:
    with pytest.raises(ValueError, match="two hashes of 32 bytes, or no block"):
        BlockVote(*block, 0, 0, bytes(64))
