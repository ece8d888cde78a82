"""Entries with their paths, as nodes answer with them; nothing is verified here."""

from __future__ import annotations

import msgspec

from tradeline_client.errors import AnswerError
from tradeline_client.requests import Flow, Request, Response, Round, from_json, hashes, read
from tradeline_ledger.c2sp import decode_base64
from tradeline_ledger.merkle import PATH_HASHES_MAX
from tradeline_ledger.release import EntryProof
from tradeline_ledger.statement import EntryLeaf, decode_leaf


class _Entry(msgspec.Struct):
    leaf: str
    path: list[str]


def read_proof(index: int, response: Response, content: bytes | None) -> EntryProof:
    """
    Return the proof of the entry at log index `index` that a node answered with.

    Raises:
        AnswerError: it answered something else.
        MalformedError: leaf or path is none.
    """
    found = from_json(_Entry, response)
    path = hashes(found.path, PATH_HASHES_MAX, "inclusion path")
    return EntryProof(index, decode_base64(found.leaf, "leaf"), tuple(path), content, None)


def entry_leaf(node: int, proof: EntryProof) -> EntryLeaf:
    """
    Return the leaf of a proof that `node` answered with.

    Raises:
        AnswerError: it ends a block.
        MalformedError: it is none.
    """
    leaf = decode_leaf(proof.leaf)
    if not isinstance(leaf, EntryLeaf):
        raise AnswerError(node, f"leaf {proof.index} ends a block, expected an entry")
    return leaf


def content_of(node: int, hash_: bytes, bytes_max: int) -> Flow[bytes]:
    """Return what `node` says is the content of that hash."""
    (answer,) = yield Round((Request(node, "GET", f"/content/{hash_.hex()}", bytes_max=bytes_max),))
    return read(answer).body
