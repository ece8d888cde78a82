"""Commands about consents: who may read whose history, agreed by three and ended by any."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tradeline_client.cli import values
from tradeline_client.cli.command import EXIT_DONE
from tradeline_client.cli.output import Json, print_json, print_pairs, print_table
from tradeline_client.cli.session import (
    FOLDER,
    FolderOption,
    PassphraseOption,
    now_ms,
    open_client,
    today,
)
from tradeline_client.cli.subject import SubjectOption, read_subject
from tradeline_client.cli.submit import print_placement
from tradeline_client.errors import FileError

if TYPE_CHECKING:
    from tradeline_client.draft import Draft
    from tradeline_client.flows.consent import ConsentStatus
    from tradeline_client.flows.entry import Placement
    from tradeline_ledger.consent import Change
    from tradeline_ledger.genesis import Ledger

_MEMBER_MAX: Final = 2**32 - 1

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
DraftArgument = Annotated[Path, typer.Argument(metavar="DRAFT", help="File of a draft.")]
ReasonOption = Annotated[
    values.ChangeReasonName,
    typer.Option(
        metavar="NAME", help=f"Why, for all to see: {values.listed(values.ChangeReasonName)}."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(group)
    for name, run in (
        ("draft", draft),
        ("sign", sign),
        ("grant", grant),
        ("pause", pause),
        ("resume", resume),
        ("revoke", revoke),
        ("terminate", terminate),
        ("show", show),
        ("list", list_all),
    ):
        group.command(name)(run)


def draft(
    *,
    second: Annotated[
        int,
        typer.Option(
            min=1, max=_MEMBER_MAX, metavar="MEMBER", help="Member that identifies the subject."
        ),
    ],
    purpose: Annotated[
        values.PurposeName,
        typer.Option(
            metavar="NAME", help=f"What you read for: {values.listed(values.PurposeName)}."
        ),
    ],
    categories: Annotated[
        Any,
        typer.Option(
            parser=values.categories,
            metavar="NAMES",
            help=f"What you may read, comma-separated: {', '.join(values.CATEGORIES)}.",
        ),
    ],
    years: Annotated[
        Any,
        typer.Option(
            parser=values.years,
            metavar="YEARS",
            help="Years of events, such as 2021-2026; those of the validity are added.",
        ),
    ],
    until: Annotated[
        Any,
        typer.Option(
            parser=values.moment,
            metavar="DAY",
            help="Last day of the consent, or an instant with its time zone.",
        ),
    ],
    template: Annotated[
        str, typer.Option(metavar="TEXT", help="Name of the text that the subject saw.")
    ],
    notice: Annotated[Path, typer.Option(metavar="FILE", help="That text; its hash is signed.")],
    evidence: Annotated[
        Path, typer.Option(metavar="FILE", help="Record of the agreement; its hash is signed.")
    ],
    evidence_type: Annotated[
        values.EvidenceName,
        typer.Option(
            metavar="NAME", help=f"What the record is: {values.listed(values.EvidenceName)}."
        ),
    ],
    reference: Annotated[
        str,
        typer.Option(metavar="TEXT", help="Your own reference; only a salted hash leaves."),
    ],
    language: Annotated[
        str, typer.Option(metavar="TAG", help="Language of the text, BCP 47.")
    ] = "zh-Hans",
    start: Annotated[
        Any,
        typer.Option(
            "--from",
            parser=values.moment,
            metavar="DAY",
            help="First day of the consent, or an instant with its time zone; now if left out.",
        ),
    ] = None,
    frequency: Annotated[
        Any,
        typer.Option(
            parser=values.frequency, metavar="N/UNIT", help="once, or N/day, N/month, N/year."
        ),
    ] = "once",
    life: Annotated[
        Any,
        typer.Option(
            parser=values.life,
            metavar="N-UNIT",
            help="How long you keep what you read: decision, or N-day, N-month, N-year.",
        ),
    ] = "decision",
    contributors: Annotated[
        Any,
        typer.Option(
            parser=values.members,
            metavar="MEMBERS",
            help="Whose events you may read, comma-separated; all members if left out.",
        ),
    ] = None,
    supersedes: Annotated[
        Any,
        typer.Option(
            parser=values.consent_id, metavar="CONSENT", help="Consent that ends with this one."
        ),
    ] = None,
    subject_file: SubjectOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draft; consent-ID.draft if left out.")
    ] = None,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Write terms for a subject to agree to, as the one who will read.

    The draft holds no identifier. Send it to the member that identifies the subject, which signs it
    with its own copy of the identifiers; then post it with grant. What reading needs stays in your
    folder.
    """
    from tradeline_client.draft import Wish, write_draft  # noqa: PLC0415 - start-up stays fast
    from tradeline_client.profile import open_folder  # noqa: PLC0415
    from tradeline_ledger.consent import Evidence, EvidenceType, Purpose  # noqa: PLC0415

    ledger = open_folder(folder).ledger
    offset = ledger.params.utc_offset_min
    wish = Wish(
        second=second,
        purpose=values.number_of(Purpose, purpose),
        categories=categories,
        years=years,
        from_ms=now_ms() if start is None else values.instant_ms(start, offset, end=False),
        until_ms=values.instant_ms(until, offset, end=True),
        frequency=frequency,
        life=life,
        template=template,
        language=language,
        notice_hash=_hash_of(notice),
        evidence=Evidence(values.number_of(EvidenceType, evidence_type), _hash_of(evidence)),
        reference=reference,
        contributors=contributors,
        supersedes=supersedes,
    )
    subjects = read_subject(subject_file, _year(ledger))
    with open_client(folder, passphrase_file) as client:
        made = client.draft_consent(wish, subjects)
    path = out or Path(f"consent-{made.consent_id.hex()}.draft")
    write_draft(path, made)
    _print_draft(made, path, f"have member {second} sign it: tradeline consent sign {path}", json)
    return EXIT_DONE


