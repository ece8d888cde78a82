"""`tradeline node init|invite|join`: own keys, and the way into a ledger."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tradeline_node.errors import ConfigError

if TYPE_CHECKING:
    from tradeline_ledger.invite import Invite
    from tradeline_ledger.registry import LegalId, Role

DEFAULT_INVITE_DAYS: Final = 14

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", help="File with the passphrase of your keys; else it is asked for."
    ),
]


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
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make the keys of your node and client, and the candidate file that others get."""
    from tradeline_ledger.fingerprint import fingerprint  # noqa: PLC0415
    from tradeline_node.candidacy import (  # noqa: PLC0415  start-up stays fast
        CANDIDATE_NAME,
        Candidacy,
        make_candidate,
    )
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


def invite(
    folder: Annotated[
        Path, typer.Argument(metavar="MEMBER_DIR", help="Your folder; its node may run.")
    ],
    candidate: Annotated[
        Path, typer.Argument(metavar="CANDIDATE", help="Candidate file of the admitted member.")
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new invite.")],
    *,
    days: Annotated[
        int, typer.Option(min=1, max=365, help="For how long it can be used.")
    ] = DEFAULT_INVITE_DAYS,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Write an invite for a member that was admitted: genesis, registry, consortium key."""
    from tradeline_node.config import load_config  # noqa: PLC0415
    from tradeline_node.joining import DAY_MS, write_invite  # noqa: PLC0415
    from tradeline_node.keystore import read_passphrase  # noqa: PLC0415

    config = load_config(folder, os.environ)
    named = config.node.passphrase_file
    own = passphrase_file or (config.path(named) if named else None)
    until_ms = int(time.time() * 1000) + days * DAY_MS
    written = write_invite(config, read_passphrase(own, "your keys"), candidate, file, until_ms)
    _show_invite(written)
    typer.echo(
        f"next: hand {file} to member {written.member.id}, who runs `tradeline node join`; it is "
        "of use to the owner of that member's keys alone",
        err=True,
    )


def join(
    file: Annotated[Path, typer.Argument(metavar="INVITE", help="The invite.")],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Your folder, as `tradeline node init` made it.")
    ],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Join without asking.")] = False,
    fetch: Annotated[
        bool, typer.Option("--fetch/--no-fetch", help="Fetch the log from the others at once.")
    ] = True,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Join a ledger by an invite: check it, take genesis and consortium key, fetch the log."""
    from tradeline_node.catch_up_command import catch_up_node  # noqa: PLC0415
    from tradeline_node.config import load_config  # noqa: PLC0415
    from tradeline_node.joining import addresses, read_invite  # noqa: PLC0415
    from tradeline_node.joining import join as join_by  # noqa: PLC0415
    from tradeline_node.keystore import read_passphrase  # noqa: PLC0415

    found = read_invite(file, int(time.time() * 1000))
    _show_invite(found)
    if not yes:
        typer.confirm("Compare ledger and root keys with the members. Join?", abort=True)
    passphrase = read_passphrase(passphrase_file, "your keys")
    join_by(folder, found, passphrase)
    typer.echo(f"{folder} is of this ledger now")
    if fetch:
        done = catch_up_node(load_config(folder, os.environ), passphrase, named=addresses(found))
        typer.echo(f"{done.leaves} leaves fetched, checked and replayed; the log has {done.size}")
    typer.echo(f"next: tradeline node run {folder}", err=True)


def _show_invite(invite: Invite) -> None:
    from tradeline_ledger.fingerprint import fingerprint  # noqa: PLC0415

    ledger, registry = invite.log.ledger, invite.registry
    until = datetime.fromtimestamp(invite.until_ms / 1000, UTC)
    typer.echo(f"ledger     {ledger.ledger_id.hex()}")
    typer.echo(f"name       {ledger.genesis.name}, as of block {invite.log.height}")
    typer.echo(f"invited    member {invite.member.id}, {invite.member.name}")
    typer.echo(f"by         member {invite.inviter.id}, {invite.inviter.name}")
    typer.echo(f"until      {until:%Y-%m-%d %H:%M} UTC")
    for number in registry.epoch.validators:
        record = registry.member(number)
        if record is not None:
            typer.echo(
                f"validator  {record.id:>3}  root key {fingerprint(record.root_key)}  "
                f"TLS key {fingerprint(record.tls_pin)}\n"
                f"                {record.name}, {record.endpoint}, {record.engine_peer}"
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
