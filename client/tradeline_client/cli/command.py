"""One command from several packages, and what its exit codes mean."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import entry_points
from typing import Final

import typer
import typer.main
from typer.exceptions import TyperException

from tradeline_client.errors import ClientError
from tradeline_ledger.errors import LedgerError, VerificationError

COMMANDS_GROUP: Final = "tradeline.commands"
EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_NOT_VERIFIED: Final = 3


def main() -> None:
    """Run the command with the arguments of the process, and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command and return its exit code; errors go to standard error, a line or two."""
    app, errors = _assemble()
    command = typer.main.get_command(app)
    try:
        result = command.main(arguments, prog_name="tradeline", standalone_mode=False)
    except typer.Abort:
        typer.echo("tradeline: stopped", err=True)
        return EXIT_FAILED
    except TyperException as error:
        typer.echo(error.format_message(), err=True)
        return error.exit_code
    except errors as error:
        typer.echo(f"tradeline: {error}", err=True)
        return EXIT_NOT_VERIFIED if isinstance(error, VerificationError) else EXIT_FAILED
    return result if isinstance(result, int) else EXIT_DONE


def _assemble() -> tuple[typer.Typer, tuple[type[Exception], ...]]:
    """Return the command with everybody's subcommands, and the errors that they fail with."""
    root: typer.Typer | None = None
    errors: list[type[Exception]] = []
    for point in sorted(entry_points(group=COMMANDS_GROUP), key=lambda each: each.name):
        app = point.load()
        errors += getattr(importlib.import_module(point.module), "ERRORS", ())
        if root is None:
            root = app
        else:
            _merge(root, app)
    assert root is not None, "the distribution is installed without its entry points"
    return root, (LedgerError, ClientError, OSError, *errors)


def _merge(into: typer.Typer, other: typer.Typer) -> None:
    into.registered_commands += other.registered_commands
    present = {group.name: group.typer_instance for group in into.registered_groups}
    for group in other.registered_groups:
        known = present.get(group.name)
        if known is not None and group.typer_instance is not None:
            _merge(known, group.typer_instance)
        else:
            into.registered_groups.append(group)
