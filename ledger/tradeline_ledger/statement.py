"""
What is ordered: statements, entries and the leaves of the log (docs/formats.md, section 3).

A statement is one position in one feed of one member, signed by the key of that feed. With its
signature and its content it is an entry, which the engine orders; placed in the log, statement
and signature become a leaf, and the content is kept beside it under its hash.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from tradeline_ledger.encoding import B32, B64, U8, U16, U32, U64, Codec, Record, encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.hashing import ZERO_HASH, digest
from tradeline_ledger.signing import verify

if TYPE_CHECKING:
    from tradeline_ledger.signing import SigningKey

STATEMENT_BYTES_MAX: Final = 256
CONTENT_BYTES_MAX: Final = 1 << 20
ENTRY_BYTES_MAX: Final = CONTENT_BYTES_MAX + STATEMENT_BYTES_MAX + 128
"""Below the engine's block limit of 4 MiB."""
LEAF_BYTES_MAX: Final = 512
STATEMENT_VERSION: Final = 1
FIRST_PREV: Final = ZERO_HASH
"""`prev` of the statement at seq 0."""


@enum.unique
class Kind(enum.IntEnum):
    """What a statement is about. Bit k of a set of kinds is kind k."""

    SUBMISSION = 1
    CONSENT = 2
    STATUS = 3
    INQUIRY = 4
    RELEASED = 5
    MARK = 6
    KEY = 7
    CUSTODY = 8
    REDEPOSIT = 9
    RESHARE = 10
    PROPOSAL = 11
    VOTE = 12
    EVIDENCE = 13
    QUALITY = 14
    DISPUTE = 15
    COMPLAINT = 16


KINDS_IMPLEMENTED: Final = frozenset(
    {
        Kind.SUBMISSION,
        Kind.CONSENT,
        Kind.STATUS,
        Kind.INQUIRY,
        Kind.RELEASED,
        Kind.MARK,
        Kind.KEY,
        Kind.CUSTODY,
        Kind.REDEPOSIT,
        Kind.PROPOSAL,
        Kind.VOTE,
        Kind.QUALITY,
    }
)
"""The other kinds have their numbers and are refused as reserved."""

NODE_KINDS: Final = (1 << Kind.RELEASED) | (1 << Kind.CUSTODY)
"""What a member's node key may sign: it is the member's feed 0."""
FEED_KINDS: Final = sum(1 << kind for kind in Kind) & ~NODE_KINDS
"""What the other feeds may sign."""


def kinds_of(*kinds: Kind) -> int:
    """Return the set of `kinds` as an integer, bit k for kind k."""
    return sum(1 << kind for kind in set(kinds))


class Statement(Record, frozen=True):
    """What a member signs: one position in one of its feeds."""

    version: U8
    """1."""
    ledger_id: B32
    """Hash of the genesis."""
    member: U32
    """The member that speaks."""
    feed: U32
    """Which of its keys signs; 0 is its node."""
    seq: U64
    """Position in the feed, gapless from 0."""
    prev: B32
    """`statement_hash` of the feed's previous statement; `FIRST_PREV` at 0."""
    created_ms: U64
    """The signer's clock, ms since 1970 UTC."""
    kind: U8
    """A `Kind`; others are placed and refused."""
    content_hash: B32
    """Hash of the content, see `content_hash`."""

    def __post_init__(self) -> None:
        """Refuse other versions."""
        if self.version != STATEMENT_VERSION:
            raise ValueError(f"statement version is {self.version}, expected {STATEMENT_VERSION}")


class Entry(Record, frozen=True):
    """A statement with its signature and content: the unit that is ordered."""

    statement: bytes
    """Exact bytes of a `Statement`."""
    signature: B64
    """`Sig(feed key, "statement", statement)`."""
    content: bytes
    """What `content_hash` of the statement is the hash of."""

    def __post_init__(self) -> None:
        """Refuse what is over the limits."""
        if len(self.statement) > STATEMENT_BYTES_MAX:
            raise ValueError(f"statement has more than {STATEMENT_BYTES_MAX} bytes")
        if len(self.content) > CONTENT_BYTES_MAX:
            raise ValueError(f"content has more than {CONTENT_BYTES_MAX} bytes")


