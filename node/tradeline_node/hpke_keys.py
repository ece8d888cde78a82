"""
A node's HPKE keys: the one that the registry names now, and others that live deposits need.

A new HPKE key opens a new epoch. Deposits of earlier epochs stay sealed to the keys of those
epochs, so a key is kept until no live batch names an epoch of it (docs/formats.md, section 2). A
key that the registry does not name yet may be there, too: it has to be before the vote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradeline_ledger.errors import SealError
from tradeline_ledger.hpke import open_sealed
from tradeline_node.errors import KeystoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradeline_ledger.hpke import PrivateKey
    from tradeline_ledger.registry import EpochRecord, MemberRecord

HPKE_KEYS_MAX: Final = 64


class HpkeKeys:
    """Private keys by `hpke_key_id`. Its representation shows the public halves only."""

    __slots__ = ("_keys", "newest")

    def __init__(self, newest: PrivateKey, *earlier: PrivateKey) -> None:
        """Take the newest key and those before it."""
        self.newest: Final = newest
        self._keys: Final = {each.public.key_id: each for each in (newest, *earlier)}

    def __repr__(self) -> str:
        return f"HpkeKeys({[key_id.hex() for key_id in self._keys]})"

    def find(self, key_id: bytes) -> PrivateKey | None:
        """Return the key of that id, None if it is not here."""
        return self._keys.get(key_id)

    def in_force(self, record: MemberRecord) -> PrivateKey:
        """Return the key that `record` names; the newest if it names none that is here."""
        for key in self._keys.values():
            if key.public.encoded == record.hpke_key:
                return key
        return self.newest

    def of_epoch(self, epoch: EpochRecord, position: int) -> PrivateKey:
        """
        Return the key that deposits for committee `position` of `epoch` are sealed to.

        Raises:
            KeystoreError: it is not in this keystore.
        """
        key_id = epoch.committee[position].hpke_key_id
        key = self._keys.get(key_id)
        if key is None:
            raise KeystoreError(
                f"HPKE key {key_id.hex()} of epoch {epoch.epoch} is not in this node's keystore; "
                "put the keystore that has it back in place"
            )
        return key

    def open_sealed(self, sealed: bytes, info: Callable[[bytes], bytes]) -> bytes:
        """
        Return what is sealed to any of these keys; `info` returns the info for a key id.

        Raises:
            SealError: it opens with none of them.
        """
        failure = None
        for key_id, key in self._keys.items():
            try:
                return open_sealed(key, sealed, info(key_id))
            except SealError as error:
                failure = failure or error
        assert failure is not None, "there is one key at least"
        raise failure
