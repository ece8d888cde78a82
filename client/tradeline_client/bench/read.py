"""A report of one person's history, spread over many submissions of a ledger of many events."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from tradeline_client.bench.ingest import accepted
from tradeline_client.bench.stopwatch import Stopwatch, rss_mib
from tradeline_client.bench.trial import Trial
from tradeline_client.bench.workload import SUBJECTS, reports, subjects
from tradeline_client.draft import Wish
from tradeline_client.flows.inquiry import Question
from tradeline_client.flows.release import Collected
from tradeline_client.flows.report import read_inquiry, subject_keys
from tradeline_client.pipeline import IN_FLIGHT
from tradeline_client.requests import Flow, Round
from tradeline_client.seal import BATCH_EVENTS
from tradeline_ledger.consent import (
    DataLife,
    Evidence,
    EvidenceType,
    Frequency,
    FrequencyUnit,
    Purpose,
)
from tradeline_ledger.errors import IncompleteError
from tradeline_ledger.measured import Measured, percentile
from tradeline_ledger.release import Want
from tradeline_ledger.report import verify_bundle
from tradeline_ledger.tag import Category

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tradeline_client.client import Client
    from tradeline_client.flows.inquiry import PostedInquiry
    from tradeline_client.seal import SealedBatch
    from tradeline_ledger.event import Report
    from tradeline_ledger.identifier import SubjectId

REPORT_EVENTS: Final = 100
"""Events of the report, each in a submission of its own."""
ROUNDS: Final = 20
"""How often the same report is read."""
LENDERS: Final = ("bank", "lender", "payment")
"""Who files the events, in turn."""
_DAY_MS: Final = 86_400_000
_TIMEOUT_S: Final = 60.0


def measure_read(events: int, rounds: int = ROUNDS) -> Measured:
    """
    Return what it takes to read a report out of a ledger of so many events, through four nodes.

    A lap is all of it: asking four nodes, their releases, proofs, verification. The parts are also
    measured on their own: `releases_*`, wall clock until all four nodes have answered one reader;
    `verify_*`, verification of the bundle alone, which is what an offline verifier does.
    """
    with Trial() as trial:
        _fill(trial, events)
        reader = trial.clients["bank"]
        posted = ask_about(trial, subjects(1)[0])
        bundle = reader.run(read_inquiry(reader.session, posted)).bundle
        releases = Stopwatch()
        nodes_s = trial.node_cpu_s()
        for _ in range(rounds):
            collected = _collected(reader, posted)
            with releases.lap(), releases.stage("client"):
                reader.run(_releases(collected))
            if len(collected.answers) < len(collected.committee):
                raise IncompleteError(f"{len(collected.answers)} committee members answered")
        nodes_s = trial.node_cpu_s() - nodes_s
        watch, node_s = Stopwatch(), trial.node_cpu_s()
        for _ in range(rounds):
            with watch.lap(), watch.stage("client"):
                reader.run(read_inquiry(reader.session, posted))
        watch.cpu_s["four_nodes"] = trial.node_cpu_s() - node_s
        node_rss_mib = trial.node_rss_mib()
    verified = verify_again(bundle, rounds)
    more = {
        "ledger_events": events,
        "releases_p50_ms": round(percentile(releases.laps_ms, 50), 2),
        "releases_p99_ms": round(percentile(releases.laps_ms, 99), 2),
        "releases_four_nodes_cpu_ms": round(nodes_s * 1000 / rounds, 2),
        "releases_client_cpu_ms": round(releases.cpu_s["client"] * 1000 / rounds, 2),
        "verify_p50_ms": round(percentile(verified.laps_ms, 50), 2),
        "verify_cpu_ms": round(verified.cpu_s["verify"] * 1000 / rounds, 2),
        "bundle_bytes": len(bundle),
        "node_rss_mib": round(node_rss_mib, 1),
    }
    count = rounds * REPORT_EVENTS
    return Measured("read", count, watch.seconds, watch.laps_ms, watch.cpu_s, rss_mib(), more)


def measure_verify(events: int, rounds: int = ROUNDS) -> Measured:
    """Return what it takes to verify the bundle of such a report, offline; a lap is a bundle."""
    with Trial() as trial:
        _fill(trial, events)
        reader = trial.clients["bank"]
        bundle = reader.run(read_inquiry(reader.session, ask_about(trial, subjects(1)[0]))).bundle
    watch = verify_again(bundle, rounds)
    more = {
        "ledger_events": events,
        "cpu_ms": round(watch.cpu_s["verify"] * 1000 / rounds, 2),
        "bundle_bytes": len(bundle),
    }
    count = rounds * REPORT_EVENTS
    return Measured("verify", count, watch.seconds, watch.laps_ms, watch.cpu_s, rss_mib(), more)


def verify_again(bundle: bytes, rounds: int) -> Stopwatch:
    """Verify a bundle several times, after once that is not counted."""
    verify_bundle(bundle)
    watch = Stopwatch()
    for _ in range(rounds):
        with watch.lap(), watch.stage("verify"):
            verify_bundle(bundle)
    return watch


def _fill(trial: Trial, events: int) -> None:
    """File `events`, of which one in each of `REPORT_EVENTS` batches is about one person."""
    person, *others = subjects(SUBJECTS)
    own = reports(REPORT_EVENTS, [person], trial.today, "own ")
    strangers = reports(max(events - REPORT_EVENTS, REPORT_EVENTS), others, trial.today)
    size = max(2, min(BATCH_EVENTS, (len(strangers) + REPORT_EVENTS) // REPORT_EVENTS))
    batches = -(-len(strangers) // (size - 1))
    every = max(1, batches // REPORT_EVENTS)
    chunks: list[list[tuple[Report, SubjectId]]] = []
    for number in range(batches):
        chunk = strangers[number * (size - 1) : (number + 1) * (size - 1)]
        if number % every == 0 and own:
            chunk.insert(len(chunk) // 2, own.pop())
        chunks.append(chunk)
    if own:
        raise IncompleteError(f"{batches} batches have no room for {REPORT_EVENTS} events apart")
    for place, name in enumerate(LENDERS):
        client = trial.clients[name]
        for result in client.submit_many(_sealed(client, chunks[place :: len(LENDERS)]), IN_FLIGHT):
            accepted(result)


def _sealed(
    client: Client, chunks: Sequence[Sequence[tuple[Report, SubjectId]]]
) -> Iterator[SealedBatch]:
    for chunk in chunks:
        yield from client.batches([client.plain(report, subject) for report, subject in chunk])


def ask_about(trial: Trial, person: SubjectId) -> PostedInquiry:
    """Grant the bank a consent of a person and post its inquiry under it."""
    reader = trial.clients["bank"]
    now_ms, year = reader.session.clock_ms(), int(trial.today[:4])
    wish = Wish(
        second=reader.session.registry.members[1].id,
        purpose=Purpose.LOAN_APPLICATION,
        categories=(Category.ACCOUNT, Category.PUBLIC_RECORD),
        years=(year - 1, year),
        from_ms=now_ms - _DAY_MS,
        until_ms=now_ms + 30 * _DAY_MS,
        frequency=Frequency(FrequencyUnit.DAY, 20),
        life=DataLife(FrequencyUnit.MONTH, 3),
        template="loan-application-1",
        language="en",
        notice_hash=hashlib.sha256(b"notice").digest(),
        evidence=Evidence(EvidenceType.SIGNED_DOCUMENT, hashlib.sha256(b"form").digest()),
        reference="benchmark",
    )
    draft = reader.draft_consent(wish, [person])
    reader.grant(trial.clients["lender"].sign_consent(draft, [person]))
    question = Question(
        draft.consent_id, Purpose.LOAN_APPLICATION, operator="desk 1", reference="benchmark"
    )
    return reader.inquire(question)


def _collected(reader: Client, posted: PostedInquiry) -> Collected:
    session = reader.session
    size = reader.checkpoint().size
    return Collected(session, posted, subject_keys(session, posted), session.registry.epoch, size)


def _releases(collected: Collected) -> Flow[None]:
    """Ask every committee member at the same time, one of them for proofs and bodies, too."""
    members = collected.committee
    wants = [Want.SHARES | Want.PROOFS, *(Want.SHARES for _ in members[1:])]
    answers = yield Round(tuple(collected.requests(members, wants, _TIMEOUT_S)))
    for member, answer in zip(members, answers, strict=True):
        collected.take(member, answer)
