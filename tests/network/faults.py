"""
Faults of real networks: each is a context that lasts as long as the fault does.

Leaving it takes the cause away and no more: recovering is the nodes' own work.
"""

from __future__ import annotations

import random
import secrets
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx2
from tests.network.members import NAMES, PARTS, PASSPHRASE, READY_S, Member, Network, until

from tradeline_client.keystore import open_keystore
from tradeline_client.profile import open_folder
from tradeline_ledger.request import sign_request
from tradeline_node.backup import backup_node
from tradeline_node.config import load_config
from tradeline_node.restore import restore_node
from tradeline_node.signing_hold import SigningHold

if TYPE_CHECKING:
    from tests.network.journal import AckJournal

    from tradeline_ledger.signing import SigningKey

SETTLE_S: Final = 1.0
"""After which nothing that was on its way before a partition arrives any more."""
FLOOD_THREADS: Final = 8
FLOOD_TOLERANCE: Final = 1.1
REQUESTS_PER_SECOND: Final = 20
REQUESTS_BURST: Final = 60
"""Of one member at one node: so little that a flood of this machine exceeds it."""
FLOOD_PATH: Final = "/v1/ledger"


@dataclass
class Scene:
    """Where a fault happens."""

    network: Network
    journal: AckJournal
    random: random.Random
    hold_s: float
    """How long a fault lasts."""
    among: Sequence[str] = NAMES
    """Members that a fault of one of them is drawn from."""
    notes: Counter[str] = field(default_factory=Counter)
    """What was met, for tables."""
    problems: list[str] = field(default_factory=list)
    """What must not happen, beside what the oracle finds."""

    def member(self) -> Member:
        """Return one member, drawn."""
        return self.network.members[self.random.choice(self.among)]

    def hold(self) -> None:
        """Let the fault last."""
        time.sleep(self.hold_s)


Fault = Callable[[Scene], AbstractContextManager[None]]


@contextmanager
def kill(scene: Scene) -> Iterator[None]:
    """SIGKILL one process of one node, at a random moment; its supervisor starts it again."""
    time.sleep(scene.random.uniform(0, scene.hold_s))
    part = scene.random.choice(PARTS)
    if scene.member().signal(part, signal.SIGKILL):
        scene.notes[f"killed {part}"] += 1
    yield


@contextmanager
def node_down(scene: Scene) -> Iterator[None]:
    """All processes of one node end at once, as with its machine, and come back."""
    member = scene.member()
    member.kill()
    yield
    member.start()


@contextmanager
def wipe(scene: Scene) -> Iterator[None]:
    """One node loses its disk and starts from keys and configuration."""
    member = scene.member()
    member.kill()
    member.wipe()
    yield
    member.start()


@contextmanager
def old_backup(scene: Scene) -> Iterator[None]:
    """One node is backed up while it runs, goes on for a while, and comes back as it was then."""
    member = scene.member()
    backup = member.folder.with_name(f"{member.name}.backup")
    restored = member.folder.with_name(f"{member.name}.restored")
    backup_node(load_config(member.folder, {}), PASSPHRASE, backup)
    scene.hold()
    member.kill()
    for path in member.folder.iterdir():
        if path == member.client:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    restore_node(backup, restored, PASSPHRASE)
    for path in restored.iterdir():
        path.rename(member.folder / path.name)
    restored.rmdir()
    shutil.rmtree(backup)
    hold = SigningHold(member.folder)
    assert hold.holds()
    yield
    member.start()
    until(lambda: not hold.holds(), "lifting of the hold", READY_S)
    scene.notes["held and lifted"] += 1


@contextmanager
def partition_3_1(scene: Scene) -> Iterator[None]:
    """One node is cut off from the others and from everyone else."""
    alone = scene.member().name
    scene.network.links.partition([each for each in NAMES if each != alone], [alone])
    yield
    scene.network.links.heal()


