"""The rules of the design about structure, checked on the source."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent

MAY_IMPORT: Final = {
    "ledger/tradeline_ledger": {"tradeline_ledger"},
    "client/tradeline_client": {"tradeline_client", "tradeline_ledger"},
    "node/tradeline_node": {"tradeline_node", "tradeline_ledger"},
}
LEDGER: Final = ROOT / "ledger/tradeline_ledger"
SOURCES: Final = sorted(path for folder in MAY_IMPORT for path in (ROOT / folder).rglob("*.py"))
LEDGER_SOURCES: Final = [path for path in SOURCES if path.is_relative_to(LEDGER)]

CLOCKS: Final = {"time", "calendar", "zoneinfo", "sched"}
RANDOMNESS: Final = {"random", "secrets", "uuid"}
OUTSIDE: Final = {
    *("ctypes", "fcntl", "fileinput", "ftplib", "getpass", "glob", "http", "importlib", "io"),
    *("locale", "logging", "mmap", "os", "pathlib", "platform", "select", "selectors", "shelve"),
    *("shutil", "signal", "smtplib", "socket", "socketserver", "sqlite3", "ssl", "subprocess"),
    *("sys", "syslog", "tempfile", "urllib", "warnings"),
    *("fastapi", "httpx2", "prometheus_client", "requests", "rich", "rocksdict", "starlette"),
    *("structlog", "typer", "uvicorn"),
}
THREADS: Final = {"asyncio", "anyio", "concurrent", "multiprocessing", "queue", "threading"}
IMPURE: Final = {
    **dict.fromkeys(CLOCKS, "take the block's time as an argument, in ms"),
    **dict.fromkeys(RANDOMNESS, "take random bytes as an argument"),
    **dict.fromkeys(OUTSIDE, "take or return the value; node and client do the input and output"),
    **dict.fromkeys(THREADS, "run to the end without suspending; the shell schedules"),
}
IMPURE_CALLS: Final = {
    "open": "take the bytes as an argument",
    "print": "return the value",
    "input": "take the value as an argument",
    "hash": "use tradeline_ledger.hashing.digest, which no hash seed changes",
    "id": "compare by a field, which is the same in every process",
    "eval": "write the expression out",
    "exec": "write the statements out",
}
CLOCK_METHODS: Final = {"today", "now", "utcnow", "fromtimestamp"}
"""Of `date` and `datetime`; the last depends on the machine's time zone."""

MODULE_LINES_MAX: Final = 450
FUNCTION_LINES_MAX: Final = 70
REGISTRY_HOSTS: Final = [
    ".".join(parts)
    for parts in (
        *(("pypi", "org"), ("pypi", "python", "org"), ("pythonhosted", "org")),
        *(("proxy", "golang", "org"), ("sum", "golang", "org"), ("goproxy", "io")),
        *(("registry", "npmjs", "org"), ("registry", "yarnpkg", "com"), ("crates", "io")),
    )
]
"""Spelt in parts, so that this file does not name them either."""


@cache
def parsed(source: Path) -> ast.Module:
    return ast.parse(source.read_text(encoding="utf-8"), str(source))


def where(source: Path, node: ast.AST | None = None) -> str:
    line = f":{node.lineno}" if isinstance(node, ast.stmt | ast.expr) else ""
    return f"{source.relative_to(ROOT)}{line}"


def imported(source: Path) -> dict[str, str]:
    """Dotted names that a module imports, with the place; `from a import b` gives a and a.b."""
    names: dict[str, str] = {}
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name: where(source, node) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where(source, node)} imports relatively; name the package"
            module = node.module or ""
            names[module] = where(source, node)
            names |= {f"{module}.{alias.name}": where(source, node) for alias in node.names}
    return names


