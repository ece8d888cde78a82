from __future__ import annotations

import re
from typing import Any

import pytest

from tradeline_ledger import request
from tradeline_ledger.c2sp import encode_base64
from tradeline_ledger.errors import MalformedError, SignatureError
from tradeline_ledger.request import RequestIdentity, sign_request, verify_request
from tradeline_ledger.signing import SigningKey

KEY = SigningKey(bytes(range(32)))
LEDGER = bytes(32)
NONCE = bytes(range(16))
NOW_S = 1_790_000_000
TARGET = "/v1/entries/7?size=9"


def find_key(member: int, feed: int) -> bytes | None:
    return KEY.public if (member, feed) == (1, 2) else None


def signed(**changes: Any) -> dict[str, str]:
    arguments: dict[str, Any] = {
        "member": 1,
        "feed": 2,
        "ledger_id": LEDGER,
        "recipient": 3,
        "method": "POST",
        "target": TARGET,
        "body": b"body",
        "created_s": NOW_S,
        "nonce": NONCE,
    }
    return sign_request(KEY, **(arguments | changes))


def verified(headers: dict[str, str], **changes: Any) -> RequestIdentity:
    arguments: dict[str, Any] = {
        "ledger_id": LEDGER,
        "recipient": 3,
        "method": "POST",
        "target": TARGET,
        "body": b"body",
        "now_s": NOW_S,
        "find_key": find_key,
    }
    return verify_request(headers, **(arguments | changes))


@pytest.mark.parametrize("body", [b"", b"body"])
@pytest.mark.parametrize("target", ["/", "/checkpoint", TARGET, "/v1/consents?cursor=a%2Fb&x="])
def test_signed_request_names_its_signer(target: str, body: bytes) -> None:
    headers = signed(target=target, body=body)
    assert verified(headers, target=target, body=body) == RequestIdentity(1, 2, NONCE)
    lowered = {name.lower(): value for name, value in headers.items()}
    assert verified(lowered, target=target, body=body).member == 1


def test_the_form_of_the_headers_is_fixed() -> None:
    assert signed() == {
        "Content-Digest": "sha-256=:Iw2DWNyOiJC0xY3utikS7i8gNXrpKlzIYbmOaP4xrLU=:",
        "Signature-Input": (
            'sig1=("@method" "@path" "@query" "content-digest");created=1790000000;keyid="1/2";'
            'nonce="AAECAwQFBgcICQoLDA0ODw==";tag="tradeline/v1 ' + "00" * 32 + ' 3"'
        ),
        "Signature": (
            "sig1=:Chnn8VYL7J2W9fXGOrFbDIG02C6AxEEkdbRW8zuFb47cvFQ2fjwZdWaScHp0NFFZLhL2YGPW/"
            "Al9DAf4jmjsDg==:"
        ),
    }


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"method": "PUT"}, "not by key"),
        ({"target": "/v1/entries/7?size=8"}, "not by key"),
        ({"target": "/v1/entries/8?size=9"}, "not by key"),
        ({"body": b"Body"}, "digest differs"),
        ({"recipient": 4}, "which node and ledger"),
        ({"ledger_id": b"\1" * 32}, "which node and ledger"),
        ({"now_s": NOW_S + 301}, "set the clock"),
        ({"now_s": NOW_S - 301}, "set the clock"),
        ({"find_key": lambda *_: None}, "key 1/2 is not in force"),
        ({"find_key": lambda *_: SigningKey(bytes(32)).public}, "not by key"),
    ],
)
def test_request_for_another_place_or_time_is_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(SignatureError, match=match):
        verified(signed(), **changes)


def test_edges_of_the_window_are_inside() -> None:
    assert verified(signed(), now_s=NOW_S + 300).feed == 2
    assert verified(signed(), now_s=NOW_S - 300).feed == 2


@pytest.mark.parametrize("header", ["Signature-Input", "Signature", "Content-Digest"])
def test_unsigned_request_says_what_is_missing(header: str) -> None:
    headers = signed()
    del headers[header]
    with pytest.raises(MalformedError, match=f"without {header}"):
        verified(headers)


def test_body_must_be_covered() -> None:
    headers = signed(body=b"") | {"Content-Digest": signed()["Content-Digest"]}
    with pytest.raises(MalformedError, match="covers"):
        verified(headers)


def test_signature_of_a_body_does_not_serve_without_one() -> None:
    with pytest.raises((MalformedError, SignatureError)):
        verified(signed(), body=b"")


def test_two_signatures_are_refused() -> None:
    one = signed()
    two = {
        "Signature-Input": one["Signature-Input"]
        + ", "
        + one["Signature-Input"].replace("1", "2", 1),
        "Signature": one["Signature"] + ", " + one["Signature"].replace("1", "2", 1),
    }
    with pytest.raises(MalformedError):
        verified(one | two)


@pytest.mark.parametrize(
    "pattern",
    [
        r";created=\d+",
        r';nonce="[^"]*"',
        r';keyid="[^"]*"',
        r';tag="[^"]*"',
        r'"@method" ',
        r'"@path" ',
        r'"@query" ',
    ],
)
def test_every_part_of_the_signature_is_required(pattern: str) -> None:
    headers = signed()
    headers["Signature-Input"] = re.sub(pattern, "", headers["Signature-Input"])
    with pytest.raises((MalformedError, SignatureError)):
        verified(headers)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (';tag="', ';expires=1900000000;tag="'),
        (';tag="', ';alg="ed25519";tag="'),
        ('keyid="1/2"', 'keyid="01/2"'),
        ('keyid="1/2"', 'keyid="1/2/3"'),
        ('keyid="1/2"', 'keyid="0/2"'),
        ('keyid="1/2"', 'keyid="4294967296/2"'),
        ("sig1=(", "sig1=((("),
        ("sig1=(", "é=("),
        ("created=", "created=1."),
    ],
)
def test_other_forms_are_refused(old: str, new: str) -> None:
    headers = signed()
    assert old in headers["Signature-Input"]
    headers["Signature-Input"] = headers["Signature-Input"].replace(old, new)
    with pytest.raises((MalformedError, SignatureError)):
        verified(headers)


def test_form_is_checked_even_where_the_signature_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever holds the key may still not leave out the query."""
    short = ("@method", "@path", "content-digest")
    monkeypatch.setattr("tradeline_ledger.request._COVERED_WITH_BODY", short)
    headers = signed()
    monkeypatch.undo()
    with pytest.raises(MalformedError, match="expected exactly @method, @path, @query"):
        verified(headers)


@pytest.mark.parametrize("nonce", ["AAEC", "AAECAwQFBgcICQoLDA0ODx==", "not base64", ""])
def test_nonce_has_one_form(nonce: str, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(
        request, "encode_base64", lambda d: nonce if d == NONCE else encode_base64(d)
    )
    headers = signed(body=b"")
    monkeypatch.undo()
    with pytest.raises(MalformedError, match="nonce"):
        verified(headers, body=b"")


def test_overlong_headers_are_refused_before_they_are_parsed() -> None:
    headers = signed()
    headers["Signature-Input"] += ";x=" + "9" * 1024
    with pytest.raises(MalformedError, match="more than 1024"):
        verified(headers)
    with pytest.raises(MalformedError, match="target"):
        verified(signed(), target="/" + "a" * 5000)
