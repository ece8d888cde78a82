"""The genesis file that a node starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger.errors import LedgerError
from tradeline_ledger.genesis import Ledger, open_genesis
from tradeline_node.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def read_genesis(path: Path) -> Ledger:
    """
    Return the ledger of a genesis file.

    Raises:
        ConfigError: it can't be read, or does not verify.
    """
    try:
        return open_genesis(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"genesis {path} can't be read: {error.strerror}; `tradeline genesis verify --folder` "
            "or `tradeline node join` puts it there, and node.genesis names it"
        ) from error
    except LedgerError as error:
        raise ConfigError(
            f"genesis {path} is none: {error}; a draft becomes one by `tradeline genesis verify`"
        ) from error
