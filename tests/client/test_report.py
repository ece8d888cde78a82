"""Reading a report from nodes that are slow, down, behind or lying."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec.structs
import pytest
from tests.client.network import Network, Node, make_session, payment, seal
from tests.committee import Committee
from tests.world import seed, subject

from tradeline_client.draft import Wish
from tradeline_client.errors import NodeProblemError, UnavailableError
from tradeline_client.flows import fault
from tradeline_client.flows.checkpoint import newest
from tradeline_client.flows.consent import draft, grant, sign_as_second
from tradeline_client.flows.inquiry import PostedInquiry, Question, inquire, open_inquiry
from tradeline_client.flows.release import ROUNDS
from tradeline_client.flows.report import ask, read_inquiry, subject_keys
from tradeline_client.flows.submit import submit
from tradeline_client.flows.tag_keys import share_tag_key
from tradeline_client.requests import Answer as HttpAnswer
from tradeline_client.requests import Request, Response, TransportFailure
from tradeline_client.session import Session
from tradeline_client.verification import Brought, verify_file
from tradeline_ledger.body import pad, seal_body
from tradeline_ledger.consent import DataLife, Evidence, Frequency, Purpose
from tradeline_ledger.conviction import Conviction
from tradeline_ledger.deposit import ATTACHMENT
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import PolicyError, VerificationError
from tradeline_ledger.evidence import verify_evidence
from tradeline_ledger.evidence_file import EvidenceType
from tradeline_ledger.history import EventId
from tradeline_ledger.hpke import PublicKey, answer_info, open_sealed, request_info
from tradeline_ledger.hpke import seal as hpke_seal
from tradeline_ledger.inquiry import INQUIRY, scope_tags
from tradeline_ledger.registry import Feed
from tradeline_ledger.release import (
    COMMON,
    PAYLOAD,
    PROOFS,
    REQUEST,
    RESPONSE,
    Answer,
    Proofs,
    ReleaseResponse,
    Want,
)
from tradeline_ledger.report import Anchor, Reading, verify_bundle
from tradeline_ledger.report_parts import Fault, WarningCode
from tradeline_ledger.share_fault import CLAIM, Part, verify_fault
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import Kind, kinds_of
from tradeline_ledger.submission import decode_submission

Spoil = Callable[[Answer], Answer]


class ReadNetwork(Network):
    """Nodes that also release."""

    def __init__(self) -> None:
        super().__init__()
        self.committee = Committee(self.world)
        self.spoils: dict[int, Spoil] = {}
        """What a member answers in place of the truth, signed or not."""
        self.without: dict[int, set[EventId]] = {}
        """Bodies that a member does not have."""
        self.node_keys: dict[int, SigningKey] = {}

    def _honest(self, node: Node, session: Session, request: Request) -> Response:
        if request.method == "POST" and request.target.startswith("/v1/releases/"):
            refused = self._identify(node, session, request)
            return refused or self._release(node, request)
        return super()._honest(node, session, request)

    def _release(self, node: Node, request: Request) -> Response:
        path, _, query = request.target.partition("?size=")
        index = int(path.rpartition("/")[2])
        own = self.world.institution(node.member)
        ledger_id = self.world.ledger.ledger_id
        info = request_info(ledger_id, index, node.member, own.hpke.public.key_id)
        asked = REQUEST.decode(open_sealed(own.hpke, request.body, info))
        assert (asked.ledger_id, asked.inquiry) == (ledger_id, index)
        self._attachments()
        entry = self.committee.placed(index)
        if entry is None:
            return self._problem(node, "not-found")
        inquiry = INQUIRY.decode(entry.content)
        keys = [(each.year, each.year_key) for each in asked.year_keys]
        tag_keys = {each.id: [each.tag_key] for each in self.world.institutions}
        scope = scope_tags(inquiry, self.world.registry.ever(), tag_keys, keys)
        common = self.committee.common_of(index, scope)
        answer = self.committee.answer(
            node.member,
            common,
            paths=bool(asked.want & Want.SHARE_PATHS),
            key=self.node_keys.get(node.member),
        )
        if node.member in self.spoils:
            answer = self.spoils[node.member](answer)
        sealed = hpke_seal(
            PublicKey.from_bytes(asked.public_key),
            encode(answer),
            answer_info(ledger_id, index, node.member),
        )
        proofs = None
        if asked.want & Want.PROOFS:
            proofs = encode(self._proofs(node.member, self.committee.proofs(common, int(query))))
        return self._bytes(node, encode(ReleaseResponse(sealed, proofs)))

    def _proofs(self, member: int, proofs: Proofs) -> Proofs:
        """Return what a node sends: without consent and block leaves, which others serve."""
        lacking = self.without.get(member, set())
        events = tuple(
            msgspec.structs.replace(each, body=None)
            if EventId(each.index, each.position) in lacking
            else each
            for each in proofs.events
        )
        wanted = {each.index for each in events}
        kinds = {
            each.index: entry.statement.kind
            for each in proofs.entries
            if (entry := self.committee.placed(each.index)) is not None
        }
        entries = tuple(
            each
            for each in proofs.entries
            if each.index in wanted or kinds.get(each.index) == Kind.MARK
        )
        return Proofs(entries, events)

    def _attachments(self) -> None:
        for index, content in self.world.contents.items():
            entry = self.committee.placed(index)
            if entry is None or entry.statement.kind != Kind.SUBMISSION:
                continue
            hash_ = decode_submission(content).batch.hash(
                self.world.ledger.ledger_id, entry.statement.member
            )
            held = [each.custody[hash_] for each in self.nodes.values() if hash_ in each.custody]
            if index not in self.committee.attachments:
                self.committee.attachments[index] = ATTACHMENT.decode(held[0])


@dataclass
class Desk:
    """A reader that holds a consent about person 0, who has two payments with member 2."""

    network: ReadNetwork
    reader: Session
    contributor: Session
    question: Question

    def ask(self) -> Reading:
        return self.network.run(self.reader, ask(self.reader, self.question))

    def inquire(self) -> PostedInquiry:
        return self.network.run(self.reader, inquire(self.reader, self.question))

    def read(self, posted: PostedInquiry) -> Reading:
        return self.network.run(self.reader, read_inquiry(self.reader, posted))

    def later_block(self) -> None:
        """Place one more batch, and let the reader see the checkpoint after it."""
        sealed = seal(self.contributor, 1, f"later-{self.network.world.head.size}")
        self.network.run(self.contributor, submit(self.contributor, sealed))
        self.network.run(self.reader, newest(self.reader))

    def releases(self, node: int) -> list[Request]:
        """Return the release requests that a node was sent."""
        asked = self.network.nodes[node].asked
        return [each for each in asked if each.target.startswith("/v1/releases/")]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return make_desk(tmp_path)


def make_desk(path: Path) -> Desk:
    """Return a reader that may ask, with folders below `path`."""
    network = ReadNetwork()
    reader = make_session(path / "1", network, 1)
    contributor = make_session(path / "2", network, 2)
    network.run(contributor, share_tag_key(contributor))
    plain = [
        contributor.sealer.plain(payment(ref, "2026-03-05", amount), subject(who))
        for ref, amount, who in (("a", 100, 0), ("b", 200, 5), ("c", 300, 0))
    ]
    network.run(contributor, submit(contributor, contributor.sealer.seal(plain, reader.registry)))
    now = network.clock_ms()
    wish = Wish(
        second=2,
        purpose=Purpose.LOAN_APPLICATION,
        categories=(1, 2),
        years=(2025, 2026),
        from_ms=now - 1,
        until_ms=now + 30 * 86_400_000,
        frequency=Frequency(1, 1000),
        life=DataLife(2, 3),
        template="loan-1",
        language="en",
        notice_hash=seed("notice"),
        evidence=Evidence(3, seed("evidence")),
        reference="application 1",
    )
    drafted = draft(reader, wish, [subject(0)])
    signed = sign_as_second(contributor, drafted, [subject(0)])
    network.run(reader, grant(reader, signed))
    question = Question(drafted.consent_id, Purpose.LOAN_APPLICATION, "officer", "application 1")
    return Desk(network, reader, contributor, question)


def amounts(reading: Reading) -> list[int]:
    return [each.fields[1] for each in reading.report.effective]


def test_a_question_is_answered_with_a_verified_report(desk: Desk) -> None:
    reading = desk.ask()
    assert amounts(reading) == [100, 300]
    assert reading.report.completeness.validators == (1, 2, 3, 4)
    assert reading.dissenters == ()
    verdict = verify_bundle(
        reading.bundle, anchor=Anchor(ledger_id=desk.network.world.ledger.ledger_id)
    )
    assert [each.id for each in verdict.report.events] == [e.id for e in reading.report.events]


def test_only_one_node_is_asked_for_proofs(desk: Desk) -> None:
    before = {number: len(desk.releases(number)) for number in desk.network.nodes}
    desk.ask()
    after = {number: len(desk.releases(number)) for number in desk.network.nodes}
    assert {number: after[number] - before[number] for number in after} == dict.fromkeys(after, 1)


def test_the_report_is_as_of_the_inquiry_whenever_it_is_read(desk: Desk) -> None:
    posted = desk.inquire()
    first = desk.read(posted)
    for _ in range(3):
        desk.later_block()
    again = desk.read(open_inquiry(desk.reader, posted.index))
    assert again.report == first.report
    assert again.bundle != first.bundle  # it leads to a newer checkpoint
    anchor = Anchor(ledger_id=desk.network.world.ledger.ledger_id)
    assert verify_bundle(again.bundle, anchor=anchor).report.completeness.size < len(
        desk.network.world.leaves
    )


def test_an_inquiry_is_read_under_the_checkpoint_that_proved_its_place(desk: Desk) -> None:
    reading = desk.ask()
    assert [(each.filed.member, each.own) for each in reading.report.inquiries] == [(1, True)]
    assert desk.network.world.head.size == reading.report.completeness.size


# Nodes that fail.


@pytest.mark.parametrize("down", [1, 2, 3, 4])
def test_one_node_down_does_not_stop_a_read(desk: Desk, down: int) -> None:
    """Whichever it is: the one for proofs, too."""
    posted = desk.inquire()
    desk.network.nodes[down].up = False
    reading = desk.read(posted)
    assert amounts(reading) == [100, 300]
    assert down not in reading.report.completeness.validators


def test_too_few_nodes_up_are_said_to_be_too_few(desk: Desk) -> None:
    posted = desk.inquire()
    for number in (3, 4):
        desk.network.nodes[number].up = False
    with pytest.raises(UnavailableError, match="too few committee members release"):
        desk.read(posted)
    for number in (3, 4):
        desk.network.nodes[number].up = True
    assert amounts(desk.read(posted)) == [100, 300]


def failing(times: int, answer: HttpAnswer) -> Callable[[Request, Response], HttpAnswer]:
    """Return a lie that fails some times, then tells the truth."""
    left = [times]

    def lie(_: Request, honest: Response) -> HttpAnswer:
        left[0] -= 1
        return answer if left[0] >= 0 else honest

    return lie


def test_nodes_that_are_behind_are_asked_again(desk: Desk) -> None:
    posted = desk.inquire()
    network = desk.network
    for number in (2, 3):
        behind = network._problem(network.nodes[number], "size-ahead")
        network.nodes[number].lies["POST /v1/releases"] = failing(2, behind)
    network.nodes[4].lies["POST /v1/releases"] = failing(1, TransportFailure(4, "timed out"))
    assert amounts(desk.read(posted)) == [100, 300]


def test_a_refusal_by_all_is_told_at_once(desk: Desk) -> None:
    posted = desk.inquire()
    for node in desk.network.nodes.values():
        node.lies["POST /v1/releases"] = failing(99, desk.network._problem(node, "release-closed"))
    before = desk.network.extra_ms
    with pytest.raises(NodeProblemError) as raised:
        desk.read(posted)
    assert raised.value.code == "release-closed"
    assert desk.network.extra_ms - before < 1000 * sum(wait for wait, _ in ROUNDS[2:])


# Nodes that lie.


def with_proofs(change: Callable[[Proofs], Proofs]) -> Callable[[Request, Response], HttpAnswer]:
    def lie(_: Request, honest: Response) -> HttpAnswer:
        response = RESPONSE.decode(honest.body)
        if response.proofs is None:
            return honest
        proofs = encode(change(PROOFS.decode(response.proofs)))
        lied = encode(msgspec.structs.replace(response, proofs=proofs))
        return Response(honest.node, 200, {}, lied)

    return lie


def drop_event(proofs: Proofs) -> Proofs:
    return Proofs(proofs.entries, proofs.events[1:])


def drop_entry(proofs: Proofs) -> Proofs:
    return Proofs(proofs.entries[1:], proofs.events)


def turn(proofs: Proofs) -> Proofs:
    return Proofs(proofs.entries, tuple(reversed(proofs.events)))


def spoil_body(proofs: Proofs) -> Proofs:
    first, *rest = proofs.events
    assert first.body is not None
    return Proofs(
        proofs.entries, (msgspec.structs.replace(first, body=first.body[:-1] + b"x"), *rest)
    )


def hide_body(proofs: Proofs) -> Proofs:
    first, *rest = proofs.events
    return Proofs(proofs.entries, (msgspec.structs.replace(first, body=None), *rest))


@pytest.mark.parametrize("change", [drop_event, drop_entry, turn, spoil_body, hide_body])
def test_false_proofs_of_one_node_are_replaced_by_those_of_another(
    desk: Desk, change: Callable[[Proofs], Proofs]
) -> None:
    posted = desk.inquire()
    first = desk.reader.nodes()[0]
    desk.network.nodes[first].lies["POST /v1/releases"] = with_proofs(change)
    reading = desk.read(posted)
    assert amounts(reading) == [100, 300]


def test_false_proofs_of_every_node_are_refused(desk: Desk) -> None:
    posted = desk.inquire()
    for node in desk.network.nodes.values():
        node.lies["POST /v1/releases"] = with_proofs(drop_event)
    with pytest.raises(VerificationError, match="events, 1 were given"):
        desk.read(posted)


@pytest.mark.parametrize(
    "start", ["GET /v1/entries", "GET /v1/consents", "GET /content", "GET /v1/consistency"]
)
@pytest.mark.parametrize("body", [b"", b"{}", b'{"index": 1, "leaf": "AAAA", "path": []}'])
def test_any_other_false_answer_leads_to_another_node(desk: Desk, start: str, body: bytes) -> None:
    posted = desk.inquire()
    desk.later_block()
    first = desk.reader.nodes()[0]
    desk.network.nodes[first].lies[start] = lambda request, _: Response(request.node, 200, {}, body)
    assert amounts(desk.read(posted)) == [100, 300]


def test_an_answer_that_was_sealed_for_another_is_passed_over(desk: Desk) -> None:
    posted = desk.inquire()
    kept: list[bytes] = []

    def keep(_: Request, honest: Response) -> HttpAnswer:
        kept.append(honest.body)
        return honest

    def replay(request: Request, _: Response) -> HttpAnswer:
        return Response(request.node, 200, {}, kept[0])

    first, second, *_ = desk.reader.nodes()
    desk.network.nodes[first].lies["POST /v1/releases"] = keep
    desk.network.nodes[second].lies["POST /v1/releases"] = replay
    reading = desk.read(posted)
    assert second not in reading.report.completeness.validators


def other_root(answer: Answer) -> Answer:
    return msgspec.structs.replace(answer, common=answer.common[:-1] + b"x")


def test_a_dissenter_is_named_and_t_others_suffice(desk: Desk) -> None:
    posted = desk.inquire()
    desk.network.spoils[3] = other_root
    reading = desk.read(posted)
    assert reading.dissenters == (3,)
    assert amounts(reading) == [100, 300]


def test_fewer_than_t_that_agree_are_not_enough(desk: Desk) -> None:
    posted = desk.inquire()
    desk.network.spoils |= {2: other_root, 3: other_root}
    with pytest.raises(PolicyError, match="at most 2 agree"):
        desk.read(posted)


# Shares.


def false_shares(desk: Desk, member: int) -> Spoil:
    """Return a spoil that signs other shares than were dealt."""

    def spoil(answer: Answer) -> Answer:
        payload = tuple(
            msgspec.structs.replace(
                entry,
                shares=tuple(
                    msgspec.structs.replace(each, share=seed("false")) for each in entry.shares
                ),
            )
            for entry in PAYLOAD.decode(answer.payload)
        )
        return desk.network.committee.answer(member, COMMON.decode(answer.common), payload=payload)

    return spoil


def deal_wrong(desk: Desk, count: int) -> int:
    """Submit events that their shares don't open, as member 2; return their log index."""
    world = desk.network.world
    tag = world.tag(2, 0, 2026)
    aad = encode(("tradeline/v1 body", world.ledger.ledger_id, 2, tag))
    keys = [seed("key", number) for number in range(count)]
    rows = [
        (
            tag,
            2026 * 12 + 2 + 60,
            seal_body(
                key,
                pad(desk.contributor.sealer.plain(payment(f"d{number}"), subject(0)).encoded),
                aad,
            ),
        )
        for number, key in enumerate(keys)
    ]
    dealt = [seed("other", number) for number in range(count)]
    index = desk.network.committee.submit_sealed(2, rows, keys, dealt)
    desk.network.published = world.head.size
    return index


