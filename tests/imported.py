"""What an import brings along, seen in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence


def brought_along(statement: str, modules: Sequence[str]) -> list[str]:
    """Return which of `modules` are loaded once a new process has run `statement`."""
    program = f"import sys; {statement}; print(*(m for m in {[*modules]} if m in sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return ran.stdout.split()
