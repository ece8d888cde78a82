"""
Outside witnesses of this ledger's log (c2sp.org/tlog-witness): asked to cosign what is published.

They have no part in the ledger and can say only that the log has grown since they last looked, so
their cosignatures stand in the published checkpoint and never count to its quorum. What is sent is
a checkpoint with a quorum and a proof of hashes; no witness can stop the ledger by not answering.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx2

from tradeline_ledger.c2sp import decode_integer
from tradeline_ledger.cosignature import verify_cosignature
from tradeline_ledger.endpoint import is_loopback
from tradeline_ledger.errors import LedgerError, MalformedError, SignatureError
from tradeline_ledger.note import (
    Note,
    Signature,
    VerifierKey,
    decode_note,
    decode_signature,
    encode_note,
)
from tradeline_ledger.witness_request import encode_witness_request
from tradeline_node.errors import ConfigError, PeerError
from tradeline_node.publish import NOTE_LINES_MAX, Published
from tradeline_node.tls import pinned_context
from tradeline_node.witness import read_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_node.logs import Log
    from tradeline_node.metrics import Metrics
    from tradeline_node.publish import Publisher
    from tradeline_node.service import Node
    from tradeline_node.store import LedgerStore

WITNESSES_MAX: Final = 16
ANSWER_BYTES_MAX: Final = 16 << 10
TRIES: Final = 3
"""Of one checkpoint: the first may only tell which size the witness knows."""
_OK, _CONFLICT, _INCONSISTENT = 200, 409, 422
_PIN: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class OutsideWitness:
    """One witness, as its line of the policy file says."""

    name: str
    key: VerifierKey
    url: str
    """Submission prefix, without a slash at its end."""
    pin: bytes | None
    """Hash of its TLS key; None if authorities vouch for it, or nothing does on loopback."""


class OutsideWitnesses:
    """Asks in one event loop; the newest checkpoint with their lines is `newest`."""

    def __init__(
        self,
        witnesses: Sequence[OutsideWitness],
        store: LedgerStore,
        publisher: Publisher,
        *,
        ask_ms: int,
        timeout_ms: int,
        metrics: Metrics,
        log: Log,
    ) -> None:
        """Ask every `ask_ms`; nothing is asked before `run`."""
        self._witnesses, self._store, self._publisher = witnesses, store, publisher
        self._ask_s, self._timeout_s = ask_ms / 1000, timeout_ms / 1000
        self._metrics, self._log = metrics, log
        self._sizes: dict[str, int] = {}
        """What each has cosigned, as far as this node knows."""
        self._asked: bytes | None = None
        self.newest: Published | None = None
        self.failures: dict[str, str] = {}
        """Why the last cosignature of a witness is missing, by name; without those that gave it."""
        self.refused: set[str] = set()
        """Witnesses that say that this log is not the one that they know."""
        self.failure = ""
        """Why nobody is asked any more; empty while all is well."""

    def __len__(self) -> int:
        return len(self._witnesses)

    async def run(self) -> None:
        """Ask until cancelled, whenever there is a newer checkpoint."""
        if not self._witnesses:
            return
        while True:
            await asyncio.sleep(self._ask_s)
            published = self._publisher.newest
            if published is None or (published.note == self._asked and not self.failures):
                continue
            await self.ask(published)

    async def ask(self, published: Published) -> None:
        """Ask all of them to cosign one checkpoint, and publish it with the lines that come."""
        answers = await asyncio.gather(
            *(self._cosigned(each, published) for each in self._witnesses)
        )
        lines = [line for line in answers if line is not None]
        if not lines:
            return
        self._publisher.add_outside(published.size, lines)
        note = decode_note(published.note)
        names = {(each.name, each.key_id) for each in lines}
        own = [each for each in note.signatures if (each.name, each.key_id) not in names]
        room = NOTE_LINES_MAX - len(lines)
        encoded = encode_note(Note(note.text, (*own[:room], *lines)))
        etag = f'"{published.size}-{hashlib.sha256(encoded).hexdigest()[:16]}"'
        self.newest = Published(published.size, published.height, encoded, etag)
        # With the lines the note is another one, unless a newer checkpoint came meanwhile.
        current = self._publisher.newest
        same = current is not None and current.size == published.size
        self._asked = current.note if current is not None and same else published.note

    async def _cosigned(self, witness: OutsideWitness, published: Published) -> Signature | None:
        """Return a witness's line for a checkpoint, None if it gives none."""
        try:
            async with self._client(witness) as client:
                line = await self._ask_one(client, witness, published)
        except PeerError as error:
            if str(error) != self.failures.get(witness.name):
                self._log.warning("no cosignature of a witness", reason=str(error))
            self.failures[witness.name] = str(error)
            return None
        self.failures.pop(witness.name, None)
        self.refused.discard(witness.name)
        return line

    async def _ask_one(
        self, client: httpx2.AsyncClient, witness: OutsideWitness, published: Published
    ) -> Signature:
        note = decode_note(published.note)
        old = min(self._sizes.get(witness.name, 0), published.size)
        for _ in range(TRIES):
            path = (
                await asyncio.to_thread(self._store.consistency_path, old, published.size)
                if old
                else []
            )
            body = encode_witness_request(old, path, published.note)
            status, answer = await self._post(client, witness, body)
            if status == _OK:
                line = _line(witness, note, answer)
                self._sizes[witness.name] = published.size
                return line
            if status == _INCONSISTENT:
                self.refused.add(witness.name)
                self._metrics.verify_failures.labels("witness").inc()
            if status != _CONFLICT:
                raise PeerError(f"witness {witness.name} answers {status}: {_told(answer)}")
            old = _size(witness, answer)
            self._sizes[witness.name] = old
            if old > published.size:
                raise PeerError(
                    f"witness {witness.name} has cosigned {old} leaves, the checkpoint here has "
                    f"{published.size}; another node was faster"
                )
        raise PeerError(f"witness {witness.name} names another size at each try")

    async def _post(
        self, client: httpx2.AsyncClient, witness: OutsideWitness, body: bytes
    ) -> tuple[int, bytes]:
        try:
            async with client.stream("POST", f"{witness.url}/add-checkpoint", content=body) as got:
                answer = bytearray()
                async for chunk in got.aiter_raw():
                    answer += chunk
                    if len(answer) > ANSWER_BYTES_MAX:
                        raise PeerError(
                            f"witness {witness.name} answers with over {ANSWER_BYTES_MAX} bytes"
                        )
                return got.status_code, bytes(answer)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise PeerError(
                f"witness {witness.name} at {witness.url} does not answer: {type(error).__name__}"
            ) from error

    def _client(self, witness: OutsideWitness) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            headers={"accept-encoding": "identity", "content-type": "text/plain; charset=utf-8"},
            trust_env=False,
            follow_redirects=False,
            timeout=self._timeout_s,
            verify=pinned_context(witness.pin) if witness.pin is not None else True,
        )


