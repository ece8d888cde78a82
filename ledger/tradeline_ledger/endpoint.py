"""
Whether a node may be asked at an endpoint: encrypted to a pinned key, or on this machine.

The pin alone says who answers. So https without a pin is refused as http to another machine is: an
authority of the system would be trusted that no member chose.
"""

from __future__ import annotations

import re
from typing import Final

from tradeline_ledger.errors import MalformedError

_ENDPOINT: Final = re.compile(
    r"(https?)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?((?:/[A-Za-z0-9._~-]+)*/?)",
    re.ASCII,
)
_LOOPBACK: Final = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|\[::1\]", re.ASCII)
_SHOWN_CHARS_MAX: Final = 80


def check_endpoint(endpoint: str, pin: bytes | None) -> None:
    """
    Accept the base URL of a node whose TLS key has the hash `pin`, None if the registry has none.

    Raises:
        MalformedError: it is no such URL, or nobody could say whose answer comes from there.
    """
    match = _ENDPOINT.fullmatch(endpoint)
    shown = repr(endpoint[:_SHOWN_CHARS_MAX])
    if match is None:
        raise MalformedError(f"endpoint {shown} is not http(s)://host[:port][/path]")
    if match[1] == "https":
        if pin is None:
            raise MalformedError(
                f"endpoint {shown} is encrypted, but the registry pins no TLS key of that member, "
                "so nobody can say who answers; the member has to have its tls_pin registered"
            )
    elif pin is not None:
        raise MalformedError(
            f"endpoint {shown} is not encrypted, and the registry pins a TLS key of that member; "
            "write https://"
        )
    elif not is_loopback(match[2]):
        raise MalformedError(
            f"endpoint {shown} is not encrypted and not on loopback; the member has to have its "
            "tls_pin registered, and be asked at https://"
        )


def is_loopback(host: str) -> bool:
    """Return whether a host, as it stands in a URL, is this machine and no other."""
    return _LOOPBACK.fullmatch(host) is not None
