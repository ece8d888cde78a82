"""Checkpoints and cosignatures, with those of real logs and witnesses."""

import base64

import pytest

from tradeline_ledger.checkpoint import Checkpoint, decode_checkpoint, encode_checkpoint, origin_of
from tradeline_ledger.cosignature import (
    TIME_S_MAX,
    cosign,
    cosigner_name,
    verify_cosignature,
    verify_cosignatures,
)
from tradeline_ledger.errors import MalformedError, SignatureError
from tradeline_ledger.merkle import EMPTY_ROOT, leaf_hash, root_of
from tradeline_ledger.note import (
    KeyType,
    Note,
    Signature,
    VerifierKey,
    decode_note,
    decode_vkey,
    encode_note,
    sign_note,
    verify_note,
)
from tradeline_ledger.signing import SigningKey

ROOT = root_of([leaf_hash(b"a"), leaf_hash(b"b")])
ROOT_TEXT = base64.b64encode(ROOT).decode()
TEXT = encode_checkpoint(Checkpoint("example.org/log", 2, ROOT))

# A log of transparency-dev/tessera, testdata/build_log.sh and testdata/log/checkpoint.<size>
# (Apache-2.0): its private key, its leaves, and what it published at four sizes.
TESSERA_SEED = base64.b64decode("AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg")[1:]
TESSERA_VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
TESSERA_ENTRIES = (
    b"one two three four five six seven eit nain ten ileven twelf threeten fourten fivten".split()
)
TESSERA_KEY_ID = "M9e0l"  # the start of each signature's base64
TESSERA_SIGNATURES = {
    0: "hxJACzE1KoUdqKuPa+9p6R7dSW8BlEvrg/noo8FkGg6PbJoRNOcdjqjOq89wVvTA60eubCc4oufo5BvIVEgtQc=",
    1: "hr9kuLxGdAtaUrhm84TQffVsLdcy808sN0a3WyniNlfcr9+bywoiIke1YYciCNjJGkCgIlQ8b16jhsmg/SChAM=",
    7: "uA5JhTRUki/BBQD0QNiH6AEJ2pdtsA5CQjqJErViuuKrN6513RCTL2640wXJv0dCed3neRGI6dMzBq9uANf2Qc=",
    15: "uh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/uEWP6zdkdIQzd/fmwlM/dlPWF74ewI=",
}

# A checkpoint of a public log with the cosignatures of public witnesses, whose vkeys their
# operators publish. Its first line is of type 0x05, which nobody here knows.
PUBLIC_CHECKPOINT = """\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
"""  # noqa: E501 - as published
PUBLIC_LOG = (
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
)
PUBLIC_WITNESSES = (
    "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
    "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
)


@pytest.mark.parametrize("size", TESSERA_SIGNATURES)
def test_checkpoints_of_another_log_are_reproduced(size: int) -> None:
    key = decode_vkey(TESSERA_VKEY)
    root = root_of([leaf_hash(entry) for entry in TESSERA_ENTRIES[:size]])
    checkpoint = Checkpoint(key.name, size, root)
    text = encode_checkpoint(checkpoint)
    signature = sign_note(text, key.name, SigningKey(TESSERA_SEED))
    published = f"{text}\n— {key.name} {TESSERA_KEY_ID}{TESSERA_SIGNATURES[size]}\n".encode()
    assert encode_note(Note(text, (signature,))) == published
    assert verify_note(decode_note(published), [key]) == (key,)
    assert decode_checkpoint(text) == checkpoint


