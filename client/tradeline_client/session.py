"""
What the flows of one client share: its folder, keys and stores, and what it trusts by now.

A session does no network I/O. Many flows may use one session at the same time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Final

from tradeline_client import journal, vault
from tradeline_client.errors import FolderError, ForkError, NotFoundError
from tradeline_client.files import write_private
from tradeline_client.journal import Journal
from tradeline_client.keystore import Keystore, open_keystore
from tradeline_client.profile import FOLDER_MODE, ClientFolder, open_folder
from tradeline_client.seal import EventSealer
from tradeline_client.seen import Seen
from tradeline_client.vault import Vault
from tradeline_ledger.history import EventId
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.request import NONCE_BYTES, sign_request
from tradeline_ledger.statement import Kind
from tradeline_ledger.trust import TrustedLog, VerifiedCheckpoint

if TYPE_CHECKING:
    from pathlib import Path

    from tradeline_client.journal import Signed
    from tradeline_client.requests import Request
    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.registry import Registry

Clock = Callable[[], int]
"""Returns ms since 1970 UTC."""
MS_PER_S: Final = 1000
FETCH_S: Final = 2.0
"""How long other flows wait for the one that asks for a checkpoint; a lost one costs no more."""


def clock_ms() -> int:
    """Return the machine's clock, ms since 1970 UTC."""
    return time.time_ns() // 1_000_000


