"""The command that copies a ledger, for auditors and as a backup of what is public."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from tradeline_client.cli.command import EXIT_DONE
from tradeline_client.cli.output import Json, print_json, print_pairs, progress
from tradeline_client.cli.session import FOLDER, FolderOption, PassphraseOption, open_client

_MEMBER_MAX: Final = 2**32 - 1


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("mirror")(mirror)


def mirror(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the mirror.")],
    node: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MEMBER_MAX,
            metavar="MEMBER",
            help="Whose node is copied; yours if left out.",
        ),
    ] = None,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Copy the log and all contents of a node, checked against one cosigned checkpoint.

    Run it again to bring the mirror up to date. Audit it offline with: tradeline audit DIR
    """
    from tradeline_client.flows.mirror import mirror as copy  # noqa: PLC0415 - start-up stays fast

    with open_client(folder, passphrase_file) as client, progress("mirroring") as show:
        session, checkpoint = client.session, client.checkpoint()
        source = node or session.nodes()[0]
        done = client.run(copy(target, source, session.ledger, checkpoint, show))
    if json:
        print_json(
            {
                "folder": str(target),
                "size": done.size,
                "files": done.files,
                "fetched": done.fetched,
                "fetched_bytes": done.fetched_bytes,
            }
        )
    else:
        print_pairs(
            (
                ("mirror", target),
                ("log", f"{done.size} entries"),
                ("files", f"{done.files}, of which {done.fetched} were fetched now"),
                ("bytes fetched", done.fetched_bytes),
            )
        )
    return EXIT_DONE
