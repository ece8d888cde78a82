"""
Whom a verifier believes: the registry of a ledger, followed from its genesis, and the checkpoints
that a quorum of its validators cosigned (docs/formats.md, sections 2 and 9).

A registry is followed in steps, each vouched for by the validators before it, so that nobody has
to be asked again once a genesis is trusted. Its root stands in every block leaf, so that whoever
trusts a checkpoint can check a registry against it too, wherever the bytes came from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec.structs
from msgspec import Meta

from tradeline_ledger.checkpoint import decode_checkpoint
from tradeline_ledger.cosignature import cosigner_name, verify_cosignatures
from tradeline_ledger.encoding import B32, U64, Codec, Record, check_ascending, encode
from tradeline_ledger.errors import PolicyError, VerificationError
from tradeline_ledger.merkle import (
    PATH_HASHES_MAX,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from tradeline_ledger.note import (
    NOTE_BYTES_MAX,
    KeyType,
    VerifierKey,
    decode_note,
    encode_vkey,
    verify_signatures,
)
from tradeline_ledger.params import SETTINGS_RECORD, SettingsRecord
from tradeline_ledger.policy import validators_policy
from tradeline_ledger.policy_file import encode_policy
from tradeline_ledger.registry import (
    EPOCH_RECORD,
    MEMBER_RECORD,
    EpochRecord,
    MemberRecord,
    Registry,
    quorum,
)
from tradeline_ledger.statement import LEAF_BYTES_MAX, BlockLeaf, decode_leaf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_ledger.genesis import Ledger

STEP_BYTES_MAX: Final = 16 << 20
STEPS_MAX: Final = 4096
"""Most steps in one list; a longer walk is fetched in parts."""
STEPS_BYTES_MAX: Final = 256 << 20
REGISTRY_BYTES_MAX: Final = 256 << 20

Path = Annotated[tuple[B32, ...], Meta(max_length=PATH_HASHES_MAX)]


class RegistryStep(Record, frozen=True):
    """One change of the registry, with what convinces those who trusted the registry before it."""

    checkpoint: Annotated[str, Meta(max_length=NOTE_BYTES_MAX)]
    """Signed note with a quorum of the validators before the change."""
    index: U64
    """Log index of the block leaf whose block changed the registry."""
    leaf: Annotated[bytes, Meta(max_length=LEAF_BYTES_MAX)]
    """That block leaf; it names the root of the registry after the change."""
    path: Path
    """From the block leaf to the checkpoint's root."""
    members: tuple[MemberRecord, ...]
    """Every version, by id and then from_height, of each member that changed."""
    epoch: EpochRecord | None
    """That the block opened; None if it opened none."""
    settings: SettingsRecord | None
    """That the block put in force; None if it left them as they were."""

    def __post_init__(self) -> None:
        """Refuse a step that changes nothing, and records out of order."""
        if not self.members and self.epoch is None and self.settings is None:
            raise ValueError("a registry step changes a member, the epoch or the settings")
        order = tuple((record.id, record.from_height) for record in self.members)
        check_ascending(order, "member records of a registry step")


class RegistryChange(NamedTuple):
    """What one block changed in the registry; the last fields of its `RegistryStep`."""

    members: tuple[MemberRecord, ...]
    epoch: EpochRecord | None
    settings: SettingsRecord | None


class _RegistryFile(Record, frozen=True):
    members: tuple[bytes, ...]
    epochs: tuple[bytes, ...]
    settings: tuple[bytes, ...]


