"""Commands by which members change the registry: propose, look at what it means, vote."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradeline_client.cli import values
from tradeline_client.cli.command import EXIT_DONE
from tradeline_client.cli.output import Json, print_json, print_pairs, print_table
from tradeline_client.cli.session import FOLDER, FolderOption, PassphraseOption, now_ms, open_client
from tradeline_client.cli.submit import print_placement

if TYPE_CHECKING:
    from tradeline_client.flows.governance import ProposalStatus

group = typer.Typer(
    name="governance",
    help="Propose changes of members, validators, parameters and rules, and vote on them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ProposalArgument = Annotated[
    bytes,
    typer.Argument(
        parser=values.proposal_id, metavar="PROPOSAL", help="Id of a proposal, 32 hex digits."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(group)
    for name, run in (
        ("propose", propose),
        ("list", list_all),
        ("show", show),
        ("approve", approve),
        ("reject", reject),
    ):
        group.command(name)(run)


def propose(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The proposal, a TOML file.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it would change, and post nothing.")
    ] = False,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Post a proposal; if you are a validator, that is your approval too.

    The file has title and reason, which everybody reads for ever, and one [[change]] for each
    change. docs/operators.md shows every kind of change.
    """
    from tradeline_client.flows.checkpoint import registry  # noqa: PLC0415 - fast start-up
    from tradeline_client.flows.governance import preview  # noqa: PLC0415
    from tradeline_client.proposal_file import read_proposal  # noqa: PLC0415
    from tradeline_ledger.encoding import encode  # noqa: PLC0415
    from tradeline_ledger.proposal import proposal_id  # noqa: PLC0415

    with open_client(folder, passphrase_file) as client:
        now = client.run(registry(client.session))
        proposal = read_proposal(file, client.session.ledger, now, now_ms())
        found, against = preview(client.session, proposal, now)
        if dry_run:
            rows = [each._asdict() for each in found]
            if json:
                print_json({"differences": rows, "refused": against})
            else:
                _print_differences(rows, against)
            return EXIT_DONE
        placed = client.propose(proposal)
    identity = proposal_id(encode(proposal)).hex()
    print_placement(f"proposal {identity}", placed, as_json=json)
    if not json:
        typer.echo(f"next: the validators run  tradeline governance approve {identity}")
    return EXIT_DONE


def list_all(
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """List all proposals, oldest first."""
    with open_client(folder, passphrase_file) as client:
        listed = [_status_json(each) for each in client.proposals()]
    if json:
        print_json(listed)
        return EXIT_DONE
    print_table(
        f"Proposals: {len(listed)}",
        ("proposal", "standing", "approve", "reject", "needed", "by", "title"),
        [
            (
                each["proposal"],
                each["standing"],
                _ids(each["approvals"]),
                _ids(each["rejections"]),
                each["needed"],
                each["member"],
                each["title"],
            )
            for each in listed
        ],
    )
    return EXIT_DONE


def show(
    proposal: ProposalArgument,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Show a proposal, proven, and the registry before and after it, line by line."""
    with open_client(folder, passphrase_file) as client:
        said = _status_json(client.proposal(proposal))
    if json:
        print_json(said)
        return EXIT_DONE
    print_pairs(
        (
            ("proposal", said["proposal"]),
            ("title", said["title"]),
            ("reason", said["reason"]),
            ("by member", f"{said['member']}, entry {said['index']}"),
            ("standing", said["standing"]),
            ("approve", f"{_ids(said['approvals'])} ({said['needed']} needed)"),
            ("reject", _ids(said["rejections"])),
            ("votes until", said["expires"]),
            ("in force from", said["enacted_height"] or _effect(said["effect_height"])),
            ("waives", ", ".join(said["waived"]) or "nothing"),
            ("agreed by nodes", _ids(said["agreed_by"])),
        )
    )
    _print_differences(said["differences"], said["failure"])
    return EXIT_DONE


def approve(
    proposal: ProposalArgument,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Approve a proposal, as a validator. Look at it with `show` first."""
    return _vote("APPROVE", proposal, folder, passphrase_file, as_json=json)


def reject(
    proposal: ProposalArgument,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Reject a proposal, as a validator. A vote can be changed until the proposal is decided."""
    return _vote("REJECT", proposal, folder, passphrase_file, as_json=json)


def _vote(
    name: str, proposal: bytes, folder: Path, passphrase_file: Path | None, *, as_json: bool
) -> int:
    from tradeline_ledger.proposal import VoteChoice  # noqa: PLC0415

    with open_client(folder, passphrase_file) as client:
        placed = client.vote(proposal, VoteChoice[name])
    print_placement(f"{name.lower()} {proposal.hex()}", placed, as_json=as_json)
    return EXIT_DONE


def _status_json(status: ProposalStatus) -> dict[str, Any]:
    from tradeline_ledger.proposal import Waiver, change_kind, changed_member  # noqa: PLC0415

    proposal = status.proposal
    return {
        "proposal": status.proposal_id.hex(),
        "index": status.index,
        "member": status.member,
        "title": proposal.title,
        "reason": proposal.reason,
        "standing": status.standing,
        "approvals": list(status.approvals),
        "rejections": list(status.rejections),
        "needed": status.needed,
        "expires": datetime.fromtimestamp(proposal.expires_ms / 1000, UTC).isoformat(
            timespec="seconds"
        ),
        "effect_height": proposal.effect_height,
        "enacted_height": status.enacted_height,
        "waived": [str(each.name).lower() for each in Waiver if proposal.waived & each],
        "failure": status.failure,
        "agreed_by": list(status.agreed_by),
        "changes": [
            {"what": change_kind(each).name.lower(), "member": changed_member(each)}
            for each in proposal.changes
        ],
        "differences": [each._asdict() for each in status.differences],
    }


def _print_differences(rows: list[dict[str, Any]], against: str | None) -> None:
    if against is not None:
        typer.echo(f"against it: {against}; more about it: tradeline explain {against}")
    if rows:
        print_table("", ("what", "before", "after"), [tuple(each.values()) for each in rows])


def _effect(height: int) -> str:
    return f"height {height}, or the next after it has passed" if height else "once it has passed"


def _ids(members: list[int]) -> str:
    return ", ".join(map(str, members)) or "nobody"
