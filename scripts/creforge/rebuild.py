"""
The books of a lender, built again from ledger and vault by a client that lost everything else.

A lender knows its own accounts and customers; what it said about them it reads back. The ledger
has its references keyed under its own secret, so each is found by keying what the lender knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.creforge.books import read_rows
from scripts.creforge.state import assemble

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from scripts.creforge.books import Row

    from tradeline_client.client import Client
    from tradeline_client.flows.own_events import OwnHistory
    from tradeline_ledger.identifier import SubjectId

KEPT = ("client.keys", "client.toml", "genesis", "policy", "vault")
"""Beginnings of the names of files that a client folder keeps when all else is lost."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a lender knows apart from what it reported."""

    lender: str
    accounts: Mapping[str, str]
    """Inquiry that each of its accounts came from, by account; empty where there was none."""
    people: Mapping[str, SubjectId]
    """Its customers."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Tables of one lender."""

    accounts: list[Row]
    months: list[Row]
    strays: int
    """Events that belong to no account of the lender, or that are there twice, or can't be read."""


def known_of(lender: str, files: Iterable[Path], people: Mapping[str, SubjectId]) -> Known:
    """Return which accounts and customers a lender has, from the ids in its files alone."""
    accounts, customers = {}, {}
    for path in files:
        for row in read_rows(path):
            accounts[row["account_id"]] = row["inquiry_id"]
            customers[row["subject_id"]] = people[row["subject_id"]]
    return Known(lender, accounts, customers)


def forget(folder: Path) -> list[str]:
    """Delete all that a client folder holds beside keys, ledger and vault; return the names."""
    gone = []
    for path in sorted(folder.iterdir()):
        if not path.name.startswith(KEPT):
            _remove(path)
            gone.append(path.name)
    return gone


def rebuild(client: Client, known: Known) -> Rebuilt:
    """Return the tables that follow from what `client` reads back."""
    history = client.own_events()
    references = client.session.keystore.references
    names = {references.account(each): each for each in known.accounts}
    openings = {
        references.ref(f"opened {account} {inquiry}"): (account, inquiry)
        for account, inquiry in known.accounts.items()
    }
    owners = _owners(client, history, known)
    found = assemble((each.account, each) for each in history.effective)
    opened = {
        each.account: each for each in history.effective if each.schema.name == "account.opened"
    }
    accounts, months, strays = [], [], len(history.absent)
    for key, account in found.items():
        name = names.get(key)
        if name is None or key not in opened:
            strays += 1
            continue
        strays += account.twice
        _, inquiry = openings.get(history.ref(opened[key]), ("", "unknown"))
        subject = owners.get(history.tags[opened[key].original], "unknown")
        ids = {"account_id": name, "subject_id": subject, "inquiry_id": inquiry}
        accounts.append({**ids, "lender_id": known.lender, **account.account_row()})
        months += [{"account_id": name, **row} for row in account.month_rows()]
    return Rebuilt(accounts, months, strays)


def _owners(client: Client, history: OwnHistory, known: Known) -> dict[bytes, str]:
    """Return whom each tag of the member stands for, as far as it is one of its customers."""
    filer = client.session.keystore.filer()
    places = {
        (int(each.occurred_on[:4]), int(each.schema.category))
        for each in history.effective
        if each.schema.category is not None
    }
    return {
        filer.tag(subject, year, category): name
        for year, category in places
        for name, subject in known.people.items()
    }


def _remove(path: Path) -> None:
    import shutil  # noqa: PLC0415

    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
