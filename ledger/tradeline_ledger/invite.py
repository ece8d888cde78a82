"""
An invite: what a member that was admitted needs to begin, from a member that is there
(docs/formats.md, section 2).

It carries the genesis, every registry step until now and the consortium key, sealed to the HPKE key
that the registry has of the invited member. So it is of use to the owner of that key alone, and
addresses, keys and fingerprints in it are those that a quorum of the validators vouches for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from tradeline_ledger.encoding import B64, U32, U64, Codec, Record, encode
from tradeline_ledger.errors import VerificationError
from tradeline_ledger.genesis import open_genesis
from tradeline_ledger.genesis_draft import SealedKey, open_linker
from tradeline_ledger.signing import verify
from tradeline_ledger.trust import STEPS_MAX, RegistryStep, TrustedLog

if TYPE_CHECKING:
    from tradeline_ledger.hpke import PrivateKey
    from tradeline_ledger.registry import MemberRecord, Registry
    from tradeline_ledger.signing import SigningKey

INVITE_BYTES_MAX: Final = 64 << 20
_NAME: Final = "tradeline/v1 invite"


class InviteBody(Record, frozen=True):
    """What the inviting member signs."""

    inviter: U32
    member: U32
    """Who is invited."""
    until_ms: U64
    """The invited member's clock, from which on it is not used any more."""
    genesis: bytes
    """The genesis file."""
    steps: Annotated[tuple[RegistryStep, ...], Meta(max_length=STEPS_MAX)]
    """Every step from the genesis to the registry of the inviting node."""
    sealed: SealedKey
    """The consortium key, to the invited member's HPKE key."""


class _Invite(Record, frozen=True):
    name: str
    body: bytes
    signature: B64
    """Sig(node key of the inviting member, "invite", body)."""

    def __post_init__(self) -> None:
        """Refuse other files."""
        if self.name != _NAME:
            raise ValueError(f"file begins with {self.name!r}, expected {_NAME!r}")


_BODY: Final[Codec[InviteBody]] = Codec(InviteBody, "body of an invite", INVITE_BYTES_MAX)
_INVITE: Final[Codec[_Invite]] = Codec(_Invite, "invite", INVITE_BYTES_MAX + 256)


@dataclass(frozen=True, slots=True)
class Invite:
    """An invite whose every part was verified, but for its time."""

    inviter: MemberRecord
    member: MemberRecord
    """Who is invited, as the registry has it."""
    until_ms: int
    log: TrustedLog
    """The ledger and its registry."""
    sealed: bytes

    @property
    def registry(self) -> Registry:
        """The registry as the inviting node had it."""
        return self.log.registry

    def open_linker(self, key: PrivateKey) -> bytes:
        """
        Return the consortium key.

        Raises:
            SealError: it was sealed to another key, or is not the one that the genesis names.
        """
        return open_linker(self.sealed, key, self.member.id, self.log.ledger.params.linker)


def sign_invite(body: InviteBody, node_key: SigningKey) -> bytes:
    """Return the invite that `body` says, of the member whose node key this is."""
    encoded = encode(body)
    return encode(_Invite(_NAME, encoded, node_key.sign("invite", encoded)))


def open_invite(file: bytes) -> Invite:
    """
    Return the invite in `file`; whoever uses it trusts the founders of its genesis.

    Raises:
        MalformedError: it, its genesis or a step does not decode.
        VerificationError: a step does not follow from the one before, or the inviting or the
            invited member is not in the registry that they lead to.
        SignatureError: the genesis, a step or the invite is not signed as it must be.
    """
    decoded = _INVITE.decode(file)
    body = _BODY.decode(decoded.body)
    log = TrustedLog.start(open_genesis(body.genesis))
    for step in body.steps:
        log = log.advance(step)
    inviter, member = log.registry.member(body.inviter), log.registry.member(body.member)
    if inviter is None or inviter.node_key is None:
        raise VerificationError(
            f"the invite is of member {body.inviter}, which has no node in the registry"
        )
    verify(inviter.node_key, "invite", decoded.body, decoded.signature)
    if member is None:
        raise VerificationError(
            f"the invite is for member {body.member}, which is not admitted as of block "
            f"{log.height}; have its admission voted on first"
        )
    return Invite(inviter, member, body.until_ms, log, body.sealed)
