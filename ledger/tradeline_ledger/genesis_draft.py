"""
The draft of a genesis, which founders pass around until each of them has signed it
(docs/formats.md, section 2).

It carries the consortium key for each founder, sealed to its HPKE key: nobody who merely passes the
draft on learns it. A genesis that changes is another ledger, so a changed draft starts without
signatures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from tradeline_ledger.candidate import check_candidate
from tradeline_ledger.encoding import U32, Codec, Record, check_ascending, encode
from tradeline_ledger.errors import MalformedError, SealError
from tradeline_ledger.genesis import (
    GENESIS,
    GENESIS_BYTES_MAX,
    FounderSignature,
    Genesis,
    GenesisFile,
    Ledger,
    check_genesis,
    ledger_id,
    open_genesis,
)
from tradeline_ledger.hpke import SEAL_OVERHEAD_BYTES, open_sealed
from tradeline_ledger.signing import verify
from tradeline_ledger.tag import LINKER_KEY_BYTES, linker_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_ledger.hpke import PrivateKey
    from tradeline_ledger.registry import MemberRecord
    from tradeline_ledger.signing import SigningKey

SEALED_KEY_BYTES: Final = LINKER_KEY_BYTES + SEAL_OVERHEAD_BYTES
DRAFT_BYTES_MAX: Final = 2 * GENESIS_BYTES_MAX
"""Sealed key and signature of a founder are shorter than its record."""
_NAME: Final = "tradeline/v1 genesis-draft"

SealedKey = Annotated[bytes, Meta(min_length=SEALED_KEY_BYTES, max_length=SEALED_KEY_BYTES)]


class SealedLinker(Record, frozen=True):
    """The consortium key for one member."""

    member: U32
    sealed: SealedKey
    """To its HPKE key, under `linker_info`."""


class _Draft(Record, frozen=True):
    name: str
    genesis: bytes
    linkers: tuple[SealedLinker, ...]
    signatures: tuple[FounderSignature, ...]

    def __post_init__(self) -> None:
        """Refuse other files, and lists out of order."""
        if self.name != _NAME:
            raise ValueError(f"file begins with {self.name!r}, expected {_NAME!r}")
        check_ascending(tuple(each.member for each in self.linkers), "sealed keys")
        check_ascending(tuple(each.member for each in self.signatures), "founders")


_DRAFT: Final[Codec[_Draft]] = Codec(_Draft, "genesis draft", DRAFT_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft, checked but for the signatures that it lacks."""

    genesis: Genesis
    linkers: tuple[SealedLinker, ...]
    """One for each founder, ascending."""
    signatures: tuple[FounderSignature, ...]
    """Valid ones, ascending by founder."""

    @property
    def ledger_id(self) -> bytes:
        """Id of the ledger that it becomes."""
        return ledger_id(encode(self.genesis))

    @property
    def missing(self) -> tuple[int, ...]:
        """Founders who have not signed, ascending."""
        signed = {each.member for each in self.signatures}
        return tuple(each.id for each in self.genesis.members if each.id not in signed)

    def founder(self, member: int) -> MemberRecord | None:
        """Return the record of a founder, None if it is none."""
        return next((each for each in self.genesis.members if each.id == member), None)

    def open_linker(self, member: int, key: PrivateKey) -> bytes:
        """
        Return the consortium key that was sealed to founder `member`.

        Raises:
            SealError: it was sealed to another key, or is not the key that the genesis names.
        """
        sealed = next((each.sealed for each in self.linkers if each.member == member), None)
        if sealed is None:
            raise SealError(f"the draft has no consortium key for member {member}")
        return open_linker(sealed, key, member, self.genesis.params.linker)

    def signed(self, member: int, root: SigningKey) -> Draft:
        """Return the draft with the signature of founder `member`, whose root key is `root`."""
        founder = self.founder(member)
        assert founder is not None, member
        assert founder.root_key == root.public, member
        signature = root.sign("genesis", self.ledger_id)
        return self._with([FounderSignature(member, signature)])

    def merged(self, other: Draft) -> Draft:
        """
        Return the draft with the signatures of a copy that others signed.

        Raises:
            MalformedError: `other` is the draft of another genesis.
        """
        if other.ledger_id != self.ledger_id:
            raise MalformedError(
                f"the drafts become ledgers {self.ledger_id.hex()} and {other.ledger_id.hex()}; "
                "only copies of one draft can be merged"
            )
        return self._with(other.signatures)

    def ledger(self) -> Ledger:
        """
        Return the ledger, with its genesis file.

        Raises:
            MalformedError: a founder has not signed.
        """
        return open_genesis(encode(GenesisFile(encode(self.genesis), self.signatures)))

    def encoded(self) -> bytes:
        """Return the bytes of the draft."""
        return encode(_Draft(_NAME, encode(self.genesis), self.linkers, self.signatures))

    def _with(self, signatures: Sequence[FounderSignature]) -> Draft:
        all_of_them = {each.member: each for each in (*self.signatures, *signatures)}
        ascending = tuple(all_of_them[member] for member in sorted(all_of_them))
        return Draft(self.genesis, self.linkers, ascending)


def open_draft(file: bytes) -> Draft:
    """
    Return the draft in `file`: a genesis that nothing is wrong with but signatures that it lacks.

    Raises:
        MalformedError: it does not decode, or its genesis contradicts itself.
        SignatureError: a signature in it is wrong.
    """
    decoded = _DRAFT.decode(file)
    genesis = GENESIS.decode(decoded.genesis)
    check_genesis(genesis)
    for record in genesis.members:
        check_candidate(record)
    founders = {record.id: record for record in genesis.members}
    if [each.member for each in decoded.linkers] != sorted(founders):
        raise MalformedError("a genesis draft carries the sealed key of every founder")
    identity = ledger_id(decoded.genesis)
    for each in decoded.signatures:
        founder = founders.get(each.member)
        if founder is None:
            raise MalformedError(f"the draft is signed by {each.member}, who is no founder")
        verify(founder.root_key, "genesis", identity, each.signature)
    return Draft(genesis, decoded.linkers, decoded.signatures)


def linker_info(linker: bytes, recipient: int, key_id: bytes) -> bytes:
    """Return the `info` under which the consortium key with hash `linker` is handed to a member."""
    return encode(("tradeline/v1 linker", linker, recipient, key_id))


def open_linker(sealed: bytes, key: PrivateKey, member: int, linker: bytes) -> bytes:
    """
    Return the consortium key with hash `linker`, sealed to `member`.

    Raises:
        SealError: it was sealed to another key, or is another consortium key.
    """
    opened = open_sealed(key, sealed, linker_info(linker, member, key.public.key_id))
    if len(opened) != LINKER_KEY_BYTES or linker_hash(opened) != linker:
        raise SealError("what was sealed is not the consortium key that the genesis names")
    return opened
