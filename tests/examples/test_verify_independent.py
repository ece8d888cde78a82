"""
The independent verifier: what it decides, and that the packages decide the same.

`examples/verify_independent.py` shares no code with the packages, so each of these comparisons
tests two implementations of docs/formats.md against each other.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import msgpack
import msgspec.structs
import pytest
import tests.world
from tests.governance import enact
from tests.mirror import signed_checkpoint
from tests.reading import Scene, full_scene, without_entry, without_event
from tests.story import story
from tests.world import DAY_MS, INSTITUTIONS, make_ledger, seed

from tradeline_client.verification import Brought, verify_file
from tradeline_ledger.body import body_aad, body_hash, pad, seal_bodies, seal_body
from tradeline_ledger.bundle import BUNDLE, Bundle, withhold
from tradeline_ledger.calendar import month, month_of, month_start_ms
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import EventError, MalformedError
from tradeline_ledger.event import Event, check_event, decode_event
from tradeline_ledger.history import EventId
from tradeline_ledger.merkle import leaf_hash, path_of
from tradeline_ledger.note import decode_note
from tradeline_ledger.params import CategoryRetention
from tradeline_ledger.policy import validators_policy
from tradeline_ledger.policy_file import decode_policy, encode_policy
from tradeline_ledger.proposal import Remove, SetCommittee, SetParams
from tradeline_ledger.report import Report
from tradeline_ledger.schemas import SCHEMAS
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.tlog_proof import TlogProof, encode_proof

FILE: Final = Path(__file__).parents[2] / "examples/verify_independent.py"
VECTORS: Final = Path(__file__).parents[2] / "docs/vectors"
DISTURBED: Final = 100
Change = Callable[[Scene, Bundle], Bundle]


def load() -> Any:
    spec = importlib.util.spec_from_file_location("verify_independent", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


V: Final = load()


def by_packages(data: bytes, policy: bytes | None) -> tuple[bool, bool | None]:
    brought = Brought(None if policy is None else decode_policy(policy))
    verdict = verify_file(data, brought)
    return verdict.consistent, verdict.anchored


def by_example(data: bytes, policy: bytes | None) -> tuple[bool, bool | None]:
    verdict = V.judge(data, None if policy is None else V.parse_policy(policy))
    expected = bool(verdict["consistent"]) and verdict["anchored"] is not False
    assert verdict["verified"] == expected
    assert verdict["verified"] or {"where", "why"} <= verdict.keys()
    return verdict["consistent"], verdict["anchored"]


def same(data: bytes, policy: bytes | None = None) -> tuple[bool, bool | None]:
    """Return the verdicts, which both implementations must reach."""
    example = by_example(data, policy)
    assert example == by_packages(data, policy)
    return example


@cache
def scene() -> Scene:
    return full_scene()


@cache
def good() -> bytes:
    return encode(scene().bundle())


@cache
def policy() -> bytes:
    records = [each.record for each in INSTITUTIONS if each.validator]
    return encode_policy(validators_policy(scene().committee.world.ledger.origin, records))


@cache
def other_policy() -> bytes:
    records = [each.record for each in INSTITUTIONS if each.validator]
    origin = make_ledger(refused_per_day=7).origin
    return encode_policy(validators_policy(origin, records))


@cache
def proof(index: int = 3) -> bytes:
    world = story().world
    hashes = [leaf_hash(leaf) for leaf in world.leaves]
    note = decode_note(signed_checkpoint(world))
    return encode_proof(TlogProof(index, tuple(path_of(hashes, index)), note, world.leaves[index]))


def checkpoint() -> bytes:
    return signed_checkpoint(story().world)


# What it is made of.


def test_it_imports_nothing_of_the_packages() -> None:
    imported = set()
    for node in ast.walk(ast.parse(FILE.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level
            imported.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"__import__", "exec", "eval", "import_module"}
    others = imported - set(sys.stdlib_module_names)
    assert others == {"msgpack", "nacl"}
    assert "importlib" not in imported


def test_its_sections_are_those_of_the_formats_page() -> None:
    page = (FILE.parents[1] / "docs/formats.md").read_text("utf-8")
    sections = [line[3:] for line in page.splitlines() if line.startswith("## ")]
    named = [line for line in FILE.read_text("utf-8").splitlines() if line.startswith("# ")]
    for number in ("1", "2", "3", "4", "5", "7", "9"):
        assert any(line.startswith(f"{number}. ") for line in sections)
        assert any(line.startswith(f"# {number}. ") for line in named), number


# The command.


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FILE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    altered = bytearray(good())
    body = scene().bundle().proofs.events[0].body
    assert body is not None
    altered[good().index(body) + 40] ^= 1
    contents = {
        "bundle": good(),
        "altered": bytes(altered),
        "checkpoint": checkpoint(),
        "proof": proof(),
        "policy": policy(),
        "other": other_policy(),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("kind", ["bundle", "checkpoint", "proof"])
def test_a_good_file_exits_with_0(files: Path, kind: str) -> None:
    alone, anchored = run(files / kind), run(files / kind, "--trust", files / "policy", "--json")
    assert (alone.returncode, alone.stderr) == (0, "")
    assert f"{kind}: verified" in alone.stdout
    assert "anchored to your policy: not asked" in alone.stdout
    assert (anchored.returncode, anchored.stderr) == (0, "")
    said = json.loads(anchored.stdout)
    assert (said["kind"], said["verified"]) == (kind, True)
    assert (said["consistent"], said["anchored"]) == (True, True)


@pytest.mark.parametrize("kind", ["bundle", "checkpoint", "proof"])
def test_a_file_of_others_exits_with_3(files: Path, kind: str) -> None:
    ran = run(files / kind, "--trust", files / "other", "--json")
    said = json.loads(ran.stdout)
    assert ran.returncode == 3
    assert (said["consistent"], said["anchored"]) == (True, False)
    assert said["where"] == "trust"


def test_an_altered_file_exits_with_3_and_says_where(files: Path) -> None:
    ran = run(files / "altered")
    assert ran.returncode == 3
    assert "bundle: NOT verified" in ran.stdout
    assert "event 1/0: the body does not hash" in ran.stdout


def test_usage_exits_with_2(files: Path) -> None:
    (files / "broken").write_bytes(policy()[:-1])
    assert run().returncode == 2
    assert run(files / "nothing").returncode == 2
    (files / "fork").write_bytes(b"tradeline/v1 evidence\n\x95")
    assert run(files / "fork").returncode == 2
    ran = run(files / "bundle", "--trust", files / "broken")
    assert ran.returncode == 2
    assert "end in a line feed" in ran.stderr


def test_a_machine_without_aes_refuses_to_judge(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unavailable(*_: object) -> bytes:
        raise V.UnavailableError

    monkeypatch.setattr(V, "crypto_aead_aes256gcm_decrypt", unavailable)
    (files / "closed").write_bytes(withhold(good()))
    assert V.main([str(files / "bundle")]) == 2
    assert "no AES-256-GCM" in capsys.readouterr().err
    assert V.main([str(files / "closed")]) == 0


# Bundles: good ones.


def states(report: Report) -> dict[str, str]:
    """Return what the packages say became of each event."""
    found = {each.filed.id: "shown" for each in report.events}
    found |= {each.filed.id: "invalid" for each in report.invalid}
    found |= {each.filed.id: "inquiry" for each in report.inquiries}
    found |= {each.filed.id: each.standing.value for each in report.gone}
    found |= {each.id: "withheld" for each in report.withheld}
    found |= {each.id: "unknown" for each in report.unknown}
    return {f"{event.index}/{event.position}": state for event, state in sorted(found.items())}


def compared(data: bytes) -> dict[str, str]:
    """Return what became of each event, by both."""
    assert same(data) == (True, None)
    report = verify_file(data, Brought()).unsafe_report
    assert report is not None
    events = V.judge(data, None)["events"]
    assert {each["id"]: each["state"] for each in events} == states(report)
    return states(report)


def test_a_full_report_is_read_alike() -> None:
    said = set(compared(good()).values())
    assert said == {"shown", "erased", "inquiry"}
    assert same(good(), policy()) == (True, True)
    assert same(good(), other_policy()) == (True, False)


def test_a_report_without_content_is_read_alike() -> None:
    said = set(compared(withhold(good())).values())
    assert said == {"withheld", "erased", "inquiry"}
    assert same(withhold(good()), policy()) == (True, True)


def changed_keys() -> Scene:
    """Return a scene in which keys change before and after the inquiry."""
    found = Scene()
    found.file(2, found.event(2, "a"))
    found.committee.change_keys(4, 0, note_key=SigningKey(seed("new note")).public)
    found.ask()
    found.committee.change_keys(3, 0, cosigner_key=SigningKey(seed("new cosigner")).public)
    return found


def test_changes_of_the_registry_are_followed_alike() -> None:
    data = encode(changed_keys().bundle())
    assert len(BUNDLE.decode(data).steps) == 2
    compared(data)
    whole = BUNDLE.decode(data)
    for steps in (whole.steps[:1], whole.steps[1:], (), whole.steps[::-1], whole.steps * 2):
        assert same(encode(msgspec.structs.replace(whole, steps=steps))) == (False, None)


def test_a_registry_that_rewrites_the_past_is_refused_alike() -> None:
    whole = BUNDLE.decode(encode(changed_keys().bundle()))
    first = whole.steps[0]
    old, new = first.members
    replace = msgspec.structs.replace
    fields = list(msgspec.structs.asdict(whole).values())
    for members in (
        (replace(old, until_height=None), new),
        (replace(old, roles=31), new),
        (new,),
        (old,),
        (),
        (new, old),
        (replace(old, name="A long time ago"), replace(new, from_height=99)),
    ):
        step = [first.checkpoint, first.index, first.leaf, first.path, members, None, None]
        fields[2] = [step, *whole.steps[1:]]
        assert same(encode(fields)) == (False, None)


def voted() -> Scene:
    """Return a scene in which votes change retention before the inquiry and the epoch after it."""
    found = Scene()
    world = found.committee.world
    found.file(2, found.event(2, "before"))
    months = (48, *(each.retain_months for each in world.ledger.params.retention[1:]))
    retention = tuple(CategoryRetention(n, each) for n, each in enumerate(months, start=1))
    params = msgspec.structs.replace(world.ledger.params, retention=retention)
    enact(world, Remove(5), SetParams(params))
    old, new = month_of("2026-03-04") + 60, month_of("2026-03-04") + 48
    found.file(2, found.event(2, "sealed before the change"), month=old)
    found.file(2, found.event(2, "after the change"), month=new)
    world.time_ms += 2 * DAY_MS
    found.file(2, found.event(2, "too long after it"), month=old)
    found.ask()
    enact(world, SetCommittee((1, 2, 3, 4), (1, 2, 3)))
    return found


def test_what_votes_change_is_followed_alike() -> None:
    data = encode(voted().bundle())
    whole = BUNDLE.decode(data)
    assert [(each.epoch is None, each.settings is None) for each in whole.steps] == [
        (True, False),
        (False, True),
    ]
    said = list(compared(data).values())
    assert said == ["shown", "shown", "shown", "invalid", "inquiry"]
    first, second = whole.steps
    replace = msgspec.structs.replace
    assert second.epoch is not None
    assert first.settings is not None
    for steps in (
        (replace(first, settings=None), second),
        (first, replace(second, settings=first.settings)),
        (first, replace(second, epoch=replace(second.epoch, epoch=2))),
        (first, replace(second, epoch=None, settings=first.settings)),
    ):
        assert same(encode(replace(whole, steps=steps))) == (False, None)


def test_what_time_and_marks_leave_is_read_alike() -> None:
    found = Scene()
    world = found.committee.world
    expired, kept, lapsed, erased = found.file(
        2, *(found.event(2, name, on="2021-09-04") for name in "abcd"), month=2026 * 12 + 8
    )
    assert expired.index == kept.index
    later = 2026 * 12 + 11
    found.committee.mark(2, (kept.index, kept.position), 2, later, 6)
    found.committee.mark(2, (lapsed.index, lapsed.position), 2, 2026 * 12 + 7, 7)
    found.committee.mark(2, (lapsed.index, lapsed.position), 2, later, 6)
    found.ask()
    found.committee.delete_body(lapsed)
    found.committee.mark(2, (erased.index, erased.position), 1, None, 3)
    found.committee.delete_body(erased)
    said = compared(encode(found.bundle()))
    assert list(said.values()) == ["shown", "shown", "lapsed", "erased", "inquiry"]

    found.committee.delete_body(expired)
    next_month = month_start_ms(2026 * 12 + 9, 480)
    world.block(
        world.entry(1, 3, encode((b"x" * 16, 3, 1, None))), later_ms=next_month - world.time_ms
    )
    said = compared(encode(found.bundle()))
    assert list(said.values()) == ["expired", "shown", "lapsed", "erased", "inquiry"]


# Bundles: events that are wrong.


def filed_raw(found: Scene, *rows: tuple[bytes, int, bytes], member: int = 2) -> list[EventId]:
    """Place a batch of rows as they are, and return their ids."""
    index = found.committee.submit(member, list(rows), len(found.committee.world.leaves))
    return [EventId(index, place) for place in range(len(rows))]


def put(
    found: Scene, event: Event | bytes, *, member: int = 2, year: int = 2026, add: int = 60
) -> tuple[bytes, int, bytes]:
    """Return the row of an event that may be wrong, under the tag of its year."""
    on = event.occurred_on if isinstance(event, Event) else "2026-03-04"
    retain = int(on[:4]) * 12 + int(on[5:7]) - 1 + add
    tag = found.committee.world.tag(member, 1, year, 1)
    return tag, retain, event if isinstance(event, bytes) else encode(event)


def test_events_that_break_their_type_are_invalid_alike() -> None:
    found = Scene()
    event = found.event(2, "a")
    replace = msgspec.structs.replace
    rows = [
        put(found, event),
        put(found, b"\xc1"),
        put(found, encode(event) + b"\x00"),
        put(found, replace(event, fields=("CNY", 100))),
        put(found, replace(event, fields=("XXX", 100, 1))),
        put(found, replace(event, fields=("CNY", -1, 1))),
        put(found, replace(event, account=None)),
        put(found, replace(event, basis=3)),
        put(found, replace(event, target=(1, 0))),
        put(found, replace(event, schema=99)),
        put(found, replace(event, version=2)),
        put(found, replace(event, schema=99, occurred_on="2026-02-30")),
        put(found, replace(event, occurred_on="2026-02-30")),
        put(found, encode((99, 1, "2026"))),
        *(put(found, nested(event, depth)) for depth in (100, 600, 1100, 9000)),
    ]
    filed_raw(found, *rows)
    found.ask()
    said = list(compared(encode(found.bundle())).values())
    invalid = ["invalid"]
    assert said == ["shown", *invalid * 8, *["unknown"] * 3, *invalid * 6, "inquiry"]


def nested(event: Event, depth: int) -> bytes:
    """Return an event whose fields are lists in lists."""
    empty = encode(msgspec.structs.replace(event, fields=()))
    return empty[:-1] + b"\x91" * depth + b"\x90"


def test_events_under_a_wrong_tag_or_month_are_invalid_alike() -> None:
    found = Scene()
    filed_raw(
        found,
        put(found, found.event(2, "a")),
        put(found, found.event(2, "b", on="2025-03-04")),  # not the year of the first
        put(found, found.event(2, "c", on="2024-03-04")),  # not asked for
        put(found, found.judgment(2, "d")),  # not the category of the first
        put(found, found.event(2, "e"), add=61),
    )
    tag = found.committee.world.tag(2, 1, 2026, 3)
    filed_raw(found, (tag, 2026 * 12 + 2 + 60, encode(found.event(2, "f"))))
    filed_raw(
        found,
        (found.committee.world.tag(1, 1, 2026, 3), 2026 * 12 + 62, encode(found.event(1, "g"))),
        member=1,
    )
    found.ask(categories=(1,))
    said = list(compared(encode(found.bundle())).values())
    assert said == [
        "shown",
        "invalid",
        "invalid",
        "invalid",
        "invalid",
        "shown",
        "shown",
        "inquiry",
    ]


def test_events_beside_an_inquiry_are_invalid_alike() -> None:
    found = Scene()
    world = found.committee.world
    other = found.committee.consent(world.terms(2, 3))
    found.committee.inquire(other, 2, tag=world.tag(2, 1, 2026, 3))
    tag = world.tag(2, 1, 2026, 3)
    filed_raw(found, (tag, 2026 * 12 + 2 + 60, encode(found.event(2, "f"))))
    found.ask()
    assert list(compared(encode(found.bundle())).values()) == ["inquiry", "invalid", "inquiry"]


def test_contributors_that_were_not_asked_are_invalid_alike() -> None:
    found = Scene()
    tag = found.committee.world.tag(2, 1, 2026, 3)
    filed_raw(found, (tag, 2026 * 12 + 2 + 60, encode(found.event(2, "f"))))
    found.file(3, found.event(3, "a"))
    found.ask(contributors=(3,))
    assert list(compared(encode(found.bundle())).values()) == ["invalid", "shown", "inquiry"]


def test_corrections_beside_their_target_only_are_valid_alike() -> None:
    found = Scene()
    (first,) = found.file(2, found.event(2, "a"))
    (older,) = found.file(2, found.event(2, "b", on="2025-03-04"))
    (foreign,) = found.file(3, found.event(3, "c"))
    (wrong,) = filed_raw(found, put(found, b"\xc1"))
    (back,) = found.file(2, found.retract(2, "d", first))
    found.file(2, found.supersede(2, "e", first, 70))
    filed_raw(
        found,
        put(found, found.supersede(2, "f", older, 70)),  # under another tag
        put(found, found.supersede(2, "g", foreign, 70)),  # of another member
        put(found, found.supersede(2, "h", EventId(999, 0), 70)),  # later, or nowhere
        put(found, found.supersede(2, "i", back, 70)),  # of a retraction
        put(found, found.retract(2, "j", back)),
        put(found, found.retract(2, "k", wrong)),  # of what nobody can read
        put(found, found.supersede(2, "l", wrong, 70)),
        put(found, found.retract(2, "m", wrong), add=61),
    )
    index = found.ask()
    filed = list(compared(encode(found.bundle())).values())
    assert filed[-9:-1] == [*["invalid"] * 4, *["shown"] * 3, "invalid"]
    assert filed[:6] == ["shown", "shown", "shown", "invalid", "shown", "shown"]
    assert index


def test_bodies_that_do_not_open_are_invalid_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sealed them signed them: they spoil one event and no report."""

    def spoil(
        keys: bytes, events: list[bytes], ledger_id: bytes, member: int, tags: list[bytes]
    ) -> tuple[list[bytes], list[bytes]]:
        bodies, _ = seal_bodies(keys, events, ledger_id, member, tags)
        for place, how in enumerate(events):
            key, aad = keys[32 * place : 32 * place + 32], body_aad(ledger_id, member, tags[place])
            if how == b"other member":
                bodies[place] = seal_body(key, pad(how), body_aad(ledger_id, 9, tags[place]))
            elif how == b"fill":
                bodies[place] = seal_body(key, pad(how)[:-1] + b"\x01", aad)
            elif how == b"bucket":
                bodies[place] = seal_body(key, pad(how) + bytes(256), aad)
            elif how == b"length":
                bodies[place] = seal_body(key, (999).to_bytes(4, "big") + bytes(252), aad)
            elif how == b"short":
                bodies[place] = bodies[place][:40]
        return bodies, [body_hash(body) for body in bodies]

    monkeypatch.setattr(tests.world, "seal_bodies", spoil)
    found = Scene()
    spoilt = (b"other member", b"fill", b"bucket", b"length", b"short")
    filed_raw(found, *(put(found, how) for how in spoilt), put(found, found.event(2, "a")))
    found.ask()
    whole = found.bundle()
    said = list(compared(encode(whole)).values())
    assert said == [*["invalid"] * 5, "shown", "inquiry"]
    for place in range(6):  # and a key that is not committed to is refused for each of them
        keys = [*whole.keys]
        keys[place] = bytes(32)
        assert same(encode(msgspec.structs.replace(whole, keys=tuple(keys)))) == (False, None)


