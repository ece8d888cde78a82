"""Every benchmark runs, prints the figures that scripts read, and leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
REQUIRED = {
    *("name", "events", "seconds", "events_per_s", "p50_ms", "p99_ms"),
    *("cpu_us_per_event", "rss_mib"),
}


def run(tmp_path: Path, package: str, *arguments: str) -> str:
    program = f"from {package}.cli import app; app()"
    done = subprocess.run(
        [sys.executable, "-c", program, "bench", *arguments],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": ":".join(str(ROOT / name) for name in ("ledger", "node", "client")),
            "TMPDIR": str(tmp_path),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(
    ("package", "name", "events", "stages"),
    [
        ("tradeline_node", "apply", 2000, {"execute", "write"}),
        pytest.param("tradeline_node", "catch-up", 20_000, {"catch-up"}, marks=pytest.mark.network),
        ("tradeline_node", "custody", 2000, {"check", "accept"}),
        ("tradeline_node", "growth", 4000, {"execute", "write"}),
        ("tradeline_node", "tls", 20, {"plain", "tls"}),
        ("tradeline_client", "seal", 2000, {"encode", "seal", "vault"}),
        ("tradeline_client", "audit", 4000, {"audit"}),
    ],
)
def test_prints_its_figures(
    tmp_path: Path, package: str, name: str, events: int, stages: set[str]
) -> None:
    figures = json.loads(run(tmp_path, package, name, "--events", str(events), "--json"))

    assert figures.keys() >= REQUIRED
    assert figures["name"] == name
    assert figures["events"] == events
    assert figures["seconds"] > 0
    assert figures["events_per_s"] > 0
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    assert set(figures["cpu_us_per_event"]) == stages
    assert list(tmp_path.iterdir()) == []


def test_metro2_prints_its_figures(tmp_path: Path) -> None:
    printed = run(tmp_path, "tradeline_client", "metro2", "--records", "2000", "--json")

    figures = json.loads(printed)
    assert figures.keys() >= REQUIRED
    assert figures["events"] == 2000
    assert figures["events_made"] == 6000
    assert set(figures["cpu_us_per_event"]) == {"parse", "map"}
    assert list(tmp_path.iterdir()) == []


def test_scope_prints_its_figures(tmp_path: Path) -> None:
    printed = run(
        tmp_path, "tradeline_node", "scope", "--members", "20", "--events", "10000", "--json"
    )

    figures = json.loads(printed)
    assert figures.keys() >= REQUIRED
    assert figures["members"] == 20
    assert list(tmp_path.iterdir()) == []


def test_import_prints_its_figures(tmp_path: Path) -> None:
    figures = json.loads(run(tmp_path, "tradeline_client", "import", "--rows", "5000", "--json"))

    assert figures.keys() >= REQUIRED | {"rows_per_cpu_s", "rss_mib_peak"}
    assert figures["events"] == 5000
    assert set(figures["cpu_us_per_event"]) == {"parse", "map", "encode"}
    assert figures["rows_per_cpu_s"] > figures["rows_per_cpu_s_encoded"] > 0
    assert list(tmp_path.iterdir()) == []


def test_growth_goes_through_all_numbers_of_subjects(tmp_path: Path) -> None:
    figures = json.loads(run(tmp_path, "tradeline_node", "growth", "--events", "4000", "--json"))

    assert [each["subjects"] for each in figures["phases"]] == [10**4, 10**5, 10**6, 10**7]
    assert figures["growth"] >= 1


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "events", "counted"),
    [("ingest", 2000, 2000), ("read", 1000, 2000), ("verify", 1000, 2000)],
)
def test_measures_through_real_nodes(tmp_path: Path, name: str, events: int, counted: int) -> None:
    figures = json.loads(run(tmp_path, "tradeline_client", name, "--events", str(events), "--json"))

    assert figures.keys() >= REQUIRED
    assert figures["events"] == counted
    assert figures["events_per_s"] > 0
    assert list(tmp_path.iterdir()) == []


def test_prints_a_table_without_json(tmp_path: Path) -> None:
    printed = run(tmp_path, "tradeline_node", "apply", "--events", "1000")

    rows = dict(line.split(maxsplit=1) for line in printed.splitlines())
    assert rows["name"] == "apply"
    assert rows.keys() >= REQUIRED - {"cpu_us_per_event"}
    assert "cpu_us_per_event.write" in rows


@pytest.mark.network
@pytest.mark.timeout(600)
def test_network_prints_the_figures_of_every_stretch(tmp_path: Path) -> None:
    figures = json.loads(run(tmp_path, "tradeline_client", "network", "--seconds", "1", "--json"))

    assert figures.keys() >= REQUIRED | {"loopback_bytes_per_event", "cpu_share"}
    assert set(figures["cpu_us_per_event"]) == {"application", "engine", "http", "client"}
    stretches = (figures["paced"], figures["one_dead"], figures["one_dead"]["paced"])
    for each in (*stretches, figures["single"], figures["read"]):
        assert 0 < each["p50_ms"] <= each["p95_ms"] <= each["p99_ms"]
    assert all(each["events_per_s"] > 0 for each in stretches)
    assert list(tmp_path.iterdir()) == []
