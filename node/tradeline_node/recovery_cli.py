"""The commands by which a node comes back: `tradeline node catch-up|recover|backup|restore`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradeline_node.config import load_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_node.config import Config
    from tradeline_node.others import Fault

MemberFolder = Annotated[Path, typer.Argument(help="A member folder.", metavar="MEMBER_DIR")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="File with the passphrase of the keystore; else TRADELINE_PASSPHRASE_FILE names it, "
        "else it is asked for.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


def catch_up(
    folder: MemberFolder, *, passphrase_file: PassphraseFile = None, as_json: Json = False
) -> None:
    """Fetch the log that a stopped node lacks from the others, check it and replay it."""
    from tradeline_node.catch_up_command import catch_up_node, to_json  # noqa: PLC0415

    config = load_config(folder, os.environ)
    done = catch_up_node(config, _passphrase(passphrase_file, config), progress=_show_leaves)
    if as_json:
        _print_json(to_json(done))
        return
    _end_progress()
    _print_faults(done.faults)
    cosigners = ", ".join(str(each) for each in done.cosigners)
    typer.echo(
        f"{config.node.name}: {done.leaves} leaves replayed, {done.events} events, in "
        f"{done.seconds:.1f} s; the log has {done.size}, cosigned by members {cosigners}"
    )


def recover(
    folder: MemberFolder, *, passphrase_file: PassphraseFile = None, as_json: Json = False
) -> None:
    """
    Get back from the others what a stopped node has lost: log, attachments, its own shares.

    Node.toml, keystore and genesis must be there. What is there already stays.
    """
    from tradeline_node.recover import recover_node, to_json  # noqa: PLC0415

    config = load_config(folder, os.environ)
    passphrase = _passphrase(passphrase_file, config)
    done = recover_node(config, passphrase, leaves=_show_leaves, attachments=_show("attachments"))
    if as_json:
        _print_json(to_json(done))
    else:
        _end_progress()
        _print_faults(done.faults)
        for finding in done.findings:
            typer.echo(finding, err=True)
        typer.echo(
            f"{config.node.name}: {done.leaves} leaves replayed, {done.tag_keys} tag keys and "
            f"{done.attachments} attachments fetched, {done.missing} attachments missing"
        )
    if done.missing:
        raise typer.Exit(1)


def backup(
    folder: MemberFolder,
    target: Annotated[Path, typer.Argument(metavar="BACKUP_DIR", help="A new folder.")],
    *,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Back a node up, running or stopped, without what must never come back: the engine's state."""
    from tradeline_node.backup import backup_node, to_json  # noqa: PLC0415

    config = load_config(folder, os.environ)
    done = backup_node(config, _passphrase(passphrase_file, config), target, _show_leaves)
    if as_json:
        _print_json(to_json(done))
        return
    _end_progress()
    typer.echo(
        f"{config.node.name}: {done.size} leaves, {done.attachments} attachments, {done.bytes} "
        f"bytes in {target}"
    )


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP_DIR", help="A backup.")],
    folder: Annotated[Path, typer.Argument(metavar="MEMBER_DIR", help="A new member folder.")],
    *,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """
    Make a member folder of a backup, every file checked and the log executed again.

    The node signs nothing until it has caught up with the others.
    """
    from tradeline_node.backup import to_json  # noqa: PLC0415
    from tradeline_node.keystore import read_passphrase  # noqa: PLC0415
    from tradeline_node.restore import restore_node  # noqa: PLC0415

    passphrase = read_passphrase(passphrase_file, "the keystore in the backup")
    done = restore_node(source, folder, passphrase, _show_leaves)
    if as_json:
        _print_json(to_json(done))
        return
    _end_progress()
    typer.echo(
        f"member {done.member}: {done.size} leaves and {done.attachments} attachments of "
        f"{done.made} in {folder}; the node signs nothing until it has caught up with the others"
    )
    typer.echo(f"next    tradeline node recover {folder}", err=True)


def _passphrase(given: Path | None, config: Config) -> bytes:
    from tradeline_node.keystore import read_passphrase  # noqa: PLC0415

    if given is None and config.node.passphrase_file:
        given = config.path(config.node.passphrase_file)
    return read_passphrase(given, "the keystore")


def _show(what: str) -> Any:
    """Return what shows progress on a terminal, a count of `what`."""

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\r{done:,} of {total:,} {what}", nl=False, err=True)

    return show


_show_leaves = _show("leaves")


def _end_progress() -> None:
    if sys.stderr.isatty():
        typer.echo("", err=True)


def _print_faults(faults: Sequence[Fault]) -> None:
    for each in faults:
        typer.echo(f"member {each.member} serves what does not verify: {each.detail}", err=True)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
