"""Step 7: one byte changed behind a node's back, and who notices."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Final

import typer

from tradeline_client.audit import audit
from tradeline_client.audit.folder import content_name
from tradeline_client.cli.output import print_table
from tradeline_client.demo.consortium import MEMBERS
from tradeline_client.errors import ClientError, StoryError
from tradeline_client.flows.mirror import mirror
from tradeline_client.requests import Request, Round, read
from tradeline_client.verification import Brought, verify_file
from tradeline_ledger.errors import VerificationError
from tradeline_ledger.statement import CONTENT_BYTES_MAX, STATEMENT, EntryLeaf, decode_leaf
from tradeline_ledger.tile import bundles_between, decode_bundle, encode_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tradeline_client.client import Client
    from tradeline_client.demo.consortium import Consortium
    from tradeline_client.requests import Flow

_VICTIM: Final = "payment"
_PEER: Final = "bank"
_BYTE: Final = 40
"""Within the first event header of a submission."""


def tamper(
    consortium: Consortium, clients: Mapping[str, Client], mirrored: Path, bundle: bytes
) -> None:
    """
    Flip a byte of one node's store, then of a bundle, and show who points at it.

    Raises:
        StoryError: somebody did not notice.
    """
    session = clients["regulator"].session
    index, name = _largest_content(mirrored)
    consortium.stop()
    said = consortium.flip_byte(_VICTIM, index, _BYTE)
    typer.echo(f"In the store of {_VICTIM}, stopped for that: {said}")
    consortium.start()
    victim = MEMBERS.index(_VICTIM) + 1
    rows = [
        ("the node itself", _doctor(consortium, _VICTIM, "--deep")),
        ("a peer", _doctor(consortium, _PEER, "--peers", "--deep")),
        ("the client", _client(clients["regulator"], victim, mirrored.with_name("fresh"))),
        ("the auditor", _auditor(clients["regulator"], victim, mirrored, name)),
    ]
    print_table("", ("who", "finds"), rows)
    for who, finding in rows:
        if not (str(index) in finding or name.split("/")[1][:16] in finding):
            raise StoryError(f"{who} did not point at entry {index}: {finding}")
    typer.echo(f"PROVEN: each of them, alone, points at entry {index}")
    at = len(bundle) // 2
    altered = bundle[:at] + bytes([bundle[at] ^ 1]) + bundle[at + 1 :]
    verdict = verify_file(altered, Brought(None, session.ledger))
    if verdict.consistent:
        raise StoryError("an altered bundle verified")
    wrong = verdict.findings[0]
    typer.echo(f"\nByte {at} of the evidence bundle is flipped; tradeline verify says:")
    typer.echo(f"  {wrong.where}: {wrong.detail}")
    typer.echo("PROVEN: an altered bundle does not verify, and it says where")


def _doctor(consortium: Consortium, member: str, *how: str) -> str:
    folder = str(consortium.folder / member)
    said = consortium.node("doctor", folder, *how, "--json", codes=(0, 1))
    findings = [finding for report in json.loads(said) for finding in report["findings"]]
    if not findings:
        raise StoryError(f"tradeline node doctor {' '.join(how)} found nothing")
    first = findings[0]
    return f"{first['code']}: {first['where']}"


def _client(client: Client, node: int, path: Path) -> str:
    """Fetch from the victim as any client does: what is wrong is refused, not returned."""
    try:
        client.run(mirror(path, node, client.session.ledger, client.checkpoint(), _quiet))
    except (VerificationError, ClientError) as error:
        return str(error)
    finally:
        shutil.rmtree(path, ignore_errors=True)
    raise StoryError("the client took what the node served")


def _auditor(client: Client, node: int, mirrored: Path, name: str) -> str:
    """Audit a copy that holds the byte as the victim serves it."""
    copy = mirrored.with_name("tampered")
    shutil.copytree(mirrored, copy)
    (copy / name).write_bytes(client.run(_unverified(node, name)))
    findings = audit(copy).findings
    shutil.rmtree(copy)
    if not findings:
        raise StoryError("the audit found nothing")
    return f"{findings[0].code}: {findings[0].where}"


def _unverified(node: int, name: str) -> Flow[bytes]:
    (answer,) = yield Round((Request(node, "GET", f"/{name}", bytes_max=CONTENT_BYTES_MAX),))
    return read(answer).body


def _largest_content(mirrored: Path) -> tuple[int, str]:
    """Return log index and file name of the largest content of a mirror."""
    largest = max((mirrored / "content").iterdir(), key=lambda path: path.stat().st_size)
    name = f"content/{largest.name}"
    index = 0
    for bundle in bundles_between(0, 1 << 40):
        path = mirrored / encode_path(bundle)
        width = bundle.width
        if not path.exists():
            path = next(path.with_name(f"{path.name}.p").iterdir())
            width = int(path.name)
        for leaf in decode_bundle(path.read_bytes(), width):
            decoded = decode_leaf(leaf)
            if isinstance(decoded, EntryLeaf):
                statement = STATEMENT.decode(decoded.statement)
                if content_name(statement.content_hash) == name:
                    return index, name
            index += 1
    raise StoryError(f"no entry names {name}")


def _quiet(done: int, total: int) -> None:
    _ = done, total
