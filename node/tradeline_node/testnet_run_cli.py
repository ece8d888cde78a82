"""The commands that run a network on one machine: `tradeline testnet up|down|status|logs`."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tradeline_node.testnet_cli import (
    DEFAULT_BASE_PORT,
    DEFAULT_FOLDER,
    DEFAULT_NODES,
    init,
    testnet,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_node.testnet import Testnet

__all__ = ["testnet"]

TAIL_LINES: Final = 20
FOLLOW_S: Final = 0.3

Dir = Annotated[Path, typer.Option("--dir", help="Folder of the network, one folder a member.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="File with the passphrase of all keystores, if node.toml has none.",
    ),
]
EndWithInput = Annotated[
    bool,
    typer.Option(
        "--end-with-input",
        help="End, too, when standard input ends, as it does with whoever holds its other end.",
    ),
]


@testnet.command("up")
def up(
    *,
    folder: Dir = DEFAULT_FOLDER,
    nodes: Annotated[
        int, typer.Option(min=1, max=16, help="Validators to found, if the folder is not there.")
    ] = DEFAULT_NODES,
    base_port: Annotated[
        int, typer.Option(help="Port of the first node to found, engines 100 above.")
    ] = DEFAULT_BASE_PORT,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once all serve, and leave them running.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write URLs and process ids there, as JSON, once all serve.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False,
    end_with_input: EndWithInput = False,
) -> None:
    """
    Start every node of a network, each with an application, an engine and an HTTP process.

    A network that is not there yet is founded first, as by `tradeline testnet init`.
    Without --detach they end with this command, by Ctrl-C or SIGTERM.
    """
    from tradeline_node.run import stop_with_input, write_ready  # noqa: PLC0415

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    if end_with_input:
        stop_with_input()
    if not folder.exists():
        init(folder=folder, nodes=nodes, base_port=base_port)
    net = _net(folder)
    running = net.start(passphrase_file, detach=detach)
    if ready_file is not None:
        write_ready(ready_file, running)
    if as_json:
        rows = [
            {"name": each.name, "member": each.member, "url": each.url, "folder": str(each.folder)}
            for each in running
        ]
        typer.echo(json.dumps({"nodes": rows}, indent=2))
    else:
        _print_table(
            ("node", "URL", "folder"),
            [(each.name, each.url, str(each.folder)) for each in running],
        )
        _print_next(folder, running[0].folder, detach=detach)
    if detach:
        return
    try:
        net.wait(stopping.is_set)
    finally:
        net.stop()
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


@testnet.command("down")
def down(folder: Dir = DEFAULT_FOLDER) -> None:
    """End every node of a network; what they keep stays."""
    ended = _net(folder).stop()
    typer.echo(f"ended {', '.join(ended)}" if ended else "no node was running")


@testnet.command("status")
def status(
    *,
    folder: Dir = DEFAULT_FOLDER,
    passphrase_file: PassphraseFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False,
) -> None:
    """Show how each node of a network does; exit code 1 if one is not ready."""
    found = _net(folder).status(passphrase_file)
    if as_json:
        typer.echo(json.dumps({"nodes": [each.to_json() for each in found]}, indent=2))
    else:
        rows = []
        for each in found:
            size = str(each.checkpoint["size"]) if each.checkpoint else "-"
            root = each.checkpoint["root"][:16] if each.checkpoint else "-"
            pids = " ".join(str(pid or "-") for pid in each.pids.values()) or "-"
            height = "-" if each.height is None else str(each.height)
            rows.append((each.name, "yes" if each.ready else "no", height, size, root, pids))
        _print_table(
            ("node", "ready", "height", "checkpoint", "root", "application engine http"), rows
        )
        for each in found:
            if each.reason:
                typer.echo(f"{each.name}: {each.reason}")
    if not all(each.ready for each in found):
        raise typer.Exit(1)


@testnet.command("logs")
def logs(
    nodes: Annotated[list[str] | None, typer.Argument(metavar="[NODE]...")] = None,
    *,
    folder: Dir = DEFAULT_FOLDER,
    lines: Annotated[int, typer.Option(min=1, max=10_000, help="Of each file.")] = TAIL_LINES,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Show the last lines of the nodes' logs, of all or those named."""
    files = _net(folder).logs(nodes or ())
    ends: dict[Path, int] = {}
    for file in files:
        with file.open(errors="replace") as opened:
            for line in deque(opened, lines):
                _print_line(file, line)
            ends[file] = opened.tell()
    while follow:
        time.sleep(FOLLOW_S)
        for file, end in ends.items():
            with file.open(errors="replace") as opened:
                opened.seek(end)
                for line in opened:
                    _print_line(file, line)
                ends[file] = opened.tell()


def _net(folder: Path) -> Testnet:
    from tradeline_node.testnet import Testnet  # noqa: PLC0415  start-up stays fast

    return Testnet(folder, os.environ)


def _print_line(file: Path, line: str) -> None:
    typer.echo(f"{file.parents[1].name}/{file.stem}  {line.rstrip()}")


def _print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells: list[Any] = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())


def _print_next(folder: Path, first: Path, *, detach: bool) -> None:
    end = f"tradeline testnet down --dir {folder}" if detach else "Ctrl-C ends all nodes"
    typer.echo(
        "next:\n"
        f"  tradeline testnet status --dir {folder}\n"
        f"  tradeline node doctor {first} --peers\n"
        f"  {end}"
    )
