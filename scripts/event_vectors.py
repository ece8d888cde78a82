"""What `make_vectors` writes about event types: one event of each, with all its fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.ledger.event_samples import FIELDS

from tradeline_ledger.event import Event, encode_event
from tradeline_ledger.schema import EventSchema, Handle
from tradeline_ledger.schemas import SCHEMAS

if TYPE_CHECKING:
    from scripts.make_vectors import Vectors

DAY = "2026-06-15"


def fill(out: Vectors) -> None:
    """Add an event of each type, in the order of their numbers."""
    for schema in SCHEMAS:
        event = sample(schema)
        encoded = out.record(f"event: {schema.name}", event)
        assert encoded == encode_event(event), schema.name


def sample(schema: EventSchema) -> Event:
    """Return an event of a type; what is keyed is made up."""
    fields: dict[str, Any] = FIELDS.get(schema.name, {"reason": "furnisher_error"})
    if schema.name == "correction.supersede":
        payment = {"type": "account.payment", "fields": FIELDS["account.payment"]}
        fields = {**fields, "replacement": payment}
    named = schema.account is not Handle.ABSENT
    return Event(
        schema=schema.number,
        version=schema.version,
        occurred_on=DAY,
        # A correction has the basis of what it corrects, or of what takes its place.
        basis=2 if schema.corrects else min(schema.bases),
        ref=bytes(range(16)),
        account=bytes(range(16, 32)) if named else None,
        check=bytes(range(32, 48)),
        target=(118, 4) if schema.corrects else None,
        fields=SCHEMAS.fields_from_json(schema, fields),
    )
