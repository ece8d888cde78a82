"""
What a Byzantine validator does, as changes of a real node's code.

Each takes effect in all processes of one node, which is started by `behave`. Nothing of a node is
imported before the change asks for it, so that a changed clock is the clock of all of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tradeline_ledger.transition import Block
    from tradeline_node.application import Application

SITE: Final = Path(__file__).parent / "site"


def behave(*names: str, argument: object = "") -> Mapping[str, str]:
    """Return the environment of a node that misbehaves in these ways."""
    assert set(names) <= set(MISBEHAVIOUR), names
    told = ",".join(f"{name}:{argument}" for name in names)
    return {"TL_MISBEHAVE": told, "PYTHONPATH": str(SITE)}


def _clock(argument: str) -> None:
    """Be `argument` seconds off."""
    offset_s = int(argument)
    true_s, true_ns = time.time, time.time_ns
    time.time = lambda: true_s() + offset_s
    time.time_ns = lambda: true_ns() + offset_s * 1_000_000_000


def _random_app_hash(_: str) -> None:
    """Answer decided blocks with an app hash that is drawn at random."""
    from tradeline_node.application import Application  # noqa: PLC0415

    finalize = Application.finalize

    def wrong(self: Application, block: Block) -> bytes:
        right = finalize(self, block)
        return os.urandom(len(right)) if block.entries else right

    _set(Application, "finalize", wrong)


def _garbage_proposals(_: str) -> None:
    """Propose bytes that are no entries, whenever it is the node's turn."""
    from tradeline_node.application import Application  # noqa: PLC0415

    def garbage(*_: Any, **__: Any) -> list[bytes]:
        return [os.urandom(300) for _ in range(3)]

    _set(Application, "prepare", garbage)


def _accepts_anything(_: str) -> None:
    """Vote for every proposal, and take no part in checking."""
    from tradeline_node.application import Application  # noqa: PLC0415

    _set(Application, "process", lambda self, block: self._comes_next(block))


def _runs_beside_twin(_: str) -> None:
    """Start though a node with the same keys runs already."""
    from tradeline_node.processes import supervisor  # noqa: PLC0415

    _set(supervisor, "check_alone", lambda *_: None)


def _refuses_releases(_: str) -> None:
    """Answer no reader."""
    from tradeline_node.errors import RequestError  # noqa: PLC0415
    from tradeline_node.release_service import ReleaseService  # noqa: PLC0415

    def refuse(*_: Any, **__: Any) -> bytes:
        raise RequestError("release-stalled", "tests say so")

    _set(ReleaseService, "release", refuse)


def _wrong_shares(_: str) -> None:
    """Hand over shares with a bit flipped, signed as they are."""
    from tradeline_node.release_service import ReleaseService  # noqa: PLC0415

    shares = ReleaseService._shares

    def wrong(self: Any, *asked: Any) -> Any:
        return tuple(
            type(each)(each.position, bytes([each.share[0] ^ 1]) + each.share[1:], each.path)
            for each in shares(self, *asked)
        )

    _set(ReleaseService, "_shares", wrong)


def _wrong_history(_: str) -> None:
    """Say of every history that its last event is not there."""
    from tradeline_node import release_service  # noqa: PLC0415
    from tradeline_node.history_reader import Histories, read_histories  # noqa: PLC0415

    def shorter(*asked: Any) -> Histories:
        found = read_histories(*asked)
        return replace(found, rows=found.rows[:-1])

    _set(release_service, "read_histories", shorter)


def _withholds_attachments(_: str) -> None:
    """Give receipts and write attachments, and never find them again."""
    from tradeline_node.attachment_folder import AttachmentFolder  # noqa: PLC0415

    _set(AttachmentFolder, "open_file", lambda *_: None)


def _set(owner: Any, name: str, value: Any) -> None:
    assert hasattr(owner, name), f"{owner} has no {name} any more"
    setattr(owner, name, value)


MISBEHAVIOUR: Final[dict[str, Callable[[str], None]]] = {
    "clock": _clock,
    "random-app-hash": _random_app_hash,
    "garbage-proposals": _garbage_proposals,
    "accepts-anything": _accepts_anything,
    "runs-beside-twin": _runs_beside_twin,
    "refuses-releases": _refuses_releases,
    "wrong-shares": _wrong_shares,
    "wrong-history": _wrong_history,
    "withholds-attachments": _withholds_attachments,
}
