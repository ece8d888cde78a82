"""
The hold: a file in the member folder by which its node signs nothing yet.

A node that was restored from a backup, or that lost its disk, no longer knows what it has signed:
votes, checkpoints, statements of its own feed. So it signs nothing, and takes nothing whose receipt
it would have to sign, until it has found out from the others how far the network is, and has come
so far itself (`hold_watch`). The file is put in place before anything else of a restore. Whoever
signs looks at it: checkpoints, receipts, releases, the node's own statements in `service`; votes
where the engine is started, with `SigningHold.engine_key`.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger.signing import SEED_BYTES, SigningKey
from tradeline_node.durable import remove_file, write_file
from tradeline_node.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

HOLD_NAME: Final = "signing-hold.json"
HOLD_BLOCKS: Final = 10
"""Heights that the network goes on by before a node votes again. It may have voted one height above
what was decided when its disk was lost; the rest is for heights that a peer reports late."""
_HOLD_BYTES_MAX: Final = 4096
_NUMBER_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Seen:
    """How far the network was when the node had found that out and come so far itself."""

    size: int
    """Leaves of the log."""
    height: int
    """Of the engine's last block, blocks that placed nothing included."""


@dataclass(frozen=True, slots=True)
class _Hold:
    reason: str
    complete: bool
    """Whether the folder is whole; a restore that was cut off left it otherwise."""
    seen: Seen | None


class SigningHold:
    """The hold of one member folder; for any process of its node."""

    def __init__(self, folder: Path) -> None:
        """Look for the file in `folder`."""
        self._path = folder / HOLD_NAME

    def holds(self) -> bool:
        """Whether the node must not sign."""
        return self._path.exists()

    @property
    def reason(self) -> str:
        """
        Why the node must not sign, for people; empty if it may.

        Raises:
            StoreError: the file can't be read.
        """
        found = self._read()
        if found is None:
            return ""
        return f"{found.reason}: it signs nothing until it has caught up with the others"

    @property
    def seen(self) -> Seen | None:
        """
        How far the network was, None if that is not known yet or nothing is held.

        Raises:
            StoreError: the file can't be read.
        """
        found = self._read()
        return None if found is None else found.seen

    def check(self) -> None:
        """
        Accept that the node may sign.

        Raises:
            StoreError: it may not; says why.
        """
        if self.holds():
            raise StoreError(f"this node was {self.reason}")

    def check_complete(self) -> None:
        """
        Accept a folder that no restore left unfinished.

        Raises:
            StoreError: one did.
        """
        found = self._read()
        if found is not None and not found.complete:
            raise StoreError(
                f"{self._path.parent} is not whole: {found.reason}, and that was cut off; remove "
                "the folder and restore it again"
            )

    def place(self, reason: str, *, complete: bool = True) -> None:
        """
        Hold from now on, durably, whatever was seen before; `reason` begins a sentence.

        Raises:
            StoreError: the file can't be written.
        """
        self._write(_Hold(reason, complete, None))

    def complete(self) -> None:
        """Say that the folder is whole; a hold that is not there stays away."""
        self._change(complete=True)

    def see(self, seen: Seen) -> None:
        """Keep how far the network is, durably."""
        self._change(seen=seen)

    def lift(self) -> None:
        """
        Let the node sign.

        Raises:
            StoreError: the file can't be removed.
        """
        try:
            remove_file(self._path)
        except OSError as error:
            raise StoreError(f"{self._path} can't be removed: {error.strerror}") from error

    def engine_key(self, registered: SigningKey) -> SigningKey:
        """
        Return the key that the engine is started with: `registered`, or a random one while held.

        With the random one the engine is no validator, so its votes count for nothing, whatever it
        has forgotten. Start it anew when the hold is lifted.
        """
        return SigningKey(secrets.token_bytes(SEED_BYTES)) if self.holds() else registered

    def _change(self, *, complete: bool | None = None, seen: Seen | None = None) -> None:
        found = self._read()
        if found is not None:
            whole = found.complete if complete is None else complete
            self._write(_Hold(found.reason, whole, seen or found.seen))

    def _read(self) -> _Hold | None:
        try:
            with self._path.open("rb") as file:
                encoded = file.read(_HOLD_BYTES_MAX + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self._path} can't be read: {error.strerror}") from error
        found = _decode(encoded)
        if found is None:
            raise StoreError(
                f"{self._path} does not say why the node is held; restore the folder again, or "
                "run `tradeline node recover`"
            )
        return found

    def _write(self, hold: _Hold) -> None:
        try:
            write_file(self._path, json.dumps(asdict(hold), indent=2).encode() + b"\n")
        except OSError as error:
            raise StoreError(f"{self._path} can't be written: {error.strerror}") from error


def _decode(encoded: bytes) -> _Hold | None:
    try:
        values = json.loads(encoded)
        reason, complete, seen = values["reason"], values["complete"], values["seen"]
        if seen is not None:
            numbers = (seen["size"], seen["height"])
            if not all(type(each) is int and 0 <= each <= _NUMBER_MAX for each in numbers):
                return None
            seen = Seen(*numbers)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(reason, str) or not isinstance(complete, bool):
        return None
    return _Hold(reason, complete, seen)