# Bundles: bad ones.


def drop_event(_: Scene, whole: Bundle) -> Bundle:
    first = whole.proofs.events[0]
    event = EventId(first.index, first.position)
    proofs = without_event(whole.proofs, event)
    return msgspec.structs.replace(whole, proofs=proofs, keys=whole.keys[1:])


def drop_history(_: Scene, whole: Bundle) -> Bundle:
    """Leave out the only event of a history, and its entry."""
    (place,) = [p for p, each in enumerate(whole.proofs.events) if each.member == 4]
    event = whole.proofs.events[place]
    proofs = without_event(whole.proofs, EventId(event.index, event.position))
    proofs = without_entry(proofs, event.index)
    keys = whole.keys[:place] + whole.keys[place + 1 :]
    return msgspec.structs.replace(whole, proofs=proofs, keys=keys)


def drop_mark(found: Scene, whole: Bundle) -> Bundle:
    (index,) = [
        each.index
        for each in whole.proofs.entries
        if (placed := found.committee.placed(each.index)) and placed.statement.kind == 6
    ]
    return msgspec.structs.replace(whole, proofs=without_entry(whole.proofs, index))


def drop_consent(found: Scene, whole: Bundle) -> Bundle:
    index = found.committee.consent_index(V.digest("consent", whole.terms)[:16])
    return msgspec.structs.replace(whole, proofs=without_entry(whole.proofs, index))


