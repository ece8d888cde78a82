"""The node's part of `tradeline bench`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tradeline_ledger.measured import Measured

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

bench = typer.Typer(
    name="bench",
    help="Measure this machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@bench.command("apply")
def apply(
    *,
    events: Annotated[int, typer.Option(min=1_000, help="Events to apply.")] = 500_000,
    as_json: Json = False,
) -> None:
    """One node applying sealed entries: executed, durable and indexed."""
    from tradeline_node.bench.apply import measure_apply  # noqa: PLC0415 - start-up stays fast

    _print(measure_apply(events), as_json=as_json)


@bench.command("catch-up")
def catch_up(
    *,
    events: Annotated[int, typer.Option(min=1_000, help="Events of the log.")] = 1_000_000,
    as_json: Json = False,
) -> None:
    """One node fetching a log from another over TLS: proved, executed, durable and indexed."""
    from tradeline_node.bench.catch_up import measure_catch_up  # noqa: PLC0415

    _print(measure_catch_up(events), as_json=as_json)


@bench.command("custody")
def custody(
    *,
    events: Annotated[int, typer.Option(min=1_000, help="Events to take.")] = 100_000,
    as_json: Json = False,
) -> None:
    """One node taking attachments: checked, stored durably, receipted."""
    from tradeline_node.bench.custody import measure_custody  # noqa: PLC0415 - start-up stays fast

    _print(measure_custody(events), as_json=as_json)


@bench.command("growth")
def growth(
    *,
    events: Annotated[
        int, typer.Option(min=4_000, help="Events in all; 10000000 for the whole of it.")
    ] = 2_000_000,
    as_json: Json = False,
) -> None:
    """Cost of an event, memory and lookups, from 10^4 to 10^7 subjects."""
    from tradeline_node.bench.growth import measure_growth  # noqa: PLC0415 - start-up stays fast

    _print(measure_growth(events, _show), as_json=as_json)
    if sys.stderr.isatty():
        typer.echo("", err=True)


@bench.command("scope")
def scope(
    *,
    members: Annotated[int, typer.Option(min=4, max=2_000, help="Of the registry.")] = 600,
    events: Annotated[int, typer.Option(min=0, help="Events of the ledger.")] = 100_000,
    as_json: Json = False,
) -> None:
    """A read over every member of a large registry: tags derived and looked up."""
    from tradeline_node.bench.scope import measure_scope  # noqa: PLC0415 - start-up stays fast

    _print(measure_scope(members, events), as_json=as_json)


@bench.command("tls")
def tls(
    *,
    events: Annotated[int, typer.Option(min=10, help="POSTs of 400 kB.")] = 500,
    as_json: Json = False,
) -> None:
    """What TLS adds to the POST of an attachment on loopback."""
    from tradeline_node.bench.tls import measure_tls  # noqa: PLC0415 - start-up stays fast

    _print(measure_tls(events), as_json=as_json)


def _show(done: int, total: int) -> None:
    if sys.stderr.isatty():
        typer.echo(f"\r{done:,} of {total:,} events", nl=False, err=True)


def _print(measured: Measured, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(measured.to_json(), indent=2))
        return
    rows = measured.rows()
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        typer.echo(f"{name:<{width}}  {text}")
