"""The command that brings a file to the ledger: begun, gone on with, mended."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tradeline_client.cli.command import EXIT_DONE
from tradeline_client.cli.import_move import finish, resumed_move
from tradeline_client.cli.import_view import opened, print_dry_run, summary
from tradeline_client.cli.output import Json, print_json, rate
from tradeline_client.cli.session import FOLDER, FolderOption, PassphraseOption, now_ms, today
from tradeline_client.errors import FileError
from tradeline_client.imports.batch import BATCH_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradeline_client.imports.job_file import ImportFile
    from tradeline_client.imports.job_store import Job, JobStore

_FEED_MAX: Final = 2**32 - 1
_EVENTS_MAX: Final = 10_000
_PARAMETER: Final = "NAME=VALUE"


FileArgument = Annotated[
    Path | None, typer.Argument(help="CSV, Parquet, JSON lines or Metro 2.", show_default=False)
]
MappingOption = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="TOML file, or the name of a ready mapping."),
]
ParameterOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar=_PARAMETER, help="Of the mapping's [parameters]."),
]
FormatOption = Annotated[
    str, typer.Option("--format", metavar="NAME", help="csv, parquet, jsonl or metro2.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only say what the file would become; needs no node.")
]
JobOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of the job; the file's name if left out.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with a job that was broken off or paused.")
]
MendedOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Import a mended reject file of the job with its mapping."),
]
ReviewedOption = Annotated[
    bool, typer.Option("--reviewed", help="Import the rows of the job that were accepted since.")
]
SuggestOption = Annotated[
    bool, typer.Option("--suggest", help="Only propose a mapping for FILE; needs no folder.")
]
CleanseOption = Annotated[
    bool,
    typer.Option(
        "--cleanse/--no-cleanse", help="Hold rows back that are doubtful: tradeline review."
    ),
]
FeedOption = Annotated[
    int | None, typer.Option(min=1, max=_FEED_MAX, help="To sign with, if not the usual one.")
]
BatchOption = Annotated[int, typer.Option(min=1, max=_EVENTS_MAX, help="Events of one batch.")]
InFlightOption = Annotated[
    int, typer.Option(min=1, max=64, help="Batches in custody, and as many on their way.")
]


def import_file(
    file: FileArgument = None,
    *,
    mapping: MappingOption = None,
    parameter: ParameterOption = None,
    format_: FormatOption = "",
    suggest: SuggestOption = False,
    dry_run: DryRunOption = False,
    job: JobOption = None,
    resume: ResumeOption = False,
    resume_rejects: MendedOption = None,
    reviewed: ReviewedOption = False,
    cleanse: CleanseOption = True,
    feed: FeedOption = None,
    batch_events: BatchOption = BATCH_EVENTS,
    in_flight: InFlightOption = 8,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Map, seal and submit a file: what is wrong with a row costs that row, not the file.

    What this folder sent before is recognised by the reference of each event: what is the same is
    not sent again, what differs becomes a correction. Ctrl-C pauses the job; it goes on with
    --resume, also after it was killed.
    """
    from tradeline_client.imports import job_desk  # noqa: PLC0415 - start-up stays fast

    if suggest:
        return _suggest(file)
    with opened(folder, passphrase_file) as (client, store):
        day, name = today(client.session.ledger), job or ("" if file is None else file.stem)
        if reviewed:
            reviewed_job = job_desk.run_reviewed(store, client, _named(name))
            return finish(summary(store, reviewed_job), as_json=json)
        if resume and (moved := resumed_move(store, client, _named(name))):
            return finish(moved, as_json=json)
        if resume:
            started, source = job_desk.reopen(store, _named(name))
        elif resume_rejects is not None:
            source, name = job_desk.mended(store, _named(name), resume_rejects, day)
        else:
            source = _opened(file, mapping, parameter or [], format_, day)
        if dry_run:
            return _dry_run(store, source, as_json=json)
        if not resume:
            started = job_desk.begin(store, client, source, name, feed)
        began_s = time.monotonic()
        with _pausing(store, started), rate(f"importing {started.name}") as show:
            lines = job_desk.count_rows(source)
            ended = job_desk.run(
                store,
                client,
                started,
                source,
                batch_events=batch_events,
                in_flight=in_flight,
                cleanse=cleanse,
                show=lambda progress: show(progress.rows, lines, progress.waiting_for),
            )
        said = summary(store, ended) | {"seconds": round(time.monotonic() - began_s, 3)}
    return finish(said, as_json=json)


def _suggest(file: Path | None) -> int:
    """Print a mapping for a file; what a person has to fill in goes to standard error."""
    from tradeline_client.imports.suggest import suggest  # noqa: PLC0415

    if file is None:
        raise FileError("name the file that a mapping is to be proposed for")
    day = time.strftime("%Y-%m-%d", time.gmtime(now_ms() / 1000))
    proposed = suggest(file, day)
    typer.echo(proposed.text)
    for key in proposed.missing:
        typer.echo(f"tradeline: fill in {key}", err=True)
    return EXIT_DONE


def _dry_run(store: JobStore, file: ImportFile, *, as_json: bool) -> int:
    """Say what a file would become, and remember what it was."""
    from tradeline_client.imports.dry_run import dry_run as run_dry  # noqa: PLC0415

    found = run_dry(Path(file.path), file.loaded(), file.today)
    store.remember_trial(Path(file.path), found.sha256, file.mapping_hash())
    if as_json:
        print_json(found.to_json())
    else:
        print_dry_run(found)
    return EXIT_DONE


def _named(name: str) -> str:
    if not name:
        raise FileError("name the job with --job; tradeline import list shows them")
    return name


def _opened(
    file: Path | None, mapping: str | None, parameters: list[str], format_: str, day: str
) -> ImportFile:
    """Return the file of a command line, hashed."""
    from tradeline_client.imports.job_file import FORMATS, METRO2, open_file  # noqa: PLC0415

    if file is None:
        raise FileError("name the file to import, or a job to go on with: --resume --job NAME")
    if format_ not in {"", *FORMATS}:
        raise FileError(f"--format: got {format_!r}, expected one of {', '.join(FORMATS)}")
    if (mapping is None) != (format_ == METRO2):
        raise FileError(
            "a mapping says how rows become events: give one with --mapping FILE, for every format "
            "but metro2, which needs none"
        )
    return open_file(file, mapping or "", _pairs(parameters), format_, day)


def _pairs(parameters: list[str]) -> dict[str, str]:
    pairs = {}
    for each in parameters:
        name, equals, value = each.partition("=")
        if not equals:
            raise FileError(f"--set: got {each!r}, expected {_PARAMETER}")
        pairs[name] = value
    return pairs


@contextmanager
def _pausing(store: JobStore, job: Job) -> Iterator[None]:
    """Let the first interrupt pause the job, which ends with a whole chunk; the next one breaks."""
    from tradeline_client.imports.job_store import JobState  # noqa: PLC0415

    def pause(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        typer.echo("tradeline: pausing; what is on its way is waited for", err=True)
        store.want(job, JobState.PAUSED)

    before = signal.signal(signal.SIGINT, pause)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
