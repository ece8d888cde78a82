"""
What must hold after any fault, judged from outside: by the journal of acknowledgements, the
checkpoints that nodes served, the disks of honest nodes, and an audit from genesis.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import httpx2
from tests.network.journal import Acked
from tests.network.members import until

from tradeline_client.audit import audit
from tradeline_client.client import Client
from tradeline_client.errors import UnavailableError
from tradeline_client.flows.mirror import mirror
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.policy import Policy, validators_policy, verify_checkpoint
from tradeline_ledger.statement import (
    STATEMENT,
    EntryLeaf,
    Kind,
    decode_leaf,
    statement_hash,
)
from tradeline_ledger.submission import decode_submission
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from tradeline_ledger.genesis import Ledger

LOOK_S: Final = 0.2
MIRRORED_S: Final = 180.0
ANSWER_S: Final = 2.0
_FILE: Final = re.compile(r"[0-9a-f]{64}")


@dataclass
class Verdict:
    """What the oracle found; `problems` is empty if all is well."""

    acked: int = 0
    lost: int = 0
    """Acknowledged entries that an honest node lacks, has elsewhere, or has twice."""
    forks: int = 0
    """Pairs of logs or checkpoints that are not of one log."""
    size: int = 0
    checkpoints: int = 0
    """Different ones that were seen."""
    problems: list[str] = field(default_factory=list)

    def problem(self, text: str) -> None:
        """Add one."""
        self.problems.append(text)


class Watch:
    """Asks every node for its newest checkpoint again and again, and keeps all of them."""

    def __init__(self, urls: Mapping[str, str], ledger: Ledger) -> None:
        """Ask nodes whose log is public."""
        self._urls, self._policy = urls, policy_of(ledger)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")
        self._roots: set[tuple[int, bytes]] = set()
        self.sizes: dict[str, int] = {}
        """Size of the newest checkpoint, by node."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def roots(self) -> list[tuple[int, bytes]]:
        """Size and root of every checkpoint that was seen with a quorum, ascending."""
        return sorted(self._roots)

    def _run(self) -> None:
        with httpx2.Client(trust_env=False, verify=False, timeout=ANSWER_S) as client:
            while not self._stopping.wait(LOOK_S):
                for name, url in self._urls.items():
                    self._look(client, name, url)

    def _look(self, client: httpx2.Client, name: str, url: str) -> None:
        try:
            answer = client.get(f"{url}/checkpoint")
        except httpx2.HTTPError:
            return
        if answer.status_code == httpx2.codes.OK:
            seen = verify_checkpoint(answer.content, self._policy).checkpoint
            self._roots.add((seen.size, seen.root))
            self.sizes[name] = max(seen.size, self.sizes.get(name, 0))


def policy_of(ledger: Ledger) -> Policy:
    """Return the policy of the founders' validators."""
    registry = ledger.registry
    founders = [each for each in registry.members if each.id in registry.epoch.validators]
    return validators_policy(ledger.origin, founders)


def judge(
    ledger: Ledger,
    folders: Mapping[str, Path],
    journal: Sequence[Acked],
    roots: Sequence[tuple[int, bytes]] = (),
) -> Verdict:
    """Judge stopped honest nodes by their member folders."""
    verdict = Verdict(acked=len(journal), checkpoints=len(roots))
    stores = {
        name: LedgerStore.open(folder / "ledger", ledger, read_only=True)
        for name, folder in folders.items()
    }
    try:
        for name, store in stores.items():
            for finding in store.verify():
                verdict.problem(f"{name}: {finding}")
        _compare_logs(verdict, stores)
        longest = max(stores.values(), key=lambda each: each.head.size)
        verdict.size = longest.head.size
        for name, store in stores.items():
            _find_acked(verdict, name, store, journal)
        for size, root in roots:
            if size > longest.head.size or longest.root(size) != root:
                verdict.forks += 1
                verdict.problem(f"a checkpoint of size {size} is not of the log of {len(stores)}")
        _find_attachments(verdict, longest, folders)
    finally:
        for store in stores.values():
            store.close()
    return verdict


