"""Commands about feeds: where each signing key stands, in this folder and on the ledger."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tradeline_client.cli.command import EXIT_DONE, EXIT_FAILED
from tradeline_client.cli.output import Json, print_json, print_pairs, print_table
from tradeline_client.cli.session import FOLDER, FolderOption, PassphraseOption, open_client

group = typer.Typer(
    name="feed",
    help="See where your feeds stand, and settle what is pending.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_FEED_MAX = 2**32 - 1


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(group)
    group.command("show")(show)
    group.command("resume")(resume)
    group.command("adopt")(adopt)


def show(
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Show the next position of each feed, in your journal and proven by the ledger."""
    rows: list[dict[str, Any]] = []
    with open_client(folder, passphrase_file) as client:
        journal = client.session.journal
        for feed in client.session.keystore.feeds:
            own, verified = journal.position(feed), client.position(feed)
            rows.append(
                {
                    "feed": feed,
                    "journal_seq": None if own is None else own.next_seq,
                    "ledger_seq": verified.next_seq,
                    "pending": len(journal.pending(feed)),
                }
            )
    if json:
        print_json(rows)
    else:
        print_table(
            "",
            ("feed", "next in the journal", "next on the ledger", "pending"),
            [
                (
                    each["feed"],
                    "never used" if each["journal_seq"] is None else each["journal_seq"],
                    each["ledger_seq"],
                    each["pending"],
                )
                for each in rows
            ],
        )
    return EXIT_DONE


def resume(
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Hand over again what was signed and is not known to be on the ledger, and wait for it."""
    from tradeline_client.errors import RefusedError  # noqa: PLC0415 - start-up stays fast

    with open_client(folder, passphrase_file) as client:
        settled = [
            {"index": each.index, "outcome": each.outcome.code, "remedy": each.remedy}
            if isinstance(each, RefusedError)
            else {"index": each.index, "outcome": each.outcome.code, "remedy": None}
            for each in client.resume()
        ]
    if json:
        print_json(settled)
    else:
        print_table(
            f"{len(settled)} statements were pending",
            ("entry", "outcome", "remedy"),
            [(each["index"], each["outcome"], each["remedy"] or "") for each in settled],
        )
    return EXIT_FAILED if any(each["remedy"] for each in settled) else EXIT_DONE


def adopt(
    feed: Annotated[int, typer.Argument(min=1, max=_FEED_MAX, help="Number of the feed.")],
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Take a feed's position from verified blocks, after this folder was restored or moved.

    Make sure first that no other copy of the folder signs: two statements at one position are kept
    as evidence against their key.
    """
    with open_client(folder, passphrase_file) as client:
        client.session.keystore.feed(feed)  # which says so if it is not here
        position = client.adopt_position(feed)
    if json:
        print_json({"feed": feed, "next_seq": position.next_seq, "prev": position.prev.hex()})
    else:
        print_pairs((("feed", feed), ("next position", position.next_seq)))
    return EXIT_DONE
