"""
Faults by a validator that is not honest, and reports that are read in spite of it.

The villain is always the same member, so that the others are known to be honest. What it did to its
own disk is taken away with its misbehaviour.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tests.client.test_consent import question
from tests.client.test_end_to_end import free_port, wish
from tests.network.faults import Fault, Scene
from tests.network.members import NAMES, PASSPHRASE, Member
from tests.network.misbehaviour import behave
from tests.world import subject

from tradeline_client.client import Client
from tradeline_client.errors import ClientError
from tradeline_ledger.errors import LedgerError

if TYPE_CHECKING:
    from tradeline_ledger.report import Reading

VILLAIN: Final = "court"
HONEST: Final = tuple(name for name in NAMES if name != VILLAIN)
CONTRIBUTOR, READER, NOTARY = HONEST
"""The last two file nothing, so that their folders are free for reading."""
TWIN_WITHIN_S: Final = 120.0
_REPORTED: Final = "reports misbehavior"


def misbehaving(*names: str, reading: bool = False, halts: bool = False) -> Fault:
    """
    Return the fault that the villain behaves so.

    With `reading`, a report is read meanwhile; with `halts`, the villain can't go on so.
    """

    @contextmanager
    def fault(scene: Scene) -> Iterator[None]:
        villain = scene.network.members[VILLAIN]
        villain.stop()
        villain.environment = dict(behave(*names))
        villain.start()
        if reading:
            scene.network.wait([VILLAIN])
            read_report(scene)
        yield
        sizes = scene.network.sizes()
        if halts and sizes[VILLAIN] >= max(sizes[name] for name in HONEST):
            scene.problems.append(f"the villain goes on as if nothing were: {sizes}")
        _reform(villain)
        scene.network.wait([VILLAIN])

    return fault


def read_report(scene: Scene) -> Reading | None:
    """Obtain a consent and return one person's report: complete and verified, else a problem."""
    members = scene.network.members
    with (
        Client.open(members[READER].client, PASSPHRASE) as reader,
        Client.open(members[NOTARY].client, PASSPHRASE) as notary,
    ):
        draft = reader.draft_consent(wish(second=members[NOTARY].number), [subject(0)])
        signed = notary.sign_consent(draft, [subject(0)])
        number = members[CONTRIBUTOR].number
        before = sum(each.accepted and each.member == number for each in scene.journal.entries)
        reader.grant(signed)
        started = time.monotonic()
        try:
            reading: Reading = reader.ask(question(signed.consent_id))
        except (ClientError, LedgerError) as error:
            scene.problems.append(f"the report could not be read: {error}")
            return None
        scene.notes["reports read"] += 1
        scene.notes["report ms"] += int((time.monotonic() - started) * 1000)
        # Each batch of the load has one event about this person.
        if len(reading.report.effective) < before:
            scene.problems.append(
                f"the report has {len(reading.report.effective)} events, {before} were placed"
            )
        return reading


@contextmanager
def twins(scene: Scene) -> Iterator[None]:
    """A copy of the villain's folder votes beside the villain with the same key."""
    network, villain = scene.network, scene.network.members[VILLAIN]
    first, second, third = HONEST
    villain.stop()
    twin = _copy(villain)
    villain.environment = twin.environment = dict(behave("runs-beside-twin"))
    for name in (second, third):
        network.links.refuse(name, VILLAIN)
    peers = {name: f"@{network.links.engine_at(VILLAIN, name)}" for name in HONEST}
    _keep_peers(villain, peers[first])
    _keep_peers(twin, peers[second])
    started = time.monotonic()
    seen = _reports(network.members[first])
    villain.start()
    twin.start()
    try:
        honest = [network.members[name] for name in HONEST]
        while not (_reports(network.members[first]) > seen and _convicted(honest)):
            if time.monotonic() - started > TWIN_WITHIN_S:
                scene.problems.append("nobody has evidence that one key voted twice")
                break
            time.sleep(0.5)
        else:
            scene.notes["equivocation convicted"] += 1
        yield
    finally:
        twin.kill()
        shutil.rmtree(twin.folder)
    for name in (second, third):
        network.links.refuse(name, VILLAIN, refused=False)
    villain.kill()
    config = villain.folder / "node.toml"
    config.write_text((villain.folder / "node.toml.kept").read_text())
    _reform(villain)
    network.wait([VILLAIN])


BYZANTINE: Final[dict[str, Fault]] = {
    "garbage-proposals": misbehaving("garbage-proposals"),
    "accepts-anything": misbehaving("accepts-anything"),
    "random-app-hash": misbehaving("random-app-hash", halts=True),
    "refuses-releases": misbehaving("refuses-releases", reading=True),
    "wrong-shares": misbehaving("wrong-shares", reading=True),
    "wrong-history": misbehaving("wrong-history", reading=True),
    "withholds-attachments": misbehaving("withholds-attachments", reading=True),
    "equivocates": twins,
}
"""By the name that `scripts/soak` takes."""


def _reform(villain: Member) -> None:
    """Start the villain as an honest node, without what it wrote meanwhile."""
    villain.kill()
    villain.wipe()
    villain.environment = {}
    villain.start()


def _copy(villain: Member) -> Member:
    folder = villain.folder.with_name(f"{villain.name}-twin")
    shutil.copytree(villain.folder, folder)
    port = free_port(2)
    config = folder / "node.toml"
    text = re.sub(r"(?m)^p2p_port = \d+", f"p2p_port = {port + 1}", config.read_text())
    config.write_text(re.sub(r"(?m)^port = \d+", f"port = {port}", text))
    url = re.sub(r"\d+$", str(port), villain.url)
    return Member(villain.number, folder.name, folder, villain.passphrase_file, url, villain.within)


def _keep_peers(member: Member, only: str) -> None:
    config = member.folder / "node.toml"
    text = config.read_text()
    config.with_name("node.toml.kept").write_text(text)
    (line,) = re.findall(r'(?m)^peers = "(.*?)"', text)
    kept = ",".join(each for each in line.split(",") if each.endswith(only))
    config.write_text(text.replace(line, kept))


def _convicted(members: Sequence[Member]) -> bool:
    """Return whether the node of one of them keeps a file that convicts somebody."""
    return any(True for member in members for _ in (member.folder / "evidence").glob("*.evidence"))


def _reports(member: Member) -> int:
    return (member.folder / "logs" / "application.log").read_text().count(_REPORTED)
