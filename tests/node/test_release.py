from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.node.custody_world import RETAIN_2031, Answered, Asked, Committee
from tests.world import DAY_MS, seed

from tradeline_ledger.body import body_hash
from tradeline_ledger.consent import (
    Change,
    ChangeReason,
    Commitment,
    Status,
    commitment,
    consent_id,
)
from tradeline_ledger.encoding import encode
from tradeline_ledger.history import EventId, fold_head, fold_marks
from tradeline_ledger.hpke import PrivateKey, seal
from tradeline_ledger.inquiry import scope_hash, scope_tags
from tradeline_ledger.key import Key, KeyChange, Replaced
from tradeline_ledger.mark import MarkKind
from tradeline_ledger.merkle import leaf_hash, root_of, verify_inclusion
from tradeline_ledger.proof import EntryVerifier, TreeHead, verify_event
from tradeline_ledger.release import (
    ReleaseRequest,
    Want,
    YearKey,
    common_hash,
    payload_hash,
    verify_history,
)
from tradeline_ledger.share_opening import open_keys
from tradeline_ledger.statement import Kind
from tradeline_ledger.submission import header_body_hash, header_tag
from tradeline_ledger.tag import tag, tag_key_hash
from tradeline_node.errors import RequestError

ALL = Want.SHARES | Want.PROOFS


@pytest.fixture
def committee(tmp_path: Path) -> Iterator[Committee]:
    made = Committee(tmp_path)
    yield made
    made.close()


def refusal(
    committee: Committee,
    asked: Asked,
    *,
    reader: int | None = None,
    request: ReleaseRequest | None = None,
    proof_size: int | None = None,
) -> RequestError:
    """Return why node 3 does not answer; it must leave no record of a release."""
    before = committee.nodes[3].released.pending()
    with pytest.raises(RequestError, match=r".") as error:
        committee.release(asked, 3, reader=reader, request=request, proof_size=proof_size)
    assert committee.nodes[3].released.pending() == before
    return error.value


def changed(request: ReleaseRequest, **fields: object) -> ReleaseRequest:
    return msgspec.structs.replace(request, **fields)


def status(committee: Committee, asked: Asked, change: Change, poster: int = 2) -> int:
    content = Status(consent_id(encode(asked.terms)), change, ChangeReason.SUBJECT, None)
    return committee.placed(committee.world.entry(poster, Kind.STATUS, encode(content)))


def check_proofs(committee: Committee, asked: Asked, got: Answered) -> None:
    """Verify an answer as its reader does: signature, inclusion, completeness."""
    world, common = committee.world, got.common
    verifier = EntryVerifier(world.ledger.ledger_id, world.registry)
    head = TreeHead(common.size, common.root)
    assert common.root == root_of([leaf_hash(leaf) for leaf in world.leaves[: common.size]])
    assert got.proofs is not None
    counted = [each for each in got.proofs.entries if each.index < common.size]
    entries = {each.index: verifier.entry(each, head) for each in counted}
    indexes = [each.index for each in got.proofs.entries]
    assert indexes == sorted(set(indexes))
    events = [(each.index, each.position) for each in got.proofs.events]
    assert events == sorted(set(events))
    folded: dict[tuple[int, bytes], list[tuple[EventId, bytes]]] = {}
    for event in got.proofs.events:
        verify_event(event, entries[event.index])
        place = (event.member, header_tag(event.header))
        folded.setdefault(place, []).append((EventId(event.index, event.position), event.header))
        if event.body is not None:
            assert body_hash(event.body) == header_body_hash(event.header)
    assert [(row.member, row.tag) for row in common.rows] == sorted(folded)
    marks = [
        (entry.mark().target, index)
        for index, entry in entries.items()
        if entry.statement.kind == Kind.MARK
    ]
    for row in common.rows:
        own = folded[row.member, row.tag]
        assert (row.count, row.head) == (len(own), fold_head(own))
        about = [mark for mark in marks if mark[0] in {event for event, _ in own}]
        assert (row.marks_count, row.marks) == (len(about), fold_marks(about))


