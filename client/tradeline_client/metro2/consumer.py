"""The consumers of a Metro 2 record: whom a segment is about, and which part they have in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradeline_client.metro2 import codes
from tradeline_client.metro2.refusal import RecordFault, rejected
from tradeline_ledger.errors import IdentifierError
from tradeline_ledger.identifier import IdType, SubjectId, parse_identifier

if TYPE_CHECKING:
    from tradeline_client.metro2.layout import Segment

_SSN_DIGITS: Final = 9


def consumer(
    segment: Segment, current_year: int, faults: list[RecordFault]
) -> tuple[SubjectId, int] | None:
    """Return who a segment is about and the role, None where the association has ended."""
    ecoa = segment.text("ecoa_code")
    if ecoa in codes.ECOA_ENDED:
        faults.append(
            RecordFault(
                f"{segment.layout.name} ecoa_code",
                "association-ended",
                ecoa,
                "a code of a consumer who is still liable",
                "no events are made for this consumer; retract earlier ones if they were wrong",
                rejects=False,
            )
        )
        return None
    role = codes.ROLES.get(ecoa)
    if role is None:
        expected = "one of " + ", ".join(sorted(codes.ROLES))
        raise rejected(f"{segment.layout.name} ecoa_code", "no-role", "blank", expected)
    digits = f"{segment.number('social_security_number'):0{_SSN_DIGITS}}"
    try:
        return parse_identifier(IdType.US_SSN, digits, current_year), role
    except IdentifierError:
        raise rejected(
            f"{segment.layout.name} social_security_number",
            "identifier",
            "zeros" if not int(digits) else "a number that was never issued",
            "a social security number",
        ) from None
