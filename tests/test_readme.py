"""The README shows what the demo prints: every line of it comes out of a real, smaller run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cards import wheel

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
VARIABLE = re.compile(r"[0-9a-f]{16,}…?|[0-9][0-9,.:TZ/–-]*")


def shown() -> list[str]:
    block = README.split("<!-- demo output -->")[1].split("<!-- end of demo output -->")[0]
    lines = [line for line in block.splitlines() if line and not line.startswith("```")]
    return [line for line in lines if line != "…"]


def shape(line: str) -> str:
    """Return a line without what differs from run to run."""
    return re.sub(r"\s+", " ", VARIABLE.sub("#", line)).strip()


@pytest.mark.network
@pytest.mark.timeout(300)
def test_the_demo_prints_what_the_readme_shows_and_leaves_nothing_behind(tmp_path: Path) -> None:
    work = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-m", "tradeline_client", "demo", "--subjects", "1000", "--dir", work],
        env=os.environ | {"TRADELINE_CACHE": str(wheel().parent)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    printed = iter([shape(line) for line in done.stdout.splitlines()])
    missing = [line for line in shown() if shape(line) not in printed]
    assert missing == []
    assert done.stdout.count("PROVEN:") == 10
    assert not work.exists()


@pytest.mark.network
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_served_demo_ends_on_a_signal_and_leaves_nothing_behind(
    how: signal.Signals, tmp_path: Path
) -> None:
    work = tmp_path / "demo"
    command = [sys.executable, "-m", "tradeline_client", "demo", "--serve", "--subjects", "200"]
    with subprocess.Popen(
        [*command, "--dir", work],
        env=os.environ | {"TRADELINE_CACHE": str(wheel().parent), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = list(iter(process.stdout.readline, "The nodes serve until Ctrl-C.\n"))
        process.send_signal(how)
        assert process.wait(60) == 0
    assert any("/healthz" in line for line in said)
    assert not work.exists()


@pytest.mark.parametrize(
    ("page", "example"),
    [
        ("README.md", "lender.py"),
        ("docs/lenders.md", "lender.py"),
        ("docs/auditors.md", "auditor.py"),
    ],
)
def test_documents_show_the_examples_as_they_are(page: str, example: str) -> None:
    code = (ROOT / "examples" / example).read_text(encoding="utf-8")

    assert code.strip() in (ROOT / page).read_text(encoding="utf-8")


def test_every_link_of_the_documents_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md"))
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []
