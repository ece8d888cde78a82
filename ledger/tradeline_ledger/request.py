"""
Signed HTTP requests (docs/formats.md, section 2): RFC 9421, one form of it.

A signature covers method, path, query and, where there is a body, its `content-digest`; its
parameters are created, keyid `member/feed`, nonce and a tag that names ledger and recipient, so
that a request can't be sent to another node or ledger, nor a second time. The host is not covered:
nodes stand behind proxies.

`http-message-signatures` builds and parses the headers. Keys, Ed25519 and the clock stay ours.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
)
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from tradeline_ledger.c2sp import decode_base64, encode_base64
from tradeline_ledger.errors import MalformedError, SignatureError
from tradeline_ledger.hashing import HASH_BYTES
from tradeline_ledger.signing import SigningKey, verify_raw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WINDOW_S: Final = 300
"""How far `created` may be from the recipient's clock, either way."""
NONCE_BYTES: Final = 16
SIGNATURE_INPUT_CHARS_MAX: Final = 1024
SIGNATURE_CHARS_MAX: Final = 256
TARGET_CHARS_MAX: Final = 4096

INPUT_HEADER: Final = "Signature-Input"
SIGNATURE_HEADER: Final = "Signature"
DIGEST_HEADER: Final = "Content-Digest"

_LABEL: Final = "sig1"
_COVERED: Final = ("@method", "@path", "@query")
_COVERED_WITH_BODY: Final = (*_COVERED, "content-digest")
_PARAMETERS: Final = {"created", "keyid", "nonce", "tag"}
_KEY_ID: Final = re.compile(r"(0|[1-9][0-9]{0,9})/(0|[1-9][0-9]{0,9})", re.ASCII)
_NUMBER_MAX: Final = 2**32 - 1
_ANY_HOST: Final = "http://node"
"""The library wants a whole URL; only path and query of it are signed."""


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """Who signed a request. Made by `verify_request`."""

    member: int
    feed: int
    """Which of the member's keys; 0 is its node."""
    nonce: bytes
    """16 bytes; the recipient refuses one that it has seen of that key within the window."""


def sign_request(
    key: SigningKey,
    *,
    member: int,
    feed: int,
    ledger_id: bytes,
    recipient: int,
    method: str,
    target: str,
    body: bytes,
    created_s: int,
    nonce: bytes,
) -> dict[str, str]:
    """
    Return the headers that sign one request to member `recipient`.

    `target` is path and query as they are sent, `body` empty where there is none, `created_s` the
    clock in seconds since 1970, `nonce` 16 fresh random bytes.
    """
    assert len(nonce) == NONCE_BYTES, len(nonce)
    message = _Message(method, _ANY_HOST + target, {})
    if body:
        message.headers[DIGEST_HEADER] = _content_digest(body)
    prepared = _SIGNER.prepare(
        message,
        key_id=f"{member}/{feed}",
        created=cast("Any", _Instant(created_s)),
        nonce=encode_base64(nonce),
        label=_LABEL,
        tag=_tag(ledger_id, recipient),
        include_alg=False,
        covered_component_ids=_COVERED_WITH_BODY if body else _COVERED,
        use_existing_digest=bool(body),
    )
    # The library's `apply` would parse all of it again to find that nothing changed meanwhile.
    signature = encode_base64(key.sign_raw(prepared.signature_base))
    message.headers[INPUT_HEADER] = f"{_LABEL}={prepared.signature_params}"
    message.headers[SIGNATURE_HEADER] = f"{_LABEL}=:{signature}:"
    return message.headers


def verify_request(
    headers: Mapping[str, str],
    *,
    ledger_id: bytes,
    recipient: int,
    method: str,
    target: str,
    body: bytes,
    now_s: int,
    find_key: Callable[[int, int], bytes | None],
) -> RequestIdentity:
    """
    Return who signed a request to member `recipient`.

    `find_key` returns the Ed25519 key of a (member, feed) in force, None if there is none. Whether
    the nonce is new is for the recipient to remember.

    Raises:
        MalformedError: unsigned, several signatures, or not the one form that requests have.
        SignatureError: for another node or ledger, out of time, by an unknown key, or altered.
    """
    identity = verify_head(
        headers,
        ledger_id=ledger_id,
        recipient=recipient,
        method=method,
        target=target,
        with_body=bool(body),
        now_s=now_s,
        find_key=find_key,
    )
    if body:
        verify_body(headers, body)
    return identity


def verify_head(
    headers: Mapping[str, str],
    *,
    ledger_id: bytes,
    recipient: int,
    method: str,
    target: str,
    with_body: bool,
    now_s: int,
    find_key: Callable[[int, int], bytes | None],
) -> RequestIdentity:
    """
    Return who signed a request whose body is not read yet; `verify_body` must follow.

    So nobody without a key can make a node read a large body. Arguments and errors are those of
    `verify_request`.
    """
    if len(target) > TARGET_CHARS_MAX:
        raise MalformedError(f"target has more than {TARGET_CHARS_MAX} characters")
    own = _signature_headers(headers, with_digest=with_body)
    verifier = _Verifier(signature_algorithm=_Ed25519, key_resolver=_KeyFinder(find_key))
    try:
        results = verifier.verify(_Message(method, _ANY_HOST + target, own), max_age=None)
    except HTTPMessageSignaturesException as error:
        cause = error.__cause__
        if isinstance(cause, MalformedError | SignatureError):
            raise cause from None
        raise MalformedError(f"request signature: {error}") from error
    (result,) = results
    parameters = result.parameters
    _check_form(list(result.covered_components), parameters, with_body=with_body)
    if parameters["tag"] != _tag(ledger_id, recipient):
        raise SignatureError(
            f"request is signed for {str(parameters['tag'])[:120]!r}, this is "
            f"{_tag(ledger_id, recipient)!r}; check which node and ledger it is meant for"
        )
    _check_time(parameters["created"], now_s)
    member, feed = _split_key_id(str(parameters["keyid"]))
    nonce = decode_base64(str(parameters["nonce"]), "nonce of the request")
    if len(nonce) != NONCE_BYTES:
        raise MalformedError(f"nonce of the request has {len(nonce)} bytes, expected {NONCE_BYTES}")
    return RequestIdentity(member, feed, nonce)


