"""The vault: durable before custody, erasable without a trace, copied with proof."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest
from tests.client.network import Network, payment, seal
from tests.world import seed, subject

from tradeline_client.errors import NotFoundError, StoreError
from tradeline_client.seal import PlainEvent
from tradeline_client.session import Session
from tradeline_client.vault import Vault, VaultRow, encode_places, restore
from tradeline_ledger.body import open_body
from tradeline_ledger.deposit import ATTACHMENT
from tradeline_ledger.event import decode_event
from tradeline_ledger.history import EventId
from tradeline_ledger.tag import check_value

KEY = seed("vault key")


def row(name: str, count: int = 3, index: int | None = None) -> VaultRow:
    return VaultRow(
        batch_hash=seed("batch", name),
        epoch=0,
        count=count,
        created_ms=5,
        keys=b"".join(seed("key", name, i) for i in range(count)),
        refs=b"".join(seed("ref", name, i)[:16] for i in range(count)),
        tags=b"".join(seed("tag", name, i)[:16] for i in range(count)),
        places=encode_places(
            [24_000 + i for i in range(count)], [24_320] * count, [1] * count, [0] * count
        ),
        log_index=index,
    )


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault.sqlite", KEY)


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_row_comes_back_and_file_is_private(vault: Vault, tmp_path: Path) -> None:
    vault.put(row("a"))
    vault.placed(seed("batch", "a"), 7)
    assert vault.row(seed("batch", "a")) == row("a", index=7)
    event = vault.find(EventId(7, 2))
    assert (event.ref, event.tag) == (seed("ref", "a", 2)[:16], seed("tag", "a", 2)[:16])
    assert (event.retain_month, event.year, event.month) == (24_002, 2026, 24_320)
    assert (event.category, event.correction) == (1, False)
    assert event.id == EventId(7, 2)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_nothing_stands_in_clear(vault: Vault, tmp_path: Path) -> None:
    vault.put(row("a"))
    found = everything(tmp_path)
    for clear in (seed("key", "a", 0), seed("ref", "a", 1)[:16], seed("tag", "a", 2)[:16]):
        assert clear not in found
    assert seed("key", "a", 0).hex() not in repr(vault.row(seed("batch", "a")))


def test_events_are_found_by_reference_newest_first(vault: Vault) -> None:
    vault.put(row("a", index=1))
    twice = row("b", index=9)
    vault.put(VaultRow(**{f: getattr(twice, f) for f in twice.__slots__} | {"refs": row("a").refs}))
    found = vault.find_ref(seed("ref", "a", 1)[:16])
    assert [event.id for event in found] == [EventId(9, 1), EventId(1, 1)]
    assert vault.find_ref(row("a").refs[8:24]) == []


@pytest.mark.parametrize("event", [EventId(8, 0), EventId(7, 3)])
def test_unknown_event_is_not_found(vault: Vault, event: EventId) -> None:
    vault.put(row("a", index=7))
    with pytest.raises(NotFoundError):
        vault.find(event)
    with pytest.raises(NotFoundError):
        vault.erase(event)


def test_event_of_a_batch_not_yet_placed_has_no_id(vault: Vault) -> None:
    vault.put(row("a"))
    (event,) = vault.find_ref(seed("ref", "a", 0)[:16])
    with pytest.raises(NotFoundError, match="send what is pending"):
        _ = event.id


def test_erased_key_is_gone_from_every_file(vault: Vault, tmp_path: Path) -> None:
    vault.put(row("a", 200, index=7))
    raw = sqlite3.connect(tmp_path / "vault.sqlite")
    (before,) = raw.execute("SELECT keys FROM batch").fetchone()
    raw.close()
    assert vault.erase(EventId(7, 100))
    assert not vault.erase(EventId(7, 100))
    found = everything(tmp_path)
    # The old ciphertext would open with the keystore: no piece of it is left.
    pieces = [before[i : i + 64] for i in range(0, len(before) - 64, 64)]
    assert not any(piece in found for piece in pieces)
    kept = vault.row(seed("batch", "a"))
    assert kept.event(100).erased
    assert not kept.event(99).erased
    assert kept.keys[99 * 32 : 100 * 32] == seed("key", "a", 99)
    assert vault.verify().erased == 1


def test_discarded_row_is_gone_unless_it_is_on_the_ledger(vault: Vault) -> None:
    vault.put(row("a"))
    vault.put(row("b", index=3))
    vault.discard(seed("batch", "a"))
    vault.discard(seed("batch", "b"))
    assert [each.batch_hash for each in vault.rows()] == [seed("batch", "b")]


def test_backup_is_verified_and_restores(vault: Vault, tmp_path: Path) -> None:
    vault.put(row("a", index=1))
    vault.put(row("b"))
    report = vault.backup(tmp_path / "copy")
    assert (report.batches, report.events, report.unplaced) == (2, 6, (seed("batch", "b"),))
    with pytest.raises(StoreError, match="can't be written"):
        vault.backup(tmp_path / "copy")
    with pytest.raises(StoreError, match="exists"):
        restore(tmp_path / "copy", tmp_path / "vault.sqlite", KEY)
    assert restore(tmp_path / "copy", tmp_path / "new", KEY) == report
    assert list(Vault(tmp_path / "new", KEY).rows()) == list(vault.rows())
    with pytest.raises(StoreError, match="no backup"):
        restore(tmp_path / "absent", tmp_path / "other", KEY)


def test_damaged_or_foreign_vault_is_refused(vault: Vault, tmp_path: Path) -> None:
    vault.put(row("a"))
    vault.close()
    with pytest.raises(StoreError, match="another keystore"):
        Vault(tmp_path / "vault.sqlite", seed("other")).verify()
    raw = sqlite3.connect(tmp_path / "vault.sqlite")
    raw.execute("UPDATE batch SET tags = refs")
    raw.commit()
    raw.close()
    with pytest.raises(StoreError, match="altered"):
        Vault(tmp_path / "vault.sqlite", KEY).verify()
    (tmp_path / "vault.sqlite").write_bytes(os.urandom(4096))
    with pytest.raises(StoreError):
        Vault(tmp_path / "vault.sqlite", KEY)


def test_sealed_batches_open_with_the_keys_in_the_vault(network: Network, session: Session) -> None:
    sealed = seal(session, 3)
    session.vault.put(sealed.row)
    kept = session.vault.row(sealed.batch_hash)
    bodies = ATTACHMENT.decode(sealed.attachment).bodies
    for position, body in enumerate(bodies):
        assert body is not None
        key = kept.keys[position * 32 : position * 32 + 32]
        ledger_id, tag = network.world.ledger.ledger_id, kept.event(position).tag
        event = decode_event(open_body(key, body, ledger_id, 1, tag))
        assert event.ref == kept.event(position).ref
        year_key = network.world.year_key(position, 2026)
        assert event.check == check_value(year_key, 1, event.ref)
        assert tag == network.world.tag(1, position, 2026)


def test_raw_events_are_sealed_where_the_caller_says(session: Session) -> None:
    encoded = session.sealer.plain(payment("x"), subject(1)).encoded
    event = PlainEvent(subject(2), 5, 24_290, 24_999, b"r" * 16, encoded, correction=True)
    sealed = session.sealer.seal([event], session.registry)
    assert sealed.row.event(0).category == 5
    assert (sealed.row.event(0).year, sealed.row.event(0).month) == (2024, 24_290)
    assert sealed.row.event(0).correction
    assert sealed.batch.tag(0) == sealed.row.event(0).tag