def signed_by(committee: Committee, node: int, got: Answered) -> None:
    verify_history(
        committee.world.institution(node).node.public,
        common_hash(got.answer.common),
        node,
        payload_hash(got.answer.payload),
        got.answer.signature,
    )


def test_any_three_of_four_open_what_the_scope_holds(committee: Committee) -> None:
    batches = [committee.batch(2, [7, 1, 8]), committee.batch(3, [1], category=2)]
    batches += [committee.batch(4, [9, 9, 1, 1])]
    indexes = [
        committee.submit(member, batch, attachment)
        for member, (batch, attachment, _) in zip((2, 3, 4), batches, strict=True)
    ]
    asked = committee.inquire(reader=1)
    answers = {node: committee.release(asked, node) for node in (1, 2, 3, 4)}
    assert len({got.answer.common for got in answers.values()}) == 1
    for node, got in answers.items():
        signed_by(committee, node, got)
        check_proofs(committee, asked, got)
    common, proofs = answers[1].common, answers[1].proofs
    assert proofs is not None
    world = committee.world
    keys = {each.id: [each.tag_key] for each in world.institutions}
    year_keys = [(each.year, each.year_key) for each in asked.request.year_keys]
    inquiry = world.inquiry(consent_id(encode(asked.terms)))
    scope = scope_tags(inquiry, (1, 2, 3, 4, 5), keys, year_keys)
    assert common.scope_hash == scope_hash(scope)
    assert [(row.member, row.count) for row in common.rows] == [(1, 1), (2, 1), (3, 1), (4, 2)]
    bodies = [
        (EventId(event.index, event.position), event.body)
        for event in proofs.events
        if event.body is not None
    ]
    expected = {
        EventId(indexes[0], 1): batches[0][2][1],
        EventId(indexes[1], 0): batches[1][2][0],
        EventId(indexes[2], 2): batches[2][2][2],
        EventId(indexes[2], 3): batches[2][2][3],
    }
    for left_out in (1, 2, 3, 4):
        payloads = {node: got.payload for node, got in answers.items() if node != left_out}
        assert open_keys(bodies, payloads, world.registry.epochs).keys == expected
    two = {node: answers[node].payload for node in (1, 2)}
    assert open_keys(bodies, two, world.registry.epochs).keys == {}


def test_want_decides_what_comes_back(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [5, 1, 6])
    index = committee.submit(2, batch, attachment)
    asked = committee.inquire()

    def ask(want: int) -> Answered:
        return committee.release(asked, request=changed(asked.request, want=want))

    only_shares, only_proofs, nothing = ask(Want.SHARES), ask(Want.PROOFS), ask(0)
    assert only_shares.proofs is None
    assert [each.index for each in only_shares.payload] == [index]
    assert only_proofs.payload == nothing.payload == ()
    assert only_proofs.proofs is not None
    assert only_proofs.proofs.events[0].body == attachment.bodies[1]
    with_paths = ask(Want.SHARES | Want.SHARE_PATHS)
    (entry,) = with_paths.payload
    (share,) = entry.shares
    assert share.path is not None
    root = batch.deposits[2].share_root
    verify_inclusion(leaf_hash(share.share), share.position, batch.count, share.path, root)
    assert only_shares.payload[0].shares[0].share == share.share


def test_events_of_later_blocks_are_neither_counted_nor_released(committee: Committee) -> None:
    first, attachment, _ = committee.batch(2, [1])
    index = committee.submit(2, first, attachment)
    asked = committee.inquire()
    before = committee.release(asked)
    later, other, _ = committee.batch(2, [1])
    committee.submit(2, later, other)
    committee.inquire(reader=2, second=1)
    after = committee.release(asked)
    assert after.answer.common == before.answer.common
    assert [each.index for each in after.payload] == [index]
    check_proofs(committee, asked, after)


def test_the_next_reader_sees_the_inquiry_of_the_one_before(committee: Committee) -> None:
    first = committee.inquire(reader=1)
    second = committee.inquire(reader=2, second=1)
    got = committee.release(second, 4)
    assert got.proofs is not None
    assert [event.index for event in got.proofs.events] == [first.index, second.index]
    assert all(event.body is None and event.path == () for event in got.proofs.events)
    check_proofs(committee, second, got)


