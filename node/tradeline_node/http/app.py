"""The application of one node: its routes, its handlers of errors, and its OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from tradeline_node.http import (
    routes_evidence,
    routes_governance,
    routes_log,
    routes_ops,
    routes_release,
    routes_stream,
    routes_witness,
    routes_write,
)
from tradeline_node.http.middleware import RequestMiddleware
from tradeline_node.http.models import ProblemModel
from tradeline_node.http.problems import install_handlers
from tradeline_node.version import VERSION

if TYPE_CHECKING:
    from tradeline_node.service import Node

ROUTERS: Final = (
    routes_log.router,
    routes_evidence.router,
    routes_write.router,
    routes_release.router,
    routes_governance.router,
    routes_stream.router,
    routes_witness.router,
    routes_ops.router,
)
_UNSIGNED: Final = "401"
_ABOUT: Final = (
    "Interface of one node of a Tradeline ledger. Requests of members are signed with HTTP Message "
    "Signatures (RFC 9421); bodies of type application/octet-stream are canonical MessagePack; "
    "every error is a problem document (RFC 9457) with a stable `code` and a `remedy`."
)
_SIGNATURE: Final = {
    "type": "apiKey",
    "in": "header",
    "name": "Signature",
    "description": (
        "RFC 9421 over @method @path @query and content-digest where there is a body, with "
        "created, nonce, keyid `member/feed` and tag `tradeline/v1 <ledger id> <recipient>`; "
        "Ed25519 by a key of the registry."
    ),
}


def create_app(node: Node) -> ASGIApp:
    """Return the application that serves `node`, its outermost layer included."""
    return RequestMiddleware(create_api(node), node)


def create_api(node: Node) -> FastAPI:
    """Return the routes with their handlers, without the outermost layer."""
    app = FastAPI(
        title="Tradeline node",
        version=VERSION,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        redirect_slashes=False,
    )
    app.state.node = node
    install_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    build = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(build())
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add what FastAPI can't know: how requests are signed, and that 422 is a problem."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = ProblemModel.model_json_schema()
    components["securitySchemes"] = {"memberSignature": _SIGNATURE}
    for methods in document["paths"].values():
        for operation in methods.values():
            if _UNSIGNED in operation["responses"]:
                operation["security"] = [{"memberSignature": []}]
    return document
