"""The demo's eight steps. Each says what was proven; all of it is real."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

import typer

from tradeline_client.audit import audit
from tradeline_client.cli.audit import print_statement
from tradeline_client.cli.output import print_table, progress
from tradeline_client.cli.report_view import print_history
from tradeline_client.client import Client
from tradeline_client.demo.borrowers import FOLDERS, load
from tradeline_client.demo.consortium import MEMBERS, REGULATOR
from tradeline_client.demo.tamper import tamper
from tradeline_client.draft import Wish
from tradeline_client.errors import RefusedError, StoryError
from tradeline_client.files import write_private
from tradeline_client.flows.inquiry import Question
from tradeline_client.flows.mirror import mirror
from tradeline_client.flows.report import ask, read_inquiry
from tradeline_client.flows.submit import PlacedBatch
from tradeline_client.requests import Request, Round, read
from tradeline_client.verification import Brought, verify_file
from tradeline_ledger.bundle import BUNDLE
from tradeline_ledger.consent import (
    Change,
    ChangeReason,
    DataLife,
    Evidence,
    EvidenceType,
    Frequency,
    FrequencyUnit,
    Purpose,
)
from tradeline_ledger.event import Report
from tradeline_ledger.mark import MarkReason
from tradeline_ledger.note import NOTE_BYTES_MAX
from tradeline_ledger.policy_file import decode_policy
from tradeline_ledger.schemas import STATEMENT, SUPERSEDE
from tradeline_ledger.tag import Category

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tradeline_client.demo.borrowers import Borrowers
    from tradeline_client.demo.consortium import Consortium, NodeAddress
    from tradeline_client.requests import Flow
    from tradeline_client.seal import SealedBatch
    from tradeline_ledger.history import EventId
    from tradeline_ledger.report import Reading
    from tradeline_ledger.trust import VerifiedCheckpoint

_DAY_MS: Final = 86_400_000
_MANY_A_DAY: Final = Frequency(FrequencyUnit.DAY, 20)
_ONCE: Final = Frequency(FrequencyUnit.ONCE, 1)
_FURNISHER_ERROR: Final = 1
"""Reason of a correction: the member that reported made a mistake."""
_SWEPT_S: Final = 30.0
_AGREED_S: Final = 60.0
_POLL_S: Final = 0.1


class Story:
    """One run of the demo on a consortium whose nodes are up."""

    def __init__(self, consortium: Consortium, nodes: list[NodeAddress], mirror_to: Path) -> None:
        """Open a client for every member; the regulator's mirror goes to `mirror_to`."""
        self.consortium = consortium
        self.nodes = nodes
        self.mirror = mirror_to
        self.clients = {
            name: Client.open(consortium.client(name), consortium.passphrase)
            for name in (*MEMBERS, REGULATOR)
        }

    def close(self) -> None:
        """Close all clients."""
        for client in self.clients.values():
            client.close()

    def run(self, cache: Path, subjects: int) -> None:
        """Tell the whole story."""
        borrowers = self._load(cache, subjects)
        self._file(borrowers)
        consent = self._consent_opens(borrowers)
        self._consent_closes(borrowers, consent)
        event, reading = self._correct(borrowers)
        self._audit()
        self._erase(borrowers, event, reading)
        _step(7, "one byte is changed behind a node's back, then in a bundle")
        tamper(self.consortium, self.clients, self.mirror, reading.bundle)

    # 1. Filing

    def _load(self, cache: Path, subjects: int) -> Borrowers:
        _step(1, f"{subjects:,} real card holders, six months, four institutions")
        ledger = self.clients["bank"].session.ledger
        local = timezone(timedelta(minutes=ledger.params.utc_offset_min))
        today = datetime.now(local).date().isoformat()
        started = time.perf_counter()
        borrowers = load(cache, subjects, today)
        months = sorted(
            {r.report.occurred_on[:7] for rows in borrowers.filings.values() for r in rows}
        )
        _say(
            f"Taiwan card data of 2005: {borrowers.cards:,} card holders make "
            f"{borrowers.persons:,} persons; identifiers are made up, valid, of birth years 1850 "
            f"to 1899. The months are moved to end before {today}: {months[0]} to {months[-1]}. "
            f"({time.perf_counter() - started:.1f} s)"
        )
        return borrowers

    def _file(self, borrowers: Borrowers) -> None:
        total = sum(len(rows) for rows in borrowers.filings.values())
        rows, done, sent = [], 0, 0
        started = time.perf_counter()
        with progress("sealing, custody, ordering") as show:
            for institution, filings in sorted(borrowers.filings.items()):
                client, since, first = self.clients[FOLDERS[institution]], time.perf_counter(), done
                plain = (client.plain(each.report, each.subject) for each in filings)
                batches = _Weighed(client.batches(plain))
                for result in client.submit_many(batches):
                    done += _accepted(result).count
                    show(done, total)
                sent += batches.weight
                seconds = time.perf_counter() - since
                rate = f"{(done - first) / seconds:,.0f}"
                rows.append((FOLDERS[institution], f"{done - first:,}", f"{seconds:.1f}", rate))
        seconds = time.perf_counter() - started
        rows.append(("all", f"{done:,}", f"{seconds:.1f}", f"{done / seconds:,.0f}"))
        print_table("", ("institution", "events", "seconds", "events/s"), rows)
        agreed = self._agreed()
        _say(
            f"{sent / done:.0f} bytes an event went to each node's custody, "
            f"{agreed.size:,} entries of the log order them."
        )
        _proven(
            f"all four nodes publish one checkpoint: size {agreed.size}, root "
            f"{agreed.root.hex()[:16]}…, cosigned by {len(agreed.cosigners)} of 4; each node "
            "computed it from its own store"
        )

    def _agreed(self) -> VerifiedCheckpoint:
        """Wait until all nodes serve the same checkpoint, and return it, verified."""
        session = self.clients["bank"].session
        deadline = time.monotonic() + _AGREED_S
        while time.monotonic() < deadline:
            notes = self.clients["bank"].run(_checkpoints(session.nodes()))
            heads = [session.trust.verify_checkpoint(note) for note in notes]
            if len({(head.size, head.root) for head in heads}) == 1:
                return heads[0]
            time.sleep(_POLL_S)
        raise StoryError("the nodes do not agree on a checkpoint; see their /healthz")

    # 2. and 3. Consents

    def _consent_opens(self, borrowers: Borrowers) -> bytes:
        _step(2, "no read without a consent; with it, a complete history")
        bank, subjects = self.clients["bank"], [borrowers.person.subject]
        draft = bank.draft_consent(self._wish(second=2), subjects)
        refused = self._refused(draft.consent_id, Purpose.LOAN_APPLICATION)
        _proven(
            f"the bank's inquiry without a consent was refused ({refused.outcome.code}), and the "
            f"refusal is entry {refused.index} of the log, for every auditor to see"
        )
        signed = self.clients["lender"].sign_consent(draft, subjects)
        placed = bank.grant(signed)
        _say(f"The lender identified the person and signed; the consent is entry {placed.index}.")
        reading = bank.run(ask(bank.session, _question(draft.consent_id)))
        print_history(reading.report)
        complete = reading.report.completeness
        _proven(
            f"the history is complete as of block {complete.height}: "
            f"{len(complete.validators)} of {complete.committee} committee members signed the same "
            "counts, and the events reproduce them"
        )
        lender = self.clients["lender"]
        other = lender.draft_consent(self._wish(second=1), subjects)
        lender.grant(bank.sign_consent(other, subjects))
        second = lender.run(ask(lender.session, _question(other.consent_id)))
        others = [each for each in second.report.inquiries if not each.own]
        _check(
            reading.report.inquiry in {each.filed.id.index for each in others},
            "the second reader sees the first one's inquiry",
        )
        _proven(
            f"the lender, reading next, sees that the bank asked (entry {reading.report.inquiry})"
        )
        return draft.consent_id

    def _consent_closes(self, borrowers: Borrowers, consent: bytes) -> None:
        _step(3, "a consent is used as agreed, or not at all")
        wrong = self._refused(consent, Purpose.GUARANTOR)
        self.clients["lender"].change_consent(consent, Change.REVOKE, ChangeReason.SUBJECT)
        revoked = self._refused(consent, Purpose.LOAN_APPLICATION)
        once = self._granted(borrowers, _ONCE)
        bank = self.clients["bank"]
        bank.run(ask(bank.session, _question(once)))
        used = self._refused(once, Purpose.LOAN_APPLICATION)
        rows = [
            (what, error.outcome.code, error.index)
            for what, error in (
                ("another purpose than agreed", wrong),
                ("after the subject revoked", revoked),
                ("a one-time consent, the second time", used),
            )
        ]
        print_table("", ("inquiry", "outcome", "entry"), rows)
        _proven("each was refused by the same rules on every node, and is on the ledger")

    def _refused(self, consent: bytes, purpose: Purpose) -> RefusedError:
        bank = self.clients["bank"]
        try:
            bank.inquire(_question(consent, purpose))
        except RefusedError as error:
            return error
        raise StoryError("an inquiry was accepted that no consent allows")

    def _granted(self, borrowers: Borrowers, frequency: Frequency) -> bytes:
        bank, subjects = self.clients["bank"], [borrowers.person.subject]
        draft = bank.draft_consent(self._wish(second=2, frequency=frequency), subjects)
        bank.grant(self.clients["lender"].sign_consent(draft, subjects))
        return draft.consent_id

    def _wish(self, second: int, frequency: Frequency = _MANY_A_DAY) -> Wish:
        now_ms = self.clients["bank"].session.clock_ms()
        year = datetime.fromtimestamp(now_ms / 1000, timezone(timedelta(hours=8))).year
        return Wish(
            second=second,
            purpose=Purpose.LOAN_APPLICATION,
            categories=(Category.ACCOUNT, Category.PUBLIC_RECORD),
            years=(year - 1, year),
            from_ms=now_ms - _DAY_MS,
            until_ms=now_ms + 30 * _DAY_MS,
            frequency=frequency,
            life=DataLife(FrequencyUnit.MONTH, 3),
            template="loan-application-1",
            language="en",
            notice_hash=hashlib.sha256(b"What the subject read before agreeing.").digest(),
            evidence=Evidence(
                EvidenceType.SIGNED_DOCUMENT, hashlib.sha256(b"The signed form.").digest()
            ),
            reference=f"application {now_ms}",
        )

    # 4. Correction

    def _correct(self, borrowers: Borrowers) -> tuple[EventId, Reading]:
        _step(4, "a wrong statement is corrected; readers see old and new")
        institution = borrowers.person.cards[0][0]
        client = self.clients[FOLDERS[institution]]
        old = borrowers.statement(institution)
        (target,) = client.find_reference(old.ref)
        names = [field.name for field in STATEMENT.fields]
        values = dict(zip(names, old.fields, strict=True))
        values["statement_balance_minor"] += 1_234_00
        replacement = (STATEMENT.number, STATEMENT.version, STATEMENT.values(**values))
        correction = Report(
            schema=SUPERSEDE,
            occurred_on=old.occurred_on,
            basis=old.basis,
            ref=f"correction of {old.ref}",
            account=old.account,
            fields=SUPERSEDE.values(reason=_FURNISHER_ERROR, replacement=replacement),
            target=(target.id.index, target.id.position),
        )
        plain = client.plain(correction, borrowers.person.subject, target)
        (sealed,) = client.batches([plain])
        placed = client.submit(sealed)
        bank = self.clients["bank"]
        consent = self._granted(borrowers, _MANY_A_DAY)
        reading = bank.run(ask(bank.session, _question(consent)))
        chains = [each for each in reading.report.chains if each.original == target.id]
        _check(len(chains) == 1, "the report resolves the correction")
        print_history(reading.report)
        _proven(
            f"event {target.id} was corrected by its member's event {placed.event(0)}; the report "
            "shows both and counts the new one"
        )
        return target.id, reading

    # 5. Audit

    def _audit(self) -> None:
        _step(5, "the regulator copies one node and audits it offline")
        regulator = self.clients[REGULATOR]
        session, head = regulator.session, regulator.checkpoint()
        with progress("mirroring") as show:
            done = regulator.run(mirror(self.mirror, 2, session.ledger, head, show))
        _say(f"{done.files} files, {done.fetched_bytes:,} bytes, from the lender's node.")
        policy = decode_policy((session.folder.path / "policy").read_bytes())
        with progress("replaying") as show:
            report = audit(self.mirror, policy, show)
        print_statement(self.mirror, report)
        _check(report.ok, "the audit finds nothing")
        _proven("chain, signatures and outcomes follow the rules; every read had a consent")

    # 6. Erasure

    def _erase(self, borrowers: Borrowers, event: EventId, reading: Reading) -> None:
        _step(6, "an event's body is erased everywhere; every proof still holds")
        bundle = BUNDLE.decode(reading.bundle)
        bodies = {(each.index, each.position): each.body for each in bundle.proofs.events}
        body = bodies[event.index, event.position]
        assert body is not None, "the event was shown with its body"
        before = self._holding(body)
        owner = self.clients[FOLDERS[borrowers.person.cards[0][0]]]
        placed = owner.erase(event, MarkReason.CONTRIBUTOR_ERROR)
        deadline = time.monotonic() + _SWEPT_S
        while (after := self._holding(body)) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        _check(len(before) == len(MEMBERS) and not after, "the ciphertext is on no node any more")
        bank = self.clients["bank"]
        posted = bank.inquiry(reading.report.inquiry)
        again = bank.run(read_inquiry(bank.session, posted))
        (gone,) = [each for each in again.report.gone if each.filed.id == event]
        reason = gone.reason.name.lower() if gone.reason else "retention"
        _say(
            f"The ciphertext stood in a file of {len(before)} nodes, now of none. The report of "
            f"entry {reading.report.inquiry}, read again, says: event {event} erased, {reason}, by "
            f"entry {placed.index}."
        )
        anchor = Brought(
            decode_policy((bank.session.folder.path / "policy").read_bytes()), bank.session.ledger
        )
        _check(verify_file(again.bundle, anchor).ok, "the new bundle verifies")
        _check(verify_file(reading.bundle, anchor).ok, "the bundle from before still verifies")
        _proven("header, count, head and inclusion proofs are as before; only the body is gone")
        write_private(self.consortium.folder / "report.bundle", again.bundle)

    def _holding(self, body: bytes) -> list[str]:
        """Return the members with a file that holds these bytes."""
        return [name for name in MEMBERS if _holds(self.consortium.folder / name, body)]


