"""Catches up slowly and prints the size after each block: a process for tests to kill."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from tests.node.cluster import PASSPHRASE

from tradeline_node import catch_up_command
from tradeline_node.application import Application
from tradeline_node.config import load_config

PAUSE_S = 0.05


class Slow(Application):
    """An application that takes its time."""

    def replay(self, *arguments: Any, **options: Any) -> Any:
        executed = super().replay(*arguments, **options)
        sys.stdout.write(f"{self.store.head.size}\n")
        sys.stdout.flush()
        time.sleep(PAUSE_S)
        return executed


if __name__ == "__main__":
    setattr(catch_up_command, "Application", Slow)  # noqa: B010  it imports the name
    catch_up_command.catch_up_node(load_config(Path(sys.argv[1]), {}, sys.argv[2:]), PASSPHRASE)
