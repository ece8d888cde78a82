"""What is taken out of a submission without decoding it is what decoding finds."""

from __future__ import annotations

import pytest
from tests.world import seed

from tradeline_ledger.merkle import leaf_hash, path_root
from tradeline_ledger.registry import COMMITTEE_MAX
from tradeline_ledger.submission import (
    Batch,
    Deposit,
    Receipt,
    decode_submission,
    encode_submission,
    headers_at,
    make_batch,
    parts_at,
)


def some_batch(count: int, epoch: int, deposits: int) -> Batch:
    return make_batch(
        epoch,
        [seed("tag", i)[:16] for i in range(count)],
        [24_000 + i * 7 % 500 for i in range(count)],
        [seed("hash", i) for i in range(count)],
        [Deposit(seed("sealed", i), seed("root", i)) for i in range(deposits)],
    )


@pytest.mark.parametrize("epoch", [0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1])
@pytest.mark.parametrize("deposits", [1, 4, 15, COMMITTEE_MAX])
@pytest.mark.parametrize("count", [1, 15, 16, 300])
def test_parts_are_those_of_the_decoded_submission(count: int, deposits: int, epoch: int) -> None:
    receipts = tuple(Receipt(i + 1, 2**40, bytes(64)) for i in range(deposits))
    content = encode_submission(some_batch(count, epoch, deposits), receipts)
    decoded, parts = decode_submission(content), parts_at(content)
    assert parts.epoch == decoded.batch.epoch == epoch
    assert parts.events == decoded.batch.count == count
    assert parts.deposits_hash == decoded.batch.deposits_hash()
    assert parts.receipts_hash == decoded.receipts_hash()


@pytest.mark.parametrize("count", [1, 15, 16, 17, 40])
def test_headers_months_and_root_are_those_of_the_batch(count: int) -> None:
    batch = some_batch(count, 0, 4)
    content = encode_submission(batch, ())
    assert headers_at(content, 0, count) == [batch.header(i) for i in range(count)]
    assert headers_at(content, count - 1, count) == [batch.header(count - 1)]
    assert batch.retain_months() == [24_000 + i * 7 % 500 for i in range(count)]
    for position in range(count):
        leaf, path = leaf_hash(batch.header(position)), batch.path(position)
        assert path_root(leaf, position, count, path) == batch.events_root
