"""Streams of lines between validators: frames, lies, and what is asked for again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.node.cluster import Cluster, wait_for
from tests.node.test_publish import lines_of

from tradeline_ledger.checkpoint import decode_checkpoint
from tradeline_ledger.note import decode_note
from tradeline_node.errors import PeerError
from tradeline_node.gather import EARLY_MAX, Gathering, size_of
from tradeline_node.http.limits import MemberSlots
from tradeline_node.peer_lines import LINES_BYTES_MAX, _items, encode_item


def test_items_come_out_whole_however_they_are_cut() -> None:
    notes = [b"", b"a", b"b" * LINES_BYTES_MAX]
    stream = b"".join(map(encode_item, notes))
    for step in (1, 2, 3, 1000, len(stream)):
        waiting = bytearray()
        found: list[bytes] = []
        for start in range(0, len(stream), step):
            waiting += stream[start : start + step]
            found += _items(2, waiting)
        assert found == notes
        assert not waiting


def test_item_that_announces_too_much_is_refused_before_it_is_read() -> None:
    with pytest.raises(PeerError, match="member 2 sends lines of 4097 bytes"):
        list(_items(2, bytearray((LINES_BYTES_MAX + 1).to_bytes(2, "big"))))


def test_no_checkpoint_in_a_note_is_refused() -> None:
    with pytest.raises(PeerError, match="member 3 sends what is no checkpoint"):
        size_of(b"noise", 3)


def test_notes_ahead_of_this_node_are_bounded_and_the_newest_stay() -> None:
    gathering = Gathering()
    for size in range(1, EARLY_MAX + 11):
        gathering.hold(2, size, b"%d" % size)
    assert gathering.held(10) == []
    assert gathering.held(20) == [(2, b"20")]
    assert gathering.held(20) == []
    assert gathering.held(19) == []


def test_one_member_cannot_take_the_streams_of_another() -> None:
    slots = MemberSlots(1)
    with slots[1], slots[2]:
        assert slots[1].count == slots[2].count == 1


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("net") / "net").running() as running:
        running.hand_over_tag_keys()
        yield running


def test_lines_that_lie_end_the_stream_and_the_quorum_forms_without_them(cluster: Cluster) -> None:
    liar, honest = cluster.node(4).publisher, cluster.node(1).publisher
    published = honest.newest
    assert published is not None
    forged = lines_of(cluster, 4, published.size, bytes(32))
    with pytest.raises(PeerError, match="signed another root"):
        honest._receive(4, forged)
    liar.end_streams()
    wait_for(lambda: "ended its stream" in honest.peer_lines.failures.get(4, ""))
    size = cluster.submit(1, 1) + 2
    note = cluster.wait_for_checkpoint(size, 1)
    assert decode_checkpoint(decode_note(note).text).size >= size
    wait_for(lambda: "ended its stream" in honest.peer_lines.failures.get(4, ""))
