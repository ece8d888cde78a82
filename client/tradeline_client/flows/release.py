"""
Releases: what committee members answer to the reader of an inquiry (docs/formats.md, section 7).

Every committee member is asked at the same time, with a request sealed to it. One of them sends
proofs and bodies, too. Members that don't answer well are asked again, patiently: releases are
idempotent, so that asking twice changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tradeline_client.errors import ClientError, NodeProblemError
from tradeline_client.flows.tag_keys import share_tag_key
from tradeline_client.requests import Flow, Request, Response, Round, raise_failures, read
from tradeline_ledger.agreement import agree
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import LedgerError, MalformedError, PolicyError, VerificationError
from tradeline_ledger.hpke import PublicKey, request_info, seal
from tradeline_ledger.release import (
    ANSWER_BYTES_MAX,
    PROOFS,
    PROOFS_BYTES_MAX,
    RESPONSE,
    Answer,
    Proofs,
    ReleaseRequest,
    Want,
)
from tradeline_ledger.report import open_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_client.flows.inquiry import PostedInquiry
    from tradeline_client.requests import Answer as HttpAnswer
    from tradeline_client.session import Session
    from tradeline_ledger.registry import EpochRecord
    from tradeline_ledger.report import SubjectKeys

ROUNDS: Final = ((0.0, 3.0), (0.1, 10.0), (0.4, 60.0), (1.0, 60.0), (2.0, 60.0), (4.0, 60.0))
"""Wait before asking, and how long an answer may take, in seconds: first for the quick ones."""
_PASSING: Final = frozenset(
    {
        *("size-ahead", "release-stalled", "node-busy", "node-halted", "rate-limited"),
        *("no-quorum-yet", "http-status"),
    }
)
"""Problems that may be gone when the node is asked again."""
_TAG_KEY_MISSING: Final = "release-tag-key-missing"


@dataclass(slots=True)
class Collected:
    """What committee members have answered about one inquiry so far. Answers are not verified."""

    session: Session
    posted: PostedInquiry
    subject: SubjectKeys
    epoch: EpochRecord
    size: int
    """Log size of the checkpoint that the reader goes by: paths of later marks lead there."""
    answers: dict[int, Answer] = field(default_factory=dict)
    proofs: dict[int, Proofs] = field(default_factory=dict)
    failures: dict[int, Exception] = field(default_factory=dict)

    @property
    def committee(self) -> list[int]:
        """Committee members with a node, those to ask first in front."""
        members = [each.member for each in self.epoch.committee if self._key(each.member)]
        nodes = [node for node in self.session.nodes() if node in members]
        return nodes + [each for each in members if each not in nodes]

    @property
    def elders(self) -> list[int]:
        """
        Members of earlier committees alone, who are members still.

        They hold the shares of batches that were not dealt to a later committee by then; what they
        say of histories counts for nothing.
        """
        ours = {each.member for each in self.epoch.committee}
        earlier = self.session.registry.epochs[: self.epoch.epoch]
        before = {each.member for epoch in earlier for each in epoch.committee}
        return [each for each in sorted(before - ours) if self._key(each)]

    def ask_elders(self, want: int, timeout_s: float) -> Flow[None]:
        """Ask `elders`; one that lacks this reader's tag key gets it and is asked once more."""
        yield from self.ask(self.elders, want, timeout_s)
        lacking = [
            node
            for node in self.elders
            if isinstance(error := self.failures.get(node), NodeProblemError)
            and error.code == _TAG_KEY_MISSING
        ]
        if lacking:
            yield from share_tag_key(self.session, lacking)
            yield from self.ask(lacking, want, timeout_s)

    def requests(
        self, nodes: Sequence[int], wants: Sequence[int], timeout_s: float
    ) -> list[Request]:
        """Return one request to each of `nodes`, for what stands beside it in `wants`."""
        return [
            self._request(node, want, timeout_s) for node, want in zip(nodes, wants, strict=True)
        ]

    def take(self, node: int, answer: HttpAnswer) -> None:
        """Keep what a committee member answered, or why it can't be used."""
        try:
            self._open(node, read(answer))
        except (ClientError, LedgerError) as error:
            self.failures[node] = error
        else:
            self.failures.pop(node, None)

    def ask(
        self, nodes: Sequence[int], want: int, timeout_s: float, delay_s: float = 0.0
    ) -> Flow[None]:
        """Ask `nodes` at the same time, all for the same."""
        asked = self.requests(nodes, [want] * len(nodes), timeout_s)
        answers = yield Round(tuple(asked), delay_s=delay_s)
        for node, answer in zip(nodes, answers, strict=True):
            self.take(node, answer)

    def agreed(self, height: int) -> Flow[bytes]:
        """
        Return the history statement that t members sign alike, asking as long as it takes.

        `height` is that of the inquiry.

        Raises:
            NodeProblemError: the nodes refuse to release, for one reason.
            UnavailableError: too few answer.
            PolicyError: too few of those that answer agree; keep the inquiry and ask again.
        """
        registry = self.session.registry
        for delay_s, timeout_s in ROUNDS[1:]:
            try:
                common, _ = agree(self.answers, self.epoch, registry, height)
            except PolicyError as error:
                disagreed: VerificationError = error
            else:
                return common
            missing = [node for node in self.committee if node not in self.answers]
            passing = [node for node in missing if _passes(self.failures.get(node))]
            if len(self.answers) + len(passing) < self.epoch.threshold:
                raise_failures("too few committee members release", self.failures)
            # Those that have answered and disagree may have been asked before their block.
            yield from self.ask(passing or self.committee, Want.SHARES, timeout_s, delay_s)
        if len(self.answers) < self.epoch.threshold:
            raise_failures("too few committee members release", self.failures)
        raise disagreed

    def _key(self, member: int) -> bytes | None:
        record = self.session.registry.member(member)
        return record.hpke_key if record else None

    def _request(self, node: int, want: int, timeout_s: float) -> Request:
        session, posted = self.session, self.posted
        encoded = self._key(node)
        assert encoded is not None, f"committee member {node} has an HPKE key"
        public = PublicKey.from_bytes(encoded)
        ledger_id = session.ledger.ledger_id
        request = ReleaseRequest(
            ledger_id,
            posted.index,
            posted.key.public.encoded,
            self.subject.salt,
            self.subject.asked(posted.inquiry.years),
            want,
        )
        sealed = seal(
            public, encode(request), request_info(ledger_id, posted.index, node, public.key_id)
        )
        return Request(
            node,
            "POST",
            f"/v1/releases/{posted.index}?size={self.size}",
            sealed,
            bytes_max=ANSWER_BYTES_MAX + (PROOFS_BYTES_MAX if want & Want.PROOFS else 0),
            timeout_s=timeout_s,
            idempotent=False,  # repeated here, with more patience each time
        )

    def _open(self, node: int, response: Response) -> None:
        decoded = RESPONSE.decode(response.body)
        answer = open_answer(
            self.posted.key,
            decoded.sealed,
            ledger_id=self.session.ledger.ledger_id,
            inquiry=self.posted.index,
            validator=node,
        )
        if decoded.proofs is not None:
            self.proofs[node] = PROOFS.decode(decoded.proofs)
        self.answers[node] = answer


def proofs_of(collected: Collected, node: int) -> Flow[Proofs]:
    """
    Return the proofs that a committee member sends, asking for them if it was not asked before.

    Raises:
        NodeProblemError, UnavailableError: it sends none.
        MalformedError: its answer does not decode, or holds none.
    """
    if node not in collected.proofs:
        yield from collected.ask([node], Want.SHARES | Want.PROOFS, ROUNDS[-1][1])
        failure = collected.failures.get(node)
        if failure is not None:
            raise failure
    found = collected.proofs.get(node)
    if found is None:
        raise MalformedError(f"node {node} sent no proofs, and was asked for them")
    return found


def _passes(failure: Exception | None) -> bool:
    """Return whether a node that failed so may do better when it is asked again."""
    return not isinstance(failure, NodeProblemError) or failure.code in _PASSING
