"""
The group of commands about imports, and those about jobs that were begun.

`tradeline import FILE` is short for `tradeline import file FILE`.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from tradeline_client.cli import values
from tradeline_client.cli.command import EXIT_DONE
from tradeline_client.cli.import_move import move, rebuild
from tradeline_client.cli.import_view import opened, opened_store, print_job, summary
from tradeline_client.cli.imports import import_file
from tradeline_client.cli.output import Json, print_json, print_pairs, print_table
from tradeline_client.cli.session import FOLDER, FolderOption, PassphraseOption, now_ms
from tradeline_client.errors import FileError

if TYPE_CHECKING:
    from tradeline_client.imports.job_store import JobState, JobStore

_FILE: Final = "file"
_NOTHING: Final = "none"

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Name of the job.")]


class _FileFirst(TyperGroup):
    """A group whose first word may be a file instead of a command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words after the group; those of a file go to the command `file`."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [_FILE, *args]
        return super().parse_args(ctx, args)


group = typer.Typer(
    name="import",
    cls=_FileFirst,
    help="Bring files to the ledger: tradeline import FILE; see what became of earlier ones.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(group)
    group.command(_FILE)(import_file)
    group.command("list")(list_jobs)
    group.command("show")(show)
    group.command("pause")(pause)
    group.command("cancel")(cancel)
    group.command("rejects")(rejects)
    group.command("manifest")(manifest)
    group.command("move")(move)
    group.command("rebuild")(rebuild)
    group.command("month")(month)
    group.command("months")(months)


def list_jobs(
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """List the jobs of your folder, the newest first."""
    with opened_store(folder, passphrase_file) as store:
        listed = [summary(store, job) for job in store.jobs()]
    if json:
        print_json(listed)
        return EXIT_DONE
    print_table(
        "",
        ("job", "state", "rows", "rejected", "quarantined", "sent", "corrected", "not sent anew"),
        [
            (
                *(each["job"], each["state"], each["rows"], each["rejected"], each["quarantined"]),
                each["events"]["accepted"] + each["events"]["moved"],
                each["events"]["corrected"] + each["events"]["retracted"],
                each["events"]["duplicate"] + each["events"]["outdated"],
            )
            for each in listed
        ],
    )
    return EXIT_DONE


def show(
    job: JobArgument,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Show how far a job is, and what was wrong with its rows."""
    with opened_store(folder, passphrase_file) as store:
        said = summary(store, store.job(job))
    if json:
        print_json(said)
    else:
        print_job(said)
    return EXIT_DONE


def pause(
    job: JobArgument, folder: FolderOption = FOLDER, passphrase_file: PassphraseOption = None
) -> int:
    """Let the process that runs a job end with a whole chunk; the job goes on with --resume."""
    from tradeline_client.imports.job_store import JobState  # noqa: PLC0415 - quick start-up

    with opened_store(folder, passphrase_file) as store:
        _ask(store, job, JobState.PAUSED)
    return EXIT_DONE


def cancel(
    job: JobArgument, folder: FolderOption = FOLDER, passphrase_file: PassphraseOption = None
) -> int:
    """End a job for good with a whole chunk; what is on the ledger stays there."""
    from tradeline_client.imports.job_store import JobState  # noqa: PLC0415

    with opened_store(folder, passphrase_file) as store:
        _ask(store, job, JobState.CANCELLED)
    return EXIT_DONE


def rejects(
    job: JobArgument,
    *,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="New CSV file; it holds what stood in the rows.")
    ],
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
) -> int:
    """
    Write the rows of a job that were not submitted, with what is wrong and how to mend it.

    Mend them there and import them with: tradeline import --resume-rejects FILE --job JOB
    """
    from tradeline_client.imports.job_rejects import save_rejects  # noqa: PLC0415

    if out.exists():
        raise FileError(f"{out} exists; name a new file, since it may have been mended already")
    with opened_store(folder, passphrase_file) as store:
        count = save_rejects(store, store.job(job), out)
    print_pairs([("rows", count), ("file", out)])
    return EXIT_DONE


def manifest(
    job: JobArgument,
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="JSON file; its receipts lie beside.")],
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
) -> int:
    """Write what became of each row of a job; tradeline verify FILE checks it with the ledger."""
    from tradeline_client.imports.job_manifest import write_manifest  # noqa: PLC0415

    with opened(folder, passphrase_file) as (client, store):
        session = client.session
        content = write_manifest(
            store,
            store.job(job),
            out,
            ledger_id=session.ledger.ledger_id,
            member=session.member,
        )
    receipts = content["receipts"]
    print_pairs(
        [
            ("manifest", out),
            ("receipts", f"{receipts['count']} in {out.with_name(receipts['file'])}"),
            ("entries", len(content["entries"])),
        ]
    )
    return EXIT_DONE


def month(
    period: Annotated[
        Any, typer.Argument(parser=values.month, metavar="YYYY-MM", help="The month.")
    ],
    standing: Annotated[
        str,
        typer.Argument(metavar="STANDING", help="complete, missing, void; none takes it back."),
    ],
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
) -> int:
    """
    Say of a month that all of it is reported, that something is missing, or that it is void.

    It is kept in your folder, for your next quality statement.
    """
    from tradeline_client.imports.job_months import Standing  # noqa: PLC0415

    names = [each.value for each in Standing]
    if standing not in {*names, _NOTHING}:
        raise FileError(f"got {standing!r}, expected one of {', '.join((*names, _NOTHING))}")
    with opened_store(folder, passphrase_file) as store:
        store.declare(period, None if standing == _NOTHING else standing, now_ms())
    return EXIT_DONE


def months(
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Show what was imported of each month, and what you declared it to be."""
    from tradeline_client.imports.job_months import all_period_counts  # noqa: PLC0415

    with opened_store(folder, passphrase_file) as store:
        listed = [asdict(each) for each in all_period_counts(store)]
    if json:
        print_json(listed)
        return EXIT_DONE
    columns = ("accepted", "corrections", "duplicates", "outdated", "rejected", "quarantined")
    print_table(
        "",
        ("month", "declared", *columns),
        [
            (each["period"], each["standing"] or "", *(each[name] for name in columns))
            for each in listed
        ],
    )
    return EXIT_DONE


def _ask(store: JobStore, name: str, wanted: JobState) -> None:
    """Ask for a state; a job that no process runs is brought to it at once."""
    from tradeline_client.imports.job import is_running  # noqa: PLC0415
    from tradeline_client.imports.job_store import JobState  # noqa: PLC0415

    job = store.job(name)
    if job.state in {JobState.DONE, JobState.CANCELLED}:
        raise FileError(f"job {name} is {job.state.value} already")
    store.want(job, wanted)
    if not is_running(store.folder, job):
        store.enter(job, wanted, now_ms())