def drop_last_block(_: Scene, whole: Bundle) -> Bundle:
    last = whole.proofs.entries[-1].index
    return msgspec.structs.replace(whole, proofs=without_entry(whole.proofs, last))


def swap_keys(_: Scene, whole: Bundle) -> Bundle:
    one, two = [place for place, key in enumerate(whole.keys) if key][:2]
    keys = [*whole.keys]
    keys[one], keys[two] = keys[two], keys[one]
    return msgspec.structs.replace(whole, keys=tuple(keys))


def key_for_erased(found: Scene, whole: Bundle) -> Bundle:
    place = list(compared(encode(found.bundle())).values()).index("erased")
    keys = [*whole.keys]
    keys[place] = bytes(32)
    return msgspec.structs.replace(whole, keys=tuple(keys))


def key_too_few(_: Scene, whole: Bundle) -> Bundle:
    return msgspec.structs.replace(whole, keys=whole.keys[:-1])


def swap_bodies(_: Scene, whole: Bundle) -> Bundle:
    events = [*whole.proofs.events]
    replace = msgspec.structs.replace
    bodies = events[0].body, events[2].body
    assert None not in bodies
    events[0], events[2] = replace(events[0], body=bodies[1]), replace(events[2], body=bodies[0])
    proofs = replace(whole.proofs, events=tuple(events))
    return replace(whole, proofs=proofs)


