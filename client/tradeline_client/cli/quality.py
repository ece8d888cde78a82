"""Commands about quality: measure a member, state a month, hold a report against statements."""

from __future__ import annotations

import json as json_module
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from tradeline_client.cli import values
from tradeline_client.cli.command import EXIT_DONE, EXIT_NOT_VERIFIED
from tradeline_client.cli.output import Json, print_json, progress
from tradeline_client.cli.session import FOLDER, FolderOption, PassphraseOption, open_client
from tradeline_client.cli.submit import print_placement
from tradeline_client.errors import ClientError, FileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradeline_client.client import Client
    from tradeline_client.month import RowCounts
    from tradeline_client.quality import Replay

group = typer.Typer(
    name="quality",
    invoke_without_command=True,
    rich_markup_mode=None,
)

MIRROR_NAME: Final = "mirror"
"""Folder below the client folder that these commands keep up to date."""
_ROWS_BYTES_MAX: Final = 64 * 1024
StandingName = Literal["open", "complete", "missing", "void"]
MirrorOption = Annotated[
    Path | None,
    typer.Option(
        "--mirror",
        metavar="DIR",
        help="Measure from this mirror, offline, in place of one that is fetched now.",
    ),
]
TrustOption = Annotated[
    Path | None,
    typer.Option("--trust", metavar="POLICY", help="tlog-policy file that the mirror must meet."),
]
Month = Annotated[
    int | None, typer.Option(parser=values.month, metavar="YYYY-MM", help="One month; all if left.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(group)
    group.callback(invoke_without_command=True)(quality)
    for name, run in (("post", post), ("check", check)):
        group.command(name)(run)


def quality(
    context: typer.Context,
    *,
    member: Annotated[
        int | None, typer.Option(min=1, max=2**32 - 1, help="Whose quality to print.")
    ] = None,
    month: Month = None,
    mirror: MirrorOption = None,
    trust: TrustOption = None,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Print the quality index of a member: the same for everybody with the same log.

    It is computed from all blocks, executed again. docs/quality.md says how.
    """
    if context.invoked_subcommand is not None:
        return EXIT_DONE
    if member is None:
        raise typer.BadParameter("give the member whose quality to print", param_hint="--member")
    from tradeline_client.cli.quality_view import index_to_json, print_indexes  # noqa: PLC0415
    from tradeline_ledger.quality_index import months_of, quality_index  # noqa: PLC0415

    with _replayed(mirror, trust, folder, passphrase_file) as (replay, _):
        facts = replay.facts
        months = [month] if month is not None else months_of(facts, member)
        found = [quality_index(facts, member, each) for each in months]
    if json:
        print_json(
            {
                "ledger": replay.ledger.ledger_id.hex(),
                "member": member,
                "size": facts.size,
                "root": replay.root.hex(),
                "months": [index_to_json(each) for each in found],
            }
        )
    else:
        print_indexes(member, found)
    return EXIT_DONE


def post(
    *,
    month: Annotated[
        int, typer.Option(parser=values.month, metavar="YYYY-MM", help="Month that you reported.")
    ],
    standing: Annotated[
        StandingName | None,
        typer.Option(
            help="What you declare the month to be; what `tradeline import month` said, else open."
        ),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON: what became of the rows of your files. Without it, as your import jobs "
            "counted; without any, each event was one row.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what you would state, and post nothing.")
    ] = False,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    State what you reported of a month, counted from your vault and the log, and sign it.

    Readers can prove a false statement. A later one takes the place of the one before.
    """
    from tradeline_client.cli.entry_json import quality_to_json  # noqa: PLC0415
    from tradeline_client.flows.quality import state_quality  # noqa: PLC0415
    from tradeline_client.month import count_month  # noqa: PLC0415
    from tradeline_ledger.quality import MonthStanding  # noqa: PLC0415

    given = None if rows is None else read_rows(rows)
    with _replayed(None, None, folder, passphrase_file) as (replay, client):
        assert client is not None, folder
        counts, declared = _imported(client, month)
        content = count_month(
            client.session.vault,
            replay.facts,
            client.session.member,
            month,
            standing=MonthStanding[(standing or declared or "open").upper()],
            rows=given or counts,
        )
        said = quality_to_json(content)
        if dry_run:
            print_json(said)
            return EXIT_DONE
        placed = client.run(state_quality(client.session, content))
    print_placement("quality statement", placed, as_json=json)
    return EXIT_DONE


def check(
    bundle: Annotated[Path, typer.Argument(help="Evidence bundle of a report, with its keys.")],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where evidence of false statements goes.")
    ] = Path(),
    *,
    mirror: MirrorOption = None,
    trust: TrustOption = None,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Hold a report against the quality statements of the members in it.

    What is false is written as evidence that `tradeline verify` checks offline; exit code 3.
    """
    from tradeline_client.files import write_private  # noqa: PLC0415
    from tradeline_ledger.calendar import period  # noqa: PLC0415

    data = bundle.read_bytes()
    with _replayed(mirror, trust, folder, passphrase_file) as (replay, _):
        compared = list(replay.compare(data))
    found = []
    for each in compared:
        month, file = period(each.stated.content.month), None
        if each.evidence is not None:
            file = out / f"quality-{each.member}-{month}.evidence"
            write_private(file, each.evidence)
        found.append(
            {
                "member": each.member,
                "month": month,
                "statement": each.stated.index,
                "evidence": None if file is None else str(file),
            }
        )
    if json:
        print_json({"bundle": str(bundle), "statements": found})
    else:
        _print_compared(found)
    false = any(each["evidence"] is not None for each in found)
    return EXIT_NOT_VERIFIED if false else EXIT_DONE


def read_rows(path: Path) -> RowCounts:
    """
    Return the counts of rows in a JSON file, as `tradeline import` writes them.

    Raises:
        FileError: it can't be read, or is no such file.
    """
    from tradeline_client.month import RowCounts  # noqa: PLC0415
    from tradeline_ledger.quality import RejectClass  # noqa: PLC0415

    expected = (
        'expected {"accepted": n, "rejected": {"CLASS": n}, "quarantined": n, "duplicates": n} '
        "with counts from 0"
    )
    try:
        data = path.read_bytes()
        given = json_module.loads(data) if len(data) <= _ROWS_BYTES_MAX else None
    except OSError as error:
        raise FileError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise FileError(f"{path} is no JSON; {expected}") from error
    names = {each.name.lower(): each for each in RejectClass}
    fields = {"accepted", "rejected", "quarantined", "duplicates"}
    if not isinstance(given, dict) or not set(given) <= fields:
        raise FileError(f"{path} holds other fields; {expected}")
    rejected = given.get("rejected", {})
    if not isinstance(rejected, dict) or not set(rejected) <= set(names):
        raise FileError(f"{path} names other classes; CLASS is one of {', '.join(names)}")
    counts = {name: given.get(name, 0) for name in sorted(fields - {"rejected"})}
    if not all(type(n) is int and 0 <= n < 2**32 for n in (*counts.values(), *rejected.values())):
        raise FileError(f"{path} holds what is no count; {expected}")
    return RowCounts(rejected={names[name]: n for name, n in rejected.items()}, **counts)


def _imported(client: Client, month: int) -> tuple[RowCounts | None, str | None]:
    """Return what import jobs of the folder counted and what was declared of a month, if any."""
    from tradeline_client.imports.job_desk import open_store  # noqa: PLC0415
    from tradeline_client.imports.job_months import period_counts  # noqa: PLC0415
    from tradeline_client.imports.job_store import STORE_NAME  # noqa: PLC0415
    from tradeline_client.imports.month_rows import rows_of  # noqa: PLC0415
    from tradeline_ledger.calendar import period  # noqa: PLC0415

    session = client.session
    if not (session.folder.path / STORE_NAME).exists():
        return None, None
    with open_store(session.folder.path, session.keystore) as store:
        counts = period_counts(store, period(month))
    return (rows_of(counts) if counts.rows else None), counts.standing


@contextmanager
def _replayed(
    mirror: Path | None, trust: Path | None, folder: Path, passphrase_file: Path | None
) -> Iterator[tuple[Replay, Client | None]]:
    """Yield what a mirror says: of the one given, or of one of the client folder, made new."""
    from tradeline_client.quality import replay  # noqa: PLC0415 - start-up stays fast
    from tradeline_ledger.policy_file import decode_policy  # noqa: PLC0415

    policy = None if trust is None else decode_policy(trust.read_bytes())
    if mirror is not None:
        with progress("replaying") as told:
            found = replay(mirror, policy, told)
        yield found, None
        return
    with open_client(folder, passphrase_file) as client:
        path = folder / MIRROR_NAME
        _fetch(client, path)
        with progress("replaying") as told:
            found = replay(path, policy, told)
        yield found, client


def _fetch(client: Client, path: Path) -> None:
    """Bring the folder's own mirror up to a checkpoint that the client verified."""
    from tradeline_client.flows.mirror import mirror  # noqa: PLC0415

    session, checkpoint = client.session, client.checkpoint()
    with progress("mirroring") as told:
        failed: ClientError | None = None
        for node in session.nodes():
            try:
                client.run(mirror(path, node, session.ledger, checkpoint, told))
            except ClientError as error:
                failed = error
            else:
                return
    assert failed is not None, path
    raise failed


def _print_compared(found: list[dict[str, Any]]) -> None:
    if not found:
        typer.echo("no member in the report stated a month that the report can be held against")
    for each in found:
        where = f"member {each['member']}, {each['month']}, entry {each['statement']}"
        if each["evidence"] is None:
            typer.echo(f"{where}: the report agrees")
        else:
            typer.echo(
                f"{where}: FALSE; evidence for third parties is in {each['evidence']}, check it "
                f"with: tradeline verify {each['evidence']}"
            )
