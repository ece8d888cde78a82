"""Commands of auditors: audit and compare copied folders."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tradeline_client.cli.command import EXIT_DONE, EXIT_NOT_VERIFIED
from tradeline_client.cli.output import Json, print_json, print_pairs, print_table, progress

if TYPE_CHECKING:
    from tradeline_client.audit import AuditReport

Folder = Annotated[Path, typer.Argument(help="Folder made by `tradeline mirror`.")]
Trust = Annotated[
    Path | None, typer.Option("--trust", metavar="POLICY", help="tlog-policy file that you trust.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("audit")(audit)
    app.command("compare")(compare)


def audit(folder: Folder, trust: Trust = None, json: Json = False) -> int:
    """Replay a mirrored ledger from genesis, offline, and print an integrity statement."""
    from tradeline_client.audit import audit as run_audit  # noqa: PLC0415 - start-up stays fast
    from tradeline_ledger.policy_file import decode_policy  # noqa: PLC0415

    policy = decode_policy(trust.read_bytes()) if trust else None
    with progress("replaying") as show:
        report = run_audit(folder, policy, show)
    if json:
        print_json(report.to_json())
    else:
        print_statement(folder, report)
    return EXIT_DONE if report.ok else EXIT_NOT_VERIFIED


def compare(
    first: Folder,
    second: Folder,
    out: Annotated[Path, typer.Option(help="Where to write evidence of a fork.")] = Path(
        "fork.evidence"
    ),
    json: Json = False,
) -> int:
    """Tell whether two mirrors are the same, one a prefix of the other, or forks."""
    from tradeline_client.compare import Relation  # noqa: PLC0415
    from tradeline_client.compare import compare as run_compare  # noqa: PLC0415
    from tradeline_client.files import write_private  # noqa: PLC0415

    result = run_compare(first, second)
    if result.evidence is not None:
        write_private(out, result.evidence)
    if json:
        print_json(
            {
                "relation": result.relation.value,
                "smaller": {"folder": str(result.smaller), "size": result.sizes[0]},
                "larger": {"folder": str(result.larger), "size": result.sizes[1]},
                "first_difference": result.first_difference,
                "evidence": str(out) if result.evidence is not None else None,
            }
        )
    elif result.relation is Relation.FORK:
        typer.echo(
            f"FORK: entry {result.first_difference} is the first that differs; evidence for third "
            f"parties is in {out}, check it with: tradeline verify {out}"
        )
    elif result.relation is Relation.SAME:
        typer.echo(f"the same: both have {result.sizes[0]} entries")
    else:
        typer.echo(
            f"{result.smaller} ({result.sizes[0]} entries) is a prefix of {result.larger} "
            f"({result.sizes[1]} entries)"
        )
    return EXIT_NOT_VERIFIED if result.relation is Relation.FORK else EXIT_DONE


def print_statement(folder: Path, report: AuditReport) -> None:
    """Print the integrity statement of an audit, and its findings."""
    from tradeline_ledger.statement import Kind  # noqa: PLC0415

    at = datetime.fromtimestamp(report.time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    typer.echo(f"INTEGRITY STATEMENT for {report.name or folder}")
    print_pairs(
        (
            ("ledger", report.ledger_id or "unknown"),
            ("checkpoint", f"size {report.size}, root {report.root}"),
            ("last block", f"height {report.height}, {at}"),
            (
                "replayed",
                f"{report.blocks} blocks, {report.entries} entries, {report.events} events",
            ),
            (
                "reads",
                f"{report.count(Kind.INQUIRY)} under a consent in force, "
                f"{report.refused(Kind.INQUIRY)} refused"
                + (", none without a consent" if report.consistent else ""),
            ),
            ("cosigned by", ", ".join(report.cosigners) or "nobody"),
            ("consistent in itself", "YES" if report.consistent else "NO"),
            ("anchored to your keys", _anchored(report)),
            ("seconds", f"{report.seconds:.2f}"),
        )
    )
    findings = [*report.findings, *report.trust_findings]
    if findings:
        rows = [(each.code, each.where, each.detail) for each in findings]
        print_table(f"{len(findings)} findings", ("code", "where", "detail"), rows)


def _anchored(report: AuditReport) -> str:
    if not report.trusted:
        return "not asked (bring your policy with --trust)"
    return "YES" if report.anchored else "NO"
