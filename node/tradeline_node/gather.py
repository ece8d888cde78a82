"""The signature lines of several validators under one checkpoint, verified one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tradeline_ledger.checkpoint import decode_checkpoint
from tradeline_ledger.cosignature import cosigner_name, verify_cosignatures
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.note import (
    KeyType,
    Note,
    Signature,
    VerifierKey,
    decode_note,
    encode_note,
    verify_note,
)
from tradeline_ledger.registry import MemberRecord, quorum
from tradeline_node.errors import PeerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_node.publish import Target


@dataclass(frozen=True, slots=True)
class MemberLines:
    """What one validator signed, its two lines verified."""

    member: int
    size: int
    root: bytes
    text: str
    signature: Signature
    """By its note key."""
    cosignature: Signature
    """By its cosigner key."""
    note: bytes
    """As it was served."""


def read_lines(note: bytes, record: MemberRecord, origin: str) -> MemberLines:
    """
    Return the lines of the member of `record` in a note that it serves.

    Raises:
        PeerError: no note of this log, or not signed and cosigned by that member.
    """
    try:
        decoded = decode_note(note)
        checkpoint = decode_checkpoint(decoded.text)
        if checkpoint.origin != origin:
            raise PeerError(f"member {record.id} serves the log {checkpoint.origin}, not {origin}")
        if record.note_key is None or record.cosigner_key is None:
            raise PeerError(f"member {record.id} has no note or cosigner key in the registry")
        key = VerifierKey(origin, KeyType.NOTE, record.note_key)
        name = cosigner_name(origin, record.id)
        cosigner = VerifierKey(name, KeyType.COSIGNATURE, record.cosigner_key)
        verify_note(decoded, [key])
        if not verify_cosignatures(decoded, [cosigner]):
            raise PeerError(f"member {record.id} serves a checkpoint without its cosignature")
    except LedgerError as error:
        raise PeerError(f"member {record.id} serves lines that don't verify: {error}") from error
    return MemberLines(
        record.id,
        checkpoint.size,
        checkpoint.root,
        decoded.text,
        _line(decoded, key),
        _line(decoded, cosigner),
        note,
    )


@dataclass(slots=True)
class Gathered:
    """Lines under one checkpoint, all with the root that was computed here."""

    target: Target
    root: bytes
    """As it was computed here."""
    before: tuple[int, ...]
    """Validators at the target's height."""
    after: tuple[int, ...]
    """Validators at the next height."""
    renewed: frozenset[int]
    """Those of `after` whose note or cosigner key ended with the target's block."""
    lines: dict[int, MemberLines] = field(default_factory=dict)
    """By member id."""
    outside: dict[str, Signature] = field(default_factory=dict)
    """Verified cosignatures of outside witnesses, by key name; they never count to the quorum."""

    @property
    def validators(self) -> tuple[int, ...]:
        """All whose lines count, ascending."""
        return tuple(sorted({*self.before, *self.after}))

    @property
    def vouched(self) -> bool:
        """Whether a quorum of the validators before the end of the block cosigned."""
        return _count(self.lines, self.before) >= quorum(len(self.before))

    @property
    def complete(self) -> bool:
        """
        Whether this is a checkpoint for those who know the registry of either height.

        A validator with a new key can't sign under it what its old one signed. Where no quorum is
        left without such, the next block is waited for by those who know the registry after it.
        """
        able = [each for each in self.after if each not in self.renewed]
        wanted = min(quorum(len(self.after)), len(able))
        return self.vouched and _count(self.lines, able) >= wanted

    def note(self, first: int, lines_max: int) -> bytes:
        """
        Return the checkpoint with its lines, the note key of member `first` before the others.

        Every cosignature is in it, and as many note signatures as `lines_max` allows.
        """
        counted = [member for member in self.validators if member in self.lines]
        members = sorted(counted, key=lambda member: (member != first, member))
        signatures = [self.lines[member].signature for member in members]
        cosignatures = [self.lines[member].cosignature for member in counted]
        cosignatures += [self.outside[name] for name in sorted(self.outside)]
        room = max(1, lines_max - len(cosignatures))
        text = self.lines[members[0]].text
        return encode_note(Note(text, (*signatures[:room], *cosignatures)))


def _count(lines: dict[int, MemberLines], members: Sequence[int]) -> int:
    return sum(member in lines for member in members)


def _line(note: Note, key: VerifierKey) -> Signature:
    return next(each for each in note.signatures if (each.name, each.key_id) == (key.name, key.id))