def test_inquiry_for_some_contributors_sees_only_their_events_and_all_inquiries(
    committee: Committee,
) -> None:
    indexes = {}
    for member in (2, 3):
        batch, attachment, _ = committee.batch(member, [1])
        indexes[member] = committee.submit(member, batch, attachment)
    asked = committee.inquire(contributors=(3,), categories=(1,))
    got = committee.release(asked)
    assert [row.member for row in got.common.rows] == [1, 3]
    assert [each.index for each in got.payload] == [indexes[3]]
    check_proofs(committee, asked, got)


def test_share_is_not_released_to_another_member(committee: Committee) -> None:
    batch, attachment, _ = committee.batch()
    committee.submit(2, batch, attachment)
    asked = committee.inquire(reader=1)
    error = refusal(committee, asked, reader=2)
    assert (error.code, error.detail, error.extra) == ("not-found", "", {})


def test_what_is_no_accepted_inquiry_looks_like_somebody_elses(committee: Committee) -> None:
    batch, attachment, _ = committee.batch()
    index = committee.submit(2, batch, attachment)
    asked = committee.inquire()
    asked.index = index
    assert refusal(committee, asked).args == ("not-found",)
    wrong = committee.world.inquiry(consent_id(encode(asked.terms)), purpose=2)
    refused = committee.block(committee.world.entry(1, Kind.INQUIRY, encode(wrong)))
    assert refused.placed[0].applied.outcome.refused
    asked.index = refused.placed[0].index
    assert refusal(committee, asked).args == ("not-found",)


def test_inquiry_that_this_node_has_not_applied_is_not_answered(committee: Committee) -> None:
    asked = committee.inquire()
    asked.index = committee.world.head.size + 5
    assert refusal(committee, asked).code == "size-ahead"


@pytest.mark.parametrize("change", [Change.REVOKE, Change.PAUSE, Change.TERMINATE])
def test_consent_that_ended_between_inquiry_and_release(
    committee: Committee, change: Change
) -> None:
    asked = committee.inquire()
    committee.release(asked)
    index = status(committee, asked, change, poster=1 if change is Change.TERMINATE else 2)
    error = refusal(committee, asked)
    assert error.code == "release-consent-ended"
    assert error.extra["index"] == index
    if change is Change.PAUSE:
        status(committee, asked, Change.RESUME)
        committee.release(asked)


def test_superseded_consent_releases_nothing(committee: Committee) -> None:
    asked = committee.inquire()
    world = committee.world
    newer = world.terms(supersedes=consent_id(encode(asked.terms)), notice_hash=seed("newer"))
    committee.placed(world.entry(1, Kind.CONSENT, world.consent(newer)))
    error = refusal(committee, asked)
    assert error.code == "release-consent-ended"
    assert "superseded" in error.detail


def test_release_asked_too_late(committee: Committee) -> None:
    asked = committee.inquire()
    window_ms = committee.world.ledger.params.release_window_ms
    committee.tick(window_ms)
    committee.release(asked)
    committee.tick(1)
    assert refusal(committee, asked).code == "release-closed"


def test_stalled_node_does_not_answer(committee: Committee) -> None:
    asked = committee.inquire()
    committee.nodes[3].stalled = "no block for 30 s"
    error = refusal(committee, asked)
    assert (error.code, error.detail) == ("release-stalled", "no block for 30 s")


def test_year_keys_must_open_every_commitment_of_the_inquirys_years_and_no_other(
    committee: Committee,
) -> None:
    asked = committee.inquire()
    world, request = committee.world, asked.request
    first, second = request.year_keys
    wrong = YearKey(first.year, seed("guessed"))
    of_another = YearKey(first.year, world.year_key(2, first.year))
    of_another_year = YearKey(2024, world.year_key(1, 2024))
    for keys in (
        (wrong, second),
        (of_another, second),
        (second,),
        (first,),
        (),
        (of_another_year, first, second),
        tuple(sorted((first, of_another, second), key=lambda each: (each.year, each.year_key))),
    ):
        error = refusal(committee, asked, request=changed(request, year_keys=keys))
        assert error.code == "release-commitment-wrong"
        told = error.detail + repr(error.extra)
        assert all(each.year_key.hex() not in told for each in request.year_keys)
    salted = changed(request, salt=seed("another salt"))
    assert refusal(committee, asked, request=salted).code == "release-commitment-wrong"


