"""
The event types, by group; `tradeline_ledger.schemas` lists them all.

Numbers, versions, the order of fields and the names of choices are append-only: a changed type is
a new version beside the old one. Polarity, articles of law and doubts decide no validity, and may
be corrected in place.
"""
