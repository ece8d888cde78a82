"""
Agreement: t committee members of one epoch sign one history statement (docs/formats.md, section 7).

A reader can't derive other members' tags, so its report is complete only as far as t committee
members say the same, of whom at least t - f are honest.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tradeline_ledger.errors import PolicyError, SignatureError
from tradeline_ledger.release import Answer, common_hash, payload_hash, verify_history

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tradeline_ledger.bundle import SignedHistory
    from tradeline_ledger.registry import EpochRecord, Registry


def agree(
    answers: Mapping[int, Answer], epoch: EpochRecord, registry: Registry, height: int
) -> tuple[bytes, tuple[int, ...]]:
    """
    Return the statement that t committee members of `epoch` signed alike, and all who did.

    `height` is that of the inquiry. Answers that are signed wrong count for nothing.

    Raises:
        PolicyError: fewer than t agree.
    """
    signed: dict[int, bytes] = {}
    for validator, answer in sorted(answers.items()):
        if epoch.position(validator) is None:
            continue
        hashed, payload = common_hash(answer.common), payload_hash(answer.payload)
        for key in node_keys(registry, validator, height):
            try:
                verify_history(key, hashed, validator, payload, answer.signature)
            except SignatureError:
                continue
            signed[validator] = answer.common
    counts = Counter(signed.values()).most_common()
    if not counts or counts[0][1] < epoch.threshold:
        raise PolicyError(
            f"of {len(answers)} answers {len(signed)} are well signed and at most "
            f"{counts[0][1] if counts else 0} agree, {epoch.threshold} of the committee's "
            f"{len(epoch.committee)} must; ask further members"
        )
    common = counts[0][0]
    return common, tuple(validator for validator, each in signed.items() if each == common)


def verify_statements(
    common: bytes,
    statements: Sequence[SignedHistory],
    epoch: EpochRecord,
    registry: Registry,
    height: int,
) -> tuple[int, ...]:
    """
    Return the committee members of `epoch` that signed one history statement, ascending.

    A node key counts if it was in force at `height`, the inquiry's, or came into force later: a
    release is signed after its block.

    Raises:
        PolicyError: a signer is not in the committee, or they are fewer than its threshold.
        SignatureError: a signature is by none of that member's node keys.
    """
    hashed = common_hash(common)
    validators = []
    for each in statements:
        if epoch.position(each.validator) is None or each.validator in validators:
            raise PolicyError(
                f"history statement by member {each.validator}, which is not in the committee of "
                f"epoch {epoch.epoch} or has signed above"
            )
        for key in node_keys(registry, each.validator, height):
            try:
                verify_history(key, hashed, each.validator, each.payload_hash, each.signature)
            except SignatureError:
                continue
            validators.append(each.validator)
            break
        else:
            raise SignatureError(
                f"history statement of member {each.validator} is signed by none of its node keys "
                f"since height {height}"
            )
    if len(validators) < epoch.threshold:
        raise PolicyError(
            f"{len(validators)} committee members signed these histories, {epoch.threshold} must "
            "agree; ask further members"
        )
    return tuple(sorted(validators))


def node_keys(registry: Registry, number: int, height: int) -> list[bytes]:
    """Return the node keys that a member has had since `height`, oldest first."""
    keys = [
        record.node_key
        for record in registry.versions(number)
        if record.node_key and (record.until_height is None or record.until_height > height)
    ]
    return list(dict.fromkeys(keys))
