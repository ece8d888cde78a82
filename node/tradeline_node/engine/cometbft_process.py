"""
The CometBFT process of one node, started with fresh settings and keys that are there for the start.

It ends by itself, with exit code 0, when the application goes away or answers with an exception;
so an end is never taken for a wish.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradeline_node.engine.cometbft_home import write_home, write_keys
from tradeline_node.engine.cometbft_rpc import CometBftRpc
from tradeline_node.errors import ConfigError, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.signing import SigningKey
    from tradeline_node.engine.cometbft_home import Wiring

VERSION: Final = "0.39.4"
BINARY_VARIABLE: Final = "TRADELINE_COMETBFT"
STOP_S: Final = 10.0
LOG_TAIL_CHARS: Final = 400
_POLL_S: Final = 0.02


def find_binary(named: str, folder: Path) -> Path:
    """
    Return where the engine's binary is: `named` relative to `folder`, else what the environment
    names, else what scripts/engine built in this checkout, else the first on the path.
    """
    if named:
        return (folder / named).resolve()
    given = os.environ.get(BINARY_VARIABLE)
    built = Path(__file__).parents[3] / "engine/bin/cometbft"
    found = shutil.which("cometbft")
    return Path(given) if given else built if built.exists() or found is None else Path(found)


def check_binary(binary: Path) -> None:
    """
    Accept the engine's binary if it is the version that this package drives.

    Raises:
        ConfigError: it is missing or another version.
    """
    try:
        answer = subprocess.run(
            [binary, "version"], capture_output=True, check=True, text=True, timeout=STOP_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(
            f"the engine {binary} can't be run: {error}; build it with scripts/engine, or name "
            "the binary as engine.binary in node.toml"
        ) from error
    found = answer.stdout.strip().partition("+")[0]
    if found != VERSION:
        raise ConfigError(
            f"the engine {binary} is version {found}, expected {VERSION}; build it with "
            "scripts/engine"
        )


class CometBftProcess:
    """Runs CometBFT in the folder `home` for one application."""

    def __init__(
        self,
        binary: Path,
        home: Path,
        ledger: Ledger,
        wiring: Wiring,
        *,
        validator: SigningKey,
        peer: SigningKey,
        moniker: str,
        log_file: Path,
    ) -> None:
        """Nothing is started yet; what the process says is added to `log_file`."""
        self._binary, self._home, self._ledger = binary, home, ledger
        self._wiring, self._moniker = wiring, moniker
        self._validator, self._peer = validator, peer
        self._log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, None while there is no process."""
        return self._process.pid if self._process is not None and self.runs() else None

    def runs(self) -> bool:
        """Return whether there is a process that has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, given_up: Callable[[], bool] = lambda: False) -> None:
        """
        Start the process and return once its RPC answers: its application is up to date by then.

        That takes as long as the application takes to execute what it lacks; until `given_up`.

        Raises:
            ConfigError: the binary is missing or another version.
            EngineError: it ended, or was given up.
        """
        check_binary(self._binary)
        write_home(self._home, self._ledger, self._wiring, self._moniker)
        self._wiring.rpc.unlink(missing_ok=True)
        command = [str(self._binary), "start", "--home", str(self._home)]
        try:
            write_keys(self._wiring.keys, self._validator, self._peer)
            with self._log_file.open("ab") as log:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._home
                )
            self._wait_ready(self._process, given_up)
        finally:
            shutil.rmtree(self._wiring.keys, ignore_errors=True)

    def stop(self) -> None:
        """End the process, by force if it takes longer than `STOP_S`. Safe to call twice."""
        if self._process is None or not self.runs():
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def tail(self) -> str:
        """Return the end of the engine's log, for a message."""
        try:
            text = self._log_file.read_bytes()[-LOG_TAIL_CHARS:].decode(errors="replace")
        except OSError:
            return "it wrote no log"
        return f"…{text.strip()}" if text.strip() else "it said nothing"

    def _wait_ready(self, process: subprocess.Popen[bytes], given_up: Callable[[], bool]) -> None:
        rpc = CometBftRpc(self._wiring.rpc)
        while process.poll() is None:
            if given_up():
                self.stop()
                raise EngineError("the engine was stopped while it started")
            if self._wiring.rpc.exists():
                try:
                    rpc.sync_info()
                except EngineError:
                    pass
                else:
                    return
            time.sleep(_POLL_S)
        raise EngineError(f"the engine ended at its start: {self.tail()}")
