"""The verdict of `tradeline verify` on the manifest of an import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from tradeline_client.cli.command import EXIT_DONE, EXIT_NOT_VERIFIED
from tradeline_client.cli.output import print_json, print_pairs, progress
from tradeline_client.cli.session import open_client
from tradeline_ledger.errors import LedgerError

if TYPE_CHECKING:
    from pathlib import Path


def verify_manifest(
    path: Path, folder: Path | None, passphrase_file: Path | None, *, as_json: bool
) -> int:
    """
    Check a manifest and its receipts, and with a client folder every entry against the ledger.

    Raises:
        ClientError: the ledger can't be asked.
    """
    from tradeline_client.flows.manifest import check_manifest  # noqa: PLC0415 - quick start-up
    from tradeline_client.imports.job_manifest import read_manifest  # noqa: PLC0415

    said: dict[str, Any] = {
        "file": str(path),
        "kind": "manifest",
        "ok": False,
        "consistent": False,
        "anchored": None if folder is None else False,
        "detail": "",
    }
    try:
        manifest = read_manifest(path)
        said["consistent"] = True
        said |= {"receipts": manifest.rows, "entries": len(manifest.entries)}
        if folder is not None:
            with open_client(folder, passphrase_file) as client, progress("checking") as show:
                checkpoint = client.run(check_manifest(client.session, manifest, show))
            said |= {"anchored": True, "checkpoint_size": checkpoint.size}
        said["ok"] = True
    except LedgerError as error:
        said["detail"] = str(error)
    if as_json:
        print_json(said)
    else:
        _print(said)
    return EXIT_DONE if said["ok"] else EXIT_NOT_VERIFIED


def _print(said: dict[str, Any]) -> None:
    typer.echo(f"{said['file']}: manifest of an import")
    anchored = {None: "not asked (bring a client folder with --folder)", True: "YES", False: "NO"}
    pairs: list[tuple[str, object]] = [
        (name, said[name]) for name in ("receipts", "entries") if name in said
    ]
    pairs += [
        ("consistent in itself", "YES" if said["consistent"] else "NO"),
        ("anchored to the ledger", anchored[said["anchored"]]),
    ]
    if "checkpoint_size" in said:
        pairs.append(("proven by", f"checkpoint of size {said['checkpoint_size']}"))
    if said["detail"]:
        pairs.append(("why", said["detail"]))
    print_pairs(pairs)
