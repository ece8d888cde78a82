"""How each part of a node does, for /healthz and for people."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger.evidence_file import EvidenceType
from tradeline_ledger.genesis import RULES
from tradeline_ledger.governance import upgrade_due
from tradeline_node.errors import StoreError
from tradeline_node.evidence_store import HANDLED

if TYPE_CHECKING:
    from tradeline_node.service import Node

BEHIND_S_MAX: Final = 30.0
"""For how long leaves may wait for a quorum before the node counts as ill."""
FREE_SHARE_MIN: Final = 0.05
"""Share of the disk that should be free."""
_GRAVE: Final = {EvidenceType.FORK, EvidenceType.WITNESS, EvidenceType.VOTES}
"""Against members of this ledger these shake the log itself; others concern their member."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a node."""

    name: str
    ok: bool
    detail: str
    """What is wrong and what to do, or the figures when all is well."""


def examine(node: Node) -> tuple[Component, ...]:
    """Return the state of every part."""
    return (
        _store(node),
        _engine(node),
        _custody(node),
        _background(node),
        _hold(node),
        _publisher(node),
        _peers(node),
        _rules(node),
        _evidence(node),
        _witnesses(node),
        _disk(node),
    )


def _store(node: Node) -> Component:
    failure = node.store.failure
    head = node.store.head
    if failure:
        return Component("store", ok=False, detail=f"{failure}; repair it and restart the node")
    return Component("store", ok=True, detail=f"height {head.height}, {head.size} leaves")


def _engine(node: Node) -> Component:
    reason = node.engine_failure()
    if reason:
        return Component("engine", ok=False, detail=f"{reason}; repair it and restart the node")
    stalled = node.engine_stalled()
    if stalled:
        return Component("engine", ok=False, detail=stalled)
    return Component("engine", ok=True, detail=f"{node.config.engine.driver}, runs")


def _custody(node: Node) -> Component:
    halted = node.custody.halted
    if halted:
        return Component("custody", ok=False, detail=f"{halted}; repair it and restart the node")
    findings = [*node.custody.findings, *node.tag_keys.findings]
    damaged = node.release_service.damaged
    if findings or damaged:
        text = "; ".join(findings[:3]) or f"{len(damaged)} attachments are damaged"
        return Component(
            "custody", ok=False, detail=f"{text}; run `tradeline node doctor` for all of them"
        )
    usage = node.custody.usage()
    return Component(
        "custody", ok=True, detail=f"{usage.attachments} attachments, {usage.bytes} bytes"
    )


def _background(node: Node) -> Component:
    failure = node.housekeeping.failure or node.late.failure
    return Component("housekeeping", ok=not failure, detail=failure or "runs")


def _hold(node: Node) -> Component:
    if node.hold.holds():
        detail = f"{node.hold.reason}; {node.hold_watch.detail}"
        return Component("signing", ok=False, detail=detail)
    return Component("signing", ok=True, detail="not held")


def _publisher(node: Node) -> Component:
    publisher = node.publisher
    if publisher.failure:
        return Component("publish", ok=False, detail=publisher.failure)
    behind_s = publisher.behind_s()
    size = publisher.newest.size if publisher.newest else 0
    if behind_s > BEHIND_S_MAX:
        return Component(
            "publish",
            ok=False,
            detail=f"no quorum of cosignatures for {behind_s:.0f} s, the newest checkpoint has "
            f"size {size}; see which peers don't answer",
        )
    return Component("publish", ok=True, detail=f"checkpoint of size {size}")


def _peers(node: Node) -> Component:
    failures = node.publisher.peer_lines.failures
    if failures:
        text = "; ".join(failures[member] for member in sorted(failures))
        return Component("peers", ok=node.publisher.behind_s() <= BEHIND_S_MAX, detail=text)
    return Component("peers", ok=True, detail="all answer")


def _rules(node: Node) -> Component:
    """Bad once the members have voted for rules that this version does not know."""
    due = upgrade_due(node.store)
    if due is None:
        return Component("rules", ok=True, detail=f"{node.ledger.rules_of(node.store.registry)}")
    height, rules = due
    detail = f"rules {rules} begin at height {height}"
    if rules > RULES:
        detail += f"; this version knows up to {RULES}: install a newer one before that height"
    return Component("rules", ok=rules <= RULES, detail=detail)


def _evidence(node: Node) -> Component:
    """Bad while a validator's misbehaviour waits for the operator; see `EvidenceStore`."""
    if node.watch.failure:
        return Component("evidence", ok=False, detail=node.watch.failure)
    try:
        files = [each for each in node.evidence.files() if not each.handled]
    except StoreError as error:
        return Component("evidence", ok=False, detail=str(error))
    grave = [each for each in files if each.member and each.type in _GRAVE]
    if grave:
        return Component(
            "evidence",
            ok=False,
            detail=f"a validator misbehaves, as {len(grave)} file(s) show; the newest is "
            f"{grave[-1].name}: look at it with `tradeline verify`, tell the other members, then "
            f"move it to {node.evidence.folder / HANDLED}",
        )
    return Component("evidence", ok=True, detail=f"{len(files)} files to look at")


def _witnesses(node: Node) -> Component:
    """Bad if an outside witness knows another log; that one does not answer harms nobody."""
    outside = node.outside
    if outside.failure:
        return Component("witnesses", ok=False, detail=outside.failure)
    if outside.refused:
        names = ", ".join(sorted(outside.refused))
        return Component(
            "witnesses",
            ok=False,
            detail=f"{names}: cosigned another log than this one; ask for the checkpoint that it "
            "cosigned and compare, this ledger may have been forked",
        )
    if outside.failures:
        text = "; ".join(outside.failures[name] for name in sorted(outside.failures))
        return Component("witnesses", ok=True, detail=text)
    return Component("witnesses", ok=True, detail=f"{len(outside)} are asked to cosign")


def _disk(node: Node) -> Component:
    try:
        usage = shutil.disk_usage(node.config.folder)
    except OSError as error:
        return Component("disk", ok=False, detail=f"can't be looked at: {error.strerror}")
    share = usage.free / usage.total
    return Component(
        "disk",
        ok=share >= FREE_SHARE_MIN,
        detail=f"{share:.0%} free"
        + ("" if share >= FREE_SHARE_MIN else "; make room, a full disk halts the node"),
    )
