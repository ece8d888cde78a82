"""A consortium of the lenders of an inbox: a few have nodes, all have a client."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self

from tradeline_client.client import Client
from tradeline_client.demo.consortium import Consortium

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

NODES: Final = 4
RETAIN_MONTHS: Final = 40 * 12
"""Accounts of the books were opened long before their first month."""


class Lenders:
    """Founds and serves the consortium of lenders; clients stay open until it is closed."""

    def __init__(self, folder: Path, lenders: Sequence[str], nodes: int = NODES) -> None:
        """Use `folder`, which must not be there yet; the first `nodes` of `lenders` have nodes."""
        self.lenders = tuple(lenders)
        """Their names in the books, `L0001` and so on."""
        slugs = tuple(each.lower() for each in lenders)
        self._slugs = dict(zip(self.lenders, slugs, strict=True))
        self._consortium = Consortium(
            folder,
            members=slugs[:nodes],
            contributors=slugs[nodes:],
            retain_months=RETAIN_MONTHS,
        )
        self._clients: dict[str, Client] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._consortium.found()
        self._stack.enter_context(self._consortium)
        self._consortium.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close_clients()
        self._stack.close()

    def folder(self, lender: str) -> Path:
        """Return the client folder of a lender."""
        return self._consortium.client(self._slugs[lender])

    def client(self, lender: str) -> Client:
        """Return the open client of a lender."""
        if lender not in self._clients:
            folder, passphrase = self.folder(lender), self._consortium.passphrase
            self._clients[lender] = Client.open(folder, passphrase)
        return self._clients[lender]

    def members(self) -> dict[int, str]:
        """Return who has which number on the ledger."""
        return {self.client(each).session.member: each for each in self.lenders}

    def close_clients(self) -> None:
        """Close all clients; asked for again they open anew."""
        while self._clients:
            _, client = self._clients.popitem()
            client.close()
