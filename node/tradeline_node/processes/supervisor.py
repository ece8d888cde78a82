"""
Runs the three processes of a node: starts them in order, starts again what ends, ends all in order.

Application and engine are started again as a pair, since neither does anything without the other;
HTTP alone. What fails at the very first start is an error of the set-up and ends the node with its
message; later, nothing but a signal does.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradeline_node.catch_up_command import catch_up_before_engine
from tradeline_node.durable import FOLDER_MODE, remove_file, write_file
from tradeline_node.engine.cometbft_home import Wiring, sign_state
from tradeline_node.engine.cometbft_process import CometBftProcess, check_binary, find_binary
from tradeline_node.engine.cometbft_rpc import CometBftRpc
from tradeline_node.errors import ConfigError, EngineError, KeystoreError, NodeError
from tradeline_node.genesis_file import read_genesis
from tradeline_node.keystore import open_keystore
from tradeline_node.logs import node_log
from tradeline_node.processes.child import POLL_S, Backoff, Child
from tradeline_node.processes.orders import (
    APPLICATION_SOCKET,
    KEYS_FOLDER,
    RPC_SOCKET,
    Orders,
    Ready,
)
from tradeline_node.processes.vigil import Vigil
from tradeline_node.run import Running, listen
from tradeline_node.signing_hold import SigningHold
from tradeline_node.twin import check_alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tradeline_node.config import Config
    from tradeline_node.keystore import Keystore

RUNNING_NAME: Final = "running.json"
"""In the member folder while the node runs: process ids and URL."""
LOCK_NAME: Final = "node.lock"
LOGS_NAME: Final = "logs"
LOG_BYTES_MAX: Final = 32 << 20
"""After which a log is begun anew at the next start, the old one kept beside."""
STOP_S: Final = 10.0


def run_supervised(
    config: Config,
    settings: Sequence[str],
    passphrase: bytes,
    announce: Callable[[list[Running]], None],
) -> None:
    """
    Run one node beside which CometBFT orders, until SIGTERM or SIGINT.

    `announce` is called once all three processes do their work.

    Raises:
        NodeError: something is wrong with the set-up; nothing was changed.
    """
    keys = open_keystore(config.path(config.node.keys), passphrase)
    if keys.member != config.node.member:
        raise ConfigError(
            f"{config.path(config.node.keys)} holds the keys of member {keys.member}, node.member "
            f"is {config.node.member}; put the right keystore in place or correct node.toml"
        )
    check_binary(find_binary(config.engine.binary, config.folder))
    with _only_one(config), _runtime_folder() as runtime:
        check_ports(config)
        supervisor = Supervisor(config, settings, passphrase, keys, runtime)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: supervisor.end())
        supervisor.run(announce)


class Supervisor:
    """Runs application, engine and HTTP of one node; for the main thread, but for `end`."""

    def __init__(
        self,
        config: Config,
        settings: Sequence[str],
        passphrase: bytes,
        keys: Keystore,
        runtime: Path,
    ) -> None:
        """Use `runtime`, a new folder of this user's only, for sockets; nothing is started yet."""
        self._config, self._keys, self._runtime = config, keys, runtime
        self._ledger = read_genesis(config.path(config.node.genesis))
        self._log = node_log(config.node.name)
        self._ending = threading.Event()
        logs = config.folder / LOGS_NAME
        logs.mkdir(mode=FOLDER_MODE, exist_ok=True)
        self._log_files = {
            name: _log_file(logs / f"{name}.log") for name in ("application", "engine", "http")
        }
        plain = Orders(str(config.folder), tuple(settings), str(runtime))
        secret = Orders(str(config.folder), tuple(settings), str(runtime), passphrase)
        http_stop_s = STOP_S + config.http.stop_timeout_ms / 1000
        self._application = Child("application", plain, self._log_files["application"], STOP_S)
        self._http = Child("http", secret, self._log_files["http"], http_stop_s)
        self._engine: CometBftProcess | None = None
        self._hold = SigningHold(config.folder)
        self._hold.check_complete()
        self._held = False
        """Whether the engine was started with a key that casts no votes."""
        self._vigil = Vigil(CometBftRpc(runtime / RPC_SOCKET))
        self._url = ""

    def end(self) -> None:
        """Have `run` end all processes and return; from a signal handler, too."""
        self._ending.set()

    def run(self, announce: Callable[[list[Running]], None]) -> None:
        """
        Run the processes until `end` is called.

        Raises:
            NodeError: one can't do its work at the first start; all are ended.
        """
        try:
            try:
                self._start_pair()
                self._start_http()
            except NodeError:
                if not self._ending.is_set():
                    raise
                return
            name, folder = self._config.node.name, self._config.folder
            announce([Running(self._config.node.member, name, self._url, folder)])
            self._watch()
        finally:
            self._stop()

    def _watch(self) -> None:
        pair, http = Backoff(), Backoff()
        while not self._ending.wait(POLL_S):
            assert self._engine is not None, "started"
            if self._held and not self._hold.holds():
                self._log.info("the engine is started again with the validator's key")
                self._engine.stop()
            stands = self._vigil.gives_up() if self._engine.runs() else ""
            if stands:
                self._log.error("the engine takes no part in consensus any more", reason=stands)
                self._engine.stop()
            if not (self._application.runs() and self._engine.runs()):
                what = "engine" if self._application.runs() else "application"
                self._restart(what, pair, self._start_pair)
            if not self._http.runs():
                self._restart("http", http, self._start_http)

    def _restart(self, what: str, backoff: Backoff, start: Callable[[], None]) -> None:
        wait_s = backoff.wait_s()
        self._log.warning("a process ended, it is started again", kind=what)
        if self._ending.wait(wait_s):
            return
        backoff.started()
        try:
            start()
        except NodeError as error:
            if not self._ending.is_set():
                self._log.error("a process can't be started", kind=what, reason=str(error))
        self._write_running()

    def _start_pair(self) -> None:
        self._stop_pair()
        for name in (APPLICATION_SOCKET, RPC_SOCKET):
            (self._runtime / name).unlink(missing_ok=True)
        self._catch_up()
        ready = self._application.start(self._ending.is_set)
        self._check_keys(ready)
        if self._url == "":  # later it is the own HTTP process that answers there
            timeout_s = self._config.publish.peer_timeout_ms / 1000
            check_alone(ready.endpoint, self._keys, timeout_s)
        engine = self._config.engine
        self._held = self._hold.holds()
        if self._held:
            self._log.warning("the engine casts no votes", reason=self._hold.reason)
        self._engine = CometBftProcess(
            find_binary(engine.binary, self._config.folder),
            self._config.path(engine.home),
            self._ledger,
            self._wiring(ready),
            validator=self._hold.engine_key(self._keys.engine),
            peer=self._keys.peer,
            moniker=self._config.node.name,
            log_file=self._log_files["engine"],
        )
        self._engine.start(self._ending.is_set)
        self._vigil = Vigil(CometBftRpc(self._runtime / RPC_SOCKET))

    def _start_http(self) -> None:
        self._http.stop()
        self._url = self._http.start(self._ending.is_set).url
        self._write_running()

    def _catch_up(self) -> None:
        """
        Get the log in bulk where it, or what this validator has signed, is not here.

        Such a node must not vote before it knows how far the network is: it may have voted there.
        A network that starts for the first time shows nothing yet, and nothing is held.
        """
        signs = sign_state(self._config.path(self._config.engine.home)).exists()
        if signs and not self._hold.holds():
            return

        def look(_done: int, _all: int) -> None:
            if self._ending.is_set():
                raise EngineError("the node was stopped while it caught up")

        done = catch_up_before_engine(self._config, self._keys, self._log, progress=look)
        if done is not None and not self._hold.holds():
            self._hold.place("started without a trace of what it had signed, beside others")

    def _check_keys(self, ready: Ready) -> None:
        """Refuse to vote with a key that is another's, or to be a peer that nobody admits."""
        if ready.engine_key and ready.engine_key != self._keys.engine.public:
            raise KeystoreError(
                f"the engine key of the keystore is {self._keys.engine.public.hex()}, the registry "
                f"has {ready.engine_key.hex()} for member {self._keys.member}; use the keystore of "
                "this ledger, or have the key registered"
            )

    def _wiring(self, ready: Ready) -> Wiring:
        engine = self._config.engine
        given = tuple(each.strip() for each in engine.peers.split(",") if each.strip())
        listen_at = f"{engine.p2p_host}:{engine.p2p_port}"
        return Wiring(
            application=self._runtime / APPLICATION_SOCKET,
            rpc=self._runtime / RPC_SOCKET,
            listen=listen_at,
            external=ready.engine_peer.partition("@")[2] or listen_at,
            peers=given or ready.peers,
            keys=self._runtime / KEYS_FOLDER,
        )

    def _write_running(self) -> None:
        engine = self._engine.pid if self._engine is not None else None
        document = {
            "pid": os.getpid(),
            "member": self._config.node.member,
            "name": self._config.node.name,
            "url": self._url,
            "pids": {
                "application": self._application.pid,
                "engine": engine,
                "http": self._http.pid,
            },
        }
        encoded = json.dumps(document, indent=2).encode() + b"\n"
        try:
            write_file(self._config.folder / RUNNING_NAME, encoded)
        except OSError as error:  # a full disk must not end what runs
            self._log.error("running.json can't be written", reason=str(error.strerror))

    def _stop_pair(self) -> None:
        if self._engine is not None:
            self._engine.stop()
        self._application.stop()

    def _stop(self) -> None:
        self._http.stop()
        self._stop_pair()
        with contextlib.suppress(OSError):
            remove_file(self._config.folder / RUNNING_NAME)
        self._log.info("stopped")


@contextlib.contextmanager
def _only_one(config: Config) -> Iterator[None]:
    """Hold the member folder: two nodes in it would vote twice with one key."""
    handle = os.open(config.folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"{config.folder} is in use by another node; see {RUNNING_NAME} in it, and end "
                "that one first"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _runtime_folder() -> Iterator[Path]:
    """Make a folder for sockets, with a short name since theirs have 107 bytes at most."""
    folder = Path(tempfile.mkdtemp(prefix="tl-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_ports(config: Config) -> None:
    """
    Accept that the two ports are free.

    Raises:
        ConfigError: one is taken, or the address is not this machine's.
    """
    listen(config).close()
    host, port = config.engine.p2p_host, config.engine.p2p_port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"{config.node.name} can't listen for engines on {host} port {port}: "
                f"{error.strerror}; end what uses it, or set engine.p2p_port in node.toml"
            ) from error


def _log_file(path: Path) -> Path:
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_suffix(".log.old"))
    return path