def test_inquiry_for_fewer_years_needs_their_keys_only(committee: Committee) -> None:
    old, attachment, _ = committee.batch(2, [1], year=2025)
    committee.submit(2, old, attachment)
    new, other, _ = committee.batch(2, [1], year=2026)
    index = committee.submit(2, new, other)
    asked = committee.inquire(years=(2026,))
    got = committee.release(asked)
    assert [each.index for each in got.payload] == [index]
    both = tuple(YearKey(year, committee.world.year_key(1, year)) for year in (2025, 2026))
    error = refusal(committee, asked, request=changed(asked.request, year_keys=both))
    assert error.code == "release-commitment-wrong"


def test_every_identifier_of_the_subject_is_read(committee: Committee) -> None:
    world, salt = committee.world, seed("salt", 1, 2, 1)
    rows = sorted(
        (
            Commitment(year, commitment(salt, year, world.year_key(who, year)))
            for year in (2025, 2026)
            for who in (1, 11)
        ),
        key=lambda each: (each.year, each.commitment),
    )
    terms = world.terms(commitments=tuple(rows))
    committee.placed(world.entry(1, Kind.CONSENT, world.consent(terms)))
    batch, attachment, _ = committee.batch(2, [1, 12, 11])
    committee.submit(2, batch, attachment)
    asked = committee.inquire(consent=terms)
    # The keys of one identifier alone would leave the other's events out.
    assert refusal(committee, asked).code == "release-commitment-wrong"
    keys = sorted(
        (YearKey(y, world.year_key(who, y)) for y in (2025, 2026) for who in (1, 11)),
        key=lambda each: (each.year, each.year_key),
    )
    got = committee.release(asked, request=changed(asked.request, year_keys=tuple(keys)))
    (entry,) = got.payload
    assert [share.position for share in entry.shares] == [0, 2]


@pytest.mark.parametrize("hidden", ["made up", "another member's", "another category's"])
def test_inquiry_filed_under_a_tag_that_hides_it(committee: Committee, hidden: str) -> None:
    world = committee.world
    tags = {
        "made up": seed("hidden")[:16],
        "another member's": world.tag(2, 1, 2026, 3),
        "another category's": world.tag(1, 1, 2026, 6),
    }
    asked = committee.inquire(tag=tags[hidden])
    assert refusal(committee, asked).code == "release-tag-wrong"


def test_one_time_key_other_than_the_inquirys(committee: Committee) -> None:
    asked = committee.inquire()
    other = PrivateKey.generate(b"".join(seed("mine", i) for i in range(3)))
    error = refusal(
        committee, asked, request=changed(asked.request, public_key=other.public.encoded)
    )
    assert error.code == "release-key-wrong"


def test_request_for_another_node_inquiry_or_ledger_does_not_open(committee: Committee) -> None:
    asked = committee.inquire()
    releases = committee.nodes[3].releases
    for sealed in (
        committee.sealed_request(asked, 2),
        committee.sealed_request(asked, 3)[:-1],
        b"",
        seal(committee.world.institution(3).hpke.public, encode(asked.request), b"other info"),
    ):
        with pytest.raises(RequestError, match=r".") as error:
            releases.release(asked.index, 1, sealed)
        assert error.value.code == "release-malformed"
    for request in (
        changed(asked.request, inquiry=asked.index + 1),
        changed(asked.request, ledger_id=bytes(32)),
    ):
        assert refusal(committee, asked, request=request).code == "release-malformed"


def test_node_that_lacks_a_tag_key_says_nothing_incomplete(committee: Committee) -> None:
    asked = committee.inquire()
    node = committee.nodes[3]
    node.close_services()
    (file,) = (node.folder / "custody").rglob("4-*.sealed")
    kept = file.read_bytes()
    file.unlink()
    node.open_services()
    error = refusal(committee, asked)
    assert (error.code, error.extra["members"]) == ("release-tag-key-missing", [4])
    node.tag_keys.put(node.store.registry, 4, kept)
    committee.release(asked)


