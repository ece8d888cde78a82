"""
Exceptions raised by `tradeline_node`.

* NodeError
  * ConfigError             a configuration that can't be used; says file, key and what to write
  * KeystoreError           node.keys does not open, or holds the keys of somebody else
  * StoreError              a store can't be opened or failed; it takes no further writes
    * StoreDamagedError     what a store holds is damaged; says which record and where a whole copy is
  * AbsentError             the log has no such leaf, content, height or size
  * EngineError             the ordering engine halted
  * BusyError               a queue is full; try again later
  * RequestError            a request that the node does not fulfil, with the code of its problem
  * PublishError            a checkpoint can't be signed
  * PeerError               another node does not answer, or answers what can't be used

What the ledger package raises about bytes from outside passes through as it is.
"""

from __future__ import annotations

from typing import Any


class NodeError(Exception):
    """Base class of every exception that this package raises on purpose; one line, with remedy."""


class ConfigError(NodeError):
    """A configuration can't be used. The message names file, key, value and what to write."""


class KeystoreError(NodeError):
    """A keystore does not open, or belongs to another member. The message shows no key."""


class StoreError(NodeError):
    """A store can't be opened, or failed while writing and takes no further writes."""


class StoreDamagedError(StoreError):
    """A store holds what it never wrote, or lacks what it did; the message says where."""


class AbsentError(NodeError):
    """The log has no such leaf, content, height or size; nothing is wrong with the node."""


class EngineError(NodeError):
    """The ordering engine halted; nothing more is acknowledged until the node restarts."""


class BusyError(NodeError):
    """A queue is full. What was offered was not taken; offer it again later."""


class RequestError(NodeError):
    """A request is not fulfilled; the routes turn it into a problem document."""

    def __init__(self, code: str, detail: str = "", **extra: Any) -> None:
        """
        Take a code of `tradeline_ledger.problem` and what was got and expected.

        `detail` holds no secret and no subject's identifier; `extra` becomes further fields.
        """
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.extra = extra


class PublishError(NodeError):
    """A checkpoint can't be signed; the node signs nothing more until the operator acts."""


class PeerError(NodeError):
    """Another node does not answer, or its answer does not verify."""
