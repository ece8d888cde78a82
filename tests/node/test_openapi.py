"""The interface against its own document, with requests that nobody thought of."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import requests
import requests.auth
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks
from tests.node.cluster import Cluster
from tests.world import DESK

from tradeline_ledger.problem import MEDIA_TYPE
from tradeline_ledger.request import sign_request

if TYPE_CHECKING:
    from schemathesis.schemas import BaseSchema

EXAMPLES = 15
CHECKS = (
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
)

STREAMS = {"/v1/stream", "/cosignatures"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    limits = {"http.anonymous_per_second": 10_000, "http.requests_per_second": 10_000}
    with Cluster(tmp_path_factory.mktemp("net") / "net", limits).running() as running:
        running.hand_over_tag_keys()
        running.submit(1, 1)
        running.wait_for_checkpoint(3)
        yield running


class Signer(requests.auth.AuthBase):
    """Signs what is about to be sent, as member 1."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        assert isinstance(body, str | bytes), type(body)
        signed = sign_request(
            self.cluster.institution(1).feed_key(DESK),
            member=1,
            feed=DESK,
            ledger_id=self.cluster.ledger.ledger_id,
            recipient=1,
            method=str(request.method),
            target=request.path_url,
            body=body.encode() if isinstance(body, str) else body,
            created_s=int(time.time()),
            nonce=secrets.token_bytes(16),
        )
        request.headers.update(signed)
        return request


@pytest.fixture(scope="module")
def document(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = cluster.request(None, "/openapi.json").json()
    return found


def operations(schema: BaseSchema) -> list[Any]:
    """Return every operation but the streams, which have no end."""
    results: Iterator[Any] = schema.get_all_operations()
    found = [each.ok() for each in results]
    return [each for each in found if each.path not in STREAMS]


def test_no_request_makes_the_node_fail_or_break_its_document(
    cluster: Cluster, document: dict[str, Any]
) -> None:
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=cluster.url(1))
    signer = Signer(cluster)
    tried = set()
    for operation in operations(schema):

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), signed=st.sampled_from((True, True, True, False)))
        def attack(case: Any, signed: bool) -> None:
            case.call_and_validate(auth=signer if signed else None, checks=CHECKS, timeout=30)

        attack()
        tried.add(operation.label)
    assert len(tried) == sum(len(methods) for methods in document["paths"].values()) - len(STREAMS)
    assert cluster.request(None, "/healthz").status_code == 200


def test_every_operation_names_its_problems(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answers = operation["responses"]
            where = f"{method} {path}"
            if path.startswith(
                ("/livez", "/readyz", "/healthz", "/metrics", "/version", "/witness")
            ):
                continue
            for status in ("401", "404", "422", "429"):
                assert MEDIA_TYPE in answers[status]["content"], where
                assert answers[status]["content"][MEDIA_TYPE]["examples"], where


def test_document_is_openapi_3_1_with_a_name_for_each_operation(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    names = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(set(names)) == len(names)
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["summary"], operation
            assert operation["description"], operation
