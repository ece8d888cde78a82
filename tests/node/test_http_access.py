"""Who may use which route: every route by every caller, and every forged request."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from tests.governance import proposal
from tests.node.cluster import Cluster
from tests.world import BULK, DESK, seed

from tradeline_ledger.consent import Change, ChangeReason, Status, consent_id
from tradeline_ledger.encoding import encode
from tradeline_ledger.evidence_file import EvidenceType
from tradeline_ledger.key import Key, KeyChange, Replaced
from tradeline_ledger.proposal import SetRoles, proposal_id
from tradeline_ledger.statement import Kind
from tradeline_node.http.access import rule_of
from tradeline_node.http.app import create_api

RULES = {
    "GET /checkpoint": "log reader",
    "GET /cosignature/{size}": "log reader",
    "GET /tile/{path:path}": "log reader",
    "GET /content/{content_hash}": "log reader",
    "GET /genesis": "log reader",
    "GET /policy": "log reader",
    "GET /log.vkey": "log reader",
    "GET /v1/ledger": "log reader",
    "GET /v1/registry": "log reader",
    "GET /v1/registry/steps": "log reader",
    "GET /v1/entries/{index}": "log reader",
    "GET /v1/consistency": "log reader",
    "GET /v1/blocks": "log reader",
    "GET /v1/feeds/{member}/{feed}": "log reader",
    "GET /checkpoint/witnessed": "log reader",
    "POST /witness/add-checkpoint": "anyone with a body",
    "GET /witness/{origin_hash}/checkpoint": "anyone",
    "GET /witness/vkey": "anyone",
    "GET /v1/evidence": "member",
    "GET /v1/evidence/{name}": "member",
    "GET /v1/stream": "log reader",
    "GET /cosignatures": "member",
    "GET /v1/statements/{statement}": "member",
    "POST /v1/entries": "member",
    "POST /v1/custody": "member with role CONTRIBUTOR",
    "POST /v1/redeposits": "member with role CONTRIBUTOR",
    "GET /v1/custody/{batch}": "member",
    "GET /v1/bad-deposits": "member",
    "PUT /v1/tag-keys/{member_id}": "member",
    "GET /v1/tag-keys/{member_id}/{hash_}": "member",
    "POST /v1/releases/{inquiry}": "member",
    "GET /v1/proposals": "log reader",
    "GET /v1/proposals/{proposal}": "log reader",
    "GET /v1/members/{member_id}/key-changes": "log reader",
    "GET /v1/consents": "member",
    "GET /v1/consents/{consent}": "member",
    "POST /v1/sweep": "own node",
    "GET /livez": "anyone",
    "GET /readyz": "anyone",
    "GET /healthz": "anyone",
    "GET /metrics": "anyone",
    "GET /version": "anyone",
}
"""A new route is added here with its rule, and to `targets` below, or these tests fail."""

STREAMS = {"GET /v1/stream", "GET /cosignatures"}
"""They have no end, so they are read in the tests of the log and of publishing only."""
NOTARY, REGULATOR = 5, 6


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    settings = {"http.anonymous_per_second": 10_000}
    with Cluster(tmp_path_factory.mktemp("net") / "net", settings).running() as running:
        running.hand_over_tag_keys()
        yield running


@pytest.fixture(scope="module")
def objects(cluster: Cluster) -> dict[str, Any]:
    """Things of member 1 (and 2, who identified the subject) on the ledger."""
    submission = cluster.submit(1, 2, "mine")
    world = cluster.world()
    terms = world.terms(1, 2)
    cluster.post(1, world.entry(1, Kind.CONSENT, world.consent(terms)))
    world = cluster.world()
    inquiry = cluster.post(
        1, world.entry(1, Kind.INQUIRY, encode(world.inquiry(consent_id(encode(terms)))))
    )
    world = cluster.world()
    content = encode(proposal(world, SetRoles(NOTARY, 6)))
    cluster.post(1, world.entry(1, Kind.PROPOSAL, content))
    cluster.wait_for_checkpoint(cluster.node(1).store.head.size)
    (batch,) = cluster.node(1).custody.hashes()
    entry = cluster.world().entry(1, Kind.CONSENT, world.consent(terms))
    evidence = cluster.node(1).evidence.add(EvidenceType.STATEMENTS, 4, b"pair", b"file")
    return {
        "evidence": evidence,
        "submission": submission,
        "consent": consent_id(encode(terms)).hex(),
        "inquiry": inquiry,
        "proposal": proposal_id(content).hex(),
        "batch": batch.hex(),
        "entry": entry,
        "tag key": (cluster.institution(NOTARY).record.tag_key_hash or b"").hex(),
        "size": inquiry + 2,
    }


def targets(objects: dict[str, Any]) -> dict[str, tuple[str, bytes]]:
    """Return for each route a target that exists, and a body."""
    return {
        "GET /checkpoint": ("/checkpoint", b""),
        "GET /cosignature/{size}": ("/cosignature/1", b""),
        "GET /tile/{path:path}": ("/tile/0/000.p/1", b""),
        "GET /content/{content_hash}": ("/content/" + "00" * 32, b""),
        "GET /genesis": ("/genesis", b""),
        "GET /policy": ("/policy", b""),
        "GET /log.vkey": ("/log.vkey", b""),
        "GET /v1/ledger": ("/v1/ledger", b""),
        "GET /v1/registry": ("/v1/registry", b""),
        "GET /v1/registry/steps": ("/v1/registry/steps?from=0", b""),
        "GET /v1/entries/{index}": ("/v1/entries/0", b""),
        "GET /v1/consistency": ("/v1/consistency?old=1&new=1", b""),
        "GET /v1/blocks": (f"/v1/blocks?from=1&size={objects['size']}", b""),
        "GET /v1/feeds/{member}/{feed}": ("/v1/feeds/1/1", b""),
        "GET /checkpoint/witnessed": ("/checkpoint/witnessed", b""),
        "POST /witness/add-checkpoint": ("/witness/add-checkpoint", b"old 0\n"),
        "GET /witness/{origin_hash}/checkpoint": (f"/witness/{'00' * 32}/checkpoint", b""),
        "GET /witness/vkey": ("/witness/vkey", b""),
        "GET /v1/evidence": ("/v1/evidence", b""),
        "GET /v1/evidence/{name}": (f"/v1/evidence/{objects['evidence']}", b""),
        "GET /v1/stream": ("/v1/stream", b""),
        "GET /cosignatures": ("/cosignatures", b""),
        "GET /v1/statements/{statement}": ("/v1/statements/" + "00" * 32, b""),
        "POST /v1/entries": ("/v1/entries", objects["entry"]),
        "POST /v1/custody": ("/v1/custody", b"\x92\xc4\x00\xc4\x00"),
        "POST /v1/redeposits": ("/v1/redeposits", b"\x95"),
        "GET /v1/custody/{batch}": (f"/v1/custody/{objects['batch']}", b""),
        "GET /v1/bad-deposits": ("/v1/bad-deposits?from=0", b""),
        "PUT /v1/tag-keys/{member_id}": ("/v1/tag-keys/1", b"x"),
        "GET /v1/tag-keys/{member_id}/{hash_}": (f"/v1/tag-keys/5/{objects['tag key']}", b""),
        "POST /v1/releases/{inquiry}": (f"/v1/releases/{objects['inquiry']}", b"x"),
        "GET /v1/proposals": ("/v1/proposals", b""),
        "GET /v1/proposals/{proposal}": (f"/v1/proposals/{objects['proposal']}", b""),
        "GET /v1/members/{member_id}/key-changes": ("/v1/members/1/key-changes", b""),
        "GET /v1/consents": ("/v1/consents", b""),
        "GET /v1/consents/{consent}": (f"/v1/consents/{objects['consent']}", b""),
        "POST /v1/sweep": ("/v1/sweep", b""),
        "GET /livez": ("/livez", b""),
        "GET /readyz": ("/readyz", b""),
        "GET /healthz": ("/healthz", b""),
        "GET /metrics": ("/metrics", b""),
        "GET /version": ("/version", b""),
    }


OWN_ONLY = {
    # route → (member, feed) that get past the check of access; all others: not found
    # A validator's node hands on what was handed to it while its engine is away.
    "POST /v1/entries": {(1, DESK), *((m, 0) for m in (1, 2, 3, 4))},
    "PUT /v1/tag-keys/{member_id}": {(1, DESK), (1, 0)},
    "GET /v1/tag-keys/{member_id}/{hash_}": {(m, f) for m in (1, 2, 3, 4) for f in (DESK, 0)},
    "POST /v1/releases/{inquiry}": {(1, DESK), (1, 0)},
    "GET /v1/consents/{consent}": {(1, DESK), (1, 0), (2, DESK), (2, 0)},
    "GET /v1/custody/{batch}": {(m, f) for m in (1, 2, 3, 4) for f in (DESK, 0)},
    "POST /v1/redeposits": {(m, f) for m in (1, 2, 3, 4) for f in (DESK, 0)},
    "POST /v1/custody": {(m, f) for m in (1, 2, 3, 4) for f in (DESK, 0)},
    "POST /v1/sweep": {(1, 0)},
}
ABSENT = {
    # route → why its target has no answer here, whoever asks
    "GET /content/{content_hash}": "not-found",
    "GET /checkpoint/witnessed": "not-found",
    "GET /witness/{origin_hash}/checkpoint": "not-found",
    "POST /witness/add-checkpoint": "witness-malformed",
}
CALLERS = [(m, DESK) for m in range(1, 7)] + [(m, 0) for m in (1, 2, 3, 4)]


def walk(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    if dependant.call is not None:
        yield dependant.call
    for each in dependant.dependencies:
        yield from walk(each)


def api_routes(cluster: Cluster) -> dict[str, Dependant]:
    """Return what each route depends on; the document itself is the one plain route."""
    found: dict[str, Dependant] = {}
    for route in iter_route_contexts(create_api(cluster.node(1)).routes):
        if route.path == "/openapi.json":
            continue
        for method in route.methods or ():
            found[f"{method} {route.path}"] = route.dependant
    return found


def shape(answer: Any) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return what a caller can tell two refusals apart by."""
    document = answer.json()
    document.pop("instance")
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in ("date", "x-request-id", "ratelimit")
    }
    return answer.status_code, document, headers


