"""
The fault that a contributor deals bad shares, and what must come of each way to do so.

A committee member refuses what is bad for itself, and says so on the ledger if enough others took
the batch; what none of them can see is found by who reads. Nobody else is hindered, no event shows
what was not filed, and dealing again mends it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import httpx2
from tests.network.byzantine import READER, VILLAIN, read_report
from tests.network.contributor import Filed
from tests.network.faults import Fault, Scene
from tests.network.journal import Acked
from tests.network.members import NAMES, PASSPHRASE, ROOT, environment, until

from tradeline_client.client import Client
from tradeline_client.errors import RefusedError
from tradeline_ledger.history import EventId
from tradeline_ledger.report_parts import Fault as EventFault
from tradeline_node.bad_deposits import bad_deposits
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from tradeline_ledger.report import Reading

DEALER: Final = VILLAIN
"""Its node is honest, its client is not."""
WITHIN_S: Final = 180.0
"""Its batches are filed, and then what is bad in them is found."""
AMOUNT: Final = 70_001
"""In the first batch; each further one has one more, so that an event shows which it is of."""
FOUND_BAD: Final = ("garbled", "wrong-recipient", "too-few", "other-root")
"""Ways that one victim notices; the others suffice to open the events."""
HARMLESS: Final = ("other-bytes", "off-polynomial")
"""With one victim: it gets the right deposit from another, or the others suffice."""
REFUSED: Final = "garbled"
"""With two victims: too few members give receipts."""
CLOSED: Final = "off-polynomial"
"""With two victims: nothing opens, and the reader convicts the dealer."""


@contextmanager
def bad_shares(scene: Scene) -> Iterator[None]:
    """One contributor deals bad shares in all these ways, to members that are drawn."""
    others = [scene.network.members[name].number for name in NAMES if name != DEALER]
    one, two = [scene.random.choice(others)], scene.random.sample(others, 2)
    ways = [(way, one) for way in (*FOUND_BAD, *HARMLESS)]
    *filed, refused, closed = _file(scene, [*ways, (REFUSED, two), (CLOSED, two)])
    if refused.index is not None:
        scene.problems.append(f"two members can't open their deposits of {refused}")
    yield
    bad = [each for each in filed if each.way in FOUND_BAD]
    _expect_bad(scene, bad, *one)
    reading = read_report(scene)
    if reading is not None:
        _check_events(scene, reading, filed, [closed])
        _check_blame(scene, reading, closed)
    _expect_healthy(scene)
    _deal_again(scene, [*bad, closed])
    reading = read_report(scene)
    if reading is not None:
        _check_events(scene, reading, [*filed, closed], [])


DEALING: Final[dict[str, Fault]] = {"bad-shares": bad_shares}
"""By the name that `scripts/soak` takes."""


def _file(scene: Scene, ways: Sequence[tuple[str, Sequence[int]]]) -> list[Filed]:
    """Let a process of the dealer's file a batch in each way, with those victims."""
    dealer = scene.network.members[DEALER]
    asked = [
        f"{way}:{','.join(map(str, victims))}:{AMOUNT + i}" for i, (way, victims) in enumerate(ways)
    ]
    program = ("-m", "tests.network.contributor", dealer.client, dealer.passphrase_file)
    filed = [Filed(**json.loads(line)) for line in _run(*program, *asked).splitlines()]
    for each in filed:
        if each.index is not None:
            scene.journal.add(Acked(dealer.number, each.statement, each.index, accepted=True))
    scene.notes["bad batches placed"] += sum(each.index is not None for each in filed)
    return filed


def _expect_bad(scene: Scene, bad: Sequence[Filed], victim: int) -> None:
    """Wait until the victim has said on the ledger that its deposits of these are bad."""
    dealer = scene.network.members[DEALER]
    expected = {(each.index, victim) for each in bad}
    with Client.open(dealer.client, PASSPHRASE) as client:
        until(lambda: len(client.bad_batches()) >= len(expected), "custody records", WITHIN_S)
    store = LedgerStore.open(dealer.folder / "ledger", scene.network.ledger, read_only=True)
    try:
        said, _ = bad_deposits(store, dealer.number, 0)
    finally:
        store.close()
    if {(each.index, each.validator) for each in said} != expected:
        scene.problems.append(f"the ledger says that {said} are bad, expected {expected}")
    scene.notes["bad deposits on the ledger"] += len(said)


def _check_events(
    scene: Scene, reading: Reading, filed: Sequence[Filed], closed: Sequence[Filed]
) -> None:
    """Each event of `filed` says what was filed, and those of `closed` alone are invalid."""
    shown = {each.original: each.fields[1] for each in reading.report.effective}
    for each in filed:
        assert each.index is not None, each
        found = shown.get(EventId(each.index, 0))
        if found != each.amount:
            scene.problems.append(f"the event of {each} says {found}")
    invalid = {(each.filed.id.index, each.fault) for each in reading.report.invalid}
    if invalid != {(each.index, EventFault.DEALT_WRONG) for each in closed}:
        scene.problems.append(f"invalid are {invalid}, expected {closed}")


def _check_blame(scene: Scene, reading: Reading, closed: Filed) -> None:
    """The dealer alone is convicted, by a file that a process without a ledger believes."""
    dealer, reader = scene.network.members[DEALER], scene.network.members[READER]
    if {each.member for each in reading.blamed} != {dealer.number}:
        scene.problems.append(f"blamed are {reading.blamed}, expected {DEALER}")
    file = reader.client / "evidence" / f"dealing-{dealer.number}-{closed.index}-0.evidence"
    anchor = ("--genesis", reader.client / "genesis")
    said = json.loads(_run("-m", "tradeline_client", "verify", file, *anchor, "--json"))
    if (said["kind"], said["ok"], said["anchored"]) != ("dealing", True, True):
        scene.problems.append(f"verify says {said}")
    scene.notes["dealer convicted"] += 1


def _expect_healthy(scene: Scene) -> None:
    """No node takes what was dealt bad for damage of its own."""
    with httpx2.Client(trust_env=False, verify=False) as client:
        for name, url in scene.network.urls.items():
            parts = client.get(f"{url}/healthz").json()["components"]
            (custody,) = [each for each in parts if each["name"] == "custody"]
            if not custody["ok"]:
                scene.problems.append(f"{name} says of its custody: {custody['detail']}")


def _deal_again(scene: Scene, batches: Sequence[Filed]) -> None:
    """Let the dealer's client, as it should be, deal these again; then nothing is bad any more."""
    dealer = scene.network.members[DEALER]
    with Client.open(dealer.client, PASSPHRASE) as client:
        for dealt in client.redeposit([bytes.fromhex(each.hash) for each in batches]):
            if isinstance(dealt, RefusedError):
                scene.problems.append(f"dealing again is refused: {dealt}")
                continue
            put = dealt.placement
            acked = Acked(dealer.number, put.statement_hash.hex(), put.index, accepted=True)
            scene.journal.add(acked)
        until(lambda: not client.bad_batches(), "mended deposits", WITHIN_S)


def _run(*arguments: object) -> bytes:
    done = subprocess.run(
        (sys.executable, *map(str, arguments)),
        env=environment(),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, (arguments, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout
