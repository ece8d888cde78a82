"""
creforge: makes the books of made-up lenders, the files that they send and their faults, and judges.

It is installed at run time, from wheels whose hashes `requirements/creforge.lock` pins, into an
environment of its own in the cache, so that none of its packages gets into ours.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

LOCK: Final = Path(__file__).parents[2] / "requirements/creforge.lock"
TIMEOUT_S: Final = 900


class ToolError(Exception):
    """The tool can't be installed, or said that something is wrong."""


@dataclass(frozen=True, slots=True)
class Tool:
    """An installed creforge."""

    program: Path

    def generate(
        self,
        out: Path,
        *,
        seed: int,
        subjects: int,
        months: int,
        lenders: int,
        start: str = "2023-01",
    ) -> None:
        """Make books: `subject`, `inquiry`, `account`, `account_month`, `account_party`."""
        profile = out.with_name("profile.yaml")
        profile.write_text(f"extends: baseline\nlenders: {lenders}\n", encoding="ascii")
        options = ("--seed", str(seed), "--subjects", str(subjects), "--months", str(months))
        profiled = ("--profile", str(profile), "--start-month", start)
        self._run("generate", *profiled, *options, "--format", "csv", "--out", str(out))

    def submissions(self, books: Path, out: Path, seed: int, issues: str = "standard") -> None:
        """Make the files that lenders send of `books`, with delivery issues."""
        options = ("--issues", issues, "--seed", str(seed), "--format", "csv")
        self._run("submissions", str(books), *options, "--out", str(out))

    def inject(self, books: Path, out: Path, seed: int, faults: str = "standard") -> None:
        """Make a copy of `books` with known faults."""
        options = ("--faults", faults, "--seed", str(seed), "--format", "csv")
        self._run("inject", str(books), *options, "--out", str(out))

    def reconcile(self, books: Path, rebuilt: Path, inbox: Path) -> dict[str, Any]:
        """Return in what the tables in `rebuilt` differ from `books`."""
        options = ("--inbox", str(inbox), "--max-differences", str(1 << 31), "--json")
        return self._judge("reconcile", str(books), str(rebuilt), *options)

    def score(self, answers: Path, findings: Path) -> dict[str, Any]:
        """Return how many of the injected faults were found, and how many findings are true."""
        return self._judge("score", str(answers), str(findings), "--json")

    def _judge(self, *arguments: str) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._run(*arguments))
        return said

    def _run(self, *arguments: str) -> str:
        return _run([str(self.program), *arguments], f"creforge {arguments[0]}")


def provide(cache: Path) -> Tool:
    """
    Return creforge, installed in a folder of `cache` that is named after the lock file.

    Raises:
        ToolError: pip can't install it.
    """
    name = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    folder = cache / f"creforge-{sys.version_info.major}.{sys.version_info.minor}-{name}"
    tool = Tool(folder / "bin/creforge")
    if tool.program.exists():
        return tool
    cache.mkdir(parents=True, exist_ok=True)
    # Scripts name the folder that they are installed in, so that it must be the last one; another
    # process that installs at the same time waits for its turn.
    with (cache / "creforge.lock").open("w") as waiting:
        _lock(waiting.fileno())
        if not tool.program.exists():
            _install(folder)
    return tool


def _install(folder: Path) -> None:
    """Make the environment; its program appears last, once all else is there."""
    _run([sys.executable, "-m", "venv", "--clear", str(folder)], "venv")
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet"]
    options = ["--disable-pip-version-check", "--only-binary", ":all:", "--require-hashes"]
    with tempfile.TemporaryDirectory() as scratch:
        lock = Path(scratch) / "requirements.txt"
        lock.write_bytes(LOCK.read_bytes())
        _run([*pip, *options, "--requirement", str(lock)], "pip")


def _lock(descriptor: int) -> None:
    import fcntl  # noqa: PLC0415  where there is no fcntl there are no nodes either

    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _run(command: list[str], what: str) -> str:
    # What a caller's shell sets for its own environment must not reach this one.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        env=clean,
    )
    if done.returncode:
        raise ToolError(f"{what} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