def drop_body(_: Scene, whole: Bundle) -> Bundle:
    events = [*whole.proofs.events]
    events[0] = msgspec.structs.replace(events[0], body=None)
    proofs = msgspec.structs.replace(whole.proofs, events=tuple(events))
    return msgspec.structs.replace(whole, proofs=proofs, keys=(None, *whole.keys[1:]))


def twice_the_inquiry(_: Scene, whole: Bundle) -> Bundle:
    entries = sorted([*whole.proofs.entries, whole.inquiry], key=lambda each: each.index)
    proofs = msgspec.structs.replace(whole.proofs, entries=tuple(entries))
    return msgspec.structs.replace(whole, proofs=proofs)


def needless_proof(found: Scene, whole: Bundle) -> Bundle:
    known = {each.index for each in whole.proofs.entries} | {whole.inquiry.index}
    index = next(at for at in range(whole.inquiry.index) if at not in known)
    spare = found.committee.entry_proof(index, found.common.size)
    entries = sorted([*whole.proofs.entries, spare], key=lambda each: each.index)
    proofs = msgspec.structs.replace(whole.proofs, entries=tuple(entries))
    return msgspec.structs.replace(whole, proofs=proofs)


def too_few_cosigners(found: Scene, whole: Bundle) -> Bundle:
    note = found.committee.checkpoint(cosigners=(1, 2)).decode()
    return msgspec.structs.replace(whole, checkpoint=note)