def test_every_route_has_exactly_one_rule_of_access(cluster: Cluster) -> None:
    found = {}
    for name, dependant in api_routes(cluster).items():
        rules = {rule_of(call) for call in walk(dependant)} - {None}
        assert len(rules) == 1, f"{name} has the rules {rules}; every route needs one"
        found[name] = rules.pop()
    assert found == RULES


def test_matrix_covers_every_route(cluster: Cluster, objects: dict[str, Any]) -> None:
    assert set(targets(objects)) == set(api_routes(cluster))


@pytest.mark.parametrize("route", [name for name, rule in RULES.items() if "anyone" not in rule])
def test_unsigned_request_is_refused(cluster: Cluster, objects: dict[str, Any], route: str) -> None:
    target, body = targets(objects)[route]
    answer = cluster.request(None, target, route.split(maxsplit=1)[0], body)
    assert (answer.status_code, answer.json()["code"]) == (401, "request-unsigned")
    assert answer.headers["www-authenticate"].startswith("Signature")


@pytest.mark.parametrize("route", [name for name in RULES if name not in {*OWN_ONLY, *STREAMS}])
@pytest.mark.parametrize(("member", "feed"), CALLERS)
def test_every_member_may(
    cluster: Cluster, objects: dict[str, Any], route: str, member: int, feed: int
) -> None:
    target, body = targets(objects)[route]
    answer = cluster.request(member, target, route.split(maxsplit=1)[0], body, feed=feed)
    if route in ABSENT:
        assert answer.json()["code"] == ABSENT[route]
        return
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("route", OWN_ONLY)
@pytest.mark.parametrize(("member", "feed"), CALLERS)
def test_things_of_others_are_not_found_in_one_shape(
    cluster: Cluster, objects: dict[str, Any], route: str, member: int, feed: int
) -> None:
    target, body = targets(objects)[route]
    answer = cluster.request(member, target, route.split(maxsplit=1)[0], body, feed=feed)
    absent = shape(cluster.request(member, "/nothing/here", feed=feed))
    if (member, feed) in OWN_ONLY[route]:
        assert answer.status_code != 404, answer.text
        return
    status, document, headers = shape(answer)
    assert (status, document) == absent[:2]
    headers.pop("ratelimit-policy", None)
    absent[2].pop("ratelimit-policy", None)
    assert headers == absent[2]


