"""
What a ledger starts from, and its identity (docs/formats.md, section 2).

The hash of the genesis is the ledger's id; every signature binds it. The `genesis` file carries
the founders' signatures by their root keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger.encoding import (
    B64,
    U16,
    U32,
    U64,
    Codec,
    Record,
    check_ascending,
    check_text,
    encode,
)
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.hashing import digest
from tradeline_ledger.params import Params
from tradeline_ledger.registry import (
    EpochRecord,
    MemberRecord,
    Registry,
    Role,
)
from tradeline_ledger.signing import valid_key, verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_ledger.signing import SigningKey

GENESIS_FORMAT: Final = 1
RULES: Final = 1
"""Number of the rules that this version of the package executes."""
GENESIS_BYTES_MAX: Final = 1 << 20
CHAIN_ID_PREFIX: Final = "tl-"
ORIGIN_PREFIX: Final = "tradeline."
TIME_MS_MIN: Final = 2 * 86_400_000
"""No day of any local time is negative from here on."""
TIME_MS_MAX: Final = 2**53 - 1
"""Largest time of a block."""


class Genesis(Record, frozen=True):
    """The first state of a ledger."""

    format: U16
    """1."""
    name: str
    time_ms: U64
    rules: U16
    """Rules that the first blocks are executed by."""
    params: Params
    members: tuple[MemberRecord, ...]
    epoch: EpochRecord

    def __post_init__(self) -> None:
        """Refuse other formats."""
        if self.format != GENESIS_FORMAT:
            raise ValueError(f"genesis format is {self.format}, expected {GENESIS_FORMAT}")
        if self.rules != RULES:
            raise ValueError(f"genesis names rules {self.rules}, this version executes {RULES}")
        if not TIME_MS_MIN <= self.time_ms <= TIME_MS_MAX:
            raise ValueError(f"genesis time is {self.time_ms} ms, outside of what blocks can have")
        check_text(self.name, "ledger name", 128)


class FounderSignature(Record, frozen=True):
    """A founder's consent to the genesis."""

    member: U32
    signature: B64
    """Sig(root key, "genesis", ledger_id)."""


class GenesisFile(Record, frozen=True):
    """The `genesis` file: the genesis and its founders' signatures."""

    genesis: bytes
    signatures: tuple[FounderSignature, ...]

    def __post_init__(self) -> None:
        """Refuse signatures out of order."""
        check_ascending(tuple(each.member for each in self.signatures), "founders")


GENESIS: Final[Codec[Genesis]] = Codec(Genesis, "genesis", GENESIS_BYTES_MAX)
GENESIS_FILE: Final[Codec[GenesisFile]] = Codec(
    GenesisFile, "genesis file", GENESIS_BYTES_MAX + 8192
)


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger's identity and first state, checked."""

    genesis: Genesis
    ledger_id: bytes
    """H("genesis", genesis bytes)."""
    registry: Registry
    """As of height 0."""
    file: bytes
    """The `genesis` file."""

    @property
    def params(self) -> Params:
        """The first parameters; `linker` and `utc_offset_min` are the same for ever."""
        return self.genesis.params

    def params_of(self, registry: Registry) -> Params:
        """Return the parameters that are in force as of `registry`."""
        return registry.settings[-1].params if registry.settings else self.genesis.params

    def rules_of(self, registry: Registry) -> int:
        """Return the number of the rules that are in force as of `registry`."""
        return registry.settings[-1].rules if registry.settings else self.genesis.rules

    @property
    def origin(self) -> str:
        """Origin line of its checkpoints."""
        return ORIGIN_PREFIX + self.ledger_id.hex()[:16]

    @property
    def chain_id(self) -> str:
        """Name that a consensus engine knows the ledger by."""
        return CHAIN_ID_PREFIX + self.ledger_id.hex()[:40]

    @property
    def genesis_bytes(self) -> bytes:
        """The content that leaf 0 names as `prev_block`."""
        return encode(self.genesis)


def ledger_id(genesis: bytes) -> bytes:
    """Return the id of the ledger that starts from these bytes."""
    return digest("genesis", genesis)


def sign_genesis(genesis: Genesis, root_keys: Sequence[tuple[int, SigningKey]]) -> bytes:
    """Return the `genesis` file, signed with each founder's root key."""
    encoded = encode(genesis)
    identity = ledger_id(encoded)
    signatures = tuple(
        FounderSignature(member, key.sign("genesis", identity)) for member, key in sorted(root_keys)
    )
    return encode(GenesisFile(encoded, signatures))


def open_genesis(file: bytes) -> Ledger:
    """
    Return the ledger of a `genesis` file that every founder signed.

    Raises:
        MalformedError: the file does not decode or contradicts itself.
        SignatureError: a founder's signature is wrong.
    """
    decoded = GENESIS_FILE.decode(file)
    genesis = GENESIS.decode(decoded.genesis)
    identity = ledger_id(decoded.genesis)
    founders = {record.id: record for record in genesis.members}
    signed = [each.member for each in decoded.signatures]
    if signed != sorted(founders):
        lacking = ", ".join(str(each) for each in sorted(founders.keys() - set(signed)))
        raise MalformedError(
            "the genesis file must carry the signature of every founder and of nobody else; "
            f"those of members {lacking or 'none'} are missing"
        )
    for each in decoded.signatures:
        verify(founders[each.member].root_key, "genesis", identity, each.signature)
    return Ledger(genesis, identity, check_genesis(genesis), file)


def check_genesis(genesis: Genesis) -> Registry:
    """
    Return the first registry of a genesis that contradicts itself nowhere.

    Raises:
        MalformedError: it does; says where.
    """
    registry = Registry(genesis.members, (genesis.epoch,))
    if genesis.epoch.from_ms != genesis.time_ms:
        raise MalformedError("epoch 0 begins at the time of the genesis")
    _check_first_registry(registry)
    return registry


def _check_first_registry(registry: Registry) -> None:
    epoch = registry.epoch
    if epoch.from_height != 0:
        raise MalformedError("epoch 0 begins at height 0")
    for record in registry.members:
        if record.from_height != 0 or record.until_height is not None:
            raise MalformedError(f"member {record.id} must be in force from height 0")
        if record.suspended:
            raise MalformedError(f"member {record.id} must not be suspended by the genesis")
        if weak := [key for key in record.key_list() if not valid_key(key)]:
            raise MalformedError(f"member {record.id} has a weak key {weak[0].hex()}")
    keys = [key for record in registry.members for key in record.key_list()]
    if len(set(keys)) != len(keys):
        raise MalformedError(
            "one key serves two purposes or two members; make a fresh key for each"
        )
    _check_validators(registry)


def _check_validators(registry: Registry) -> None:
    epoch = registry.epoch
    for number in epoch.validators:
        record = registry.member(number)
        if record is None or not record.has(Role.VALIDATOR):
            raise MalformedError(f"validator {number} is no member with that role")
        if None in (record.node_key, record.note_key, record.cosigner_key):
            raise MalformedError(f"validator {number} lacks a node, note or cosigner key")
    for each in epoch.committee:
        record = registry.member(each.member)
        if record is None or each.member not in epoch.validators or record.hpke_key is None:
            raise MalformedError(f"committee member {each.member} is no validator with an HPKE key")
        if digest("hpke-key", record.hpke_key) != each.hpke_key_id:
            raise MalformedError(f"committee member {each.member} has another HPKE key id")
