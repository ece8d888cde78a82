"""What votes do to a ledger store: blocks without entries, epochs, settings, registry steps."""

from __future__ import annotations

from pathlib import Path

import msgspec.structs
import pytest
from tests.governance import newcomer_record, post, proposal, vote
from tests.world import World

from tradeline_ledger.log_chunk import LOG_CHUNK
from tradeline_ledger.proposal import Admit, SetCommittee, SetParams
from tradeline_ledger.transition import Executed
from tradeline_ledger.trust import change_at
from tradeline_node.committed import committed_of, committed_since
from tradeline_node.log_export import export_chunk
from tradeline_node.store import LedgerStore


class StoredWorld(World):
    """A world whose blocks go to a store, too."""

    store: LedgerStore

    def _commit(self, executed: Executed) -> None:
        super()._commit(executed)
        if self.height:
            self.store.commit(executed, self.height)


@pytest.fixture
def world(tmp_path: Path) -> StoredWorld:
    """Return a world in which a proposal took effect in a block without entries."""
    world = StoredWorld()
    world.store = LedgerStore.open(tmp_path / "ledger", world.ledger)
    params = SetParams(msgspec.structs.replace(world.ledger.params, profile="eu"))
    changes = (Admit(newcomer_record()), params, SetCommittee((1, 2, 3, 4, 6), (1, 2, 3, 6)))
    _, identity = post(world, proposal(world, *changes, effect_height=7))
    world.block(vote(world, 2, identity), vote(world, 3, identity))
    for _ in range(5):
        world.block()
    assert world.registry.epoch.from_height == 7
    return world


def test_a_store_opens_with_the_registry_that_votes_made(
    world: StoredWorld, tmp_path: Path
) -> None:
    world.store.close()
    store = LedgerStore.open(tmp_path / "ledger", world.ledger)
    assert store.registry == world.registry
    assert store.ledger.params_of(store.registry).profile == "eu"
    assert store.engine_height == world.height
    store.close()


def test_a_block_leaf_alone_is_verified_and_built_anew_like_any_block(world: StoredWorld) -> None:
    size = world.head.size
    assert world.store.block_of(size - 1) == (size - 1, size - 1)
    assert world.store.block_end(5) == size - 1
    assert world.store.block_end(6) == size
    assert world.store.verify() == []
    world.store.rebuild_index()
    assert world.store.verify() == []
    assert world.store.registry == world.registry


def test_a_chunk_of_the_log_holds_the_block_without_entries(world: StoredWorld) -> None:
    chunk = LOG_CHUNK.decode(export_chunk(world.store, 1, world.head.size)[0])
    assert [len(block.contents) for block in chunk.blocks] == [1, 2, 0]


def test_listeners_hear_of_a_block_without_entries(world: StoredWorld) -> None:
    *_, last = committed_since(world.store, 1)
    assert last.grew
    assert not last.placed
    assert last.registry_root == world.registry.root
    idle = committed_of(world.block())
    assert not idle.grew


def test_a_step_shows_what_the_block_changed(world: StoredWorld) -> None:
    change = change_at(world.store.registry, 6)
    assert [each.id for each in change.members] == [6]
    assert change.epoch == world.registry.epoch
    assert change.settings == world.registry.settings[0]
