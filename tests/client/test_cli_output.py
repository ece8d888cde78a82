"""What commands print: nothing but results in pipes, bars on terminals only."""

from __future__ import annotations

import io
import sys

import pytest

from tradeline_client.cli.output import print_pairs, print_table, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_in_a_pipe_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("submitting") as show:
        show(1, 2)
        show(2, 2)

    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_progress_is_shown_on_a_terminal_and_only_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")

    with progress("submitting") as show:
        show(1, 2)
        show(2, 2)

    assert "submitting" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_a_table_in_a_pipe_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    long = "word " * 100

    print_table("Title", ("first", "second"), [("a", long), ("b", "[red]not markup[/red]")])

    printed = capsys.readouterr().out
    assert printed.startswith("Title\nfirst  second\n")
    assert printed.count("word") == 100
    assert "[red]not markup[/red]" in printed
    assert all(line == line.rstrip() for line in printed.splitlines())


def test_names_and_values_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_pairs((("a", 1), ("long", "two")))

    assert capsys.readouterr().out == "a     1\nlong  two\n"
