"""
Exceptions raised by `tradeline_client`.

* ClientError
  * FileError               a file that was named is missing or is not what it should be
  * SourceError             a file to import that can't be read at all
  * MappingError            a mapping that can't be used; says key and what was expected
  * Metro2Error             an account that can't be written to a Metro 2 file
  * FolderError             a client folder, profile or keystore that can't be used
  * StoreError              journal or vault can't be read or written
  * JournalConflictError    the ledger holds statements of this key that this folder did not sign
  * DraftError              a draft of a consent that can't be used for what is asked
  * ReviewError             a decision about rows held back, or the log of them, is not in order
  * NotFoundError           nothing has that id here
  * QualityError            this folder can't count what its member filed in a month
  * UnavailableError        no node fulfilled a request; holds the reason of each
  * NodeProblemError        a node answered with a problem document
  * CustodyError            too few committee members gave a receipt
  * DroppedError            an entry has no place in the log; nothing came of it
  * RefusedError            an entry has its place in the log and no other effect
  * ConsortiumError         a node of the demo failed; shows what it printed
  * StoryError              a step of the demo did not come out as it must
* VerificationError (of the ledger package)
  * StaleCheckpointError    no node has a checkpoint as new as what is known already
  * ForkError               two checkpoints with a quorum each are not of one log; carries both
  * AnswerError             what a node answered is not true; says which node

Each has `code` and `remedy`: the same two fields, whether a node refused a request, the ledger an
entry, or this package found the fault itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tradeline_ledger.advice import ADVICE
from tradeline_ledger.errors import VerificationError
from tradeline_ledger.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tradeline_ledger.problem import Problem


class ClientError(Exception):
    """Base class of every exception that this package raises on purpose, verification aside."""

    code: str = "client-error"
    """Stable name of the kind of error."""
    remedy: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        """Return what happened, and what to do about it."""
        said = super().__str__()
        return f"{said}; {self.remedy}" if self.remedy else said


class FileError(ClientError):
    """A file that was named is missing, or is not what it should be."""

    code = "file-unusable"


class SourceError(ClientError):
    """A file that is to be imported can't be read, unpacked or taken apart."""

    code = "source-unusable"


class MappingError(ClientError):
    """A mapping can't be used: it is wrong in itself, or does not fit the file."""

    code = "mapping-unusable"


class Metro2Error(ClientError):
    """An account can't be written to a Metro 2 file."""

    code = "metro2-unwritable"


class FolderError(ClientError):
    """A client folder, its profile or its keystore can't be used."""

    code = "client-folder"


class StoreError(ClientError):
    """Journal or vault can't be read or written; nothing was sent."""

    code = "client-store"


class JournalConflictError(ClientError):
    """
    The ledger holds statements under a key of this folder that its journal does not know.

    Either the folder was restored from a backup, or somebody else has the key. Signing on would
    put two statements at one position, so nothing is signed.
    """

    code = "journal-conflict"
    remedy = (
        "if this folder was restored or moved, make sure that no other copy of it signs, then "
        "adopt the verified position (`tradeline feed adopt`); if not, end the key, since it is "
        "in use elsewhere"
    )

    def __init__(self, message: str, *, feed: int, journal_seq: int, ledger_seq: int) -> None:
        """Take the feed and its next position, as journal and verified blocks have it."""
        super().__init__(message)
        self.feed = feed
        self.journal_seq = journal_seq
        self.ledger_seq = ledger_seq


class DraftError(ClientError):
    """A draft of a consent does not fit what is asked of it."""

    code = "draft-unusable"


class ReviewError(ClientError):
    """A decision about rows that were held back can't be taken, or their log is not whole."""

    code = "review"


class NotFoundError(ClientError):
    """Nothing in this folder has that id."""

    code = "not-here"


class QualityError(ClientError):
    """This folder can't count what its member filed in a month, so it states nothing."""

    code = "quality-uncounted"


