"""The commands of the founders' ceremony: `tradeline genesis create|add|sign|verify`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tradeline_ledger.registry import Role

if TYPE_CHECKING:
    from tradeline_ledger.genesis_draft import Draft
    from tradeline_ledger.registry import MemberRecord

DEFAULT_UTC_OFFSET_MIN: Final = 480

genesis = typer.Typer(
    name="genesis",
    help="Found a ledger: each founder brings its own keys and signs the genesis.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

DraftFile = Annotated[Path, typer.Argument(metavar="DRAFT", help="The draft of the genesis.")]
Founder = Annotated[
    Path, typer.Option("--folder", help="Your folder, as `tradeline node init` made it.")
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="File with the passphrase of your folder's keys."),
]


@genesis.command("create")
def create(
    draft: DraftFile,
    *,
    name: Annotated[str, typer.Option(help="Name of the ledger.")],
    folder: Founder,
    member: Annotated[
        list[Path] | None, typer.Option(help="Candidate file of another founder; repeat it.")
    ] = None,
    utc_offset_min: Annotated[
        int, typer.Option(help="Local time of the ledger's days, minutes east of UTC.")
    ] = DEFAULT_UTC_OFFSET_MIN,
    profile: Annotated[str, typer.Option(help="Policy profile.")] = "cn",
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make the draft of a genesis, of yourself and other founders; nobody has signed it yet."""
    from tradeline_node.ceremony import Outline, create_draft  # noqa: PLC0415  start-up stays fast
    from tradeline_node.keystore import read_passphrase  # noqa: PLC0415

    outline = Outline(name, int(time.time() * 1000), utc_offset_min, profile)
    passphrase = read_passphrase(passphrase_file, "your keys")
    _show(create_draft(draft, folder, outline, member or [], passphrase))


@genesis.command("add")
def add(
    draft: DraftFile,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Signed copies of the draft, or candidate files."),
    ],
    *,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Your folder, where founders are added.")
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Add signatures from copies of the draft, or founders, for whom all have to sign anew."""
    from tradeline_node.ceremony import add_to_draft  # noqa: PLC0415
    from tradeline_node.keystore import read_passphrase  # noqa: PLC0415

    passphrase = b"" if folder is None else read_passphrase(passphrase_file, "your keys")
    _show(add_to_draft(draft, folder, files, passphrase))


@genesis.command("sign")
def sign(
    draft: DraftFile,
    *,
    folder: Founder,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking.")] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Show the draft, and sign it with your root key if you say so."""
    from tradeline_node.ceremony import read_draft, sign_draft  # noqa: PLC0415
    from tradeline_node.keystore import read_passphrase  # noqa: PLC0415

    if not yes:
        _show(read_draft(draft))
        typer.confirm("Compare the fingerprints with the founders. Sign?", abort=True)
    _show(sign_draft(draft, folder, read_passphrase(passphrase_file, "your keys")))


@genesis.command("verify")
def verify(
    draft: DraftFile,
    *,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Your folder, which gets the genesis if it is complete."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False,
) -> None:
    """Check a draft and say which signatures it lacks; exit code 1 if it lacks any."""
    from tradeline_node.ceremony import install_draft, read_draft  # noqa: PLC0415
    from tradeline_node.keystore import read_passphrase  # noqa: PLC0415

    found = read_draft(draft)
    if as_json:
        typer.echo(json.dumps(_to_json(found), indent=2, ensure_ascii=False))
    else:
        _show(found)
    if folder is not None:
        install_draft(draft, folder, read_passphrase(passphrase_file, "your keys"))
        typer.echo(f"{folder} is of this ledger now\nnext: tradeline node run {folder}", err=True)
    if found.missing:
        raise typer.Exit(1)


def _show(draft: Draft) -> None:
    from tradeline_ledger.fingerprint import fingerprint  # noqa: PLC0415

    params = draft.genesis.params
    typer.echo(f"ledger     {draft.ledger_id.hex()}")
    typer.echo(f"name       {draft.genesis.name}")
    typer.echo(f"profile    {params.profile}, days begin at UTC{params.utc_offset_min:+} min")
    for record in draft.genesis.members:
        signed = "missing" if record.id in draft.missing else "signed"
        typer.echo(
            f"member     {record.id:>3}  {signed:<7}  root key {fingerprint(record.root_key)}  "
            f"{record.name}, {', '.join(roles_of(record))}, {record.endpoint or 'no node'}"
        )
    if draft.missing:
        listed = ", ".join(str(each) for each in draft.missing)
        typer.echo(f"signatures of members {listed} are missing")
    else:
        typer.echo("complete: every founder has signed")


def _to_json(draft: Draft) -> dict[str, object]:
    return {
        "ledger": draft.ledger_id.hex(),
        "name": draft.genesis.name,
        "members": [
            {
                "member": each.id,
                "name": each.name,
                "roles": roles_of(each),
                "root_key": each.root_key.hex(),
                "endpoint": each.endpoint,
                "engine_peer": each.engine_peer,
                "signed": each.id not in draft.missing,
            }
            for each in draft.genesis.members
        ],
        "missing": list(draft.missing),
    }


def roles_of(record: MemberRecord) -> list[str]:
    """Return the names of a member's roles, in small letters."""
    return [str(role.name).lower() for role in Role if record.has(role)]
