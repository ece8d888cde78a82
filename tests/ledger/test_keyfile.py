from __future__ import annotations

import pytest

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError, SealError
from tradeline_ledger.keyfile import derive, open_keyfile, seal_keyfile

SALT = bytes(range(16))
NONCE = bytes(range(12))
SECRET = b"every key of the member"
FILE = seal_keyfile(b"correct horse", SECRET, SALT, NONCE)


def test_key_file_opens_with_its_passphrase() -> None:
    assert open_keyfile(b"correct horse", FILE) == SECRET
    assert SECRET not in FILE


def test_wrong_passphrase_says_so() -> None:
    with pytest.raises(SealError, match="passphrase is wrong"):
        open_keyfile(b"correct horsf", FILE)


@pytest.mark.parametrize("at", [40, len(FILE) // 2, len(FILE) - 1])
def test_altered_key_file_does_not_open(at: int) -> None:
    altered = FILE[:at] + bytes([FILE[at] ^ 1]) + FILE[at + 1 :]
    with pytest.raises(SealError):
        open_keyfile(b"correct horse", altered)


@pytest.mark.parametrize("header", [(15, 8, 2), (14, 8, 1), (30, 8, 1)])
def test_other_parameters_are_refused_before_any_work(header: tuple[int, int, int]) -> None:
    other = encode(("tradeline/v1 keyfile", *header, SALT, NONCE))
    with pytest.raises(MalformedError, match="parameters"):
        open_keyfile(b"correct horse", encode((other, b"")))


def test_each_store_has_its_own_key() -> None:
    secret = bytes(32)
    keys = {derive(secret, name) for name in ("vault", "journal", "draft")}
    assert len(keys) == 3
    assert (
        derive(secret, "vault").hex()
        == "8a3c041be64e934ebf1b07823ef9031433f779c93f6d90469b2b7a99c1fefa8c"
    )
