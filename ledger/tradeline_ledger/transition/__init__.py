"""
The state transition: what one entry does to the ledger.

`apply` is the one function for check, proposal, final execution, replay and audit. It reads
through a `View`, returns the outcome and the rows to write, and performs no write: the caller
commits all writes of a block at once or not at all. `execute` runs the entries of a block,
`replay` the leaves of one that is in the log already.
"""

from tradeline_ledger.transition.apply import apply
from tradeline_ledger.transition.block import (
    Block,
    Executed,
    Placed,
    execute,
    execute_genesis,
    replay,
)
from tradeline_ledger.transition.context import Applied, Context, Memory, Opened

__all__ = [
    "Applied",
    "Block",
    "Context",
    "Executed",
    "Memory",
    "Opened",
    "Placed",
    "apply",
    "execute",
    "execute_genesis",
    "replay",
]
