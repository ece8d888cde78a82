"""
A proposal as people write it: a TOML file with a title, a reason and `[[change]]` tables.

Names and keys stand as text, and what a change leaves out stays as the registry has it. Everything
that is wrong is found here, with its place and what was expected, before anything is signed.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, Final

import msgspec.structs

from tradeline_client.errors import DraftError
from tradeline_ledger.candidate import open_candidate
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError, SignatureError
from tradeline_ledger.key import Replaced
from tradeline_ledger.params import CategoryRetention
from tradeline_ledger.proposal import (
    CHANGES_MAX,
    GRANTED_ROLES,
    PROPOSAL,
    VOTING_MS_MAX,
    Admit,
    Change,
    Proposal,
    Remove,
    ReplaceKeys,
    Resume,
    SetCommittee,
    SetEndpoint,
    SetParams,
    SetRoles,
    SetRules,
    Suspend,
    Waiver,
    change_kind,
    changed_member,
)
from tradeline_ledger.registry import COMMITTEE_MAX, Feed, Role
from tradeline_ledger.statement import Kind, kinds_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.registry import MemberRecord, Registry

FILE_BYTES_MAX: Final = 256 * 1024
DAYS_DEFAULT: Final = 14
DAY_MS: Final = 86_400_000
HEX_KEYS: Final = ("node_key", "note_key", "cosigner_key", "hpke_key", "tag_key_hash")
_NUMBER_MAX: Final = 2**53
_TOP: Final = ("title", "reason", "effect_height", "expires_days", "waive", "change")
_ROLES: Final = tuple(each.name or "" for each in Role if each & GRANTED_ROLES)
_KINDS: Final = tuple(each.name for each in Kind)
_PARAMS: Final = (
    "release_window_ms",
    "receipt_ms",
    "epoch_overlap_ms",
    "inquiry_skew_ms",
    "refused_per_day",
)


def read_proposal(path: Path, ledger: Ledger, registry: Registry, now_ms: int) -> Proposal:
    """
    Return the proposal of a file, on `registry`, which is the one in force.

    Raises:
        DraftError: the file can't be read, or says something impossible.
        SignatureError: a candidate's root key did not sign its file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
        if len(content) > FILE_BYTES_MAX:
            raise DraftError(f"{path} has more than {FILE_BYTES_MAX} bytes, a proposal has fewer")
        table = tomllib.loads(content.decode())
    except OSError as error:
        raise DraftError(f"{path} can't be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise DraftError(f"{path} is not TOML: {error}") from error
    reader = _Reader(path, ledger, registry)
    try:
        made = reader.proposal(_Table(table, str(path), _TOP), now_ms)
        return PROPOSAL.decode(encode(made))  # which checks every length and bound
    except (MalformedError, ValueError) as error:
        raise DraftError(f"{path}: {error}") from error


class _Table:
    """One table of the file; what is asked for is checked, what is unknown is refused."""

    def __init__(self, table: dict[str, Any], where: str, known: tuple[str, ...]) -> None:
        self._table, self._where = table, where
        for name in table:
            if name not in known:
                raise DraftError(f"{where}: unknown key {name!r}, expected some of {_list(known)}")

    def __contains__(self, name: str) -> bool:
        return name in self._table

    def text(self, name: str) -> str:
        value = self._table.get(name)
        if not isinstance(value, str):
            raise DraftError(f"{self._where}: {name} must be a text")
        return value

    def number(self, name: str, default: int | None = None) -> int:
        value = self._table.get(name, default)
        if type(value) is not int or not 0 <= value < _NUMBER_MAX:
            raise DraftError(f"{self._where}: {name} must be a number from 0 on")
        return value

    def numbers(self, name: str) -> tuple[int, ...]:
        value = self._table.get(name)
        if not isinstance(value, list) or not all(type(each) is int for each in value):
            raise DraftError(f"{self._where}: {name} must be a list of numbers")
        return tuple(sorted(value))

    def listed(self, name: str, count: int) -> list[int]:
        value = self._table.get(name)
        if not isinstance(value, list) or [type(each) for each in value] != [int] * count:
            raise DraftError(f"{self._where}: {name} must be a list of {count} numbers")
        return value

    def names(self, name: str, known: tuple[str, ...]) -> tuple[str, ...]:
        value = self._table.get(name, [])
        found = [str(each).upper().replace("-", "_") for each in value]
        if not isinstance(value, list) or not set(found) <= set(known):
            raise DraftError(f"{self._where}: {name} must be a list of {_list(known)}")
        return tuple(found)

    def hex(self, name: str) -> bytes | None:
        if name not in self._table:
            return None
        try:
            return bytes.fromhex(self.text(name))
        except ValueError as error:
            raise DraftError(f"{self._where}: {name} must be hexadecimal digits") from error

    def tables(self, name: str) -> list[dict[str, Any]]:
        value = self._table.get(name, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise DraftError(f"{self._where}: {name} must be tables, each begun by [[{name}]]")
        return value

    def refuse(self, reason: str) -> DraftError:
        return DraftError(f"{self._where}: {reason}")


class _Reader:
    """Makes changes of tables."""

    def __init__(self, path: Path, ledger: Ledger, registry: Registry) -> None:
        self._path, self._ledger, self._registry = path, ledger, registry
        self._makers: dict[str, tuple[Callable[[_Table], Change], tuple[str, ...]]] = {
            "admit": (self._admit, ("candidate",)),
            "roles": (self._roles, ("member", "roles")),
            "suspend": (lambda table: Suspend(table.number("member")), ("member",)),
            "resume": (lambda table: Resume(table.number("member")), ("member",)),
            "remove": (lambda table: Remove(table.number("member")), ("member",)),
            "endpoint": (self._endpoint, ("member", "endpoint", "tls_pin", "engine_peer")),
            "keys": (self._keys, ("member", "root_key", "engine_key", *HEX_KEYS, "end", "add")),
            "params": (self._params, (*_PARAMS, "profile", "retain_months")),
            "committee": (self._committee, ("validators", "committee")),
            "rules": (lambda table: SetRules(table.number("rules")), ("rules",)),
        }

    def proposal(self, top: _Table, now_ms: int) -> Proposal:
        days = top.number("expires_days", DAYS_DEFAULT)
        if not 0 < days <= VOTING_MS_MAX // DAY_MS:
            raise top.refuse(f"expires_days must be from 1 to {VOTING_MS_MAX // DAY_MS}")
        waived = top.names("waive", tuple(each.name or "" for each in Waiver))
        tables = top.tables("change")
        if not 0 < len(tables) <= CHANGES_MAX:
            raise top.refuse(f"{len(tables)} changes, expected 1 to {CHANGES_MAX} of [[change]]")
        changes = [self._change(each, number) for number, each in enumerate(tables, start=1)]
        changes.sort(key=lambda each: (change_kind(each), changed_member(each)))
        return Proposal(
            ledger_id=self._ledger.ledger_id,
            registry_root=self._registry.root,
            title=top.text("title"),
            reason=top.text("reason"),
            effect_height=top.number("effect_height", 0),
            expires_ms=now_ms + days * DAY_MS,
            waived=sum(int(Waiver[each]) for each in set(waived)),
            changes=tuple(changes),
        )

    def _change(self, table: dict[str, Any], number: int) -> Change:
        where = f"{self._path}, change {number}"
        what = table.get("what")
        if what not in self._makers:
            raise DraftError(f"{where}: what is {what!r}, expected {_list(tuple(self._makers))}")
        make, keys = self._makers[what]
        return make(_Table(table, where, ("what", *keys)))

    def _member(self, table: _Table) -> MemberRecord:
        record = self._registry.member(table.number("member"))
        if record is None:
            raise table.refuse(f"no member {table.number('member')} is in the registry of today")
        return record

    def _admit(self, table: _Table) -> Admit:
        path = self._path.parent / table.text("candidate")
        try:
            return Admit(open_candidate(path.read_bytes()))
        except OSError as error:
            raise table.refuse(f"{path} can't be read: {error.strerror}") from error
        except SignatureError as error:
            raise SignatureError(
                f"candidate {path}: {error}; it was altered, ask its institution for it again"
            ) from error

    def _roles(self, table: _Table) -> SetRoles:
        roles = table.names("roles", _ROLES)
        return SetRoles(self._member(table).id, sum(int(Role[each]) for each in set(roles)))

    def _endpoint(self, table: _Table) -> SetEndpoint:
        old = self._member(table)
        return SetEndpoint(
            old.id,
            table.text("endpoint") if "endpoint" in table else old.endpoint,
            table.hex("tls_pin") if "tls_pin" in table else old.tls_pin,
            table.text("engine_peer") if "engine_peer" in table else old.engine_peer,
        )

    def _keys(self, table: _Table) -> ReplaceKeys:
        added = [self._feed(each) for each in table.tables("add")]
        replaced = Replaced(*(table.hex(name) for name in HEX_KEYS))
        return ReplaceKeys(
            member=self._member(table).id,
            root_key=table.hex("root_key"),
            engine_key=table.hex("engine_key"),
            added=tuple(sorted(added, key=lambda each: each.feed)),
            ended=table.numbers("end") if "end" in table else (),
            replaced=replaced,
        )

    def _feed(self, table: dict[str, Any]) -> Feed:
        feed = _Table(table, f"{self._path}, add", ("feed", "key", "kinds"))
        kinds = feed.names("kinds", _KINDS)
        return Feed(
            feed.number("feed"), feed.hex("key") or b"", kinds_of(*(Kind[each] for each in kinds))
        )

    def _params(self, table: _Table) -> SetParams:
        old = self._ledger.params_of(self._registry)
        fields: dict[str, Any] = {n: table.number(n) for n in _PARAMS if n in table}
        if "profile" in table:
            fields["profile"] = table.text("profile")
        if "retain_months" in table:
            months = table.listed("retain_months", len(old.retention))
            fields["retention"] = tuple(
                CategoryRetention(category, each) for category, each in enumerate(months, start=1)
            )
        return SetParams(msgspec.structs.replace(old, **fields))

    def _committee(self, table: _Table) -> SetCommittee:
        validators = table.numbers("validators")
        if not validators:
            raise table.refuse("validators is empty; a ledger has one validator at least")
        committee = table.numbers("committee") if "committee" in table else validators
        return SetCommittee(validators, committee[:COMMITTEE_MAX])


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(name.lower().replace("_", "-") if name.isupper() else name for name in names)