def test_checkpoint_of_sigsum_verifies() -> None:
    """C2SP issue 99, the comment of 2024-09-19; public key of private key 11 00 .. 00."""
    name = "sigsum.org/v1/tree/e796172b92befd62d9dc67e41c2f5bc9d3100a3023b20b1ca40288dd1c679e69"
    encoded = (
        f"{name}\n10\nHA5HAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— {name} gJ2ho0n8F8olcerUF1"
        "FFdv235A/5as/coWrpLrtE7ovMeP5whgwouYExowG/lTznxu6OUGjjt5yJQ6bXtTcf718MqAQ=\n"
    ).encode()
    signing = SigningKey(b"\x11" + bytes(31))
    key = VerifierKey(name, KeyType.NOTE, signing.public)
    assert key.public.hex().startswith("66e0b858")
    note = decode_note(encoded)
    assert verify_note(note, [key]) == (key,)
    assert encode_note(Note(note.text, (sign_note(note.text, name, signing),))) == encoded
    assert decode_checkpoint(note.text).size == 10


def test_public_checkpoint_and_its_witnesses_verify() -> None:
    note = decode_note(PUBLIC_CHECKPOINT.encode())
    log = decode_vkey(PUBLIC_LOG)
    assert verify_note(note, [log]) == (log,)
    witnesses = [decode_vkey(vkey) for vkey in PUBLIC_WITNESSES]
    cosignatures = verify_cosignatures(note, witnesses)
    assert [cosignature.key for cosignature in cosignatures] == witnesses
    assert {cosignature.time_s for cosignature in cosignatures} == {0x6A122120}
    assert decode_checkpoint(note.text).size == 1432088532


def test_cosignature_covers_every_byte_of_the_text_and_the_time() -> None:
    note = decode_note(PUBLIC_CHECKPOINT.encode())
    key = decode_vkey(PUBLIC_WITNESSES[2])
    (signature,) = (line for line in note.signatures if line.name == key.name)
    for at in range(len(note.text)):
        altered = note.text[:at] + chr(ord(note.text[at]) ^ 1) + note.text[at + 1 :]
        with pytest.raises(SignatureError, match="signature is not by key"):
            verify_cosignature(altered, signature, key)
    for at in range(len(signature.data)):
        data = bytearray(signature.data)
        data[at] ^= 1
        with pytest.raises(SignatureError, match="signature is not by key"):
            verify_cosignature(note.text, Signature(key.name, key.id, bytes(data)), key)


def test_member_cosigns_under_its_own_name() -> None:
    origin = origin_of(bytes(range(32)))
    assert origin == "tradeline.0001020304050607"
    name = cosigner_name(origin, 7)
    signing = SigningKey(bytes(32))
    key = VerifierKey(name, KeyType.COSIGNATURE, signing.public)
    signature = cosign(TEXT, name, signing, 1679315147)
    cosignature = verify_cosignature(TEXT, signature, key)
    assert (cosignature.name, cosignature.time_s) == ("tradeline.0001020304050607/7", 1679315147)
    assert (signature.key_id, len(signature.data)) == (key.id, 72)
    assert signature.data[8:] == signing.sign_raw(
        b"cosignature/v1\ntime 1679315147\n" + TEXT.encode()
    )


def test_cosignature_by_another_key_name_or_time_is_refused() -> None:
    signing = SigningKey(bytes(32))
    key = VerifierKey("w", KeyType.COSIGNATURE, signing.public)
    good = cosign(TEXT, "w", signing, 5)
    for signature, why in (
        (cosign(TEXT, "w2", signing, 5), "is by 'w2'"),
        (cosign(TEXT, "w", SigningKey(bytes(31) + b"1"), 5), "is by 'w', key id"),
        (sign_note(TEXT, "w", signing), "is by 'w', key id"),
        (Signature("w", key.id, good.data[:-1]), "71 bytes, expected 72"),
        (Signature("w", key.id, b"\x80" + good.data[1:]), r"after 2\^63-1"),
        (Signature("w", key.id, good.data[:7] + b"\6" + good.data[8:]), "not by key"),
    ):
        with pytest.raises(SignatureError, match=why):
            verify_cosignature(TEXT, signature, key)
    assert verify_cosignature(TEXT, cosign(TEXT, "w", signing, TIME_S_MAX), key).time_s > 0


