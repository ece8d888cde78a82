"""
The command `tradeline`: what lenders, contributors and auditors type.

`main` puts the one command together from the entry points of the group `tradeline.commands`, with
which a node registers its own; groups of one name are merged. Exit codes: 0 done, 1 failed,
2 usage, 3 verification failed.
"""

from __future__ import annotations

import typer

from tradeline_client.cli import (
    audit,
    bench,
    completion,
    consent,
    demo,
    feed,
    governance,
    import_jobs,
    inquiry,
    key,
    ledger,
    metro2,
    mirror,
    own,
    quality,
    redeposit,
    review,
    schema,
    show,
    submit,
    tag_key,
    vault,
    verify,
)
from tradeline_client.cli.command import main

__all__ = ["app", "main"]

app = typer.Typer(
    name="tradeline",
    help="A shared credit ledger: submit, consent, read, verify, audit.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for commands in (
    *(submit, own, consent, inquiry, verify, show, mirror, audit, vault, feed, tag_key, redeposit),
    *(import_jobs, schema, key, governance, review, quality),
    *(metro2, ledger, demo, bench, completion),
):
    commands.register(app)
