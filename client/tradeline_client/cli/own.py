"""The command that reads back what this member said, from ledger and vault."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tradeline_client.cli.command import EXIT_DONE
from tradeline_client.cli.output import Json, print_json, print_table
from tradeline_client.cli.session import FOLDER, FolderOption, PassphraseOption, open_client

if TYPE_CHECKING:
    from tradeline_client.flows.own_events import OwnHistory


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("own")(own)


def own(
    subject_file: Annotated[
        Path | None,
        typer.Option(
            "--subject-file",
            metavar="FILE",
            help='Only what is about one subject: JSON {"type": ..., "id": "..."}, or a list of '
            "its identifiers; - for standard input.",
        ),
    ] = None,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Read back your own events, corrections resolved; needs vault and nodes, and no journal."""
    from tradeline_client.cli.session import today  # noqa: PLC0415 - start-up stays fast
    from tradeline_client.cli.subject import read_subject  # noqa: PLC0415

    with open_client(folder, passphrase_file) as client:
        year = int(today(client.session.ledger)[:4])
        subjects = None if subject_file is None else read_subject(subject_file, year)
        history = client.own_events(subjects)
    _print(history, as_json=json)
    return EXIT_DONE


def _print(history: OwnHistory, *, as_json: bool) -> None:
    from tradeline_client.cli.report_json import (  # noqa: PLC0415
        chain_to_json,
        effective_to_json,
        fields_text,
    )
    from tradeline_ledger.schemas import SCHEMAS  # noqa: PLC0415

    if as_json:
        print_json(
            {
                "events": len(history.events),
                "effective": [
                    {**effective_to_json(each), "ref": history.ref(each).hex()}
                    for each in history.effective
                ],
                "corrections": [chain_to_json(each) for each in history.chains],
                "absent": [
                    {"id": str(id_), "why": why.value} for id_, why in history.absent.items()
                ],
            }
        )
        return
    rows = [
        (
            each.original,
            each.occurred_on,
            each.schema.name,
            fields_text(SCHEMAS.fields_to_json(each.schema, each.fields)),
        )
        for each in history.effective
    ]
    print_table("", ("event", "on", "type", "says"), rows)
    for id_, why in history.absent.items():
        typer.echo(f"{id_}  {why.value}")
    retracted = sum(each.retracted for each in history.chains)
    typer.echo(
        f"\n{len(history.events)} events, {len(history.effective)} stand, {len(history.chains)} "
        f"were corrected, {retracted} of them retracted, {len(history.absent)} can't be read"
    )
