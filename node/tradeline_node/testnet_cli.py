"""`tradeline testnet init`: a consortium for a trial, founded by one party."""

from __future__ import annotations

import enum
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from tradeline_node.testnet_group import testnet

__all__ = ["testnet"]

DEFAULT_FOLDER: Final = Path("testnet")
DEFAULT_NODES: Final = 4
DEFAULT_BASE_PORT: Final = 7101
DEFAULT_UTC_OFFSET_MIN: Final = 480
DEFAULT_RETAIN_MONTHS: Final = 60
RETAIN_MONTHS_MAX: Final = 1_200
NAMES: Final = ("bank", "lender", "payment", "court")
"""Of the first validators; member N beyond them is `member-N`."""
OBSERVER_NAMES: Final = ("regulator", "auditor")
"""Of the first observers; observer K beyond them is `observer-K`."""

ContributorsOption = Annotated[
    str,
    typer.Option(
        help="Members without a node who submit and read through those of others, comma-separated."
    ),
]
RetainOption = Annotated[
    int,
    typer.Option(
        min=1,
        max=RETAIN_MONTHS_MAX,
        help="How long the ledger keeps what an event says, counted from its day; longer where old "
        "accounts are to be brought.",
    ),
]


class Engine(enum.StrEnum):
    """Drivers of the ordering engine."""

    LOCAL = "local"
    COMETBFT = "cometbft"


@testnet.command("init")
def init(
    *,
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="A new folder.")
    ] = DEFAULT_FOLDER,
    nodes: Annotated[int, typer.Option(min=1, max=16, help="Validators.")] = DEFAULT_NODES,
    members: Annotated[
        str, typer.Option(help="Names of the validators, comma-separated, in place of --nodes.")
    ] = "",
    observers: Annotated[
        int, typer.Option(min=0, max=64, help="Members whose nodes only replicate and verify.")
    ] = 0,
    without_node: Annotated[
        str, typer.Option(help="Members without a node, comma-separated, who only read the log.")
    ] = "",
    contributors: ContributorsOption = "",
    engine: Annotated[
        Engine, typer.Option(help="local orders in one process, cometbft between many.")
    ] = Engine.COMETBFT,
    base_port: Annotated[
        int,
        typer.Option(help="Port of the first node; the others follow, engines 100 above."),
    ] = DEFAULT_BASE_PORT,
    host: Annotated[
        str, typer.Option(help="Address of the nodes; one for all, or comma-separated one each.")
    ] = "127.0.0.1",
    name: Annotated[str, typer.Option(help="Name of the ledger.")] = "Tradeline trial",
    utc_offset_min: Annotated[
        int, typer.Option(help="Local time of the ledger's days, minutes east of UTC.")
    ] = DEFAULT_UTC_OFFSET_MIN,
    retain_months: RetainOption = DEFAULT_RETAIN_MONTHS,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            help="File with one passphrase for all keystores; else each member gets a random one, "
            "in the file `passphrase` of its folder.",
        ),
    ] = None,
) -> None:
    """Found a consortium for a trial: all keys, the genesis, and a folder for each member."""
    from tradeline_node.founding import Founding, found  # noqa: PLC0415  start-up stays fast
    from tradeline_node.keystore import read_passphrase  # noqa: PLC0415

    founding = Founding(
        name=name,
        members=_split(members) or _numbered(NAMES, "member", nodes),
        observers=_numbered(OBSERVER_NAMES, "observer", observers),
        nodeless=_split(without_node),
        base_port=base_port,
        utc_offset_min=utc_offset_min,
        time_ms=int(time.time() * 1000),
        engine=engine.value,
        hosts=_split(host),
        contributors=_split(contributors),
        retain_months=retain_months,
    )
    given = passphrase_file and read_passphrase(passphrase_file, "the new keystores")
    ledger = found(folder, founding, given or None)
    typer.echo(f"ledger  {ledger.ledger_id.hex()}")
    for record, slug in zip(ledger.registry.members, founding.slugs, strict=True):
        url = record.endpoint or "no node"
        typer.echo(f"member  {record.id}  {url:<22}  {folder / slug}")
    run = "node run" if engine is Engine.LOCAL else "testnet up --dir"
    typer.echo(f"next    tradeline {run} {folder}", err=True)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbered(names: tuple[str, ...], other: str, count: int) -> tuple[str, ...]:
    """Return `count` names: the given ones, then `other` with its number."""
    more = (f"{other}-{number}" for number in range(len(names) + 1, count + 1))
    return (*names[:count], *more)
