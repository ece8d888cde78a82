"""Commands by which a member changes its own keys, with its root key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tradeline_client.cli import key_vote
from tradeline_client.cli.command import EXIT_DONE
from tradeline_client.cli.output import Json, print_json, print_pairs, print_table
from tradeline_client.cli.session import FOLDER, FolderOption, PassphraseOption, open_client
from tradeline_client.cli.submit import print_placement

if TYPE_CHECKING:
    from tradeline_ledger.registry import MemberRecord

group = typer.Typer(
    name="key",
    help="See your keys on the ledger, and replace them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_FEED_MAX: Final = 2**32 - 1

FeedArgument = Annotated[
    int, typer.Argument(metavar="FEED", min=1, max=_FEED_MAX, help="Number of the feed.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(group)
    for name, run in (
        ("show", show),
        ("rotate", rotate),
        ("end", end),
        ("node", node),
        ("propose", key_vote.propose),
        ("root", key_vote.root),
    ):
        group.command(name)(run)


def show(
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Show your keys as the ledger has them, with their fingerprints."""
    from tradeline_client.flows.checkpoint import registry  # noqa: PLC0415 - fast start-up
    from tradeline_ledger.fingerprint import fingerprint  # noqa: PLC0415

    with open_client(folder, passphrase_file) as client:
        record = _record(client.run(registry(client.session)).member(client.session.member))
        here = set(client.session.keystore.feeds)
    rows: list[dict[str, Any]] = [
        {"key": name, "fingerprint": fingerprint(key), "here": None}
        for name, key in (
            ("root", record.root_key),
            ("node", record.node_key),
            ("note", record.note_key),
            ("cosigner", record.cosigner_key),
            ("engine", record.engine_key),
            ("HPKE", record.hpke_key),
            ("TLS", record.tls_pin),
        )
    ]
    rows += [
        {
            "key": f"feed {each.feed}",
            "fingerprint": fingerprint(each.key),
            "here": each.feed in here,
        }
        for each in record.feeds
    ]
    if json:
        print_json(rows)
        return EXIT_DONE
    print_table(
        "",
        ("key", "fingerprint", "private half in this folder"),
        [
            (each["key"], each["fingerprint"], {None: "", True: "yes", False: "NO"}[each["here"]])
            for each in rows
        ],
    )
    return EXIT_DONE


def rotate(
    feed: FeedArgument,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Put a new feed with a fresh key in the place of a feed, and end the old one.

    Cut off, it goes on where it was when you run it again.
    """
    from tradeline_client.cli.session import read_passphrase  # noqa: PLC0415
    from tradeline_client.client import Client  # noqa: PLC0415 - fast start-up
    from tradeline_client.errors import FolderError  # noqa: PLC0415
    from tradeline_client.feed_keys import drop_feed, prepare_feed, use_feed  # noqa: PLC0415
    from tradeline_client.flows.checkpoint import registry  # noqa: PLC0415
    from tradeline_client.flows.key import change_keys  # noqa: PLC0415

    passphrase = read_passphrase(passphrase_file, folder)
    with Client.open(folder, passphrase) as client:
        session = client.session
        if session.journal.pending(feed):
            raise FolderError(
                f"feed {feed} has statements on their way, which its end would strand; run "
                "`tradeline feed resume` first"
            )
        now = client.run(registry(session))
        new, taken = prepare_feed(session.folder, passphrase, feed, now)
        if not taken:
            client.run(change_keys(session, added=(new,)))
        use_feed(session.folder, feed, new.feed)
    # Requests are signed by the new feed from here on, so that ending the old one cuts nobody off.
    with Client.open(folder, passphrase) as client:
        session = client.session
        if _record(client.run(registry(session)).member(session.member)).feed(feed) is not None:
            client.run(change_keys(session, ended=(feed,)))
        drop_feed(session.folder, passphrase, feed)
    if json:
        print_json({"ended": feed, "feed": new.feed, "key": new.key.hex()})
    else:
        print_pairs((("ended", f"feed {feed}"), ("in its place", f"feed {new.feed}")))
    return EXIT_DONE


def end(
    feed: FeedArgument,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """End a feed at once, such as one whose key was stolen; nothing takes its place."""
    from tradeline_client.errors import FolderError  # noqa: PLC0415 - fast start-up
    from tradeline_client.flows.key import change_keys  # noqa: PLC0415

    with open_client(folder, passphrase_file) as client:
        profile = client.session.folder.profile
        if feed in (profile.bulk_feed, profile.desk_feed, profile.request_feed):
            raise FolderError(
                f"client.toml names feed {feed}; run `tradeline key rotate {feed}`, which puts "
                "another one in its place and ends it"
            )
        placed = client.run(change_keys(client.session, ended=(feed,)))
    print_placement(f"feed {feed} ended", placed, as_json=json)
    return EXIT_DONE


def node(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `tradeline node keys new` wrote.")
    ],
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Register new node, note and cosigner keys of your node; see `key propose` for others."""
    from tradeline_client.errors import DraftError  # noqa: PLC0415 - fast start-up
    from tradeline_client.flows.key import change_keys  # noqa: PLC0415
    from tradeline_client.new_keys import BY_ROOT, read_new_keys  # noqa: PLC0415
    from tradeline_ledger.key import Replaced  # noqa: PLC0415

    with open_client(folder, passphrase_file) as client:
        keys = read_new_keys(file, client.session.member)
        names = [name for name in BY_ROOT if name in keys]
        if not names:
            raise DraftError(
                f"{file} has none of {', '.join(BY_ROOT)}, which are what the root key replaces; "
                "the others need a vote: run `tradeline key propose`"
            )
        node_key, note_key, cosigner_key = map(keys.get, BY_ROOT)
        replaced = Replaced(node_key, note_key, cosigner_key, None, None)
        placed = client.run(change_keys(client.session, replaced=replaced))
    print_placement(f"new {', '.join(names)}", placed, as_json=json)
    if not json:
        rest = f"tradeline key propose {file}" if len(keys) > len(names) else ""
        switch = "once the registry has them, stop the node and `tradeline node keys switch`"
        typer.echo(f"next: {rest or switch}")
    return EXIT_DONE


def _record(record: MemberRecord | None) -> MemberRecord:
    """Return this member's record, which the session has found in the registry."""
    from tradeline_client.errors import FolderError  # noqa: PLC0415 - fast start-up

    if record is None:
        raise FolderError("this member is not in the registry any more")
    return record
