"""
Receipts of custody from a committee (DESIGN.md, section 7): of batches and of re-deposits.

Enough receipts end a round: nobody waits for a committee member that is slow or down. Where
members answer that they lack something, it is handed over and they are asked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradeline_client.errors import (
    AnswerError,
    ClientError,
    CustodyError,
    NodeProblemError,
)
from tradeline_client.flows.tag_keys import share_tag_key
from tradeline_client.requests import Answer, Flow, Request, Round, read
from tradeline_ledger.encoding import Codec
from tradeline_ledger.errors import LedgerError, VerificationError
from tradeline_ledger.problem import PROBLEM_BYTES_MAX
from tradeline_ledger.submission import Receipt, verify_receipt

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradeline_client.session import Session
    from tradeline_ledger.registry import EpochRecord

CUSTODY_TIMEOUT_S: Final = 60.0
HURRY_S: Final = 2.0
"""After which those that answered anything are enough to go on with."""
RECEIPT_BYTES_MAX: Final = 256
RECEIPT_MARGIN_MS: Final = 10_000
"""A receipt that expires sooner is not used: its block may come later."""

_RECEIPT: Final[Codec[Receipt]] = Codec(Receipt, "receipt", RECEIPT_BYTES_MAX)
_TAG_KEY_MISSING: Final = "custody-tag-key-missing"
_ATTACHMENT_MISSING: Final = "custody-attachment-missing"


class Custody:
    """Receipts of one committee for one thing, and why its members gave none."""

    def __init__(
        self, session: Session, epoch: EpochRecord, target: str, named: bytes, body: bytes
    ) -> None:
        """Ask the committee of `epoch` at path `target`, with `body`, for receipts over `named`."""
        self.receipts: dict[int, Receipt] = {}
        self.failures: dict[int, Exception] = {}
        self._session = session
        self._target = target
        self._named = named
        self._body = body
        self._epoch = epoch

    @property
    def needed(self) -> int:
        """How many receipts are missing to the threshold."""
        return self._epoch.threshold - len(self.receipts)

    def gather(self, with_attachment: Callable[[], Flow[bytes]] | None = None) -> Flow[None]:
        """
        Ask until a threshold of the committee has given receipts.

        `with_attachment` leads to the body for members that lack the batch's attachment.

        Raises:
            CustodyError: fewer receipts than the threshold.
            ClientError, LedgerError: as `with_attachment`.
        """
        yield from self._ask([each.member for each in self._epoch.committee])
        lacking = self._failed_with(_TAG_KEY_MISSING)
        if lacking:
            yield from share_tag_key(self._session, lacking)
            yield from self._ask(lacking)
        lacking = self._failed_with(_ATTACHMENT_MISSING)
        if lacking and self.needed > 0 and with_attachment is not None:
            self._body = yield from with_attachment()
            yield from self._ask(lacking)
        # Late ones may have it by now, and to ask again costs no copy; who lied is not asked.
        failures = self.failures.items()
        yield from self._ask(
            [n for n, error in failures if not isinstance(error, VerificationError)]
        )
        if self.needed > 0:
            raise CustodyError(
                f"{len(self.receipts)} committee members gave a receipt for "
                f"{self._named.hex()}, {self._epoch.threshold} are needed",
                {number: str(error) for number, error in self.failures.items()},
            )

    def listed(self) -> tuple[Receipt, ...]:
        """Return the receipts, ascending by validator."""
        return tuple(self.receipts[number] for number in sorted(self.receipts))

    def _failed_with(self, code: str) -> list[int]:
        return [
            number
            for number, error in self.failures.items()
            if isinstance(error, NodeProblemError) and error.code == code
        ]

    def _ask(self, members: list[int]) -> Flow[None]:
        """Ask `members` at the same time until enough receipts are there, if any are missing."""
        if not members or self.needed <= 0:
            return
        requests = tuple(map(self._request, members))
        answers = yield Round(requests, enough=self.needed, hurry_s=HURRY_S)
        for number, answer in zip(members, answers, strict=True):
            try:
                self.receipts[number] = self._receipt(number, answer)
                self.failures.pop(number, None)
            except (ClientError, LedgerError) as error:
                self.failures[number] = error

    def _request(self, number: int) -> Request:
        return Request(
            number,
            "POST",
            self._target,
            body=self._body,
            bytes_max=PROBLEM_BYTES_MAX,
            timeout_s=CUSTODY_TIMEOUT_S,
        )

    def _receipt(self, number: int, answer: Answer) -> Receipt:
        session = self._session
        receipt = _RECEIPT.decode(read(answer).body)
        record = session.registry.member(number)
        if record is None or record.node_key is None or receipt.validator != number:
            raise AnswerError(number, f"the receipt is by validator {receipt.validator}")
        verify_receipt(
            record.node_key, session.ledger.ledger_id, session.member, self._named, receipt
        )
        if receipt.expires_ms < session.clock_ms() + RECEIPT_MARGIN_MS:
            raise AnswerError(
                number,
                f"the receipt expires at {receipt.expires_ms} ms, too soon to count in a block",
            )
        return receipt
