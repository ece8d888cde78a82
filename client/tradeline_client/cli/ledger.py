"""Commands that need no folder and no node."""

from __future__ import annotations

from typing import Annotated

import typer

from tradeline_client import errors
from tradeline_client.cli.output import Json, print_json, print_pairs
from tradeline_ledger.problem import Code
from tradeline_ledger.problem import explain as explain_code

_NO_STATUS = 0
"""Of a code that no node answers with."""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("explain")(explain)


def explain(
    code: Annotated[str, typer.Argument(help="Code of a problem or an outcome.")],
    json: Json = False,
) -> None:
    """Say what a code means and what to do about it."""
    found = _own_codes().get(code) or explain_code(code)
    pairs = (
        ("code", found.code),
        ("title", found.title),
        ("status", found.status or "none: found by the client itself"),
        ("meaning", found.meaning),
        ("remedy", found.remedy),
    )
    if json:
        print_json(dict(pairs))
    else:
        print_pairs(pairs)


def _own_codes() -> dict[str, Code]:
    """Return the codes of what a client finds by itself, from its exceptions."""
    found: dict[str, Code] = {}
    for name, error in vars(errors).items():
        code = vars(error).get("code") if isinstance(error, type) else None
        if isinstance(code, str) and name.endswith("Error"):
            lines = [line.strip() for line in (error.__doc__ or "").strip().splitlines()]
            meaning = " ".join(lines[: lines.index("")] if "" in lines else lines)
            title = code.replace("-", " ").capitalize()
            found[code] = Code(code, _NO_STATUS, title, meaning, vars(error).get("remedy", ""))
    return found
