"""
The process that serves members and peers: it holds the keys and reads the ledger store.

`python -m tradeline_node.processes.http`, started by the supervisor once the engine answers.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tradeline_node.engine.cometbft import CometBftEngine
from tradeline_node.engine.cometbft_rpc import CometBftRpc
from tradeline_node.engine.reported_votes import ReportedVotes
from tradeline_node.followed_store import FollowedStore
from tradeline_node.processes.commits import CommitFollower
from tradeline_node.processes.orders import (
    COMMITS_SOCKET,
    RPC_SOCKET,
    SECONDARY_FOLDER,
    Orders,
    Ready,
    obey,
)
from tradeline_node.processes.recovery import end_when_mended
from tradeline_node.run import Running, listen
from tradeline_node.service import Node
from tradeline_node.serving import serve as serve_nodes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradeline_node.config import Config


async def serve(
    config: Config, orders: Orders, say: Callable[[Ready], None], stop: asyncio.Event
) -> None:
    """
    Serve the node until `stop` is set.

    Raises:
        NodeError: the node can't be opened, or the port is taken.
    """
    with contextlib.ExitStack() as opened:
        own = opened.enter_context(listen(config))
        node = Node.open(config, orders.passphrase, orders.socket(SECONDARY_FOLDER))
        opened.callback(node.close)
        assert isinstance(node.store, FollowedStore), "opened to follow"
        rpc = CometBftRpc(orders.socket(RPC_SOCKET))
        engine = CometBftEngine(node.store, rpc)
        node.reported_votes = ReportedVotes(rpc, node.store, node.log).find
        node.attach(engine)
        engine.start()
        opened.callback(engine.stop)
        follower = CommitFollower(
            orders.socket(COMMITS_SOCKET), node.store, node.committed, node.log
        )
        follower.start()
        opened.callback(follower.stop)

        def announce(running: list[Running]) -> None:
            say(Ready(height=node.store.engine_height, url=running[0].url))

        mended = asyncio.create_task(end_when_mended(node, stop))
        try:
            await serve_nodes([node], [own], engine, announce, stop)
        finally:
            mended.cancel()


if __name__ == "__main__":
    obey(serve)
