"""docs/cli.md is what the commands say of themselves, and its examples are command lines."""

from __future__ import annotations

import re
import shlex

import pytest
from scripts.cli_help import DOCUMENT, commands, documented, fill

TEXT = DOCUMENT.read_text(encoding="utf-8")
EXAMPLES = [
    shlex.split(line.replace("\\\n", " ").split(" > ")[0])
    for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    for line in [block.strip()]
]


def test_every_command_is_documented_once() -> None:
    assert sorted(documented(TEXT)) == sorted(commands())


def test_help_texts_are_up_to_date() -> None:
    assert fill(TEXT) == TEXT, "run scripts/cli_help.py and read what changed"


def test_every_command_has_an_example() -> None:
    shown = [" ".join(words[1:]) for words in EXAMPLES]

    for name in commands():
        assert any(each == name or each.startswith(f"{name} ") for each in shown), name


@pytest.mark.parametrize("words", EXAMPLES, ids=" ".join)
def test_examples_are_command_lines(words: list[str]) -> None:
    program, *arguments = words
    name = next(
        name
        for name in sorted(commands(), key=len, reverse=True)
        if arguments[: len(name.split())] == name.split()
    )

    context = commands()[name].make_context(name, arguments[len(name.split()) :])

    assert program == "tradeline"
    assert not context.args
