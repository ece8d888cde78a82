"""`tradeline node sweep`: a running node is asked to, a stopped one is opened for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from tradeline_node.errors import NodeError, PeerError
from tradeline_node.genesis_file import read_genesis
from tradeline_node.housekeeping import sweep_all
from tradeline_node.keystore import open_keystore
from tradeline_node.peers import PeerClient
from tradeline_node.service import Node
from tradeline_node.store import LedgerStore
from tradeline_node.sweep import Sweeper

if TYPE_CHECKING:
    from tradeline_node.config import Config

TIMEOUT_MS: Final = 600_000
"""A sweep reads and writes every attachment in which something may have to go."""
_ANSWER_BYTES_MAX: Final = 4096
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did."""

    events: int
    attachments: int
    running: bool
    """Whether the node ran."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON shows it."""
        return asdict(self)


def sweep_node(config: Config, passphrase: bytes) -> Swept:
    """
    Erase now what is to be gone on one node.

    Raises:
        NodeError: it can't be opened, or refused.
    """
    try:
        return asyncio.run(_ask(config, passphrase))
    except PeerError:
        return _sweep_here(config, passphrase)


async def _ask(config: Config, passphrase: bytes) -> Swept:
    keys = open_keystore(config.path(config.node.keys), passphrase)
    ledger = read_genesis(config.path(config.node.genesis))
    store = LedgerStore.open(config.path(config.storage.ledger), ledger, read_only=True)
    with contextlib.closing(store):
        record = store.registry.member(keys.member)
    pin = record.tls_pin if record is not None else None
    client = PeerClient(keys.node, keys.member, ledger.ledger_id, TIMEOUT_MS)
    url = config.url(tls=pin is not None)
    try:
        answer = await client.request_at(
            url, keys.member, "/v1/sweep", pin=pin, method="POST", bytes_max=_ANSWER_BYTES_MAX
        )
    finally:
        await client.close()
    if answer.status != _OK:
        raise NodeError(
            f"{config.node.name} at {url} did not sweep: status {answer.status}; see its log"
        )
    found = json.loads(answer.body)
    return Swept(found["events"], found["attachments"], running=True)


def _sweep_here(config: Config, passphrase: bytes) -> Swept:
    node = Node.open(config, passphrase)
    try:
        result = sweep_all(Sweeper(node.store, node.custody))
    finally:
        node.close()
    return Swept(result.events, result.attachments, running=False)
