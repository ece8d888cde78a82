"""How an import cuts events into batches; the command line needs it early, so this is all."""

from __future__ import annotations

from typing import Final

BATCH_EVENTS: Final = 5_000
"""Events of one batch unless the caller says otherwise."""
