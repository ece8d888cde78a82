"""
Policy files, c2sp.org/tlog-policy: reading and writing a `Policy` as text.

A file is lines of words between spaces and tabs. Empty lines and lines that start with `#` mean
nothing; there are no comments at the end of a line. Each line, the last too, ends with a newline:
a file cut short could otherwise name another group than was written.
"""

from __future__ import annotations

import re
from typing import Final

from tradeline_ledger.c2sp import decode_integer
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.note import KeyType, VerifierKey, decode_vkey, encode_vkey
from tradeline_ledger.policy import (
    GROUPS_MAX,
    LOGS_MAX,
    NO_QUORUM,
    WITNESSES_MAX,
    Group,
    Log,
    Policy,
    Witness,
)

POLICY_BYTES_MAX: Final = 512 * 1024

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_WORD: Final = re.compile(r"[^ \t]+")
"""Only space and tab separate words; Python's own idea of white space is wider."""


def encode_policy(policy: Policy) -> bytes:
    """Return the file of `policy`: logs, witnesses, groups, each before it is named, and quorum."""
    lines = [f"log {encode_vkey(log.key)} {log.url}" for log in policy.logs]
    lines += [
        f"witness {witness.name} {encode_vkey(witness.key)} {witness.url}"
        for witness in policy.witnesses
    ]
    lines += [
        f"group {group.name} {group.threshold} {' '.join(group.members)}" for group in policy.groups
    ]
    lines.append(f"quorum {policy.quorum}")
    return "".join(f"{line.rstrip(' ')}\n" for line in lines).encode("utf-8", "surrogateescape")


def decode_policy(encoded: bytes) -> Policy:
    """
    Return the policy of a file.

    Raises:
        MalformedError: the first line that is wrong, by its number, and why; or a limit, or not
            exactly one quorum.
    """
    if len(encoded) > POLICY_BYTES_MAX:
        raise MalformedError(f"policy has {len(encoded)} bytes, at most {POLICY_BYTES_MAX} allowed")
    *lines, rest = encoded.split(b"\n")
    if rest:
        raise MalformedError(
            f"policy line {len(lines) + 1}: no newline at the end; the file may be cut short"
        )
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        try:
            reader.read(line)
        except MalformedError as error:
            raise MalformedError(f"policy line {number}: {error}") from error
    return reader.policy()


class _Reader:
    """The lines read so far."""

    def __init__(self) -> None:
        self.logs: list[Log] = []
        self.witnesses: list[Witness] = []
        self.groups: list[Group] = []
        self.quorum: str | None = None
        self.free: dict[str, bool] = {}
        """Names defined so far, and whether each is still a member of no group."""

    def read(self, line: bytes) -> None:
        """Take one line without its newline."""
        control = _CONTROL.search(line)
        if control:
            raise MalformedError(f"control character 0x{control[0].hex()} is not allowed")
        match _WORD.findall(line.decode("utf-8", "surrogateescape")):
            case []:
                pass
            case [comment, *_] if comment.startswith("#"):
                pass
            case ["log", vkey]:
                self.log(vkey)
            case ["log", vkey, url]:
                self.log(vkey, url)
            case ["witness", name, vkey]:
                self.witness(name, vkey)
            case ["witness", name, vkey, url]:
                self.witness(name, vkey, url)
            case ["group", name, threshold, *members] if members:
                self.group(name, threshold, members)
            case ["quorum", name]:
                self.take_quorum(name)
            case [keyword, *words]:
                raise MalformedError(
                    f"{keyword!r} with {len(words)} words is none of: log <vkey> [<url>], witness "
                    "<name> <vkey> [<url>], group <name> all|any|<k> <member>..., quorum <name>"
                )

    def log(self, vkey: str, url: str = "") -> None:
        key = decode_vkey(vkey)
        _expect_type(key, KeyType.NOTE, "log")
        _expect_other_key(key, [log.key for log in self.logs], "log")
        self.logs.append(Log(key, url))
        _expect_at_most(len(self.logs), LOGS_MAX, "logs")

    def witness(self, name: str, vkey: str, url: str = "") -> None:
        key = decode_vkey(vkey)
        _expect_type(key, KeyType.COSIGNATURE, "witness")
        _expect_other_key(key, [witness.key for witness in self.witnesses], "witness")
        self.define(name)
        self.witnesses.append(Witness(name, key, url))
        _expect_at_most(len(self.witnesses), WITNESSES_MAX, "witnesses")

    def group(self, name: str, threshold_text: str, members: list[str]) -> None:
        for member in members:
            if not self.free.get(member, False):
                why = "is in a group already" if member in self.free else "is not defined above"
                raise MalformedError(f"member {member!r} of group {name!r} {why}")
            self.free[member] = False
        match threshold_text:
            case "all":
                threshold = len(members)
            case "any":
                threshold = 1
            case _:
                threshold = decode_integer(threshold_text, f"threshold of group {name!r}")
        if not 0 < threshold <= len(members):
            raise MalformedError(
                f"threshold of group {name!r} is {threshold}, expected 1 to {len(members)}"
            )
        self.define(name)
        self.groups.append(Group(name, threshold, tuple(members)))
        _expect_at_most(len(self.groups), GROUPS_MAX, "groups")

    def take_quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise MalformedError(f"second quorum {name!r}, expected exactly one quorum line")
        if name != NO_QUORUM and name not in self.free:
            raise MalformedError(f"quorum {name!r} is not defined above")
        self.quorum = name

    def define(self, name: str) -> None:
        if name == NO_QUORUM or name in self.free:
            why = "reserved" if name == NO_QUORUM else "defined already"
            raise MalformedError(f"name {name!r} is {why}; choose another one")
        self.free[name] = True

    def policy(self) -> Policy:
        """Return the policy, once all lines are read."""
        if self.quorum is None:
            raise MalformedError("policy has no quorum line, expected exactly one; 'quorum none'?")
        return Policy(tuple(self.logs), tuple(self.witnesses), tuple(self.groups), self.quorum)


def _expect_type(key: VerifierKey, expected: KeyType, what: str) -> None:
    if key.type is not expected:
        raise MalformedError(
            f"{what} key of {key.name!r} has type 0x{key.type:02x}, expected 0x{expected:02x}"
        )


def _expect_other_key(key: VerifierKey, before: list[VerifierKey], what: str) -> None:
    """Refuse a key that counts twice, or that notes can't tell from another one."""
    key_id = key.id
    for other in before:
        if key.public == other.public or (key.name == other.name and key_id == other.id):
            raise MalformedError(f"{what} key of {key.name!r} is a second one for {other.name!r}")


def _expect_at_most(count: int, limit: int, what: str) -> None:
    if count > limit:
        raise MalformedError(f"{count} {what}, at most {limit} are allowed")
