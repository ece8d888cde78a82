"""
What a simulated node keeps for others: the real services of custody and release, of one life.

Their files and indexes are real and outlive the process; `lose_indexes` is what a power cut may do
to those that are made again. Time, event loop and the way to other nodes are the simulation's.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import structlog
from tests.simulation.disk import Fault

from tradeline_node.custody import BOX_KEY_NAME, INDEX_NAME, CustodyStore
from tradeline_node.custody_backlog import FILE_NAME as BACKLOG_NAME
from tradeline_node.custody_backlog import CustodyBacklog
from tradeline_node.custody_service import CustodyService
from tradeline_node.errors import PeerError, RequestError
from tradeline_node.housekeeping import sweep_all
from tradeline_node.hpke_keys import HpkeKeys
from tradeline_node.late_fetch import LateFetch
from tradeline_node.ordered_attachment import OrderedAttachments
from tradeline_node.own_deposit import OwnDeposits
from tradeline_node.peers import PeerAnswer
from tradeline_node.pulse import Pulse
from tradeline_node.receipts import Receipts
from tradeline_node.redeposit_service import RedepositService
from tradeline_node.release_service import ReleaseService
from tradeline_node.released_log import FILE_NAME as RELEASED_NAME
from tradeline_node.released_log import ReleasedLog
from tradeline_node.share_box import open_share_box
from tradeline_node.sweep import Sweeper
from tradeline_node.tag_keys import FOLDER_NAME, TagKeys

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from tests.simulation.disk import Disk
    from tests.simulation.loop import SimLoop
    from tests.world import Institution

    from tradeline_ledger.registry import MemberRecord
    from tradeline_node.committed import Committed
    from tradeline_node.outbox import Outbox
    from tradeline_node.store import LedgerStore

FILES: Final = "files"


class SimCustodyStore(CustodyStore):
    """A custody store with all files in one folder, on a disk that fails."""

    def __init__(self, disk: Disk, *args: Any, **named: Any) -> None:
        self._disk = disk
        super().__init__(*args, **named)

    def make_folders(self) -> None:
        (self.path / FILES).mkdir(exist_ok=True)

    def folders(self) -> list[Path]:
        return [self.path / FILES]

    def _name(self, batch_hash: bytes) -> str:
        return f"{self._root}/{FILES}/{batch_hash.hex()}"

    def _write(self, batch_hash: bytes, content: bytes) -> None:
        fault = self._disk.file_fault()
        if fault is Fault.CRASH_BEFORE or fault is Fault.ERROR_BEFORE:
            self._disk.fail(fault)
        super()._write(batch_hash, content)
        if fault is not Fault.NONE:
            self._disk.fail(fault)


class SimPeers:
    """Asks the other nodes, as a `PeerClient` does."""

    def __init__(
        self, send: Callable[[int, str, Callable[[PeerAnswer | None], None]], None]
    ) -> None:
        self._send = send

    async def request(
        self, peer: MemberRecord, target: str, *, bytes_max: int, wait_s: float = 0.0
    ) -> PeerAnswer:
        future: asyncio.Future[PeerAnswer] = asyncio.get_running_loop().create_future()

        def arrived(answer: PeerAnswer | None) -> None:
            if future.done():
                return
            if answer is None or len(answer.body) > bytes_max:
                future.set_exception(PeerError(f"member {peer.id} is down"))
            else:
                future.set_result(answer)

        self._send(peer.id, target, arrived)
        try:
            async with asyncio.timeout(wait_s):
                return await future
        except TimeoutError as error:
            raise PeerError(f"member {peer.id} does not answer") from error


class Keeping:
    """The services of one life of a node, on what its former lives left in `folder`."""

    def __init__(
        self,
        own: Institution,
        folder: Path,
        disk: Disk,
        store: LedgerStore,
        outbox: Outbox,
        *,
        peers: SimPeers,
        loop: SimLoop,
        clock_ms: Callable[[], int],
    ) -> None:
        self._own, self._store, self._outbox, self._loop = own, store, outbox, loop
        ledger, hpke = store.ledger, HpkeKeys(own.hpke)
        folder.mkdir(exist_ok=True)
        self.folder = folder
        box = open_share_box(folder / BOX_KEY_NAME, hpke, ledger.ledger_id, own.id)
        kept_until_ms = store.head.time_ms + ledger.params_of(store.registry).receipt_ms
        self.custody = SimCustodyStore(disk, folder, box, kept_until_ms=kept_until_ms)
        self.tag_keys = TagKeys(folder / FOLDER_NAME, ledger.ledger_id, own.id, hpke)
        receipts = Receipts(store, own.id, own.node, clock_ms)
        deposits = OwnDeposits(ledger.ledger_id, own.id, hpke)
        parts: dict[str, Any] = {"member": own.id, "deposits": deposits, "box": box}
        kept = (store, self.custody, self.tag_keys)
        self.service = CustodyService(*kept, receipts=receipts, **parts)
        self.attachments = OrderedAttachments(store, self.custody, **parts)
        self.redeposits = RedepositService(
            *kept, receipts=receipts, attachments=self.attachments, **parts
        )
        self.backlog = CustodyBacklog(
            folder / BACKLOG_NAME,
            store,
            self.custody,
            member=own.id,
            attachments=self.attachments,
            redeposits=self.redeposits,
            clock_s=loop.time,
        )
        self.released = ReleasedLog(
            folder / RELEASED_NAME,
            store,
            outbox,
            member=own.id,
            node_key=own.node,
            clock_ms=clock_ms,
            source=self.backlog,
        )
        self.releases = ReleaseService(
            *kept,
            self.released,
            member=own.id,
            node_key=own.node,
            hpke=hpke,
            deposits=deposits,
            stalled=lambda: None,
        )
        self._sweeper = Sweeper(store, self.custody)
        self._blocks = Pulse()
        self.late = LateFetch(
            store,
            self.backlog,
            self.tag_keys,
            member=own.id,
            peers=peers,  # type: ignore[arg-type]
            blocks=self._blocks,
            done=lambda: None,
            log=structlog.wrap_logger(structlog.PrintLogger(), [_drop]),
        )
        self._fetching = loop.create_task(self.late.run())

    def committed(self, committed: Committed) -> None:
        """Wake who waits for blocks: a listener of commits."""
        if committed.grew:
            self._blocks.fire()

    def keep_house(self, *, posting: bool) -> None:
        """Do a round of `Housekeeping`; nothing is posted by who may not know its own feed yet."""
        self._sweeper.follow()
        if self._sweeper.due():
            sweep_all(self._sweeper)
        if posting and self.released.pending():
            self.released.post()

    def serve(self, caller: int, target: str) -> PeerAnswer:
        """Return what the routes of the node answer to another node."""
        _, _, what, *where = target.split("/")
        if what == "custody":
            body = self.custody.attachment(bytes.fromhex(where[0]))
        else:
            record = self._store.registry.member(caller)
            assert record is not None, caller
            assert record.hpke_key is not None, caller
            hash_ = bytes.fromhex(where[1])
            body = self.tag_keys.sealed_for(int(where[0]), hash_, caller, record.hpke_key)
        return PeerAnswer(HTTPStatus.NOT_FOUND, b"") if body is None else PeerAnswer(200, body)

    @property
    def ended(self) -> str:
        """Why it fetches nothing any more, empty while it does."""
        return repr(self._fetching.exception()) if self._fetching.done() else ""

    @property
    def busy(self) -> bool:
        """Whether there is something to post yet."""
        return bool(self.backlog.count() or self.released.pending())

    def close(self) -> None:
        """End the life."""
        self._loop.kill()
        self.released.close()
        self.backlog.close()
        self.custody.close()


def lose_indexes(folder: Path, rng: random.Random) -> None:
    """Lose what a node makes again from its log and files."""
    for name in (INDEX_NAME, BACKLOG_NAME):
        if rng.random() < 0.4:
            for suffix in ("", "-wal", "-shm"):
                folder.joinpath(name + suffix).unlink(missing_ok=True)


def asked(act: Callable[[], Any]) -> Any:
    """Return what `act` returns, or the refusal of the node."""
    try:
        return act()
    except RequestError as error:
        return error


def _drop(*_: Any) -> Any:
    raise structlog.DropEvent
