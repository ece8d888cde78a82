"""What is declared, what is locked and what is documented must name the same packages."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
LOCKED: Final = re.compile(r"^([a-z0-9.-]+)==([^\s;]+)", re.MULTILINE)
TABLE_ROW: Final = re.compile(r"^\| ([a-z0-9-]+) \| ([0-9][^ ]*) \|", re.MULTILINE)


def locked(name: str) -> dict[str, str]:
    return dict(LOCKED.findall((ROOT / "requirements" / name).read_text(encoding="utf-8")))


def declared() -> set[str]:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = pyproject["project"]
    requirements = [
        *pyproject["build-system"]["requires"],
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
        *pyproject["dependency-groups"]["dev"],
    ]
    return {re.split(r"[\[<>=~! ]", requirement, maxsplit=1)[0] for requirement in requirements}


def test_every_dependency_is_documented_with_its_locked_version() -> None:
    page = (ROOT / "docs/decisions/0002-dependencies.md").read_text(encoding="utf-8")
    documented = dict(TABLE_ROW.findall(page))
    versions = locked("build.lock") | locked("all.lock")
    assert documented == {name: versions[name] for name in declared()}


def test_both_locks_agree() -> None:
    build, everything = locked("build.lock"), locked("all.lock")
    shared = build.keys() & everything.keys()
    assert {name: build[name] for name in shared} == {name: everything[name] for name in shared}


def test_published_vectors_are_of_the_version_that_they_test() -> None:
    versions = locked("all.lock")
    assert versions["cryptography-vectors"] == versions["cryptography"]


def test_every_locked_package_has_a_hash() -> None:
    for name in ("all.lock", "build.lock"):
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        for block in re.split(r"\n(?=[a-z0-9])", text)[1:]:
            assert "--hash=sha256:" in block, f"{name}: {block.splitlines()[0]} has no hash"
