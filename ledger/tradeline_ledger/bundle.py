"""
Evidence bundles: one file with all that proves one report (docs/formats.md, section 7).

A bundle carries everything except trust: whoever verifies it brings keys of its own, or learns
only that the file agrees with itself (`tradeline_ledger.report.verify_bundle`).
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec.structs
from msgspec import Meta

from tradeline_ledger.consent import TERMS_BYTES_MAX
from tradeline_ledger.encoding import B32, B64, U8, U32, Codec, Record, check_ascending, encode
from tradeline_ledger.genesis import GENESIS_BYTES_MAX
from tradeline_ledger.merkle import PATH_HASHES_MAX
from tradeline_ledger.note import NOTE_BYTES_MAX
from tradeline_ledger.registry import COMMITTEE_MAX
from tradeline_ledger.release import COMMON_BYTES_MAX, EntryProof, Proofs
from tradeline_ledger.trust import STEPS_MAX, RegistryStep

BUNDLE_VERSION: Final = 1
BUNDLE_BYTES_MAX: Final = 512 << 20
BUNDLE_EVENTS_MAX: Final = 1 << 20
"""Most events of one report, inquiries included."""
BUNDLE_ENTRIES_MAX: Final = 2 * BUNDLE_EVENTS_MAX
"""Most log entries that prove them: submissions, inquiries, marks, the consent, block leaves."""


class SignedHistory(Record, frozen=True):
    """One committee member's signature under the history statement."""

    validator: U32
    signature: B64
    """Sig(node key, "history", `release.history_message`)."""
    payload_hash: B32
    """Of the shares that it answered with; the shares themselves are not kept."""


class Bundle(Record, frozen=True):
    """All that proves one report."""

    version: U8
    """1."""
    genesis: Annotated[bytes, Meta(max_length=GENESIS_BYTES_MAX + 8192)]
    """The `genesis` file."""
    steps: Annotated[tuple[RegistryStep, ...], Meta(max_length=STEPS_MAX)]
    """Every change of the registry before the checkpoint, in order."""
    checkpoint: Annotated[str, Meta(max_length=NOTE_BYTES_MAX)]
    """Signed note with a quorum of cosignatures."""
    consistency: Annotated[tuple[B32, ...], Meta(max_length=PATH_HASHES_MAX + 1)]
    """From (common.size, common.root) to the checkpoint."""
    terms: Annotated[bytes, Meta(max_length=TERMS_BYTES_MAX)]
    """Exact bytes of the consent's terms."""
    inquiry: EntryProof
    """The inquiry, with its content, to (common.size, common.root)."""
    common: Annotated[bytes, Meta(max_length=COMMON_BYTES_MAX)]
    """Exact bytes of the history statement."""
    statements: Annotated[tuple[SignedHistory, ...], Meta(max_length=COMMITTEE_MAX)]
    """Who signed it, ascending by validator; t at least."""
    proofs: Proofs
    """In log order, see `check_proofs`; the inquiry's own entry stands above only."""
    keys: tuple[B32 | None, ...]
    """Body key of each event proof, in their order. None: an inquiry, gone, or withheld."""

    def __post_init__(self) -> None:
        """Refuse other versions, and what is not in order."""
        if self.version != BUNDLE_VERSION:
            raise ValueError(f"bundle version is {self.version}, expected {BUNDLE_VERSION}")
        check_ascending(tuple(each.validator for each in self.statements), "history statements")
        check_proofs(self.proofs)
        if len(self.keys) != len(self.proofs.events):
            raise ValueError(f"{len(self.keys)} keys for {len(self.proofs.events)} events")


BUNDLE: Final[Codec[Bundle]] = Codec(Bundle, "evidence bundle", BUNDLE_BYTES_MAX)


def check_proofs(proofs: Proofs) -> None:
    """
    Accept proofs in log order, without duplicates and within the limits.

    Raises:
        ValueError: anything else; inside a record's `__post_init__` it becomes `MalformedError`.
    """
    entries, events = proofs.entries, proofs.events
    if len(entries) > BUNDLE_ENTRIES_MAX or len(events) > BUNDLE_EVENTS_MAX:
        raise ValueError(
            f"{len(entries)} entry proofs and {len(events)} event proofs, at most "
            f"{BUNDLE_ENTRIES_MAX} and {BUNDLE_EVENTS_MAX} are allowed"
        )
    check_ascending(tuple([proof.index for proof in entries]), "entry proofs")
    check_ascending(tuple([(proof.index, proof.position) for proof in events]), "event proofs")


def withhold(encoded: bytes) -> bytes:
    """
    Return the bundle without its keys: it shows that the events exist and opens none.

    Raises:
        MalformedError: `encoded` is no bundle.
    """
    bundle = BUNDLE.decode(encoded)
    return encode(msgspec.structs.replace(bundle, keys=(None,) * len(bundle.keys)))
