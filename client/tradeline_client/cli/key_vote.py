"""Commands by which a member has keys replaced that only a vote replaces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradeline_client.cli.command import EXIT_DONE
from tradeline_client.cli.output import Json, print_json, print_pairs
from tradeline_client.cli.session import (
    FOLDER,
    FolderOption,
    PassphraseOption,
    now_ms,
    open_client,
    read_passphrase,
)
from tradeline_client.cli.submit import print_placement

if TYPE_CHECKING:
    from tradeline_client.client import Client
    from tradeline_client.flows.governance import ProposalStatus

ReasonOption = Annotated[
    str, typer.Option(help="Why, which the members read and everybody for ever.")
]
EffectHeightOption = Annotated[
    int,
    typer.Option(
        min=0, help="First height at which it is in force; else the next after it has passed."
    ),
]


def propose(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `tradeline node keys new` wrote.")
    ],
    *,
    reason: ReasonOption = "Rotation of keys.",
    effect_height: EffectHeightOption = 0,
    waive_quorum: Annotated[
        bool,
        typer.Option(
            "--waive-quorum",
            help="Where fewer than four validate: their network stands until this one's node has "
            "switched to its new engine key.",
        ),
    ] = False,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Propose new engine, peer, HPKE and TLS keys of your node, which a vote registers."""
    from tradeline_client.flows.checkpoint import registry  # noqa: PLC0415 - fast start-up
    from tradeline_client.new_keys import (  # noqa: PLC0415
        Terms,
        propose_node_keys,
        read_new_keys,
    )
    from tradeline_ledger.encoding import encode  # noqa: PLC0415
    from tradeline_ledger.proposal import Waiver, proposal_id  # noqa: PLC0415

    waived = int(Waiver.QUORUM) if waive_quorum else 0
    with open_client(folder, passphrase_file) as client:
        session = client.session
        now = client.run(registry(session))
        keys = read_new_keys(file, session.member)
        terms = Terms(reason, now_ms(), effect_height, waived)
        proposal = propose_node_keys(session.ledger, now, session.member, keys, terms)
        placed = client.propose(proposal)
    identity = proposal_id(encode(proposal)).hex()
    print_placement(f"proposal {identity}", placed, as_json=json)
    if not json:
        typer.echo(
            f"next: the validators run  tradeline governance approve {identity}\n"
            "once it is in force, stop the node and `tradeline node keys switch`"
        )
    return EXIT_DONE


def root(
    reason: ReasonOption = "Rotation of keys.",
    effect_height: EffectHeightOption = 0,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Replace your root key, by a vote: run it again until it says that the new one is in force.

    The new key is made first, and is in the folder beside the present one until the vote has taken
    effect. The present one need not be here, so a lost or stolen one is replaced in the same way.
    """
    from tradeline_client.client import Client  # noqa: PLC0415 - fast start-up
    from tradeline_client.flows.checkpoint import registry  # noqa: PLC0415
    from tradeline_client.new_keys import Terms, propose_root  # noqa: PLC0415
    from tradeline_client.own_keys import prepare_root, use_root  # noqa: PLC0415

    passphrase = read_passphrase(passphrase_file, folder)
    with Client.open(folder, passphrase) as client:
        session = client.session
        now = client.run(registry(session))
        record, waiting = now.member(session.member), session.keystore.next_root_key
        if waiting is not None and record is not None and record.root_key == waiting:
            use_root(session.folder, passphrase)
            return _tell("replaced", waiting, None, as_json=json)
        new = prepare_root(session.folder, passphrase)
        standing = _proposal_of(client, new) if waiting is not None else None
        if standing is None:
            terms = Terms(reason, now_ms(), effect_height)
            proposal = propose_root(session.ledger, now, session.member, new, terms)
            client.propose(proposal)
            standing = _proposal_of(client, new)
    return _tell("waiting", new, standing, as_json=json)


def _proposal_of(client: Client, root_key: bytes) -> ProposalStatus | None:
    """Return the newest proposal that still can put `root_key` in force, None if none can."""
    from tradeline_ledger.proposal import ReplaceKeys  # noqa: PLC0415

    for status in reversed(client.proposals()):
        able = status.standing in ("open", "passed", "enacted")
        changes = [each for each in status.proposal.changes if isinstance(each, ReplaceKeys)]
        if able and any(each.root_key == root_key for each in changes):
            return status
    return None


def _tell(state: str, key: bytes, standing: ProposalStatus | None, *, as_json: bool) -> int:
    from tradeline_ledger.fingerprint import fingerprint  # noqa: PLC0415

    said: dict[str, Any] = {"state": state, "root_key": key.hex()}
    if standing is not None:
        said |= {
            "proposal": standing.proposal_id.hex(),
            "standing": standing.standing,
            "approvals": list(standing.approvals),
            "needed": standing.needed,
        }
    if as_json:
        print_json(said)
        return EXIT_DONE
    print_pairs(
        (*tuple(said.items())[:1], ("root key", fingerprint(key)), *tuple(said.items())[2:])
    )
    if standing is not None and standing.standing == "open":
        typer.echo(
            "next: say the fingerprint to the validators over another channel; they run\n"
            f"  tradeline governance approve {said['proposal']}"
        )
    typer.echo(
        "keep a copy of client.keys offline; the old root key signs nothing any more"
        if state == "replaced"
        else "run `tradeline key root` again once it is in force; the old one counts until then"
    )
    return EXIT_DONE
