"""Whose lines make a checkpoint, where a block changes the validators or their keys."""

from __future__ import annotations

from typing import cast

import pytest

from tradeline_node.gather import Gathered, MemberLines
from tradeline_node.publish import Target


def gathered(
    before: tuple[int, ...], after: tuple[int, ...], renewed: tuple[int, ...], lines: str
) -> Gathered:
    found = Gathered(Target(9, 4, forced=True), bytes(32), before, after, frozenset(renewed))
    found.lines |= {int(member): cast("MemberLines", None) for member in lines}
    return found


@pytest.mark.parametrize(
    ("validators", "lines", "vouched", "complete"),
    [
        (((1, 2, 3, 4), (1, 2, 3, 4), ()), "12", False, False),
        (((1, 2, 3, 4), (1, 2, 3, 4), ()), "123", True, True),
        (((1, 2, 3, 4), (1, 2, 3, 4), ()), "125678", False, False),
        (((1, 2, 3, 4), (1, 2, 3), ()), "124", True, False),
        (((1, 2, 3, 4), (1, 2, 3), ()), "123", True, True),
        (((1, 2, 3), (1, 2, 3, 4), ()), "124", False, False),
        (((1, 2, 3), (1, 2, 3, 4), ()), "123", True, True),
        (((1, 2, 3, 4), (1, 2, 5, 6), ()), "123", True, False),
        (((1, 2, 3, 4), (1, 2, 5, 6), ()), "1236", True, True),
        (((1, 2, 3, 4), (1, 2, 3, 4), (4,)), "124", True, False),
        (((1, 2, 3, 4), (1, 2, 3, 4), (4,)), "123", True, True),
        (((1,), (1,), (1,)), "1", True, True),
        (((1, 2, 3, 4), (1, 2, 3, 4), (3, 4)), "134", True, False),
        (((1, 2, 3, 4), (1, 2, 3, 4), (3, 4)), "123", True, True),
    ],
)
def test_a_checkpoint_convinces_those_who_know_the_registry_before_and_after(
    validators: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    lines: str,
    vouched: bool,
    complete: bool,
) -> None:
    found = gathered(*validators, lines)
    assert (found.vouched, found.complete) == (vouched, complete)
