"""
The application of a node as CometBFT asks it over ABCI 2.0.

Outcomes are in the log, so every decided entry has result code 0: the engine hashes the codes
into its next header, and a height that is in the log already must give the same ones without being
executed again. That is how an engine that starts from nothing beside a store that is further on
(its folder was lost, or the store was filled from other nodes) replays its own blocks: up to the
store's height each is held against the log, and answered from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradeline_ledger.errors import MalformedError
from tradeline_ledger.statement import ENTRY, EntryLeaf, decode_leaf
from tradeline_ledger.transition import Block
from tradeline_ledger.trust import registry_after
from tradeline_node.engine import abci_pb2 as abci
from tradeline_node.engine.cometbft_home import VALIDATOR_POWER
from tradeline_node.errors import EngineError
from tradeline_node.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tradeline_ledger.registry import Registry
    from tradeline_node.application import Application
    from tradeline_node.engine.applied_height import AppliedHeight

TX_OVERHEAD_BYTES: Final = 8
"""That the engine counts for each entry of a block beside its bytes: field number and length."""
DETAIL_CHARS_MAX: Final = 1024
CODE_DROPPED: Final = 1
"""Result code of a check that does not admit an entry; its outcome is in the data."""
PEER_BY_ID: Final = "/p2p/filter/id/"
PEER_BY_ADDRESS: Final = "/p2p/filter/addr/"
_OUTCOME_BYTES: Final = 2


class AbciHandler:
    """Answers the engine's requests with one `Application`; one request at a time."""

    def __init__(
        self,
        application: Application,
        applied: AppliedHeight,
        on_misbehavior: Callable[[abci.Misbehavior], None],
    ) -> None:
        """Serve `application`; `applied` is what this engine's folder has had executed."""
        self._application, self._store = application, application.store
        self._applied = applied
        self._on_misbehavior = on_misbehavior
        self._decided: int | None = None
        """Height that was answered from the log and waits for its commit."""

    def answer(self, request: abci.Request) -> abci.Response:
        """
        Return the answer to one request.

        Raises:
            EngineError: the engine is another ledger's, or not one that this node can follow.
            StoreError: a block can't be written.
        """
        kind = request.WhichOneof("value")
        answer: Callable[[abci.Request], abci.Response] | None = (
            None if kind is None else getattr(self, f"_{kind}", None)
        )
        if answer is None:
            raise EngineError(f"the engine asks for {kind}, which no version 2.0 of ABCI has")
        return answer(request)

    # What every connection may ask

    def _echo(self, request: abci.Request) -> abci.Response:
        return abci.Response(echo=abci.ResponseEcho(message=request.echo.message))

    def _flush(self, request: abci.Request) -> abci.Response:
        _ = request
        return abci.Response(flush=abci.Empty())

    def _info(self, request: abci.Request) -> abci.Response:
        _ = request
        self._application.info()  # which refuses rules that this version does not know
        height = min(self._applied.read(), self._store.engine_height)
        return abci.Response(
            info=abci.ResponseInfo(
                data="tradeline",
                version=VERSION,
                app_version=self._store.ledger.genesis.rules,
                last_block_height=height,
                last_block_app_hash=self._root_at(height),
            )
        )

    def _query(self, request: abci.Request) -> abci.Response:
        """Say whether a peer may connect: by its id it must be a member's in the registry."""
        path = request.query.path
        if path.startswith(PEER_BY_ADDRESS):
            return abci.Response(query=abci.ResponseQuery())
        if not path.startswith(PEER_BY_ID):
            return _refuse_query(f"no answer to {path[:64]!r}")
        peer = path.removeprefix(PEER_BY_ID)
        members = [each for each in self._store.registry.members if each.until_height is None]
        if peer and any(each.engine_peer.partition("@")[0] == peer for each in members):
            return abci.Response(query=abci.ResponseQuery())
        return _refuse_query(f"peer {peer[:64]!r} is no member's in the registry")

    # Entries that wait

    def _check_tx(self, request: abci.Request) -> abci.Response:
        entry = request.check_tx.tx
        if request.check_tx.type == abci.RequestCheckTx.RECHECK:
            code = 0 if self._application.recheck(entry) else CODE_DROPPED
            return abci.Response(check_tx=abci.ResponseCheckTx(code=code))
        applied = self._application.check(entry)
        return abci.Response(
            check_tx=abci.ResponseCheckTx(
                code=CODE_DROPPED if applied.signed is None else 0,
                data=int(applied.outcome).to_bytes(_OUTCOME_BYTES, "big"),
                log=applied.detail[:DETAIL_CHARS_MAX],
            )
        )

    # Blocks

    def _init_chain(self, request: abci.Request) -> abci.Response:
        asked, ledger = request.init_chain, self._store.ledger
        if asked.chain_id != ledger.chain_id:
            raise EngineError(
                f"the engine is of chain {asked.chain_id}, the genesis file of {ledger.chain_id}; "
                "each member folder has an engine folder of its own"
            )
        keys = sorted(each.pub_key.ed25519 for each in asked.validators)
        registered = [ledger.registry.member(each) for each in ledger.registry.epoch.validators]
        if keys != sorted(each.engine_key or b"" for each in registered if each is not None):
            raise EngineError("the engine's validators are not those of the genesis file")
        return abci.Response(init_chain=abci.ResponseInitChain(app_hash=self._root_at(0)))

    def _prepare_proposal(self, request: abci.Request) -> abci.Response:
        asked = request.prepare_proposal
        entries = self._application.prepare(
            list(asked.txs),
            asked.max_tx_bytes,
            height=asked.height,
            time_ms=_ms(asked.time),
            overhead_bytes=TX_OVERHEAD_BYTES,
        )
        return abci.Response(prepare_proposal=abci.ResponsePrepareProposal(txs=entries))

    def _process_proposal(self, request: abci.Request) -> abci.Response:
        accepted = self._application.process(_block(request.process_proposal))
        return abci.Response(process_proposal=_verdict(accepted=accepted))

    def _finalize_block(self, request: abci.Request) -> abci.Response:
        asked = request.finalize_block
        for each in asked.misbehavior:
            self._on_misbehavior(each)
        block = _block(asked)
        if block.height <= self._store.engine_height:
            self._check_logged(block)
            self._decided = block.height
            app_hash = self._root_at(block.height)
        else:
            app_hash = self._application.finalize(block)
        return abci.Response(
            finalize_block=abci.ResponseFinalizeBlock(
                tx_results=[abci.ExecTxResult() for _ in block.entries],
                validator_updates=self._validator_updates(block.height),
                app_hash=app_hash,
            )
        )

    def _commit(self, request: abci.Request) -> abci.Response:
        _ = request
        if self._decided is None:
            self._application.commit()
            self._applied.write(self._store.engine_height)
        else:
            self._applied.write(self._decided)
            self._decided = None
        return abci.Response(commit=abci.ResponseCommit())

    def _extend_vote(self, request: abci.Request) -> abci.Response:
        _ = request
        return abci.Response(extend_vote=abci.Empty())

    def _verify_vote_extension(self, request: abci.Request) -> abci.Response:
        empty = not request.verify_vote_extension.vote_extension
        return abci.Response(verify_vote_extension=_verdict(accepted=empty))

    # Snapshots: the log itself is how a node catches up

    def _list_snapshots(self, request: abci.Request) -> abci.Response:
        _ = request
        return abci.Response(list_snapshots=abci.Empty())

    def _offer_snapshot(self, request: abci.Request) -> abci.Response:
        _ = request
        abort = abci.ResponseSnapshot(result=abci.ResponseSnapshot.ABORT)
        return abci.Response(offer_snapshot=abort)

    def _load_snapshot_chunk(self, request: abci.Request) -> abci.Response:
        _ = request
        return abci.Response(load_snapshot_chunk=abci.Empty())

    def _apply_snapshot_chunk(self, request: abci.Request) -> abci.Response:
        _ = request
        abort = abci.ResponseSnapshot(result=abci.ResponseSnapshot.ABORT)
        return abci.Response(apply_snapshot_chunk=abort)

    def _root_at(self, height: int) -> bytes:
        return self._store.root(self._store.block_end(height))

    def _validator_updates(self, height: int) -> list[abci.ValidatorUpdate]:
        """Return how the engine's validators change with the block at `height`, by key."""
        registry = self._application.decided_registry
        before = _engine_keys(registry_after(registry, height - 1))
        after = _engine_keys(registry_after(registry, height))
        powers = [(key, 0) for key in before - after]
        powers += [(key, VALIDATOR_POWER) for key in after - before]
        return [
            abci.ValidatorUpdate(pub_key=abci.PublicKey(ed25519=key), power=power)
            for key, power in sorted(powers)
        ]

    def _check_logged(self, block: Block) -> None:
        """Accept a decided block whose placed entries are exactly those of the log."""
        before, after = self._store.block_end(block.height - 1), self._store.block_end(block.height)
        logged = [
            (leaf.statement, leaf.signature)
            for leaf in map(decode_leaf, self._store.leaves(before, after))
            if isinstance(leaf, EntryLeaf)
        ]
        decided = iter(_signed(block.entries))
        if not all(each in decided for each in logged):
            raise EngineError(
                f"block {block.height} of the engine has other entries than the log: the store "
                "and the engine's network are not of one history; run `tradeline node doctor "
                "--deep --peers`"
            )


def _engine_keys(registry: Registry) -> set[bytes]:
    """Return the engine keys of the validators of the epoch in force."""
    records = [registry.member(each) for each in registry.epoch.validators]
    return {each.engine_key for each in records if each is not None and each.engine_key}


def _signed(entries: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Return statement and signature of those entries that decode."""
    signed = []
    for encoded in entries:
        try:
            entry = ENTRY.decode(encoded)
        except MalformedError:
            continue
        signed.append((entry.statement, entry.signature))
    return signed


def _block(asked: abci.RequestBlock) -> Block:
    return Block(asked.height, _ms(asked.time), tuple(asked.txs))


def _ms(time: abci.Timestamp) -> int:
    """Return whole milliseconds since 1970 UTC."""
    return time.seconds * 1000 + time.nanos // 1_000_000


def _verdict(*, accepted: bool) -> abci.ResponseVerdict:
    status = abci.ResponseVerdict.ACCEPT if accepted else abci.ResponseVerdict.REJECT
    return abci.ResponseVerdict(status=status)


def _refuse_query(reason: str) -> abci.Response:
    return abci.Response(query=abci.ResponseQuery(code=CODE_DROPPED, log=reason))