def make_outside(node: Node) -> OutsideWitnesses:
    """
    Return what asks the outside witnesses of a node whose publisher is there.

    Raises:
        ConfigError: its policy file can't be used.
    """
    settings = node.config.witness
    witnesses = read_witnesses(node.config.path(settings.outside)) if settings.outside else []
    return OutsideWitnesses(
        witnesses,
        node.store,
        node.publisher,
        ask_ms=settings.ask_ms,
        timeout_ms=settings.timeout_ms,
        metrics=node.metrics,
        log=node.log,
    )


def read_witnesses(path: Path) -> list[OutsideWitness]:
    """
    Return the witnesses that the policy file at `path` names, each with its URL.

    Raises:
        ConfigError: it is no policy, or a URL is none that can be asked.
    """
    found = [
        OutsideWitness(each.name, each.key, *_checked_url(path, each.name, each.url))
        for each in read_policy(path).witnesses
    ]
    if len(found) > WITNESSES_MAX:
        raise ConfigError(f"{path} names {len(found)} witnesses, at most {WITNESSES_MAX} allowed")
    return found


def _checked_url(path: Path, name: str, url: str) -> tuple[str, bytes | None]:
    """Return URL and pin of a witness; the pin is the URL's fragment, 64 hexadecimal digits."""
    prefix, _, fragment = url.partition("#")
    try:
        parts = urlsplit(prefix)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError(f"{path}: URL of witness {name!r} is none: {error}") from error
    local = is_loopback(f"[{host}]" if ":" in host else host)
    good = bool(host) and not parts.query and parts.username is None
    if not good or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise ConfigError(
            f"{path}: witness {name!r} has the URL {prefix[:80]!r}, expected https://host[/path], "
            "with #<hash of its TLS key> where no authority vouches for it"
        )
    if fragment and _PIN.fullmatch(fragment) is None:
        raise ConfigError(
            f"{path}: witness {name!r} has #{fragment[:80]} after its URL, expected the SHA-256 of "
            "its TLS key, 64 hexadecimal digits"
        )
    return prefix.rstrip("/"), bytes.fromhex(fragment) if fragment else None


def _line(witness: OutsideWitness, note: Note, answer: bytes) -> Signature:
    """Return the witness's cosignature among the lines of its answer; others are ignored."""
    key = witness.key
    try:
        lines = [decode_signature(f"{line}\n") for line in answer.decode().splitlines()]
        own = [each for each in lines if (each.name, each.key_id) == (key.name, key.id)]
        if not own:
            raise SignatureError("no line is by its key")
        verify_cosignature(note.text, own[0], key)
    except (LedgerError, UnicodeDecodeError) as error:
        raise PeerError(f"witness {witness.name} gives no cosignature: {error}") from error
    return own[0]


def _size(witness: OutsideWitness, answer: bytes) -> int:
    try:
        return decode_integer(answer.decode().removesuffix("\n"), "size")
    except (MalformedError, UnicodeDecodeError) as error:
        raise PeerError(f"witness {witness.name} answers 409 without a size: {error}") from error


def _told(answer: bytes) -> str:
    """Return the beginning of what a stranger said, for a message."""
    text = answer[:200].decode(errors="replace")
    return "".join(char if char.isprintable() else " " for char in text)