class Session:
    """One client folder, opened. Close it when done."""

    def __init__(self, folder: ClientFolder, keystore: Keystore, clock: Clock = clock_ms) -> None:
        """
        Open the stores of `folder` with the keys of `keystore`.

        Raises:
            FolderError: the keys are not those of the folder's member and ledger.
            StoreError: journal or vault can't be opened.
        """
        if keystore.member != folder.profile.member:
            raise FolderError(
                f"{folder.keys} holds the keys of member {keystore.member}, client.toml names "
                f"member {folder.profile.member}; put files of one member together"
            )
        keystore.check(folder.ledger, folder.ledger.registry)
        self.folder = folder
        self.keystore = keystore
        self.clock_ms = clock
        self.journal = Journal(folder.journal, keystore.storage_key(journal.STORAGE_NAME))
        self.vault = Vault(folder.vault, keystore.storage_key(vault.STORAGE_NAME))
        self.seen = Seen(folder.checkpoint, folder.ledger.origin)
        self.sealer = EventSealer(keystore, folder.ledger, clock)
        self.ready_feeds: set[int] = set()
        """Feeds whose position was taken from verified blocks since this session began."""
        self.registry_ms = 0
        """When the registry was last verified to be that of the newest block."""
        self._trust = TrustedLog.start(folder.ledger)
        self._lock = Lock()
        self._fetch_until_s = 0.0

    @classmethod
    def open(cls, path: Path, passphrase: bytes, clock: Clock = clock_ms) -> Session:
        """
        Open the client folder at `path`.

        Raises:
            FolderError: folder, profile or keystore can't be used.
            StoreError: journal or vault can't be opened.
        """
        folder = open_folder(path)
        return cls(folder, open_keystore(folder.keys, passphrase), clock)

    def __repr__(self) -> str:
        return f"Session({self.folder.path}, member={self.member})"

    def close(self) -> None:
        """Close journal and vault."""
        self.journal.close()
        self.vault.close()

    @property
    def ledger(self) -> Ledger:
        """The ledger of the pinned genesis."""
        return self.folder.ledger

    @property
    def member(self) -> int:
        """The member that this client acts for."""
        return self.keystore.member

    @property
    def trust(self) -> TrustedLog:
        """The registry as far as it was followed, and the newest verified checkpoint."""
        return self._trust

    @property
    def registry(self) -> Registry:
        """The registry as far as it was followed."""
        return self._trust.registry

    def follow(self, trust: TrustedLog) -> None:
        """
        Take a trust with a later registry, unless another flow has come further.

        Raises:
            FolderError: the member was admitted, and with other keys than this folder's.
        """
        with self._lock:
            if trust.size > self._trust.size:
                if self.registry.member(self.member) is None:
                    self.keystore.check(self.ledger, trust.registry)
                self._trust = replace(trust, checkpoint=self._trust.checkpoint)
                self.sealer.params = self.ledger.params_of(trust.registry)

    def accept(self, checkpoint: VerifiedCheckpoint) -> None:
        """Take a verified checkpoint that is consistent with `seen`, unless a newer one is here."""
        with self._lock:
            known = self._trust.checkpoint
            if known is None or known.size < checkpoint.size:
                self._trust = replace(self._trust, checkpoint=checkpoint)

    def begin_fetch(self) -> bool:
        """Return whether the caller may ask for a checkpoint; False while another flow does."""
        now_s = time.monotonic()
        with self._lock:
            if now_s < self._fetch_until_s:
                return False
            self._fetch_until_s = now_s + FETCH_S
            return True

    def end_fetch(self) -> None:
        """Let the next flow ask."""
        with self._lock:
            self._fetch_until_s = 0.0

    def nodes(self, first: int | None = None) -> list[int]:
        """Return the validators with a node, `first` and the profile's home before the others."""
        registry = self.registry
        known = [
            number
            for number in registry.epoch.validators
            if self.folder.endpoint(registry, number) is not None
        ]
        preferred = [n for n in (first, self.folder.profile.home) if n is not None and n in known]
        return list(dict.fromkeys([*preferred, *known]))

    def endpoint(self, member: int) -> str | None:
        """Return the base URL of a member's node, None if it has none."""
        return self.folder.endpoint(self.registry, member)

    def pin(self, member: int) -> bytes | None:
        """Return the hash of a member's TLS key that the registry pins, None if it pins none."""
        record = self.registry.member(member)
        return record.tls_pin if record is not None else None

    def sign(self, request: Request) -> dict[str, str]:
        """Return the headers that sign `request` now, with the profile's request feed."""
        feed = self.folder.profile.request_feed
        return sign_request(
            self.keystore.feed(feed),
            member=self.member,
            feed=feed,
            ledger_id=self.ledger.ledger_id,
            recipient=request.node,
            method=request.method,
            target=request.target,
            body=request.body,
            created_s=self.clock_ms() // MS_PER_S,
            nonce=os.urandom(NONCE_BYTES),
        )

    def settle(self, signed: Signed, index: int, outcome: Outcome) -> None:
        """
        Record the verified place of a statement, and what follows from it for the vault.

        The vault comes first: a crash in between leaves the statement pending, and it is settled
        again once its place is known again.
        """
        done = outcome.accepted
        if signed.kind == Kind.SUBMISSION and signed.about is not None:
            if done:
                self.vault.placed(signed.about, index)
            elif outcome is not Outcome.BATCH_DUPLICATE:
                self.vault.discard(signed.about)
        if signed.kind == Kind.REDEPOSIT and signed.about is not None and done:
            self.vault.dealt(*dealt_of(signed.about))
        # Only an order to erase is about an event; one that was given before erases, too.
        erased = signed.kind == Kind.MARK and (done or outcome is Outcome.MARK_WITHOUT_EFFECT)
        if erased and signed.about is not None:
            self._erase(event_of(signed.about))
        self.journal.placed(signed.hash, index, outcome)

    def _erase(self, event: EventId) -> None:
        try:
            self.vault.erase(event)
        except NotFoundError:
            # Sealed by another folder of the same member: its own vault has the key.
            return

    def forked(self, error: ForkError, name: str, evidence: bytes) -> ForkError:
        """Return `error` once its evidence stands in a file of the folder."""
        error.file = self.keep_evidence(name, evidence)
        return error

    def keep_evidence(self, name: str, evidence: bytes) -> Path:
        """Return the file of the folder that `evidence` stands in by now."""
        self.folder.evidence.mkdir(mode=FOLDER_MODE, exist_ok=True)
        path = self.folder.evidence / name
        write_private(path, evidence)
        return path


def dealt_about(index: int, epoch: int) -> bytes:
    """Return what the journal says that a re-deposit is about: submission and epoch."""
    return index.to_bytes(8, "big") + epoch.to_bytes(4, "big")


def dealt_of(about: bytes) -> tuple[int, int]:
    """Return log index of the submission, and epoch, that `dealt_about` wrote."""
    return int.from_bytes(about[:8], "big"), int.from_bytes(about[8:], "big")


def event_of(about: bytes) -> EventId:
    """Return the event that `EventId.encoded` wrote."""
    return EventId(int.from_bytes(about[:8], "big"), int.from_bytes(about[8:], "big"))
