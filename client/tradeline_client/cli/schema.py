"""Commands about event types: list them, show one, check a file of events against them."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradeline_client.cli.command import EXIT_DONE, EXIT_FAILED
from tradeline_client.cli.output import Json, print_json, print_pairs, print_table
from tradeline_client.errors import ClientError

if TYPE_CHECKING:
    from tradeline_client.event_check import CheckedFile
    from tradeline_ledger.schema import EventSchema

group = typer.Typer(
    name="schema",
    help="What events say: list the types, show one, check a file without a ledger.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(group)
    group.command("list")(list_types)
    group.command("show")(show)
    group.command("check")(check)


def list_types(json: Json = False) -> int:
    """List the types of events, in the order of their numbers."""
    from tradeline_ledger.schemas import SCHEMAS  # noqa: PLC0415 - start-up stays fast

    rows = [_summary(schema) for schema in SCHEMAS]
    if json:
        print_json(rows)
        return EXIT_DONE
    print_table(
        f"{len(rows)} types",
        ("number", "type", "about", "category", "basis", "speaks", "law"),
        [
            (
                each["number"],
                each["type"],
                each["about"],
                each["category"],
                ", ".join(each["bases"]),
                each["polarity"],
                ", ".join(each["law"]),
            )
            for each in rows
        ],
    )
    return EXIT_DONE


def show(
    name: Annotated[str, typer.Argument(metavar="TYPE", help="Such as account.statement.")],
    *,
    version: Annotated[
        int | None, typer.Option(min=1, help="Of the type; the newest if left out.")
    ] = None,
    json_schema: Annotated[
        bool,
        typer.Option("--json-schema", help="Print a JSON Schema of its lines, draft 2020-12."),
    ] = False,
    json: Json = False,
) -> int:
    """Show what an event of a type holds: fields, units, bounds, rules and the law behind it."""
    from tradeline_ledger import json_schema as of_json  # noqa: PLC0415
    from tradeline_ledger.schemas import SCHEMAS  # noqa: PLC0415

    schema = SCHEMAS.named(name, version)
    if json_schema:
        print_json(of_json.json_schema(schema))
        return EXIT_DONE
    shown = _details(schema)
    if json:
        print_json(shown)
    else:
        _print_details(schema, shown)
    return EXIT_DONE


def check(
    file: Annotated[
        Path, typer.Argument(help="Events, one JSON object a line; - for standard input.")
    ],
    *,
    today: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="Day after which nothing can have happened; this machine's if left out.",
        ),
    ] = None,
    json: Json = False,
) -> int:
    """
    Check a file of events without a ledger: what would be refused, and what is doubtful.

    Each line is checked as submit does it, and for what a person should look at: unusual numbers,
    words that the law restricts, and events of one account that do not go together. Exits with 1
    if a line would be refused.
    """
    from tradeline_client.event_check import check_events  # noqa: PLC0415

    day = _day(today)
    if str(file) == "-":
        checked = check_events(sys.stdin.buffer, day)
    else:
        with file.open("rb") as lines:
            checked = check_events(lines, day)
    if json:
        print_json(_checked_json(checked))
    else:
        _print_checked(file, checked)
    return EXIT_DONE if checked.good else EXIT_FAILED


def _day(given: str | None) -> str:
    from tradeline_ledger.calendar import parse_date  # noqa: PLC0415

    if given is None:
        return datetime.now().astimezone().date().isoformat()
    try:
        return parse_date(given).isoformat()
    except ValueError as error:
        raise ClientError(f"--today: {error}") from None


def _summary(schema: EventSchema) -> dict[str, Any]:
    leaning = {schema.leaning.otherwise, *(polarity for _, polarity in schema.leaning.cases)}
    return {
        "number": schema.number,
        "version": schema.version,
        "type": schema.name,
        "about": schema.about.value,
        "category": "" if schema.category is None else schema.category.name.lower(),
        "bases": [basis.name.lower() for basis in sorted(schema.bases)],
        "account": schema.account.value,
        "polarity": " or ".join(sorted(each.value for each in leaning)),
        "law": [str(article) for article in schema.law],
        "doc": schema.doc,
    }


def _details(schema: EventSchema) -> dict[str, Any]:
    return {
        **_summary(schema),
        "law": [{"article": str(each), "text": each.text} for each in schema.law],
        "fields": [
            {
                "name": item.name,
                "expected": item.kind.expected,
                "optional": item.optional,
                "doc": item.doc,
            }
            for item in schema.fields
        ],
        "rules": [
            *(_rule_json(rule, "reject") for rule in schema.rules),
            *(_rule_json(each.rule, each.severity.value) for each in schema.doubts),
        ],
    }


def _rule_json(rule: Any, severity: str) -> dict[str, Any]:
    return {
        "code": rule.code,
        "severity": severity,
        "fields": list(rule.reads),
        "expected": rule.expected,
        "fix": rule.fix,
    }


def _print_details(schema: EventSchema, shown: dict[str, Any]) -> None:
    typer.echo(f"{schema.title} (number {schema.number})\n{schema.doc}\n")
    print_pairs(
        (
            ("about", shown["about"]),
            ("category", shown["category"] or "that of the corrected event"),
            ("basis", ", ".join(shown["bases"])),
            ("account", shown["account"]),
            ("speaks", shown["polarity"]),
            *(("law", f"{each['article']}: {each['text']}") for each in shown["law"]),
        )
    )
    print_table(
        "",
        ("field", "needed", "value", "meaning"),
        [
            (each["name"], "" if each["optional"] else "yes", each["expected"], each["doc"])
            for each in shown["fields"]
        ],
    )
    if shown["rules"]:
        print_table(
            "",
            ("rule", "if broken", "expected"),
            [(each["code"], each["severity"], each["expected"]) for each in shown["rules"]],
        )


def _checked_json(checked: CheckedFile) -> dict[str, Any]:
    return {
        "ok": checked.good,
        "lines": checked.lines,
        "types": dict(sorted(checked.types.items())),
        "severities": {each.value: count for each, count in checked.worst.items()},
        "codes": dict(sorted(checked.codes.items())),
        "findings": [
            {
                "line": each.line,
                "type": each.event_type,
                "code": each.finding.code,
                "severity": each.finding.severity.value,
                "field": each.finding.field,
                "got": each.finding.got,
                "expected": each.finding.expected,
                "fix": each.finding.fix,
            }
            for each in checked.findings
        ],
    }


def _print_checked(file: Path, checked: CheckedFile) -> None:
    if not checked.lines:
        typer.echo(f"tradeline: {file} has no line", err=True)
        return
    counts = ", ".join(f"{count} to {each.value}" for each, count in checked.worst.items())
    typer.echo(f"{file}: {checked.lines} lines; {counts or 'nothing found'}")
    for each in checked.findings:
        found = each.finding
        told = found.got if not found.expected else f"got {found.got}; expected {found.expected}"
        where = f" {found.field}" if found.field else ""
        typer.echo(f"line {each.line}: {found.severity.value} {found.code}{where}: {told}")
    left = sum(checked.codes.values()) - len(checked.findings)
    if left:
        typer.echo(f"and {left} more")
