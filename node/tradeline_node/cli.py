"""The commands of a node's operator: `tradeline node …`."""

from __future__ import annotations

import functools
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tradeline_node.bench.cli import bench
from tradeline_node.config import KEYS, Config, describe, load_config
from tradeline_node.errors import ConfigError, NodeError
from tradeline_node.genesis_cli import genesis
from tradeline_node.joining_cli import init, invite, join
from tradeline_node.new_keys_cli import keys_app
from tradeline_node.plumbing import plumbing
from tradeline_node.recovery_cli import backup, catch_up, recover, restore
from tradeline_node.testnet_run_cli import EndWithInput, testnet

ERRORS: Final = (NodeError,)
"""What these commands fail with: one line with its remedy, exit code 1."""

app = typer.Typer(
    name="tradeline",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
node = typer.Typer(
    name="node",
    help="Operate a node.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
config_app = typer.Typer(
    name="config",
    help="See the configuration of a node.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(node)
app.add_typer(plumbing)
app.add_typer(bench)
app.add_typer(testnet)
app.add_typer(genesis)
node.add_typer(config_app)
node.add_typer(keys_app)
node.command("init")(init)
node.command("catch-up")(catch_up)
node.command("recover")(recover)
node.command("backup")(backup)
node.command("restore")(restore)
node.command("invite")(invite)
node.command("join")(join)

Folder = Annotated[
    Path, typer.Argument(help="A member folder, or the folder above several.", metavar="DIR")
]
MemberFolder = Annotated[Path, typer.Argument(help="A member folder.", metavar="MEMBER_DIR")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="File with the passphrase of the keystores; else TRADELINE_PASSPHRASE_FILE names it, "
        "else it is asked for.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A value in place of node.toml's."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


@app.callback()
def _root() -> None:
    """A shared credit ledger: operate a node."""


@node.command("run")
def run(
    folder: Folder,
    passphrase_file: PassphraseFile = None,
    ready_file: Annotated[
        Path | None,
        typer.Option(help="Write URLs and process id there, as JSON, once every node answers."),
    ] = None,
    settings: Settings = None,
    *,
    end_with_input: EndWithInput = False,
) -> None:
    """
    Run the node of a member folder, or those of a folder, until SIGTERM or Ctrl-C.

    Nodes of the local engine run in one process. One of cometbft runs alone, with a process for
    the application, one for the engine and one for HTTP; their logs are in the member folder.
    """
    from tradeline_node.keystore import read_passphrase  # noqa: PLC0415
    from tradeline_node.processes.supervisor import run_supervised  # noqa: PLC0415
    from tradeline_node.run import (  # noqa: PLC0415
        Running,
        load_configs,
        stop_with_input,
        write_ready,
    )

    if end_with_input:
        stop_with_input()
    configs = load_configs(folder, os.environ, settings or ())
    passphrase = read_passphrase(_passphrase_path(passphrase_file, configs[0]), "the keystores")

    def announce(running: list[Running]) -> None:
        if ready_file is not None:
            write_ready(ready_file, running)
        _print_running(running, folder)

    try:
        if configs[0].engine.driver == "local":
            from tradeline_node.serving import run_local  # noqa: PLC0415

            run_local(configs, passphrase, announce)
        else:
            run_supervised(_single(configs), settings or (), passphrase, announce)
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


@node.command("doctor")
def doctor(
    folder: Folder,
    deep: Annotated[
        bool, typer.Option("--deep", help="Replay the whole log and read every attachment.")
    ] = False,
    peers: Annotated[
        bool, typer.Option("--peers", help="Compare log and contents with the other nodes'.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Look for what is wrong with nodes, running or stopped; exit code 1 if something is."""
    from tradeline_node.doctor import examine_folder  # noqa: PLC0415
    from tradeline_node.keystore import read_passphrase  # noqa: PLC0415

    @functools.cache
    def given(path: Path | None) -> bytes:
        return read_passphrase(path, "the keystores")

    def passphrase(config: Config) -> bytes:
        return given(_passphrase_path(passphrase_file, config))

    reports = examine_folder(folder, os.environ, passphrase, deep=deep, peers=peers)
    findings = [each for report in reports for each in report.findings]
    if as_json:
        _print_json([report.to_json() for report in reports])
    else:
        for report in reports:
            typer.echo(f"{report.folder}: {', '.join(report.checks)}")
        for each in findings:
            typer.echo(f"{each.code}  {each.where}\n  {each.detail}\n  remedy: {each.remedy}")
        typer.echo(f"{len(findings)} findings" if findings else "nothing is wrong")
    if findings:
        raise typer.Exit(1)


@node.command("sweep")
def sweep(folder: Folder, passphrase_file: PassphraseFile = None, as_json: Json = False) -> None:
    """Erase now what is to be gone, on every node of a folder, running or stopped."""
    from tradeline_node.keystore import read_passphrase  # noqa: PLC0415
    from tradeline_node.run import load_configs  # noqa: PLC0415
    from tradeline_node.sweep_command import sweep_node  # noqa: PLC0415

    configs = load_configs(folder, os.environ, ())
    passphrase = read_passphrase(_passphrase_path(passphrase_file, configs[0]), "the keystores")
    swept = {config.node.name: sweep_node(config, passphrase) for config in configs}
    if as_json:
        _print_json({name: result.to_json() for name, result in swept.items()})
        return
    for name, result in swept.items():
        typer.echo(
            f"{name}: {result.events} events erased in {result.attachments} attachments "
            f"({'running' if result.running else 'stopped'})"
        )


@config_app.command("show")
def show(
    folder: MemberFolder,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value is from.")] = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Print every value of a node's configuration."""
    config = load_config(folder, os.environ, settings or ())
    values = config.values()
    if as_json:
        rows: dict[str, Any] = {
            key: {"value": values[key], "origin": config.origins[key]} if origin else values[key]
            for key in KEYS
        }
        _print_json(rows)
        return
    width = max(len(key) for key in KEYS)
    for key in KEYS:
        shown = json.dumps(values[key], ensure_ascii=False)
        typer.echo(f"{key:<{width}}  {shown}" + (f"  ({config.origins[key]})" if origin else ""))


@config_app.command("check")
def check(folder: Folder, settings: Settings = None) -> None:
    """Check the configuration of one node or several, and say what is wrong."""
    from tradeline_node.run import load_configs  # noqa: PLC0415

    for config in load_configs(folder, os.environ, settings or ()):
        typer.echo(f"{config.folder}: good")


@config_app.command("keys")
def keys() -> None:
    """Print every key with what it is about, its bounds and unit."""
    width = max(len(key) for key in KEYS)
    for key in KEYS:
        typer.echo(f"{key:<{width}}  {describe(key)}")


def _single(configs: list[Config]) -> Config:
    if len(configs) > 1:
        raise ConfigError(
            "nodes of the cometbft engine run each on its own: name one member folder, or start "
            "all of them with `tradeline testnet up`"
        )
    return configs[0]


def _passphrase_path(given: Path | None, config: Config) -> Path | None:
    if given is not None or not config.node.passphrase_file:
        return given
    return config.path(config.node.passphrase_file)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _print_running(running: list[Any], folder: Path) -> None:
    """Print where the nodes are, and what to do next; on standard error, as the log is."""
    width = max(len(each.name) for each in running)
    for each in running:
        line = f"{each.member:>3}  {each.name:<{width}}  {each.url}  {each.folder}"
        typer.echo(line, err=True)
    first = running[0]
    typer.echo(
        "next:\n"
        f"  curl --insecure {first.url}/healthz\n"
        f"  tradeline node doctor {folder} --peers\n"
        "  tradeline --help        (Ctrl-C stops the nodes)",
        err=True,
    )


def main() -> None:
    """Run these commands alone: `python -m tradeline_node`."""
    try:
        app(prog_name="tradeline", standalone_mode=True)
    except NodeError as error:
        sys.exit(f"tradeline: {error}")
