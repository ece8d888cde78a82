"""
Trust policies, c2sp.org/tlog-policy: whose signatures make a checkpoint acceptable.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <member name>...
    quorum <name>|none

A checkpoint is accepted if a listed log with its origin signed it and the quorum cosigned it. In
Tradeline every validator signs the same text under the same name, the origin, each with a note
key of its own: that is one `log` line a validator.

Names, URLs and comments are opaque bytes: bytes that are not UTF-8 are kept as Python's surrogate
escapes, so that text compares equal only where the bytes do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from tradeline_ledger.checkpoint import Checkpoint, decode_checkpoint
from tradeline_ledger.cosignature import Cosignature, cosigner_name, verify_cosignatures
from tradeline_ledger.errors import PolicyError
from tradeline_ledger.note import KeyType, Note, VerifierKey, decode_note, verify_signatures
from tradeline_ledger.registry import MemberRecord, quorum

LOGS_MAX: Final = 256
WITNESSES_MAX: Final = 256
GROUPS_MAX: Final = 256

NO_QUORUM: Final = "none"
"""Quorum of a policy that asks for no cosignature; no witness or group has this name."""


@dataclass(frozen=True, slots=True)
class Log:
    """A key whose signature makes a text a checkpoint of the log that it is named after."""

    key: VerifierKey
    """Type 0x01; its name is the origin."""
    url: str = ""
    """Where the log is read; empty if not given."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A cosigner, under the name that groups and quorum of this policy use."""

    name: str
    key: VerifierKey
    """Type 0x04."""
    url: str = ""
    """Where it takes checkpoints; empty if not given."""


@dataclass(frozen=True, slots=True)
class Group:
    """Has cosigned once `threshold` of its members have."""

    name: str
    threshold: int
    """1 to the number of members."""
    members: tuple[str, ...]
    """Names of witnesses and of groups that stand before this one."""


@dataclass(frozen=True, slots=True)
class Policy:
    """
    Which signatures and cosignatures a checkpoint must carry.

    Made by `decode_policy`, which checks what the format demands, or by `validators_policy`.
    """

    logs: tuple[Log, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str
    """Name of a witness or group, or `NO_QUORUM`."""

    def check(self, cosigners: Collection[str]) -> None:
        """
        Accept the names of those witnesses that have cosigned.

        Raises:
            PolicyError: they are not a quorum.
        """
        present = {witness.name for witness in self.witnesses if witness.name in cosigners}
        lacking = []
        for group in self.groups:
            count = sum(member in present for member in group.members)
            if count >= group.threshold:
                present.add(group.name)
            else:
                missing = [member for member in group.members if member not in present]
                lacking.append(
                    f"{group.name} has {count} of the {group.threshold} it needs, missing "
                    + ", ".join(missing)
                )
        if self.quorum != NO_QUORUM and self.quorum not in present:
            why = "; ".join(lacking) or f"{self.quorum} has not cosigned"
            raise PolicyError(f"quorum {self.quorum} is not met: {why}")


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint that a policy accepts, and who signed it. Made by `verify_checkpoint`."""

    checkpoint: Checkpoint
    signers: tuple[VerifierKey, ...]
    """The policy's log keys that signed; one at least."""
    cosignatures: tuple[Cosignature, ...]
    """Of the policy's witnesses, in its order; their quorum is met."""
    note: Note
    """As it was read; it may carry signatures that were ignored."""


def verify_checkpoint(encoded: bytes, policy: Policy) -> VerifiedCheckpoint:
    """
    Return the checkpoint of a note if `policy` accepts it.

    Raises:
        MalformedError: not a note, or its text is not a checkpoint.
        SignatureError: a signature by a key of the policy is bad.
        PolicyError: no log of that origin signed, or too few witnesses cosigned.
    """
    return verify_checkpoint_note(decode_note(encoded), policy)


def verify_checkpoint_note(note: Note, policy: Policy) -> VerifiedCheckpoint:
    """Do what `verify_checkpoint` does, for a note that is decoded already."""
    checkpoint = decode_checkpoint(note.text)
    cosignatures = verify_cosignatures(note, [witness.key for witness in policy.witnesses])
    # The logs of other origins are known keys too: a bad signature by one refuses the note.
    signers = verify_signatures(note, [log.key for log in policy.logs])
    signers = tuple(key for key in signers if key.name == checkpoint.origin)
    if not signers:
        count = sum(log.key.name == checkpoint.origin for log in policy.logs)
        raise PolicyError(
            f"no log of the policy signed the checkpoint of {checkpoint.origin}, for which it has "
            f"{count} keys; add the log's vkey to the policy if you trust it"
        )
    names = {witness.key: witness.name for witness in policy.witnesses}
    policy.check({names[cosignature.key] for cosignature in cosignatures})
    return VerifiedCheckpoint(checkpoint, signers, cosignatures, note)


def validators_policy(origin: str, validators: Iterable[MemberRecord]) -> Policy:
    """
    Return the policy of a ledger: signed by one of its validators, cosigned by a quorum of them.

    The quorum counts validators, those without a cosigner key included; a validator without one
    can't cosign.

    Raises:
        PolicyError: fewer cosigner keys than the quorum, so that no checkpoint could be accepted.
    """
    records = list(validators)
    logs = tuple(
        Log(VerifierKey(origin, KeyType.NOTE, record.note_key))
        for record in records
        if record.note_key is not None
    )
    witnesses = tuple(
        Witness(name, VerifierKey(name, KeyType.COSIGNATURE, record.cosigner_key))
        for record in records
        if record.cosigner_key is not None
        for name in [cosigner_name(origin, record.id)]
    )
    threshold = quorum(len(records))
    if len(witnesses) < threshold:
        raise PolicyError(
            f"{len(witnesses)} of {len(records)} validators have cosigner keys, the quorum is "
            f"{threshold}"
        )
    group = Group("validators", threshold, tuple(witness.name for witness in witnesses))
    return Policy(logs, witnesses, (group,), group.name)
