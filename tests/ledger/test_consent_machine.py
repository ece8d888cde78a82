"""
The life of consents against a plain model: whatever members do, in whatever order.

The model is `tests.ledger.consent_model`, which knows nothing of the rules of the package.
"""

from __future__ import annotations

from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.ledger.consent_model import Model
from tests.world import World, seed

from tradeline_ledger import state
from tradeline_ledger.consent import (
    Change,
    Frequency,
    Status,
    consent_id,
    status_message,
)
from tradeline_ledger.encoding import encode
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import Kind

SUBJECT: Final = SigningKey(seed("subject"))
STRANGER: Final = SigningKey(seed("stranger"))
HOUR_MS: Final = 3_600_000
STANDINGS: Final = {1: "active", 2: "paused", 3: "revoked", 4: "terminated", 5: "superseded"}
MEMBERS: Final = st.sampled_from([1, 2, 3, 5])
PARTIES: Final = st.fixed_dictionaries(
    {
        "grantee": st.sampled_from([1, 2]),
        "second": st.sampled_from([3, 5]),
        "frequency": st.sampled_from([Frequency(0, 1), Frequency(1, 1), Frequency(1, 3)]),
    }
)
WINDOWS: Final = st.tuples(st.sampled_from([-1, 0, 5]), st.sampled_from([1, 30, 90]))
"""Hours from now to the beginning, and to the end from there."""


class ConsentMachine(RuleBasedStateMachine):
    """Members draft, post, change and use consents; time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.models: dict[bytes, Model] = {}

    @initialize()
    def start(self) -> None:
        for grantee, second in ((1, 2), (2, 3)):
            self._draft(grantee=grantee, second=second, subject_key=SUBJECT.public)

    def _draft(self, **fields: Any) -> None:
        terms = self.world.terms(ref_hash=seed(len(self.models)), **fields)
        self.models[consent_id(encode(terms))] = Model(terms)

    def _place(self, entry: bytes) -> str:
        executed = self.world.block(entry)
        assert not executed.dropped, executed.dropped
        return executed.placed[0].applied.outcome.code

    @precondition(lambda self: len(self.models) < 8)
    @rule(parties=PARTIES, window=WINDOWS, subject=st.booleans(), supersedes=st.integers(-1, 8))
    def draft(
        self, parties: dict[str, Any], window: tuple[int, int], subject: bool, supersedes: int
    ) -> None:
        names = [*self.models, bytes(16)]
        begin = self.world.time_ms + window[0] * HOUR_MS
        self._draft(
            subject_key=SUBJECT.public if subject else None,
            supersedes=None if supersedes < 0 else names[min(supersedes, len(names) - 1)],
            from_ms=begin,
            until_ms=begin + window[1] * HOUR_MS,
            **parties,
        )

    @rule(which=st.integers(0, 9), stranger=st.booleans())
    def post(self, which: int, stranger: bool) -> None:
        model = list(self.models.values())[which % len(self.models)]
        encoded = encode(model.terms)
        own = SUBJECT.sign("consent", encoded) if model.terms.subject_key else None
        poster = 3 - model.terms.grantee if stranger else model.terms.grantee
        content = self.world.consent(model.terms, subject_signature=own)
        entry = self.world.entry(poster, Kind.CONSENT, content)
        superseded = self.models.get(model.terms.supersedes or b"")
        expected = model.post(poster, self.world.time_ms + 1000, superseded)
        assert self._place(entry) == expected

    @rule(
        which=st.integers(0, 9),
        poster=MEMBERS,
        change=st.sampled_from(list(Change)),
        signed=st.sampled_from(["not", "not", "well", "wrongly"]),
    )
    def change(self, which: int, poster: int, change: Change, signed: str) -> None:
        names = list(self.models)
        name = names[which % len(names)]
        model = self.models[name]
        signature = None
        if signed != "not":
            key = SUBJECT if signed == "well" else STRANGER
            count = model.changes
            message = status_message(self.world.ledger.ledger_id, name, change, 1, count)
            signature = key.sign("status", message)
        content = encode(Status(name, change, 1, signature))
        entry = self.world.entry(poster, Kind.STATUS, content)
        assert self._place(entry) == model.change(poster, change.name.lower(), signed)

    @rule(which=st.integers(0, 9), poster=st.sampled_from([1, 2]))
    def read(self, which: int, poster: int) -> None:
        names = list(self.models)
        name = names[which % len(names)]
        content = encode(self.world.inquiry(name, poster))
        entry = self.world.entry(poster, Kind.INQUIRY, content)
        expected = self.models[name].read(poster, self.world.time_ms + 1000)
        assert self._place(entry) == expected

    @rule(hours=st.sampled_from([1, 4, 12, 24]))
    def wait(self, hours: int) -> None:
        self.world.time_ms += hours * HOUR_MS

    @invariant()
    def the_ledger_knows_what_the_model_knows(self) -> None:
        for name, model in self.models.items():
            row = state.read(self.world, state.CONSENT, state.consent_key(name))
            standing = "none" if row is None else STANDINGS[row.standing]
            assert standing == model.standing
            if row is not None:
                assert row.changes == model.changes
                assert row.terms == encode(model.terms)


TestConsentMachine = ConsentMachine.TestCase
TestConsentMachine.settings = settings(max_examples=60, stateful_step_count=40)
