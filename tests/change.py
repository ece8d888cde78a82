"""Clients of a cluster's members, and committees that change under them, for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from msgspec.structs import replace as replace_record
from tests.client.network import client_keys, payment
from tests.node.cluster import Cluster, wait_for
from tests.world import BULK, DESK, subject

from tradeline_client.client import Client
from tradeline_client.draft import Wish
from tradeline_client.flows.inquiry import Question
from tradeline_client.flows.submit import PlacedBatch
from tradeline_client.keystore import Keystore
from tradeline_client.profile import ClientFolder
from tradeline_client.session import Session, clock_ms
from tradeline_ledger import state
from tradeline_ledger.consent import (
    DataLife,
    Evidence,
    EvidenceType,
    Frequency,
    FrequencyUnit,
    Purpose,
)
from tradeline_ledger.encoding import encode
from tradeline_ledger.member_files import Profile, encode_profile
from tradeline_ledger.registry import Registry
from tradeline_ledger.statement import Kind

DAY_MS = 86_400_000
YEARS = (2025, 2026)


def open_client(cluster: Cluster, path: Path, member: int) -> Client:
    """Return the client of a member, whose folder is at `path`."""
    name = cluster.institution(member).name
    profile = Profile(member, name, cluster.ledger.ledger_id, BULK, DESK, DESK, home=member)
    path.mkdir(mode=0o700, exist_ok=True)
    (path / "client.toml").write_text(encode_profile(profile))
    (path / "genesis").write_bytes(cluster.ledger.file)
    folder = ClientFolder(path, profile, cluster.ledger)
    return Client(Session(folder, Keystore(client_keys(member)), clock_ms))


def follow(cluster: Cluster, client: Client) -> None:
    """Let a client know the registry of the nodes."""
    store, session = cluster.nodes[0].store, client.session
    session.follow(replace(session.trust, registry=store.registry, size=store.head.size))


def open_epoch(cluster: Cluster, clients: list[Client], *members: int) -> None:
    """Put a committee of `members` in force on every node, a block later."""
    wait_for(lambda: not any(node.outbox.pending() for node in cluster.nodes))
    world = cluster.world()
    # The next block names it, so it is in force from the one after on.
    opened = replace_record(world.open_epoch(*members), from_height=world.head.height + 2)
    registry = Registry(world.registry.members, (*world.registry.epochs[:-1], opened))
    for node in cluster.nodes:
        node.store._database.write([(state.epoch_key(opened.epoch), encode(opened))], [])
        node.store.registry = registry
        # No entry opened it, so that there is no registry step to publish.
        node.publisher._registry_root = registry.root
    index = cluster.post(5, cluster.world().entry(5, Kind.COMPLAINT, b""))
    cluster.wait_for_checkpoint(index + 2)
    for client in clients:
        follow(cluster, client)


def submit(client: Client, count: int = 3, prefix: str = "row", batch: int = 10) -> list[int]:
    """Submit payments of persons 0, 1, 2 …; return the log indexes of their batches."""
    events = [
        client.plain(payment(f"{prefix}-{i}", "2026-03-05"), subject(i % 3)) for i in range(count)
    ]
    placed = list(client.submit_many(client.batches(events, batch)))
    assert all(isinstance(each, PlacedBatch) for each in placed)
    return [each.placement.index for each in placed if isinstance(each, PlacedBatch)]


def grant(reader: Client, second: Client, who: int = 1) -> bytes:
    """Return a consent about a person."""
    now_ms = clock_ms()
    wish = Wish(
        second=second.session.member,
        purpose=Purpose.LOAN_APPLICATION,
        categories=(1, 2),
        years=YEARS,
        from_ms=now_ms - 1000,
        until_ms=now_ms + 30 * DAY_MS,
        frequency=Frequency(FrequencyUnit.DAY, 9),
        life=DataLife(2, 3),
        template="loan-application-1",
        language="en",
        notice_hash=bytes(32),
        evidence=Evidence(EvidenceType.SIGNED_DOCUMENT, bytes(32)),
        reference="application 4711",
    )
    signed = second.sign_consent(reader.draft_consent(wish, [subject(who)]), [subject(who)])
    reader.grant(signed)
    return signed.consent_id


def ask(consent: bytes) -> Question:
    """Return a question about everything that a consent allows."""
    return Question(consent, Purpose.LOAN_APPLICATION, "clerk 17", "application 4711")
