"""
The CometBFT process of one node: started with fresh settings, watched, and started again.

It ends by itself, with exit code 0, when the application goes away or answers with an exception;
so an end is never taken for a wish. Between starts it waits longer and longer.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Final

from tradeline_node.engine.cometbft_home import Wiring, write_home, write_keys
from tradeline_node.engine.cometbft_rpc import CometBftRpc
from tradeline_node.errors import ConfigError, EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import BinaryIO

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.signing import SigningKey
    from tradeline_node.logs import Log

VERSION: Final = "0.39.4"
READY_S: Final = 60.0
STOP_S: Final = 10.0
BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
STEADY_S: Final = 30.0
"""After running for so long, the next wait begins short again."""
LOG_NAME: Final = "engine.log"
LOG_BYTES_MAX: Final = 32 << 20
"""After which the log is begun anew at the next start, the old one kept beside."""
LOG_TAIL_CHARS: Final = 400
_POLL_S: Final = 0.02


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
        *,
        validator: SigningKey,
        peer: SigningKey,
        runtime: Path,
        listen: str,
        external: str,
        peers: Sequence[str],
        moniker: str,
        log: Log,
    ) -> None:
        """Use sockets in `runtime`, a folder of this user's only; nothing is started yet."""
        self._binary, self._home, self._ledger = binary, home, ledger
        self._validator, self._peer = validator, peer
        self._moniker, self._log = moniker, log
        self.wiring = Wiring(
            application=runtime / "abci",
            rpc=runtime / "rpc",
            listen=listen,
            external=external,
            peers=tuple(peers),
            keys=runtime / "keys",
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self.failure: str | None = None
        """Why it is not started again, None while it is or runs."""
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Process id, None while there is no process."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """
        Start the process and return once its RPC answers, so its application is up to date.

        Raises:
            ConfigError: the binary is missing or another version.
            EngineError: it does not come up in `READY_S`.
        """
        check_binary(self._binary)
        self._stopping.clear()
        self._ready.clear()
        self.failure = None
        self._thread = threading.Thread(target=self._watch, name="cometbft", daemon=True)
        self._thread.start()
        if not self._ready.wait(READY_S):
            self.stop()
            raise EngineError(f"the engine did not come up within {READY_S:.0f} s:{self.tail()}")
        if self.failure is not None:
            raise EngineError(self.failure)

    def stop(self) -> None:
        """End the process, by force if it takes longer than `STOP_S`. Safe to call twice."""
        self._stopping.set()
        _end(self._process)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def tail(self) -> str:
        """Return the end of the engine's log, for a message."""
        try:
            text = (self._home / LOG_NAME).read_bytes()[-LOG_TAIL_CHARS:].decode(errors="replace")
        except OSError:
            return " it wrote no log"
        return f" …{text.strip()}" if text.strip() else " it said nothing"

    def _watch(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                self._run_once()
            except Exception as error:  # noqa: BLE001  the boundary of the thread
                self.failure = f"the engine can't be started: {error}"
                self._log.error("engine can't be started", reason=str(error))
                self._ready.set()
                return
            if self._stopping.is_set():
                return
            failures = 0 if time.monotonic() - started > STEADY_S else failures + 1
            wait_s = BACKOFF_S[min(failures, len(BACKOFF_S)) - 1] if failures else BACKOFF_S[0]
            self._log.warning("engine ended, it is started again", wait_s=wait_s, tail=self.tail())
            self.restarts += 1
            self._stopping.wait(wait_s)

    def _run_once(self) -> None:
        """Run the process until it ends."""
        write_home(self._home, self._ledger, self.wiring, self._moniker)
        self.wiring.rpc.unlink(missing_ok=True)
        command = [str(self._binary), "start", "--home", str(self._home)]
        try:
            write_keys(self.wiring.keys, self._validator, self._peer)
            with self._open_log() as log:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._home
                )
            ready = self._wait_ready(self._process)
        finally:
            shutil.rmtree(self.wiring.keys, ignore_errors=True)
        if ready:
            self._ready.set()
        self._process.wait()

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> bool:
        rpc = CometBftRpc(self.wiring.rpc)
        while process.poll() is None and not self._stopping.is_set():
            if self.wiring.rpc.exists():
                try:
                    rpc.sync_info()
                except EngineError:
                    pass
                else:
                    return True
            time.sleep(_POLL_S)
        if self._stopping.is_set():
            _end(process)
        return False

    def _open_log(self) -> BinaryIO:
        path = self._home / LOG_NAME
        if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
            path.replace(path.with_suffix(".log.old"))
        return path.open("ab")


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
