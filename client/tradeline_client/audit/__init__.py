"""
The audit of a mirror: a copied folder is replayed from genesis, without a server.

Every file of the mirror is read and every rule of the ledger is run again: chain, tree, tiles,
signatures, positions, outcomes, and that each read was covered by a consent.
"""

from tradeline_client.audit.auditor import audit
from tradeline_client.audit.finding import AuditReport, Finding

__all__ = ["AuditReport", "Finding", "audit"]
