"""
New keys of a member's node, as `tradeline node keys new` writes their public halves, and the
proposals by which a vote registers keys that the root key can't.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_client.errors import DraftError
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.key import Replaced
from tradeline_ledger.proposal import PROPOSAL, Change, Proposal, ReplaceKeys, SetEndpoint, Waiver
from tradeline_ledger.registry import HPKE_PUBLIC_KEY_BYTES
from tradeline_ledger.signing import PUBLIC_KEY_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.registry import Registry

FILE_BYTES_MAX: Final = 64 * 1024
DAYS_DEFAULT: Final = 14
"""For votes on a proposal."""
DAY_MS: Final = 86_400_000
BY_ROOT: Final = ("node_key", "note_key", "cosigner_key")
"""What the root key replaces."""
BY_VOTE: Final = ("engine_key", "hpke_key", "tls_pin", "engine_peer_id")
"""What a vote replaces."""
_PEER_ID_BYTES: Final = 20
_BYTES: Final = {"hpke_key": HPKE_PUBLIC_KEY_BYTES, "engine_peer_id": _PEER_ID_BYTES}
"""Lengths of those that are not `PUBLIC_KEY_BYTES` long."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a proposal says besides its changes."""

    reason: str
    """Everybody reads it for ever."""
    now_ms: int
    """From which on votes are taken, for `DAYS_DEFAULT` days."""
    effect_height: int = 0
    """First height at which it is in force; 0: the next one after it has passed."""
    waived: int = 0
    """Sum of `Waiver`."""


def read_new_keys(file: Path, member: int) -> dict[str, bytes]:
    """
    Return the public halves in a file of new keys, by the names of `BY_ROOT` and `BY_VOTE`.

    Raises:
        DraftError: it can't be read, is no such file, or another member's.
    """
    try:
        with file.open("rb") as opened:
            told = json.loads(opened.read(FILE_BYTES_MAX))
        owner = told["member"]
        keys = {name: bytes.fromhex(told[name]) for name in (*BY_ROOT, *BY_VOTE) if name in told}
    except OSError as error:
        raise DraftError(f"{file} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DraftError(
            f"{file} is no file of new keys; `tradeline node keys new` writes one"
        ) from error
    if owner != member:
        raise DraftError(f"{file} has keys of member {owner}, this folder is of member {member}")
    for name, key in keys.items():
        expected = _BYTES.get(name, PUBLIC_KEY_BYTES)
        if len(key) != expected:
            raise DraftError(
                f"{file}: {name} has {len(key)} bytes, expected {2 * expected} hexadecimal digits"
            )
    return keys


def propose_root(
    ledger: Ledger, registry: Registry, member: int, root_key: bytes, terms: Terms
) -> Proposal:
    """
    Return the proposal that gives a member another root key.

    Raises:
        DraftError: the reason is none.
    """
    change = ReplaceKeys(member, root_key, None, (), (), Replaced(None, None, None, None, None))
    title = f"New root key of member {member}"
    return _proposal(ledger, registry, title, (change,), terms)


def propose_node_keys(
    ledger: Ledger,
    registry: Registry,
    member: int,
    keys: dict[str, bytes],
    terms: Terms,
) -> Proposal:
    """
    Return the proposal that registers those of `keys` that need a vote.

    Raises:
        DraftError: none of them does, the member has no engine, or the reason is none.
    """
    wanted = [name for name in BY_VOTE if name in keys]
    if not wanted:
        raise DraftError(
            f"none of the new keys needs a vote, as {', '.join(BY_VOTE)} do; `tradeline key node` "
            "registers the others"
        )
    changes: list[Change] = []
    if "tls_pin" in keys or "engine_peer_id" in keys:
        changes.append(_endpoint(registry, member, keys))
    if "engine_key" in keys or "hpke_key" in keys:
        replaced = Replaced(None, None, None, keys.get("hpke_key"), None)
        changes.append(ReplaceKeys(member, None, keys.get("engine_key"), (), (), replaced))
    title = f"New {', '.join(wanted)} of member {member}"
    return _proposal(ledger, registry, title, tuple(changes), terms)


def _endpoint(registry: Registry, member: int, keys: dict[str, bytes]) -> SetEndpoint:
    """Return where the node is reached, as before but for its keys."""
    record = registry.member(member)
    if record is None or not record.engine_peer:
        raise DraftError(
            f"member {member} has no engine in the registry of today; propose its endpoint first "
            "(`tradeline governance propose`)"
        )
    address = record.engine_peer.partition("@")[2]
    new = keys.get("engine_peer_id")
    peer = f"{new.hex()}@{address}" if new is not None else record.engine_peer
    return SetEndpoint(record.id, record.endpoint, keys.get("tls_pin", record.tls_pin), peer)


def _proposal(
    ledger: Ledger,
    registry: Registry,
    title: str,
    changes: tuple[Change, ...],
    terms: Terms,
) -> Proposal:
    assert not terms.waived & ~sum(Waiver), terms
    try:
        made = Proposal(
            ledger_id=ledger.ledger_id,
            registry_root=registry.root,
            title=title,
            reason=terms.reason,
            effect_height=terms.effect_height,
            expires_ms=terms.now_ms + DAYS_DEFAULT * DAY_MS,
            waived=terms.waived,
            changes=changes,
        )
        return PROPOSAL.decode(encode(made))  # which checks every length and bound
    except (MalformedError, ValueError) as error:
        raise DraftError(f"no such proposal can be: {error}") from error