def evidence(desk: Desk) -> dict[str, Conviction]:
    """Return whom each evidence file of the reader's folder convicts, to who has the genesis."""
    found = {}
    for path in sorted(desk.reader.folder.evidence.iterdir()):
        assert path.stat().st_mode & 0o777 == 0o600
        verdict = verify_file(path.read_bytes(), Brought(ledger=desk.network.world.ledger))
        assert verdict.ok, verdict.findings
        proven = verify_evidence(path.read_bytes())
        assert isinstance(proven, Conviction)
        found[path.name] = proven
    return found


def test_false_shares_are_got_around(desk: Desk) -> None:
    posted = desk.inquire()
    desk.network.spoils[1] = false_shares(desk, 1)
    assert amounts(desk.read(posted)) == [100, 300]


@pytest.mark.parametrize("liar", [1, 4])
def test_who_gives_a_false_share_is_convicted_though_the_others_suffice(
    desk: Desk, liar: int
) -> None:
    posted = desk.inquire()
    desk.network.spoils[liar] = false_shares(desk, liar)
    reading = desk.read(posted)
    assert amounts(reading) == [100, 300]
    assert {member for _, member in reading.doubted} == {liar}
    assert [(each.part, each.member) for each in reading.blamed] == [
        (Part.COMMITTEE_MEMBER, liar)
    ] * 2
    facts = verify_bundle(reading.bundle).facts
    assert [verify_fault(claim, facts) for claim in reading.claims] == list(reading.blamed)
    for proven in evidence(desk).values():
        assert (proven.type, proven.member) == (EvidenceType.FALSE_SHARE, liar)


