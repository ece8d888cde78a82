"""Requests to witnesses: one form each, everything else refused."""

from __future__ import annotations

import pytest
from tests.mirror import signed_checkpoint
from tests.world import World, seed

from tradeline_ledger.errors import MalformedError
from tradeline_ledger.merkle import PATH_HASHES_MAX
from tradeline_ledger.note import encode_note
from tradeline_ledger.witness_request import (
    WITNESS_REQUEST_BYTES_MAX,
    decode_witness_request,
    encode_witness_request,
)

NOTE = signed_checkpoint(World())
HASH = seed("hash")
GOOD = encode_witness_request(3, [HASH], NOTE)


@pytest.mark.parametrize("hashes", [0, 1, PATH_HASHES_MAX])
def test_what_is_sent_is_what_is_read(hashes: int) -> None:
    path = [seed("hash", number) for number in range(hashes)]
    request = decode_witness_request(encode_witness_request(7, path, NOTE))
    assert (request.old_size, list(request.path)) == (7, path)
    assert encode_note(request.note) == NOTE


REFUSED = {
    "nothing": (b"", "no empty line"),
    "no empty line": (GOOD.replace(b"\n\n", b"\n"), "no empty line|not 32|not base64"),
    "no old size": (GOOD.removeprefix(b"old "), "expected 'old <size>'"),
    "two spaces": (GOOD.replace(b"old ", b"old  ", 1), "old size"),
    "leading zero": (GOOD.replace(b"old 3", b"old 03", 1), "old size"),
    "negative size": (GOOD.replace(b"old 3", b"old -3", 1), "old size"),
    "size over 63 bits": (GOOD.replace(b"old 3", b"old 9223372036854775808", 1), "old size"),
    "carriage return": (GOOD.replace(b"old 3\n", b"old 3\r\n", 1), "old size"),
    "short hash": (GOOD.replace(b"old 3\n", b"old 3\nAAAA\n", 1), "not of 32 bytes"),
    "other than base64": (GOOD.replace(b"old 3\n", b"old 3\n!\n", 1), "not base64"),
    "other than ASCII": (GOOD.replace(b"old 3\n", b"old 3\n\xc3\xa4\n", 1), "ASCII"),
    "no note": (b"old 0\n\nx\n", "note is not text"),
    "64 hashes": (
        GOOD.replace(b"old 3\n", b"old 3\n" + b"A\n" * PATH_HASHES_MAX, 1),
        "64 lines",
    ),
    "too long": (GOOD + bytes(WITNESS_REQUEST_BYTES_MAX), "bytes, at most"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_anything_else_is_refused(case: str) -> None:
    body, message = REFUSED[case]
    with pytest.raises(MalformedError, match=message):
        decode_witness_request(body)
