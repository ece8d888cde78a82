"""An entry that a test builds with defects and repairs one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec.structs
from tests.world import BULK, INSTITUTIONS, Institution, World, make_ledger

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.key import Key, KeyChange, Replaced
from tradeline_ledger.registry import Feed, MemberRecord
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import Entry, Kind, Statement, content_hash
from tradeline_ledger.submission import decode_submission
from tradeline_ledger.transition import Applied

NO_CHANGE = Replaced(None, None, None, None, None)


@dataclass(frozen=True)
class Grouped(Institution):
    """A member of somebody else's legal group."""

    group: int = 1

    @property
    def record(self) -> MemberRecord:
        return msgspec.structs.replace(super().record, group=self.group)


ONE_GROUP = (
    *INSTITUTIONS[:2],
    Grouped(3, INSTITUTIONS[2].name, INSTITUTIONS[2].roles),
    *INSTITUTIONS[3:],
)
"""The same five members, but the payment company belongs to the bank."""


def make_world(refused_per_day: int = 1000) -> World:
    """Return a world in which members 1 and 3 are one group."""
    return World(make_ledger(ONE_GROUP, refused_per_day), ONE_GROUP)


@dataclass
class Draft:
    """Everything that stands in an entry; each part can be right or wrong by itself."""

    world: World
    member: int
    kind: int
    content: Callable[[Draft], bytes]
    feed: int = BULK
    ledger_id: bytes | None = None
    key: SigningKey | None = None
    seq: Callable[[int], int] = field(default=lambda next_seq: next_seq)
    prev: bytes | None = None
    created_ms: Callable[[int], int] = field(default=lambda now_ms: now_ms)
    hash: bytes | None = None
    after_content: bytes = b""
    after_statement: bytes = b""
    after_entry: bytes = b""

    def entry(self) -> bytes:
        """Return the encoded entry as it stands."""
        world = self.world
        content = self.content(self) + self.after_content
        next_seq, prev = world.position(self.member, self.feed)
        statement = Statement(
            1,
            self.ledger_id or world.ledger.ledger_id,
            self.member,
            self.feed,
            self.seq(next_seq),
            self.prev or prev,
            self.created_ms(world.time_ms),
            self.kind,
            self.hash or self._hash(content),
        )
        encoded = encode(statement) + self.after_statement
        key = self.key or world.institution(self.member).feed_key(self.feed)
        return encode(Entry(encoded, key.sign("statement", encoded), content)) + self.after_entry

    def _hash(self, content: bytes) -> bytes:
        if self.kind != Kind.SUBMISSION:
            return content_hash(self.kind, content)
        try:
            submission = decode_submission(content)
        except MalformedError:
            return bytes(32)
        return submission.content_hash(self.world.ledger.ledger_id, self.member)

    def apply(self) -> Applied:
        """Return what the entry would do in the next block."""
        return self.world.apply(self.entry())


def key_content(
    world: World,
    member: int,
    n: int,
    *,
    added: tuple[Feed, ...] = (),
    ended: tuple[int, ...] = (),
    replaced: Replaced = NO_CHANGE,
    signer: SigningKey | None = None,
    ledger_id: bytes | None = None,
) -> bytes:
    """Return the content of a key change of `member`, signed by its root key."""
    change = encode(
        KeyChange(ledger_id or world.ledger.ledger_id, member, n, added, ended, replaced)
    )
    root = signer or world.institution(member).root
    return encode(Key(change, root.sign("key", change)))
