"""Rounds of faults under load, and what came of them."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.network.byzantine import BYZANTINE, CONTRIBUTOR, VILLAIN
from tests.network.clock import AGE_S, CLOCKS
from tests.network.dealing import DEALING
from tests.network.disks import DISKS
from tests.network.faults import FAULTS, REQUESTS_BURST, REQUESTS_PER_SECOND, Fault, Scene
from tests.network.journal import AckJournal
from tests.network.link_faults import LINKS
from tests.network.load import Load
from tests.network.members import NAMES, PASSPHRASE, Network, until
from tests.network.mixed import MIXED, MIXED_BYZANTINE
from tests.network.namespaces import NamespaceLinks
from tests.network.oracle import Verdict, Watch, attachments_are_there, audited, judge
from tests.network.proxy_links import ProxyLinks

from tradeline_client.client import Client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.network.links import Links

ALL: Final = FAULTS | CLOCKS | LINKS | DISKS | BYZANTINE | DEALING | MIXED | MIXED_BYZANTINE
LinksKind = type[ProxyLinks] | type[NamespaceLinks]
RECOVERED_S: Final = 180.0
"""Within which everything is as before a fault, without anybody doing anything."""
BEGUN_S: Final = 120.0
SETTINGS: Final = {
    "http.requests_per_second": REQUESTS_PER_SECOND,
    "http.requests_burst": REQUESTS_BURST,
}


@dataclass
class Row:
    """A line of the table."""

    fault: str
    seed: int
    rounds: int = 0
    acked: int = 0
    during: int = 0
    """Of these, while a fault lasted."""
    lost: int = 0
    forks: int = 0
    recovery_s: list[float] = field(default_factory=list)
    """From the end of each fault until all nodes are level and an entry is acknowledged."""
    notes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


@dataclass
class Trial:
    """A network under load; made by `trial`."""

    network: Network
    journal: AckJournal
    load: Load
    watch: Watch
    seed: int
    honest: Sequence[str]
    rows: list[Row] = field(default_factory=list)

    def run(self, name: str, rounds: int, hold_s: float) -> Row:
        """Inject a fault of `ALL`; see `inject`."""
        return self.inject(name, ALL[name], hold_s, rounds)

    def inject(self, name: str, fault: Fault, hold_s: float, rounds: int = 1) -> Row:
        """Inject a fault `rounds` times, one after the other, and return what came of it."""
        row = Row(name, self.seed)
        self.rows.append(row)
        drawn = random.Random(f"{self.seed} {name}")
        scene = Scene(self.network, self.journal, drawn, hold_s)
        row.notes, row.problems = scene.notes, scene.problems
        before = len(self.journal.entries)
        for _ in range(rounds):
            row.recovery_s.append(self.once(fault, scene))
            row.rounds += 1
        row.acked = len(self.journal.entries) - before
        return row

    def once(self, fault: Fault, scene: Scene) -> float:
        """Inject a fault once and return the seconds until all is well again."""
        with fault(scene):
            before = len(self.journal.entries)
            scene.hold()
            self.rows[-1].during += len(self.journal.entries) - before
        started, acked = time.monotonic(), len(self.journal.entries)
        size = max([1, *self.watch.sizes.values()])
        self.network.wait(self.honest, size, RECOVERED_S)
        until(lambda: len(self.journal.entries) > acked, "an acknowledgement", RECOVERED_S)
        return time.monotonic() - started

    def finish(self, target: Path) -> Verdict:
        """End the load, level the nodes, audit each honest one, stop all, and judge."""
        self.load.stop()
        verdict = Verdict()
        size = max(acked.index for acked in self.journal.entries) + 1
        self.network.wait(self.honest, size, RECOVERED_S)
        with Client.open(self.network.members[self.honest[0]].client, PASSPHRASE) as client:
            for name in self.honest[:1]:
                audited(verdict, client, target / name, self.network.members[name].number)
        folders = {name: self.network.members[name].folder for name in self.honest}
        ledger = self.network.ledger
        # A node that lost its disk fetches what it lacks from the others, one by one.
        until(partial(attachments_are_there, ledger, folders), "all attachments", RECOVERED_S)
        self.network.stop(self.honest)
        judged = judge(ledger, folders, self.journal.entries, self.watch.roots)
        judged.problems[:0] = verdict.problems
        for row in self.rows:
            judged.problems += [f"{row.fault}: {each}" for each in row.problems]
        if self.load.unsettled:
            judged.problem(f"{self.load.unsettled} statements are not settled at the end")
        return judged


def trial_of(
    folder: Path, seed: int, fault: str, links: LinksKind = ProxyLinks
) -> AbstractContextManager[Trial]:
    """Return a trial in which `fault` can happen."""
    if fault in BYZANTINE | MIXED_BYZANTINE:
        return trial(folder, seed, links=links, villain=VILLAIN, loaded=[CONTRIBUTOR])
    if fault in DEALING:
        return trial(folder, seed, links=links, loaded=[CONTRIBUTOR])
    return trial(folder, seed, links=links, age_s=AGE_S if fault in CLOCKS else 0)


@contextmanager
def trial(
    folder: Path,
    seed: int,
    *,
    links: LinksKind = ProxyLinks,
    villain: str | None = None,
    loaded: Sequence[str] = NAMES,
    age_s: int = 0,
) -> Iterator[Trial]:
    """Found a network in `folder`, start it and let `loaded` submit; `villain` may misbehave."""
    honest = [name for name in NAMES if name != villain]
    with ExitStack() as opened:
        between: Links = links(NAMES, seed)
        opened.enter_context(between)
        network = Network(folder, between, SETTINGS, age_s)
        journal = opened.enter_context(AckJournal(folder / "acknowledged"))
        opened.enter_context(network)
        network.start()
        urls = {name: network.urls[name] for name in honest}
        watch = opened.enter_context(Watch(urls, network.ledger))
        clients = [network.members[name].client for name in loaded]
        load = opened.enter_context(Load(clients, PASSPHRASE, journal))
        until(lambda: bool(journal.entries), "a first acknowledgement", BEGUN_S)
        yield Trial(network, journal, load, watch, seed, honest)
