"""The two clients are one; folders and keystores; nothing that identifies anybody leaks."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec.structs
import pytest
from tests.client.network import Network, client_keys, make_folder, make_session, payment, seal
from tests.client.test_consent import question, wish
from tests.governance import newcomer_record
from tests.world import BULK, DESK, seed, subject

from tradeline_client import pipeline
from tradeline_client.client import AsyncClient, Client
from tradeline_client.draft import write_draft
from tradeline_client.errors import ClientError, CustodyError, FolderError, RefusedError
from tradeline_client.flows.consent import draft, grant, sign_as_second
from tradeline_client.flows.inquiry import inquire
from tradeline_client.flows.mark import erase
from tradeline_client.flows.submit import PlacedBatch, submit
from tradeline_client.keystore import Keystore, open_keystore, write_keystore
from tradeline_client.profile import open_folder
from tradeline_client.requests import Answer, Flow, Request, Response, TransportFailure
from tradeline_client.seal import SealedBatch
from tradeline_client.session import Session
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.identifier import SubjectId
from tradeline_ledger.mark import MarkReason
from tradeline_ledger.statement import Kind

T = TypeVar("T")


def public(of: type) -> dict[str, Callable[..., Any]]:
    members = inspect.getmembers(of, inspect.isfunction) + inspect.getmembers(of, inspect.ismethod)
    return {name: member for name, member in members if not name.startswith("_")}


def test_both_clients_have_the_same_methods() -> None:
    threads, loop = public(Client), public(AsyncClient)
    assert threads.keys() == loop.keys()
    for name, method in threads.items():
        one, other = inspect.signature(method), inspect.signature(loop[name])
        assert list(one.parameters.values()) == list(other.parameters.values()), name
        swapped = str(one.return_annotation).replace("Iterator[", "AsyncIterator[")
        same = {one.return_annotation, swapped, one.return_annotation.replace("Cl", "AsyncCl")}
        assert other.return_annotation in same, name
        waits = inspect.iscoroutinefunction(loop[name])
        local = inspect.getattr_static(Client, name) is inspect.getattr_static(AsyncClient, name)
        assert waits != (local or name in {"open", "submit_many", "redeposit"}), name


# Pipelines.


class InMemory:
    """Stands for both transports: runs flows against a network in memory."""

    def __init__(self, network: Network, session: Session) -> None:
        self.network, self.session = network, session

    def run(self, flow: Flow[T]) -> T:
        return self.network.run(self.session, flow)


class InMemoryAsync(InMemory):
    async def run(self, flow: Flow[T]) -> T:  # type: ignore[override]
        await asyncio.sleep(0)
        return self.network.run(self.session, flow)


def sealed(session: Session, count: int) -> Iterator[SealedBatch]:
    for i in range(count):
        yield seal(session, 2, f"batch-{i}")


def many(
    kind: str, network: Network, session: Session, batches: Iterator[SealedBatch], in_flight: int
) -> list[pipeline.Result]:
    if kind == "threads":
        transport: Any = InMemory(network, session)
        return list(pipeline.submit_many(session, transport, batches, in_flight))

    async def collect() -> list[pipeline.Result]:
        other: Any = InMemoryAsync(network, session)
        results: AsyncIterator[pipeline.Result] = pipeline.submit_many_async(
            session, other, batches, in_flight
        )
        return [each async for each in results]

    return asyncio.run(collect())


@pytest.mark.parametrize("kind", ["threads", "loop"])
@pytest.mark.parametrize("in_flight", [1, 3])
def test_batches_are_placed_in_order(
    network: Network, session: Session, kind: str, in_flight: int
) -> None:
    results = many(kind, network, session, sealed(session, 7), in_flight)
    hashes = [each.batch_hash for each in results if isinstance(each, PlacedBatch)]
    assert len(hashes) == 7
    chain = [session.journal.at(BULK, seq) for seq in range(7)]
    assert [each.about for each in chain if each] == hashes
    assert session.journal.pending() == []


@pytest.mark.parametrize("kind", ["threads", "loop"])
def test_batches_are_read_no_further_ahead_than_allowed(
    network: Network, session: Session, kind: str
) -> None:
    taken = []

    def counted() -> Iterator[SealedBatch]:
        for each in sealed(session, 12):
            taken.append(each)
            yield each

    transport: Any = InMemory(network, session)
    if kind == "threads":
        next(pipeline.submit_many(session, transport, counted(), 2))
        assert len(taken) <= 5
        return

    async def first() -> None:
        other: Any = InMemoryAsync(network, session)
        results = pipeline.submit_many_async(session, other, counted(), 2)
        await anext(results)
        await results.aclose()  # type: ignore[attr-defined]

    asyncio.run(first())
    assert len(taken) <= 6


@pytest.mark.parametrize("kind", ["threads", "loop"])
def test_refused_batch_does_not_stop_those_after_it(
    network: Network, session: Session, kind: str
) -> None:
    first = seal(session, 2, "twice")
    network.run(session, submit(session, first))
    batches = iter([seal(session, 2, "a"), first, seal(session, 2, "b")])
    results = many(kind, network, session, batches, 2)
    assert [isinstance(each, PlacedBatch) for each in results] == [True, False, True]
    assert isinstance(results[1], RefusedError)
    assert results[1].code == "batch-duplicate"
    assert session.vault.row(first.batch_hash).log_index == 1


@pytest.mark.parametrize("kind", ["threads", "loop"])
def test_lost_custody_ends_the_pipeline(network: Network, session: Session, kind: str) -> None:
    network.nodes[1].up = network.nodes[2].up = False
    with pytest.raises(CustodyError):
        many(kind, network, session, sealed(session, 5), 2)
    assert session.journal.pending() == []


# What must be on the disk before a request leaves.


def test_vault_and_journal_are_written_before_anything_leaves(
    network: Network, session: Session, tmp_path: Path
) -> None:
    batch = seal(session)
    found: list[str] = []

    def in_vault(request: Request, honest: Response) -> Answer:
        other = make_session(tmp_path / "client", network)
        assert other.vault.row(batch.batch_hash).keys == batch.row.keys
        other.close()
        found.append("vault")
        return honest

    def in_journal(request: Request, honest: Response) -> Answer:
        other = make_session(tmp_path / "client", network)
        assert [signed.entry for signed in other.journal.pending()] == [request.body]
        other.close()
        found.append("journal")
        return honest

    for node in network.nodes.values():
        node.lies |= {"POST /v1/custody": in_vault, "POST /v1/entries": in_journal}
    network.run(session, submit(session, batch))
    assert {"vault", "journal"} == set(found)


# Folders and keystores.


def test_keystore_opens_with_its_passphrase_only(tmp_path: Path) -> None:
    path = tmp_path / "client.keys"
    write_keystore(path, client_keys(1), b"secret")
    keystore = open_keystore(path, b"secret")
    assert (keystore.member, keystore.feeds) == (1, (BULK, DESK))
    assert keystore.feed(BULK).public == Keystore(client_keys(1)).feed(BULK).public
    with pytest.raises(FolderError, match="passphrase is wrong"):
        open_keystore(path, b"other")
    path.chmod(0o644)
    with pytest.raises(FolderError, match="chmod 600"):
        open_keystore(path, b"secret")
    with pytest.raises(FolderError, match="can't be read"):
        open_keystore(tmp_path / "absent", b"secret")
    (tmp_path / "junk").write_bytes(b"junk")
    (tmp_path / "junk").chmod(0o600)
    with pytest.raises(FolderError, match="does not decode"):
        open_keystore(tmp_path / "junk", b"secret")


def test_feed_is_chosen_by_kind() -> None:
    keystore = Keystore(client_keys(1))
    assert keystore.feed_for(Kind.SUBMISSION, DESK) == BULK
    assert keystore.feed_for(Kind.INQUIRY, BULK) == DESK
    with pytest.raises(FolderError, match=r"no feed .* released"):
        keystore.feed_for(Kind.RELEASED, BULK)
    with pytest.raises(FolderError, match="feed 9 has no key"):
        keystore.feed(9)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"member": 9}, "keys of member 9, client.toml names member 1"),
        ({"consortium_key": bytes(32)}, "no tag made with this one"),
        ({"tag_key": bytes(32)}, "tag key"),
        ({"feeds": client_keys(2).feeds}, "feed 1 in this keystore"),
    ],
)
def test_keys_of_somebody_else_are_refused(
    network: Network, tmp_path: Path, changes: dict[str, Any], match: str
) -> None:
    folder = make_folder(tmp_path / "client", network)
    with pytest.raises(FolderError, match=match):
        Session(folder, Keystore(msgspec.structs.replace(client_keys(1), **changes)))


@pytest.mark.parametrize("own", [True, False])
def test_member_that_was_admitted_later_is_known_once_the_registry_was_followed(
    network: Network, tmp_path: Path, *, own: bool
) -> None:
    record = newcomer_record()
    folder = make_folder(tmp_path / "client", network)
    folder = replace(folder, profile=replace(folder.profile, member=record.id))
    keys = client_keys(record.id)
    keystore = Keystore(keys if own else msgspec.structs.replace(keys, tag_key=bytes(32)))
    with closing(Session(folder, keystore)) as session:
        registry = session.registry.with_version(record)
        later = replace(session.trust, registry=registry, size=2)
        if own:
            session.follow(later)
            assert session.registry.member(record.id) == record
        else:
            with pytest.raises(FolderError, match="tag key"):
                session.follow(later)


def test_root_key_may_be_kept_elsewhere() -> None:
    with pytest.raises(FolderError, match="root key is not in this keystore"):
        _ = Keystore(msgspec.structs.replace(client_keys(1), root_seed=None)).root


def test_mixed_up_or_open_folder_is_refused(network: Network, tmp_path: Path) -> None:
    made = make_folder(tmp_path / "client", network)
    assert open_folder(tmp_path / "client").profile == made.profile
    text = (tmp_path / "client/client.toml").read_text()
    (tmp_path / "client/client.toml").write_text(
        text.replace(made.ledger.ledger_id.hex(), "00" * 32)
    )
    with pytest.raises(FolderError, match="two ledgers are mixed up"):
        open_folder(tmp_path / "client")
    (tmp_path / "client").chmod(0o755)
    with pytest.raises(FolderError, match="chmod 700"):
        open_folder(tmp_path / "client")
    with pytest.raises(FolderError, match="no client folder"):
        open_folder(tmp_path / "absent")


def test_client_opens_a_folder_with_its_keystore(network: Network, tmp_path: Path) -> None:
    make_folder(tmp_path / "client", network)
    write_keystore(tmp_path / "client/client.keys", client_keys(1), b"secret")
    with Client.open(tmp_path / "client", b"secret") as client:
        assert "member=1" in repr(client)
        assert client.pending() == []

    async def main() -> None:
        async with AsyncClient.open(tmp_path / "client", b"secret") as client:
            assert client.session.member == 1

    asyncio.run(main())


# Identifiers and keys stay where they belong.


def test_no_file_message_or_representation_shows_who_it_is_about(
    network: Network, session: Session, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    who = subject(1)
    canaries = [who.identifier, seed("tag", 1).hex(), network.world.year_key(1, 2026).hex()]
    canaries += ["clerk 17", "row-1", "application 4711"]
    shown: list[str] = []
    plain = session.sealer.plain(payment("row-1"), who)
    batch = session.sealer.seal([plain], session.registry)
    placed = network.run(session, submit(session, batch))
    other = make_session(tmp_path / "second", network, 2)
    signed = sign_as_second(other, draft(session, wish(network), [who]), [who])
    write_draft(tmp_path / "draft.json", signed)
    network.run(session, grant(session, signed))
    posted = network.run(session, inquire(session, question(signed.consent_id)))
    network.run(session, erase(session, placed.event(0), MarkReason.COURT_ORDER))
    shown += map(repr, (who, plain, batch, batch.row, placed, signed, posted, posted.secret))
    shown += map(
        repr, (session, session.keystore, session.sealer, session.vault.find(placed.event(0)))
    )
    shown += [repr(request) for node in network.nodes.values() for request in node.asked]
    for wrong in (
        lambda: session.sealer.plain(payment("row-1"), SubjectId(who.id_type, "CN", "x"), None),
        lambda: session.sealer.plain(payment("row-1", "2026-13-45"), who),
        lambda: sign_as_second(other, signed, [subject(2)]),
    ):
        try:
            wrong()
        except (ClientError, LedgerError) as error:
            shown.append(f"{error} {error!r}")
    sent = b"".join(r.body + r.target.encode() for n in network.nodes.values() for r in n.asked)
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    text = "\n".join([*shown, caplog.text])
    for canary in canaries:
        assert canary not in text, canary
        assert canary.encode() not in files, canary
        assert canary.encode() not in sent, canary
    for secret in (seed("tag", 1), network.world.year_key(1, 2026), plain.encoded, batch.row.keys):
        assert secret not in files
        assert secret not in sent
    other.close()


def test_failure_of_transport_names_no_secret() -> None:
    failure = TransportFailure(1, "connection refused")
    assert repr(failure) == "TransportFailure(node=1, reason='connection refused')"
    assert "secret" not in repr(Request(1, "POST", "/v1/entries", body=b"secret"))
    assert "secret" not in repr(Response(1, 200, {}, b"secret"))