def no_signer(found: Scene, whole: Bundle) -> Bundle:
    note = found.committee.checkpoint(signers=()).decode()
    return msgspec.structs.replace(whole, checkpoint=note)


def cosigned_by_a_stranger(found: Scene, whole: Bundle) -> Bundle:
    keys = {3: SigningKey(seed("stranger")), 4: SigningKey(seed("other stranger"))}
    note = found.committee.checkpoint(cosigner_keys=keys).decode()
    return msgspec.structs.replace(whole, checkpoint=note)


def another_root(found: Scene, whole: Bundle) -> Bundle:
    note = found.committee.checkpoint(root=bytes(32)).decode()
    return msgspec.structs.replace(whole, checkpoint=note)


def too_few_statements(_: Scene, whole: Bundle) -> Bundle:
    return msgspec.structs.replace(whole, statements=whole.statements[:2])


def statement_of_another(_: Scene, whole: Bundle) -> Bundle:
    first, second, *rest = whole.statements
    given = msgspec.structs.replace(first, signature=second.signature)
    return msgspec.structs.replace(whole, statements=(given, second, *rest))


def statement_by_a_stranger(_: Scene, whole: Bundle) -> Bundle:
    extra = msgspec.structs.replace(whole.statements[-1], validator=5)
    return msgspec.structs.replace(whole, statements=(*whole.statements, extra))


def other_terms(found: Scene, whole: Bundle) -> Bundle:
    return msgspec.structs.replace(whole, terms=encode(found.make_terms(purpose=2)))


def another_version(_: Scene, whole: Bundle) -> Bundle:
    return msgspec.structs.replace(whole, inquiry=whole.proofs.entries[0])


def other_genesis(_: Scene, whole: Bundle) -> Bundle:
    return msgspec.structs.replace(whole, genesis=make_ledger(refused_per_day=7).file)


TAMPERED: Final[list[Change]] = [
    drop_event,
    drop_history,
    drop_mark,
    drop_consent,
    drop_last_block,
    swap_keys,
    key_for_erased,
    swap_bodies,
    drop_body,
    twice_the_inquiry,
    needless_proof,
    too_few_cosigners,
    no_signer,
    cosigned_by_a_stranger,
    another_root,
    too_few_statements,
    statement_of_another,
    statement_by_a_stranger,
    other_terms,
    another_version,
    other_genesis,
]


@pytest.mark.parametrize("change", TAMPERED, ids=lambda change: change.__name__)
def test_a_tampered_bundle_is_refused_alike(change: Change) -> None:
    whole = BUNDLE.decode(good())
    changed = change(scene(), whole)
    assert changed != whole
    assert same(encode(changed)) == (False, None)
    assert same(encode(changed), policy()) == (False, False)


def test_a_bundle_lists_a_key_for_each_event() -> None:
    fields = list(msgspec.structs.asdict(BUNDLE.decode(good())).values())
    for keys in (fields[-1][:-1], (*fields[-1], None), ()):
        assert same(encode([*fields[:-1], keys])) == (False, None)


def test_rows_without_events_are_refused_alike() -> None:
    """A quorum of the committee could sign an empty history; nobody accepts it."""
    found, whole = scene(), BUNDLE.decode(good())
    row = msgspec.structs.replace(
        found.common.rows[0], tag=bytes(16), count=0, head=bytes(32), marks_count=0, marks=bytes(32)
    )
    rows = tuple(sorted([*found.common.rows, row], key=lambda each: (each.member, each.tag)))
    common = msgspec.structs.replace(found.common, rows=rows)
    answers = {number: found.committee.answer(number, common) for number in (1, 2, 3)}
    statements = tuple(
        msgspec.structs.replace(each, signature=answers[each.validator].signature)
        for each in whole.statements
        if each.validator in answers
    )
    changed = msgspec.structs.replace(whole, common=encode(common), statements=statements)
    assert same(encode(changed)) == (False, None)


