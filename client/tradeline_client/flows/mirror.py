"""
A static copy of a ledger, fetched from one node and checked against one verified checkpoint.

What the folder has already is kept, so a mirror is brought up to date by running it again. The
checkpoint is written last: until then the folder is the mirror that it was before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from tradeline_client.audit.folder import (
    CHECKPOINT,
    GENESIS,
    LOG_VKEY,
    POLICY,
    check_content,
    content_name,
)
from tradeline_client.errors import AnswerError
from tradeline_client.requests import Flow, Request, Round, read
from tradeline_ledger.errors import ConsistencyError, MalformedError
from tradeline_ledger.genesis import GENESIS_BYTES_MAX, Ledger
from tradeline_ledger.merkle import Frontier, leaf_hash
from tradeline_ledger.note import NOTE_BYTES_MAX
from tradeline_ledger.statement import (
    CONTENT_BYTES_MAX,
    STATEMENT,
    BlockLeaf,
    Statement,
    decode_leaf,
)
from tradeline_ledger.tile import (
    BUNDLE_BYTES_MAX,
    Bundle,
    Tile,
    bundles_between,
    decode_bundle,
    decode_path,
    encode_path,
    tiles_between,
)
from tradeline_ledger.trust import VerifiedCheckpoint

REQUESTS_AT_ONCE: Final = 16
_TIMEOUT_S: Final = 60.0

Progress = Callable[[int, int], None]
"""Told the files that are there and the files in all."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What `mirror` did."""

    size: int
    """Leaves of the log that the folder now holds."""
    files: int
    """Files of the mirror."""
    fetched: int
    """Files that were not there before."""
    fetched_bytes: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One file of the mirror and what its bytes must be."""

    name: str
    bytes_max: int
    check: Callable[[bytes], None]


def mirror(
    path: Path, node: int, ledger: Ledger, checkpoint: VerifiedCheckpoint, progress: Progress
) -> Flow[Mirrored]:
    """
    Bring the folder at `path` to `checkpoint`, from the node of member `node`.

    Raises:
        AnswerError: the node served a file that is not what the checkpoint commits to.
        ConsistencyError: the entries do not lead to the checkpoint's root.
        NodeProblemError, UnavailableError: the node did not serve a file.
    """
    fetch = _Fetch(path, node, progress)
    size = checkpoint.size
    bundles = list(bundles_between(0, size))
    tiles = list(tiles_between(0, size))
    fetch.total = len(bundles) + len(tiles) + size + 4
    yield from fetch.files(_bundles(bundles))
    entries, root = _read_bundles(path, bundles)
    if root != checkpoint.root:
        raise ConsistencyError(
            f"the entries that node {node} serves lead to root {root.hex()} at size {size}, the "
            f"checkpoint says {checkpoint.root.hex()}; remove {path}/tile and mirror another node"
        )
    fetch.total = len(bundles) + len(tiles) + entries + 5
    yield from fetch.files(_tiles(tiles))
    yield from fetch.files(_contents(path, bundles, ledger))
    for name, bytes_max in ((POLICY, NOTE_BYTES_MAX), (LOG_VKEY, 1024)):
        yield from fetch.files((_Wanted(name, bytes_max, _anything),), again=True)
    _write(path / GENESIS, ledger.file)
    _write(path / CHECKPOINT, checkpoint.note)
    kept = [encode_path(tile) for tile in tiles] + [encode_path(bundle) for bundle in bundles]
    _drop_stale(path, frozenset(kept))
    return Mirrored(size, fetch.total, fetch.fetched, fetch.fetched_bytes)


class _Fetch:
    """Fetches what is missing, several files a round."""

    def __init__(self, path: Path, node: int, progress: Progress) -> None:
        self.total = 0
        self.done = 0
        self.fetched = 0
        self.fetched_bytes = 0
        self._path = path
        self._node = node
        self._progress = progress

    def files(self, wanted: Iterable[_Wanted], *, again: bool = False) -> Flow[None]:
        missing = self._missing(wanted, again=again)
        while group := tuple(islice(missing, REQUESTS_AT_ONCE)):
            requests = tuple(
                Request(
                    self._node,
                    "GET",
                    f"/{each.name}",
                    bytes_max=each.bytes_max,
                    timeout_s=_TIMEOUT_S,
                )
                for each in group
            )
            answers = yield Round(requests)
            for each, answer in zip(group, answers, strict=True):
                self._take(each, read(answer).body)

    def _missing(self, wanted: Iterable[_Wanted], *, again: bool) -> Iterator[_Wanted]:
        for each in wanted:
            if again or not (self._path / each.name).exists():
                yield each
            else:
                self._count()

    def _take(self, wanted: _Wanted, data: bytes) -> None:
        try:
            wanted.check(data)
        except MalformedError as error:
            raise AnswerError(self._node, f"{wanted.name}: {error}") from error
        _write(self._path / wanted.name, data)
        self.fetched += 1
        self.fetched_bytes += len(data)
        self._count()

    def _count(self) -> None:
        self.done += 1
        self._progress(self.done, self.total)


def _bundles(bundles: Iterable[Bundle]) -> Iterator[_Wanted]:
    for bundle in bundles:
        width = bundle.width

        def check(data: bytes, width: int = width) -> None:
            decode_bundle(data, width)

        yield _Wanted(encode_path(bundle), BUNDLE_BYTES_MAX, check)


def _tiles(tiles: Iterable[Tile]) -> Iterator[_Wanted]:
    # Tiles are compared with the entries by the audit, which computes them anyway.
    for tile in tiles:
        yield _Wanted(encode_path(tile), tile.width * 32, _anything)


def _anything(data: bytes) -> None:
    _ = data


def _read_bundles(path: Path, bundles: Iterable[Bundle]) -> tuple[int, bytes]:
    """Return how many entries the log has, block leaves aside, and the root that it leads to."""
    frontier = Frontier()
    entries = 0
    for leaf in _leaves(path, bundles):
        frontier.append(leaf_hash(leaf))
        entries += not isinstance(decode_leaf(leaf), BlockLeaf)
    return entries, frontier.root


def _contents(path: Path, bundles: Iterable[Bundle], ledger: Ledger) -> Iterator[_Wanted]:
    genesis = content_name(ledger.ledger_id)
    yield _Wanted(genesis, GENESIS_BYTES_MAX, _equal(ledger.genesis_bytes))
    for leaf in _leaves(path, bundles):
        decoded = decode_leaf(leaf)
        if not isinstance(decoded, BlockLeaf):
            yield _content(ledger, STATEMENT.decode(decoded.statement))


def _leaves(path: Path, bundles: Iterable[Bundle]) -> Iterator[bytes]:
    for bundle in bundles:
        yield from decode_bundle((path / encode_path(bundle)).read_bytes(), bundle.width)


def _content(ledger: Ledger, statement: Statement) -> _Wanted:
    def check(data: bytes) -> None:
        check_content(ledger, statement, data)

    return _Wanted(content_name(statement.content_hash), CONTENT_BYTES_MAX, check)


def _equal(expected: bytes) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        if data != expected:
            raise MalformedError("not the bytes of the genesis")

    return check


def _write(path: Path, data: bytes) -> None:
    """Put a public file in place, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_bytes(data)
    temporary.replace(path)


def _drop_stale(path: Path, kept: frozenset[str]) -> None:
    """Remove partial tiles and bundles of earlier checkpoints, and what an earlier run left."""
    for file in sorted((path / "tile").rglob("*")):
        name = file.relative_to(path).as_posix()
        if file.is_dir() or name in kept:
            continue
        if name.endswith(".new") or _is_partial(name):
            file.unlink()
    for folder in sorted((path / "tile").rglob("*.p")):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _is_partial(name: str) -> bool:
    try:
        return ".p/" in name and decode_path(name) is not None
    except MalformedError:
        return False
