"""The command that deals a contributor's keys to a new committee."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradeline_client.cli.command import EXIT_DONE, EXIT_FAILED
from tradeline_client.cli.output import Json, print_json, print_table, progress
from tradeline_client.cli.session import FOLDER, FolderOption, PassphraseOption, open_client
from tradeline_client.errors import ClientError, NotFoundError
from tradeline_ledger.errors import LedgerError

if TYPE_CHECKING:
    from tradeline_client.client import Client
    from tradeline_client.pipeline import Redeposited


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("redeposit")(redeposit)


def redeposit(
    batch: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            metavar="INDEX",
            help="Only the batch at this log index, even if the committee in force has its keys. "
            "May be repeated.",
        ),
    ] = None,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Deal the keys of your batches to the committee in force, after it has changed.

    Batches of which a committee member found its deposit bad are dealt again, too. The old
    committee serves until then. Keys come from this folder's vault, and no content leaves
    it. Broken off, the same command goes on where it was: what is dealt already is left out.
    """
    with open_client(folder, passphrase_file) as client:
        client.resume()
        wanted = _wanted(client, batch)
        results: list[Redeposited] = []
        try:
            with progress("dealing keys again") as show:
                show(0, len(wanted))
                for result in client.redeposit(wanted):
                    results.append(result)
                    show(len(results), len(wanted))
        except (ClientError, LedgerError):
            # What is on the ledger is told in any case: nobody could find it out from the error.
            _report(client, wanted, results, as_json=json)
            typer.echo("tradeline: go on with the same command", err=True)
            raise
        return _report(client, wanted, results, as_json=json)


def _wanted(client: Client, indexes: list[int] | None) -> list[bytes]:
    """Return the hashes of the batches to deal, without duplicates."""
    older = client.older_batches()
    if indexes is None:
        return list(dict.fromkeys([*older, *client.bad_batches()]))
    found = {index: client.session.vault.hash_at(index) for index in sorted(set(indexes))}
    unknown = [index for index, hash_ in found.items() if hash_ is None]
    if unknown:
        raise NotFoundError(f"this folder has no batch at log index {unknown[0]}")
    return [hash_ for hash_ in found.values() if hash_ is not None]


def _report(
    client: Client, wanted: list[bytes], results: list[Redeposited], *, as_json: bool
) -> int:
    epoch = client.session.registry.epoch.epoch
    rows = [_row(client, hash_, result) for hash_, result in zip(wanted, results, strict=False)]
    left = len(wanted) - sum(row["status"] == "dealt" for row in rows)
    if as_json:
        print_json({"epoch": epoch, "batches": rows, "left": left})
        return EXIT_FAILED if left else EXIT_DONE
    if not wanted:
        typer.echo(f"nothing to deal again: every live batch has its keys at epoch {epoch}")
        return EXIT_DONE
    print_table(
        "",
        ("batch", "status", "events", "entry", "without receipt"),
        [
            (
                row["index"],
                row["status"],
                row["events"],
                row["entry"],
                ", ".join(str(number) for number in row["missing"]),
            )
            for row in rows
        ],
    )
    typer.echo(f"{len(wanted) - left} of {len(wanted)} batches dealt to epoch {epoch}")
    return EXIT_FAILED if left else EXIT_DONE


def _row(client: Client, hash_: bytes, result: Redeposited) -> dict[str, Any]:
    from tradeline_client.errors import RefusedError  # noqa: PLC0415 - start-up stays fast

    if isinstance(result, RefusedError):
        return {
            "index": client.session.vault.row(hash_).log_index,
            "status": result.outcome.code,
            "events": 0,
            "entry": result.index,
            "missing": [],
        }
    return {
        "index": result.submission,
        "status": "dealt",
        "events": result.events,
        "entry": result.placement.index,
        "missing": sorted(result.missing),
    }
