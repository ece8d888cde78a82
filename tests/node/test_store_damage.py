"""Every changed byte is found: in rows by `verify`, in files by never giving a wrong answer."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.node.workload import Feeds
from tests.world import ALL, DESK, Institution, World, make_ledger, seed

from tradeline_ledger.consent import consent_id
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.history import EventId
from tradeline_ledger.key import Key, KeyChange, Replaced
from tradeline_ledger.registry import Role
from tradeline_ledger.statement import Kind, content_hash
from tradeline_node import index as tables
from tradeline_node.errors import NodeError
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INSTITUTIONS = (
    Institution(1, "Bank", ALL | Role.VALIDATOR),
    Institution(2, "Notary", Role.AUTHENTICATOR, validator=False),
)
"""As few as there can be, so that every byte gets its turn."""
SAMPLES = 400
"""Bytes flipped of each file that holds rows, or says which files do."""
SAMPLES_OTHER = 10
"""Of RocksDB's own notes and settings."""
ROW_FILES = (".sst", ".log", "CURRENT", "MANIFEST-")
TAG = seed("tag", 1, "a", 3)[:16]


def make_world() -> World:
    return World(make_ledger(INSTITUTIONS), INSTITUTIONS)


def key_change(world: World, feeds: Feeds) -> bytes:
    replaced = Replaced(None, None, None, None, seed("another tag key"))
    change = encode(KeyChange(world.ledger.ledger_id, 2, 0, (), (), replaced))
    signature = world.institution(2).root.sign("key", change)
    content = encode(Key(change, signature))
    return feeds.sign(1, DESK, Kind.KEY, content, content_hash(Kind.KEY, content))


def fill(world: World, store: LedgerStore) -> None:
    """Commit one entry of each kind that a store has rows of its own for."""
    feeds = Feeds(world)
    outcomes: Counter[str] = Counter()

    def block(*entries: bytes) -> None:
        executed = world.block(*entries)
        store.commit(executed, executed.head.height)
        outcomes.update(each.applied.outcome.code for each in executed.placed)

    block(feeds.submission(1, 18, "a"), feeds.refused(2))
    block(feeds.consent(), feeds.mark(1, EventId(1, 17)))
    content = encode(world.inquiry(consent_id(encode(world.terms()))))
    inquiry = feeds.sign(1, DESK, Kind.INQUIRY, content, content_hash(Kind.INQUIRY, content))
    block(inquiry, key_change(world, feeds))
    assert outcomes == {"accepted": 5, "content-malformed": 1}


def test_every_byte_of_every_row_is_verified_and_the_record_is_named(tmp_path: Path) -> None:
    world = make_world()
    store = LedgerStore.open(tmp_path / "ledger", world.ledger)
    fill(world, store)
    database = store._database
    rows = dict(store.iterate(b""))
    assert {key[:1] for key in rows} >= set(tables.NAMES)
    assert store.verify() == []
    flipped = 0
    for key, value in rows.items():
        for at in range(len(value)):
            damaged = bytearray(value)
            damaged[at] ^= 1 << at % 8
            database.write([(key, bytes(damaged))], synced=False)
            findings = store.verify()
            assert [each.where for each in findings] == [tables.describe(key)], (key, at)
            flipped += 1
        database.write([(key, value)], synced=False)
    assert flipped == sum(map(len, rows.values())) > 6000
    assert store.verify() == []
    store.close()


def test_every_row_taken_away_is_found_and_named(tmp_path: Path) -> None:
    world = make_world()
    store = LedgerStore.open(tmp_path / "ledger", world.ledger)
    fill(world, store)
    for key, value in dict(store.iterate(b"")).items():
        store._database.write((), deleted=[key], synced=False)
        (finding,) = store.verify()
        assert finding.where == tables.describe(key), key
        store._database.write([(key, value)], synced=False)
    assert store.verify() == []
    store.close()


def answers(store: LedgerStore, world: World) -> dict[str, object]:
    """Return what a store says to everything that it can be asked, an error's name for an error."""
    size = world.head.size
    asked: dict[str, Callable[[], object]] = {
        "head": lambda: store.head,
        "engine height": lambda: store.engine_height,
        "registry": lambda: store.registry.root,
        "leaves": lambda: store.leaves(0, size),
        "contents": lambda: store.contents(sorted(world.contents)),
        "genesis": lambda: store.content_by_hash(world.ledger.ledger_id),
        "roots": lambda: [store.root(each) for each in range(size + 1)],
        "paths": lambda: store.inclusion_paths(range(size), size),
        "consistency": lambda: [store.consistency_path(each, size) for each in range(1, size)],
        "blocks": lambda: [store.block_of(each) for each in range(size)],
        "ends": lambda: list(store.block_sizes()),
        "history": lambda: store.history(1, TAG, size),
        "marks": lambda: store.marks(1, seed("tag", 1, "a", 17)[:16], size),
        "headers": lambda: [store.event_header(EventId(1, each)) for each in range(18)],
        "event paths": lambda: store.event_paths(1, range(18)),
        "statements": lambda: [
            store.placed_at(key[1:]) for key, _ in store.iterate(tables.STATEMENT)
        ],
        "rows": lambda: {key: store.get(key) for key in world.rows},
    }
    said: dict[str, object] = {}
    for what, ask in asked.items():
        try:
            said[what] = ask()
        except (NodeError, LedgerError) as error:
            said[what] = type(error)
    return said


@pytest.mark.timeout(300)
@pytest.mark.parametrize("in_tables", [True, False], ids=["table files", "write-ahead log"])
def test_no_flipped_byte_of_a_file_leads_to_a_wrong_answer(
    tmp_path: Path, *, in_tables: bool
) -> None:
    world = make_world()
    path, copy = tmp_path / "ledger", tmp_path / "copy"
    store = LedgerStore.open(tmp_path / "open", world.ledger)
    fill(world, store)
    if in_tables:
        store._database.flush()
    right = answers(store, world)
    assert not [said for said in right.values() if isinstance(said, type)]
    shutil.copytree(tmp_path / "open", path)  # as a killed process leaves it
    store.close()
    seen: Counter[str] = Counter()
    files = sorted(each for each in path.iterdir() if each.stat().st_size)
    assert any(each.suffix == (".sst" if in_tables else ".log") for each in files)
    for file in files:
        size = file.stat().st_size
        samples = SAMPLES if any(each in file.name for each in ROW_FILES) else SAMPLES_OTHER
        for at in range(0, size, max(1, size // samples)):
            shutil.copytree(path, copy)
            with (copy / file.name).open("r+b") as damaged:
                damaged.seek(at)
                byte = damaged.read(1)[0]
                damaged.seek(at)
                damaged.write(bytes([byte ^ 1 << at % 8]))
            seen[outcome(copy, world, right, f"{file.name} at {at}")] += 1
            shutil.rmtree(copy)
    assert seen["refused"]
    assert seen["right"]


def outcome(path: Path, world: World, right: dict[str, object], where: str) -> str:
    try:
        store = LedgerStore.open(path, world.ledger)
    except NodeError:
        return "refused"
    try:
        said = answers(store, world)
    finally:
        store.close()
    errors = [what for what in said if isinstance(said[what], type)]
    for what, answer in said.items():
        assert what in errors or answer == right[what], f"{where}: wrong {what}"
    return "error" if errors else "right"
