"""
What nodes are run from, and what is said once they run: member folders, sockets, the ready file.

`tradeline_node.serving` serves them. This module stays without a web server, which takes longer
to import than all else: processes that only start others need none.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradeline_ledger.member_files import NODE_CONFIG_NAME
from tradeline_node.config import Config, load_config
from tradeline_node.durable import write_file
from tradeline_node.engine.local import DRIVER as LOCAL
from tradeline_node.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BACKLOG: Final = 512
INPUT_BYTES_READ: Final = 4096
"""At once of a standard input that is only watched for its end."""


@dataclass(frozen=True, slots=True)
class Running:
    """What is announced once every node answers."""

    member: int
    name: str
    url: str
    folder: Path


def member_folders(folder: Path) -> list[Path]:
    """
    Return the member folders of `folder`: itself, or those directly below it that have a node.

    Raises:
        ConfigError: there is none.
    """
    if (folder / NODE_CONFIG_NAME).is_file():
        return [folder]
    found = sorted(file.parent for file in folder.glob(f"*/{NODE_CONFIG_NAME}"))
    if not found:
        raise ConfigError(
            f"{folder} has no {NODE_CONFIG_NAME}, nor has a folder directly below it; make one "
            "with `tradeline testnet init`"
        )
    return found


def load_configs(
    folder: Path, environment: Mapping[str, str], flags: Sequence[str]
) -> list[Config]:
    """
    Return the configuration of every node of `folder`, by member id, checked against each other.

    Raises:
        ConfigError: one is wrong, or two can't run in one process.
    """
    configs = [load_config(each, environment, flags) for each in member_folders(folder)]
    configs.sort(key=lambda each: each.node.member)
    for what in ("node.member", "http.port"):
        values = [each.values()[what] for each in configs]
        if len(set(values)) != len(values):
            raise ConfigError(
                f"{folder}: two nodes have the same {what}; a flag or the environment sets it for "
                "all of them, node.toml for each"
            )
    first = configs[0]
    for each in configs[1:]:
        if each.engine.driver != first.engine.driver:
            raise ConfigError(
                f"{each.folder}: engine.driver must be that of {first.folder}, whose ledger it is"
            )
        if first.engine.driver != LOCAL:
            continue
        if (each.engine, each.publish.slot_ms) != (first.engine, first.publish.slot_ms):
            raise ConfigError(
                f"{each.folder}: [engine] and publish.slot_ms must be those of {first.folder}, "
                "since one engine drives both"
            )
    return configs


def stop_with_input() -> None:
    """Have this process told to end, by SIGTERM, when its standard input ends."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), INPUT_BYTES_READ):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="input", daemon=True).start()


def write_ready(path: Path, running: Sequence[Running]) -> None:
    """Write the file that tells scripts where the nodes are: JSON, complete once it is there."""
    nodes = [
        {"member": each.member, "name": each.name, "url": each.url, "folder": str(each.folder)}
        for each in running
    ]
    document = json.dumps({"pid": os.getpid(), "nodes": nodes}, indent=2) + "\n"
    write_file(path, document.encode())


def listen(config: Config) -> socket.socket:
    """
    Return a socket that listens, so that a taken port is found before anything is opened.

    Raises:
        ConfigError: the port is taken, or the address is not this machine's.
    """
    host, port = config.http.host, config.http.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    own = socket.socket(family)
    try:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it: else header and body, sent apart, wait 40 ms for each other.
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        own.bind((host, port))
        own.listen(BACKLOG)
    except OSError as error:
        own.close()
        raise ConfigError(
            f"{config.node.name} can't listen on {host} port {port}: {error.strerror}; end what "
            f"uses it, or set http.port in {config.folder / NODE_CONFIG_NAME}"
        ) from error
    own.setblocking(False)  # noqa: FBT003  the library's own signature
    return own
