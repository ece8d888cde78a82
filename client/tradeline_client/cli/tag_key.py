"""The command that hands the member's tag key to the committee."""

from __future__ import annotations

import typer

from tradeline_client.cli.command import EXIT_DONE, EXIT_FAILED
from tradeline_client.cli.output import Json, print_json, print_table
from tradeline_client.cli.session import FOLDER, FolderOption, PassphraseOption, open_client

group = typer.Typer(
    name="tag-key",
    help="Hand your tag key to the committee, as every member does once.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(group)
    group.command("share")(share)


def share(
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Hand your tag key, sealed, to every committee member. Safe to repeat.

    Do it when you join: without it no history of any subject can be stated completely, since nobody
    could tell which events and inquiries are yours.
    """
    from tradeline_client.flows.checkpoint import known_registry  # noqa: PLC0415 - fast start-up

    with open_client(folder, passphrase_file) as client:
        client.run(known_registry(client.session))
        rows = [
            {"member": member, "taken": error is None, "reason": str(error or "")}
            for member, error in sorted(client.share_tag_key().items())
        ]
    if json:
        print_json(rows)
    else:
        print_table(
            "",
            ("committee member", "taken", "reason"),
            [(each["member"], "yes" if each["taken"] else "NO", each["reason"]) for each in rows],
        )
    return EXIT_DONE if all(each["taken"] for each in rows) else EXIT_FAILED
