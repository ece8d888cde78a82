"""An invite leads from the genesis to today's registry, and is of use to one member alone."""

from __future__ import annotations

import msgspec.structs
import pytest
from tests.story import story
from tests.story_bundle import Tree, step
from tests.world import CONSORTIUM_KEY, GENESIS_MS

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import LedgerError, MalformedError, SealError, SignatureError
from tradeline_ledger.errors import VerificationError as NotTrueError
from tradeline_ledger.genesis_draft import linker_info
from tradeline_ledger.hpke import seal
from tradeline_ledger.invite import InviteBody, open_invite, sign_invite
from tradeline_ledger.tag import linker_hash

TOLD = story()
LEDGER = TOLD.world.ledger
INVITER, MEMBER = TOLD.institution(3), TOLD.institution(1)
CHANGED = 2
"""The member whose node key the story's one step replaces."""


def sealed(key: bytes = CONSORTIUM_KEY) -> bytes:
    public = MEMBER.hpke.public
    info = linker_info(linker_hash(CONSORTIUM_KEY), MEMBER.id, public.key_id)
    return seal(public, key, info)


BODY = InviteBody(
    inviter=INVITER.id,
    member=MEMBER.id,
    until_ms=GENESIS_MS,
    genesis=LEDGER.file,
    steps=(step(TOLD, Tree(TOLD.world.leaves)),),
    sealed=sealed(),
)
FILE = sign_invite(BODY, INVITER.node)


def test_invite_leads_to_the_registry_and_the_consortium_key() -> None:
    invite = open_invite(FILE)
    assert invite.log.ledger == LEDGER
    assert invite.registry == TOLD.world.registry
    assert (invite.inviter.id, invite.member.id) == (INVITER.id, MEMBER.id)
    assert invite.open_linker(MEMBER.hpke) == CONSORTIUM_KEY


def test_nobody_else_opens_the_consortium_key() -> None:
    with pytest.raises(SealError, match="does not open"):
        open_invite(FILE).open_linker(TOLD.institution(2).hpke)
    other = msgspec.structs.replace(BODY, sealed=sealed(bytes(32)))
    with pytest.raises(SealError, match="not the consortium key"):
        open_invite(sign_invite(other, INVITER.node)).open_linker(MEMBER.hpke)


def test_every_changed_byte_is_refused() -> None:
    for index in range(0, len(FILE), 97):
        with pytest.raises(LedgerError):
            open_invite(FILE[:index] + bytes([FILE[index] ^ 1]) + FILE[index + 1 :])


def test_key_that_was_replaced_invites_nobody() -> None:
    old = TOLD.institution(CHANGED)
    body = msgspec.structs.replace(BODY, inviter=CHANGED)
    with pytest.raises(SignatureError, match="not by key"):
        open_invite(sign_invite(body, old.node))
    before = msgspec.structs.replace(body, steps=())
    assert open_invite(sign_invite(before, old.node)).inviter.id == CHANGED


def test_inviter_and_invited_must_be_members() -> None:
    stranger = msgspec.structs.replace(BODY, member=99)
    with pytest.raises(NotTrueError, match="member 99, which is not admitted"):
        open_invite(sign_invite(stranger, INVITER.node))
    without_node = msgspec.structs.replace(BODY, inviter=5)
    with pytest.raises(NotTrueError, match="member 5, which has no node"):
        open_invite(sign_invite(without_node, INVITER.node))


def test_registry_that_no_quorum_vouches_for_is_refused() -> None:
    (taken,) = BODY.steps
    forged = msgspec.structs.replace(taken, members=(taken.members[0],))
    body = msgspec.structs.replace(BODY, steps=(forged,))
    with pytest.raises(NotTrueError, match="makes root"):
        open_invite(sign_invite(body, INVITER.node))


def test_other_files_are_refused() -> None:
    other = encode(("tradeline/v2 invite", encode(BODY), bytes(64)))
    with pytest.raises(MalformedError, match="expected 'tradeline/v1 invite'"):
        open_invite(other)
