"""
The configuration of one node: `node.toml`, with where each value came from.

A value comes from a flag (`--set http.port=7102`), else the environment
(`TRADELINE_NODE_HTTP_PORT=7102`), else the file, else its default. What is not known is an error
that names the nearest key. Secrets are never values here: keys and passphrase are named by file.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from tradeline_ledger.member_files import GENESIS_NAME, NODE_CONFIG_NAME, NODE_KEYS_NAME
from tradeline_node.errors import ConfigError

ENVIRONMENT_PREFIX: Final = "TRADELINE_NODE_"
CONFIG_BYTES_MAX: Final = 256 * 1024
TEXT_CHARS_MAX: Final = 1024

_DEFAULT: Final = "default"
_OWN_ADDRESSES: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  read, not listened on


def _setting(default: Any, about: str, **limits: Any) -> Any:
    """Return a field of a section; `limits` are low and high with unit, choices, or chars."""
    return field(default=default, metadata={"about": about, **limits})


@dataclass(frozen=True)
class NodeSection:
    """`[node]`: whose node this is and where its files are."""

    member: int = _setting(0, "member id of the node's owner", low=1, high=2**32 - 1)
    name: str = _setting("node", "short name, shown in logs and tables")
    genesis: str = _setting(GENESIS_NAME, "genesis file, relative to this file")
    keys: str = _setting(NODE_KEYS_NAME, "encrypted keystore, relative to this file")
    passphrase_file: str = _setting("", "file with the keystore's passphrase; empty: asked for")


@dataclass(frozen=True)
class HttpSection:
    """`[http]`: the interface that members use."""

    host: str = _setting("127.0.0.1", "address to listen on")
    port: int = _setting(7101, "port to listen on", low=1, high=65535)
    requests_per_second: int = _setting(
        500, "of one member, on average", low=1, high=100_000, unit="requests/s"
    )
    requests_burst: int = _setting(
        1000, "of one member, at once", low=1, high=1_000_000, unit="requests"
    )
    anonymous_per_second: int = _setting(
        100, "of one address without a signature", low=1, high=100_000, unit="requests/s"
    )
    streams_max: int = _setting(64, "event streams at a time", low=1, high=10_000)
    waits_max: int = _setting(512, "requests that wait for a statement", low=1, high=100_000)
    body_timeout_ms: int = _setting(
        30_000, "for receiving one body", low=100, high=600_000, unit="ms"
    )
    stop_timeout_ms: int = _setting(
        5_000, "for open requests when the node stops", low=0, high=600_000, unit="ms"
    )


@dataclass(frozen=True)
class LogSection:
    """`[log]`: who reads the ledger's log, and the node's own diary."""

    access: str = _setting("members", "who reads the log", choices=("members", "public"))
    level: str = _setting(
        "info", "least level that is written", choices=("debug", "info", "warning", "error")
    )
    format: str = _setting(
        "auto", "auto: json unless a terminal reads it", choices=("auto", "json", "pretty")
    )


@dataclass(frozen=True)
class EngineSection:
    """`[engine]`: the ordering engine; `local` is alike on all nodes of one process."""

    driver: str = _setting("local", "engine", choices=("local", "cometbft"))
    block_ms: int = _setting(50, "time between blocks of local", low=1, high=60_000, unit="ms")
    block_entries_max: int = _setting(1000, "entries of one block of local", low=1, high=100_000)
    home: str = _setting("engine", "folder of cometbft, relative to this file")
    binary: str = _setting(
        "", "cometbft; empty: TRADELINE_COMETBFT, this checkout's engine/bin/cometbft, or the path"
    )
    p2p_host: str = _setting("127.0.0.1", "address where cometbft listens for its peers")
    p2p_port: int = _setting(26656, "port where cometbft listens for its peers", low=1, high=65535)
    peers: str = _setting(
        "", "id@host:port of cometbft's peers, by commas; empty: the registry's", chars=8192
    )


@dataclass(frozen=True)
class PublishSection:
    """`[publish]`: signing checkpoints and gathering the cosignatures of the others."""

    slot_ms: int = _setting(
        100, "block time between checkpoints; alike on all nodes", low=10, high=60_000, unit="ms"
    )
    peer_timeout_ms: int = _setting(
        3_000, "for one answer of another node", low=10, high=60_000, unit="ms"
    )
    kept_lines: int = _setting(10_000, "own checkpoints kept for the others", low=10, high=2**31)
    compare_ms: int = _setting(
        5_000, "between comparing the checkpoints of all others", low=10, high=600_000, unit="ms"
    )


@dataclass(frozen=True)
class WitnessSection:
    """`[witness]`: cosigning other logs here, and having this one cosigned by outsiders."""

    logs: str = _setting("", "folder of *.policy, one for each log to cosign; empty: none")
    name: str = _setting("", "key name of cosignatures of other logs; empty: made of the own log's")
    outside: str = _setting("", "policy file of the outside witnesses to ask; empty: none")
    ask_ms: int = _setting(
        5_000, "between asking outside witnesses to cosign", low=10, high=600_000, unit="ms"
    )
    timeout_ms: int = _setting(
        5_000, "for one answer of an outside witness", low=10, high=60_000, unit="ms"
    )


@dataclass(frozen=True)
class StorageSection:
    """`[storage]`: where data is kept, and how much."""

    ledger: str = _setting("ledger", "RocksDB of the ledger, relative to this file")
    custody: str = _setting("custody", "attachments, relative to this file")
    outbox: str = _setting("outbox.sqlite", "entries on their way, relative to this file")
    published: str = _setting("published.sqlite", "own signatures, relative to this file")
    evidence: str = _setting("evidence", "evidence files, relative to this file")
    witnessed: str = _setting("witnessed.sqlite", "other logs cosigned, relative to this file")
    custody_quota_mib: int = _setting(
        4096, "attachments of one member", low=1, high=2**31, unit="MiB"
    )
    sweep_ms: int = _setting(
        60_000, "until what could not be erased is tried again", low=100, high=86_400_000, unit="ms"
    )


@dataclass(frozen=True)
class Config:
    """One node's configuration, checked; made by `load_config`."""

    folder: Path
    """Folder of node.toml; the file names in it are relative to it."""
    node: NodeSection
    http: HttpSection
    log: LogSection
    engine: EngineSection
    publish: PublishSection
    witness: WitnessSection
    storage: StorageSection
    origins: Mapping[str, str]
    """Where each value came from, by its key: flag, environment, file or default."""

    def path(self, name: str) -> Path:
        """Return the path of a file that the configuration names."""
        return (self.folder / name).resolve()

    def url(self, *, tls: bool) -> str:
        """Return where the node itself is asked on its own machine."""
        host = _OWN_ADDRESSES.get(self.http.host, self.http.host)
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if tls else 'http'}://{shown}:{self.http.port}"

    def values(self) -> dict[str, Any]:
        """Return every value by its key, such as `http.port`."""
        return {
            f"{section}.{each.name}": getattr(getattr(self, section), each.name)
            for section, type_ in _SECTIONS.items()
            for each in dataclasses.fields(type_)
        }


