"""What stands in for parts of the product while a run lasts: each does the same in less time."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final
from unittest import mock

from tests.simulation import sealing

from tradeline_ledger import hpke, signing
from tradeline_ledger.errors import SignatureError
from tradeline_node import custody_backlog, late_fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONDENSED: Final = (
    (late_fetch, "GRACE_S", 0.5),
    (late_fetch, "HEDGE_S", 0.2),
    (late_fetch, "ANSWER_S", 1.0),
    (late_fetch, "POLL_S", 1.0),
    (late_fetch, "PAUSES_S", (0.2, 0.5, 1.0, 2.0)),
    (custody_backlog, "SAY_AFTER_S", 1.0),
)
"""Waits of the product that are cut down, as everything here happens in seconds."""


@contextlib.contextmanager
def substituted() -> Iterator[None]:
    """Verify each signature once, seal alike each time, and wait for less long."""
    with contextlib.ExitStack() as patched:
        patched.enter_context(mock.patch.object(signing, "verify_raw", _verify_once()))
        patched.enter_context(mock.patch.object(hpke, "_encrypt", sealing.encrypt))
        patched.enter_context(mock.patch.object(hpke, "_decrypt", sealing.decrypt))
        for module, name, value in CONDENSED:
            patched.enter_context(mock.patch.object(module, name, value))
        yield


def _verify_once() -> Callable[[bytes, bytes, bytes], bytes]:
    """Return `signing.verify_raw` that computes each verdict once: all nodes look at the same."""
    verdicts: dict[tuple[bytes, bytes, bytes], str] = {}
    verify_raw = signing.verify_raw

    def remembered(public: bytes, message: bytes, signature: bytes) -> bytes:
        asked = (public, message, signature)
        if asked not in verdicts:
            try:
                verify_raw(*asked)
            except SignatureError as error:
                verdicts[asked] = str(error)
            else:
                verdicts[asked] = ""
        if verdicts[asked]:
            raise SignatureError(verdicts[asked])
        return message

    return remembered
