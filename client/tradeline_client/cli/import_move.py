"""
Commands that bring the memory of imports and the ledger together again: what was filed under an
identifier or account that is another now, and a memory that was lost.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradeline_client.cli.command import EXIT_DONE, EXIT_FAILED
from tradeline_client.cli.import_view import opened, print_job, summary
from tradeline_client.cli.output import Json, print_json, print_pairs, rate
from tradeline_client.cli.session import FOLDER, FolderOption, PassphraseOption, today
from tradeline_client.cli.subject import read_subject
from tradeline_client.errors import FileError

if TYPE_CHECKING:
    from tradeline_client.client import Client
    from tradeline_client.imports.job_move import FoundMove
    from tradeline_client.imports.job_store import JobStore
    from tradeline_ledger.identifier import SubjectId

_SUBJECT = 'JSON {"type": ..., "id": "..."}; - for standard input'

FromOption = Annotated[
    Path | None,
    typer.Option(
        "--from", metavar="FILE", help=f"Under which it is filed now: {_SUBJECT}; asked for else."
    ),
]
ToOption = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="FILE",
        help=f"Under which it is filed from now on: {_SUBJECT}; asked for else, "
        "unless --to-account is given.",
    ),
]
AccountOption = Annotated[
    str | None, typer.Option(metavar="REF", help="Your reference of the account to be moved.")
]
ToAccountOption = Annotated[
    str | None, typer.Option(metavar="REF", help="Your new reference of the account.")
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Move everything about the subject, not one account.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be moved.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
NameOption = Annotated[str | None, typer.Option("--job", metavar="NAME", help="Of the job.")]


def move(
    *,
    from_: FromOption = None,
    to: ToOption = None,
    account: AccountOption = None,
    to_account: ToAccountOption = None,
    every: AllOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    job: NameOption = None,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    File what you said elsewhere: a subject's identifier or an account's number is another now.

    What stands is retracted under the old identifier and posted anew under the new one, content
    unchanged; a new account number corrects each event of the account. Counts are shown and asked
    about first. A move that was broken off goes on with: tradeline import --resume --job NAME
    """
    from tradeline_client.imports.job_desk import run_move  # noqa: PLC0415 - quick start-up
    from tradeline_client.imports.job_move import find_move  # noqa: PLC0415

    if every == (account is not None):
        raise FileError("say what is moved: one account by --account REF, or everything by --all")
    with opened(folder, passphrase_file) as (client, store):
        year = int(today(client.session.ledger)[:4])
        subjects = read_subject(from_, year)
        found = find_move(
            store,
            client,
            subjects,
            account=account,
            to_subject=None if to is None and to_account is not None else _one(to, year),
            to_account=to_account,
        )
        if dry_run:
            _show(found, as_json=json)
            return EXIT_DONE
        if not yes:
            _ask(found)
        with rate("moving") as show:
            ended = run_move(
                store,
                client,
                found.move,
                job,
                show=lambda progress: show(progress.rows, found.count, progress.waiting_for),
            )
        return finish(summary(store, ended), as_json=json)


def rebuild(
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Remember what you sent out of vault and ledger: imports.sqlite is lost, or older than the vault.

    What comes again is a duplicate or a correction again. Earlier jobs are not made again.
    """
    from tradeline_client.imports.job_rebuild import rebuild as run  # noqa: PLC0415

    with opened(folder, passphrase_file) as (client, store):
        found = run(store, client)
    if json:
        print_json(asdict(found))
        return EXIT_DONE
    print_pairs(
        [
            ("batches not known before", found.batches),
            ("events recognised", found.events),
            ("erased or expired", found.unreadable),
        ]
    )
    return EXIT_DONE


def resumed_move(store: JobStore, client: Client, name: str) -> dict[str, Any] | None:
    """Go on with a job that files events elsewhere, and return it; None if it imports a file."""
    from tradeline_client.imports.job_desk import resume_move  # noqa: PLC0415
    from tradeline_client.imports.job_move import move_of  # noqa: PLC0415

    if move_of(store.job(name)) is None:
        return None
    return summary(store, resume_move(store, client, name))


def finish(said: dict[str, Any], *, as_json: bool) -> int:
    """Print how a job ended, and return the exit code that says so."""
    if as_json:
        print_json(said)
    else:
        print_job(said)
    return EXIT_DONE if said["state"] == "done" else EXIT_FAILED


def _one(file: Path | None, current_year: int) -> SubjectId:
    listed = read_subject(file, current_year)
    if len(listed) != 1:
        raise FileError(f"{len(listed)} new identifiers are given, expected one to file under")
    return listed[0]


def _ask(found: FoundMove) -> None:
    if not sys.stdin.isatty():
        raise FileError("see what is to be moved with --dry-run, then move it with --yes")
    _show(found, as_json=False)
    typer.confirm("Move it?", abort=True, err=True)


def _show(found: FoundMove, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "events": found.count,
                "types": dict(found.types),
                "years": {str(each): number for each, number in sorted(found.years.items())},
                "unreadable": found.unreadable,
            }
        )
        return
    print_pairs(
        [
            ("events", found.count),
            ("types", ", ".join(f"{number} {name}" for name, number in found.types.items())),
            ("years", ", ".join(f"{each}: {n}" for each, n in sorted(found.years.items()))),
            ("stay, erased or expired", found.unreadable),
        ]
    )