class _Weighed:
    """Batches on their way, and how many bytes of them went to each node."""

    def __init__(self, batches: Iterable[SealedBatch]) -> None:
        self.weight = 0
        self._batches = batches

    def __iter__(self) -> Iterator[SealedBatch]:
        for batch in self._batches:
            self.weight += len(batch.attachment)
            yield batch


def _question(consent: bytes, purpose: Purpose = Purpose.LOAN_APPLICATION) -> Question:
    return Question(consent, purpose, operator="desk 7", reference="application 2026-1234")


def _checkpoints(nodes: list[int]) -> Flow[list[bytes]]:
    requests = tuple(
        Request(node, "GET", "/checkpoint", bytes_max=NOTE_BYTES_MAX) for node in nodes
    )
    answers = yield Round(requests)
    return [read(answer).body for answer in answers]


def _accepted(result: PlacedBatch | RefusedError) -> PlacedBatch:
    if isinstance(result, RefusedError):
        raise result
    return result


def _holds(folder: Path, needle: bytes) -> bool:
    return any(needle in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def _check(condition: bool, what: str) -> None:  # noqa: FBT001
    if not condition:
        raise StoryError(f"not so: {what}")


def _step(number: int, title: str) -> None:
    typer.echo(f"\n{number}. {title}\n")


def _say(text: str) -> None:
    typer.echo(text)


def _proven(text: str) -> None:
    typer.echo(f"PROVEN: {text}")
