"""Commands of readers: post an inquiry, and read the history that it answers."""

from __future__ import annotations

import getpass
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradeline_client.cli import values
from tradeline_client.cli.command import EXIT_DONE
from tradeline_client.cli.output import Json, print_json, print_pairs
from tradeline_client.cli.session import (
    FOLDER,
    FolderOption,
    PassphraseOption,
    open_client,
    today,
)
from tradeline_client.cli.subject import SubjectOption, read_subject
from tradeline_client.errors import ClientError, DraftError, FileError
from tradeline_ledger.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradeline_client.client import Client
    from tradeline_client.flows.inquiry import PostedInquiry, Question
    from tradeline_ledger.report import Reading

_INDEX_MAX = 2**63 - 1

_CONSENT = typer.Option(
    "--consent", parser=values.consent_id, metavar="CONSENT", help="Id of a consent, 32 hex digits."
)
_PURPOSE = typer.Option(
    metavar="NAME", help=f"{values.listed(values.PurposeName)}; the consent's if left out."
)
PurposeOption = Annotated[values.PurposeName | None, _PURPOSE]
OperatorOption = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT", help="Who asks, in your house; your login if left out; only a hash leaves."
    ),
]
ReferenceOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Your own reference; only a salted hash leaves.")
]
CategoriesOption = Annotated[
    Any,
    typer.Option(
        parser=values.categories, metavar="NAMES", help="Fewer categories than the consent allows."
    ),
]
ContributorsOption = Annotated[
    Any,
    typer.Option(
        parser=values.members, metavar="MEMBERS", help="Fewer members than the consent allows."
    ),
]
YearsOption = Annotated[
    Any,
    typer.Option(parser=values.years, metavar="YEARS", help="Fewer years than the consent allows."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("inquire")(inquire)
    app.command("report")(report)


def inquire(
    *,
    consent: Annotated[Any, _CONSENT],
    purpose: PurposeOption = None,
    operator: OperatorOption = None,
    reference: ReferenceOption = "",
    categories: CategoriesOption = None,
    contributors: ContributorsOption = None,
    years: YearsOption = None,
    subject_file: SubjectOption = None,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Post an inquiry only; read it later with report --inquiry.

    The inquiry is on the ledger for the subject and later readers to see. With --subject-file it is
    posted only if the consent is about exactly that subject.
    """
    with open_client(folder, passphrase_file) as client:
        asked = (purpose, operator, reference, categories, contributors, years)
        posted = _post(client, _question(client, consent, asked, subject_file))
    then = f"tradeline report --inquiry {posted.index} --out FILE"
    if json:
        print_json({"inquiry": posted.index, "consent": consent.hex()})
    else:
        print_pairs((("inquiry", f"entry {posted.index}"), ("next", then)))
    return EXIT_DONE


def report(
    *,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="New file for the evidence bundle, mode 0600.")
    ],
    consent: Annotated[Any, _CONSENT] = None,
    inquiry: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=_INDEX_MAX,
            metavar="INDEX",
            help="Inquiry of yours to read, in place of a new one.",
        ),
    ] = None,
    without_content: Annotated[
        bool, typer.Option("--without-content", help="Leave the keys out of the bundle.")
    ] = False,
    purpose: PurposeOption = None,
    operator: OperatorOption = None,
    reference: ReferenceOption = "",
    categories: CategoriesOption = None,
    contributors: ContributorsOption = None,
    years: YearsOption = None,
    subject_file: SubjectOption = None,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Read a subject's verified history under a consent, and keep the evidence bundle.

    Posts the inquiry, collects the releases of the committee, verifies everything and prints the
    history: events, corrections with old and new, who asked before, what was deleted and why, and
    as of when it is complete. With --subject-file nothing is asked unless the consent is about
    exactly that subject.
    """
    if (consent is None) == (inquiry is None):
        raise typer.BadParameter("give either --consent or --inquiry")
    if out.exists() or not out.absolute().parent.is_dir():
        # Found out before the inquiry, which may use the consent up.
        raise FileError(f"{out} exists or has no folder; name a new file for the bundle")
    with open_client(folder, passphrase_file) as client:
        if inquiry is None:
            asked = (purpose, operator, reference, categories, contributors, years)
            posted = _post(client, _question(client, consent, asked, subject_file))
        else:
            posted = client.inquiry(inquiry)
            _check_subject(client, posted.inquiry.consent_id, subject_file)
        with _readable_again(posted.index):
            reading, size = _read(client, posted, out, without_content=without_content)
        if reading.blamed:
            typer.echo(f"evidence files are in {client.session.folder.evidence}", err=True)
    _print(reading, out, size, without_content=without_content, as_json=json)
    return EXIT_DONE


def _question(
    client: Client, consent: bytes, asked: tuple[Any, ...], subject_file: Path | None
) -> Question:
    from tradeline_client.flows.consent import secret_of  # noqa: PLC0415 - start-up stays fast
    from tradeline_client.flows.inquiry import Question  # noqa: PLC0415
    from tradeline_ledger.consent import TERMS, Purpose  # noqa: PLC0415

    purpose, operator, reference, categories, contributors, years = asked
    _check_subject(client, consent, subject_file)
    if purpose is None:
        terms = TERMS.decode(secret_of(client.session, consent).terms)
        purpose = Purpose(terms.purpose)
    else:
        purpose = values.number_of(Purpose, purpose)
    return Question(
        consent,
        purpose,
        operator or getpass.getuser(),
        reference,
        categories=categories,
        contributors=contributors,
        years=years,
    )


def _check_subject(client: Client, consent: bytes, subject_file: Path | None) -> None:
    """Accept the consent if it is about the subject that the caller means, if one was given."""
    from tradeline_client.flows.consent import secret_of  # noqa: PLC0415

    if subject_file is None:
        return
    given = read_subject(subject_file, int(today(client.session.ledger)[:4]))
    if set(secret_of(client.session, consent).subjects) != set(given):
        raise DraftError(
            f"consent {consent.hex()} is not about the subject in {subject_file}, with exactly "
            "these identifiers; nothing was asked"
        )


def _post(client: Client, question: Question) -> PostedInquiry:
    """Post an inquiry; the committee is to find it in the history, so it gets the tag key first."""
    from tradeline_client.flows.checkpoint import known_registry  # noqa: PLC0415

    client.run(known_registry(client.session))
    client.share_tag_key()
    return client.inquire(question)


@contextmanager
def _readable_again(index: int) -> Iterator[None]:
    try:
        yield
    except (ClientError, LedgerError, OSError):
        typer.echo(
            f"tradeline: inquiry {index} is on the ledger; read it again with: tradeline report "
            f"--inquiry {index} --out FILE",
            err=True,
        )
        raise


def _read(
    client: Client, posted: PostedInquiry, out: Path, *, without_content: bool
) -> tuple[Reading, int]:
    """Read an inquiry, and write the bundle; return its size, too."""
    from tradeline_client.files import write_private  # noqa: PLC0415
    from tradeline_ledger.bundle import withhold  # noqa: PLC0415

    reading = client.read(posted)
    bundle = withhold(reading.bundle) if without_content else reading.bundle
    write_private(out, bundle)
    return reading, len(bundle)


def _print(reading: Reading, out: Path, size: int, *, without_content: bool, as_json: bool) -> None:
    from tradeline_client.cli.report_json import report_to_json  # noqa: PLC0415
    from tradeline_client.cli.report_view import print_history  # noqa: PLC0415

    if as_json:
        print_json(
            {
                "bundle": {"file": str(out), "bytes": size, "content": not without_content},
                "dissenters": list(reading.dissenters),
                "doubted": [
                    {"event": str(event), "member": member} for event, member in reading.doubted
                ],
                "blamed": [
                    {
                        "event": str(each.event),
                        "member": each.member,
                        "part": each.part.value,
                        "detail": each.detail,
                    }
                    for each in reading.blamed
                ],
                "report": report_to_json(reading.report),
            }
        )
        return
    print_history(reading.report)
    for member in reading.dissenters:
        typer.echo(f"warning: committee member {member} answered wrong, or otherwise than the rest")
    proven = {(each.event, each.member) for each in reading.blamed}
    for event, member in reading.doubted:
        if (event, member) not in proven:
            typer.echo(f"warning: event {event}: the share of member {member} does not fit")
    for each in reading.blamed:
        typer.echo(
            f"warning: event {each.event}: member {each.member} is at fault ({each.part.value}): "
            f"{each.detail}"
        )
    what = "without its content" if without_content else "with its content, so keep it safe"
    typer.echo(f"\nbundle: {out}, {size} bytes, {what}; check it with: tradeline verify {out}")
