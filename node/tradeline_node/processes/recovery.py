"""
Ends a process that took no more writes since its disk failed, once the disk takes them again.

What a failed write left behind is unknown, so a store goes on reading and no more until it is
opened anew. The supervisor does that: it starts again what ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Final

from tradeline_node.durable import remove_file, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from tradeline_node.service import Node

LOOK_S: Final = 3.0
PROBE_NAME: Final = "disk-probe"
PROBE_BYTES: Final = 4 << 20
"""A disk that takes so much takes what a node writes while it starts."""


async def end_when_mended(node: Node, stop: asyncio.Event) -> None:
    """Set `stop` once the node takes no writes and its disk does."""
    while not stop.is_set():
        await asyncio.sleep(LOOK_S)
        failures = (
            node.store.failure,
            node.custody.halted,
            node.outbox.failure,
            node.publisher.disk_failure,
        )
        reason = next(filter(None, failures), "")
        if not reason:
            continue
        if await asyncio.to_thread(takes_writes, node.config.folder):
            node.log.warning("the disk takes writes again, the process starts anew", reason=reason)
            stop.set()


def takes_writes(folder: Path) -> bool:
    """Return whether `PROBE_BYTES` can be written into `folder` durably; nothing is left there."""
    probe = folder / PROBE_NAME
    try:
        write_file(probe, secrets.token_bytes(PROBE_BYTES))
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            remove_file(probe)
    return True
