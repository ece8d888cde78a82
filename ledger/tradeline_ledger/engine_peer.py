"""
Where a node's consensus engine is reached: `<id>@host:port` (docs/formats.md, section 2).

The engine's peers know each other by the key that they prove at connecting, and the registry says
which keys these are.
"""

from __future__ import annotations

import hashlib
import re
from ipaddress import IPv6Address
from typing import Final

ENGINE_PEER_CHARS_MAX: Final = 256
PEER_ID_BYTES: Final = 20
PORT_MAX: Final = 65_535

_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME: Final = rf"(?:{_LABEL}\.)*(?![0-9]+:){_LABEL}"
_PEER: Final = re.compile(
    rf"([0-9a-f]{{40}})@({_NAME}|{_OCTET}(?:\.{_OCTET}){{3}}|\[[0-9a-f:]{{2,39}}\])"
    r":([1-9][0-9]{0,4})",
    re.ASCII,
)


def peer_id(public: bytes) -> str:
    """Return the id by which engines know the owner of an Ed25519 peer key: 40 hex digits."""
    return hashlib.sha256(public).digest()[:PEER_ID_BYTES].hex()


def check_engine_peer(value: str) -> None:
    """
    Accept the address of an engine: id, host (name, IPv4 or IPv6 in brackets) and port.

    Raises:
        ValueError: anything else; inside a record's `__post_init__` it becomes `MalformedError`.
    """
    if len(value) > ENGINE_PEER_CHARS_MAX:
        raise ValueError(
            f"engine peer has {len(value)} characters, expected at most {ENGINE_PEER_CHARS_MAX}"
        )
    match = _PEER.fullmatch(value)
    if match is None or int(match[3]) > PORT_MAX:
        raise ValueError(
            "engine peer is not <40 hex digits>@host:port; the host is a name in small letters, "
            "an IPv4 address or an IPv6 address in brackets, the port 1 to 65535"
        )
    if match[2].startswith("["):
        IPv6Address(match[2][1:-1])
