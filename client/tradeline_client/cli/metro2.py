"""The commands that look into Metro 2 files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradeline_client.cli.command import EXIT_DONE, EXIT_FAILED
from tradeline_client.cli.output import Json, print_json, print_pairs, print_table

if TYPE_CHECKING:
    from tradeline_client.metro2.check import Checked

FileArgument = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="A Metro 2 file."),
]
_FAULTS_SHOWN = 50

group = typer.Typer(
    name="metro2",
    help="Look into Metro 2 files, the monthly files of lenders in the United States.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(group)
    group.command("check")(check)
    group.command("show")(show)


def check(file: FileArgument, json: Json = False) -> int:
    """
    Read a Metro 2 file whole, and say of each fault where it is and how to mend it.

    Also what its records would become as events. Nothing is sent, and no folder is needed.
    """
    from tradeline_client.metro2.check import check as check_file  # noqa: PLC0415 - fast start-up

    with file.open("rb") as stream:
        checked = check_file(stream, datetime.now(UTC).date().isoformat())
    if json:
        print_json(_to_json(checked))
    else:
        _print(checked)
    return EXIT_FAILED if checked.wrong else EXIT_DONE


def show(
    file: FileArgument,
    record: Annotated[
        int, typer.Option(min=1, help="Number of the first record; the header is 1.")
    ] = 1,
    count: Annotated[int, typer.Option(min=1, max=1_000, help="Most records.")] = 10,
    json: Json = False,
) -> None:
    """Show records of a Metro 2 file, without what names a consumer or an account."""
    from tradeline_client.metro2.check import shown_records  # noqa: PLC0415 - fast start-up

    with file.open("rb") as stream:
        records = list(shown_records(stream, record, count))
    if json:
        print_json(records)
        return
    for each in records:
        typer.echo(f"record {each['record']} at byte {each['offset']}")
        if "fault" in each:
            typer.echo(f"  {each['fault']}")
        for segment in each.get("segments", ()):
            typer.echo(f"  {segment['segment']}")
            for name, value in segment["fields"].items():
                typer.echo(f"    {name}: {value}")


def _to_json(checked: Checked) -> dict[str, Any]:
    form = checked.form
    return {
        "form": None
        if form is None
        else {"packing": form.packing.value, "blocked": form.blocked, "lines": form.lines},
        "accounts": checked.accounts,
        "refused": checked.refused,
        "statuses": dict(sorted(checked.statuses.items())),
        "segments": dict(sorted(checked.segments.items())),
        "events": dict(sorted(checked.events.items())),
        "wrong": checked.wrong,
        "faults": [
            {
                "record": each.record,
                "offset": each.offset,
                "segment": each.segment,
                "field": each.field,
                "code": each.code,
                "got": each.got,
                "expected": each.expected,
                "fix": each.fix,
            }
            for each in checked.faults
        ],
    }


def _print(checked: Checked) -> None:
    form = checked.form
    pairs: list[tuple[str, object]] = []
    if form is not None:
        written = [form.packing.value, *["blocked"] * form.blocked, *["lines"] * form.lines]
        pairs.append(("written in", ", ".join(written)))
    pairs += [("accounts", checked.accounts), ("refused", checked.refused)]
    for title, counts in (
        ("status", checked.statuses),
        ("segment", checked.segments),
        ("event", checked.events),
    ):
        pairs += [(f"{title} {name}", count) for name, count in sorted(counts.items())]
    print_pairs([*pairs, ("faults", checked.wrong)])
    if checked.faults:
        print_table(
            "",
            ("record", "byte", "where", "code", "got", "expected", "fix"),
            [
                (
                    *(each.record, each.offset, f"{each.segment} {each.field}".strip()),
                    *(each.code, each.got, each.expected, each.fix),
                )
                for each in checked.faults[:_FAULTS_SHOWN]
            ],
        )
    if checked.wrong > _FAULTS_SHOWN:
        typer.echo(f"and {checked.wrong - _FAULTS_SHOWN} more; --json lists the first 1000")