class UnavailableError(ClientError):
    """No node fulfilled a request. Trying again later is safe."""

    code = "nodes-unavailable"
    remedy = "try again; if it lasts, check the endpoints in client.toml and the nodes' /healthz"

    def __init__(self, message: str, reasons: Mapping[int, str]) -> None:
        """Take why each node, by member id, did not."""
        listed = "; ".join(f"node {node}: {reason}" for node, reason in sorted(reasons.items()))
        super().__init__(f"{message} ({listed})" if listed else message)
        self.reasons = dict(reasons)


class NodeProblemError(ClientError):
    """A node answered with a problem document, RFC 9457."""

    def __init__(self, node: int, problem: Problem) -> None:
        """Take the problem that member `node` answered with."""
        super().__init__(f"node {node}: {problem.title}: {problem.detail}".rstrip(": "))
        self.node = node
        self.problem = problem
        self.code = problem.code
        self.remedy = problem.remedy


class CustodyError(ClientError):
    """Fewer committee members than the threshold gave a valid receipt of custody."""

    code = "receipts-too-few"
    remedy = "try again when enough committee members are up; the batch is kept in the vault"

    def __init__(self, message: str, reasons: Mapping[int, str]) -> None:
        """Take why each committee member, by member id, gave none."""
        listed = "; ".join(f"node {node}: {reason}" for node, reason in sorted(reasons.items()))
        super().__init__(f"{message} ({listed})" if listed else message)
        self.reasons = dict(reasons)


class OutcomeError(ClientError):
    """What an outcome other than *accepted* made of an entry."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        """Take the outcome; meaning and remedy follow from it."""
        super().__init__(f"{message}: {outcome.code}: {ADVICE[outcome].meaning.rstrip('.')}")
        self.outcome = outcome
        self.code = outcome.code
        self.remedy = ADVICE[outcome].remedy


class DroppedError(OutcomeError):
    """An entry has no place in the log, a node says; the journal keeps it as not placed."""

    def __init__(self, outcome: Outcome, node: int, detail: str = "") -> None:
        """Take the outcome and the member whose node says so."""
        super().__init__(
            outcome, f"node {node} dropped the entry" + (f" ({detail})" * bool(detail))
        )
        self.node = node


class RefusedError(OutcomeError):
    """An entry has its verified place in the log and no other effect."""

    def __init__(self, outcome: Outcome, index: int) -> None:
        """Take the outcome that the leaf at log index `index` carries."""
        super().__init__(outcome, f"entry {index} was refused")
        self.index = index


class ConsortiumError(ClientError):
    """A command of a node failed. The message ends with what it printed."""

    code = "demo-node"


class StoryError(ClientError):
    """A step of the demo did not come out as it must."""

    code = "demo-step"


class StaleCheckpointError(VerificationError):
    """No node serves a checkpoint as new as what this client knows already."""

    code: str = "checkpoint-stale"
    remedy: str = (
        "try again; if it lasts, the nodes asked lag behind or hide the newest blocks: ask others"
    )


class AnswerError(VerificationError):
    """A node's answer is well formed and not true."""

    code: str = "answer-false"
    remedy: str = "ask another node; tell the operator of this one"

    def __init__(self, node: int, message: str) -> None:
        """Take the member whose node answered so."""
        super().__init__(f"node {node}: {message}")
        self.node = node


class ForkError(VerificationError):
    """
    Two checkpoints, each with a quorum of cosignatures, are not of one append-only log.

    `first` and `second` are the signed notes. They convince anybody who holds the members' keys.
    """

    code: str = "ledger-forked"
    remedy: str = (
        "stop using this ledger and send the evidence file to the other members and the regulator"
    )

    def __init__(self, message: str, *, first: bytes, second: bytes) -> None:
        """Take both notes as they were signed."""
        super().__init__(message)
        self.first = first
        self.second = second
        self.file: Path | None = None
        """Where the evidence was written."""