def test_events_under_a_key_that_was_replaced_stay_in_the_scope(committee: Committee) -> None:
    world = committee.world
    old, attachment, _ = committee.batch(2, [1])
    first = committee.submit(2, old, attachment)
    asked_before = committee.inquire()
    before = committee.release(asked_before)
    new_key = seed("new tag key")
    change = KeyChange(
        world.ledger.ledger_id,
        2,
        0,
        (),
        (),
        Replaced(None, None, None, None, tag_key_hash(new_key)),
    )
    signature = world.institution(2).root.sign("key", encode(change))
    committee.placed(world.entry(2, Kind.KEY, encode(Key(encode(change), signature))))
    for node in committee.nodes.values():
        sealed = committee.sealed_tag_key(2, node, new_key)
        node.tag_keys.put(node.store.registry, 2, sealed)
    rows = [(tag(new_key, world.year_key(1, 2026), 1), RETAIN_2031, b"under the new key")]
    batch, second_attachment, _ = world.batch(2, rows, salt="new")
    second = committee.submit(2, batch, second_attachment)
    asked = committee.inquire(consent=asked_before.terms)
    got = committee.release(asked)
    assert [each.index for each in got.payload] == [first, second]
    check_proofs(committee, asked, got)
    # A key that came later is no part of an earlier inquiry's scope.
    assert committee.release(asked_before).answer.common == before.answer.common


def test_scope_wider_than_the_limit(committee: Committee, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = committee.inquire()
    monkeypatch.setattr("tradeline_node.scope.SCOPE_TAGS_MAX", 29)
    assert refusal(committee, asked).code == "release-scope-wide"
    monkeypatch.setattr("tradeline_node.scope.SCOPE_TAGS_MAX", 30)
    committee.release(asked)


def test_erased_event_has_no_share_and_no_body_and_its_mark_is_proven(
    committee: Committee,
) -> None:
    batch, attachment, _ = committee.batch(2, [1, 1, 1])
    index = committee.submit(2, batch, attachment)
    marked = committee.mark(2, EventId(index, 1), MarkKind.ERASE)
    asked = committee.inquire()
    for swept in (False, True):
        if swept:
            assert committee.nodes[3].sweeper.sweep().events == 1
        got = committee.release(asked)
        check_proofs(committee, asked, got)
        assert [share.position for share in got.payload[0].shares] == [0, 2]
        assert got.proofs is not None
        assert [event.body is None for event in got.proofs.events[:3]] == [False, True, False]
        assert marked in [entry.index for entry in got.proofs.entries]
        assert [row.marks_count for row in got.common.rows] == [0, 1]


def test_mark_that_came_later_explains_the_missing_body_under_a_later_size(
    committee: Committee,
) -> None:
    batch, attachment, _ = committee.batch(2, [1, 1])
    index = committee.submit(2, batch, attachment)
    asked = committee.inquire()
    before = committee.release(asked)
    explains = committee.mark(2, EventId(index, 0), MarkKind.ERASE)
    committee.mark(2, EventId(index, 1), MarkKind.RETAIN, RETAIN_2031 + 1)
    size = committee.world.head.size
    committee.tick(1000)
    for proof_size, expected in ((size, size), (None, committee.world.head.size)):
        got = committee.release(asked, proof_size=proof_size)
        assert got.answer.common == before.answer.common
        assert [share.position for share in got.payload[0].shares] == [1]
        check_proofs(committee, asked, got)
        assert got.proofs is not None
        later = [each for each in got.proofs.entries if each.index >= got.common.size]
        assert [each.index for each in later] == [explains]
        head = TreeHead(expected, committee.nodes[3].store.root(expected))
        verifier = EntryVerifier(committee.world.ledger.ledger_id, committee.world.registry)
        assert verifier.entry(later[0], head).mark().target == EventId(index, 0)
    # A checkpoint from before the mark can't prove it.
    early = committee.release(asked, proof_size=before.common.size)
    assert early.proofs is not None
    assert all(each.index < early.common.size for each in early.proofs.entries)
    assert refusal(committee, asked, proof_size=10_000).code == "size-ahead"


def test_event_past_its_month_is_not_released_even_before_the_sweep(
    committee: Committee,
) -> None:
    month = 2026 * 12 + 8
    batch, attachment, _ = committee.batch(2, [1, 1], month=month)
    index = committee.submit(2, batch, attachment)
    kept = committee.mark(2, EventId(index, 1), MarkKind.RETAIN, month + 1)
    committee.tick(4 * DAY_MS)
    asked = committee.inquire()
    assert len(committee.release(asked).payload[0].shares) == 2
    committee.tick(6 * DAY_MS)
    got = committee.release(asked)
    assert [share.position for share in got.payload[0].shares] == [1]
    check_proofs(committee, asked, got)
    assert got.proofs is not None
    assert kept in [entry.index for entry in got.proofs.entries]


def test_damaged_attachment_is_left_to_the_other_nodes(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1, 1])
    committee.submit(2, batch, attachment)
    other, second, _ = committee.batch(2, [1])
    index = committee.submit(2, other, second)
    asked = committee.inquire()
    node = committee.nodes[3]
    batch_hash = batch.hash(committee.world.ledger.ledger_id, 2)
    (path,) = (node.folder / "custody").rglob(batch_hash.hex())
    whole = path.read_bytes()
    at = whole.index((attachment.bodies[1] or b"")[-8:])
    path.write_bytes(whole[:at] + b"?" + whole[at + 1 :])
    got = committee.release(asked)
    assert [[s.position for s in each.shares] for each in got.payload] == [[0], [0]]
    assert node.releases.damaged == {batch_hash}
    path.write_bytes(b"no attachment")
    got = committee.release(asked)
    assert [each.index for each in got.payload] == [index]
    path.unlink()
    assert [each.index for each in committee.release(asked).payload] == [index]


