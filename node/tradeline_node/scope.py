"""
The tags that an inquiry asks for, derived by a committee member (docs/formats.md, section 7).

What `tradeline_ledger.inquiry.scope_tags` says, for many members at once, with tag keys that are
absorbed already: 600 members, 3 categories and 2 years are 3,600 tags in 3 ms.
"""

from __future__ import annotations

from collections.abc import Sequence

from tradeline_ledger.inquiry import SCOPE_TAGS_MAX, Inquiry
from tradeline_ledger.registry import Registry
from tradeline_ledger.tag import Category, Tagger
from tradeline_node.errors import RequestError
from tradeline_node.tag_keys import TagKeys


def derive_scope(
    inquiry: Inquiry,
    registry: Registry,
    height: int,
    tag_keys: TagKeys,
    year_keys: Sequence[bytes],
) -> list[tuple[int, bytes]]:
    """
    Return every (member, tag) of the inquiry placed at `height`, ascending without duplicates.

    `year_keys` are those of all its years and identifiers.

    Raises:
        RequestError: a tag key is not known here, so that nothing complete can be said, or there
            are more tags than `SCOPE_TAGS_MAX`.
    """
    keys = _keys_at(registry, height, tag_keys)
    asked = sorted({*inquiry.categories, Category.INQUIRY})
    per_key = len(year_keys) * len(asked)
    if per_key * sum(map(len, keys.values())) > SCOPE_TAGS_MAX:
        raise RequestError(
            "release-scope-wide",
            f"{len(keys)} members, {len(asked)} categories and {len(year_keys)} year keys are more "
            f"than {SCOPE_TAGS_MAX} tags",
        )
    named = None if inquiry.contributors is None else frozenset(inquiry.contributors)
    wanted, always = list(year_keys), [int(Category.INQUIRY)]
    scope: list[tuple[int, bytes]] = []
    for member, taggers in sorted(keys.items()):
        categories = asked if named is None or member in named else always
        tags = {tag for tagger in taggers for tag in tagger.tags(wanted, categories)}
        scope += [(member, tag) for tag in sorted(tags)]
    return scope


def _keys_at(registry: Registry, height: int, tag_keys: TagKeys) -> dict[int, list[Tagger]]:
    """Return every tag key that each member had up to `height`."""
    keys: dict[int, dict[bytes, Tagger]] = {}
    missing: list[int] = []
    for record in registry.members:
        hash_ = record.tag_key_hash
        if hash_ is None or record.from_height > height:
            continue
        tagger = tag_keys.tagger(record.id, hash_)
        if tagger is None:
            missing.append(record.id)
        else:
            keys.setdefault(record.id, {})[hash_] = tagger
    if missing:
        raise RequestError(
            "release-tag-key-missing",
            f"this node lacks a tag key of members {sorted(set(missing))}",
            members=sorted(set(missing)),
        )
    return {member: list(known.values()) for member, known in keys.items()}
