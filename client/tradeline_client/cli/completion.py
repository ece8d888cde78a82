"""The command that prints shell completion."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import typer

PROGRAM: Final = "tradeline"
_VARIABLE: Final = "_TRADELINE_COMPLETE"


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("completion")(completion)


def completion(
    context: typer.Context,
    shell: Annotated[
        Literal["bash", "zsh", "fish"], typer.Argument(help="Shell to complete commands in.")
    ],
) -> int:
    """
    Print a script that completes commands and options in a shell.

    For bash: tradeline completion bash > ~/.local/share/bash-completion/completions/tradeline
    """
    from typer.completion import shell_complete  # noqa: PLC0415 - start-up stays fast

    command = context.find_root().command
    return shell_complete(command, {}, PROGRAM, _VARIABLE, f"source_{shell}")
