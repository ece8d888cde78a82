"""Consents, inquiries and marks, from draft to proof."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.client.network import Network, make_session, payment, seal
from tests.client.test_submit import altered
from tests.world import DAY_MS, seed, subject

from tradeline_client.draft import Wish, read_draft, write_draft
from tradeline_client.errors import (
    DraftError,
    NodeProblemError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from tradeline_client.flows.consent import (
    change,
    draft,
    grant,
    secret_of,
    show,
    show_all,
    sign_as_second,
)
from tradeline_client.flows.inquiry import Question, inquire, open_inquiry
from tradeline_client.flows.mark import erase, retain
from tradeline_client.flows.submit import submit
from tradeline_client.session import Session
from tradeline_ledger import calendar
from tradeline_ledger.consent import (
    Change,
    ChangeReason,
    DataLife,
    Evidence,
    EvidenceType,
    Frequency,
    FrequencyUnit,
    Purpose,
    commitment,
)
from tradeline_ledger.errors import EventError, VerificationError
from tradeline_ledger.event import Report, decode_event
from tradeline_ledger.history import EventId
from tradeline_ledger.inquiry import key_hash
from tradeline_ledger.mark import MarkReason
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.schema import Basis
from tradeline_ledger.schemas import RETRACT, SUPERSEDE
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.state import ConsentStanding

SUBJECT_KEY = SigningKey(seed("subject key"))


@pytest.fixture
def notary(tmp_path: Path, network: Network) -> Iterator[Session]:
    """Member 2, which identifies subjects."""
    opened = make_session(tmp_path / "second", network, 2)
    yield opened
    opened.close()


def wish(network: Network, **changes: Any) -> Wish:
    now_ms = network.clock_ms()
    fields: dict[str, Any] = {
        "second": 2,
        "purpose": Purpose.LOAN_APPLICATION,
        "categories": (2, 1),
        "years": (2024, 2025),
        "from_ms": now_ms,
        "until_ms": now_ms + 90 * DAY_MS,
        "frequency": Frequency(FrequencyUnit.DAY, 2),
        "life": DataLife(2, 3),
        "template": "loan-application-1",
        "language": "en",
        "notice_hash": seed("notice"),
        "evidence": Evidence(EvidenceType.SIGNED_DOCUMENT, seed("evidence")),
        "reference": "application 4711",
    }
    return Wish(**(fields | changes))


def granted(network: Network, session: Session, notary: Session, **changes: Any) -> bytes:
    signed = sign_as_second(
        notary, draft(session, wish(network, **changes), [subject(1)]), [subject(1)]
    )
    if changes.get("subject_key"):
        signed = signed.signed_by_subject(SUBJECT_KEY)
    network.run(session, grant(session, signed))
    return signed.consent_id


def test_consent_is_drafted_signed_and_posted(
    network: Network, session: Session, notary: Session, tmp_path: Path
) -> None:
    made = draft(session, wish(network), [subject(1), subject(2)])
    write_draft(tmp_path / "draft.json", made)
    received = read_draft(tmp_path / "draft.json")
    assert received == made
    write_draft(tmp_path / "draft.json", sign_as_second(notary, received, [subject(2), subject(1)]))
    placement = network.run(session, grant(session, read_draft(tmp_path / "draft.json")))
    found = network.run(session, show(session, made.consent_id))
    assert found.terms == made.decoded()
    assert (found.index, found.changed_index) == (placement.index, placement.index)
    assert found.standing is ConsentStanding.ACTIVE
    assert found.agreed_by == (1, 2, 3, 4)
    assert found.terms.years() == {2024, 2025, 2026}
    assert found.terms.categories == (1, 2)
    expected = commitment(made.salt, 2025, network.world.year_key(2, 2025))
    assert expected in {each.commitment for each in found.terms.commitments}
    assert [each.consent_id for each in network.run(session, show_all(session))] == [
        made.consent_id
    ]


def test_draft_file_is_private_and_names_nobody(
    network: Network, session: Session, tmp_path: Path
) -> None:
    write_draft(tmp_path / "draft.json", draft(session, wish(network), [subject(1)]))
    assert stat.S_IMODE((tmp_path / "draft.json").stat().st_mode) == 0o600
    assert subject(1).identifier not in (tmp_path / "draft.json").read_text()


def test_second_signs_only_for_whom_it_saw(
    network: Network, session: Session, notary: Session
) -> None:
    made = draft(session, wish(network), [subject(1)])
    for seen in ([subject(2)], [subject(1), subject(2)], []):
        with pytest.raises(DraftError, match="identified yourself"):
            sign_as_second(notary, made, seen)
    two = draft(session, wish(network), [subject(1), subject(2)])
    with pytest.raises(DraftError, match="identified yourself"):
        sign_as_second(notary, two, [subject(1)])
    with pytest.raises(DraftError, match="identified yourself"):
        sign_as_second(notary, replace(made, salt=bytes(32)), [subject(1)])
    with pytest.raises(DraftError, match="name member 2"):
        sign_as_second(session, made, [subject(1)])


def test_unsigned_or_foreign_draft_is_not_posted(
    network: Network, session: Session, notary: Session
) -> None:
    made = draft(session, wish(network), [subject(1)])
    with pytest.raises(DraftError, match="has not signed yet"):
        network.run(session, grant(session, made))
    signed = sign_as_second(notary, made, [subject(1)])
    other = sign_as_second(notary, draft(session, wish(network), [subject(1)]), [subject(1)])
    with pytest.raises(DraftError, match="not over these terms"):
        network.run(session, grant(session, replace(signed, second=other.second)))
    with pytest.raises(DraftError, match="for member 1"):
        network.run(notary, grant(notary, signed))
    elsewhere = replace(signed, terms=signed.terms, salt=signed.salt)
    assert elsewhere.second is not None
    stranger = replace(elsewhere, second=type(elsewhere.second)(9, elsewhere.second.signature))
    with pytest.raises(DraftError, match="feed 9"):
        network.run(session, grant(session, stranger))


def test_subject_with_a_key_of_its_own_must_sign(
    network: Network, session: Session, notary: Session
) -> None:
    made = draft(session, wish(network, subject_key=SUBJECT_KEY.public), [subject(1)])
    signed = sign_as_second(notary, made, [subject(1)])
    with pytest.raises(DraftError, match="the subject has not signed"):
        network.run(session, grant(session, signed))
    with pytest.raises(DraftError, match="do not name this key"):
        signed.signed_by_subject(SigningKey(seed("other")))
    network.run(session, grant(session, signed.signed_by_subject(SUBJECT_KEY)))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"until_ms": 0, "years": ()}, "window"),
        ({"categories": ()}, "no category"),
        ({"frequency": Frequency(0, 2)}, "frequency"),
        ({"template": "ü"}, "template"),
        ({"second": 1}, "one member"),
    ],
)
def test_impossible_terms_are_not_drafted(
    network: Network, session: Session, changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(DraftError, match=match):
        draft(session, wish(network, **changes), [subject(1)])


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": "tradeline consent draft 2"}', "not json", '{"format": 1}'],
)
def test_other_files_are_no_drafts(tmp_path: Path, text: str) -> None:
    (tmp_path / "draft").write_text(text)
    with pytest.raises(DraftError, match="no draft"):
        read_draft(tmp_path / "draft")
    with pytest.raises(DraftError, match="can't be read"):
        read_draft(tmp_path / "absent")


def test_altered_terms_in_a_draft_are_found(
    network: Network, session: Session, notary: Session, tmp_path: Path
) -> None:
    made = draft(session, wish(network), [subject(1)])
    write_draft(tmp_path / "draft", sign_as_second(notary, made, [subject(1)]))
    document = json.loads((tmp_path / "draft").read_text())
    other = draft(session, wish(network, purpose=Purpose.GUARANTOR), [subject(1)])
    write_draft(tmp_path / "other", other)
    document["terms"] = json.loads((tmp_path / "other").read_text())["terms"]
    (tmp_path / "draft").write_text(json.dumps(document))
    with pytest.raises(DraftError, match="not over these terms"):
        network.run(session, grant(session, read_draft(tmp_path / "draft")))


def test_standing_follows_its_changes(network: Network, session: Session, notary: Session) -> None:
    consent = granted(network, session, notary)
    for what, standing in (
        (Change.PAUSE, ConsentStanding.PAUSED),
        (Change.RESUME, ConsentStanding.ACTIVE),
        (Change.REVOKE, ConsentStanding.REVOKED),
    ):
        placed = network.run(notary, change(notary, consent, what, ChangeReason.SUBJECT))
        found = network.run(session, show(session, consent))
        assert (found.standing, found.changed_index) == (standing, placed.index)
    with pytest.raises(RefusedError, match="status-consent-ended"):
        network.run(session, change(session, consent, Change.TERMINATE, ChangeReason.READER))


def test_subject_revokes_with_its_own_key(
    network: Network, session: Session, notary: Session
) -> None:
    consent = granted(network, session, notary, subject_key=SUBJECT_KEY.public)
    network.run(notary, change(notary, consent, Change.PAUSE, ChangeReason.SUBJECT))
    network.run(session, change(session, consent, Change.REVOKE, ChangeReason.SUBJECT, SUBJECT_KEY))
    assert network.run(notary, show(notary, consent)).standing is ConsentStanding.REVOKED


def test_superseded_consent_is_shown_with_its_successor(
    network: Network, session: Session, notary: Session
) -> None:
    first = granted(network, session, notary)
    second = granted(network, session, notary, supersedes=first)
    found = network.run(session, show(session, first))
    assert found.standing is ConsentStanding.SUPERSEDED
    assert found.changed_index == network.run(session, show(session, second)).index


def test_standing_needs_a_quorum_that_agrees(
    network: Network, session: Session, notary: Session
) -> None:
    consent = granted(network, session, notary)
    network.run(notary, change(notary, consent, Change.REVOKE, ChangeReason.SUBJECT))
    index = network.run(session, show(session, consent)).index

    def lie(_: object, honest: Any) -> Any:
        return altered(honest, standing="active", standing_index=index)

    network.nodes[1].lies["GET /v1/consents"] = lie
    assert network.run(session, show(session, consent)).standing is ConsentStanding.REVOKED
    network.nodes[2].lies["GET /v1/consents"] = lie
    with pytest.raises(UnavailableError, match="2 nodes agree"):
        network.run(session, show(session, consent))
    network.nodes[3].up = network.nodes[4].up = False
    with pytest.raises(UnavailableError):
        network.run(session, show(session, consent))


def test_terms_that_nodes_make_up_are_refused(
    network: Network, session: Session, notary: Session
) -> None:
    consent = granted(network, session, notary)
    other = granted(network, session, notary)
    index = network.run(session, show(session, other)).index
    for node in network.nodes.values():
        node.lies["GET /v1/consents"] = lambda _, honest: altered(
            honest, consent_id=consent.hex(), index=index, standing_index=index
        )
    with pytest.raises(VerificationError, match="another consent"):
        network.run(session, show(session, consent))


def test_consent_of_others_is_not_found(network: Network, session: Session) -> None:
    with pytest.raises(NodeProblemError, match="no such thing") as caught:
        network.run(session, show(session, bytes(16)))
    assert caught.value.code == "not-found"


# Inquiries.


def question(consent: bytes, **changes: Any) -> Question:
    fields: dict[str, Any] = {
        "consent_id": consent,
        "purpose": Purpose.LOAN_APPLICATION,
        "operator": "clerk 17",
        "reference": "application 4711",
    }
    return Question(**(fields | changes))


def test_inquiry_is_posted_with_its_key_kept(
    network: Network, session: Session, notary: Session
) -> None:
    consent = granted(network, session, notary)
    posted = network.run(session, inquire(session, question(consent)))
    assert posted.inquiry.key_hash == key_hash(posted.key.public.encoded)
    assert posted.inquiry.years == (2024, 2025, 2026)
    month = calendar.month(network.world.time_ms, 480)
    assert posted.inquiry.retain_month == month + 24
    assert posted.inquiry.tag == network.world.tag(1, 1, 2026, 3)
    again = open_inquiry(session, posted.index)
    assert again.key.public.encoded == posted.key.public.encoded
    assert (again.inquiry, again.secret) == (posted.inquiry, posted.secret)
    keys = again.secret.year_keys(session.keystore.linker, (2025,))
    assert keys == [(2025, network.world.year_key(1, 2025))]
    with pytest.raises(NotFoundError):
        open_inquiry(session, posted.index + 1)


def test_same_operator_has_the_same_hash_and_references_never(
    network: Network, session: Session, notary: Session
) -> None:
    consent = granted(network, session, notary)
    first = network.run(session, inquire(session, question(consent))).inquiry
    second = network.run(session, inquire(session, question(consent))).inquiry
    assert first.operator_hash == second.operator_hash
    assert first.ref_hash != second.ref_hash
    assert first.key_hash != second.key_hash
    with pytest.raises(RefusedError, match="inquiry-frequency-used"):
        network.run(session, inquire(session, question(consent)))


def test_inquiry_under_a_revoked_consent_is_refused_and_visible(
    network: Network, session: Session, notary: Session
) -> None:
    consent = granted(network, session, notary)
    network.run(notary, change(notary, consent, Change.REVOKE, ChangeReason.SUBJECT))
    with pytest.raises(RefusedError) as caught:
        network.run(session, inquire(session, question(consent)))
    assert caught.value.outcome is Outcome.INQUIRY_CONSENT_REVOKED
    assert network.world.leaves[caught.value.index]


@pytest.mark.parametrize(
    "changes", [{"categories": (4,)}, {"years": (2023,)}, {"contributors": (4,)}]
)
def test_question_wider_than_the_consent_is_not_posted(
    network: Network, session: Session, notary: Session, changes: dict[str, Any]
) -> None:
    consent = granted(network, session, notary, contributors=(2, 3))
    with pytest.raises(DraftError, match="within the consent's"):
        network.run(session, inquire(session, question(consent, **changes)))


def test_narrower_question_is_asked_as_it_is(
    network: Network, session: Session, notary: Session
) -> None:
    consent = granted(network, session, notary)
    asked = question(consent, categories=(2,), years=(2025,), contributors=(3, 2))
    inquiry = network.run(session, inquire(session, asked)).inquiry
    assert (inquiry.categories, inquiry.years, inquiry.contributors) == ((2,), (2025, 2026), (2, 3))


def test_consent_drafted_elsewhere_cannot_be_used(
    network: Network, session: Session, notary: Session
) -> None:
    with pytest.raises(NotFoundError, match="has no consent"):
        network.run(session, inquire(session, question(bytes(16))))
    with pytest.raises(NotFoundError):
        secret_of(notary, granted(network, session, notary))


# Marks and corrections.


def test_erasing_deletes_the_key_once_the_order_is_placed(
    network: Network, session: Session
) -> None:
    placed = network.run(session, submit(session, seal(session)))
    for node in network.nodes.values():
        node.lies["POST /v1/entries"] = lambda request, _: network._problem(
            network.nodes[request.node], "node-halted"
        )
    with pytest.raises(NodeProblemError, match="takes no writes"):
        network.run(session, erase(session, placed.event(0), MarkReason.COURT_ORDER))
    assert not session.vault.find(placed.event(0)).erased
    for node in network.nodes.values():
        node.lies.clear()
    with pytest.raises(RefusedError, match="mark-without-effect"):
        network.run(session, erase(session, placed.event(0), MarkReason.COURT_ORDER))
    assert session.vault.find(placed.event(0)).erased
    assert not session.vault.find(placed.event(1)).erased


def test_month_is_moved_by_an_entry(network: Network, session: Session) -> None:
    placed = network.run(session, submit(session, seal(session)))
    month = session.vault.find(placed.event(1)).retain_month + 12
    moved = network.run(
        session, retain(session, placed.event(1), month, MarkReason.BEHAVIOUR_NOT_ENDED)
    )
    assert moved.outcome is Outcome.ACCEPTED
    assert not session.vault.find(placed.event(1)).erased


def correction(target: EventId, schema: Any, day: str = "2026-03-05", **values: Any) -> Report:
    fields = schema.values(reason=1, **values)
    account = "account-1" if schema is SUPERSEDE else None
    where = (target.index, target.position)
    return Report(schema, day, Basis.CONTRACT, f"fix {target}", account, fields, where)


def test_correction_is_filed_with_its_target(network: Network, session: Session) -> None:
    network.run(session, submit(session, seal(session)))
    (target,) = session.vault.find_ref(session.keystore.references.ref("row-1"))
    assert target.id == EventId(1, 1)
    better = payment("row-1", amount=2000)
    replacement = (better.schema.number, better.schema.version, better.fields)
    report = correction(target.id, SUPERSEDE, replacement=replacement)
    plain = session.sealer.plain(report, subject(1), target)
    assert decode_event(plain.encoded).target == (1, 1)
    sealed = session.sealer.seal([plain], session.registry)
    assert sealed.batch.tag(0) == target.tag
    assert network.run(session, submit(session, sealed)).placement.outcome is Outcome.ACCEPTED


def test_correction_of_something_else_is_refused(network: Network, session: Session) -> None:
    network.run(session, submit(session, seal(session)))
    target = session.vault.find(EventId(1, 1))
    plain = session.sealer.plain
    retraction = correction(target.id, RETRACT)
    with pytest.raises(EventError, match="not about this subject"):
        plain(retraction, subject(0), target)
    with pytest.raises(EventError, match="another event than"):
        plain(correction(EventId(1, 0), RETRACT), subject(1), target)
    with pytest.raises(EventError, match="expected one of 2026"):
        plain(correction(target.id, RETRACT, "2025-03-05"), subject(1), target)
    with pytest.raises(EventError, match="look its target up"):
        plain(retraction, subject(1))
