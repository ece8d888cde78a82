"""The command that shows one entry of the log, with its proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradeline_client.cli.command import EXIT_DONE
from tradeline_client.cli.output import Json, print_json, print_pairs
from tradeline_client.cli.session import FOLDER, FolderOption, PassphraseOption, open_client

if TYPE_CHECKING:
    from tradeline_client.flows.show import ShownEntry

_INDEX_MAX = 2**63 - 1


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("show")(show)


def show(
    index: Annotated[int, typer.Argument(min=0, max=_INDEX_MAX, help="Log index, from 0.")],
    proof: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a tlog-proof file, to be checked with verify."),
    ] = None,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Show an entry, verified: who signed what, its outcome, its remedy, and the proof."""
    from tradeline_client.cli.report_json import value_text  # noqa: PLC0415
    from tradeline_client.flows.show import entry  # noqa: PLC0415 - start-up stays fast

    with open_client(folder, passphrase_file) as client:
        shown = client.run(entry(client.session, index))
    if proof is not None:
        proof.write_bytes(shown.proof())
    said = _to_json(shown)
    if json:
        print_json({**said, "proof_file": None if proof is None else str(proof)})
        return EXIT_DONE
    content = said.pop("content")
    checkpoint, path = said.pop("checkpoint"), said.pop("path")
    pairs = [(name, value) for name, value in said.items() if value not in (None, "")]
    pairs += [(f"content {name}", value_text(value)) for name, value in (content or {}).items()]
    cosigners = ", ".join(str(each) for each in checkpoint["cosigners"])
    proven = f"{len(path)} hashes to size {checkpoint['size']}, cosigned by members {cosigners}"
    print_pairs([*pairs, ("proven by", proven)])
    if proof is not None:
        typer.echo(f"proof written to {proof}; check it with: tradeline verify {proof}")
    return EXIT_DONE


def _to_json(shown: ShownEntry) -> dict[str, Any]:
    from tradeline_client.cli.entry_json import content_to_json  # noqa: PLC0415
    from tradeline_client.cli.report_json import instant, name_of  # noqa: PLC0415
    from tradeline_ledger.advice import ADVICE  # noqa: PLC0415
    from tradeline_ledger.outcome import Outcome  # noqa: PLC0415
    from tradeline_ledger.statement import EntryLeaf, Kind  # noqa: PLC0415

    proven, leaf = shown.proven, shown.proven.leaf
    said: dict[str, Any] = {"index": proven.index, "height": leaf.height}
    if isinstance(leaf, EntryLeaf):
        assert shown.statement is not None, proven.index
        assert shown.member is not None, proven.index
        statement, known = shown.statement, leaf.outcome in set(Outcome)
        advice = ADVICE[Outcome(leaf.outcome)] if known else None
        said |= {
            "kind": name_of(Kind, statement.kind),
            "outcome": Outcome(leaf.outcome).code if known else str(leaf.outcome),
            "meaning": None if advice is None else advice.meaning,
            "remedy": None if advice is None else advice.remedy,
            "member": statement.member,
            "name": shown.member.name,
            "feed": statement.feed,
            "seq": statement.seq,
            "created": instant(statement.created_ms),
            "content_hash": statement.content_hash.hex(),
            "content": content_to_json(statement.kind, shown.content or b""),
        }
    else:
        said |= {
            "kind": "block",
            "time": instant(leaf.time_ms),
            "rules": leaf.rules,
            "registry_root": leaf.registry_root.hex(),
            "content": None,
        }
    checkpoint = proven.checkpoint
    return {
        **said,
        "path": [each.hex() for each in proven.path],
        "checkpoint": {
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "signers": list(checkpoint.signers),
            "cosigners": list(checkpoint.cosigners),
        },
    }
