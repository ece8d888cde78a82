"""`tradeline node keys new|switch`: fresh keys for a node."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tradeline_node.errors import ConfigError

if TYPE_CHECKING:
    from tradeline_node.config import Config

keys_app = typer.Typer(
    name="keys",
    help="Replace keys of a node.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

MemberFolder = Annotated[Path, typer.Argument(help="A member folder.", metavar="MEMBER_DIR")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="File with the passphrase of the keystore."),
]


@keys_app.command("new")
def new(
    folder: MemberFolder,
    keys: Annotated[
        str,
        typer.Argument(
            metavar="KEYS",
            help="Comma-separated: node, note, cosigner, which the root key replaces; engine, "
            "peer, hpke, tls, which a vote does.",
        ),
    ],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make fresh keys beside the old ones, and the file with their public halves."""
    from tradeline_ledger.fingerprint import fingerprint  # noqa: PLC0415  start-up stays fast
    from tradeline_node.new_keys import BY_ROOT, PUBLIC_NAME, NodeKey, make_new_keys  # noqa: PLC0415

    names = [part.strip() for part in keys.split(",") if part.strip()]
    unknown = [each for each in names if each not in set(NodeKey)]
    if unknown:
        raise ConfigError(f"unknown key {unknown[0]!r}, expected some of {', '.join(NodeKey)}")
    wanted = frozenset(NodeKey(each) for each in names)
    config, passphrase = _opened(folder, passphrase_file)
    public = make_new_keys(config, passphrase, wanted)
    for name, value in public.items():
        if name != "member":
            typer.echo(f"{name:<14}  {fingerprint(bytes.fromhex(value))}")
    file = config.path(config.node.keys).with_name(PUBLIC_NAME)
    typer.echo(f"{'public halves':<14}  {file}")
    by_root = f"tradeline key node {file}" if wanted & BY_ROOT else ""
    vote = "a proposal of the others (docs/operators.md)" if wanted - BY_ROOT else ""
    typer.echo(f"next: {' and '.join(filter(None, (by_root, vote)))}", err=True)


@keys_app.command("switch")
def switch(folder: MemberFolder, passphrase_file: PassphraseFile = None) -> None:
    """Put the new keys of a stopped node in place, once the registry has them."""
    from tradeline_node.new_keys import switch_keys  # noqa: PLC0415

    config, passphrase = _opened(folder, passphrase_file)
    old = switch_keys(config, passphrase)
    typer.echo(f"{config.folder} has its new keys; the old ones are in {old}")
    typer.echo(f"next: tradeline node run {folder}", err=True)


def _opened(folder: Path, passphrase_file: Path | None) -> tuple[Config, bytes]:
    from tradeline_node.config import load_config  # noqa: PLC0415
    from tradeline_node.keystore import read_passphrase  # noqa: PLC0415

    config = load_config(folder, os.environ)
    named = config.node.passphrase_file
    own = passphrase_file or (config.path(named) if named else None)
    return config, read_passphrase(own, "the keystore")
