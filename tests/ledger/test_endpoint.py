"""Where a node may be asked: encrypted to a pinned key, or on this machine."""

from __future__ import annotations

import pytest
from tests.world import seed

from tradeline_ledger.endpoint import check_endpoint
from tradeline_ledger.errors import MalformedError

PIN = seed("pin")


@pytest.mark.parametrize(
    ("endpoint", "pin"),
    [
        ("https://node.example", PIN),
        ("https://node.example:7101/x/y", PIN),
        ("https://[2001:db8::1]:7101", PIN),
        ("https://127.0.0.1:7101", PIN),
        ("http://127.0.0.1:7101", None),
        ("http://127.8.9.10", None),
        ("http://[::1]:7101/", None),
        ("http://localhost:7101", None),
    ],
)
def test_encrypted_to_a_pinned_key_or_on_this_machine(endpoint: str, pin: bytes | None) -> None:
    check_endpoint(endpoint, pin)


@pytest.mark.parametrize(
    ("endpoint", "pin", "message"),
    [
        ("https://node.example", None, "pins no TLS key"),
        ("https://127.0.0.1:7101", None, "pins no TLS key"),
        ("http://127.0.0.1:7101", PIN, "write https://"),
        ("http://node.example", None, "not on loopback"),
        ("http://127.0.0.1.node.example", None, "not on loopback"),
        ("http://localhost.example", None, "not on loopback"),
        ("http://[::2]", None, "not on loopback"),
        ("http://0.0.0.0:7101", None, "not on loopback"),
        ("http://127.0.0.1@node.example", None, "is not http"),
        ("http://node.example#127.0.0.1", None, "is not http"),
        ("https://node.example/?a", PIN, "is not http"),
        ("ftp://node.example", PIN, "is not http"),
        ("HTTPS://node.example", PIN, "is not http"),
        ("https://", PIN, "is not http"),
        ("https://a b", PIN, "is not http"),
        ("https://node.example\n", PIN, "is not http"),
        ("", PIN, "is not http"),
    ],
)
def test_where_nobody_could_say_who_answers(endpoint: str, pin: bytes | None, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        check_endpoint(endpoint, pin)
