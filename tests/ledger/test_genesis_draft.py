"""The draft of a genesis gathers the founders' signatures and hands them the consortium key."""

from __future__ import annotations

import msgspec.structs
import pytest
from tests.world import CONSORTIUM_KEY, INSTITUTIONS, make_ledger

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import LedgerError, MalformedError, SealError, SignatureError
from tradeline_ledger.genesis import open_genesis
from tradeline_ledger.genesis_draft import (
    DRAFT_BYTES_MAX,
    SEALED_KEY_BYTES,
    Draft,
    SealedLinker,
    linker_info,
    open_draft,
)
from tradeline_ledger.hpke import seal
from tradeline_ledger.tag import linker_hash

FOUNDERS = tuple(each for each in INSTITUTIONS if each.validator)
GENESIS = make_ledger(FOUNDERS).genesis
LINKER = linker_hash(CONSORTIUM_KEY)


def sealed(key: bytes = CONSORTIUM_KEY, recipient: int = 0) -> tuple[SealedLinker, ...]:
    """Seal `key` to every founder, in the name of `recipient` or of each."""
    return tuple(
        SealedLinker(
            each.id,
            seal(
                each.hpke.public,
                key,
                linker_info(LINKER, recipient or each.id, each.hpke.public.key_id),
            ),
        )
        for each in FOUNDERS
    )


DRAFT = Draft(GENESIS, sealed(), ())


def test_draft_becomes_a_genesis_once_every_founder_signed() -> None:
    draft = DRAFT
    for number, who in enumerate(FOUNDERS, 1):
        assert draft.missing == tuple(each.id for each in FOUNDERS[number - 1 :])
        with pytest.raises(MalformedError, match=rf"those of members .*{FOUNDERS[-1].id} are"):
            draft.ledger()
        draft = open_draft(draft.signed(who.id, who.root).encoded())
    assert draft.missing == ()
    ledger = draft.ledger()
    assert ledger.ledger_id == DRAFT.ledger_id
    assert open_genesis(ledger.file) == ledger


def test_signatures_of_copies_come_together() -> None:
    first, second, third, fourth = FOUNDERS
    one = DRAFT.signed(first.id, first.root).signed(third.id, third.root)
    two = DRAFT.signed(second.id, second.root).signed(third.id, third.root)
    merged = one.merged(two)
    assert merged.missing == (fourth.id,)
    assert merged == two.merged(one)
    renamed = Draft(msgspec.structs.replace(GENESIS, name="Other"), DRAFT.linkers, ())
    with pytest.raises(MalformedError, match="only copies of one draft"):
        one.merged(renamed)


def test_each_founder_opens_its_own_consortium_key_and_no_other() -> None:
    for who in FOUNDERS:
        assert DRAFT.open_linker(who.id, who.hpke) == CONSORTIUM_KEY
    with pytest.raises(SealError, match="does not open"):
        DRAFT.open_linker(FOUNDERS[0].id, FOUNDERS[1].hpke)
    with pytest.raises(SealError, match="no consortium key for member 99"):
        DRAFT.open_linker(99, FOUNDERS[0].hpke)


def test_another_consortium_key_than_the_genesis_names_is_found_out() -> None:
    who = FOUNDERS[0]
    with pytest.raises(SealError, match="not the consortium key"):
        Draft(GENESIS, sealed(bytes(32)), ()).open_linker(who.id, who.hpke)
    with pytest.raises(SealError, match="does not open"):
        Draft(GENESIS, sealed(recipient=FOUNDERS[1].id), ()).open_linker(who.id, who.hpke)


def test_signature_of_another_genesis_is_refused() -> None:
    who = FOUNDERS[0]
    other = Draft(msgspec.structs.replace(GENESIS, name="Other"), DRAFT.linkers, ())
    moved = Draft(GENESIS, DRAFT.linkers, other.signed(who.id, who.root).signatures)
    with pytest.raises(SignatureError, match="not by key"):
        open_draft(moved.encoded())


def test_every_changed_byte_of_the_signed_part_is_refused() -> None:
    who = FOUNDERS[0]
    file = DRAFT.signed(who.id, who.root).encoded()
    genesis = encode(GENESIS)
    start = file.index(genesis)
    for index in (*range(0, start, 3), *range(start, start + len(genesis), 53)):
        with pytest.raises(LedgerError):
            open_draft(file[:index] + bytes([file[index] ^ 1]) + file[index + 1 :])


@pytest.mark.parametrize(
    ("draft", "message"),
    [
        (Draft(GENESIS, DRAFT.linkers[1:], ()), "sealed key of every founder"),
        (
            Draft(
                msgspec.structs.replace(
                    GENESIS, epoch=msgspec.structs.replace(GENESIS.epoch, from_ms=1)
                ),
                DRAFT.linkers,
                (),
            ),
            "begins at the time of the genesis",
        ),
        (Draft(make_ledger().genesis, DRAFT.linkers, ()), "no HPKE key"),
    ],
)
def test_impossible_draft_is_refused(draft: Draft, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        open_draft(draft.encoded())


def test_other_and_oversized_files_are_refused() -> None:
    other = encode(("tradeline/v2 genesis-draft", encode(GENESIS), DRAFT.linkers, ()))
    with pytest.raises(MalformedError, match="expected 'tradeline/v1 genesis-draft'"):
        open_draft(other)
    with pytest.raises(MalformedError, match="at most"):
        open_draft(bytes(DRAFT_BYTES_MAX + 1))
    turned = encode(("tradeline/v1 genesis-draft", encode(GENESIS), DRAFT.linkers[::-1], ()))
    with pytest.raises(MalformedError, match="sealed keys must ascend"):
        open_draft(turned)
    short = (SealedLinker(FOUNDERS[0].id, bytes(SEALED_KEY_BYTES - 1)), *DRAFT.linkers[1:])
    with pytest.raises(MalformedError, match="does not decode"):
        open_draft(Draft(GENESIS, short, ()).encoded())


def test_signature_of_nobody_is_refused() -> None:
    who = FOUNDERS[0]
    signature = DRAFT.signed(who.id, who.root).signatures[0]
    stranger = msgspec.structs.replace(signature, member=99)
    with pytest.raises(MalformedError, match="signed by 99, who is no founder"):
        open_draft(Draft(GENESIS, DRAFT.linkers, (stranger,)).encoded())
