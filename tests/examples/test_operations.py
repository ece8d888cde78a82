"""Units of systemd and rules of Prometheus that operators start from: syntax and names."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # two calls, both checked by what they return

from tradeline_node.metrics import Metrics

EXAMPLES = Path(__file__).parents[2] / "examples"
UNITS = sorted((EXAMPLES / "systemd").iterdir())
ALERTS = yaml.safe_load((EXAMPLES / "prometheus/alerts.yml").read_text(encoding="utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]


def read_unit(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, comment_prefixes="#", delimiters="=")
    parser.optionxform = str  # type: ignore[method-assign,assignment]  # keys keep their case
    parser.read(path, encoding="utf-8")
    return parser


@pytest.mark.parametrize("unit", UNITS, ids=lambda each: each.name)
def test_unit_has_the_sections_of_its_kind(unit: Path) -> None:
    sections = read_unit(unit).sections()
    assert sections[0] == "Unit"
    assert ("Timer" if unit.suffix == ".timer" else "Service") in sections


@pytest.mark.parametrize("unit", UNITS, ids=lambda each: each.name)
def test_unit_is_good_for_systemd(unit: Path, tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no systemd-analyze on this machine; install systemd")
        pytest.skip("no systemd-analyze on this machine")
    for each in UNITS:
        text = each.read_text(encoding="utf-8").replace("/usr/bin/tradeline", "/bin/true")
        (tmp_path / each.name.replace("@", "@bank")).write_text(text, encoding="utf-8")
    name = unit.name.replace("@", "@bank")
    done = subprocess.run(
        [tool, "verify", "--man=no", str(tmp_path / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if name in line]
    assert not said, done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda each: each.name)
def test_commands_of_units_exist(unit: Path) -> None:
    from tradeline_node.cli import node  # noqa: PLC0415  only this test needs it

    parser = read_unit(unit)
    if not parser.has_section("Service"):
        return
    found = re.search(r"/usr/bin/tradeline node ([a-z]+) ", parser.get("Service", "ExecStart"))
    assert found
    assert found[1] in {each.name for each in node.registered_commands}


@pytest.mark.parametrize("rule", RULES, ids=lambda each: str(each["alert"]))
def test_alert_watches_a_metric_that_a_node_has(rule: dict[str, object]) -> None:
    metrics = {
        sample
        for family in Metrics().registry.collect()
        for sample in (family.name, f"{family.name}_total")
    }
    named = set(re.findall(r"\btradeline_[a-z_]+\b", str(rule["expr"])))
    assert named <= metrics
    assert named or "up{" in str(rule["expr"])
    annotations = rule["annotations"]
    assert isinstance(annotations, dict)
    assert set(annotations) == {"summary", "remedy"}


def test_scrape_configuration_asks_for_the_metrics_of_the_first_node() -> None:
    scrape = yaml.safe_load((EXAMPLES / "prometheus/scrape.yml").read_text(encoding="utf-8"))
    (job,) = scrape["scrape_configs"]
    assert (job["scheme"], job["metrics_path"]) == ("https", "/metrics")
