"""The folder of attachment files, named by batch hash, and what is read from them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tradeline_ledger.errors import SealError
from tradeline_ledger.sharing import SHARE_BYTES
from tradeline_node.custody_file import AttachmentFile, AttachmentItems, check_items
from tradeline_node.durable import make_folders
from tradeline_node.errors import StoreDamagedError
from tradeline_node.share_box import ShareBox

NAME: Final = re.compile(r"[0-9a-f]{64}")
"""What an attachment file is called."""

_HEX: Final = "0123456789abcdef"


class AttachmentFolder:
    """Attachment files in 256 folders, by the first two digits of their names."""

    def __init__(self, path: Path, box: ShareBox) -> None:
        """Read below the folder `path`; `box` opens the node's own shares."""
        self.path = path
        self._root = str(path)
        self._box = box

    def make_folders(self) -> None:
        """
        Make the folders that are missing.

        Raises:
            OSError: the disk is full or failed.
        """
        make_folders(self.path.parent, [self.path.name])
        make_folders(self.path, _HEX)
        for first in _HEX:
            make_folders(self.path / first, _HEX)

    def folders(self) -> list[Path]:
        """Return every folder that attachment files are in."""
        return [self.path / first / second for first in _HEX for second in _HEX]

    def file(self, batch_hash: bytes) -> Path:
        """Return where the file of an attachment is, or would be."""
        return Path(self._name(batch_hash))

    def open_file(self, batch_hash: bytes) -> AttachmentFile | None:
        """
        Return the open file of an attachment, to be closed by the caller; None if there is none.

        Raises:
            StoreDamagedError: the file is damaged.
        """
        try:
            found = AttachmentFile(self._name(batch_hash))
        except FileNotFoundError:
            return None
        if found.batch_hash != batch_hash:
            found.close()
            raise StoreDamagedError(
                f"attachment file {self.file(batch_hash)} is that of another batch; put the right "
                "one back from a backup"
            )
        return found

    def body(self, batch_hash: bytes, position: int) -> bytes | None:
        """
        Return one body, None if it was erased or the attachment is not held.

        Raises:
            StoreDamagedError: the file is damaged.
        """
        return self.bodies(batch_hash, [position])[0]

    def bodies(self, batch_hash: bytes, positions: Sequence[int]) -> list[bytes | None]:
        """Return the bodies at `positions`, see `body`."""
        file = self.open_file(batch_hash)
        if file is None:
            return [None] * len(positions)
        with file:
            return [file.body(position) for position in positions]

    def sealed(self, batch_hash: bytes, committee_position: int) -> bytes | None:
        """Return one sealed deposit, None if it is gone or the attachment is not held."""
        file = self.open_file(batch_hash)
        if file is None:
            return None
        with file:
            return file.sealed(committee_position)

    def attachment(self, batch_hash: bytes) -> bytes | None:
        """Return the encoded attachment, erased parts nil; None if it is not held."""
        file = self.open_file(batch_hash)
        if file is None:
            return None
        with file:
            return file.items().attachment()

    def own_shares(self, file: AttachmentFile) -> bytes | None:
        """Return this node's shares of an open attachment, None if they are gone or don't open."""
        box = file.own()
        if box is None:
            return None
        try:
            return self._box.open(file.batch_hash, box)
        except SealError:
            return None

    def verify(self, batch_hash: bytes, ledger_id: bytes) -> None:
        """
        Accept one attachment file: every part of it is what its batch commits to.

        Raises:
            StoreDamagedError: a part is another, or the file is missing; names batch and part.
        """
        file = self.open_file(batch_hash)
        if file is None:
            raise StoreDamagedError(f"attachment {batch_hash.hex()}: its file is missing")
        with file:
            items = file.items()
        check_items(items, ledger_id)
        if items.own:
            try:
                self._box.open(batch_hash, items.own)
            except SealError as error:
                raise StoreDamagedError(f"attachment {batch_hash.hex()}: {error}") from error

    def items_without(
        self, batch_hash: bytes, positions: frozenset[int]
    ) -> tuple[AttachmentItems | None, int]:
        """Return what is left without the bodies at `positions`, None if none is there."""
        file = self.open_file(batch_hash)
        if file is None:
            return None, 0
        with file:
            if file.is_redeposit or not any(file.has_body(position) for position in positions):
                return None, 0
            items = file.items()
        gone = frozenset(position for position in positions if items.bodies[position])
        return items.without(gone, self._own_without(items, gone)), len(gone)

    def redeposit_without(
        self, batch_hash: bytes, positions: frozenset[int], *, live: bool
    ) -> AttachmentItems | None:
        """
        Return what is left of a re-deposit once the shares at `positions` are erased.

        Not `live`: all of them. None if nothing changes, or it is no re-deposit.
        """
        file = self.open_file(batch_hash)
        if file is None:
            return None
        with file:
            if not file.is_redeposit:
                return None
            items = file.items()
        left = items.with_own(self._own_without(items, positions), live=live)
        unchanged = self._opened(items) == self._opened(left) and items.sealed == left.sealed
        return None if unchanged else left

    def _opened(self, items: AttachmentItems) -> bytes:
        """Return the own shares in clear; nothing if they are gone or don't open."""
        if not items.own:
            return b""
        try:
            return self._box.open(items.batch_hash, items.own)
        except SealError:
            return b""

    def _own_without(self, items: AttachmentItems, gone: frozenset[int]) -> bytes:
        if not items.own:
            return b""
        try:
            shares = bytearray(self._box.open(items.batch_hash, items.own))
        except SealError:
            return b""
        for position in gone:
            shares[position * SHARE_BYTES : (position + 1) * SHARE_BYTES] = bytes(SHARE_BYTES)
        return self._box.seal(items.batch_hash, bytes(shares))

    def _name(self, batch_hash: bytes) -> str:
        name = batch_hash.hex()
        return f"{self._root}/{name[0]}/{name[1]}/{name}"
