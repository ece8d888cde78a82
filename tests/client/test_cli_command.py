"""The one command: put together from several packages, its exit codes, completion, start-up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest
import typer
from tests.client.cli import Cli
from tests.imported import brought_along

from tradeline_client import errors
from tradeline_client.cli import command
from tradeline_ledger.errors import MalformedError, SignatureError


class OtherError(Exception):
    """Of another package."""


RAISED: dict[str, Exception] = {
    "malformed": MalformedError("it is malformed"),
    "signature": SignatureError("it is not signed"),
    "client": errors.DraftError("the draft is none"),
    "answer": errors.AnswerError(3, "it lies"),
    "file": FileNotFoundError(2, "No such file or directory", "absent"),
    "other": OtherError("something else"),
}


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


@pytest.fixture
def extended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A second package with commands, one of them in a group that a third has, too."""
    extra, third = typer.Typer(), typer.Typer()
    for app, name in ((extra, "raise"), (third, "count")):
        group = typer.Typer(name="plumbing", no_args_is_help=True)
        app.add_typer(group)

        def run(what: str = "malformed") -> int:
            if what.isdecimal():
                return int(what)
            raise RAISED[what]

        group.command(name)(run)
    own = typer.Typer(name="tradeline")
    own.command("own")(lambda: None)
    modules = {"tests_own": own, "tests_extra": extra, "tests_third": third}
    points = []
    for name, app in modules.items():
        module = ModuleType(name)
        module.app = app  # type: ignore[attr-defined]
        module.ERRORS = (OtherError,)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
        points.append(EntryPoint(name, f"{name}:app", command.COMMANDS_GROUP))
    monkeypatch.setattr(command, "OWN_COMMANDS", "tests_own")
    monkeypatch.setattr(command, "entry_points", lambda **_group: points)
    command._assemble.cache_clear()
    yield
    command._assemble.cache_clear()


@pytest.mark.usefixtures("extended")
def test_groups_of_one_name_are_merged(cli: Cli) -> None:
    assert cli("own").code == 0
    assert cli("plumbing", "raise", "--what", "0").code == 0
    assert cli("plumbing", "count", "--what", "0").code == 0


@pytest.mark.usefixtures("extended")
@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("malformed", 1, "tradeline: it is malformed\n"),
        ("signature", 3, "tradeline: it is not signed\n"),
        ("client", 1, "tradeline: the draft is none\n"),
        ("answer", 3, "tradeline: node 3: it lies; ask another node; tell the operator of this"),
        ("file", 1, "tradeline: absent: No such file or directory\n"),
        ("other", 1, "tradeline: something else\n"),
        ("3", 3, ""),
    ],
)
def test_what_a_command_ends_with_decides_the_exit_code(
    cli: Cli, what: str, code: int, said: str
) -> None:
    ran = cli("plumbing", "raise", "--what", what)

    assert ran.code == code
    assert ran.err.startswith(said)
    assert not ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verfy"], "No such command 'verfy'. Did you mean 'verify'?"),
        (["verify"], "Missing argument 'file'. See: tradeline verify --help"),
        (["verify", "x", "y"], "unexpected extra argument"),
        (["completion", "tcsh"], "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
        ([], "Usage: tradeline"),
    ],
)
def test_a_wrong_command_line_exits_with_2(cli: Cli, arguments: list[str], said: str) -> None:
    ran = cli(*arguments)

    assert ran.code == 2
    assert said in ran.err
    assert not ran.out


@pytest.mark.parametrize(
    ("code", "title"),
    [
        ("key-weak", "Key weak"),
        ("custody-quota", "Quota of custody is used up"),
        ("journal-conflict", "Journal conflict"),
        ("checkpoint-stale", "Checkpoint stale"),
    ],
)
def test_every_kind_of_code_is_explained(cli: Cli, code: str, title: str) -> None:
    printed, as_json = cli("explain", code), cli("explain", code, "--json")

    assert printed.code == as_json.code == 0
    assert title in printed.out
    assert as_json.json["title"] == title
    assert as_json.json.keys() == {"code", "title", "status", "meaning", "remedy"}
    assert as_json.json["remedy"]


def test_an_unknown_code_fails(cli: Cli) -> None:
    ran = cli("explain", "no-such-code")

    assert ran.code == 1
    assert "no-such-code" in ran.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(cli: Cli, shell: str) -> None:
    ran = cli("completion", shell)

    assert ran.code == 0
    assert "_TRADELINE_COMPLETE" in ran.out
    assert shell in ran.out


def start(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tradeline_client", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )


def test_the_script_completes_commands_and_options() -> None:
    commands = start(_TRADELINE_COMPLETE="complete_bash", COMP_WORDS="tradeline ve", COMP_CWORD="1")
    options = start(
        _TRADELINE_COMPLETE="complete_bash", COMP_WORDS="tradeline verify --tr", COMP_CWORD="2"
    )

    assert commands.stdout.split() == ["verify"]
    assert options.stdout.split() == ["--trust"]


def test_help_imports_nothing_heavy() -> None:
    heavy = ["httpx2", "rich.console", "numpy", "cryptography", "sqlite3", "nacl", "stdnum"]
    heavy.append("http_message_signatures")
    assert brought_along("from tradeline_client.cli import app", heavy) == []


def test_a_reader_that_goes_away_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tradeline_client", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()

    assert b"Traceback" not in said


def test_missing_package_of_an_extra_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for module in [name for name in sys.modules if name.startswith("tradeline_client.imports")]:
        monkeypatch.delitem(sys.modules, module)
    done = cli("import", "absent.csv", "--mapping", "absent.toml", "--dry-run")
    assert done.code == 1
    assert "needs the package pyarrow; install tradeline[import]" in done.err
