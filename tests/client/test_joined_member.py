"""The client of a member that was admitted by a vote, and is in no genesis."""

from __future__ import annotations

from pathlib import Path

import msgspec.structs
import pytest
from tests.client.network import Network, client_keys, make_folder, make_session
from tests.governance import NEWCOMER, newcomer_record, proposal, vote
from tests.world import DESK, seed

from tradeline_client.errors import FolderError
from tradeline_client.flows.checkpoint import registry
from tradeline_client.flows.governance import propose
from tradeline_client.keystore import Keystore
from tradeline_client.session import Session
from tradeline_ledger.encoding import encode
from tradeline_ledger.proposal import Admit, SetRoles, proposal_id
from tradeline_ledger.statement import Kind


@pytest.fixture
def network() -> Network:
    """Return nodes of a ledger that has admitted a sixth member."""
    network = Network()
    world = network.world
    world.institutions = (*world.institutions, NEWCOMER)
    content = encode(proposal(world, Admit(newcomer_record())))
    network.block(world.entry(1, Kind.PROPOSAL, content, DESK))
    for member in (2, 3):
        network.block(vote(world, member, proposal_id(content)))
    return network


def test_a_joined_member_opens_its_folder_follows_the_vote_and_posts(
    network: Network, tmp_path: Path
) -> None:
    session = make_session(tmp_path, network, member=6)
    record = network.run(session, registry(session)).member(6)
    assert record is not None
    assert record.name == NEWCOMER.name
    wish = proposal(network.world, SetRoles(6, 1))
    assert network.run(session, propose(session, wish)).outcome.accepted


def test_a_joined_member_with_the_keys_of_another_ledger_is_told(
    network: Network, tmp_path: Path
) -> None:
    keys = msgspec.structs.replace(client_keys(6), consortium_key=seed("another ledger's"))
    folder = make_folder(tmp_path, network, member=6)
    with pytest.raises(FolderError, match="consortium key in this keystore is not the one"):
        Session(folder, Keystore(keys), network.clock_ms)