@pytest.mark.parametrize(
    "target",
    [
        "/v1/custody/" + "11" * 32,
        "/v1/consents/" + "11" * 16,
        "/v1/entries/100000",
        "/v1/feeds/99/1",
        "/content/" + "11" * 32,
        "/nothing",
        "/v1",
        "/docs",
        "/checkpoint/",
    ],
)
def test_what_is_absent_has_the_same_shape(cluster: Cluster, target: str) -> None:
    answer = cluster.request(1, target)
    other = cluster.request(1, "/nothing/here")
    assert shape(answer)[:2] == shape(other)[:2]


def test_listing_shows_own_consents_only(cluster: Cluster, objects: dict[str, Any]) -> None:
    for member, expected in ((1, [objects["consent"]]), (2, [objects["consent"]]), (3, [])):
        page = cluster.request(member, "/v1/consents").json()
        assert ([each["consent_id"] for each in page["consents"]], page["next"]) == (expected, None)
    assert page["consents"] == []
    found = cluster.request(1, f"/v1/consents/{objects['consent']}").json()
    assert (found["standing"], found["reads_used"], found["purpose"]) == (
        "active",
        1,
        "loan_application",
    )


def test_status_of_a_consent_is_that_of_the_ledger(cluster: Cluster) -> None:
    world = cluster.world()
    terms = world.terms(3, 2, who=9)
    id_ = consent_id(encode(terms))
    cluster.post(3, world.entry(3, Kind.CONSENT, world.consent(terms)))
    change = encode(Status(id_, Change.REVOKE, ChangeReason.SUBJECT, None))
    cluster.post(2, cluster.world().entry(2, Kind.STATUS, change))
    assert cluster.request(3, f"/v1/consents/{id_.hex()}").json()["standing"] == "revoked"


