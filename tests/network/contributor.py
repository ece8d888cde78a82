"""
A contributor that deals bad shares: a process of its own, the client's code with one change.

    python -m tests.network.contributor FOLDER PASSPHRASE-FILE WAY:MEMBER,...:AMOUNT ...

FOLDER is that of its client. For each argument it files one batch about the first persons of the
load, with a change of `WAYS` that spoils the shares of these committee members, and prints what
became of it as one line of JSON: a `Filed`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from tests.client.network import payment
from tests.world import subject

from tradeline_client import seal
from tradeline_client.client import Client
from tradeline_client.errors import CustodyError
from tradeline_client.flows.custody import Custody
from tradeline_ledger.deposit import ATTACHMENT, Attachment, make_deposits, sealed_hash, share_root
from tradeline_ledger.encoding import encode
from tradeline_ledger.sharing import SHARE_BYTES
from tradeline_ledger.submission import Deposit

if TYPE_CHECKING:
    from tradeline_client.requests import Request
    from tradeline_client.seal import PlainEvent

EVENTS: Final = 2
"""Of one batch: the first is about the first person."""

_Recipients = Sequence[tuple[int, bytes]]
_Dealt = tuple[list[Deposit], list[bytes]]
_Make = Callable[[Sequence[bytes], _Recipients], _Dealt]
"""`make_deposits`, of shares and recipients in committee order."""


@dataclass(frozen=True)
class Filed:
    """What became of one batch."""

    way: str
    amount: int
    """In minor units, of its first event."""
    hash: str
    """Of the batch, in hexadecimal digits."""
    index: int | None
    """Log index of its submission, which was accepted; None: custody refused it."""
    statement: str
    """Its hash in hexadecimal digits; "" if nothing was signed."""


def main() -> None:
    """File what the arguments say."""
    folder, passphrase_file, *asked = sys.argv[1:]
    with Client.open(Path(folder), Path(passphrase_file).read_bytes()) as client:
        committee = [each.member for each in client.registry().epoch.committee]
        for each in asked:
            way, members, told = each.split(":")
            amount = int(told)
            victims = [committee.index(int(member)) for member in members.split(",")]
            ref = f"{way}-{os.urandom(4).hex()}"
            plain = [
                client.plain(payment(f"{ref}-{i}", amount=amount), subject(i))
                for i in range(EVENTS)
            ]
            with pytest.MonkeyPatch.context() as patch:
                WAYS[way](patch, victims)
                filed = _file(client, way, amount, plain)
            sys.stdout.write(json.dumps(asdict(filed)) + "\n")


def _file(client: Client, way: str, amount: int, plain: Sequence[PlainEvent]) -> Filed:
    (sealed,) = client.batches(plain)
    hash_ = sealed.batch_hash.hex()
    try:
        placed = client.submit(sealed).placement
    except CustodyError:
        return Filed(way, amount, hash_, None, "")
    return Filed(way, amount, hash_, placed.index, placed.statement_hash.hex())


def _garbled(
    make: _Make, shares: Sequence[bytes], to: _Recipients, victims: Sequence[int]
) -> _Dealt:
    """Commit to sealed bytes that nobody can open."""
    deposits, sealed = make(shares, to)
    for each in victims:
        sealed[each] = os.urandom(len(sealed[each]))
        deposits[each] = Deposit(sealed_hash(sealed[each]), deposits[each].share_root)
    return deposits, sealed


def _wrong_recipient(
    make: _Make, shares: Sequence[bytes], to: _Recipients, victims: Sequence[int]
) -> _Dealt:
    """Seal the victims' shares to the member before each in the committee."""
    return make(shares, [to[i - 1] if i in victims else own for i, own in enumerate(to)])


def _too_few(
    make: _Make, shares: Sequence[bytes], to: _Recipients, victims: Sequence[int]
) -> _Dealt:
    """Seal, and commit to, one share less than there are events."""
    return make([own[:-SHARE_BYTES] if i in victims else own for i, own in enumerate(shares)], to)


def _other_root(
    make: _Make, shares: Sequence[bytes], to: _Recipients, victims: Sequence[int]
) -> _Dealt:
    """Seal other shares than the batch commits to."""
    deposits, sealed = make(_altered(shares, victims), to)
    for each in victims:
        deposits[each] = Deposit(sealed_hash(sealed[each]), share_root(shares[each]))
    return deposits, sealed


def _off_polynomial(
    make: _Make, shares: Sequence[bytes], to: _Recipients, victims: Sequence[int]
) -> _Dealt:
    """Deal shares as they are committed to, of another polynomial than the others'."""
    return make(_altered(shares, victims), to)


def _altered(shares: Sequence[bytes], victims: Sequence[int]) -> list[bytes]:
    return [os.urandom(len(own)) if i in victims else own for i, own in enumerate(shares)]


def _dealing(
    deal: Callable[[_Make, Sequence[bytes], _Recipients, Sequence[int]], _Dealt],
) -> Callable[[pytest.MonkeyPatch, Sequence[int]], None]:
    """Return the change of the client's code that deals so."""

    def change(patch: pytest.MonkeyPatch, victims: Sequence[int]) -> None:
        def dealt(shares: Sequence[bytes], to: _Recipients, **place: Any) -> _Dealt:
            return deal(lambda *given: make_deposits(*given, **place), shares, to, victims)

        patch.setattr(seal, "make_deposits", dealt)

    return change


def _other_bytes(patch: pytest.MonkeyPatch, victims: Sequence[int]) -> None:
    """Hand to the victims other sealed deposits than the batch commits to, and to others these."""
    request = Custody._request

    def altered(self: Custody, number: int) -> Request:
        asked = request(self, number)
        position = self._epoch.position(number)
        if position not in victims:
            return asked
        batch, attachment = msgspec.msgpack.decode(asked.body)
        parts = ATTACHMENT.decode(attachment)
        sealed = [os.urandom(len(each or b"")) for each in parts.sealed]
        whole = encode(Attachment(parts.bodies, tuple(sealed)))
        return replace(asked, body=encode((batch, whole)))

    patch.setattr(Custody, "_request", altered)


WAYS: Final[Mapping[str, Callable[[pytest.MonkeyPatch, Sequence[int]], None]]] = {
    "garbled": _dealing(_garbled),
    "wrong-recipient": _dealing(_wrong_recipient),
    "too-few": _dealing(_too_few),
    "other-root": _dealing(_other_root),
    "off-polynomial": _dealing(_off_polynomial),
    "other-bytes": _other_bytes,
}
"""By their names."""


if __name__ == "__main__":
    main()
