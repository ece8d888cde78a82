"""Runs the command line in this process, as a person or script would."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tradeline_client.cli import command


@dataclass(frozen=True)
class Ran:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Cli:
    """Runs commands; nothing of it is a terminal, so nothing but results may be printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Ran:
        self._capsys.readouterr()
        try:
            code = command.run([str(each) for each in arguments])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        captured = self._capsys.readouterr()
        assert "Traceback" not in captured.err
        for printed in (captured.out, captured.err):
            assert "\x1b" not in printed, "control sequences in a pipe"
        return Ran(code, captured.out, captured.err)
