"""Commands about consents: who may read whose history, agreed by three and ended by any."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradeline_client.cli import draft, values
from tradeline_client.cli.command import EXIT_DONE
from tradeline_client.cli.output import Json, print_json, print_pairs, print_table
from tradeline_client.cli.session import (
    FOLDER,
    FolderOption,
    PassphraseOption,
    open_client,
)
from tradeline_client.cli.submit import print_placement

if TYPE_CHECKING:
    from tradeline_client.flows.consent import ConsentStatus
    from tradeline_client.flows.entry import Placement
    from tradeline_ledger.consent import Change

group = typer.Typer(
    name="consent",
    help="Draft, sign, post, change and show consents.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ConsentArgument = Annotated[
    bytes,
    typer.Argument(
        parser=values.consent_id, metavar="CONSENT", help="Id of a consent, 32 hex digits."
    ),
]
ReasonOption = Annotated[
    values.ChangeReasonName,
    typer.Option(
        metavar="NAME", help=f"Why, for all to see: {values.listed(values.ChangeReasonName)}."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(group)
    draft.register(group)
    for name, run in (
        ("pause", pause),
        ("resume", resume),
        ("revoke", revoke),
        ("terminate", terminate),
        ("show", show),
        ("list", list_all),
    ):
        group.command(name)(run)


def pause(
    consent: ConsentArgument,
    reason: ReasonOption = "subject",
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Let nobody read under a consent until it is resumed, as the second member."""
    return _change("PAUSE", consent, reason, folder, passphrase_file, as_json=json)


def resume(
    consent: ConsentArgument,
    reason: ReasonOption = "subject",
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Let a consent that you paused be used again."""
    return _change("RESUME", consent, reason, folder, passphrase_file, as_json=json)


def revoke(
    consent: ConsentArgument,
    reason: ReasonOption = "subject",
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """End a consent for good, as the second member."""
    return _change("REVOKE", consent, reason, folder, passphrase_file, as_json=json)


def terminate(
    consent: ConsentArgument,
    reason: ReasonOption = "reader",
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """End a consent for good, as its reader."""
    return _change("TERMINATE", consent, reason, folder, passphrase_file, as_json=json)


def show(
    consent: ConsentArgument,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Show a consent of yours: its terms proven, its standing agreed by a quorum of nodes."""
    from tradeline_client.cli.report_json import value_text  # noqa: PLC0415

    with open_client(folder, passphrase_file) as client:
        status = client.consent(consent)
    said = _status_json(status)
    if json:
        print_json(said)
    else:
        terms = said.pop("terms")
        print_pairs((name, value_text(value)) for name, value in {**said, **terms}.items())
    return EXIT_DONE


def list_all(
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """List the consents that you are a party of."""
    with open_client(folder, passphrase_file) as client:
        listed = [_status_json(each) for each in client.consents()]
    if json:
        print_json(listed)
        return EXIT_DONE
    print_table(
        f"Consents: {len(listed)}",
        ("consent", "standing", "reader", "second", "purpose", "until", "reads used"),
        [
            (
                each["consent"],
                each["standing"],
                each["terms"]["grantee"],
                each["terms"]["second"],
                each["terms"]["purpose"],
                each["terms"]["until"],
                each["reads_used"],
            )
            for each in listed
        ],
    )
    return EXIT_DONE


def _change(
    name: str,
    consent: bytes,
    reason: values.ChangeReasonName,
    folder: Path,
    passphrase_file: Path | None,
    *,
    as_json: bool,
) -> int:
    from tradeline_ledger.consent import Change, ChangeReason  # noqa: PLC0415

    what: Change = Change[name]
    with open_client(folder, passphrase_file) as client:
        why = values.number_of(ChangeReason, reason)
        placed: Placement = client.change_consent(consent, what, why)
    print_placement(f"{name.lower()} {consent.hex()}", placed, as_json=as_json)
    return EXIT_DONE


def _status_json(status: ConsentStatus) -> dict[str, Any]:
    from tradeline_client.cli.entry_json import terms_to_json  # noqa: PLC0415

    return {
        "consent": status.consent_id.hex(),
        "standing": status.standing.name.lower(),
        "index": status.index,
        "changed_index": status.changed_index,
        "reads_used": status.reads_used,
        "agreed_by": list(status.agreed_by),
        "terms": terms_to_json(status.terms),
    }
