"""A candidate file is a member record that its own root key signed."""

from __future__ import annotations

from typing import Any

import msgspec.structs
import pytest
from tests.world import INSTITUTIONS

from tradeline_ledger.candidate import CANDIDATE_BYTES_MAX, open_candidate, sign_candidate
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import LedgerError, MalformedError, SignatureError

WHO = INSTITUTIONS[0]
FILE = sign_candidate(WHO.record, WHO.root)
WEAK = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")


def test_candidate_file_opens_to_its_record() -> None:
    assert open_candidate(FILE) == WHO.record


def test_every_changed_byte_is_refused() -> None:
    for index in range(0, len(FILE), 7):
        with pytest.raises(LedgerError):
            open_candidate(FILE[:index] + bytes([FILE[index] ^ 1]) + FILE[index + 1 :])


def test_signature_of_another_root_key_is_refused() -> None:
    record = encode(WHO.record)
    signature = INSTITUTIONS[1].root.sign("candidate", record)
    with pytest.raises(SignatureError, match="not by key"):
        open_candidate(encode(("tradeline/v1 candidate", record, signature)))


def test_signature_of_a_key_change_is_none_of_a_candidate() -> None:
    record = encode(WHO.record)
    with pytest.raises(SignatureError, match="not by key"):
        open_candidate(encode(("tradeline/v1 candidate", record, WHO.root.sign("key", record))))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"from_height": 1}, "from height 0 without an end"),
        ({"until_height": 9}, "from height 0 without an end"),
        ({"node_key": WEAK}, "weak key"),
        ({"note_key": WHO.record.node_key}, "serves two purposes"),
        ({"hpke_key": None}, "no HPKE key"),
    ],
)
def test_record_that_no_ledger_takes_in_is_refused(fields: dict[str, Any], message: str) -> None:
    record = msgspec.structs.replace(WHO.record, **fields)
    with pytest.raises(MalformedError, match=message):
        open_candidate(sign_candidate(record, WHO.root))


def test_other_and_oversized_files_are_refused() -> None:
    encoded = encode(WHO.record)
    other = encode(("tradeline/v2 candidate", encoded, WHO.root.sign("candidate", encoded)))
    with pytest.raises(MalformedError, match="expected 'tradeline/v1 candidate'"):
        open_candidate(other)
    with pytest.raises(MalformedError, match="at most"):
        open_candidate(bytes(CANDIDATE_BYTES_MAX + 1))
