"""Commands that need no folder and no node."""

from __future__ import annotations

from typing import Annotated

import typer

from tradeline_client.cli.output import Json, print_json, print_pairs
from tradeline_ledger.problem import explain as explain_code


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("explain")(explain)


def explain(
    code: Annotated[str, typer.Argument(help="Code of a problem or an outcome.")],
    json: Json = False,
) -> None:
    """Say what a code means and what to do about it."""
    found = explain_code(code)
    pairs = (
        ("code", found.code),
        ("title", found.title),
        ("status", found.status),
        ("meaning", found.meaning),
        ("remedy", found.remedy),
    )
    if json:
        print_json(dict(pairs))
    else:
        print_pairs(pairs)