# Forged requests

FORGERIES: dict[str, tuple[dict[str, Any], str]] = {
    "another ledger": ({"ledger_id": bytes(32)}, "request-signature"),
    "another node": ({"recipient": 2}, "request-signature"),
    "another method": ({"method": "POST"}, "request-signature"),
    "another path": ({"target": "/v1/registry"}, "request-signature"),
    "another query": ({"target": "/v1/ledger?x=1"}, "request-signature"),
    "a body that was not signed for": ({"body": b"x"}, "request-signature"),
    "another member's name": ({"member": 2}, "request-signature"),
    "another feed": ({"feed": BULK}, "request-signature"),
    "an unknown feed": ({"feed": 99}, "request-signature"),
    "an unknown member": ({"member": 99}, "request-signature"),
    "yesterday": ({"created_s": int(time.time()) - 86_400}, "request-expired"),
    "tomorrow": ({"created_s": int(time.time()) + 86_400}, "request-expired"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_request_is_refused(cluster: Cluster, forgery: str) -> None:
    changes, code = FORGERIES[forgery]
    headers = cluster.headers(1, "/v1/ledger", changes=changes)
    answer = cluster.client.get(cluster.url(1) + "/v1/ledger", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, code)


def test_replayed_request_is_refused(cluster: Cluster) -> None:
    headers = cluster.headers(1, "/v1/ledger")
    codes = [
        cluster.client.get(cluster.url(1) + "/v1/ledger", headers=headers).status_code
        for _ in range(2)
    ]
    assert codes == [200, 401]
    again = cluster.client.get(cluster.url(1) + "/v1/ledger", headers=headers)
    assert again.json()["code"] == "request-replayed"


def test_nonce_of_one_key_does_not_use_up_that_of_another(cluster: Cluster) -> None:
    nonce = secrets.token_bytes(16)
    for member in (1, 2):
        headers = cluster.headers(member, "/v1/ledger", changes={"nonce": nonce})
        assert cluster.client.get(cluster.url(1) + "/v1/ledger", headers=headers).status_code == 200


def test_other_body_than_was_signed_is_refused(cluster: Cluster, objects: dict[str, Any]) -> None:
    headers = cluster.headers(1, "/v1/entries", "POST", objects["entry"])
    answer = cluster.client.post(
        cluster.url(1) + "/v1/entries", headers=headers, content=objects["entry"] + b"x"
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "request-signature")
    unsigned_body = cluster.headers(1, "/v1/entries", "POST", b"")
    answer = cluster.client.post(
        cluster.url(1) + "/v1/entries", headers=unsigned_body, content=objects["entry"]
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "request-signature")


def test_two_signatures_are_refused(cluster: Cluster) -> None:
    headers = list(cluster.headers(1, "/v1/ledger").items())
    answer = cluster.client.get(cluster.url(1) + "/v1/ledger", headers=[*headers, *headers])
    assert (answer.status_code, answer.json()["code"]) == (401, "request-signature")


def test_key_that_ended_signs_no_more(cluster: Cluster) -> None:
    notary = cluster.institution(NOTARY)
    change = encode(
        KeyChange(
            cluster.ledger.ledger_id, NOTARY, 0, (), (BULK,), Replaced(None, None, None, None, None)
        )
    )
    content = encode(Key(change, notary.root.sign("key", change)))
    assert cluster.request(NOTARY, "/v1/ledger", feed=BULK).status_code == 200
    cluster.post(NOTARY, cluster.world().entry(NOTARY, Kind.KEY, content))
    refused = cluster.request(NOTARY, "/v1/ledger", feed=BULK)
    assert (refused.status_code, refused.json()["code"]) == (401, "request-signature")
    assert cluster.request(NOTARY, "/v1/ledger", feed=DESK).status_code == 200


def test_public_log_is_read_without_a_signature_and_nothing_else_is(tmp_path: Any) -> None:
    with Cluster(tmp_path / "net", {"log.access": "public"}).running() as running:
        assert running.request(None, "/v1/ledger").status_code == 200
        assert running.request(None, "/tile/0/000.p/1").status_code == 200
        assert running.request(None, "/v1/consents").status_code == 401
        bad = running.headers(1, "/v1/ledger", to=2)
        assert running.client.get(running.url(1) + "/v1/ledger", headers=bad).status_code == 401


def test_signature_itself_is_checked(cluster: Cluster) -> None:
    headers = cluster.headers(1, "/v1/ledger")
    forged = base64.b64encode(seed("forged") + seed("forged")).decode()
    headers["Signature"] = f"sig1=:{forged}:"
    answer = cluster.client.get(cluster.url(1) + "/v1/ledger", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "request-signature")
