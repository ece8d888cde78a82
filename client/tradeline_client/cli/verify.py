"""The command that checks a file which proves something."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tradeline_client.cli.command import EXIT_DONE, EXIT_NOT_VERIFIED
from tradeline_client.cli.manifest import verify_manifest
from tradeline_client.cli.output import Json, print_json, print_pairs, print_table
from tradeline_client.cli.session import PassphraseOption
from tradeline_client.errors import FileError

if TYPE_CHECKING:
    from tradeline_client.verification import FileVerdict

FILE_BYTES_MAX: Final = 512 << 20
_TITLES: Final = {
    "bundle": "evidence bundle",
    "checkpoint": "checkpoint",
    "proof": "proof of one entry",
    "fork": "evidence of a fork",
    "witness": "evidence against a cosigner of two logs",
    "statements": "evidence of two statements at one position",
    "votes": "evidence of two consensus votes",
    "dealing": "evidence of shares dealt wrong",
    "false-share": "evidence of a false share",
    "quality": "evidence of a false quality statement",
    "unknown": "no file of this ledger",
}


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("verify")(verify)


def verify(
    file: Annotated[
        Path,
        typer.Argument(
            help="Bundle, checkpoint, tlog-proof, evidence file, or manifest of an import."
        ),
    ],
    *,
    trust: Annotated[
        Path | None,
        typer.Option("--trust", metavar="POLICY", help="tlog-policy file that you trust."),
    ] = None,
    genesis: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Genesis whose founders you trust.")
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Print the history in a bundle, too.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="For the manifest of an import: client folder to ask the ledger with.",
        ),
    ] = None,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Check a file offline: is it consistent in itself, and anchored to the keys you bring?

    The manifest of an import is anchored to the ledger itself, which is asked with --folder.
    Exit code 3 means that a verdict failed.
    """
    from tradeline_client.verification import Brought, verify_file  # noqa: PLC0415
    from tradeline_ledger.genesis import open_genesis  # noqa: PLC0415
    from tradeline_ledger.policy_file import decode_policy  # noqa: PLC0415

    brought = Brought(
        None if trust is None else decode_policy(_read(trust)),
        None if genesis is None else open_genesis(_read(genesis)),
    )
    data = _read(file)
    if data.lstrip()[:1] == b"{":
        return verify_manifest(file, folder, passphrase_file, as_json=json)
    verdict = verify_file(data, brought)
    if json:
        print_json(_to_json(file, verdict, history=history))
    else:
        _print(file, verdict, history=history)
    return EXIT_DONE if verdict.ok else EXIT_NOT_VERIFIED


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise FileError(f"{path} is a folder; a mirror is checked with: tradeline audit {path}")
    with path.open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise FileError(f"{path} has more than {FILE_BYTES_MAX} bytes")
    return data


def _print(path: Path, verdict: FileVerdict, *, history: bool) -> None:
    from tradeline_client.cli.report_view import print_history  # noqa: PLC0415

    typer.echo(f"{path}: {_TITLES[verdict.kind.value]}")
    pairs = [*verdict.says, ("consistent in itself", _consistent(verdict))]
    print_pairs([*pairs, ("anchored to your keys", _anchored(verdict))])
    if verdict.findings:
        rows = [(each.code, each.where, each.detail) for each in verdict.findings]
        print_table("Why", ("code", "where", "detail"), rows)
    if history and verdict.unsafe_report is not None:
        if not verdict.anchored:
            typer.echo("NOT ANCHORED: anybody could have made up what follows.")
        print_history(verdict.unsafe_report)


def _consistent(verdict: FileVerdict) -> str:
    if not verdict.consistent:
        return "NO"
    if verdict.kind.value == "checkpoint":
        return "YES (its form; signatures need keys to check them with)"
    return "YES"


def _anchored(verdict: FileVerdict) -> str:
    if verdict.anchored is None:
        return "not asked (bring your policy with --trust, or a genesis with --genesis)"
    return "YES" if verdict.anchored else "NO"


def _to_json(path: Path, verdict: FileVerdict, *, history: bool) -> dict[str, Any]:
    from tradeline_client.cli.report_json import report_to_json  # noqa: PLC0415

    report = verdict.unsafe_report if history else None
    return {
        "file": str(path),
        "kind": verdict.kind.value,
        "ok": verdict.ok,
        "consistent": verdict.consistent,
        "anchored": verdict.anchored,
        "findings": [
            {"code": each.code, "where": each.where, "detail": each.detail}
            for each in verdict.findings
        ],
        "says": dict(verdict.says),
        "history": None if report is None else report_to_json(report),
    }