def test_plain_signature_is_no_cosignature_and_the_reverse() -> None:
    signing = SigningKey(bytes(32))
    cosigner = VerifierKey("w", KeyType.COSIGNATURE, signing.public)
    signer = VerifierKey("w", KeyType.NOTE, signing.public)
    plain = Signature("w", cosigner.id, sign_note(TEXT, "w", signing).data)
    with pytest.raises(SignatureError, match="64 bytes, expected 72"):
        verify_cosignatures(Note(TEXT, (plain,)), [cosigner])
    timed = Signature("w", signer.id, cosign(TEXT, "w", signing, 5).data[8:])
    with pytest.raises(SignatureError, match="not by key"):
        verify_note(Note(TEXT, (timed,)), [signer])


def test_cosigner_counts_once_and_all_its_lines_must_verify() -> None:
    signing = SigningKey(bytes(32))
    key = VerifierKey("w", KeyType.COSIGNATURE, signing.public)
    first, second = (cosign(TEXT, "w", signing, time_s) for time_s in (5, 6))
    (cosignature,) = verify_cosignatures(Note(TEXT, (first, second)), [key])
    assert cosignature.time_s == 5
    bad = Signature("w", key.id, bytes(72))
    with pytest.raises(SignatureError, match="not by key"):
        verify_cosignatures(Note(TEXT, (first, bad)), [key])


def test_note_without_known_cosigner_has_no_cosignatures() -> None:
    signing = SigningKey(bytes(32))
    note = Note(TEXT, (cosign(TEXT, "w", signing, 5),))
    assert verify_cosignatures(note, []) == ()
    other = VerifierKey("other", KeyType.COSIGNATURE, signing.public)
    assert verify_cosignatures(note, [other]) == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "0 bytes"),
        ("Head\n9944\n", "2 lines, expected origin, size and root"),
        (f"Log\n123\n{ROOT_TEXT}", "2 lines"),
        (f"Log\n123\n{ROOT_TEXT}\nextension\n", "no extension lines"),
        (f"Log\n123\n{ROOT_TEXT}\n\n", "no extension lines"),
        (f"\n9944\n{ROOT_TEXT}\n", "origin has 0 bytes"),
        (f"{'o' * 256}\n9944\n{ROOT_TEXT}\n", "origin has 256 bytes"),
        (f"L\tg\n9944\n{ROOT_TEXT}\n", "control character"),
        (f"L\udc80g\n9944\n{ROOT_TEXT}\n", "not UTF-8"),
        (f"{'o' * 1000}\n9944\n{ROOT_TEXT}\n", "checkpoint has 1051 bytes"),
        (f"Log\nbananas\n{ROOT_TEXT}\n", "size of the checkpoint is 'bananas'"),
        (f"Log\n-34\n{ROOT_TEXT}\n", "size of the checkpoint"),
        (f"Log\n007\n{ROOT_TEXT}\n", "leading zeros"),
        (f"Log\n\n{ROOT_TEXT}\n", "size of the checkpoint is ''"),
        (f"Log\n3438945738945739845734895735\n{ROOT_TEXT}\n", r"0 to 2\^63-1"),
        (f"Log\n9223372036854775808\n{ROOT_TEXT}\n", r"0 to 2\^63-1"),
        ("Log\n123\nThisIsn'tBase64\n", "not base64"),
        ("Log\n123\nYmFuYW5hcw==\n", "root of the checkpoint has 7 bytes, expected 32"),
        (f"Log\n123\n{ROOT_TEXT} \n", "not base64"),
        (f"Log\n123\n{ROOT_TEXT.rstrip('=')}\n", "not base64"),
        (f"Log\n0\n{ROOT_TEXT}\n", "checkpoint of an empty log"),
    ],
)
def test_malformed_checkpoint_is_refused(text: str, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        decode_checkpoint(text)


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("example.org/log", 2, ROOT),
        Checkpoint("Banana, with spaces", 2**63 - 1, ROOT),
        Checkpoint("tradeline.0001020304050607", 0, EMPTY_ROOT),
    ],
)
def test_checkpoints_round_trip(checkpoint: Checkpoint) -> None:
    assert decode_checkpoint(encode_checkpoint(checkpoint)) == checkpoint
