"""The signature lines of several validators under one checkpoint, verified one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

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


EARLY_MAX: Final = 64
"""Notes of one member at sizes that this node has yet to sign; the largest sizes are kept."""


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


def size_of(note: bytes, member: int) -> int:
    """
    Return the size in a note of `member`, of which nothing is verified.

    Raises:
        PeerError: it is no note of a checkpoint.
    """
    try:
        return decode_checkpoint(decode_note(note).text).size
    except LedgerError as error:
        raise PeerError(f"member {member} sends what is no checkpoint: {error}") from error


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


class Gathering:
    """What is gathered at each size, and lines at sizes that this node has yet to sign."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.by_size: dict[int, Gathered] = {}
        self._early: dict[int, dict[int, bytes]] = {}

    def after(self, member: int, signed_size: int) -> int:
        """Return the size after which lines of a member are wanted by who signed `signed_size`."""
        return min(self._lacking(member), default=signed_size + 1) - 1

    def overdue(self, member: int) -> bool:
        """Say whether a change of the registry waits for lines of a member, which went by."""
        return any(self.by_size[size].target.forced for size in self._lacking(member))

    def hold(self, member: int, size: int, note: bytes) -> None:
        """Keep a note of a member until this node has signed at its size."""
        early = self._early.setdefault(member, {})
        early[size] = note
        if len(early) > EARLY_MAX:
            del early[min(early)]

    def held(self, size: int) -> list[tuple[int, bytes]]:
        """Take and return the notes that were held for a size; those of smaller ones go."""
        found = []
        for member, early in self._early.items():
            if size in early:
                found.append((member, early[size]))
            for each in [each for each in early if each <= size]:
                del early[each]
        return found

    def drop_before(self, size: int) -> None:
        """Forget sizes below a checkpoint that is complete, but for changes of the registry."""
        for each in [each for each in self.by_size if each < size]:
            old = self.by_size[each]
            if old.complete or not old.target.forced:
                del self.by_size[each]

    def _lacking(self, member: int) -> list[int]:
        """Return the sizes at which lines of a member would help."""
        return [
            size
            for size, gathered in self.by_size.items()
            if member in gathered.validators
            and member not in gathered.lines
            and not (gathered.target.forced and gathered.complete)
        ]


def _count(lines: dict[int, MemberLines], members: Sequence[int]) -> int:
    return sum(member in lines for member in members)


def _line(note: Note, key: VerifierKey) -> Signature:
    return next(each for each in note.signatures if (each.name, each.key_id) == (key.name, key.id))
