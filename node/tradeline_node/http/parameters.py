"""Parameters of routes, with their bounds."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from tradeline_ledger.merkle import SIZE_MAX

WAIT_MS_MAX = 20_000
PAGE_MAX = 100

PathIndex = Annotated[int, Path(ge=0, le=SIZE_MAX, description="Log index, from 0.")]
PathMember = Annotated[int, Path(ge=1, le=2**32 - 1, description="Member id.")]
PathFeed = Annotated[int, Path(ge=0, le=2**32 - 1, description="Number of the feed; 0: node.")]
PathSize = Annotated[int, Path(ge=1, le=SIZE_MAX, description="Leaves of the log.")]
PathHash = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="32 bytes in hexadecimal.")]
PathConsent = Annotated[
    str, Path(pattern="^[0-9a-f]{32}$", description="Consent id, 16 bytes in hexadecimal.")
]
QuerySize = Annotated[int, Query(ge=1, le=SIZE_MAX, description="Leaves of the log.")]
QueryOptionalSize = Annotated[
    int | None,
    Query(ge=1, le=SIZE_MAX, description="Size to prove to; the newest checkpoint's if absent."),
]
QueryHeight = Annotated[
    int, Query(ge=0, le=SIZE_MAX, alias="from", description="First height that is asked for.")
]
QueryFirst = Annotated[
    int, Query(ge=1, le=SIZE_MAX, alias="from", description="First leaf that is asked for.")
]
QueryCursor = Annotated[
    str | None, Query(pattern="^[0-9a-f]{32}$", description="`next` of the page before.")
]
