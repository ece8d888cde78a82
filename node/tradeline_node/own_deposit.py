"""This node's own deposits: opened with the HPKE key of their epoch, and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger.deposit import open_deposit
from tradeline_ledger.hpke import deposit_info

if TYPE_CHECKING:
    from tradeline_ledger.registry import EpochRecord
    from tradeline_ledger.submission import Deposit
    from tradeline_node.hpke_keys import HpkeKeys


class OwnDeposits:
    """Opens deposits in the name of one committee member. Any thread may call it."""

    def __init__(self, ledger_id: bytes, member: int, hpke: HpkeKeys) -> None:
        """Open deposits for committee member `member`, whose HPKE keys these are."""
        self._ledger_id = ledger_id
        self._member = member
        self._hpke = hpke

    def open(
        self,
        sealed: bytes,
        deposit: Deposit,
        epoch: EpochRecord,
        *,
        dealer: int,
        events_root: bytes,
        count: int,
    ) -> bytes:
        """
        Return the `count` shares of 32 bytes in `sealed`, once they are as `deposit` says.

        `epoch` is that of the deposit, and this node in its committee; `dealer` is the member
        whose batch of `count` events it is.

        Raises:
            SealError: it does not open, or holds other shares: its dealer has to deposit again.
            KeystoreError: the key of that epoch is not here.
        """
        position = epoch.position(self._member)
        assert position is not None, (epoch.epoch, self._member)
        key = self._hpke.of_epoch(epoch, position)
        info = deposit_info(
            self._ledger_id,
            member=dealer,
            epoch=epoch.epoch,
            recipient=self._member,
            key_id=key.public.key_id,
            events_root=events_root,
        )
        return open_deposit(key, sealed, info, deposit, count)
