"""Which software this is."""

from __future__ import annotations

from importlib import metadata
from typing import Final


def _installed() -> str:
    try:
        return metadata.version("tradeline")
    except metadata.PackageNotFoundError:
        return "0+source"


VERSION: Final = _installed()
"""As it was installed; `0+source` where it runs from a checkout without an installation."""