def begins(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


@pytest.mark.parametrize(("folder", "allowed"), MAY_IMPORT.items())
def test_layers_point_one_way(folder: str, allowed: set[str]) -> None:
    sources = sorted((ROOT / folder).rglob("*.py"))
    assert sources, f"{folder} has no module"
    for source in sources:
        for name, place in imported(source).items():
            package = name.split(".", maxsplit=1)[0]
            assert not package.startswith("tradeline_") or package in allowed, (
                f"{place} imports {name}; imports go node → ledger ← client only: move what both "
                "need to the ledger package, or speak HTTP"
            )


@pytest.mark.parametrize("source", LEDGER_SOURCES, ids=where)
def test_ledger_imports_nothing_impure(source: Path) -> None:
    for name, place in imported(source).items():
        advice = IMPURE.get(name.split(".", maxsplit=1)[0])
        assert advice is None, f"{place} imports {name}, and the ledger is pure: {advice}"
        assert name in {"datetime", "datetime.date"} or not begins(name, "datetime"), (
            f"{place} imports {name}; write `from datetime import date` for dates, and integer "
            "milliseconds for instants"
        )
        assert not begins(name, "nacl.utils"), f"{place} imports {name}; take random bytes instead"
        assert not name.endswith(".ed25519"), (
            f"{place} imports {name}; the one Ed25519 in the path of consensus is "
            "tradeline_ledger.signing"
        )


@pytest.mark.parametrize("source", LEDGER_SOURCES, ids=where)
def test_ledger_reads_no_clock_and_calls_nothing_impure(source: Path) -> None:
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            assert all(alias.name != "datetime" for alias in node.names), (
                f"{where(source, node)}: write `from datetime import date`"
            )
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            advice = IMPURE_CALLS.get(node.func.id)
            assert advice is None, f"{where(source, node)} calls {node.func.id}(): {advice}"
        elif isinstance(node.func, ast.Attribute):
            assert node.func.attr not in CLOCK_METHODS, (
                f"{where(source, node)} calls .{node.func.attr}(), which reads the clock or the "
                "time zone of the machine; take the block's time as an argument"
            )


@pytest.mark.parametrize("source", SOURCES, ids=where)
def test_only_signing_uses_the_signature_library(source: Path) -> None:
    if source == LEDGER / "signing.py":
        return
    for name, place in imported(source).items():
        assert not any(begins(name, module) for module in ("nacl.bindings", "nacl.signing")), (
            f"{place} imports {name}; sign and verify with tradeline_ledger.signing"
        )


def test_apply_never_reaches_hpke() -> None:
    modules = {
        ".".join(source.relative_to(LEDGER.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): source
        for source in LEDGER_SOURCES
    }
    to_visit = [name for name, source in modules.items() if defines_apply(source)]
    why = {name: name for name in to_visit}
    while to_visit:
        name = to_visit.pop()
        assert not name.endswith(".hpke"), (
            f"apply reaches hpke, which draws random numbers: {why[name]}; move what apply needs "
            "into a module without it"
        )
        for other in imported(modules[name]):
            if other in modules and other not in why:
                why[other] = f"{why[name]} → {other}"
                to_visit.append(other)


def defines_apply(source: Path) -> bool:
    return any(
        isinstance(node, ast.FunctionDef) and node.name == "apply" for node in parsed(source).body
    )


@pytest.mark.parametrize("source", SOURCES, ids=where)
def test_modules_and_functions_fit(source: Path) -> None:
    lines = len(source.read_text(encoding="utf-8").splitlines())
    assert lines <= MODULE_LINES_MAX, (
        f"{where(source)} has {lines} lines, at most {MODULE_LINES_MAX} fit one noun; split it by "
        "the nouns that it holds"
    )
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, (
                f"{where(source, node)} {node.name} has {length} lines, at most "
                f"{FUNCTION_LINES_MAX} fit a screen; give its steps names"
            )


def test_no_tracked_file_names_a_registry_host() -> None:
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    tracked = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    assert tracked, "git tracks no file here"
    for path in tracked:
        if not path.is_file():  # deleted, and not yet committed
            continue
        content = path.read_bytes().lower()
        for host in REGISTRY_HOSTS:
            assert host.encode() not in content, (
                f"{where(path)} names {host}; leave the index to the configuration of whoever "
                "installs"
            )
