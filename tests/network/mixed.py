"""
Several faults at once, as many as four validators have to bear: those of one node, faults of links
about the same node, a flood. What is drawn is logged, and drawn again from the same seed.
"""

from __future__ import annotations

import logging
import random
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Final

from tests.network.byzantine import HONEST, VILLAIN, misbehaving, read_report
from tests.network.faults import (
    Fault,
    Scene,
    flood,
    kill,
    node_down,
    one_way_cut,
    partition_3_1,
    pause,
    slow_links,
    wipe,
)
from tests.network.members import NAMES

LOG: Final = logging.getLogger(__name__)
STEP_S: Final = 1.0
"""At most between two steps of a swizzle."""


@contextmanager
def swizzle(scene: Scene) -> Iterator[None]:
    """One node after the other is cut off, until none has a quorum; they heal in another order."""
    links, names = scene.network.links, scene.random.sample(NAMES, len(NAMES))
    for number in range(1, len(names)):
        links.partition(*([each] for each in names[:number]), names[number:])
        time.sleep(scene.random.uniform(0, STEP_S))
    yield
    healed = scene.random.sample(NAMES, len(NAMES))
    for number in range(2, len(healed)):
        links.heal()
        links.partition(healed[:number], *([each] for each in healed[number:]))
        time.sleep(scene.random.uniform(0, STEP_S))
    links.heal()


ONE_NODE: Final[Mapping[str, Fault]] = {
    "kill": kill,
    "node-down": node_down,
    "wipe": wipe,
    "pause": pause,
}
LINKS: Final[Mapping[str, Fault]] = {
    "partition-3-1": partition_3_1,
    "one-way-cut": one_way_cut,
    "slow-links": slow_links,
    "swizzle": swizzle,
}
FLOOD: Final[Mapping[str, Fault]] = {"flood": flood}
KINDS: Final = (ONE_NODE, LINKS, FLOOD)
"""A mix has at most one fault of each kind."""
LIES: Final = (
    "garbage-proposals",
    "accepts-anything",
    "refuses-releases",
    "wrong-shares",
    "wrong-history",
    "withholds-attachments",
)


@contextmanager
def mixed(scene: Scene) -> Iterator[None]:
    """Two or three faults at once, begun in one order and ended in another."""
    drawn = random.Random(scene.random.random())
    victim = drawn.choice(NAMES)
    kinds = drawn.sample(KINDS, drawn.choice([2, 3]))
    names = [drawn.choice(list(kind)) for kind in kinds]
    _note(scene, f"{' + '.join(names)} of {victim}")
    with ExitStack() as mix:
        parts: list[ExitStack] = []
        for name, kind in zip(names, kinds, strict=True):
            among = NAMES if kind is FLOOD else (victim,)
            parts.append(mix.enter_context(ExitStack()))
            parts[-1].enter_context(kind[name](replace(scene, among=among, random=drawn)))
        yield
        drawn.shuffle(parts)
        for each in parts:
            each.close()


@contextmanager
def lies_and_kills(scene: Scene) -> Iterator[None]:
    """A validator misbehaves in two ways, and HTTP processes of the others are killed."""
    drawn = random.Random(scene.random.random())
    lies, killed = drawn.sample(LIES, 2), drawn.sample(HONEST, 2)
    _note(scene, f"{' + '.join(lies)} of {VILLAIN}, kill of http of {' + '.join(killed)}")
    with misbehaving(*lies)(scene):
        for name in killed:
            time.sleep(drawn.uniform(0, scene.hold_s))
            scene.network.members[name].signal("http", signal.SIGKILL)
        scene.network.wait()
        read_report(scene)
        yield


MIXED: Final[dict[str, Fault]] = {"swizzle": swizzle, "mixed": mixed}
"""By the name that `scripts/soak` takes."""
MIXED_BYZANTINE: Final[dict[str, Fault]] = {"lies-and-kills": lies_and_kills}
"""Those in which the villain misbehaves."""


def _note(scene: Scene, what: str) -> None:
    scene.notes[what] += 1
    LOG.warning("%s", what)
