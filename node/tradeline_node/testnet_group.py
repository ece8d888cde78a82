"""The command group `tradeline testnet`; its commands stand in modules of their own."""

from __future__ import annotations

import typer

testnet = typer.Typer(
    name="testnet",
    help="Found a consortium for a trial and run its nodes on this machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
