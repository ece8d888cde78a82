"""Catching up, by `tradeline node catch-up` and before a node's engine starts."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tradeline_node.application import Application
from tradeline_node.catch_up import CatchUp
from tradeline_node.errors import PeerError
from tradeline_node.genesis_file import read_genesis
from tradeline_node.keystore import open_keystore
from tradeline_node.peers import PeerClient
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tradeline_node.catch_up import CaughtUp
    from tradeline_node.config import Config
    from tradeline_node.keystore import Keystore
    from tradeline_node.logs import Log
    from tradeline_node.others import Address


def catch_up_node(
    config: Config,
    passphrase: bytes,
    *,
    named: Sequence[Address] = (),
    progress: Callable[[int, int], None] | None = None,
) -> CaughtUp:
    """
    Bring the log of a stopped node up to the newest checkpoint of the others.

    Raises:
        NodeError: it can't be opened, since it runs or is damaged; or see `CatchUp.run`.
    """
    keys = open_keystore(config.path(config.node.keys), passphrase)
    return _run(config, keys, named=named, progress=progress)


def catch_up_before_engine(
    config: Config,
    keys: Keystore,
    log: Log,
    *,
    named: Sequence[Address] = (),
    progress: Callable[[int, int], None] | None = None,
) -> CaughtUp | None:
    """
    Do the same for a node that is about to start, before anything else opens its ledger store.

    Blocks, in a thread without an event loop; what `progress` raises ends it.

    Returns None if nobody could be asked, which is how a whole network starts: what is missing
    then comes with the engine's own blocks.

    Raises:
        StoreDamagedError: the own log is no beginning of the one that a quorum cosigned.
        StoreError: it can't be written.
    """
    try:
        done = _run(config, keys, named=named, progress=progress)
    except PeerError as error:
        log.warning("the log could not be compared with the others'", reason=str(error))
        return None
    for each in done.faults:
        log.error("a peer serves what does not verify", peer=each.member, detail=each.detail)
    log.info(
        "caught up", size=done.size, leaves=done.leaves, events=done.events, seconds=done.seconds
    )
    return done


def to_json(done: CaughtUp) -> dict[str, Any]:
    """Return what a catch-up did as JSON shows it."""
    faults = [each._asdict() for each in done.faults]
    return {**asdict(done), "cosigners": list(done.cosigners), "faults": faults}


def _run(
    config: Config,
    keys: Keystore,
    *,
    named: Sequence[Address] = (),
    progress: Callable[[int, int], None] | None = None,
) -> CaughtUp:
    ledger = read_genesis(config.path(config.node.genesis))
    store = LedgerStore.open(config.path(config.storage.ledger), ledger)
    timeout_ms = config.publish.peer_timeout_ms

    async def run() -> CaughtUp:
        client = PeerClient(keys.node, keys.member, ledger.ledger_id, timeout_ms)
        try:
            application = Application(store)
            return await CatchUp(
                application, client, keys.member, named=named, progress=progress
            ).run()
        finally:
            await client.close()

    with contextlib.closing(store):
        return asyncio.run(run())
