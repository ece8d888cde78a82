"""Listings that nodes serve page by page."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from tradeline_client.requests import Flow, Request, from_json, try_each

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradeline_client.session import Session

PAGES_MAX: Final = 1_000
"""Of one listing: a node that never comes to an end is not followed for ever."""


class Page(Protocol):
    """One page of a listing."""

    @property
    def next(self) -> str | None:
        """Cursor of the page after it, None or empty on the last."""
        ...


P = TypeVar("P", bound=Page)


def all_pages(
    session: Session, target: str, page_type: type[P], ids: Callable[[P], list[str]]
) -> Flow[list[bytes]]:
    """
    Return the ids of a listing, page after page, each from any node that answers.

    Args:
        session: whose nodes are asked.
        target: path of the listing, without a query.
        page_type: what a page is decoded as.
        ids: returns the ids of one page, in hexadecimal.

    Raises:
        UnavailableError: no node serves a page.
    """
    found: list[bytes] = []
    cursor = ""
    for _ in range(PAGES_MAX):
        asked = target + (f"?cursor={cursor}" if cursor else "")
        page = yield from try_each(
            session.nodes(),
            partial(_request, asked),
            lambda response: from_json(page_type, response),
        )
        found += [bytes.fromhex(each) for each in ids(page)]
        if not page.next:
            break
        cursor = page.next
    return found


def _request(target: str, node: int) -> Request:
    return Request(node, "GET", target)