_SECTIONS: Final[dict[str, Any]] = {
    "node": NodeSection,
    "http": HttpSection,
    "log": LogSection,
    "engine": EngineSection,
    "publish": PublishSection,
    "witness": WitnessSection,
    "storage": StorageSection,
}
_FIELDS: Final = {
    f"{section}.{each.name}": each
    for section, type_ in _SECTIONS.items()
    for each in dataclasses.fields(type_)
}
KEYS: Final = tuple(_FIELDS)
"""Every key, such as `http.port`."""


def load_config(folder: Path, environment: Mapping[str, str], flags: Iterable[str] = ()) -> Config:
    """
    Return the configuration of the member folder `folder`.

    `flags` are texts `key=value`, the strongest; `environment` is the process's.

    Raises:
        ConfigError: no file, not TOML, an unknown key, or a value out of its bounds.
    """
    file = folder / NODE_CONFIG_NAME
    given = {key: (value, f"file {file}") for key, value in _read_file(file).items()}
    for key in KEYS:
        name = ENVIRONMENT_PREFIX + key.upper().replace(".", "_")
        if name in environment:
            given[key] = (
                _parse(key, environment[name], f"environment {name}"),
                f"environment {name}",
            )
    _check_environment(environment)
    for flag in flags:
        key, equals, text = flag.partition("=")
        if not equals:
            raise ConfigError(f"--set {flag!r} is not KEY=VALUE, such as http.port=7102")
        _check_key(key, "--set")
        given[key] = _parse(key, text, f"--set {key}"), "flag --set"
    if "node.member" not in given:
        raise ConfigError(f"{file}: node.member is missing; write the member id of its owner")
    values = {key: _check(key, value, origin) for key, (value, origin) in given.items()}
    sections = {
        section: type_(
            **{
                key.removeprefix(section + "."): value
                for key, value in values.items()
                if key.startswith(section + ".")
            }
        )
        for section, type_ in _SECTIONS.items()
    }
    origins = {key: given[key][1] if key in given else _DEFAULT for key in KEYS}
    return Config(folder.resolve(), **sections, origins=origins)


