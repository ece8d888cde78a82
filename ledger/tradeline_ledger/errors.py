"""
Exceptions raised by `tradeline_ledger`.

* LedgerError
  * MalformedError          bytes or values from outside that no writer of the format produces
    * IdentifierError       a subject identifier that fails its own rules; never shows the identifier
    * EventError            an event that its schema does not allow
  * VerificationError       well formed, but the claim does not hold
    * SignatureError        a signature is not by the key that it names
    * InclusionError        a proof does not lead to the tree head
    * ConsistencyError      two tree heads are not of one log
    * PolicyError           too few of the signers that the caller trusts
    * SealError             a sealed message, body or deposit does not open, or is not what was committed to
      * UnopenedError       no t of the shares that came open some bodies; says which
    * IncompleteError       a report lacks something that its history statements count
  * DamagedError            a stored row is not what was written: the store is at fault, nobody else

A failed `assert` is not part of this tree: it means that the program is wrong.
"""

from __future__ import annotations


class LedgerError(Exception):
    """Base class of every exception that this package raises on purpose."""


class MalformedError(LedgerError):
    """Bytes or values received from outside are not a valid encoding."""


class IdentifierError(MalformedError):
    """A subject identifier breaks its own rules. The message never contains it."""


class EventError(MalformedError):
    """An event does not follow its schema. The message names field, value and bounds."""


class VerificationError(LedgerError):
    """A claim received from outside is well formed but not true."""


class SignatureError(VerificationError):
    """A signature was not made by the key that it is attributed to."""


class InclusionError(VerificationError):
    """An inclusion proof does not connect the leaf to the tree head."""


class ConsistencyError(VerificationError):
    """Two tree heads do not belong to one append-only log."""


class PolicyError(VerificationError):
    """Fewer signers than the policy demands."""


class SealError(VerificationError):
    """A sealed message does not open, or its content is not what was committed to."""


class IncompleteError(VerificationError):
    """A report lacks an event or a record that its history statements count."""


class RulesError(VerificationError):
    """A block was executed by rules that this version does not know."""


class DamagedError(LedgerError):
    """A row of the state does not decode: the store that it was read from is damaged."""


class UnopenedError(SealError):
    """Shares came for some bodies and no threshold of them combines to the key."""

    def __init__(self, message: str, events: tuple[tuple[int, int], ...]) -> None:
        """Take the events, each its log index and position, ascending."""
        super().__init__(message)
        self.events = events
