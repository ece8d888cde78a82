"""
Every error of the interface as one shape: a problem document (RFC 9457) with code and remedy.

Nothing that came with a request is repeated in a problem but names of declared parameters, and
whoever may not see a thing is answered exactly like one who asks for what is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tradeline_ledger.errors import LedgerError
from tradeline_ledger.problem import MEDIA_TYPE, Code, explain, problem
from tradeline_node.errors import AbsentError, BusyError, EngineError, RequestError, StoreError

NOT_FOUND: Final = RequestError("not-found")
"""For what is absent, another's, or not allowed alike."""

_OF_STATUS: Final = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}
_BY_ONE: Final = {"not-found", "node-error"}
"""Codes without a detail of their own, so that two answers can't be told apart."""
_SIGNED: Final = (
    *("request-unsigned", "request-signature", "request-expired", "request-replayed"),
    *("not-found", "request-invalid", "rate-limited", "node-busy", "streams-full"),
)
_ERRORS_SHOWN_MAX: Final = 8


def problem_response(
    code: str,
    detail: str = "",
    *,
    request_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> Response:
    """Return the response for a listed code."""
    if code in _BY_ONE:
        detail, extra = "", {}
    document = problem(code, detail, instance=request_id, **extra)
    sent = {"cache-control": "no-store", **_default_headers(document.status), **(headers or {})}
    return Response(document.to_json(), document.status, sent, media_type=MEDIA_TYPE)


def install_handlers(app: FastAPI) -> None:
    """Answer every error that a route or the framework raises with a problem."""
    app.add_exception_handler(RequestError, _answer)
    for type_ in (StoreError, EngineError, BusyError, AbsentError):
        app.add_exception_handler(type_, _answer)
    app.add_exception_handler(LedgerError, _answer)
    app.add_exception_handler(RequestValidationError, _answer)
    app.add_exception_handler(HTTPException, _answer)
    # The framework sends the answer and raises again: the outermost layer writes the log.
    app.add_exception_handler(Exception, _answer)


def described(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may answer with these codes, for OpenAPI."""
    rows: dict[int, list[Code]] = {}
    for code in codes:
        row = explain(code)
        rows.setdefault(row.status, []).append(row)
    return {status: _described(found) for status, found in rows.items()}


def described_signed(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route for members, which may answer with these codes as well."""
    return described(*_SIGNED, *codes)


def _described(rows: list[Code]) -> dict[str, Any]:
    return {
        "description": "; ".join(f"`{row.code}`: {row.meaning}" for row in rows),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {row.code: {"value": _example(row)} for row in rows},
            }
        },
    }


def _example(row: Code) -> dict[str, Any]:
    return {
        "type": f"https://tradeline.example/problems/{row.code}",
        "title": row.title,
        "status": row.status,
        "code": row.code,
        "detail": row.meaning,
        "remedy": row.remedy,
        "instance": "3f1c5a7be0d24c66",
    }


async def _answer(request: Request, error: Exception) -> Response:
    request_id = request.scope.get("state", {}).get("request_id")
    code, detail, headers, extra = _parts(error)
    request.scope.setdefault("state", {})["code"] = code
    return problem_response(code, detail, request_id=request_id, headers=headers, **extra)


def _parts(error: Exception) -> tuple[str, str, dict[str, str], dict[str, Any]]:
    """Return code, detail, headers and further fields of the answer to an error."""
    if isinstance(error, RequestError):
        extra = dict(error.extra)
        retry = extra.pop("retry_after_s", None)
        return error.code, error.detail, {} if retry is None else {"retry-after": str(retry)}, extra
    if isinstance(error, StoreError | EngineError):
        return "node-halted", str(error), {"retry-after": "30"}, {}
    if isinstance(error, BusyError):
        return "node-busy", str(error), {"retry-after": "1"}, {}
    if isinstance(error, AbsentError):
        return "not-found", "", {}, {}
    if isinstance(error, LedgerError):
        return "request-invalid", str(error), {}, {}
    if isinstance(error, RequestValidationError):
        return "request-invalid", _invalid(error), {}, {}
    if not isinstance(error, HTTPException):
        return "node-error", "", {}, {}
    code = _OF_STATUS.get(error.status_code, "request-malformed")
    return code, "", dict(error.headers or {}), {}


def _invalid(error: RequestValidationError) -> str:
    """Say which parameters are wrong and why, without what was sent."""
    found = [
        f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()
    ]
    return "; ".join(found[:_ERRORS_SHOWN_MAX])


def _default_headers(status: int) -> dict[str, str]:
    if status == 401:  # noqa: PLR2004  HTTP wants a challenge beside it
        return {"www-authenticate": 'Signature realm="tradeline"'}
    return {}