def test_shares_come_from_the_deposit_where_the_own_copy_does_not_open(
    committee: Committee,
) -> None:
    batch, attachment, _ = committee.batch(2, [1, 1])
    committee.submit(2, batch, attachment)
    asked = committee.inquire()
    before = committee.release(asked)
    node = committee.nodes[3]
    node.close_services()
    (node.folder / "custody" / "own-shares.key").unlink()
    node.open_services()
    assert committee.release(asked).answer.payload == before.answer.payload


def test_deposit_that_was_altered_on_the_disk_is_damage(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1, 1])
    committee.submit(2, batch, attachment)
    asked = committee.inquire()
    node = committee.nodes[3]
    node.close_services()
    (node.folder / "custody" / "own-shares.key").unlink()
    batch_hash = batch.hash(committee.world.ledger.ledger_id, 2)
    (path,) = (node.folder / "custody").rglob(batch_hash.hex())
    whole = path.read_bytes()
    at = whole.index((attachment.sealed[2] or b"")[-8:])
    path.write_bytes(whole[:at] + b"?" + whole[at + 1 :])
    node.open_services()
    assert committee.release(asked).payload == ()
    assert node.releases.damaged == {batch_hash}


def test_release_is_the_same_whenever_it_is_asked_and_noted_once(committee: Committee) -> None:
    batch, attachment, _ = committee.batch()
    committee.submit(2, batch, attachment)
    asked = committee.inquire()
    first, second = committee.release(asked), committee.release(asked)
    assert first.answer == second.answer
    assert committee.nodes[3].released.pending() == 1


def test_no_year_key_is_kept_or_logged(
    committee: Committee, caplog: pytest.LogCaptureFixture
) -> None:
    batch, attachment, _ = committee.batch()
    committee.submit(2, batch, attachment)
    caplog.set_level(logging.DEBUG)
    asked = committee.inquire()
    committee.release(asked)
    node = committee.nodes[3]
    node.close()
    for year_key in asked.request.year_keys:
        for path in node.folder.rglob("*"):
            assert not path.is_file() or year_key.year_key not in path.read_bytes()
        assert year_key.year_key.hex() not in caplog.text
    node.open_store()
    node.open_services()
