"""The command that shows everything on this machine."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tradeline_client.cli.output import print_table
from tradeline_client.demo.consortium import Consortium, Engine
from tradeline_client.errors import FileError

if TYPE_CHECKING:
    from tradeline_client.demo.consortium import NodeAddress

_SHAPES = {
    Engine.LOCAL: "one process",
    Engine.COMETBFT: "each a validator of CometBFT with three processes of its own",
}


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("demo")(demo)


def demo(
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where the demo works; a temporary folder if not.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the nodes' folders and the mirror in --dir.")
    ] = False,
    subjects: Annotated[
        int, typer.Option(min=100, max=30_000, help="Card holders of the data set to use.")
    ] = 30_000,
    serve: Annotated[
        bool, typer.Option("--serve", help="Leave the nodes up until Ctrl-C.")
    ] = False,
    engine: Annotated[
        Engine,
        typer.Option(
            help="local: all nodes in one process; cometbft: four validators of their own."
        ),
    ] = Engine.LOCAL,
) -> None:
    """Run four institutions and a regulator here, on 30,000 real borrowers; show what is proven."""
    if keep and folder is None:
        raise typer.BadParameter("--keep needs --dir, the folder to keep")
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise FileError(f"{folder} is not empty; name a new folder, or remove it")
    # Whatever ends the demo, its nodes stop and its folder goes; also where a shell ignores Ctrl-C.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    started = time.perf_counter()
    work = Path(tempfile.mkdtemp(prefix="tradeline-demo-")) if folder is None else folder
    work.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        _play(work, subjects, engine, serve=serve, keep=keep, started=started)
    finally:
        if not keep:
            shutil.rmtree(work, ignore_errors=True)


def _play(
    work: Path, subjects: int, engine: Engine, *, serve: bool, keep: bool, started: float
) -> None:
    from tradeline_client.demo.consortium import cache_folder  # noqa: PLC0415 - as below
    from tradeline_client.demo.story import Story  # noqa: PLC0415 - start-up stays fast

    with Consortium(work / "nodes", engine) as consortium:
        consortium.found()
        nodes = consortium.start()
        rows = [(each.name, each.url, consortium.folder / each.name) for each in nodes]
        print_table(f"Four institutions, {_SHAPES[engine]}", ("node", "URL", "folder"), rows)
        story = Story(consortium, nodes, work / "mirror")
        try:
            story.run(cache_folder(work / "cache"), subjects)
        finally:
            story.close()
        typer.echo(f"\n8. done in {time.perf_counter() - started:.0f} s; what to try next\n")
        _print_next(work, consortium, nodes, served=serve, kept=keep)
        if serve:
            with contextlib.suppress(KeyboardInterrupt):
                typer.echo("\nThe nodes serve until Ctrl-C.")
                consortium.wait()


def _print_next(
    work: Path, consortium: Consortium, nodes: list[NodeAddress], *, served: bool, kept: bool
) -> None:
    rows = [
        ("keep what the demo makes", "tradeline demo --dir /tmp/tradeline --keep"),
        ("leave the nodes up", "tradeline demo --serve"),
        ("what a code means", "tradeline explain inquiry-consent-revoked"),
        ("every command", "tradeline --help"),
    ]
    passphrase = f"--passphrase-file {consortium.passphrase_file}"
    if kept:
        policy = f"{consortium.client('regulator')}/policy"
        rows[:1] = [
            ("audit the mirror", f"tradeline audit {work}/mirror --trust {policy}"),
            (
                "verify the report",
                f"tradeline verify {consortium.folder}/report.bundle --trust {policy}",
            ),
            (
                "run the nodes again",
                f"tradeline {' '.join(consortium.run)} {consortium.folder} {passphrase}",
            ),
        ]
    if served:
        rows[:1] = [
            ("is it healthy", f"curl {nodes[0].url}/healthz"),
            (
                "show an entry",
                f"tradeline show 1 --folder {consortium.client('bank')} {passphrase}",
            ),
            ("its API", f"{nodes[0].url}/openapi.json"),
        ]
    print_table("", ("to", "type"), rows)
