"""Commands that bring a consent about: draft its terms, sign them, post them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tradeline_client.cli import values
from tradeline_client.cli.command import EXIT_DONE
from tradeline_client.cli.output import Json, print_json, print_pairs
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
    from tradeline_ledger.genesis import Ledger

_MEMBER_MAX: Final = 2**32 - 1

SecondOption = Annotated[
    int,
    typer.Option(
        min=1, max=_MEMBER_MAX, metavar="MEMBER", help="Member that identifies the subject."
    ),
]
PurposeOption = Annotated[
    values.PurposeName,
    typer.Option(metavar="NAME", help=f"What you read for: {values.listed(values.PurposeName)}."),
]
CategoriesOption = Annotated[
    Any,
    typer.Option(
        parser=values.categories,
        metavar="NAMES",
        help=f"What you may read, comma-separated: {', '.join(values.CATEGORIES)}.",
    ),
]
YearsOption = Annotated[
    Any,
    typer.Option(
        parser=values.years,
        metavar="YEARS",
        help="Years of events, such as 2021-2026; those of the validity are added.",
    ),
]
UntilOption = Annotated[
    Any,
    typer.Option(
        parser=values.moment,
        metavar="DAY",
        help="Last day of the consent, or an instant with its time zone.",
    ),
]
TemplateOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Name of the text that the subject saw.")
]
NoticeOption = Annotated[Path, typer.Option(metavar="FILE", help="That text; its hash is signed.")]
EvidenceOption = Annotated[
    Path, typer.Option(metavar="FILE", help="Record of the agreement; its hash is signed.")
]
EvidenceTypeOption = Annotated[
    values.EvidenceName,
    typer.Option(metavar="NAME", help=f"What the record is: {values.listed(values.EvidenceName)}."),
]
ReferenceOption = Annotated[
    str,
    typer.Option(metavar="TEXT", help="Your own reference; only a salted hash leaves."),
]
LanguageOption = Annotated[str, typer.Option(metavar="TAG", help="Language of the text, BCP 47.")]
FromOption = Annotated[
    Any,
    typer.Option(
        "--from",
        parser=values.moment,
        metavar="DAY",
        help="First day of the consent, or an instant with its time zone; now if left out.",
    ),
]
FrequencyOption = Annotated[
    Any,
    typer.Option(
        parser=values.frequency, metavar="N/UNIT", help="once, or N/day, N/month, N/year."
    ),
]
LifeOption = Annotated[
    Any,
    typer.Option(
        parser=values.life,
        metavar="N-UNIT",
        help="How long you keep what you read: decision, or N-day, N-month, N-year.",
    ),
]
ContributorsOption = Annotated[
    Any,
    typer.Option(
        parser=values.members,
        metavar="MEMBERS",
        help="Whose events you may read, comma-separated; all members if left out.",
    ),
]
SupersedesOption = Annotated[
    Any,
    typer.Option(
        parser=values.consent_id, metavar="CONSENT", help="Consent that ends with this one."
    ),
]
OutOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Draft; consent-ID.draft if left out.")
]
DraftArgument = Annotated[Path, typer.Argument(metavar="DRAFT", help="File of a draft.")]


def register(group: typer.Typer) -> None:
    """Add the commands to `group`."""
    group.command("draft")(draft)
    group.command("sign")(sign)
    group.command("grant")(grant)


def draft(
    *,
    second: SecondOption,
    purpose: PurposeOption,
    categories: CategoriesOption,
    years: YearsOption,
    until: UntilOption,
    template: TemplateOption,
    notice: NoticeOption,
    evidence: EvidenceOption,
    evidence_type: EvidenceTypeOption,
    reference: ReferenceOption,
    language: LanguageOption = "zh-Hans",
    start: FromOption = None,
    frequency: FrequencyOption = "once",
    life: LifeOption = "decision",
    contributors: ContributorsOption = None,
    supersedes: SupersedesOption = None,
    subject_file: SubjectOption = None,
    out: OutOption = None,
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


def _hash_of(path: Path) -> bytes:
    if not path.is_file():
        raise FileError(f"{path} is no file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _year(ledger: Ledger) -> int:
    return int(today(ledger)[:4])
