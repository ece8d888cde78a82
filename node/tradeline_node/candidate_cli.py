"""`tradeline node init`: the keys of one institution, made on its own machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tradeline_node.errors import ConfigError

if TYPE_CHECKING:
    from tradeline_ledger.registry import LegalId, Role


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    *,
    member: Annotated[int, typer.Option(help="Your member id, which the members agreed on.")],
    name: Annotated[str, typer.Option(help="Name of your institution.")],
    host: Annotated[
        str, typer.Option(help="Name or address at which others reach your node.")
    ] = "127.0.0.1",
    http_port: Annotated[int, typer.Option(min=1, max=65535, help="Its HTTP port.")] = 7101,
    engine_port: Annotated[int, typer.Option(min=1, max=65535, help="Its engine's port.")] = 7201,
    listen: Annotated[
        str, typer.Option(help="Address to listen on, if it is another than --host.")
    ] = "",
    roles: Annotated[
        str, typer.Option(help="Comma-separated.")
    ] = "contributor,reader,authenticator,validator",
    group: Annotated[
        int | None, typer.Option(help="Legal group, if you are not alone in yours.")
    ] = None,
    uscc: Annotated[str, typer.Option(help="Your unified social credit code.")] = "",
    lei: Annotated[str, typer.Option(help="Your LEI.")] = "",
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--passphrase-file",
            help="File with the passphrase of the new keystores; else it is asked for.",
        ),
    ] = None,
) -> None:
    """Make the keys of your node and client, and the candidate file that others get."""
    from tradeline_node.candidacy import (  # noqa: PLC0415  start-up stays fast
        CANDIDATE_NAME,
        Candidacy,
        make_candidate,
    )
    from tradeline_node.ceremony import fingerprint  # noqa: PLC0415
    from tradeline_node.keystore import read_passphrase  # noqa: PLC0415
    from tradeline_node.member_keys import Place  # noqa: PLC0415

    candidacy = Candidacy(
        member=member,
        name=name,
        roles=_roles(roles),
        place=Place(host, http_port, engine_port),
        listen=listen,
        group=group,
        legal_ids=_legal_ids(uscc, lei),
    )
    record = make_candidate(
        folder, candidacy, read_passphrase(passphrase_file, "the new keystores")
    )
    typer.echo(f"member     {record.id}  {record.name}  {record.endpoint}")
    typer.echo(f"root key   {fingerprint(record.root_key)}")
    typer.echo(f"candidate  {folder / CANDIDATE_NAME}")
    typer.echo(
        "next: hand the candidate file to the founders (`tradeline genesis create`), or to a "
        "member that proposes your admission; say the fingerprint over another channel",
        err=True,
    )


def _roles(text: str) -> Role:
    from tradeline_ledger.registry import Role  # noqa: PLC0415

    known = {str(role.name).lower(): role for role in Role}
    found = Role(0)
    for word in text.split(","):
        role = known.get(word.strip())
        if role is None:
            raise ConfigError(f"unknown role {word.strip()!r}, expected some of {', '.join(known)}")
        found |= role
    return found


def _legal_ids(uscc: str, lei: str) -> tuple[LegalId, ...]:
    from tradeline_ledger.errors import IdentifierError  # noqa: PLC0415
    from tradeline_ledger.identifier import IdType, parse_identifier  # noqa: PLC0415
    from tradeline_ledger.registry import LegalId  # noqa: PLC0415

    found = []
    for id_type, text in ((IdType.USCC, uscc), (IdType.LEI, lei)):
        if text:
            try:
                parsed = parse_identifier(id_type, text, datetime.now(UTC).year)
            except IdentifierError as error:
                raise ConfigError(str(error)) from error
            found.append(LegalId(int(id_type), parsed.country, parsed.identifier))
    return tuple(found)
