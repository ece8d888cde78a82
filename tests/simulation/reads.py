"""
Reads of the simulated members: a request to each committee member, and the report that it makes.

Services and verification are the product's; only checkpoints are signed here, over the roots of
the log that all nodes agree on.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tests.simulation.keeping import asked
from tests.world import seed

from tradeline_ledger import state
from tradeline_ledger.checkpoint import Checkpoint, encode_checkpoint
from tradeline_ledger.consent import consent_id
from tradeline_ledger.cosignature import cosign, cosigner_name
from tradeline_ledger.encoding import encode
from tradeline_ledger.hpke import PrivateKey, request_info, seal
from tradeline_ledger.inquiry import INQUIRY
from tradeline_ledger.note import Note, encode_note, sign_note
from tradeline_ledger.release import (
    PROOFS,
    RESPONSE,
    EntryProof,
    Proofs,
    ReleaseRequest,
    Want,
    YearKey,
)
from tradeline_ledger.report import Released, SubjectKeys, open_answer, read_report
from tradeline_ledger.statement import EntryLeaf, decode_leaf
from tradeline_ledger.trust import STEPS, RegistryStep, TrustedLog, change_heights
from tradeline_node.errors import RequestError
from tradeline_node.registry_step import make_step

if TYPE_CHECKING:
    from tests.simulation.keeping import Keeping
    from tests.world import World

    from tradeline_ledger.consent import Terms
    from tradeline_ledger.release import Answer
    from tradeline_ledger.report_parts import Report
    from tradeline_node.store import LedgerStore


class Asked(NamedTuple):
    """An inquiry, and what its reader needs to be answered."""

    reader: int
    key: PrivateKey
    terms: Terms
    who: int


def request(world: World, index: int, inquiry: Asked, node: int, years: tuple[int, ...]) -> bytes:
    """Return the sealed request of an inquiry to a committee member."""
    keys = tuple(YearKey(year, world.year_key(inquiry.who, year)) for year in years)
    salt = seed("salt", inquiry.terms.grantee, inquiry.terms.second, inquiry.who)
    want = int(Want.SHARES | Want.PROOFS)
    public = world.institution(node).hpke.public
    asks = ReleaseRequest(
        world.ledger.ledger_id, index, inquiry.key.public.encoded, salt, keys, want
    )
    info = request_info(world.ledger.ledger_id, index, node, public.key_id)
    return seal(public, encode(asks), info)


def ask(
    world: World, store: LedgerStore, index: int, inquiry: Asked, nodes: dict[int, Keeping]
) -> tuple[dict[int, bytes], dict[int, str]]:
    """Return what each node responds to the inquiry at `index`, and why the others refuse."""
    responses, refusals = {}, {}
    years = INQUIRY.decode(store.content(index)).years
    for member, node in nodes.items():
        sealed = request(world, index, inquiry, member, years)
        found = asked(
            partial(node.releases.release, index, inquiry.reader, sealed, store.head.size)
        )
        if isinstance(found, RequestError):
            refusals[member] = found.code
        else:
            responses[member] = found
    return responses, refusals


def report(
    world: World, store: LedgerStore, index: int, inquiry: Asked, responses: dict[int, bytes]
) -> Report:
    """
    Return the report that `responses` make, verified from the genesis on.

    Raises:
        LedgerError: they make none.
    """
    answers: dict[int, Answer] = {}
    proofs: Proofs | None = None
    for member, response in responses.items():
        decoded = RESPONSE.decode(response)
        answers[member] = open_answer(
            inquiry.key,
            decoded.sealed,
            ledger_id=world.ledger.ledger_id,
            inquiry=index,
            validator=member,
        )
        assert decoded.proofs is not None, member
        found = PROOFS.decode(decoded.proofs)
        if proofs is None or _bodies(found) > _bodies(proofs):
            proofs = found
    assert proofs is not None, "nobody responds"
    size, newest = store.block_of(index)[1] + 1, store.head.size
    consent = state.read(store, state.CONSENT, state.consent_key(consent_of(inquiry)))
    assert consent is not None, index
    entries = {each.index: each for each in proofs.entries}
    entries[consent.index] = entry(store, consent.index, size)
    entries[size - 1] = entry(store, size - 1, size)
    entries[newest - 1] = entry(store, newest - 1, newest)
    released = Released(
        checkpoint=checkpoint(world, store, newest, store.head.height),
        consistency=tuple(store.consistency_path(size, newest)),
        terms=encode(inquiry.terms),
        inquiry=entry(store, index, size),
        proofs=Proofs(tuple(entries[each] for each in sorted(entries)), proofs.events),
        answers=answers,
    )
    years = INQUIRY.decode(store.content(index)).years
    keys = tuple(YearKey(year, world.year_key(inquiry.who, year)) for year in years)
    salt = seed("salt", inquiry.terms.grantee, inquiry.terms.second, inquiry.who)
    return read_report(trusted(world, store), released, SubjectKeys(salt, (keys,))).report


def trusted(world: World, store: LedgerStore) -> TrustedLog:
    """Return the trust of a reader that followed every change of the registry."""
    log = TrustedLog.start(world.ledger)
    for height in change_heights(store.registry):
        size = store.block_end(height)
        (step,) = STEPS.decode(
            b"\x91" + make_step(store, height, checkpoint(world, store, size, height), size)
        )
        assert isinstance(step, RegistryStep), height
        log = log.advance(step)
    return log


def checkpoint(world: World, store: LedgerStore, size: int, height: int) -> bytes:
    """Return the note of a size, signed by the validators before and after its block."""
    origin = world.ledger.origin
    text = encode_checkpoint(Checkpoint(origin, size, store.root(size)))
    epochs = store.registry.epoch_at(height), store.registry.epoch_at(height + 1)
    lines = []
    for number in sorted({*epochs[0].validators, *epochs[1].validators}):
        own = world.institution(number)
        lines.append(sign_note(text, origin, own.note))
        lines.append(cosign(text, cosigner_name(origin, number), own.cosigner, 1_790_000_100))
    return encode_note(Note(text, tuple(lines)))


def entry(store: LedgerStore, index: int, size: int) -> EntryProof:
    """Return the proof of one leaf in the log of a size, with what it names."""
    path = tuple(store.inclusion_paths([index], size)[0])
    leaf = store.leaf(index)
    content = store.content(index) if isinstance(decode_leaf(leaf), EntryLeaf) else None
    return EntryProof(index, leaf, path, content, None)


def consent_of(inquiry: Asked) -> bytes:
    """Return the id of the consent that an inquiry was made under."""
    return consent_id(encode(inquiry.terms))


def _bodies(proofs: Proofs) -> int:
    return sum(each.body is not None for each in proofs.events)
