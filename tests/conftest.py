"""Settings that every test runs with, and the order that the files of tests run in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from tradeline_ledger import keyfile

# How long one example takes depends on who else uses the machine; pytest-timeout ends what hangs.
settings.register_profile("tradeline", deadline=None)
settings.load_profile("tradeline")

NETWORK_S = 60
"""Counted for a test of real node processes that names no time limit of its own."""
SIMULATION_S = 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files that take long first, so that no test process ends long after the others."""
    seconds: Counter[Path] = Counter()
    for item in items:
        seconds[item.path] += _seconds(item)
    items.sort(key=lambda item: -seconds[item.path])


@pytest.fixture(scope="session", autouse=True)
def stretch_once() -> Iterator[None]:
    """Compute scrypt once for a passphrase and salt: tests open the same key files many times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyfile, "_stretch", cache(keyfile._stretch))
        yield


def _seconds(item: pytest.Item) -> int:
    """Return how long a test may take: what it says itself, else a guess that orders the files."""
    limit = item.get_closest_marker("timeout")
    if limit is not None:
        return int(limit.args[0])
    if item.get_closest_marker("network") is not None:
        return NETWORK_S
    return SIMULATION_S if "simulation" in item.path.parts else 1