def audited(verdict: Verdict, client: Client, target: Path, node: int) -> None:
    """Mirror a running node into `target` and replay it from its genesis, as an auditor does."""
    ledger, checkpoint = client.session.ledger, client.checkpoint()

    def mirrored() -> bool:
        # A machine that has much else to do lets connections time out; what came is kept.
        with suppress(UnavailableError):
            client.run(mirror(target, node, ledger, checkpoint, lambda *_: None))
            return True
        return False

    until(mirrored, f"a mirror of node {node}", MIRRORED_S)
    report = audit(target, policy_of(ledger))
    for finding in [*report.findings, *report.trust_findings]:
        verdict.problem(f"audit of node {node}: {finding}")
    if report.size < checkpoint.size:
        verdict.problem(f"audit of node {node}: {report.size} leaves of {checkpoint.size}")


def attachments_are_there(ledger: Ledger, folders: Mapping[str, Path]) -> bool:
    """Return whether what `judge` wants of attachments holds for nodes that may run."""
    verdict = Verdict()
    store = LedgerStore.open(next(iter(folders.values())) / "ledger", ledger, read_only=True)
    try:
        _find_attachments(verdict, store, folders)
    finally:
        store.close()
    return not verdict.problems


def _compare_logs(verdict: Verdict, stores: Mapping[str, LedgerStore]) -> None:
    sizes = {name: store.head.size for name, store in stores.items()}
    shortest = min(sizes.values())
    if len(set(sizes.values())) > 1:
        verdict.problem(f"logs end at different sizes: {sizes}")
    logs = {name: store.leaves(0, shortest) for name, store in stores.items()}
    (first, *others) = logs
    for name in others:
        if logs[name] != logs[first]:
            verdict.forks += 1
            at = next(i for i in range(shortest) if logs[name][i] != logs[first][i])
            verdict.problem(f"leaf {at} of {name} is not that of {first}")


def _find_acked(verdict: Verdict, name: str, store: LedgerStore, journal: Sequence[Acked]) -> None:
    placed: dict[str, list[tuple[int, bool]]] = {}
    for index, encoded in enumerate(store.leaves(0, store.head.size)):
        leaf = decode_leaf(encoded)
        if isinstance(leaf, EntryLeaf):
            hash_ = statement_hash(leaf.statement).hex()
            placed.setdefault(hash_, []).append((index, Outcome(leaf.outcome).accepted))
    for acked in journal:
        found = placed.get(acked.statement, [])
        if found != [(acked.index, acked.accepted)]:
            verdict.lost += 1
            verdict.problem(f"{name} has {found} of {acked}")
    twice = [hash_ for hash_, places in placed.items() if len(places) > 1]
    if twice:
        verdict.problem(f"{name} placed statements twice: {twice[:3]}")


def _find_attachments(verdict: Verdict, store: LedgerStore, folders: Mapping[str, Path]) -> None:
    """Each accepted submission has its attachment at as many honest nodes as DESIGN.md promises."""
    ledger = store.ledger
    held = Counter(
        path.name
        for folder in folders.values()
        for path in (folder / "custody").rglob("*")
        if _FILE.fullmatch(path.name)
    )
    epoch = ledger.registry.epoch
    faulty = len(epoch.validators) - len(folders)
    for index in range(store.head.size):
        leaf = decode_leaf(store.leaf(index))
        if not isinstance(leaf, EntryLeaf) or not Outcome(leaf.outcome).accepted:
            continue
        statement = STATEMENT.decode(leaf.statement)
        if statement.kind == Kind.SUBMISSION:
            batch = decode_submission(store.content(index)).batch
            name = batch.hash(ledger.ledger_id, statement.member).hex()
            if held[name] < epoch.threshold - faulty:
                verdict.problem(f"entry {index}: its attachment is at {held[name]} honest nodes")
