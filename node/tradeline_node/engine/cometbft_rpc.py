"""A CometBFT process as its node asks it: JSON-RPC over a UNIX socket of this user's only."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tradeline_node.errors import BusyError, EngineError

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S: Final = 10.0
CONNECTIONS_MAX: Final = 4
ANSWER_BYTES_MAX: Final = 16 << 20
"""Of any answer; an answer that is cut off there does not decode."""
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
_CACHED: Final = "tx already exists in cache"
_FULL: Final = "mempool is full"
_BEHIND: Final = "catching up"


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of an entry that was offered."""

    known: bool
    """The engine has it, or had it a short while ago; the rest says nothing then."""
    admitted: bool
    outcome: int
    """Number of an `Outcome`."""
    detail: str


@dataclass(frozen=True, slots=True)
class SyncInfo:
    """How far an engine is."""

    height: int
    """Last block committed."""
    catching_up: bool
    """Whether it fetches old blocks and takes no part in deciding."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an engine and the peers that it is connected to are."""

    height: int
    """Last block committed."""
    peers: tuple[int, ...]
    """Height that each peer works at, which is one more than it has committed."""


class CometBftRpc:
    """Asks one CometBFT process. Any thread may; nothing stays open between two questions."""

    def __init__(self, path: Path) -> None:
        """Ask at the socket `path`; nothing is sent yet."""
        self._path = path
        self._slots = BoundedSemaphore(CONNECTIONS_MAX)

    def offer(self, entry: bytes) -> Checked:
        """
        Offer an entry and return what its check said.

        Raises:
            BusyError: too many wait, or the engine is not up to date itself.
            EngineError: the engine does not answer, or not as it should.
        """
        # A form is read once by the engine; JSON of some hundred kilobytes it parses three times.
        answer = self._post("/broadcast_tx_sync", b"tx=0x" + entry.hex().encode("ascii"), _FORM)
        error = answer.get("error")
        if error is not None:
            said = f"{error.get('message', '')} {error.get('data', '')}"
            if _CACHED in said:
                return Checked(known=True, admitted=True, outcome=0, detail="")
            if _FULL in said:
                raise BusyError("the engine has as many entries waiting as it takes; try later")
            if _BEHIND in said:
                raise BusyError("the engine fetches old blocks yet; try later")
            raise EngineError(f"the engine refuses an entry: {said[:200]}")
        try:
            result = answer["result"]
            outcome = int.from_bytes(bytes.fromhex(result["data"]), "big")
            return Checked(
                known=False, admitted=result["code"] == 0, outcome=outcome, detail=result["log"]
            )
        except (KeyError, TypeError, ValueError) as malformed:
            raise EngineError(f"the engine answers without {malformed}") from malformed

    def sync_info(self) -> SyncInfo:
        """
        Return how far the engine is.

        Raises:
            EngineError: it does not answer, or not as it should.
        """
        info = self._result("status", {})["sync_info"]
        return SyncInfo(int(info["latest_block_height"]), bool(info["catching_up"]))

    def progress(self) -> Progress:
        """
        Return how far the engine and its peers are.

        Raises:
            EngineError: it does not answer, or not as it should.
        """
        height = self.sync_info().height
        peers = self._result("dump_consensus_state", {}).get("peers") or []
        try:
            heights = [int(each["peer_state"]["round_state"]["height"]) for each in peers]
        except (KeyError, TypeError, ValueError) as malformed:
            raise EngineError(f"the engine tells of a peer without {malformed}") from malformed
        return Progress(height, tuple(heights))

    def waiting(self) -> tuple[int, int]:
        """
        Return how many entries wait in the engine's pool, and their bytes.

        Raises:
            EngineError: it does not answer, or not as it should.
        """
        result = self._result("num_unconfirmed_txs", {})
        return int(result["n_txs"]), int(result["total_bytes"])

    def peers(self) -> list[str]:
        """
        Return the ids of the peers that it is connected to.

        Raises:
            EngineError: it does not answer, or not as it should.
        """
        return sorted(each["node_info"]["id"] for each in self._result("net_info", {})["peers"])

    def evidence_hashes(self, first: int, last: int) -> dict[int, str]:
        """
        Return by height what the headers of blocks say of reports in them, 20 heights at most.

        Blocks that the engine has no more are left out.

        Raises:
            EngineError: it does not answer, or not as it should.
        """
        result = self._result("blockchain", {"minHeight": str(first), "maxHeight": str(last)})
        try:
            headers = [each["header"] for each in result["block_metas"]]
            return {int(each["height"]): str(each["evidence_hash"]) for each in headers}
        except (KeyError, TypeError, ValueError) as malformed:
            raise EngineError(f"the engine answers without {malformed}") from malformed

    def block_evidence(self, height: int) -> list[dict[str, Any]]:
        """
        Return the reports of misbehavior in a block, as the engine writes them in JSON.

        Raises:
            EngineError: it does not answer, or not as it should.
        """
        result = self._result("block", {"height": str(height)})
        try:
            reports = result["block"]["evidence"]["evidence"]
            return [each for each in reports or () if isinstance(each, dict)]
        except (KeyError, TypeError) as malformed:
            raise EngineError(f"the engine answers without {malformed}") from malformed

    def _result(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        answer = self._ask(method, params)
        if not isinstance(answer.get("result"), dict):
            raise EngineError(f"the engine answers {method} with {str(answer)[:200]}")
        result: dict[str, Any] = answer["result"]
        return result

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return self._post("/", msgspec.json.encode(request), _JSON)

    def _post(self, target: str, body: bytes, content_type: str) -> dict[str, Any]:
        try:
            with self._slots, closing(_UnixConnection(self._path)) as connection:
                connection.request("POST", target, body, {"content-type": content_type})
                content = connection.getresponse().read(ANSWER_BYTES_MAX)
            decoded: dict[str, Any] = msgspec.json.decode(content, type=dict[str, Any])
        except (OSError, HTTPException, msgspec.MsgspecError) as error:
            raise EngineError(f"the engine does not answer: {type(error).__name__}") from error
        return decoded


class _UnixConnection(HTTPConnection):
    """HTTP over a UNIX socket, which it closes also when nobody listens there."""

    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        connected = socket.socket(socket.AF_UNIX)
        try:
            connected.settimeout(self.timeout)
            connected.connect(str(self._path))
        except OSError:
            connected.close()
            raise
        self.sock = connected
