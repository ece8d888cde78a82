"""Receipts of custody, as this node signs them (docs/formats.md, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger.submission import Receipt, sign_receipt
from tradeline_node.custody_index import TIME_MS_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradeline_ledger.signing import SigningKey
    from tradeline_node.store import LedgerStore


class Receipts:
    """Signs receipts in the name of one committee member. Any thread may call it."""

    def __init__(
        self, store: LedgerStore, member: int, node_key: SigningKey, clock_ms: Callable[[], int]
    ) -> None:
        """Sign for committee member `member`, whose node key this is."""
        self._store = store
        self._member = member
        self._node_key = node_key
        self._clock_ms = clock_ms

    def expires_ms(self) -> int:
        """
        Return until when a receipt of now counts.

        Block time stands still while nothing is placed. So that a quiet ledger does not give
        receipts that have ended before the next block, they run from the node's clock where that
        is ahead; a receipt only says how long this node keeps the attachment.
        """
        now_ms = max(self._store.head.time_ms, self._clock_ms())
        params = self._store.ledger.params_of(self._store.registry)
        return min(now_ms + params.receipt_ms, TIME_MS_MAX)

    def sign(self, member: int, named: bytes, expires_ms: int) -> Receipt:
        """Return the receipt of `member` for a batch or a re-deposit that is durable here."""
        return sign_receipt(
            self._node_key,
            self._store.ledger.ledger_id,
            validator=self._member,
            member=member,
            batch=named,
            expires_ms=expires_ms,
        )