def sign(
    draft_file: DraftArgument,
    *,
    subject_file: SubjectOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Signed draft; in place if left out.")
    ] = None,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Sign a draft as the member that identified the subject.

    Bring the identifiers that you saw yourself: the draft is signed only if it is about them.
    """
    from tradeline_client.draft import read_draft, write_draft  # noqa: PLC0415
    from tradeline_client.profile import open_folder  # noqa: PLC0415

    given = read_draft(draft_file)
    subjects = read_subject(subject_file, _year(open_folder(folder).ledger))
    with open_client(folder, passphrase_file) as client:
        signed = client.sign_consent(given, subjects)
    path = out or draft_file
    write_draft(path, signed)
    grantee = signed.decoded().grantee
    _print_draft(signed, path, f"member {grantee} posts it: tradeline consent grant {path}", json)
    return EXIT_DONE


def grant(
    draft_file: DraftArgument,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Post a consent that all who must have signed."""
    from tradeline_client.draft import read_draft  # noqa: PLC0415

    signed = read_draft(draft_file)
    with open_client(folder, passphrase_file) as client:
        placed = client.grant(signed)
    print_placement(f"consent {signed.consent_id.hex()}", placed, as_json=json)
    return EXIT_DONE


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


def _print_draft(made: Draft, path: Path, then: str, as_json: bool) -> None:
    from tradeline_client.cli.entry_json import terms_to_json  # noqa: PLC0415
    from tradeline_client.cli.report_json import value_text  # noqa: PLC0415

    terms = terms_to_json(made.decoded())
    signed = {
        "second_signed": made.second is not None,
        "subject_signed": made.subject_signature is not None,
    }
    said = {"consent": made.consent_id.hex(), "file": str(path), **signed}
    if as_json:
        print_json({**said, "terms": terms})
        return
    print_pairs((name, value_text(value)) for name, value in {**said, **terms}.items())
    typer.echo(f"next: {then}")


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


def _hash_of(path: Path) -> bytes:
    if not path.is_file():
        raise FileError(f"{path} is no file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _year(ledger: Ledger) -> int:
    return int(today(ledger)[:4])
