"""Commands about the vault: without its keys, batches can't be deposited for a new committee."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tradeline_client.cli.command import EXIT_DONE
from tradeline_client.cli.output import Json, print_json, print_pairs
from tradeline_client.cli.session import (
    FOLDER,
    FolderOption,
    PassphraseOption,
    open_client,
    read_passphrase,
)

if TYPE_CHECKING:
    from tradeline_client.vault import VaultReport

group = typer.Typer(
    name="vault",
    help="Back up, restore and verify the vault of body keys.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(group)
    group.command("backup")(backup)
    group.command("restore")(restore)
    group.command("verify")(verify)


def backup(
    target: Annotated[Path, typer.Argument(help="New file; as secret as the vault itself.")],
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Copy the vault while it is in use, and open every row of the copy."""
    with open_client(folder, passphrase_file) as client:
        report = client.session.vault.backup(target)
    _print(f"backup {target}", report, as_json=json)
    return EXIT_DONE


def restore(
    source: Annotated[Path, typer.Argument(help="Backup of this folder's vault.")],
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Put a backup in place of a vault that is lost, once every row of it has opened."""
    from tradeline_client import vault  # noqa: PLC0415 - start-up stays fast
    from tradeline_client.keystore import open_keystore  # noqa: PLC0415
    from tradeline_client.profile import open_folder  # noqa: PLC0415

    opened = open_folder(folder)
    keystore = open_keystore(opened.keys, read_passphrase(passphrase_file, folder))
    report = vault.restore(source, opened.vault, keystore.storage_key(vault.STORAGE_NAME))
    _print(f"restored to {opened.vault}", report, as_json=json)
    return EXIT_DONE


def verify(
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Open every row of the vault and say what it holds."""
    with open_client(folder, passphrase_file) as client:
        report = client.session.vault.verify()
    _print(f"vault of {folder}", report, as_json=json)
    return EXIT_DONE


def _print(what: str, report: VaultReport, *, as_json: bool) -> None:
    unplaced = [each.hex() for each in report.unplaced]
    if as_json:
        print_json(
            {
                "what": what,
                "batches": report.batches,
                "events": report.events,
                "erased": report.erased,
                "unplaced": unplaced,
            }
        )
        return
    print_pairs(
        (
            (what, "every row opens"),
            ("batches", report.batches),
            ("events", f"{report.events}, of which {report.erased} are erased"),
            ("not known to be on the ledger", ", ".join(unplaced) or "none"),
        )
    )
