"""
A process that takes attachments into custody until it is killed, and says what it acknowledged.

Started with a folder and the number of the first batch; prints one batch hash a receipt.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.node.custody_world import Committee


def main() -> None:
    folder, first = Path(sys.argv[1]), int(sys.argv[2])
    committee = Committee(folder, members=(3,))
    committee._salt = first
    while True:
        batch, attachment, _ = committee.batch(2, [1, 2, 3])
        batch_hash = batch.hash(committee.world.ledger.ledger_id, 2)
        committee.custody(2, batch, attachment)
        if committee._salt % 3 == 0:
            committee.nodes[3].custody.erase(batch_hash, [1], None)
        sys.stdout.write(batch_hash.hex() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
