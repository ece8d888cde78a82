from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.client.network import Network, make_session

from tradeline_client.session import Session


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def session(tmp_path: Path, network: Network) -> Iterator[Session]:
    opened = make_session(tmp_path / "client", network)
    yield opened
    opened.close()