def test_honest_answers_are_asked_for_once(desk: Desk) -> None:
    reading = desk.read(desk.inquire())
    assert (reading.doubted, reading.blamed) == ((), ())
    assert [len(desk.releases(node)) for node in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_who_lied_and_then_tells_the_truth_is_doubted_and_not_convicted(desk: Desk) -> None:
    posted = desk.inquire()
    spoil = false_shares(desk, 1)
    told: list[Answer] = []

    def once(answer: Answer) -> Answer:
        told.append(answer)
        return spoil(answer) if len(told) == 1 else answer

    desk.network.spoils[1] = once
    reading = desk.read(posted)
    assert amounts(reading) == [100, 300]
    assert {member for _, member in reading.doubted} == {1}
    assert reading.blamed == ()
    assert not desk.reader.folder.evidence.exists()


def test_false_shares_and_a_silent_member_convict_nobody_in_vain(desk: Desk) -> None:
    """Two right answers can't open anything; the liar is convicted, the read can be repeated."""
    posted = desk.inquire()
    desk.network.spoils[1] = false_shares(desk, 1)
    desk.network.nodes[4].up = False
    with pytest.raises(VerificationError):
        desk.read(posted)
    # What convicts the liar stays, and opens nothing.
    (proven,) = evidence(desk).values()
    assert (proven.type, proven.member) == (EvidenceType.FALSE_SHARE, 1)
    desk.network.nodes[4].up = True
    assert amounts(desk.read(posted)) == [100, 300]


def test_a_contributor_that_dealt_wrong_shares_is_convicted(desk: Desk) -> None:
    world = desk.network.world
    index = deal_wrong(desk, 1)
    reading = desk.ask()
    assert amounts(reading) == [100, 300]
    assert [each.fault for each in reading.report.invalid] == [Fault.DEALT_WRONG]
    assert [(each.part, each.member) for each in reading.blamed] == [(Part.DEALER, 2)]
    anchor = Anchor(ledger_id=world.ledger.ledger_id)
    facts = verify_bundle(reading.bundle, anchor=anchor).facts
    claim = CLAIM.decode(encode(reading.claims[0]))
    assert verify_fault(claim, facts).event == EventId(index, 0)
    ((name, proven),) = evidence(desk).items()
    assert name == f"dealing-2-{index}-0.evidence"
    assert (proven.type, proven.member) == (EvidenceType.DEALING, 2)


def test_one_who_deals_wrong_again_and_again_fills_no_folder(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fault, "EVIDENCE_EACH_MAX", 2)
    deal_wrong(desk, 3)
    reading = desk.ask()
    assert len(reading.blamed) == 3
    assert len(evidence(desk)) == 2


# Bodies and registry.


def test_a_body_that_one_node_lacks_is_fetched_from_another(desk: Desk) -> None:
    """Its month was moved, so that the first node's word can't be told from a lie."""
    world = desk.network.world
    first = desk.reader.nodes()[0]
    posted = desk.inquire()
    desk.network.without[first] = {EventId(1, 0)}
    desk.network._attachments()
    desk.network.committee.mark(2, (1, 0), 2, 2026 * 12, 7)
    desk.network.published = world.head.size
    desk.network.run(desk.reader, newest(desk.reader))
    reading = desk.read(posted)
    assert amounts(reading) == [100, 300]
    assert WarningCode.BODY_LAPSED not in {each.code for each in reading.report.warnings}


def test_a_body_erased_after_the_readers_checkpoint_is_explained_by_a_newer_one(
    desk: Desk,
) -> None:
    posted = desk.inquire()
    desk.network._attachments()
    desk.network.committee.mark(2, (1, 0), 1, None, 4)
    desk.network.committee.delete_body(EventId(1, 0))
    desk.network.published = desk.network.world.head.size
    known = desk.reader.trust.checkpoint
    assert known is not None
    assert known.size < desk.network.published
    reading = desk.read(posted)
    assert [each.filed.id for each in reading.report.gone] == [EventId(1, 0)]
    assert amounts(reading) == [300]


def test_a_registry_that_changes_while_reading_is_followed(desk: Desk) -> None:
    posted = desk.inquire()
    feed = SigningKey(seed("new feed"))
    committee = desk.network.committee
    committee.change_keys(3, 0, added=[Feed(9, feed.public, kinds_of(Kind.SUBMISSION))])
    desk.network.published = desk.network.world.head.size
    desk.network._step()
    desk.network.run(desk.reader, newest(desk.reader))
    reading = desk.read(posted)
    assert amounts(reading) == [100, 300]
    assert len(desk.reader.trust.steps) == 1


def test_subject_keys_are_those_of_the_inquirys_years(desk: Desk) -> None:
    posted = desk.inquire()
    (own,) = subject_keys(desk.reader, posted).identifiers
    assert [each.year for each in own] == [2025, 2026]
