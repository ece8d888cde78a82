"""Clients of a cluster's members, and committees that change under them, for tests."""

from __future__ import annotations

from pathlib import Path

from tests.client.network import client_keys, payment
from tests.governance import proposal
from tests.node.cluster import Cluster
from tests.world import BULK, DESK, subject

from tradeline_client.client import Client
from tradeline_client.draft import Wish
from tradeline_client.flows.entry import place
from tradeline_client.flows.inquiry import Question
from tradeline_client.flows.submit import PlacedBatch
from tradeline_client.keystore import Keystore
from tradeline_client.profile import ClientFolder
from tradeline_client.session import Session, clock_ms
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
from tradeline_ledger.proposal import (
    Change,
    ProposalVote,
    SetCommittee,
    VoteChoice,
    proposal_id,
)
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


def open_epoch(cluster: Cluster, clients: list[Client], *members: int) -> None:
    """Have the validators vote a committee of `members` in; `clients` follow the registry."""
    enact(cluster, clients, SetCommittee((1, 2, 3, 4), members))
    for client in clients:
        assert client.registry().epoch == cluster.nodes[0].store.registry.epoch


def enact(cluster: Cluster, clients: list[Client], *changes: Change) -> None:
    """Have the members of three clients decide on changes, and wait for the checkpoint after."""
    content = encode(proposal(cluster.world(), *changes))
    ballot = encode(ProposalVote(proposal_id(content), VoteChoice.APPROVE))
    for client in clients:
        first = client is clients[0]
        kind, posted = (Kind.PROPOSAL, content) if first else (Kind.VOTE, ballot)
        client.run(place(client.session, kind, posted, feed=DESK))
    cluster.wait_for_checkpoint(cluster.node(1).store.head.size)


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