@contextmanager
def partition_2_2(scene: Scene) -> Iterator[None]:
    """Two and two nodes: neither side has a quorum, so nothing may be acknowledged."""
    names = scene.random.sample(NAMES, len(NAMES))
    scene.network.links.partition(names[:2], names[2:])
    time.sleep(SETTLE_S)
    sizes = scene.network.sizes()
    yield
    grown = {
        name: size - sizes[name]
        for name, size in scene.network.sizes().items()
        if size > sizes[name] >= 0
    }
    if grown:
        scene.problems.append(f"logs grew without a quorum: {grown}")
    scene.network.links.heal()


@contextmanager
def one_way_cut(scene: Scene) -> Iterator[None]:
    """One node hears the others, and nobody hears it."""
    scene.network.links.silence(scene.member().name)
    yield
    scene.network.links.heal()


@contextmanager
def slow_links(scene: Scene) -> Iterator[None]:
    """Everything between nodes takes 50 to 150 ms."""
    with scene.network.links.slowed(50, 150):
        yield


@contextmanager
def pause(scene: Scene) -> Iterator[None]:
    """All processes of one node stand still, and go on."""
    member = scene.member()
    stopped = [part for part in PARTS if member.signal(part, signal.SIGSTOP)]
    yield
    for part in stopped:
        member.signal(part, signal.SIGCONT)


@contextmanager
def flood(scene: Scene) -> Iterator[None]:
    """One member asks one node as fast as it can; the node refuses it, and serves the others."""
    member, target = scene.member(), scene.member()
    folder = open_folder(member.client)
    asked = _Asked(
        open_keystore(folder.keys, PASSPHRASE).feed(folder.profile.request_feed),
        folder.profile.request_feed,
        member,
        target,
        scene.network.ledger.ledger_id,
    )
    stopping, seen = threading.Event(), Counter[int]()
    threads = [
        threading.Thread(target=asked.ask, args=(stopping, seen)) for _ in range(FLOOD_THREADS)
    ]
    started = time.monotonic()
    for each in threads:
        each.start()
    try:
        yield
    finally:
        stopping.set()
        for each in threads:
            each.join()
    allowed = REQUESTS_BURST + REQUESTS_PER_SECOND * (time.monotonic() - started)
    for status, count in seen.items():
        scene.notes[f"flood answered {status}"] += count
    # A machine that has much else to do may not bring about a flood at all.
    if seen[httpx2.codes.OK] > allowed * FLOOD_TOLERANCE:
        scene.problems.append(f"a flood was not refused: {dict(seen)}, {allowed:.0f} allowed")


FAULTS: Final[dict[str, Fault]] = {
    "kill": kill,
    "node-down": node_down,
    "wipe": wipe,
    "old-backup": old_backup,
    "partition-3-1": partition_3_1,
    "partition-2-2": partition_2_2,
    "one-way-cut": one_way_cut,
    "slow-links": slow_links,
    "pause": pause,
    "flood": flood,
}
"""By the name that `scripts/soak` takes."""


@dataclass
class _Asked:
    """A request that one member signs again and again."""

    key: SigningKey
    feed: int
    member: Member
    target: Member
    ledger_id: bytes

    def ask(self, stopping: threading.Event, seen: Counter[int]) -> None:
        """Ask until `stopping`, and count the answers by their status."""
        with httpx2.Client(trust_env=False, verify=False, timeout=5) as client:
            while not stopping.is_set():
                headers = sign_request(
                    self.key,
                    member=self.member.number,
                    feed=self.feed,
                    ledger_id=self.ledger_id,
                    recipient=self.target.number,
                    method="GET",
                    target=FLOOD_PATH,
                    body=b"",
                    created_s=int(time.time()),
                    nonce=secrets.token_bytes(16),
                )
                with suppress(httpx2.HTTPError):
                    answer = client.get(self.target.url + FLOOD_PATH, headers=headers)
                    seen[answer.status_code] += 1