def verify_body(headers: Mapping[str, str], body: bytes) -> bytes:
    """
    Return `body` if it is the one whose digest stands in headers that `verify_head` accepted.

    Raises:
        MalformedError: the digest is missing, stands twice or is too long.
        SignatureError: it is another one.
    """
    own = _signature_headers(headers, with_digest=True)
    if own[DIGEST_HEADER] != _content_digest(body):
        raise SignatureError("the body is not the one that was signed: its digest differs")
    return body


@dataclass(slots=True)
class _Message:
    """What the library asks of a request."""

    method: str
    url: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Instant:
    """Stands for a `datetime`, of which the library asks only this: the package has no clock."""

    seconds: int

    def timestamp(self) -> int:
        return self.seconds


class _Ed25519(HTTPSignatureAlgorithm):
    """The one Ed25519 of this package."""

    algorithm_id = "ed25519"

    def __init__(self, public_key: bytes | None = None, private_key: None = None) -> None:
        assert private_key is None, "requests are signed outside of the library"
        self._public = public_key

    def verify(self, signature: bytes, message: bytes) -> None:
        assert self._public is not None
        verify_raw(self._public, message, signature)


class _KeyFinder(HTTPSignatureKeyResolver):
    """The keys of whoever may have signed a request."""

    def __init__(self, find_key: Callable[[int, int], bytes | None]) -> None:
        self._find_key = find_key

    def resolve_public_key(self, key_id: str) -> bytes:
        member, feed = _split_key_id(key_id)
        key = self._find_key(member, feed)
        if key is None:
            raise SignatureError(
                f"key {member}/{feed} is not in force; check the member id, and that the feed is "
                "in the registry and not ended"
            )
        return key


class _Verifier(HTTPMessageVerifier):
    """The library's verifier without its clock: `verify_request` compares times itself."""

    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """Accept any time."""


_SIGNER: Final = HTTPMessageSigner(signature_algorithm=_Ed25519)


def _signature_headers(headers: Mapping[str, str], *, with_digest: bool) -> dict[str, str]:
    """Return the headers that matter, or say which is missing or too long."""
    wanted = {
        INPUT_HEADER.lower(): (INPUT_HEADER, SIGNATURE_INPUT_CHARS_MAX),
        SIGNATURE_HEADER.lower(): (SIGNATURE_HEADER, SIGNATURE_CHARS_MAX),
    }
    if with_digest:
        wanted[DIGEST_HEADER.lower()] = (DIGEST_HEADER, SIGNATURE_CHARS_MAX)
    found: dict[str, str] = {}
    for name, value in headers.items():
        header, chars_max = wanted.get(name.lower(), ("", 0))
        if not header:
            continue
        if header in found or len(value) > chars_max or not value.isascii():
            raise MalformedError(f"{header} stands twice, or has more than {chars_max} characters")
        found[header] = value
    if missing := [header for header, _ in wanted.values() if header not in found]:
        raise MalformedError(f"request without {missing[0]}; sign it with a key of the registry")
    return found


def _check_form(covered: list[str], parameters: Mapping[str, object], *, with_body: bool) -> None:
    expected = _COVERED_WITH_BODY if with_body else _COVERED
    if covered != [f'"{name}"' for name in (*expected, "@signature-params")]:
        raise MalformedError(
            f"request signature covers {', '.join(covered[:-1])}; expected exactly "
            f"{', '.join(expected)}"
        )
    if set(parameters) != _PARAMETERS:
        raise MalformedError(
            f"request signature has parameters {', '.join(sorted(parameters))}; expected exactly "
            f"{', '.join(sorted(_PARAMETERS))}"
        )


def _check_time(created: object, now_s: int) -> None:
    assert isinstance(created, int), created
    if abs(created - now_s) > WINDOW_S:
        raise SignatureError(
            f"request was signed at second {created}, the clock here says {now_s}; at most "
            f"{WINDOW_S} s apart are accepted: set the clock"
        )


def _split_key_id(key_id: str) -> tuple[int, int]:
    match = _KEY_ID.fullmatch(key_id)
    member, feed = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 0 < member <= _NUMBER_MAX or feed > _NUMBER_MAX:
        raise MalformedError("keyid of the request signature is not <member>/<feed>")
    return member, feed


def _content_digest(body: bytes) -> str:
    digest = hashlib.sha256(body).digest()
    assert len(digest) == HASH_BYTES
    return f"sha-256=:{encode_base64(digest)}:"


def _tag(ledger_id: bytes, recipient: int) -> str:
    return f"tradeline/v1 {ledger_id.hex()} {recipient}"
