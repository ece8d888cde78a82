"""Where each value of a node's configuration comes from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradeline_node.config import KEYS, describe, encode_config, load_config
from tradeline_node.errors import ConfigError

MEMBER = "[node]\nmember = 1\n"


def write(folder: Path, text: str) -> Path:
    (folder / "node.toml").write_text(text, encoding="utf-8")
    return folder


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    folder = write(tmp_path, MEMBER + "[http]\nport = 2\nstreams_max = 2\nwaits_max = 2\n")
    environment = {"TRADELINE_NODE_HTTP_PORT": "3", "TRADELINE_NODE_HTTP_STREAMS_MAX": "3"}
    config = load_config(folder, environment, ["http.port=4"])
    http = config.http
    assert (http.port, http.streams_max, http.waits_max, http.host) == (4, 3, 2, "127.0.0.1")
    assert config.origins["http.port"] == "flag --set"
    assert config.origins["http.streams_max"] == "environment TRADELINE_NODE_HTTP_STREAMS_MAX"
    assert config.origins["http.waits_max"] == f"file {tmp_path / 'node.toml'}"
    assert config.origins["http.host"] == "default"
    assert set(config.origins) == set(config.values()) == set(KEYS)


REFUSED = {
    "unknown key": ("[http]\nprot = 1\n", r"node\.toml.*'http\.prot'.*did you mean 'http\.port'"),
    "unknown section": ("[htp]\nport = 1\n", r"'htp\.port'.*did you mean 'http\.port'"),
    "key without a section": ("port = 1\n", r"'port'"),
    "text for a number": ('[http]\nport = "1"\n', r"http\.port is '1', expected .*1 to 65535"),
    "too large": ("[http]\nport = 70000\n", r"http\.port is 70000"),
    "too small": ("[engine]\nblock_ms = 0\n", r"engine\.block_ms is 0, expected .* ms"),
    "true for a number": ("[http]\nport = true\n", r"http\.port is True"),
    "other choice": ('[log]\naccess = "all"\n', r"one of members, public"),
    "no TOML": ("[http\n", r"is not TOML"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_file_is_refused_by_file_and_key(tmp_path: Path, case: str) -> None:
    text, message = REFUSED[case]
    content = text + MEMBER if case == "key without a section" else MEMBER + text
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, content), {})


def test_member_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"node\.member is missing"):
        load_config(write(tmp_path, ""), {})


def test_folder_without_a_node_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(tmp_path, {})


def test_unknown_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'TRADELINE_NODE_HTTP_PORT'"):
        load_config(write(tmp_path, MEMBER), {"TRADELINE_NODE_HTTP_PROT": "1"})


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("http.port", "is not KEY=VALUE"),
        ("http.prot=1", "did you mean 'http.port'"),
        ("http.port=x", "is no number"),
        ("http.port=0", "http.port is 0"),
    ],
)
def test_wrong_flag_is_refused(tmp_path: Path, flag: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, MEMBER), {}, [flag])


def test_written_configuration_is_read_again(tmp_path: Path) -> None:
    values = {"node.member": 3, "node.name": 'a "name"', "http.port": 7109, "log.access": "public"}
    config = load_config(write(tmp_path, encode_config(values)), {})
    assert {key: config.values()[key] for key in values} == values


def test_every_key_says_what_it_is_about() -> None:
    assert all(describe(key) for key in KEYS)
