"""What an attachment must show before any of it is kept: each part is the one that is named."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NoReturn

from tradeline_ledger.body import body_hash, check_bodies
from tradeline_ledger.deposit import sealed_hash
from tradeline_ledger.errors import SealError
from tradeline_node.errors import RequestError


def check_all_bodies(bodies: Sequence[bytes | None], expected: Sequence[bytes]) -> list[bytes]:
    """
    Return `bodies` once each is there and hashes to what is `expected` in its place.

    Raises:
        RequestError: one does not, with its position.
    """
    try:
        return check_bodies(bodies, expected)
    except SealError as error:
        wrong = (
            position
            for position, (body, hash_) in enumerate(zip(bodies, expected, strict=False))
            if body is None or body_hash(body) != hash_
        )
        _refuse_part(str(error), next(wrong, min(len(bodies), len(expected))), error)


def check_bodies_left(
    bodies: Sequence[bytes | None], expected: Sequence[bytes], gone: Collection[int]
) -> list[bytes]:
    """
    Return `bodies`, those at the positions `gone` empty, once all others are as `expected`.

    Raises:
        RequestError: one is not, with its position.
    """
    if len(bodies) != len(expected):
        _refuse_part(f"{len(bodies)} bodies came for {len(expected)} events", len(expected))
    checked = []
    for position, (body, hash_) in enumerate(zip(bodies, expected, strict=True)):
        left = position not in gone
        if left and (body is None or body_hash(body) != hash_):
            _refuse_part(f"body {position} is missing or is not the one that is named", position)
        checked.append(body if left and body is not None else b"")
    return checked


def check_sealed(sealed: Sequence[bytes | None], expected: Sequence[bytes]) -> list[bytes]:
    """
    Return `sealed` deposits once each is there and hashes to what is `expected` in its place.

    Raises:
        RequestError: one does not, with its position.
    """
    checked = []
    for position, hash_ in enumerate(expected):
        own = sealed[position] if position < len(sealed) else None
        if own is None:
            _refuse_part(f"sealed deposit {position} is missing", position)
        if sealed_hash(own) != hash_:
            _refuse_part(
                f"sealed deposit {position} hashes to {sealed_hash(own).hex()}, the batch "
                f"says {hash_.hex()}",
                position,
            )
        checked.append(own)
    if len(sealed) != len(expected):
        _refuse_part(
            f"{len(sealed)} sealed deposits came where {len(expected)} are named", len(expected)
        )
    return checked


def _refuse_part(detail: str, position: int, cause: Exception | None = None) -> NoReturn:
    raise RequestError("custody-body-wrong", detail, position=position) from cause