STEP: Final[Codec[RegistryStep]] = Codec(RegistryStep, "registry step", STEP_BYTES_MAX)
STEPS: Final[Codec[tuple[RegistryStep, ...]]] = Codec(
    Annotated[tuple[RegistryStep, ...], Meta(max_length=STEPS_MAX)],
    "registry steps",
    STEPS_BYTES_MAX,
)
_REGISTRY: Final[Codec[_RegistryFile]] = Codec(_RegistryFile, "registry", REGISTRY_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A head of the log that the validators in force vouch for. Made by `TrustedLog`."""

    size: int
    """Leaves in the log; the last one is a block leaf."""
    root: bytes
    signers: tuple[int, ...]
    """Validators whose note keys signed, ascending; one at least."""
    cosigners: tuple[int, ...]
    """Validators whose cosigner keys cosigned, ascending; a quorum."""
    note: bytes
    """As it was read; it may carry signatures that were ignored."""


@dataclass(frozen=True, slots=True)
class TrustedLog:
    """
    A ledger's registry as of one block, and the last checkpoint that was followed.

    Start with `TrustedLog.start` and take step after step with `advance`. Nothing changes in
    place: each method returns the next state.
    """

    ledger: Ledger
    registry: Registry
    """In force from the height after `height`."""
    height: int
    """Of the block that made the registry what it is; 0 for the genesis."""
    size: int
    """Leaves of the log up to that block's end."""
    steps: tuple[RegistryStep, ...]
    """The walk from the genesis to here."""
    checkpoint: VerifiedCheckpoint | None
    """The last one that was followed; None before the first."""

    @classmethod
    def start(cls, ledger: Ledger) -> TrustedLog:
        """Return the trust that a genesis gives; whoever calls this trusts its founders' keys."""
        return cls(ledger, ledger.registry, 0, 1, (), None)

    def verify_checkpoint(self, note: bytes) -> VerifiedCheckpoint:
        """
        Return the checkpoint of a note that a validator signed and a quorum cosigned.

        Lines by keys that no member has or had are ignored. A line that names any other key must
        be valid, also if that key has ended; it counts only if its owner is a validator today and
        the key is in force. The quorum counts members.

        Raises:
            MalformedError: no note, or its text is no checkpoint.
            PolicyError: of another log, signed by no validator, or cosigned by too few.
            SignatureError: a line that names a member's key is not by it.
        """
        decoded = decode_note(note)
        head = decode_checkpoint(decoded.text)
        origin = self.ledger.origin
        if head.origin != origin:
            raise PolicyError(f"checkpoint is of log {head.origin!r}, expected {origin!r}")
        note_keys, cosigner_keys = _known_keys(self.registry, origin)
        signed = verify_signatures(decoded, note_keys)
        cosigned = verify_cosignatures(decoded, cosigner_keys)
        validators = _validators(self.registry)
        signers = {r.id for r in validators for key in signed if key.public == r.note_key}
        cosigners = {
            r.id for r in validators for each in cosigned if each.key.public == r.cosigner_key
        }
        needed = quorum(len(self.registry.epoch.validators))
        if not signers:
            raise PolicyError(
                f"checkpoint of size {head.size} is signed by no note key of a validator in force; "
                "follow the registry steps up to this size first"
            )
        if len(cosigners) < needed:
            raise PolicyError(
                f"checkpoint of size {head.size} is cosigned by members {sorted(cosigners)}, "
                f"{needed} of the {len(self.registry.epoch.validators)} validators are needed; "
                "follow the registry steps up to this size, or wait for more cosignatures"
            )
        return VerifiedCheckpoint(
            head.size, head.root, tuple(sorted(signers)), tuple(sorted(cosigners)), note
        )

    def follow(self, note: bytes, consistency: Sequence[bytes]) -> TrustedLog:
        """
        Return this with a newer checkpoint, which must extend the one that was followed last.

        `consistency` is the path from the last one's size to the new one's; empty the first time.

        Raises:
            MalformedError, PolicyError, SignatureError: as `verify_checkpoint`.
            ConsistencyError: it is older, or of another log; keep both notes as evidence.
        """
        new = self.verify_checkpoint(note)
        if self.checkpoint is not None:
            old = self.checkpoint
            verify_consistency(old.size, new.size, consistency, old.root, new.root)
        return replace(self, checkpoint=new)

    def advance(self, step: RegistryStep) -> TrustedLog:
        """
        Return this with the registry after `step`.

        Raises:
            MalformedError, PolicyError, SignatureError: as `verify_checkpoint`; or the records
                make no registry.
            InclusionError: the block leaf is not in the log of the step's checkpoint.
            VerificationError: the step is not later than this, rewrites a version that has ended,
                or its records do not make the registry that the block leaf names.
        """
        verified = self.verify_checkpoint(step.checkpoint.encode())
        block = verify_block(step.leaf, step.index, step.path, verified)
        if step.index < self.size or block.height <= self.height:
            raise VerificationError(
                f"registry step of block {block.height} (leaf {step.index}) does not come after "
                f"block {self.height}; take steps in the order of the log"
            )
        changed = {record.id for record in step.members}
        kept = [record for record in self.registry.members if record.id not in changed]
        members = sorted([*kept, *step.members], key=lambda record: (record.id, record.from_height))
        after = Registry(tuple(members), self.registry.epochs, self.registry.settings)
        if step.epoch is not None:
            after = after.with_epoch(step.epoch)
        if step.settings is not None:
            after = after.with_settings(step.settings)
        if after.root != block.registry_root:
            raise VerificationError(
                f"registry step of block {block.height} makes root {after.root.hex()}, the block "
                f"leaf says {block.registry_root.hex()}; a step before it may be missing"
            )
        for number in sorted(changed):
            _check_extends(self.registry.versions(number), after.versions(number))
        return replace(
            self,
            registry=after,
            height=block.height,
            size=step.index + 1,
            steps=(*self.steps, step),
        )


def verify_block(
    leaf: bytes, index: int, path: Sequence[bytes], checkpoint: VerifiedCheckpoint
) -> BlockLeaf:
    """
    Return the block leaf that stands at `index` of the log of a verified checkpoint.

    Raises:
        InclusionError: it does not stand there.
        MalformedError: it is no leaf.
        VerificationError: it is the leaf of an entry.
    """
    verify_inclusion(leaf_hash(leaf), index, checkpoint.size, path, checkpoint.root)
    block = decode_leaf(leaf)
    if not isinstance(block, BlockLeaf):
        raise VerificationError(f"leaf {index} is that of an entry, expected a block leaf")
    return block


def encode_registry(registry: Registry) -> bytes:
    """Return the bytes of a registry as nodes serve it: encoded members, epochs and settings."""
    return encode(
        _RegistryFile(
            tuple(encode(record) for record in registry.members),
            tuple(encode(record) for record in registry.epochs),
            tuple(encode(record) for record in registry.settings),
        )
    )


def open_registry(encoded: bytes, block: BlockLeaf) -> Registry:
    """
    Return the registry in `encoded` if it is the one that `block`, a proven block leaf, names.

    Raises:
        MalformedError: it does not decode.
        VerificationError: it is another one.
    """
    file = _REGISTRY.decode(encoded)
    registry = Registry(
        tuple([MEMBER_RECORD.decode(record) for record in file.members]),
        tuple([EPOCH_RECORD.decode(record) for record in file.epochs]),
        tuple([SETTINGS_RECORD.decode(record) for record in file.settings]),
    )
    if registry.root != block.registry_root:
        raise VerificationError(
            f"registry has root {registry.root.hex()}, block {block.height} says "
            f"{block.registry_root.hex()}; ask for the registry of that block"
        )
    return registry


def change_heights(registry: Registry) -> list[int]:
    """Return the heights of the blocks that changed the registry, ascending; not the genesis."""
    heights = {each.from_height for each in registry.members}
    heights |= {each.until_height for each in registry.members if each.until_height is not None}
    heights |= {each.from_height for each in registry.epochs}
    heights |= {each.from_height for each in registry.settings}
    return sorted(height - 1 for height in heights if height > 0)


def change_at(registry: Registry, height: int) -> RegistryChange:
    """Return what the block at `height` changed, as it left it; `registry` may be a later one."""
    after, at = registry_after(registry, height), height + 1
    changed = {each.id for each in after.members if at in (each.from_height, each.until_height)}
    settings = after.settings[-1] if after.settings else None
    return RegistryChange(
        tuple(each for each in after.members if each.id in changed),
        after.epoch if after.epoch.from_height == at else None,
        settings if settings is not None and settings.from_height == at else None,
    )


def registry_after(registry: Registry, height: int) -> Registry:
    """Return `registry` as block `height` left it: without what came later."""
    changes = change_heights(registry)
    if not changes or changes[-1] <= height:
        return registry
    until = height + 1
    members = [
        msgspec.structs.replace(record, until_height=None)
        if record.until_height is not None and record.until_height > until
        else record
        for record in registry.members
        if record.from_height <= until
    ]
    epochs = [record for record in registry.epochs if record.from_height <= until]
    settings = [record for record in registry.settings if record.from_height <= until]
    return Registry(tuple(members), tuple(epochs), tuple(settings))


def policy_of(ledger: Ledger, registry: Registry) -> str:
    """
    Return the tlog-policy file of a registry: a validator signed, a quorum of them cosigned.

    Raises:
        PolicyError: fewer cosigner keys than the quorum.
    """
    policy = validators_policy(ledger.origin, _validators(registry))
    return encode_policy(policy).decode()


def log_vkey(ledger: Ledger, record: MemberRecord) -> str:
    """
    Return the vkey under which `record`'s member signs checkpoints, for tools that know no policy.

    Raises:
        PolicyError: the member has no note key.
    """
    if record.note_key is None:
        raise PolicyError(f"member {record.id} has no note key, so it signs no checkpoints")
    return encode_vkey(VerifierKey(ledger.origin, KeyType.NOTE, record.note_key))


def _validators(registry: Registry) -> list[MemberRecord]:
    """Return the versions in force of the validators of the epoch in force."""
    records = [registry.member(number) for number in registry.epoch.validators]
    return [record for record in records if record is not None]


def _known_keys(registry: Registry, origin: str) -> tuple[list[VerifierKey], list[VerifierKey]]:
    """Return every note key and every cosigner key that any member has or had."""
    notes: dict[bytes, VerifierKey] = {}
    cosigners: dict[bytes, VerifierKey] = {}
    for record in registry.members:
        if record.note_key is not None and record.note_key not in notes:
            notes[record.note_key] = VerifierKey(origin, KeyType.NOTE, record.note_key)
        if record.cosigner_key is not None and record.cosigner_key not in cosigners:
            name = cosigner_name(origin, record.id)
            cosigners[record.cosigner_key] = VerifierKey(
                name, KeyType.COSIGNATURE, record.cosigner_key
            )
    return list(notes.values()), list(cosigners.values())


def _check_extends(before: Sequence[MemberRecord], after: Sequence[MemberRecord]) -> None:
    """Accept `after` if it says the same of the past as `before`."""
    if len(after) < len(before):
        raise VerificationError("a registry step leaves out a version of a member")
    for old, new in zip(before, after, strict=False):
        ended = msgspec.structs.replace(old, until_height=new.until_height)
        if old != new and (old.until_height is not None or ended != new):
            raise VerificationError(
                f"a registry step rewrites the version of member {old.id} from height "
                f"{old.from_height}; keep it as evidence against those who signed it"
            )
