"""The commands that hand the member's tag key to the committee, and replace it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from tradeline_client.cli.command import EXIT_DONE, EXIT_FAILED
from tradeline_client.cli.output import Json, print_json, print_table
from tradeline_client.cli.session import FOLDER, FolderOption, PassphraseOption, open_client

if TYPE_CHECKING:
    from tradeline_client.client import Client

group = typer.Typer(
    name="tag-key",
    help="Hand your tag key to the committee, as every member does once, or replace it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(group)
    group.command("share")(share)
    group.command("rotate")(rotate)


def share(
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Hand your tag key, sealed, to every committee member. Safe to repeat.

    Do it when you join: without it no history of any subject can be stated completely, since nobody
    could tell which events and inquiries are yours.
    """
    with open_client(folder, passphrase_file) as client:
        return _share(client, as_json=json)


def rotate(
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Put a fresh tag key in place with your root key, and hand it to every committee member.

    What is filed from now on can't be followed by who knows the old key. The old one stays in the
    folder and with the committee: what was filed under it is found as before. Cut off, it goes on
    where it was when you run it again.
    """
    from tradeline_client.cli.session import read_passphrase  # noqa: PLC0415
    from tradeline_client.client import Client  # noqa: PLC0415 - fast start-up
    from tradeline_client.errors import FolderError  # noqa: PLC0415
    from tradeline_client.flows.checkpoint import registry  # noqa: PLC0415
    from tradeline_client.flows.key import change_keys  # noqa: PLC0415
    from tradeline_client.own_keys import prepare_tag_key, use_tag_key  # noqa: PLC0415
    from tradeline_ledger.key import Replaced  # noqa: PLC0415
    from tradeline_ledger.tag import tag_key_hash  # noqa: PLC0415

    passphrase = read_passphrase(passphrase_file, folder)
    with Client.open(folder, passphrase) as client:
        session = client.session
        now = client.run(registry(session))
        record = now.member(session.member)
        registered = record.tag_key_hash if record is not None else None
        if registered is None:
            raise FolderError("this member files nothing: the registry has no tag key of it")
        if registered == tag_key_hash(session.keystore.tag_key):
            registered = prepare_tag_key(session.folder, passphrase, now)
            replaced = Replaced(None, None, None, None, registered)
            client.run(change_keys(session, replaced=replaced))
        use_tag_key(session.folder, passphrase, registered)
    with Client.open(folder, passphrase) as client:
        return _share(client, as_json=json)


def _share(client: Client, *, as_json: bool) -> int:
    from tradeline_client.flows.checkpoint import known_registry  # noqa: PLC0415 - fast start-up

    client.run(known_registry(client.session))
    rows = [
        {"member": member, "taken": error is None, "reason": str(error or "")}
        for member, error in sorted(client.share_tag_key().items())
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(
            "",
            ("committee member", "taken", "reason"),
            [(each["member"], "yes" if each["taken"] else "NO", each["reason"]) for each in rows],
        )
    return EXIT_DONE if all(each["taken"] for each in rows) else EXIT_FAILED
