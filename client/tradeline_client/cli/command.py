"""One command from several packages, and what its exit codes mean."""

from __future__ import annotations

import importlib
import re
import sys
from copy import copy
from functools import cache
from importlib.metadata import entry_points, requires
from typing import Final

import typer
import typer.main
from typer.exceptions import TyperException
from typer.models import TyperInfo

from tradeline_client.errors import ClientError
from tradeline_ledger.errors import LedgerError, VerificationError
from tradeline_ledger.problem import CODES

COMMANDS_GROUP: Final = "tradeline.commands"
OWN_COMMANDS: Final = "tradeline_client.cli"
"""Module of the client's own commands, to which all others are added."""
DISTRIBUTION: Final = "tradeline"
EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_NOT_VERIFIED: Final = 3
_OF_EXTRA: Final = re.compile(r"""(?P<package>[\w-]+).*; extra == ['"](?P<extra>\w+)['"]""")


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
        typer.echo(_usage_text(error), err=True)
        return error.exit_code
    except ModuleNotFoundError as error:
        if (extra := _extra_with(error.name)) is None:
            raise
        typer.echo(
            f"tradeline: this command needs the package {error.name}; install "
            f"{DISTRIBUTION}[{extra}]",
            err=True,
        )
        return EXIT_FAILED
    except errors as error:
        typer.echo(f"tradeline: {_text(error)}", err=True)
        return EXIT_NOT_VERIFIED if isinstance(error, VerificationError) else EXIT_FAILED
    return result if isinstance(result, int) else EXIT_DONE


@cache
def _assemble() -> tuple[typer.Typer, tuple[type[Exception], ...]]:
    """Return the command with everybody's subcommands, and the errors that they fail with."""
    root: typer.Typer = importlib.import_module(OWN_COMMANDS).app
    own, errors = root, list[type[Exception]]()
    for point in sorted(entry_points(group=COMMANDS_GROUP), key=lambda each: each.name):
        app = point.load()
        errors += getattr(importlib.import_module(point.module), "ERRORS", ())
        if app is not own:
            root = _merge(root, app)
    return root, (LedgerError, ClientError, OSError, *errors)


def _merge(first: typer.Typer, second: typer.Typer) -> typer.Typer:
    """Return the commands of both; groups of one name become one. Neither is changed."""
    both = copy(first)
    both.registered_commands = [*first.registered_commands, *second.registered_commands]
    groups = {_name(group): group for group in first.registered_groups}
    for group in second.registered_groups:
        known = groups.get(_name(group))
        if known is None or known.typer_instance is None or group.typer_instance is None:
            groups[_name(group)] = group
        else:
            merged = copy(known)
            merged.typer_instance = _merge(known.typer_instance, group.typer_instance)
            groups[_name(group)] = merged
    both.registered_groups = list(groups.values())
    return both


def _name(group: TyperInfo) -> str:
    """Return the name of a group, given where it was added or where it was made."""
    made = None if group.typer_instance is None else group.typer_instance.info.name
    found = group.name if isinstance(group.name, str) else made
    assert isinstance(found, str), "a group of commands has a name"
    return found


def _extra_with(package: str | None) -> str | None:
    """Return the extra of the distribution that brings a package, None if none does."""
    for requirement in requires(DISTRIBUTION) or ():
        found = _OF_EXTRA.match(requirement)
        if found is not None and found["package"] == package:
            return found["extra"]
    return None


def _usage_text(error: TyperException) -> str:
    """Return what is wrong with a command line, and where its help is."""
    text = error.format_message().replace("Value error, ", "")
    path = getattr(getattr(error, "ctx", None), "command_path", "")
    return text if "\n" in text or not path else f"{text} See: {path} --help"


def _text(error: Exception) -> str:
    """Return what went wrong, and where to read more about a code that the text does not name."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    text = str(error)
    # What only a verification found has its remedy beside its text.
    remedy = getattr(error, "remedy", "")
    if remedy and remedy not in text:
        text += f"; {remedy}"
    code = getattr(error, "code", None)
    if code in CODES and code not in text:
        text += f"\nmore about it: tradeline explain {code}"
    return text
