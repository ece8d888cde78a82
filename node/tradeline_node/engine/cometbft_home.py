"""
The folder of a CometBFT process: its settings, the genesis as it knows it, and its keys.

Everything in it follows from the ledger's genesis, the registry and node.toml, and is written anew
at each start; only `data`, the engine's own, stays. The keys are written for a start alone, into a
folder of this process that goes with it, and removed once the engine has read them.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from tradeline_node.durable import FOLDER_MODE, write_file
from tradeline_node.engine.local import BLOCK_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.signing import SigningKey

ENTRY_BYTES_MAX: Final = 2 << 20
"""Of one entry in the engine's pool; contents have 1 MiB at most."""
WAITING_ENTRIES_MAX: Final = 5_000
WAITING_BYTES_MAX: Final = 2 * BLOCK_BYTES_MAX
"""Of entries in the engine's pool: with more than two blocks it collapses instead of levelling."""
BLOCK_MAX_BYTES: Final = BLOCK_BYTES_MAX + (64 << 10)
"""Header, last commit and evidence included."""
BETWEEN_BLOCKS_MS: Final = 120
"""
From a block's commit to the next proposal. Each block costs every validator some 20 ms of processor
time, and one with entries is followed by another, which proves its app hash: entries that come
within this go into that one.
"""
PROPOSE_TIMEOUT_MS: Final = 500
"""What a block waits for when it is a dead validator's turn to propose."""
EMPTY_BLOCKS_MS: Final = 500
"""Between blocks when nothing waits. Never off: entries were stranded without empty blocks."""
VALIDATOR_POWER: Final = 1
"""In the engine; each member has one vote."""
DATA_NAME: Final = "data"
_ADDRESS_BYTES: Final = 20
_STATE_NAME: Final = "priv_validator_state.json"
_VALIDATOR_KEY_NAME: Final = "validator_key.json"
_PEER_KEY_NAME: Final = "node_key.json"
_NANOS_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where a CometBFT process finds the others; all sockets are of this machine."""

    application: Path
    """UNIX socket of the application."""
    rpc: Path
    """UNIX socket that it makes for its RPC: nobody but this user reaches it."""
    listen: str
    """host:port for its peers."""
    external: str
    """host:port that peers are told, as the registry has it."""
    peers: Sequence[str]
    """`<id>@host:port` of the peers that it keeps connected to."""
    keys: Path
    """Folder for its keys, which hold for one start."""


def write_home(home: Path, ledger: Ledger, wiring: Wiring, moniker: str) -> None:
    """Write settings and genesis of a CometBFT process into `home`, made if it is missing."""
    for folder in (home, home / "config", home / DATA_NAME):
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    write_file(home / "config/config.toml", _settings(wiring, moniker).encode())
    write_file(home / "config/genesis.json", _json(_genesis(ledger)))
    state = sign_state(home)
    if not state.exists():
        write_file(state, _json({"height": "0", "round": 0, "step": 0}))


def sign_state(home: Path) -> Path:
    """Return the file in which CometBFT keeps what it has signed last; never copy it."""
    return home / DATA_NAME / _STATE_NAME


def write_keys(folder: Path, validator: SigningKey, peer: SigningKey) -> None:
    """Write the two keys that the engine reads at its start into `folder`, which is made."""
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    pair = {
        "address": engine_address(validator.public).hex().upper(),
        "pub_key": _public(validator.public),
        "priv_key": _private(validator),
    }
    write_file(folder / _VALIDATOR_KEY_NAME, _json(pair))
    write_file(folder / _PEER_KEY_NAME, _json({"priv_key": _private(peer)}))


def engine_address(public: bytes) -> bytes:
    """Return the 20 bytes by which CometBFT names a validator in votes and evidence."""
    return sha256(public).digest()[:_ADDRESS_BYTES]


def _settings(wiring: Wiring, moniker: str) -> str:
    """Return config.toml: what differs from CometBFT's own defaults."""
    sections: dict[str, dict[str, Any]] = {
        "": {
            "proxy_app": f"unix://{wiring.application}",
            "moniker": moniker,
            "log_level": "error",
            "filter_peers": True,
            "priv_validator_key_file": str(wiring.keys / _VALIDATOR_KEY_NAME),
            "node_key_file": str(wiring.keys / _PEER_KEY_NAME),
        },
        "rpc": {
            "laddr": f"unix://{wiring.rpc}",
            "max_body_bytes": 3 * ENTRY_BYTES_MAX,
            "pprof_laddr": "",
        },
        "p2p": {
            "laddr": f"tcp://{wiring.listen}",
            "external_address": wiring.external,
            "persistent_peers": ",".join(wiring.peers),
            "pex": False,
            "addr_book_strict": False,
            "allow_duplicate_ip": True,
            "flush_throttle_timeout": "10ms",
            "send_rate": 100_000_000,
            "recv_rate": 100_000_000,
            "max_packet_msg_payload_size": 32_768,
            "persistent_peers_max_dial_period": "5s",
        },
        "mempool": {
            "recheck": True,
            "size": WAITING_ENTRIES_MAX,
            "max_txs_bytes": WAITING_BYTES_MAX,
            "max_tx_bytes": ENTRY_BYTES_MAX,
        },
        "consensus": {
            "timeout_propose": f"{PROPOSE_TIMEOUT_MS}ms",
            "timeout_propose_delta": "250ms",
            "timeout_prevote": "500ms",
            "timeout_precommit": "500ms",
            "timeout_commit": f"{BETWEEN_BLOCKS_MS}ms",
            "skip_timeout_commit": False,
            "create_empty_blocks": True,
            "create_empty_blocks_interval": f"{EMPTY_BLOCKS_MS}ms",
            "peer_gossip_sleep_duration": "10ms",
        },
        "tx_index": {"indexer": "null"},
    }
    lines = ["# Written by the node at each start; change node.toml instead."]
    for name, values in sections.items():
        lines += ["", f"[{name}]"] if name else []
        # Of texts, numbers and booleans JSON is TOML, too.
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _genesis(ledger: Ledger) -> dict[str, Any]:
    registry = ledger.registry
    records = [registry.member(each) for each in registry.epoch.validators]
    return {
        "genesis_time": rfc3339(ledger.genesis.time_ms + 1),
        "chain_id": ledger.chain_id,
        "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": str(BLOCK_MAX_BYTES), "max_gas": "-1"},
            "evidence": {
                "max_age_num_blocks": "1000000",
                "max_age_duration": str(48 * 3600 * 10**_NANOS_DIGITS),
                "max_bytes": "32768",
            },
            "validator": {"pub_key_types": ["ed25519"]},
            "version": {"app": str(ledger.genesis.rules)},
            "abci": {"vote_extensions_enable_height": "0"},
        },
        "validators": [
            {
                "address": engine_address(record.engine_key).hex().upper(),
                "pub_key": _public(record.engine_key),
                "power": str(VALIDATOR_POWER),
                "name": f"member {record.id}",
            }
            for record in records
            if record is not None and record.engine_key is not None
        ],
        "app_hash": "",
    }


def rfc3339(time_ms: int) -> str:
    """Return an instant as CometBFT writes it."""
    seconds = datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{seconds}.{time_ms % 1000:03}Z"


def _public(key: bytes) -> dict[str, str]:
    return {"type": "tendermint/PubKeyEd25519", "value": base64.b64encode(key).decode()}


def _private(key: SigningKey) -> dict[str, str]:
    value = base64.b64encode(key.export()).decode()
    return {"type": "tendermint/PrivKeyEd25519", "value": value}


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"