class EntryLeaf(Record, frozen=True):
    """Leaf of the log for one placed entry."""

    type: U8
    """1."""
    height: U64
    """Block that placed it."""
    outcome: U16
    """An `Outcome`: accepted or refused."""
    statement: bytes
    """Exact bytes of a `Statement`."""
    signature: B64
    """As in its entry."""

    def __post_init__(self) -> None:
        """Refuse what no entry holds."""
        if len(self.statement) > STATEMENT_BYTES_MAX:
            raise ValueError(f"statement has more than {STATEMENT_BYTES_MAX} bytes")


class BlockLeaf(Record, frozen=True):
    """Last leaf of a block; chains to the one before."""

    type: U8
    """2."""
    height: U64
    time_ms: U64
    """Block time, strictly increasing."""
    prev_block: B32
    """Leaf hash of the block leaf before; the ledger id at height 0."""
    registry_root: B32
    """Root of the registry that is in force from the next height."""
    rules: U16
    """Number of the rules that this block was executed by."""


STATEMENT: Final[Codec[Statement]] = Codec(Statement, "statement", STATEMENT_BYTES_MAX)
ENTRY: Final[Codec[Entry]] = Codec(Entry, "entry", ENTRY_BYTES_MAX)
_ENTRY_LEAF: Final[Codec[EntryLeaf]] = Codec(EntryLeaf, "entry leaf", LEAF_BYTES_MAX)
_BLOCK_LEAF: Final[Codec[BlockLeaf]] = Codec(BlockLeaf, "block leaf", LEAF_BYTES_MAX)
_ENTRY_LEAF_TYPE: Final = 1
_BLOCK_LEAF_TYPE: Final = 2
_FIXARRAY_6: Final = 0x96


def statement_hash(statement: bytes) -> bytes:
    """Return what the next statement of the feed names as `prev`."""
    return digest("statement", statement)


def content_hash(kind: int, content: bytes) -> bytes:
    """Return the hash of any content but a submission's: `H("content", kind u8 || content)`."""
    return digest("content", bytes([kind]) + content)


def sign_entry(key: SigningKey, statement: Statement, content: bytes) -> bytes:
    """Return the encoded entry of `statement` and `content`, signed with `key`."""
    encoded = encode(statement)
    return encode(Entry(encoded, key.sign("statement", encoded), content))


def verify_statement(key: bytes, statement: bytes, signature: bytes) -> bytes:
    """
    Return `statement` if `signature` is that feed key's.

    Raises:
        SignatureError: it is not.
    """
    return verify(key, "statement", statement, signature)


def entry_leaf(height: int, outcome: int, entry: Entry) -> bytes:
    """Return the encoded leaf of a placed entry."""
    return encode(EntryLeaf(_ENTRY_LEAF_TYPE, height, outcome, entry.statement, entry.signature))


def block_leaf(
    height: int, time_ms: int, prev_block: bytes, registry_root: bytes, rules: int
) -> bytes:
    """Return the encoded leaf that ends a block."""
    return encode(BlockLeaf(_BLOCK_LEAF_TYPE, height, time_ms, prev_block, registry_root, rules))


def decode_leaf(leaf: bytes) -> EntryLeaf | BlockLeaf:
    """
    Return the leaf that `leaf` encodes.

    Raises:
        MalformedError: it is neither an entry leaf nor a block leaf.
    """
    if leaf[:1] == bytes([_FIXARRAY_6]):
        block = _BLOCK_LEAF.decode(leaf)
        if block.type != _BLOCK_LEAF_TYPE:
            raise MalformedError(f"leaf type is {block.type}, expected {_BLOCK_LEAF_TYPE}")
        return block
    entry = _ENTRY_LEAF.decode(leaf)
    if entry.type != _ENTRY_LEAF_TYPE:
        raise MalformedError(f"leaf type is {entry.type}, expected {_ENTRY_LEAF_TYPE}")
    return entry
