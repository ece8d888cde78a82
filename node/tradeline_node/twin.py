"""
Looks whether a node with the keys of this one runs elsewhere: a copied folder, or one invite used
in two.

Two validators with one key vote twice, which is evidence against their member. So the member's
registered address is asked before anything is signed: if it answers with this node's TLS key while
this node does not serve yet, another one does.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from time import time as clock_s
from typing import TYPE_CHECKING

import httpx2

from tradeline_ledger.endpoint import check_endpoint
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.fingerprint import fingerprint
from tradeline_node.errors import ConfigError
from tradeline_node.tls import pinned_context, tls_pin

if TYPE_CHECKING:
    from tradeline_node.keystore import Keystore

UNREACHED = (httpx2.HTTPError, httpx2.InvalidURL, MalformedError)
"""What `ask` raises where no node with the key that was asked for answers."""


def ask(endpoint: str, pin: bytes | None, timeout_s: float) -> float:
    """
    Return how far a node's clock is ahead of this machine's, seconds; it has whole seconds.

    Raises:
        httpx2.HTTPError, httpx2.InvalidURL, MalformedError: no node answers at `endpoint`, or one
            with another TLS key than `pin`.
    """
    check_endpoint(endpoint, pin)
    verify = pinned_context(pin) if pin is not None else False
    url = endpoint.rstrip("/") + "/livez"
    answer = httpx2.get(url, timeout=timeout_s, trust_env=False, verify=verify)
    try:
        told = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return 0.0
    return told.timestamp() - clock_s()


def twin_at(endpoint: str, keys: Keystore, timeout_s: float) -> str:
    """Return which other node answers at `endpoint` with the TLS key of `keys`, "" if none does."""
    if not endpoint:
        return ""
    pin = tls_pin(keys.tls)
    try:
        ask(endpoint, pin, timeout_s)
    except UNREACHED:
        return ""
    return f"a node with this folder's TLS key {fingerprint(pin)} answers at {endpoint}"


def check_alone(endpoint: str, keys: Keystore, timeout_s: float) -> None:
    """
    Accept that no node with these keys serves the member's `endpoint`; its own must not yet.

    Raises:
        ConfigError: one does.
    """
    found = twin_at(endpoint, keys, timeout_s)
    if found:
        raise ConfigError(
            f"{found}: this folder is a copy, or its invite was used in another, too. Two nodes "
            f"of member {keys.member} would vote twice; end the other for good and remove its "
            "folder, or remove this one"
        )
