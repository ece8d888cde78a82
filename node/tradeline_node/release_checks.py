"""
What a release request must show before a committee member answers (docs/formats.md, section 7).

Every check is against the state that this node applied itself, and none against what the request
says about the ledger. A request of somebody else gets the same answer as one for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradeline_ledger import state
from tradeline_ledger.consent import TERMS, Terms, commitment
from tradeline_ledger.errors import MalformedError, SealError
from tradeline_ledger.hpke import PrivateKey, PublicKey, open_sealed, request_info
from tradeline_ledger.inquiry import INQUIRY, Inquiry, key_hash
from tradeline_ledger.release import REQUEST, ReleaseRequest
from tradeline_ledger.state import ConsentStanding, InquiryState
from tradeline_node.errors import RequestError

if TYPE_CHECKING:
    from tradeline_node.store import LedgerStore


@dataclass(frozen=True, slots=True)
class Granted:
    """A request that is to be answered. Its representation shows no key."""

    index: int
    """Log index of the inquiry."""
    state: InquiryState
    inquiry: Inquiry
    key: PublicKey
    """The inquiry's one-time key."""
    year_keys: tuple[bytes, ...]
    """Of all years of the inquiry and all identifiers of the consent."""
    want: int
    """Sum of `Want`."""

    def __repr__(self) -> str:
        return f"Granted(index={self.index})"


def check_request(
    store: LedgerStore, hpke: PrivateKey, member: int, *, index: int, reader: int, sealed: bytes
) -> Granted:
    """
    Return the request of `reader` about the inquiry at `index`, sealed to committee `member`.

    Raises:
        RequestError: it is not to be answered; says why, to the inquiry's own reader only.
    """
    head = store.head
    if index >= head.size:
        raise RequestError(
            "size-ahead", f"entry {index} is asked for, this node has applied {head.size}"
        )
    row = state.read(store, state.INQUIRY, state.inquiry_key(index))
    if row is None or row.member != reader:
        raise RequestError("not-found")
    request = _open(store.ledger.ledger_id, hpke, member, index, sealed)
    inquiry = INQUIRY.decode(store.content(index))
    key = _one_time_key(request, inquiry)
    window_ms = store.ledger.params_of(store.registry).release_window_ms
    if head.time_ms > row.time_ms + window_ms:
        raise RequestError(
            "release-closed",
            f"releases of inquiry {index} were given until block time {row.time_ms + window_ms} "
            f"ms, it is {head.time_ms} ms",
        )
    terms = _consent(store, inquiry)
    _check_year_keys(request, inquiry, terms)
    year_keys = tuple(each.year_key for each in request.year_keys)
    return Granted(index, row, inquiry, key, year_keys, request.want)


def _open(
    ledger_id: bytes, hpke: PrivateKey, member: int, index: int, sealed: bytes
) -> ReleaseRequest:
    info = request_info(ledger_id, index, member, hpke.public.key_id)
    try:
        request = REQUEST.decode(open_sealed(hpke, sealed, info))
    except (SealError, MalformedError) as error:
        raise RequestError("release-malformed", str(error)) from error
    if (request.ledger_id, request.inquiry) != (ledger_id, index):
        raise RequestError(
            "release-malformed",
            f"the request names inquiry {request.inquiry} of ledger {request.ledger_id.hex()}, it "
            f"was sent for inquiry {index} of {ledger_id.hex()}",
        )
    return request


def _one_time_key(request: ReleaseRequest, inquiry: Inquiry) -> PublicKey:
    actual = key_hash(request.public_key)
    if actual != inquiry.key_hash:
        raise RequestError(
            "release-key-wrong",
            f"the one-time key hashes to {actual.hex()}, the inquiry names "
            f"{inquiry.key_hash.hex()}",
        )
    try:
        return PublicKey.from_bytes(request.public_key)
    except MalformedError as error:
        raise RequestError("release-key-wrong", str(error)) from error


def _consent(store: LedgerStore, inquiry: Inquiry) -> Terms:
    consent = state.read(store, state.CONSENT, state.consent_key(inquiry.consent_id))
    assert consent is not None, "an accepted inquiry names an accepted consent, which is kept"
    standing = ConsentStanding(consent.standing)
    if standing is not ConsentStanding.ACTIVE:
        raise RequestError(
            "release-consent-ended",
            f"consent {inquiry.consent_id.hex()} is {standing.name.lower()} since entry "
            f"{consent.changed_index}",
            index=consent.changed_index,
        )
    return TERMS.decode(consent.terms)


def _check_year_keys(request: ReleaseRequest, inquiry: Inquiry, terms: Terms) -> None:
    """Accept year keys that open every commitment for the years of the inquiry, and no other."""
    years = frozenset(inquiry.years)
    expected = sorted(
        (each.year, each.commitment) for each in terms.commitments if each.year in years
    )
    shown = sorted(
        (each.year, commitment(request.salt, each.year, each.year_key))
        for each in request.year_keys
    )
    if shown != expected:
        raise RequestError(
            "release-commitment-wrong",
            f"{len(set(shown) & set(expected))} of {len(expected)} commitments of the consent for "
            f"years {list(inquiry.years)} are opened, by {len(shown)} year keys; each must be "
            "opened, and nothing else",
        )