def encode_config(values: Mapping[str, Any]) -> str:
    """Return a node.toml that sets `values` and explains them; the rest keeps its default."""
    lines = ["# One node of a ledger. `tradeline node config show` lists every key and its origin."]
    for section in _SECTIONS:
        keys = [key for key in KEYS if key.startswith(section + ".") and key in values]
        if keys:
            lines += ["", f"[{section}]"]
        for key in keys:
            value = values[key]
            text = json.dumps(value, ensure_ascii=False)  # of texts and numbers it is TOML, too
            lines.append(f"{key.partition('.')[2]} = {text}  # {_FIELDS[key].metadata['about']}")
    return "\n".join(lines) + "\n"


def describe(key: str) -> str:
    """Return what a key is about, with bounds and unit."""
    limits = _FIELDS[key].metadata
    if "choices" in limits:
        return f"{limits['about']}; one of {', '.join(limits['choices'])}"
    if "low" in limits:
        unit = f" {limits['unit']}" if "unit" in limits else ""
        return f"{limits['about']}; {limits['low']} to {limits['high']}{unit}"
    return str(limits["about"])


def _read_file(file: Path) -> dict[str, Any]:
    try:
        encoded = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{file} can't be read: {error.strerror}; name a member folder, or make one with "
            "`tradeline testnet init`"
        ) from error
    if len(encoded) > CONFIG_BYTES_MAX:
        raise ConfigError(f"{file} has {len(encoded)} bytes, at most {CONFIG_BYTES_MAX} allowed")
    try:
        table = tomllib.loads(encoded.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error
    values: dict[str, Any] = {}
    for section, content in table.items():
        if not isinstance(content, dict):
            _check_key(section, str(file))
        for name, value in cast("dict[str, Any]", content).items():
            key = f"{section}.{name}"
            _check_key(key, str(file))
            values[key] = value
    return values


def _check_key(key: str, where: str) -> None:
    if key not in _FIELDS:
        nearest = difflib.get_close_matches(key, KEYS, 1, 0)
        raise ConfigError(f"{where}: unknown key {key!r}; did you mean {nearest[0]!r}?")


def _check_environment(environment: Mapping[str, str]) -> None:
    known = {ENVIRONMENT_PREFIX + key.upper().replace(".", "_") for key in KEYS}
    for name in environment:
        if name.startswith(ENVIRONMENT_PREFIX) and name not in known:
            nearest = difflib.get_close_matches(name, sorted(known), 1, 0)
            raise ConfigError(f"environment: unknown key {name!r}; did you mean {nearest[0]!r}?")


def _parse(key: str, text: str, where: str) -> Any:
    """Return the value that a text from flag or environment stands for."""
    if not isinstance(_FIELDS[key].default, int):
        return text
    try:
        return int(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {text!r} is no number; {key} is {describe(key)}") from error


def _check(key: str, value: Any, where: str) -> Any:
    limits = _FIELDS[key].metadata
    expected = type(_FIELDS[key].default)
    wrong = ConfigError(f"{where}: {key} is {value!r}, expected {describe(key)}")
    if type(value) is not expected:
        raise wrong
    if "low" in limits and not limits["low"] <= value <= limits["high"]:
        raise wrong
    if "choices" in limits and value not in limits["choices"]:
        raise wrong
    if isinstance(value, str) and len(value) > limits.get("chars", TEXT_CHARS_MAX):
        raise wrong
    return value