def flips(data: bytes, step: int, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Give `data` with one bit changed, in every `step`-th byte; another bit each time."""
    for turn, at in enumerate(range(start, len(data), step)):
        yield at, data[:at] + bytes([data[at] ^ 1 << turn % 8]) + data[at + 1 :]


def test_every_seventh_byte_of_a_bundle_counts_alike() -> None:
    passed = 0
    for at, changed in flips(good(), 7):
        passed += same(changed, policy()) == (True, True)
        assert not passed or at > good().index(b"\n\n"), at
    assert passed < 60  # the names of lines of the note, and what strangers would sign


def parts_of(value: Any) -> list[list[Any]]:
    """Return every list in a value that is not empty, the value's own first."""
    below = [part for each in value if isinstance(each, list) for part in parts_of(each)]
    return [value, *below] if value else below


def disturbed(whole: list[Any], random: Random) -> bytes:
    """Return a bundle with one field or item of a list changed, and everything encoded well."""
    part = random.choice(parts_of(whole))
    place = random.randrange(len(part))
    value, spare = part[place], deepcopy(random.choice(random.choice(parts_of(whole))))
    choices = [spare, None, value]
    if isinstance(value, int):
        choices += [value + 1, max(value - 1, 0), value ^ 1 << random.randrange(16)]
    if isinstance(value, bytes) and value[:1] >= b"\x90":  # maybe a record: change it inside
        try:
            inside = msgpack.unpackb(value)
            choices += [disturbed(inside, random)] * 3 if isinstance(inside, list) else []
        except ValueError:
            pass
    if isinstance(value, bytes):
        choices += [value[:-1], value + b"\x00"]
    if isinstance(value, str):
        choices += [value[:-1], value.replace("\n", "", 1)]
    match random.randrange(4):
        case 0:
            part[place:] = part[place + 1 :]
        case 1:
            other = random.randrange(len(part))
            part[place], part[other] = part[other], part[place]
        case _:
            part[place] = random.choice(choices)
    return bytes(msgpack.packb(whole, use_bin_type=True))


@pytest.mark.parametrize("seed_", range(4))
def test_any_disturbed_bundle_is_judged_alike(seed_: int) -> None:
    random = Random(seed_)
    bundles = [good(), encode(changed_keys().bundle())]
    refused = 0
    for _ in range(DISTURBED):
        data = disturbed(msgpack.unpackb(random.choice(bundles)), random)
        consistent, _ = same(data)
        refused += not consistent
        if consistent:
            compared(data)
    assert refused > DISTURBED / 2


def test_no_byte_of_a_bundle_can_be_cut_or_added() -> None:
    for at in range(0, len(good()), 97):
        assert same(good()[:at]) == (False, None)
        assert same(good()[:at] + b"\x00" + good()[at:]) == (False, None)
    assert same(good() + b"\x00") == (False, None)
    assert same(b"") == (False, None)


def test_the_bundles_of_the_vectors_hold() -> None:
    given = {each["what"]: each["value"] for _, each in vectors()}
    trust = given["policy"].encode()
    for what, state in (
        ("evidence bundle", "shown"),
        ("evidence bundle without content", "withheld"),
    ):
        data = bytes.fromhex(given[what])
        assert same(data, trust) == (True, True)
        assert list(compared(data).values()) == [state, "erased", state, state, "inquiry"]


# Checkpoints, proofs and policies.


@pytest.mark.parametrize("make", [checkpoint, proof])
def test_every_byte_of_a_note_counts_alike(make: Callable[[], bytes]) -> None:
    data = make()
    assert same(data) == (True, None)
    assert same(data, policy()) == (True, True)
    assert same(data, other_policy()) == (True, False)
    for _, changed in flips(data, 2):
        same(changed, policy())
    for at in range(0, len(data), 11):
        same(data[:at], policy())
        same(data[:at] + b"\n" + data[at:], policy())


def test_proofs_of_every_leaf_hold() -> None:
    for index in range(len(story().world.leaves)):
        assert same(proof(index), policy()) == (True, True)


def test_a_proof_without_its_leaf_proves_nothing() -> None:
    lines = proof().split(b"\n")
    assert same(b"\n".join([lines[0], *lines[2:]])) == (False, None)
    for extra in (b"", b"AA==", b"lQ=="):
        assert same(b"\n".join([lines[0], b"extra " + extra, *lines[2:]])) == (False, None)


def test_lines_of_a_note_are_judged_alike() -> None:
    text, signatures = checkpoint().split(b"\n\n")
    lines = signatures.splitlines(keepends=True)
    stranger = b"\xe2\x80\x94 stranger AAAAAAA=\n"
    for given in (
        lines[:6],
        lines[:4],
        lines[1::2],
        lines[::2],
        lines * 2,
        [stranger, *lines],
        [stranger.replace(b"AAAAAAA=", b"AAAAAA=="), *lines],
        [stranger.replace(b"stranger", b"a+b"), *lines],
        [stranger.replace(b"stranger", "a\u2003b".encode()), *lines],
        [stranger.replace(b"stranger", "a\u200bb".encode()), *lines],
        [stranger.replace(b"stranger", b"a\x7fb"), *lines],
        [stranger.replace(b"stranger", b"s" * 256), *lines],
        [*lines, stranger[:-1]],
        [stranger] * 248 + lines,
        [stranger] * 249 + lines,
    ):
        same(text + b"\n\n" + b"".join(given), policy())
    swapped = lines[0].rsplit(b" ", 1)[0] + b" " + lines[2].rsplit(b" ", 1)[1]
    assert same(text + b"\n\n" + swapped + b"".join(lines[1:]), policy()) == (True, True)
    wrong = lines[0][:-4] + b"AA==\n"
    same(text + b"\n\n" + wrong + b"".join(lines[1:]), policy())


def test_policies_are_read_alike() -> None:
    good_lines = policy().decode().splitlines()
    quorum = good_lines[-1]
    origin = good_lines[4].split()[1]
    variants = [
        good_lines,
        ["# comment", "", " \t", *[f" {line}\t" for line in good_lines]],
        [line + " https://example.org/" if line.startswith("log") else line for line in good_lines],
        [*good_lines[:-2], "quorum none"],
        [*good_lines[:-2], f"quorum {origin}"],
        [*good_lines[:-2], f"group g all {origin}", "quorum g"],
        [*good_lines[:-2], f"group g any {origin}", f"group h 1 g {origin}", "quorum h"],
        [*good_lines[:-2], f"group g any {origin}", "group h 1 g", "quorum h"],
        [*good_lines[:-2], f"group g 02 {origin}", "quorum g"],
        [*good_lines[:-2], f"group g 0 {origin}", "quorum g"],
        [*good_lines[:-2], f"group g 2 {origin}", "quorum g"],
        [*good_lines[:-2], "group none any x", "quorum none"],
        [*good_lines, quorum],
        good_lines[:-1],
        [good_lines[0], *good_lines],
        [quorum, *good_lines[:-1]],
        [good_lines[0].replace("log", "Log"), *good_lines[1:]],
        [good_lines[4].replace("witness", "log").replace(origin + " ", ""), *good_lines],
        ["quorum none extra"],
        ["quorum none"],
        ["log " + good_lines[0].split("+", 1)[1], "quorum none"],
        [good_lines[0].upper(), "quorum none"],
        [good_lines[0][:-4] + "AAAA", "quorum none"],
    ]
    for lines in variants:
        given = "".join(f"{line}\n" for line in lines).encode()
        try:
            decode_policy(given)
        except MalformedError:
            with pytest.raises(V.Refused):
                V.parse_policy(given)
        else:
            same(checkpoint(), given)
            same(good(), given)
    for given in (b"", policy()[:-1], policy() + b"\x00\n", policy() + b"#\xff\n"):
        try:
            decode_policy(given)
        except MalformedError:
            with pytest.raises(V.Refused):
                V.parse_policy(given)
        else:
            same(checkpoint(), given)


# Events and times.


def test_types_of_events_are_those_of_the_packages() -> None:
    assert {number: row[0] for number, row in V.TYPES.items()} == {
        schema.number: schema.name for schema in SCHEMAS
    }
    for schema in SCHEMAS:
        assert schema.version == 1
        names = [field.name for field in schema.fields]
        given = V.TYPES[schema.number][3]
        assert [part.split()[0] for part in given.split(",")] == names


VALUES: Final = (
    *(None, 0, 1, 2, 5, 6, 7, 12, 15, 100, 1200, 1201, 36_500, 36_501, 10**8, 10**8 + 1),
    *(2**53 - 1, 2**53, -1, -(2**53 - 1), -(2**53), True, 1.5, b"x", (), ((1, 5),), ((7, 5),)),
    *(((1, 5), (2, 0)), "", "CNY", "XXX", "x", "x" * 64, "x" * 65, "x" * 201, "e\u0301", "a\nb"),
    *((("x", 5),), ((1, "x"),), (("x",),), (("x" * 64, 5), ("y", 1000)), (("x", -5),), 24, 25),
    *("2026-03-04", "2026-03-05", "2025-12-31", "2026-02-29", "2024-02-29", "0000-01-01"),
    *("2026-03", "2026-04", "2026-00", "0000-01", "2026-3", "２026-03", "9999-12", "20260304"),
    *((4, 1, ("CNY", 1, 1)), (4, 2, ("CNY", 1, 1)), (99, 1, ()), (14, 1, (1,)), (9, 1, ())),
    (9, 1, ("A", "B", None, None, None, None, None, 1)),
)


def base_events() -> list[Event]:
    """Return one valid event of each type."""
    found = Scene()
    event = found.event(2, "a")
    authority = ("Court", "1", None, None, None)
    fields: dict[int, tuple[Any, ...]] = {
        1: (3, 2, 1, "CNY", 100, 12, 6, 10, 20, ((1, 5),), 1, 1),
        2: (1, "CNY", 100, None, None, None, None),
        3: ("2026-03", "CNY", -5, 0, 0, *[None] * 7),
        4: ("CNY", 100, 1),
        5: ("2026-02-01", 30, 1, "CNY", 10),
        6: (1, "CNY", 100, "2026-02-01"),
        7: (2, "CNY", 100),
        8: (1, "2020-01-01", "CNY", 0),
        9: (*authority, "CNY", 100, 1),
        10: (*authority, "CNY", 100, 1),
        11: (*authority, 1, "CNY", 100),
        12: (*authority, 2, "CNY", 100),
        13: (1, (4, 1, ("CNY", 1, 1))),
        14: (1,),
        15: (3, 1, 3, "CNY", 100, (("R1",),)),
        16: (2, "Bank", "Shop", "2020-01-01", "CNY", 100),
        17: (1, "CNY", 100, None, "Debtor", 2, "91"),
        18: (1,),
        19: ("CNY", 100, 1),
        20: (*authority, 1, 1, "CNY", 100),
        21: (*authority, 1, 1),
        22: (*authority, 1, 1),
        23: (*authority, "Award"),
        24: (*authority, "Licence", 1),
        25: (*authority, 1, "2026-02", "CNY", 100, 1000, "Firm", "2026-01-01"),
        26: (*authority, 1, "CNY", 100, "2026-01-01"),
        27: (
            "Name",
            "1990-01-01",
            (("1",),),
            ((1, "Street"),),
            "Firm",
            ((1, "P"),),
            1,
            "2026-01-01",
        ),
        28: (1, "CNY", 100, 12, "2026-01-01"),
        29: ("Firm", "91", None, 1, "C", "110000", "CNY", 1, "2000-01-01", 1, "A", (("B", 9),), 1),
        30: ("2026-02", 12, "CNY", 5, -5, 10, 5, 5, -1, 1, 7, 1, "A"),
        31: ("2026-02", "CNY", 5, 100, 1, 0, 0, 10, 1),
        32: (1, "2026-02", "CNY", 5, 5, 0, 0),
        33: ("Not so", 1, 2),
        34: ((("1",),), "2026-12-31"),
        35: (1, "2026-12-31"),
        36: (1, (("1",),), "2026-12-31"),
        37: (1, "ab"),
        38: (1, "ab"),
        39: ("L", 1, "R", None, ((1, 5),), "2026-12-31", None),
        40: ("L", 1),
        41: ("L", 1),
        42: (1, "R", None),
        43: (1, "R", 1),
        44: ("R", 1, "ab", 1, (("I", -5),)),
        45: ("M", "ab", "2026-01-01", 100, 5, "A", (("R1",),), "ab"),
        46: (1, 1, 5, 1, 9, (("Late",),), "Street"),
    }
    events = []
    for number, values in fields.items():
        changes: dict[str, Any] = {"schema": number, "fields": values}
        if number in {9, 10, 11, 12, 20, 21, 22, 23, 24}:
            changes |= {"basis": 3, "account": None}
        if 25 <= number <= 46 and number not in {32, 37}:
            changes |= {"basis": 1, "account": None}
        if number in {13, 14}:
            changes |= {"target": (1, 0)}
        events.append(msgspec.structs.replace(event, **changes))
    return events


def accepted(data: bytes) -> bool:
    """Return whether both take bytes for an event that follows its type."""
    try:
        decode_event(data)
    except EventError:
        with pytest.raises(V.Refused):
            V.check_event(V.decode(V.EVENT, data, "event", 16_380))
        return False
    V.check_event(V.decode(V.EVENT, data, "event", 16_380))
    return True


@pytest.mark.parametrize("event", base_events(), ids=lambda event: f"type {event.schema}")
def test_every_field_of_every_type_is_checked_alike(event: Event) -> None:
    check_event(event)
    assert accepted(encode(event))
    taken = refused = 0
    for place in range(len(event.fields)):
        for value in VALUES:
            fields = (*event.fields[:place], value, *event.fields[place + 1 :])
            taken += (fine := accepted(encode(msgspec.structs.replace(event, fields=fields))))
            refused += not fine
    changes: tuple[dict[str, Any], ...] = (
        *({"basis": basis} for basis in range(6)),
        *({"account": account} for account in (None, bytes(16))),
        *({"target": target} for target in (None, (0, 0))),
        *({"occurred_on": day} for day in ("2026-02-30", "2026-1-01", "9999-12-31", "0001-01-01")),
        *({"fields": fields} for fields in ((), event.fields[:-1], (*event.fields, None))),
    )
    for change in changes:
        accepted(encode(msgspec.structs.replace(event, **change)))
    assert taken
    assert refused


def test_months_are_counted_alike() -> None:
    ends = [ms for n in range(1970 * 12 + 1, 2200 * 12, 7) for ms in (month_start_ms(n, 0),)]
    for time_ms in (*ends, 172_800_000, 2**53 - 1, 1_709_164_800_000, 4_107_542_400_000):
        for near in (time_ms - 1, time_ms, time_ms + 1):
            for offset in (-840, 0, 480, 840):
                expected = month(max(near, 172_800_000), offset)
                assert V.local_month(max(near, 172_800_000), offset) == expected


# Vectors.


def vectors() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(VECTORS.glob("*.json")):
        for each in json.loads(path.read_text("utf-8")).get("vectors", ()):
            yield path.name, each


def joined(parts: list[str]) -> bytes:
    return b"".join(map(bytes.fromhex, parts))


def test_hashes_roots_and_signatures_of_the_vectors_are_its_own() -> None:
    checked = 0
    for name, each in vectors():
        match each:
            case {"hash": {"label": of, "parts": parts}}:
                expected = V.digest(of, joined(parts))
                assert expected.startswith(bytes.fromhex(each["value"])), (name, each["what"])
            case {"root": leaves}:
                assert V.root_of(map(bytes.fromhex, leaves)).hex() == each["value"]
            case {"signature": {"public": public, "label": of, "message": message}}:
                signature, key = bytes.fromhex(each["value"]), bytes.fromhex(public)
                data = bytes.fromhex(message)
                assert V.signature_holds(key, of, signature, data), (name, each["what"])
                assert not V.signature_holds(key, of, signature, data + b"x")
            case {"path": {"leaves": leaves, "index": index}}:
                path = bytes.fromhex(each["value"])
                hashes = [path[at : at + 32] for at in range(0, len(path), 32)]
                encoded = [bytes.fromhex(leaf) for leaf in leaves]
                head = (len(encoded), V.root_of(encoded))
                V.verify_inclusion(encoded[index], index, head, hashes, each["what"])
            case _:
                continue
        checked += 1
    assert checked > 100


def test_events_of_the_vectors_follow_their_types() -> None:
    found = set()
    for name, each in vectors():
        if name == "events.json":
            data = bytes.fromhex(each["value"])
            found.add(V.check_event(V.decode(V.EVENT, data, "event", 16_380)))
    assert found == {row[0] for row in V.TYPES.values()}


def test_refused_vectors_are_refused() -> None:
    shapes = {"[u64]": "value u64", "[str]": "value str128", "[bin]": "value bin64"}
    refused = [each for name, each in vectors() if name == "refused.json"]
    for each in refused:
        shape = V.record(shapes[each["refused as"]])
        with pytest.raises(V.Refused):
            V.decode(shape, bytes.fromhex(each["value"]), each["what"], 256)
    assert len(refused) > 30


def test_records_of_the_vectors_decode() -> None:
    shapes = {
        "terms": (V.TERMS, 65_536),
        "consent content": (V.CONSENT_CONTENT, 66_048),
        "inquiry content": (V.INQUIRY_CONTENT, 32_768),
        "mark content, erase": (V.MARK_CONTENT, 256),
        "mark content, retain": (V.MARK_CONTENT, 256),
        "event header of the inquiry": (V.EVENT_HEADER, 56),
        "common": (V.COMMON, 16_777_216),
        "proofs of the bundle": (V.SHAPES["proofs"], 268_435_456),
        "genesis": (V.GENESIS, 1_048_576),
        "genesis file": (V.GENESIS_FILE, 1_056_768),
        "registry step": (V.STEP, 1 << 24),
        "member record 1": (V.member_record, 32_768),
        "epoch record 0": (V.epoch_record, 4096),
    }
    found = set()
    for _, each in vectors():
        what, value = each["what"], each["value"]
        if what in shapes:
            shape, most = shapes[what]
            V.decode(shape, bytes.fromhex(value), what, most)
            found.add(what)
        elif what.endswith((": entry leaf", ": block leaf")):
            V.decode_leaf(bytes.fromhex(value), what)
            found.add("leaf")
    assert found == {*shapes, "leaf"}


def test_bodies_and_checks_of_the_vectors_are_read() -> None:
    given = {each["what"]: each["value"] for name, each in vectors() if name == "submission.json"}
    ledger = V.verify_genesis(story().world.ledger.file)
    for place in range(3):
        what = f"event {place}"
        body, key = (bytes.fromhex(given[f"{what}: {part}"]) for part in ("body", "K"))
        header = V.decode(V.EVENT_HEADER, bytes.fromhex(given[f"{what}: header"]), "header", 56)
        assert V.digest("body", body) == header.body_hash
        assert V.digest("body-key", key) == body[:32]
        event = V.unpad(V.open_body(body, key, ledger.ledger_id, 1, header.tag))
        assert event.hex() == given[what]
        inside = V.decode(V.EVENT, event, "event", 16_380)
        assert V.check_event(inside).startswith("account.")
        year_key = story().world.year_key(7, int(inside.occurred_on[:4]))
        assert V.event_check(year_key, 1, inside.ref) == inside.check
