"""
A committee in memory, for tests: what the nodes of a `World` publish and answer.

It follows docs/formats.md by itself and shares no code with the node: histories, proofs, shares and
signatures are made here from the leaves, contents and attachments of the world.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.world import DESK, World, seed

from tradeline_ledger.body import body_hash
from tradeline_ledger.checkpoint import Checkpoint, encode_checkpoint
from tradeline_ledger.consent import CONSENT, Terms, consent_id
from tradeline_ledger.cosignature import cosign, cosigner_name
from tradeline_ledger.deposit import Attachment, make_deposits, share_paths
from tradeline_ledger.encoding import encode
from tradeline_ledger.history import EventId, HistoryRow, fold_head, fold_marks
from tradeline_ledger.hpke import (
    PrivateKey,
    answer_info,
    deposit_info,
    open_sealed,
    seal,
)
from tradeline_ledger.inquiry import (
    INQUIRY,
    Inquiry,
    inquiry_header,
    key_hash,
    scope_hash,
    scope_tags,
)
from tradeline_ledger.key import Key, KeyChange, Replaced
from tradeline_ledger.mark import MARK, Mark
from tradeline_ledger.merkle import consistency_path, leaf_hash, path_of, root_of
from tradeline_ledger.note import Note, encode_note, sign_note
from tradeline_ledger.registry import Feed
from tradeline_ledger.release import (
    Answer,
    BatchPart,
    EntryProof,
    EntryShares,
    EventProof,
    EventShare,
    HistoryCommon,
    Proofs,
    sign_history,
)
from tradeline_ledger.sharing import split
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import (
    STATEMENT,
    BlockLeaf,
    EntryLeaf,
    Kind,
    Statement,
    decode_leaf,
)
from tradeline_ledger.submission import (
    HEADER_BYTES,
    Submission,
    decode_submission,
    encode_headers,
    header_tag,
    make_batch,
)
from tradeline_ledger.trust import RegistryStep, change_at, registry_after

ONE_TIME = PrivateKey.generate(b"".join(seed("one-time", part) for part in range(3)))


@dataclass
class Placed:
    """One accepted entry as the committee sees it."""

    index: int
    leaf: EntryLeaf
    statement: Statement
    content: bytes


@dataclass
class Committee:
    """The nodes of a world."""

    world: World = field(default_factory=World)
    attachments: dict[int, Attachment] = field(default_factory=dict)
    """By log index; tests erase bodies here."""

    # What members post.

    def submit(self, member: int, events: list[tuple[bytes, int, bytes]], salt: object = 0) -> int:
        """Place one batch of (tag, retain_month, event) rows; return its log index."""
        batch, attachment, _ = self.world.batch(member, events, salt)
        executed = self.world.block(self.world.submission(member, batch))
        assert executed.placed[0].applied.outcome.accepted
        index = executed.placed[0].index
        self.attachments[index] = attachment
        return index

    def submit_sealed(
        self,
        member: int,
        rows: list[tuple[bytes, int, bytes]],
        keys: list[bytes],
        dealt: list[bytes] | None = None,
    ) -> int:
        """
        Place a batch of (tag, retain_month, body) rows as a dishonest contributor can make them.

        `dealt` are shared in place of `keys`.
        """
        world = self.world
        epoch = world.registry.epoch
        secrets = b"".join(dealt or keys)
        random = seed("dealt", len(world.leaves))[:1] * (len(secrets) * (epoch.threshold - 1))
        shares = split(secrets, epoch.threshold, len(epoch.committee), random)
        tags, months = [row[0] for row in rows], [row[1] for row in rows]
        hashes = [body_hash(row[2]) for row in rows]
        headers = encode_headers(tags, months, hashes)
        leaves = [leaf_hash(headers[at : at + 56]) for at in range(0, len(headers), 56)]
        recipients = [
            (each.member, world.institution(each.member).hpke.public.encoded)
            for each in epoch.committee
        ]
        deposits, sealed = make_deposits(
            shares,
            recipients,
            ledger_id=world.ledger.ledger_id,
            member=member,
            epoch=epoch.epoch,
            events_root=root_of(leaves),
        )
        batch = make_batch(epoch.epoch, tags, months, hashes, deposits)
        executed = world.block(world.submission(member, batch))
        assert executed.placed[0].applied.outcome.accepted
        index = executed.placed[0].index
        self.attachments[index] = Attachment(tuple(row[2] for row in rows), tuple(sealed))
        return index

    def consent(self, terms: Terms) -> bytes:
        """Post a consent; return its id."""
        content = self.world.consent(terms)
        executed = self.world.block(self.world.entry(terms.grantee, Kind.CONSENT, content))
        assert executed.placed[0].applied.outcome.accepted
        return consent_id(encode(terms))

    def inquire(self, consent: bytes, reader: int = 1, **changes: object) -> int:
        """Post an inquiry; return its log index."""
        given: dict[str, object] = {"key_hash": key_hash(ONE_TIME.public.encoded), **changes}
        inquiry = self.world.inquiry(consent, reader, **given)  # type: ignore[arg-type]
        executed = self.world.block(self.world.entry(reader, Kind.INQUIRY, encode(inquiry)))
        assert executed.placed[0].applied.outcome.accepted
        return executed.placed[0].index

    def delete_body(self, event: EventId) -> None:
        """Delete a body on every node."""
        attachment = self.attachments[event.index]
        bodies = list(attachment.bodies)
        bodies[event.position] = None
        self.attachments[event.index] = Attachment(tuple(bodies), attachment.sealed)

    def mark(
        self, member: int, target: tuple[int, int], what: int, value: int | None, reason: int
    ) -> int:
        """Place a mark; return its log index."""
        content = encode(Mark(EventId(*target), what, value, reason))
        executed = self.world.block(self.world.entry(member, Kind.MARK, content))
        assert executed.placed[0].applied.outcome.accepted
        return executed.placed[0].index

    def change_keys(
        self,
        member: int,
        n: int,
        *,
        added: Sequence[Feed] = (),
        ended: Sequence[int] = (),
        **replaced: bytes,
    ) -> int:
        """Change keys of a member with its root key; return the height of the block."""
        names = ("node_key", "note_key", "cosigner_key", "hpke_key", "tag_key_hash")
        change = encode(
            KeyChange(
                self.world.ledger.ledger_id,
                member,
                n,
                tuple(added),
                tuple(ended),
                Replaced(*(replaced.get(name) for name in names)),
            )
        )
        root = self.world.institution(member).root
        content = encode(Key(change, root.sign("key", change)))
        poster = 5 if member != 5 else 1
        executed = self.world.block(self.world.entry(poster, Kind.KEY, content, DESK))
        assert executed.placed[0].applied.outcome.accepted
        return executed.head.height

    # What nodes publish.

    @property
    def leaf_hashes(self) -> list[bytes]:
        return [leaf_hash(leaf) for leaf in self.world.leaves]

    def root(self, size: int) -> bytes:
        return root_of(self.leaf_hashes[:size])

    def path(self, index: int, size: int) -> tuple[bytes, ...]:
        return tuple(path_of(self.leaf_hashes[:size], index))

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        hashes = self.leaf_hashes

        def read(nodes: list[tuple[int, int]]) -> list[bytes]:
            return [root_of(hashes[i << level : (i + 1) << level]) for level, i in nodes]

        return tuple(consistency_path(old, new, read))

    def checkpoint(
        self,
        size: int | None = None,
        *,
        signers: Iterable[int] = (1, 2, 3, 4),
        cosigners: Iterable[int] = (1, 2, 3, 4),
        root: bytes | None = None,
        cosigner_keys: dict[int, SigningKey] | None = None,
    ) -> bytes:
        """Return the note of a size, signed and cosigned by those members."""
        ledger = self.world.ledger
        at = len(self.world.leaves) if size is None else size
        text = encode_checkpoint(Checkpoint(ledger.origin, at, root or self.root(at)))
        lines = [sign_note(text, ledger.origin, self.world.institution(n).note) for n in signers]
        for number in cosigners:
            key = (cosigner_keys or {}).get(number) or self.world.institution(number).cosigner
            lines.append(cosign(text, cosigner_name(ledger.origin, number), key, 1_790_000_000))
        return encode_note(Note(text, tuple(lines)))

    def block_of(self, index: int) -> tuple[int, BlockLeaf]:
        """Return index and leaf of the block leaf that ends the block of leaf `index`."""
        for at in range(index, len(self.world.leaves)):
            leaf = decode_leaf(self.world.leaves[at])
            if isinstance(leaf, BlockLeaf):
                return at, leaf
        raise AssertionError(index)

    def steps(self, before: int | None = None, **signed: object) -> tuple[RegistryStep, ...]:
        """Return every change of the registry in the first `before` leaves."""
        steps: list[RegistryStep] = []
        registry = self.world.ledger.registry
        for index, encoded in enumerate(self.world.leaves[:before]):
            leaf = decode_leaf(encoded)
            if not isinstance(leaf, BlockLeaf) or leaf.registry_root == registry.root:
                continue
            steps.append(
                RegistryStep(
                    self.checkpoint(index + 1, **signed).decode(),  # type: ignore[arg-type]
                    index,
                    encoded,
                    self.path(index, index + 1),
                    *change_at(self.world.registry, leaf.height),
                )
            )
            registry = registry_after(self.world.registry, leaf.height)
        return tuple(steps)

    # What committee members answer.

    def placed(self, index: int) -> Placed | None:
        """Return the accepted entry at `index`, None for a block leaf or a refused entry."""
        leaf = decode_leaf(self.world.leaves[index])
        if not isinstance(leaf, EntryLeaf) or leaf.outcome != 0:
            return None
        return Placed(index, leaf, STATEMENT.decode(leaf.statement), self.world.contents[index])

    def headers(self, entry: Placed) -> list[bytes]:
        """Return the event headers of an entry."""
        if entry.statement.kind == Kind.INQUIRY:
            return [inquiry_header(INQUIRY.decode(entry.content))]
        if entry.statement.kind == Kind.SUBMISSION:
            headers = decode_submission(entry.content).batch.headers
            return [headers[at : at + HEADER_BYTES] for at in range(0, len(headers), HEADER_BYTES)]
        return []

    def scope(self, inquiry: Inquiry, who: Sequence[int] = (1,)) -> list[tuple[int, bytes]]:
        """Return the (member, tag) pairs of an inquiry about a subject with these identifiers."""
        keys = [(year, self.world.year_key(n, year)) for year in inquiry.years for n in who]
        tag_keys = {each.id: [each.tag_key] for each in self.world.institutions}
        return scope_tags(inquiry, self.world.registry.ever(), tag_keys, keys)

    def common(self, index: int, who: Sequence[int] = (1,)) -> HistoryCommon:
        """Return the history statement of the inquiry at `index`."""
        entry = self.placed(index)
        assert entry is not None
        return self.common_of(index, self.scope(INQUIRY.decode(entry.content), who))

    def common_of(self, index: int, scope: list[tuple[int, bytes]]) -> HistoryCommon:
        """Return the history statement over a scope, as of the end of the block of `index`."""
        size = self.block_of(index)[0] + 1
        rows = [row for row in (self.row(*place, size) for place in scope) if row is not None]
        return HistoryCommon(
            self.world.ledger.ledger_id,
            index,
            size,
            self.root(size),
            scope_hash(scope),
            tuple(rows),
        )

    def history(self, member: int, tag: bytes, size: int) -> list[tuple[EventId, bytes]]:
        """Return the events of a tag with their headers, in log order."""
        events = []
        for index in range(size):
            entry = self.placed(index)
            if entry is None or entry.statement.member != member:
                continue
            for position, header in enumerate(self.headers(entry)):
                if header_tag(header) == tag:
                    events.append((EventId(index, position), header))
        return events

    def marks(self, targets: Iterable[EventId], start: int, end: int) -> list[tuple[EventId, int]]:
        """Return (target, log index) of the accepted marks about `targets` in [start, end)."""
        wanted, found = set(targets), []
        for index in range(start, end):
            entry = self.placed(index)
            if entry is not None and entry.statement.kind == Kind.MARK:
                target = MARK.decode(entry.content).target
                if target in wanted:
                    found.append((target, index))
        return found

    def row(self, member: int, tag: bytes, size: int) -> HistoryRow | None:
        events = self.history(member, tag, size)
        if not events:
            return None
        marks = self.marks((event for event, _ in events), 0, size)
        return HistoryRow(
            member, tag, len(events), fold_head(events), len(marks), fold_marks(marks)
        )

    def entry_proof(self, index: int, size: int) -> EntryProof:
        """Return the proof of any leaf to the root of `size` leaves."""
        entry = self.placed(index)
        content: bytes | None = None
        part = None
        if entry is not None and entry.statement.kind == Kind.SUBMISSION:
            part = batch_part(decode_submission(entry.content))
        elif entry is not None:
            content = entry.content
        return EntryProof(index, self.world.leaves[index], self.path(index, size), content, part)

    def event_proof(self, event: EventId) -> EventProof:
        entry = self.placed(event.index)
        assert entry is not None
        header = self.headers(entry)[event.position]
        if entry.statement.kind == Kind.INQUIRY:
            return EventProof(entry.statement.member, event.index, 0, header, (), None)
        path = tuple(decode_submission(entry.content).batch.path(event.position))
        body = self.attachments[event.index].bodies[event.position]
        return EventProof(entry.statement.member, event.index, event.position, header, path, body)

    def proofs(self, common: HistoryCommon, checkpoint_size: int | None = None) -> Proofs:
        """Return the proofs that one member sends; later marks lead to `checkpoint_size`."""
        last = len(self.world.leaves) if checkpoint_size is None else checkpoint_size
        events = [
            event
            for row in common.rows
            for event, _ in self.history(row.member, row.tag, common.size)
        ]
        entries = {event.index for event in events}
        entries |= {index for _, index in self.marks(events, 0, common.size)}
        entries.add(common.size - 1)
        own = self.placed(common.inquiry)
        assert own is not None
        entries.add(self.consent_index(INQUIRY.decode(own.content).consent_id))
        gone = [event for event in events if self.event_proof(event).body is None]
        later = {index for _, index in self.marks(gone, common.size, last)} | {last - 1}
        proofs = [self.entry_proof(index, common.size) for index in entries]
        proofs += [self.entry_proof(index, last) for index in later - entries]
        return Proofs(
            tuple(sorted(proofs, key=lambda proof: proof.index)),
            tuple(self.event_proof(event) for event in sorted(events)),
        )

    def consent_index(self, wanted: bytes) -> int:
        """Return the log index of a consent."""
        for index in range(len(self.world.leaves)):
            entry = self.placed(index)
            if entry is not None and entry.statement.kind == Kind.CONSENT:
                terms = CONSENT.decode(entry.content).terms
                if consent_id(terms) == wanted:
                    return index
        raise AssertionError(wanted.hex())

    def payload(
        self, validator: int, common: HistoryCommon, *, paths: bool = False
    ) -> tuple[EntryShares, ...]:
        """Return the shares of one committee member for every body that is there."""
        entries: dict[int, list[int]] = {}
        for row in common.rows:
            for event, _ in self.history(row.member, row.tag, common.size):
                proof = self.event_proof(event)
                if proof.body is not None:
                    entries.setdefault(event.index, []).append(event.position)
        return tuple(
            EntryShares(
                index, index, 0, self.shares(validator, index, sorted(positions), paths=paths)
            )
            for index, positions in sorted(entries.items())
        )

    def shares(
        self, validator: int, index: int, positions: list[int], *, paths: bool
    ) -> tuple[EventShare, ...]:
        entry = self.placed(index)
        assert entry is not None
        batch = decode_submission(entry.content).batch
        epoch = self.world.registry.epochs[batch.epoch]
        place = epoch.position(validator)
        assert place is not None
        private = self.world.institution(validator).hpke
        sealed = self.attachments[index].sealed[place]
        assert sealed is not None
        info = deposit_info(
            self.world.ledger.ledger_id,
            member=entry.statement.member,
            epoch=batch.epoch,
            recipient=validator,
            key_id=private.public.key_id,
            events_root=batch.events_root,
        )
        opened = open_sealed(private, sealed, info)
        own_paths = share_paths(opened, positions) if paths else [None] * len(positions)
        return tuple(
            EventShare(at, opened[32 * at : 32 * at + 32], None if path is None else tuple(path))
            for at, path in zip(positions, own_paths, strict=True)
        )

    def answer(
        self,
        validator: int,
        common: HistoryCommon,
        *,
        paths: bool = False,
        key: SigningKey | None = None,
        payload: tuple[EntryShares, ...] | None = None,
    ) -> Answer:
        """Return the signed answer of one committee member."""
        shares = self.payload(validator, common, paths=paths) if payload is None else payload
        encoded, shares_encoded = encode(common), encode(shares)
        signer = key or self.world.institution(validator).node
        signature = sign_history(signer, encoded, validator, shares_encoded)
        return Answer(encoded, signature, shares_encoded)

    def sealed_answer(self, validator: int, answer: Answer, inquiry: int) -> bytes:
        """Return an answer sealed to the one-time key."""
        info = answer_info(self.world.ledger.ledger_id, inquiry, validator)
        return seal(ONE_TIME.public, encode(answer), info)


def batch_part(submission: Submission) -> BatchPart:
    batch = submission.batch
    return BatchPart(
        batch.epoch,
        batch.count,
        batch.events_root,
        batch.deposits_hash(),
        submission.receipts_hash(),
    )
