"""The client's part of `tradeline bench`: what this machine can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tradeline_client.cli.output import Json, print_json, print_pairs
from tradeline_client.imports.batch import BATCH_EVENTS

if TYPE_CHECKING:
    from tradeline_ledger.measured import Measured

bench = typer.Typer(
    name="bench",
    help="Measure this machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the group to `app`."""
    app.add_typer(bench)


@bench.command("ingest")
def ingest(
    *,
    events: Annotated[int, typer.Option(min=1, help="Events to file.")] = 200_000,
    in_flight: Annotated[
        int, typer.Option(min=1, max=64, help="Batches in custody, and as many on their way.")
    ] = 8,
    as_json: Json = False,
) -> None:
    """Plain events to places under a cosigned checkpoint, through four nodes started here."""
    from tradeline_client.bench.ingest import measure_ingest  # noqa: PLC0415 - quick start-up

    _print(measure_ingest(events, in_flight), as_json=as_json)


@bench.command("network")
def network(
    *,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Of each stretch of load.")] = 60,
    rate: Annotated[
        int,
        typer.Option(
            min=0,
            max=1_000_000,
            help="Events/s at which latencies are measured; 0: 80 % of what goes.",
        ),
    ] = 0,
    in_flight: Annotated[
        int, typer.Option(min=1, max=64, help="Batches in custody, and as many on their way.")
    ] = 8,
    batch_events: Annotated[
        int, typer.Option(min=1, max=10_000, help="Events of one batch.")
    ] = 4_000,
    as_json: Json = False,
) -> None:
    """Four CometBFT validators started here: load, single submissions, reads, one of them dead."""
    from tradeline_client.bench.network import measure_network  # noqa: PLC0415 - quick start-up

    _print(measure_network(seconds, in_flight, batch_events, rate), as_json=as_json)


@bench.command("audit")
def audit(
    *,
    events: Annotated[int, typer.Option(min=4_000, help="Events of the mirror.")] = 1_000_000,
    as_json: Json = False,
) -> None:
    """A mirror audited from genesis: signatures, roots, positions and outcomes."""
    from tradeline_client.bench.audit import measure_audit  # noqa: PLC0415 - quick start-up

    _print(measure_audit(events), as_json=as_json)


@bench.command("read")
def read(
    *,
    events: Annotated[int, typer.Option(min=1_000, help="Events of the ledger.")] = 200_000,
    as_json: Json = False,
) -> None:
    """A report of 100 events over 100 submissions, read through four nodes started here."""
    from tradeline_client.bench.read import measure_read  # noqa: PLC0415 - quick start-up

    _print(measure_read(events), as_json=as_json)


@bench.command("verify")
def verify(
    *,
    events: Annotated[int, typer.Option(min=1_000, help="Events of the ledger.")] = 100_000,
    as_json: Json = False,
) -> None:
    """The bundle of such a report, verified offline."""
    from tradeline_client.bench.read import measure_verify  # noqa: PLC0415 - quick start-up

    _print(measure_verify(events), as_json=as_json)


@bench.command("seal")
def seal(
    *,
    events: Annotated[int, typer.Option(min=1, help="Events to seal.")] = 100_000,
    as_json: Json = False,
) -> None:
    """Events encoded, sealed for the committee, their keys kept in the vault."""
    from tradeline_client.bench.seal import measure_seal  # noqa: PLC0415 - quick start-up

    _print(measure_seal(events), as_json=as_json)


@bench.command("import")
def import_(
    *,
    rows: Annotated[int, typer.Option(min=1_000, max=50_000_000, help="Rows of the file.")] = (
        1_000_000
    ),
    as_json: Json = False,
) -> None:
    """A CSV file of statements parsed, checked, mapped to events and encoded; nothing is sealed."""
    from tradeline_client.bench.imports import measure_import  # noqa: PLC0415 - quick start-up

    _print(measure_import(rows), as_json=as_json)


@bench.command("import-run")
def import_run(
    *,
    rows: Annotated[int, typer.Option(min=1_000, help="Of the file.")] = 1_000_000,
    engine: Annotated[
        str, typer.Option(help="local: one node; cometbft: four validators.")
    ] = "local",
    batch_events: Annotated[int, typer.Option(min=1, max=10_000, help="Of one batch.")] = (
        BATCH_EVENTS
    ),
    cleanse: Annotated[bool, typer.Option(help="Hold doubtful rows back.")] = False,
    as_json: Json = False,
) -> None:
    """A file of statements to receipts on the ledger, killed and resumed once."""
    from tradeline_client.bench.import_run import measure_import_run  # noqa: PLC0415
    from tradeline_client.demo.consortium import Engine  # noqa: PLC0415

    chosen = Engine(engine)
    measured = measure_import_run(rows, chosen, batch_events=batch_events, cleanse=cleanse)
    _print(measured, as_json=as_json)


@bench.command("metro2")
def metro2(
    *,
    records: Annotated[int, typer.Option(min=1, help="Accounts of the file.")] = 50_000,
    as_json: Json = False,
) -> None:
    """A Metro 2 file parsed, every field checked, and mapped to events."""
    from tradeline_client.bench.metro2 import measure_metro2  # noqa: PLC0415 - quick start-up

    _print(measure_metro2(records), as_json=as_json)


def _print(measured: Measured, *, as_json: bool) -> None:
    if as_json:
        print_json(measured.to_json())
    else:
        print_pairs(measured.rows())
